/* Plain keyed data in a shard, beside its log. */
#include "sharding.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static stele_shards *shards;
static stele_shard *shard;

static void open_one(void)
{
    shards = open_root(0);
    shard = acquire(shards, "acme", "orders");
}

static void close_one(void)
{
    stele_shard_release(shard);
    stele_shards_close(shards);
    shard = NULL;
    shards = NULL;
    remove_test_folder();
}

static void put_text(const char *key, const char *text)
{
    expect_fine(stele_shard_put(shard, key, text, strlen(text)));
}

/* In one commit. */
static void put_many(const char *prefix, int count)
{
    stele_transaction *transaction = NULL;
    expect_fine(stele_transaction_begin(stele_shard_store(shard), &transaction));
    for (int i = 0; i < count; i++) {
        char key[16];
        stele_put put = STELE_PUT_INIT;
        snprintf(key, sizeof(key), "%s%05d", prefix, i);
        put.scope = STELE_KEYED_SCOPE;
        put.key = key;
        put.data = "x";
        put.data_size = 1;
        expect_fine(stele_transaction_state_put(transaction, &put, NULL));
    }
    expect_fine(stele_transaction_commit(transaction));
    stele_transaction_end(transaction);
}

/* What was listed, as "key=value " one after the other. */
typedef struct listing {
    char text[4096];
    int count;
    stele_status answer; /* given after `stop_at` keys */
    int stop_at;
} listing;

static stele_status note_key(void *context, const stele_keyed *keyed)
{
    listing *of = context;
    size_t size = strlen(of->text);
    ck_assert_int_eq(((const char *)keyed->data)[keyed->data_size], '\0');
    ck_assert_int_gt(keyed->updated_at, 0);
    ck_assert_int_gt(keyed->revision, 0);
    snprintf(of->text + size, sizeof(of->text) - size, "%s=%s ", keyed->key,
             (const char *)keyed->data);
    return ++of->count == of->stop_at ? of->answer : STELE_OK;
}

static void expect_listed(const char *prefix, const char *expected)
{
    listing of = { 0 };
    expect_fine(stele_shard_keys(shard, prefix, note_key, &of));
    ck_assert_str_eq(of.text, expected);
}

static void expect_value(const char *key, const char *expected)
{
    stele_buffer value = STELE_BUFFER_INIT;
    bool found = false;
    expect_fine(stele_shard_get(shard, key, &value, &found));
    ck_assert_int_eq(found, expected != NULL);
    if (expected != NULL) {
        ck_assert_uint_eq(value.size, strlen(expected));
        ck_assert_str_eq(value.data, expected);
    } else {
        ck_assert_uint_eq(value.size, 0);
    }
    stele_buffer_dispose(&value);
}

START_TEST(a_value_is_put_and_got_and_deleted)
{
    expect_value("k", NULL);
    put_text("k", "one");
    expect_value("k", "one");
    put_text("k", "");
    expect_value("k", "");
    expect_fine(stele_shard_delete(shard, "k"));
    expect_value("k", NULL);
    expect_fine(stele_shard_delete(shard, "k"));
    expect_fine(stele_shard_delete(shard, "never"));
}
END_TEST

START_TEST(bytes_come_back_as_they_were)
{
    unsigned char bytes[256];
    stele_buffer value = STELE_BUFFER_INIT;
    bool found = false;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    expect_fine(stele_shard_put(shard, "k", bytes, sizeof(bytes)));

    expect_fine(stele_buffer_add(&value, "what it held", 12));
    expect_fine(stele_shard_get(shard, "k", &value, &found));

    ck_assert(found);
    ck_assert_uint_eq(value.size, sizeof(bytes));
    ck_assert_mem_eq(value.data, bytes, sizeof(bytes));
    ck_assert_int_eq(value.data[value.size], '\0');
    found = false;
    expect_fine(stele_shard_get(shard, "k", NULL, &found));
    ck_assert(found);
    stele_buffer_dispose(&value);
}
END_TEST

