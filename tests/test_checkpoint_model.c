/*
 * Random moves, claims and resets of a few checkpoints, mirrored by a model in memory that is too
 * simple to be wrong: each answer, and what is there afterwards, must be the same.
 *
 * STELE_SEED=N repeats a run.
 */
#include "effort.h"

#include "contract.h"

#include "checkpoint/own.h"

enum { NAMES = 4, OWNERS = 3, HEAD = 20 };

static const char *const names[NAMES] = { "a", "a/b", "b", "\xC3\xA9" };
static const char *const owners[OWNERS] = { "w-1", "w-2", "w-3" };

typedef struct model_place {
    int64_t position; /* -1: never saved */
    int64_t generation;
    int owner; /* -1: nobody */
    int64_t until_us;
    int boot;
} model_place;

static model_place model[NAMES];

/* The control: a model that takes a lease for the protection, and forgets generations. */
static bool trusts_leases;
static int disagreements;

static int boot;
static int64_t now_us;

static void tell_boot(char boot_out[64])
{
    snprintf(boot_out, 64, "boot-%d", boot);
}

static int64_t tell_now(void)
{
    return now_us;
}

static int64_t chance(int64_t below)
{
    return (int64_t)((next_chance() >> 11) % (uint64_t)below);
}

static bool is_leased(const model_place *place)
{
    return place->owner >= 0 && place->boot == boot && place->until_us > now_us
           && place->until_us <= now_us + (int64_t)STELE_LEASE_MS_MAX * 1000;
}

static bool is_of(const model_place *place, int64_t generation)
{
    if (trusts_leases)
        return is_leased(place);
    return place->owner >= 0 && place->generation == generation;
}

static void judge(const char *what, stele_status got, stele_status expected)
{
    if (got == expected)
        return;
    disagreements++;
    if (!trusts_leases)
        ck_abort_msg("%s is %s, expected %s: %s", what, stele_status_name(got),
                     stele_status_name(expected), got < 0 ? stele_error_text() : "");
}

/* --- The steps --- */

static void step_save(int name)
{
    int64_t position = chance(HEAD + 2);
    stele_status expected = position > HEAD ? STELE_MISUSE : STELE_OK;
    judge("save", stele_checkpoint_save(store, names[name], position), expected);
    if (expected == STELE_OK)
        model[name].position = position;
}

/* Generations that are, were, and never were. */
static int64_t some_generation(const model_place *place)
{
    int64_t generation = place->generation - 1 + chance(3);
    return generation < 1 ? 1 : generation;
}

static void step_advance(int name)
{
    model_place *place = &model[name];
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    int64_t actual = -9;
    move.to = chance(HEAD + 1);
    if (one_in(2))
        move.from = one_in(2) ? place->position : chance(HEAD) - 1;
    if (one_in(2))
        move.generation = some_generation(place);
    bool anywhere = move.from == STELE_CHECKPOINT_ANYWHERE;
    bool fits = anywhere ? place->position <= move.to : place->position == move.from;
    stele_status expected = STELE_OK;
    if (!anywhere && move.from > move.to)
        expected = STELE_MISUSE;
    else if (move.generation > 0 && !is_of(place, move.generation))
        expected = STELE_FENCED;
    else if (!fits)
        expected = STELE_CONFLICT;
    stele_status status = stele_checkpoint_advance(store, names[name], &move, &actual);
    judge("advance", status, expected);
    if (status == STELE_OK)
        place->position = move.to;
    if (status == STELE_OK || status == STELE_CONFLICT)
        ck_assert_int_eq(actual, place->position);
}

static void step_claim(int name)
{
    model_place *place = &model[name];
    int owner = (int)chance(OWNERS);
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    stele_checkpoint_claimed claimed;
    claim.owner = owners[owner];
    claim.lease_ms = 1 + (uint32_t)chance(1000);
    claim.force = one_in(8);
    bool busy = is_leased(place) && place->owner != owner && !claim.force;
    judge("claim", stele_checkpoint_claim_take(store, names[name], &claim, &claimed),
          busy ? STELE_BUSY : STELE_OK);
    ck_assert_str_eq(claimed.owner, place->owner < 0 ? "" : owners[place->owner]);
    ck_assert_int_eq(claimed.found, place->position >= 0);
    if (!busy) {
        ck_assert_int_gt(claimed.generation, place->generation);
        *place = (model_place){ place->position, claimed.generation, owner,
                                now_us + (int64_t)claim.lease_ms * 1000, boot };
    }
    ck_assert_int_eq(claimed.generation, place->generation);
    ck_assert_int_eq(claimed.left_ms > 0, busy);
}

