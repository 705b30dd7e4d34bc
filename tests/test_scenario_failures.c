/* Scenarios: steps that fail, opening and closing, and memory that runs out. */
#include "scenarios.h"
#include "resources.h"

#include <stele/lifecycle.h>

/* --- What fails --- */

/* A test that looks at the last `then` alone must not pass. */
START_TEST(given_that_fails_is_repeated_by_all_that_follows)
{
    purse state;
    stele_event event = make_event("Filled", "{");
    char reason[512];
    assert_status(stele_scenario_given(scenario, &spent_type, &(spent){ 1 }), STELE_OK);

    assert_status(stele_scenario_given(scenario, &lost_type, &(spent){ 1 }), STELE_UNKNOWN_TYPE);

    snprintf(reason, sizeof(reason), "%s", stele_error_text());
    ck_assert_ptr_eq(strstr(reason, "given 2: "), reason);
    const stele_status repeated[] = { stele_scenario_given(scenario, &spent_type, &(spent){ 1 }),
                                      stele_scenario_given_event(scenario, &event),
                                      when_refused(1),
                                      then_spent(1),
                                      stele_scenario_then_event(scenario, &event),
                                      stele_scenario_then_nothing(scenario),
                                      stele_scenario_then_refused(scenario, 1),
                                      stele_scenario_then_state(scenario, &state),
                                      stele_scenario_state(scenario, &state) };
    ck_assert_str_eq(stele_error_text(), reason);
    for (size_t i = 0; i < COUNT_OF(repeated); i++)
        ck_assert_int_eq(repeated[i], STELE_UNKNOWN_TYPE);
}
END_TEST

START_TEST(given_event_that_fails_is_remembered)
{
    stele_event event = make_event("Filled", "{");

    assert_status(stele_scenario_given_event(scenario, &event), STELE_INVALID);

    assert_status(stele_scenario_then_state(scenario, &(purse){ 0 }), STELE_INVALID);
    assert_reason_has("given 1: ");
}
END_TEST

