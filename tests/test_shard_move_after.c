/* After a move: an anchor in the new place, and a name that may be used again in the old one. */
#include "shard_moves.h"

#include <stele/hooks.h>

/* --- Nothing to warn of --- */

static char heard[1024];

static void note_line(void *context, stele_log_level level, const char *text)
{
    (void)context;
    if (level == STELE_LOG_WARNING && heard[0] == '\0')
        snprintf(heard, sizeof(heard), "%s", text);
}

static void listen(void)
{
    open_both_roots();
    heard[0] = '\0';
}

static void expect_anchored(stele_shards *in, const char *name_space, int64_t head)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_shard *shard = acquire_from(in, name_space);
    assert_status(stele_store_describe(stele_shard_store(shard), &info), STELE_OK);
    ck_assert_int_eq(info.anchor, STELE_ANCHOR_GOOD);
    ck_assert_int_eq(info.head, head);
    stele_shard_release(shard);
    ck_assert_str_eq(heard, "");
}

/* A loss of what the anchor knows is noticed. */
static void expect_loss_noticed(stele_shards **in, const char *root, const char *name_space,
                                const char *file)
{
    char path[1100];
    char kept[1200];
    stele_store_info info = STELE_STORE_INFO_INIT;
    snprintf(path, sizeof(path), "%s", file_in(root, file));
    snprintf(kept, sizeof(kept), "%s-kept", path);
    stele_shards_close(*in);
    copy_file(path, kept);
    *in = open_root(root);
    fill_shard(*in, name_space, 2);
    stele_shards_close(*in);
    ck_assert_int_eq(rename(kept, path), 0);
    *in = open_root(root);
    stele_shard *shard = acquire_from(*in, name_space);
    assert_status(stele_store_describe(stele_shard_store(shard), &info), STELE_OK);
    ck_assert_int_eq(info.anchor, STELE_ANCHOR_LOST);
    stele_shard_release(shard);
}

START_TEST(moved_shard_has_an_anchor_from_its_first_moment)
{
    char root[512];
    snprintf(root, sizeof(root), "%s", new_root());
    fill_shard(shards, "orders", 3);
    assert_status(move_over("orders", NULL), STELE_OK);
    ck_assert(is_there(root, "orders.db-anchor"));
    ck_assert_str_eq(heard, "");
    expect_anchored(others, "orders", 3);
    expect_loss_noticed(&others, root, "orders", "orders.db");
}
END_TEST

START_TEST(anchor_of_a_moved_shard_knows_of_its_events_before_anything_is_written)
{
    char root[512];
    char file[1100];
    char empty[1100];
    stele_store_info info = STELE_STORE_INFO_INIT;
    snprintf(root, sizeof(root), "%s", new_root());
    fill_shard(shards, "orders", 3);
    stele_shard *shard = acquire_from(shards, "orders");
    stele_backup backup = STELE_BACKUP_INIT;
    snprintf(empty, sizeof(empty), "%s", test_path("older.db"));
    backup.path = empty;
    assert_status(stele_store_backup(stele_shard_store(shard), &backup, NULL), STELE_OK);
    assert_status(put_event(stele_shard_store(shard), 3), STELE_OK);
    stele_shard_release(shard);
    assert_status(move_over("orders", NULL), STELE_OK);

    snprintf(file, sizeof(file), "%s", file_in(root, "orders.db"));
    copy_file(empty, file);
    shard = acquire_from(others, "orders");
    assert_status(stele_store_describe(stele_shard_store(shard), &info), STELE_OK);
    ck_assert_int_eq(info.anchor, STELE_ANCHOR_LOST);
    stele_shard_release(shard);
}
END_TEST

START_TEST(renamed_shard_has_an_anchor)
{
    fill_shard(shards, "orders", 3);
    assert_status(stele_shards_rename(shards, "acme", "orders", "bills", NULL), STELE_OK);
    expect_anchored(shards, "bills", 3);
}
END_TEST

