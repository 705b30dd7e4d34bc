/*
 * kill -9 at random moments: what was acknowledged before is there afterwards, once, whole and in
 * order. Writers tell the parent of each call that came back OK, through a pipe.
 *
 * STELE_EFFORT=long kills more often; STELE_SEED=N repeats the choices, though not the moments.
 */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include "contract.h"

#include "effort.h"
#include "kill_writers.h"

#include <stele/verify.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>

/* --- The parent --- */

enum { SLOTS = 3, WRITERS_MAX = 200000 };

/* What is known of a writer: what it acknowledged, and, while the log is read, what is there. */
typedef struct history {
    acknowledgement *acknowledged;
    int64_t count;
    int64_t capacity;
    bool dead;
    int64_t logged; /* whole operations */
    int64_t matched;
    acknowledgement current; /* the one being read */
    int64_t index;           /* its next event */
} history;

typedef struct slot {
    pid_t process;
    int64_t writer;
    attempt unsettled;
    bool heard; /* it has done something */
    void (*work)(const char *path, int64_t writer, attempt unsettled);
} slot;

static slot slots[SLOTS];
static history *histories;
static int64_t writer_count;
static int pipe_ends[2];
static int64_t transfers, kills, repeated, found_stored;

static void start_process(slot *started)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s", store_path());
    ck_assert_int_lt(writer_count, WRITERS_MAX);
    started->writer = writer_count++;
    started->heard = false;
    fflush(NULL);
    started->process = fork();
    ck_assert_int_ge(started->process, 0);
    if (started->process == 0) {
        close(pipe_ends[0]); /* so that a writer ends with its parent */
        acknowledge_into = pipe_ends[1];
        started->work(path, started->writer, started->unsettled);
        _exit(3);
    }
}

static void note(const acknowledgement *done)
{
    for (int i = 0; i < SLOTS; i++)
        slots[i].heard |= slots[i].writer == done->at.writer;
    if (done->at.number == NO_NUMBER) {
        transfers++;
        return;
    }
    history *of = &histories[done->at.writer];
    ck_assert_int_eq(done->at.number, of->count);
    if (of->count == of->capacity) {
        of->capacity = of->capacity * 2 + 64;
        of->acknowledged =
            realloc(of->acknowledged, (size_t)of->capacity * sizeof(*of->acknowledged));
        ck_assert_ptr_nonnull(of->acknowledged);
    }
    of->acknowledged[of->count++] = *done;
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].unsettled.writer == done->at.writer) {
            slots[i].unsettled.writer = NO_WRITER;
            repeated++;
            found_stored += done->duplicate;
        }
}

/* Each write was one piece, so each read is whole ones. */
static void drain_pipe(void)
{
    acknowledgement some[64];
    ssize_t size;
    while ((size = read(pipe_ends[0], some, sizeof(some))) > 0) {
        ck_assert_int_eq(size % (ssize_t)sizeof(some[0]), 0);
        for (ssize_t i = 0; i < size / (ssize_t)sizeof(some[0]); i++)
            note(&some[i]);
    }
}

static void kill_process(slot *killed)
{
    int status = 0;
    ck_assert_int_gt(killed->process, 0);
    kill(killed->process, SIGKILL);
    ck_assert_int_eq(waitpid(killed->process, &status, 0), killed->process);
    killed->process = 0;
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                  "a process ended by itself, with %d", status);
    kills++;
    drain_pipe();
    histories[killed->writer].dead = true;
    attempt last = { killed->writer, histories[killed->writer].count };
    if (killed->unsettled.writer == NO_WRITER && killed->work == write_for_ever
        && plan_of(last).kind == KEYED)
        killed->unsettled = last;
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void listen_for(int64_t us)
{
    struct pollfd watched = { pipe_ends[0], POLLIN, 0 };
    int64_t end = now_us() + us;
    for (int64_t left = us; left > 0; left = end - now_us()) {
        struct timespec pause = { 0, (long)left * 1000 };
        (void)ppoll(&watched, 1, &pause, NULL);
        drain_pipe();
    }
}

