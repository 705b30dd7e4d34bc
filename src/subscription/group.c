/* Lanes: being a member of a group. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/platform.h"
#include "subscription/group.h"

#define BRIEF_WAIT_MS 250u

static int64_t lease_length_us(const stele_subscription *subscription)
{
    return (int64_t)subscription->options.lease_ms * 1000;
}

stele_status stele__group_begin(stele_subscription *subscription)
{
    size_t size =
        sizeof(struct stele__group) + subscription->seat_count * sizeof(stele__group_lane);
    subscription->group = stele__allocate_array(1, size);
    return subscription->group == NULL ? stele__fail(STELE_NO_MEMORY, "no memory for lanes")
                                       : STELE_OK;
}

/* --- Writing --- */

typedef enum group_purpose {
    GROUP_BEAT,     /* renew everything this handle has, and say that it is there */
    GROUP_FLUSH,    /* note how far it got */
    GROUP_HAND_OVER /* give up what it isn't to have */
} group_purpose;

/* What it may be committed to; -1: as it is. */
static int64_t flush_position(const stele_subscription *subscription, const stele__seat *seat)
{
    int64_t reached = stele__seat_reached(subscription, seat);
    return reached > seat->position ? reached : -1;
}

static stele__seat_edit make_edit(const stele_subscription *subscription, const stele__seat *seat,
                                  bool release)
{
    int64_t to = flush_position(subscription, seat);
    bool trouble = to < 0 && seat->attempts > 0;
    return (stele__seat_edit){ .to = to,
                               .attempts = trouble ? seat->attempts : 0,
                               .retrying = trouble && !release,
                               .attempting = !release,
                               .release = release };
}

/* Nothing of it changes but its lease. */
static stele_status renew_seat(stele_subscription *subscription, stele__seat *seat,
                               stele__connection *connection)
{
    stele__place place;
    bool found = false;
    stele_status status =
        stele__place_load(connection, subscription->name, seat->lane, &place, &found);
    if (status != STELE_OK)
        return status;
    if (place.generation != seat->generation || place.owner[0] == '\0')
        return stele__fail(STELE_FENCED, "lane %" PRIu32 " of '%s' was taken over by '%s'",
                           seat->lane, subscription->name, place.owner);
    stele__place_renew(subscription->store, &place, subscription->options.lease_ms);
    return stele__place_store(connection, subscription->name, &place);
}

static bool takes_part(const stele_subscription *subscription, const stele__seat *seat,
                       group_purpose purpose)
{
    if (!seat->held)
        return false;
    if (purpose == GROUP_BEAT)
        return true;
    if (seat->doubt)
        return false;
    return purpose == GROUP_HAND_OVER ? !seat->wanted : flush_position(subscription, seat) >= 0;
}

static bool only_renews(const stele_subscription *subscription, const stele__seat *seat,
                        group_purpose purpose)
{
    return purpose == GROUP_BEAT && (seat->doubt || flush_position(subscription, seat) < 0);
}

static stele_status write_seats(stele_subscription *subscription, stele__connection *connection,
                                group_purpose purpose, stele__seat **seat_out)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < subscription->seat_count && status == STELE_OK; i++) {
        stele__seat *seat = &subscription->seats[i];
        if (!takes_part(subscription, seat, purpose))
            continue;
        *seat_out = seat;
        if (only_renews(subscription, seat, purpose)) {
            status = renew_seat(subscription, seat, connection);
            continue;
        }
        stele__seat_edit edit = make_edit(subscription, seat, purpose == GROUP_HAND_OVER);
        status = stele__seat_write_within(subscription, seat, connection, &edit);
    }
    return status;
}

static void note_written(stele_subscription *subscription, group_purpose purpose)
{
    for (size_t i = 0; i < subscription->seat_count; i++) {
        stele__seat *seat = &subscription->seats[i];
        if (!takes_part(subscription, seat, purpose))
            continue;
        if (only_renews(subscription, seat, purpose)) {
            seat->lease_renew_us = stele__clock_monotonic_us() + lease_length_us(subscription) / 2;
            continue;
        }
        bool release = purpose == GROUP_HAND_OVER;
        stele__seat_edit edit = make_edit(subscription, seat, release);
        stele__seat_written(subscription, seat, &edit);
        if (release)
            seat->loaded = false;
    }
}

/* Whether it came to be isn't known. */
static void doubt_seats(stele_subscription *subscription, group_purpose purpose)
{
    for (size_t i = 0; i < subscription->seat_count; i++)
        if (takes_part(subscription, &subscription->seats[i], purpose))
            subscription->seats[i].doubt = true;
}

/* --- Members --- */

/* Rows of members that have ended: a few at a time. */
typedef struct ended_members {
    const char *self;
    size_t count;
    char owners[8][STELE__OWNER_SIZE];
} ended_members;

static stele_status visit_ended(void *context, const stele__member *member)
{
    ended_members *ended = context;
    if (ended->count < sizeof(ended->owners) / sizeof(ended->owners[0])
        && strcmp(member->owner, ended->self) != 0
        && stele__lease_left_us(member->boot, member->lease_until) <= 0)
        snprintf(ended->owners[ended->count++], sizeof(ended->owners[0]), "%s", member->owner);
    return STELE_OK;
}

