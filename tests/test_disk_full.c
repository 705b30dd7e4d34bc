/*
 * A disk that fills up and is freed again, over and over: writes fail with FULL and leave nothing,
 * reads go on, and writing resumes as soon as there is room, on the same handle. Once with a quota
 * between SQLite and the system, once on a real small filesystem, once with a limit on file sizes.
 *
 * STELE_EFFORT=long does ten times as many rounds; STELE_SEED=N repeats a run.
 */
#define _GNU_SOURCE /* unshare() */
#include "contract.h"

#include "disk_quota.h"
#include "fill_and_free.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int rounds(void)
{
    return effort_of(100, 1000);
}

static const stele_durability durabilities[] = { STELE_DURABILITY_FULL, STELE_DURABILITY_RELAXED };

static void use_path(const char *of)
{
    snprintf(path, sizeof(path), "%s", of);
}

/* --- A quota --- */

static void fill_quota(void)
{
    quota_bytes = quota_used() + (int64_t)(next_chance() % 20000);
}

static void lift_quota(void)
{
    quota_bytes = INT64_MAX;
}

static const disk quota_disk = { "quota", install_quota, fill_quota, lift_quota, false, false };

static void remove_quota_and_files(void)
{
    close_store();
    remove_quota();
    remove_test_folder();
}

START_TEST(full_disk_fails_writes_cleanly_and_reads_go_on)
{
    under = &quota_disk;
    durability = durabilities[_i];
    use_path(store_path());
    ck_assert(install_quota());

    run_rounds(rounds());

    ck_assert_msg(wrong_count == 0, "%s", first_wrong);
    ck_assert_int_gt(full_count, rounds());
    for (int kind = 0; kind < WRITE_KINDS; kind++)
        ck_assert_msg(full_by_kind[kind] > 0, "no %s met a full disk", kind_names[kind]);
}
END_TEST

static void fill_and_lie(void)
{
    fill_quota();
    quota_lies = true;
}

static const disk lying_disk = {
    "control, lying quota", install_quota, fill_and_lie, lift_quota, false, true
};

/* The control: a disk that drops what it says it has written must be found out. */
START_TEST(disk_that_drops_what_is_beyond_its_end_is_found)
{
    under = &lying_disk;
    durability = STELE_DURABILITY_FULL;
    use_path(store_path());
    ck_assert(install_quota());

    run_rounds(20);

    ck_assert_int_gt(quota_refused, 0);
    ck_assert_int_gt(wrong_count, 0);
}
END_TEST

/* --- A filesystem of its own, in a mount namespace of its own --- */

enum { CANNOT = 77, BLOCK = 4096 };

static char ballast[4096];
static int filesystem_bytes;

static bool write_text(const char *file, const char *text)
{
    int descriptor = open(file, O_WRONLY | O_CLOEXEC);
    bool written =
        descriptor >= 0 && write(descriptor, text, strlen(text)) == (ssize_t)strlen(text);
    if (descriptor >= 0)
        close(descriptor);
    return written;
}

/* As root, or in a user namespace where one may pretend to be. */
static bool leave_namespace(void)
{
    char users[64], groups[64];
    snprintf(users, sizeof(users), "0 %u 1", (unsigned)getuid());
    snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getgid());
    if (unshare(CLONE_NEWNS) == 0)
        return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/uid_map", users)
           && write_text("/proc/self/setgroups", "deny")
           && write_text("/proc/self/gid_map", groups);
}

static bool mount_small(void)
{
    char folder[4000], size[64];
    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
    snprintf(size, sizeof(size), "size=%d,mode=700", filesystem_bytes);
    snprintf(ballast, sizeof(ballast), "%s/ballast", folder);
    return leave_namespace() && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
           && mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, size) == 0;
}