START_TEST(recovered_shard_has_an_anchor)
{
    char path[1100];
    stele_backup backup = STELE_BACKUP_INIT;
    stele_recover recover = STELE_RECOVER_INIT;
    snprintf(path, sizeof(path), "%s", test_path("backup.db"));
    backup.path = path;
    recover.backup = path;
    fill_shard(shards, "orders", 3);
    assert_status(stele_shards_backup(shards, "acme", "orders", &backup, NULL), STELE_OK);
    assert_status(stele_shards_recover(shards, "acme", "again", &recover, NULL), STELE_OK);
    expect_anchored(shards, "again", 3);
}
END_TEST

START_TEST(dropped_shard_takes_its_anchor_along_and_back)
{
    char root[512];
    snprintf(root, sizeof(root), "%s", old_root());
    fill_shard(shards, "orders", 3);
    assert_status(stele_shards_drop(shards, "acme", "orders", false, NULL), STELE_OK);
    ck_assert(!is_there(root, "orders.db-anchor"));
    assert_status(stele_shards_undrop(shards, "acme", "orders", NULL), STELE_OK);
    ck_assert(is_there(root, "orders.db-anchor"));
    expect_anchored(shards, "orders", 3);
    expect_loss_noticed(&shards, root, "orders", "orders.db");
}
END_TEST

START_TEST(what_is_in_the_trash_is_read_without_a_warning)
{
    stele_trash *trash = NULL;
    const stele_trashed *item = NULL;
    stele_store *opened = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    fill_shard(shards, "orders", 3);
    assert_status(stele_shards_drop(shards, "acme", "orders", false, NULL), STELE_OK);
    assert_status(stele_shards_trash(shards, &trash), STELE_OK);
    assert_status(stele_trash_next(trash, &item), STELE_OK);
    assert_status(stele_store_open(item->path, &options, &opened), STELE_OK);
    ck_assert_int_eq(head_of(opened), 3);
    stele_store_close(opened);
    stele_trash_close(trash);
    ck_assert_str_eq(heard, "");
}
END_TEST

/* --- The old name --- */

START_TEST(forgotten_name_is_free_for_a_new_shard_and_the_moved_one_stays)
{
    char path[512];
    char root[512];
    snprintf(root, sizeof(root), "%s", old_root());
    fill_shard(shards, "orders", 3);
    assert_status(move_over("orders", NULL), STELE_OK);
    assert_status(try_acquire(shards, "orders"), STELE_MOVED);

    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_OK);

    ck_assert(!is_there(root, "orders.moved"));
    assert_status(stele_shards_moved_to(shards, "acme", "orders", path, sizeof(path)), STELE_OK);
    ck_assert_str_eq(path, "");
    assert_status(try_acquire(shards, "orders"), STELE_NOT_FOUND);
    fill_shard(shards, "orders", 2);
    ck_assert_int_eq(head_in(shards, "orders"), 2);
    ck_assert_int_eq(head_in(others, "orders"), 3);
    assert_status(stele_shards_verify(shards, "acme", "orders", NULL, NULL), STELE_OK);
    assert_status(move_over("orders", NULL), STELE_CONFLICT);
}
END_TEST

START_TEST(old_file_in_the_trash_does_not_come_back_under_a_forgotten_name)
{
    char id[64];
    stele_trash *trash = NULL;
    const stele_trashed *item = NULL;
    fill_shard(shards, "orders", 3);
    assert_status(move_over("orders", NULL), STELE_OK);
    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_OK);
    assert_status(stele_shards_trash(shards, &trash), STELE_OK);
    assert_status(stele_trash_next(trash, &item), STELE_OK);
    ck_assert(item->moved);
    snprintf(id, sizeof(id), "%s", item->id);
    stele_trash_close(trash);
    assert_status(stele_shards_undrop(shards, "acme", "orders", id), STELE_MOVED);
    assert_status(stele_shards_undrop(shards, "acme", "orders", NULL), STELE_NOT_FOUND);
    assert_status(try_acquire(shards, "orders"), STELE_NOT_FOUND);
}
END_TEST

START_TEST(forgotten_hashed_name_is_free_too)
{
    char name[201];
    memset(name, 'n', 200);
    name[200] = '\0';
    fill_shard(shards, name, 1);
    assert_status(move_over(name, NULL), STELE_OK);
    assert_status(stele_shards_forget_moved(shards, "acme", name), STELE_OK);
    fill_shard(shards, name, 2);
    ck_assert_int_eq(head_in(shards, name), 2);
}
END_TEST

