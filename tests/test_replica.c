/* A replica: one node of several over a log, with nothing and with one thing at a time going wrong.
 */
#include "frame/replica.h"

#include "replicas.h"

#include <pthread.h>

#include <stele/backup.h>

static memory_lane lane;
static node a, b;

static void open_lane(void)
{
    open_memory_lane(&lane, 1);
    a = make_node(&lane, 1);
    b = make_node(&lane, 2);
}

static void open_both_nodes(void)
{
    open_lane();
    open_node(&a);
    open_node(&b);
}

static void close_nodes(void)
{
    if (a.store != NULL)
        close_node(&a);
    if (b.store != NULL)
        close_node(&b);
    close_memory_lane(&lane);
    remove_test_folder();
}

/* --- How it should be --- */

START_TEST(what_one_node_appends_is_on_the_other_at_the_same_position)
{
    stele_appended first = { 0 };
    stele_appended second = { 0 };

    assert_status(append_to(a.store, "s-1", STELE_NO_STREAM, "opened", &first), STELE_OK);
    assert_status(append_to(b.store, "s-1", 1, "noted", &second), STELE_OK);

    ck_assert_int_eq(first.last_position, 1);
    ck_assert_int_eq(second.last_position, 2);
    ck_assert_int_eq(second.stream_version, 2);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(a.store), 2);
}
END_TEST

START_TEST(a_conflict_is_found_where_the_frame_is_applied_and_says_the_actual_version)
{
    stele_appended appended = { 0 };
    assert_status(append_to(a.store, "s-1", STELE_NO_STREAM, "opened", NULL), STELE_OK);

    /* b has seen nothing of it yet. */
    ck_assert_int_eq(version_at(&b, "s-1"), 0);
    assert_status(append_to(b.store, "s-1", STELE_NO_STREAM, "opened", &appended), STELE_CONFLICT);

    ck_assert_int_eq(appended.stream_version, 1);
    assert_reason_has("s-1");
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(b.store), 1);
    ck_assert_uint_eq(describe_node(&b).refused, 1);
}
END_TEST

START_TEST(every_kind_of_change_goes_through_the_log)
{
    stele_put put = make_put("scope", "key", "value");
    stele_remove remove = STELE_REMOVE_INIT;
    stele_written written = { 0 };
    changed = (stele_changed){ 0 };
    stele_archive in_place = STELE_ARCHIVE_INIT;
    stele_restore restore = STELE_RESTORE_INIT;
    stele_tombstone close = STELE_TOMBSTONE_INIT;
    stele_delete erase = STELE_DELETE_INIT;
    in_place.stream = restore.stream = close.stream = "s-1";
    close.reason = "done";
    erase.stream = "s-2";
    remove.scope = "scope";
    remove.key = "key";
    assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);
    assert_status(append_to(b.store, "s-2", STELE_ANY, "noted", NULL), STELE_OK);

    assert_status(stele_state_put(a.store, &put, &written), STELE_OK);
    ck_assert_int_eq(written.revision, 1);
    put.expected_revision = 1;
    assert_status(stele_state_put(b.store, &put, &written), STELE_OK);
    ck_assert_int_eq(written.revision, 2);
    assert_status(stele_state_put(a.store, &put, &written), STELE_CONFLICT);
    ck_assert_int_eq(written.revision, 2);
    assert_status(stele_state_delete(a.store, &remove, &written), STELE_OK);
    ck_assert(written.found);
    assert_status(stele_store_archive(b.store, &in_place, &changed), STELE_OK);
    ck_assert(changed.changed);
    assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_ARCHIVED);
    assert_status(stele_store_restore(a.store, &restore, &changed), STELE_OK);
    assert_status(stele_store_tombstone(b.store, &close, &changed), STELE_OK);
    assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_TOMBSTONED);
    assert_status(stele_store_delete(a.store, &erase, &changed), STELE_OK);
    assert_status(stele_store_delete(b.store, &erase, &changed), STELE_NOT_FOUND);

    expect_equal_nodes(&a, &b);
}
END_TEST

enum { WAITERS = 6 };

/* How many frames their appends went in. */
static uint64_t append_together(size_t kept)
{
    background_append appends[WAITERS];
    uint64_t before = describe_node(&a).proposed;
    keep_proposals(&lane, 1);
    begin_append(&appends[0], &a, "s-0", LONG_MS);
    await_kept(&lane, kept);
    for (int i = 1; i < WAITERS; i++)
        begin_append(&appends[i], &a, "s-0", LONG_MS);
    stele__sleep_us(100000); /* so that they wait; the first is proposed again meanwhile */
    for (int i = 0; i < WAITERS; i++)
        assert_status(end_append(&appends[i]), STELE_OK);
    return describe_node(&a).proposed - before;
}

