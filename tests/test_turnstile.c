/* The line between processes: first come, first served, whatever becomes of those who stand in it.
 */
#define _GNU_SOURCE /* open-file-description locks, before the headers of the system */
#include "base/turnstile.h"

#include "waiting_line.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

static void sleep_us(uint32_t us)
{
    nanosleep(&(struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L }, NULL);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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
        ck_assert_int_gt(atomic_load(&shared->turns_of[i]), 0);
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

/* No pauses: all join and leave at once, so that the line empties and fills under their feet. For
 * a third of a second, since that gets them few turns where others want the processor, too. */
static void crowd_in(int index, const waiting *own, int turns)
{
    uint32_t pause_us = 0;
    int64_t ahead = 0;
    int64_t deadline_ms = now_ms() + 300;
    for (int turn = 0; turn < turns && now_ms() < deadline_ms; turn++) {
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
    let_them_come(5000, false, crowd_in);
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

static Suite *turnstile_suite(void)
{
    Suite *suite = suite_create("turnstile between processes");
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

    return suite;
}

int main(void)
{
    return run_suite(turnstile_suite());
}
