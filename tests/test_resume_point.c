/* Resume points: what is saved is what is loaded, and nothing falls back behind it. */
#include "resume_points.h"

#define SECOND INT64_C(1000000)
#define BYTES  256

static int64_t now = 1000 * SECOND;

static int64_t tell_time(void *context)
{
    (void)context;
    return now += SECOND;
}

static void open_with_clock(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = tell_time;
    store = open_path(store_path(), &options);
}

/* --- Saving and loading --- */

static const char nested[] = "{\"messages\":[{\"role\":\"user\",\"text\":\"caf\xc3\xa9\"},[1,2.50,"
                             "1e3]],\"n\": 9007199254740993}";
static const stele_attribute two_attributes[] = { { "host", "a" }, { "agent", "planner \"7\"" } };

START_TEST(saved_point_is_loaded_as_it_was)
{
    stele_resume_point point = make_point("run-1", 3);
    point.step = "summarize";
    point.payload = nested;
    point.payload_size = sizeof(nested) - 1;
    point.attributes = two_attributes;
    point.attribute_count = 2;
    point.started_at = 5 * SECOND;
    point.spec_version = "v7";
    point.saved_at = 9 * SECOND;

    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);

    const stele_resume_record *record = load_point(NULL, "run-1");
    ck_assert(record->found);
    ck_assert_str_eq(record->space, "default");
    ck_assert_str_eq(record->execution, "run-1");
    ck_assert_str_eq(record->step, "summarize");
    ck_assert_int_eq(record->iteration, 3);
    ck_assert_uint_eq(record->payload_size, sizeof(nested) - 1);
    ck_assert_str_eq(record->payload, nested); /* with its NUL */
    ck_assert_uint_eq(record->attribute_count, 2);
    ck_assert_str_eq(record->attributes[0].name, "agent");
    ck_assert_str_eq(record->attributes[0].value, "planner \"7\"");
    ck_assert_str_eq(record->attributes[1].name, "host");
    ck_assert_str_eq(record->attributes[1].value, "a");
    ck_assert_int_eq(record->started_at, 5 * SECOND);
    ck_assert_str_eq(record->spec_version, "v7");
    ck_assert_int_eq(record->saved_at, 9 * SECOND);
    ck_assert_int_eq(record->attempt, 1);
    stele_resume_record_close(record);
}
END_TEST

START_TEST(payload_may_be_any_bytes_or_none)
{
    unsigned char bytes[BYTES];
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (unsigned char)i;
    stele_resume_point point = make_point("all", 0);
    point.payload = bytes;
    point.payload_size = BYTES;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
    const stele_resume_record *record = load_point(NULL, "all");
    ck_assert_uint_eq(record->payload_size, BYTES);
    ck_assert_mem_eq(record->payload, bytes, BYTES);
    ck_assert_int_eq(((const char *)record->payload)[BYTES], '\0');
    stele_resume_record_close(record);

    point = make_point("none", 0);
    point.step = NULL;
    point.payload = NULL;
    point.payload_size = 0;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);

    record = load_point(NULL, "none");
    ck_assert_uint_eq(record->payload_size, 0);
    ck_assert_str_eq(record->payload, "");
    ck_assert_str_eq(record->step, "");
    ck_assert_str_eq(record->spec_version, "");
    ck_assert_uint_eq(record->attribute_count, 0);
    stele_resume_record_close(record);
}
END_TEST

START_TEST(execution_without_a_point_is_not_found_and_no_failure)
{
    const stele_resume_record *record = load_point(NULL, "never");

    expect_no_point(record);

    stele_resume_record_close(record);
    stele_resume_record_close(NULL);
}
END_TEST

START_TEST(later_point_replaces_the_earlier_one_with_all_that_was_in_it)
{
    stele_resume_point point = make_point("run-1", 1);
    point.attributes = two_attributes;
    point.attribute_count = 2;
    point.spec_version = "v1";
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
    stele_resume_point second = make_point("run-1", 2);
    second.step = "second";

    assert_status(stele_resume_point_save(store, &second, NULL), STELE_OK);

    const stele_resume_record *record = load_point(NULL, "run-1");
    ck_assert_str_eq(record->step, "second");
    ck_assert_int_eq(record->iteration, 2);
    ck_assert_uint_eq(record->attribute_count, 0);
    ck_assert_str_eq(record->spec_version, "");
    stele_resume_record_close(record);
    ck_assert_str_eq(executions_of(NULL, 0), "run-1");
}
END_TEST

/* --- Ownership --- */