static stele_status remove_ended(stele_subscription *subscription, stele__connection *connection)
{
    ended_members ended = { .self = subscription->owner };
    stele_status status = stele__member_each(connection, subscription->name, visit_ended, &ended);
    for (size_t i = 0; i < ended.count && status == STELE_OK; i++)
        status = stele__member_remove(connection, subscription->name, ended.owners[i]);
    return status;
}

/* All lanes at once, from the same position, each with a generation that was never given. */
static stele_status make_lanes(stele_subscription *subscription, stele__connection *connection)
{
    const char *name = subscription->name;
    stele__place whole;
    bool found = false;
    stele_status status = stele__place_load(connection, name, 0, &whole, &found);
    if (status == STELE_OK && whole.position >= 0)
        return stele__fail(STELE_MISUSE, "the subscription '%s' has no lanes, asked for were %zu",
                           name, subscription->seat_count);
    if (status == STELE_OK && found)
        status = stele__place_remove(connection, name, 0);
    for (size_t i = 0; i < subscription->seat_count && status == STELE_OK; i++) {
        stele__place place = { .lane = (int64_t)i + 1,
                               .lanes = (int64_t)subscription->seat_count,
                               .generation = whole.generation };
        status = stele__seat_move_place(subscription, connection, &place, subscription->start_at);
        if (status == STELE_OK)
            status = stele__place_store(connection, name, &place);
    }
    return status;
}

static stele_status join_group(stele_subscription *subscription, stele__connection *connection)
{
    struct stele__group *group = subscription->group;
    int64_t lanes = 0;
    stele_status status = stele__place_lanes(connection, subscription->name, &lanes);
    if (status == STELE_OK && lanes == 0)
        status = make_lanes(subscription, connection);
    else if (status == STELE_OK && lanes != (int64_t)subscription->seat_count)
        status = stele__fail(STELE_MISUSE,
                             "the subscription '%s' has %" PRId64 " lanes, asked for were %zu",
                             subscription->name, lanes, subscription->seat_count);
    if (status == STELE_OK && group->joined_at == 0)
        group->joined_at = stele__store_now(subscription->store);
    return status;
}

static stele_status store_member(stele_subscription *subscription, stele__connection *connection)
{
    stele__member member = { .lease_until = stele__lease_now_us() + lease_length_us(subscription),
                             .joined_at = subscription->group->joined_at };
    snprintf(member.owner, sizeof(member.owner), "%s", subscription->owner);
    stele__lease_boot(member.boot);
    return stele__member_store(connection, subscription->name, &member);
}

/* --- In one commit --- */

static stele_status write_purpose(stele_subscription *subscription, stele__connection *connection,
                                  group_purpose purpose, stele__seat **seat_out)
{
    struct stele__group *group = subscription->group;
    stele_status status = STELE_OK;
    if (purpose == GROUP_BEAT && (!group->joined || group->short_of))
        status = join_group(subscription, connection);
    if (status == STELE_OK && purpose == GROUP_BEAT)
        status = store_member(subscription, connection);
    if (status == STELE_OK && purpose == GROUP_BEAT)
        status = remove_ended(subscription, connection);
    return status == STELE_OK ? write_seats(subscription, connection, purpose, seat_out) : status;
}

static stele_status commit_lanes_once(stele_subscription *subscription, group_purpose purpose,
                                      const stele_wait *wait, stele__seat **seat_out)
{
    stele_store *store = subscription->store;
    stele__connection *connection = NULL;
    *seat_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin(store, wait, &connection);
    if (status == STELE_OK) {
        status = write_purpose(subscription, connection, purpose, seat_out);
        if (status == STELE_OK)
            status = stele__write_commit(store);
        if (status == STELE_OK)
            note_written(subscription, purpose);
        else if (status == STELE_UNKNOWN_OUTCOME)
            doubt_seats(subscription, purpose);
        stele__write_end(store);
    }
    stele__store_leave(store);
    return status;
}

/* What another has taken, or somebody has moved, is left out, and looked at later. */
static stele_status commit_lanes(stele_subscription *subscription, group_purpose purpose,
                                 const stele_wait *wait)
{
    for (;;) {
        stele__seat *seat = NULL;
        stele_status status = commit_lanes_once(subscription, purpose, wait, &seat);
        if (seat == NULL || (status != STELE_FENCED && status != STELE_CONFLICT))
            return status;
        if (status == STELE_FENCED)
            stele__seat_lose(subscription, seat);
        else
            seat->doubt = true;
    }
}

stele_status stele__lanes_flush(stele_subscription *subscription, const stele_wait *wait)
{
    return commit_lanes(subscription, GROUP_FLUSH, wait);
}

