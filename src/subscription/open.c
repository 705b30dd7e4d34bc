/* Opening a subscription, closing it, and telling it to stop. */
#include "subscription/own.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"

#define BATCH_COUNT_LIMIT 100000u
#define BATCH_SIZE_LIMIT  (64u * 1024 * 1024)
/* How long closing waits for other writers. */
#define SUBSCRIPTION_CLOSE_WAIT_MS 5000

void stele_subscription_options_init(stele_subscription_options *options)
{
    *options = (stele_subscription_options)STELE_SUBSCRIPTION_OPTIONS_INIT;
}

/* --- Checking --- */

static stele_status check_numbers(const stele_subscription_options *options)
{
    if (options->batch_count_max < 1 || options->batch_count_max > BATCH_COUNT_LIMIT)
        return stele__fail(STELE_MISUSE, "batch_count_max is %" PRIu32 ", not within 1 and %u",
                           options->batch_count_max, BATCH_COUNT_LIMIT);
    if (options->batch_size_max < 1 || options->batch_size_max > BATCH_SIZE_LIMIT)
        return stele__fail(STELE_MISUSE, "batch_size_max is %" PRIu32 ", not within 1 and %u",
                           options->batch_size_max, BATCH_SIZE_LIMIT);
    if (options->tries < 1)
        return stele__fail(STELE_MISUSE, "tries is 0");
    if (options->backoff_ms > options->backoff_max_ms)
        return stele__fail(STELE_MISUSE, "backoff_ms is %" PRIu32 ", beyond backoff_max_ms",
                           options->backoff_ms);
    if (options->lanes > STELE_LANES_MAX)
        return stele__fail(STELE_MISUSE, "%" PRIu32 " lanes, beyond %" PRIu32, options->lanes,
                           STELE_LANES_MAX);
    if (options->lease_ms < 1000 || options->lease_ms > STELE_LEASE_MS_MAX)
        return stele__fail(STELE_MISUSE, "lease_ms is %" PRIu32 ", not within 1000 and %" PRIu32,
                           options->lease_ms, STELE_LEASE_MS_MAX);
    if (options->start_position < 0 || options->stop_position < 0)
        return stele__fail(STELE_MISUSE, "a position of the subscription is negative");
    return STELE_OK;
}

static stele_status check_kinds(const stele_subscription_options *options)
{
    if ((int)options->start < 0 || options->start > STELE_START_POSITION)
        return stele__fail(STELE_MISUSE, "start is %d, which is none", (int)options->start);
    if ((int)options->stop < 0 || options->stop > STELE_STOP_POSITION)
        return stele__fail(STELE_MISUSE, "stop is %d, which is none", (int)options->stop);
    if ((int)options->delivery < 0 || options->delivery > STELE_AT_LEAST_ONCE)
        return stele__fail(STELE_MISUSE, "delivery is %d, which is none", (int)options->delivery);
    if ((int)options->on_failure < 0 || options->on_failure > STELE_ON_FAILURE_SKIP)
        return stele__fail(STELE_MISUSE, "on_failure is %d, which is none",
                           (int)options->on_failure);
    return STELE_OK;
}

static stele_status check_names(const stele_store *store, const stele_subscription_options *options)
{
    if (options->name == NULL) {
        if (options->lanes > 0 || options->on_failure == STELE_ON_FAILURE_PARK)
            return stele__fail(STELE_MISUSE, "a subscription without a name can't %s",
                               options->lanes > 0 ? "have lanes" : "park");
        return STELE_OK;
    }
    stele_status status =
        stele__check_name_within("subscription", options->name, STELE__SUBSCRIPTION_NAME_MAX);
    if (status == STELE_OK && options->name[0] == '$')
        status =
            stele__fail(STELE_MISUSE, "the subscription name '%s' is the library's", options->name);
    if (status == STELE_OK && options->owner != NULL)
        status = stele__check_name_within("owner", options->owner, STELE__SUBSCRIPTION_NAME_MAX);
    if (status == STELE_OK)
        status = stele__write_check(store);
    return status;
}

/* --- Making --- */

