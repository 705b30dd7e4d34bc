/* Moves whose other end is out of reach, is left in a hurry, or is ordered by somebody else. */
#include "shard_moves.h"

#include "base/failure.h"
#include "shard/shard.h"
#include "store/sequencer.h"

#include <pthread.h>

/* Keeps the mover out of the new folder once it has switched. */
typedef struct doorkeeper {
    stele__folder_lock lock;
    bool locks;
    bool locks_old;       /* that folder, so that there is no signpost */
    const char *stops_at; /* the step that is cancelled; NULL: none */
    char record[4096];    /* of the move, as it was then */
    size_t size;
} doorkeeper;

static int keep_out(void *context, const stele_progress *progress)
{
    doorkeeper *self = context;
    stele__patience patience;
    if (self->stops_at != NULL && strcmp(progress->doing, self->stops_at) == 0)
        return 1;
    if (strcmp(progress->doing, "releasing") != 0)
        return 0;
    FILE *file = fopen(file_in(old_root(), "orders.moving"), "r");
    ck_assert_ptr_nonnull(file);
    self->size = fread(self->record, 1, sizeof(self->record), file);
    fclose(file);
    if (!self->locks)
        return 0;
    const char *root = self->locks_old ? old_root() : new_root();
    assert_status(stele__patience_begin(&patience, NULL, 1000, NULL), STELE_OK);
    assert_status(stele__folder_lock_take(file_in(root, "."), true, &patience, &self->lock),
                  STELE_OK);
    return 0;
}

static stele_status move_past(doorkeeper *keeper)
{
    char root[512];
    stele_wait wait = STELE_WAIT_INIT;
    stele_work work = STELE_WORK_INIT;
    snprintf(root, sizeof(root), "%s", new_root());
    stele_shard_move move = move_of("orders", root);
    wait.timeout_ms = 200;
    keeper->lock.descriptor = -1;
    work.wait = &wait;
    work.progress = keep_out;
    work.context = keeper;
    move.work = &work;
    stele_status status = stele_shards_move(shards, &move, NULL);
    stele__folder_lock_drop(&keeper->lock);
    return status;
}

/* It has the signpost, and isn't open there yet. Who forgets it now, leaves it shut for ever. */
START_TEST(switched_move_is_not_forgotten_while_its_new_root_is_away)
{
    char root[512];
    char away[512];
    doorkeeper keeper = { .locks = true };
    fill_shard(shards, "orders", 3);
    assert_status(move_past(&keeper), STELE_BUSY);
    ck_assert(is_there(old_root(), "orders.moved"));
    stele_shards_close(others);
    others = NULL;
    snprintf(root, sizeof(root), "%s", new_root());
    snprintf(away, sizeof(away), "%s", test_path("away"));
    ck_assert_int_eq(rename(root, away), 0);

    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_NOT_FOUND);
    assert_reason_has(root);
    assert_status(stele_shards_maintain(shards, NULL, NULL), STELE_OK);
    assert_status(stele_shards_move_cancel(shards, "acme", "orders", NULL), STELE_CONFLICT);

    ck_assert_int_eq(rename(away, root), 0);
    others = open_root(root);
    assert_status(try_acquire(others, "orders"), STELE_BUSY);
    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
    ck_assert_int_eq(head_in(others, "orders"), 3);
    expect_no_remains("orders");
}
END_TEST

/* The new root is away; what it holds is the copy of a move that was switched, or only reserved. */
static void take_back_while_away(const char *away)
{
    char root[512];
    stele_shards_close(others);
    snprintf(root, sizeof(root), "%s", new_root());
    ck_assert_int_eq(rename(root, away), 0);
    assert_status(stele_shards_move_cancel(shards, "acme", "orders", NULL), STELE_OK);
    fill_shard(shards, "orders", 1);
    ck_assert_int_eq(rename(away, root), 0);
    others = open_root(root);
    assert_status(try_acquire(others, "orders"), STELE_BUSY);
}