START_TEST(a_key_says_when_it_was_written_last)
{
    int64_t first = -1;
    int64_t second = -1;
    expect_fine(stele_shard_updated_at(shard, "k", &first));
    ck_assert_int_eq(first, 0);
    put_text("k", "one");
    expect_fine(stele_shard_updated_at(shard, "k", &first));
    ck_assert_int_gt(first, 0);
    put_text("k", "one");
    expect_fine(stele_shard_updated_at(shard, "k", &second));
    ck_assert_int_gt(second, first);
    expect_fine(stele_shard_delete(shard, "k"));
    expect_fine(stele_shard_updated_at(shard, "k", &second));
    ck_assert_int_eq(second, 0);
}
END_TEST

START_TEST(a_prefix_lists_its_keys_in_the_order_of_their_bytes)
{
    put_text("b/2", "x");
    put_text("a/1", "y");
    put_text("b/1", "z");
    put_text("b/\xc3\xa4", "u");
    put_text("b", "w");
    put_text("c", "v");
    expect_listed("b/", "b/1=z b/2=x b/\xc3\xa4=u ");
    expect_listed("", "a/1=y b=w b/1=z b/2=x b/\xc3\xa4=u c=v ");
    expect_listed(NULL, "a/1=y b=w b/1=z b/2=x b/\xc3\xa4=u c=v ");
    expect_listed("d", "");
}
END_TEST

/* They are one namespace beside another, and the log is no part of them. */
START_TEST(keys_are_of_their_shard_alone)
{
    stele_shard *mine = shard;
    stele_shard *other = acquire(shards, "acme", "bills");
    stele_shard *foreign = acquire(shards, "", "orders");
    put_text("k", "mine");
    expect_fine(append_data(stele_shard_store(mine), "logged"));
    shard = other;
    put_text("k", "other");
    expect_listed(NULL, "k=other ");
    shard = foreign;
    expect_listed(NULL, "");
    expect_value("k", NULL);
    shard = mine;
    expect_listed(NULL, "k=mine ");
    stele_shard_release(other);
    stele_shard_release(foreign);
}
END_TEST

/* They are state entries, for those who need more of them. */
START_TEST(keys_are_the_entries_of_one_scope)
{
    const stele_entry *entry = NULL;
    put_text("k", "one");
    expect_fine(stele_state_get(stele_shard_store(shard), STELE_KEYED_SCOPE, "k", &entry));
    ck_assert(entry->found);
    ck_assert_str_eq(entry->data, "one");
    ck_assert_str_eq(entry->codec, "raw");
    stele_entry_close(entry);
}
END_TEST

START_TEST(values_stay_when_the_shards_are_opened_again)
{
    put_text("k", "kept");
    stele_shard_release(shard);
    stele_shards_close(shards);
    open_one();
    expect_value("k", "kept");
}
END_TEST

START_TEST(what_the_function_answers_ends_the_list)
{
    static const stele_status answers[] = { STELE_DONE, STELE_NOT_FOUND, STELE_CANCELLED,
                                            STELE_REFUSED };
    put_many("k", 10);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        listing of = { .answer = answers[i], .stop_at = 3 };
        expect_status(stele_shard_keys(shard, NULL, note_key, &of), answers[i]);
        ck_assert_int_eq(of.count, 3);
    }
}
END_TEST

/* --- Calling back in --- */

static stele_status rewrite_key(void *context, const stele_keyed *keyed)
{
    int *count = context;
    char key[64];
    listing inner = { 0 };
    ++*count;
    snprintf(key, sizeof(key), "new/%s", keyed->key);
    expect_fine(stele_shard_put(shard, key, "made", 4));
    expect_fine(stele_shard_delete(shard, keyed->key));
    expect_value(keyed->key, NULL);
    expect_fine(stele_shard_keys(shard, "new/", note_key, &inner));
    ck_assert_int_eq(inner.count, *count);
    return append_data(stele_shard_store(shard), "moved a key");
}

