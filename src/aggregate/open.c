/* Opening, entering and closing aggregates. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/bytes.h"
#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"

void stele_decider_init(stele_decider *decider)
{
    *decider = (stele_decider)STELE_DECIDER_INIT;
}

void stele_aggregate_options_init(stele_aggregate_options *options)
{
    *options = (stele_aggregate_options)STELE_AGGREGATE_OPTIONS_INIT;
}

static bool can_be_written(const stele_decider *decider)
{
    return decider->state != NULL || (decider->encode != NULL && decider->decode != NULL);
}

static stele_status check_decider(const stele_decider *decider)
{
    stele_status status = stele__check_name("decider", decider->name);
    if (status != STELE_OK)
        return status;
    if (decider->evolve == NULL)
        return stele__fail(STELE_MISUSE, "the decider '%s' has no `evolve`", decider->name);
    if (decider->state != NULL && decider->state_size != 0)
        return stele__fail(STELE_MISUSE, "the decider '%s' has a table and a state_size of %zu",
                           decider->name, decider->state_size);
    if (decider->state == NULL && decider->state_size == 0)
        return stele__fail(STELE_MISUSE, "the decider '%s' has neither a table nor a state_size",
                           decider->name);
    if (decider->state != NULL
        && (decider->clear != NULL || decider->copy != NULL || decider->encode != NULL
            || decider->decode != NULL))
        return stele__fail(STELE_MISUSE,
                           "the decider '%s' has a table and functions that do what it does",
                           decider->name);
    if ((decider->encode == NULL) != (decider->decode == NULL))
        return stele__fail(STELE_MISUSE, "the decider '%s' has `%s` alone", decider->name,
                           decider->encode == NULL ? "decode" : "encode");
    if (decider->schema_version < 0)
        return stele__fail(STELE_MISUSE, "the decider '%s' has schema_version %" PRId64,
                           decider->name, decider->schema_version);
    return decider->codec == NULL ? STELE_OK : stele__check_name("codec", decider->codec);
}

/* Whether a value of the table is its bytes. */
static bool owns_nothing(const stele_type *type)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const stele_field *field = &type->fields[i];
        if (field->kind == STELE_KIND_OWNED_TEXT || field->kind == STELE_KIND_OWNED_BYTES
            || field->shape == STELE_SHAPE_OWNED_LIST
            || (field->kind == STELE_KIND_STRUCT && !owns_nothing(field->type)))
            return false;
    }
    return true;
}

/* A wrong table is told now, and not with the first snapshot. */
static stele_status check_state_table(const stele_decider *decider)
{
    if (decider->state == NULL)
        return STELE_OK;
    stele_status status = stele_type_check(decider->state);
    if (status == STELE_MISUSE)
        return stele__fail_within(status, "the table of the decider '%s'", decider->name);
    return status;
}

static stele_status check_policy(const stele_decider *decider,
                                 const stele_aggregate_options *options)
{
    if (options->tries < 1)
        return stele__fail(STELE_MISUSE, "tries is 0");
    if (options->snapshot_keep < 1 || options->snapshot_keep > STELE_SNAPSHOT_KEEP_MAX)
        return stele__fail(STELE_MISUSE, "snapshot_keep is %" PRIu32 ", not within 1 and %d",
                           options->snapshot_keep, STELE_SNAPSHOT_KEEP_MAX);
    if ((options->snapshot_events > 0 || options->snapshot_fold_us > 0) && !can_be_written(decider))
        return stele__fail(STELE_MISUSE,
                           "the decider '%s' can't write the snapshots that the options ask for",
                           decider->name);
    return STELE_OK;
}