static void expect_free_again(int in_trash)
{
    int count = 0;
    stele_trash *trash = NULL;
    const stele_trashed *item = NULL;
    expect_no_remains("orders");
    ck_assert(!is_there(new_root(), "orders.db"));
    ck_assert(!is_there(new_root(), "orders.db-partial"));
    assert_status(try_acquire(others, "orders"), STELE_NOT_FOUND);
    assert_status(stele_shards_trash(others, &trash), STELE_OK);
    for (; stele_trash_next(trash, &item) == STELE_OK; count++)
        ck_assert(item->moved); /* so that nobody brings a second one of its uuid back */
    stele_trash_close(trash);
    ck_assert_int_eq(count, in_trash);
    ck_assert_int_eq(head_in(shards, "orders"), 4);
    assert_status(move_over("orders", NULL), STELE_OK);
    ck_assert_int_eq(head_in(others, "orders"), 4);
}

static void switch_without_signpost(void)
{
    doorkeeper keeper = { .locks = true, .locks_old = true };
    fill_shard(shards, "orders", 3);
    assert_status(move_past(&keeper), STELE_BUSY);
    ck_assert(!is_there(old_root(), "orders.moved"));
    ck_assert(is_there(new_root(), "orders.db"));
}

START_TEST(copy_of_a_move_that_was_taken_back_while_it_was_away_goes_to_the_trash)
{
    char away[512];
    snprintf(away, sizeof(away), "%s", test_path("away"));
    switch_without_signpost();
    take_back_while_away(away);
    assert_status(move_over("orders", NULL), STELE_CONFLICT);
    assert_reason_has("resume there");
    if (_i == 0)
        assert_status(stele_shards_resume(others, NULL, NULL), STELE_OK);
    else
        assert_status(stele_shards_maintain(others, NULL, NULL), STELE_OK);
    expect_free_again(1);
}
END_TEST

/* As who was cut leaves it: the name alone. */
static void put_claim(const char *path)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
}

START_TEST(reservation_of_a_move_that_was_taken_back_while_it_was_away_goes)
{
    char away[512];
    doorkeeper keeper = { 0 };
    snprintf(away, sizeof(away), "%s", test_path("away"));
    fill_shard(shards, "orders", 3);
    keeper.stops_at = "verifying";
    assert_status(move_past(&keeper), STELE_CANCELLED);
    put_claim(file_in(new_root(), "orders.db"));
    take_back_while_away(away);
    put_claim(file_in(new_root(), "orders.db-partial"));
    assert_status(stele_shards_resume(others, NULL, NULL), STELE_OK);
    expect_free_again(0);
}
END_TEST

/* Where it went since has nothing to do with it. */
START_TEST(copy_goes_also_when_the_shard_has_moved_to_somewhere_else_since)
{
    char away[512];
    snprintf(away, sizeof(away), "%s", test_path("away"));
    switch_without_signpost();
    take_back_while_away(away);
    assert_status(stele_shards_rename(shards, "acme", "orders", "bills", NULL), STELE_OK);

    assert_status(stele_shards_resume(others, NULL, NULL), STELE_OK);

    expect_no_remains("orders");
    assert_status(try_acquire(others, "orders"), STELE_NOT_FOUND);
    ck_assert_int_eq(head_in(shards, "bills"), 4);
}
END_TEST

/* Somebody has removed the record of one that was switched: by the fence it is there. */
START_TEST(copy_stays_while_the_other_end_says_that_it_has_moved)
{
    switch_without_signpost();
    ck_assert_int_eq(unlink(file_in(old_root(), "orders.moving")), 0);

    assert_status(stele_shards_resume(others, NULL, NULL), STELE_CONFLICT);
    assert_status(stele_shards_maintain(others, NULL, NULL), STELE_OK);

    ck_assert(is_there(new_root(), "orders.db"));
    ck_assert(is_there(new_root(), "orders.arriving"));
}
END_TEST

