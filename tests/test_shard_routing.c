/* Keys that say in which shard they are: their parts, one value, and lists over many shards. */
#include "sharding.h"

#include "effort.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static stele_shards *shards;

static void open_some(void)
{
    shards = open_root(2);
}

static void close_some(void)
{
    stele_shards_close(shards);
    shards = NULL;
    remove_test_folder();
}

static void open_with_kinds(const char *const *kinds, size_t count)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_shards_close(shards);
    options.cross_kinds = kinds;
    options.cross_kind_count = count;
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
}

/* --- The parts of a key --- */

static const struct key_row {
    const char *key;
    const char *kind;
    const char *name_space; /* NULL: none */
    const char *rest;
    bool cross;
    bool complete;
} key_table[] = {
    { "task/orders/42", "task", "orders", "42", false, true },
    { "task/orders/a/b/c", "task", "orders", "a/b/c", false, true },
    { "task/orders//", "task", "orders", "/", false, true },
    { "task/orders/", "task", "orders", "", false, false },
    { "task/orders", "task", "orders", NULL, false, false },
    { "task/", "task", "", NULL, false, false },
    { "task", "task", NULL, NULL, false, false },
    { "task//42", "task", "", "42", false, false },
    { "task//", "task", "", "", false, false },
    { "ns/foo", "ns", "foo", NULL, true, true },
    { "ns/foo/bar", "ns", "foo", "bar", true, true },
    { "ns/foo/", "ns", "foo", "", true, false },
    { "ns/", "ns", "", NULL, true, false },
    { "ns//x", "ns", "", "x", true, false },
    { "ns", "ns", NULL, NULL, true, false },
    { "nx/foo", "nx", "foo", NULL, true, true },
    { "nsx/foo", "nsx", "foo", NULL, false, false },
    { "n/foo", "n", "foo", NULL, false, false },
    { "NS/foo", "NS", "foo", NULL, false, false },
    { "t\xc3\xa4g/\xc3\xb6/\xc3\xbc", "t\xc3\xa4g", "\xc3\xb6", "\xc3\xbc", false, true },
};

static void expect_part(const char *row, const char *part, size_t size, const char *expected)
{
    if (expected == NULL) {
        ck_assert_msg(part == NULL && size == 0, "'%s': a part is there", row);
        return;
    }
    ck_assert_msg(part != NULL && size == strlen(expected) && memcmp(part, expected, size) == 0,
                  "'%s': a part isn't '%s'", row, expected);
}

START_TEST(a_key_is_kind_namespace_and_rest)
{
    for (size_t i = 0; i < sizeof(key_table) / sizeof(key_table[0]); i++) {
        const struct key_row *row = &key_table[i];
        stele_key_parts parts;
        memset(&parts, 0xAA, sizeof(parts));
        expect_fine(stele_shards_parse_key(shards, row->key, &parts));
        expect_part(row->key, parts.kind, parts.kind_size, row->kind);
        expect_part(row->key, parts.name_space, parts.name_space_size, row->name_space);
        expect_part(row->key, parts.rest, parts.rest_size, row->rest);
        ck_assert_msg(parts.cross == row->cross, "'%s'", row->key);
        ck_assert_msg(parts.complete == row->complete, "'%s'", row->key);
    }
}
END_TEST

START_TEST(a_key_without_a_kind_is_misuse)
{
    static const char *const bad[] = { NULL, "", "/", "/orders/42", "//" };
    stele_key_parts parts;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_status(stele_shards_parse_key(shards, bad[i], &parts), STELE_MISUSE);
    expect_status(stele_shards_parse_key(shards, "a/b/c", NULL), STELE_MISUSE);
    expect_status(stele_shards_parse_key(NULL, "a/b/c", &parts), STELE_MISUSE);
}
END_TEST

START_TEST(cross_kinds_are_what_the_options_say)
{
    static const char *const kinds[] = { "tenant" };
    stele_key_parts parts;
    open_with_kinds(kinds, 1);
    expect_fine(stele_shards_parse_key(shards, "tenant/foo", &parts));
    ck_assert(parts.cross && parts.complete);
    expect_fine(stele_shards_parse_key(shards, "ns/foo", &parts));
    ck_assert(!parts.cross && !parts.complete);
    open_with_kinds(kinds, 0);
    expect_fine(stele_shards_parse_key(shards, "tenant/foo", &parts));
    ck_assert(!parts.cross);
}
END_TEST

/* --- One value --- */

