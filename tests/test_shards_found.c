/* What acquiring finds in the folder of an organisation, and what maintenance leaves there. */
#include "resources.h"
#include "sharding.h"

#include "base/platform.h"
#include "shard/scratch.h"
#include "shard/shard.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static resources before;
static stele_shards *shards;

static void set_up(void)
{
    before = count_resources();
    shards = open_root(0);
}

static void tear_down(void)
{
    stele_shards_close(shards);
    expect_resources(before, "at the end");
    remove_test_folder();
}

/* A shard with one event, closed. */
static void make_shard(const char *organisation, const char *name_space)
{
    stele_shard *shard = acquire(shards, organisation, name_space);
    expect_fine(append_data(stele_shard_store(shard), name_space));
    stele_shard_release(shard);
    stele_shards_close(shards);
    shards = open_root(0);
}

static void put_file(const char *name, const char *content)
{
    FILE *file = fopen(test_path(name), "wb");
    ck_assert_ptr_nonnull(file);
    fputs(content, file);
    ck_assert_int_eq(fclose(file), 0);
}

static bool is_there(const char *name)
{
    return access(test_path(name), F_OK) == 0;
}

static stele_status acquire_main(void)
{
    stele_shard *shard = NULL;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 20;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.wait = &wait;
    stele_status status = stele_shards_acquire(shards, "acme", "main", &how, &shard);
    stele_shard_release(shard);
    return status;
}

/* --- Another file in its place --- */

START_TEST(a_file_of_another_shard_is_refused)
{
    make_shard("acme", "other");
    ck_assert_int_eq(rename(test_path("root/acme/other.db"), test_path("root/acme/main.db")), 0);

    expect_status(acquire_main(), STELE_CORRUPT);

    char expected[700];
    snprintf(expected, sizeof(expected),
             "'%s' should be 'main' of 'acme', and says that it is 'other' of 'acme'",
             test_path("root/acme/main.db"));
    ck_assert_str_eq(stele_error_text(), expected);
    ck_assert_uint_eq(describe(shards).open, 0);
}
END_TEST

START_TEST(a_store_that_is_no_shard_is_refused)
{
    stele_store *store = NULL;
    make_shard("acme", "other");
    expect_fine(stele_store_open(test_path("root/acme/main.db"), NULL, &store));
    stele_store_close(store);

    expect_status(acquire_main(), STELE_CORRUPT);
    ck_assert_ptr_nonnull(strstr(stele_error_text(), "is no shard"));
}
END_TEST

START_TEST(a_damaged_identity_is_refused)
{
    static const char *const damaged[] = {
        "", "x", "4", "4acme", "4 acme", "-1 acmemain", "300 acmemain", "9 acmemain"
    };
    stele_store *store = NULL;
    make_shard("acme", "main");
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        stele__connection *connection = NULL;
        expect_fine(stele_store_open(test_path("root/acme/main.db"), NULL, &store));
        expect_fine(stele__write_begin_durably(store, NULL, &connection));
        stele__connection_touch(connection);
        expect_fine(stele__meta_write(connection->database, "shard:names", damaged[i]));
        expect_fine(stele__write_commit(store));
        stele__write_end(store);
        stele_store_close(store);

        expect_status(acquire_main(), STELE_CORRUPT);
    }
}
END_TEST

START_TEST(links_and_other_things_are_not_followed)
{
    make_shard("acme", "other");
    ck_assert_int_eq(symlink("other.db", test_path("root/acme/main.db")), 0);
    expect_status(acquire_main(), STELE_MISUSE);
    ck_assert_int_eq(unlink(test_path("root/acme/main.db")), 0);
    ck_assert_int_eq(mkdir(test_path("root/acme/main.db"), 0700), 0);
    expect_status(acquire_main(), STELE_MISUSE);

    ck_assert_int_eq(symlink("acme", test_path("root/link")), 0);
    stele_shard *shard = NULL;
    expect_status(stele_shards_acquire(shards, "link", "other", NULL, &shard), STELE_MISUSE);
    put_file("root/file", "");
    expect_status(stele_shards_acquire(shards, "file", "other", NULL, &shard), STELE_MISUSE);
    char path[512];
    expect_status(stele_shards_path(shards, "file", "other", path, sizeof(path)), STELE_MISUSE);
}
END_TEST

