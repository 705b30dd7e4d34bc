/* Correlation and causation, stamped into the metadata of what a command emits. */
#include "account_calls.h"

static const char *own_metadata;

static stele_status emit_with_metadata(stele_decision *decision)
{
    stele_event event = make_event("Told", "{}");
    event.metadata = own_metadata;
    event.metadata_size = own_metadata == NULL ? 0 : strlen(own_metadata);
    return stele_decision_emit_event(decision, &event);
}

/* Events of "Told" have no table. */
static void open_told(void)
{
    stele_decider decider = account_decider();
    decider.unknown = true;
    open_bank();
    open_accounts_by(decider, NULL);
}

static stele_status tell(const char *metadata, const stele_cause *cause)
{
    command what = { .verb = EMIT, .emit = emit_with_metadata };
    stele_execute execute = make_execute("a-1", &what);
    execute.cause = cause;
    own_metadata = metadata;
    return execute_by(&execute);
}

/* The metadata of the newest event of "a-1". Borrowed until next. */
static const char *last_metadata(void)
{
    static char text[70000];
    stele_read read = STELE_READ_INIT;
    read.stream = "a-1";
    read.direction = STELE_BACKWARD;
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = next_record(cursor);
    ck_assert_uint_lt(record->metadata_size, sizeof(text));
    memcpy(text, record->metadata, record->metadata_size + 1);
    stele_cursor_close(cursor);
    return text;
}

static stele_cause make_cause(const char *correlation, const char *causation)
{
    stele_cause cause = STELE_CAUSE_INIT;
    cause.correlation = correlation;
    cause.causation = causation;
    return cause;
}

#define expect_stamped(metadata, cause, expected)                                                  \
    do {                                                                                           \
        assert_status(tell(metadata, cause), STELE_OK);                                            \
        ck_assert_str_eq(last_metadata(), expected);                                               \
    } while (0)

START_TEST(without_a_cause_metadata_is_stored_verbatim)
{
    stele_cause silent = STELE_CAUSE_INIT;
    expect_stamped(NULL, NULL, "");
    expect_stamped(" { \"a\" : 1 } ", NULL, " { \"a\" : 1 } ");
    expect_stamped("[1]", NULL, "[1]");
    expect_stamped(" { \"a\" : 1 } ", &silent, " { \"a\" : 1 } ");
    expect_stamped("[1]", &silent, "[1]");
}
END_TEST

START_TEST(cause_becomes_metadata)
{
    stele_cause cause = make_cause("c-1", "k-1");
    expect_stamped(NULL, &cause, "{\"correlation_id\":\"c-1\",\"causation_id\":\"k-1\"}");
    cause = make_cause("c-1", NULL);
    expect_stamped(NULL, &cause, "{\"correlation_id\":\"c-1\"}");
    cause = make_cause(NULL, "k-1");
    expect_stamped(NULL, &cause, "{\"causation_id\":\"k-1\"}");
    cause = make_cause("", "");
    expect_stamped(NULL, &cause, "{\"correlation_id\":\"\",\"causation_id\":\"\"}");
}
END_TEST

START_TEST(cause_is_merged_with_what_is_there)
{
    stele_cause cause = make_cause("c-1", "k-1");
    expect_stamped("{}", &cause, "{\"correlation_id\":\"c-1\",\"causation_id\":\"k-1\"}");
    expect_stamped(" { } \n", &cause, " { \"correlation_id\":\"c-1\",\"causation_id\":\"k-1\"}");
    expect_stamped("{\"by\":\"}\",\"in\":{\"correlation_id\":[{}]}} ", &cause,
                   "{\"by\":\"}\",\"in\":{\"correlation_id\":[{}]},\"correlation_id\":\"c-1\","
                   "\"causation_id\":\"k-1\"}");
}
END_TEST

START_TEST(members_of_the_events_own_win)
{
    stele_cause cause = make_cause("c-1", "k-1");
    stele_attribute attributes[] = { { "user", "ann" }, { "by", "bob" } };
    cause.attributes = attributes;
    cause.attribute_count = 2;
    expect_stamped("{\"correlation_id\":null}", &cause,
                   "{\"correlation_id\":null,\"causation_id\":\"k-1\",\"user\":\"ann\",\"by\":"
                   "\"bob\"}");
    expect_stamped("{\"causation_\\u0069d\":7,\"user\":1,\"by\":2,\"correlation_id\":3}", &cause,
                   "{\"causation_\\u0069d\":7,\"user\":1,\"by\":2,\"correlation_id\":3}");
}
END_TEST

START_TEST(attributes_are_further_members)
{
    stele_cause cause = STELE_CAUSE_INIT;
    stele_attribute attributes[] = { { "user", "ann" },
                                     { "empty", NULL },
                                     { "quo\"te", "\xc3\xa9\n\"\\\x01" } };
    cause.attributes = attributes;
    cause.attribute_count = 3;
    expect_stamped(
        NULL, &cause,
        "{\"user\":\"ann\",\"empty\":\"\",\"quo\\\"te\":\"\xc3\xa9\\n\\\"\\\\\\u0001\"}");
}
END_TEST

/* Each name once: what a cause says by its own members goes first. */
START_TEST(attribute_named_like_a_member_of_the_cause_gives_way)
{
    stele_cause cause = make_cause("c-1", NULL);
    stele_attribute attributes[] = { { "correlation_id", "x" }, { "causation_id", "y" } };
    cause.attributes = attributes;
    cause.attribute_count = 2;
    expect_stamped(NULL, &cause, "{\"correlation_id\":\"c-1\",\"causation_id\":\"y\"}");
}
END_TEST

