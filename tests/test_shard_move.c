/* Moving a shard, sentence by sentence. See also test_shard_move_*.c. */
#define _GNU_SOURCE
#include "shard_moves.h"

#include <stele/lifecycle.h>
#include <stele/verify.h>

#include <pthread.h>
#include <sys/stat.h>

static stele_store_info describe_of(stele_store *of)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(of, &info), STELE_OK);
    return info;
}

/* --- Done --- */

START_TEST(shard_is_there_afterwards_with_its_events_its_uuid_and_its_epoch)
{
    stele_shard_moved moved;
    fill_shard(shards, "orders", 30);
    stele_shard *shard = acquire_from(shards, "orders");
    assert_status(stele_checkpoint_save(stele_shard_store(shard), "reader", 20), STELE_OK);
    stele_store_info before = describe_of(stele_shard_store(shard));
    stele_shard_release(shard);

    assert_status(move_over("orders", &moved), STELE_OK);

    ck_assert_int_eq(moved.head, 30);
    ck_assert_int_gt(moved.bytes, 0);
    ck_assert_int_gt(moved.fenced_us, 0);
    ck_assert(!moved.resumed);
    ck_assert(!moved.left_behind);
    ck_assert_str_eq(moved.path, file_in(new_root(), "orders.db"));
    shard = acquire_from(others, "orders");
    stele_store_info after = describe_of(stele_shard_store(shard));
    ck_assert_str_eq(after.uuid, before.uuid);
    ck_assert_str_eq(after.epoch, before.epoch);
    ck_assert_int_eq(after.head, 30);
    stele_checkpoint checkpoint;
    assert_status(stele_checkpoint_load(stele_shard_store(shard), "reader", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, 20);
    assert_status(put_event(stele_shard_store(shard), 30), STELE_OK);
    ck_assert_int_eq(head_of(stele_shard_store(shard)), 31);
    stele_shard_release(shard);
    expect_no_remains("orders");
}
END_TEST

START_TEST(old_place_answers_moved_and_says_where_to)
{
    char path[512];
    char where[1024];
    fill_shard(shards, "orders", 3);
    assert_status(stele_shards_moved_to(shards, "acme", "orders", path, sizeof(path)), STELE_OK);
    ck_assert_str_eq(path, "");
    assert_status(move_over("orders", NULL), STELE_OK);
    snprintf(where, sizeof(where), "%s", file_in(new_root(), "orders.db"));

    assert_status(try_acquire(shards, "orders"), STELE_MOVED);
    assert_reason_has(where);
    stele_shard *shard = NULL;
    assert_status(stele_shards_acquire(shards, "acme", "orders", NULL, &shard), STELE_MOVED);
    assert_status(stele_shards_moved_to(shards, "acme", "orders", path, sizeof(path)), STELE_OK);
    ck_assert_str_eq(path, where);
    assert_status(move_over("orders", NULL), STELE_MOVED);
    assert_status(stele_shards_move_cancel(shards, "acme", "orders", NULL), STELE_CONFLICT);
    ck_assert(!is_there(old_root(), "orders.db"));
}
END_TEST

START_TEST(old_file_goes_to_the_trash_as_moved)
{
    stele_trash *trash = NULL;
    const stele_trashed *item = NULL;
    fill_shard(shards, "orders", 3);
    assert_status(move_over("orders", NULL), STELE_OK);

    assert_status(stele_shards_trash(shards, &trash), STELE_OK);
    assert_status(stele_trash_next(trash, &item), STELE_OK);
    ck_assert(item->moved);
    ck_assert_str_eq(item->name_space, "orders");
    assert_status(stele_trash_next(trash, &item), STELE_DONE);
    stele_trash_close(trash);
    assert_status(stele_shards_undrop(shards, "acme", "orders", NULL), STELE_MOVED);
}
END_TEST

START_TEST(rename_gives_the_shard_another_namespace_under_the_same_root)
{
    char path[512];
    fill_shard(shards, "orders", 5);

    assert_status(stele_shards_rename(shards, "acme", "orders", "old orders", NULL), STELE_OK);

    ck_assert_int_eq(head_in(shards, "old orders"), 5);
    assert_status(try_acquire(shards, "orders"), STELE_MOVED);
    assert_status(stele_shards_moved_to(shards, "acme", "orders", path, sizeof(path)), STELE_OK);
    assert_status(stele_shards_rename(shards, "acme", "old orders", "orders", NULL), STELE_OK);
    ck_assert_int_eq(head_in(shards, "orders"), 5);
    assert_status(try_acquire(shards, "old orders"), STELE_MOVED);
}
END_TEST

START_TEST(move_to_another_organisation_and_a_name_that_is_hashed)
{
    char name[STELE_SHARD_NAME_MAX + 1];
    memset(name, '/', STELE_SHARD_NAME_MAX);
    name[STELE_SHARD_NAME_MAX] = '\0';
    fill_shard(shards, "orders", 5);
    stele_shard_move move = move_of("orders", NULL);
    move.root = new_root();
    move.to_organisation = name;
    move.to_namespace = name;
    assert_status(stele_shards_move(shards, &move, NULL), STELE_OK);

    stele_shard *shard = NULL;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.must_exist = true;
    assert_status(stele_shards_acquire(others, name, name, &how, &shard), STELE_OK);
    ck_assert_int_eq(head_of(stele_shard_store(shard)), 5);
    ck_assert_str_eq(stele_shard_namespace(shard), name);
    stele_shard_release(shard);

    move = move_of(name, old_root());
    move.organisation = name;
    move.to_organisation = "acme";
    move.to_namespace = "orders";
    assert_status(stele_shards_move(others, &move, NULL), STELE_OK);
    ck_assert_int_eq(head_in(shards, "orders"), 5);
}
END_TEST

START_TEST(shard_that_comes_back_takes_its_signpost_away)
{
    char path[512];
    fill_shard(shards, "orders", 5);
    for (int round = 0; round < 3; round++) {
        stele_shard_move back = move_of("orders", NULL);
        assert_status(move_over("orders", NULL), STELE_OK);
        back.root = old_root();
        assert_status(stele_shards_move(others, &back, NULL), STELE_OK);
        assert_status(stele_shards_moved_to(shards, "acme", "orders", path, sizeof(path)),
                      STELE_OK);
        ck_assert_str_eq(path, "");
    }

    ck_assert_int_eq(head_in(shards, "orders"), 5);
    fill_shard(shards, "orders", 1);
    ck_assert_int_eq(head_in(shards, "orders"), 6);
    assert_status(try_acquire(others, "orders"), STELE_MOVED);
}
END_TEST

static int note_step(void *context, const stele_progress *progress)
{
    char *seen = context;
    size_t size = strlen(seen);
    if (strstr(seen, progress->doing) == NULL && size < 400)
        snprintf(seen + size, 512 - size, "%s ", progress->doing);
    return 0;
}

START_TEST(each_step_is_told_by_name)
{
    char seen[512] = "";
    stele_work work = STELE_WORK_INIT;
    work.progress = note_step;
    work.context = seen;
    fill_shard(shards, "orders", 5);
    stele_shard_move move = move_of("orders", NULL);
    move.root = new_root();
    move.work = &work;

    assert_status(stele_shards_move(shards, &move, NULL), STELE_OK);

    ck_assert_str_eq(seen, "reserving checking fencing copying verifying switching releasing ");
}
END_TEST

/* --- Held --- */

START_TEST(handle_that_is_held_reads_on_and_its_writes_are_moved)
{
    stele_shard_moved moved;
    fill_shard(shards, "orders", 5);
    stele_shard *shard = acquire_from(shards, "orders");

    assert_status(move_over("orders", &moved), STELE_OK);

    ck_assert(moved.left_behind);
    ck_assert_int_eq(head_of(stele_shard_store(shard)), 5);
    assert_status(put_event(stele_shard_store(shard), 5), STELE_MOVED);
    assert_reason_has("/new/acme/orders.db");
    assert_status(try_acquire(shards, "orders"), STELE_MOVED);
    assert_reason_has("/new/acme/orders.db");
    ck_assert(is_there(old_root(), "orders.db"));
    uint64_t finished = 7;
    assert_status(stele_shards_resume(shards, NULL, &finished), STELE_OK);
    ck_assert_uint_eq(finished, 0);
    ck_assert(is_there(old_root(), "orders.db"));

    stele_shard_release(shard);
    assert_status(stele_shards_resume(shards, NULL, &finished), STELE_OK);
    ck_assert(!is_there(old_root(), "orders.db"));
    ck_assert(is_there(old_root(), "orders.moved"));
    fill_shard(others, "orders", 1);
    ck_assert_int_eq(head_in(others, "orders"), 6);
}
END_TEST

START_TEST(move_back_to_where_the_old_file_is_still_held_waits_for_that)
{
    fill_shard(shards, "orders", 5);
    stele_shard *shard = acquire_from(shards, "orders");
    assert_status(move_over("orders", NULL), STELE_OK);
    stele_shard_move back = move_of("orders", NULL);
    back.root = old_root();

    assert_status(stele_shards_move(others, &back, NULL), STELE_CONFLICT);
    fill_shard(others, "orders", 1);
    stele_shard_release(shard);
    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
    assert_status(stele_shards_move(others, &back, NULL), STELE_OK);

    ck_assert_int_eq(head_in(shards, "orders"), 6);
}
END_TEST

/* --- Refused --- */

START_TEST(shard_that_is_not_there_is_not_found)
{
    assert_status(move_over("nothing", NULL), STELE_NOT_FOUND);
    fill_shard(shards, "orders", 1);
    assert_status(move_over("nothing", NULL), STELE_NOT_FOUND);
    assert_status(stele_shards_move_cancel(shards, "acme", "nothing", NULL), STELE_NOT_FOUND);
    stele_shard_move move = move_of("orders", "/nowhere/at/all");
    assert_status(stele_shards_move(shards, &move, NULL), STELE_NOT_FOUND);
    ck_assert_int_eq(head_in(shards, "orders"), 1);
}
END_TEST

START_TEST(place_that_is_taken_is_a_conflict_and_nothing_is_changed)
{
    fill_shard(shards, "orders", 3);
    fill_shard(others, "orders", 4);

    assert_status(move_over("orders", NULL), STELE_CONFLICT);

    fill_shard(shards, "orders", 1);
    ck_assert_int_eq(head_in(shards, "orders"), 4);
    ck_assert_int_eq(head_in(others, "orders"), 4);
    expect_no_remains("orders");
}
END_TEST

START_TEST(what_breaks_the_contract_is_misuse)
{
    char path[512];
    fill_shard(shards, "orders", 1);
    stele_shard_move move = move_of("orders", NULL);
    assert_status(stele_shards_move(shards, &move, NULL), STELE_MISUSE); /* to itself */
    move.root = old_root();
    assert_status(stele_shards_move(shards, &move, NULL), STELE_MISUSE);
    move.struct_size = 0;
    assert_status(stele_shards_move(shards, &move, NULL), STELE_MISUSE);
    move = move_of(NULL, new_root());
    assert_status(stele_shards_move(shards, &move, NULL), STELE_MISUSE);
    move = move_of("", new_root());
    assert_status(stele_shards_move(shards, &move, NULL), STELE_MISUSE);
    assert_status(stele_shards_move(shards, NULL, NULL), STELE_MISUSE);
    move = move_of("orders", new_root());
    assert_status(stele_shards_move(NULL, &move, NULL), STELE_MISUSE);
    move.to_namespace = "\xff";
    assert_status(stele_shards_move(shards, &move, NULL), STELE_INVALID);
    assert_status(stele_shards_rename(shards, "acme", "orders", NULL, NULL), STELE_MISUSE);
    assert_status(stele_shards_rename(shards, "acme", "orders", "", NULL), STELE_MISUSE);
    assert_status(stele_shards_rename(NULL, "acme", "orders", "new", NULL), STELE_MISUSE);
    assert_status(stele_shards_moved_to(shards, "acme", "orders", NULL, 512), STELE_MISUSE);
    assert_status(stele_shards_moved_to(shards, "acme", "orders", path, 511), STELE_MISUSE);
    assert_status(stele_shards_moved_to(NULL, "acme", "orders", path, 512), STELE_MISUSE);
    assert_status(stele_shards_resume(NULL, NULL, NULL), STELE_MISUSE);
    assert_status(stele_shards_move_cancel(NULL, "acme", "orders", NULL), STELE_MISUSE);
    ck_assert_int_eq(head_in(shards, "orders"), 1);
    expect_no_remains("orders");
}
END_TEST

START_TEST(init_function_and_macro_say_the_same)
{
    stele_shard_move by_macro = STELE_SHARD_MOVE_INIT;
    stele_shard_move by_function;
    memset(&by_function, 0x5a, sizeof(by_function));
    stele_shard_move_init(&by_function);
    ck_assert_mem_eq(&by_macro, &by_function, sizeof(by_macro));
}
END_TEST

START_TEST(root_with_a_line_end_is_misuse_since_writers_could_not_be_told)
{
    const char *odd = test_path("odd\nroot");
    ck_assert_int_eq(mkdir(odd, 0700), 0);
    fill_shard(shards, "orders", 1);
    stele_shard_move move = move_of("orders", odd);
    assert_status(stele_shards_move(shards, &move, NULL), STELE_MISUSE);
    ck_assert_int_eq(head_in(shards, "orders"), 1);
}
END_TEST

START_TEST(shards_opened_for_reading_move_nothing)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_shards_options how = STELE_SHARDS_OPTIONS_INIT;
    stele_shards *readers = NULL;
    fill_shard(shards, "orders", 1);
    options.read_only = true;
    how.store = &options;
    assert_status(stele_shards_open(old_root(), &how, &readers), STELE_OK);
    stele_shard_move move = move_of("orders", NULL);
    move.root = new_root();

    assert_status(stele_shards_move(readers, &move, NULL), STELE_READ_ONLY);
    assert_status(stele_shards_move_cancel(readers, "acme", "orders", NULL), STELE_READ_ONLY);
    assert_status(stele_shards_resume(readers, NULL, NULL), STELE_READ_ONLY);

    stele_shards_close(readers);
    ck_assert_int_eq(head_in(shards, "orders"), 1);
}
END_TEST