/* A WAL would be taken for one of the new file. */
START_TEST(no_shard_is_created_beside_the_wal_of_another)
{
    make_shard("acme", "other");
    put_file("root/acme/main.db-wal", "commits");
    expect_status(acquire_main(), STELE_CORRUPT);
    ck_assert(!is_there("root/acme/main.db"));
    ck_assert_int_eq(unlink(test_path("root/acme/main.db-wal")), 0);

    put_file("root/acme/main.db-journal", "pages");
    expect_status(acquire_main(), STELE_CORRUPT);
    ck_assert_int_eq(unlink(test_path("root/acme/main.db-journal")), 0);

    expect_fine(acquire_main());
}
END_TEST

/* Where files can't have two names, an empty one is there for a moment, and after a cut. */
START_TEST(an_empty_file_is_no_shard_yet)
{
    stele__folder_lock lock = { -1 };
    stele__patience patience;
    make_shard("acme", "other");
    put_file("root/acme/main.db", "");
    stele_shard *shard = NULL;
    expect_status(try_acquire(shards, "acme", "main", &shard), STELE_NOT_FOUND);
    expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));
    expect_fine(stele__folder_lock_take(test_path("root/acme"), false, &patience, &lock));
    expect_status(acquire_main(), STELE_BUSY); /* it may be that one's */
    stele__folder_lock_drop(&lock);

    expect_fine(acquire_main());
    put_file("root/acme/third.db", "");
    put_file("root/acme/third.db-wal", "commits");
    expect_status(stele_shards_acquire(shards, "acme", "third", NULL, &shard), STELE_CORRUPT);
}
END_TEST

START_TEST(what_a_store_left_beside_it_is_removed_before_a_new_one)
{
    make_shard("acme", "main");
    ck_assert(is_there("root/acme/main.db-anchor"));
    ck_assert_int_eq(unlink(test_path("root/acme/main.db")), 0);

    stele_shard *shard = acquire(shards, "acme", "main");
    stele_store_info info = STELE_STORE_INFO_INIT;
    expect_fine(stele_store_describe(stele_shard_store(shard), &info));

    ck_assert_int_eq(info.head, 0);
    ck_assert_int_eq(info.anchor, STELE_ANCHOR_GOOD);
    stele_shard_release(shard);
}
END_TEST

/* --- Moved, moving, dropped --- */

START_TEST(a_shard_that_has_moved_says_where_to)
{
    char where[STELE__FENCE_WHERE_MAX + 1];
    make_shard("acme", "other");
    expect_fine(stele__shard_moved_write(test_path("root/acme/main.moved"), "/far/acme/main.db"));

    expect_status(acquire_main(), STELE_MOVED);

    ck_assert_str_eq(stele_error_text(), "the shard has moved to '/far/acme/main.db'");
    ck_assert(!is_there("root/acme/main.db"));
    expect_fine(stele__shard_moved_write(test_path("root/acme/main.moved"), "/farther/x.db"));
    expect_fine(stele__shard_moved_read(test_path("root/acme/main.moved"), where));
    ck_assert_str_eq(where, "/farther/x.db");
    expect_status(stele__shard_moved_write(test_path("root/acme/main.moved"), "a\nb"),
                  STELE_MISUSE);
    expect_status(stele__shard_moved_read(test_path("root/acme/none.moved"), where),
                  STELE_NOT_FOUND);
    put_file("root/acme/main.moved", "stele-moved 1\n/farther/x.db\n0123456789abcdef\n");
    expect_status(acquire_main(), STELE_CORRUPT);
    put_file("root/acme/main.moved", "");
    expect_status(acquire_main(), STELE_CORRUPT);
}
END_TEST

START_TEST(a_shard_that_is_arriving_is_busy)
{
    make_shard("acme", "other");
    put_file("root/acme/main.arriving", "");

    expect_status(acquire_main(), STELE_BUSY);
    ck_assert(!is_there("root/acme/main.db"));
}
END_TEST

static void raise_fence(stele__fence_kind kind)
{
    stele__fence fence = { .kind = kind, .id = "0123", .where = "/far/main.db" };
    stele_store *store = NULL;
    make_shard("acme", "main");
    expect_fine(stele_store_open(test_path("root/acme/main.db"), NULL, &store));
    expect_fine(stele__fence_raise(store, NULL, &fence));
    stele_store_close(store);
}