static stele_status never_called(void *context, const stele_keyed *keyed)
{
    (void)context;
    ck_abort_msg("called for '%s'", keyed->key);
    return STELE_OK;
}

static void put_key(const char *organisation, const char *key)
{
    expect_fine(stele_shards_put(shards, organisation, key, key, strlen(key)));
}

static void expect_key(const char *organisation, const char *key, bool expected)
{
    stele_buffer value = STELE_BUFFER_INIT;
    bool found = !expected;
    expect_fine(stele_buffer_add(&value, "old", 3));
    expect_fine(stele_shards_get(shards, organisation, key, &value, &found));
    ck_assert_msg(found == expected, "'%s'", key);
    if (expected)
        ck_assert_str_eq(value.data, key);
    else
        ck_assert_uint_eq(value.size, 0);
    stele_buffer_dispose(&value);
}

START_TEST(the_key_names_the_shard_and_is_kept_whole)
{
    bool found = false;
    put_key("acme", "task/orders/42");
    put_key("acme", "ns/bills");
    expect_key("acme", "task/orders/42", true);
    expect_key("acme", "ns/bills", true);
    expect_key("acme", "task/bills/42", false);
    expect_key("", "task/orders/42", false);

    stele_shard *orders = acquire(shards, "acme", "orders");
    expect_fine(stele_shard_get(orders, "task/orders/42", NULL, &found));
    ck_assert(found);
    stele_shard_release(orders);

    expect_fine(stele_shards_delete(shards, "acme", "task/orders/42"));
    expect_key("acme", "task/orders/42", false);
}
END_TEST

START_TEST(getting_and_deleting_create_no_shard)
{
    stele_shard *shard = NULL;
    expect_key("acme", "task/orders/42", false);
    expect_fine(stele_shards_delete(shards, "acme", "task/orders/42"));
    expect_status(try_acquire(shards, "acme", "orders", &shard), STELE_NOT_FOUND);
}
END_TEST

START_TEST(a_key_that_is_not_complete_is_misuse)
{
    bool found = false;
    for (size_t i = 0; i < sizeof(key_table) / sizeof(key_table[0]); i++) {
        const char *key = key_table[i].key;
        if (key_table[i].complete)
            continue;
        expect_status(stele_shards_put(shards, "acme", key, "x", 1), STELE_MISUSE);
        expect_status(stele_shards_get(shards, "acme", key, NULL, &found), STELE_MISUSE);
        expect_status(stele_shards_delete(shards, "acme", key), STELE_MISUSE);
    }
    expect_status(stele_shards_put(shards, "acme", "/a/b", "x", 1), STELE_MISUSE);
    expect_status(stele_shards_get(shards, "acme", "a/b/c", NULL, NULL), STELE_MISUSE);
    expect_status(stele_shards_put(shards, NULL, "a/b/c", "x", 1), STELE_MISUSE);
    expect_status(stele_shards_put(NULL, "acme", "a/b/c", "x", 1), STELE_MISUSE);
    expect_status(stele_shards_delete(NULL, "acme", "a/b/c"), STELE_MISUSE);
    expect_status(stele_shards_get(NULL, "acme", "a/b/c", NULL, &found), STELE_MISUSE);
    expect_status(stele_shards_put(shards, "acme", "a/b/c\n", "x", 1), STELE_MISUSE);
    expect_status(stele_shards_put(shards, "\xff", "a/b/c", "x", 1), STELE_INVALID);
}
END_TEST

/* So a namespace in a key is shorter than one may be. */
START_TEST(a_key_beyond_the_limit_of_names_is_misuse)
{
    char key[STELE_SHARD_NAME_MAX + 10] = "task/";
    memset(key + 5, 'n', STELE_SHARD_NAME_MAX + 1);
    memcpy(key + 6 + STELE_SHARD_NAME_MAX, "/1", 3);
    expect_status(stele_shards_put(shards, "acme", key, "x", 1), STELE_MISUSE);
    expect_status(stele_shards_keys(shards, "acme", key, never_called, NULL), STELE_TOO_LARGE);
    memcpy(key + STELE_NAME_SIZE_MAX - 2, "/1", 3);
    put_key("acme", key);
    expect_key("acme", key, true);
}
END_TEST

/* --- Lists --- */

typedef struct listing {
    char last[STELE_NAME_SIZE_MAX + 1];
    char text[4096];
    int count;
    size_t bytes;
} listing;

