/*
 * Parked events while the disk fails: asking for them and dropping them is done for all that are
 * chosen or for none, and a replay handles each once. An unknown outcome among the answers means
 * no more than to call again.
 */
#include "parked_replays.h"

#include "disk_hooks.h"

/* One call on the WAL fails: the one that the countdown ends with. */
static struct parked_fault {
    disk_call call;
    int code;
    int countdown; /* 0: none fails any more */
    bool hit;
} fault;

static const struct parked_fault faults[] = {
    { DISK_WRITE, SQLITE_IOERR_WRITE, 0, false },
    { DISK_WRITE, SQLITE_FULL, 0, false },
    { DISK_SYNC, SQLITE_IOERR_FSYNC, 0, false },
};

static int fail_once(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    if (file != DISK_WAL || call != fault.call || fault.countdown == 0 || --fault.countdown > 0)
        return SQLITE_OK;
    fault.hit = true;
    return fault.code;
}

static void set_up_hooks(void)
{
    install_disk_hooks();
    disk_hook = fail_once;
    disk_skips_syncs = true;
    fault = (struct parked_fault){ 0 };
}

static void tear_down_hooks(void)
{
    fault.countdown = 0;
    close_and_remove();
    remove_disk_hooks();
}

static void arm(int kind, int point)
{
    open_for_replay();
    fault = faults[kind];
    fault.countdown = point;
}

/* Whether it was reached: if not, no later one is there. */
static bool disarm(void)
{
    fault.countdown = 0;
    return fault.hit;
}

/* Of a commit that failed it is known that nothing was stored, or it isn't known. */
static bool is_unknown(stele_status status)
{
    ck_assert_msg(status == STELE_OK || status == STELE_IO || status == STELE_FULL
                      || status == STELE_UNKNOWN_OUTCOME,
                  "%s: %s", stele_status_name(status), stele_error_text());
    return status == STELE_UNKNOWN_OUTCOME;
}

static void expect_one_of(const char *before, const char *after)
{
    const char *text = parked_text("s");
    ck_assert_msg(strcmp(text, before) == 0 || strcmp(text, after) == 0, "'%s'", text);
}

static void expect_unknown_seen(int kind, int unknown)
{
    if (faults[kind].call == DISK_SYNC)
        ck_assert_int_gt(unknown, 0);
}

START_TEST(asking_of_unknown_outcome_is_done_for_all_or_for_none_and_can_be_called_again)
{
    static const char *const asked = "5? 7<5? 9<5?";
    int unknown = 0;
    bool reached = true;
    for (int point = 1; reached; point++) {
        arm(_i, point);

        stele_status status = stele_parked_ask(store, &choice, &counts);

        reached = disarm();
        unknown += is_unknown(status);
        expect_one_of("5 7<5 9<5", asked);
        if (status == STELE_OK)
            ck_assert_str_eq(parked_text("s"), asked);
        assert_status(stele_parked_ask(store, &choice, &counts), STELE_OK);
        ck_assert_uint_eq(counts.chosen, 3);
        ck_assert_str_eq(parked_text("s"), asked);
        assert_status(run_through(&options, &seen), STELE_DONE);
        ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 5 7 9");
        close_store();
        remove_test_folder();
    }
    expect_unknown_seen(_i, unknown);
}
END_TEST

START_TEST(dropping_of_unknown_outcome_is_done_for_all_or_for_none_and_can_be_called_again)
{
    int unknown = 0;
    bool reached = true;
    for (int point = 1; reached; point++) {
        arm(_i, point);

        stele_status status = stele_parked_drop(store, &choice, &counts);

        reached = disarm();
        unknown += is_unknown(status);
        expect_one_of("5 7<5 9<5", "");
        if (status == STELE_OK)
            ck_assert_str_eq(parked_text("s"), "");
        assert_status(stele_parked_drop(store, &choice, &counts), STELE_OK);
        ck_assert_uint_eq(counts.left, 0);
        ck_assert_str_eq(parked_text("s"), "");
        close_store();
        remove_test_folder();
    }
    expect_unknown_seen(_i, unknown);
}
END_TEST

