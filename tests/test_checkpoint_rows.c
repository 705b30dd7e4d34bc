/* Checkpoints with lanes, members and parked events: what the calls make of them. */
#include "checkpoint_rows.h"

#include <stele/lifecycle.h>
#include <stele/retention.h>

#include "checkpoint/slowest.h"

static stele_checkpoint load(const char *name)
{
    stele_checkpoint checkpoint = { 0 };
    assert_status(stele_checkpoint_load(store, name, &checkpoint), STELE_OK);
    return checkpoint;
}

/* The one checkpoint that is listed. */
static stele_checkpoint_info listed(void)
{
    stele_checkpoints *list = NULL;
    const stele_checkpoint_info *info = NULL;
    stele_checkpoint_info found;
    assert_status(stele_store_checkpoints(store, &list), STELE_OK);
    assert_status(stele_checkpoints_next(list, &info), STELE_OK);
    found = *info;
    found.name = found.owner = NULL;
    assert_status(stele_checkpoints_next(list, &info), STELE_DONE);
    stele_checkpoints_close(list);
    return found;
}

/* --- Lanes --- */

START_TEST(checkpoint_with_lanes_is_where_the_last_of_them_is)
{
    put_lanes("group", 3, (const int64_t[]){ 7, 4, 9 });

    ck_assert(load("group").found);
    ck_assert_int_eq(load("group").position, 4);
    ck_assert_int_eq(listed().position, 4);
    ck_assert_uint_eq(listed().lanes, 3);
    ck_assert_int_eq(listed().left_ms, 0);
}
END_TEST

START_TEST(lane_never_saved_beside_others_is_at_nothing)
{
    put_lanes("group", 3, (const int64_t[]){ 7, -1, 9 });

    ck_assert(load("group").found);
    ck_assert_int_eq(load("group").position, 0);
    ck_assert_int_eq(listed().position, 0);
    put_lanes("group", 3, (const int64_t[]){ -1, 4, 9 });
    ck_assert_int_eq(load("group").position, 0);
}
END_TEST

START_TEST(checkpoint_with_lanes_has_no_owner_and_was_saved_when_the_last_of_them_was)
{
    stele__connection *connection = NULL;
    assert_status(stele__write_begin(store, NULL, &connection), STELE_OK);
    for (int64_t lane = 1; lane <= 3; lane++) {
        stele__place place = { .lane = lane, .lanes = 3 };
        stele__place_move(store, &place, 5);
        place.saved_at = lane == 2 ? 900 : 100 * lane;
        stele__place_claim(store, &place, "w-1", 30000);
        assert_status(stele__place_store(connection, "group", &place), STELE_OK);
    }
    assert_status(stele__write_commit(store), STELE_OK);
    stele__write_end(store);

    ck_assert_int_eq(load("group").saved_at, 900);
    ck_assert_int_eq(listed().saved_at, 900);
    ck_assert_int_eq(listed().generation, 0);
    ck_assert_int_eq(listed().left_ms, 0);
}
END_TEST

static stele__place lane_zero(const char *name)
{
    stele__place place;
    bool found = false;
    stele__connection *connection = NULL;
    assert_status(stele__read_begin(store, NULL, &connection), STELE_OK);
    assert_status(stele__place_load(connection, name, 0, &place, &found), STELE_OK);
    stele__read_end(store, connection);
    return place;
}

/* They were tries of the event that came next. */
START_TEST(tries_are_forgotten_when_it_goes_elsewhere)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    for (int64_t to = 5; to <= 6; to++) {
        stele__connection *connection = NULL;
        stele__place place = { .attempts = 3 };
        stele__place_move(store, &place, 5);
        assert_status(stele__write_begin(store, NULL, &connection), STELE_OK);
        assert_status(stele__place_store(connection, "reader", &place), STELE_OK);
        assert_status(stele__write_commit(store), STELE_OK);
        stele__write_end(store);

        move.to = to;
        assert_status(stele_checkpoint_advance(store, "reader", &move, NULL), STELE_OK);
        ck_assert_int_eq(lane_zero("reader").attempts, to == 5 ? 3 : 0);

        assert_status(stele_checkpoint_save(store, "reader", 5), STELE_OK);
        ck_assert_int_eq(lane_zero("reader").attempts, 0);
    }
}
END_TEST

START_TEST(row_of_the_name_that_stayed_beside_its_lanes_does_not_count)
{
    put_place("group", 0, 0, -1);
    put_lanes("group", 2, (const int64_t[]){ 7, 4 });

    ck_assert_int_eq(load("group").position, 4);
    ck_assert_uint_eq(listed().lanes, 2);
}
END_TEST