/* So it is by the signpost alone, where the old file has gone to the trash. */
START_TEST(copy_stays_while_a_signpost_leads_to_it)
{
    doorkeeper keeper = { .locks = true };
    fill_shard(shards, "orders", 3);
    assert_status(move_past(&keeper), STELE_BUSY);
    ck_assert(is_there(old_root(), "orders.moved"));
    ck_assert_int_eq(unlink(file_in(old_root(), "orders.moving")), 0);
    ck_assert_int_eq(unlink(file_in(old_root(), "orders.db")), 0);

    assert_status(stele_shards_resume(others, NULL, NULL), STELE_CONFLICT);

    assert_reason_has("has moved to");
    ck_assert(is_there(new_root(), "orders.db"));
    ck_assert(is_there(new_root(), "orders.arriving"));
}
END_TEST

/* The other end has lost all it had: the copy is the last one. `_i`: or has another one by now. */
START_TEST(copy_stays_when_the_store_that_it_is_of_is_gone)
{
    switch_without_signpost();
    ck_assert_int_eq(unlink(file_in(old_root(), "orders.moving")), 0);
    ck_assert_int_eq(unlink(file_in(old_root(), "orders.db")), 0);
    unlink(file_in(old_root(), "orders.db-anchor"));
    if (_i == 1)
        fill_shard(shards, "orders", 1);

    assert_status(stele_shards_resume(others, NULL, NULL), STELE_CONFLICT);

    assert_reason_has("may be all there is");
    assert_status(stele_shards_maintain(others, NULL, NULL), STELE_OK);
    ck_assert(is_there(new_root(), "orders.db"));
    ck_assert(is_there(new_root(), "orders.arriving"));
    ck_assert_int_eq(unlink(file_in(new_root(), "orders.arriving")), 0); /* somebody decides */
    ck_assert_int_eq(head_in(others, "orders"), 3);
}
END_TEST

START_TEST(copy_stays_while_the_other_end_is_away)
{
    char root[512];
    char away[512];
    snprintf(root, sizeof(root), "%s", old_root());
    snprintf(away, sizeof(away), "%s", test_path("away"));
    switch_without_signpost();
    stele_shards_close(shards);
    ck_assert_int_eq(rename(root, away), 0);
    assert_status(stele_shards_resume(others, NULL, NULL), STELE_OK);
    ck_assert(is_there(new_root(), "orders.arriving"));
    ck_assert_int_eq(rename(away, root), 0);
    shards = open_root(root);
    assert_status(stele_shards_resume(others, NULL, NULL), STELE_OK); /* the record is there */
    ck_assert(is_there(new_root(), "orders.db"));
    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
    ck_assert_int_eq(head_in(others, "orders"), 3);
}
END_TEST

/* What is written down of a move that is over must not send the shard away again. */
START_TEST(shard_does_not_come_back_to_where_a_move_from_is_not_over)
{
    doorkeeper keeper = { 0 };
    fill_shard(shards, "orders", 3);
    assert_status(move_past(&keeper), STELE_OK);
    FILE *file = fopen(file_in(old_root(), "orders.moving"), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(keeper.record, 1, keeper.size, file), keeper.size);
    fclose(file);

    stele_shard_move move = move_of("orders", old_root());
    assert_status(stele_shards_move(others, &move, NULL), STELE_CONFLICT);
    assert_reason_has("orders.moving");
    fill_shard(others, "orders", 1);

    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
    assert_status(stele_shards_move(others, &move, NULL), STELE_OK);
    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
    ck_assert_int_eq(head_in(shards, "orders"), 4);
}
END_TEST

START_TEST(old_file_stays_while_its_move_is_not_over)
{
    doorkeeper keeper = { .locks = true };
    fill_shard(shards, "orders", 3);
    assert_status(move_past(&keeper), STELE_BUSY);

    assert_status(stele_shards_maintain(shards, NULL, NULL), STELE_OK);

    ck_assert(is_there(old_root(), "orders.db"));
    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
    ck_assert(!is_there(old_root(), "orders.db"));
    ck_assert_int_eq(head_in(others, "orders"), 3);
}
END_TEST

static int stop_at_verifying(void *context, const stele_progress *progress)
{
    (void)context;
    return strcmp(progress->doing, "verifying") == 0;
}

