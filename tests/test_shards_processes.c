/* Several processes on one root: they create the same shards at once, and are killed meanwhile. */
#include "effort.h"
#include "sharding.h"

#include "shard/shard.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void tear_down(void)
{
    remove_test_folder();
}

/* Long enough to be hashed, with a name beside it. */
static void name_shard(char out[STELE_SHARD_NAME_MAX + 1], int number)
{
    size_t size = number % 3 == 2 ? 200 : 4;
    memset(out, 'x', size);
    snprintf(out + size, STELE_SHARD_NAME_MAX + 1 - size, "-%d", number);
}

/* Now and then an organisation of its own, so that folders are cut, too. */
static bool name_is_folder(int number)
{
    return number % 5 >= 3;
}

/* How many files of creations that were cut short are under the root. */
static int count_unfinished(const char *organisation)
{
    char path[600];
    int count = 0;
    snprintf(path, sizeof(path), "%s/%s", test_path("root"), organisation);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        count += strncmp(entry->d_name, ".new-", 5) == 0;
    closedir(folder);
    return count;
}

/* --- The same shards at once --- */

enum { PROCESSES = 4 };

static int fail_in_child(const char *doing, const char *name)
{
    fprintf(stderr, "# process %ld: %s '%s': %s\n", (long)getpid(), doing, name,
            stele_error_text());
    return 1;
}

/* Begins when the other end of `start` is closed. */
static int create_all(const char *root, int start, int count)
{
    char byte;
    stele_shards *shards = NULL;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 600000;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.wait = &wait;
    if (read(start, &byte, 1) != 0)
        return 1;
    if (stele_shards_open(root, NULL, &shards) != STELE_OK)
        return fail_in_child("opening", root);
    for (int i = 0; i < count; i++) {
        char name[STELE_SHARD_NAME_MAX + 1];
        stele_shard *shard = NULL;
        name_shard(name, i);
        if (stele_shards_acquire(shards, "acme", name, &how, &shard) != STELE_OK)
            return fail_in_child("acquiring", name);
        if (append_data(stele_shard_store(shard), name) != STELE_OK)
            return fail_in_child("appending to", name);
        stele_shard_release(shard);
    }
    stele_shards_close(shards);
    return 0;
}

START_TEST(processes_create_the_same_shards_at_once)
{
    int count = effort_is_long() ? 1000 : 30;
    const char *root = test_path("root");
    pid_t children[PROCESSES];
    int start[2];
    ck_assert_int_eq(pipe(start), 0);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            close(start[1]);
            _exit(create_all(root, start[0], count));
        }
        ck_assert_int_gt(children[i], 0);
    }
    close(start[0]);
    close(start[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int exit_status = -1;
        ck_assert_int_eq(waitpid(children[i], &exit_status, 0), children[i]);
        ck_assert_int_eq(exit_status, 0);
    }

    stele_shards *shards = open_root(0);
    for (int i = 0; i < count; i++) {
        char name[STELE_SHARD_NAME_MAX + 1];
        int same = 0, other = 0;
        stele_shard *shard = NULL;
        name_shard(name, i);
        expect_fine(try_acquire(shards, "acme", name, &shard));
        count_data(stele_shard_store(shard), name, &same, &other);
        ck_assert_msg(same == PROCESSES && other == 0, "'%s' has %d events and %d others", name,
                      same, other);
        stele_shard_release(shard);
    }
    stele_shards_close(shards);
    ck_assert_int_eq(count_unfinished("acme"), 0);
    printf("# processes: %d created the same %d shards\n", PROCESSES, count);
}
END_TEST

/* --- Killed --- */

/* Creates one shard after the other, from `number` on, and tells when each is there. */
static void create_until_killed(const char *root, int number, int told)
{
    stele_shards *shards = NULL;
    if (stele_shards_open(root, NULL, &shards) != STELE_OK)
        _exit(fail_in_child("opening", root));
    for (;; number++) {
        char name[STELE_SHARD_NAME_MAX + 1];
        stele_shard *shard = NULL;
        name_shard(name, number);
        if (stele_shards_acquire(shards, name_is_folder(number) ? name : "acme", name, NULL, &shard)
            != STELE_OK)
            _exit(fail_in_child("acquiring", name));
        stele_shard_release(shard);
        if (write(told, &number, sizeof(number)) != sizeof(number))
            _exit(1);
    }
}

/* All that were told of are there; the one after may be, or can be created. */
static int judge_created(int from, int last_told)
{
    stele_shards *shards = open_root(0);
    int half_way = 0;
    for (int i = from; i <= last_told + 1; i++) {
        char name[STELE_SHARD_NAME_MAX + 1];
        stele_shard *shard = NULL;
        name_shard(name, i);
        const char *organisation = name_is_folder(i) ? name : "acme";
        stele_status status = try_acquire(shards, organisation, name, &shard);
        if (i > last_told && status == STELE_NOT_FOUND) {
            half_way++;
            shard = acquire(shards, organisation, name);
            status = STELE_OK;
        }
        ck_assert_msg(status == STELE_OK, "'%s' was %s, and is not found: %s", name,
                      i > last_told ? "begun" : "told of", stele_error_text());
        expect_fine(append_data(stele_shard_store(shard), name));
        stele_shard_release(shard);
    }
    stele_maintained maintained;
    expect_fine(stele_shards_maintain(shards, NULL, &maintained));
    stele_shards_close(shards);
    ck_assert_int_eq(count_unfinished("acme"), 0);
    return maintained.swept > 0 ? half_way | 2 : half_way;
}

START_TEST(creating_may_be_killed_at_any_time)
{
    uint64_t seed = choose_seed();
    int kills = effort_is_long() ? 1000 : 12;
    int number = 0, half_way = 0, swept = 0;
    const char *root = test_path("root");
    for (int i = 0; i < kills; i++) {
        int told[2], last = number - 1;
        ck_assert_int_eq(pipe(told), 0);
        pid_t child = fork();
        if (child == 0) {
            close(told[0]);
            create_until_killed(root, number, told[1]);
        }
        close(told[1]);
        nanosleep(&(struct timespec){ .tv_nsec = (long)(next_chance() % 60) * 1000000 }, NULL);
        kill(child, SIGKILL);
        int exit_status = 0;
        ck_assert_int_eq(waitpid(child, &exit_status, 0), child);
        ck_assert(WIFSIGNALED(exit_status));
        while (read(told[0], &last, sizeof(last)) == sizeof(last))
            continue;
        close(told[0]);
        /* In a process of its own, too: this one forks again. */
        pid_t judge = fork();
        if (judge == 0)
            _exit(64 + judge_created(number, last));
        ck_assert_int_eq(waitpid(judge, &exit_status, 0), judge);
        ck_assert_msg(WIFEXITED(exit_status) && WEXITSTATUS(exit_status) >= 64, "judging: %x",
                      (unsigned)exit_status);
        half_way += WEXITSTATUS(exit_status) & 1;
        swept += (WEXITSTATUS(exit_status) & 2) != 0;
        number = last + 2;
    }
    printf("# killed: seed %" PRIu64 ", %d times, %d shards, %d cut in creating, %d swept\n", seed,
           kills, number, half_way, swept);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shards_processes");
    TCase *processes = tcase_create("processes");
    tcase_set_timeout(processes, 3600);
    tcase_add_checked_fixture(processes, NULL, tear_down);
    tcase_add_test(processes, processes_create_the_same_shards_at_once);
    tcase_add_test(processes, creating_may_be_killed_at_any_time);
    suite_add_tcase(suite, processes);
    return run_suite(suite);
}
