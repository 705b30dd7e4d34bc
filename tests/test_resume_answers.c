/* Resume points in transactions, and the answers to what can't be done. */
#include "resume_points.h"

/* --- In a transaction --- */

START_TEST(point_saved_in_a_transaction_is_there_when_that_commits)
{
    const stele_resume_record *record = NULL;
    int64_t actual = 0;
    assert_status(save_at("run-1", 5), STELE_OK);
    stele_transaction *transaction = begin();
    stele_resume_point older = make_point("run-1", 4), next = make_point("run-1", 6);

    /* A refusal dooms nothing. */
    assert_status(stele_transaction_resume_point_save(transaction, &older, &actual),
                  STELE_CONFLICT);
    ck_assert_int_eq(actual, 5);
    assert_status(stele_transaction_resume_point_save(transaction, &next, &actual), STELE_OK);
    assert_status(append_in(transaction, "work-1", STELE_NO_STREAM, NULL), STELE_OK);

    ck_assert_int_eq(iteration_of("run-1"), 5);
    assert_status(stele_transaction_resume_point_load(transaction, NULL, "run-1", &record),
                  STELE_OK);
    ck_assert_int_eq(record->iteration, 6);
    stele_resume_record_close(record);
    commit_and_end(transaction);
    ck_assert_int_eq(iteration_of("run-1"), 6);
    ck_assert_int_eq(version_of("work-1"), 1);
}
END_TEST

START_TEST(what_is_rolled_back_changed_no_point)
{
    bool found = false;
    assert_status(save_at("run-1", 1), STELE_OK);
    stele_transaction *transaction = begin();
    stele_resume_point point = make_point("run-2", 1);
    assert_status(stele_transaction_resume_point_save(transaction, &point, NULL), STELE_OK);
    assert_status(stele_transaction_resume_point_delete(transaction, NULL, "run-1", &found),
                  STELE_OK);
    ck_assert(found);
    assert_status(stele_transaction_resume_point_delete(transaction, NULL, "run-1", &found),
                  STELE_OK);
    ck_assert(!found);

    stele_transaction_end(transaction);

    ck_assert_str_eq(executions_of(NULL, 0), "run-1");
}
END_TEST

/* It would wait for itself. */
START_TEST(saving_around_ones_own_transaction_is_misuse)
{
    stele_resumption resumption = resumption_of("run-1", NULL);
    stele_resume_answer answer;
    const stele_resume_record *record = NULL;
    stele_transaction *transaction = begin();

    assert_status(save_at("run-1", 1), STELE_MISUSE);
    assert_status(stele_resume_point_delete(store, NULL, "run-1", NULL), STELE_MISUSE);
    assert_status(stele_resume_point_resume(store, &resumption, &answer, NULL, &record),
                  STELE_MISUSE);

    stele_transaction_end(transaction);
    assert_status(save_at("run-1", 1), STELE_OK);
}
END_TEST

/* --- Refusals --- */

START_TEST(arguments_that_break_the_contract_are_misuse)
{
    const stele_resume_record *record = (const stele_resume_record *)&record;
    const stele_attribute twice[] = { { "a", "1" }, { "a", "2" } };
    stele_resume_point points[6];
    for (size_t i = 0; i < COUNT_OF(points); i++)
        points[i] = make_point("run-1", 1);
    points[0].struct_size = 0;
    points[1].iteration = -1;
    points[2].step = "\xff";
    points[3].spec_version = "\xc3";
    points[4].payload = NULL;
    points[5].attributes = twice;
    points[5].attribute_count = 2;
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        int64_t actual = -1;
        assert_status(stele_resume_point_save(store, &points[i], &actual), STELE_MISUSE);
        ck_assert_int_eq(actual, 0);
        ck_assert_str_ne(stele_error_text(), "");
    }
    stele_resume_point good = make_point("run-1", 1);

    assert_status(stele_resume_point_save(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_resume_point_save(NULL, &good, NULL), STELE_MISUSE);
    assert_status(stele_transaction_resume_point_save(NULL, &good, NULL), STELE_MISUSE);
    assert_status(stele_resume_point_load(NULL, NULL, "run-1", &record), STELE_MISUSE);
    ck_assert_ptr_null(record);
    assert_status(stele_resume_point_load(store, NULL, "run-1", NULL), STELE_MISUSE);
    assert_status(stele_resume_point_load(store, NULL, NULL, &record), STELE_MISUSE);
    assert_status(stele_transaction_resume_point_load(NULL, NULL, "run-1", &record), STELE_MISUSE);
    assert_status(stele_resume_point_delete(NULL, NULL, "run-1", NULL), STELE_MISUSE);
    assert_status(stele_transaction_resume_point_delete(NULL, NULL, "run-1", NULL), STELE_MISUSE);
    assert_status(stele_resume_point_list(NULL, NULL, 0, NULL), STELE_MISUSE);
    stele_resume_points *listed = (stele_resume_points *)&listed;
    assert_status(stele_resume_point_list(NULL, NULL, 0, &listed), STELE_MISUSE);
    ck_assert_ptr_null(listed);
    assert_status(stele_resume_points_next(NULL, &record), STELE_MISUSE);
    ck_assert_str_eq(executions_of(NULL, 0), "");
}
END_TEST

