/*
 * What verification looks at in inline projections: their places. What their tables hold only the
 * user's code can tell.
 */
#include "projection/checks.h"

#include <inttypes.h>

#include "eventstore/inline.h"
#include "projection/own.h"

/* At the end of the log it is; behind that, whatever is left were records of the library's own. */
static stele_status judge_inline_place(stele__connection *connection, const char *name,
                                       const stele__place *place, int64_t head)
{
    int64_t missed = 0;
    if (place->position < 0)
        return stele__fail(STELE_CORRUPT,
                           "the inline projection '%s' has no checkpoint: nobody knows how far its"
                           " tables are",
                           name);
    if (place->position > head)
        return stele__fail(STELE_CORRUPT,
                           "the inline projection '%s' is at %" PRId64
                           ", beyond the head, %" PRId64,
                           name, place->position, head);
    stele_status status = stele__inline_missed(connection, place->position, &missed);
    if (status != STELE_OK || missed == 0)
        return status;
    return stele__fail(STELE_CORRUPT,
                       "the inline projection '%s' is at %" PRId64 ", but position %" PRId64
                       " was appended since: it may be missing in its tables",
                       name, place->position, missed);
}

/* One that is being rebuilt in place is behind until that is done, and appends wait for it. The
 * place of a timeline that was lost says nothing of this one; its projection can't be opened. */
static stele_status judge_inline(stele__connection *connection, const char *name, int64_t head)
{
    stele__projection_row row;
    stele__place place;
    bool found = false;
    int64_t shared = 0;
    stele_status status = stele__projection_row_look(connection, name, &row);
    if (status == STELE_OK && (!row.found || !row.with_append))
        return stele__fail(STELE_CORRUPT,
                           "the projection '%s' is to be kept with each append, and %s", name,
                           row.found ? "its record says async" : "has no record");
    if (status == STELE_OK)
        status = stele__place_load(connection, name, 0, &place, &found);
    if (status == STELE_OK)
        status = stele__place_judge(connection, name, &place, &shared);
    if (status == STELE_EPOCH)
        return STELE_OK;
    if (status == STELE_OK && row.replay_to > 0 && place.position < row.replay_to)
        return STELE_OK;
    return status == STELE_OK ? judge_inline_place(connection, name, &place, head) : status;
}

static stele_status visit_inline(stele__connection *connection, stele__statement *statement,
                                 stele__walk *walk)
{
    int64_t head = stele__column_number(statement, 1);
    stele_status status = stele__walk_note_text(walk, stele__column_text(statement, 0));
    if (status != STELE_OK)
        return status;
    walk->findings->count++;
    status = judge_inline(connection, walk->text, head);
    if (status != STELE_CORRUPT)
        return status;
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

static stele_status check_projections(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings, .by_text = true };
    return stele__walk_rows(store,
                            "SELECT key, (SELECT coalesce(max(position), 0) FROM events) FROM state"
                            " WHERE scope = '" STELE__INLINE_SCOPE "' AND codec <> 0"
                            " AND key >= ?1 AND (key > ?1 OR ?2 = 0) ORDER BY key LIMIT ?3",
                            visit_inline, &walk);
}

const stele__check *stele__projection_checks(size_t *count_out)
{
    static const stele__check projection_checks[] = {
        { "projections", check_projections, NULL },
    };
    *count_out = sizeof(projection_checks) / sizeof(projection_checks[0]);
    return projection_checks;
}
