/* Owning a checkpoint: claims, leases that end by a clock, and generations that fence off. */
#include "contract.h"

#include <pthread.h>

#include "checkpoint/own.h"

/* --- The machine, as the tests have it --- */

static char fake_boot[64];
static int64_t fake_now_us;

static void tell_fake_boot(char boot_out[64])
{
    snprintf(boot_out, 64, "%s", fake_boot);
}

static int64_t tell_fake_now(void)
{
    return fake_now_us;
}

static int64_t wall_us = 1700000000000000;

static int64_t tell_wall(void *context)
{
    (void)context;
    return wall_us;
}

static void fake_machine(void)
{
    snprintf(fake_boot, sizeof(fake_boot), "boot-1");
    fake_now_us = 5000000;
    stele__lease_boot = tell_fake_boot;
    stele__lease_now_us = tell_fake_now;
}

static stele_options options_with_clock(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = tell_wall;
    return options;
}

static void open_memory_on_fake_machine(void)
{
    stele_options options = options_with_clock();
    fake_machine();
    store = open_path(":memory:", &options);
    fill_stream("a-1", 20);
}

static void open_file_on_fake_machine(void)
{
    stele_options options = options_with_clock();
    fake_machine();
    store = open_path(store_path(), &options);
    fill_stream("a-1", 20);
}

static void pass_ms(int64_t ms)
{
    fake_now_us += ms * 1000;
}

/* --- Short ways --- */

static stele_checkpoint_claimed claimed;

static stele_status claim_by(const char *owner, uint32_t lease_ms)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    claim.owner = owner;
    claim.lease_ms = lease_ms;
    memset(&claimed, 0xAA, sizeof(claimed));
    return stele_checkpoint_claim_take(store, "reader", &claim, &claimed);
}

static stele_status claim_by_force(const char *owner)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    claim.owner = owner;
    claim.force = true;
    return stele_checkpoint_claim_take(store, "reader", &claim, &claimed);
}

static stele_status advance_under(int64_t generation, int64_t to)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    move.to = to;
    move.generation = generation;
    return stele_checkpoint_advance(store, "reader", &move, NULL);
}

/* The only one of the list; false when there is none. */
static bool look_at_list(stele_checkpoint_info *out, char owner[STELE_NAME_SIZE_MAX + 1])
{
    stele_checkpoints *list = NULL;
    const stele_checkpoint_info *info = NULL;
    assert_status(stele_store_checkpoints(store, &list), STELE_OK);
    bool there = stele_checkpoints_next(list, &info) == STELE_OK;
    if (there) {
        *out = *info;
        snprintf(owner, STELE_NAME_SIZE_MAX + 1, "%s", info->owner);
    }
    stele_checkpoints_close(list);
    return there;
}

/* --- Taking, renewing, releasing --- */

START_TEST(first_claim_begins_generation_one)
{
    assert_status(claim_by("w-1", 1000), STELE_OK);

    ck_assert_int_eq(claimed.generation, 1);
    ck_assert(!claimed.found);
    ck_assert_int_eq(claimed.position, 0);
    ck_assert_int_eq(claimed.left_ms, 0);
    ck_assert_str_eq(claimed.owner, "");
    for (size_t i = 0; i < COUNT_OF(claimed.reserved); i++)
        ck_assert_int_eq(claimed.reserved[i], 0);
    stele_checkpoint checkpoint = { 0 };
    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_OK);
    ck_assert(!checkpoint.found);
    assert_status(advance_under(1, 4), STELE_OK);
}
END_TEST

START_TEST(second_claimant_learns_who_has_it_and_for_how_long)
{
    assert_status(stele_checkpoint_save(store, "reader", 3), STELE_OK);
    assert_status(claim_by("w-1", 1000), STELE_OK);
    pass_ms(400);

    assert_status(claim_by("w-2", 1000), STELE_BUSY);

    assert_reason_has("owned by 'w-1' for another 600 ms");
    ck_assert_int_eq(claimed.generation, 1);
    ck_assert_str_eq(claimed.owner, "w-1");
    ck_assert_int_eq(claimed.left_ms, 600);
    ck_assert(claimed.found);
    ck_assert_int_eq(claimed.position, 3);
    assert_status(advance_under(1, 4), STELE_OK);
}
END_TEST

