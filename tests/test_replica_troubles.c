/* A replica when one thing goes wrong, each by itself: the log, the disk, the caller's patience. */
#include "frame/replica.h"

#include "replicas.h"

#include "disk_hooks.h"

#include <pthread.h>

static memory_lane lane;
static node a, b;

/* Two nodes; the lane has begun. */
static void open_nodes(void)
{
    open_memory_lane(&lane, 1);
    a = make_node(&lane, 1);
    b = make_node(&lane, 2);
    open_node(&a);
    open_node(&b);
    pump_node(&a);
    pump_node(&b);
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

/* What is lost is not proposed again for long. */
static void propose_once(node *own)
{
    own->options.again_ms = LONG_MS;
    reopen_node(own);
    pump_node(own);
}

static void with_grace(node *own, uint32_t grace_ms)
{
    own->options.grace_ms = grace_ms;
    reopen_node(own);
    pump_node(own);
}

/* A node that has stopped says why, does nothing more, and can still be read. */
static void expect_stopped(node *own, stele_status status, const char *reason)
{
    stele_wait wait = wait_for_ms(LONG_MS);
    assert_status(stele__replica_pump(own->replica, &wait, NULL), status);
    assert_reason_has(reason);
    stele__replica_info info = describe_node(own);
    ck_assert(info.stopped);
    ck_assert_msg(strstr(info.error, reason) != NULL, "'%s' lacks '%s'", info.error, reason);
    assert_status(append_within(own, "s-9", STELE_ANY, LONG_MS, NULL), status);
    head_of(own->store);
}

/* --- Proposals --- */

START_TEST(what_the_log_drops_is_proposed_again)
{
    drop_proposals(&lane, 3);
    assert_status(append_within(&a, "s-1", STELE_ANY, LONG_MS, NULL), STELE_OK);
    ck_assert_uint_ge(describe_node(&a).proposed_again, 3);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(b.store), 1);
}
END_TEST

START_TEST(what_the_log_has_twice_is_applied_once)
{
    memory_faults faults = { .twice = 1 };
    set_memory_faults(&lane, &faults);
    for (int i = 0; i < 5; i++)
        assert_status(append_within(&a, "s-1", i, LONG_MS, NULL), STELE_OK);
    set_memory_faults(&lane, NULL);

    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(b.store), 5);
    ck_assert_uint_eq(count_frames(&lane), 1 + 10);
    ck_assert_uint_eq(describe_node(&b).duplicates, 5);
}
END_TEST

/* The original comes after what withdraws it: for ever without effect. */
START_TEST(who_was_told_busy_finds_nothing_applied_later)
{
    propose_once(&a);
    keep_proposals(&lane, 1);
    assert_status(append_within(&a, "s-1", STELE_ANY, 15, NULL), STELE_BUSY);
    assert_reason_has("nothing was applied");
    ck_assert_uint_eq(describe_node(&a).withdrawn, 1);

    release_kept(&lane, 0);
    release_kept(&lane, 0);
    assert_status(append_within(&a, "s-2", STELE_ANY, LONG_MS, NULL), STELE_OK);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(version_at(&a, "s-1"), 0);
    ck_assert_int_eq(version_at(&b, "s-1"), 0);
}
END_TEST

/* The withdrawal comes too late: the true answer counts, even after the deadline. */
START_TEST(who_withdraws_too_late_learns_the_true_outcome)
{
    background_append append;
    with_grace(&a, LONG_MS);
    keep_proposals(&lane, 1000000);
    begin_append(&append, &a, "s-1", 15);
    while (describe_node(&a).withdrawn == 0)
        stele__sleep_us(1000);

    release_kept(&lane, 0);
    keep_proposals(&lane, 0);

    assert_status(end_append(&append), STELE_OK);
    ck_assert_int_eq(append.appended.stream_version, 1);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(b.store), 1);
}
END_TEST

static int cancel_now(void *context)
{
    (void)context;
    return 1;
}

START_TEST(who_cancels_finds_nothing_applied)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("s-1", STELE_ANY, &event, 1);
    stele_wait wait = wait_for_ms(LONG_MS);
    wait.progress = cancel_now;
    append.wait = &wait;
    propose_once(&a); /* or it is proposed again before the withdrawal is, on a slow machine */
    keep_proposals(&lane, 1);

    assert_status(stele_store_append(a.store, &append, NULL), STELE_CANCELLED);

    if (lane.kept_count > 0)
        release_kept(&lane, 0);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(a.store), 0);
}
END_TEST

