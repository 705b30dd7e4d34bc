/* The public calls that archive a stream, in place and into another store. */
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/options.h"
#include "eventstore/states.h"

void stele_archive_init(stele_archive *archive)
{
    *archive = (stele_archive)STELE_ARCHIVE_INIT;
}

static stele_status check_archive(const stele_archive *given, stele_archive *taken)
{
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "the archive is NULL");
    stele_status status = stele__options_take("stele_archive", given, taken, sizeof(*taken));
    if (status == STELE_OK)
        status = stele__check_change(taken->stream, taken->expected_version);
    return status == STELE_OK ? stele__check_reason(taken->reason) : status;
}

/* What was promised here must be kept there. */
static stele_status check_target(const stele_store *store, stele_store *target)
{
    if (target == store || strcmp(target->uuid, store->uuid) == 0)
        return stele__fail(STELE_MISUSE, "a store can't be its own archive");
    stele_status status = stele__write_check(target);
    if (status != STELE_OK)
        return stele__fail_within(status, "the archive");
    if (target->options.durability != STELE_DURABILITY_FULL || (target->memory && !store->memory))
        return stele__fail(STELE_UNSUPPORTED,
                           "the archive '%s' is %s: what is moved there would be less safe",
                           target->path, target->memory ? "in memory" : "of relaxed durability");
    return STELE_OK;
}

/* How a stream stands when it is to be moved. */
typedef struct move_plan {
    stele__stream_row row;
    stele__range range;
    stele__unfinished work;
    bool moved; /* there is a range */
} move_plan;

static stele_status look_at_stream(stele__connection *connection, const stele_archive *archive,
                                   move_plan *plan, stele_changed *changed)
{
    stele_status status = stele__find_to_change(connection, archive->stream,
                                                archive->expected_version, &plan->row, changed);
    if (status == STELE_OK)
        status = stele__refuse_tombstoned(&plan->row);
    if (status == STELE_OK)
        status = stele__range_find(connection, plan->row.id, &plan->moved, &plan->range);
    if (status == STELE_OK)
        status = stele__unfinished_find(connection, plan->row.id, &plan->work);
    if (status != STELE_OK || !plan->moved || plan->work == STELE__UNFINISHED_DROP)
        return status;
    if (strcmp(plan->range.uuid, archive->to->uuid) != 0)
        return stele__fail(STELE_ARCHIVED, "stream '%s' is in the archive %s at '%s'",
                           plan->row.name, plan->range.uuid, plan->range.hint);
    if (plan->work == STELE__UNFINISHED_RETURN)
        return stele__fail(STELE_ARCHIVED, "stream '%s' is just being restored", plan->row.name);
    return STELE_OK;
}