/* The flaw of others: the list held the one connection, and a put inside it waited for ever. */
START_TEST(the_function_may_put_and_delete_and_list_in_the_same_shard)
{
    int count = 0;
    put_many("k", 40);
    expect_fine(stele_shard_keys(shard, "k", rewrite_key, &count));
    ck_assert_int_eq(count, 40);
    expect_listed("k", "");
}
END_TEST

static stele_status delete_next(void *context, const stele_keyed *keyed)
{
    int *count = context;
    ++*count;
    (void)keyed;
    expect_fine(stele_state_clear(stele_shard_store(shard), STELE_KEYED_SCOPE, NULL, NULL, NULL));
    return STELE_OK;
}

/* Those of the page that was read are seen as before, those behind it as after. */
START_TEST(a_list_of_many_pages_goes_on_where_it_stood)
{
    enum { KEYS = 1000 };
    int count = 0;
    listing of = { 0 };
    put_many("", KEYS);
    of.stop_at = -1;
    expect_fine(stele_shard_keys(shard, "000", note_key, &of));
    ck_assert_int_eq(of.count, 100);
    expect_fine(stele_shard_keys(shard, NULL, delete_next, &count));
    ck_assert_int_ge(count, 1);
    ck_assert_int_lt(count, KEYS);
}
END_TEST

static stele_status close_all(void *context, const stele_keyed *keyed)
{
    int *count = context;
    (void)keyed;
    if (++*count == 1)
        stele_shards_close(shards);
    return STELE_OK;
}

START_TEST(closing_the_shards_inside_ends_the_list)
{
    int count = 0;
    put_many("", 1000);
    expect_status(stele_shard_keys(shard, NULL, close_all, &count), STELE_CLOSED);
    shards = NULL;
}
END_TEST

/* --- Refusals --- */

START_TEST(misuse_is_answered)
{
    stele_buffer value = STELE_BUFFER_INIT;
    bool found = true;
    int64_t when = 0;
    char longest[STELE_NAME_SIZE_MAX + 2];
    memset(longest, 'k', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    static const char *const bad[] = { NULL, "", "line\nend", "\xff" };

    expect_status(stele_shard_put(NULL, "k", "x", 1), STELE_MISUSE);
    expect_status(stele_shard_get(NULL, "k", &value, &found), STELE_MISUSE);
    expect_status(stele_shard_get(shard, "k", &value, NULL), STELE_MISUSE);
    expect_status(stele_shard_updated_at(NULL, "k", &when), STELE_MISUSE);
    expect_status(stele_shard_updated_at(shard, "k", NULL), STELE_MISUSE);
    expect_status(stele_shard_delete(NULL, "k"), STELE_MISUSE);
    expect_status(stele_shard_keys(NULL, NULL, note_key, &(listing){ 0 }), STELE_MISUSE);
    expect_status(stele_shard_keys(shard, NULL, NULL, NULL), STELE_MISUSE);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_status(stele_shard_put(shard, bad[i], "x", 1), STELE_MISUSE);
        expect_status(stele_shard_get(shard, bad[i], &value, &found), STELE_MISUSE);
        expect_status(stele_shard_updated_at(shard, bad[i], &when), STELE_MISUSE);
        expect_status(stele_shard_delete(shard, bad[i]), STELE_MISUSE);
    }
    expect_status(stele_shard_put(shard, longest, "x", 1), STELE_MISUSE);
    longest[STELE_NAME_SIZE_MAX] = '\0';
    expect_fine(stele_shard_put(shard, longest, "x", 1));
    ck_assert_int_eq(found, false);
    stele_buffer_dispose(&value);
}
END_TEST

START_TEST(a_value_beyond_the_limit_is_too_large)
{
    stele_shard_release(shard);
    stele_shards_close(shards);
    stele_options small = STELE_OPTIONS_INIT;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    small.value_size_max = 100;
    options.store = &small;
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
    shard = acquire(shards, "acme", "orders");
    char value[101] = { 0 };
    expect_fine(stele_shard_put(shard, "k", value, 100));
    expect_status(stele_shard_put(shard, "k", value, 101), STELE_TOO_LARGE);
}
END_TEST

