/*
 * Projections that are kept with each append: who is there, and what they do inside one.
 *
 * The list is the store's attachment. Its mutex is held from the beginning of an append's fold to
 * its end, the user's functions included; who has it never takes the writer's turn, so it comes
 * after that. Who leaves waits for a fold at work.
 */
#include "eventstore/inline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele/state.h>

#include "base/log.h"
#include "base/memory.h"
#include "projection/own.h"
#include "store/work.h"

/* So many events that others have left are folded with an append. */
#define CATCH_UP_MAX 1000

typedef struct inline_list {
    stele__inline hook; /* first */
    pthread_mutex_t mutex;
    _Atomic(uintptr_t) folding_thread; /* 0: none */
    stele_projector *first;
    stele_transaction *transaction; /* lent, while an append is at work */
    uint64_t checked;               /* the writer's revision at which all that must be was there */
    bool all_there;
} inline_list;

static stele_store *store_of_list(const inline_list *list)
{
    return list->first->store;
}

/* --- One projector inside an append --- */

/* What its row says; another process may have rebuilt or dropped it. */
static stele_status refresh_place(stele_projector *projector, stele_transaction *transaction)
{
    const stele__connection *writer = &projector->store->writer;
    const char *name = projector->projection.name;
    stele__projection_row row;
    bool found = false;
    if (projector->known && projector->revision == writer->revision
        && projector->place_changes == writer->place_changes)
        return STELE_OK;
    projector->known = false;
    stele_status status = stele__projection_row_load(transaction, name, &row);
    if (status == STELE_OK)
        status = stele__projection_place(transaction, name, &projector->place, &found);
    if (status != STELE_OK)
        return status;
    if (!row.found || !row.with_append)
        return stele__fail(STELE_FENCED, "the projection '%s' was dropped: close it", name);
    if (row.version != projector->projection.version)
        return stele__fail(STELE_FENCED,
                           "the tables of the projection '%s' are of version %" PRId64
                           " now, this code is of version %" PRId64,
                           name, row.version, projector->projection.version);
    if (row.replay_to > 0)
        return stele__fail(STELE_REFUSED, "the projection '%s' is being rebuilt in place", name);
    if (projector->place.position < 0)
        return stele__fail(STELE_REFUSED,
                           "the checkpoint of the projection '%s' is gone: rebuild it", name);
    projector->known = true;
    return STELE_OK;
}

static stele_status fold_gap(stele_projector *projector, stele_transaction *transaction,
                             int64_t head)
{
    stele__folding folding = { .projection = &projector->projection,
                               .transaction = transaction,
                               .suffix = "",
                               .with_append = true,
                               .after = projector->place.position,
                               .to = head,
                               .effects_after = projector->place.effects_after,
                               .count_max = CATCH_UP_MAX,
                               .size_max = UINT32_MAX };
    const char *name = projector->projection.name;
    if (folding.after > head)
        return stele__fail(STELE_CORRUPT,
                           "the projection '%s' is at %" PRId64 ", beyond the head, %" PRId64, name,
                           folding.after, head);
    stele_status status = stele__fold_some(&folding);
    if (status == STELE_OK && folding.through < head)
        return stele__fail(STELE_REFUSED,
                           "the projection '%s' is at %" PRId64
                           ", too far behind the head, %" PRId64
                           ", to catch up with an append: close it and open it again",
                           name, projector->place.position, head);
    if (status == STELE_OK)
        projector->place.position = head;
    return status;
}

static bool is_in_list(const inline_list *list, const char *name)
{
    const stele_projector *one = list->first;
    while (one != NULL && strcmp(one->projection.name, name) != 0)
        one = one->next;
    return one != NULL;
}

/* Name one that isn't there. A store that is being closed lists nothing any more. */
static stele_status refuse_without(const inline_list *list)
{
    stele_entries_read read = STELE_ENTRIES_READ_INIT;
    stele_entries *entries = NULL;
    const stele_entry *entry = NULL;
    char name[STELE_PROJECTION_NAME_MAX + 1] = "";
    read.scope = STELE__INLINE_SCOPE;
    read.no_data = true;
    stele_status status = stele_transaction_state_list(list->transaction, &read, &entries);
    while (status == STELE_OK && (status = stele_entries_next(entries, &entry)) == STELE_OK)
        if (name[0] == '\0' && !is_in_list(list, entry->key))
            snprintf(name, sizeof(name), "%s", entry->key);
    stele_entries_close(entries);
    return stele__fail(STELE_REFUSED,
                       "the projection '%s' is kept with every append to this store, and isn't open"
                       " in this process",
                       name);
}

