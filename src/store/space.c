/* Space: giving free pages back, and leaving nothing of what was deleted. */
#include <inttypes.h>
#include <stdio.h>

#include "base/failure.h"
#include "base/platform.h"
#include "store/anchoring.h"
#include "store/work.h"

/* How long readers may hold back the emptying of the WAL, before another try. */
#define SCRUB_PAUSE_US 5000
/* A WAL that was begun anew by one small commit has no more pages than this. */
#define FRESH_WAL_PAGES 16

/* The size of the file in bytes, and how much of it holds nothing. Inside a transaction. */
static stele_status measure_pages(stele__database *database, int64_t *pages_out, int64_t *free_out,
                                  int64_t *page_size_out)
{
    stele_status status = stele__database_number(database, "PRAGMA page_count", pages_out);
    if (status == STELE_OK)
        status = stele__database_number(database, "PRAGMA freelist_count", free_out);
    if (status == STELE_OK)
        status = stele__database_number(database, "PRAGMA page_size", page_size_out);
    return status;
}

/* `*bytes_out` is by how much the file became smaller; 0: there is nothing to give back. */
static stele_status shrink_step(stele_store *store, const stele__work *work, int64_t *left_out,
                                int64_t *bytes_out)
{
    int64_t before = 0;
    int64_t after = 0;
    int64_t page_size = 0;
    stele__connection *connection = NULL;
    *left_out = 0;
    *bytes_out = 0;
    stele_status status = stele__write_begin(store, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = measure_pages(connection->database, &before, left_out, &page_size);
    if (status == STELE_OK && *left_out > 0) {
        char sql[64];
        snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%" PRIu32 ")",
                 work->options.step_count_max);
        stele__connection_touch(connection);
        status = stele__database_execute(connection->database, sql);
        if (status == STELE_OK)
            status = measure_pages(connection->database, &after, left_out, &page_size);
        if (status == STELE_OK)
            status = stele__write_commit(store);
        if (status == STELE_OK)
            *bytes_out = (before - after) * page_size;
    }
    stele__write_end(store);
    return status;
}

stele_status stele__store_shrink(stele_store *store, stele__work *work, int64_t *bytes_out)
{
    int64_t left = 1;
    int64_t gained = 1;
    stele_status status = STELE_OK;
    stele__work_part(work, "shrinking", 0);
    while (status == STELE_OK && left > 0 && gained > 0) {
        status = shrink_step(store, work, &left, &gained);
        *bytes_out += gained;
        if (status == STELE_OK && gained > 0)
            status = stele__work_step(work, 1, (uint64_t)gained);
    }
    if (status == STELE_OK && *bytes_out > 0)
        status = stele_store_transfer(store, work->options.wait, NULL);
    return status;
}

stele_status stele_store_shrink(stele_store *store, const stele_work *work, int64_t *bytes_out)
{
    stele__work taken;
    int64_t bytes = 0;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__work_begin(&taken, store, work);
    if (status == STELE_OK)
        status = stele__store_shrink(store, &taken, &bytes);
    stele__store_leave(store);
    if (bytes_out != NULL)
        *bytes_out = bytes;
    return status;
}

/* --- Scrubbing; the turn is held --- */

/* Every page is written anew. It may take longer than anybody would wait for a lock. */
static stele_status rewrite_file(stele_store *store, stele__patience *patience)
{
    stele__connection *writer = &store->writer;
    stele__patience endless = *patience;
    stele_status status = STELE_OK;
    endless.deadline_us = INT64_MAX;
    for (;;) {
        stele__database_watch(writer->database, &endless);
        status = stele__database_execute(writer->database, "VACUUM main");
        stele__database_watch(writer->database, NULL);
        if (status != STELE_BUSY)
            break;
        status = stele__patience_check(patience, "waiting for the write lock of the file");
        if (status != STELE_OK)
            return status;
        stele__patience_sleep(patience, SCRUB_PAUSE_US);
    }
    writer->revision++;
    writer->schema_cookie = 0;
    return status;
}

