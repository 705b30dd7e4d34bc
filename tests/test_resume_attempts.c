/* Going on: which attempt it is, whether it is still the same program, and points that are damaged.
 */
#include "resume_points.h"

#include <stele/codec.h>
#include <stele/verify.h>

#include "state/own.h"

/* --- Attempts --- */

START_TEST(execution_without_a_point_begins_from_the_start)
{
    expect_resumed("run-1", "v1", STELE_RESUME_FRESH, 1);

    /* Nothing was written, so that it is still the first one. */
    expect_resumed("run-1", "v1", STELE_RESUME_FRESH, 1);
    ck_assert_str_eq(executions_of(NULL, 0), "");
}
END_TEST

START_TEST(execution_that_has_to_have_a_point_and_has_none_is_not_found)
{
    stele_resumption resumption = resumption_of("run-1", NULL);
    stele_resume_answer answer = STELE_RESUME_DRIFT;
    int64_t attempt = -1;
    const stele_resume_record *record = (const stele_resume_record *)&record;
    resumption.must_exist = true;

    assert_status(stele_resume_point_resume(store, &resumption, &answer, &attempt, &record),
                  STELE_NOT_FOUND);

    assert_reason_has("'run-1'");
    ck_assert_ptr_null(record);
    ck_assert_int_eq(attempt, 0);
    ck_assert_int_eq(answer, STELE_RESUME_FRESH);
    assert_status(save_at("run-1", 1), STELE_OK);
    assert_status(stele_resume_point_resume(store, &resumption, &answer, &attempt, &record),
                  STELE_OK);
    ck_assert_int_eq(answer, STELE_RESUME_GO_ON);
    stele_resume_record_close(record);
}
END_TEST

START_TEST(each_resumption_is_the_next_attempt_from_two_on)
{
    assert_status(save_at("run-1", 1), STELE_OK);
    for (int64_t attempt = 2; attempt < 6; attempt++) {
        expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, attempt);
        /* It is kept by what is saved then. */
        assert_status(save_at("run-1", attempt), STELE_OK);
        const stele_resume_record *record = load_point(NULL, "run-1");
        ck_assert_int_eq(record->attempt, attempt);
        stele_resume_record_close(record);
    }
    expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, 6);
    expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, 7);
}
END_TEST

START_TEST(resumption_gives_the_point_and_changes_nothing_but_its_attempt)
{
    const stele_attribute attribute = { "host", "a" };
    stele_resume_point point = make_point("run-1", 3);
    point.space = "graphs";
    point.payload = "[\0]";
    point.payload_size = 3;
    point.spec_version = "v1";
    point.started_at = 12345;
    point.saved_at = 23456;
    point.attributes = &attribute;
    point.attribute_count = 1;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
    stele_resumption resumption = resumption_of("run-1", "v1");
    stele_resume_answer answer;
    const stele_resume_record *records[2] = { NULL, NULL };
    resumption.space = "graphs";

    assert_status(stele_resume_point_resume(store, &resumption, &answer, NULL, &records[0]),
                  STELE_OK);

    records[1] = load_point("graphs", "run-1");
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        const stele_resume_record *record = records[i];
        ck_assert_str_eq(record->space, "graphs");
        ck_assert_str_eq(record->execution, "run-1");
        ck_assert_str_eq(record->step, "collect");
        ck_assert_int_eq(record->iteration, 3);
        ck_assert_uint_eq(record->payload_size, 3);
        ck_assert_mem_eq(record->payload, "[\0]", 4);
        ck_assert_uint_eq(record->attribute_count, 1);
        ck_assert_str_eq(record->attributes[0].value, "a");
        ck_assert_int_eq(record->started_at, 12345);
        ck_assert_str_eq(record->spec_version, "v1");
        ck_assert_int_eq(record->saved_at, 23456);
        ck_assert_int_eq(record->attempt, 2);
        stele_resume_record_close(record);
    }
}
END_TEST

static int resume_and_die(void *context)
{
    stele_resumption resumption = resumption_of("run-1", NULL);
    stele_resume_answer answer;
    int64_t *attempt = context;
    const stele_resume_record *record = NULL;
    open_in_file();
    stele_status status = stele_resume_point_resume(store, &resumption, &answer, attempt, &record);
    return status == STELE_OK ? (int)*attempt : 100;
}

/* Else an execution that kills its process would be tried for ever, each time as the second. */
START_TEST(attempt_is_counted_before_the_process_can_die_of_it)
{
    int64_t attempt = 0;
    open_in_file();
    assert_status(save_at("run-1", 1), STELE_OK);
    close_store();

    for (int expected = 2; expected < 5; expected++)
        ck_assert_int_eq(run_in_child(resume_and_die, &attempt), expected);

    open_in_file();
    const stele_resume_record *record = load_point(NULL, "run-1");
    ck_assert_int_eq(record->attempt, 4);
    stele_resume_record_close(record);
}
END_TEST