START_TEST(given_event_that_is_null_is_misuse)
{
    assert_status(stele_scenario_given_event(scenario, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(when_that_fails_is_remembered)
{
    order told = { .failure = STELE_UNSUPPORTED };
    WHEN_SPENDING(1);

    assert_status(stele_scenario_when(scenario, &told), STELE_UNSUPPORTED);

    assert_reason_has("when 2: ");
    assert_status(then_spent(1), STELE_UNSUPPORTED);
    assert_reason_has("when 2: ");
}
END_TEST

START_TEST(when_without_decide_is_misuse)
{
    stele_decider decider = tally_decider();
    decider.decide = NULL;
    open_in_memory();
    open_scenario_of(decider);

    assert_status(stele_scenario_then_state(scenario, &(tally){ 0 }), STELE_OK);
    assert_status(when_refused(1), STELE_MISUSE);
}
END_TEST

START_TEST(steps_inside_a_transaction_of_the_thread_are_misuse)
{
    stele_transaction *transaction = begin();

    assert_status(stele_scenario_given(scenario, &spent_type, &(spent){ 1 }), STELE_MISUSE);
    stele_transaction_end(transaction);

    assert_status(then_spent(1), STELE_MISUSE);
}
END_TEST

START_TEST(decide_may_not_call_a_scenario)
{
    order told = { .call = scenario };

    assert_status(stele_scenario_when(scenario, &told), STELE_OK);

    ck_assert_int_eq(told.called, STELE_MISUSE);
}
END_TEST

/* --- Opening and closing --- */

static char first_streams[2][100];
static int64_t streams_seen;

static void list_scenarios(void)
{
    stele_streams *streams = NULL;
    const stele_stream_info *info = NULL;
    streams_seen = 0;
    assert_status(stele_store_streams(store, NULL, &streams), STELE_OK);
    while (stele_streams_next(streams, &info) == STELE_OK) {
        ck_assert_ptr_eq(strstr(info->stream, "scenario-"), info->stream);
        ck_assert_int_eq(info->version, 1);
        if (streams_seen < 2)
            snprintf(first_streams[streams_seen], sizeof(first_streams[0]), "%s", info->stream);
        streams_seen++;
    }
    stele_streams_close(streams);
}

START_TEST(two_scenarios_never_meet)
{
    stele_scenario *other = NULL;
    assert_status(stele_scenario_open(aggregate, &other), STELE_OK);
    assert_status(stele_scenario_given(scenario, &spent_type, &(spent){ 1 }), STELE_OK);

    assert_status(stele_scenario_given(other, &spent_type, &(spent){ 2 }), STELE_OK);

    assert_status(stele_scenario_then_state(other, &(purse){ .balance = -2 }), STELE_OK);
    assert_status(stele_scenario_then_state(scenario, &(purse){ .balance = -1 }), STELE_OK);
    stele_scenario_close(other);
    list_scenarios();
    ck_assert_int_eq(streams_seen, 2);
    ck_assert_str_ne(first_streams[0], first_streams[1]);
}
END_TEST

static void give_in_file(void)
{
    open_in_file();
    open_scenario_of(tally_decider());
    stele_event event = make_event("Anything", "7");
    assert_status(stele_scenario_given_event(scenario, &event), STELE_OK);
}

/* Which begin to count at the same number. */
START_TEST(scenarios_of_two_processes_never_meet)
{
    test_folder();
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        give_in_file();
        stele_scenario_close(scenario);
        stele_aggregate_close(aggregate);
        stele_store_close(store);
        _exit(0);
    }
    int code = -1;
    ck_assert_int_eq(waitpid(child, &code, 0), child);
    ck_assert_int_eq(code, 0);

    give_in_file();

    list_scenarios();
    ck_assert_int_eq(streams_seen, 2);
}
END_TEST

START_TEST(opening_refuses_nulls)
{
    stele_scenario *opened = (stele_scenario *)&opened;

    assert_status(stele_scenario_open(NULL, &opened), STELE_MISUSE);

    ck_assert_ptr_null(opened);
    assert_status(stele_scenario_open(aggregate, NULL), STELE_MISUSE);
    stele_scenario_close(NULL);
}
END_TEST

START_TEST(calls_without_a_scenario_are_misuse)
{
    stele_event event = make_event("Spent", "{}");
    purse state;

    assert_status(stele_scenario_given(NULL, &spent_type, &(spent){ 1 }), STELE_MISUSE);
    assert_status(stele_scenario_given_event(NULL, &event), STELE_MISUSE);
    assert_status(stele_scenario_when(NULL, NULL), STELE_MISUSE);
    assert_status(stele_scenario_then(NULL, &spent_type, &(spent){ 1 }), STELE_MISUSE);
    assert_status(stele_scenario_then_event(NULL, &event), STELE_MISUSE);
    assert_status(stele_scenario_then_nothing(NULL), STELE_MISUSE);
    assert_status(stele_scenario_then_refused(NULL, 1), STELE_MISUSE);
    assert_status(stele_scenario_then_state(NULL, &state), STELE_MISUSE);
    assert_status(stele_scenario_state(NULL, &state), STELE_MISUSE);
}
END_TEST

START_TEST(closing_early_leaves_the_events)
{
    WHEN_SPENDING(1);

    stele_scenario_close(scenario);
    scenario = NULL;

    list_scenarios();
    ck_assert_int_eq(streams_seen, 1);
}
END_TEST

START_TEST(store_closed_in_mid_use_is_closed)
{
    stele_event event = make_event("Spent", "{}");
    purse state;
    stele_scenario *opened = NULL;
    WHEN_SPENDING(1);
    close_store();

    assert_status(then_spent(1), STELE_CLOSED);
    assert_status(stele_scenario_then_event(scenario, &event), STELE_CLOSED);
    assert_status(stele_scenario_then_nothing(scenario), STELE_CLOSED);
    assert_status(stele_scenario_then_refused(scenario, 1), STELE_CLOSED);
    assert_status(stele_scenario_then_state(scenario, &state), STELE_CLOSED);
    assert_status(stele_scenario_state(scenario, &state), STELE_CLOSED);
    assert_status(when_refused(1), STELE_CLOSED);
    assert_status(stele_scenario_given(scenario, &spent_type, &(spent){ 1 }), STELE_CLOSED);
    assert_status(stele_scenario_given_event(scenario, &event), STELE_CLOSED);
    assert_status(stele_scenario_open(aggregate, &opened), STELE_CLOSED);
}
END_TEST

/* Somebody else who uses the store may have deleted it. */
START_TEST(event_that_is_gone_is_not_found)
{
    stele_delete gone = STELE_DELETE_INIT;
    WHEN_SPENDING(1);
    list_scenarios();
    gone.stream = first_streams[0];
    assert_status(stele_store_delete(store, &gone, NULL), STELE_OK);

    assert_status(then_spent(1), STELE_NOT_FOUND);
    assert_reason_has("event 1 isn't in 'scenario-");
}
END_TEST

/* --- Memory --- */

/* A scenario with every kind of step, of which one fails when memory does. */
static stele_status live_through(stele_status *then_out)
{
    char from[] = "somebody";
    char state_from[] = "somebody";
    stele_event event = make_event("Spent", "{\"coins\":3}");
    stele_scenario *own_scenario = NULL;
    purse state;
    event.schema_version = 1;
    scenario = NULL;
    stele_status status = stele_scenario_open(aggregate, &own_scenario);
    if (status != STELE_OK)
        return status;
    scenario = own_scenario;
    status = stele_scenario_given(scenario, &filled_type, &(filled){ 400, from });
    if (status == STELE_OK)
        status = stele_scenario_given_event(scenario, &event);
    if (status == STELE_OK)
        status = when_spending((const int64_t[]){ 50, 60, 0 });
    if (status == STELE_OK)
        status = then_spent(50);
    if (status == STELE_OK)
        *then_out = then_spent(50);
    if (status == STELE_OK && *then_out == STELE_INVALID)
        *then_out = stele_scenario_then_nothing(scenario);
    if (status == STELE_OK && *then_out == STELE_INVALID)
        *then_out = stele_scenario_then_refused(scenario, 1);
    if (status == STELE_OK && *then_out == STELE_INVALID)
        *then_out = stele_scenario_then_state(scenario, &(purse){ .balance = 1 });
    if (status == STELE_OK && *then_out == STELE_NO_MEMORY)
        status = STELE_NO_MEMORY;
    if (status == STELE_OK)
        status =
            stele_scenario_then_state(scenario, &(purse){ .balance = -10, .from = state_from });
    if (status == STELE_OK)
        status = stele_scenario_state(scenario, &state);
    if (status == STELE_OK)
        stele_aggregate_clear(aggregate, &state);
    stele_scenario_close(own_scenario);
    scenario = NULL;
    return status;
}

/* Warm caches, which keep memory, are none of it. */
static void open_without_cache(void)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    stele_decider decider = purse_decider();
    options.cache_count_max = 0;
    open_in_memory();
    assert_status(register_purse(store), STELE_OK);
    assert_status(stele_aggregate_open(store, &decider, &options, &aggregate), STELE_OK);
}

/* A failure that only cost a cache its entry is none. */
START_TEST(every_allocation_that_fails_is_no_memory_and_nothing_is_held)
{
    stele_status then = STELE_OK;
    int64_t points = 0;
    int64_t told = 0;
    int64_t before = own.blocks;
    open_without_cache();

    for (bool failed = true; failed; points++) {
        then = STELE_OK;
        own.fail_first = own.fail_last = own.calls + points + 1;
        stele_status status = live_through(&then);
        failed = own.calls >= own.fail_first;
        own.fail_first = 0;
        ck_assert_msg(status == STELE_OK || (failed && status == STELE_NO_MEMORY),
                      "allocation %" PRId64 ": %s: %s", points + 1, stele_status_name(status),
                      stele_error_text());
        told += status == STELE_NO_MEMORY;
    }

    ck_assert_int_eq(then, STELE_INVALID);
    ck_assert_int_gt(told, 50);
    printf("# allocations that failed: %" PRId64 ", told: %" PRId64 "\n", points - 1, told);
    stele_aggregate_close(aggregate);
    aggregate = NULL;
    close_store();
    ck_assert_int_eq(own.blocks, before);
}
END_TEST

static Suite *scenario_failures_suite(void)
{
    Suite *suite = suite_create("scenario_failures");
    TCase *tests = add_scenario_case(suite, "purse", open_purse);
    tcase_add_test(tests, given_that_fails_is_repeated_by_all_that_follows);
    tcase_add_test(tests, given_event_that_fails_is_remembered);
    tcase_add_test(tests, given_event_that_is_null_is_misuse);
    tcase_add_test(tests, when_that_fails_is_remembered);
    tcase_add_test(tests, steps_inside_a_transaction_of_the_thread_are_misuse);
    tcase_add_test(tests, decide_may_not_call_a_scenario);
    tcase_add_test(tests, two_scenarios_never_meet);
    tcase_add_test(tests, opening_refuses_nulls);
    tcase_add_test(tests, calls_without_a_scenario_are_misuse);
    tcase_add_test(tests, closing_early_leaves_the_events);
    tcase_add_test(tests, store_closed_in_mid_use_is_closed);
    tcase_add_test(tests, event_that_is_gone_is_not_found);
    TCase *alone = add_scenario_case(suite, "others", NULL);
    tcase_add_test(alone, when_without_decide_is_misuse);
    tcase_add_test(alone, scenarios_of_two_processes_never_meet);
    tcase_add_test(alone, every_allocation_that_fails_is_no_memory_and_nothing_is_held);
    return suite;
}

int main(void)
{
    count_own_memory();
    return run_suite(scenario_failures_suite());
}
