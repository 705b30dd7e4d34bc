/* What verification finds in checkpoints, members and parked events. */
#include "checkpoint_rows.h"

#include <stele/retention.h>
#include <stele/verify.h>

static void run_check(const char *name, uint64_t *count, uint64_t *failures, char offender[512])
{
    stele_verify_options options = STELE_VERIFY_INIT;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    options.names = &name;
    options.name_count = 1;
    assert_status(stele_verify_open(store, &options, &verify), STELE_OK);
    assert_status(stele_verify_next(verify, &check), STELE_OK);
    *count = check->count;
    *failures = check->failures;
    snprintf(offender, 512, "%s", check->offender);
    stele_verify_close(verify);
}

static void put_all_kinds(void)
{
    put_place("reader", 0, 0, 10);
    put_lanes("group", 3, (const int64_t[]){ 7, 4, 9 });
    put_member("group", "w-1");
    put_member("group", "w-2");
    park("reader", 3, "a-1", 0);
    park("reader", 5, "a-1", 3);
    park("group", 8, "b-1", 0);
}

START_TEST(good_rows_are_counted)
{
    static const struct {
        const char *name;
        uint64_t count;
    } expected[] = { { "checkpoints", 4 }, { "members", 2 }, { "parked", 3 } };
    put_all_kinds();
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        uint64_t count = 0;
        uint64_t failures = 0;
        char offender[512];
        run_check(expected[i].name, &count, &failures, offender);
        ck_assert_msg(failures == 0, "%s: %s", expected[i].name, offender);
        ck_assert_uint_eq(count, expected[i].count);
    }
}
END_TEST

/* A step ends within the lanes of a name, and within what one name parked. */
START_TEST(steps_of_one_row_skip_nothing)
{
    static const char *const names[] = { "checkpoints", "members", "parked" };
    static const uint64_t counts[] = { 4, 2, 3 };
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 1;
    put_all_kinds();
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        stele_verify_options options = STELE_VERIFY_INIT;
        stele_verify *verify = NULL;
        const stele_check *check = NULL;
        options.names = &names[i];
        options.name_count = 1;
        options.work = &work;
        assert_status(stele_verify_open(store, &options, &verify), STELE_OK);
        assert_status(stele_verify_next(verify, &check), STELE_OK);
        ck_assert_uint_eq(check->count, counts[i]);
        ck_assert_uint_eq(check->failures, 0);
        stele_verify_close(verify);
    }
}
END_TEST

static const struct {
    const char *sql, *check, *offender;
} damages[] = {
    { "UPDATE checkpoints SET position = 1 WHERE lane = 3", "checkpoints", "'group' is damaged" },
    { "UPDATE checkpoints SET owner = 'me'", "checkpoints", "damaged" },
    { "DELETE FROM checkpoints WHERE lane = 1", "checkpoints", "lane 2 of 3 after 0" },
    { "DELETE FROM checkpoints WHERE lane = 2", "checkpoints", "lane 3 of 3 after 1" },
    { "DELETE FROM checkpoints WHERE lane = 3", "checkpoints", "2 of its 3 lanes" },
    { "UPDATE members SET joined_at = 7", "members", "member 'w-1' of 'group'" },
    { "UPDATE members SET owner = 'w-9' WHERE owner = 'w-2'", "members", "w-9" },
    { "UPDATE parked SET behind = 0 WHERE position = 5", "parked", "position 5" },
    { "UPDATE parked SET key = 'b-1' WHERE position = 8", "", "" },
    { "UPDATE parked SET key = 'a-1' WHERE position = 8", "parked", "position 8" },
    { "UPDATE parked SET asked_at = 1 WHERE position = 8", "parked", "position 8" },
    { "UPDATE parked SET subscription = 'ghost' WHERE position = 3", "parked", "position 3" },
    { "DELETE FROM checkpoints WHERE name = 'reader'", "parked", "but has come to -1" },
};

START_TEST(damaged_row_fails_its_check_and_is_named)
{
    uint64_t count = 0;
    uint64_t failures = 0;
    char offender[512];
    put_all_kinds();
    close_store();
    run_sql(store_path(), damages[_i].sql);
    open_in_file();
    bool good = damages[_i].check[0] == '\0';

    run_check(good ? "parked" : damages[_i].check, &count, &failures, offender);

    ck_assert_int_eq(failures > 0, !good);
    ck_assert_msg(strstr(offender, damages[_i].offender) != NULL, "'%s' lacks '%s'", offender,
                  damages[_i].offender);
}
END_TEST

/* Each column of each table, in a place, a member and a parked event. */
static const struct {
    const char *table, *number, *text;
} checksummed[] = {
    { "checkpoints",
      "lane lanes position saved_at generation lease_until beat_at attempting attempts "
      "effects_after state rate lag lag_before error_position error_at",
      "name epoch owner boot error" },
    { "members", "lease_until joined_at", "subscription owner boot" },
    { "parked", "position behind attempts parked_at asked_at", "subscription key reason" },
};

