/*
 * Fair between processes: 2, 4 and 16 that append to one store as fast as they can get about the
 * same number of commits, whatever else goes on beside them. STELE_EFFORT=long runs for longer.
 *
 * The same contest is held over plain SQLite, with the turnstile, and as control without it.
 */
#define _GNU_SOURCE
#include "base/turnstile.h"

#include "contract.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

enum { ENTRANTS_MAX = 17, REASON_SIZE = 200, PATIENCE_MS = 60000 };

/* No share may be this many times another. */
#define SHARE_LIMIT 3
/* However slow the disk is, shares are judged when there were this many for each. */
#define FEWEST_EACH 20

/* What a process tells. */
typedef struct entrant {
    int64_t commits;
    int64_t early;    /* of these: while some had none yet, whom the machine let come late */
    int64_t worst_us; /* the longest of all calls */
    int status;       /* the first failure ends it */
    char reason[REASON_SIZE];
} entrant;

/* In memory that all of them share. */
typedef struct contest {
    int64_t deadline_us;
    int count;
    atomic_int begun; /* how many have committed something */
    atomic_int_fast64_t commits;
    entrant entrants[ENTRANTS_MAX];
} contest;

static contest *shared;

static void make_contest(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
}

static void drop_contest(void)
{
    munmap(shared, sizeof(*shared));
    close_and_remove();
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void sleep_us(uint32_t us)
{
    nanosleep(&(struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L }, NULL);
}

/* --- The contest --- */

/* What a process does: get ready, then the same again and again; both answer 0 or a failure. */
typedef struct discipline {
    int (*prepare)(const char *path, char *reason);
    int (*commit)(int index, int64_t number, char *reason);
    void (*finish)(void);
} discipline;

/* When the time is over, and there was enough to share. */
static bool is_over(int64_t at_us)
{
    return at_us >= shared->deadline_us
           && (atomic_load(&shared->commits) >= (int64_t)shared->count * FEWEST_EACH
               || at_us >= shared->deadline_us + (int64_t)PATIENCE_MS * 1000);
}

static void count_commit(entrant *self)
{
    if (self->commits++ == 0)
        atomic_fetch_add(&shared->begun, 1);
    if (atomic_load(&shared->begun) < shared->count)
        self->early = self->commits;
    atomic_fetch_add(&shared->commits, 1);
}

static void take_part(int index, const discipline *what, const char *path, const int *pipes)
{
    entrant *self = &shared->entrants[index];
    char byte = '.';
    self->status = what->prepare(path, self->reason);
    if (write(pipes[0], &byte, 1) != 1)
        self->status = 1000;
    (void)!read(pipes[1], &byte, 1); /* returns when the parent closes its end */
    int64_t begun_us = now_us();
    while (self->status == 0 && !is_over(begun_us)) {
        self->status = what->commit(index, self->commits + 1, self->reason);
        if (self->status == 0)
            count_commit(self);
        int64_t ended_us = now_us();
        if (ended_us - begun_us > self->worst_us)
            self->worst_us = ended_us - begun_us;
        begun_us = ended_us;
    }
    what->finish();
}

/* Fork one process for each of `whats`, begin when all are ready, and wait for the last. */
static void hold_contest(const char *path, int count, const discipline *const *whats, int usual_ms)
{
    const char *effort = getenv("STELE_EFFORT");
    int duration_ms = effort != NULL && strcmp(effort, "long") == 0 ? 10000 : usual_ms;
    int ready[2], start[2];
    char byte;
    memset(shared, 0, sizeof(*shared));
    shared->count = count;
    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(start), 0);
    fflush(NULL);
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            close(start[1]);
            take_part(i, whats[i], path, (int[]){ ready[1], start[0] });
            _exit(0);
        }
    }
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    shared->deadline_us = now_us() + (int64_t)duration_ms * 1000;
    close(start[0]);
    close(start[1]);
    for (int i = 0; i < count; i++) {
        int status = 0;
        ck_assert_int_gt(wait(&status), 0);
        ck_assert_int_eq(status, 0);
    }
    close(ready[0]);
    close(ready[1]);
}

/* How often the least share goes into the greatest, among the first `count`; prints them. With
 * `all_there` a share is what one got once each had got something. */
