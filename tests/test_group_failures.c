/* Groups that fail: on a full disk, half-way, with an outcome that nobody knows. */
#include "held_disk.h"

#include "effort.h"

#include <pthread.h>

/* --- Disk full --- */

enum { BIG = 400000 };

START_TEST(group_that_finds_the_disk_full_is_run_one_at_a_time_and_what_fits_is_stored)
{
    assert_status(append_one("first", STELE_NO_STREAM, "noted", NULL), STELE_OK);
    limit_room(BIG / 2, SQLITE_FULL);
    stele_ticket *tickets[5];
    for (int i = 0; i < 5; i++)
        tickets[i] = submit_sized("account-1", STELE_ANY, NULL, i == 1 || i == 3 ? BIG : 100);

    flush_all();

    int64_t position = 1;
    for (int i = 0; i < 5; i++) {
        bool fits = i != 1 && i != 3;
        stele_appended appended = expect_verdict(tickets[i], fits ? STELE_OK : STELE_FULL);
        ck_assert_int_eq(appended.last_position, fits ? ++position : 0);
        ck_assert_int_eq(appended.stream_version, fits ? position - 1 : 0);
    }
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4");
    ck_assert_uint_eq(describe_store().appends, 4);
    ck_assert_uint_eq(describe_store().commits, 4);
}
END_TEST

START_TEST(conflict_that_rested_on_a_row_of_a_failed_commit_becomes_a_success)
{
    assert_status(append_one("first", STELE_NO_STREAM, "noted", NULL), STELE_OK);
    limit_room(BIG / 2, SQLITE_FULL);
    stele_ticket *big = submit_sized("contested", STELE_NO_STREAM, NULL, BIG);
    stele_ticket *small = submit_one("contested", STELE_NO_STREAM, NULL);

    flush_all();

    expect_verdict(big, STELE_FULL);
    ck_assert_int_eq(expect_verdict(small, STELE_OK).stream_version, 1);
    ck_assert_int_eq(version_of("contested"), 1);
}
END_TEST

/* The first of the two fails with the group, then alone: the second was no duplicate after all. */
START_TEST(duplicate_that_rested_on_a_row_of_a_failed_commit_is_stored)
{
    assert_status(append_one("first", STELE_NO_STREAM, "noted", NULL), STELE_OK);
    stele_ticket *once = submit_one("account-1", STELE_NO_STREAM, "attempt");
    stele_ticket *again = submit_one("account-1", STELE_NO_STREAM, "attempt");
    stele_ticket *reused = submit_one("account-2", STELE_NO_STREAM, "attempt");
    fail_writes(2, SQLITE_FULL);

    flush_all();

    expect_verdict(once, STELE_FULL);
    stele_appended appended = expect_verdict(again, STELE_OK);
    ck_assert(!appended.duplicate);
    ck_assert_int_eq(appended.last_position, 2);
    expect_verdict(reused, STELE_KEY_REUSED);
    ck_assert_str_eq(positions_of(NULL), "1 2");
}
END_TEST

/* The same for threads that wait in the queue, the first of which leads. */
START_TEST(appends_of_threads_in_a_failed_group_are_judged_again)
{
    appender first = { .stream = "first" };
    appender others[4] = {
        { .stream = "contested" },
        { .stream = "contested" },
        { .stream = "account-1", .expected_version = STELE_ANY, .key = "attempt" },
        { .stream = "account-1", .expected_version = STELE_ANY, .key = "attempt" },
    };
    start_behind_held_commit(&first, others, 4);
    fail_writes(2, SQLITE_FULL); /* the group, and others[0] alone */
    release_syncs();
    join_appenders(&first, others, 4);

    assert_appender(first, STELE_OK);
    assert_appender(others[0], STELE_FULL);
    assert_appender(others[1], STELE_OK);
    assert_appender(others[2], STELE_OK);
    assert_appender(others[3], STELE_OK);
    ck_assert(!others[2].appended.duplicate);
    ck_assert(others[3].appended.duplicate);
    ck_assert_ptr_nonnull(strstr(others[0].reason, "full"));
    ck_assert_str_eq(others[1].reason, "");
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

/* --- Half-way --- */

/* Larger than the page cache: it reaches the WAL, and fails, while its rows are being written. */
static stele_ticket *submit_larger_than_the_cache(const char *stream)
{
    enum { EVENTS = 12, SIZE = 1000000 };
    stele_event events[EVENTS];
    char *data = malloc(SIZE);
    ck_assert_ptr_nonnull(data);
    memset(data, 'x', SIZE);
    for (int i = 0; i < EVENTS; i++)
        events[i] =
            (stele_event){ .type = "noted", .codec = "raw", .data = data, .data_size = SIZE };
    stele_append append = make_append(stream, STELE_NO_STREAM, events, EVENTS);
    stele_ticket *ticket = NULL;
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_OK);
    free(data);
    return ticket;
}