/* Verification names the damage itself, not only a contradiction that came of it. */
static void damage_each(const char *table, const char *columns, const char *change)
{
    char all[256];
    char *rest = all;
    snprintf(all, sizeof(all), "%s", columns);
    for (char *column = strtok_r(all, " ", &rest); column != NULL;
         column = strtok_r(NULL, " ", &rest)) {
        uint64_t count = 0;
        uint64_t failures = 0;
        char sql[256];
        char offender[512];
        snprintf(sql, sizeof(sql), "UPDATE %s SET %s = %s %s", table, column, column, change);
        put_all_kinds();
        put_place("reader", 0, 0, 10);
        close_store();
        run_sql(store_path(), sql);
        open_in_file();

        run_check(table, &count, &failures, offender);

        ck_assert_msg(failures > 0 && strstr(offender, " is damaged") != NULL, "%s.%s: '%s'", table,
                      column, offender);
        close_store();
        snprintf(sql, sizeof(sql), "DELETE FROM %s", table);
        run_sql(store_path(), sql);
        open_in_file();
    }
}

START_TEST(checksum_covers_each_column)
{
    damage_each(checksummed[_i].table, checksummed[_i].number, "+ 1000");
    damage_each(checksummed[_i].table, checksummed[_i].text, "|| 'x'");
}
END_TEST

/* Whole rows that contradict one another. */
static const struct {
    int64_t position;
    const char *key;
    int64_t behind;
    const char *offender;
} contradictions[] = {
    { 3, "b-1", 0, "as of 'b-1', which it isn't" },
    { 9, "a-1", 0, "but has come to 8" },
    { 5, "a-1", 4, "behind 4, which is of another stream" },
    { 5, "a-1", 5, "which doesn't come before it" },
    { 5, "a-1", -1, "which doesn't come before it" },
};

START_TEST(parked_row_that_contradicts_the_log_is_found)
{
    uint64_t count = 0;
    uint64_t failures = 0;
    char offender[512];
    put_place("reader", 0, 0, 8);
    park("reader", contradictions[_i].position, contradictions[_i].key, contradictions[_i].behind);

    run_check("parked", &count, &failures, offender);

    ck_assert_uint_eq(failures, 1);
    ck_assert_msg(strstr(offender, contradictions[_i].offender) != NULL, "'%s' lacks '%s'",
                  offender, contradictions[_i].offender);
}
END_TEST

/* What it waited for is gone: it is the first of its stream from now on. */
START_TEST(row_whose_leader_was_trimmed_or_handled_is_whole)
{
    uint64_t count = 0;
    uint64_t failures = 0;
    char offender[512];
    stele_retain rule = STELE_RETAIN_INIT;
    rule.stream = "a-1";
    rule.max_count = 3; /* of five: 1 and 3 go */
    rule.force = true;
    put_place("reader", 0, 0, 10);
    park("reader", 3, "a-1", 0);
    park("reader", 5, "a-1", 3);

    assert_status(stele_store_retain(store, &rule, NULL), STELE_OK);

    ck_assert_str_eq(parked_by("reader"), "5");
    run_check("parked", &count, &failures, offender);
    ck_assert_msg(failures == 0, "%s", offender);
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(lanes_that_disagree_are_found)
{
    uint64_t count = 0;
    uint64_t failures = 0;
    char offender[512];
    put_place("group", 1, 2, 4);
    put_place("group", 2, 3, 4);
    put_place("whole", 0, 0, 4);
    put_place("whole", 1, 1, 4);

    run_check("checkpoints", &count, &failures, offender);

    ck_assert_uint_eq(failures, 2);
    ck_assert_uint_eq(count, 4);
    ck_assert_ptr_nonnull(strstr(offender, "lane 2 of 3 after 1 of 2"));
}
END_TEST

/* Of rows whose checksums are right. */
START_TEST(owner_without_a_generation_and_member_without_a_name_are_found)
{
    uint64_t count = 0;
    uint64_t failures = 0;
    char offender[512];
    stele__connection *connection = NULL;
    stele__place place = { .owner = "w-1" };
    stele__place_move(store, &place, 4);
    assert_status(stele__write_begin(store, NULL, &connection), STELE_OK);
    assert_status(stele__place_store(connection, "reader", &place), STELE_OK);
    assert_status(stele__write_commit(store), STELE_OK);
    stele__write_end(store);
    put_member("group", "");

    run_check("checkpoints", &count, &failures, offender);
    ck_assert_uint_eq(failures, 1);
    ck_assert_ptr_nonnull(strstr(offender, "owned by 'w-1' in generation 0"));

    run_check("members", &count, &failures, offender);
    ck_assert_uint_eq(failures, 1);
    ck_assert_str_eq(offender, "a member has no name");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint checks");
    TCase *tests = add_case(suite, "rows", open_with_two_streams);
    tcase_add_test(tests, good_rows_are_counted);
    tcase_add_test(tests, steps_of_one_row_skip_nothing);
    tcase_add_loop_test(tests, damaged_row_fails_its_check_and_is_named, 0, (int)COUNT_OF(damages));
    tcase_add_loop_test(tests, checksum_covers_each_column, 0, (int)COUNT_OF(checksummed));
    tcase_add_loop_test(tests, parked_row_that_contradicts_the_log_is_found, 0,
                        (int)COUNT_OF(contradictions));
    tcase_add_test(tests, row_whose_leader_was_trimmed_or_handled_is_whole);
    tcase_add_test(tests, lanes_that_disagree_are_found);
    tcase_add_test(tests, owner_without_a_generation_and_member_without_a_name_are_found);
    return run_suite(suite);
}
