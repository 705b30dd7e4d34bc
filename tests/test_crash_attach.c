/*
 * The negative control of moving events into another file: what plain SQLite does.
 *
 * With WAL a transaction over two attached files is atomic in each of them, but not across them:
 * when the power fails between the two commits, the events are deleted here and not yet there. The
 * recorder, the cuts and the disk are those of the other power cuts.
 */
#include "crash/harness.h"
#include "support.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS          8
#define EVENTS_IN_ROUND 24
#define EVENTS_IN_ALL   (ROUNDS * EVENTS_IN_ROUND)

/* The recorder's moments around the commit of each event, by its id. */
typedef struct plain_log {
    int64_t count;
    size_t begun_at[EVENTS_IN_ALL + 1];
    size_t acked_at[EVENTS_IN_ALL + 1];
} plain_log;

static void execute(sqlite3 *plain, const char *sql)
{
    char *reason = NULL;
    if (sqlite3_exec(plain, sql, NULL, NULL, &reason) != SQLITE_OK)
        ck_abort_msg("%s: %s", sql, reason);
}

static sqlite3 *open_both(const char *folder)
{
    char sql[5000];
    sqlite3 *plain = NULL;
    snprintf(sql, sizeof(sql), "%s/store.db", folder);
    ck_assert_int_eq(sqlite3_open(sql, &plain), SQLITE_OK);
    snprintf(sql, sizeof(sql), "ATTACH '%s/archive.db' AS archive", folder);
    execute(plain, sql);
    return plain;
}

static void begin_files(sqlite3 *plain)
{
    execute(plain, "PRAGMA main.journal_mode=WAL");
    execute(plain, "PRAGMA archive.journal_mode=WAL");
    execute(plain, "PRAGMA main.synchronous=FULL");
    execute(plain, "PRAGMA archive.synchronous=FULL");
    execute(plain, "PRAGMA wal_autocheckpoint=100");
    execute(plain, "CREATE TABLE main.log(id INTEGER PRIMARY KEY, data)");
    execute(plain, "CREATE TABLE archive.log(id INTEGER PRIMARY KEY, data)");
}

static void append_round(plain_log *past, sqlite3 *plain, random_source *random)
{
    int64_t first = past->count + 1;
    size_t begun_at = recorder_now();
    execute(plain, "BEGIN IMMEDIATE");
    for (int i = 0; i < EVENTS_IN_ROUND; i++) {
        char sql[128];
        snprintf(sql, sizeof(sql), "INSERT INTO main.log VALUES(%" PRId64 ", zeroblob(%d))",
                 ++past->count, (int)random_below(random, 2000));
        execute(plain, sql);
    }
    execute(plain, "COMMIT");
    for (int64_t id = first; id <= past->count; id++) {
        past->begun_at[id] = begun_at;
        past->acked_at[id] = recorder_now();
    }
}

/* What `move` makes of all that is in the log. */
static void move_each_round(crash_run *run, void (*move)(sqlite3 *plain))
{
    char folder[4096];
    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(run->path, '/') - run->path), run->path);
    plain_log *past = calloc(1, sizeof(*past));
    ck_assert_ptr_nonnull(past);
    run->known = past;
    sqlite3 *plain = open_both(folder);
    begin_files(plain);
    for (int round = 0; round < ROUNDS; round++) {
        append_round(past, plain, &run->random);
        move(plain);
    }
    ck_assert_int_eq(sqlite3_close(plain), SQLITE_OK);
}

static void move_in_one_transaction(sqlite3 *plain)
{
    execute(plain, "BEGIN IMMEDIATE;"
                   "INSERT INTO archive.log SELECT * FROM main.log;"
                   "DELETE FROM main.log;"
                   "COMMIT");
}

static void move_in_two_transactions(sqlite3 *plain)
{
    execute(plain, "INSERT INTO archive.log SELECT * FROM main.log");
    execute(plain, "DELETE FROM main.log");
}

static void attach_once(crash_run *run)
{
    move_each_round(run, move_in_one_transaction);
}

static void attach_twice(crash_run *run)
{
    move_each_round(run, move_in_two_transactions);
}

static void forget_plain_log(crash_run *run)
{
    free(run->known);
}

/* How often each event is there, in both files together. */
static bool count_places(sqlite3 *plain, const char *sql, int places[EVENTS_IN_ALL + 1])
{
    sqlite3_stmt *statement = NULL;
    /* A cut may come before the table. */
    if (sqlite3_prepare_v2(plain, sql, -1, &statement, NULL) != SQLITE_OK)
        return strstr(sqlite3_errmsg(plain), "no such table") != NULL;
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        places[sqlite3_column_int64(statement, 0)]++;
    sqlite3_finalize(statement);
    return code == SQLITE_DONE;
}

static verdict judge_places(crash_run *run, const char *folder, size_t cut, bool thorough)
{
    (void)thorough;
    const plain_log *past = run->known;
    verdict found = { 0 };
    int places[EVENTS_IN_ALL + 1] = { 0 };
    sqlite3 *plain = open_both(folder);
    if (!count_places(plain, "SELECT id FROM main.log", places)
        || !count_places(plain, "SELECT id FROM archive.log", places))
        verdict_break(&found, "reading: %s", sqlite3_errmsg(plain));
    for (int64_t id = 1; id <= past->count && !found.broken; id++) {
        bool acked = past->acked_at[id] <= cut;
        found.lost += acked && places[id] == 0;
        found.doubled += places[id] > 1;
        found.kept += !acked && places[id] > 0;
        if (places[id] > 0 && past->begun_at[id] > cut)
            verdict_break(&found, "event %" PRId64 " comes from the future", id);
    }
    if (found.lost > 0)
        snprintf(found.reason, sizeof(found.reason), "%" PRId64 " events are in neither file",
                 found.lost);
    sqlite3_close(plain);
    return found;
}

static const crash_workload in_one_transaction = {
    .name = "control-attach",
    .work = attach_once,
    .judge = judge_places,
    .dispose = forget_plain_log,
    .plain_sqlite = true,
    .cuts = 2000,
};

static const crash_workload in_two_transactions = {
    .name = "control-attach-copy-then-delete",
    .work = attach_twice,
    .judge = judge_places,
    .dispose = forget_plain_log,
    .plain_sqlite = true,
    .cuts = 1000,
};

START_TEST(one_transaction_over_two_attached_files_loses_events)
{
    crash_report report = crash_test(&in_one_transaction);

    ck_assert_uint_eq(report.broken_cuts, 0);
    ck_assert_msg(report.cuts < 100 || report.lossy_cuts > report.cuts / 20,
                  "only %zu of %zu cuts lost events", report.lossy_cuts, report.cuts);
}
END_TEST

/* That the judge isn't red by itself: the right order loses nothing, but it doubles. */
START_TEST(copying_before_deleting_loses_nothing_but_doubles)
{
    crash_report report = crash_test(&in_two_transactions);

    ck_assert_uint_eq(report.broken_cuts, 0);
    ck_assert_msg(report.lossy_cuts == 0, "%s", report.first_loss);
    ck_assert(report.cuts < 100 || report.doubled > 0);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_attach");
    TCase *tests = crash_case(suite, "one-transaction");
    tcase_add_test(tests, one_transaction_over_two_attached_files_loses_events);
    tests = crash_case(suite, "two-transactions");
    tcase_add_test(tests, copying_before_deleting_loses_nothing_but_doubles);
    return run_suite(suite);
}
