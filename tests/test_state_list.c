/* Lists of entries: in both orders, in pages, while others write. */
#include "imposter.h"
#include "states.h"

static stele_entries_read make_list(const char *scope, stele_entry_order order)
{
    stele_entries_read read = STELE_ENTRIES_READ_INIT;
    read.scope = scope;
    read.order = order;
    return read;
}

/* Keys "k0000" to below `count`, in an order that is not theirs. */
static void fill_scope(const char *scope, int count)
{
    stele_transaction *transaction = begin();
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%04d", i * 7 % count);
        stele_put put = make_put(scope, key, key);
        assert_status(stele_transaction_state_put(transaction, &put, NULL), STELE_OK);
    }
    commit_and_end(transaction);
}

static stele_entries *open_list(const stele_entries_read *read)
{
    stele_entries *entries = NULL;
    assert_status(stele_state_list(store, read, &entries), STELE_OK);
    return entries;
}

static const stele_entry *next_entry(stele_entries *entries)
{
    const stele_entry *entry = NULL;
    assert_status(stele_entries_next(entries, &entry), STELE_OK);
    ck_assert(entry->found);
    return entry;
}

static void expect_end(stele_entries *entries)
{
    const stele_entry *entry = NULL;
    assert_status(stele_entries_next(entries, &entry), STELE_DONE);
    assert_status(stele_entries_next(entries, &entry), STELE_DONE);
    ck_assert_ptr_null(entry);
    stele_entries_close(entries);
}

/* --- Orders and filters --- */

START_TEST(list_of_nothing_is_empty)
{
    stele_entries_read newest = make_list("scope", STELE_NEWEST_FIRST);
    ck_assert_str_eq(keys_of(NULL), "");
    ck_assert_str_eq(keys_of(&newest), "");
}
END_TEST

START_TEST(all_scopes_are_listed_by_scope_and_key)
{
    const char *const scopes[] = { "b", "a", "\xC3\xA9", "a/b", "B" };
    char listed[256] = "";
    for (size_t i = 0; i < COUNT_OF(scopes); i++) {
        put_text(scopes[i], "2", "x");
        put_text(scopes[i], "10", "x");
    }

    stele_entries *entries = open_list(NULL);
    for (size_t i = 0; i < 2 * COUNT_OF(scopes); i++) {
        const stele_entry *entry = next_entry(entries);
        strcat(strcat(strcat(strcat(listed, entry->scope), ":"), entry->key), " ");
    }
    expect_end(entries);

    ck_assert_str_eq(listed, "B:10 B:2 a:10 a:2 a/b:10 a/b:2 b:10 b:2 \xC3\xA9:10 \xC3\xA9:2 ");
}
END_TEST

START_TEST(prefix_chooses_the_keys_that_start_so)
{
    static const char *const keys[] = { "a", "ab", "abc", "ab/", "ac", "b", "aB", "ab\xC3\xA9" };
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        put_text("scope", keys[i], "x");
    put_text("other", "abz", "x");
    stele_entries_read read = make_list("scope", STELE_BY_KEY);

    read.prefix = "ab";
    ck_assert_str_eq(keys_of(&read), "ab ab/ abc ab\xC3\xA9");
    read.prefix = "";
    ck_assert_str_eq(keys_of(&read), "a aB ab ab/ abc ab\xC3\xA9 ac b");
    read.prefix = "abcd";
    ck_assert_str_eq(keys_of(&read), "");
    read.order = STELE_NEWEST_FIRST;
    read.prefix = "ab";
    ck_assert_str_eq(keys_of(&read), "ab\xC3\xA9 ab/ abc ab");
    read.order = STELE_BY_KEY;
    read.scope = NULL;
    ck_assert_str_eq(keys_of(&read), "abz ab ab/ abc ab\xC3\xA9");
}
END_TEST