static void step_renew(int name)
{
    model_place *place = &model[name];
    int64_t generation = some_generation(place);
    uint32_t lease_ms = 1 + (uint32_t)chance(1000);
    stele_status status = stele_checkpoint_claim_renew(store, names[name], generation, lease_ms);
    judge("renew", status, is_of(place, generation) ? STELE_OK : STELE_FENCED);
    if (status != STELE_OK)
        return;
    place->until_us = now_us + (int64_t)lease_ms * 1000;
    place->boot = boot;
}

static void step_release(int name)
{
    model_place *place = &model[name];
    int64_t generation = some_generation(place);
    stele_status status = stele_checkpoint_claim_release(store, names[name], generation);
    judge("release", status, is_of(place, generation) ? STELE_OK : STELE_FENCED);
    if (status == STELE_OK)
        place->owner = -1;
}

/* Its generation goes on from where it was: how far isn't promised. */
static void step_reset(int name)
{
    bool found = false;
    judge("reset", stele_checkpoint_reset(store, names[name], &found), STELE_OK);
    ck_assert_int_eq(found, model[name].position >= 0);
    model[name].position = -1;
    model[name].owner = -1;
}

static void step_time(int name)
{
    (void)name;
    now_us += chance(400) * 1000;
    if (!one_in(40))
        return;
    boot++;
    now_us = chance(1000000);
}

static void (*const steps[])(int name) = {
    step_save,  step_advance, step_advance, step_claim, step_claim,
    step_renew, step_release, step_time,    step_time,  step_reset,
};

/* The list is the model, by name. */
static void compare_all(void)
{
    stele_checkpoints *list = NULL;
    const stele_checkpoint_info *info = NULL;
    assert_status(stele_store_checkpoints(store, &list), STELE_OK);
    for (int i = 0; i < NAMES; i++) {
        const model_place *place = &model[i];
        if (place->position < 0 && place->owner < 0)
            continue;
        assert_status(stele_checkpoints_next(list, &info), STELE_OK);
        ck_assert_str_eq(info->name, names[i]);
        ck_assert_int_eq(info->found, place->position >= 0);
        ck_assert_int_eq(info->position, place->position < 0 ? 0 : place->position);
        ck_assert_str_eq(info->owner, place->owner < 0 ? "" : owners[place->owner]);
        ck_assert_int_ge(info->generation, place->generation);
        ck_assert_int_eq(info->left_ms > 0, is_leased(place));
    }
    assert_status(stele_checkpoints_next(list, &info), STELE_DONE);
    stele_checkpoints_close(list);
}

static void run_model(int step_count)
{
    store = open_path(":memory:", NULL);
    fill_stream("a-1", HEAD);
    boot = 0;
    now_us = 1000000;
    for (int i = 0; i < NAMES; i++)
        model[i] = (model_place){ .position = -1, .owner = -1 };
    for (int i = 0; i < step_count; i++) {
        steps[chance((int64_t)COUNT_OF(steps))]((int)chance(NAMES));
        if (i % 16 == 0 && !trusts_leases)
            compare_all();
    }
    close_store();
}

START_TEST(random_use_is_as_the_model_says)
{
    uint64_t seed = choose_seed();
    int runs = effort_of(6, 200);
    stele__lease_boot = tell_boot;
    stele__lease_now_us = tell_now;
    for (int i = 0; i < runs; i++)
        run_model(1500);
    printf("checkpoints against the model: seed %" PRIu64 ", %d runs of 1500 steps\n", seed, runs);
}
END_TEST

/* The control: without generations somebody who was overtaken, or came late, is judged wrong. */
START_TEST(model_that_trusts_leases_disagrees)
{
    choose_seed();
    stele__lease_boot = tell_boot;
    stele__lease_now_us = tell_now;
    trusts_leases = true;
    disagreements = 0;
    run_model(1500);
    trusts_leases = false;
    ck_assert_int_gt(disagreements, 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint model");
    TCase *tests = add_case(suite, "model", NULL);
    tcase_set_timeout(tests, 1200);
    tcase_add_test(tests, random_use_is_as_the_model_says);
    tcase_add_test(tests, model_that_trusts_leases_disagrees);
    return run_suite(suite);
}