START_TEST(attributes_may_be_larger_structs_of_a_newer_program)
{
    struct {
        stele_attribute attribute;
        int more;
    } attributes[] = { { { "a", "1" }, 0 }, { { "b", "2" }, 0 } };
    stele_cause cause = STELE_CAUSE_INIT;
    cause.attributes = &attributes[0].attribute;
    cause.attribute_count = 2;
    cause.attribute_size = sizeof(attributes[0]);
    expect_stamped(NULL, &cause, "{\"a\":\"1\",\"b\":\"2\"}");
}
END_TEST

START_TEST(metadata_that_is_no_object_is_invalid_with_a_cause)
{
    static const char *const others[] = { "[1]", "1", "null", "\"text\"", "{", "{\"a\":1}}" };
    stele_cause cause = make_cause("c-1", NULL);
    assert_status(tell(others[_i], &cause), STELE_INVALID);
    assert_reason_has("stream 'a-1' at version 0");
    assert_reason_has("event 0: metadata");
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(typed_events_are_stamped_too_each_of_them)
{
    command what = { .verb = MOVE, .amount = 1, .count = 2 };
    stele_execute execute = make_execute("a-1", &what);
    stele_cause cause = make_cause("c-1", NULL);
    execute.cause = &cause;
    assert_status(execute_by(&execute), STELE_OK);

    stele_read read = STELE_READ_INIT;
    read.stream = "a-1";
    stele_cursor *cursor = open_read(&read);
    for (int i = 0; i < 2; i++)
        ck_assert_str_eq((const char *)next_record(cursor)->metadata,
                         "{\"correlation_id\":\"c-1\"}");
    stele_cursor_close(cursor);
    expect_balance("a-1", 2);
}
END_TEST

START_TEST(long_texts_of_a_cause_are_stamped_whole)
{
    char *text = malloc(5001);
    static char expected[70000];
    memset(text, '"', 5000);
    text[5000] = '\0';
    stele_cause cause = make_cause(text, NULL);
    size_t size = (size_t)snprintf(expected, sizeof(expected), "{\"correlation_id\":\"");
    for (int i = 0; i < 5000; i++, size += 2)
        memcpy(expected + size, "\\\"", 2);
    memcpy(expected + size, "\"}", 3);
    expect_stamped(NULL, &cause, expected);
    free(text);
}
END_TEST

static void refuse_cause(const stele_cause *cause, stele_status expected, const char *part)
{
    assert_status(tell(NULL, cause), expected);
    assert_reason_has(part);
    ck_assert_int_eq(atomic_load(&teller.decided), 0);
}

START_TEST(wrong_cause_is_refused_before_anything_is_decided)
{
    stele_attribute attributes[101] = { { "a", "1" }, { "a", "2" } };
    stele_cause cause = STELE_CAUSE_INIT;
    cause.struct_size = 0;
    refuse_cause(&cause, STELE_MISUSE, "struct_size");
    cause = make_cause("\xff", NULL);
    refuse_cause(&cause, STELE_MISUSE, "correlation");
    cause = make_cause(NULL, "\xff");
    refuse_cause(&cause, STELE_MISUSE, "causation");
    cause = make_cause(NULL, NULL);
    cause.attribute_count = 1;
    refuse_cause(&cause, STELE_MISUSE, "attributes is NULL");
    cause.attributes = attributes;
    cause.attribute_size = sizeof(stele_attribute) - 1;
    refuse_cause(&cause, STELE_MISUSE, "attribute_size");
    cause.attribute_size = sizeof(stele_attribute);
    cause.attribute_count = 2;
    refuse_cause(&cause, STELE_MISUSE, "'a' twice");
    attributes[1].name = NULL;
    refuse_cause(&cause, STELE_MISUSE, "attribute");
    attributes[1].name = "";
    refuse_cause(&cause, STELE_MISUSE, "attribute");
    attributes[1] = (stele_attribute){ "b", "\xff" };
    refuse_cause(&cause, STELE_MISUSE, "attribute");
    cause.attribute_count = 101;
    refuse_cause(&cause, STELE_TOO_LARGE, "101 attributes");
}
END_TEST

START_TEST(hundred_attributes_are_taken)
{
    stele_attribute attributes[100];
    char names[100][8];
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        attributes[i] = (stele_attribute){ names[i], "v" };
    }
    stele_cause cause = STELE_CAUSE_INIT;
    cause.attributes = attributes;
    cause.attribute_count = 100;
    assert_status(tell("{\"n99\":1}", &cause), STELE_OK);
    ck_assert_ptr_nonnull(strstr(last_metadata(), "\"n98\":\"v\"}"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_cause");
    TCase *tests = add_bank_case(suite, "cause", open_told);
    tcase_add_test(tests, without_a_cause_metadata_is_stored_verbatim);
    tcase_add_test(tests, cause_becomes_metadata);
    tcase_add_test(tests, cause_is_merged_with_what_is_there);
    tcase_add_test(tests, members_of_the_events_own_win);
    tcase_add_test(tests, attributes_are_further_members);
    tcase_add_test(tests, attribute_named_like_a_member_of_the_cause_gives_way);
    tcase_add_test(tests, attributes_may_be_larger_structs_of_a_newer_program);
    tcase_add_loop_test(tests, metadata_that_is_no_object_is_invalid_with_a_cause, 0, 6);
    tcase_add_test(tests, typed_events_are_stamped_too_each_of_them);
    tcase_add_test(tests, long_texts_of_a_cause_are_stamped_whole);
    tcase_add_test(tests, wrong_cause_is_refused_before_anything_is_decided);
    tcase_add_test(tests, hundred_attributes_are_taken);
    return run_suite(suite);
}
