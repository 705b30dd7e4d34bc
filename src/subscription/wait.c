/* Waiting until subscriptions have got somewhere, and letting one go on that was stopped. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/platform.h"
#include "store/fence.h"
#include "subscription/own.h"

/* --- Waiting --- */

/* Where one of them is. */
typedef struct wait_look {
    stele__connection *connection;
    int64_t wanted;
    int64_t lanes; /* rows there are to be */
    int64_t rows;  /* of lanes, that were saved */
    bool found;
    bool refused;
    int64_t position; /* the least */
    int64_t error_position;
    char error[STELE__REASON_SIZE];
} wait_look;

static stele_status look_at_lane(void *context, const char *name, const stele__place *place)
{
    wait_look *look = context;
    int64_t shared = 0;
    if (place->lane > 0)
        look->lanes = place->lanes;
    if (place->position < 0 && place->owner[0] == '\0' && place->lane == 0)
        return STELE_OK; /* only its generation is left, or it has lanes */
    look->found = true;
    stele_status status = stele__place_judge(look->connection, name, place, &shared);
    if (status != STELE_OK)
        return status;
    int64_t position = place->position < 0 ? 0 : place->position;
    if (position < look->position)
        look->position = position;
    if (place->lane > 0 && place->position >= 0)
        look->rows++;
    if (position < look->wanted && place->state == STELE_SUBSCRIPTION_STOPPED) {
        look->refused = true;
        look->error_position = place->error_position;
        snprintf(look->error, sizeof(look->error), "%s", place->error);
    }
    return STELE_OK;
}

static stele_status look_at_name(stele__connection *connection, const char *name, int64_t wanted,
                                 int64_t *position_out)
{
    wait_look look = { .connection = connection, .wanted = wanted, .position = INT64_MAX };
    stele_status status = stele__place_each(connection, name, look_at_lane, &look);
    if (status != STELE_OK)
        return status;
    if (!look.found)
        return stele__fail(STELE_NOT_FOUND, "there is no subscription '%s'", name);
    if (look.refused)
        return stele__fail(STELE_REFUSED,
                           "the subscription '%s' was stopped by the event at position %" PRId64
                           ": %s",
                           name, look.error_position, look.error);
    *position_out = look.rows < look.lanes ? 0 : look.position;
    return STELE_OK;
}

/* Who is furthest behind. */
typedef struct wait_slowest {
    const char *name;
    int64_t position;
} wait_slowest;

static stele_status find_slowest(stele_store *store, const char *const *names, size_t count,
                                 int64_t wanted, wait_slowest *slowest)
{
    stele__connection *connection = NULL;
    slowest->position = INT64_MAX;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        for (size_t i = 0; i < count && status == STELE_OK; i++) {
            int64_t position = 0;
            status = look_at_name(connection, names[i], wanted, &position);
            if (status == STELE_OK && position < slowest->position)
                *slowest = (wait_slowest){ names[i], position };
        }
        if (status == STELE_OK && slowest->position < wanted) { /* nobody gets any further here */
            status = stele__fence_tell(connection->database);
            status = status == STELE_FENCED ? STELE_OK : status;
        }
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

static stele_status check_names_waited_for(stele_store *store, const char *const *names,
                                           size_t count, int64_t position)
{
    if (store == NULL)
        return stele__fail(STELE_MISUSE, "store is NULL");
    stele_status status = stele__store_check(store);
    if (status == STELE_OK && (names == NULL || count == 0))
        status = stele__fail(STELE_MISUSE, "no subscription is named to wait for");
    if (status == STELE_OK && position < 0)
        status = stele__fail(STELE_MISUSE, "position %" PRId64 " is negative", position);
    for (size_t i = 0; i < count && status == STELE_OK; i++)
        status = stele__check_name("subscription", names[i]);
    if (status == STELE_OK && atomic_load(&store->writer_thread) == stele__thread_id())
        status = stele__fail(STELE_MISUSE, "this thread has a transaction open: nobody could get"
                                           " there before it ends");
    return status;
}

static stele_status tell_slowest(const wait_slowest *slowest, int64_t position)
{
    return stele__fail(STELE_TIMED_OUT,
                       "the subscription '%s' is at %" PRId64 ", %" PRId64
                       " events before position %" PRId64,
                       slowest->name, slowest->position, position - slowest->position, position);
}

stele_status stele_subscription_wait_for(stele_store *store, const char *const *names, size_t count,
                                         int64_t position, const stele_wait *wait)
{
    stele__patience patience;
    stele_notifier *notifier = NULL;
    stele_status status = check_names_waited_for(store, names, count, position);
    if (status == STELE_OK)
        status = stele__patience_begin(&patience, wait, UINT32_MAX, &store->closing);
    if (status == STELE_OK)
        status = stele_store_notifier(store, &notifier);
    while (status == STELE_OK) {
        wait_slowest slowest = { names[0], 0 };
        /* What changes after this look ends the wait below. */
        const uint64_t changes = stele__notifier_changes(notifier);
        status = find_slowest(store, names, count, position, &slowest);
        if (status != STELE_OK || slowest.position >= position)
            return status;
        stele__waking waking = { .after = INT64_MAX, .change = &changes };
        status = stele__notifier_await(notifier, &waking, INT64_MAX, &patience);
        if (status == STELE_BUSY)
            return tell_slowest(&slowest, position);
    }
    return status;
}

/* --- Going on --- */

typedef struct clear_search {
    stele__connection *connection;
    bool found;
    int64_t lane; /* of the next one that is stopped; -1: none is */
} clear_search;

static stele_status find_stopped(void *context, const char *name, const stele__place *place)
{
    clear_search *search = context;
    (void)name;
    search->found |= place->lane > 0 || place->position >= 0 || place->owner[0] != '\0';
    if (place->state != STELE_SUBSCRIPTION_STOPPED)
        return STELE_OK;
    search->lane = place->lane;
    return STELE_DONE; /* one is enough */
}

/* Whether something was changed. */
static stele_status clear_stopped(stele__connection *connection, const char *name,
                                  bool *changed_out)
{
    *changed_out = false;
    for (;;) {
        clear_search search = { .connection = connection, .lane = -1 };
        stele__place place;
        bool found = false;
        stele_status status = stele__place_each(connection, name, find_stopped, &search);
        if (status == STELE_OK && !search.found && search.lane < 0)
            status = stele__fail(STELE_NOT_FOUND, "there is no subscription '%s'", name);
        if (status != STELE_OK || search.lane < 0)
            return status;
        status = stele__place_load(connection, name, search.lane, &place, &found);
        if (status != STELE_OK)
            return status;
        place.state = STELE_SUBSCRIPTION_IDLE;
        place.attempts = 0;
        status = stele__place_store(connection, name, &place);
        if (status != STELE_OK)
            return status;
        *changed_out = true;
    }
}

stele_status stele_subscription_clear(stele_store *store, const char *name)
{
    stele__connection *connection = NULL;
    bool changed = false;
    stele_status status = stele__check_name("subscription", name);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = clear_stopped(connection, name, &changed);
        if (status == STELE_OK && changed)
            status = stele__write_commit(store);
        stele__write_end(store);
    }
    stele__store_leave(store);
    return status;
}