/* Once in twenty all come early enough to wait for the same frame, however busy the machine is. */
START_TEST(changes_that_wait_at_the_same_time_share_a_frame)
{
    uint64_t frames = WAITERS;
    int rounds = 0;
    assert_status(append_to(a.store, "s-0", STELE_ANY, "noted", NULL), STELE_OK);

    while (frames > 2 && rounds < 20)
        frames = append_together((size_t)++rounds);

    ck_assert_uint_eq(frames, 2);
    ck_assert_int_eq(head_of(a.store), 1 + rounds * WAITERS);
    expect_equal_nodes(&a, &b);
}
END_TEST

START_TEST(an_append_of_a_whole_batch_is_one_change)
{
    stele_event event = make_event("noted", "{}");
    stele_append appends[2] = { make_append("s-1", STELE_NO_STREAM, &event, 1),
                                make_append("s-2", 5, &event, 1) };
    stele_appended appended[2];
    size_t failed = 0;

    assert_status(stele_store_append_many(a.store, appends, 2, appended, &failed), STELE_CONFLICT);
    ck_assert_uint_eq(failed, 1);
    ck_assert_int_eq(appended[1].stream_version, 0);
    appends[1].expected_version = STELE_NO_STREAM;
    assert_status(stele_store_append_many(a.store, appends, 2, appended, &failed), STELE_OK);
    ck_assert_int_eq(appended[1].last_position, 2);

    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(b.store), 2);
}
END_TEST

START_TEST(a_node_that_comes_back_goes_on_where_it_was)
{
    for (int i = 0; i < 5; i++)
        assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);
    pump_node(&b);
    close_node(&b);
    for (int i = 0; i < 5; i++)
        assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);

    open_node(&b);
    assert_status(append_to(b.store, "s-1", 10, "noted", NULL), STELE_OK);

    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(a.store), 11);
}
END_TEST

START_TEST(a_node_may_begin_with_a_backup_of_another)
{
    stele_backup backup = STELE_BACKUP_INIT;
    stele_recover recover = STELE_RECOVER_INIT;
    char path[512];
    snprintf(path, sizeof(path), "%s", test_path("backup.db"));
    assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);
    backup.path = path;
    assert_status(stele_store_backup(a.store, &backup, NULL), STELE_OK);
    assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);
    close_node(&b);

    node c = make_node(&lane, 3);
    recover.backup = path;
    recover.path = c.path;
    assert_status(stele_recover_backup(&recover, NULL), STELE_OK);
    open_node(&c);
    ck_assert_uint_eq(describe_node(&c).applied, 2);
    assert_status(append_to(c.store, "s-1", 2, "noted", NULL), STELE_OK);

    expect_equal_nodes(&a, &c);
    close_node(&c);
}
END_TEST

START_TEST(a_thread_that_was_asked_for_applies_what_comes)
{
    assert_status(stele__replica_start(b.replica), STELE_OK);
    assert_status(stele__replica_start(b.replica), STELE_OK);
    for (int i = 0; i < 20; i++)
        assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);

    while (head_of(b.store) < 20)
        stele__sleep_us(1000);
    assert_status(append_to(b.store, "s-1", 20, "noted", NULL), STELE_OK);
    stele__replica_stop(b.replica);
    stele__replica_stop(b.replica);

    expect_equal_nodes(&a, &b);
}
END_TEST

START_TEST(the_time_of_a_frame_is_that_of_its_events_on_every_node)
{
    assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);
    stele__sleep_us(20000);
    pump_node(&b);

    int64_t times[2] = { 0 };
    stele_store *stores[2] = { a.store, b.store };
    for (int i = 0; i < 2; i++) {
        stele_cursor *cursor = NULL;
        assert_status(stele_store_read(stores[i], NULL, &cursor), STELE_OK);
        times[i] = next_record(cursor)->recorded_at;
        stele_cursor_close(cursor);
    }
    ck_assert_int_eq(times[0], times[1]);
}
END_TEST

START_TEST(checkpoints_are_proposed_by_who_writes_and_compared)
{
    reopen_node(&b);
    close_node(&a);
    a.options.checkpoint_every = 10;
    open_node(&a);
    for (int i = 0; i < 35; i++)
        assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);

    expect_equal_nodes(&a, &b);
    ck_assert_uint_ge(count_frames(&lane), 1 + 35 + 3);
    ck_assert_int_eq(head_of(b.store), 35);
}
END_TEST

START_TEST(inside_a_transaction_nothing_goes_to_the_log)
{
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(a.store, &transaction), STELE_OK);
    assert_status(stele__replica_pump(a.replica, NULL, NULL), STELE_MISUSE);
    assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
    assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);
    expect_equal_nodes(&a, &b);
}
END_TEST

/* --- The beginning of a lane --- */

