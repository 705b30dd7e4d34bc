/* Three nodes over a log that does one thing wrong, each of the things by itself, and often. */
#include "frame/replica.h"

#include "replica_runs.h"

#include <pthread.h>

typedef struct single_fault {
    const char *what;
    memory_faults faults;
    size_t counted; /* in memory_injected */
} single_fault;

#define COUNTED(field) offsetof(memory_injected, field)

static const single_fault single_faults[] = {
    { "drops every third proposal", { .drop = 3 }, COUNTED(dropped) },
    { "has every other proposal twice", { .twice = 2 }, COUNTED(doubled) },
    { "holds every other proposal back", { .hold = 2, .hold_ms = 40 }, COUNTED(held) },
    { "delivers frames again", { .again = 3 }, COUNTED(again) },
    { "leaves frames out", { .miss = 3 }, COUNTED(missed) },
    { "is late", { .late = 2 }, COUNTED(late) },
    { "loses the reader's place", { .crash = 8 }, COUNTED(crashes) },
    { "is away now and then", { .outage = 15, .outage_ms = 40 }, COUNTED(outages) },
};

static uint64_t counted_in(memory_lane *lane, size_t at)
{
    const memory_injected injected = injected_so_far(lane);
    uint64_t count = 0;
    memcpy(&count, (const char *)&injected + at, sizeof(count));
    return count;
}

static void tear_down(void)
{
    end_world();
    remove_test_folder();
}

START_TEST(three_nodes_end_equal_though_the_log)
{
    const single_fault *of = &single_faults[_i];
    world_plan wanted = { .lanes = 1, .writers = 2, .faults = &of->faults };
    wanted.wishes = effort_is_long() ? 500 : 10;
    wanted.checkpoint_every = 20;
    begin_world(&wanted, choose_seed());
    run_world();
    print_world(of->what);
    ck_assert_uint_gt(counted_in(&lanes[0], of->counted), 0);
    judge_world();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replica: faults");
    TCase *tests = tcase_create("one fault");
    tcase_set_timeout(tests, 0);
    tcase_add_checked_fixture(tests, NULL, tear_down);
    tcase_add_loop_test(tests, three_nodes_end_equal_though_the_log, 0,
                        (int)COUNT_OF(single_faults));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