START_TEST(execution_that_ended_begins_from_the_start_again)
{
    assert_status(save_at("run-1", 1), STELE_OK);
    expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, 2);
    assert_status(stele_resume_point_delete(store, NULL, "run-1", NULL), STELE_OK);

    expect_resumed("run-1", NULL, STELE_RESUME_FRESH, 1);

    assert_status(save_at("run-1", 1), STELE_OK);
    expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, 2);
}
END_TEST

/* --- Drift --- */

static void save_with_version(const char *spec_version)
{
    stele_resume_point point = make_point("run-1", 1);
    point.spec_version = spec_version;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
}

START_TEST(point_of_another_spec_version_is_drift_and_counts_no_attempt)
{
    save_with_version("v1");
    expect_resumed("run-1", "v1", STELE_RESUME_GO_ON, 2);

    expect_resumed("run-1", "v2", STELE_RESUME_DRIFT, 2);
    expect_resumed("run-1", "v1 ", STELE_RESUME_DRIFT, 2);

    expect_resumed("run-1", "v1", STELE_RESUME_GO_ON, 3);
}
END_TEST

/* The program decides that it can be gone on from: it asks again, without a version. */
START_TEST(empty_version_on_either_side_is_not_compared)
{
    save_with_version("v1");
    expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, 2);
    expect_resumed("run-1", "", STELE_RESUME_GO_ON, 3);
    save_with_version(NULL);
    expect_resumed("run-1", "v2", STELE_RESUME_GO_ON, 4);
    save_with_version("");
    expect_resumed("run-1", "v3", STELE_RESUME_GO_ON, 5);
}
END_TEST

/* --- Refusals --- */

START_TEST(resumption_that_breaks_the_contract_is_misuse_and_gives_nothing)
{
    stele_resumption wrong[4];
    stele_resume_answer answer = STELE_RESUME_DRIFT;
    const stele_resume_record *record = NULL;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        wrong[i] = resumption_of("run-1", NULL);
    wrong[0].struct_size = 0;
    wrong[1].execution = NULL;
    wrong[2].space = "";
    wrong[3].spec_version = "\xff";
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        int64_t attempt = -1;
        record = (const stele_resume_record *)&record;
        assert_status(stele_resume_point_resume(store, &wrong[i], &answer, &attempt, &record),
                      STELE_MISUSE);
        ck_assert_ptr_null(record);
        ck_assert_int_eq(attempt, 0);
        ck_assert_int_eq(answer, STELE_RESUME_FRESH);
    }
    stele_resumption good = resumption_of("run-1", NULL);

    assert_status(stele_resume_point_resume(store, NULL, &answer, NULL, &record), STELE_MISUSE);
    assert_status(stele_resume_point_resume(NULL, &good, &answer, NULL, &record), STELE_MISUSE);
    assert_status(stele_resume_point_resume(store, &good, NULL, NULL, &record), STELE_MISUSE);
    assert_status(stele_resume_point_resume(store, &good, &answer, NULL, NULL), STELE_MISUSE);
    close_store();
}
END_TEST

START_TEST(point_with_no_room_for_another_attempt_is_too_large_and_can_be_loaded)
{
    static char payload[4000];
    stele_options options = STELE_OPTIONS_INIT;
    stele_resumption resumption = resumption_of("run-1", NULL);
    stele_resume_answer answer;
    const stele_resume_record *record = NULL;
    open_in_file();
    stele_resume_point point = make_point("run-1", 1);
    point.payload = payload;
    point.payload_size = sizeof(payload);
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
    close_store();
    options.value_size_max = 2000;
    store = open_path(store_path(), &options);

    assert_status(stele_resume_point_resume(store, &resumption, &answer, NULL, &record),
                  STELE_TOO_LARGE);

    ck_assert_ptr_null(record);
    record = load_point(NULL, "run-1");
    ck_assert_int_eq(record->attempt, 1);
    ck_assert_uint_eq(record->payload_size, sizeof(payload));
    stele_resume_record_close(record);
}
END_TEST

/* --- Damage --- */

static void put_own(const char *key, const char *codec, const void *data, size_t size)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = "$resume/default";
    put.key = key;
    put.codec = codec;
    put.data = data;
    put.data_size = size;
    stele_transaction *transaction = begin();
    assert_status(stele__transaction_own_put(transaction, &put, NULL), STELE_OK);
    commit_and_end(transaction);
}

