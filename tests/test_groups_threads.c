/* Lanes over threads: many members that come and go, and what happens to them. */
#include "effort.h"
#include "groups.h"

#include <pthread.h>

enum { LANES = 8, MEMBERS_MAX = 8 };

static void open_with_table(void)
{
    open_in_file();
    make_handled_table();
}

/* --- Trouble --- */

static stele_status refuse_the_fiftieth(void *context, const stele_record *record,
                                        const stele_handling *handling)
{
    if (record->position == 50)
        return stele_handling_fail(handling, 50, "it is the fiftieth");
    return write_down(context, record, handling);
}

START_TEST(failure_that_stops_a_lane_stops_all_members)
{
    stele_worker *worker = NULL;
    stele_subscription_options options = make_group(LANES);
    stele_handler handler = writing_down(NULL);
    handler.event = refuse_the_fiftieth;
    options.tries = 2;
    append_spread(store, 0, 100);

    assert_status(stele_worker_start(store, &options, &handler, 3, &worker), STELE_OK);

    assert_status(stele_worker_wait(worker, NULL), STELE_REFUSED);
    assert_reason_has("it is the fiftieth");
    stele_worker_close(worker);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM handled WHERE position = 50"),
                     0);
    ck_assert_int_eq(find_flaws(store_path()).doubled, 0);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM checkpoints WHERE owner <> ''"),
                     0);
}
END_TEST

START_TEST(members_go_on_when_their_lanes_are_forgotten_again_and_again)
{
    stele_worker *worker = NULL;
    stele_subscription_options options = make_group(LANES);
    stele_handler handler = writing_down(NULL);
    bool found = false;
    append_spread(store, 0, 100);
    assert_status(stele_worker_start(store, &options, &handler, 3, &worker), STELE_OK);

    for (int i = 0; i < 5; i++) {
        assert_status(stele_checkpoint_reset(store, "g", &found), STELE_OK);
        append_spread(store, 100 + 20 * i, 20);
        sleep_ms(50);
    }
    wait_until_handled(200);
    stele_wait wait = wait_for_ms(0);
    assert_status(stele_worker_wait(worker, &wait), STELE_TIMED_OUT);
    stele_worker_close(worker);

    ck_assert_int_eq(find_flaws(store_path()).missing, 0);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM checkpoints WHERE lanes = 8"),
                     LANES);
}
END_TEST

START_TEST(members_begin_again_where_the_checkpoint_is_put)
{
    stele_worker *worker = NULL;
    stele_subscription_options options = make_group(LANES);
    stele_handler handler = writing_down(NULL);
    append_spread(store, 0, 100);
    assert_status(stele_worker_start(store, &options, &handler, 3, &worker), STELE_OK);
    wait_until_handled(100);

    assert_status(stele_checkpoint_save(store, "g", 60), STELE_OK);
    append_spread(store, 100, 1);
    for (int i = 0; i < 12000 && saved_position("g") < 101; i++)
        sleep_ms(5);
    stele_worker_close(worker);

    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM handled"), 100 + 41);
    ck_assert_int_eq(sql_number(store_path(),
                                "SELECT count(*) FROM (SELECT position FROM handled GROUP BY"
                                " position HAVING count(*) <> 1 + (position > 60 AND position <="
                                " 100))"),
                     0);
}
END_TEST

/* --- Many members --- */

static const int member_counts[] = { 1, 2, 4, 8 };

START_TEST(each_event_is_handled_once_by_any_number_of_members)
{
    int count = member_counts[_i];
    stele_worker *worker = NULL;
    stele_subscription_options options = make_group(LANES);
    stele_handler handler = writing_down(NULL);
    append_spread(store, 0, 200);

    assert_status(stele_worker_start(store, &options, &handler, (uint32_t)count, &worker),
                  STELE_OK);
    append_spread(store, 200, 200);
    wait_until_handled(400);
    stele_worker_close(worker);

    expect_handled_once();
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM members"), 0);
}
END_TEST

START_TEST(each_event_is_handled_once_while_members_come_and_go)
{
    stele_worker *workers[MEMBERS_MAX] = { NULL };
    int numbers[MEMBERS_MAX];
    int events = effort_is_long() ? 20000 : 1000;
    uint64_t seed = choose_seed();
    int changes = 0;
    stele_subscription_options options = make_group(LANES);

    for (int i = 0; i < events; i += 10) {
        size_t chosen = next_chance() % MEMBERS_MAX;
        append_spread(store, i, 10);
        if (!one_in(5))
            continue;
        changes++;
        if (workers[chosen] != NULL) {
            stele_worker_close(workers[chosen]);
            workers[chosen] = NULL;
            continue;
        }
        numbers[chosen] = (int)chosen;
        stele_handler handler = writing_down(&numbers[chosen]);
        assert_status(stele_worker_start(store, &options, &handler, 1, &workers[chosen]), STELE_OK);
    }
    if (workers[0] == NULL) {
        numbers[0] = 0;
        stele_handler handler = writing_down(&numbers[0]);
        assert_status(stele_worker_start(store, &options, &handler, 1, &workers[0]), STELE_OK);
    }
    wait_until_handled(events);
    for (int i = 0; i < MEMBERS_MAX; i++)
        stele_worker_close(workers[i]);

    printf("# members: seed %" PRIu64 ", %d events, %d changes\n", seed, events, changes);
    expect_handled_once();
}
END_TEST

static Suite *groups_threads_trouble(void)
{
    Suite *suite = suite_create("groups_threads");
    TCase *trouble = add_case(suite, "trouble", open_with_table);
    tcase_set_timeout(trouble, 60);
    tcase_add_test(trouble, failure_that_stops_a_lane_stops_all_members);
    tcase_add_test(trouble, members_go_on_when_their_lanes_are_forgotten_again_and_again);
    tcase_add_test(trouble, members_begin_again_where_the_checkpoint_is_put);
    return suite;
}

static Suite *groups_threads_many(void)
{
    Suite *suite = suite_create("groups_threads");
    TCase *many = add_case(suite, "many", open_with_table);
    tcase_set_timeout(many, 300);
    tcase_add_loop_test(many, each_event_is_handled_once_by_any_number_of_members, 0,
                        (int)COUNT_OF(member_counts));
    tcase_add_test(many, each_event_is_handled_once_while_members_come_and_go);
    return suite;
}

/* Half of their time they wait for leases to end. */
int main(void)
{
    static Suite *(*const suites[])(void) = { groups_threads_trouble, groups_threads_many };
    return run_suites_together(suites, COUNT_OF(suites));
}