static void leave_blocks(int count)
{
    static const char block[16 * BLOCK] = "ballast";
    int descriptor = open(ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    while (write(descriptor, block, sizeof(block)) > 0)
        continue;
    while (write(descriptor, block, BLOCK) > 0)
        continue;
    expect(errno == ENOSPC, "filling the disk: %s", strerror(errno));
    struct stat facts;
    off_t room = (off_t)count * BLOCK;
    if (fstat(descriptor, &facts) == 0 && facts.st_size > room)
        expect(ftruncate(descriptor, facts.st_size - room) == 0, "no room made");
    close(descriptor);
}

static void fill_with_ballast(void)
{
    leave_blocks((int)(next_chance() % 10));
}

static void drop_ballast(void)
{
    expect(truncate(ballast, 0) == 0, "no room made: %s", strerror(errno));
}

static const disk small_disk = {
    "tmpfs", mount_small, fill_with_ballast, drop_ballast, false, false
};

static int run_on_small_disk(int (*body)(void *context), int size)
{
    ck_assert_int_eq(mkdir(test_path("disk"), 0700), 0);
    use_path(test_path("disk/store.db"));
    filesystem_bytes = size;
    under = &small_disk;
    wrong_count = model_count = 0;
    return run_in_child(body, NULL);
}

/* Closed while there was room, so that the -shm is gone, which even a reader needs. */
static int open_without_a_block_left(void *context)
{
    (void)context;
    if (!mount_small())
        return CANNOT;
    expect_status(open_again(false), STELE_OK, "opening");
    for (int i = 0; i < 10; i++)
        expect_status(write_once(APPEND), STELE_OK, "append");
    close_store();
    leave_blocks(0);

    stele_status status = open_again(true);
    expect(status == STELE_FULL || status == STELE_UNSUPPORTED, "opening for reading is %s: %s",
           stele_status_name(status), stele_error_text());
    status = open_again(false);
    expect(status == STELE_FULL || status == STELE_IO, "opening is %s: %s",
           stele_status_name(status), stele_error_text());
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = options.immutable = true;
    expect_status(stele_store_open(path, &options, &store), STELE_OK, "opening immutable");
    if (store != NULL)
        check_reads(STREAMS);
    close_store();

    drop_ballast();
    expect_status(open_again(false), STELE_OK, "opening with room again");
    if (store != NULL)
        check_reads(STREAMS);
    if (store != NULL)
        expect_status(write_once(APPEND), STELE_OK, "append");
    close_store();
    if (wrong_count > 0)
        fprintf(stderr, "test_disk_full: %s\n", first_wrong);
    return wrong_count == 0 ? 0 : 1;
}

START_TEST(store_on_a_disk_without_a_block_left_opens_again_when_there_is_one)
{
    int result = run_on_small_disk(open_without_a_block_left, 8 << 20);
    if (result == CANNOT)
        skip_test("no filesystem can be mounted here");
    ck_assert_int_eq(result, 0);
}
END_TEST

/* The database's pages fit, the -shm that tells where they are in the WAL doesn't grow. */
static int grow_only_the_shm(void *context)
{
    enum { INDEX_FRAMES = 4050, FRAME = 4096 + 24 };
    (void)context;
    int64_t count = 0, head = -1;
    stele_status status = STELE_OK;
    stele_appended appended = { 0 };
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    char key[32];
    if (!mount_small())
        return CANNOT;
    expect_status(stele_store_open(path, NULL, &store), STELE_OK, "opening");
    for (; wal_size() < (int64_t)INDEX_FRAMES * FRAME && wrong_count == 0; count++)
        expect_status(stele_store_append(store, &append, NULL), STELE_OK, "append");

    append.idempotency_key = key;
    for (int i = 0; i < 50 && status == STELE_OK; i++) {
        leave_blocks(7);
        snprintf(key, sizeof(key), "attempt-%d", i);
        status = stele_store_append(store, &append, NULL);
        count += status == STELE_OK;
    }
    expect(status == STELE_FULL || status == STELE_UNKNOWN_OUTCOME, "append is %s: %s",
           stele_status_name(status), stele_error_text());
    expect_status(stele_store_head(store, &head), STELE_OK, "head");
    expect(head == count || (head == count + 1 && status == STELE_UNKNOWN_OUTCOME),
           "%" PRId64 " events, not %" PRId64, head, count);
    printf("# -shm that can't grow: %s at %" PRId64 " WAL frames\n", stele_status_name(status),
           wal_size() / FRAME);
    fflush(stdout);

    drop_ballast();
    expect_status(stele_store_append(store, &append, &appended), STELE_OK, "the same key");
    expect(appended.last_position == count + 1, "stored at %" PRId64 " after %" PRId64,
           appended.last_position, count);
    verify_all();
    close_store();
    if (wrong_count > 0)
        fprintf(stderr, "test_disk_full: %s\n", first_wrong);
    return wrong_count == 0 ? 0 : 1;
}

START_TEST(shm_that_finds_no_room_leaves_nothing_that_its_key_does_not_settle)
{
    int result = run_on_small_disk(grow_only_the_shm, 32 << 20);
    if (result == CANNOT)
        skip_test("no filesystem can be mounted here");
    ck_assert_int_eq(result, 0);
}
END_TEST

/* --- A limit on the size of files --- */

/* The layer of the quota only for its quick syncs. */
static bool ignore_the_signal(void)
{
    return signal(SIGXFSZ, SIG_IGN) != SIG_ERR && install_quota();
}

static bool limit_file_sizes(rlim_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return false;
    limit.rlim_cur = bytes;
    return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

/* Just above the WAL, so that the database's end is beyond it; the -shm isn't. */
static void limit_to_now(void)
{
    rlim_t bytes = (rlim_t)wal_size();
    bytes = (bytes < 40000 ? 40000 : bytes) + (rlim_t)(next_chance() % 20000);
    expect(limit_file_sizes(bytes), "no limit set");
}

static void lift_limit(void)
{
    expect(limit_file_sizes(RLIM_INFINITY), "no limit lifted");
}

static const disk limited_disk = {
    "file size limit", ignore_the_signal, limit_to_now, lift_limit, true, false
};

/* Namespaces, limits and signals end with the child. */
static int run_rounds_in_a_child(void *context)
{
    (void)context;
    if (!under->prepare())
        return CANNOT;
    run_rounds(under->keyed_only ? rounds() / 2 : rounds());
    return wrong_count == 0 && full_count > 0 ? 0 : 1;
}

START_TEST(full_filesystem_fails_writes_cleanly_and_reads_go_on)
{
    durability = durabilities[_i];
    int result = run_on_small_disk(run_rounds_in_a_child, effort_is_long() ? 64 << 20 : 8 << 20);
    if (result == CANNOT)
        skip_test("no filesystem can be mounted here");
    ck_assert_int_eq(result, 0);
}
END_TEST

START_TEST(limit_on_file_sizes_fails_writes_cleanly_and_reads_go_on)
{
    under = &limited_disk;
    durability = durabilities[_i];
    use_path(store_path());

    ck_assert_int_eq(run_in_child(run_rounds_in_a_child, NULL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk full");
    TCase *quota = tcase_create("quota");
    tcase_add_checked_fixture(quota, NULL, remove_quota_and_files);
    TCase *system = add_case(suite, "system", NULL);
    suite_add_tcase(suite, quota);
    tcase_set_timeout(quota, effort_is_long() ? 7200 : 120);
    tcase_set_timeout(system, effort_is_long() ? 7200 : 120);
    int count = (int)COUNT_OF(durabilities);
    tcase_add_loop_test(quota, full_disk_fails_writes_cleanly_and_reads_go_on, 0, count);
    tcase_add_test(quota, disk_that_drops_what_is_beyond_its_end_is_found);
    tcase_add_loop_test(system, full_filesystem_fails_writes_cleanly_and_reads_go_on, 0, count);
    tcase_add_test(system, store_on_a_disk_without_a_block_left_opens_again_when_there_is_one);
    tcase_add_test(system, shm_that_finds_no_room_leaves_nothing_that_its_key_does_not_settle);
    tcase_add_loop_test(system, limit_on_file_sizes_fails_writes_cleanly_and_reads_go_on, 0, count);
    return run_suite(suite);
}
