/*
 * Rebuilding: tables are filled anew, a step at a time, under a claim on the place that moves with
 * them. Whatever cuts it short leaves a place and tables that agree, and the next call goes on.
 */
#include "projection/rebuild.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "base/platform.h"

bool stele__rebuild_swaps_early;

void stele_rebuild_init(stele_rebuild *rebuild)
{
    *rebuild = (stele_rebuild)STELE_REBUILD_INIT;
}

/* --- Beginning --- */

static stele_status load_known(const char *name, stele_transaction *transaction,
                               stele__projection_row *row)
{
    stele_status status = stele__projection_row_load(transaction, name, row);
    if (status == STELE_OK && !row->found)
        status = stele__fail(STELE_NOT_FOUND, "no projection '%s' was ever opened", name);
    return status;
}

static stele_status set_up_tables(const stele__rebuilding *of, stele_transaction *transaction,
                                  const char *list)
{
    stele__projecting projecting;
    stele__projecting_begin(&projecting, &of->projection, transaction, of->suffix);
    projecting.lent.rebuilding = true;
    stele_status status = stele__projecting_setup(&projecting);
    return status == STELE_OK ? stele__tables_are_there(transaction, list, of->suffix) : status;
}

static stele_status refuse_leased(const stele__rebuilding *of, const stele__place *place)
{
    if (place->owner[0] == '\0' || stele__lease_left_us(place->boot, place->lease_until) == 0)
        return STELE_OK;
    return stele__fail(STELE_BUSY, "'%s' is building the projection '%s'", place->owner,
                       of->projection.name);
}

static stele_status claim_build(stele__rebuilding *of, stele_transaction *transaction,
                                stele__place *place)
{
    stele__place_claim(of->store, place, of->owner, of->options.lease_ms);
    of->generation = place->generation;
    return stele__projection_place_store(transaction, of->place_name, place);
}

/* Other tables than those of an unfinished build: that is given up. */
static stele_status begin_new_build(stele__rebuilding *of, stele_transaction *transaction,
                                    stele__projection_row *row, stele__place *place)
{
    char suffix[STELE__SUFFIX_SIZE];
    stele_status status = STELE_OK;
    if (row->build > 0) {
        stele__suffix_of_build(row->build, suffix);
        status = stele__tables_drop(transaction, row->build_tables, suffix);
    }
    if (status != STELE_OK)
        return status;
    row->build = ++row->builds;
    row->build_version = of->projection.version;
    stele__projection_list_tables(&of->projection, row->build_tables);
    stele__suffix_of_build(row->build, of->suffix);
    status = set_up_tables(of, transaction, row->build_tables);
    if (status == STELE_OK)
        status = stele__projection_row_store(transaction, of->projection.name, row);
    stele__place_move(of->store, place, 0);
    return status;
}

/* One in place that has got there is over, whoever brought it there. */
static stele_status refuse_replaying(const char *name, stele_transaction *transaction,
                                     stele__projection_row *row)
{
    stele__place live;
    bool found = false;
    stele_status status = stele__projection_place(transaction, name, &live, &found);
    if (status == STELE_OK && live.position < row->replay_to)
        return stele__fail(STELE_CONFLICT,
                           "the projection '%s' is being rebuilt in place: go on with that", name);
    row->replay_to = 0;
    return status;
}

stele_status stele__rebuild_begin_beside(stele__rebuilding *of, stele_transaction *transaction)
{
    const char *name = of->projection.name;
    stele__projection_row row;
    stele__place place;
    char list[STELE__TABLE_LIST_SIZE];
    bool found = false;
    stele_status status = load_known(name, transaction, &row);
    if (status == STELE_OK && row.replay_to > 0)
        status = refuse_replaying(name, transaction, &row);
    if (status == STELE_OK)
        status = stele__projection_place(transaction, of->place_name, &place, &found);
    if (status == STELE_OK && row.build > 0)
        status = refuse_leased(of, &place);
    if (status != STELE_OK)
        return status;
    stele__projection_list_tables(&of->projection, list);
    of->rebuilt.old_version = row.version;
    of->rebuilt.resumed = row.build > 0 && row.build_version == of->projection.version
                          && strcmp(row.build_tables, list) == 0 && place.position >= 0;
    if (of->rebuilt.resumed)
        stele__suffix_of_build(row.build, of->suffix);
    else
        status = begin_new_build(of, transaction, &row, &place);
    of->build = row.build;
    return status == STELE_OK ? claim_build(of, transaction, &place) : status;
}

