/* States as of then: by version, by position, by time, against a plain fold of a beginning. */
#include "account_calls.h"
#include "effort.h"

#include <stele/lifecycle.h>
#include <stele/retention.h>

static int64_t clock_now;

static int64_t tell_time(void *context)
{
    (void)context;
    return clock_now;
}

static void open_timed(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    reset_teller();
    clock_now = 1000000;
    options.clock = tell_time;
    store = open_path(store_path(), &options);
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
}

static account state_at;

static stele_status load_at(const stele_at *at)
{
    memset(&state_at, 0xAA, sizeof(state_at));
    memset(&loaded, 0xAA, sizeof(loaded));
    stele_status status = stele_aggregate_at(accounts, at, &state_at, &loaded);
    if (status != STELE_OK) {
        ck_assert(all_zero(&state_at, sizeof(state_at)));
        ck_assert_int_eq(loaded.version, 0);
    }
    return status;
}

static stele_at at_version(int64_t version)
{
    stele_at at = STELE_AT_INIT;
    at.stream = "a-1";
    at.version = version;
    return at;
}

static stele_at at_position(int64_t position)
{
    stele_at at = STELE_AT_INIT;
    at.stream = "a-1";
    at.position = position;
    return at;
}

static stele_at at_time(int64_t time)
{
    stele_at at = STELE_AT_INIT;
    at.stream = "a-1";
    at.time = time;
    at.has_time = true;
    return at;
}

static void expect_at(stele_at at, int64_t version, int64_t balance)
{
    assert_status(load_at(&at), STELE_OK);
    ck_assert_int_eq(loaded.version, version);
    ck_assert_int_eq(state_at.balance, balance);
    ck_assert_int_eq(state_at.begun, 1);
}

/* Four events at 1, 2, 3 and 4 s, of 1, 2, 3 and 4; positions 1, 3, 5 and 7. */
static void append_four(void)
{
    for (int i = 1; i <= 4; i++) {
        clock_now = i * 1000000;
        assert_status(append_move(store, "a-1", i), STELE_OK);
        assert_status(append_move(store, "b-1", i), STELE_OK);
    }
}

START_TEST(moment_is_a_version_a_position_or_a_time)
{
    append_four();

    expect_at(at_version(1), 1, 1);
    expect_at(at_version(3), 3, 6);
    expect_at(at_version(99), 4, 10);
    expect_at(at_position(1), 1, 1);
    expect_at(at_position(4), 2, 3);
    expect_at(at_position(5), 3, 6);
    expect_at(at_position(99), 4, 10);
    expect_at(at_time(1000000), 1, 1);
    expect_at(at_time(2999999), 2, 3);
    expect_at(at_time(INT64_MAX), 4, 10);
}
END_TEST

START_TEST(before_the_first_event_the_state_is_the_initial_one)
{
    assert_status(append_move(store, "b-1", 1), STELE_OK);
    append_four();
    expect_at(at_position(1), 0, 0);
    ck_assert_int_gt(loaded.stream_id, 0); /* the stream is there */
    expect_at(at_time(999999), 0, 0);
    expect_at(at_time(0), 0, 0);
    expect_at(at_time(-5), 0, 0);
    expect_at(at_time(INT64_MIN), 0, 0);
    stele_at at = at_version(3);
    at.stream = "none-1";
    expect_at(at, 0, 0);
    ck_assert_int_eq(loaded.stream_id, 0);
    at = at_position(3);
    at.stream = "none-1";
    expect_at(at, 0, 0);
}
END_TEST

START_TEST(exactly_one_moment_is_given)
{
    stele_at at = at_version(0);
    assert_status(load_at(&at), STELE_MISUSE);
    assert_reason_has("0 of version, position and time");
    at = at_version(1);
    at.position = 1;
    assert_status(load_at(&at), STELE_MISUSE);
    at = at_version(1);
    at.has_time = true;
    assert_status(load_at(&at), STELE_MISUSE);
    at = at_position(1);
    at.has_time = true;
    assert_status(load_at(&at), STELE_MISUSE);
    at = at_version(-1);
    assert_status(load_at(&at), STELE_MISUSE);
    assert_reason_has("version is -1");
    at = at_position(-1);
    assert_status(load_at(&at), STELE_MISUSE);
    at = at_time(5);
    at.has_time = false;
    assert_status(load_at(&at), STELE_MISUSE);
    assert_reason_has("has_time is not");
    at = at_version(1);
    at.stream = "";
    assert_status(load_at(&at), STELE_MISUSE);
    at = at_version(1);
    at.struct_size = 0;
    assert_status(load_at(&at), STELE_MISUSE);
}
END_TEST

