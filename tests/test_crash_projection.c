/*
 * Power cuts while events are appended with a projection that is kept inline, followed by one that
 * isn't, and that one's tables are rebuilt beside: whatever is left, every table is in step with
 * the place that the store says.
 *
 * The control keeps its table in a commit of its own, as those do who have no inline projections.
 */
#include "crash/cutting.h"
#include "support.h"

#include <stele/projection.h>
#include <stele/verify.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 20, APPENDS_MAX = 1000, BOOT = 3000 };

/* What was acknowledged: after so many recorded operations the head was there. */
static struct {
    size_t acked_at[APPENDS_MAX];
    size_t count; /* the first: nothing */
} done;

/* --- Two projections: one row an event, with a number that follows from it and the version --- */

static const char *const kept_tables[] = { "kept" };
static const char *const followed_tables[] = { "followed" };

static stele_status run_sql(stele_transaction *transaction, const char *sql)
{
    sqlite3 *handle = stele_transaction_sqlite(transaction);
    return handle != NULL && sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK ? STELE_OK
                                                                                      : STELE_IO;
}

static stele_status set_up_rows(void *context, const stele_projecting *projecting)
{
    const stele_projection *of = context;
    char table[STELE_TABLE_NAME_SIZE];
    char sql[300];
    stele_status status = stele_projecting_table(projecting, of->tables[0], table);
    snprintf(sql, sizeof(sql), "CREATE TABLE %s(position INTEGER PRIMARY KEY, number INTEGER)",
             table);
    return status == STELE_OK ? run_sql(projecting->transaction, sql) : status;
}

static stele_status project_row(void *context, const stele_record *record,
                                const stele_projecting *projecting)
{
    const stele_projection *of = context;
    char table[STELE_TABLE_NAME_SIZE];
    char sql[300];
    stele_status status = stele_projecting_table(projecting, of->tables[0], table);
    snprintf(sql, sizeof(sql), "INSERT INTO %s VALUES(%" PRId64 ", %" PRId64 ")", table,
             record->position, record->position * of->version);
    return status == STELE_OK ? run_sql(projecting->transaction, sql) : status;
}

static void describe_projection(stele_projection *of, const char *const *tables, int64_t version)
{
    *of = (stele_projection)STELE_PROJECTION_INIT;
    of->name = tables[0];
    of->version = version;
    of->tables = tables;
    of->table_count = 1;
    of->setup = set_up_rows;
    of->project = project_row;
    of->context = of;
}

/* --- The work --- */