stele_status stele__rebuild_begin_in_place(stele__rebuilding *of, stele_transaction *transaction)
{
    const char *name = of->projection.name;
    stele__projection_row row;
    stele__place place;
    bool found = false;
    stele_status status = load_known(name, transaction, &row);
    if (status == STELE_OK && row.build > 0)
        status = stele__fail(STELE_CONFLICT,
                             "the projection '%s' is being built beside: go on with that, or"
                             " abandon it",
                             name);
    if (status == STELE_OK)
        status = stele__projection_place(transaction, name, &place, &found);
    of->rebuilt.resumed = row.replay_to > 0 && row.version == of->projection.version;
    of->rebuilt.old_version = row.version;
    if (status == STELE_OK && (of->rebuilt.resumed || place.position < row.replay_to))
        status = refuse_leased(of, &place);
    if (status != STELE_OK || of->rebuilt.resumed)
        return status == STELE_OK ? claim_build(of, transaction, &place) : status;

    status = stele__tables_drop(transaction, row.tables, "");
    stele__projection_list_tables(&of->projection, row.tables);
    if (status == STELE_OK)
        status = set_up_tables(of, transaction, row.tables);
    if (status == STELE_OK)
        status = stele__rebuild_forget_parked(of, transaction);
    if (status != STELE_OK)
        return status;
    row.version = of->projection.version;
    if (place.position > row.replay_to)
        row.replay_to = place.position;
    stele__rebuild_renew_place(&place);
    stele__place_move(of->store, &place, 0);
    status = stele__projection_row_store(transaction, name, &row);
    return status == STELE_OK ? claim_build(of, transaction, &place) : status;
}

/* --- A step --- */

static stele_status check_claim(const stele__rebuilding *of, const stele__projection_row *row,
                                const stele__place *place)
{
    bool ours = row->found && row->build == of->build && place->generation == of->generation
                && strcmp(place->owner, of->owner) == 0;
    if (ours)
        return STELE_OK;
    return stele__fail(STELE_FENCED, "the build of the projection '%s' was taken over or abandoned",
                       of->projection.name);
}

static stele_status fold_step(stele__rebuilding *of, stele_transaction *transaction,
                              stele__place *place, int64_t to, stele__folding *folding)
{
    *folding = (stele__folding){ .projection = &of->projection,
                                 .transaction = transaction,
                                 .suffix = of->suffix,
                                 .rebuilding = true,
                                 .after = place->position,
                                 .to = to,
                                 .effects_after = INT64_MAX,
                                 .count_max = of->work.options.step_count_max,
                                 .size_max = of->work.options.step_size_max };
    stele_status status = stele__fold_some(folding);
    if (status == STELE_OK && folding->through > place->position)
        stele__place_move(of->store, place, folding->through);
    stele__place_renew(of->store, place, of->options.lease_ms);
    return status;
}

static stele_status finish_in_place(stele__rebuilding *of, stele_transaction *transaction,
                                    stele__projection_row *row, stele__place *place)
{
    row->replay_to = 0;
    stele__place_release(of->store, place);
    stele_status status = stele__projection_place_store(transaction, of->projection.name, place);
    return status == STELE_OK ? stele__projection_row_store(transaction, of->projection.name, row)
                              : status;
}

stele_status stele__rebuild_step(stele__rebuilding *of, stele_transaction *transaction,
                                 stele__folding *folding)
{
    const char *name = of->projection.name;
    stele__projection_row row;
    stele__place place;
    stele__place live;
    bool found = false;
    stele_status status = stele__projection_row_load(transaction, name, &row);
    if (status == STELE_OK)
        status = stele__projection_place(transaction, of->place_name, &place, &found);
    if (status == STELE_OK)
        status = check_claim(of, &row, &place);
    if (status == STELE_OK)
        status = stele__projection_place(transaction, name, &live, &found);
    if (status != STELE_OK)
        return status;
    if (live.position < 0) /* somebody has reset it: then the first event comes next */
        stele__place_move(of->store, &live, 0);
    int64_t to = of->build == 0 ? row.replay_to : live.position;
    status = fold_step(of, transaction, &place, to, folding);
    if (status != STELE_OK)
        return status;
    of->rebuilt.position = place.position;
    of->done = place.position >= to || stele__rebuild_swaps_early;
    if (live.position < place.position) /* it was put back: the new tables have these already */
        stele__place_move(of->store, &live, place.position);
    if (of->done && of->build > 0)
        return stele__rebuild_swap(of, transaction, &row, &live);
    if (of->done)
        return finish_in_place(of, transaction, &row, &place);
    return stele__projection_place_store(transaction, of->place_name, &place);
}