START_TEST(damaged_shard_is_not_moved_and_its_writers_go_on)
{
    fill_shard(shards, "orders", 20);
    stele_shards_close(shards);
    run_sql(file_in(old_root(), "orders.db"),
            "UPDATE events SET payload_hash = payload_hash + 1 WHERE position = 7");
    shards = open_root(old_root());

    assert_status(move_over("orders", NULL), STELE_CORRUPT);
    assert_reason_has("damaged");

    fill_shard(shards, "orders", 1);
    ck_assert_int_eq(head_in(shards, "orders"), 21);
    ck_assert(!is_there(new_root(), "orders.db"));
    expect_no_remains("orders");
}
END_TEST

/* --- Relaxed, archives, closing --- */

START_TEST(relaxed_shard_is_moved_without_its_mark)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_shards_options how = STELE_SHARDS_OPTIONS_INIT;
    stele_shards *relaxed = NULL;
    options.durability = STELE_DURABILITY_RELAXED;
    how.store = &options;
    assert_status(stele_shards_open(old_root(), &how, &relaxed), STELE_OK);
    fill_shard(relaxed, "orders", 9);
    stele_shard_move move = move_of("orders", NULL);
    move.root = new_root();

    assert_status(stele_shards_move(relaxed, &move, NULL), STELE_OK);

    stele_shards_close(relaxed);
    stele_shards_close(others);
    sqlite3 *raw = open_raw(file_in(new_root(), "orders.db"));
    ck_assert_int_eq(raw_number(raw, "SELECT count(*) FROM meta WHERE key GLOB 'dirty:*'"), 0);
    ck_assert_int_eq(raw_number(raw, "SELECT count(*) FROM meta WHERE key = 'fence'"), 0);
    ck_assert_int_eq(raw_number(raw, "SELECT count(*) FROM meta WHERE key = 'backup'"), 0);
    sqlite3_close(raw);
    others = open_root(new_root());
    ck_assert_int_eq(head_in(others, "orders"), 9);
}
END_TEST