START_TEST(old_states_are_not_cached_and_take_nothing_from_the_cache)
{
    append_four();
    expect_at(at_version(4), 4, 10);
    ck_assert_uint_eq(describe_accounts().cached, 0);
    expect_balance("a-1", 10);
    expect_at(at_version(2), 2, 3);
    ck_assert(!loaded.fold.cached);
    ck_assert_int_eq(loaded.fold.folded, 2);
    expect_balance("a-1", 10);
    ck_assert(loaded.fold.cached);
}
END_TEST

START_TEST(snapshot_that_is_old_enough_is_begun_with)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.snapshot_keep = 3;
    close_accounts();
    open_accounts_by(account_decider(), &options);
    for (int i = 0; i < 3; i++) {
        clock_now += 1000000;
        append_moves(store, "a-1", 10);
        assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    }

    expect_at(at_version(30), 30, 30);
    ck_assert_int_eq(loaded.fold.snapshot_version, 30);
    ck_assert_int_eq(loaded.fold.folded, 0);
    expect_at(at_version(29), 29, 29);
    ck_assert_int_eq(loaded.fold.snapshot_version, 20);
    ck_assert_int_eq(loaded.fold.folded, 9);
    expect_at(at_position(12), 12, 12);
    ck_assert_int_eq(loaded.fold.snapshot_version, 10);
    ck_assert_int_eq(loaded.fold.folded, 2);
    expect_at(at_version(9), 9, 9);
    ck_assert_int_eq(loaded.fold.snapshot_version, 0);
    ck_assert_int_eq(loaded.fold.folded, 9);
    expect_at(at_time(clock_now - 1), 20, 20);
}
END_TEST

static void trim_before(int64_t version)
{
    stele_retain retain = STELE_RETAIN_INIT;
    retain.stream = "a-1";
    retain.before_version = version;
    assert_status(stele_store_retain(store, &retain, NULL), STELE_OK);
}

START_TEST(moments_in_what_was_trimmed_are_not_found)
{
    append_four();
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    append_four();
    trim_before(4);
    static const struct {
        int64_t version, position, time;
    } gone[] = { { 1, 0, 0 }, { 3, 0, 0 }, { 0, 1, 0 }, { 0, 6, 0 }, { 0, 0, 1000000 } };
    for (size_t i = 0; i < COUNT_OF(gone); i++) {
        stele_at at = at_version(gone[i].version);
        at.position = gone[i].position;
        at.time = gone[i].time;
        at.has_time = gone[i].time != 0;
        assert_status(load_at(&at), STELE_NOT_FOUND);
        assert_reason_has("trimmed");
    }
    expect_at(at_version(4), 4, 10); /* the snapshot's own */
    expect_at(at_version(5), 5, 11);
    expect_at(at_position(7), 4, 10);
}
END_TEST

/* It needs none of the events, whichever of them are left. */
START_TEST(snapshot_at_the_very_version_is_enough)
{
    stele_decider decider = account_decider();
    decider.from_trimmed = _i == 1;
    append_four();
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    append_four();
    trim_before(8);
    close_accounts();
    open_accounts_by(decider, NULL);

    expect_at(at_version(4), 4, 10);

    ck_assert_int_eq(loaded.fold.snapshot_version, 4);
    ck_assert_int_eq(loaded.fold.folded, 0);
    stele_at between = at_version(5);
    assert_status(load_at(&between), _i == 1 ? STELE_OK : STELE_NOT_FOUND);
    if (_i == 1)
        expect_at(at_version(8), 8, 4);
}
END_TEST