/* --- All of it --- */

static stele_status run_step(stele__rebuilding *of, bool begin)
{
    stele_transaction *transaction = NULL;
    stele__folding folding = { 0 };
    stele_status status =
        stele_transaction_begin_wait(of->store, of->work.options.wait, &transaction);
    if (status != STELE_OK)
        return status;
    if (!begin)
        status = stele__rebuild_step(of, transaction, &folding);
    else if (of->options.in_place)
        status = stele__rebuild_begin_in_place(of, transaction);
    else
        status = stele__rebuild_begin_beside(of, transaction);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    if (status != STELE_OK)
        return status;
    of->rebuilt.count += folding.count;
    return begin || of->done ? STELE_OK : stele__work_step(&of->work, folding.count, folding.size);
}

static stele_status take_rebuild(stele__rebuilding *of, const stele_rebuild *rebuild)
{
    char uuid[37];
    char process[64];
    of->options = (stele_rebuild)STELE_REBUILD_INIT;
    stele_status status =
        stele__options_take("stele_rebuild", rebuild, &of->options, sizeof(of->options));
    if (status == STELE_OK
        && (of->options.lease_ms < 1000 || of->options.lease_ms > STELE_LEASE_MS_MAX))
        status = stele__fail(STELE_MISUSE, "lease_ms is %" PRIu32 ", not within 1000 and %" PRIu32,
                             of->options.lease_ms, STELE_LEASE_MS_MAX);
    if (status == STELE_OK)
        status = stele__work_begin(&of->work, of->store, of->options.work);
    if (status == STELE_OK)
        status = stele__make_uuid(uuid);
    if (status != STELE_OK)
        return status;
    stele__process_name(process);
    snprintf(of->owner, sizeof(of->owner), "%s:%.8s", process, uuid);
    if (of->options.in_place)
        snprintf(of->place_name, sizeof(of->place_name), "%s", of->projection.name);
    else
        stele__name_of_build(of->projection.name, of->place_name);
    return STELE_OK;
}

/* How much there is to do, for those who are told of progress. */
static stele_status announce_rebuild(stele__rebuilding *of)
{
    stele_projection_info info;
    stele_status status = stele_projection_describe(of->store, of->projection.name, &info);
    int64_t left = info.build_to - info.build_position;
    stele__work_part(&of->work, "rebuilding", left > 0 ? (uint64_t)left : 0);
    return status;
}

/* A claim that a failure leaves is given up, so that the next call needn't wait for its end. */
static void give_up_claim(stele__rebuilding *of)
{
    char error[STELE__ERROR_SIZE];
    if (of->generation == 0)
        return;
    stele__keep_error(error);
    stele_checkpoint_claim_release(of->store, of->place_name, of->generation);
    stele__restore_error(error);
}

stele_status stele_projection_rebuild(stele_store *store, const stele_projection *projection,
                                      const stele_rebuild *rebuild, stele_rebuilt *rebuilt_out)
{
    stele__rebuilding of = { .store = store };
    if (rebuilt_out != NULL)
        *rebuilt_out = (stele_rebuilt){ 0 };
    if (store == NULL)
        return stele__fail(STELE_MISUSE, "the store is NULL");
    stele_status status = stele__store_check(store);
    if (status == STELE_OK)
        status = stele__projection_take(projection, &of.projection);
    if (status != STELE_OK)
        return status;
    status = take_rebuild(&of, rebuild);
    if (status == STELE_OK)
        status = run_step(&of, true);
    if (status == STELE_OK)
        status = announce_rebuild(&of);
    while (status == STELE_OK && !of.done)
        status = run_step(&of, false);
    if (status != STELE_OK)
        give_up_claim(&of);
    else if (rebuilt_out != NULL)
        *rebuilt_out = of.rebuilt;
    stele__projection_dispose(&of.projection);
    return status;
}