START_TEST(payloads_in_an_archive_are_found_from_the_new_place)
{
    char archive_path[512];
    snprintf(archive_path, sizeof(archive_path), "%s", test_path("archive.db"));
    fill_shard(shards, "orders", 4);
    stele_store *archive_store = open_path(archive_path, NULL);
    stele_shard *shard = acquire_from(shards, "orders");
    stele_archive archive = STELE_ARCHIVE_INIT;
    archive.stream = "a-1";
    archive.to = archive_store;
    assert_status(stele_store_archive(stele_shard_store(shard), &archive, NULL), STELE_OK);
    stele_shard_release(shard);
    stele_store_close(archive_store);

    assert_status(move_over("orders", NULL), STELE_OK);

    shard = acquire_from(others, "orders");
    stele_restore restore = STELE_RESTORE_INIT;
    restore.stream = "a-1";
    assert_status(stele_store_restore(stele_shard_store(shard), &restore, NULL), STELE_OK);
    ck_assert_int_eq(describe_of(stele_shard_store(shard)).events, 4);
    stele_shard_release(shard);
}
END_TEST

static int close_at_verifying(void *context, const stele_progress *progress)
{
    bool *reached = context;
    *reached = *reached || strcmp(progress->doing, "verifying") == 0;
    return 0;
}