static stele_status copy_names(stele_subscription *subscription,
                               const stele_subscription_options *given)
{
    stele_subscription_options *options = &subscription->options;
    options->name = subscription->name = stele__copy_text(given->name);
    options->stream = subscription->stream = stele__copy_text(given->stream);
    options->category = subscription->category = stele__copy_text(given->category);
    options->prefix = subscription->prefix = stele__copy_text(given->prefix);
    bool missing = (given->name != NULL && options->name == NULL)
                   || (given->stream != NULL && options->stream == NULL)
                   || (given->category != NULL && options->category == NULL)
                   || (given->prefix != NULL && options->prefix == NULL);
    options->types = NULL;
    if (given->type_count > 0 && !missing) {
        subscription->types = stele__allocate_array(given->type_count, sizeof(char *));
        missing = subscription->types == NULL;
        for (size_t i = 0; i < given->type_count && !missing; i++) {
            subscription->types[i] = stele__copy_text(given->types[i]);
            missing = subscription->types[i] == NULL;
        }
        options->types = (const char *const *)subscription->types;
    }
    options->start_epoch = NULL; /* looked at when opening */
    options->owner = subscription->owner;
    return missing ? stele__fail(STELE_NO_MEMORY, "no memory for a subscription") : STELE_OK;
}

static stele_status name_owner(stele_subscription *subscription, const char *owner)
{
    if (owner != NULL) {
        snprintf(subscription->owner, sizeof(subscription->owner), "%s", owner);
        return STELE_OK;
    }
    char uuid[37];
    char process[64];
    stele__process_name(process);
    stele_status status = stele__make_uuid(uuid);
    if (status == STELE_OK)
        snprintf(subscription->owner, sizeof(subscription->owner), "%s:%.8s", process, uuid);
    return status;
}