START_TEST(taking_back_that_was_cut_is_finished_as_that)
{
    stele__folder_lock lock;
    stele__patience patience;
    stele_wait wait = STELE_WAIT_INIT;
    stele_work work = STELE_WORK_INIT;
    fill_shard(shards, "orders", 3);
    stele_shard_move move = move_of("orders", new_root());
    work.progress = stop_at_verifying;
    move.work = &work;
    assert_status(stele_shards_move(shards, &move, NULL), STELE_CANCELLED);
    assert_status(stele__patience_begin(&patience, NULL, 1000, NULL), STELE_OK);
    assert_status(stele__folder_lock_take(file_in(new_root(), "."), true, &patience, &lock),
                  STELE_OK);
    wait.timeout_ms = 100;
    assert_status(stele_shards_move_cancel(shards, "acme", "orders", &wait), STELE_BUSY);
    stele__folder_lock_drop(&lock);
    fill_shard(shards, "orders", 1); /* its writers go on already */

    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);

    expect_no_remains("orders");
    ck_assert_int_eq(head_in(shards, "orders"), 4);
    assert_status(try_acquire(others, "orders"), STELE_NOT_FOUND);
}
END_TEST

/* --- When the fence goes up --- */

typedef struct told_steps {
    int before; /* the fence */
    int after;
    bool fenced;
} told_steps;

static int count_copying(void *context, const stele_progress *progress)
{
    told_steps *self = context;
    self->fenced |= strcmp(progress->doing, "fencing") == 0;
    if (strcmp(progress->doing, "copying") == 0)
        ++*(self->fenced ? &self->after : &self->before);
    return 0;
}

/* Writers stand for the last of it, not for the whole copy. */
START_TEST(fence_goes_up_when_nearly_all_is_copied)
{
    told_steps told = { 0 };
    stele_work work = STELE_WORK_INIT;
    fill_shard(shards, "orders", 3);
    stele_shard_move move = move_of("orders", new_root());
    work.step_count_max = 2;
    work.progress = count_copying;
    work.context = &told;
    move.work = &work;

    assert_status(stele_shards_move(shards, &move, NULL), STELE_OK);

    ck_assert_int_gt(told.before, 5);
    ck_assert_int_eq(told.after, 0);
}
END_TEST

/* --- Found out --- */

/* Who doesn't look at the fence, behind it. */
static void *append_heedlessly(void *context)
{
    stele_store *heedless = NULL;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    (void)context;
    assert_status(stele_store_open(file_in(old_root(), "orders.db"), NULL, &heedless), STELE_OK);
    heedless->no_fence = true;
    assert_status(stele_store_append(heedless, &append, NULL), STELE_OK);
    stele_store_close(heedless);
    return NULL;
}

static int append_at_verifying(void *context, const stele_progress *progress)
{
    int *left = context;
    pthread_t thread;
    if (strcmp(progress->doing, "verifying") != 0 || --*left != 0)
        return 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, append_heedlessly, NULL), 0);
    pthread_join(thread, NULL);
    return 0;
}

START_TEST(copy_that_lacks_an_event_is_found_out_and_the_move_taken_back)
{
    int left = 1;
    stele_work work = STELE_WORK_INIT;
    fill_shard(shards, "orders", 3);
    stele_shard_move move = move_of("orders", new_root());
    work.progress = append_at_verifying;
    work.context = &left;
    move.work = &work;

    assert_status(stele_shards_move(shards, &move, NULL), STELE_CORRUPT);
    assert_reason_has("digest");

    expect_no_remains("orders");
    assert_status(try_acquire(others, "orders"), STELE_NOT_FOUND);
    fill_shard(shards, "orders", 1);
    ck_assert_int_eq(head_in(shards, "orders"), 5);
}
END_TEST

/* --- Ordered elsewhere --- */

static stele_status propose_nothing(stele__sequencer *sequencer, stele_store *to,
                                    const stele__change *change)
{
    (void)sequencer;
    (void)to;
    (void)change;
    return stele__fail(STELE_BUSY, "not now");
}

