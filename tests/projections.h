/**
 * @file tests/projections.h
 * What the tests of projections share: a read model of two tables, which any log has one right
 * content of, computed here a second time in plain C from what the store reads back.
 */
#ifndef STELE_TESTS_PROJECTIONS_H
#define STELE_TESTS_PROJECTIONS_H

#include <stele/projection.h>

#include "contract.h"

/* What the code of the projection is to do besides. */
typedef struct model_context {
    int64_t factor;      /* of version 1: 1; each other code makes other sums */
    const char *poison;  /* events of this type fail; NULL: none */
    stele_status answer; /* so */
    int calls;
    int setups;
    int effects;           /* outside effects that were had */
    int64_t effects_first; /* the first and the last event that had some */
    int64_t effects_last;
    bool rebuilding;
    bool with_append;
    stele_status (*hook)(struct model_context *of, const stele_record *record,
                         const stele_projecting *projecting);
    void *hook_context;
} model_context;

static inline stele_status run_model_sql(const stele_projecting *projecting, const char *before,
                                         const char *table, const char *after, const char *stream,
                                         int64_t number, int64_t more)
{
    char name[STELE_TABLE_NAME_SIZE];
    char sql[600];
    stele_status status = stele_projecting_table(projecting, table, name);
    if (status != STELE_OK)
        return status;
    snprintf(sql, sizeof(sql), "%s %s%s", before, name, after);
    sqlite3 *handle = stele_transaction_sqlite(projecting->transaction);
    sqlite3_stmt *statement = NULL;
    if (handle == NULL)
        return STELE_MISUSE;
    int code = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);
    if (code == SQLITE_OK && stream != NULL) {
        sqlite3_bind_text(statement, 1, stream, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int64(statement, 2, number);
        sqlite3_bind_int64(statement, 3, more);
    }
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? STELE_OK
           : code == SQLITE_FULL                     ? STELE_FULL
           : code == SQLITE_NOMEM                    ? STELE_NO_MEMORY
                                                     : STELE_IO;
}

static inline stele_status set_up_model(void *context, const stele_projecting *projecting)
{
    model_context *of = context;
    of->setups++;
    stele_status status =
        run_model_sql(projecting, "CREATE TABLE", "totals",
                      "(stream TEXT PRIMARY KEY, events INTEGER, sum INTEGER)", NULL, 0, 0);
    if (status == STELE_OK)
        status = run_model_sql(projecting, "CREATE TABLE", "entries",
                               "(stream TEXT, position INTEGER PRIMARY KEY, version INTEGER)", NULL,
                               0, 0);
    char sql[300];
    snprintf(sql, sizeof(sql), "CREATE INDEX entries_by_stream%s ON entries%s(stream)",
             projecting->suffix, projecting->suffix);
    if (status == STELE_OK
        && sqlite3_exec(stele_transaction_sqlite(projecting->transaction), sql, NULL, NULL, NULL)
               != SQLITE_OK)
        status = STELE_IO;
    return status;
}

static inline stele_status project_model(void *context, const stele_record *record,
                                         const stele_projecting *projecting)
{
    model_context *of = context;
    of->calls++;
    of->rebuilding = projecting->rebuilding;
    of->with_append = projecting->with_append;
    stele_status status = run_model_sql(projecting, "INSERT INTO", "totals",
                                        " VALUES(?1, 1, ?2) ON CONFLICT(stream) DO UPDATE SET"
                                        " events = events + 1, sum = sum + ?2",
                                        record->stream, record->position * of->factor, 0);
    if (status == STELE_OK)
        status = run_model_sql(projecting, "INSERT INTO", "entries", " VALUES(?1, ?2, ?3)",
                               record->stream, record->position, record->version);
    if (status == STELE_OK && of->hook != NULL)
        status = of->hook(of, record, projecting);
    if (status == STELE_OK && of->poison != NULL && strcmp(record->type, of->poison) == 0)
        return of->answer;
    if (status == STELE_OK && projecting->effects) {
        of->effects++;
        of->effects_first = of->effects_first == 0 ? record->position : of->effects_first;
        of->effects_last = record->position;
    }
    return status;
}

static const char *const model_tables[] = { "totals", "entries" };

