/* Folding on demand, into the caller's memory. */
#include <stele/eventstore.h>

#include "base/options.h"
#include "projection/own.h"

void stele_live_init(stele_live *live)
{
    *live = (stele_live)STELE_LIVE_INIT;
}

static stele_status fold_live(const stele_live *live, stele_cursor *cursor, stele_lived *lived)
{
    const stele_record *record = NULL;
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        status = live->fold(live->context, record);
        if (status < STELE_OK)
            return status;
        lived->through = record->position;
        lived->count++;
    }
    lived->skipped = stele_cursor_skipped(cursor);
    return status;
}

stele_status stele_projection_live(stele_store *store, const stele_live *live,
                                   stele_lived *lived_out)
{
    stele_live taken = STELE_LIVE_INIT;
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    stele_lived lived = { 0 };
    if (lived_out != NULL)
        *lived_out = lived;
    if (live == NULL)
        return stele__fail(STELE_MISUSE, "live is NULL");
    stele_status status = stele__options_take("stele_live", live, &taken, sizeof(taken));
    if (status == STELE_OK && taken.fold == NULL)
        status = stele__fail(STELE_MISUSE, "fold is NULL");
    if (status == STELE_OK && (taken.after_position < 0 || taken.to_position < 0))
        status = stele__fail(STELE_MISUSE, "a position to fold live is negative");
    /* The end is fixed first, so that `through` is true of what didn't match, too. */
    int64_t head = 0;
    if (status == STELE_OK)
        status = stele_store_head(store, &head);
    if (status != STELE_OK)
        return status;
    if (taken.to_position == 0 || taken.to_position > head)
        taken.to_position = head;
    lived.through = taken.after_position;
    read.stream = taken.stream;
    read.types = taken.types;
    read.type_count = taken.type_count;
    read.category = taken.category;
    read.prefix = taken.prefix;
    read.system = taken.system;
    read.after_position = taken.after_position;
    read.to_position = taken.to_position;
    read.epoch = taken.epoch;
    read.wait = taken.wait;
    if (taken.to_position > taken.after_position || taken.epoch != NULL) {
        status = stele_store_read(store, &read, &cursor);
        if (status == STELE_OK)
            status = fold_live(&taken, cursor, &lived);
        stele_cursor_close(cursor);
    }
    if (status == STELE_DONE)
        status = STELE_OK;
    if (status == STELE_OK && lived.through < taken.to_position)
        lived.through = taken.to_position;
    if (lived_out != NULL)
        *lived_out = lived;
    return status;
}
