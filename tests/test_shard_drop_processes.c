/* Dropping while other processes use the shard: what was acknowledged is in the trash, or the drop
 * is busy and nothing has changed; and processes that are killed in mid-drop. */
#include "dropping.h"

#include "effort.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* What a child tells of its work: the position of each event that was acknowledged. */
typedef struct told {
    int64_t acknowledged;
    stele_status ended_with;
} told;

/* --- The child --- */

static void tell_parent(int pipe_out, int64_t acknowledged, stele_status ended_with)
{
    const told line = { acknowledged, ended_with };
    if (write(pipe_out, &line, sizeof(line)) != (ssize_t)sizeof(line))
        _exit(4);
}

/* Appends until it is refused, with a handle held all the time; then gives it back. */
static void append_until_refused(int pipe_out)
{
    stele_shards *mine = NULL;
    stele_shard *shard = NULL;
    stele_appended appended = { 0 };
    if (stele_shards_open(test_path("root"), NULL, &mine) != STELE_OK
        || stele_shards_acquire(mine, "acme", "orders", NULL, &shard) != STELE_OK)
        _exit(3);
    stele_status status = STELE_OK;
    while (status == STELE_OK) {
        status = append_to(stele_shard_store(shard), "s", STELE_ANY, "noted", &appended);
        if (status == STELE_OK)
            tell_parent(pipe_out, appended.last_position, STELE_OK);
    }
    tell_parent(pipe_out, 0, status);
    stele_shard_release(shard);
    stele_shards_close(mine);
    _exit(0);
}

/* Holds it open, and writes when it is told to. */
static void hold_until_told(int pipe_out, int pipe_in)
{
    stele_shards *mine = NULL;
    stele_shard *shard = NULL;
    char byte;
    if (stele_shards_open(test_path("root"), NULL, &mine) != STELE_OK
        || stele_shards_acquire(mine, "acme", "orders", NULL, &shard) != STELE_OK)
        _exit(3);
    tell_parent(pipe_out, 0, STELE_OK);
    while (read(pipe_in, &byte, 1) == 1)
        tell_parent(pipe_out, 0, append_data(stele_shard_store(shard), "d"));
    stele_shard_release(shard);
    stele_shards_close(mine);
    _exit(0);
}

/* --- The parent --- */

static pid_t child;
static int from_child;
static int to_child;

static void start_child(void (*work)(int pipe_out, int pipe_in))
{
    int answers[2];
    int orders[2];
    stele_shards_close(shards); /* nothing may be open over a fork */
    ck_assert_int_eq(pipe(answers), 0);
    ck_assert_int_eq(pipe(orders), 0);
    fflush(stdout);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(answers[0]);
        close(orders[1]);
        work(answers[1], orders[0]);
        _exit(5);
    }
    close(answers[1]);
    close(orders[0]);
    from_child = answers[0];
    to_child = orders[1];
    open_shards();
}

static bool hear_child(told *line)
{
    ssize_t got;
    do {
        got = read(from_child, line, sizeof(*line));
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof(*line);
}

static int end_child(void)
{
    int how = 0;
    close(from_child);
    close(to_child);
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    return how;
}

static void appending_child(int pipe_out, int pipe_in)
{
    (void)pipe_in;
    append_until_refused(pipe_out);
}

static void remove_trash(void)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_maintained maintained;
    stele_shards *others = NULL;
    options.trash_grace_s = 0;
    expect_fine(stele_shards_open(test_path("root"), &options, &others));
    expect_fine(stele_shards_maintain(others, NULL, &maintained));
    ck_assert_uint_eq(maintained.purged, 1);
    stele_shards_close(others);
}

/* The events of a store in the trash. */
static int64_t head_in_trash(void)
{
    int64_t head = -1;
    trash_look look = look_into_trash();
    ck_assert_int_eq(look.count, 1);
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    stele_store *dropped = open_path(look.path, &options);
    expect_fine(stele_store_head(dropped, &head));
    stele_store_close(dropped);
    return head;
}

/* Each event that another process was told is stored is in the file in the trash; no other is. */
START_TEST(what_others_were_told_is_stored_is_in_the_trash)
{
    int rounds = effort_is_long() ? 50 : 4;
    int64_t events = 0;
    for (int round = 0; round < rounds; round++) {
        told line = { 0 };
        int64_t acknowledged = 0;
        fill_shard("orders", 1);
        start_child(appending_child);
        for (int i = 0; i < 1 + round * 5; i++) {
            ck_assert(hear_child(&line));
            acknowledged = line.acknowledged;
        }
        const stele_wait patient = { sizeof(patient), 60000, NULL, NULL };

        expect_fine(stele_shards_drop(shards, "acme", "orders", false, &patient));

        while (hear_child(&line) && line.ended_with == STELE_OK) {
            ck_assert_int_eq(line.acknowledged, acknowledged + 1);
            acknowledged = line.acknowledged;
        }
        ck_assert_msg(line.ended_with == STELE_FENCED, "%s", stele_status_name(line.ended_with));
        ck_assert_int_eq(end_child(), 0);
        ck_assert_int_eq(head_in_trash(), acknowledged);
        events += acknowledged;
        expect_fine(stele_shards_undrop(shards, "acme", "orders", NULL));
        stele_shard *shard = acquire(shards, "acme", "orders");
        expect_fine(append_data(stele_shard_store(shard), "d"));
        stele_shard_release(shard);
        expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
        remove_trash();
    }
    printf("# dropped %d times under an appending process, %" PRId64 " events, 0 lost\n", rounds,
           events);
}
END_TEST