static stele_status note_routed(void *context, const stele_keyed *keyed)
{
    listing *of = context;
    size_t size = strlen(of->text);
    ck_assert_int_eq(((const char *)keyed->data)[keyed->data_size], '\0');
    ck_assert_msg(strcmp(of->last, keyed->key) <= 0, "'%s' after '%s'", keyed->key, of->last);
    snprintf(of->last, sizeof(of->last), "%s", keyed->key);
    snprintf(of->text + size, sizeof(of->text) - size, "%s ", keyed->key);
    of->count++;
    of->bytes += keyed->data_size;
    return STELE_OK;
}

static void expect_listed(const char *prefix, const char *expected)
{
    listing of = { 0 };
    expect_fine(stele_shards_keys(shards, "acme", prefix, note_routed, &of));
    ck_assert_msg(strcmp(of.text, expected) == 0, "'%s': '%s', not '%s'",
                  prefix == NULL ? "NULL" : prefix, of.text, expected);
}

START_TEST(a_prefix_lists_one_shard_or_all_as_it_says)
{
    static const char *const keys[] = { "task/orders/1", "task/orders/2", "task/bills/1",
                                        "task/bill/1",   "run/orders/1",  "ns/orders",
                                        "ns/bills",      "ns/bills/x",    "nx/orders" };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put_key("acme", keys[i]);
    put_key("", "task/orders/9");

    expect_listed("task/orders/", "task/orders/1 task/orders/2 ");
    expect_listed("task/orders/2", "task/orders/2 ");
    expect_listed("task/bill", "task/bill/1 task/bills/1 ");
    expect_listed("task/", "task/bill/1 task/bills/1 task/orders/1 task/orders/2 ");
    expect_listed("task", "task/bill/1 task/bills/1 task/orders/1 task/orders/2 ");
    expect_listed("t", "task/bill/1 task/bills/1 task/orders/1 task/orders/2 ");
    expect_listed("ns/", "ns/bills ns/bills/x ns/orders ");
    expect_listed("ns", "ns/bills ns/bills/x ns/orders ");
    expect_listed("ns/bills", "ns/bills ns/bills/x ");
    expect_listed("ns/bills/", "ns/bills/x ");
    expect_listed("n", "ns/bills ns/bills/x ns/orders nx/orders ");
    expect_listed("task/nobody/", "");
    expect_listed("zzz", "");
    expect_listed(NULL, "ns/bills ns/bills/x ns/orders nx/orders run/orders/1 task/bill/1 "
                        "task/bills/1 task/orders/1 task/orders/2 ");
    expect_listed("", "ns/bills ns/bills/x ns/orders nx/orders run/orders/1 task/bill/1 "
                      "task/bills/1 task/orders/1 task/orders/2 ");
}
END_TEST

START_TEST(an_organisation_that_is_not_there_has_no_keys)
{
    expect_fine(stele_shards_keys(shards, "nobody", NULL, never_called, NULL));
    expect_fine(stele_shards_keys(shards, "nobody", "task/orders/", never_called, NULL));
}
END_TEST

START_TEST(lists_refuse_what_is_no_prefix)
{
    expect_status(stele_shards_keys(shards, "acme", "/x", never_called, NULL), STELE_MISUSE);
    expect_status(stele_shards_keys(shards, "acme", "task//x", never_called, NULL), STELE_MISUSE);
    char prefix[320];
    snprintf(prefix, sizeof(prefix), "task/%0300d/", 0);
    expect_status(stele_shards_keys(shards, "acme", prefix, never_called, NULL), STELE_TOO_LARGE);
    expect_status(stele_shards_keys(shards, "acme", NULL, NULL, NULL), STELE_MISUSE);
    expect_status(stele_shards_keys(shards, NULL, NULL, never_called, NULL), STELE_MISUSE);
    expect_status(stele_shards_keys(NULL, "acme", NULL, never_called, NULL), STELE_MISUSE);
    expect_status(stele_shards_keys(shards, "\xff", NULL, never_called, NULL), STELE_INVALID);
}
END_TEST