static inline stele_projection make_projection(model_context *context, int64_t version)
{
    stele_projection projection = STELE_PROJECTION_INIT;
    projection.name = "model";
    projection.version = version;
    projection.tables = model_tables;
    projection.table_count = COUNT_OF(model_tables);
    projection.setup = set_up_model;
    projection.project = project_model;
    projection.context = context;
    context->factor = version;
    if (context->answer == STELE_OK)
        context->answer = STELE_REFUSED;
    return projection;
}

static inline int64_t number_on(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = -1;
    ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(handle));
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* One number out of the file, whichever kind of store it is. */
static inline int64_t number_of(const char *sql)
{
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    int64_t number = number_on(stele_transaction_sqlite(transaction), sql);
    stele_transaction_end(transaction);
    return number;
}

/* The model that the log up to `through` asks for: "" when `handle` has it, else what is wrong. */
static inline const char *model_flaw(stele_store *of, sqlite3 *handle, int64_t through,
                                     int64_t factor)
{
    static char flaw[200];
    int64_t count = 0;
    int64_t sum = 0;
    const stele_record *record = NULL;
    stele_cursor *cursor = NULL;
    stele_read read = STELE_READ_INIT;
    read.to_position = through;
    if (through > 0) {
        assert_status(stele_store_read(of, &read, &cursor), STELE_OK);
        stele_status status;
        while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
            char sql[300];
            count++;
            sum += record->position * factor;
            snprintf(sql, sizeof(sql),
                     "SELECT count(*) FROM entries WHERE position = %" PRId64
                     " AND version = %" PRId64,
                     record->position, record->version);
            if (number_on(handle, sql) != 1) {
                snprintf(flaw, sizeof(flaw), "no entry for position %" PRId64, record->position);
                stele_cursor_close(cursor);
                return flaw;
            }
        }
        assert_status(status, STELE_DONE);
        stele_cursor_close(cursor);
    }
    flaw[0] = '\0';
    int64_t entries = number_on(handle, "SELECT count(*) FROM entries");
    int64_t events = number_on(handle, "SELECT coalesce(sum(events), 0) FROM totals");
    int64_t total = number_on(handle, "SELECT coalesce(sum(sum), 0) FROM totals");
    if (entries != count || events != count || total != sum)
        snprintf(flaw, sizeof(flaw),
                 "%" PRId64 " entries, %" PRId64 " counted, sum %" PRId64 "; the log has %" PRId64
                 ", sum %" PRId64,
                 entries, events, total, count, sum);
    return flaw;
}

static inline void expect_model(int64_t factor)
{
    sqlite3 *handle = NULL;
    int64_t head = 0;
    assert_status(stele_store_head(store, &head), STELE_OK);
    ck_assert_int_eq(sqlite3_open_v2(store_path(), &handle, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    ck_assert_str_eq(model_flaw(store, handle, head, factor), "");
    sqlite3_close(handle);
}

static inline int64_t place_of(const char *name)
{
    stele_checkpoint checkpoint;
    assert_status(stele_checkpoint_load(store, name, &checkpoint), STELE_OK);
    return checkpoint.found ? checkpoint.position : -1;
}

static inline stele_projector *open_inline(model_context *context, int64_t version)
{
    stele_projection projection = make_projection(context, version);
    stele_projector *projector = NULL;
    assert_status(stele_projector_open_inline(store, &projection, NULL, &projector), STELE_OK);
    ck_assert_ptr_nonnull(projector);
    return projector;
}

static inline stele_projector *open_async(model_context *context, int64_t version)
{
    stele_projection projection = make_projection(context, version);
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_projector *projector = NULL;
    options.stop = STELE_STOP_HEAD;
    options.backoff_ms = 1;
    options.backoff_max_ms = 4;
    options.tries = 2;
    assert_status(stele_projector_open(store, &projection, &options, &projector), STELE_OK);
    ck_assert_ptr_nonnull(projector);
    return projector;
}

/* Bring the async model to the head. */
static inline void follow_model(model_context *context, int64_t version)
{
    stele_projector *projector = open_async(context, version);
    assert_status(stele_projector_run(projector), STELE_DONE);
    stele_projector_close(projector);
}

#endif
