/* Moves that were cut short: gone on with, or taken back. See also test_shard_move_kills.c. */
#include "shard_moves.h"

#include <stele/shard_list.h>

typedef struct stopper {
    const char *at;
    int told;
} stopper;

static int stop_at(void *context, const stele_progress *progress)
{
    stopper *self = context;
    self->told++;
    return strcmp(progress->doing, self->at) == 0;
}

static stele_status move_until(const char *step)
{
    char root[512];
    stopper self = { step, 0 };
    stele_work work = STELE_WORK_INIT;
    snprintf(root, sizeof(root), "%s", new_root());
    work.progress = stop_at;
    work.context = &self;
    stele_shard_move move = move_of("orders", root);
    move.work = &work;
    return stele_shards_move(shards, &move, NULL);
}

START_TEST(move_that_is_cancelled_before_the_fence_is_taken_back)
{
    static const char *const steps[] = { "reserving", "checking", "fencing" };
    fill_shard(shards, "orders", 3);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        assert_status(move_until(steps[i]), STELE_CANCELLED);
        fill_shard(shards, "orders", 1);
        expect_no_remains("orders");
    }
    ck_assert_int_eq(head_in(shards, "orders"), 6);
    assert_status(try_acquire(others, "orders"), STELE_NOT_FOUND);
    assert_status(move_over("orders", NULL), STELE_OK);
    ck_assert_int_eq(head_in(others, "orders"), 6);
}
END_TEST

START_TEST(move_that_is_cancelled_behind_the_fence_is_gone_on_with_by_the_same_call)
{
    static const char *const steps[] = { "copying", "verifying", "switching" };
    char path[512];
    fill_shard(shards, "orders", 3);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        assert_status(move_until(steps[i]), STELE_CANCELLED);
        assert_status(try_acquire(shards, "orders"), STELE_MOVED);
        assert_status(stele_shards_moved_to(shards, "acme", "orders", path, sizeof(path)),
                      STELE_OK);
        ck_assert_str_eq(path, file_in(new_root(), "orders.db"));
        assert_status(try_acquire(others, "orders"), STELE_BUSY);
        stele_shard_move elsewhere = move_of("orders", NULL);
        elsewhere.to_namespace = "elsewhere";
        assert_status(stele_shards_move(shards, &elsewhere, NULL), STELE_CONFLICT);
    }

    stele_shard_moved moved;
    assert_status(move_over("orders", &moved), STELE_OK);

    ck_assert(moved.resumed);
    ck_assert_int_eq(moved.head, 3);
    ck_assert_int_eq(head_in(others, "orders"), 3);
    expect_no_remains("orders");
}
END_TEST

START_TEST(move_that_was_cut_can_be_taken_back_until_its_switch)
{
    fill_shard(shards, "orders", 3);
    stele_shard *held = acquire_from(shards, "orders");
    assert_status(move_until("switching"), STELE_CANCELLED);
    assert_status(put_event(stele_shard_store(held), 3), STELE_MOVED);

    assert_status(stele_shards_move_cancel(shards, "acme", "orders", NULL), STELE_OK);
    assert_status(stele_shards_move_cancel(shards, "acme", "orders", NULL), STELE_OK);

    assert_status(put_event(stele_shard_store(held), 3), STELE_OK);
    stele_shard_release(held);
    ck_assert_int_eq(head_in(shards, "orders"), 4);
    assert_status(try_acquire(others, "orders"), STELE_NOT_FOUND);
    expect_no_remains("orders");
}
END_TEST

START_TEST(resume_goes_on_with_all_that_were_cut)
{
    uint64_t finished = 0;
    fill_shard(shards, "orders", 3);
    fill_shard(shards, "quiet", 2);
    assert_status(move_until("verifying"), STELE_CANCELLED);

    assert_status(stele_shards_resume(shards, NULL, &finished), STELE_OK);

    ck_assert_uint_eq(finished, 1);
    ck_assert_int_eq(head_in(others, "orders"), 3);
    ck_assert_int_eq(head_in(shards, "quiet"), 2);
    assert_status(stele_shards_resume(shards, NULL, &finished), STELE_OK);
    ck_assert_uint_eq(finished, 0);
    expect_no_remains("orders");
}
END_TEST

/* Of the only shard: whether it is `moving` and `moved`. */
static void expect_listed(stele_shards *in, bool moving, bool moved)
{
    stele_shard_list *list = NULL;
    const stele_shard_entry *entry = NULL;
    assert_status(stele_shards_list(in, NULL, &list), STELE_OK);
    assert_status(stele_shard_list_next(list, &entry), STELE_OK);
    ck_assert_str_eq(entry->name_space, "orders");
    ck_assert_int_eq(entry->moving, moving);
    ck_assert_int_eq(entry->moved, moved);
    assert_status(stele_shard_list_next(list, &entry), STELE_DONE);
    stele_shard_list_close(list);
}

START_TEST(list_tells_which_moves_are_not_over)
{
    fill_shard(shards, "orders", 3);
    expect_listed(shards, false, false);
    assert_status(move_until("verifying"), STELE_CANCELLED);
    expect_listed(shards, true, false);
    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
    expect_listed(shards, false, true);
    expect_listed(others, false, false);
}
END_TEST

/* Where a file can't have two names, the empty one that its name is given to first is no copy. */
START_TEST(move_that_was_cut_before_its_copy_had_its_name_goes_on)
{
    fill_shard(shards, "orders", 3);
    assert_status(move_until("switching"), STELE_CANCELLED);
    FILE *file = fopen(file_in(new_root(), "orders.db"), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);

    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);

    ck_assert_int_eq(head_in(others, "orders"), 3);
    expect_no_remains("orders");
}
END_TEST