START_TEST(point_beyond_value_size_max_is_too_large)
{
    static char payload[5000];
    stele_options options = STELE_OPTIONS_INIT;
    options.value_size_max = 4096;
    store = open_path(store_path(), &options);
    stele_resume_point point = make_point("run-1", 1);
    point.payload = payload;
    point.payload_size = 3500;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
    point.iteration = 2;
    point.payload_size = sizeof(payload);

    assert_status(stele_resume_point_save(store, &point, NULL), STELE_TOO_LARGE);

    ck_assert_int_eq(iteration_of("run-1"), 1);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_resume_point_save(transaction, &point, NULL), STELE_TOO_LARGE);
    stele_transaction_end(transaction);

    /* It isn't measured while others wait: the lock isn't asked for. */
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 0;
    point.wait = &wait;
    stele_store *other = open_path(store_path(), NULL);
    assert_status(stele_transaction_begin(other, &transaction), STELE_OK);
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_TOO_LARGE);
    point.payload_size = 10;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_BUSY);
    stele_transaction_end(transaction);
    stele_store_close(other);
}
END_TEST

static int say_stop(void *context)
{
    (void)context;
    return 1;
}

START_TEST(writes_wait_for_other_writers_as_they_are_told)
{
    stele_store *other = open_path(store_path(), NULL);
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(other, &transaction), STELE_OK);
    stele_wait wait = STELE_WAIT_INIT;
    stele_resume_point point = make_point("run-1", 1);
    stele_resumption resumption = resumption_of("run-1", NULL);
    stele_resume_answer answer;
    const stele_resume_record *record = NULL;
    point.wait = resumption.wait = &wait;
    wait.timeout_ms = 0;

    assert_status(stele_resume_point_save(store, &point, NULL), STELE_BUSY);
    assert_status(stele_resume_point_resume(store, &resumption, &answer, NULL, &record),
                  STELE_BUSY);
    stele_wait_init(&wait);
    wait.progress = say_stop;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_CANCELLED);
    assert_status(stele_resume_point_resume(store, &resumption, &answer, NULL, &record),
                  STELE_CANCELLED);
    ck_assert_ptr_null(record);

    stele_transaction_end(transaction);
    stele_store_close(other);
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
}
END_TEST

START_TEST(read_only_store_loads_and_lists_and_refuses_the_rest)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_resumption resumption = resumption_of("run-1", NULL);
    stele_resume_answer answer;
    const stele_resume_record *record = NULL;
    assert_status(save_at("run-1", 1), STELE_OK);
    close_store();
    options.read_only = true;
    store = open_path(store_path(), &options);

    assert_status(save_at("run-1", 2), STELE_READ_ONLY);
    assert_status(stele_resume_point_delete(store, NULL, "run-1", NULL), STELE_READ_ONLY);
    assert_status(stele_resume_point_resume(store, &resumption, &answer, NULL, &record),
                  STELE_READ_ONLY);

    ck_assert_int_eq(iteration_of("run-1"), 1);
    ck_assert_str_eq(executions_of(NULL, 0), "run-1");
}
END_TEST

START_TEST(everything_after_the_store_was_closed_is_closed)
{
    stele_resumption resumption = resumption_of("run-1", NULL);
    stele_resume_answer answer;
    const stele_resume_record *record = NULL;
    stele_resume_points *points = NULL;
    stele_resume_point point = make_point("run-1", 2);
    assert_status(save_at("run-1", 1), STELE_OK);
    assert_status(stele_resume_point_list(store, NULL, 0, &points), STELE_OK);
    stele_transaction *transaction = begin();
    close_store();

    assert_status(stele_transaction_resume_point_save(transaction, &point, NULL), STELE_CLOSED);
    assert_status(stele_transaction_resume_point_load(transaction, NULL, "run-1", &record),
                  STELE_CLOSED);
    assert_status(stele_transaction_resume_point_delete(transaction, NULL, "run-1", NULL),
                  STELE_CLOSED);
    assert_status(stele_resume_points_next(points, &record), STELE_CLOSED);
    ck_assert_ptr_null(record);

    stele_transaction_end(transaction);
    stele_resume_points_close(points);
    open_in_file();
    ck_assert_int_eq(iteration_of("run-1"), 1);
    (void)resumption, (void)answer;
}
END_TEST

START_TEST(init_functions_set_what_the_macros_do)
{
    stele_resume_point points[2] = { STELE_RESUME_POINT_INIT, { 0 } };
    stele_resumption resumptions[2] = { STELE_RESUMPTION_INIT, { 0 } };

    stele_resume_point_init(&points[1]);
    stele_resumption_init(&resumptions[1]);

    ck_assert_uint_eq(points[1].struct_size, sizeof(stele_resume_point));
    ck_assert_uint_eq(points[1].attribute_size, sizeof(stele_attribute));
    ck_assert_uint_eq(resumptions[1].struct_size, sizeof(stele_resumption));
    ck_assert_int_eq(points[0].iteration, points[1].iteration);
    ck_assert(!resumptions[0].must_exist && !resumptions[1].must_exist);
}
END_TEST

static void add_shared(TCase *tests)
{
    tcase_add_test(tests, arguments_that_break_the_contract_are_misuse);
    tcase_add_test(tests, saving_around_ones_own_transaction_is_misuse);
}

static Suite *resume_answers_suite(void)
{
    Suite *suite = suite_create("resume_answers");
    TCase *tests = add_case(suite, "file", open_in_file);
    add_shared(tests);
    tcase_add_test(tests, point_saved_in_a_transaction_is_there_when_that_commits);
    tcase_add_test(tests, what_is_rolled_back_changed_no_point);
    tcase_add_test(tests, writes_wait_for_other_writers_as_they_are_told);
    tcase_add_test(tests, read_only_store_loads_and_lists_and_refuses_the_rest);
    tcase_add_test(tests, everything_after_the_store_was_closed_is_closed);
    tcase_add_test(tests, init_functions_set_what_the_macros_do);
    add_shared(add_case(suite, "memory", open_in_memory));
    tests = add_case(suite, "unopened", NULL);
    tcase_add_test(tests, point_beyond_value_size_max_is_too_large);
    return suite;
}

int main(void)
{
    return run_suite(resume_answers_suite());
}