START_TEST(lease_that_ended_is_free_and_the_old_owner_is_fenced_off)
{
    assert_status(claim_by("w-1", 1000), STELE_OK);
    pass_ms(1000);
    assert_status(advance_under(1, 4), STELE_OK); /* nobody else has claimed it yet */

    assert_status(claim_by("w-2", 1000), STELE_OK);

    ck_assert_int_eq(claimed.generation, 2);
    ck_assert_str_eq(claimed.owner, "w-1");
    ck_assert_int_eq(claimed.position, 4);
    assert_status(advance_under(1, 5), STELE_FENCED);
    assert_reason_has("owned by 'w-2' in generation 2; this one's was 1");
    assert_status(stele_checkpoint_claim_renew(store, "reader", 1, 1000), STELE_FENCED);
    assert_status(stele_checkpoint_claim_release(store, "reader", 1), STELE_FENCED);
    assert_status(advance_under(2, 5), STELE_OK);
}
END_TEST

/* Of two that call themselves the same, the older one must not go on unnoticed. */
START_TEST(claim_by_the_same_name_begins_a_new_generation)
{
    assert_status(claim_by("w-1", 1000), STELE_OK);
    assert_status(claim_by("w-1", 1000), STELE_OK);

    ck_assert_int_eq(claimed.generation, 2);
    assert_status(advance_under(1, 4), STELE_FENCED);
}
END_TEST

START_TEST(forced_claim_takes_it_while_the_lease_lasts)
{
    assert_status(claim_by("w-1", 1000), STELE_OK);

    assert_status(claim_by_force("w-2"), STELE_OK);

    ck_assert_int_eq(claimed.generation, 2);
    assert_status(advance_under(1, 4), STELE_FENCED);
}
END_TEST

START_TEST(renewed_lease_lasts_from_now)
{
    assert_status(claim_by("w-1", 1000), STELE_OK);
    pass_ms(900);
    assert_status(stele_checkpoint_claim_renew(store, "reader", 1, 1000), STELE_OK);
    pass_ms(999);
    assert_status(claim_by("w-2", 1000), STELE_BUSY);
    ck_assert_int_eq(claimed.left_ms, 1);
    pass_ms(1);

    /* It has ended, but nobody has come since. */
    assert_status(stele_checkpoint_claim_renew(store, "reader", 1, 500), STELE_OK);

    assert_status(claim_by("w-2", 1000), STELE_BUSY);
    pass_ms(500);
    assert_status(claim_by("w-2", 1000), STELE_OK);
}
END_TEST

START_TEST(released_claim_is_free_at_once_and_the_position_stays)
{
    assert_status(claim_by("w-1", 1000), STELE_OK);
    assert_status(advance_under(1, 4), STELE_OK);

    assert_status(stele_checkpoint_claim_release(store, "reader", 1), STELE_OK);

    assert_status(advance_under(1, 5), STELE_FENCED);
    assert_reason_has("nobody owns checkpoint 'reader'");
    assert_status(stele_checkpoint_claim_release(store, "reader", 1), STELE_FENCED);
    assert_status(stele_checkpoint_claim_renew(store, "reader", 1, 1000), STELE_FENCED);
    assert_status(claim_by("w-2", 1000), STELE_OK);
    ck_assert_int_eq(claimed.generation, 2);
    ck_assert_int_eq(claimed.position, 4);
    ck_assert_str_eq(claimed.owner, "");
}
END_TEST

START_TEST(generation_goes_on_after_a_reset)
{
    bool found = true;
    assert_status(claim_by("w-1", 1000), STELE_OK);

    assert_status(stele_checkpoint_reset(store, "reader", &found), STELE_OK);

    ck_assert(!found); /* a claim alone is no position */
    assert_status(advance_under(1, 4), STELE_FENCED);
    assert_status(claim_by("w-2", 1000), STELE_OK);
    ck_assert_int_gt(claimed.generation, 1);
    assert_status(advance_under(1, 4), STELE_FENCED);
    assert_status(stele_checkpoint_reset(store, "reader", &found), STELE_OK);
    stele_checkpoint_info info;
    char owner[STELE_NAME_SIZE_MAX + 1];
    ck_assert(!look_at_list(&info, owner));
}
END_TEST

START_TEST(save_leaves_the_claim_alone)
{
    assert_status(claim_by("w-1", 1000), STELE_OK);

    assert_status(stele_checkpoint_save(store, "reader", 9), STELE_OK);

    assert_status(advance_under(1, 10), STELE_OK);
    assert_status(claim_by("w-2", 1000), STELE_BUSY);
}
END_TEST

START_TEST(list_shows_who_owns_what)
{
    stele_checkpoint_info info;
    char owner[STELE_NAME_SIZE_MAX + 1];
    assert_status(claim_by("w-1", 1000), STELE_OK);
    pass_ms(100);

    ck_assert(look_at_list(&info, owner));

    ck_assert(!info.found);
    ck_assert_str_eq(owner, "w-1");
    ck_assert_int_eq(info.generation, 1);
    ck_assert_int_eq(info.left_ms, 900);
    ck_assert_uint_eq(info.lanes, 0);
    pass_ms(900);
    assert_status(stele_checkpoint_save(store, "reader", 0), STELE_OK);
    ck_assert(look_at_list(&info, owner));
    ck_assert(info.found);
    ck_assert_str_eq(owner, "w-1"); /* it has not released it */
    ck_assert_int_eq(info.left_ms, 0);
}
END_TEST