static void start_all(void (*first)(const char *path, int64_t writer, attempt unsettled))
{
    histories = calloc(WRITERS_MAX, sizeof(*histories));
    ck_assert_ptr_nonnull(histories);
    writer_count = transfers = kills = repeated = found_stored = 0;
    open_in_file();
    stele_transaction *transaction = begin();
    ck_assert_int_eq(run_in(transaction, "CREATE TABLE ledger(position INTEGER PRIMARY KEY,"
                                         " writer INTEGER, number INTEGER, amount INTEGER);"
                                         "CREATE TABLE totals(amount INTEGER);"
                                         "INSERT INTO totals VALUES(0)"),
                     SQLITE_OK);
    commit_and_end(transaction);
    close_store();
    ck_assert_int_eq(pipe(pipe_ends), 0);
    ck_assert_int_eq(fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK), 0);
    /* When nobody listens, since the log is being read, they soon fall silent. */
    (void)fcntl(pipe_ends[0], F_SETPIPE_SZ, 4096);
    for (int i = 0; i < SLOTS; i++) {
        slots[i] = (slot){ 0, 0, { NO_WRITER, 0 }, false, i == 0 ? first : write_for_ever };
        start_process(&slots[i]);
    }
}

/* Also after a failed assert. */
static void end_all(void)
{
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].process > 0) {
            kill(slots[i].process, SIGKILL);
            waitpid(slots[i].process, NULL, 0);
            slots[i].process = 0;
        }
    for (int64_t i = 0; histories != NULL && i < writer_count; i++)
        free(histories[i].acknowledged);
    free(histories);
    histories = NULL;
    if (pipe_ends[1] > 0) {
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        pipe_ends[1] = 0;
    }
    acknowledges_early = forgets_keys = false;
    only_kind = KINDS;
    close_and_remove();
}

/* --- What must be in the log --- */

typedef struct findings {
    int64_t events;
    int64_t acknowledged;
    int64_t lost;  /* acknowledged operations that aren't there as they were */
    int64_t wrong; /* all else */
    char first[256];
} findings;

