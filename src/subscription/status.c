/* What is known of subscriptions from their rows, whoever works on them. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "store/listing.h"
#include "subscription/own.h"

/* --- The list --- */

typedef struct status_entry {
    stele_subscription_info info; /* its texts are set when lent */
    size_t name_at;
    size_t owner_at;
    size_t error_at;
} status_entry;

struct stele_subscriptions {
    stele__listing list; /* of status_entry */
    stele_subscription_info lent;
};

/* What is asked for; the list knows it while it is read. */
typedef struct status_question {
    stele__listing_kind kind;
    const char *name;
    bool lanes;
} status_question;

/* One place as it will be shown. Lanes wait here until their whole is known. */
typedef struct status_row {
    stele_subscription_info info;
    int64_t passed; /* where it is on this timeline */
    char owner[STELE__OWNER_SIZE];
    char error[STELE__REASON_SIZE];
} status_row;

typedef struct status_walk {
    stele__listing *list;
    stele__connection *connection;
    const status_question *question;
    int64_t head;
    int64_t now;
    bool at_name;
    char name[STELE__OWNER_SIZE];
    status_row whole;
    bool found;
    stele__buffer lanes; /* of status_row */
} status_walk;

/* --- One place --- */

static stele_subscription_state judge_state(const stele__place *place, const status_row *row)
{
    if (place->state == STELE_SUBSCRIPTION_STOPPED || place->state == STELE_SUBSCRIPTION_RETRYING)
        return (stele_subscription_state)place->state;
    if (place->owner[0] == '\0')
        return STELE_SUBSCRIPTION_IDLE;
    if (row->info.lag == 0)
        return STELE_SUBSCRIPTION_LIVE;
    return row->info.lease_left_ms > 0 ? STELE_SUBSCRIPTION_CATCHING : STELE_SUBSCRIPTION_IDLE;
}

/* How far it is behind, and since when. */
static stele_status measure_lag(status_walk *walk, status_row *row)
{
    stele_subscription_info *info = &row->info;
    int64_t since = 0;
    info->head = walk->head;
    info->lag = walk->head > row->passed ? walk->head - row->passed : 0;
    info->lag_us = 0;
    if (info->lag == 0)
        return STELE_OK;
    stele_status status = stele__place_waiting_since(walk->connection, row->passed, &since);
    if (since > 0 && since < walk->now)
        info->lag_us = walk->now - since;
    return status;
}

static stele_status describe_place(status_walk *walk, const stele__place *place, status_row *row)
{
    int64_t shared = 0;
    stele_subscription_info *info = &row->info;
    stele_status status = stele__place_judge(walk->connection, walk->name, place, &shared);
    if (status != STELE_OK && status != STELE_EPOCH)
        return status;
    info->lost = status == STELE_EPOCH;
    info->lanes = (uint32_t)place->lanes;
    info->lane = (uint32_t)place->lane;
    info->position = place->position < 0 ? 0 : place->position;
    info->rate = place->rate;
    info->lag_change = place->lag - place->lag_before;
    info->generation = place->generation;
    info->beat_at = place->beat_at;
    info->attempts = place->attempts;
    info->error_position = place->error_position;
    info->error_at = place->error_at;
    info->effects_after = place->effects_after;
    info->saved_at = place->saved_at;
    snprintf(row->owner, sizeof(row->owner), "%s", place->owner);
    snprintf(row->error, sizeof(row->error), "%s", place->error);
    if (place->owner[0] != '\0')
        info->lease_left_ms = (stele__lease_left_us(place->boot, place->lease_until) + 999) / 1000;
    row->passed = info->lost && shared < info->position ? shared : info->position;
    status = measure_lag(walk, row);
    info->state = judge_state(place, row);
    return status;
}

/* --- Lanes as one --- */

/* The worst of lanes is told: one where nobody works on what there is, is worse than one that
 * catches up. */
static int severity_of(const stele_subscription_info *info)
{
    switch (info->state) {
    case STELE_SUBSCRIPTION_STOPPED: return 5;
    case STELE_SUBSCRIPTION_RETRYING: return 4;
    case STELE_SUBSCRIPTION_CATCHING: return 2;
    case STELE_SUBSCRIPTION_LIVE: return 1;
    case STELE_SUBSCRIPTION_IDLE: break;
    }
    return info->lag > 0 ? 3 : 0;
}