/* Two share a frame; the time of one is over. */
START_TEST(a_withdrawal_takes_nobody_else_along)
{
    background_append first;
    background_append hasty;
    background_append patient;
    with_grace(&a, LONG_MS);
    keep_proposals(&lane, 1000000);
    begin_append(&first, &a, "s-0", LONG_MS);
    await_kept(&lane, 1);
    begin_append(&patient, &a, "s-2", LONG_MS);
    begin_append(&hasty, &a, "s-1", LONG_MS);
    stele__sleep_us(50000); /* only so that both are in line */
    uint64_t proposed = describe_node(&a).proposed;
    release_kept(&lane, 0);
    assert_status(end_append(&first), STELE_OK);
    while (describe_node(&a).proposed == proposed)
        stele__sleep_us(1000);
    atomic_store(&hasty.cancelled, true);
    while (describe_node(&a).withdrawn == 0 && !atomic_load(&hasty.done))
        stele__sleep_us(1000);
    keep_proposals(&lane, 0);

    assert_status(end_append(&hasty), STELE_CANCELLED);
    assert_status(end_append(&patient), STELE_OK);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(version_at(&b, "s-1"), 0);
    ck_assert_int_eq(version_at(&b, "s-2"), 1);
}
END_TEST

/* Neither the frame nor its withdrawal is seen; nothing else goes before that is settled. */
START_TEST(an_unknown_outcome_is_settled_before_anything_else_is_proposed)
{
    with_grace(&a, 30);
    keep_proposals(&lane, 1000000);
    assert_status(append_within(&a, "s-1", STELE_ANY, 15, NULL), STELE_UNKNOWN_OUTCOME);
    assert_reason_has("withdraw");
    uint64_t proposed = describe_node(&a).proposed;
    assert_status(append_within(&a, "s-2", STELE_ANY, 15, NULL), STELE_BUSY);
    ck_assert_uint_eq(describe_node(&a).proposed, proposed);

    /* It was in the log first, after all. */
    release_kept(&lane, 0);
    keep_proposals(&lane, 0);
    assert_status(append_within(&a, "s-2", STELE_ANY, LONG_MS, NULL), STELE_OK);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(version_at(&b, "s-1"), 1);
    ck_assert_int_eq(version_at(&b, "s-2"), 1);
    ck_assert_int_eq(head_of(b.store), 2);
}
END_TEST

START_TEST(a_change_beyond_the_size_of_a_frame_is_refused_and_holds_nobody_up)
{
    static char data[1200 * 1024];
    memset(data, '1', sizeof(data));
    stele_event event = make_event("noted", "{}");
    event.data = data;
    event.data_size = 1000 * 1024 + 200;
    event.codec = "raw";
    stele_event two[2] = { event, event };
    stele_append append = make_append("s-1", STELE_ANY, two, 2);

    assert_status(stele_store_append(a.store, &append, NULL), STELE_TOO_LARGE);
    append.event_count = 1;
    assert_status(stele_store_append(a.store, &append, NULL), STELE_OK);
    expect_equal_nodes(&a, &b);
}
END_TEST

/* --- Readers --- */

START_TEST(a_frame_that_comes_again_is_passed_over)
{
    memory_faults faults = { .again = 2 };
    set_memory_faults(&lane, &faults);
    for (int i = 0; i < 10; i++)
        assert_status(append_within(&a, "s-1", i, LONG_MS, NULL), STELE_OK);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(b.store), 10);
    ck_assert_uint_gt(describe_node(&b).again + describe_node(&a).again, 0);
}
END_TEST

START_TEST(a_frame_that_was_left_out_is_fetched)
{
    memory_faults faults = { .miss = 3 };
    for (int i = 0; i < 30; i++)
        assert_status(append_within(&a, "s-1", i, LONG_MS, NULL), STELE_OK);
    set_memory_faults(&lane, &faults);
    pump_node(&b);
    ck_assert_uint_gt(describe_node(&b).gaps, 0);
    set_memory_faults(&lane, NULL);
    expect_equal_nodes(&a, &b);
}
END_TEST

START_TEST(a_reader_that_lost_its_place_attaches_again)
{
    memory_faults faults = { .crash = 3 };
    set_memory_faults(&lane, &faults);
    for (int i = 0; i < 10; i++)
        assert_status(append_within(&a, "s-1", i, LONG_MS, NULL), STELE_OK);
    ck_assert_uint_gt(describe_node(&a).attaches, 1);
    ck_assert_uint_gt(describe_node(&a).log_errors, 0);
    expect_equal_nodes(&a, &b);
}
END_TEST