START_TEST(saving_copies_so_that_the_callers_memory_may_change)
{
    char execution[] = "run-1", step[] = "first", payload[] = "[1,2]", version[] = "v1";
    char name[] = "host", value[] = "a";
    stele_attribute attribute = { name, value };
    stele_resume_point point = make_point(execution, 1);
    point.step = step;
    point.payload = payload;
    point.payload_size = 5;
    point.spec_version = version;
    point.attributes = &attribute;
    point.attribute_count = 1;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);

    execution[0] = step[0] = payload[1] = version[0] = name[0] = value[0] = 'X';

    const stele_resume_record *record = load_point(NULL, "run-1");
    ck_assert(record->found);
    ck_assert_str_eq(record->step, "first");
    ck_assert_str_eq(record->payload, "[1,2]");
    ck_assert_str_eq(record->spec_version, "v1");
    ck_assert_str_eq(record->attributes[0].name, "host");
    ck_assert_str_eq(record->attributes[0].value, "a");
    stele_resume_record_close(record);
}
END_TEST

START_TEST(loading_gives_independent_copies_that_outlive_the_store)
{
    stele_resume_point point = make_point("run-1", 1);
    point.attributes = two_attributes;
    point.attribute_count = 2;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
    const stele_resume_record *first = load_point(NULL, "run-1");
    const stele_resume_record *second = load_point(NULL, "run-1");
    ck_assert_ptr_ne(first->payload, second->payload);
    ck_assert_ptr_ne(first->step, second->step);
    ck_assert_ptr_ne(first->attributes, second->attributes);

    *(char *)(uintptr_t)first->payload = 'X';
    *(char *)(uintptr_t)first->step = 'X';
    stele_resume_record_close(first);
    assert_status(save_at("run-1", 2), STELE_OK);
    close_store();

    ck_assert_str_eq(second->payload, "{}");
    ck_assert_str_eq(second->step, "collect");
    ck_assert_int_eq(second->iteration, 1);
    ck_assert_str_eq(second->attributes[1].value, "a");
    stele_resume_record_close(second);
}
END_TEST

/* --- Iterations --- */

/* A worker that hangs and comes back must not overwrite where its successor is. */
START_TEST(older_iteration_is_refused_with_the_one_that_is_there)
{
    int64_t actual = -1;
    assert_status(save_at("run-1", 5), STELE_OK);
    stele_resume_point older = make_point("run-1", 4);
    older.step = "late";

    assert_status(stele_resume_point_save(store, &older, &actual), STELE_CONFLICT);

    ck_assert_int_eq(actual, 5);
    assert_reason_has("'run-1' is at iteration 5, beyond 4");
    assert_status(stele_resume_point_save(store, &older, NULL), STELE_CONFLICT);
    const stele_resume_record *record = load_point(NULL, "run-1");
    ck_assert_int_eq(record->iteration, 5);
    ck_assert_str_eq(record->step, "collect");
    stele_resume_record_close(record);
}
END_TEST

START_TEST(same_iteration_and_later_ones_are_saved)
{
    int64_t actual = -1;
    stele_resume_point point = make_point("run-1", 5);
    assert_status(stele_resume_point_save(store, &point, &actual), STELE_OK);
    ck_assert_int_eq(actual, 0);
    point.step = "again";
    assert_status(stele_resume_point_save(store, &point, &actual), STELE_OK);
    point.iteration = INT64_MAX;
    assert_status(stele_resume_point_save(store, &point, &actual), STELE_OK);

    ck_assert_int_eq(iteration_of("run-1"), INT64_MAX);
    ck_assert_int_eq(actual, 0);
}
END_TEST

START_TEST(older_iteration_is_saved_by_force)
{
    assert_status(save_at("run-1", 5), STELE_OK);
    stele_resume_point older = make_point("run-1", 0);
    older.force = true;

    assert_status(stele_resume_point_save(store, &older, NULL), STELE_OK);

    ck_assert_int_eq(iteration_of("run-1"), 0);
}
END_TEST

/* --- Times --- */

START_TEST(start_is_kept_and_the_time_of_saving_is_the_clocks)
{
    assert_status(save_at("run-1", 1), STELE_OK);
    const stele_resume_record *first = load_point(NULL, "run-1");
    assert_status(save_at("run-1", 2), STELE_OK);
    const stele_resume_record *second = load_point(NULL, "run-1");

    ck_assert_int_gt(first->started_at, 1000 * SECOND);
    ck_assert_int_eq(first->saved_at, first->started_at);
    ck_assert_int_eq(second->started_at, first->started_at);
    ck_assert_int_gt(second->saved_at, first->saved_at);
    ck_assert_int_le(second->saved_at, now);
    stele_resume_record_close(first);
    stele_resume_record_close(second);

    stele_resume_point point = make_point("run-1", 3);
    point.started_at = -7;
    point.saved_at = INT64_MIN;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
    first = load_point(NULL, "run-1");
    ck_assert_int_eq(first->started_at, -7);
    ck_assert_int_eq(first->saved_at, INT64_MIN);
    stele_resume_record_close(first);
}
END_TEST