static int64_t larger_of(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

static void add_lane(status_row *whole, const status_row *lane)
{
    stele_subscription_info *sum = &whole->info;
    const stele_subscription_info *info = &lane->info;
    if (severity_of(info) > severity_of(sum))
        sum->state = info->state;
    if (info->position < sum->position)
        sum->position = info->position;
    if (lane->passed < whole->passed)
        whole->passed = lane->passed;
    if (info->rate < sum->rate)
        sum->rate = info->rate;
    if (info->effects_after < sum->effects_after)
        sum->effects_after = info->effects_after;
    if (info->error_at > sum->error_at) {
        snprintf(whole->error, sizeof(whole->error), "%s", lane->error);
        sum->error_at = info->error_at;
        sum->error_position = info->error_position;
    }
    sum->lag = larger_of(sum->lag, info->lag);
    sum->lag_us = larger_of(sum->lag_us, info->lag_us);
    sum->lag_change = larger_of(sum->lag_change, info->lag_change);
    sum->attempts = larger_of(sum->attempts, info->attempts);
    sum->beat_at = larger_of(sum->beat_at, info->beat_at);
    sum->saved_at = larger_of(sum->saved_at, info->saved_at);
    sum->lost |= info->lost;
}

static stele_status fold_lanes(status_walk *walk)
{
    size_t count = walk->lanes.size / sizeof(status_row);
    status_row *whole = &walk->whole;
    for (size_t i = 0; i < count; i++) {
        status_row lane;
        memcpy(&lane, walk->lanes.data + i * sizeof(lane), sizeof(lane));
        if (i == 0) {
            *whole = lane;
            /* Each lane has an owner of its own. */
            whole->owner[0] = '\0';
            whole->info.lane = 0;
            whole->info.generation = 0;
            whole->info.lease_left_ms = 0;
        } else {
            add_lane(whole, &lane);
        }
    }
    /* Lanes that have no row yet have not begun. */
    if (count == 0 || count >= whole->info.lanes)
        return STELE_OK;
    whole->info.position = 0;
    whole->passed = 0;
    return measure_lag(walk, whole);
}

/* --- What is parked --- */

static stele_status count_for_lane(void *context, const stele__parked *parked)
{
    status_walk *walk = context;
    int64_t stream_id = 0;
    uint32_t lanes = walk->whole.info.lanes;
    stele_status status = stele__parked_stream_id(walk->connection, parked->key, &stream_id);
    if (status != STELE_OK)
        return status;
    uint32_t lane = stele__lane_of(stream_id, lanes);
    for (size_t at = 0; at < walk->lanes.size; at += sizeof(status_row)) {
        status_row row;
        memcpy(&row, walk->lanes.data + at, sizeof(row));
        if (row.info.lane != lane)
            continue;
        if (parked->behind == 0)
            row.info.parked++;
        else
            row.info.waiting++;
        memcpy(walk->lanes.data + at, &row, sizeof(row));
    }
    return STELE_OK;
}

static stele_status count_parked(status_walk *walk)
{
    int64_t count = 0;
    stele_subscription_info *info = &walk->whole.info;
    stele_status status = stele__parked_count(walk->connection, walk->name, &count, &info->parked);
    info->waiting = count - info->parked;
    if (status == STELE_OK && count > 0 && walk->question->lanes && walk->lanes.size > 0)
        status = stele__parked_each(walk->connection, walk->name, NULL, 0, count_for_lane, walk);
    return status;
}

/* --- The walk --- */

static stele_status list_row(status_walk *walk, const status_row *row, size_t name_at)
{
    status_entry entry = { .info = row->info, .name_at = name_at };
    stele_status status = stele__listing_add_text(walk->list, row->owner, &entry.owner_at);
    if (status == STELE_OK)
        status = stele__listing_add_text(walk->list, row->error, &entry.error_at);
    return status == STELE_OK ? stele__listing_add(walk->list, &entry, sizeof(entry)) : status;
}

static stele_status end_status_name(status_walk *walk)
{
    size_t name_at = 0;
    if (!walk->at_name)
        return STELE_OK;
    stele_status status = fold_lanes(walk);
    /* One that was reset, and that nobody has claimed since, is gone for those who look. */
    if (status != STELE_OK || (!walk->found && walk->lanes.size == 0))
        return status;
    status = count_parked(walk);
    if (status == STELE_OK)
        status = stele__listing_add_text(walk->list, walk->name, &name_at);
    if (status == STELE_OK)
        status = list_row(walk, &walk->whole, name_at);
    for (size_t at = 0; at < walk->lanes.size && walk->question->lanes && status == STELE_OK;
         at += sizeof(status_row)) {
        status_row row;
        memcpy(&row, walk->lanes.data + at, sizeof(row));
        status = list_row(walk, &row, name_at);
    }
    return status;
}

static stele_status visit_status_place(void *context, const char *name, const stele__place *place)
{
    status_walk *walk = context;
    status_row row = { 0 };
    if (!walk->at_name || strcmp(walk->name, name) != 0) {
        stele_status ended = end_status_name(walk);
        if (ended != STELE_OK)
            return ended;
        walk->at_name = true;
        walk->found = false;
        walk->lanes.size = 0;
        walk->whole = (status_row){ 0 };
        snprintf(walk->name, sizeof(walk->name), "%s", name);
    }
    stele_status status = describe_place(walk, place, &row);
    if (status != STELE_OK)
        return status;
    if (place->lane > 0)
        return stele__buffer_add(&walk->lanes, &row, sizeof(row));
    walk->found = place->position >= 0 || place->owner[0] != '\0';
    walk->whole = row;
    return STELE_OK;
}

static stele_status read_statuses(stele__listing *list, stele__connection *connection)
{
    const status_question *question = (const status_question *)list->kind;
    status_walk walk = { .list = list,
                         .connection = connection,
                         .question = question,
                         .now = stele__store_now(list->store) };
    stele_status status = stele__database_number(
        connection->database, "SELECT coalesce(max(position), 0) FROM events", &walk.head);
    if (status == STELE_OK)
        status = stele__place_each(connection, question->name, visit_status_place, &walk);
    if (status == STELE_OK)
        status = end_status_name(&walk);
    stele__buffer_dispose(&walk.lanes);
    return status;
}

stele_status stele_store_subscriptions(stele_store *store, const char *name, bool lanes,
                                       stele_subscriptions **subscriptions_out)
{
    status_question question = { { sizeof(stele_subscriptions), "subscriptions", read_statuses },
                                 name,
                                 lanes };
    stele__listing *list = NULL;
    stele_status status = name == NULL ? STELE_OK : stele__check_name("subscription", name);
    if (status == STELE_OK)
        status =
            stele__listing_open(store, &question.kind, subscriptions_out == NULL ? NULL : &list);
    if (subscriptions_out != NULL)
        *subscriptions_out = (stele_subscriptions *)list;
    return status;
}

stele_status stele_subscriptions_next(stele_subscriptions *subscriptions,
                                      const stele_subscription_info **info_out)
{
    status_entry entry;
    if (info_out != NULL)
        *info_out = NULL;
    if (subscriptions == NULL || info_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           subscriptions == NULL ? "subscriptions" : "info_out");
    stele_status status = stele__listing_next(&subscriptions->list, &entry, sizeof(entry));
    if (status != STELE_OK)
        return status;
    subscriptions->lent = entry.info;
    subscriptions->lent.name = subscriptions->list.texts.data + entry.name_at;
    subscriptions->lent.owner = subscriptions->list.texts.data + entry.owner_at;
    subscriptions->lent.error = subscriptions->list.texts.data + entry.error_at;
    *info_out = &subscriptions->lent;
    return STELE_OK;
}

void stele_subscriptions_close(stele_subscriptions *subscriptions)
{
    stele__listing_close((stele__listing *)subscriptions);
}

/* --- This handle's own --- */

/* What was described last, kept for who asked. */
struct stele__described {
    stele_subscription_info info;
    stele_subscriptions *list; /* has the texts; NULL: of one without a name */
};

void stele__described_free(struct stele__described *described)
{
    if (described != NULL)
        stele_subscriptions_close(described->list);
    stele__free(described);
}

/* Nothing is kept of it in the store. Threads other than its own may ask. */
static stele_status describe_nameless(stele_subscription *subscription,
                                      stele_subscription_info *info)
{
    int64_t head = 0;
    stele_status status = stele_store_head(subscription->store, &head);
    if (status != STELE_OK)
        return status;
    int64_t position = atomic_load(&subscription->known_position);
    if (position < 0)
        return stele__fail(STELE_NOT_FOUND, "the subscription has not begun");
    *info = (stele_subscription_info){ .name = "", .owner = subscription->owner, .error = "" };
    info->position = position;
    info->head = head;
    info->lag = head > position ? head - position : 0;
    info->state = info->lag == 0 ? STELE_SUBSCRIPTION_LIVE : STELE_SUBSCRIPTION_CATCHING;
    return STELE_OK;
}

static stele_status describe_named(stele_subscription *subscription,
                                   struct stele__described *described)
{
    const stele_subscription_info *info = NULL;
    stele_subscriptions *list = NULL;
    stele_status status =
        stele_store_subscriptions(subscription->store, subscription->name, false, &list);
    if (status == STELE_OK)
        status = stele_subscriptions_next(list, &info);
    if (status == STELE_DONE)
        status =
            stele__fail(STELE_NOT_FOUND, "the subscription '%s' has not begun", subscription->name);
    if (status != STELE_OK) {
        stele_subscriptions_close(list);
        return status;
    }
    stele_subscriptions_close(described->list);
    described->list = list;
    described->info = *info;
    return STELE_OK;
}

stele_status stele_subscription_describe(stele_subscription *subscription,
                                         const stele_subscription_info **info_out)
{
    if (info_out != NULL)
        *info_out = NULL;
    if (subscription == NULL || info_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           subscription == NULL ? "subscription" : "info_out");
    if (subscription->described == NULL)
        subscription->described = stele__allocate_array(1, sizeof(*subscription->described));
    struct stele__described *described = subscription->described;
    if (described == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory to describe a subscription");
    stele_status status = subscription->name == NULL
                              ? describe_nameless(subscription, &described->info)
                              : describe_named(subscription, described);
    if (status == STELE_OK)
        *info_out = &described->info;
    return status;
}