START_TEST(a_shard_opened_for_reading_is_read_only)
{
    put_text("k", "x");
    stele_shard_release(shard);
    stele_shards_close(shards);
    stele_options reading = STELE_OPTIONS_INIT;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    reading.read_only = true;
    options.store = &reading;
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
    shard = acquire(shards, "acme", "orders");
    expect_status(stele_shard_put(shard, "k", "y", 1), STELE_READ_ONLY);
    expect_status(stele_shard_delete(shard, "k"), STELE_READ_ONLY);
    expect_value("k", "x");
    expect_listed(NULL, "k=x ");
}
END_TEST

START_TEST(after_closing_all_is_closed)
{
    bool found = true;
    int64_t when = 0;
    put_text("k", "x");
    stele_shards_close(shards);
    shards = NULL;
    expect_status(stele_shard_put(shard, "k", "y", 1), STELE_CLOSED);
    expect_status(stele_shard_get(shard, "k", NULL, &found), STELE_CLOSED);
    expect_status(stele_shard_updated_at(shard, "k", &when), STELE_CLOSED);
    expect_status(stele_shard_delete(shard, "k"), STELE_CLOSED);
    expect_status(stele_shard_keys(shard, NULL, note_key, &(listing){ 0 }), STELE_CLOSED);
}
END_TEST

/* --- Closing in mid-use --- */

static atomic_int busy_threads;

static void *use_keys(void *context)
{
    stele_shard *mine = context;
    stele_status status = STELE_OK;
    atomic_fetch_add(&busy_threads, 1);
    for (int i = 0; status == STELE_OK; i++) {
        char key[16];
        bool found = false;
        snprintf(key, sizeof(key), "%d", i % 50);
        status = stele_shard_put(mine, key, "x", 1);
        if (status == STELE_OK)
            status = stele_shard_get(mine, key, NULL, &found);
        if (status == STELE_OK)
            status = stele_shard_keys(mine, "1", note_key, &(listing){ 0 });
        if (status == STELE_OK && i % 3 == 0)
            status = stele_shard_delete(mine, key);
    }
    ck_assert_msg(status == STELE_CLOSED, "%s: %s", stele_status_name(status), stele_error_text());
    stele_shard_release(mine);
    return NULL;
}

START_TEST(closing_in_mid_use_is_closed_and_nothing_else)
{
    pthread_t threads[4];
    atomic_store(&busy_threads, 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, use_keys, acquire(shards, "acme", "orders")), 0);
    while (atomic_load(&busy_threads) < 4)
        (void)describe(shards);
    stele_shards_close(shards);
    shards = NULL;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

static Suite *keys_suite(void)
{
    Suite *suite = suite_create("shard keys");
    TCase *tests = tcase_create("keys");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_one, close_one);
    tcase_add_test(tests, a_value_is_put_and_got_and_deleted);
    tcase_add_test(tests, bytes_come_back_as_they_were);
    tcase_add_test(tests, a_key_says_when_it_was_written_last);
    tcase_add_test(tests, a_prefix_lists_its_keys_in_the_order_of_their_bytes);
    tcase_add_test(tests, keys_are_of_their_shard_alone);
    tcase_add_test(tests, keys_are_the_entries_of_one_scope);
    tcase_add_test(tests, values_stay_when_the_shards_are_opened_again);
    tcase_add_test(tests, what_the_function_answers_ends_the_list);
    tcase_add_test(tests, the_function_may_put_and_delete_and_list_in_the_same_shard);
    tcase_add_test(tests, a_list_of_many_pages_goes_on_where_it_stood);
    tcase_add_test(tests, closing_the_shards_inside_ends_the_list);
    tcase_add_test(tests, misuse_is_answered);
    tcase_add_test(tests, a_value_beyond_the_limit_is_too_large);
    tcase_add_test(tests, a_shard_opened_for_reading_is_read_only);
    tcase_add_test(tests, after_closing_all_is_closed);
    tcase_add_test(tests, closing_in_mid_use_is_closed_and_nothing_else);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(keys_suite());
}