__attribute__((format(printf, 2, 3))) static void blame(findings *found, const char *format, ...)
{
    if (found->wrong++ > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(found->first, sizeof(found->first), format, arguments);
    va_end(arguments);
}

/* An operation is whole: is it what was acknowledged? */
static void close_operation(history *of)
{
    if (of->logged < of->count) {
        const acknowledgement *told = &of->acknowledged[of->logged];
        of->matched += told->first_position == of->current.first_position
                       && told->last_position == of->current.last_position
                       && told->hash == of->current.hash;
    }
    of->logged++;
    of->index = 0;
}

/* The user's row of this transaction is the next one. */
static void check_row(findings *found, sqlite3_stmt *rows, const history *of, int count)
{
    if (sqlite3_step(rows) != SQLITE_ROW
        || sqlite3_column_int64(rows, 0) != of->current.first_position
        || sqlite3_column_int64(rows, 1) != of->current.at.writer
        || sqlite3_column_int64(rows, 2) != of->current.at.number
        || sqlite3_column_int(rows, 3) != count)
        blame(found, "the row for position %" PRId64 " is missing or wrong",
              of->current.first_position);
}

/* Step over `before` and the number behind it. */
static bool read_number(const char **text, const char *before, int64_t *number_out)
{
    size_t size = strlen(before);
    if (strncmp(*text, before, size) != 0)
        return false;
    char *end = NULL;
    *number_out = strtoll(*text + size, &end, 10);
    bool some = end != *text + size;
    *text = end;
    return some;
}

/* `last` is whose operation the record before belongs to, NULL when that is whole. */
static void check_record(findings *found, const stele_record *record, history **last,
                         int64_t versions[STREAMS], sqlite3_stmt *rows)
{
    attempt at = { NO_WRITER, 0 };
    int64_t index = -1;
    const char *text = record->data;
    if (record->position != ++found->events)
        blame(found, "position %" PRId64 " at place %" PRId64, record->position, found->events);
    if (!read_number(&text, "{\"w\":", &at.writer) || !read_number(&text, ",\"n\":", &at.number)
        || !read_number(&text, ",\"i\":", &index) || at.writer < 0 || at.writer >= writer_count) {
        blame(found, "nobody wrote %.80s", (const char *)record->data);
        return;
    }
    history *of = &histories[at.writer];
    if (at.number != of->logged || index != of->index || (*last != NULL && *last != of)) {
        blame(found,
              "event %" PRId64 " of %" PRId64 "/%" PRId64 " at position %" PRId64
              ", awaited %" PRId64 " of %" PRId64,
              index, at.writer, at.number, record->position, of->index, of->logged);
        return;
    }
    char payload[PAYLOAD_MAX];
    plan made = plan_of(at);
    size_t size = write_payload(payload, at, (int)index, &made);
    int stream = made.streams[index];
    if (record->data_size != size || memcmp(record->data, payload, size) != 0
        || strcmp(record->stream, stream_name(stream)) != 0)
        blame(found, "position %" PRId64 " is not as written", record->position);
    if (record->version != ++versions[stream])
        blame(found, "version %" PRId64 " of '%s' in the place of %" PRId64, record->version,
              record->stream, versions[stream]);
    if (index == 0)
        of->current = (acknowledgement){ .at = at, .first_position = record->position };
    if (index == 0 && made.kind == TRANSACTION)
        check_row(found, rows, of, made.count);
    of->current.last_position = record->position;
    of->current.hash = add_to_hash(of->current.hash, record->data, record->data_size);
    of->index++;
    *last = of;
    if (of->index == made.count) {
        close_operation(of);
        *last = NULL;
    }
}

static void check_histories(findings *found)
{
    for (int64_t i = 0; i < writer_count; i++) {
        const history *of = &histories[i];
        found->acknowledged += of->count;
        found->lost += of->count - of->matched;
        if (of->index != 0)
            blame(found, "operation %" PRId64 "/%" PRId64 " is there in part", i, of->logged);
        /* At most one came back to nobody. */
        if (of->dead && of->logged > of->count + 1)
            blame(found, "writer %" PRId64 " left %" PRId64 " operations, acknowledged %" PRId64, i,
                  of->logged, of->count);
    }
}

/* The log and the user's tables in one snapshot: writers may be going on. */
static findings check_log(void)
{
    findings found = { 0 };
    int64_t versions[STREAMS] = { 0 };
    for (int64_t i = 0; i < writer_count; i++)
        histories[i].logged = histories[i].matched = histories[i].index = 0;
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000;
    store = open_path(store_path(), &options);
    stele_transaction *transaction = begin();
    sqlite3_stmt *rows = NULL;
    ck_assert_int_eq(sqlite3_prepare_v2(stele_transaction_sqlite(transaction),
                                        "SELECT position, writer, number, amount FROM ledger"
                                        " ORDER BY position",
                                        -1, &rows, NULL),
                     SQLITE_OK);
    stele_cursor *cursor = NULL;
    assert_status(stele_transaction_read(transaction, NULL, &cursor), STELE_OK);
    const stele_record *record = NULL;
    history *last = NULL;
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK)
        check_record(&found, record, &last, versions, rows);
    assert_status(status, STELE_DONE);
    stele_cursor_close(cursor);
    if (sqlite3_step(rows) != SQLITE_DONE)
        blame(&found, "a row of the user's has no events");
    sqlite3_finalize(rows);
    if (number_in(transaction, "SELECT total(l.amount) - min(t.amount) FROM totals t"
                               " LEFT JOIN ledger l")
        != 0)
        blame(&found, "the user's total is not the sum of the rows");
    stele_transaction_end(transaction);
    close_store();
    check_histories(&found);
    return found;
}

static void verify_store(void)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status;
    open_in_file();
    assert_status(stele_verify_open(store, NULL, &verify), STELE_OK);
    while ((status = stele_verify_next(verify, &check)) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s", check->name, check->offender);
    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
    close_store();
}

/* --- The tests --- */

static void expect_nothing_lost(findings found)
{
    ck_assert_msg(found.lost == 0 && found.wrong == 0, "%" PRId64 " lost, %" PRId64 " wrong: %s",
                  found.lost, found.wrong, found.first);
}

