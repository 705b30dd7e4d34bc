/* Loading resume points, and listing them. */
#include <stele/resume_point.h>

#include "base/failure.h"
#include "base/memory.h"
#include "resume/document.h"

/* --- Loading --- */

static void close_resume_holder(stele__resume_holder *holder)
{
    stele__resume_empty(holder);
    stele_entry_close(holder->entry);
    stele__free(holder);
}

/* Takes `entry`, whatever becomes of it. */
stele_status stele__resume_make(const stele_entry *entry, stele__resume_holder **holder_out)
{
    stele_status status = STELE_OK;
    stele__resume_holder *holder = stele__allocate_array(1, sizeof(*holder));
    if (holder == NULL) {
        stele_entry_close(entry);
        return stele__fail(STELE_NO_MEMORY, "no memory for a resume record");
    }
    holder->entry = entry;
    status = stele__resume_fill(holder, entry);
    if (status == STELE_OK)
        *holder_out = holder;
    else
        close_resume_holder(holder);
    return status;
}

static stele_status check_resume_load(const char *space, const char *execution,
                                      stele__resume_place *place,
                                      const stele_resume_record **record_out)
{
    if (record_out == NULL)
        return stele__fail(STELE_MISUSE, "record_out is NULL");
    *record_out = NULL;
    return stele__resume_find(space, execution, place);
}

static stele_status finish_resume_load(stele_status status, const stele_entry *entry,
                                       const stele_resume_record **record_out)
{
    stele__resume_holder *holder = NULL;
    if (status == STELE_OK)
        status = stele__resume_make(entry, &holder);
    if (status == STELE_OK)
        *record_out = &holder->record;
    return status;
}

stele_status stele_resume_point_load(stele_store *store, const char *space, const char *execution,
                                     const stele_resume_record **record_out)
{
    stele__resume_place place;
    const stele_entry *entry = NULL;
    stele_status status = check_resume_load(space, execution, &place, record_out);
    if (status != STELE_OK)
        return status;
    status = stele_state_get(store, place.scope, execution, &entry);
    return finish_resume_load(status, entry, record_out);
}

stele_status stele_transaction_resume_point_load(stele_transaction *transaction, const char *space,
                                                 const char *execution,
                                                 const stele_resume_record **record_out)
{
    stele__resume_place place;
    const stele_entry *entry = NULL;
    stele_status status = check_resume_load(space, execution, &place, record_out);
    if (status != STELE_OK)
        return status;
    status = stele_transaction_state_get(transaction, place.scope, execution, &entry);
    return finish_resume_load(status, entry, record_out);
}

void stele_resume_record_close(const stele_resume_record *record)
{
    if (record != NULL)
        close_resume_holder((stele__resume_holder *)record);
}

/* --- Listing --- */

struct stele_resume_points {
    stele_entries *entries;
    const stele_entry *next; /* it wasn't lent yet, since memory ran out */
    stele__resume_holder lent;
};

stele_status stele_resume_point_list(stele_store *store, const char *space, uint64_t limit,
                                     stele_resume_points **points_out)
{
    stele__resume_place place;
    if (points_out == NULL)
        return stele__fail(STELE_MISUSE, "points_out is NULL");
    *points_out = NULL;
    stele_status status = stele__resume_find_space(space, &place);
    if (status != STELE_OK)
        return status;
    stele_resume_points *points = stele__allocate_array(1, sizeof(*points));
    if (points == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a list of resume points");
    stele_entries_read read = STELE_ENTRIES_READ_INIT;
    read.scope = place.scope;
    read.order = STELE_NEWEST_FIRST;
    read.limit = limit;
    status = stele_state_list(store, &read, &points->entries);
    if (status == STELE_OK)
        *points_out = points;
    else
        stele__free(points);
    return status;
}

stele_status stele_resume_points_next(stele_resume_points *points,
                                      const stele_resume_record **record_out)
{
    stele_status status = STELE_OK;
    if (record_out != NULL)
        *record_out = NULL;
    if (points == NULL || record_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", points == NULL ? "points" : "record_out");
    if (points->next == NULL)
        status = stele_entries_next(points->entries, &points->next);
    if (status == STELE_OK)
        status = stele__resume_fill(&points->lent, points->next);
    /* What is no point is told once; it hides none that are older. */
    if (status == STELE_OK || status == STELE_CORRUPT)
        points->next = NULL;
    if (status != STELE_OK)
        return status;
    *record_out = &points->lent.record;
    return STELE_OK;
}

void stele_resume_points_close(stele_resume_points *points)
{
    if (points == NULL)
        return;
    stele__resume_empty(&points->lent);
    stele_entries_close(points->entries);
    stele__free(points);
}