/* Keys that aren't routed lie in any shard: the lists are merged, key by key. */
START_TEST(keys_of_many_shards_come_in_one_order)
{
    uint64_t seed = choose_seed();
    enum { SHARDS = 12, KEYS = 40 };
    listing of = { 0 };
    size_t bytes = 0;
    printf("# routing: seed %" PRIu64 "\n", seed);
    for (int i = 0; i < SHARDS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        stele_shard *shard = acquire(shards, "acme", name);
        stele_transaction *transaction = NULL;
        expect_fine(stele_transaction_begin(stele_shard_store(shard), &transaction));
        for (int k = 0; k < KEYS; k++) {
            char key[32];
            /* Some larger than a piece, which is 64 KiB here. */
            size_t size = one_in(20) ? 100000 : (size_t)(next_chance() % 9000);
            char *data = calloc(1, size + 1);
            stele_put put = STELE_PUT_INIT;
            snprintf(key, sizeof(key), "%08" PRIx32 "-%d-%d", (uint32_t)next_chance(), i, k);
            put.scope = STELE_KEYED_SCOPE;
            put.key = key;
            put.data = data;
            put.data_size = size;
            expect_fine(stele_transaction_state_put(transaction, &put, NULL));
            bytes += size;
            free(data);
        }
        expect_fine(stele_transaction_commit(transaction));
        stele_transaction_end(transaction);
        stele_shard_release(shard);
    }

    expect_fine(stele_shards_keys(shards, "acme", NULL, note_routed, &of));

    ck_assert_int_eq(of.count, (intmax_t)SHARDS * KEYS);
    ck_assert_uint_eq(of.bytes, bytes);
    ck_assert_uint_le(describe(shards).open, 2);
    ck_assert_uint_eq(describe(shards).handles, 0);
}
END_TEST

static stele_status hold_others(void *context, const stele_keyed *keyed)
{
    int *count = context;
    (void)keyed;
    stele_shard *one = acquire(shards, "acme", "n1");
    stele_shard *other = acquire(shards, "acme", "n2");
    expect_fine(stele_shard_put(one, "zz/n1/9", "x", 1));
    stele_shard_release(other);
    stele_shard_release(one);
    expect_fine(stele_shards_delete(shards, "acme", keyed->key));
    ++*count;
    return STELE_OK;
}

/* open_max is 2 here, and the list holds none of them. */
START_TEST(the_function_may_hold_as_many_shards_as_may_be_open)
{
    int count = 0;
    for (int i = 0; i < 5; i++) {
        char key[32];
        snprintf(key, sizeof(key), "task/n%d/1", i);
        put_key("acme", key);
    }
    expect_fine(stele_shards_keys(shards, "acme", "task", hold_others, &count));
    ck_assert_int_eq(count, 5);
    expect_listed("task", "");
    expect_listed("zz/n1/", "zz/n1/9 ");
}
END_TEST

static stele_status end_list(void *context, const stele_keyed *keyed)
{
    (void)keyed;
    return *(stele_status *)context;
}

START_TEST(what_the_function_answers_ends_the_list)
{
    static stele_status answers[] = { STELE_DONE, STELE_NOT_FOUND, STELE_MOVED, STELE_FENCED };
    char *large = calloc(1, 200000);
    put_key("acme", "task/orders/1");
    expect_fine(stele_shards_put(shards, "acme", "large/orders/1", large, 200000));
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        expect_status(stele_shards_keys(shards, "acme", "task/orders/", end_list, &answers[i]),
                      answers[i]);
        expect_status(stele_shards_keys(shards, "acme", "task", end_list, &answers[i]), answers[i]);
        expect_status(stele_shards_keys(shards, "acme", "large", end_list, &answers[i]),
                      answers[i]);
    }
    free(large);
}
END_TEST

static stele_status drop_another(void *context, const stele_keyed *keyed)
{
    int *count = context;
    if (++*count == 1) {
        ck_assert_str_eq(keyed->key, "task/n0/1");
        expect_fine(stele_shards_drop(shards, "acme", "n1", false, NULL));
    }
    return STELE_OK;
}

START_TEST(a_shard_that_is_dropped_meanwhile_has_no_more_keys)
{
    int count = 0;
    for (int i = 0; i < 3; i++) {
        char key[32];
        snprintf(key, sizeof(key), "task/n%d/1", i);
        put_key("acme", key);
    }
    expect_fine(stele_shards_keys(shards, "acme", "task", drop_another, &count));
    ck_assert_int_ge(count, 2); /* what was read before is seen */
    expect_listed("task", "task/n0/1 task/n2/1 ");
    expect_listed("task/n1/", "");
}
END_TEST

static stele_status close_all(void *context, const stele_keyed *keyed)
{
    (void)keyed;
    ++*(int *)context;
    stele_shards_close(shards);
    return STELE_OK;
}

START_TEST(closing_the_shards_inside_ends_the_list)
{
    int count = 0;
    put_key("acme", "task/n0/1");
    put_key("acme", "task/n1/1");
    expect_status(stele_shards_keys(shards, "acme", "task", close_all, &count), STELE_CLOSED);
    ck_assert_int_eq(count, 1);
    shards = NULL;
}
END_TEST

