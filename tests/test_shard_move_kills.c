/*
 * A shard that is moved to and fro while processes append to it, and movers that are killed at any
 * moment: what was acknowledged is there once, at the one place that takes appends.
 *
 * STELE_EFFORT=long kills thousands of them; STELE_SEED=N repeats the choices, not the moments.
 */
#define _GNU_SOURCE
#include "moving_writers.h"

#include "effort.h"

static struct {
    int rounds, kills, resumed, cancelled, done, cancels_refused;
    int64_t fenced_us, fenced_max_us;
    int64_t acknowledged, appends_moved, acquires_moved;
} tally;

/* --- Movers --- */

/* What a mover tells when it has ended by itself. */
typedef struct moved_note {
    atomic_int status;
    stele_shard_moved moved;
} moved_note;

static moved_note *note;

static int die_at(void *context, const stele_progress *progress)
{
    int *left = context;
    (void)progress;
    if (--*left == 0)
        raise(SIGKILL);
    return 0;
}

typedef enum errand { MOVE, RESUME, CANCEL } errand;

static void run_errand(errand what, int from, int die_after)
{
    stele_shards *at = NULL;
    stele_work work = STELE_WORK_INIT;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 60000;
    work.wait = &wait;
    work.step_count_max = 5;
    work.progress = die_at;
    work.context = &die_after;
    stele_status status = stele_shards_open(roots[from], NULL, &at);
    stele_shard_move move = move_of("orders", roots[1 - from]);
    move.work = &work;
    if (status == STELE_OK && what == MOVE)
        status = stele_shards_move(at, &move, &note->moved);
    else if (status == STELE_OK && what == RESUME)
        status = stele_shards_resume(at, &work, NULL);
    else if (status == STELE_OK)
        status = stele_shards_move_cancel(at, "acme", "orders", &wait);
    if (status < 0)
        snprintf(page->reason, sizeof(page->reason), "%s", stele_error_text());
    stele_shards_close(at);
    atomic_store(&note->status, status);
}

/* True when it ended by itself; `kill_after_us` 0: it is left alone, or dies by itself. */
static bool send_mover(errand what, int from, int die_after, long kill_after_us)
{
    int outcome = 0;
    atomic_store(&note->status, 1);
    fflush(NULL);
    pid_t process = fork();
    ck_assert_int_ge(process, 0);
    if (process == 0) {
        run_errand(what, from, die_after);
        _exit(0);
    }
    if (kill_after_us > 0) {
        doze(kill_after_us);
        kill(process, SIGKILL);
    }
    waitpid(process, &outcome, 0);
    bool ended = WIFEXITED(outcome) && atomic_load(&note->status) != 1;
    tally.kills += !ended;
    return ended;
}

/* --- What must hold --- */

/* Where the shard is: the one place of both that answers OK. */
static int find_shard(stele_shards *at[2])
{
    int found = -1;
    for (int i = 0; i < 2; i++) {
        stele_status status = try_acquire(at[i], "orders");
        for (int tries = 0; status == STELE_BUSY && tries < 60000; tries++) {
            doze(1000);
            status = try_acquire(at[i], "orders");
        }
        if (status == STELE_OK) {
            ck_assert_msg(found == -1, "both places have the shard");
            found = i;
        } else {
            ck_assert_msg(status == STELE_MOVED || status == STELE_NOT_FOUND, "place %d: %s: %s", i,
                          stele_status_name(status), stele_error_text());
        }
    }
    ck_assert_msg(found >= 0, "no place has the shard");
    return found;
}

/* How many acknowledged events are not where they should be. */
static int64_t count_lost(const int64_t *acknowledged, int *where_out)
{
    int64_t lost = 0;
    stele_shards *at[2] = { open_root(roots[0]), open_root(roots[1]) };
    int where = find_shard(at);
    stele_shard *shard = acquire_from(at[where], "orders");
    for (int i = 0; i < MOVING_WRITERS; i++) {
        int64_t count = count_numbered(stele_shard_store(shard), i);
        if (count < 0)
            lost += 1000000;
        else if (count < acknowledged[i])
            lost += acknowledged[i] - count;
    }
    stele_shard_release(shard);
    stele_shards_close(at[0]);
    stele_shards_close(at[1]);
    *where_out = where;
    return lost;
}

static void note_acknowledged(int64_t out[MOVING_WRITERS])
{
    for (int i = 0; i < MOVING_WRITERS; i++)
        out[i] = atomic_load(&page->acknowledged[i]);
}