/* All that have to be there are: those in the list are known to be in the file. */
static stele_status look_for_others(inline_list *list, const stele__connection *connection)
{
    int64_t wanted = 0;
    if (list->all_there && list->checked == connection->revision)
        return STELE_OK;
    stele_status status = stele__database_number(
        connection->database,
        "SELECT count(*) FROM state WHERE scope = '" STELE__INLINE_SCOPE "' AND codec <> 0",
        &wanted);
    if (status != STELE_OK)
        return status;
    list->all_there = wanted <= (int64_t)atomic_load(&list->hook.count);
    return list->all_there ? STELE_OK : refuse_without(list);
}

/* --- The hook --- */

static stele_status begin_inline(stele__inline *of, stele__connection *connection, int64_t head,
                                 bool system)
{
    inline_list *list = (inline_list *)of;
    pthread_mutex_lock(&list->mutex);
    atomic_store(&list->folding_thread, stele__thread_id());
    if (list->first == NULL) /* the last one has left meanwhile */
        return stele__fail(STELE_REFUSED, "an inline projection was closed meanwhile");
    stele_status status = stele__transaction_lend(store_of_list(list), &list->transaction);
    for (stele_projector *one = list->first; one != NULL && status == STELE_OK; one = one->next)
        status = refresh_place(one, list->transaction);
    if (status == STELE_OK && !system)
        status = look_for_others(list, connection);
    for (stele_projector *one = list->first; one != NULL && status == STELE_OK; one = one->next)
        if (one->place.position != head)
            status = fold_gap(one, list->transaction, head);
    return status;
}

static stele_status fold_inline(stele__inline *of, const stele_record *record)
{
    inline_list *list = (inline_list *)of;
    stele_status status = STELE_OK;
    for (stele_projector *one = list->first; one != NULL && status == STELE_OK; one = one->next) {
        stele__projecting projecting;
        if (!stele__projection_wants(&one->projection, record))
            continue;
        stele__projecting_begin(&projecting, &one->projection, list->transaction, "");
        projecting.lent.with_append = true;
        status = stele__projecting_fold(&projecting, record,
                                        record->position > one->place.effects_after);
    }
    return status;
}

static stele_status move_places(inline_list *list, stele__connection *connection, int64_t head)
{
    stele_status status = STELE_OK;
    for (stele_projector *one = list->first; one != NULL && status == STELE_OK; one = one->next) {
        stele__place_move(one->store, &one->place, head);
        status = stele__place_store(connection, one->projection.name, &one->place);
    }
    return status;
}

static stele_status end_inline(stele__inline *of, stele__connection *connection, int64_t head,
                               stele_status status)
{
    inline_list *list = (inline_list *)of;
    stele_status doom = list->transaction == NULL ? STELE_OK : list->transaction->doom;
    if (status == STELE_OK && doom != STELE_OK)
        status = stele__fail(doom, "a write failed inside an inline projection");
    stele__transaction_take_back(list->transaction);
    list->transaction = NULL;
    if (status == STELE_OK)
        status = move_places(list, connection, head);
    for (stele_projector *one = list->first; one != NULL; one = one->next) {
        one->known = status == STELE_OK;
        one->revision = connection->revision;
        one->place_changes = connection->place_changes;
    }
    /* Moving on by ourselves is no news. */
    list->all_there = list->all_there && status == STELE_OK;
    list->checked = connection->revision;
    atomic_store(&list->folding_thread, 0);
    pthread_mutex_unlock(&list->mutex);
    return status;
}

/* --- Coming and going --- */

static void dispose_list(void *state)
{
    inline_list *list = state;
    pthread_mutex_destroy(&list->mutex);
    stele__free(list);
}

static inline_list *list_of(const stele_store *store)
{
    return atomic_load(&store->attachments[STELE__ATTACHMENT_INLINE].state);
}

