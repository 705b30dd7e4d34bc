/* A read model in three ways: with each append, behind the log, and on demand; then rebuilt. */
#include <inttypes.h>
#include <stdio.h>

#include <sqlite3.h>
#include <stele.h>

static const char *const order_tables[] = { "order_totals" };

/* Run one statement on the table with its suffix; `stream` and `number` are its parameters. */
static stele_status change_totals(const stele_projecting *projecting, const char *before,
                                  const char *after, const char *stream, int64_t number)
{
    char table[STELE_TABLE_NAME_SIZE];
    char sql[300];
    sqlite3_stmt *statement = NULL;
    stele_status status = stele_projecting_table(projecting, order_tables[0], table);
    if (status != STELE_OK)
        return status;
    snprintf(sql, sizeof(sql), "%s %s %s", before, table, after);
    sqlite3 *sqlite = stele_transaction_sqlite(projecting->transaction);
    if (sqlite == NULL || sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL) != SQLITE_OK)
        return STELE_IO;
    sqlite3_bind_text(statement, 1, stream, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, number);
    int code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? STELE_OK : STELE_IO;
}

static stele_status set_up_totals(void *context, const stele_projecting *projecting)
{
    (void)context;
    return change_totals(projecting, "CREATE TABLE",
                         "(stream TEXT PRIMARY KEY, events INTEGER NOT NULL)", "", 0);
}

static stele_status project_order(void *context, const stele_record *record,
                                  const stele_projecting *projecting)
{
    const int64_t *weight = context; /* version 2 counts differently */
    return change_totals(projecting, "INSERT INTO",
                         "VALUES(?1, ?2) ON CONFLICT(stream) DO UPDATE SET events = events + ?2",
                         record->stream, *weight);
}

static stele_status count_live(void *context, const stele_record *record)
{
    (void)record;
    ++*(int *)context;
    return STELE_OK;
}

static stele_status append_order(stele_store *store)
{
    stele_event event = { .type = "OrderPlaced" };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "order-1";
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

static stele_projection describe_totals(int64_t version, int64_t *weight)
{
    stele_projection totals = STELE_PROJECTION_INIT;
    totals.name = "order_totals";
    totals.version = version;
    totals.category = "order";
    totals.tables = order_tables;
    totals.table_count = 1;
    totals.setup = set_up_totals;
    totals.project = project_order;
    totals.context = weight;
    return totals;
}

static stele_status show_total(stele_store *store, const char *when)
{
    stele_transaction *transaction = NULL;
    sqlite3_stmt *statement = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK
        && sqlite3_prepare_v2(stele_transaction_sqlite(transaction),
                              "SELECT sum(events) FROM order_totals", -1, &statement, NULL)
               == SQLITE_OK
        && sqlite3_step(statement) == SQLITE_ROW)
        printf("%s: %d\n", when, sqlite3_column_int(statement, 0));
    sqlite3_finalize(statement);
    stele_transaction_end(transaction);
    return status;
}

/* Kept with each append, then brought to version 2. */
static stele_status keep_inline(stele_store *store)
{
    int64_t one = 1;
    int64_t ten = 10;
    stele_projector *projector = NULL;
    stele_projection totals = describe_totals(1, &one);
    stele_status status = stele_projector_open_inline(store, &totals, NULL, &projector);
    if (status == STELE_OK)
        status = append_order(store);
    if (status == STELE_OK)
        status = show_total(store, "with the append");
    stele_projector_close(projector);

    stele_projection newer = describe_totals(2, &ten);
    if (status == STELE_OK)
        status = stele_projection_rebuild(store, &newer, NULL, NULL);
    if (status == STELE_OK)
        status = show_total(store, "rebuilt");
    if (status == STELE_OK)
        status = stele_projection_drop(store, "order_totals", NULL);
    return status;
}

static stele_status follow_log(stele_store *store)
{
    int64_t one = 1;
    stele_projector *projector = NULL;
    stele_projection totals = describe_totals(1, &one);
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.stop = STELE_STOP_HEAD; /* without it, it waits for more */

    stele_status status = stele_projector_open(store, &totals, &options, &projector);
    if (status == STELE_OK)
        status = stele_projector_run(projector);
    stele_projector_close(projector);
    return status == STELE_DONE ? show_total(store, "behind the log") : status;
}

static stele_status fold_on_demand(stele_store *store)
{
    int count = 0;
    stele_lived lived;
    stele_live live = STELE_LIVE_INIT;
    live.category = "order";
    live.fold = count_live;
    live.context = &count;
    stele_status status = stele_projection_live(store, &live, &lived);
    if (status == STELE_OK)
        printf("on demand: %d, through position %" PRId64 "\n", count, lived.through);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    for (int i = 0; i < 2 && status == STELE_OK; i++)
        status = append_order(store);
    if (status == STELE_OK)
        status = keep_inline(store);
    if (status == STELE_OK)
        status = follow_log(store);
    if (status == STELE_OK)
        status = fold_on_demand(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0 ? 1 : 0;
}