/* Kill `count` times, the process in `victim` or a random one, and look at the log meanwhile. */
static void kill_and_check(const char *what, int count, int victim, uint64_t pause_us)
{
    uint64_t seed = choose_seed();
    for (int i = 1; i <= count; i++) {
        slot *chosen = &slots[victim >= 0 ? (uint64_t)victim : (next_chance() >> 20) % SLOTS];
        /* Most die at work, some while they open the store or wait for their turn. */
        bool at_work = !one_in(4);
        for (int waited = 0; at_work && !chosen->heard && waited < 20; waited++)
            listen_for(2000);
        listen_for(500 + (int64_t)(next_chance() % pause_us));
        kill_process(chosen);
        if (i % (count / 5 + 1) == 0)
            expect_nothing_lost(check_log());
        start_process(chosen);
    }
    for (int i = 0; i < SLOTS; i++)
        kill_process(&slots[i]);
    findings found = check_log();
    printf("# %s: seed %" PRIu64 ", %" PRId64 " kills, %" PRId64
           " operations acknowledged, %" PRId64 " events, %" PRId64 " transfers, %" PRId64
           " repeated by key (%" PRId64 " had been stored), %" PRId64 " lost, %" PRId64 " wrong\n",
           what, seed, kills, found.acknowledged, found.events, transfers, repeated, found_stored,
           found.lost, found.wrong);
    expect_nothing_lost(found);
    ck_assert_int_gt(found.acknowledged, 0);
    verify_store();
}

static const struct {
    const char *name;
    stele_durability durability;
    int kills;
} durabilities[] = { { "full", STELE_DURABILITY_FULL, 100 },
                     { "relaxed", STELE_DURABILITY_RELAXED, 50 } };

START_TEST(killed_writers_lose_nothing_acknowledged_and_repeat_nothing)
{
    durability = durabilities[_i].durability;
    start_all(write_for_ever);
    kill_and_check(durabilities[_i].name, durabilities[_i].kills * (effort_is_long() ? 20 : 1), -1,
                   30000);
}
END_TEST

START_TEST(process_killed_while_it_transfers_loses_nothing)
{
    durability = durabilities[_i].durability;
    start_all(transfer_for_ever);
    kill_and_check("transferring", effort_is_long() ? 1000 : 40, 0, 15000);
    ck_assert_int_gt(transfers, 0);
}
END_TEST

/* --- The controls: what is done wrong must be found --- */

enum { CONTROL_KILLS_MAX = 1000 };

static findings kill_until_found(const char *what, kind of)
{
    uint64_t seed = choose_seed();
    uint64_t longest_us = 20000;
    findings found = { 0 };
    durability = STELE_DURABILITY_FULL;
    only_kind = of;
    start_all(write_for_ever);
    while (found.lost == 0 && found.wrong == 0 && kills < CONTROL_KILLS_MAX) {
        listen_for(500 + (int64_t)(next_chance() % longest_us));
        /* All of them: one that waits for room in the pipe would do so inside its transaction. */
        for (int i = 0; i < SLOTS; i++)
            kill_process(&slots[i]);
        found = check_log();
        for (int i = 0; i < SLOTS; i++)
            start_process(&slots[i]);
        /* On a slow disk none gets far enough so soon. */
        if (kills % (20 * SLOTS) == 0 && longest_us < 500000)
            longest_us *= 2;
    }
    printf("# control, %s: seed %" PRIu64 ", %" PRId64 " kills, %" PRId64 " lost, %" PRId64
           " wrong (%s)\n",
           what, seed, kills, found.lost, found.wrong, found.first);
    return found;
}

START_TEST(writer_that_acknowledges_before_its_commit_is_found_to_lose)
{
    acknowledges_early = true;
    findings found = kill_until_found("early", TRANSACTION);
    ck_assert_int_gt(found.lost, 0);
    ck_assert_msg(found.wrong == 0, "%s", found.first);
}
END_TEST

START_TEST(attempt_repeated_without_its_key_is_found_to_be_there_twice)
{
    forgets_keys = true;
    findings found = kill_until_found("no keys", KEYED);
    ck_assert_int_gt(found.wrong, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kill");
    TCase *tests = tcase_create("kill");
    tcase_add_checked_fixture(tests, NULL, end_all);
    tcase_set_timeout(tests, effort_is_long() ? 7200 : 120);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, killed_writers_lose_nothing_acknowledged_and_repeat_nothing, 0,
                        (int)COUNT_OF(durabilities));
    tcase_add_loop_test(tests, process_killed_while_it_transfers_loses_nothing, 0,
                        (int)COUNT_OF(durabilities));
    tcase_add_test(tests, writer_that_acknowledges_before_its_commit_is_found_to_lose);
    tcase_add_test(tests, attempt_repeated_without_its_key_is_found_to_be_there_twice);
    return run_suite(suite);
}