START_TEST(a_shard_that_is_just_moving_says_where_to)
{
    raise_fence(STELE__FENCE_MOVE);

    expect_status(acquire_main(), STELE_MOVED);
    ck_assert_ptr_nonnull(strstr(stele_error_text(), "/far/main.db"));
    ck_assert_uint_eq(describe(shards).open, 0);
}
END_TEST

START_TEST(a_shard_that_is_being_dropped_is_fenced)
{
    raise_fence(STELE__FENCE_DROP);

    expect_status(acquire_main(), STELE_FENCED);
}
END_TEST

/* So that the old file can go. */
START_TEST(a_shard_that_another_one_has_fenced_is_closed_when_nobody_holds_it)
{
    stele__fence fence = { .kind = STELE__FENCE_MOVE, .id = "a-move", .where = "/far/main.db" };
    stele_shard *shard = acquire(shards, "acme", "main");
    stele_shard *twin = acquire(shards, "acme", "main");
    stele_shards *others = open_root(0);
    stele_shard *theirs = acquire(others, "acme", "main");
    expect_fine(stele__fence_raise(stele_shard_store(theirs), NULL, &fence));
    stele_shard_release(theirs);
    stele_shards_close(others);

    expect_status(append_data(stele_shard_store(shard), "late"), STELE_MOVED);
    stele_shard_release(shard);
    ck_assert_uint_eq(describe(shards).open, 1);
    stele_shard_release(twin);

    ck_assert_uint_eq(describe(shards).open, 0);
    expect_status(acquire_main(), STELE_MOVED);
}
END_TEST

/* --- At work on it --- */

START_TEST(while_a_folder_is_locked_nobody_opens_a_shard_there)
{
    stele__folder_lock lock = { -1 }, shared = { -1 };
    stele__patience patience;
    make_shard("acme", "main");
    expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));
    expect_fine(stele__folder_lock_take(test_path("root/acme"), true, &patience, &lock));

    expect_status(acquire_main(), STELE_BUSY);
    ck_assert_ptr_nonnull(strstr(stele_error_text(), "waiting for the lock of the folder"));
    stele_shard_release(acquire(shards, "elsewhere", "main"));
    expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));
    expect_status(stele__folder_lock_take(test_path("root/acme"), false, &patience, &shared),
                  STELE_BUSY);
    stele__folder_lock_drop(&lock);
    stele__folder_lock_drop(&lock);
    expect_fine(acquire_main());

    expect_fine(stele__folder_lock_take(test_path("root/acme"), false, &patience, &shared));
    expect_fine(stele__folder_lock_take(test_path("root/acme"), false, &patience, &lock));
    expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));
    stele__folder_lock alone = { -1 };
    expect_status(stele__folder_lock_take(test_path("root/acme"), true, &patience, &alone),
                  STELE_BUSY);
    stele__folder_lock_drop(&shared);
    stele__folder_lock_drop(&lock);
    expect_status(stele__folder_lock_take(test_path("root/none"), true, &patience, &alone),
                  STELE_NOT_FOUND);
}
END_TEST

typedef struct locking {
    stele_status status;
    stele__folder_lock lock;
} locking;

static void *lock_acme_alone(void *context)
{
    locking *call = context;
    stele__patience patience;
    stele__patience_begin(&patience, NULL, 600000, NULL);
    call->status = stele__folder_lock_take(test_path("root/acme"), true, &patience, &call->lock);
    return NULL;
}

/* Else those who come and go could keep him out for ever. */
START_TEST(who_waits_to_be_alone_in_a_folder_lets_nobody_past)
{
    stele__folder_lock shared = { -1 };
    stele__patience patience;
    locking call = { STELE_OK, { -1 } };
    pthread_t thread;
    make_shard("acme", "main");
    expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));
    expect_fine(stele__folder_lock_take(test_path("root/acme"), false, &patience, &shared));
    ck_assert_int_eq(pthread_create(&thread, NULL, lock_acme_alone, &call), 0);

    stele_status status = STELE_OK;
    while (status == STELE_OK) {
        stele__folder_lock next = { -1 };
        expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));
        status = stele__folder_lock_take(test_path("root/acme"), false, &patience, &next);
        stele__folder_lock_drop(&next);
    }

    expect_status(status, STELE_BUSY);
    stele__folder_lock_drop(&shared);
    pthread_join(thread, NULL);
    expect_fine(call.status);
    stele__folder_lock_drop(&call.lock);
    expect_fine(acquire_main());
}
END_TEST

