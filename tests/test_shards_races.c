/* Others create the same shard between two looks of ours at its folder. */
#define _GNU_SOURCE
#include "resources.h"
#include "sharding.h"

#include "base/platform.h"
#include "shard/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static resources before;
static stele_shards *ours;
static stele_shards *others; /* of the same root: what another process would do */

static void set_up(void)
{
    before = count_resources();
    ours = open_root(0);
    others = open_root(0);
}

static void tear_down(void)
{
    stele_shards_close(ours);
    stele_shards_close(others);
    expect_resources(before, "at the end");
    remove_test_folder();
}

/* Files without second names: the first time, another one has just claimed the name. */
static int claims_to_come;

static int claim_before_linking(const char *from, const char *to)
{
    bool claimed = false;
    (void)from;
    if (claims_to_come-- > 0)
        ck_assert(stele__claim_file(to, &claimed) == STELE_OK && claimed);
    errno = EOPNOTSUPP;
    return -1;
}

START_TEST(a_name_that_was_just_claimed_is_not_opened)
{
    int (*link_before)(const char *from, const char *to) = stele__link_file;
    stele_shard *shard = NULL;
    claims_to_come = 1;
    stele__link_file = claim_before_linking;
    stele_status status = stele_shards_acquire(ours, "acme", "main", NULL, &shard);
    stele__link_file = link_before;

    expect_status(status, STELE_OK);
    ck_assert_int_lt(claims_to_come, 0); /* it was tried once more */
    expect_fine(append_data(stele_shard_store(shard), "mine"));
    stele_shard_release(shard);
}
END_TEST

#ifdef __GLIBC__

/* At the look for the missing file `watched` that this counts down to, another one creates it. */
static const char *watched;
static int looks_to_come;
static stele_shard *created;

static void create_now(void)
{
    const char *name_space = watched;
    watched = NULL;
    created = acquire(others, "acme", name_space);
    expect_fine(append_data(stele_shard_store(created), "theirs"));
}

static bool is_watched(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t size = watched == NULL ? 0 : strlen(watched);
    return size > 0 && slash != NULL && strncmp(slash + 1, watched, size) == 0
           && strcmp(slash + 1 + size, ".db") == 0;
}

/* At the look for what is written down of a move, that is finished by somebody else. */
static bool finishes_move;

static void finish_now(const char *path)
{
    size_t size = strlen(path);
    if (!finishes_move || size < 7 || strcmp(path + size - 7, ".moving") != 0)
        return;
    finishes_move = false;
    expect_fine(stele_shards_resume(others, NULL, NULL));
}

/* In place of the system's. */
int lstat(const char *path, struct stat *facts)
{
    int result = fstatat(AT_FDCWD, path, facts, AT_SYMLINK_NOFOLLOW);
    int error = errno;
    if (result != 0 && is_watched(path) && --looks_to_come == 0)
        create_now();
    if (result == 0)
        finish_now(path);
    errno = error;
    return result;
}

START_TEST(a_shard_that_is_created_after_a_look_is_no_damage)
{
    int happened = 0;
    stele_shard_release(acquire(ours, "acme", "first"));
    for (int look = 1; look <= 5; look++) {
        int same = 0, other = 0;
        char name_space[32];
        snprintf(name_space, sizeof(name_space), "n-%d", look);
        created = NULL;
        looks_to_come = look;
        watched = name_space;
        stele_shard *shard = acquire(ours, "acme", name_space);
        watched = NULL;

        happened += created != NULL;
        if (created != NULL) {
            count_data(stele_shard_store(shard), "theirs", &same, &other);
            ck_assert_int_eq(same, 1);
            expect_fine(append_data(stele_shard_store(created), "theirs"));
        }
        stele_shard_release(shard);
        stele_shard_release(created);
    }
    ck_assert_int_ge(happened, 2);
}
END_TEST

static int stop_at_verifying(void *context, const stele_progress *progress)
{
    (void)context;
    return strcmp(progress->doing, "verifying") == 0;
}

START_TEST(a_move_that_ends_while_somebody_asks_where_to_is_told)
{
    char old[512];
    char new[512];
    char path[512];
    stele_work work = STELE_WORK_INIT;
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    work.progress = stop_at_verifying;
    move.organisation = "acme";
    move.name_space = "main";
    move.to_namespace = "other";
    move.work = &work;
    stele_shard_release(acquire(ours, "acme", "main"));
    expect_status(stele_shards_move(ours, &move, NULL), STELE_CANCELLED);
    expect_fine(stele_shards_path(ours, "acme", "main", old, sizeof(old)));
    expect_fine(stele_shards_path(ours, "acme", "other", new, sizeof(new)));
    finishes_move = true;
    stele_status status = stele_shards_moved_to(ours, "acme", "main", path, sizeof(path));

    expect_status(status, STELE_OK);
    ck_assert(!finishes_move);
    ck_assert_int_ne(access(old, F_OK), 0); /* it is in the trash */
    ck_assert_str_eq(path, new);
}
END_TEST

/* At the removal of this folder another one comes into it, who finds no lock there any more. */
static const char *entered;

/* In place of the system's. */
int rmdir(const char *path)
{
    if (entered != NULL && strcmp(path, entered) == 0) {
        int lock = -1;
        ck_assert_int_eq(stele__lock_open(test_path("root/.scratch/new-1/.lock"), &lock), STELE_OK);
        stele__lock_close(lock);
    }
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

START_TEST(a_folder_that_somebody_enters_while_it_is_swept_is_left_to_him)
{
    char folder[600];
    ck_assert_int_eq(mkdir(test_path("root/.scratch"), 0700), 0);
    ck_assert_int_eq(mkdir(test_path("root/.scratch/new-1"), 0700), 0);
    snprintf(folder, sizeof(folder), "%s/.scratch/new-1", stele_shards_root(ours));
    entered = folder;
    stele_status status = stele_shards_maintain(ours, NULL, NULL);
    entered = NULL;

    expect_status(status, STELE_OK);
    ck_assert_int_eq(access(folder, F_OK), 0);
    expect_fine(stele_shards_maintain(ours, NULL, NULL));
    ck_assert_int_ne(access(folder, F_OK), 0);
}
END_TEST

#endif

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("shards_races");
    TCase *races = tcase_create("races");
    tcase_set_timeout(races, 300);
    tcase_add_checked_fixture(races, set_up, tear_down);
    tcase_add_test(races, a_name_that_was_just_claimed_is_not_opened);
#ifdef __GLIBC__
    tcase_add_test(races, a_shard_that_is_created_after_a_look_is_no_damage);
    tcase_add_test(races, a_move_that_ends_while_somebody_asks_where_to_is_told);
    tcase_add_test(races, a_folder_that_somebody_enters_while_it_is_swept_is_left_to_him);
#endif
    suite_add_tcase(suite, races);
    return run_suite(suite);
}