START_TEST(what_is_left_of_a_trimmed_stream_counts_from_its_beginning)
{
    stele_decider decider = account_decider();
    decider.from_trimmed = true;
    append_four();
    trim_before(3);
    close_accounts();
    open_accounts_by(decider, NULL);
    expect_at(at_version(4), 4, 7);
    expect_at(at_version(3), 3, 3);
    expect_at(at_position(5), 3, 3);
    assert_status(load_at(&(stele_at){ sizeof(stele_at), "a-1", 0, 2, 0, false, NULL }), STELE_OK);
    ck_assert_int_eq(state_at.balance, 0);
}
END_TEST

START_TEST(moments_of_archived_streams_need_the_archive)
{
    stele_store *archive = open_path(test_path("archive.db"), NULL);
    stele_archive call = STELE_ARCHIVE_INIT;
    append_four();
    call.stream = "a-1";
    assert_status(stele_store_archive(store, &call, NULL), STELE_OK);
    expect_at(at_version(2), 2, 3); /* in place */
    ck_assert_int_eq(loaded.stream_state, STELE_STREAM_ARCHIVED);
    call.to = archive;
    assert_status(stele_store_archive(store, &call, NULL), STELE_OK);
    stele_at moments[] = { at_version(2), at_position(4), at_time(2000000) };
    for (size_t i = 0; i < COUNT_OF(moments); i++)
        assert_status(load_at(&moments[i]), STELE_ARCHIVED);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    for (size_t i = 0; i < COUNT_OF(moments); i++)
        expect_at(moments[i], 2, 3);
    stele_store_close(archive);
}
END_TEST

static int stop_at_once(void *context)
{
    (void)context;
    return 1;
}

START_TEST(loading_as_of_then_can_be_cancelled)
{
    stele_wait wait = STELE_WAIT_INIT;
    append_moves(store, "a-1", 3000);
    stele_at at = _i == 0 ? at_version(3000) : at_position(2000);
    at.wait = &wait;
    wait.progress = stop_at_once;
    assert_status(load_at(&at), STELE_CANCELLED);
}
END_TEST

/* --- Made anew between finding the moment and folding up to it --- */

static void make_anew(void)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "a-1";
    assert_status(stele_store_delete(store, &call, NULL), STELE_OK);
    clock_now = 9000000;
    for (int i = 0; i < 5; i++)
        assert_status(append_move(store, "a-1", 100), STELE_OK);
}

static void delete_only(void)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "a-1";
    assert_status(stele_store_delete(store, &call, NULL), STELE_OK);
}

/* A callback may not, but another thread may (pthread). */
static void make_anew_once(int nth)
{
    if (nth == 1)
        on_another_thread(make_anew);
}

static void make_anew_always(int nth)
{
    (void)nth;
    on_another_thread(make_anew);
}

static void delete_once(int nth)
{
    if (nth == 1)
        on_another_thread(delete_only);
}

/* The moment was version 3 of the stream that is gone: of the new one that would be the future. */
START_TEST(moment_of_a_stream_made_anew_is_never_a_mix)
{
    stele_at moments[] = { at_position(5), at_time(3000000) };
    append_four();
    teller.in_initial = _i < 2 ? make_anew_once : delete_once;

    expect_at(moments[_i % 2], 0, 0);

    ck_assert_int_eq(loaded.stream_id > 0, _i < 2);
    teller.in_initial = NULL;
    expect_at(moments[_i % 2], 0, 0);
    if (_i < 2)
        expect_at(at_time(9000000), 5, 500);
}
END_TEST

/* All events of the streams in between are in the moment: each attempt has something to fold. */
START_TEST(stream_made_anew_all_the_time_is_busy_and_shows_nothing)
{
    append_four();
    teller.in_initial = make_anew_always;
    stele_at at = at_time(INT64_MAX);

    assert_status(load_at(&at), STELE_BUSY);

    assert_reason_has("a-1");
    ck_assert(all_zero(&loaded.fold, sizeof(loaded.fold)));
    teller.in_initial = NULL;
    expect_at(at, 5, 500);
}
END_TEST

