/*
 * Subscriptions while memory or the disk fails: the model and the place stay one, nothing is parked
 * for it, and it goes on by itself.
 */
#include "subscriptions.h"

#include "disk_hooks.h"
#include "disk_quota.h"
#include "resources.h"

enum { EVENTS = 9 };

static seen_events seen;

static void fill_store(void)
{
    seen = (seen_events){ .answer = STELE_REFUSED };
    make_seen_table();
    for (int i = 0; i < EVENTS; i++)
        assert_status(append_one(i % 2 == 0 ? "a-1" : "b-1", STELE_ANY, "t", NULL), STELE_OK);
}

static void assert_model_is_exact(void)
{
    stele_transaction *transaction = begin();
    ck_assert_int_eq(number_in(transaction, "SELECT count(*) FROM seen"), EVENTS);
    ck_assert_int_eq(number_in(transaction, "SELECT count(DISTINCT position) FROM seen"), EVENTS);
    ck_assert_int_eq(number_in(transaction, "SELECT count(*) FROM parked"), 0);
    stele_transaction_end(transaction);
    ck_assert_int_eq(saved_position("s"), EVENTS);
}

/* --- The disk: one call fails --- */

static struct fault {
    disk_call call;
    int code;
    int countdown; /* 0: none fails any more */
    bool hit;
} fault;

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
    fault = (struct fault){ 0 };
}

static void tear_down_hooks(void)
{
    fault.countdown = 0;
    close_and_remove();
    remove_disk_hooks();
}

static const struct fault faults[] = {
    { DISK_WRITE, SQLITE_IOERR_WRITE, 0, false },
    { DISK_WRITE, SQLITE_FULL, 0, false },
    { DISK_SYNC, SQLITE_IOERR_FSYNC, 0, false },
};

/* Whichever write or sync fails, with a commit of unknown outcome among them. */
START_TEST(a_disk_that_fails_once_costs_a_run_nothing)
{
    bool reached = true;
    for (int point = 1; reached; point++) {
        open_in_file();
        fill_store();
        stele_subscription_options options = make_catch_up("s");
        options.batch_count_max = 4;
        options.tries = 1;
        options.on_failure = STELE_ON_FAILURE_PARK;
        stele_subscription *subscription = open_subscription(&options);
        stele_handler handler = seeing(&seen);
        fault = faults[_i];
        fault.countdown = point;

        assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);

        stele_subscription_close(subscription);
        reached = fault.hit;
        fault.countdown = 0;
        assert_model_is_exact();
        close_store();
        remove_test_folder();
    }
}
END_TEST

START_TEST(the_next_batch_tells_what_became_of_an_unknown_acknowledgement)
{
    bool reached = true;
    int unknown = 0;
    for (int point = 1; reached; point++) {
        open_in_file();
        fill_store();
        stele_subscription_options options = make_subscription("s");
        options.batch_count_max = 4;
        stele_subscription *subscription = open_subscription(&options);
        pull(subscription);
        fault = faults[2];
        fault.countdown = point;

        stele_status status = stele_subscription_ack(subscription, 4);
        reached = fault.hit;
        fault.countdown = 0;
        unknown += status == STELE_UNKNOWN_OUTCOME;

        const stele_batch *batch = pull(subscription);
        ck_assert_int_eq(batch->after, saved_position("s"));
        ck_assert_int_eq(batch->records[0]->position, batch->after + 1);
        if (status == STELE_OK)
            ck_assert_int_eq(batch->after, 4);
        assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
        stele_subscription_close(subscription);
        close_store();
        remove_test_folder();
    }
    ck_assert_int_gt(unknown, 0);
}
END_TEST

/* --- The disk: full --- */

static stele_status fill_disk(void *context, const stele_record *record,
                              const stele_handling *handling)
{
    int *calls = context;
    char sql[128];
    (*calls)++;
    snprintf(sql, sizeof(sql),
             "INSERT INTO seen(position) VALUES(%" PRId64 ");"
             "INSERT INTO ballast VALUES(zeroblob(20000))",
             record->position);
    if (*calls == EVENTS + 5) /* somebody has made room */
        quota_bytes = INT64_MAX;
    int code = sqlite3_exec(stele_transaction_sqlite(handling->transaction), sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STELE_OK : STELE_FULL;
}

START_TEST(a_full_disk_parks_nothing_and_it_goes_on_when_there_is_room)
{
    int calls = 0;
    ck_assert(install_quota());
    quota_bytes = INT64_MAX;
    open_in_file();
    fill_store();
    stele_transaction *transaction = begin();
    ck_assert_int_eq(run_in(transaction, "CREATE TABLE ballast(bytes BLOB)"), SQLITE_OK);
    commit_and_end(transaction);
    stele_subscription_options options = make_catch_up("s");
    options.batch_count_max = 2;
    options.tries = 1;
    options.on_failure = STELE_ON_FAILURE_PARK;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = fill_disk;
    handler.context = &calls;
    quota_bytes = quota_used() + 70000;

    assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);

    stele_subscription_close(subscription);
    ck_assert_int_gt(quota_refused, 0);
    assert_model_is_exact();
    close_and_remove();
    remove_quota();
}
END_TEST