static stele_status beat_group(stele_subscription *subscription, const stele_wait *wait)
{
    struct stele__group *group = subscription->group;
    bool joins = !group->joined || group->short_of;
    int64_t now = stele__clock_monotonic_us();
    stele_status status = commit_lanes(subscription, GROUP_BEAT, wait);
    if (status != STELE_OK)
        return status;
    group->joined = true;
    group->short_of = false;
    group->beat_us = now + lease_length_us(subscription) / 3;
    group->lease_us = now + lease_length_us(subscription);
    if (joins) {
        group->pause_us = STELE__GROUP_PAUSE_US;
        group->expires_us = 0; /* look at once */
    }
    return STELE_OK;
}

static bool has_surplus(const stele_subscription *subscription)
{
    for (size_t i = 0; i < subscription->seat_count; i++)
        if (subscription->seats[i].held && !subscription->seats[i].wanted)
            return true;
    return false;
}

/* What was done with a lane is settled before it is given up. */
static stele_status hand_over(stele_subscription *subscription, const stele_wait *wait)
{
    for (size_t i = 0; i < subscription->seat_count; i++) {
        stele__seat *seat = &subscription->seats[i];
        bool open = false;
        int64_t until = INT64_MAX;
        stele_status status = STELE_OK;
        if (seat->held && !seat->wanted && seat->doubt)
            status = stele__seat_look(subscription, seat, &open, &until);
        if (status != STELE_OK)
            return status;
    }
    return commit_lanes(subscription, GROUP_HAND_OVER, wait);
}

/* As long as there is time to try again, others that write are waited for only in passing. */
static stele_wait wait_briefly(const stele_subscription *subscription, const stele_wait *wait)
{
    const struct stele__group *group = subscription->group;
    stele_wait brief = STELE_WAIT_INIT;
    if (wait != NULL)
        brief = *wait;
    bool urgent =
        !group->joined || group->short_of
        || stele__clock_monotonic_us() > group->lease_us - lease_length_us(subscription) / 2;
    if (!urgent && brief.timeout_ms > BRIEF_WAIT_MS)
        brief.timeout_ms = BRIEF_WAIT_MS;
    return brief;
}

static stele_status balance_now(stele_subscription *subscription, const stele_wait *given)
{
    struct stele__group *group = subscription->group;
    stele_wait brief = wait_briefly(subscription, given);
    const stele_wait *wait = &brief;
    stele_status status = STELE_OK;
    int64_t now = stele__clock_monotonic_us();
    bool changed =
        stele__group_is_unseen(subscription, stele__notifier_changes(subscription->notifier));
    if (!group->joined || group->short_of || now >= group->beat_us)
        status = beat_group(subscription, wait);
    if (status == STELE_OK
        && (now >= group->expires_us || (changed && now >= group->looked_us + group->pause_us)))
        status = stele__group_look(subscription);
    if (status == STELE_OK && has_surplus(subscription))
        status = hand_over(subscription, wait);
    return status;
}

/* It passes, and this handle can go on with what it has: it is tried again in a while. */
static bool can_go_on(stele_subscription *subscription, stele_status status)
{
    struct stele__group *group = subscription->group;
    int64_t lease = lease_length_us(subscription);
    int64_t now = stele__clock_monotonic_us();
    if (!stele__is_passing(status) || !group->joined || group->short_of
        || now > group->lease_us - lease / 6)
        return false;
    if (now >= group->beat_us)
        group->beat_us = now + lease / 30;
    if (now >= group->expires_us)
        group->expires_us = now + STELE__GROUP_PAUSE_US;
    return true;
}

stele_status stele__group_balance(stele_subscription *subscription, const stele_wait *wait,
                                  int64_t *until_us)
{
    struct stele__group *group = subscription->group;
    stele_status status = balance_now(subscription, wait);
    if (status != STELE_OK && !can_go_on(subscription, status))
        return status;
    int64_t due = group->beat_us < group->expires_us ? group->beat_us : group->expires_us;
    if (group->short_of || has_surplus(subscription))
        due = stele__clock_monotonic_us() + (group->short_of ? 0 : STELE__GROUP_PAUSE_US);
    if (stele__group_is_unseen(subscription, stele__notifier_changes(subscription->notifier))
        && group->looked_us + group->pause_us < due)
        due = group->looked_us + group->pause_us;
    if (due < *until_us)
        *until_us = due;
    return STELE_OK;
}

/* --- Leaving --- */

static stele_status remove_self(stele_subscription *subscription, const stele_wait *wait)
{
    stele_store *store = subscription->store;
    stele__connection *connection = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin(store, wait, &connection);
    if (status == STELE_OK) {
        status = stele__member_remove(connection, subscription->name, subscription->owner);
        if (status == STELE_OK)
            status = stele__write_commit(store);
        stele__write_end(store);
    }
    stele__store_leave(store);
    return status;
}

void stele__group_end(stele_subscription *subscription, const stele_wait *wait)
{
    if (!subscription->group->joined)
        return;
    for (size_t i = 0; i < subscription->seat_count; i++)
        subscription->seats[i].wanted = false;
    hand_over(subscription, wait);
    remove_self(subscription, wait);
    subscription->group->joined = false;
}