START_TEST(bad_claims_are_misuse)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    char too_long[257];
    memset(too_long, 'n', 256), too_long[256] = '\0';
    assert_status(claim_by(NULL, 1000), STELE_MISUSE);
    ck_assert_int_eq(claimed.generation, 0);
    assert_status(claim_by("", 1000), STELE_MISUSE);
    assert_status(claim_by("a\nb", 1000), STELE_MISUSE);
    assert_status(claim_by(too_long, 1000), STELE_MISUSE);
    assert_status(claim_by("w-1", 0), STELE_MISUSE);
    assert_status(claim_by("w-1", STELE_LEASE_MS_MAX + 1), STELE_MISUSE);
    claim.owner = "w-1";
    assert_status(stele_checkpoint_claim_take(NULL, "reader", &claim, NULL), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_take(store, "", &claim, NULL), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_take(store, "reader", NULL, NULL), STELE_MISUSE);
    claim.struct_size = 0;
    assert_status(stele_checkpoint_claim_take(store, "reader", &claim, NULL), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_renew(store, "reader", 0, 1000), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_renew(store, "reader", 1, 0), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_renew(store, NULL, 1, 1000), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_renew(NULL, "reader", 1, 1000), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_release(store, "reader", -1), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_release(NULL, "reader", 1), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_release(store, "reader", 1), STELE_FENCED);
    assert_status(claim_by("w-1", STELE_LEASE_MS_MAX), STELE_OK);
}
END_TEST

START_TEST(own_open_transaction_on_the_thread_is_misuse_and_no_deadlock)
{
    stele_transaction *transaction = begin();

    assert_status(claim_by("w-1", 1000), STELE_MISUSE);
    ck_assert_int_eq(claimed.generation, 0);

    stele_transaction_end(transaction);
}
END_TEST

START_TEST(claim_that_never_gets_its_turn_is_busy_without_a_generation)
{
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 20;
    store = open_path(store_path(), &options);

    assert_status(claim_by("w-1", 1000), STELE_BUSY);

    ck_assert_int_eq(claimed.generation, 0);
    ck_assert_int_eq(claimed.left_ms, 0);
    run_raw(other, "ROLLBACK");
    sqlite3_close(other);
}
END_TEST

START_TEST(checkpoint_of_another_timeline_must_be_saved_before_it_is_claimed)
{
    assert_status(stele_checkpoint_save(store, "reader", 15), STELE_OK);
    close_store();
    run_sql(store_path(), "DELETE FROM events WHERE position > 10");
    stele_options options = STELE_OPTIONS_INIT;
    options.accept_loss = true;
    store = open_path(store_path(), &options);

    assert_status(claim_by("w-1", 1000), STELE_EPOCH);
    assert_status(stele_checkpoint_save(store, "reader", 10), STELE_OK);

    assert_status(claim_by("w-1", 1000), STELE_OK);
}
END_TEST

/* --- What the machine does --- */

START_TEST(lease_of_another_boot_has_ended)
{
    assert_status(claim_by("w-1", 600000), STELE_OK);

    snprintf(fake_boot, sizeof(fake_boot), "boot-2");
    fake_now_us = 1000; /* its clock begins anew */

    assert_status(claim_by("w-2", 1000), STELE_OK);
    assert_status(advance_under(1, 4), STELE_FENCED);
}
END_TEST

START_TEST(deadline_beyond_the_longest_lease_has_ended)
{
    assert_status(claim_by("w-1", 600000), STELE_OK);
    assert_status(claim_by("w-2", 1000), STELE_BUSY);
    ck_assert_int_eq(claimed.left_ms, 600000);

    fake_now_us -= 1; /* of the same boot, by all that is said: a clone, or a broken clock */

    assert_status(claim_by("w-2", 1000), STELE_OK);
}
END_TEST

/* The monotonic clock stands still while the machine sleeps: owner and rivals sleep alike. */
START_TEST(suspended_machine_takes_nothing_from_a_lease)
{
    assert_status(claim_by("w-1", 1000), STELE_OK);

    wall_us += INT64_C(8) * 3600 * 1000000;

    assert_status(claim_by("w-2", 1000), STELE_BUSY);
    ck_assert_int_eq(claimed.left_ms, 1000);
}
END_TEST

