/* Going on with what was cut short; and opening, which does that first. */
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/options.h"
#include "eventstore/lifecycle.h"

void stele_resume_init(stele_resume *resume)
{
    *resume = (stele_resume)STELE_RESUME_INIT;
}

/* What is left to do on a stream, and with which archive. */
static stele_status find_unfinished(stele_store *store, int64_t stream, const stele_wait *wait,
                                    stele__unfinished *left_out, bool *moved_out,
                                    stele__range *range)
{
    stele__connection *connection = NULL;
    stele_status status = stele__read_begin(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__unfinished_find(connection, stream, left_out);
    if (status == STELE_OK)
        status = stele__range_find(connection, stream, moved_out, range);
    stele__read_end(store, connection);
    return status;
}

static stele_status go_on(stele_store *store, stele_store *archive, int64_t stream,
                          stele__unfinished left, stele__work *work)
{
    stele_changed changed = { 0 };
    switch (left) {
    case STELE__UNFINISHED_MOVE: return stele__move_run(store, archive, stream, work, &changed);
    case STELE__UNFINISHED_RETURN: return stele__return_run(store, archive, stream, work, &changed);
    case STELE__UNFINISHED_DROP: return stele__drop_run(store, archive, stream, work);
    case STELE__UNFINISHED_ERASE: return stele__erase_run(store, stream, work, &changed);
    default: return STELE_OK;
    }
}

stele_status stele__resume_stream(stele_store *store, stele_store *given, int64_t stream,
                                  stele__work *work, bool *waiting_out)
{
    stele__archive_handle handle = { 0 };
    stele__range range;
    bool moved = false;
    stele__unfinished left = STELE__UNFINISHED_NONE;
    stele__unfinished before = STELE__UNFINISHED_NONE;
    *waiting_out = false;
    stele_status status = find_unfinished(store, stream, work->options.wait, &left, &moved, &range);
    /* One kind of work may lead to the next. */
    while (status == STELE_OK && left != before && left != STELE__UNFINISHED_NONE) {
        bool needs = left != STELE__UNFINISHED_ERASE;
        if (needs && moved && handle.store == NULL)
            status =
                stele__archive_open(store, &range, given, left == STELE__UNFINISHED_DROP, &handle);
        *waiting_out = status == STELE_OK && needs && handle.store == NULL;
        if (status != STELE_OK || *waiting_out)
            break;
        status = go_on(store, handle.store, stream, left, work);
        before = left;
        if (status == STELE_OK)
            status = find_unfinished(store, stream, work->options.wait, &left, &moved, &range);
    }
    stele__archive_close(&handle);
    return status;
}

/* The next stream with unfinished work: OK, or DONE. */
static stele_status next_unfinished(stele_store *store, const stele_wait *wait, int64_t *stream)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    stele_status status = stele__read_begin(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__statement_begin(
        connection->database,
        "SELECT stream FROM unfinished WHERE stream > ?1 ORDER BY stream LIMIT 1", &statement);
    if (status == STELE_OK) {
        stele__bind_number(statement, 1, *stream);
        status = stele__statement_step(statement);
    }
    if (status == STELE_OK)
        *stream = stele__column_number(statement, 0);
    stele__statement_end(statement);
    stele__read_end(store, connection);
    return status;
}

static stele_status resume_all(stele_store *store, stele_store *given, stele__work *work,
                               stele_resumed *resumed)
{
    int64_t stream = 0;
    stele_status first = STELE_OK;
    char error[STELE__ERROR_SIZE] = "";
    stele_status status = STELE_OK;
    while ((status = next_unfinished(store, work->options.wait, &stream)) == STELE_OK) {
        bool waiting = false;
        status = stele__resume_stream(store, given, stream, work, &waiting);
        resumed->found++;
        resumed->waiting += waiting;
        resumed->finished += status == STELE_OK && !waiting;
        if (status != STELE_OK && first == STELE_OK) {
            first = status;
            stele__keep_error(error);
        }
        if (status == STELE_CANCELLED || status == STELE_CLOSED)
            break;
    }
    if (first == STELE_OK)
        return status == STELE_DONE ? STELE_OK : status;
    stele__restore_error(error);
    return first;
}

stele_status stele_store_resume(stele_store *store, const stele_resume *resume,
                                stele_resumed *resumed_out)
{
    stele_resume taken = STELE_RESUME_INIT;
    stele_resumed resumed = { 0 };
    stele__work work;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__options_take("stele_resume", resume, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = stele__work_begin(&work, store, taken.work);
    if (status == STELE_OK)
        status = stele__write_check(store);
    bool entered = false;
    if (status == STELE_OK && taken.archive != NULL) {
        status = stele__store_enter(taken.archive);
        entered = status == STELE_OK;
    }
    if (status == STELE_OK)
        status = resume_all(store, taken.archive, &work, &resumed);
    if (entered)
        stele__store_leave(taken.archive);
    stele__store_leave(store);
    if (resumed_out != NULL)
        *resumed_out = resumed;
    return status;
}

/* --- Opening --- */

/* On the write connection, since most opens find nothing, and a reader costs two descriptors. */
static stele_status has_unfinished(stele_store *store, bool *unfinished_out)
{
    int64_t count = 0;
    stele__patience patience;
    stele__patience_begin(&patience, NULL, store->options.busy_timeout_ms, &store->closing);
    stele_status status = stele__turn_take(store, &patience);
    if (status != STELE_OK)
        return status;
    status = stele__database_number(store->writer.database,
                                    "SELECT EXISTS (SELECT 1 FROM unfinished)", &count);
    stele__turn_pass(store);
    *unfinished_out = count != 0;
    return status;
}

/* Whatever becomes of it, the store is open. */
static void resume_at_open(stele_store *store)
{
    stele_resumed resumed = { 0 };
    bool unfinished = false;
    if (store->options.no_resume || store->options.read_only || store->lost[0] != '\0')
        return;
    stele_status status = has_unfinished(store, &unfinished);
    if (status == STELE_OK && !unfinished)
        return;
    if (status == STELE_OK)
        status = stele_store_resume(store, NULL, &resumed);
    if (status != STELE_OK)
        stele__log(STELE_LOG_WARNING, "'%s': unfinished work on streams could not be resumed: %s",
                   store->path, stele_error_text());
    else if (resumed.waiting > 0)
        stele__log(STELE_LOG_WARNING,
                   "'%s': work on %" PRId64
                   " stream(s) waits for an archive that isn't where it was: see"
                   " stele_store_resume()",
                   store->path, resumed.waiting);
    else if (resumed.finished > 0)
        stele__log(STELE_LOG_NOTICE, "'%s': finished work on %" PRId64 " stream(s)", store->path,
                   resumed.finished);
}

stele_status stele_store_open(const char *path, const stele_options *options,
                              stele_store **store_out)
{
    stele_status status = stele__store_open(path, options, store_out);
    if (status == STELE_OK)
        resume_at_open(*store_out);
    return status;
}

stele_status stele_store_wrap(struct sqlite3 *handle, const stele_options *options,
                              stele_store **store_out)
{
    stele_status status = stele__store_wrap(handle, options, store_out);
    if (status == STELE_OK)
        resume_at_open(*store_out);
    return status;
}
