/* The line between processes: first come, first served, whatever becomes of those who stand in it.
 */
#define _GNU_SOURCE /* open-file-description locks, before the headers of the system */
#include "base/turnstile.h"

#include "contract.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

static const char *line_path(void)
{
    return test_path("store.db-lock");
}

static stele__turnstile *open_line(void)
{
    stele__turnstile *turnstile = NULL;
    assert_status(stele__turnstile_open(line_path(), &turnstile), STELE_OK);
    ck_assert_ptr_nonnull(turnstile);
    return turnstile;
}

static void sleep_us(uint32_t us)
{
    nanosleep(&(struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L }, NULL);
}

/* Who is before us; 0 when it is our turn. */
static int64_t ahead_of(stele__turnstile *turnstile)
{
    uint32_t pause_us = 0;
    int64_t ahead = 0;
    bool ours = stele__turnstile_is_our_turn(turnstile, &pause_us, &ahead);
    ck_assert(ours ? ahead == 0 && pause_us == 0 : ahead > 0 && pause_us > 0);
    return ahead;
}

static void wait_for_turn(stele__turnstile *turnstile)
{
    uint32_t pause_us = 0;
    int64_t ahead = 0;
    while (!stele__turnstile_is_our_turn(turnstile, &pause_us, &ahead))
        sleep_us(pause_us);
}

/* --- Two ways to wait: the line, and for the controls a lock that is tried now and then --- */

typedef struct waiting {
    stele__turnstile *line; /* NULL: the plain lock */
    int plain;
} waiting;

static bool try_plain_lock(int descriptor, short type)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };
    return fcntl(descriptor, F_OFD_SETLK, &lock) == 0;
}

static waiting open_waiting(const char *path, bool plain)
{
    waiting opened = { NULL, -1 };
    if (plain)
        opened.plain = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    else
        (void)stele__turnstile_open(path, &opened.line);
    return opened;
}

static void join_waiting(const waiting *own)
{
    if (own->line != NULL && stele__turnstile_join(own->line) != STELE_OK)
        _exit(101);
}

static void wait_until_served(const waiting *own)
{
    if (own->line != NULL) {
        wait_for_turn(own->line);
        return;
    }
    while (!try_plain_lock(own->plain, F_WRLCK))
        sleep_us(500);
}

static void leave_waiting(const waiting *own)
{
    if (own->line != NULL)
        stele__turnstile_leave(own->line);
    else
        try_plain_lock(own->plain, F_UNLCK);
}

/* --- Rivals: processes that do as told, byte by byte --- */

enum { RIVALS = 8 };

typedef struct rival {
    pid_t process;
    int orders;  /* 'j' join, 't' wait for the turn, 'l' leave; the end: exit */
    int answers; /* each order, once it is done */
} rival;

static rival rivals[RIVALS];

/* What the rivals share; a new one for each test. */
typedef struct board {
    atomic_int served_count;
    int served[RIVALS]; /* who, in order */
    atomic_int inside;
    atomic_int turns_of[RIVALS];
    atomic_int together; /* two were served at once */
    atomic_int overtaken;
} board;

static board *shared;

static void make_board(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
}

static void drop_board(void)
{
    munmap(shared, sizeof(*shared));
    remove_test_folder();
}

static _Noreturn void obey_orders(int index, const char *path, bool plain, int orders, int answers)
{
    waiting own = open_waiting(path, plain);
    char order;
    while (read(orders, &order, 1) == 1) {
        if (order == 'j') {
            join_waiting(&own);
        } else if (order == 't') {
            wait_until_served(&own);
            shared->served[atomic_fetch_add(&shared->served_count, 1)] = index;
        } else {
            leave_waiting(&own);
        }
        if (write(answers, &order, 1) != 1)
            _exit(102);
    }
    _exit(0);
}