typedef struct closing {
    pthread_t thread;
    bool reached;
    stele_status status;
    char root[512];
} closing;

static void *move_in_thread(void *context)
{
    closing *self = context;
    stele_work work = STELE_WORK_INIT;
    work.progress = close_at_verifying;
    work.context = &self->reached;
    stele_shard_move move = move_of("orders", self->root);
    move.work = &work;
    self->status = stele_shards_move(shards, &move, NULL);
    return NULL;
}

START_TEST(closing_in_the_middle_ends_the_call_and_the_move_is_whole_or_can_be_resumed)
{
    fill_shard(shards, "orders", 400);
    for (int i = 0; i < 8; i++) {
        closing mover = { .status = STELE_OK };
        snprintf(mover.root, sizeof(mover.root), "%s", new_root());
        stele_shard *held = acquire_from(shards, "quiet"); /* so that `shards` can be asked */
        ck_assert_int_eq(pthread_create(&mover.thread, NULL, move_in_thread, &mover), 0);
        usleep((useconds_t)(i * 2000));
        stele_shards_close(shards);
        pthread_join(mover.thread, NULL);
        stele_shard_release(held);
        ck_assert_msg(mover.status == STELE_OK || mover.status == STELE_CLOSED, "%s",
                      stele_status_name(mover.status));
        shards = open_root(old_root());
        assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
        if (try_acquire(others, "orders") == STELE_OK) {
            stele_shard_move back = move_of("orders", NULL);
            ck_assert_int_eq(head_in(others, "orders"), 400);
            back.root = old_root();
            assert_status(stele_shards_move(others, &back, NULL), STELE_OK);
        }
        ck_assert_int_eq(head_in(shards, "orders"), 400);
    }
    char path[512];
    stele_shards *closed = shards;
    stele_shard *held = acquire_from(shards, "orders");
    stele_shards_close(shards);
    stele_shard_move move = move_of("orders", NULL);
    move.root = new_root();
    assert_status(stele_shards_move(closed, &move, NULL), STELE_CLOSED);
    assert_status(stele_shards_move_cancel(closed, "acme", "orders", NULL), STELE_CLOSED);
    assert_status(stele_shards_resume(closed, NULL, NULL), STELE_CLOSED);
    assert_status(stele_shards_moved_to(closed, "acme", "orders", path, sizeof(path)),
                  STELE_CLOSED);
    assert_status(stele_shards_forget_moved(closed, "acme", "orders"), STELE_CLOSED);
    stele_shard_release(held);
    shards = NULL;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shard_move");
    TCase *tests = add_move_case(suite, "done");
    tcase_add_test(tests, shard_is_there_afterwards_with_its_events_its_uuid_and_its_epoch);
    tcase_add_test(tests, old_place_answers_moved_and_says_where_to);
    tcase_add_test(tests, old_file_goes_to_the_trash_as_moved);
    tcase_add_test(tests, rename_gives_the_shard_another_namespace_under_the_same_root);
    tcase_add_test(tests, move_to_another_organisation_and_a_name_that_is_hashed);
    tcase_add_test(tests, shard_that_comes_back_takes_its_signpost_away);
    tcase_add_test(tests, each_step_is_told_by_name);
    tests = add_move_case(suite, "held");
    tcase_add_test(tests, handle_that_is_held_reads_on_and_its_writes_are_moved);
    tcase_add_test(tests, move_back_to_where_the_old_file_is_still_held_waits_for_that);
    tests = add_move_case(suite, "refused");
    tcase_add_test(tests, shard_that_is_not_there_is_not_found);
    tcase_add_test(tests, place_that_is_taken_is_a_conflict_and_nothing_is_changed);
    tcase_add_test(tests, what_breaks_the_contract_is_misuse);
    tcase_add_test(tests, init_function_and_macro_say_the_same);
    tcase_add_test(tests, root_with_a_line_end_is_misuse_since_writers_could_not_be_told);
    tcase_add_test(tests, shards_opened_for_reading_move_nothing);
    tcase_add_test(tests, damaged_shard_is_not_moved_and_its_writers_go_on);
    tests = add_move_case(suite, "around");
    tcase_add_test(tests, relaxed_shard_is_moved_without_its_mark);
    tcase_add_test(tests, payloads_in_an_archive_are_found_from_the_new_place);
    tcase_add_test(tests,
                   closing_in_the_middle_ends_the_call_and_the_move_is_whole_or_can_be_resumed);
    return run_suite(suite);
}