/* Lists go by pieces: of a thousand shards, too, no more are open than may be. */
START_TEST(very_many_shards_are_listed_with_few_of_them_open)
{
    int many = effort_of(60, 1000);
    listing of = { 0 };
    for (int i = 0; i < many; i++) {
        char key[32];
        snprintf(key, sizeof(key), "task/n%04d/1", i);
        put_key("acme", key);
    }
    expect_fine(stele_shards_keys(shards, "acme", "task", note_routed, &of));
    ck_assert_int_eq(of.count, many);
    ck_assert_uint_le(describe(shards).open, 2);
}
END_TEST

static void *route_until_closed(void *context)
{
    stele_status status = STELE_OK;
    int lane = *(int *)context;
    for (int i = 0; status == STELE_OK || status == STELE_BUSY; i++) {
        char key[32];
        bool found = false;
        snprintf(key, sizeof(key), "task/n%d/%d", i % 4, lane);
        status = stele_shards_put(shards, "acme", key, "x", 1);
        if (status == STELE_OK)
            status = stele_shards_get(shards, "acme", key, NULL, &found);
        if (status == STELE_OK)
            status = stele_shards_keys(shards, "acme", "task", note_routed, &(listing){ 0 });
    }
    ck_assert_msg(status == STELE_CLOSED, "%s: %s", stele_status_name(status), stele_error_text());
    return NULL;
}

START_TEST(closing_in_mid_use_is_closed_and_nothing_else)
{
    pthread_t threads[3];
    int lanes[3] = { 0, 1, 2 };
    /* The threads hold a reference, as list and handles do: so that they can be told. */
    stele_shard *held = acquire(shards, "acme", "n0");
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, route_until_closed, &lanes[i]), 0);
    while (describe(shards).opened < 4)
        sched_yield();
    stele_shards_close(shards);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    stele_shard_release(held);
    shards = NULL;
}
END_TEST

START_TEST(after_closing_all_is_closed)
{
    stele_shard *held = acquire(shards, "acme", "n0");
    stele_key_parts parts;
    bool found = false;
    stele_shards_close(shards);
    expect_status(stele_shards_parse_key(shards, "a/b/c", &parts), STELE_CLOSED);
    expect_status(stele_shards_put(shards, "acme", "a/b/c", "x", 1), STELE_CLOSED);
    expect_status(stele_shards_get(shards, "acme", "a/b/c", NULL, &found), STELE_CLOSED);
    expect_status(stele_shards_delete(shards, "acme", "a/b/c"), STELE_CLOSED);
    expect_status(stele_shards_keys(shards, "acme", NULL, never_called, NULL), STELE_CLOSED);
    expect_status(stele_shards_keys(shards, "acme", "a/b/", never_called, NULL), STELE_CLOSED);
    stele_shard_release(held);
    shards = NULL;
}
END_TEST

static Suite *routing_suite(void)
{
    Suite *suite = suite_create("shard routing");
    TCase *tests = tcase_create("routing");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, open_some, close_some);
    tcase_add_test(tests, a_key_is_kind_namespace_and_rest);
    tcase_add_test(tests, a_key_without_a_kind_is_misuse);
    tcase_add_test(tests, cross_kinds_are_what_the_options_say);
    tcase_add_test(tests, the_key_names_the_shard_and_is_kept_whole);
    tcase_add_test(tests, getting_and_deleting_create_no_shard);
    tcase_add_test(tests, a_key_that_is_not_complete_is_misuse);
    tcase_add_test(tests, a_key_beyond_the_limit_of_names_is_misuse);
    tcase_add_test(tests, a_prefix_lists_one_shard_or_all_as_it_says);
    tcase_add_test(tests, an_organisation_that_is_not_there_has_no_keys);
    tcase_add_test(tests, lists_refuse_what_is_no_prefix);
    tcase_add_test(tests, keys_of_many_shards_come_in_one_order);
    tcase_add_test(tests, the_function_may_hold_as_many_shards_as_may_be_open);
    tcase_add_test(tests, what_the_function_answers_ends_the_list);
    tcase_add_test(tests, a_shard_that_is_dropped_meanwhile_has_no_more_keys);
    tcase_add_test(tests, closing_the_shards_inside_ends_the_list);
    tcase_add_test(tests, very_many_shards_are_listed_with_few_of_them_open);
    tcase_add_test(tests, closing_in_mid_use_is_closed_and_nothing_else);
    tcase_add_test(tests, after_closing_all_is_closed);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(routing_suite());
}