static void start_rivals(int count, bool plain)
{
    const char *path = line_path();
    fflush(NULL);
    for (int i = 0; i < count; i++) {
        int orders[2], answers[2];
        ck_assert_int_eq(pipe2(orders, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(answers, O_CLOEXEC), 0);
        rivals[i].process = fork();
        ck_assert_int_ge(rivals[i].process, 0);
        if (rivals[i].process == 0) {
            for (int j = 0; j < i; j++) {
                close(rivals[j].orders);
                close(rivals[j].answers);
            }
            close(orders[1]);
            close(answers[0]);
            obey_orders(i, path, plain, orders[0], answers[1]);
        }
        close(orders[0]);
        close(answers[1]);
        rivals[i].orders = orders[1];
        rivals[i].answers = answers[0];
    }
}

static void order(int index, const char *orders)
{
    size_t size = strlen(orders);
    ck_assert_int_eq(write(rivals[index].orders, orders, size), (ssize_t)size);
}

static void await_answers(int index, int count)
{
    char answer;
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(read(rivals[index].answers, &answer, 1), 1);
}

static void tell(int index, const char *orders)
{
    order(index, orders);
    await_answers(index, (int)strlen(orders));
}

/* How it ended: 0, or 128 + the signal. */
static int dismiss(int index)
{
    int status = 0;
    close(rivals[index].orders);
    close(rivals[index].answers);
    ck_assert_int_eq(waitpid(rivals[index].process, &status, 0), rivals[index].process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void kill_rival(int index)
{
    kill(rivals[index].process, SIGKILL);
    ck_assert_int_eq(dismiss(index), 128 + SIGKILL);
}

/* --- Order --- */

/* They arrive one after another while we are served; how many of them were overtaken then. */
static int serve_arrivals(bool plain)
{
    waiting own = open_waiting(line_path(), plain);
    join_waiting(&own);
    wait_until_served(&own);
    atomic_store(&shared->served_count, 0);
    /* Not in the order in which they were started. */
    int arrivals[RIVALS] = { 3, 1, 4, 0, 5, 7, 2, 6 };
    for (int i = 0; i < RIVALS; i++)
        tell(arrivals[i], "j");
    for (int i = RIVALS; i > 0; i--)
        order(arrivals[i - 1], "tl");
    sleep_us(3000);
    ck_assert_int_eq(atomic_load(&shared->served_count), 0);

    leave_waiting(&own);
    int misplaced = 0;
    for (int i = 0; i < RIVALS; i++)
        await_answers(i, 2);
    for (int i = 0; i < RIVALS; i++)
        misplaced += shared->served[i] != arrivals[i];
    if (plain)
        close(own.plain);
    stele__turnstile_close(own.line);
    return misplaced;
}

START_TEST(processes_are_served_in_the_order_of_their_arrival)
{
    start_rivals(RIVALS, false);
    for (int round = 0; round < 10; round++)
        ck_assert_int_eq(serve_arrivals(false), 0);
    for (int i = 0; i < RIVALS; i++)
        ck_assert_int_eq(dismiss(i), 0);
}
END_TEST

START_TEST(control_a_plain_lock_serves_out_of_order)
{
    start_rivals(RIVALS, true);
    int misplaced = 0;
    for (int round = 0; round < 100 && misplaced == 0; round++)
        misplaced = serve_arrivals(true);
    ck_assert_int_gt(misplaced, 0);
    for (int i = 0; i < RIVALS; i++)
        ck_assert_int_eq(dismiss(i), 0);
}
END_TEST

/* Come again and again. While one waits, each other may be served once at most: those before it. */
static void come_again(int index, const waiting *own, int turns)
{
    for (int turn = 0; turn < turns; turn++) {
        int before[RIVALS];
        join_waiting(own);
        for (int i = 0; i < RIVALS; i++)
            before[i] = atomic_load(&shared->turns_of[i]);
        wait_until_served(own);
        if (atomic_fetch_add(&shared->inside, 1) != 0)
            atomic_fetch_add(&shared->together, 1);
        for (int i = 0; i < RIVALS; i++)
            if (i != index && atomic_load(&shared->turns_of[i]) > before[i] + 1)
                atomic_fetch_add(&shared->overtaken, 1);
        sleep_us(20);
        atomic_fetch_add(&shared->turns_of[index], 1);
        atomic_fetch_sub(&shared->inside, 1);
        leave_waiting(own);
    }
}

static void let_them_come(int turns, bool plain, void (*come)(int, const waiting *, int))
{
    const char *path = line_path();
    int start[2];
    ck_assert_int_eq(pipe(start), 0);
    fflush(NULL);
    for (int i = 0; i < RIVALS; i++) {
        rivals[i].process = fork();
        ck_assert_int_ge(rivals[i].process, 0);
        if (rivals[i].process == 0) {
            char byte;
            waiting own = open_waiting(path, plain);
            close(start[1]);
            (void)!read(start[0], &byte, 1);
            come(i, &own, turns);
            _exit(0);
        }
    }
    close(start[0]);
    close(start[1]);
    for (int i = 0; i < RIVALS; i++) {
        int status = 0;
        ck_assert_int_eq(waitpid(rivals[i].process, &status, 0), rivals[i].process);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(atomic_load(&shared->turns_of[i]), turns);
    }
    ck_assert_int_eq(atomic_load(&shared->together), 0);
}

START_TEST(nobody_is_served_twice_while_another_waits)
{
    let_them_come(100, false, come_again);
    ck_assert_int_eq(atomic_load(&shared->overtaken), 0);
}
END_TEST

START_TEST(control_with_a_plain_lock_some_are_served_again_and_again)
{
    for (int round = 0; round < 10 && atomic_load(&shared->overtaken) == 0; round++) {
        memset(shared, 0, sizeof(*shared));
        let_them_come(100, true, come_again);
    }
    ck_assert_int_gt(atomic_load(&shared->overtaken), 0);
}
END_TEST

/* No pauses: all join and leave at once, so that the line empties and fills under their feet. */
static void crowd_in(int index, const waiting *own, int turns)
{
    uint32_t pause_us = 0;
    int64_t ahead = 0;
    for (int turn = 0; turn < turns; turn++) {
        join_waiting(own);
        while (!stele__turnstile_is_our_turn(own->line, &pause_us, &ahead))
            sched_yield();
        if (atomic_fetch_add(&shared->inside, 1) != 0)
            atomic_fetch_add(&shared->together, 1);
        atomic_fetch_add(&shared->turns_of[index], 1);
        atomic_fetch_sub(&shared->inside, 1);
        leave_waiting(own);
    }
}

START_TEST(no_two_are_served_at_once_in_a_crowd)
{
    let_them_come(2000, false, crowd_in);
}
END_TEST

/* --- Those who don't do as they should --- */

START_TEST(killed_waiters_and_holders_are_passed_over)
{
    start_rivals(4, false);
    stele__turnstile *own = open_line();
    tell(0, "jt");
    for (int i = 1; i < 4; i++)
        tell(i, "j");
    assert_status(stele__turnstile_join(own), STELE_OK);
    order(3, "t");

    kill_rival(1); /* in the middle */
    ck_assert_int_eq(ahead_of(own), 1);
    kill_rival(0); /* while it is served */
    kill_rival(2); /* first in the line, and doesn't know it */

    await_answers(3, 1);
    ck_assert_int_eq(ahead_of(own), 4);
    kill_rival(3);
    ck_assert_int_eq(ahead_of(own), 0);
    ck_assert(stele__turnstile_is_empty(own));
    stele__turnstile_close(own);
}
END_TEST

START_TEST(stopped_process_shows_as_a_line_that_does_not_move)
{
    start_rivals(2, false);
    stele__turnstile *own = open_line();
    tell(0, "jt");
    tell(1, "j");
    kill(rivals[0].process, SIGSTOP);
    assert_status(stele__turnstile_join(own), STELE_OK);

    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(ahead_of(own), 1);
        sleep_us(1000);
    }
    order(0, "l");
    ck_assert_int_eq(ahead_of(own), 1);

    kill(rivals[0].process, SIGCONT);
    await_answers(0, 1);
    ck_assert_int_eq(ahead_of(own), 2); /* it moves */
    tell(0, "j");                       /* behind us */
    tell(1, "l");
    ck_assert_int_eq(ahead_of(own), 0);
    stele__turnstile_close(own);
    ck_assert_int_eq(dismiss(0), 0);
    ck_assert_int_eq(dismiss(1), 0);
}
END_TEST

/* A lock on part of the file, as other processes have it. */
static int hold_range(int64_t start, int64_t size)
{
    int descriptor = open(line_path(), O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(descriptor, 0);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    lock.l_start = (off_t)start;
    lock.l_len = (off_t)size;
    ck_assert_int_eq(fcntl(descriptor, F_OFD_SETLK, &lock), 0);
    return descriptor;
}

/* The system may name the locks in any order, such as that of their making. */
START_TEST(first_in_the_line_is_named_whatever_the_order_of_the_locks)
{
    stele__turnstile *own = open_line();
    int holders[] = { hold_range(4096 + 7, 1), hold_range(4096 + 3, 1), hold_range(4096 + 5, 1) };
    assert_status(stele__turnstile_join(own), STELE_OK);

    ck_assert_int_eq(ahead_of(own), 3);
    close(holders[1]);
    ck_assert_int_eq(ahead_of(own), 5);
    close(holders[2]);
    ck_assert_int_eq(ahead_of(own), 7);
    close(holders[0]);
    ck_assert_int_eq(ahead_of(own), 0);
    stele__turnstile_close(own);
}
END_TEST

START_TEST(foreign_lock_on_all_of_the_file_is_a_refusal_not_a_hang)
{
    stele__turnstile *own = open_line();
    stele__turnstile *inside = open_line();
    assert_status(stele__turnstile_join(inside), STELE_OK);
    int tickets = hold_range(5000, 0);

    ck_assert(!stele__turnstile_is_empty(own));
    assert_status(stele__turnstile_join(own), STELE_IO);
    assert_reason_has("can't get in line");
    ck_assert_int_eq(ahead_of(own), 0);
    ck_assert_int_eq(ahead_of(inside), 0);

    close(tickets);
    stele__turnstile_leave(inside);
    int all = hold_range(0, 0);
    assert_status(stele__turnstile_join(own), STELE_IO);
    close(all);
    assert_status(stele__turnstile_join(own), STELE_OK);
    stele__turnstile_close(inside);
    stele__turnstile_close(own);
}
END_TEST

/* --- One process --- */

START_TEST(two_turnstiles_in_one_process_exclude_each_other)
{
    stele__turnstile *first = open_line(), *second = open_line();
    assert_status(stele__turnstile_join(first), STELE_OK);
    assert_status(stele__turnstile_join(second), STELE_OK);
    ck_assert_int_eq(ahead_of(first), 0);
    ck_assert_int_eq(ahead_of(second), 1);

    stele__turnstile *third = open_line();
    stele__turnstile_close(third); /* closing another drops no lock */
    ck_assert_int_eq(ahead_of(second), 1);

    stele__turnstile_close(first); /* leaves, too */
    ck_assert_int_eq(ahead_of(second), 0);
    stele__turnstile_close(second);
}
END_TEST

START_TEST(line_is_empty_when_nobody_else_stands_in_it)
{
    stele__turnstile *first = open_line(), *second = open_line();
    ck_assert(stele__turnstile_is_empty(first));
    assert_status(stele__turnstile_join(first), STELE_OK);
    ck_assert(stele__turnstile_is_empty(first));
    ck_assert(!stele__turnstile_is_empty(second));
    assert_status(stele__turnstile_join(second), STELE_OK);
    ck_assert(!stele__turnstile_is_empty(first));
    stele__turnstile_leave(first);
    stele__turnstile_leave(first); /* harmless */
    ck_assert(stele__turnstile_is_empty(second));
    ck_assert(!stele__turnstile_is_empty(first));
    stele__turnstile_close(second);
    ck_assert(stele__turnstile_is_empty(first));
    ck_assert_int_eq(ahead_of(first), 0); /* not in it */
    stele__turnstile_close(first);
    stele__turnstile_close(NULL);
}
END_TEST

START_TEST(one_who_leaves_before_being_served_is_passed_over)
{
    stele__turnstile *each[4];
    for (int i = 0; i < 4; i++) {
        each[i] = open_line();
        assert_status(stele__turnstile_join(each[i]), STELE_OK);
    }
    stele__turnstile_leave(each[1]);
    ck_assert_int_eq(ahead_of(each[2]), 1);
    stele__turnstile_leave(each[0]);
    ck_assert_int_eq(ahead_of(each[2]), 0);
    stele__turnstile_leave(each[3]); /* the last one; its ticket may be given out again */
    assert_status(stele__turnstile_join(each[0]), STELE_OK);
    assert_status(stele__turnstile_join(each[1]), STELE_OK);
    ck_assert_int_eq(ahead_of(each[2]), 0);
    ck_assert_int_eq(ahead_of(each[0]), 3);
    stele__turnstile_leave(each[2]);
    ck_assert_int_eq(ahead_of(each[1]), 4);
    for (int i = 0; i < 4; i++)
        stele__turnstile_close(each[i]);
}
END_TEST

START_TEST(long_line_is_served_in_order_and_pauses_grow_to_a_bound)
{
    enum { LONG = 150 };
    stele__turnstile *each[LONG];
    uint32_t pause_us[LONG];
    for (int i = 0; i < LONG; i++) {
        int64_t ahead = 0;
        each[i] = open_line();
        assert_status(stele__turnstile_join(each[i]), STELE_OK);
        ck_assert_int_eq(stele__turnstile_is_our_turn(each[i], &pause_us[i], &ahead), i == 0);
        ck_assert_int_eq(ahead, i == 0 ? 0 : 1);
    }
    ck_assert_uint_gt(pause_us[2], pause_us[1]);
    ck_assert_uint_eq(pause_us[LONG - 1], pause_us[LONG - 2]);
    ck_assert_uint_lt(pause_us[LONG - 1], 10000);

    for (int i = 0; i < LONG; i++) {
        ck_assert_int_eq(ahead_of(each[i]), 0);
        if (i + 2 < LONG)
            ck_assert_int_eq(ahead_of(each[i + 2]), i + 1);
        stele__turnstile_close(each[i]);
    }
}
END_TEST

/* --- The file --- */

START_TEST(what_the_file_holds_means_nothing_and_stays)
{
    static const char garbage[] = "\xff\xff\xff\xff\xff\xff\xff\x7f garbage, much of it";
    save_file(line_path(), garbage, sizeof(garbage));
    file_copy before = load_file(line_path());

    stele__turnstile *first = open_line(), *second = open_line();
    assert_status(stele__turnstile_join(first), STELE_OK);
    assert_status(stele__turnstile_join(second), STELE_OK);
    ck_assert_int_eq(ahead_of(second), 1);
    expect_unchanged(line_path(), before);

    ck_assert_int_eq(truncate(line_path(), 3), 0); /* locks don't end with the bytes */
    ck_assert_int_eq(ahead_of(second), 1);
    ck_assert_int_eq(truncate(line_path(), 0), 0);
    stele__turnstile_leave(first);
    ck_assert_int_eq(ahead_of(second), 0);
    assert_status(stele__turnstile_join(first), STELE_OK);
    ck_assert_int_eq(ahead_of(first), 2);
    stele__turnstile_close(first);
    stele__turnstile_close(second);
}
END_TEST

START_TEST(file_is_for_its_owner_empty_and_takes_one_descriptor_that_no_program_inherits)
{
    mode_t mask = umask(0);
    stele__turnstile *own = open_line();
    umask(mask);
    assert_status(stele__turnstile_join(own), STELE_OK);
    struct stat facts;
    ck_assert_int_eq(stat(line_path(), &facts), 0);
    ck_assert_int_eq(facts.st_mode & 07777, 0600);
    ck_assert_int_eq(facts.st_size, 0);
    ino_t inode = facts.st_ino;
    int count = 0;
    for (int descriptor = 0; descriptor < 256; descriptor++) {
        if (fstat(descriptor, &facts) != 0 || facts.st_ino != inode || !S_ISREG(facts.st_mode))
            continue;
        count++;
        ck_assert_int_eq(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    ck_assert_int_eq(count, 1);
    stele__turnstile_close(own);
}
END_TEST

static void refuse_line(const char *path, stele_status expected)
{
    stele__turnstile *turnstile = (stele__turnstile *)&turnstile;
    assert_status(stele__turnstile_open(path, &turnstile), expected);
    ck_assert_ptr_null(turnstile);
    assert_reason_has("'");
}

START_TEST(link_folder_pipe_and_missing_folder_are_refused)
{
    save_file(test_path("target"), "", 0);
    ck_assert_int_eq(symlink(test_path("target"), line_path()), 0);
    refuse_line(line_path(), STELE_IO);
    ck_assert_int_eq(symlink(test_path("nowhere"), test_path("dangling")), 0);
    refuse_line(test_path("dangling"), STELE_IO);
    ck_assert(!file_exists(test_path("nowhere")));
    refuse_line(test_folder(), STELE_IO);
    ck_assert_int_eq(mkfifo(test_path("fifo"), 0600), 0);
    refuse_line(test_path("fifo"), STELE_IO);
    refuse_line(test_path("missing/line"), STELE_NOT_FOUND);
}
END_TEST

static int use_inherited_line(void *inherited)
{
    uint32_t pause_us = 0;
    int64_t ahead = 0;
    if (stele__turnstile_join(inherited) != STELE_IO || !stele__turnstile_is_empty(inherited)
        || !stele__turnstile_is_our_turn(inherited, &pause_us, &ahead))
        return 1;
    stele__turnstile_leave(inherited);
    stele__turnstile_close(inherited);
    stele__turnstile *own = NULL;
    if (stele__turnstile_open(line_path(), &own) != STELE_OK || stele__turnstile_is_empty(own))
        return 2;
    return 0;
}

START_TEST(child_neither_leaves_nor_joins_for_its_parent)
{
    stele__turnstile *own = open_line(), *other = open_line();
    assert_status(stele__turnstile_join(own), STELE_OK);
    assert_status(stele__turnstile_join(other), STELE_OK);

    ck_assert_int_eq(run_in_child(use_inherited_line, own), 0);

    ck_assert_int_eq(ahead_of(other), 1);
    stele__turnstile_leave(own);
    ck_assert_int_eq(ahead_of(other), 0);
    stele__turnstile_close(own);
    stele__turnstile_close(other);
}
END_TEST

static Suite *turnstile_suite(void)
{
    Suite *suite = suite_create("turnstile");
    TCase *processes = tcase_create("processes");
    tcase_add_checked_fixture(processes, make_board, drop_board);
    tcase_add_test(processes, processes_are_served_in_the_order_of_their_arrival);
    tcase_add_test(processes, control_a_plain_lock_serves_out_of_order);
    tcase_add_test(processes, nobody_is_served_twice_while_another_waits);
    tcase_add_test(processes, control_with_a_plain_lock_some_are_served_again_and_again);
    tcase_add_test(processes, no_two_are_served_at_once_in_a_crowd);
    tcase_add_test(processes, killed_waiters_and_holders_are_passed_over);
    tcase_add_test(processes, stopped_process_shows_as_a_line_that_does_not_move);
    suite_add_tcase(suite, processes);

    TCase *one = add_case(suite, "one process", NULL);
    tcase_add_test(one, first_in_the_line_is_named_whatever_the_order_of_the_locks);
    tcase_add_test(one, foreign_lock_on_all_of_the_file_is_a_refusal_not_a_hang);
    tcase_add_test(one, two_turnstiles_in_one_process_exclude_each_other);
    tcase_add_test(one, line_is_empty_when_nobody_else_stands_in_it);
    tcase_add_test(one, one_who_leaves_before_being_served_is_passed_over);
    tcase_add_test(one, long_line_is_served_in_order_and_pauses_grow_to_a_bound);
    tcase_add_test(one, what_the_file_holds_means_nothing_and_stays);
    tcase_add_test(one,
                   file_is_for_its_owner_empty_and_takes_one_descriptor_that_no_program_inherits);
    tcase_add_test(one, link_folder_pipe_and_missing_folder_are_refused);
    tcase_add_test(one, child_neither_leaves_nor_joins_for_its_parent);
    return suite;
}

int main(void)
{
    return run_suite(turnstile_suite());
}