static void reopen_for_large_groups(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.group_size_max = 64 * 1024 * 1024;
    options.submit_size_max = 64 * 1024 * 1024;
    close_store();
    store = open_path(store_path(), &options);
    assert_status(append_one("first", STELE_ANY, "noted", NULL), STELE_OK);
}

START_TEST(append_that_fails_half_way_takes_no_neighbour_with_it)
{
    static const struct {
        int code;
        stele_status status;
    } failures[] = { { SQLITE_FULL, STELE_FULL },
                     { SQLITE_IOERR_WRITE, STELE_IO },
                     { SQLITE_NOMEM, STELE_NO_MEMORY } };
    reopen_for_large_groups();
    limit_room(BIG, failures[_i].code);
    stele_ticket *before = submit_one("before", STELE_NO_STREAM, NULL);
    stele_ticket *large = submit_larger_than_the_cache("large");
    stele_ticket *refused = submit_one("large", 12, NULL);
    stele_ticket *after = submit_one("large", STELE_NO_STREAM, NULL);

    flush_all();

    expect_verdict(before, STELE_OK);
    expect_verdict(large, failures[_i].status);
    expect_verdict(refused, STELE_CONFLICT);
    ck_assert_int_eq(expect_verdict(after, STELE_OK).last_position, 3);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

/* --- Unknown outcome --- */

START_TEST(commit_of_unknown_outcome_is_settled_by_the_library_where_there_are_keys)
{
    char key[32];
    stele_ticket *tickets[6];
    for (int i = 0; i < 6; i++) {
        snprintf(key, sizeof(key), "attempt-%d", i % 5); /* the last is a duplicate */
        tickets[i] = submit_one(i % 5 == 0 ? "account-0" : "account-1", STELE_ANY, key);
    }
    fail_syncs(1);

    flush_all();

    for (int i = 0; i < 6; i++) {
        stele_appended appended = expect_verdict(tickets[i], STELE_OK);
        ck_assert_int_eq(appended.duplicate, i == 5);
        ck_assert_int_eq(appended.last_position, i % 5 + 1);
    }
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4 5");
    reopen_file();
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4 5");
}
END_TEST

START_TEST(appends_without_a_key_are_told_unknown_outcome_and_refusals_are_judged_again)
{
    fill_stream("first", 1);
    stele_ticket *unknown = submit_one("contested", STELE_NO_STREAM, NULL);
    stele_ticket *keyed = submit_one("account-1", STELE_NO_STREAM, "attempt");
    stele_ticket *rested = submit_one("contested", STELE_NO_STREAM, NULL);
    stele_ticket *refused = submit_one("first", STELE_NO_STREAM, NULL);
    fail_syncs(1);

    flush_all();

    expect_verdict(unknown, STELE_UNKNOWN_OUTCOME);
    ck_assert(!expect_verdict(keyed, STELE_OK).duplicate);
    expect_verdict(refused, STELE_CONFLICT);
    /* Whatever became of the first: one of the two has made the stream. */
    const stele_verdict *verdict = verdict_of(rested);
    ck_assert(verdict->status == STELE_OK || verdict->status == STELE_CONFLICT);
    ck_assert_int_eq(version_of("contested"), 1);
    stele_ticket_close(rested);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
    reopen_file();
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

START_TEST(disk_that_stays_broken_leaves_the_outcome_unknown_until_the_key_comes_again)
{
    fill_stream("first", 1);
    stele_ticket *tickets[3] = { submit_one("account-1", STELE_ANY, "a"),
                                 submit_one("account-1", STELE_ANY, "b"),
                                 submit_one("account-1", STELE_ANY, NULL) };
    fail_syncs(1000000);

    flush_all();

    for (int i = 0; i < 3; i++)
        expect_verdict(tickets[i], STELE_UNKNOWN_OUTCOME);
    /* Nothing was written of these, since the file must be settled first; but what came before may
     * have had the key. */
    expect_verdict(submit_one("account-1", STELE_ANY, NULL), STELE_IO);
    expect_verdict(submit_one("account-1", STELE_ANY, "c"), STELE_UNKNOWN_OUTCOME);
    mend_disk();
    const char *keys[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++)
        expect_verdict(submit_one("account-1", STELE_ANY, keys[i]), STELE_OK);
    for (int i = 0; i < 3; i++)
        ck_assert(expect_verdict(submit_one("account-1", STELE_ANY, keys[i]), STELE_OK).duplicate);
    reopen_file();
    positions_of(NULL); /* dense, each with its checksum */
}
END_TEST

/* --- Everything at once, against what must hold --- */

enum { CREW = 6, ROUNDS_MAX = 400 };

/* What one thread was told of its appends, each of a type of its own. */
typedef struct round_note {
    stele_status status;
    stele_appended appended;
    bool keyed;
} round_note;

typedef struct chaos_worker {
    pthread_t thread;
    int index;
    int rounds;
    uint64_t seed;
    round_note notes[ROUNDS_MAX];
} chaos_worker;

static chaos_worker chaos[CREW];
static atomic_bool chaos_over;

static uint64_t chance_of(chaos_worker *self)
{
    self->seed ^= self->seed << 13;
    self->seed ^= self->seed >> 7;
    self->seed ^= self->seed << 17;
    return self->seed >> 11;
}

static void *append_in_chaos(void *context)
{
    chaos_worker *self = context;
    for (int i = 0; i < self->rounds; i++) {
        char type[32], key[32], stream[32];
        snprintf(type, sizeof(type), "t%d-%d", self->index, i);
        snprintf(key, sizeof(key), "k%d-%d", self->index, i);
        snprintf(stream, sizeof(stream), "s%d", (int)(chance_of(self) % 3));
        round_note *note = &self->notes[i];
        note->keyed = chance_of(self) % 2 == 0;
        stele_event event = make_event(type, "{}");
        stele_append append = make_append(stream, STELE_ANY, &event, 1);
        if (chance_of(self) % 4 == 0)
            append.expected_version = (int64_t)(chance_of(self) % 50);
        append.idempotency_key = note->keyed ? key : NULL;
        if (chance_of(self) % 3 == 0) {
            stele_ticket *ticket = NULL;
            const stele_verdict *verdict = NULL;
            note->status = stele_store_submit(store, &append, NULL, &ticket);
            if (note->status == STELE_OK)
                note->status = stele_ticket_wait(ticket, NULL, &verdict);
            if (note->status == STELE_OK) {
                note->appended = verdict->appended;
                note->status = verdict->status;
            }
            stele_ticket_close(ticket);
        } else {
            note->status = stele_store_append(store, &append, &note->appended);
        }
    }
    return NULL;
}

static long chaos_pause_us; /* the longest between two failures */

/* Now and then the disk fails: more often than any would, but not always. */
static void *trouble_disk(void *context)
{
    chaos_worker *self = context;
    while (!atomic_load(&chaos_over)) {
        if (chance_of(self) % 3 == 0)
            fail_syncs(1);
        else
            fail_writes((int)(chance_of(self) % 3), SQLITE_FULL);
        pause_us((long)(chance_of(self) % (uint64_t)chaos_pause_us));
    }
    return NULL;
}

/* After a failed commit the writer opens its connection anew: were the disk to fail again before
 * that can be done, as in a build that is slowed down, nothing would ever be stored. */
static void measure_chaos(void)
{
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    stele_store_close(open_path(store_path(), NULL));
    clock_gettime(CLOCK_MONOTONIC, &after);
    long opened_us =
        (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
    chaos_pause_us = opened_us > 1500 ? 2 * opened_us : 3000;
}

/* Rows of one type: 1 when it was stored, and where. */
static int64_t count_rows(sqlite3 *raw, const char *type, int64_t *position_out)
{
    char sql[160];
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM events e JOIN types t ON t.id = e.type WHERE t.name = '%s'",
             type);
    int64_t count = raw_number(raw, sql);
    snprintf(sql, sizeof(sql),
             "SELECT position FROM events e JOIN types t ON t.id = e.type WHERE t.name = '%s'",
             type);
    *position_out = raw_number(raw, sql);
    return count;
}

/* Whether what was told is so, with `count` rows of it in the file. */
static bool is_true(const round_note *note, int64_t count, int64_t position)
{
    if (note->status == STELE_OK)
        return count == 1 && position == note->appended.last_position && !note->appended.duplicate;
    return note->status == STELE_UNKNOWN_OUTCOME ? count <= 1 : count == 0;
}

/* How many lies were told. */
static int judge_notes(const chaos_worker *self, sqlite3 *raw)
{
    int lies = 0;
    for (int i = 0; i < self->rounds; i++) {
        char type[32];
        int64_t position = 0;
        snprintf(type, sizeof(type), "t%d-%d", self->index, i);
        int64_t count = count_rows(raw, type, &position);
        if (is_true(&self->notes[i], count, position))
            continue;
        lies++;
        printf("%s was told %s, and is there %d times\n", type,
               stele_status_name(self->notes[i].status), (int)count);
    }
    return lies;
}

static int count_notes(stele_status status)
{
    int count = 0;
    for (int i = 0; i < CREW; i++)
        for (int j = 0; j < chaos[i].rounds; j++)
            count += chaos[i].notes[j].status == status;
    return count;
}

START_TEST(whatever_the_disk_does_each_verdict_is_true)
{
    int rounds = effort_is_long() ? ROUNDS_MAX : 40;
    uint64_t seed = choose_seed();
    chaos_worker trouble = { .seed = seed * 31 + 7 };
    atomic_store(&chaos_over, false);
    measure_chaos();
    pthread_create(&trouble.thread, NULL, trouble_disk, &trouble);
    for (int i = 0; i < CREW; i++) {
        chaos[i] = (chaos_worker){ .index = i, .rounds = rounds, .seed = next_chance() | 1 };
        ck_assert_int_eq(pthread_create(&chaos[i].thread, NULL, append_in_chaos, &chaos[i]), 0);
    }
    for (int i = 0; i < CREW; i++)
        pthread_join(chaos[i].thread, NULL);
    atomic_store(&chaos_over, true);
    pthread_join(trouble.thread, NULL);
    mend_disk();
    flush_all();
    assert_status(append_one("last", STELE_ANY, "last", NULL), STELE_OK);
    close_store();

    sqlite3 *raw = open_raw(store_path());
    int lies = 0;
    for (int i = 0; i < CREW; i++)
        lies += judge_notes(&chaos[i], raw);
    printf("seed %" PRIu64 ": %d appends, %d stored, %d of unknown outcome\n", seed, CREW * rounds,
           count_notes(STELE_OK), count_notes(STELE_UNKNOWN_OUTCOME));
    ck_assert_int_eq(lies, 0);
    ck_assert_int_gt(count_notes(STELE_OK), 0);
    ck_assert_int_eq(raw_number(raw, "SELECT max(position) - count(*) FROM events"), 0);
    sqlite3_close(raw);
}
END_TEST

/* The judge isn't blind: each kind of lie is found. */
START_TEST(control_false_verdicts_are_found)
{
    static chaos_worker honest = { .rounds = 3 };
    honest.notes[0].status = append_one("s", 0, "t0-0", &honest.notes[0].appended);
    honest.notes[1].status = append_one("s", 0, "t0-1", &honest.notes[1].appended);
    honest.notes[2].status = append_one("s", 1, "t0-2", &honest.notes[2].appended);
    close_store();
    sqlite3 *raw = open_raw(store_path());
    ck_assert_int_eq(judge_notes(&honest, raw), 0);

    honest.notes[0].status = STELE_FULL;         /* it is there */
    honest.notes[1].status = STELE_OK;           /* it isn't */
    honest.notes[2].appended.last_position += 1; /* it is elsewhere */
    ck_assert_int_eq(judge_notes(&honest, raw), 3);

    sqlite3_close(raw);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group failures");
    TCase *held = tcase_create("held");
    tcase_add_checked_fixture(held, open_on_held_disk, close_held_disk);
    suite_add_tcase(suite, held);
    tcase_add_test(held,
                   group_that_finds_the_disk_full_is_run_one_at_a_time_and_what_fits_is_stored);
    tcase_add_test(held, conflict_that_rested_on_a_row_of_a_failed_commit_becomes_a_success);
    tcase_add_test(held, duplicate_that_rested_on_a_row_of_a_failed_commit_is_stored);
    tcase_add_test(held, appends_of_threads_in_a_failed_group_are_judged_again);
    tcase_add_loop_test(held, append_that_fails_half_way_takes_no_neighbour_with_it, 0, 3);
    tcase_add_test(held, commit_of_unknown_outcome_is_settled_by_the_library_where_there_are_keys);
    tcase_add_test(held,
                   appends_without_a_key_are_told_unknown_outcome_and_refusals_are_judged_again);
    tcase_add_test(held,
                   disk_that_stays_broken_leaves_the_outcome_unknown_until_the_key_comes_again);
    tcase_add_test(held, whatever_the_disk_does_each_verdict_is_true);
    tcase_add_test(held, control_false_verdicts_are_found);
    return run_suite(suite);
}