static stele_status transfer_whole(stele_store *store, stele__patience *patience)
{
    uint32_t left = 1;
    stele_status status = STELE_OK;
    while ((status = stele__transfer_guarded(store, patience, &left)) == STELE_OK && left > 0) {
        status = stele__patience_check(patience, "waiting for readers of the WAL");
        if (status != STELE_OK)
            break;
        stele__patience_sleep(patience, SCRUB_PAUSE_US);
    }
    return status;
}

/*
 * A WAL all of which was copied is begun anew by the next commit, and with a limit of 0 its file
 * then ends there. A reader that still needs it prevents that, so it is done until it is so.
 */
static stele_status empty_wal(stele_store *store, stele__patience *patience)
{
    stele__database *database = store->writer.database;
    char restore[64];
    int64_t limit = -1; /* on a handle of the user's it is theirs */
    stele_status status = stele__database_number(database, "PRAGMA journal_size_limit", &limit);
    snprintf(restore, sizeof(restore), "PRAGMA journal_size_limit=%" PRId64, limit);
    if (status == STELE_OK)
        status = stele__database_execute(database, "PRAGMA journal_size_limit=0");
    while (status == STELE_OK) {
        status = transfer_whole(store, patience);
        if (status == STELE_OK)
            status = stele__meta_settle(store, patience);
        if (status != STELE_OK || store->writer.database->wal_pages <= FRESH_WAL_PAGES)
            break;
        status = stele__patience_check(patience, "waiting for readers of the WAL");
        stele__patience_sleep(patience, SCRUB_PAUSE_US);
    }
    if (store->writer.database != NULL) {
        char error[STELE__ERROR_SIZE];
        stele__keep_error(error);
        stele__database_execute(store->writer.database, restore);
        stele__restore_error(error);
    }
    return status;
}

/* Who may end it: the work's own progress, and that of its wait. */
typedef struct scrub_asking {
    const stele__work *work;
    stele__patience wait;
} scrub_asking;

static int ask_scrub(void *context)
{
    const scrub_asking *of = context;
    int answer = of->wait.progress == NULL ? 0 : of->wait.progress(of->wait.context);
    if (answer == 0 && of->work->options.progress != NULL)
        answer = of->work->options.progress(of->work->options.context, &of->work->progress);
    return answer;
}

stele_status stele__store_scrub(stele_store *store, stele__work *work)
{
    stele__patience patience;
    stele_status status = stele__patience_begin(&patience, work->options.wait,
                                                store->options.busy_timeout_ms, &store->closing);
    if (status == STELE_OK)
        status = stele__write_check(store);
    if (status == STELE_OK)
        status = stele__turn_take(store, &patience);
    if (status != STELE_OK)
        return status;
    stele__work_part(work, "scrubbing", 0);
    const scrub_asking asking = { .work = work, .wait = patience };
    patience.progress = ask_scrub;
    patience.context = (void *)&asking;
    status = stele__patience_check(&patience, "scrubbing");
    if (status == STELE_OK && store->wrapped != NULL)
        status = stele__wrap_check(store->writer.database);
    if (status == STELE_OK)
        status = stele__write_mend(store, &patience);
    if (status == STELE_OK) /* so that a transaction of the user's on a handle is found out */
        status = stele__database_begin_read(store->writer.database);
    if (status == STELE_OK) {
        stele__database_rollback(store->writer.database);
        status = rewrite_file(store, &patience);
    }
    if (status == STELE_OK && !store->memory && stele__database_has_wal(store->writer.database))
        status = empty_wal(store, &patience);
    stele__turn_pass(store);
    return status;
}

stele_status stele_store_scrub(stele_store *store, const stele_work *work)
{
    stele__work taken;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__work_begin(&taken, store, work);
    if (status == STELE_OK)
        status = stele__store_scrub(store, &taken);
    stele__store_leave(store);
    return status;
}