/* Take over what was checked. */
static stele_status fill_aggregate(stele_aggregate *aggregate, stele_store *store,
                                   const stele_decider *decider)
{
    aggregate->store = store;
    aggregate->fork_count = stele__fork_count();
    aggregate->decider = *decider;
    aggregate->decider.name = aggregate->name = stele__copy_text(decider->name);
    const char *codec = decider->codec;
    if (codec == NULL)
        codec = decider->state != NULL ? "json" : "raw";
    aggregate->decider.codec = aggregate->codec = stele__copy_text(codec);
    aggregate->state_size = decider->state != NULL ? decider->state->size : decider->state_size;
    aggregate->schema_version = decider->schema_version;
    if (aggregate->schema_version == 0)
        aggregate->schema_version = decider->state != NULL ? decider->state->schema_version : 1;
    aggregate->plain = decider->state != NULL ? owns_nothing(decider->state)
                                              : decider->clear == NULL && decider->copy == NULL;
    aggregate->copies = decider->state != NULL || decider->copy != NULL || aggregate->plain;
    aggregate->snapshots = can_be_written(decider);
    if (aggregate->name == NULL || aggregate->codec == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for an aggregate");
    return STELE_OK;
}

static void end_locks(stele_aggregate *aggregate)
{
    pthread_cond_destroy(&aggregate->left);
    pthread_mutex_destroy(&aggregate->mutex);
}

static void free_aggregate(stele_aggregate *aggregate)
{
    stele__free(aggregate->name);
    stele__free(aggregate->codec);
    stele__free(aggregate);
}

static stele_status make_aggregate(stele_store *store, const stele_decider *decider,
                                   const stele_aggregate_options *options,
                                   stele_aggregate **aggregate_out)
{
    stele_aggregate *aggregate = stele__allocate_array(1, sizeof(*aggregate));
    if (aggregate == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for an aggregate");
    aggregate->options = *options;
    pthread_mutex_init(&aggregate->mutex, NULL);
    stele__condition_init(&aggregate->left);
    stele_status status = fill_aggregate(aggregate, store, decider);
    if (status == STELE_OK)
        status = stele__cache_open(aggregate);
    if (status != STELE_OK) {
        end_locks(aggregate);
        free_aggregate(aggregate);
        return status;
    }
    /* From now on others may come by. */
    stele__forgetter_join(store, &aggregate->forgetter);
    stele__store_hold(store);
    *aggregate_out = aggregate;
    return STELE_OK;
}

stele_status stele_aggregate_open(stele_store *store, const stele_decider *decider,
                                  const stele_aggregate_options *options,
                                  stele_aggregate **aggregate_out)
{
    stele_decider taken = STELE_DECIDER_INIT;
    stele_aggregate_options taken_options = STELE_AGGREGATE_OPTIONS_INIT;
    if (aggregate_out == NULL)
        return stele__fail(STELE_MISUSE, "aggregate_out is NULL");
    *aggregate_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    if (decider == NULL)
        status = stele__fail(STELE_MISUSE, "the decider is NULL");
    else
        status = stele__options_take("stele_decider", decider, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = stele__options_take("stele_aggregate_options", options, &taken_options,
                                     sizeof(taken_options));
    if (status == STELE_OK)
        status = check_decider(&taken);
    if (status == STELE_OK)
        status = check_state_table(&taken);
    if (status == STELE_OK)
        status = check_policy(&taken, &taken_options);
    if (status == STELE_OK)
        status = make_aggregate(store, &taken, &taken_options, aggregate_out);
    stele__store_leave(store);
    return status;
}

void stele_aggregate_close(stele_aggregate *aggregate)
{
    if (aggregate == NULL)
        return;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    /* A child after fork() has one thread, and may have inherited locked mutexes. */
    if (aggregate->fork_count == stele__fork_count()) {
        /* It would wait for itself. */
        assert(stele__callback_running() == NULL);
        pthread_mutex_lock(&aggregate->mutex);
        atomic_store(&aggregate->closing, true);
        stele__lines_wake(aggregate);
        while (aggregate->calls > 0)
            pthread_cond_wait(&aggregate->left, &aggregate->mutex);
        pthread_mutex_unlock(&aggregate->mutex);
        stele__forgetter_leave(aggregate->store, &aggregate->forgetter);
        end_locks(aggregate);
    }
    stele__cache_close(aggregate);
    stele__store_release(aggregate->store);
    free_aggregate(aggregate);
    stele__restore_error(error);
}

stele_status stele__aggregate_check(const stele_aggregate *aggregate)
{
    if (atomic_load_explicit(&aggregate->closing, memory_order_relaxed))
        return stele__fail(STELE_CLOSED, "the aggregate was closed");
    return STELE_OK;
}

stele_status stele__aggregate_enter(stele_aggregate *aggregate)
{
    if (aggregate == NULL)
        return stele__fail(STELE_MISUSE, "the aggregate is NULL");
    stele_status status = stele__store_enter(aggregate->store);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&aggregate->mutex);
    status = stele__aggregate_check(aggregate);
    if (status == STELE_OK)
        aggregate->calls++;
    bool sweep = status == STELE_OK && aggregate->cache.dropped != NULL;
    pthread_mutex_unlock(&aggregate->mutex);
    if (status != STELE_OK)
        stele__store_leave(aggregate->store);
    if (sweep)
        stele__cache_sweep(aggregate);
    return status;
}

void stele__aggregate_leave(stele_aggregate *aggregate)
{
    stele__store_leave(aggregate->store);
    pthread_mutex_lock(&aggregate->mutex);
    if (--aggregate->calls == 0)
        pthread_cond_broadcast(&aggregate->left);
    pthread_mutex_unlock(&aggregate->mutex);
}

stele_status stele__aggregate_check_transaction(const stele_aggregate *aggregate,
                                                const stele_transaction *transaction)
{
    if (aggregate == NULL)
        return stele__fail(STELE_MISUSE, "the aggregate is NULL");
    if (transaction == NULL)
        return stele__fail(STELE_MISUSE, "the transaction is NULL");
    if (transaction->store != aggregate->store)
        return stele__fail(STELE_MISUSE, "the transaction is of another store");
    return STELE_OK;
}

void stele_aggregate_clear(stele_aggregate *aggregate, void *state)
{
    if (aggregate != NULL && state != NULL)
        stele__state_clear(aggregate, state);
}

stele_status stele_aggregate_describe(stele_aggregate *aggregate, stele_aggregate_info *info_out)
{
    if (info_out == NULL)
        return stele__fail(STELE_MISUSE, "info_out is NULL");
    stele_aggregate_info info = { 0 };
    stele_status status =
        stele__options_take("stele_aggregate_info", info_out, &info, sizeof(info));
    if (status == STELE_OK)
        status = stele__aggregate_enter(aggregate);
    if (status != STELE_OK)
        return status;
    size_t size = info_out->struct_size;
    pthread_mutex_lock(&aggregate->mutex);
    info = aggregate->counts;
    info.cached = aggregate->cache.count;
    pthread_mutex_unlock(&aggregate->mutex);
    info.struct_size = size;
    memcpy(info_out, &info, size < sizeof(info) ? size : sizeof(info));
    stele__aggregate_leave(aggregate);
    return STELE_OK;
}
