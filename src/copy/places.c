/*
 * Carrying checkpoints over: each lane's place on its own, and what is parked as the events that it
 * became. Claims stay behind: nobody works on the target yet.
 */
#include "copy/places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "checkpoint/own.h"

void stele__copy_places_dispose(stele__copy_places *all)
{
    stele__free(all->places);
    stele__buffer_dispose(&all->names);
}

/* --- Reading --- */

static stele_status keep_copy_place(stele__copy_places *all, const stele__copy_place *place)
{
    if (all->count == all->capacity) {
        size_t capacity = all->capacity == 0 ? 32 : all->capacity * 2;
        stele__copy_place *places = stele__reallocate(all->places, capacity * sizeof(*all->places));
        if (places == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu checkpoints", capacity);
        all->places = places;
        all->capacity = capacity;
    }
    all->places[all->count++] = *place;
    return STELE_OK;
}

/* The rows of a name follow one another; they are kept or left out together. */
typedef struct places_reading {
    stele__copy_places *all;
    stele__connection *connection;
    size_t first; /* of the name at hand */
    size_t name;  /* offset of its text; SIZE_MAX: none is at hand */
    bool saved;
    bool lost;
} places_reading;

static stele_status keep_parked(void *context, const stele__parked *parked)
{
    places_reading *reading = context;
    stele__copy_place place = { .kind = STELE__COPY_PARKED,
                                .name = reading->name,
                                .position = parked->position };
    return keep_copy_place(reading->all, &place);
}

static stele_status end_copied_name(places_reading *reading)
{
    stele__copy_places *all = reading->all;
    if (reading->name == SIZE_MAX)
        return STELE_OK;
    if (reading->lost)
        all->names_lost++;
    if (reading->lost || !reading->saved) {
        all->count = reading->first;
        return STELE_OK;
    }
    all->names_kept++;
    char name[STELE__OWNER_SIZE];
    snprintf(name, sizeof(name), "%s", all->names.data + reading->name);
    return stele__parked_each(reading->connection, name, NULL, 0, keep_parked, reading);
}

static stele_status begin_copied_name(places_reading *reading, const char *name)
{
    stele_status status = end_copied_name(reading);
    if (status != STELE_OK)
        return status;
    reading->first = reading->all->count;
    reading->name = reading->all->names.size;
    reading->saved = reading->lost = false;
    return stele__buffer_add(&reading->all->names, name, strlen(name) + 1);
}

static stele_status read_copy_place(void *context, const char *name, const stele__place *source)
{
    places_reading *reading = context;
    int64_t shared = 0;
    stele_status status = STELE_OK;
    if (reading->name == SIZE_MAX || strcmp(reading->all->names.data + reading->name, name) != 0)
        status = begin_copied_name(reading, name);
    if (status == STELE_OK)
        status = stele__place_judge(reading->connection, name, source, &shared);
    reading->lost |= status == STELE_EPOCH;
    reading->saved |= source->position >= 0;
    if (status != STELE_OK && status != STELE_EPOCH)
        return status;
    if (source->position < 0 && source->lane == 0)
        return STELE_OK; /* it was only claimed */
    stele__copy_place place = { .kind = STELE__COPY_PLACE,
                                .name = reading->name,
                                .lane = source->lane,
                                .lanes = source->lanes,
                                .position = source->position };
    status = keep_copy_place(reading->all, &place);
    if (status != STELE_OK || source->effects_after <= 0)
        return status;
    place.kind = STELE__COPY_EFFECTS;
    place.position = source->effects_after;
    return keep_copy_place(reading->all, &place);
}

static stele_status read_copy_places(stele_store *source, stele__copy_places *all)
{
    places_reading reading = { .all = all, .name = SIZE_MAX };
    stele_status status = stele__store_enter(source);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(source, NULL, &reading.connection);
    if (status == STELE_OK) {
        status = stele__place_each(reading.connection, NULL, read_copy_place, &reading);
        if (status == STELE_OK)
            status = end_copied_name(&reading);
        stele__read_end(source, reading.connection);
    }
    stele__store_leave(source);
    return status;
}

/* --- Translating --- */

static int compare_copy_places(const void *left, const void *right)
{
    int64_t a = ((const stele__copy_place *)left)->position;
    int64_t b = ((const stele__copy_place *)right)->position;
    return a < b ? -1 : a > b;
}

/* Those within the stretch: both grow, so each is looked at once. */
void stele__copy_places_pass(stele__copy_places *all, const stele__copy_stretch *stretch)
{
    for (; all->next < all->count; all->next++) {
        stele__copy_place *place = &all->places[all->next];
        int64_t into = place->position - stretch->after;
        if (into > stretch->run.positions)
            break;
        place->target = stretch->head + (into > 0 ? into : 0) * stretch->run.outputs;
        place->outputs = into > 0 ? stretch->run.outputs : 0;
    }
}

static stele_status translate_stretch(void *context, const stele__copy_stretch *stretch)
{
    stele__copy_places_pass(context, stretch);
    return STELE_OK;
}

stele_status stele__copy_places_read(stele__copier *copier, stele__copy_places *all)
{
    stele_status status = read_copy_places(copier->source, all);
    if (status != STELE_OK)
        return stele__fail_within(status, "the source");
    if (all->count > 0)
        qsort(all->places, all->count, sizeof(*all->places), compare_copy_places);
    status = stele__copy_map_visit(copier->target, &copier->note, translate_stretch, all);
    return status == STELE_OK ? STELE_OK : stele__fail_within(status, "the target");
}

void stele__copy_places_end(const stele__copier *copier, stele__copy_places *all)
{
    for (; all->next < all->count; all->next++)
        all->places[all->next].target = copier->head;
    for (size_t i = 0; i < all->count; i++)
        if (all->places[i].kind == STELE__COPY_PARKED)
            all->parked += (uint64_t)all->places[i].outputs;
}

/* --- Writing --- */

static stele_status save_copy_place(stele_store *target, stele__connection *connection,
                                    const char *name, const stele__copy_place *place)
{
    stele__place row;
    bool found = false;
    stele_status status = stele__place_load(connection, name, place->lane, &row, &found);
    if (status != STELE_OK)
        return status;
    row.lanes = place->lanes;
    if (place->kind == STELE__COPY_EFFECTS)
        row.effects_after = place->target;
    else if (place->position >= 0)
        stele__place_move(target, &row, place->target);
    return stele__place_store(connection, name, &row);
}

/* The name of the stream that the event at `position` is in now. */
static stele_status find_copied_stream(stele_transaction *transaction, int64_t position,
                                       char name_out[STELE__OWNER_SIZE])
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_read read = STELE_READ_INIT;
    read.after_position = position - 1;
    read.to_position = position;
    read.system = true;
    stele_status status = stele_transaction_read(transaction, &read, &cursor);
    if (status == STELE_OK)
        status = stele_cursor_next(cursor, &record);
    if (status == STELE_OK)
        snprintf(name_out, STELE__OWNER_SIZE, "%s", record->stream);
    stele_cursor_close(cursor);
    return status;
}