static void expect_damaged(const char *execution, const char *reason)
{
    stele_resumption resumption = resumption_of(execution, NULL);
    stele_resume_answer answer;
    const stele_resume_record *record = (const stele_resume_record *)&record;
    stele_resume_points *points = NULL;
    assert_status(stele_resume_point_load(store, NULL, execution, &record), STELE_CORRUPT);
    ck_assert_ptr_null(record);
    assert_reason_has(reason);
    assert_reason_has(execution);
    record = (const stele_resume_record *)&record;
    assert_status(stele_resume_point_resume(store, &resumption, &answer, NULL, &record),
                  STELE_CORRUPT);
    ck_assert_ptr_null(record);
    assert_status(save_at(execution, 1), STELE_CORRUPT);
    assert_status(stele_resume_point_list(store, NULL, 0, &points), STELE_OK);
    assert_status(stele_resume_points_next(points, &record), STELE_CORRUPT);
    assert_reason_has(execution);
    ck_assert_ptr_null(record);
    stele_resume_points_close(points);
}

/* It would go on with what another execution needs. */
START_TEST(point_that_holds_another_executions_id_is_corrupt)
{
    const stele_entry *entry = NULL;
    assert_status(save_at("run-1", 1), STELE_OK);
    assert_status(stele_state_get(store, "$resume/default", "run-1", &entry), STELE_OK);
    ck_assert(entry->found);
    put_own("run-2", "cbor", entry->data, entry->data_size);
    stele_entry_close(entry);

    expect_damaged("run-2", "it is of the execution 'run-1'");
}
END_TEST

/* clang-format off */
/* A document in CBOR, with numbers of a byte. */
#define POINT(iteration, attempt) "\xA5" "\x69" "execution" "\x65" "run-1" "\x69" "iteration" iteration \
    "\x6A" "started_at" "\x01" "\x68" "saved_at" "\x01" "\x67" "attempt" attempt
/* clang-format on */

START_TEST(entry_that_is_no_point_is_corrupt)
{
    static const struct {
        const char *codec, *data;
        size_t size;
    } wrongs[] = { { "raw", "", 0 },
                   { "raw", "junk", 4 },
                   { "json", "{}", 2 },
                   { "cbor", "\xA0", 1 },
                   { "cbor", "\x80", 1 },
                   { "cbor", POINT("\x20", "\x01"), sizeof(POINT("\x20", "\x01")) - 1 },
                   { "cbor", POINT("\x01", "\x00"), sizeof(POINT("\x01", "\x00")) - 1 } };
    for (size_t i = 0; i < COUNT_OF(wrongs); i++) {
        put_own("run-1", wrongs[i].codec, wrongs[i].data, wrongs[i].size);
        expect_damaged("run-1", "the point of execution 'run-1' in '$resume/default'");
    }
    /* The control: what is right about the last two. */
    put_own("run-1", "cbor", POINT("\x01", "\x01"), sizeof(POINT("\x01", "\x01")) - 1);
    ck_assert_int_eq(iteration_of("run-1"), 1);
}
END_TEST

/* The older ones are still to be gone on with. */
START_TEST(list_goes_on_behind_an_entry_that_is_no_point)
{
    stele_resume_points *points = NULL;
    const stele_resume_record *record = NULL;
    assert_status(save_at("run-1", 1), STELE_OK);
    put_own("run-2", "raw", "junk", 4);
    assert_status(save_at("run-3", 3), STELE_OK);
    assert_status(stele_resume_point_list(store, NULL, 0, &points), STELE_OK);

    assert_status(stele_resume_points_next(points, &record), STELE_OK);
    ck_assert_str_eq(record->execution, "run-3");
    assert_status(stele_resume_points_next(points, &record), STELE_CORRUPT);
    ck_assert_ptr_null(record);
    assert_reason_has("'run-2'");
    assert_status(stele_resume_points_next(points, &record), STELE_OK);
    ck_assert_str_eq(record->execution, "run-1");
    assert_status(stele_resume_points_next(points, &record), STELE_DONE);

    stele_resume_points_close(points);
}
END_TEST

/* It is not known what it was; its name is told, so that it can be deleted. */
START_TEST(damaged_row_ends_the_list_until_it_is_deleted)
{
    stele_resume_points *points = NULL;
    const stele_resume_record *record = NULL;
    open_in_file();
    assert_status(save_at("run-1", 1), STELE_OK);
    assert_status(save_at("run-2", 1), STELE_OK);
    close_store();
    run_sql(store_path(), "UPDATE state SET checksum = checksum + 1 WHERE key = 'run-2'");
    open_in_file();
    assert_status(stele_resume_point_list(store, NULL, 0, &points), STELE_OK);
    for (int i = 0; i < 2; i++) {
        assert_status(stele_resume_points_next(points, &record), STELE_CORRUPT);
        assert_reason_has("'run-2'");
    }
    stele_resume_points_close(points);

    assert_status(stele_resume_point_delete(store, NULL, "run-2", NULL), STELE_OK);

    ck_assert_str_eq(executions_of(NULL, 0), "run-1");
}
END_TEST

