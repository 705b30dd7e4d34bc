/*
 * The line between processes under schedules that no machine would choose by itself: three who
 * come again and again, and before each system call a die decides who goes on.
 * STELE_EFFORT=long tries many more schedules.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "base/turnstile.h"

#include "contract.h"

#include <fcntl.h>
#include <pthread.h>

static int step_then_fcntl(int descriptor, int command, struct flock *lock);

/* The turnstile itself, but for its way to the system. It takes the place of the library's. */
#define fcntl step_then_fcntl
#include "base/platform_turnstile.c" // NOLINT(bugprone-suspicious-include)
#undef fcntl

enum { ACTORS = 3, TURNS = 2 };

typedef struct actor {
    pthread_t thread;
    int index;
    stele__turnstile *turnstile;
    int turns;
    bool finished;
} actor;

/* Who has the baton runs, the others wait for it: so nothing here needs more of a lock. */
static actor actors[ACTORS];
static pthread_mutex_t baton_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t baton_passed = PTHREAD_COND_INITIALIZER;
static int baton; /* an actor's index; -1: the test itself */
static _Thread_local int own_index = -1;

static uint64_t random_state;
static int inside, together, overtaken;
static bool skip_second_look; /* the control */

static uint32_t roll(uint32_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % sides;
}

static void pass_baton_to(int next)
{
    pthread_mutex_lock(&baton_mutex);
    baton = next;
    pthread_cond_broadcast(&baton_passed);
    pthread_mutex_unlock(&baton_mutex);
}

static void wait_for_baton(int index)
{
    pthread_mutex_lock(&baton_mutex);
    while (baton != index)
        pthread_cond_wait(&baton_passed, &baton_mutex);
    pthread_mutex_unlock(&baton_mutex);
}

/* Any who are not done; -1 when all are. */
static int choose_next(void)
{
    int candidates[ACTORS];
    uint32_t count = 0;
    for (int i = 0; i < ACTORS; i++)
        if (!actors[i].finished)
            candidates[count++] = i;
    return count == 0 ? -1 : candidates[roll(count)];
}

static void take_step(void)
{
    int next = choose_next();
    if (next == own_index)
        return;
    pass_baton_to(next);
    wait_for_baton(own_index);
}

static int step_then_fcntl(int descriptor, int command, struct flock *lock)
{
    static _Thread_local bool just_locked;
    if (own_index >= 0)
        take_step();
    bool second_look = just_locked && command == F_OFD_GETLK;
    int result = fcntl(descriptor, command, lock);
    just_locked = command == F_OFD_SETLK && lock->l_type == F_WRLCK && result == 0;
    if (second_look && skip_second_look)
        lock->l_type = F_UNLCK;
    return result;
}

static void be_served(const actor *self, const int *turns_before)
{
    together += inside++;
    for (int i = 0; i < ACTORS; i++)
        overtaken += i != self->index && actors[i].turns > turns_before[i] + 1;
    take_step(); /* whoever else believes to be served comes in now */
    inside--;
}

static void *come_again(void *context)
{
    actor *self = context;
    own_index = self->index;
    wait_for_baton(self->index);
    for (int turn = 0; turn < TURNS; turn++) {
        int turns_before[ACTORS];
        uint32_t pause_us = 0;
        int64_t ahead = 0;
        if (stele__turnstile_join(self->turnstile) != STELE_OK)
            together = 1000; /* never, and the test fails by it */
        for (int i = 0; i < ACTORS; i++)
            turns_before[i] = actors[i].turns;
        while (!stele__turnstile_is_our_turn(self->turnstile, &pause_us, &ahead))
            take_step();
        be_served(self, turns_before);
        self->turns++;
        stele__turnstile_leave(self->turnstile);
    }
    self->finished = true;
    pass_baton_to(choose_next());
    return NULL;
}

static void run_schedule(uint64_t seed)
{
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    baton = -1;
    for (int i = 0; i < ACTORS; i++) {
        actors[i].index = i;
        actors[i].turns = 0;
        actors[i].finished = false;
        ck_assert_int_eq(pthread_create(&actors[i].thread, NULL, come_again, &actors[i]), 0);
    }
    pass_baton_to(choose_next());
    wait_for_baton(-1);
    for (int i = 0; i < ACTORS; i++)
        pthread_join(actors[i].thread, NULL);
}

static int schedule_count(void)
{
    const char *wanted = getenv("STELE_EFFORT");
    return wanted != NULL && strcmp(wanted, "long") == 0 ? 50000 : 1000;
}

static void open_lines(void)
{
    inside = together = overtaken = 0;
    skip_second_look = false;
    for (int i = 0; i < ACTORS; i++)
        assert_status(stele__turnstile_open(test_path("line"), &actors[i].turnstile), STELE_OK);
}

static void close_lines(void)
{
    for (int i = 0; i < ACTORS; i++)
        stele__turnstile_close(actors[i].turnstile);
    remove_test_folder();
}

START_TEST(no_schedule_serves_two_at_once_or_one_out_of_turn)
{
    int count = schedule_count();
    for (int seed = 1; seed <= count; seed++) {
        run_schedule((uint64_t)seed);
        ck_assert_msg(together == 0, "two were served at once: seed %d", seed);
        ck_assert_msg(overtaken == 0, "one was overtaken: seed %d", seed);
    }
    printf("turnstile: %d schedules from seed 1\n", count);
}
END_TEST

START_TEST(control_without_the_second_look_two_are_served_at_once)
{
    skip_second_look = true;
    int seed = 1;
    for (; seed <= 20000 && together == 0; seed++)
        run_schedule((uint64_t)seed);
    ck_assert_int_gt(together, 0);
    printf("turnstile: without the second look, two at once by seed %d\n", seed - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("turnstile steps");
    TCase *tests = tcase_create("schedules");
    tcase_add_checked_fixture(tests, open_lines, close_lines);
    tcase_add_test(tests, no_schedule_serves_two_at_once_or_one_out_of_turn);
    tcase_add_test(tests, control_without_the_second_look_two_are_served_at_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