START_TEST(newest_first_is_the_order_of_writing_backwards)
{
    put_text("scope", "a", "x");
    put_text("scope", "b", "x");
    put_text("scope", "c", "x");
    put_text("scope", "a", "y");
    stele_entries_read read = make_list("scope", STELE_NEWEST_FIRST);

    ck_assert_str_eq(keys_of(&read), "a c b");
    delete_key("scope", "a", NULL);
    put_text("scope", "b", "y");
    ck_assert_str_eq(keys_of(&read), "b c");
}
END_TEST

START_TEST(deleted_entries_are_not_listed)
{
    put_text("scope", "a", "x");
    put_text("scope", "b", "x");
    delete_key("scope", "a", NULL);
    delete_key("scope", "never", "d-1");

    ck_assert_str_eq(keys_of(NULL), "b");
}
END_TEST

START_TEST(listed_entry_is_whole_and_without_data_it_tells_the_size)
{
    const stele_attribute attribute = { "a", "1" };
    stele_put put = make_put("scope", "key", "{\"n\":1}");
    put.codec = "json";
    put.attributes = &attribute;
    put.attribute_count = 1;
    stele_written written;
    assert_status(stele_state_put(store, &put, &written), STELE_OK);
    stele_entries_read read = make_list("scope", STELE_BY_KEY);

    for (int without = 0; without < 2; without++) {
        read.no_data = without;
        stele_entries *entries = open_list(&read);
        const stele_entry *entry = next_entry(entries);
        ck_assert_str_eq(entry->data, without ? "" : "{\"n\":1}");
        ck_assert_uint_eq(entry->data_size, 7);
        ck_assert_str_eq(entry->codec, "json");
        ck_assert_str_eq(stele_entry_attribute(entry, "a"), "1");
        ck_assert_int_eq(entry->revision, 1);
        ck_assert_int_eq(entry->updated_at, written.updated_at);
        expect_end(entries);
    }
}
END_TEST

/* --- Pages --- */

START_TEST(lists_longer_than_a_page_are_complete)
{
    enum { COUNT = 1500 };
    fill_scope("scope", COUNT);
    for (int order = STELE_BY_KEY; order <= STELE_NEWEST_FIRST; order++) {
        stele_entries_read read = make_list("scope", (stele_entry_order)order);
        stele_entries *entries = open_list(&read);
        for (int i = 0; i < COUNT; i++) {
            char key[16];
            int number = order == STELE_BY_KEY ? i : (COUNT - 1 - i) * 7 % COUNT;
            snprintf(key, sizeof(key), "k%04d", number);
            ck_assert_str_eq(next_entry(entries)->key, key);
        }
        expect_end(entries);
    }
}
END_TEST

/* A page is bounded in bytes, too. */
START_TEST(large_entries_are_listed)
{
    enum { COUNT = 7, SIZE = 700 * 1024 };
    char *data = malloc(SIZE);
    ck_assert_ptr_nonnull(data);
    memset(data, 'x', SIZE);
    for (int i = 0; i < COUNT; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%d", i);
        stele_put put = make_put("scope", key, "");
        put.data = data;
        put.data_size = SIZE;
        assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    }
    stele_entries *entries = open_list(NULL);
    for (int i = 0; i < COUNT; i++)
        ck_assert_mem_eq(next_entry(entries)->data, data, SIZE);
    expect_end(entries);
    free(data);
}
END_TEST

/* More keys than one look takes in, of which the last is the only one wanted. */
START_TEST(what_is_wanted_is_found_behind_many_that_are_not)
{
    enum { COUNT = 20500 };
    put_text("scope", "z", "wanted");
    put_text("other", "z", "wanted");
    stele_transaction *transaction = begin();
    for (int i = 0; i < COUNT; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        stele_put put = make_put("scope", key, "");
        assert_status(stele_transaction_state_put(transaction, &put, NULL), STELE_OK);
    }
    commit_and_end(transaction);
    stele_entries_read read = make_list("scope", STELE_NEWEST_FIRST);
    read.prefix = "z";
    ck_assert_str_eq(keys_of(&read), "z");
    read.order = STELE_BY_KEY;
    ck_assert_str_eq(keys_of(&read), "z");
    read.scope = NULL;
    ck_assert_str_eq(keys_of(&read), "z z");
    int64_t count = 0;
    assert_status(stele_state_clear(store, "scope", "k", NULL, &count), STELE_OK);
    ck_assert_int_eq(count, COUNT);
    ck_assert_str_eq(keys_of(NULL), "z z");
}
END_TEST