static void damage_row(void)
{
    close_store();
    run_sql(store_path(), "UPDATE state SET updated_at = updated_at + 1");
    open_in_file();
}

START_TEST(point_whose_row_is_damaged_is_corrupt)
{
    open_in_file();
    assert_status(save_at("run-1", 5), STELE_OK);
    damage_row();

    expect_damaged("run-1", "");
}
END_TEST

START_TEST(damaged_point_is_replaced_by_force_and_can_be_deleted)
{
    open_in_file();
    assert_status(save_at("run-1", 5), STELE_OK);
    expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, 2);
    damage_row();
    stele_resume_point point = make_point("run-1", 2);
    point.force = true;

    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);

    /* What the old one said is lost with it. */
    const stele_resume_record *record = load_point(NULL, "run-1");
    ck_assert_int_eq(record->iteration, 2);
    ck_assert_int_eq(record->attempt, 1);
    stele_resume_record_close(record);
    put_own("run-1", "raw", "junk", 4);
    point.attempt = 2; /* it knows which one it is */
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);
    expect_resumed("run-1", NULL, STELE_RESUME_GO_ON, 3);
    damage_row();
    assert_status(stele_resume_point_delete(store, NULL, "run-1", NULL), STELE_OK);
    ck_assert_int_eq(iteration_of("run-1"), -1);
}
END_TEST

/* Whoever reads the state entries can read the points: they are CBOR, and what is in it has names.
 */
START_TEST(point_is_a_state_entry_in_the_space_of_the_library)
{
    const stele_entry *entry = NULL;
    const stele_attribute attribute = { "host", "a" };
    stele_resume_point point = make_point("run-1", 1);
    point.attributes = &attribute;
    point.attribute_count = 1;
    assert_status(stele_resume_point_save(store, &point, NULL), STELE_OK);

    assert_status(stele_state_get(store, "$resume/default", "run-1", &entry), STELE_OK);

    ck_assert_str_eq(entry->codec, "cbor");
    ck_assert_str_eq(stele_entry_attribute(entry, "host"), "a");
    ck_assert_int_eq(entry->revision, 1);
    stele_entry_close(entry);
    stele_put put = STELE_PUT_INIT;
    put.scope = "$resume/default";
    put.key = "run-1";
    assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
}
END_TEST

static Suite *resume_attempts_suite(void)
{
    Suite *suite = suite_create("resume_attempts");
    TCase *tests = add_case(suite, "memory", open_in_memory);
    tcase_add_test(tests, execution_without_a_point_begins_from_the_start);
    tcase_add_test(tests, execution_that_has_to_have_a_point_and_has_none_is_not_found);
    tcase_add_test(tests, each_resumption_is_the_next_attempt_from_two_on);
    tcase_add_test(tests, resumption_gives_the_point_and_changes_nothing_but_its_attempt);
    tcase_add_test(tests, execution_that_ended_begins_from_the_start_again);
    tcase_add_test(tests, point_of_another_spec_version_is_drift_and_counts_no_attempt);
    tcase_add_test(tests, empty_version_on_either_side_is_not_compared);
    tcase_add_test(tests, resumption_that_breaks_the_contract_is_misuse_and_gives_nothing);
    tcase_add_test(tests, point_that_holds_another_executions_id_is_corrupt);
    tcase_add_test(tests, entry_that_is_no_point_is_corrupt);
    tcase_add_test(tests, point_is_a_state_entry_in_the_space_of_the_library);
    tcase_add_test(tests, list_goes_on_behind_an_entry_that_is_no_point);
    tests = add_case(suite, "file", NULL);
    tcase_add_test(tests, attempt_is_counted_before_the_process_can_die_of_it);
    tcase_add_test(tests, point_with_no_room_for_another_attempt_is_too_large_and_can_be_loaded);
    tcase_add_test(tests, point_whose_row_is_damaged_is_corrupt);
    tcase_add_test(tests, damaged_point_is_replaced_by_force_and_can_be_deleted);
    tcase_add_test(tests, damaged_row_ends_the_list_until_it_is_deleted);
    return suite;
}

int main(void)
{
    return run_suite(resume_attempts_suite());
}