static void append_noted(stele_store *store, random_source *random)
{
    stele_event event = { .type = "t", .data = "{}", .data_size = 2 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = random_chance(random, 1, 2) ? "a-1" : "b-1";
    append.events = &event;
    append.event_count = 1;
    if (stele_store_append(store, &append, NULL) != STELE_OK)
        ck_abort_msg("appending: %s", stele_error_text());
    ck_assert_uint_lt(done.count, APPENDS_MAX);
    done.acked_at[done.count++] = recorder_now();
}

static void follow_to_head(stele_store *store, int64_t version)
{
    stele_projection followed;
    stele_projector *projector = NULL;
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    describe_projection(&followed, followed_tables, version);
    options.stop = STELE_STOP_HEAD;
    options.batch_count_max = 3;
    options.owner = "follower";
    stele_status status = stele_projector_open(store, &followed, &options, &projector);
    if (status == STELE_OK)
        status = stele_projector_run(projector);
    ck_assert_msg(status == STELE_DONE, "following: %s", stele_error_text());
    stele_projector_close(projector);
}

static void rebuild_followed(stele_store *store, int64_t version, bool in_place)
{
    stele_projection followed;
    stele_rebuild rebuild = STELE_REBUILD_INIT;
    stele_work work = STELE_WORK_INIT;
    describe_projection(&followed, followed_tables, version);
    work.step_count_max = 9;
    rebuild.work = &work;
    rebuild.in_place = in_place;
    stele_status status = stele_projection_rebuild(store, &followed, &rebuild, NULL);
    ck_assert_msg(status == STELE_OK, "rebuilding: %s", stele_error_text());
}

static void append_and_fold(crash_run *run)
{
    stele_projection kept;
    stele_projector *projector = NULL;
    int64_t version = 1;
    memset(&done, 0, sizeof(done));
    done.count = 1;
    stele_store *store = crash_open(run);
    describe_projection(&kept, kept_tables, 1);
    if (stele_projector_open_inline(store, &kept, NULL, &projector) != STELE_OK)
        ck_abort_msg("opening: %s", stele_error_text());
    for (int round = 0; round < ROUNDS; round++) {
        for (uint64_t i = random_below(&run->random, 4) + 1; i > 0; i--)
            append_noted(store, &run->random);
        if (round % 7 == 6)
            rebuild_followed(store, ++version, round % 2 == 1);
        follow_to_head(store, version);
    }
    stele_projector_close(projector);
    crash_close(run, store);
}

/* The table gets its row in a commit behind that of the event. */
static void append_then_write(crash_run *run)
{
    memset(&done, 0, sizeof(done));
    done.count = 1;
    stele_store *store = crash_open(run);
    for (int i = 0; i < 40; i++) {
        stele_transaction *transaction = NULL;
        char sql[200];
        append_noted(store, &run->random);
        snprintf(sql, sizeof(sql),
                 "CREATE TABLE IF NOT EXISTS kept(position INTEGER PRIMARY KEY, number INTEGER);"
                 " INSERT INTO kept VALUES(%d, %d)",
                 i + 1, i + 1);
        ck_assert_int_eq(stele_transaction_begin(store, &transaction), STELE_OK);
        ck_assert_int_eq(run_sql(transaction, sql), STELE_OK);
        ck_assert_int_eq(stele_transaction_commit(transaction), STELE_OK);
        stele_transaction_end(transaction);
    }
    crash_close(run, store);
}

static const crash_workload folding = { .name = "projection",
                                        .work = append_and_fold,
                                        .cuts = 200 };

static const crash_workload two_commits = { .name = "projection-control-two-commits",
                                            .work = append_then_write,
                                            .cuts = 200 };

static const crash_workload unsynced = {
    .name = "projection-control-wal-sync-ignored",
    .work = append_and_fold,
    .faults = { .wal_sync_ignored = true },
    .cuts = 200,
};

/* --- What is left --- */

static int64_t number_in(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = -1;
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK
        && sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* A row for each event up to `position`, of this version. */
static bool rows_are(sqlite3 *handle, const char *table, int64_t position, int64_t version)
{
    char sql[300];
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM %s WHERE position BETWEEN 1 AND %" PRId64
             " AND number = position * %" PRId64,
             table, position, version);
    bool right = number_in(handle, sql) == position;
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    return right && number_in(handle, sql) == position;
}

static bool build_is_whole(stele_store *store, sqlite3 *handle, const stele_projection_info *info)
{
    char table[100] = "";
    sqlite3_stmt *statement = NULL;
    (void)store;
    if (sqlite3_prepare_v2(handle,
                           "SELECT name FROM sqlite_schema WHERE type = 'table'"
                           " AND name GLOB 'followed_b*'",
                           -1, &statement, NULL)
            == SQLITE_OK
        && sqlite3_step(statement) == SQLITE_ROW)
        snprintf(table, sizeof(table), "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    if (!info->building || info->build_version == info->version)
        return table[0] == '\0';
    return rows_are(handle, table, info->build_position, info->build_version);
}

/* "" or which of them is out of step. */
static const char *find_flaw(stele_store *store, const char *path, int64_t head)
{
    sqlite3 *handle = NULL;
    stele_projection_info kept;
    stele_projection_info followed;
    const char *flaw = "";
    if (stele_projection_describe(store, "kept", &kept) != STELE_OK
        || stele_projection_describe(store, "followed", &followed) != STELE_OK)
        return "they can't be described";
    if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        return "the file can't be opened";
    if (kept.found && (kept.position != head || !rows_are(handle, "kept", head, 1)))
        flaw = "the inline table is out of step";
    else if (!kept.found && head > 0 && !rows_are(handle, "kept", head, 1))
        flaw = "the inline table isn't there";
    else if (followed.found && !rows_are(handle, "followed", followed.position, followed.version))
        flaw = "the table that follows is out of step";
    else if (followed.found && !build_is_whole(store, handle, &followed))
        flaw = "the table that is built is out of step";
    sqlite3_close(handle);
    return flaw;
}

static void note_loss(const char *where, const char *what)
{
    if (acknowledged_lost++ == 0)
        snprintf(first_loss, sizeof(first_loss), "%s: %s", where, what);
}

/* What was begun is gone on with, and is right in the end. */
static const char *go_on(stele_store *store, const char *path)
{
    stele_projection kept;
    stele_projector *projector = NULL;
    stele_projection_info followed;
    int64_t head = 0;
    random_source random = { 0 };
    describe_projection(&kept, kept_tables, 1);
    if (stele_projector_open_inline(store, &kept, NULL, &projector) != STELE_OK)
        return stele_error_text();
    append_noted(store, &random);
    stele_projection_describe(store, "followed", &followed);
    if (followed.found && followed.building && followed.build_version == followed.version)
        rebuild_followed(store, followed.version, true);
    else if (followed.found)
        rebuild_followed(store, followed.building ? followed.build_version : followed.version + 1,
                         false);
    stele_projection_describe(store, "followed", &followed);
    follow_to_head(store, followed.found ? followed.version : 1);
    stele_store_head(store, &head);
    const char *flaw = find_flaw(store, path, head);
    stele_projection_describe(store, "followed", &followed);
    stele_projector_close(projector);
    return flaw[0] == '\0' && followed.position != head ? "it isn't at the head" : flaw;
}

static void judge_image(const crash_workload *workload, const char *path, size_t cut,
                        const char *where)
{
    size_t acked = 0;
    size_t count = done.count;
    int64_t head = 0;
    while (acked + 1 < done.count && done.acked_at[acked + 1] <= cut)
        acked++;
    stele_store *store = NULL;
    recorder_set_boot(BOOT);
    stele_status status = stele_store_open(path, NULL, &store);
    ck_assert_msg(status == STELE_OK, "%s: opening: %s", where, stele_error_text());
    ck_assert_int_eq(stele_store_head(store, &head), STELE_OK);
    if (head < (int64_t)acked)
        note_loss(where, "acknowledged events are gone");
    const char *flaw = find_flaw(store, path, head);
    if (flaw[0] != '\0')
        note_loss(where, flaw);
    if (workload == &folding && acknowledged_lost == 0) {
        flaw = go_on(store, path);
        ck_assert_msg(flaw[0] == '\0', "%s: going on: %s", where, flaw);
    }
    done.count = count;
    stele_store_close(store);
}

/* --- The cuts --- */

START_TEST(tables_are_in_step_with_their_places_after_any_cut)
{
    cut_workload(&folding, judge_image, &done.count);
    ck_assert_msg(acknowledged_lost == 0, "%s", first_loss);
}
END_TEST

START_TEST(table_in_a_commit_of_its_own_is_found_out_of_step)
{
    cut_workload(&two_commits, judge_image, &done.count);
    ck_assert_int_gt(acknowledged_lost, 0);
}
END_TEST

START_TEST(disk_that_ignores_the_sync_of_the_wal_is_found_out)
{
    cut_workload(&unsynced, judge_image, &done.count);
    ck_assert_int_gt(acknowledged_lost, 0);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_projection");
    TCase *tests = crash_case(suite, "projection");
    tcase_add_test(tests, tables_are_in_step_with_their_places_after_any_cut);
    tests = crash_case(suite, "control-two-commits");
    tcase_add_test(tests, table_in_a_commit_of_its_own_is_found_out_of_step);
    tests = crash_case(suite, "control-wal-sync-ignored");
    tcase_add_test(tests, disk_that_ignores_the_sync_of_the_wal_is_found_out);
    return run_suite(suite);
}