START_TEST(reservation_that_nobody_remembers_is_taken_over)
{
    fill_shard(shards, "orders", 3);
    fill_shard(shards, "other", 1);
    assert_status(move_until("verifying"), STELE_CANCELLED);
    stele_shard_move move = move_of("other", NULL);
    move.root = new_root();
    move.to_namespace = "orders";
    assert_status(stele_shards_move(shards, &move, NULL), STELE_CONFLICT);
    fill_shard(shards, "other", 1);
    ck_assert_int_eq(unlink(file_in(old_root(), "orders.moving")), 0);

    assert_status(stele_shards_move(shards, &move, NULL), STELE_OK);

    ck_assert_int_eq(head_in(others, "orders"), 2);
    /* The fence stays until somebody says so: it may be that the shard went on there. */
    assert_status(move_over("orders", NULL), STELE_CONFLICT);
    assert_status(stele_shards_move_cancel(shards, "acme", "orders", NULL), STELE_OK);
    ck_assert_int_eq(head_in(shards, "orders"), 3);
}
END_TEST

START_TEST(fence_without_a_record_is_taken_back_unless_the_shard_went_on)
{
    fill_shard(shards, "orders", 3);
    assert_status(move_until("verifying"), STELE_CANCELLED);
    ck_assert_int_eq(unlink(file_in(old_root(), "orders.moving")), 0);
    assert_status(move_over("orders", NULL), STELE_CONFLICT);

    assert_status(stele_shards_move_cancel(shards, "acme", "orders", NULL), STELE_OK);

    fill_shard(shards, "orders", 1);
    stele_shard *held = acquire_from(shards, "orders");
    assert_status(move_over("orders", NULL), STELE_OK);
    ck_assert_int_eq(head_in(others, "orders"), 4);
    ck_assert_int_eq(unlink(file_in(old_root(), "orders.moved")), 0);
    assert_status(stele_shards_move_cancel(shards, "acme", "orders", NULL), STELE_CONFLICT);
    assert_status(put_event(stele_shard_store(held), 4), STELE_MOVED);
    stele_shard_release(held);
}
END_TEST

START_TEST(damaged_record_is_corrupt_and_nothing_is_done)
{
    fill_shard(shards, "orders", 3);
    assert_status(move_until("verifying"), STELE_CANCELLED);
    FILE *file = fopen(file_in(old_root(), "orders.moving"), "r+");
    ck_assert_ptr_nonnull(file);
    fseek(file, 20, SEEK_SET);
    fputc('#', file);
    fclose(file);

    assert_status(move_over("orders", NULL), STELE_CORRUPT);
    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_CORRUPT);
    assert_status(stele_shards_move_cancel(shards, "acme", "orders", NULL), STELE_CORRUPT);
}
END_TEST

/* The record names the store by its uuid: what has come in its place since is nobody's to move. */
START_TEST(move_of_a_store_that_is_gone_does_not_take_up_the_next_one_of_its_name)
{
    uint64_t finished = 7;
    fill_shard(shards, "orders", 3);
    assert_status(move_until("verifying"), STELE_CANCELLED);
    ck_assert_int_eq(unlink(file_in(old_root(), "orders.db")), 0);
    unlink(file_in(old_root(), "orders.db-anchor"));
    fill_shard(shards, "orders", 1);

    assert_status(stele_shards_resume(shards, NULL, &finished), STELE_OK);

    ck_assert_uint_eq(finished, 0);
    expect_no_remains("orders");
    ck_assert_int_eq(head_in(shards, "orders"), 1);
    fill_shard(shards, "orders", 1);
    assert_status(try_acquire(others, "orders"), STELE_NOT_FOUND);
}
END_TEST

START_TEST(dropped_shard_ends_its_unfinished_move)
{
    fill_shard(shards, "orders", 3);
    assert_status(move_until("fencing"), STELE_CANCELLED);
    assert_status(move_until("verifying"), STELE_CANCELLED);
    assert_status(stele_shards_drop(shards, "acme", "orders", false, NULL), STELE_MOVED);
    assert_status(stele_shards_move_cancel(shards, "acme", "orders", NULL), STELE_OK);
    assert_status(stele_shards_drop(shards, "acme", "orders", false, NULL), STELE_OK);
    assert_status(move_over("orders", NULL), STELE_NOT_FOUND);
    expect_no_remains("orders");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shard_move_cut");
    TCase *tests = add_move_case(suite, "cut");
    tcase_add_test(tests, move_that_is_cancelled_before_the_fence_is_taken_back);
    tcase_add_test(tests, move_that_is_cancelled_behind_the_fence_is_gone_on_with_by_the_same_call);
    tcase_add_test(tests, move_that_was_cut_can_be_taken_back_until_its_switch);
    tcase_add_test(tests, resume_goes_on_with_all_that_were_cut);
    tcase_add_test(tests, list_tells_which_moves_are_not_over);
    tcase_add_test(tests, move_that_was_cut_before_its_copy_had_its_name_goes_on);
    tcase_add_test(tests, reservation_that_nobody_remembers_is_taken_over);
    tcase_add_test(tests, fence_without_a_record_is_taken_back_unless_the_shard_went_on);
    tcase_add_test(tests, damaged_record_is_corrupt_and_nothing_is_done);
    tcase_add_test(tests, move_of_a_store_that_is_gone_does_not_take_up_the_next_one_of_its_name);
    tcase_add_test(tests, dropped_shard_ends_its_unfinished_move);
    return run_suite(suite);
}