static int save_and_die(void *context)
{
    (void)context;
    open_with_clock();
    stele_resume_point point = make_point("run-1", 2);
    point.started_at = 5 * SECOND;
    point.spec_version = "v1";
    return stele_resume_point_save(store, &point, NULL) == STELE_OK ? 0 : 1;
}

/* The first store that this follows forgot both, so that neither drift nor run time was known. */
START_TEST(start_and_spec_version_survive_the_end_of_the_process)
{
    ck_assert_str_ne(store_path(), ""); /* the child's folder is ours */
    ck_assert_int_eq(run_in_child(save_and_die, NULL), 0);
    open_with_clock();

    const stele_resume_record *record = load_point(NULL, "run-1");

    ck_assert_int_eq(record->started_at, 5 * SECOND);
    ck_assert_str_eq(record->spec_version, "v1");
    stele_resume_record_close(record);
    assert_status(save_at("run-1", 3), STELE_OK);
    record = load_point(NULL, "run-1");
    ck_assert_int_eq(record->started_at, 5 * SECOND);
    stele_resume_record_close(record);
}
END_TEST

/* --- Spaces --- */

START_TEST(executions_of_different_spaces_do_not_meet)
{
    stele_resume_point point = make_point("run-1", 7);
    point.space = "graphs/v2";
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
    assert_status(save_at("run-1", 1), STELE_OK);

    const stele_resume_record *record = load_point("graphs/v2", "run-1");
    ck_assert_str_eq(record->space, "graphs/v2");
    ck_assert_int_eq(record->iteration, 7);
    stele_resume_record_close(record);
    record = load_point("default", "run-1");
    ck_assert_int_eq(record->iteration, 1);
    stele_resume_record_close(record);
    record = load_point("graphs", "run-1");
    expect_no_point(record);
    stele_resume_record_close(record);
    bool found = false;
    assert_status(stele_resume_point_delete(store, "graphs/v2", "run-1", &found), STELE_OK);
    ck_assert(found);
    ck_assert_int_eq(iteration_of("run-1"), 1);
}
END_TEST

static char too_long[STELE_NAME_SIZE_MAX + 2];
static char longest[STELE_NAME_SIZE_MAX + 1];

START_TEST(spaces_and_executions_are_names)
{
    const char *const wrong[] = { "", "a\nb", "\xff", "\xc2\x85", too_long };
    const stele_resume_record *record = NULL;
    stele_resume_points *points = NULL;
    memset(too_long, 'a', STELE_NAME_SIZE_MAX + 1);
    memset(longest, 'b', STELE_NAME_SIZE_MAX);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        stele_resume_point point = make_point("run-1", 1);
        point.space = wrong[i];
        assert_status(stele_resume_point_save(store, &point, NULL), STELE_MISUSE);
        assert_reason_has("space");
        assert_status(save_at(wrong[i], 1), STELE_MISUSE);
        assert_reason_has("execution");
        assert_status(stele_resume_point_load(store, wrong[i], "run-1", &record), STELE_MISUSE);
        assert_status(stele_resume_point_load(store, NULL, wrong[i], &record), STELE_MISUSE);
        assert_status(stele_resume_point_delete(store, wrong[i], "run-1", NULL), STELE_MISUSE);
        assert_status(stele_resume_point_delete(store, NULL, wrong[i], NULL), STELE_MISUSE);
        assert_status(stele_resume_point_list(store, wrong[i], 0, &points), STELE_MISUSE);
        ck_assert_ptr_null(points);
    }
    stele_resume_point point = make_point(longest, 1);
    point.space = longest;

    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);

    ck_assert_str_eq(executions_of(longest, 0), longest);
}
END_TEST

/* --- Deleting and listing --- */

START_TEST(deleted_point_is_gone_and_one_that_never_was_is_fine)
{
    bool found = false;
    assert_status(save_at("run-1", 5), STELE_OK);
    assert_status(stele_resume_point_delete(store, NULL, "run-1", &found), STELE_OK);
    ck_assert(found);

    ck_assert_int_eq(iteration_of("run-1"), -1);
    assert_status(stele_resume_point_delete(store, NULL, "run-1", &found), STELE_OK);
    ck_assert(!found);
    found = true;
    assert_status(stele_resume_point_delete(store, "nowhere", "never", &found), STELE_OK);
    ck_assert(!found);
    assert_status(stele_resume_point_delete(store, NULL, "never", NULL), STELE_OK);
    /* It begins anew, wherever the last one was. */
    assert_status(save_at("run-1", 0), STELE_OK);
    ck_assert_int_eq(iteration_of("run-1"), 0);
}
END_TEST