/* --- Memory --- */

static stele_status try_run(void)
{
    stele_subscription_options options = make_catch_up("s");
    const char *types[] = { "t", "u" };
    options.types = types;
    options.type_count = 2;
    options.prefix = "";
    options.batch_count_max = 4;
    stele_subscription *subscription = NULL;
    stele_handler handler = seeing(&seen);
    stele_status status = stele_subscription_open(store, &options, &subscription);
    if (status == STELE_OK)
        status = stele_subscription_run(subscription, &handler);
    stele_subscription_close(subscription);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status try_pull(void)
{
    stele_subscription_options options = make_subscription("s");
    options.batch_count_max = 4;
    stele_subscription *subscription = NULL;
    const stele_batch *batch = NULL;
    stele_transaction *transaction = NULL;
    stele_wait wait = wait_for_ms(0);
    stele_status status = stele_subscription_open(store, &options, &subscription);
    while (status == STELE_OK
           && (status = stele_subscription_next(subscription, &wait, &batch)) == STELE_OK) {
        status = stele_transaction_begin(store, &transaction);
        for (size_t i = 0; i < batch->count && status == STELE_OK; i++) {
            char sql[96];
            snprintf(sql, sizeof(sql), "INSERT INTO seen(position) VALUES(%" PRId64 ")",
                     batch->records[i]->position);
            status = run_in(transaction, sql) == SQLITE_OK ? STELE_OK : STELE_NO_MEMORY;
        }
        if (status == STELE_OK)
            status = stele_transaction_subscription_ack(transaction, subscription, batch->through);
        if (status == STELE_OK)
            status = stele_transaction_commit(transaction);
        stele_transaction_end(transaction);
        transaction = NULL;
    }
    stele_subscription_close(subscription);
    return status == STELE_TIMED_OUT ? STELE_OK : status;
}

START_TEST(a_failed_allocation_loses_and_doubles_nothing)
{
    stele_status (*const attempts[])(void) = { try_run, try_pull };
    bool once = _i % 2 == 0;
    bool reached = true;
    for (int64_t point = 1; reached; point++) {
        resources before = count_resources();
        open_in_memory();
        fill_store();
        atomic_store(&own.calls, 0);
        atomic_store(&own.fail_last, once ? point : point + 1);
        atomic_store(&own.fail_first, point);
        stele_status status = attempts[_i / 2]();
        atomic_store(&own.fail_first, 0);
        reached = atomic_load(&own.calls) >= point;
        ck_assert_msg(status == STELE_OK || status == STELE_NO_MEMORY, "allocation %" PRId64 ": %s",
                      point, stele_error_text());

        assert_status(attempts[_i / 2](), STELE_OK);
        assert_model_is_exact();
        close_store();
        expect_resources(before, "after a failed allocation");
    }
}
END_TEST

static Suite *subscription_faults_suite(void)
{
    Suite *suite = suite_create("subscription faults");
    TCase *disk = tcase_create("disk");
    tcase_add_checked_fixture(disk, set_up_hooks, tear_down_hooks);
    tcase_set_timeout(disk, 120);
    tcase_add_loop_test(disk, a_disk_that_fails_once_costs_a_run_nothing, 0, COUNT_OF(faults));
    tcase_add_test(disk, the_next_batch_tells_what_became_of_an_unknown_acknowledgement);
    suite_add_tcase(suite, disk);
    TCase *others = tcase_create("space and memory");
    tcase_set_timeout(others, 120);
    tcase_add_test(others, a_full_disk_parks_nothing_and_it_goes_on_when_there_is_room);
    tcase_add_loop_test(others, a_failed_allocation_loses_and_doubles_nothing, 0, 4);
    suite_add_tcase(suite, others);
    return suite;
}

int main(void)
{
    count_own_memory();
    return run_suite(subscription_faults_suite());
}
