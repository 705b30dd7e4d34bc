/*
 * Three processes that append, and transfer the WAL every few commits, by chance. Each may wait
 * inside a transfer for the commit of another, so that the race behind SQLite's WAL-reset bug
 * (test_wal_reset.c) comes up often where nothing guards against it.
 */
#include "contract.h"
#include "disk_hooks.h"
#include "effort.h"
#include "transfers.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum {
    WORKERS = 3,
    COMMITS_EACH = 60,
    ALL_COMMITS = WORKERS * COMMITS_EACH,
    CONTROL_ROUNDS_MAX = 200
};

/* What the processes see of each other. */
static struct board {
    atomic_int commits;
    atomic_int transfers; /* that left nothing */
    atomic_int acks[WORKERS];
} * board;

static void nap(long microseconds)
{
    struct timespec moment = { .tv_nsec = microseconds * 1000 };
    nanosleep(&moment, NULL);
}

/* Wait until `counter` moves, but not for long. Whether it did. */
static bool wait_for_news(atomic_int *counter, int naps)
{
    int seen = atomic_load(counter);
    while (naps-- > 0 && atomic_load(counter) == seen)
        nap(100);
    return atomic_load(counter) != seen;
}

static int wait_in_the_gap(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)file;
    (void)detail;
    if (call == DISK_UNFETCH && one_in(2))
        wait_for_news(&board->commits, 30);
    return SQLITE_OK;
}

static void note_ack(int index)
{
    atomic_fetch_add(&board->acks[index], 1);
    atomic_fetch_add(&board->commits, 1);
}

/* Between a commit and the next step: whether to transfer now. Sooner than not when somebody else
 * has just moved all. */
static bool wants_to_transfer(void)
{
    bool moved = one_in(2) && wait_for_news(&board->transfers, 10);
    return one_in(moved ? 2 : 5);
}

/* --- The work --- */

/* 0 when all went well. */
typedef int (*worker_function)(int index);

static stele_status append_large(stele_store *target, const char *stream, int64_t version)
{
    static char data[3000];
    memset(data, '7', sizeof(data));
    stele_event event = make_event("counted", "");
    event.data = data;
    event.data_size = sizeof(data);
    stele_append append = make_append(stream, version, &event, 1);
    return stele_store_append(target, &append, NULL);
}

static int work_with_the_library(int index)
{
    char stream[32];
    stele_store *own = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000;
    snprintf(stream, sizeof(stream), "worker-%d", index);
    stele_status status = stele_store_open(store_path(), &options, &own);
    for (int i = 0; i < COMMITS_EACH && status == STELE_OK; i++) {
        uint32_t left = 1;
        status = append_large(own, stream, i);
        if (status != STELE_OK)
            break;
        note_ack(index);
        if (wants_to_transfer())
            status = stele_store_transfer(own, NULL, &left);
        if (status == STELE_BUSY) /* another one is at it */
            status = STELE_OK;
        else if (left == 0)
            atomic_fetch_add(&board->transfers, 1);
        if (status == STELE_OK && one_in(30)) {
            stele_store_close(own);
            own = NULL;
            status = stele_store_open(store_path(), &options, &own);
        }
    }
    if (status != STELE_OK)
        fprintf(stderr, "process %d: %s: %s\n", index, stele_status_name(status),
                stele_error_text());
    stele_store_close(own);
    return -(int)status;
}

static int work_by_hand(int index)
{
    sqlite3 *raw = NULL;
    if (sqlite3_open(store_path(), &raw) != SQLITE_OK
        || sqlite3_busy_timeout(raw, 60000) != SQLITE_OK
        || sqlite3_exec(raw, settings_by_hand, NULL, NULL, NULL) != SQLITE_OK)
        return SQLITE_CANTOPEN;
    for (int i = 0; i < COMMITS_EACH; i++) {
        int code = commit_by_hand(raw);
        if (code != SQLITE_OK)
            return code;
        note_ack(index);
        int pages = -1, copied = 0;
        if (wants_to_transfer()
            && sqlite3_wal_checkpoint_v2(raw, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied)
                   == SQLITE_OK
            && pages == copied)
            atomic_fetch_add(&board->transfers, 1);
    }
    sqlite3_close(raw);
    return 0;
}

