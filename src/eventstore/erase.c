/* Erasing the payloads of a stream whose name is gone, a step at a time. */
#include <string.h>

#include "base/failure.h"
#include "eventstore/lifecycle.h"

/* Nothing is left to erase here. Copies in an archive are the next work. Inside a transaction. */
static stele_status end_erasing(stele_store *store, stele__connection *connection, int64_t stream)
{
    stele__stream_row row;
    stele__range range;
    bool found = false;
    stele_status status = stele__keys_erase_empty(connection, stream);
    if (status == STELE_OK)
        status = stele__stream_row_load(connection, stream, &row);
    if (status != STELE_OK)
        return status;
    row.state = STELE__STREAM_DELETED;
    status = stele__stream_row_save(connection, &row);
    if (status == STELE_OK)
        status = stele__range_find(connection, stream, &found, &range);
    if (status == STELE_OK)
        status = stele__unfinished_set(store, connection, stream,
                                       found ? STELE__UNFINISHED_DROP : STELE__UNFINISHED_NONE);
    return status;
}

/* `*ours_out` false: somebody else has done it. Inside a transaction. */
static stele_status erase_step(stele_store *store, stele__connection *connection,
                               const stele__work *work, int64_t stream, int64_t after,
                               stele__stretch *step, bool *ours_out)
{
    stele__unfinished now = STELE__UNFINISHED_NONE;
    stele_status status = stele__unfinished_find(connection, stream, &now);
    *ours_out = now == STELE__UNFINISHED_ERASE;
    step->count = 0;
    if (status == STELE_OK && *ours_out)
        status = stele__step_read(connection, work, stream, after, INT64_MAX,
                                  STELE__STEP_NOT_ERASED, step);
    for (size_t i = 0; i < step->count && status == STELE_OK; i++) {
        stele__row row;
        status = stele__step_row_at(connection, step, i, &row);
        if (status == STELE_OK)
            status = stele__row_erase(connection, &row);
    }
    if (status == STELE_OK && *ours_out && step->count == 0)
        status = end_erasing(store, connection, stream);
    return status;
}

stele_status stele__erase_run(stele_store *store, int64_t stream, stele__work *work,
                              stele_changed *changed)
{
    stele__stretch step = { 0 };
    int64_t after = 0;
    bool more = true;
    stele_status status =
        stele__step_first(store, work->options.wait, stream, STELE_RECORD_ERASED, &after);
    stele__work_part(work, "erasing", 0);
    while (status == STELE_OK && more) {
        stele__connection *connection = NULL;
        bool ours = false;
        status = stele__write_begin_durably(store, work->options.wait, &connection);
        if (status != STELE_OK)
            break;
        status = erase_step(store, connection, work, stream, after, &step, &ours);
        if (status == STELE_OK && ours)
            status = stele__write_commit(store);
        stele__write_end(store);
        more = status == STELE_OK && step.count > 0;
        after = step.after;
        if (!more)
            break;
        changed->events += (int64_t)step.count;
        changed->bytes += (int64_t)step.bytes.size;
        status = stele__work_step(work, step.count, step.bytes.size);
    }
    stele__step_dispose(&step);
    return status;
}
