/* Power cuts around a transaction of events, a checkpoint and the user's own table: all, or
 * nothing. */
#include "crash/harness.h"
#include "support.h"

#include <stele/checkpoint.h>
#include <stele/transaction.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define EVENTS_MAX 4

static void require(crash_run *run, stele_status status)
{
    if (status != STELE_OK)
        ck_abort_msg("%s: %s", run->workload->name, stele_error_text());
}

static void run_sql(stele_transaction *transaction, const char *sql)
{
    char *reason = NULL;
    if (sqlite3_exec(stele_transaction_sqlite(transaction), sql, NULL, NULL, &reason) != SQLITE_OK)
        ck_abort_msg("%s: %s", sql, reason);
}

/* A row for each event, and the checkpoint at the last one. */
static void project(crash_run *run, stele_transaction *transaction, const stele_appended *appended)
{
    char sql[128];
    for (int64_t at = appended->first_position; at <= appended->last_position; at++) {
        snprintf(sql, sizeof(sql), "INSERT INTO seen(position) VALUES(%" PRId64 ")", at);
        run_sql(transaction, sql);
    }
    require(run, stele_transaction_checkpoint_save(transaction, "seen", appended->last_position));
}

static void commit_one(crash_run *run, stele_store *store)
{
    size_t begun_at = recorder_now();
    stele_transaction *transaction = NULL;
    require(run, stele_transaction_begin(store, &transaction));
    run_sql(transaction, "CREATE TABLE IF NOT EXISTS seen(position INTEGER PRIMARY KEY, fill)");

    char data[EVENTS_MAX][64];
    stele_event events[EVENTS_MAX] = { 0 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = random_chance(&run->random, 1, 2) ? "account-1" : "account-2";
    append.events = events;
    append.event_count = 1 + (size_t)random_below(&run->random, EVENTS_MAX);
    for (size_t i = 0; i < append.event_count; i++) {
        snprintf(data[i], sizeof(data[i]), "{\"n\":%" PRId64 "}", ++run->next_event);
        events[i].type = "counted";
        events[i].data = data[i];
        events[i].data_size = strlen(data[i]);
    }
    stele_appended appended = { 0 };
    require(run, stele_transaction_append(transaction, &append, &appended));
    project(run, transaction, &appended);
    /* Some are given up, and must leave nothing. */
    bool committed = !random_chance(&run->random, 1, 6);
    if (committed) {
        require(run, stele_transaction_commit(transaction));
        history_note(&run->past, begun_at, &append, &appended, 1);
    }
    stele_transaction_end(transaction);
}

static void project_in_transactions(crash_run *run)
{
    stele_store *store = crash_open(run);
    for (int i = 0; i < 50; i++) {
        commit_one(run, store);
        if (random_chance(&run->random, 1, 20))
            require(run, stele_store_transfer(store, NULL, NULL));
    }
    crash_close(run, store);
}

/* The table, the checkpoint and the log end at the same event. */
static void check_projection(void *context, stele_store *store, int64_t head, verdict *found)
{
    (void)context;
    stele_checkpoint checkpoint = { 0 };
    stele_transaction *transaction = NULL;
    stele_status status = stele_checkpoint_load(store, "seen", &checkpoint);
    if (status == STELE_OK)
        status = stele_transaction_begin(store, &transaction);
    if (status != STELE_OK) {
        verdict_break(found, "checking the projection: %s", stele_error_text());
        return;
    }
    sqlite3_stmt *statement = NULL;
    int64_t rows = 0;
    int64_t last = 0;
    if (sqlite3_prepare_v2(stele_transaction_sqlite(transaction),
                           "SELECT count(*), max(position) FROM seen", -1, &statement, NULL)
            == SQLITE_OK
        && sqlite3_step(statement) == SQLITE_ROW) {
        rows = sqlite3_column_int64(statement, 0);
        last = sqlite3_column_int64(statement, 1);
    }
    sqlite3_finalize(statement);
    stele_transaction_end(transaction);
    if (rows != head || last != head || checkpoint.position != head)
        verdict_break(found,
                      "the head is %" PRId64 ", the table has %" PRId64 " rows to %" PRId64
                      ", the checkpoint is %" PRId64,
                      head, rows, last, checkpoint.position);
}

static const crash_workload full = {
    .name = "transaction",
    .work = project_in_transactions,
    .check = check_projection,
    .cuts = 600,
};

static const crash_workload relaxed = {
    .name = "transaction-relaxed",
    .work = project_in_transactions,
    .check = check_projection,
    .durability = STELE_DURABILITY_RELAXED,
    .cuts = 400,
};

/* The checkpoint is saved by a commit of its own: a cut between the two must be noticed. */
static void project_carelessly(crash_run *run)
{
    stele_store *store = crash_open(run);
    for (int i = 0; i < 50; i++) {
        commit_one(run, store);
        int64_t head = 0;
        require(run, crash_append(run, store, &run->random, 0, 0));
        require(run, stele_store_head(store, &head));
        require(run, stele_checkpoint_save(store, "seen", head));
    }
    crash_close(run, store);
}

static void check_checkpoint(void *context, stele_store *store, int64_t head, verdict *found)
{
    (void)context;
    stele_checkpoint checkpoint = { 0 };
    stele_status status = stele_checkpoint_load(store, "seen", &checkpoint);
    if (status != STELE_OK || checkpoint.position != head)
        verdict_break(found, "the head is %" PRId64 ", the checkpoint %" PRId64, head,
                      checkpoint.position);
}

static const crash_workload careless = {
    .name = "control-two-commits",
    .work = project_carelessly,
    .check = check_checkpoint,
    .cuts = 200,
};

START_TEST(events_checkpoint_and_own_rows_survive_power_cuts_together)
{
    crash_expect_whole(&full);
}
END_TEST

START_TEST(events_checkpoint_and_own_rows_are_lost_together)
{
    crash_expect_whole(&relaxed);
}
END_TEST

START_TEST(checkpoint_outside_of_the_transaction_is_found_out)
{
    crash_report report = crash_test(&careless);

    ck_assert_msg(report.cuts < 100 || report.broken_cuts > report.cuts / 20,
                  "only %zu of %zu cuts parted events and checkpoint", report.broken_cuts,
                  report.cuts);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_transactions");
    TCase *tests = crash_case(suite, "full");
    tcase_add_test(tests, events_checkpoint_and_own_rows_survive_power_cuts_together);
    tests = crash_case(suite, "relaxed");
    tcase_add_test(tests, events_checkpoint_and_own_rows_are_lost_together);
    tests = crash_case(suite, "control");
    tcase_add_test(tests, checkpoint_outside_of_the_transaction_is_found_out);
    return run_suite(suite);
}