START_TEST(shard_whose_changes_are_ordered_elsewhere_is_not_moved)
{
    stele__sequencer sequencer = { .propose = propose_nothing };
    fill_shard(shards, "orders", 3);
    stele_shard *held = acquire_from(shards, "orders");
    assert_status(stele__sequencer_set(stele_shard_store(held), &sequencer), STELE_OK);

    assert_status(move_over("orders", NULL), STELE_UNSUPPORTED);
    expect_no_remains("orders");
    assert_status(put_event(stele_shard_store(held), 3), STELE_BUSY);

    assert_status(stele__sequencer_set(stele_shard_store(held), NULL), STELE_OK);
    assert_status(put_event(stele_shard_store(held), 3), STELE_OK);
    stele_shard_release(held);
    assert_status(move_over("orders", NULL), STELE_OK);
}
END_TEST

/* One that comes while it is copied. */
typedef struct late_sequencer {
    stele__sequencer sequencer;
    stele_shard *held;
    stele_status set;
    const char *at;
} late_sequencer;

static void *set_late_sequencer(void *context)
{
    late_sequencer *self = context;
    self->set = stele__sequencer_set(stele_shard_store(self->held), &self->sequencer);
    return NULL;
}

/* Who is asked may call nothing himself. */
static int set_sequencer_at(void *context, const stele_progress *progress)
{
    late_sequencer *self = context;
    pthread_t thread;
    if (strcmp(progress->doing, self->at) != 0 || self->set != STELE_DONE)
        return 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, set_late_sequencer, self), 0);
    pthread_join(thread, NULL);
    return 0;
}

static stele_status move_with(late_sequencer *late, const char *at)
{
    stele_work work = STELE_WORK_INIT;
    *late = (late_sequencer){ .sequencer.propose = propose_nothing,
                              .held = acquire_from(shards, "orders"),
                              .set = STELE_DONE,
                              .at = at };
    stele_shard_move move = move_of("orders", new_root());
    work.progress = set_sequencer_at;
    work.context = late;
    move.work = &work;
    return stele_shards_move(shards, &move, NULL);
}

START_TEST(sequencer_that_comes_before_the_fence_ends_the_move_and_later_ones_are_moved)
{
    late_sequencer late;
    fill_shard(shards, "orders", 3);
    assert_status(move_with(&late, "fencing"), STELE_UNSUPPORTED);
    assert_status(late.set, STELE_OK);
    expect_no_remains("orders");
    assert_status(stele__sequencer_set(stele_shard_store(late.held), NULL), STELE_OK);
    stele_shard_release(late.held);

    assert_status(move_with(&late, "verifying"), STELE_OK);
    assert_status(late.set, STELE_OK);
    assert_status(put_event(stele_shard_store(late.held), 3), STELE_MOVED);
    stele_shard_release(late.held);
    ck_assert_int_eq(head_in(others, "orders"), 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shard_move_apart");
    TCase *tests = add_move_case(suite, "apart");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, switched_move_is_not_forgotten_while_its_new_root_is_away);
    tcase_add_loop_test(
        tests, copy_of_a_move_that_was_taken_back_while_it_was_away_goes_to_the_trash, 0, 2);
    tcase_add_test(tests, reservation_of_a_move_that_was_taken_back_while_it_was_away_goes);
    tcase_add_test(tests, copy_goes_also_when_the_shard_has_moved_to_somewhere_else_since);
    tcase_add_test(tests, copy_stays_while_the_other_end_says_that_it_has_moved);
    tcase_add_test(tests, copy_stays_while_a_signpost_leads_to_it);
    tcase_add_loop_test(tests, copy_stays_when_the_store_that_it_is_of_is_gone, 0, 2);
    tcase_add_test(tests, copy_stays_while_the_other_end_is_away);
    tcase_add_test(tests, shard_does_not_come_back_to_where_a_move_from_is_not_over);
    tcase_add_test(tests, old_file_stays_while_its_move_is_not_over);
    tcase_add_test(tests, taking_back_that_was_cut_is_finished_as_that);
    tcase_add_test(tests, fence_goes_up_when_nearly_all_is_copied);
    tcase_add_test(tests, copy_that_lacks_an_event_is_found_out_and_the_move_taken_back);
    tcase_add_test(tests, shard_whose_changes_are_ordered_elsewhere_is_not_moved);
    tcase_add_test(tests,
                   sequencer_that_comes_before_the_fence_ends_the_move_and_later_ones_are_moved);
    return run_suite(suite);
}
