/* Projections that follow the log: exactly-once subscriptions with a look at the version. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/options.h"
#include "projection/own.h"

/* --- Handling --- */

/* Once a transaction: that the tables are still for this code. */
static stele_status check_version_within(stele_projector *projector, stele_transaction *transaction)
{
    stele__projection_row row;
    const stele_projection *projection = &projector->projection;
    stele_status status = stele__projection_row_load(transaction, projection->name, &row);
    if (status != STELE_OK)
        return status;
    if (row.found && row.version == projection->version && !row.with_append)
        return STELE_OK;
    if (!row.found)
        stele__fail(STELE_FENCED, "the projection '%s' was dropped", projection->name);
    else
        stele__fail(STELE_FENCED,
                    "the tables of the projection '%s' are of version %" PRId64
                    " now, this code is of version %" PRId64,
                    projection->name, row.version, projection->version);
    stele__log(STELE_LOG_WARNING, "%s", stele_error_text());
    /* With the writer's turn, so one at a time; and it never was otherwise again. */
    if (!atomic_load(&projector->replaced)) {
        snprintf(projector->reason, sizeof(projector->reason), "%s", stele_error_text());
        atomic_store(&projector->replaced, true);
    }
    return STELE_CANCELLED; /* ends a run without counting anything against the event */
}

static stele_status project_event(void *context, const stele_record *record,
                                  const stele_handling *handling)
{
    stele_projector *projector = context;
    stele__projecting projecting;
    stele_status status = STELE_OK;
    if (handling->transaction == NULL)
        return stele__fail(STELE_MISUSE, "the projection '%s' is only for exactly-once",
                           projector->projection.name);
    if (handling->replay || handling->batch == NULL || record == handling->batch->records[0])
        status = check_version_within(projector, handling->transaction);
    if (status != STELE_OK)
        return status;
    stele__projecting_begin(&projecting, &projector->projection, handling->transaction, "");
    return stele__projecting_fold(&projecting, record, handling->effects);
}

/* --- Opening --- */

static stele_status take_options(const stele_projector *projector,
                                 const stele_subscription_options *given,
                                 stele_subscription_options *options)
{
    *options = (stele_subscription_options)STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_status status =
        stele__options_take("stele_subscription_options", given, options, sizeof(*options));
    if (status != STELE_OK)
        return status;
    if (options->name != NULL || options->stream != NULL || options->type_count > 0
        || options->category != NULL || options->prefix != NULL || options->system)
        return stele__fail(STELE_MISUSE,
                           "the projection '%s' says itself what it is called and which events it"
                           " folds, not the options",
                           projector->projection.name);
    if (options->start != STELE_START_BEGINNING || options->delivery != STELE_EXACTLY_ONCE
        || options->lanes > 0)
        return stele__fail(STELE_MISUSE,
                           "the projection '%s' starts with the first event, exactly once, without"
                           " lanes",
                           projector->projection.name);
    options->name = projector->projection.name;
    options->types = projector->projection.types;
    options->type_count = projector->projection.type_count;
    options->category = projector->projection.category;
    options->prefix = projector->projection.prefix;
    options->system = projector->projection.system;
    return STELE_OK;
}

static stele_status register_async(stele_projector *projector)
{
    stele__projection_row row;
    stele_checkpoint checkpoint;
    stele_transaction *transaction = NULL;
    const stele_projection *projection = &projector->projection;
    stele_status status = stele__projection_row_read(projector->store, projection->name, &row);
    if (status == STELE_OK && row.found)
        status = stele_checkpoint_load(projector->store, projection->name, &checkpoint);
    if (status == STELE_OK && row.found)
        return stele__projection_row_check(&row, projection, false, checkpoint.found);
    if (status == STELE_OK)
        status = stele_transaction_begin(projector->store, &transaction);
    if (status != STELE_OK)
        return status;
    status = stele__projection_register(transaction, projection, false, &row);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

stele_status stele_projector_open(stele_store *store, const stele_projection *projection,
                                  const stele_subscription_options *options,
                                  stele_projector **projector_out)
{
    stele_projector *projector = NULL;
    if (projector_out == NULL)
        return stele__fail(STELE_MISUSE, "projector_out is NULL");
    *projector_out = NULL;
    stele_status status = stele__projector_make(store, projection, false, &projector);
    if (status != STELE_OK)
        return status;
    status = take_options(projector, options, &projector->options);
    if (status == STELE_OK)
        status = register_async(projector);
    if (status == STELE_OK)
        status = stele_subscription_open(store, &projector->options, &projector->subscription);
    /* What the caller's options pointed to isn't borrowed any longer than this. */
    projector->options.owner = NULL;
    projector->options.start_epoch = NULL;
    if (status == STELE_OK)
        *projector_out = projector;
    else
        stele__projector_free(projector);
    return status;
}

void stele__async_close(stele_projector *projector)
{
    stele_subscription_close(projector->subscription);
    stele__projector_free(projector);
}

/* --- Running --- */

static stele_status check_async(const stele_projector *projector)
{
    if (projector == NULL)
        return stele__fail(STELE_MISUSE, "the projector is NULL");
    if (projector->with_append)
        return stele__fail(STELE_MISUSE, "the projection '%s' is kept inline: nothing is to be run",
                           projector->projection.name);
    return STELE_OK;
}

stele_status stele_projector_handler(stele_projector *projector, stele_handler *handler_out,
                                     stele_subscription_options *options_out)
{
    stele_status status = check_async(projector);
    if (status == STELE_OK && handler_out == NULL)
        status = stele__fail(STELE_MISUSE, "handler_out is NULL");
    if (status != STELE_OK)
        return status;
    *handler_out = (stele_handler)STELE_HANDLER_INIT;
    handler_out->event = project_event;
    handler_out->context = projector;
    if (options_out != NULL)
        *options_out = projector->options;
    return STELE_OK;
}

stele_status stele_projector_run(stele_projector *projector)
{
    stele_handler handler;
    stele_status status = stele_projector_handler(projector, &handler, NULL);
    if (status != STELE_OK)
        return status;
    status = stele_subscription_run(projector->subscription, &handler);
    if (status == STELE_CANCELLED && atomic_load(&projector->replaced))
        return stele__fail(STELE_FENCED, "%s", projector->reason);
    return status;
}

stele_subscription *stele_projector_subscription(stele_projector *projector)
{
    return projector == NULL ? NULL : projector->subscription;
}

void stele_projector_stop(stele_projector *projector)
{
    if (projector != NULL)
        stele_subscription_stop(projector->subscription);
}
