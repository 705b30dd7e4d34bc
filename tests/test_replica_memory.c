/*
 * The library's own allocations fail, in a replica: the n-th, or some from the n-th on, for every
 * n. What was acknowledged is there, what was refused is not, and the node goes on, equal to
 * others.
 */
#include "frame/replica.h"

#include "replicas.h"

#include "resources.h"

static memory_lane lane;
static node a, b;

static void open_nodes(void)
{
    open_memory_lane(&lane, 1);
    a = make_node(&lane, 1);
    b = make_node(&lane, 2);
    a.options.grace_ms = LONG_MS;
    open_node(&a);
    open_node(&b);
    pump_node(&a);
    pump_node(&b);
}

static void close_nodes(void)
{
    close_node(&a);
    close_node(&b);
    close_memory_lane(&lane);
    remove_test_folder();
}

static void fail_from(int64_t point, int64_t count)
{
    atomic_store(&own.calls, 0);
    atomic_store(&own.fail_last, point + count - 1);
    atomic_store(&own.fail_first, point);
}

/* Whether it came to that. */
static bool fail_no_more(int64_t point)
{
    atomic_store(&own.fail_first, 0);
    return atomic_load(&own.calls) >= point;
}

/* `_i` allocations in a row fail. */
START_TEST(an_append_for_which_there_is_no_memory_is_refused_or_done)
{
    int64_t head = 0;
    int64_t refused = 0;
    int64_t points = 0;
    bool reached = true;
    for (int64_t point = 1; reached; point++) {
        fail_from(point, _i);
        stele_status status = append_within(&a, "s-1", STELE_ANY, LONG_MS, NULL);
        reached = fail_no_more(point);
        points++;
        pump_node(&a);
        int64_t now = head_of(a.store);
        ck_assert_msg(
            status == STELE_OK || status == STELE_NO_MEMORY || status == STELE_UNKNOWN_OUTCOME,
            "allocation %" PRId64 ": %s: %s", point, stele_status_name(status), stele_error_text());
        if (status == STELE_OK)
            ck_assert_msg(now == head + 1, "allocation %" PRId64 ": it isn't there", point);
        if (status == STELE_NO_MEMORY)
            ck_assert_msg(now == head, "allocation %" PRId64 ": it is there", point);
        refused += status != STELE_OK;
        head = now;
    }
    ck_assert_int_gt(refused, 0);
    expect_equal_nodes(&a, &b);
    printf("append, %d in a row: %" PRId64 " allocations, %" PRId64 " not OK\n", _i, points,
           refused);
}
END_TEST

START_TEST(a_node_that_has_no_memory_to_open_leaves_nothing_behind)
{
    bool reached = true;
    int64_t points = 0;
    assert_status(append_within(&a, "s-1", STELE_ANY, LONG_MS, NULL), STELE_OK);
    for (int64_t point = 1; reached; point++) {
        stele__replica *second = NULL;
        int64_t blocks = atomic_load(&own.blocks);
        fail_from(point, 1);
        stele_status status =
            stele__replica_open(a.store, open_memory_log(&lane), &a.options, &second);
        reached = fail_no_more(point);
        points++;
        ck_assert_msg(status == STELE_OK || status == STELE_NO_MEMORY, "%s",
                      stele_status_name(status));
        ck_assert((second != NULL) == (status == STELE_OK));
        stele__replica_close(second);
        ck_assert_int_eq(atomic_load(&own.blocks), blocks);
    }
    ck_assert_int_gt(points, 2);
    expect_equal_nodes(&a, &b);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("replica: memory");
    TCase *tests = tcase_create("memory");
    tcase_set_timeout(tests, 0);
    tcase_add_checked_fixture(tests, open_nodes, close_nodes);
    tcase_add_loop_test(tests, an_append_for_which_there_is_no_memory_is_refused_or_done, 1, 4);
    tcase_add_test(tests, a_node_that_has_no_memory_to_open_leaves_nothing_behind);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
