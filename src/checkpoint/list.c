/* All checkpoints: the list for those who ask, and the slowest of them. */
#include <stele/checkpoint.h>

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/slowest.h"
#include "store/listing.h"

typedef struct checkpoint_entry {
    stele_checkpoint_info info; /* its texts are set when lent */
    size_t name_at;
    size_t owner_at;
} checkpoint_entry;

struct stele_checkpoints {
    stele__listing list; /* of checkpoint_entry */
    stele_checkpoint_info lent;
};

/* The info's texts are borrowed from the row. */
typedef stele_status (*checkpoint_visitor)(void *context, const stele_checkpoint_info *info);

/* Lanes follow one another, and become one. */
typedef struct checkpoint_walk {
    stele__connection *connection;
    checkpoint_visitor visit;
    void *context;
    bool at_name;
    stele__places_sum sum;      /* of the name at hand */
    stele_checkpoint_info info; /* likewise */
    char name[STELE__OWNER_SIZE];
    char owner[STELE__OWNER_SIZE];
} checkpoint_walk;

/* One that was reset, and that nobody has claimed since, is gone for those who look. */
static stele_status end_name(checkpoint_walk *walk)
{
    const stele__places_sum *sum = &walk->sum;
    stele_checkpoint_info *info = &walk->info;
    if (!walk->at_name || (!sum->found && sum->lanes == 0 && walk->owner[0] == '\0'))
        return STELE_OK;
    info->found = sum->found;
    info->position = sum->position;
    info->saved_at = sum->saved_at;
    info->lost = sum->lost;
    info->shared = sum->shared;
    info->lanes = (uint32_t)sum->lanes;
    return walk->visit(walk->context, info);
}

static void begin_name(checkpoint_walk *walk, const char *name)
{
    walk->at_name = true;
    walk->sum = (stele__places_sum){ 0 };
    walk->owner[0] = '\0';
    walk->info = (stele_checkpoint_info){ .name = walk->name, .owner = walk->owner };
    snprintf(walk->name, sizeof(walk->name), "%s", name);
}

/* Lanes have owners of their own. */
static void take_owner(checkpoint_walk *walk, const stele__place *place)
{
    bool whole = place->lane == 0;
    snprintf(walk->owner, sizeof(walk->owner), "%s", whole ? place->owner : "");
    walk->info.generation = whole ? place->generation : 0;
    walk->info.left_ms = 0;
    if (walk->owner[0] != '\0')
        walk->info.left_ms = (stele__lease_left_us(place->boot, place->lease_until) + 999) / 1000;
}

static stele_status visit_lane(void *context, const char *name, const stele__place *place)
{
    checkpoint_walk *walk = context;
    int64_t shared = 0;
    stele_status status = STELE_OK;
    if (!walk->at_name || strcmp(walk->name, name) != 0) {
        status = end_name(walk);
        if (status != STELE_OK)
            return status;
        begin_name(walk, name);
    }
    status = stele__place_judge(walk->connection, name, place, &shared);
    if (status != STELE_OK && status != STELE_EPOCH)
        return status;
    stele__place_add(&walk->sum, place, status == STELE_EPOCH, shared);
    take_owner(walk, place);
    return STELE_OK;
}

/* By name. Inside a transaction. */
static stele_status visit_checkpoints(stele__connection *connection, checkpoint_visitor visit,
                                      void *context)
{
    checkpoint_walk walk = { .connection = connection, .visit = visit, .context = context };
    stele_status status = stele__place_each(connection, NULL, visit_lane, &walk);
    return status == STELE_OK ? end_name(&walk) : status;
}

/* --- The list --- */

static stele_status keep_checkpoint(void *context, const stele_checkpoint_info *info)
{
    stele__listing *list = context;
    checkpoint_entry entry = { .info = *info };
    stele_status status = stele__listing_add_text(list, info->name, &entry.name_at);
    if (status == STELE_OK)
        status = stele__listing_add_text(list, info->owner, &entry.owner_at);
    return status == STELE_OK ? stele__listing_add(list, &entry, sizeof(entry)) : status;
}

static stele_status read_checkpoints(stele__listing *list, stele__connection *connection)
{
    return visit_checkpoints(connection, keep_checkpoint, list);
}

static const stele__listing_kind checkpoints_list = { sizeof(stele_checkpoints), "checkpoints",
                                                      read_checkpoints };

stele_status stele_store_checkpoints(stele_store *store, stele_checkpoints **checkpoints_out)
{
    stele__listing *list = NULL;
    stele_status status =
        stele__listing_open(store, &checkpoints_list, checkpoints_out == NULL ? NULL : &list);
    if (checkpoints_out != NULL)
        *checkpoints_out = (stele_checkpoints *)list;
    return status;
}

stele_status stele_transaction_checkpoints(stele_transaction *transaction,
                                           stele_checkpoints **checkpoints_out)
{
    stele__listing *list = NULL;
    stele_status status = stele__listing_open_within(transaction, &checkpoints_list,
                                                     checkpoints_out == NULL ? NULL : &list);
    if (checkpoints_out != NULL)
        *checkpoints_out = (stele_checkpoints *)list;
    return status;
}

stele_status stele_checkpoints_next(stele_checkpoints *checkpoints,
                                    const stele_checkpoint_info **info_out)
{
    checkpoint_entry entry;
    if (info_out != NULL)
        *info_out = NULL;
    if (checkpoints == NULL || info_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           checkpoints == NULL ? "checkpoints" : "info_out");
    stele_status status = stele__listing_next(&checkpoints->list, &entry, sizeof(entry));
    if (status != STELE_OK)
        return status;
    checkpoints->lent = entry.info;
    checkpoints->lent.name = checkpoints->list.texts.data + entry.name_at;
    checkpoints->lent.owner = checkpoints->list.texts.data + entry.owner_at;
    *info_out = &checkpoints->lent;
    return STELE_OK;
}

void stele_checkpoints_close(stele_checkpoints *checkpoints)
{
    stele__listing_close((stele__listing *)checkpoints);
}

/* --- The slowest --- */

typedef struct slowest_search {
    stele__connection *connection;
    int64_t saved_since;
    stele__slowest found;
} slowest_search;

/* One of a timeline that was lost lets go of what is shared with this. What waits aside is still to
 * be handled, so what is before the first of that is all that was let go of. */
static stele_status compare_with_slowest(void *context, const stele_checkpoint_info *info)
{
    slowest_search *search = context;
    int64_t passed = info->lost && info->shared < info->position ? info->shared : info->position;
    int64_t parked = 0;
    if (!info->found || info->saved_at < search->saved_since)
        return STELE_OK;
    stele_status status = stele__parked_lowest(search->connection, info->name, &parked);
    if (status != STELE_OK)
        return status;
    if (parked > 0 && parked - 1 < passed)
        passed = parked - 1;
    if (passed >= search->found.position)
        return STELE_OK;
    search->found.found = true;
    search->found.position = passed;
    snprintf(search->found.name, sizeof(search->found.name), "%s", info->name);
    return STELE_OK;
}

stele_status stele__checkpoint_slowest(stele__connection *connection, int64_t saved_since,
                                       stele__slowest *slowest_out)
{
    slowest_search search = { .connection = connection,
                              .saved_since = saved_since,
                              .found = { .position = INT64_MAX } };
    stele_status status = visit_checkpoints(connection, compare_with_slowest, &search);
    *slowest_out = search.found;
    return status;
}
