/* State entries: their times, and transactions. */
#include "states.h"

/* --- Times --- */

START_TEST(times_grow_with_every_write_of_a_scope)
{
    stele_written written;
    stele_put put = make_put("scope", "key", "x");
    close_store();
    open_with_own_clock();
    assert_status(stele_state_put(store, &put, &written), STELE_OK);
    ck_assert_int_eq(written.updated_at, clock_now);

    put.key = "other";
    assert_status(stele_state_put(store, &put, &written), STELE_OK);
    ck_assert_int_eq(written.updated_at, clock_now + 1);
    clock_now -= 299 * INT64_C(1000000);
    ck_assert_int_eq(delete_key("scope", "key", NULL).updated_at,
                     clock_now + 299 * INT64_C(1000000) + 2);

    /* Another scope has times of its own. */
    put.scope = "another";
    assert_status(stele_state_put(store, &put, &written), STELE_OK);
    ck_assert_int_eq(written.updated_at, clock_now);
}
END_TEST

/* A clock that was far ahead must not hold a scope's times for years. */
START_TEST(clock_set_back_by_more_than_five_minutes_is_followed)
{
    stele_written written;
    stele_put put = make_put("scope", "key", "x");
    close_store();
    open_with_own_clock();
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);

    clock_now -= 301 * INT64_C(1000000);
    put.key = "later";
    assert_status(stele_state_put(store, &put, &written), STELE_OK);

    ck_assert_int_eq(written.updated_at, clock_now);
    const int64_t extremes[] = { INT64_MAX, INT64_MIN, 0 };
    for (size_t i = 0; i < COUNT_OF(extremes); i++) {
        clock_now = extremes[i];
        assert_status(stele_state_put(store, &put, &written), STELE_OK);
        ck_assert_int_eq(written.updated_at, clock_now);
    }
}
END_TEST

static int64_t put_now(const char *key)
{
    stele_written written;
    stele_put put = make_put("scope", key, "x");
    assert_status(stele_state_put(store, &put, &written), STELE_OK);
    return written.updated_at;
}

/* The time falls once, and not with each write until the clock is where it was. */
START_TEST(times_grow_again_after_the_clock_was_set_back)
{
    static const int64_t set_back[] = { 300, 301, 3600 };
    const int64_t second = 1000000;
    close_store();
    open_with_own_clock();
    for (int i = 0; i < 3; i++)
        put_now(i == 0 ? "a" : i == 1 ? "b" : "c");

    clock_now -= set_back[_i] * second;
    int64_t last = put_now("d");
    ck_assert_int_eq(last == clock_now, set_back[_i] > 300);
    for (int i = 0; i < 10; i++) {
        const char key[] = { (char)('e' + i), '\0' };
        /* At a standing clock, at one that is nudged back, and at one that goes on again. */
        clock_now += i < 3 ? 0 : i < 6 ? -second / 4 : 2 * second;
        int64_t next = put_now(key);
        ck_assert_msg(next > last || (set_back[_i] == 300 && i == 3),
                      "write %d: %" PRId64 " after %" PRId64, i, next, last);
        last = next;
    }
    stele_entries_read read = STELE_ENTRIES_READ_INIT;
    read.scope = "scope";
    read.order = STELE_NEWEST_FIRST;
    if (set_back[_i] == 3600)
        ck_assert_str_eq(keys_of(&read), "c b a n m l k j i h g f e d");
}
END_TEST

/* --- In a transaction --- */

/* A codec's number is free again after that, and another codec's. */
START_TEST(rolled_back_codec_names_are_not_remembered)
{
    static const char *const codecs[] = { "codec-1", "codec-2" };
    for (size_t i = 0; i < COUNT_OF(codecs); i++) {
        const stele_entry *entry = NULL;
        stele_put put = make_put("scope", "key", ""); /* of nothing any codec will do */
        stele_transaction *transaction = begin();
        put.codec = codecs[i];
        assert_status(stele_transaction_state_put(transaction, &put, NULL), STELE_OK);
        assert_status(stele_transaction_state_get(transaction, "scope", "key", &entry), STELE_OK);
        ck_assert_str_eq(entry->codec, codecs[i]);
        stele_entry_close(entry);
        stele_transaction_end(transaction);
    }
}
END_TEST