START_TEST(limit_ends_the_list_and_after_goes_on_from_there)
{
    enum { COUNT = 100 };
    fill_scope("scope", COUNT);
    for (int order = STELE_BY_KEY; order <= STELE_NEWEST_FIRST; order++) {
        char after[16] = "";
        char all[8192];
        size_t used = 0;
        int64_t after_updated = 0;
        stele_entries_read read = make_list("scope", (stele_entry_order)order);
        snprintf(all, sizeof(all), "%s", keys_of(&read));
        read.limit = 7;
        for (int listed = 0; listed < COUNT;) {
            read.after = listed == 0 ? NULL : after;
            read.after_updated = after_updated;
            stele_entries *entries = open_list(&read);
            for (int i = 0; i < 7 && listed < COUNT; i++, listed++) {
                const stele_entry *entry = next_entry(entries);
                ck_assert_int_eq(strncmp(all + used, entry->key, strlen(entry->key)), 0);
                used += strlen(entry->key) + 1;
                snprintf(after, sizeof(after), "%s", entry->key);
                after_updated = entry->updated_at;
            }
            expect_end(entries);
        }
    }
}
END_TEST

START_TEST(next_page_begins_after_an_entry_that_is_gone)
{
    for (char key[] = "a"; key[0] <= 'e'; key[0]++)
        put_text("scope", key, "x");
    const stele_entry *entry = get_entry("scope", "c");
    stele_entries_read read = make_list("scope", STELE_BY_KEY);
    read.after = "c";
    read.after_updated = entry->updated_at;
    stele_entry_close(entry);
    delete_key("scope", "c", NULL);
    ck_assert_str_eq(keys_of(&read), "d e");
    read.order = STELE_NEWEST_FIRST;
    ck_assert_str_eq(keys_of(&read), "b a");

    assert_status(stele_state_forget(store, INT64_MAX, NULL, NULL), STELE_OK);

    ck_assert_str_eq(keys_of(&read), "b a");
    read.order = STELE_BY_KEY;
    ck_assert_str_eq(keys_of(&read), "d e");
    read.prefix = "e";
    ck_assert_str_eq(keys_of(&read), "e");
    read.prefix = "a";
    ck_assert_str_eq(keys_of(&read), "");
}
END_TEST

/* --- While others write --- */

/* Otherwise a list of what is written to all the time might never end. */
START_TEST(newest_first_does_not_see_what_is_written_after_it_was_opened)
{
    enum { COUNT = 600 };
    fill_scope("scope", COUNT);
    stele_entries_read read = make_list("scope", STELE_NEWEST_FIRST);
    stele_entries *entries = open_list(&read);
    int count = 0;
    const stele_entry *entry = NULL;
    while (stele_entries_next(entries, &entry) == STELE_OK) {
        ck_assert_str_ne(entry->key, "new");
        if (++count % 100 == 0)
            put_text("scope", "new", "x");
    }
    ck_assert_int_eq(count, COUNT);
    expect_end(entries);
}
END_TEST