/* --- What stops a node for good --- */

START_TEST(frames_lost_inside_the_log_stop_the_node)
{
    memory_faults faults = { .miss = 1 };
    for (int i = 0; i < 20; i++)
        assert_status(append_within(&a, "s-1", i, LONG_MS, NULL), STELE_OK);
    set_memory_faults(&lane, &faults);
    expect_stopped(&b, STELE_CORRUPT, "lost");
}
END_TEST

START_TEST(a_log_that_lost_its_end_stops_the_node)
{
    for (int i = 0; i < 5; i++)
        assert_status(append_within(&a, "s-1", i, LONG_MS, NULL), STELE_OK);
    lose_frames(&lane, 2);
    expect_stopped(&a, STELE_EPOCH, "the log ends at 4, but 6 frames");
    /* b has applied less than there is. */
    pump_node(&b);
    ck_assert_int_eq(head_of(b.store), 3);
}
END_TEST

START_TEST(a_log_that_was_cut_at_the_front_stops_a_node_that_needs_it)
{
    for (int i = 0; i < 5; i++)
        assert_status(append_within(&a, "s-1", i, LONG_MS, NULL), STELE_OK);
    reopen_node(&b);
    cut_memory_log(&lane, 3);
    expect_stopped(&b, STELE_NOT_FOUND, "begin from a backup");
    assert_status(append_within(&a, "s-1", 5, LONG_MS, NULL), STELE_OK);
}
END_TEST

/* The broker's disk was replaced, and another lane of the same name began. */
START_TEST(another_lane_in_the_same_place_stops_the_node)
{
    assert_status(append_within(&a, "s-1", STELE_ANY, LONG_MS, NULL), STELE_OK);
    close_node(&b);
    node stranger = make_node(&lane, 9);
    lose_frames(&lane, count_frames(&lane));
    open_node(&stranger);
    for (int i = 0; i < 5; i++)
        assert_status(append_within(&stranger, "s-1", i, LONG_MS, NULL), STELE_OK);
    expect_stopped(&a, STELE_MISUSE, "lane");
    close_node(&stranger);
}
END_TEST

START_TEST(rubbish_in_the_log_stops_the_node_behind_what_was_before_it)
{
    for (int i = 0; i < 3; i++)
        assert_status(append_within(&a, "s-1", i, LONG_MS, NULL), STELE_OK);
    order_bytes(&lane, "rubbish", 7);
    expect_stopped(&b, STELE_CORRUPT, "");
    ck_assert_int_eq(head_of(b.store), 3);
}
END_TEST

START_TEST(who_waits_when_the_node_stops_learns_it)
{
    background_append append;
    keep_proposals(&lane, 1000000);
    begin_append(&append, &a, "s-1", LONG_MS);
    await_kept(&lane, 1);
    order_bytes(&lane, "rubbish", 7);
    assert_status(end_append(&append), STELE_UNKNOWN_OUTCOME);
}
END_TEST

/* Another time than the log says, on this node alone. */
static void change_time(void *context, uint64_t sequence, void *frame, size_t size)
{
    stele__frame_header header;
    (void)context;
    if (sequence != 3 || stele__frame_peek(frame, size, &header) != STELE_OK)
        return;
    header.time += 1000000;
    stele__frame_seal(frame, size, &header);
}

START_TEST(a_node_that_came_to_something_else_stops_at_a_checkpoint)
{
    a.options.checkpoint_every = 10;
    reopen_node(&a);
    b.options.tamper = change_time;
    reopen_node(&b);
    for (int i = 0; i < 12; i++)
        assert_status(append_within(&a, "s-1", i, LONG_MS, NULL), STELE_OK);
    expect_stopped(&b, STELE_EPOCH, "isn't the same here");
    pump_node(&a);
}
END_TEST

START_TEST(a_node_that_was_written_to_without_its_log_stops_at_the_next_frame)
{
    assert_status(append_within(&a, "s-1", STELE_ANY, LONG_MS, NULL), STELE_OK);
    pump_node(&b);
    assert_status(stele__sequencer_set(b.store, NULL), STELE_OK);
    assert_status(append_to(b.store, "own-1", STELE_ANY, "noted", NULL), STELE_OK);
    assert_status(stele__sequencer_set(b.store, stele__replica_sequencer(b.replica)), STELE_OK);
    assert_status(append_within(&a, "s-1", STELE_ANY, LONG_MS, NULL), STELE_OK);
    expect_stopped(&b, STELE_EPOCH, "written to without");
}
END_TEST