START_TEST(save_moves_all_lanes)
{
    put_lanes("group", 3, (const int64_t[]){ 7, 4, 9 });

    assert_status(stele_checkpoint_save(store, "group", 5), STELE_OK);

    ck_assert_int_eq(load("group").position, 5);
    close_store();
    ck_assert_int_eq(
        sql_number(store_path(),
                   "SELECT count(*) FROM checkpoints WHERE position = 5 AND lanes = 3"),
        3);
}
END_TEST

START_TEST(lanes_are_moved_and_claimed_by_their_owners_only)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    claim.owner = "w-1";
    move.to = 9;
    put_lanes("group", 2, (const int64_t[]){ 7, 4 });

    assert_status(stele_checkpoint_advance(store, "group", &move, NULL), STELE_MISUSE);
    assert_reason_has("has 2 lanes");
    assert_status(stele_checkpoint_claim_take(store, "group", &claim, NULL), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_renew(store, "group", 1, 1000), STELE_MISUSE);
    assert_status(stele_checkpoint_claim_release(store, "group", 1), STELE_MISUSE);
}
END_TEST

START_TEST(reset_forgets_lanes_members_and_what_was_parked)
{
    bool found = false;
    put_lanes("group", 2, (const int64_t[]){ 7, 4 });
    put_lanes("other", 2, (const int64_t[]){ 7, 7 });
    put_member("group", "w-1");
    put_member("other", "w-1");
    park("group", 3, "a-1", 0);
    park("other", 3, "a-1", 0);

    assert_status(stele_checkpoint_reset(store, "group", &found), STELE_OK);

    ck_assert(found);
    ck_assert(!load("group").found);
    ck_assert_str_eq(parked_by("group"), "");
    ck_assert_str_eq(parked_by("other"), "3");
    close_store();
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM members"), 1);
}
END_TEST

START_TEST(damaged_rows_are_mended_by_saving_and_by_reset)
{
    stele_checkpoint checkpoint = { 0 };
    const char *damages[] = { "UPDATE checkpoints SET lanes = 999999 WHERE lane = 1",
                              "UPDATE checkpoints SET lanes = 0",
                              "UPDATE checkpoints SET position = 1 WHERE lane = 2",
                              "UPDATE checkpoints SET generation = -5" };
    for (size_t i = 0; i < COUNT_OF(damages) * 2; i++) {
        put_lanes("group", 2, (const int64_t[]){ 7, 4 });
        close_store();
        run_sql(store_path(), damages[i / 2]);
        open_in_file();
        assert_status(stele_checkpoint_load(store, "group", &checkpoint), STELE_CORRUPT);
        if (i % 2 == 0) {
            assert_status(stele_checkpoint_save(store, "group", 6), STELE_OK);
            ck_assert_int_eq(load("group").position, 6);
            ck_assert_uint_eq(listed().lanes, 2);
        } else {
            assert_status(stele_checkpoint_reset(store, "group", NULL), STELE_OK);
            ck_assert(!load("group").found);
        }
    }
}
END_TEST

/* --- What is parked --- */

/* The events after it come again, and are judged anew. */
START_TEST(rewound_reader_forgets_what_it_parked_of_what_comes_again)
{
    put_place("reader", 0, 0, 10);
    park("reader", 3, "a-1", 0);
    park("reader", 5, "a-1", 3);
    park("reader", 8, "b-1", 0);

    assert_status(stele_checkpoint_save(store, "reader", 10), STELE_OK);
    ck_assert_str_eq(parked_by("reader"), "3 5 8");
    assert_status(stele_checkpoint_save(store, "reader", 5), STELE_OK);

    ck_assert_str_eq(parked_by("reader"), "3 5");
    assert_status(stele_checkpoint_save(store, "reader", 9), STELE_OK);
    ck_assert_str_eq(parked_by("reader"), "3 5");
}
END_TEST

START_TEST(deleted_stream_takes_what_was_parked_of_it_and_what_waited)
{
    stele_delete what = STELE_DELETE_INIT;
    what.stream = "a-1";
    put_place("reader", 0, 0, 10);
    park("reader", 3, "a-1", 0);
    park("reader", 4, "b-1", 0);
    park("reader", 5, "a-1", 3);
    park("other", 9, "a-1", 0);

    assert_status(stele_store_delete(store, &what, NULL), STELE_OK);

    ck_assert_str_eq(parked_by("reader"), "4");
    ck_assert_str_eq(parked_by("other"), "");
}
END_TEST

static int64_t slowest_since(int64_t saved_since)
{
    stele__slowest slowest;
    stele__connection *connection = NULL;
    assert_status(stele__read_begin(store, NULL, &connection), STELE_OK);
    assert_status(stele__checkpoint_slowest(connection, saved_since, &slowest), STELE_OK);
    stele__read_end(store, connection);
    return slowest.found ? slowest.position : -1;
}