/* --- The processes --- */

static void set_up_board(void)
{
    install_disk_hooks();
    int file = open(test_path("board"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(ftruncate(file, sizeof(*board)), 0);
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ck_assert(board != MAP_FAILED);
    close(file);
}

static void put_board_away(void)
{
    munmap(board, sizeof(*board));
    close_and_remove();
    remove_disk_hooks();
}

static void remove_store_files(void)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char path[4096];
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        snprintf(path, sizeof(path), "%s%s", store_path(), suffixes[i]);
        remove(path);
    }
}

/* Fork the processes and wait for them. Returns the worst exit status. */
static int run_workers(worker_function work)
{
    pid_t children[WORKERS];
    memset(board, 0, sizeof(*board));
    fflush(NULL);
    for (int i = 0; i < WORKERS; i++) {
        uint64_t seed = next_chance();
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0) {
            seed_chance(seed);
            disk_hook = wait_in_the_gap;
            _exit(work(i));
        }
    }
    int worst = 0;
    for (int i = 0; i < WORKERS; i++) {
        int status = 0;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        worst = code > worst ? code : worst;
    }
    return worst;
}

/* The control: the schedule is wild enough to meet the bug. */
START_TEST(control_three_processes_by_hand_come_to_harm_on_an_affected_sqlite)
{
    uint64_t seed = choose_seed();
    int rounds = 0;
    bool harmed = false;
    while (!harmed && rounds < (has_the_bug() ? CONTROL_ROUNDS_MAX : 2)) {
        remove_store_files();
        make_file_by_hand();
        rounds++;
        int worst = run_workers(work_by_hand);
        harmed = worst == SQLITE_CORRUPT || raw_file_is_harmed(atomic_load(&board->commits));
        ck_assert_msg(worst == 0 || worst == SQLITE_CORRUPT, "a process ended with %d", worst);
    }
    printf("wal_races: seed %" PRIu64 ", by hand: %s after %d rounds of %d commits\n", seed,
           harmed ? "harm" : "no harm", rounds, ALL_COMMITS);

    ck_assert_int_eq(harmed, has_the_bug());
}
END_TEST

START_TEST(three_processes_that_append_and_transfer_by_chance_lose_nothing)
{
    uint64_t seed = choose_seed();
    int rounds = effort_of(5, 400);
    for (int round = 0; round < rounds; round++) {
        remove_store_files();

        int worst = run_workers(work_with_the_library);

        ck_assert_msg(worst == 0, "seed %" PRIu64 ": a process ended with %d", seed, worst);
        ck_assert_int_eq(atomic_load(&board->commits), ALL_COMMITS);
        ck_assert(!raw_file_is_harmed(ALL_COMMITS));
        open_in_file();
        ck_assert(verify_is_clean(store));
        for (int i = 0; i < WORKERS; i++) {
            char stream[32];
            snprintf(stream, sizeof(stream), "worker-%d", i);
            ck_assert_int_eq(version_of(stream), atomic_load(&board->acks[i]));
        }
        close_store();
    }
    printf("wal_races: seed %" PRIu64 ", library: no harm in %d rounds of %d commits\n", seed,
           rounds, ALL_COMMITS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wal_races");
    TCase *processes = tcase_create("processes");
    tcase_add_checked_fixture(processes, set_up_board, put_board_away);
    tcase_set_timeout(processes, 1800);
    suite_add_tcase(suite, processes);
    tcase_add_test(processes, control_three_processes_by_hand_come_to_harm_on_an_affected_sqlite);
    tcase_add_test(processes, three_processes_that_append_and_transfer_by_chance_lose_nothing);
    return run_suite(suite);
}