START_TEST(entry_written_meanwhile_is_seen_before_or_after_that)
{
    enum { COUNT = 600 };
    fill_scope("scope", COUNT);
    stele_entries *entries = open_list(NULL);
    ck_assert_str_eq(next_entry(entries)->key, "k0000");
    put_text("scope", "k0000", "later");
    put_text("scope", "k0599", "later");
    delete_key("scope", "k0598", NULL);
    put_text("scope", "k9999", "later");

    const stele_entry *entry = NULL;
    char last[16] = "";
    int count = 1;
    for (; stele_entries_next(entries, &entry) == STELE_OK; count++) {
        ck_assert_str_ne(entry->key, "k0598");
        if (strcmp(entry->key, "k0599") == 0)
            ck_assert_str_eq(entry->data, "later");
        ck_assert_int_gt(strcmp(entry->key, last), 0);
        snprintf(last, sizeof(last), "%s", entry->key);
    }
    ck_assert_str_eq(last, "k9999");
    ck_assert_int_eq(count, COUNT);
    stele_entries_close(entries);
}
END_TEST

/* An open list must not hold the WAL, or writers would wait. */
START_TEST(open_list_holds_no_read_transaction)
{
    close_store();
    open_in_file();
    fill_scope("scope", 600);
    stele_entries *entries = open_list(NULL);
    next_entry(entries);
    stele_store_info info = STELE_STORE_INFO_INIT;
    uint32_t left = 1;

    assert_status(stele_store_transfer(store, NULL, &left), STELE_OK);

    ck_assert_uint_eq(left, 0);
    assert_status(stele_store_describe(store, &info), STELE_OK);
    stele_entries_close(entries);
}
END_TEST

/* --- In a transaction, and after the end --- */

START_TEST(list_in_a_transaction_sees_its_writes_and_ends_with_it)
{
    put_text("scope", "a", "x");
    stele_entries *entries = NULL;
    const stele_entry *entry = NULL;
    stele_transaction *transaction = begin();
    stele_put put = make_put("scope", "b", "x");
    assert_status(stele_transaction_state_put(transaction, &put, NULL), STELE_OK);
    assert_status(stele_transaction_state_list(transaction, NULL, &entries), STELE_OK);
    ck_assert_str_eq(next_entry(entries)->key, "a");
    commit_and_end(transaction);

    assert_status(stele_entries_next(entries, &entry), STELE_CLOSED);
    ck_assert_ptr_null(entry);
    stele_entries_close(entries);

    transaction = begin();
    assert_status(stele_transaction_state_list(transaction, NULL, &entries), STELE_OK);
    next_entry(entries);
    ck_assert_str_eq(next_entry(entries)->key, "b");
    expect_end(entries);
    stele_transaction_end(transaction);
}
END_TEST

/* Each page does, not only the first. */
START_TEST(long_list_in_a_transaction_sees_its_writes)
{
    enum { COUNT = 600 };
    stele_entries *entries = NULL;
    stele_transaction *transaction = begin();
    for (int i = 0; i < COUNT; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%04d", i);
        stele_put put = make_put("scope", key, "x");
        assert_status(stele_transaction_state_put(transaction, &put, NULL), STELE_OK);
    }
    assert_status(stele_transaction_state_list(transaction, NULL, &entries), STELE_OK);
    for (int i = 0; i < COUNT; i++)
        next_entry(entries);
    expect_end(entries);
    stele_transaction_end(transaction);
    ck_assert_str_eq(keys_of(NULL), "");
}
END_TEST

/* --- Damage --- */

START_TEST(what_comes_before_damage_is_listed)
{
    enum { COUNT = 600, DAMAGED = 400 };
    stele_entries_read read = make_list("scope", STELE_BY_KEY);
    const stele_entry *entry = NULL;
    close_store();
    open_in_file();
    fill_scope("scope", COUNT);
    close_store();
    run_sql(store_path(), "UPDATE state SET checksum = checksum + 1 WHERE key = 'k0400'");
    open_in_file();

    stele_entries *entries = open_list(&read);
    for (int i = 0; i < DAMAGED; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%04d", i);
        ck_assert_str_eq(next_entry(entries)->key, key);
    }
    for (int i = 0; i < 2; i++) {
        assert_status(stele_entries_next(entries, &entry), STELE_CORRUPT);
        assert_reason_has("k0400");
    }
    stele_entries_close(entries);

    /* And what follows, by a list behind it. */
    read.after = "k0400";
    entries = open_list(&read);
    for (int i = DAMAGED + 1; i < COUNT; i++)
        next_entry(entries);
    expect_end(entries);
}
END_TEST