/* Appends are taken again, by both writers. */
static void expect_progress(void)
{
    int64_t before[MOVING_WRITERS];
    note_acknowledged(before);
    for (int i = 0; i < MOVING_WRITERS; i++)
        for (int tries = 0; atomic_load(&page->acknowledged[i]) <= before[i]; tries++) {
            expect_no_failure();
            ck_assert_msg(tries < 60000, "writer %d stands still", i);
            doze(1000);
        }
}

static void note_done(void)
{
    tally.done++;
    tally.fenced_us += note->moved.fenced_us;
    if (note->moved.fenced_us > tally.fenced_max_us)
        tally.fenced_max_us = note->moved.fenced_us;
}

/* One move, cut any number of times, and then gone on with or taken back. */
static void cut_and_finish(int from)
{
    bool over = false;
    errand what = MOVE;
    tally.rounds++;
    while (!over) {
        bool leave = one_in(4);
        int die_after = one_in(2) ? 1 + (int)(next_chance() % 40) : 0;
        long kill_after = !leave && die_after == 0 ? 1 + (long)(next_chance() % 120000) : 0;
        over = send_mover(what, from, leave ? 0 : die_after, kill_after);
        if (over && atomic_load(&note->status) == STELE_CONFLICT && what == CANCEL) {
            tally.cancels_refused++; /* it was switched */
            over = false;
            what = RESUME;
        } else if (over) {
            stele_status status = (stele_status)atomic_load(&note->status);
            ck_assert_msg(status == STELE_OK || (what == MOVE && status == STELE_MOVED), "%s: %s",
                          stele_status_name(status), page->reason);
            tally.cancelled += what == CANCEL;
            tally.resumed += what == RESUME;
            if (what == MOVE && status == STELE_OK)
                note_done();
        } else if (one_in(2)) {
            what = one_in(4) ? CANCEL : RESUME;
        }
        expect_no_failure();
    }
}

static void begin_trial(void)
{
    start_page();
    note = mmap(NULL, sizeof(*note), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(note, MAP_FAILED);
    stele_shards *at[2] = { open_root(roots[0]), open_root(roots[1]) };
    stele_shard_release(acquire_from(at[0], "orders"));
    stele_shards_close(at[0]);
    stele_shards_close(at[1]);
    for (int i = 0; i < MOVING_WRITERS; i++)
        start_writer(i);
}

static void end_trial(void)
{
    munmap(note, sizeof(*note));
    munmap(page, sizeof(*page));
}

/* What others have open goes with them, or at the next look; and then out of the trash. */
static void tidy_up(int where)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    bool behind = true;
    options.trash_grace_s = 0;
    for (int tries = 0; behind && tries < 200; tries++) {
        for (int i = 0; i < 2; i++) {
            stele_shards *at = NULL;
            assert_status(stele_shards_open(roots[i], &options, &at), STELE_OK);
            assert_status(stele_shards_resume(at, NULL, NULL), STELE_OK);
            assert_status(stele_shards_maintain(at, NULL, NULL), STELE_OK);
            stele_shards_close(at);
        }
        behind = is_there(roots[1 - where], "orders.db");
        if (behind)
            doze(5000);
    }
}

/* A writer dies, too, and another one goes on. */
static void replace_writer(int number)
{
    kill(writers[number], SIGKILL);
    waitpid(writers[number], NULL, 0);
    start_writer(number);
}

static void run_trial(int rounds)
{
    int where = 0;
    int64_t all[MOVING_WRITERS];
    begin_trial();
    for (int i = 0; i < rounds; i++) {
        int64_t acknowledged[MOVING_WRITERS];
        cut_and_finish(where);
        expect_progress();
        note_acknowledged(acknowledged);
        ck_assert_int_eq(count_lost(acknowledged, &where), 0);
        if (one_in(4))
            replace_writer((int)(next_chance() % MOVING_WRITERS));
        tidy_up(where);
    }
    stop_writers();
    note_acknowledged(all);
    ck_assert_int_eq(count_lost(all, &where), 0);
    tally.acknowledged += all[0] + all[1];
    tally.appends_moved += page->moved[0] + page->moved[1];
    tally.acquires_moved += page->sent[0] + page->sent[1];
    end_trial();
    remove_test_folder();
}

START_TEST(movers_may_be_killed_at_any_moment)
{
    uint64_t seed = choose_seed();
    int trials = effort_is_long() ? 40 : 1;
    memset(&tally, 0, sizeof(tally));
    for (int i = 0; i < trials; i++) {
        run_trial(effort_is_long() ? 50 : 20);
        if (trials > 1)
            printf("# trial %d: %d movers killed so far\n", i + 1, tally.kills);
        fflush(stdout);
    }
    printf("# seed %" PRIu64 ": %d moves begun, %d movers killed; %d ended by themselves, %d by"
           " resume, %d taken back, %d switched before that; fenced %" PRId64
           " us on average, %" PRId64 " at most\n",
           seed, tally.rounds, tally.kills, tally.done, tally.resumed, tally.cancelled,
           tally.cancels_refused, tally.done > 0 ? tally.fenced_us / tally.done : 0,
           tally.fenced_max_us);
    printf("# %" PRId64 " events acknowledged, %" PRId64 " appends and %" PRId64
           " acquires answered MOVED\n",
           tally.acknowledged, tally.appends_moved, tally.acquires_moved);
    ck_assert_int_gt(tally.kills, 0);
}
END_TEST