/* The control: a file that is only renamed leaves behind what is in the WAL. */
START_TEST(a_file_that_is_just_renamed_loses_what_others_were_told)
{
    char path[512];
    told line = { 0 };
    int64_t head = -1;
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    fill_shard("orders", 1);
    start_child(appending_child);
    ck_assert(hear_child(&line));
    expect_fine(stele_shards_path(shards, "acme", "orders", path, sizeof(path)));
    ck_assert_int_eq(rename(path, test_path("taken.db")), 0);
    for (int i = 0; i < 5; i++)
        ck_assert(hear_child(&line));
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    /* It may be far ahead of what was heard of, and have moved its WAL since. */
    int64_t acknowledged = line.acknowledged;
    while (hear_child(&line))
        acknowledged = line.acknowledged;
    end_child();
    stele_store *taken = open_path(test_path("taken.db"), &options);
    expect_fine(stele_store_head(taken, &head));
    stele_store_close(taken);
    ck_assert_int_lt(head, acknowledged);
}
END_TEST

START_TEST(one_that_another_process_holds_is_busy_and_nothing_is_changed)
{
    const stele_wait short_wait = { sizeof(short_wait), 100, NULL, NULL };
    told line = { 0 };
    fill_shard("orders", 1);
    start_child(hold_until_told);
    ck_assert(hear_child(&line));

    expect_status(stele_shards_drop(shards, "acme", "orders", false, &short_wait), STELE_BUSY);

    ck_assert_int_eq(write(to_child, "w", 1), 1);
    ck_assert(hear_child(&line));
    ck_assert_int_eq(line.ended_with, STELE_OK);
    ck_assert_int_eq(end_child(), 0);
    expect_events("orders", 2);
    ck_assert_int_eq(look_into_trash().count, 0);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
}
END_TEST

/* Who died has nothing open. */
START_TEST(one_whose_holder_was_killed_is_dropped)
{
    told line = { 0 };
    fill_shard("orders", 1);
    start_child(appending_child);
    for (int i = 0; i < 5; i++)
        ck_assert(hear_child(&line));
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    int64_t acknowledged = line.acknowledged;
    while (hear_child(&line))
        acknowledged = line.acknowledged;
    end_child();

    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    ck_assert_int_ge(head_in_trash(), acknowledged);
    ck_assert_int_le(head_in_trash(), acknowledged + 1);
}
END_TEST

/* --- Killed in mid-drop --- */

static void drop_and_undrop_for_ever(int pipe_out, int pipe_in)
{
    stele_shards *mine = NULL;
    (void)pipe_in;
    if (stele_shards_open(test_path("root"), NULL, &mine) != STELE_OK)
        _exit(3);
    tell_parent(pipe_out, 0, STELE_OK);
    for (;;) {
        if (stele_shards_drop(mine, "acme", "orders", false, NULL) != STELE_OK
            || stele_shards_undrop(mine, "acme", "orders", NULL) != STELE_OK)
            _exit(4);
    }
}

/* At a moment of chance: it is in its place or in the trash, never in both, and goes on. */
START_TEST(a_process_that_is_killed_in_mid_drop_loses_nothing)
{
    uint64_t seed = choose_seed();
    int rounds = effort_is_long() ? 400 : 12;
    int in_trash = 0;
    int fenced = 0;
    fill_shard("orders", 3);
    for (int round = 0; round < rounds; round++) {
        told line = { 0 };
        char path[512];
        stele_shard *shard = NULL;
        start_child(drop_and_undrop_for_ever);
        ck_assert(hear_child(&line));
        const struct timespec moment = { 0, (long)(next_chance() % 20000000) };
        nanosleep(&moment, NULL);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert(WIFSIGNALED(end_child()));

        expect_fine(stele_shards_path(shards, "acme", "orders", path, sizeof(path)));
        int trashed = look_into_trash().count;
        ck_assert_int_eq(trashed + file_exists(path), 1);
        in_trash += trashed;
        stele_status status =
            trashed > 0 ? STELE_FENCED : try_acquire(shards, "acme", "orders", &shard);
        stele_shard_release(shard);
        fenced += trashed == 0 && status == STELE_FENCED;
        if (status == STELE_FENCED && trashed == 0 && one_in(2))
            expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
        if (status == STELE_FENCED)
            expect_fine(stele_shards_undrop(shards, "acme", "orders", NULL));
        int same = 0;
        int other = 0;
        shard = acquire(shards, "acme", "orders");
        count_data(stele_shard_store(shard), "d", &same, &other);
        stele_shard_release(shard);
        ck_assert_int_eq(same, 3);
    }
    printf("# killed %d times in mid-drop (seed %" PRIu64 "): %d times in the trash, %d times"
           " fenced in its place, 0 lost\n",
           rounds, seed, in_trash, fenced);
}
END_TEST

static Suite *processes_suite(void)
{
    Suite *suite = suite_create("shard drop, processes");
    TCase *tests = tcase_create("processes");
    tcase_set_timeout(tests, 600);
    tcase_add_checked_fixture(tests, open_shards, close_shards);
    tcase_add_test(tests, what_others_were_told_is_stored_is_in_the_trash);
    tcase_add_test(tests, a_file_that_is_just_renamed_loses_what_others_were_told);
    tcase_add_test(tests, one_that_another_process_holds_is_busy_and_nothing_is_changed);
    tcase_add_test(tests, one_whose_holder_was_killed_is_dropped);
    tcase_add_test(tests, a_process_that_is_killed_in_mid_drop_loses_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(processes_suite());
}