static stele_status look_first(stele_store *store, const stele_archive *archive,
                               const stele_wait *wait, move_plan *plan, stele_changed *changed)
{
    stele__connection *connection = NULL;
    stele_status status = stele__read_begin(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = look_at_stream(connection, archive, plan, changed);
    if (status == STELE_OK && archive->dry_run)
        status = stele__count_payloads(connection, plan->row.id, STELE__RECORD_HUSK, changed);
    stele__read_end(store, connection);
    return status;
}

/* The archive learns of the move first: an open goes on with no move that it doesn't know. When the
 * power fails before the move has begun here, that stays there for ever, so it has no name yet. */
static stele_status register_move(stele_store *store, stele_store *target, const stele_wait *wait,
                                  const stele__stream_row *row, char move_out[37])
{
    stele__connection *connection = NULL;
    stele__kept kept = { .stream = row->id,
                         .first_version = row->base_version + 1,
                         .last_version = row->version,
                         .state = STELE__KEPT_COPYING,
                         .kept_at = stele__store_now(target) };
    memcpy(kept.source, store->uuid, sizeof(kept.source));
    memcpy(kept.epoch, store->epoch, sizeof(kept.epoch));
    stele_status status = stele__make_uuid(kept.move);
    if (status == STELE_OK)
        status = stele__write_begin_durably(target, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__kept_save(connection, &kept);
    if (status == STELE_OK)
        status = stele__write_commit(target);
    stele__write_end(target);
    memcpy(move_out, kept.move, sizeof(kept.move));
    return status;
}

/* It came to nothing here. Best effort: what stays there holds no payload. */
static void unregister_move(stele_store *target, const stele_wait *wait, const char *move)
{
    char error[STELE__ERROR_SIZE];
    stele__connection *connection = NULL;
    stele__kept kept;
    bool found = false;
    stele__keep_error(error);
    if (stele__write_begin_durably(target, wait, &connection) == STELE_OK) {
        if (stele__kept_find(connection, move, &found, &kept) == STELE_OK && found
            && stele__kept_forget(connection, kept.id) == STELE_OK)
            stele__write_commit(target);
        stele__write_end(target);
    }
    stele__restore_error(error);
}

/* The stream is closed here, and its payloads are on their way. Inside a transaction. */
static stele_status mark_moving(stele_store *store, stele__connection *connection,
                                const stele_archive *archive, const char *move, int64_t *id_out,
                                stele_changed *changed)
{
    move_plan plan = { 0 };
    stele_status status = look_at_stream(connection, archive, &plan, changed);
    if (status == STELE_OK && (plan.moved || plan.work != STELE__UNFINISHED_NONE))
        status = stele__fail(STELE_BUSY, "another archiving of stream '%s' has just begun",
                             plan.row.name);
    if (status != STELE_OK)
        return status;
    *id_out = plan.row.id;
    plan.range = (stele__range){ .first_version = plan.row.base_version + 1,
                                 .last_version = plan.row.version };
    memcpy(plan.range.move, move, sizeof(plan.range.move));
    memcpy(plan.range.uuid, archive->to->uuid, sizeof(plan.range.uuid));
    if (!archive->to->memory && strlen(archive->to->path) < sizeof(plan.range.hint))
        snprintf(plan.range.hint, sizeof(plan.range.hint), "%s", archive->to->path);
    status = stele__apply_state(store, connection, &plan.row, STELE_STREAM_ARCHIVED,
                                archive->reason, archive->to->uuid, changed);
    if (status == STELE_OK)
        status = stele__range_insert(connection, plan.row.id, &plan.range);
    if (status == STELE_OK)
        status = stele__unfinished_set(store, connection, plan.row.id, STELE__UNFINISHED_MOVE);
    return status;
}

static stele_status begin_move(stele_store *store, const stele_archive *archive,
                               const stele_wait *wait, const move_plan *plan, int64_t *id_out,
                               stele_changed *changed)
{
    char move[37];
    stele__connection *connection = NULL;
    stele_status status = register_move(store, archive->to, wait, &plan->row, move);
    if (status != STELE_OK)
        return stele__fail_within(status, "the archive '%s'", archive->to->path);
    status = stele__write_begin_durably(store, wait, &connection);
    if (status == STELE_OK) {
        status = mark_moving(store, connection, archive, move, id_out, changed);
        if (status == STELE_OK)
            status = stele__write_commit(store);
        stele__write_end(store);
    }
    changed->changed = status == STELE_OK;
    if (status != STELE_OK && status != STELE_UNKNOWN_OUTCOME)
        unregister_move(archive->to, wait, move);
    return status;
}

/* Copies of an earlier stay in an archive are dropped before the next begins. */
static stele_status finish_earlier(stele_store *store, const stele_archive *archive,
                                   const move_plan *plan, stele__work *work)
{
    stele__archive_handle handle;
    stele_status status = stele__archive_open(store, &plan->range, archive->to, true, &handle);
    if (status == STELE_OK && handle.store == NULL)
        status = stele__archive_missing(plan->row.name, &plan->range);
    if (status == STELE_OK)
        status = stele__drop_run(store, handle.store, plan->row.id, work);
    stele__archive_close(&handle);
    return status;
}

/* With the archive entered. */
static stele_status archive_within(stele_store *store, const stele_archive *archive,
                                   stele_changed *changed)
{
    stele__work work;
    move_plan plan = { 0 };
    stele_status status = stele__work_begin(&work, store, archive->work);
    const stele_wait *wait = work.options.wait;
    if (status == STELE_OK)
        status = check_target(store, archive->to);
    if (status == STELE_OK)
        status = look_first(store, archive, wait, &plan, changed);
    if (status != STELE_OK || archive->dry_run)
        return status;
    if (plan.work == STELE__UNFINISHED_DROP) {
        status = finish_earlier(store, archive, &plan, &work);
        plan.moved = false;
    }
    bool there = plan.moved && plan.work == STELE__UNFINISHED_NONE;
    int64_t id = plan.row.id;
    if (status == STELE_OK && !plan.moved)
        status = begin_move(store, archive, wait, &plan, &id, changed);
    if (status == STELE_OK && !there)
        status = stele__move_run(store, archive->to, id, &work, changed);
    changed->finished = status == STELE_OK;
    return status;
}

static stele_status archive_elsewhere(stele_store *store, const stele_archive *archive,
                                      stele_changed *changed)
{
    stele_status status = stele__sequencer_check_early(store, "archiving into another store");
    if (status != STELE_OK)
        return status;
    status = stele__store_enter(archive->to);
    if (status != STELE_OK)
        return stele__fail_within(status, "the archive");
    status = archive_within(store, archive, changed);
    stele__store_leave(archive->to);
    return status;
}

static stele_status archive_here(stele_store *store, const stele_archive *archive,
                                 stele_changed *changed)
{
    stele__work work;
    stele__connection *connection = NULL;
    bool taken = false;
    bool written = false;
    stele_status status = stele__work_begin(&work, store, archive->work);
    if (status == STELE_OK)
        status = stele__propose_or_begin(store, STELE__CHANGE_ARCHIVE, archive, work.options.wait,
                                         archive->dry_run, changed, &taken, &connection);
    if (status != STELE_OK || taken)
        return status;
    status = stele__archive_in_place(store, connection, archive, changed, &written);
    if (status == STELE_OK && written)
        status = stele__write_commit(store);
    stele__write_end(store);
    changed->changed &= status == STELE_OK;
    return status;
}

stele_status stele_store_archive(stele_store *store, const stele_archive *archive,
                                 stele_changed *changed_out)
{
    stele_archive taken = STELE_ARCHIVE_INIT;
    stele_changed changed = { 0 };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = check_archive(archive, &taken);
    if (status == STELE_OK && taken.to != NULL) {
        status = stele__write_check(store);
        if (status == STELE_OK)
            status = archive_elsewhere(store, &taken, &changed);
    } else if (status == STELE_OK) {
        status = archive_here(store, &taken, &changed);
    }
    stele__store_leave(store);
    stele__report_change(status, &changed, changed_out);
    return status;
}

stele_status stele_transaction_archive(stele_transaction *transaction, const stele_archive *archive,
                                       stele_changed *changed_out)
{
    stele_archive taken = STELE_ARCHIVE_INIT;
    stele_changed changed = { 0 };
    stele__connection *connection = NULL;
    bool written = false;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = check_archive(archive, &taken);
    if (status == STELE_OK && (taken.to != NULL || taken.work != NULL))
        status = stele__fail(STELE_MISUSE, "archiving with `%s` inside a transaction",
                             taken.to != NULL ? "to" : "work");
    if (status == STELE_OK)
        status =
            stele__archive_in_place(transaction->store, connection, &taken, &changed, &written);
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, written);
    stele__transaction_leave(transaction);
    changed.changed &= status == STELE_OK;
    stele__report_change(status, &changed, changed_out);
    return status;
}