START_TEST(name_that_nothing_moved_away_from_is_not_found)
{
    assert_status(stele_shards_forget_moved(shards, "nobody", "orders"), STELE_NOT_FOUND);
    fill_shard(shards, "orders", 1);
    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_NOT_FOUND);
    assert_status(stele_shards_forget_moved(shards, "acme", "bills"), STELE_NOT_FOUND);
    assert_status(move_over("orders", NULL), STELE_OK);
    assert_status(stele_shards_forget_moved(others, "acme", "orders"), STELE_NOT_FOUND);
    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_OK);
    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_NOT_FOUND);
}
END_TEST

START_TEST(old_file_that_is_held_keeps_its_name)
{
    stele_shard_moved moved;
    fill_shard(shards, "orders", 1);
    stele_shard *held = acquire_from(shards, "orders");
    assert_status(move_over("orders", &moved), STELE_OK);
    ck_assert(moved.left_behind);
    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_BUSY);
    assert_status(try_acquire(shards, "orders"), STELE_MOVED);
    stele_shard_release(held);
    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_OK);
    fill_shard(shards, "orders", 2);
    ck_assert_int_eq(head_in(shards, "orders"), 2);
}
END_TEST

/* Keep the record as it is at the fence. */
static int keep_record(void *context, const stele_progress *progress)
{
    const char *const *from_to = context;
    if (strcmp(progress->doing, "fencing") == 0)
        copy_file(from_to[0], from_to[1]);
    return 0;
}

START_TEST(move_that_is_not_done_is_not_forgotten)
{
    char root[512];
    char record[1100];
    char kept[1100];
    const char *const from_to[] = { record, kept };
    uint64_t finished = 0;
    stele_work work = STELE_WORK_INIT;
    snprintf(record, sizeof(record), "%s", file_in(old_root(), "orders.moving"));
    snprintf(kept, sizeof(kept), "%s", test_path("kept"));
    snprintf(root, sizeof(root), "%s", new_root());
    fill_shard(shards, "orders", 1);
    work.progress = keep_record;
    work.context = (void *)from_to;
    stele_shard_move move = move_of("orders", root);
    move.work = &work;
    assert_status(stele_shards_move(shards, &move, NULL), STELE_OK);
    copy_file(kept, record); /* as a crash leaves it that comes before the record goes */

    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_CONFLICT);
    assert_status(try_acquire(shards, "orders"), STELE_MOVED);

    assert_status(stele_shards_resume(shards, NULL, &finished), STELE_OK);
    ck_assert_uint_eq(finished, 1);
    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_OK);
    assert_status(try_acquire(shards, "orders"), STELE_NOT_FOUND);
}
END_TEST

static stele_status recover_to(stele_shards *in, const char *name_space)
{
    char path[1100];
    stele_recover recover = STELE_RECOVER_INIT;
    snprintf(path, sizeof(path), "%s", test_path("backup.db"));
    recover.backup = path;
    return stele_shards_recover(in, "acme", name_space, &recover, NULL);
}

START_TEST(nothing_is_recovered_to_where_a_shard_has_left_or_is_about_to_arrive)
{
    char root[512];
    char path[1100];
    char arriving[1100];
    stele_backup backup = STELE_BACKUP_INIT;
    snprintf(root, sizeof(root), "%s", new_root());
    snprintf(path, sizeof(path), "%s", test_path("backup.db"));
    backup.path = path;
    fill_shard(shards, "orders", 3);
    assert_status(stele_shards_backup(shards, "acme", "orders", &backup, NULL), STELE_OK);
    fill_shard(others, "bills", 1);
    snprintf(arriving, sizeof(arriving), "%s", file_in(root, "orders.arriving"));
    copy_file(path, arriving);
    assert_status(recover_to(others, "orders"), STELE_BUSY);
    ck_assert_int_eq(unlink(arriving), 0);

    assert_status(move_over("orders", NULL), STELE_OK);
    assert_status(recover_to(shards, "orders"), STELE_MOVED);
    assert_status(recover_to(others, "orders"), STELE_CONFLICT);
    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_OK);
    assert_status(recover_to(shards, "orders"), STELE_OK);
    ck_assert_int_eq(head_in(shards, "orders"), 3);
}
END_TEST