START_TEST(list_has_every_point_the_one_written_last_first)
{
    ck_assert_str_eq(executions_of(NULL, 0), "");
    for (int i = 0; i < 5; i++) {
        char execution[8];
        snprintf(execution, sizeof(execution), "run-%d", (i * 3) % 5);
        assert_status(save_at(execution, 1), STELE_OK);
    }
    stele_resume_point other = make_point("other", 1);
    other.space = "elsewhere";
    assert_status(stele_resume_point_save(store, &other, NULL), STELE_OK);

    ck_assert_str_eq(executions_of(NULL, 0), "run-2 run-4 run-1 run-3 run-0");
    ck_assert_str_eq(executions_of(NULL, 2), "run-2 run-4");
    ck_assert_str_eq(executions_of("elsewhere", 0), "other");
    assert_status(save_at("run-3", 2), STELE_OK);
    assert_status(stele_resume_point_delete(store, NULL, "run-4", NULL), STELE_OK);
    ck_assert_str_eq(executions_of(NULL, 0), "run-3 run-2 run-1 run-0");
}
END_TEST

START_TEST(listed_point_has_all_of_it_until_the_next_call)
{
    stele_resume_points *points = NULL;
    const stele_resume_record *record = NULL;
    stele_resume_point point = make_point("run-1", 3);
    point.attributes = two_attributes;
    point.attribute_count = 2;
    point.payload = nested;
    point.payload_size = sizeof(nested) - 1;
    point.spec_version = "v1";
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
    assert_status(stele_resume_point_list(store, "default", 0, &points), STELE_OK);

    assert_status(stele_resume_points_next(points, &record), STELE_OK);

    ck_assert(record->found);
    ck_assert_str_eq(record->space, "default");
    ck_assert_str_eq(record->execution, "run-1");
    ck_assert_str_eq(record->payload, nested);
    ck_assert_uint_eq(record->attribute_count, 2);
    ck_assert_str_eq(record->attributes[1].name, "host");
    ck_assert_str_eq(record->spec_version, "v1");
    ck_assert_int_eq(record->attempt, 1);
    assert_status(stele_resume_points_next(points, &record), STELE_DONE);
    ck_assert_ptr_null(record);
    assert_status(stele_resume_points_next(points, &record), STELE_DONE);
    stele_resume_points_close(points);
    stele_resume_points_close(NULL);
}
END_TEST

/* What doesn't need a file holds in memory, too. */
static void add_shared(TCase *tests)
{
    tcase_add_test(tests, saved_point_is_loaded_as_it_was);
    tcase_add_test(tests, payload_may_be_any_bytes_or_none);
    tcase_add_test(tests, execution_without_a_point_is_not_found_and_no_failure);
    tcase_add_test(tests, later_point_replaces_the_earlier_one_with_all_that_was_in_it);
    tcase_add_test(tests, saving_copies_so_that_the_callers_memory_may_change);
    tcase_add_test(tests, older_iteration_is_refused_with_the_one_that_is_there);
    tcase_add_test(tests, same_iteration_and_later_ones_are_saved);
    tcase_add_test(tests, older_iteration_is_saved_by_force);
    tcase_add_test(tests, executions_of_different_spaces_do_not_meet);
    tcase_add_test(tests, spaces_and_executions_are_names);
    tcase_add_test(tests, deleted_point_is_gone_and_one_that_never_was_is_fine);
    tcase_add_test(tests, list_has_every_point_the_one_written_last_first);
    tcase_add_test(tests, listed_point_has_all_of_it_until_the_next_call);
}

static Suite *resume_point_suite(void)
{
    Suite *suite = suite_create("resume_point");
    TCase *tests = add_case(suite, "file", open_in_file);
    add_shared(tests);
    tcase_add_test(tests, loading_gives_independent_copies_that_outlive_the_store);
    add_shared(add_case(suite, "memory", open_in_memory));
    tests = add_case(suite, "clock", open_with_clock);
    tcase_add_test(tests, start_is_kept_and_the_time_of_saving_is_the_clocks);
    tests = add_case(suite, "unopened", NULL);
    tcase_add_test(tests, start_and_spec_version_survive_the_end_of_the_process);
    return suite;
}

int main(void)
{
    return run_suite(resume_point_suite());
}