START_TEST(wall_clock_set_back_or_forward_changes_no_lease)
{
    const int64_t leaps[] = { -1, 1, -INT64_C(86400000000), INT64_C(86400000000) };
    for (size_t i = 0; i < COUNT_OF(leaps); i++) {
        assert_status(claim_by("w-1", 1000), STELE_OK);
        wall_us += leaps[i];
        pass_ms(999);
        assert_status(claim_by("w-2", 1000), STELE_BUSY);
        pass_ms(1);
        assert_status(claim_by("w-2", 1000), STELE_OK);
        pass_ms(1000);
    }
}
END_TEST

/* --- Many at once --- */

enum { CLAIMANTS = 16 };

typedef struct claimant {
    pthread_t thread;
    int index;
    bool force;
    stele_status status;
    int64_t generation;
} claimant;

static void *claim_in_thread(void *context)
{
    claimant *self = context;
    char owner[16];
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    stele_checkpoint_claimed own = { 0 };
    snprintf(owner, sizeof(owner), "w-%d", self->index);
    claim.owner = owner;
    claim.force = self->force;
    self->status = stele_checkpoint_claim_take(store, "reader", &claim, &own);
    self->generation = own.generation;
    return NULL;
}

static void let_all_claim(claimant claimants[CLAIMANTS], bool force)
{
    for (int i = 0; i < CLAIMANTS; i++) {
        claimants[i] = (claimant){ .index = i, .force = force };
        ck_assert_int_eq(pthread_create(&claimants[i].thread, NULL, claim_in_thread, &claimants[i]),
                         0);
    }
    for (int i = 0; i < CLAIMANTS; i++)
        pthread_join(claimants[i].thread, NULL);
}

START_TEST(one_of_many_claimants_gets_it)
{
    static claimant claimants[CLAIMANTS];

    let_all_claim(claimants, false);

    int winners = 0;
    for (int i = 0; i < CLAIMANTS; i++) {
        winners += claimants[i].status == STELE_OK;
        ck_assert(claimants[i].status == STELE_OK || claimants[i].status == STELE_BUSY);
        ck_assert_int_eq(claimants[i].generation, 1);
    }
    ck_assert_int_eq(winners, 1);
}
END_TEST

START_TEST(no_generation_is_given_twice)
{
    static claimant claimants[CLAIMANTS];
    bool given[CLAIMANTS + 1] = { false };

    let_all_claim(claimants, true);

    for (int i = 0; i < CLAIMANTS; i++) {
        int64_t generation = claimants[i].generation;
        ck_assert_int_eq(claimants[i].status, STELE_OK);
        ck_assert(generation >= 1 && generation <= CLAIMANTS && !given[generation]);
        given[generation] = true;
        stele_status expected = generation == CLAIMANTS ? STELE_OK : STELE_FENCED;
        assert_status(advance_under(generation, 4), expected);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, first_claim_begins_generation_one);
    tcase_add_test(tests, second_claimant_learns_who_has_it_and_for_how_long);
    tcase_add_test(tests, lease_that_ended_is_free_and_the_old_owner_is_fenced_off);
    tcase_add_test(tests, claim_by_the_same_name_begins_a_new_generation);
    tcase_add_test(tests, forced_claim_takes_it_while_the_lease_lasts);
    tcase_add_test(tests, renewed_lease_lasts_from_now);
    tcase_add_test(tests, released_claim_is_free_at_once_and_the_position_stays);
    tcase_add_test(tests, generation_goes_on_after_a_reset);
    tcase_add_test(tests, save_leaves_the_claim_alone);
    tcase_add_test(tests, list_shows_who_owns_what);
    tcase_add_test(tests, bad_claims_are_misuse);
    tcase_add_test(tests, own_open_transaction_on_the_thread_is_misuse_and_no_deadlock);
    tcase_add_test(tests, lease_of_another_boot_has_ended);
    tcase_add_test(tests, deadline_beyond_the_longest_lease_has_ended);
    tcase_add_test(tests, suspended_machine_takes_nothing_from_a_lease);
    tcase_add_test(tests, wall_clock_set_back_or_forward_changes_no_lease);
    tcase_add_test(tests, one_of_many_claimants_gets_it);
    tcase_add_test(tests, no_generation_is_given_twice);
}

int main(void)
{
    Suite *suite = suite_create("checkpoint claim");
    add_tests(add_case(suite, "memory", open_memory_on_fake_machine));
    TCase *file = add_case(suite, "file", open_file_on_fake_machine);
    add_tests(file);
    tcase_add_test(file, claim_that_never_gets_its_turn_is_busy_without_a_generation);
    tcase_add_test(file, checkpoint_of_another_timeline_must_be_saved_before_it_is_claimed);
    return run_suite(suite);
}