/* Behind the first that is parked of the stream in the target: which that is, the transform said.
 */
static stele_status park_copied(stele_transaction *transaction, const char *name,
                                const stele__parked *source, int64_t position)
{
    stele__connection *connection = NULL;
    stele__parked first;
    stele__parked parked = *source;
    bool found = false;
    parked.position = position;
    stele_status status = find_copied_stream(transaction, position, parked.key);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__parked_first(connection, name, parked.key, 1, &first, &found);
    parked.behind = found ? first.position : 0;
    if (status == STELE_OK)
        status = stele__parked_store(connection, name, &parked);
    stele__transaction_leave(transaction);
    return status;
}

static stele_status save_copied_parked(stele__copier *copier, stele_transaction *transaction,
                                       const char *name, const stele__copy_place *place)
{
    stele__connection *connection = NULL;
    stele__parked parked;
    bool found = false;
    stele_status status = stele__store_enter(copier->source);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(copier->source, NULL, &connection);
    if (status == STELE_OK) {
        status = stele__parked_load(connection, name, place->position, &parked, &found);
        stele__read_end(copier->source, connection);
    }
    stele__store_leave(copier->source);
    for (int64_t i = 1 - place->outputs; found && i <= 0 && status == STELE_OK; i++)
        status = park_copied(transaction, name, &parked, place->target + i);
    return status;
}

static stele_status save_copied(stele__copier *copier, stele_transaction *transaction,
                                const char *name, const stele__copy_place *place)
{
    stele__connection *connection = NULL;
    if (place->kind == STELE__COPY_PARKED && place->outputs == 0)
        return STELE_OK;
    if (place->kind == STELE__COPY_PARKED)
        return save_copied_parked(copier, transaction, name, place);
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = save_copy_place(copier->target, connection, name, place);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele__copy_places_save(stele__copier *copier, stele_transaction *transaction,
                                     const stele__copy_places *all)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < all->count && status == STELE_OK; i++)
        status = save_copied(copier, transaction, all->names.data + all->places[i].name,
                             &all->places[i]);
    return status;
}