#define OVER_KEYS "CREATE TABLE imposter(scope, key, id, PRIMARY KEY(scope, key, id)) WITHOUT ROWID"
#define OVER_TIMES                                                                                 \
    "CREATE TABLE imposter(scope, time, key, id, PRIMARY KEY(scope, time, key, id)) WITHOUT ROWID"
/* Which puts a key elsewhere than the index would. */
#define OVER_FOLDED_KEYS                                                                           \
    "CREATE TABLE imposter(scope, key COLLATE NOCASE, id, PRIMARY KEY(scope, key, id)) WITHOUT"    \
    " ROWID"
#define OVER_FALLING_TIMES                                                                         \
    "CREATE TABLE imposter(scope, time, key, id, PRIMARY KEY(scope, time DESC, key, id)) WITHOUT"  \
    " ROWID"

static const struct {
    stele_entry_order order;
    const char *index;
    const char *over;
    const char *sql;
    const char *reason;
} index_damages[] = {
    { STELE_BY_KEY, "sqlite_autoindex_state_1", OVER_KEYS,
      "UPDATE imposter SET id = 3 WHERE id = 2", "isn't where its index says" },
    { STELE_BY_KEY, "sqlite_autoindex_state_1", OVER_KEYS,
      "UPDATE imposter SET id = 99 WHERE id = 2", "isn't where its index says" },
    { STELE_NEWEST_FIRST, "state_newest", OVER_TIMES, "UPDATE imposter SET id = 3 WHERE id = 2",
      "isn't where its index says" },
    /* An order that isn't one could lead a list round and round. */
    { STELE_BY_KEY, "sqlite_autoindex_state_1", OVER_FOLDED_KEYS,
      "DELETE FROM imposter WHERE +id = 2; INSERT INTO imposter VALUES('scope', 'B', 2)",
      "out of order" },
    { STELE_NEWEST_FIRST, "state_newest", OVER_FALLING_TIMES,
      "INSERT INTO imposter VALUES('scope', 7, 'B', 2)", "out of order" },
};

START_TEST(index_that_lies_is_corrupt)
{
    static const char *const keys[] = { "a", "B", "c" }; /* of 1, 2 and 3 */
    const stele_entry *entry = NULL;
    close_store();
    open_in_file();
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        put_text("scope", keys[i], "x");
    close_store();
    run_on_pages(index_damages[_i].index, index_damages[_i].over, index_damages[_i].sql);
    open_in_file();
    stele_entries_read read = make_list("scope", index_damages[_i].order);

    stele_entries *entries = open_list(&read);
    stele_status status = STELE_OK;
    for (int i = 0; i < 4 && status == STELE_OK; i++)
        status = stele_entries_next(entries, &entry);

    ck_assert_int_eq(status, STELE_CORRUPT);
    assert_reason_has(index_damages[_i].reason);
    stele_entries_close(entries);
}
END_TEST

/* At the end of time it can't grow. */
START_TEST(entries_of_the_same_time_are_each_listed_once)
{
    enum { COUNT = 600 };
    char key[16];
    stele_entries_read read = make_list("scope", STELE_NEWEST_FIRST);
    close_store();
    open_with_own_clock();
    clock_now = INT64_MAX;
    fill_scope("scope", COUNT);

    stele_entries *entries = open_list(&read);
    for (int i = COUNT - 1; i >= 0; i--) {
        const stele_entry *entry = next_entry(entries);
        snprintf(key, sizeof(key), "k%04d", i);
        ck_assert_str_eq(entry->key, key);
        ck_assert_int_eq(entry->updated_at, INT64_MAX);
    }
    expect_end(entries);
    read.after = "k0003";
    read.after_updated = INT64_MAX;
    ck_assert_str_eq(keys_of(&read), "k0002 k0001 k0000");
}
END_TEST