START_TEST(transaction_sees_its_writes_and_nobody_else_does_until_it_commits)
{
    close_store();
    open_in_file();
    put_text("scope", "old", "x");
    const stele_entry *entry = NULL;
    stele_write write;
    stele_written written;
    stele_put put = make_put("scope", "key", "mine");
    put.write_id = "id";
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = "scope";
    what.key = "old";
    stele_transaction *transaction = begin();

    assert_status(stele_transaction_state_put(transaction, &put, &written), STELE_OK);
    assert_status(stele_transaction_state_delete(transaction, &what, &written), STELE_OK);

    assert_status(stele_transaction_state_get(transaction, "scope", "key", &entry), STELE_OK);
    ck_assert_str_eq(entry->data, "mine");
    stele_entry_close(entry);
    assert_status(stele_transaction_state_write(transaction, "scope", "id", &write), STELE_OK);
    ck_assert(write.found);
    expect_gone("scope", "key", 0);
    expect_text("scope", "old", "x", 1);
    commit_and_end(transaction);
    expect_text("scope", "key", "mine", 1);
    expect_gone("scope", "old", 2);
}
END_TEST

START_TEST(entries_and_events_commit_together_or_not_at_all)
{
    stele_put put = make_put("scope", "key", "x");
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "s-1", STELE_ANY, NULL), STELE_OK);
    assert_status(stele_transaction_state_put(transaction, &put, NULL), STELE_OK);
    stele_transaction_end(transaction);
    expect_gone("scope", "key", 0);
    ck_assert_int_eq(head_of(store), 0);

    transaction = begin();
    assert_status(append_in(transaction, "s-1", STELE_ANY, NULL), STELE_OK);
    assert_status(stele_transaction_state_put(transaction, &put, NULL), STELE_OK);
    commit_and_end(transaction);
    expect_text("scope", "key", "x", 1);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(refusal_in_a_transaction_dooms_nothing)
{
    stele_put put = make_put("scope", "key", "x");
    put.write_id = "id";
    put.expected_revision = 7;
    stele_written written;
    stele_transaction *transaction = begin();

    assert_status(stele_transaction_state_put(transaction, &put, &written), STELE_CONFLICT);
    put.expected_revision = STELE_ANY;
    assert_status(stele_transaction_state_put(transaction, &put, &written), STELE_OK);
    put.key = "another";
    assert_status(stele_transaction_state_put(transaction, &put, &written), STELE_KEY_REUSED);
    put.key = "";
    assert_status(stele_transaction_state_put(transaction, &put, &written), STELE_MISUSE);
    commit_and_end(transaction);

    expect_text("scope", "key", "x", 1);
    expect_gone("scope", "another", 0);
    assert_status(stele_transaction_state_put(NULL, &put, NULL), STELE_MISUSE);
    assert_status(stele_transaction_state_delete(NULL, NULL, NULL), STELE_MISUSE);
}
END_TEST

/* A write around the thread's own transaction would wait for itself. */
START_TEST(writes_around_an_open_transaction_are_misuse)
{
    close_store();
    open_in_file();
    stele_put put = make_put("scope", "key", "x");
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = "scope";
    what.key = "key";
    stele_transaction *transaction = begin();

    assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
    assert_status(stele_state_delete(store, &what, NULL), STELE_MISUSE);
    assert_status(stele_state_clear(store, "scope", NULL, NULL, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_transactions");
    TCase *times = add_case(suite, "times", open_in_memory);
    tcase_add_test(times, times_grow_with_every_write_of_a_scope);
    tcase_add_test(times, clock_set_back_by_more_than_five_minutes_is_followed);
    tcase_add_loop_test(times, times_grow_again_after_the_clock_was_set_back, 0, 3);
    TCase *transactions = add_case(suite, "transactions", open_in_memory);
    tcase_add_test(transactions, rolled_back_codec_names_are_not_remembered);
    tcase_add_test(transactions, transaction_sees_its_writes_and_nobody_else_does_until_it_commits);
    tcase_add_test(transactions, entries_and_events_commit_together_or_not_at_all);
    tcase_add_test(transactions, refusal_in_a_transaction_dooms_nothing);
    tcase_add_test(transactions, writes_around_an_open_transaction_are_misuse);
    return run_suite(suite);
}