START_TEST(an_excluded_shard_is_closed_and_opened_by_nobody)
{
    stele__patience patience;
    stele_shard *shard = acquire(shards, "acme", "main");
    expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));

    expect_status(stele__shard_exclude(shards, "acme", "main", &patience), STELE_BUSY);
    expect_fine(acquire_main()); /* as if it had not been asked for */
    stele_shard_release(shard);
    expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));
    expect_fine(stele__shard_exclude(shards, "acme", "main", &patience));

    ck_assert_uint_eq(describe(shards).open, 0);
    expect_status(acquire_main(), STELE_BUSY);
    expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));
    expect_status(stele__shard_exclude(shards, "acme", "main", &patience), STELE_BUSY);
    stele__shard_readmit(shards, "acme", "main");
    stele__shard_readmit(shards, "acme", "main");
    expect_fine(acquire_main());

    expect_fine(stele__shard_exclude(shards, "acme", "never opened", &patience));
    stele__shard_readmit(shards, "acme", "never opened");
    expect_fine(stele__shard_exclude(shards, "acme", "left behind", &patience));
}
END_TEST

typedef struct excluding {
    stele_status status;
    atomic_int done;
} excluding;

static void *exclude_main(void *context)
{
    excluding *call = context;
    stele__patience patience;
    stele__patience_begin(&patience, NULL, 600000, &shards->closing);
    call->status = stele__shard_exclude(shards, "acme", "main", &patience);
    atomic_store(&call->done, 1);
    return NULL;
}

START_TEST(excluding_waits_for_those_who_hold_it_and_lets_no_others_in)
{
    excluding call = { STELE_OK, 0 };
    pthread_t thread;
    stele_shard *shard = acquire(shards, "acme", "main");
    ck_assert_int_eq(pthread_create(&thread, NULL, exclude_main, &call), 0);
    while (acquire_main() == STELE_OK)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);

    expect_fine(append_data(stele_shard_store(shard), "still"));
    ck_assert_int_eq(atomic_load(&call.done), 0);
    stele_shard_release(shard);
    pthread_join(thread, NULL);

    ck_assert_int_eq(call.status, STELE_OK);
    ck_assert_uint_eq(describe(shards).open, 0);
    stele__shard_readmit(shards, "acme", "main");
    expect_fine(acquire_main());
}
END_TEST

/* --- Maintenance --- */

START_TEST(remains_of_creations_are_swept)
{
    stele_maintained maintained;
    make_shard("acme", "main");
    make_shard("acme", ".new-mine");
    put_file("root/acme/.new-0123456789abcdef.db", "half");
    put_file("root/acme/.new-0123456789abcdef.db-wal", "half");
    put_file("root/acme/.new-0123456789abcdef", "half");
    put_file("root/acme/.other", "not ours");
    put_file("root/.new-file", "not ours");

    expect_fine(stele_shards_maintain(shards, NULL, &maintained));

    ck_assert_uint_eq(maintained.swept, 3);
    ck_assert(!is_there("root/acme/.new-0123456789abcdef.db"));
    ck_assert(!is_there("root/acme/.new-0123456789abcdef.db-wal"));
    ck_assert(is_there("root/acme/.other") && is_there("root/.new-file"));
    expect_fine(acquire_main());
    expect_fine(stele_shards_maintain(shards, NULL, &maintained));
    ck_assert_uint_eq(maintained.swept, 0);
}
END_TEST

START_TEST(who_is_just_creating_is_not_swept_away)
{
    stele__folder_lock lock = { -1 };
    stele__patience patience;
    stele_maintained maintained;
    make_shard("acme", "main");
    put_file("root/acme/.new-0123456789abcdef.db", "half");
    expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));
    expect_fine(stele__folder_lock_take(test_path("root/acme"), false, &patience, &lock));

    expect_fine(stele_shards_maintain(shards, NULL, &maintained));

    ck_assert_uint_eq(maintained.swept, 0);
    ck_assert(is_there("root/acme/.new-0123456789abcdef.db"));
    stele__folder_lock_drop(&lock);
}
END_TEST

static int stop_at_once(void *context, const stele_progress *progress)
{
    (void)progress;
    ++*(int *)context;
    return 1;
}