static double uneven(const char *name, int count, bool all_there)
{
    int64_t least = INT64_MAX, most = 0, worst_us = 0, sum = 0;
    all_there = all_there && atomic_load(&shared->begun) == shared->count;
    for (int i = 0; i < count; i++) {
        const entrant *one = &shared->entrants[i];
        ck_assert_msg(one->status == 0, "%s: process %d failed with %d: %s", name, i, one->status,
                      one->reason);
        int64_t share = all_there ? one->commits - one->early : one->commits;
        sum += one->commits;
        least = share < least ? share : least;
        most = share > most ? share : most;
        worst_us = one->worst_us > worst_us ? one->worst_us : worst_us;
    }
    printf("turns: %s, %d processes: %" PRId64 " commits, %" PRId64 " to %" PRId64
           " each, longest call %.1f ms\n",
           name, count, sum, least, most, (double)worst_us / 1000);
    fflush(stdout); /* a test that then fails is gone before its output is written */
    return least == 0 ? (double)most + 1 : (double)most / (double)least;
}

/* --- Over the store --- */

static stele_store *own_store;

static int tell_failure(stele_status status, char *reason)
{
    if (status != STELE_OK)
        snprintf(reason, REASON_SIZE, "%s: %s", stele_status_name(status), stele_error_text());
    return (int)status;
}

static int prepare_store(const char *path, stele_durability durability, char *reason)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = PATIENCE_MS;
    options.durability = durability;
    return tell_failure(stele_store_open(path, &options, &own_store), reason);
}

static int prepare_full(const char *path, char *reason)
{
    return prepare_store(path, STELE_DURABILITY_FULL, reason);
}

static int prepare_relaxed(const char *path, char *reason)
{
    return prepare_store(path, STELE_DURABILITY_RELAXED, reason);
}

static int append_to_own_stream(int index, int64_t number, char *reason)
{
    char stream[32];
    snprintf(stream, sizeof(stream), "own-%d", index);
    return tell_failure(append_to(own_store, stream, number - 1, "counted", NULL), reason);
}

static int transfer(int index, int64_t number, char *reason)
{
    (void)index, (void)number;
    return tell_failure(stele_store_transfer(own_store, NULL, NULL), reason);
}

static void close_own_store(void)
{
    stele_store_close(own_store);
}

static const discipline appending = { prepare_full, append_to_own_stream, close_own_store };
static const discipline relaxed = { prepare_relaxed, append_to_own_stream, close_own_store };
static const discipline transferring = { prepare_full, transfer, close_own_store };

/* `count` that append, then those of `beside`; the log holds just what was acknowledged. */
static void append_together(const char *name, int count, int beside_count,
                            const discipline *const *beside)
{
    const discipline *whats[ENTRANTS_MAX];
    for (int i = 0; i < count + beside_count; i++)
        whats[i] = i < count ? &appending : beside[i - count];
    open_in_file();
    close_store();

    hold_contest(store_path(), count + beside_count, whats, 1500);

    double factor = uneven(name, count, true);
    open_in_file();
    int64_t sum = 0;
    for (int i = 0; i < count + beside_count; i++) {
        const entrant *one = &shared->entrants[i];
        ck_assert_msg(one->status == 0, "process %d failed with %d: %s", i, one->status,
                      one->reason);
        if (whats[i] == &transferring)
            continue;
        char stream[32];
        snprintf(stream, sizeof(stream), "own-%d", i);
        ck_assert_int_eq(version_of(stream), one->commits);
        sum += one->commits;
    }
    ck_assert_int_eq(head_of(store), sum);
    stele_cursor *cursor = open_read(NULL);
    for (int64_t position = 1; position <= sum; position++)
        ck_assert_int_eq(next_record(cursor)->position, position);
    expect_done(cursor);
    stele_cursor_close(cursor);
    ck_assert_msg(factor < SHARE_LIMIT, "one got %.1f times as much as another", factor);
}

START_TEST(two_processes_get_the_same_share)
{
    append_together("store", 2, 0, NULL);
}
END_TEST

START_TEST(four_processes_get_the_same_share)
{
    append_together("store", 4, 0, NULL);
}
END_TEST

START_TEST(sixteen_processes_get_the_same_share)
{
    append_together("store", 16, 0, NULL);
}
END_TEST

START_TEST(shares_are_the_same_beside_one_that_transfers)
{
    append_together("store, one transfers", 4, 1, (const discipline *[]){ &transferring });
    ck_assert_int_gt(shared->entrants[4].commits, 0);
}
END_TEST

/* Its commits take less time each, which must not get it more of them. */
START_TEST(shares_are_the_same_beside_one_of_relaxed_durability)
{
    append_together("store, one relaxed", 4, 1, (const discipline *[]){ &relaxed });
    ck_assert(uneven("store, with the relaxed one", 5, true) < SHARE_LIMIT);
}
END_TEST

/* --- Over plain SQLite: the same way to the lock, written out --- */

static sqlite3 *own_raw;
static stele__turnstile *own_turnstile;