START_TEST(of_two_who_find_the_log_empty_one_begins_the_lane)
{
    background_append first;
    background_append second;
    open_node(&a);
    open_node(&b);
    keep_proposals(&lane, 2);
    begin_append(&first, &a, "s-1", LONG_MS);
    begin_append(&second, &b, "s-2", LONG_MS);
    await_kept(&lane, 2);
    stele__frame_header heads[2];
    for (int i = 0; i < 2; i++) {
        assert_status(stele__frame_peek(lane.kept[i].bytes, lane.kept[i].size, &heads[i]),
                      STELE_OK);
        ck_assert_int_eq(heads[i].kind, STELE__FRAME_GENESIS);
    }

    release_kept(&lane, 1);
    release_kept(&lane, 0);
    release_kept(&lane, 0);
    release_kept(&lane, 1);

    assert_status(end_append(&first), STELE_OK);
    assert_status(end_append(&second), STELE_OK);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(a.store), 2);
}
END_TEST

START_TEST(a_store_that_holds_something_and_follows_no_log_is_refused)
{
    a.store = open_path(a.path, NULL);
    assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);
    assert_status(try_replica(&a), STELE_UNSUPPORTED);
    ck_assert_ptr_null(a.replica);
    stele_store_close(a.store);

    node other = make_node(&lane, 7);
    other.store = open_path(other.path, NULL);
    stele_put put = make_put("scope", "key", "value");
    assert_status(stele_state_put(other.store, &put, NULL), STELE_OK);
    assert_status(try_replica(&other), STELE_UNSUPPORTED);
    stele_store_close(other.store);
    a.store = NULL;
}
END_TEST

START_TEST(a_node_of_another_shard_is_refused)
{
    open_node(&a);
    assert_status(append_to(a.store, "s-1", STELE_ANY, "noted", NULL), STELE_OK);
    close_node(&a);
    stele__shard_lane("tests", "another", &a.options.shard);

    a.store = open_path(a.path, NULL);
    assert_status(try_replica(&a), STELE_MISUSE);
    stele_store_close(a.store);
    a.store = NULL;
}
END_TEST

START_TEST(opening_asks_nothing_of_a_log_that_is_away)
{
    set_unavailable(&lane, true);
    open_node(&a);
    ck_assert_int_eq(head_of(a.store), 0);
    a.options.grace_ms = 10;
    assert_status(append_within(&a, "s-1", STELE_ANY, 30, NULL), STELE_BUSY);
    stele_wait wait = wait_for_ms(30);
    assert_status(stele__replica_pump(a.replica, &wait, NULL), STELE_BUSY);
    ck_assert_uint_gt(describe_node(&a).log_errors, 0);
    ck_assert_str_ne(describe_node(&a).error, "");

    set_unavailable(&lane, false);
    assert_status(append_within(&a, "s-1", STELE_NO_STREAM, LONG_MS, NULL), STELE_OK);
    ck_assert_int_eq(head_of(a.store), 1);
}
END_TEST

static void add_tests(TCase *both, TCase *alone)
{
    tcase_add_test(both, what_one_node_appends_is_on_the_other_at_the_same_position);
    tcase_add_test(both,
                   a_conflict_is_found_where_the_frame_is_applied_and_says_the_actual_version);
    tcase_add_test(both, every_kind_of_change_goes_through_the_log);
    tcase_add_test(both, changes_that_wait_at_the_same_time_share_a_frame);
    tcase_add_test(both, an_append_of_a_whole_batch_is_one_change);
    tcase_add_test(both, a_node_that_comes_back_goes_on_where_it_was);
    tcase_add_test(both, a_node_may_begin_with_a_backup_of_another);
    tcase_add_test(both, a_thread_that_was_asked_for_applies_what_comes);
    tcase_add_test(both, the_time_of_a_frame_is_that_of_its_events_on_every_node);
    tcase_add_test(both, checkpoints_are_proposed_by_who_writes_and_compared);
    tcase_add_test(both, inside_a_transaction_nothing_goes_to_the_log);
    tcase_add_test(alone, of_two_who_find_the_log_empty_one_begins_the_lane);
    tcase_add_test(alone, a_store_that_holds_something_and_follows_no_log_is_refused);
    tcase_add_test(alone, a_node_of_another_shard_is_refused);
    tcase_add_test(alone, opening_asks_nothing_of_a_log_that_is_away);
}

int main(void)
{
    Suite *suite = suite_create("replica");
    TCase *both = tcase_create("two nodes");
    TCase *alone = tcase_create("the beginning of a lane");
    tcase_add_checked_fixture(both, open_both_nodes, close_nodes);
    tcase_add_checked_fixture(alone, open_lane, close_nodes);
    add_tests(both, alone);
    suite_add_tcase(suite, both);
    suite_add_tcase(suite, alone);
    return run_suite(suite);
}