START_TEST(what_somebody_is_making_is_not_swept_away)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__scratch scratch, cut;
    expect_fine(stele__scratch_open(shards, &scratch));
    expect_fine(stele__scratch_open(shards, &cut));
    stele__folder_lock_drop(&cut.lock); /* as if that process had died */
    stele__scratch_path(&scratch, path);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);

    expect_fine(stele_shards_maintain(shards, NULL, NULL));

    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_ne(access(cut.folder, F_OK), 0);
    stele__scratch_close(&scratch);
    ck_assert_int_ne(access(scratch.folder, F_OK), 0);
}
END_TEST

START_TEST(maintenance_is_cancelled_between_folders)
{
    int asked = 0;
    stele_work work = STELE_WORK_INIT;
    make_shard("acme", "main");
    make_shard("other", "main");
    work.progress = stop_at_once;
    work.context = &asked;

    expect_status(stele_shards_maintain(shards, &work, NULL), STELE_CANCELLED);
    ck_assert_int_eq(asked, 1);
}
END_TEST

START_TEST(nothing_is_created_where_nothing_may_be)
{
    stele_shard *shard = NULL;
    stele_options store = STELE_OPTIONS_INIT;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_shards *others = NULL;
    store.no_migrate = true;
    options.store = &store;
    expect_fine(stele_shards_open(test_path("root"), &options, &others));
    expect_status(stele_shards_acquire(others, "acme", "main", NULL, &shard), STELE_UNSUPPORTED);
    stele_shards_close(others);
    store.no_migrate = false;
    store.must_exist = true;
    expect_fine(stele_shards_open(test_path("root"), &options, &others));
    expect_status(stele_shards_acquire(others, "acme", "main", NULL, &shard), STELE_NOT_FOUND);
    stele_shards_close(others);
    ck_assert(!is_there("root/acme/main.db"));
    if (geteuid() == 0) /* who may write everywhere */
        return;
    ck_assert_int_eq(chmod(test_path("root"), 0500), 0);
    expect_status(stele_shards_acquire(shards, "new", "main", NULL, &shard), STELE_READ_ONLY);
    ck_assert_int_eq(chmod(test_path("root"), 0700), 0);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("shards_found");
    TCase *found = tcase_create("found");
    tcase_set_timeout(found, 60);
    tcase_add_checked_fixture(found, set_up, tear_down);
    tcase_add_test(found, a_file_of_another_shard_is_refused);
    tcase_add_test(found, a_store_that_is_no_shard_is_refused);
    tcase_add_test(found, a_damaged_identity_is_refused);
    tcase_add_test(found, links_and_other_things_are_not_followed);
    tcase_add_test(found, no_shard_is_created_beside_the_wal_of_another);
    tcase_add_test(found, an_empty_file_is_no_shard_yet);
    tcase_add_test(found, what_a_store_left_beside_it_is_removed_before_a_new_one);
    tcase_add_test(found, a_shard_that_has_moved_says_where_to);
    tcase_add_test(found, a_shard_that_is_arriving_is_busy);
    tcase_add_test(found, a_shard_that_is_just_moving_says_where_to);
    tcase_add_test(found, a_shard_that_is_being_dropped_is_fenced);
    tcase_add_test(found, a_shard_that_another_one_has_fenced_is_closed_when_nobody_holds_it);
    tcase_add_test(found, while_a_folder_is_locked_nobody_opens_a_shard_there);
    tcase_add_test(found, who_waits_to_be_alone_in_a_folder_lets_nobody_past);
    tcase_add_test(found, an_excluded_shard_is_closed_and_opened_by_nobody);
    tcase_add_test(found, excluding_waits_for_those_who_hold_it_and_lets_no_others_in);
    suite_add_tcase(suite, found);
    TCase *maintenance = tcase_create("maintenance");
    tcase_set_timeout(maintenance, 60);
    tcase_add_checked_fixture(maintenance, set_up, tear_down);
    tcase_add_test(maintenance, remains_of_creations_are_swept);
    tcase_add_test(maintenance, who_is_just_creating_is_not_swept_away);
    tcase_add_test(maintenance, what_somebody_is_making_is_not_swept_away);
    tcase_add_test(maintenance, maintenance_is_cancelled_between_folders);
    tcase_add_test(maintenance, nothing_is_created_where_nothing_may_be);
    suite_add_tcase(suite, maintenance);
    return run_suite(suite);
}