START_TEST(every_acknowledged_event_follows_the_shard_and_none_is_behind_the_fence)
{
    int rounds = effort_is_long() ? 50 : 8;
    int from = 0;
    memset(&tally, 0, sizeof(tally));
    begin_trial();
    for (int i = 0; i < rounds; i++, from = 1 - from) {
        stele_trash *trash = NULL;
        const stele_trashed *item = NULL;
        const stele_trashed *last = NULL;
        int64_t behind = -1;
        expect_progress();
        ck_assert(send_mover(MOVE, from, 0, 0));
        ck_assert_msg(atomic_load(&note->status) == STELE_OK, "%s", page->reason);
        note_done();
        expect_progress();
        stele_shards *at = open_root(roots[from]);
        for (int tries = 0; is_there(roots[from], "orders.db"); tries++) {
            ck_assert_int_lt(tries, 12000);
            doze(5000);
            assert_status(stele_shards_resume(at, NULL, NULL), STELE_OK);
        }
        assert_status(stele_shards_trash(at, &trash), STELE_OK);
        while (stele_trash_next(trash, &item) == STELE_OK) {
            stele_store *old = NULL;
            stele_options options = STELE_OPTIONS_INIT;
            options.read_only = true;
            last = item;
            assert_status(stele_store_open(item->path, &options, &old), STELE_OK);
            behind = head_of(old);
            stele_store_close(old);
        }
        ck_assert_ptr_nonnull(last);
        ck_assert_int_eq(behind, note->moved.head);
        stele_trash_close(trash);
        stele_shards_close(at);
    }
    stop_writers();
    int64_t all[MOVING_WRITERS];
    note_acknowledged(all);
    ck_assert_int_eq(count_lost(all, &from), 0);
    ck_assert_int_gt(page->moved[0] + page->moved[1], 0);
    printf("# %d moves under load, fenced %" PRId64 " us on average, %" PRId64 " at most; %" PRId64
           " appends answered MOVED\n",
           tally.done, tally.fenced_us / tally.done, tally.fenced_max_us,
           page->moved[0] + page->moved[1]);
    end_trial();
}
END_TEST

/* The control: writers that don't look at the fence are told OK for what is lost. Those that write
 * before the digests are compared are found out, so the move may have to be tried again; on a slow
 * disk they have to write more seldom for it to come through. */
START_TEST(fence_that_is_not_looked_at_loses_acknowledged_events)
{
    int where = 0;
    heedless = true;
    long pause_us = 30000;
    begin_trial();
    expect_progress();
    int found_out = 0;
    do {
        atomic_store(&page->heedless_pause_us, pause_us);
        ck_assert(send_mover(MOVE, 0, 0, 0));
        found_out += atomic_load(&note->status) == STELE_CORRUPT;
        pause_us += pause_us / 4;
    } while (atomic_load(&note->status) == STELE_CORRUPT && found_out < 30);
    ck_assert_msg(atomic_load(&note->status) == STELE_OK, "%s", page->reason);
    expect_progress();
    stop_writers();
    heedless = false;
    int64_t all[MOVING_WRITERS];
    note_acknowledged(all);
    int64_t lost = count_lost(all, &where);
    printf("# control: %" PRId64 " acknowledged events lost, after %d moves that were found out\n",
           lost, found_out);
    ck_assert_int_gt(lost, 0);
    end_trial();
}
END_TEST

static void end_writers(void)
{
    for (int i = 0; i < MOVING_WRITERS; i++)
        if (writers[i] > 0)
            kill(writers[i], SIGKILL);
    remove_test_folder();
}

int main(void)
{
    Suite *suite = suite_create("shard_move_kills");
    TCase *tests = tcase_create("kills");
    tcase_add_checked_fixture(tests, NULL, end_writers);
    tcase_set_timeout(tests, 0);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, movers_may_be_killed_at_any_moment);
    tcase_add_test(tests, every_acknowledged_event_follows_the_shard_and_none_is_behind_the_fence);
    tcase_add_test(tests, fence_that_is_not_looked_at_loses_acknowledged_events);
    return run_suite(suite);
}
