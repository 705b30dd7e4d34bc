/* Late workers: who was resumed by another meanwhile saves nothing any more. */
#include "resume_points.h"

static stele_status save_of_attempt(int64_t attempt, int64_t iteration, const char *step)
{
    stele_resume_point point = make_point("run-1", iteration);
    point.attempt = attempt;
    point.step = step;
    return stele_resume_point_save(store, &point, NULL);
}

static void expect_step(const char *step, int64_t attempt)
{
    const stele_resume_record *record = load_point(NULL, "run-1");
    ck_assert(record->found);
    ck_assert_str_eq(record->step, step);
    ck_assert_int_eq(record->attempt, attempt);
    stele_resume_record_close(record);
}

/* Both are at the same iteration: only the attempt tells them apart. */
START_TEST(late_worker_is_fenced_off_from_the_point_of_its_successor)
{
    int64_t actual = -1;
    assert_status(save_of_attempt(1, 5, "first"), STELE_OK);
    assert_status(save_of_attempt(1, 5, "first"), STELE_OK);
    expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, 2);
    assert_status(save_of_attempt(2, 5, "second"), STELE_OK);
    stele_resume_point late = make_point("run-1", 5);
    late.attempt = 1;

    for (int i = 0; i < 2; i++, late.force = true) { /* by force neither */
        assert_status(stele_resume_point_save(store, &late, &actual), STELE_FENCED);
        ck_assert_int_eq(actual, 0);
        assert_reason_has("'run-1' is at attempt 2, not 1");
    }
    late.iteration = 4; /* to stop is said before where it is */
    late.force = false;
    assert_status(stele_resume_point_save(store, &late, &actual), STELE_FENCED);

    expect_step("second", 2);
    assert_status(save_of_attempt(2, 6, "third"), STELE_OK);
    expect_step("third", 2);
    /* The control: who doesn't say which attempt it is puts its successor back. */
    assert_status(save_of_attempt(0, 6, "late"), STELE_OK);
    expect_step("late", 2);
}
END_TEST

START_TEST(late_worker_does_not_bring_an_execution_back_that_has_ended)
{
    assert_status(save_of_attempt(1, 1, "first"), STELE_OK);
    expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, 2);
    assert_status(stele_resume_point_delete(store, NULL, "run-1", NULL), STELE_OK);

    assert_status(save_of_attempt(2, 2, "late"), STELE_FENCED);
    assert_reason_has("'run-1' has no point any more");

    expect_resumed("run-1", NULL, STELE_RESUME_FRESH, 1);
    /* Nor does it get into the one that was begun anew. */
    assert_status(save_of_attempt(1, 0, "anew"), STELE_OK);
    assert_status(save_of_attempt(2, 2, "late"), STELE_FENCED);
    expect_step("anew", 1);
}
END_TEST

START_TEST(late_worker_is_fenced_off_in_its_transaction_and_dooms_nothing)
{
    assert_status(save_of_attempt(1, 1, "first"), STELE_OK);
    expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, 2);
    stele_resume_point point = make_point("run-1", 2);
    stele_transaction *transaction = begin();
    point.attempt = 1;
    assert_status(stele_transaction_resume_point_save(transaction, &point, NULL), STELE_FENCED);
    point.attempt = 2;
    assert_status(stele_transaction_resume_point_save(transaction, &point, NULL), STELE_OK);
    commit_and_end(transaction);

    ck_assert_int_eq(iteration_of("run-1"), 2);
}
END_TEST

START_TEST(attempt_below_0_is_misuse)
{
    assert_status(save_of_attempt(-1, 1, "first"), STELE_MISUSE);
    ck_assert_int_eq(iteration_of("run-1"), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume_fencing");
    TCase *tests = add_case(suite, "memory", open_in_memory);
    tcase_add_test(tests, late_worker_is_fenced_off_from_the_point_of_its_successor);
    tcase_add_test(tests, late_worker_does_not_bring_an_execution_back_that_has_ended);
    tcase_add_test(tests, late_worker_is_fenced_off_in_its_transaction_and_dooms_nothing);
    tcase_add_test(tests, attempt_below_0_is_misuse);
    return run_suite(suite);
}