START_TEST(store_that_takes_appends_beside_a_signpost_is_corrupt)
{
    char root[512];
    char moved[1100];
    char kept[1100];
    snprintf(root, sizeof(root), "%s", old_root());
    snprintf(kept, sizeof(kept), "%s", test_path("kept"));
    fill_shard(shards, "orders", 1);
    assert_status(move_over("orders", NULL), STELE_OK);
    snprintf(moved, sizeof(moved), "%s", file_in(root, "orders.moved"));
    copy_file(moved, kept);
    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_OK);
    fill_shard(shards, "orders", 1);
    assert_status(stele_shards_maintain(shards, NULL, NULL), STELE_OK);
    copy_file(kept, moved);
    stele_shards_close(shards);
    shards = open_root(root);
    assert_status(stele_shards_forget_moved(shards, "acme", "orders"), STELE_CORRUPT);
    ck_assert(is_there(root, "orders.db"));
}
END_TEST

START_TEST(arguments_are_checked_and_readers_forget_nothing)
{
    char long_name[300];
    stele_shards *readers = NULL;
    stele_options reading = STELE_OPTIONS_INIT;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    memset(long_name, 'x', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    assert_status(stele_shards_forget_moved(NULL, "acme", "orders"), STELE_MISUSE);
    assert_status(stele_shards_forget_moved(shards, NULL, "orders"), STELE_MISUSE);
    assert_status(stele_shards_forget_moved(shards, "acme", NULL), STELE_MISUSE);
    assert_status(stele_shards_forget_moved(shards, "acme", ""), STELE_MISUSE);
    assert_status(stele_shards_forget_moved(shards, "acme", long_name), STELE_TOO_LARGE);
    assert_status(stele_shards_forget_moved(shards, "acme", "\xff"), STELE_INVALID);
    fill_shard(shards, "orders", 1);
    assert_status(move_over("orders", NULL), STELE_OK);
    reading.read_only = true;
    options.store = &reading;
    assert_status(stele_shards_open(old_root(), &options, &readers), STELE_OK);
    assert_status(stele_shards_forget_moved(readers, "acme", "orders"), STELE_READ_ONLY);
    stele_shards_close(readers);
}
END_TEST

int main(void)
{
    if (stele_log_set(note_line, NULL) != STELE_OK)
        return 1;
    Suite *suite = suite_create("shard_move_after");
    TCase *anchors = tcase_create("anchors");
    tcase_add_checked_fixture(anchors, listen, close_both_roots);
    tcase_add_test(anchors, moved_shard_has_an_anchor_from_its_first_moment);
    tcase_add_test(anchors, anchor_of_a_moved_shard_knows_of_its_events_before_anything_is_written);
    tcase_add_test(anchors, renamed_shard_has_an_anchor);
    tcase_add_test(anchors, recovered_shard_has_an_anchor);
    tcase_add_test(anchors, dropped_shard_takes_its_anchor_along_and_back);
    tcase_add_test(anchors, what_is_in_the_trash_is_read_without_a_warning);
    suite_add_tcase(suite, anchors);
    TCase *names = add_move_case(suite, "names");
    tcase_add_test(names, forgotten_name_is_free_for_a_new_shard_and_the_moved_one_stays);
    tcase_add_test(names, old_file_in_the_trash_does_not_come_back_under_a_forgotten_name);
    tcase_add_test(names, forgotten_hashed_name_is_free_too);
    tcase_add_test(names, name_that_nothing_moved_away_from_is_not_found);
    tcase_add_test(names, old_file_that_is_held_keeps_its_name);
    tcase_add_test(names, move_that_is_not_done_is_not_forgotten);
    tcase_add_test(names, nothing_is_recovered_to_where_a_shard_has_left_or_is_about_to_arrive);
    tcase_add_test(names, store_that_takes_appends_beside_a_signpost_is_corrupt);
    tcase_add_test(names, arguments_are_checked_and_readers_forget_nothing);
    return run_suite(suite);
}