START_TEST(reader_lets_go_of_what_is_before_the_first_that_it_parked)
{
    put_place("reader", 0, 0, 10);
    put_lanes("group", 2, (const int64_t[]){ 8, 9 });
    ck_assert_int_eq(slowest_since(0), 8);

    park("reader", 5, "a-1", 0);
    park("reader", 7, "a-1", 5);

    ck_assert_int_eq(slowest_since(0), 4);
    ck_assert_int_eq(slowest_since(INT64_MAX), -1);
    ck_assert_int_eq(slowest_since(load("reader").saved_at), 4); /* at that time, or later */
}
END_TEST

START_TEST(retention_keeps_what_a_reader_has_parked)
{
    stele_retain rule = STELE_RETAIN_INIT;
    stele_retained retained;
    rule.stream = "a-1";
    rule.max_count = 1;
    put_place("reader", 0, 0, 10);
    park("reader", 5, "a-1", 0);

    assert_status(stele_store_retain(store, &rule, &retained), STELE_OK);

    stele_read read = STELE_READ_INIT;
    read.stream = "a-1";
    read.from_version = 3;
    ck_assert_str_eq(positions_of(&read), "5 7 9");
    ck_assert_str_eq(parked_by("reader"), "5");
}
END_TEST

/* --- A timeline that was lost --- */

/* The power went, and what came after 6 with it; four other events have these positions now. */
static void lose_what_came_after_6(void)
{
    close_store();
    run_sql(store_path(), "DELETE FROM events WHERE position > 6; INSERT OR REPLACE INTO"
                          " meta(key, value, checksum) VALUES('dirty:a', 'another', 0)");
    ck_assert_int_eq(unlink(test_path("store.db-anchor")), 0);
    open_in_file();
    fill_stream("c-1", 4);
}

START_TEST(one_lane_of_a_lost_timeline_is_enough)
{
    put_lanes("group", 3, (const int64_t[]){ 9, 8, 4 });
    lose_what_came_after_6();

    stele_checkpoint checkpoint;
    assert_status(stele_checkpoint_load(store, "group", &checkpoint), STELE_EPOCH);
    ck_assert_int_eq(checkpoint.position, 4);
    ck_assert_int_eq(checkpoint.shared, 6);
    ck_assert(listed().lost);
    ck_assert_int_eq(listed().shared, 6);
}
END_TEST

START_TEST(reader_of_a_lost_timeline_lets_go_of_what_is_shared)
{
    put_place("reader", 0, 0, 9);
    lose_what_came_after_6();

    ck_assert_int_eq(slowest_since(0), 6);
}
END_TEST

START_TEST(saved_reader_forgets_what_it_parked_of_a_lost_timeline)
{
    put_place("reader", 0, 0, 9);
    park("reader", 5, "a-1", 0);
    park("reader", 8, "b-1", 0);
    lose_what_came_after_6();

    assert_status(stele_checkpoint_save(store, "reader", 10), STELE_OK);

    ck_assert_str_eq(parked_by("reader"), "5");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint rows");
    TCase *tests = add_case(suite, "lanes", open_with_two_streams);
    tcase_add_test(tests, checkpoint_with_lanes_is_where_the_last_of_them_is);
    tcase_add_test(tests, lane_never_saved_beside_others_is_at_nothing);
    tcase_add_test(tests,
                   checkpoint_with_lanes_has_no_owner_and_was_saved_when_the_last_of_them_was);
    tcase_add_test(tests, tries_are_forgotten_when_it_goes_elsewhere);
    tcase_add_test(tests, row_of_the_name_that_stayed_beside_its_lanes_does_not_count);
    tcase_add_test(tests, save_moves_all_lanes);
    tcase_add_test(tests, lanes_are_moved_and_claimed_by_their_owners_only);
    tcase_add_test(tests, reset_forgets_lanes_members_and_what_was_parked);
    tcase_add_test(tests, damaged_rows_are_mended_by_saving_and_by_reset);
    tests = add_case(suite, "parked", open_with_two_streams);
    tcase_add_test(tests, rewound_reader_forgets_what_it_parked_of_what_comes_again);
    tcase_add_test(tests, deleted_stream_takes_what_was_parked_of_it_and_what_waited);
    tcase_add_test(tests, reader_lets_go_of_what_is_before_the_first_that_it_parked);
    tcase_add_test(tests, retention_keeps_what_a_reader_has_parked);
    tests = add_case(suite, "lost", open_with_two_streams);
    tcase_add_test(tests, one_lane_of_a_lost_timeline_is_enough);
    tcase_add_test(tests, reader_of_a_lost_timeline_lets_go_of_what_is_shared);
    tcase_add_test(tests, saved_reader_forgets_what_it_parked_of_a_lost_timeline);
    return run_suite(suite);
}