/* --- Against a plain fold --- */

enum { EVENTS = 300, KINDS = 3 };

static movement moves[EVENTS + 1];
static int64_t positions[EVENTS + 1];
static int64_t times[EVENTS + 1];

static void append_randomly(void)
{
    for (int i = 1; i <= EVENTS; i++) {
        clock_now += (int64_t)(next_chance() % 4); /* some at the same time */
        if (one_in(3))
            assert_status(append_move(store, "b-1", 1), STELE_OK);
        moves[i] = (movement){ .amount = (int64_t)(next_chance() % 100), .id = i };
        command what = { .verb = MOVE, .amount = moves[i].amount, .id = i };
        assert_status(execute_command("a-1", what), STELE_OK);
        positions[i] = executed.first_position;
        times[i] = clock_now;
        if (one_in(20))
            assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    }
}

static account fold_plainly(int64_t version)
{
    account state = { .begun = 1 };
    for (int i = 1; i <= version; i++)
        move_account(&state, &moves[i]);
    return state;
}

START_TEST(state_as_of_then_is_the_fold_of_what_had_happened)
{
    int64_t with_snapshot = 0;
    stele_options fast = STELE_OPTIONS_INIT;
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    uint64_t seed = choose_seed();
    close_accounts();
    close_store();
    fast.clock = tell_time;
    fast.durability = STELE_DURABILITY_RELAXED;
    store = open_path(store_path(), &fast);
    register_moves(store);
    options.snapshot_keep = 5;
    open_accounts_by(account_decider(), &options);
    append_randomly();
    int rounds = effort_of(600, 20000);
    printf("as of then: %d moments, seed %" PRIu64 "\n", rounds, seed);
    for (int round = 0; round < rounds; round++) {
        int64_t version = 0;
        stele_at at = at_version(0);
        switch (next_chance() % KINDS) {
        case 0:
            at.version = (int64_t)(next_chance() % (EVENTS + 20)) + 1;
            version = at.version > EVENTS ? EVENTS : at.version;
            break;
        case 1:
            at.position = (int64_t)(next_chance() % (2 * EVENTS)) + 1;
            while (version < EVENTS && positions[version + 1] <= at.position)
                version++;
            break;
        default:
            at.has_time = true;
            at.time = 1000000 - 5 + (int64_t)(next_chance() % (2 * EVENTS));
            while (version < EVENTS && times[version + 1] <= at.time)
                version++;
        }
        account expected = fold_plainly(version);
        assert_status(load_at(&at), STELE_OK);
        ck_assert_int_eq(loaded.version, version);
        ck_assert_mem_eq(&state_at, &expected, sizeof(expected));
        with_snapshot += loaded.fold.snapshot_version > 0;
    }
    ck_assert_int_gt(with_snapshot, 0);
    ck_assert_int_lt(with_snapshot, rounds);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_at");
    TCase *tests = add_bank_case(suite, "at", open_timed);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, moment_is_a_version_a_position_or_a_time);
    tcase_add_test(tests, before_the_first_event_the_state_is_the_initial_one);
    tcase_add_test(tests, exactly_one_moment_is_given);
    tcase_add_test(tests, old_states_are_not_cached_and_take_nothing_from_the_cache);
    tcase_add_test(tests, snapshot_that_is_old_enough_is_begun_with);
    tcase_add_test(tests, moments_in_what_was_trimmed_are_not_found);
    tcase_add_test(tests, what_is_left_of_a_trimmed_stream_counts_from_its_beginning);
    tcase_add_test(tests, moments_of_archived_streams_need_the_archive);
    tcase_add_loop_test(tests, loading_as_of_then_can_be_cancelled, 0, 2);
    tcase_add_loop_test(tests, snapshot_at_the_very_version_is_enough, 0, 2);
    tcase_add_loop_test(tests, moment_of_a_stream_made_anew_is_never_a_mix, 0, 4);
    tcase_add_test(tests, stream_made_anew_all_the_time_is_busy_and_shows_nothing);
    tcase_add_test(tests, state_as_of_then_is_the_fold_of_what_had_happened);
    return run_suite(suite);
}