START_TEST(two_replicas_on_one_file_do_not_both_go_on)
{
    node other = a;
    other.replica = NULL;
    assert_status(append_within(&a, "s-1", STELE_ANY, LONG_MS, NULL), STELE_OK);
    assert_status(try_replica(&other), STELE_OK);
    assert_status(append_within(&a, "s-1", STELE_ANY, LONG_MS, NULL), STELE_OK);
    assert_status(append_within(&b, "s-1", STELE_ANY, LONG_MS, NULL), STELE_OK);

    stele_wait wait = wait_for_ms(LONG_MS);
    assert_status(stele__replica_pump(other.replica, &wait, NULL), STELE_FENCED);
    assert_reason_has("another");
    stele__replica_close(other.replica);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(a.store), 3);
}
END_TEST

/* --- Ends --- */

START_TEST(who_waits_when_the_replica_is_shut_is_told_busy)
{
    background_append append;
    propose_once(&a);
    keep_proposals(&lane, 1);
    begin_append(&append, &a, "s-1", LONG_MS);
    await_kept(&lane, 1);
    stele__replica_shut(a.replica);
    assert_status(end_append(&append), STELE_BUSY);
    assert_status(append_within(&a, "s-1", STELE_ANY, LONG_MS, NULL), STELE_BUSY);
    stele_wait wait = wait_for_ms(LONG_MS);
    assert_status(stele__replica_pump(a.replica, &wait, NULL), STELE_BUSY);

    reopen_node(&a);
    assert_status(append_within(&a, "s-2", STELE_ANY, LONG_MS, NULL), STELE_OK);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(version_at(&b, "s-1"), 0);
}
END_TEST

START_TEST(who_waits_when_the_store_is_closed_leaves_it)
{
    background_append append;
    with_grace(&a, 30);
    keep_proposals(&lane, 1000000);
    begin_append(&append, &a, "s-1", LONG_MS);
    await_kept(&lane, 1);
    stele_store_close(a.store);
    stele_status status = end_append(&append);
    ck_assert_msg(status == STELE_UNKNOWN_OUTCOME || status == STELE_CLOSED, "it is %s",
                  stele_status_name(status));
    stele__replica_close(a.replica);
    a.store = NULL;
    keep_proposals(&lane, 0);

    open_node(&a);
    assert_status(append_within(&a, "s-2", STELE_ANY, LONG_MS, NULL), STELE_OK);
    expect_equal_nodes(&a, &b);
}
END_TEST

/* --- The disk --- */

static disk_call failing_call;
static int failing_code;
static int failing_times; /* of calls on a WAL */

static int fail_on_wal(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    if (file != DISK_WAL || call != failing_call || failing_times == 0)
        return SQLITE_OK;
    failing_times--;
    return failing_code;
}

static void open_on_a_disk(void)
{
    install_disk_hooks();
    disk_hook = fail_on_wal;
    failing_times = 0;
    open_nodes();
}

static void close_on_the_disk(void)
{
    failing_times = 0;
    close_nodes();
    remove_disk_hooks();
}

static void fail_disk(disk_call call, int code, int times)
{
    failing_call = call;
    failing_code = code;
    failing_times = times;
}

START_TEST(a_full_disk_stops_nothing_for_good)
{
    assert_status(append_within(&a, "s-1", 0, LONG_MS, NULL), STELE_OK);
    fail_disk(DISK_WRITE, SQLITE_FULL, 1000000);

    /* This one is in the log. */
    assert_status(append_within(&a, "s-1", 1, LONG_MS, NULL), STELE_UNKNOWN_OUTCOME);
    uint64_t frames = count_frames(&lane);
    /* These are not even proposed. */
    assert_status(append_within(&a, "s-1", 2, LONG_MS, NULL), STELE_FULL);
    assert_status(append_within(&a, "s-1", 2, LONG_MS, NULL), STELE_FULL);
    ck_assert_uint_eq(count_frames(&lane), frames);
    stele_wait wait = wait_for_ms(LONG_MS);
    assert_status(stele__replica_pump(a.replica, &wait, NULL), STELE_FULL);
    ck_assert_uint_ge(describe_node(&a).apply_errors, 3);
    ck_assert(!describe_node(&a).stopped);
    ck_assert_int_eq(head_of(a.store), 1);

    failing_times = 0;
    assert_status(append_within(&a, "s-1", 2, LONG_MS, NULL), STELE_OK);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(b.store), 3);
}
END_TEST