static stele_status make_seats(stele_subscription *subscription)
{
    uint32_t lanes = subscription->options.lanes;
    size_t count = lanes == 0 ? 1 : lanes;
    subscription->seats = stele__allocate_array(count, sizeof(*subscription->seats));
    if (subscription->seats == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu lanes", count);
    subscription->seat_count = count;
    for (size_t i = 0; i < count; i++)
        subscription->seats[i].lane = lanes == 0 ? 0 : (uint32_t)i + 1;
    return lanes == 0 ? STELE_OK : stele__group_begin(subscription);
}

/* The filters are checked as those of a read; one of a wrong type must not be found out later. */
static stele_status check_filters(stele_subscription *subscription)
{
    const stele_subscription_options *options = &subscription->options;
    stele__follow *follow = NULL;
    stele_read read = STELE_READ_INIT;
    read.stream = options->stream;
    read.types = options->types;
    read.type_count = options->type_count;
    read.category = options->category;
    read.prefix = options->prefix;
    stele_status status =
        stele__follow_open(subscription->store, &read, 0, 0, options->skip_archived, &follow);
    stele__follow_close(follow);
    return status;
}

/* --- What the store says --- */

typedef struct subscription_opening {
    uint32_t lanes;
    bool begun; /* it has a checkpoint */
} subscription_opening;

static stele_status check_lanes_of(void *context, const char *name, const stele__place *place)
{
    subscription_opening *opening = context;
    if (place->position < 0)
        return STELE_OK;
    opening->begun = true;
    if (place->lanes == opening->lanes)
        return STELE_OK;
    return stele__fail(STELE_MISUSE,
                       "the subscription '%s' has %" PRId64 " lanes, asked for are %" PRIu32, name,
                       place->lanes, opening->lanes);
}

/* Where it begins when it has no checkpoint. */
static stele_status settle_start(stele_subscription *subscription,
                                 const stele_subscription_options *given,
                                 stele__connection *connection, int64_t head, bool begun)
{
    subscription->start_at = given->start == STELE_START_HEAD ? head : 0;
    if (given->start != STELE_START_POSITION)
        return STELE_OK;
    subscription->start_at = given->start_position < head ? given->start_position : head;
    stele_status status = STELE_OK;
    if (begun) /* where it once was to begin may be of an older timeline */
        return STELE_OK;
    if (given->start_epoch != NULL)
        status = stele__epoch_check(connection->database, "the start of the subscription",
                                    given->start_epoch, given->start_position, NULL);
    if (status == STELE_OK && given->start_position > head)
        status =
            stele__fail(STELE_MISUSE, "start_position is %" PRId64 ", beyond the head, %" PRId64,
                        given->start_position, head);
    return status;
}

/* Start and stop, and whether the places it has are of this timeline. */
static stele_status settle_opening(stele_subscription *subscription,
                                   const stele_subscription_options *given,
                                   stele__connection *connection)
{
    int64_t head = 0;
    subscription_opening opening = { .lanes = given->lanes };
    stele_status status = stele__epoch_of(connection->database, INT64_MAX, subscription->epoch,
                                          &subscription->epoch_since);
    if (status == STELE_OK)
        status = stele__database_number(connection->database,
                                        "SELECT coalesce(max(position), 0) FROM events", &head);
    if (status == STELE_OK && subscription->name != NULL)
        status = stele__place_each(connection, subscription->name, check_lanes_of, &opening);
    if (status == STELE_OK)
        status = settle_start(subscription, given, connection, head, opening.begun);
    subscription->stop_at = given->stop == STELE_STOP_NEVER  ? -1
                            : given->stop == STELE_STOP_HEAD ? head
                                                             : given->stop_position;
    return status;
}

static stele_status look_at_store(stele_subscription *subscription,
                                  const stele_subscription_options *given)
{
    stele_store *store = subscription->store;
    stele__connection *connection = NULL;
    stele_checkpoint checkpoint;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = settle_opening(subscription, given, connection);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    if (status == STELE_OK && subscription->name != NULL)
        status = stele_checkpoint_load(store, subscription->name, &checkpoint);
    if (status == STELE_OK)
        status = stele_store_notifier(store, &subscription->notifier);
    return status;
}

stele_status stele_subscription_open(stele_store *store, const stele_subscription_options *options,
                                     stele_subscription **subscription_out)
{
    stele_subscription_options taken = STELE_SUBSCRIPTION_OPTIONS_INIT;
    if (subscription_out != NULL)
        *subscription_out = NULL;
    if (store == NULL || subscription_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           store == NULL ? "store" : "subscription_out");
    stele_status status =
        stele__options_take("stele_subscription_options", options, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = stele__store_check(store);
    if (status == STELE_OK)
        status = check_kinds(&taken);
    if (status == STELE_OK)
        status = check_numbers(&taken);
    if (status == STELE_OK)
        status = check_names(store, &taken);
    if (status != STELE_OK)
        return status;
    stele_subscription *subscription = stele__allocate_array(1, sizeof(*subscription));
    if (subscription == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a subscription");
    subscription->store = store;
    stele__store_hold(store);
    atomic_init(&subscription->known_position, -1);
    subscription->options = taken;
    stele_wait_init(&subscription->wait);
    status = copy_names(subscription, &taken);
    if (status == STELE_OK)
        status = name_owner(subscription, taken.owner);
    if (status == STELE_OK)
        status = check_filters(subscription);
    if (status == STELE_OK)
        status = look_at_store(subscription, &taken);
    if (status == STELE_OK)
        status = make_seats(subscription);
    if (status == STELE_OK)
        *subscription_out = subscription;
    else
        stele_subscription_close(subscription);
    return status;
}

/* --- Ending --- */

void stele_subscription_stop(stele_subscription *subscription)
{
    if (subscription == NULL)
        return;
    atomic_store(&subscription->stopped, 1);
    stele__notifier_interrupt(subscription->notifier);
}

void stele__subscription_give_up(stele_subscription *subscription)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = SUBSCRIPTION_CLOSE_WAIT_MS;
    subscription->wait = wait;
    if (subscription->name == NULL || stele__store_check(subscription->store) != STELE_OK
        || atomic_load(&subscription->store->writer_thread) == stele__thread_id())
        return;
    subscription->lending = NULL;
    if (subscription->group != NULL) {
        stele__group_end(subscription, &wait);
        return;
    }
    for (size_t i = 0; i < subscription->seat_count; i++) {
        stele__seat *seat = &subscription->seats[i];
        bool open = false;
        int64_t until = INT64_MAX;
        if (seat->held && seat->doubt)
            stele__seat_look(subscription, seat, &open, &until);
        /* What it has passed over need not be scanned again by the next one. */
        if (!seat->held && seat->loaded && seat->other[0] == '\0' && seat->skipped_us > 0
            && seat->scanned > seat->position && seat->next >= seat->looked.count)
            stele__seat_claim(subscription, seat, &wait, &open);
        stele__seat_flush(subscription, seat, true, &wait);
    }
}

static void free_seat(stele__seat *seat)
{
    stele__follow_close(seat->follow);
    stele__free(seat->held_backs);
    stele__free(seat->records);
}

void stele_subscription_close(stele_subscription *subscription)
{
    if (subscription == NULL)
        return;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    stele__subscription_give_up(subscription);
    stele__restore_error(error);
    for (size_t i = 0; i < subscription->seat_count; i++)
        free_seat(&subscription->seats[i]);
    for (size_t i = 0; subscription->types != NULL && i < subscription->options.type_count; i++)
        stele__free(subscription->types[i]);
    stele__free(subscription->types);
    stele__free(subscription->seats);
    stele__free(subscription->group);
    stele__described_free(subscription->described);
    stele__free(subscription->name);
    stele__free(subscription->stream);
    stele__free(subscription->category);
    stele__free(subscription->prefix);
    stele__store_release(subscription->store);
    stele__free(subscription);
}
