/* Figures that cost little, and the end of commits in progress. */
#include "store/figures.h"

#include "base/failure.h"

static stele_status read_figures(stele__database *database, stele__figures *figures)
{
    int64_t pages = 0;
    int64_t page_size = 0;
    const struct {
        const char *sql;
        int64_t *number;
    } questions[] = {
        { "SELECT max(position) FROM events", &figures->head },
        { "SELECT count(*) FROM streams WHERE name IS NOT NULL", &figures->streams },
        { "SELECT count(*) FROM state WHERE data IS NOT NULL", &figures->entries },
        { "SELECT max(recorded_at) FROM events WHERE position = (SELECT max(position) FROM events)",
          &figures->last_recorded_at },
        { "PRAGMA page_count", &pages },
        { "PRAGMA page_size", &page_size },
    };
    stele_status status = STELE_OK;
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]) && status == STELE_OK; i++)
        status = stele__database_number(database, questions[i].sql, questions[i].number);
    figures->file_bytes = pages * page_size;
    return status;
}

stele_status stele__store_figures(stele_store *store, stele__figures *figures_out)
{
    stele__connection *connection = NULL;
    *figures_out = (stele__figures){ 0 };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = read_figures(connection->database, figures_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

/* Who commits has the turn, and the file's lock: having had both is enough. */
static stele_status settle_in_turn(stele_store *store, stele__patience *patience)
{
    stele_status status = stele__write_check(store);
    if (status == STELE_OK)
        status = stele__turn_take(store, patience);
    if (status != STELE_OK)
        return status;
    if (store->writer_broken || store->wrapped != NULL)
        status = stele__fail(STELE_READ_ONLY, "this can't be told here");
    else
        status = stele__file_lock(store, patience);
    if (status == STELE_OK)
        stele__write_end_held(store);
    stele__turn_pass(store);
    return status;
}

stele_status stele__commits_settle(stele_store *store, const stele_wait *wait)
{
    stele__patience patience;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status =
        stele__patience_begin(&patience, wait, store->options.busy_timeout_ms, &store->closing);
    if (status == STELE_OK)
        status = settle_in_turn(store, &patience);
    stele__store_leave(store);
    return status;
}