/* Whether the commit is in the file shows later; nothing is applied twice. `_i` syncs fail. */
START_TEST(a_commit_of_unknown_outcome_is_settled)
{
    assert_status(append_within(&a, "s-1", 0, LONG_MS, NULL), STELE_OK);
    fail_disk(DISK_SYNC, SQLITE_IOERR_FSYNC, _i);
    stele_status status = append_within(&a, "s-1", 1, LONG_MS, NULL);
    ck_assert_msg(status == STELE_UNKNOWN_OUTCOME || status == STELE_OK, "it is %s",
                  stele_status_name(status));
    failing_times = 0;
    assert_status(append_within(&a, "s-1", 2, LONG_MS, NULL), STELE_OK);
    expect_equal_nodes(&a, &b);
    ck_assert_int_eq(head_of(b.store), 3);
}
END_TEST

START_TEST(a_store_level_transaction_of_the_users_only_delays_it)
{
    background_append append;
    stele_transaction *transaction = NULL;
    assert_status(append_within(&b, "s-1", 0, LONG_MS, NULL), STELE_OK);
    assert_status(stele_transaction_begin(a.store, &transaction), STELE_OK);
    begin_append(&append, &a, "s-2", LONG_MS);
    while (count_frames(&lane) < 3)
        stele__sleep_us(1000);
    stele_transaction_end(transaction);
    assert_status(end_append(&append), STELE_OK);
    expect_equal_nodes(&a, &b);
}
END_TEST

static void add_proposals(TCase *tests)
{
    tcase_add_test(tests, what_the_log_drops_is_proposed_again);
    tcase_add_test(tests, what_the_log_has_twice_is_applied_once);
    tcase_add_test(tests, who_was_told_busy_finds_nothing_applied_later);
    tcase_add_test(tests, who_withdraws_too_late_learns_the_true_outcome);
    tcase_add_test(tests, who_cancels_finds_nothing_applied);
    tcase_add_test(tests, a_withdrawal_takes_nobody_else_along);
    tcase_add_test(tests, an_unknown_outcome_is_settled_before_anything_else_is_proposed);
    tcase_add_test(tests, a_change_beyond_the_size_of_a_frame_is_refused_and_holds_nobody_up);
}

static void add_readers(TCase *tests)
{
    tcase_add_test(tests, a_frame_that_comes_again_is_passed_over);
    tcase_add_test(tests, a_frame_that_was_left_out_is_fetched);
    tcase_add_test(tests, a_reader_that_lost_its_place_attaches_again);
    tcase_add_test(tests, frames_lost_inside_the_log_stop_the_node);
    tcase_add_test(tests, a_log_that_lost_its_end_stops_the_node);
    tcase_add_test(tests, a_log_that_was_cut_at_the_front_stops_a_node_that_needs_it);
    tcase_add_test(tests, another_lane_in_the_same_place_stops_the_node);
    tcase_add_test(tests, rubbish_in_the_log_stops_the_node_behind_what_was_before_it);
    tcase_add_test(tests, who_waits_when_the_node_stops_learns_it);
    tcase_add_test(tests, a_node_that_came_to_something_else_stops_at_a_checkpoint);
    tcase_add_test(tests, a_node_that_was_written_to_without_its_log_stops_at_the_next_frame);
    tcase_add_test(tests, two_replicas_on_one_file_do_not_both_go_on);
    tcase_add_test(tests, who_waits_when_the_replica_is_shut_is_told_busy);
    tcase_add_test(tests, who_waits_when_the_store_is_closed_leaves_it);
    tcase_add_test(tests, a_store_level_transaction_of_the_users_only_delays_it);
}

int main(void)
{
    Suite *suite = suite_create("replica: troubles");
    TCase *proposals = tcase_create("proposals");
    TCase *readers = tcase_create("readers");
    TCase *disk = tcase_create("disk");
    tcase_add_checked_fixture(proposals, open_nodes, close_nodes);
    tcase_add_checked_fixture(readers, open_nodes, close_nodes);
    tcase_add_checked_fixture(disk, open_on_a_disk, close_on_the_disk);
    add_proposals(proposals);
    add_readers(readers);
    tcase_add_test(disk, a_full_disk_stops_nothing_for_good);
    tcase_add_loop_test(disk, a_commit_of_unknown_outcome_is_settled, 1, 4);
    suite_add_tcase(suite, proposals);
    suite_add_tcase(suite, readers);
    suite_add_tcase(suite, disk);
    return run_suite(suite);
}