static stele_status make_list(stele_store *store)
{
    if (list_of(store) != NULL)
        return STELE_OK;
    inline_list *list = stele__allocate_array(1, sizeof(*list));
    if (list == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for inline projections");
    list->hook.begin = begin_inline;
    list->hook.event = fold_inline;
    list->hook.end = end_inline;
    pthread_mutex_init(&list->mutex, NULL);
    pthread_mutex_lock(&store->mutex);
    bool first = list_of(store) == NULL;
    if (first) {
        store->attachments[STELE__ATTACHMENT_INLINE].dispose = dispose_list;
        atomic_store(&store->attachments[STELE__ATTACHMENT_INLINE].state, list);
    }
    pthread_mutex_unlock(&store->mutex);
    if (!first)
        dispose_list(list);
    return STELE_OK;
}

static stele_status join_list(stele_projector *projector)
{
    inline_list *list = list_of(projector->store);
    stele_status status = STELE_OK;
    pthread_mutex_lock(&list->mutex);
    for (const stele_projector *one = list->first; one != NULL; one = one->next)
        if (strcmp(one->projection.name, projector->projection.name) == 0)
            status = stele__fail(STELE_MISUSE, "the projection '%s' is open already",
                                 projector->projection.name);
    if (status == STELE_OK) {
        projector->next = list->first;
        list->first = projector;
        list->all_there = false;
        atomic_fetch_add(&list->hook.count, 1);
    }
    pthread_mutex_unlock(&list->mutex);
    return status;
}

static void leave_list(stele_projector *projector)
{
    inline_list *list = list_of(projector->store);
    pthread_mutex_lock(&list->mutex);
    stele_projector **at = &list->first;
    while (*at != NULL && *at != projector)
        at = &(*at)->next;
    if (*at != NULL) {
        *at = projector->next;
        list->all_there = false;
        atomic_fetch_sub(&list->hook.count, 1);
    }
    pthread_mutex_unlock(&list->mutex);
}

void stele__inline_leave(stele_projector *projector)
{
    inline_list *list = list_of(projector->store);
    if (list != NULL && atomic_load(&list->folding_thread) == stele__thread_id()) {
        stele__log(STELE_LOG_WARNING, "the projection '%s' can't be closed from inside itself",
                   projector->projection.name);
        return;
    }
    if (list != NULL)
        leave_list(projector);
    stele__projector_free(projector);
}

/* --- Opening --- */

/* Fold the next events; when none are left, join, so that no append comes between. */
static stele_status catch_up_within(stele_projector *projector, const stele__work *work,
                                    stele_transaction *transaction, stele__folding *folding,
                                    bool *joined)
{
    const char *name = projector->projection.name;
    stele__projection_row row;
    stele__place place;
    bool found = false;
    stele_status status =
        stele__projection_register(transaction, &projector->projection, true, &row);
    if (status == STELE_OK && row.replay_to > 0)
        status = stele__fail(
            STELE_CONFLICT, "the projection '%s' is being rebuilt in place: go on with that", name);
    if (status == STELE_OK)
        status = stele__projection_place(transaction, name, &place, &found);
    int64_t head = 0;
    if (status == STELE_OK)
        status = stele_transaction_head(transaction, &head);
    if (status != STELE_OK)
        return status;
    *folding = (stele__folding){ .projection = &projector->projection,
                                 .transaction = transaction,
                                 .suffix = "",
                                 .with_append = true,
                                 .after = place.position,
                                 .to = head,
                                 .effects_after = place.effects_after,
                                 .count_max = work->options.step_count_max,
                                 .size_max = work->options.step_size_max };
    status = stele__fold_some(folding);
    if (status != STELE_OK)
        return status;
    if (folding->through > place.position) {
        stele__place_move(projector->store, &place, folding->through);
        status = stele__projection_place_store(transaction, name, &place);
    }
    if (status != STELE_OK || folding->through < head)
        return status;
    status = stele__projection_mark(transaction, name, true);
    if (status == STELE_OK)
        status = join_list(projector);
    *joined = status == STELE_OK;
    return status;
}

static stele_status catch_up_step(stele_projector *projector, stele__work *work, bool *done)
{
    stele_transaction *transaction = NULL;
    stele__folding folding = { 0 };
    bool joined = false;
    stele_status status =
        stele_transaction_begin_wait(projector->store, work->options.wait, &transaction);
    if (status != STELE_OK)
        return status;
    status = catch_up_within(projector, work, transaction, &folding, &joined);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    if (status != STELE_OK && joined)
        leave_list(projector);
    stele_transaction_end(transaction);
    *done = joined;
    if (status == STELE_OK && !joined)
        status = stele__work_step(work, folding.count, folding.size);
    return status;
}

stele_status stele_projector_open_inline(stele_store *store, const stele_projection *projection,
                                         const stele_work *work, stele_projector **projector_out)
{
    stele_projector *projector = NULL;
    stele__work steps;
    bool done = false;
    if (projector_out == NULL)
        return stele__fail(STELE_MISUSE, "projector_out is NULL");
    *projector_out = NULL;
    stele_status status = stele__projector_make(store, projection, true, &projector);
    if (status != STELE_OK)
        return status;
    status = stele__work_begin(&steps, store, work);
    if (status == STELE_OK)
        status = make_list(store);
    if (status == STELE_OK)
        stele__work_part(&steps, "projecting", 0);
    while (status == STELE_OK && !done)
        status = catch_up_step(projector, &steps, &done);
    if (status == STELE_OK)
        *projector_out = projector;
    else
        stele__projector_free(projector);
    return status;
}