static int tell_code(int code, char *reason)
{
    if (code != SQLITE_OK)
        snprintf(reason, REASON_SIZE, "%s", sqlite3_errmsg(own_raw));
    return code;
}

static int open_plainly(const char *path, char *reason)
{
    int code = sqlite3_open(path, &own_raw);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(own_raw, PATIENCE_MS);
    if (code == SQLITE_OK)
        code = sqlite3_exec(own_raw, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0", NULL,
                            NULL, NULL);
    return tell_code(code, reason);
}

static int open_with_turnstile(const char *path, char *reason)
{
    char line[4096];
    int code = open_plainly(path, reason);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(own_raw, 0);
    if (code != SQLITE_OK)
        return tell_code(code, reason);
    snprintf(line, sizeof(line), "%s-lock", path);
    return tell_failure(stele__turnstile_open(line, &own_turnstile), reason);
}

static int begin_now(void)
{
    return sqlite3_exec(own_raw, "BEGIN IMMEDIATE", NULL, NULL, NULL);
}

/* At once when nobody waits; otherwise behind those who do, and then against nobody but one who
 * came while the line was empty. */
static int begin_in_turn(void)
{
    int code = SQLITE_BUSY;
    if (stele__turnstile_is_empty(own_turnstile))
        code = begin_now();
    if (code != SQLITE_BUSY)
        return code;
    uint32_t pause_us = 0;
    int64_t ahead = 0;
    if (stele__turnstile_join(own_turnstile) != STELE_OK)
        return SQLITE_ERROR;
    while (!stele__turnstile_is_our_turn(own_turnstile, &pause_us, &ahead))
        sleep_us(pause_us);
    while ((code = begin_now()) == SQLITE_BUSY)
        sleep_us(50);
    return code;
}

static int insert_row(int index, int64_t number, char *reason)
{
    char sql[100];
    int code = own_turnstile != NULL ? begin_in_turn() : begin_now();
    if (code == SQLITE_OK) {
        snprintf(sql, sizeof(sql), "INSERT INTO rows VALUES(NULL, %d, %" PRId64 "); COMMIT", index,
                 number);
        code = sqlite3_exec(own_raw, sql, NULL, NULL, NULL);
    }
    if (own_turnstile != NULL)
        stele__turnstile_leave(own_turnstile);
    return tell_code(code, reason);
}

static void close_raw(void)
{
    sqlite3_close(own_raw);
    stele__turnstile_close(own_turnstile);
}

static const discipline in_turn = { open_with_turnstile, insert_row, close_raw };
static const discipline plainly = { open_plainly, insert_row, close_raw };

static double insert_together(const char *name, int count, const discipline *what)
{
    const discipline *whats[ENTRANTS_MAX];
    for (int i = 0; i < count; i++)
        whats[i] = what;
    run_sql(test_path("plain.db"), "PRAGMA journal_mode=WAL; DROP TABLE IF EXISTS rows;"
                                   "CREATE TABLE rows(id INTEGER PRIMARY KEY, who, number)");

    hold_contest(test_path("plain.db"), count, whats, 1000);

    double factor = uneven(name, count, what != &plainly);
    int64_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += shared->entrants[i].commits;
    ck_assert_int_eq(sql_number(test_path("plain.db"), "SELECT count(*) FROM rows"), sum);
    return factor;
}

START_TEST(turnstile_before_plain_sqlite_gives_the_same_share)
{
    ck_assert(insert_together("SQLite with turnstile", 2, &in_turn) < SHARE_LIMIT);
    ck_assert(insert_together("SQLite with turnstile", 16, &in_turn) < SHARE_LIMIT);
}
END_TEST

/* Its busy handler sleeps longer and longer, while the other comes back at once. */
START_TEST(control_plain_sqlite_lets_one_process_starve)
{
    double factor = 0;
    for (int round = 0; round < 10 && factor < SHARE_LIMIT; round++)
        factor = insert_together("SQLite alone", 2, &plainly);
    ck_assert(factor >= SHARE_LIMIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("turns");
    TCase *tests = tcase_create("contests");
    tcase_add_checked_fixture(tests, make_contest, drop_contest);
    tcase_add_test(tests, two_processes_get_the_same_share);
    tcase_add_test(tests, four_processes_get_the_same_share);
    tcase_add_test(tests, sixteen_processes_get_the_same_share);
    tcase_add_test(tests, shares_are_the_same_beside_one_that_transfers);
    tcase_add_test(tests, shares_are_the_same_beside_one_of_relaxed_durability);
    tcase_add_test(tests, turnstile_before_plain_sqlite_gives_the_same_share);
    tcase_add_test(tests, control_plain_sqlite_lets_one_process_starve);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