/* Each commit of it, that of a try as that of the handler's transaction. */
START_TEST(replay_of_unknown_outcome_called_again_has_handled_each_once)
{
    int unknown = 0;
    bool reached = true;
    for (int point = 1; reached; point++) {
        arm(_i, point);
        stele_subscription *subscription = open_subscription(&options);
        stele_handler handler = seeing(&seen);

        stele_status status = stele_subscription_replay(subscription, &choice, &handler, &counts);

        reached = disarm();
        unknown += is_unknown(status);
        assert_status(stele_subscription_replay(subscription, &choice, &handler, &counts),
                      STELE_OK);
        ck_assert_uint_eq(counts.failed, 0);
        ck_assert_str_eq(parked_text("s"), "");
        ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 5 7 9");
        stele_subscription_close(subscription);
        close_store();
        remove_test_folder();
    }
    expect_unknown_seen(_i, unknown);
}
END_TEST

/* What is noted of an event that fails again is its reason, once: it stays parked. */
START_TEST(event_that_fails_again_stays_parked_whatever_the_disk_does)
{
    bool reached = true;
    for (int point = 1; reached; point++) {
        arm(_i, point);
        stele_subscription *subscription = open_subscription(&options);
        stele_handler handler = seeing(&seen);
        seen.poison = 7;

        is_unknown(stele_subscription_replay(subscription, &choice, &handler, &counts));

        reached = disarm();
        assert_status(stele_subscription_replay(subscription, &choice, &handler, &counts),
                      STELE_OK);
        ck_assert_uint_eq(counts.left, 2);
        ck_assert_str_eq(parked_text("s"), "7 9<5");
        ck_assert_str_eq(parked_at("s", 7).reason, "poison");
        ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 5");
        stele_subscription_close(subscription);
        close_store();
        remove_test_folder();
    }
}
END_TEST

/* A run by itself goes on with what was asked for, as with all else. */
START_TEST(asked_replay_goes_on_by_itself_when_the_disk_failed_once)
{
    bool reached = true;
    for (int point = 1; reached; point++) {
        open_for_replay();
        assert_status(stele_parked_ask(store, &choice, NULL), STELE_OK);
        fault = faults[_i];
        fault.countdown = point;

        assert_status(run_through(&options, &seen), STELE_DONE);

        reached = disarm();
        assert_status(run_through(&options, &seen), STELE_DONE);
        ck_assert_str_eq(parked_text("s"), "");
        ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 5 7 9");
        close_store();
        remove_test_folder();
    }
}
END_TEST

static Suite *parked_faults_suite(void)
{
    Suite *suite = suite_create("parked_faults");
    TCase *disk = tcase_create("disk");
    int count = (int)COUNT_OF(faults);
    tcase_add_checked_fixture(disk, set_up_hooks, tear_down_hooks);
    tcase_set_timeout(disk, 120);
    tcase_add_loop_test(
        disk, asking_of_unknown_outcome_is_done_for_all_or_for_none_and_can_be_called_again, 0,
        count);
    tcase_add_loop_test(
        disk, dropping_of_unknown_outcome_is_done_for_all_or_for_none_and_can_be_called_again, 0,
        count);
    tcase_add_loop_test(disk, replay_of_unknown_outcome_called_again_has_handled_each_once, 0,
                        count);
    tcase_add_loop_test(disk, event_that_fails_again_stays_parked_whatever_the_disk_does, 0, count);
    tcase_add_loop_test(disk, asked_replay_goes_on_by_itself_when_the_disk_failed_once, 0, count);
    suite_add_tcase(suite, disk);
    return suite;
}

int main(void)
{
    return run_suite(parked_faults_suite());
}