START_TEST(list_of_a_closed_store_is_closed)
{
    put_text("scope", "a", "x");
    const stele_entry *entry = NULL;
    stele_entries *entries = open_list(NULL);

    close_store();

    assert_status(stele_entries_next(entries, &entry), STELE_CLOSED);
    stele_entries_close(entries);
}
END_TEST

START_TEST(wrong_lists_are_misuse)
{
    static char too_long[STELE_NAME_SIZE_MAX + 2];
    memset(too_long, 'k', STELE_NAME_SIZE_MAX + 1);
    const stele_entries_read wrong[] = {
        { .struct_size = 0 },
        { .struct_size = sizeof(stele_entries_read), .order = STELE_NEWEST_FIRST },
        { .struct_size = sizeof(stele_entries_read), .after = "a" },
        { .struct_size = sizeof(stele_entries_read), .scope = "" },
        { .struct_size = sizeof(stele_entries_read), .scope = "s", .prefix = "a\n" },
        { .struct_size = sizeof(stele_entries_read), .scope = "s", .prefix = too_long },
        { .struct_size = sizeof(stele_entries_read), .scope = "s", .after = "" },
        { .struct_size = sizeof(stele_entries_read), .scope = "s", .order = (stele_entry_order)2 },
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        stele_entries *entries = (stele_entries *)&entries;
        assert_status(stele_state_list(store, &wrong[i], &entries), STELE_MISUSE);
        ck_assert_ptr_null(entries);
    }
    assert_status(stele_transaction_state_list(NULL, NULL, NULL), STELE_MISUSE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_list");
    TCase *orders = add_case(suite, "orders", open_in_memory);
    tcase_add_test(orders, list_of_nothing_is_empty);
    tcase_add_test(orders, all_scopes_are_listed_by_scope_and_key);
    tcase_add_test(orders, prefix_chooses_the_keys_that_start_so);
    tcase_add_test(orders, newest_first_is_the_order_of_writing_backwards);
    tcase_add_test(orders, deleted_entries_are_not_listed);
    tcase_add_test(orders, listed_entry_is_whole_and_without_data_it_tells_the_size);
    TCase *pages = add_case(suite, "pages", open_in_memory);
    tcase_add_test(pages, lists_longer_than_a_page_are_complete);
    tcase_add_test(pages, large_entries_are_listed);
    tcase_add_test(pages, what_is_wanted_is_found_behind_many_that_are_not);
    tcase_add_test(pages, limit_ends_the_list_and_after_goes_on_from_there);
    tcase_add_test(pages, next_page_begins_after_an_entry_that_is_gone);
    tcase_add_test(pages, entries_of_the_same_time_are_each_listed_once);
    TCase *meanwhile = add_case(suite, "meanwhile", open_in_memory);
    tcase_add_test(meanwhile, newest_first_does_not_see_what_is_written_after_it_was_opened);
    tcase_add_test(meanwhile, entry_written_meanwhile_is_seen_before_or_after_that);
    tcase_add_test(meanwhile, open_list_holds_no_read_transaction);
    tcase_add_test(meanwhile, list_in_a_transaction_sees_its_writes_and_ends_with_it);
    tcase_add_test(meanwhile, long_list_in_a_transaction_sees_its_writes);
    tcase_add_test(meanwhile, what_comes_before_damage_is_listed);
    tcase_add_loop_test(meanwhile, index_that_lies_is_corrupt, 0, COUNT_OF(index_damages));
    tcase_add_test(meanwhile, list_of_a_closed_store_is_closed);
    tcase_add_test(meanwhile, wrong_lists_are_misuse);
    return run_suite(suite);
}
