/*
 * Dealing out lanes.
 *
 * Nobody deals the lanes out. Each member looks at the rows of all members and lanes, in one read,
 * and computes from them what everybody is to have: who has seen the same comes to the same. Who
 * has too much gives up the rest between two batches; who is to have more claims it when it is free
 * and there is work. When two have seen different rows, the claims decide, and the next look mends
 * the rest.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/platform.h"
#include "subscription/group.h"

typedef struct lane_member {
    char owner[STELE__OWNER_SIZE];
    size_t held;  /* lanes that it has */
    size_t share; /* that it is to have */
    size_t dealt; /* that it was dealt so far */
} lane_member;

/* --- Looking --- */

typedef struct group_view {
    stele_subscription *subscription;
    lane_member *members;
    size_t count;
    size_t capacity;
    size_t self;
    size_t lanes_found;
    int64_t expires_in_us;
    bool listed; /* this handle's own row is there, and its lease lasts */
} group_view;

static stele_status add_lane_member(group_view *view, const char *owner)
{
    if (view->count == view->capacity) {
        size_t capacity = view->capacity == 0 ? 8 : 2 * view->capacity;
        lane_member *grown = stele__reallocate(view->members, capacity * sizeof(*grown));
        if (grown == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu members", capacity);
        view->members = grown;
        view->capacity = capacity;
    }
    lane_member *member = &view->members[view->count++];
    *member = (lane_member){ 0 };
    snprintf(member->owner, sizeof(member->owner), "%s", owner);
    return STELE_OK;
}

static void note_expiry(group_view *view, int64_t left_us)
{
    if (left_us < view->expires_in_us)
        view->expires_in_us = left_us;
}

static stele_status visit_group_member(void *context, const stele__member *member)
{
    group_view *view = context;
    bool self = strcmp(member->owner, view->subscription->owner) == 0;
    int64_t left = stele__lease_left_us(member->boot, member->lease_until);
    if (left <= 0)
        return STELE_OK;
    if (self)
        view->listed = true;
    else
        note_expiry(view, left);
    if (self)
        view->self = view->count;
    return add_lane_member(view, member->owner);
}

static size_t find_lane_member(const group_view *view, const char *owner)
{
    for (size_t i = 0; owner[0] != '\0' && i < view->count; i++)
        if (strcmp(view->members[i].owner, owner) == 0)
            return i;
    return STELE__NOBODY;
}

static stele_status visit_group_lane(void *context, const char *name, const stele__place *place)
{
    group_view *view = context;
    stele_subscription *subscription = view->subscription;
    if (place->lane == 0)
        return STELE_OK;
    if (place->lanes != (int64_t)subscription->seat_count || place->lane < 0
        || place->lane > (int64_t)subscription->seat_count)
        return stele__fail(STELE_MISUSE,
                           "the subscription '%s' has %" PRId64 " lanes, asked for were %zu", name,
                           place->lanes, subscription->seat_count);
    int64_t left = stele__lease_left_us(place->boot, place->lease_until);
    bool owned = place->owner[0] != '\0' && left > 0;
    stele__group_lane *lane = &subscription->group->lanes[place->lane - 1];
    *lane =
        (stele__group_lane){ .found = true,
                             .free = !owned,
                             .stopped = place->state == STELE_SUBSCRIPTION_STOPPED,
                             .position = place->position,
                             .holder = owned ? find_lane_member(view, place->owner) : STELE__NOBODY,
                             .dealt_to = STELE__NOBODY };
    if (lane->holder != STELE__NOBODY)
        view->members[lane->holder].held++;
    if (owned && lane->holder != view->self)
        note_expiry(view, left);
    view->lanes_found++;
    return STELE_OK;
}

static stele_status read_group(group_view *view)
{
    stele_subscription *subscription = view->subscription;
    stele_store *store = subscription->store;
    stele__connection *connection = NULL;
    for (size_t i = 0; i < subscription->seat_count; i++)
        subscription->group->lanes[i] = (stele__group_lane){ 0 };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = stele__member_each(connection, subscription->name, visit_group_member, view);
        if (status == STELE_OK)
            status = stele__place_each(connection, subscription->name, visit_group_lane, view);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

/* --- Dealing --- */

/* One lane more than the others get those who have most, so that least is moved. */
static void share_out(group_view *view, size_t lanes)
{
    size_t extra = lanes % view->count;
    for (size_t i = 0; i < view->count; i++)
        view->members[i].share = lanes / view->count;
    for (; extra > 0; extra--) {
        lane_member *most = NULL;
        for (size_t i = 0; i < view->count; i++) {
            lane_member *member = &view->members[i];
            if (member->share == lanes / view->count && (most == NULL || member->held > most->held))
                most = member;
        }
        most->share++;
    }
}

static void deal_lanes(group_view *view)
{
    stele__group_lane *lanes = view->subscription->group->lanes;
    size_t count = view->subscription->seat_count;
    share_out(view, count);
    assert(view->members != NULL);
    for (size_t i = 0; i < count; i++) {
        lane_member *holder =
            lanes[i].holder == STELE__NOBODY ? NULL : &view->members[lanes[i].holder];
        if (holder == NULL || holder->dealt == holder->share)
            continue;
        lanes[i].dealt_to = lanes[i].holder;
        holder->dealt++;
    }
    size_t next = 0;
    for (size_t i = 0; i < count; i++) {
        if (lanes[i].dealt_to != STELE__NOBODY)
            continue;
        while (view->members[next].dealt == view->members[next].share)
            next++;
        lanes[i].dealt_to = next;
        view->members[next].dealt++;
    }
}

/* What this handle is to have of it now. Whether that changes anything. */
static bool mark_seats(group_view *view)
{
    stele_subscription *subscription = view->subscription;
    bool changed = false;
    for (size_t i = 0; i < subscription->seat_count; i++) {
        const stele__group_lane *lane = &subscription->group->lanes[i];
        stele__seat *seat = &subscription->seats[i];
        if (seat->held && lane->holder != view->self && !lane->free)
            stele__seat_lose(subscription, seat);
        /* One that a failure has stopped stops all: everybody is to see it. */
        bool wanted =
            lane->stopped
            || (lane->dealt_to == view->self && (lane->free || lane->holder == view->self));
        if (wanted && !seat->wanted)
            seat->doubt = true; /* what was seen of it is old */
        changed |= wanted != seat->wanted;
        seat->wanted = wanted;
    }
    return changed;
}

stele_status stele__group_look(stele_subscription *subscription)
{
    struct stele__group *group = subscription->group;
    group_view view = { .subscription = subscription,
                        .self = STELE__NOBODY,
                        .expires_in_us = INT64_MAX / 2 };
    uint64_t changes = stele__notifier_changes(subscription->notifier);
    int64_t now = stele__clock_monotonic_us();
    stele_status status = read_group(&view);
    group->looked_us = now;
    if (status == STELE_OK) {
        group->changes_seen = changes;
        group->expires_us = now + view.expires_in_us;
        group->short_of = !view.listed || view.lanes_found < subscription->seat_count;
        if (!group->short_of) {
            deal_lanes(&view);
            bool changed = mark_seats(&view);
            int64_t pause = changed ? STELE__GROUP_PAUSE_US : 2 * group->pause_us;
            group->pause_us = pause > STELE__GROUP_PAUSE_MAX_US ? STELE__GROUP_PAUSE_MAX_US : pause;
        }
    }
    stele__free(view.members);
    return status;
}

bool stele__group_is_through(const stele_subscription *subscription, const stele__seat *seat,
                             int64_t position)
{
    const stele__group_lane *lane = &subscription->group->lanes[seat->lane - 1];
    return lane->found && lane->position >= position;
}

bool stele__group_is_unseen(const stele_subscription *subscription, uint64_t changes)
{
    return subscription->group->changes_seen < changes;
}
