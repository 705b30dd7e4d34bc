/* How streams are dealt out to lanes: evenly, and in SQL as in C. */
#include "groups.h"

#include "eventstore/follow.h"

enum { LANES_MOST = 16, IDS = 20000 };

/* The expression of src/eventstore/filter.c. That this is the one shows what is read of a lane. */
#define LANE_SQL "((?1 & 1048575) * 2654435761 >> 20 & 4095) % ?2 + 1"

static void expect_even(int64_t first, int64_t step, uint32_t lanes)
{
    int64_t counts[STELE_LANES_MAX] = { 0 };
    for (int64_t i = 0; i < IDS; i++) {
        uint32_t lane = stele__lane_of(first + i * step, lanes);
        ck_assert_uint_ge(lane, 1);
        ck_assert_uint_le(lane, lanes);
        counts[lane - 1]++;
    }
    int64_t fair = IDS / lanes;
    for (uint32_t lane = 0; lane < lanes; lane++)
        ck_assert_msg(counts[lane] > fair / 2 && counts[lane] < 2 * fair,
                      "%" PRId64 " of %d ids by %" PRId64 " are in lane %u of %u", counts[lane],
                      (int)IDS, step, lane + 1, lanes);
}

START_TEST(ids_of_any_step_are_spread_evenly)
{
    for (uint32_t lanes = 1; lanes <= LANES_MOST; lanes++) {
        expect_even(1, 1, lanes);
        expect_even(2, 2, lanes);
        expect_even(lanes, lanes, lanes);
        expect_even(1, 3 * (int64_t)lanes, lanes);
    }
    expect_even(1, 1, 64);
}
END_TEST

static uint32_t lane_in_sql(sqlite3_stmt *statement, int64_t id, uint32_t lanes)
{
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, lanes);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    ck_assert_int_eq(sqlite3_column_type(statement, 0), SQLITE_INTEGER);
    uint32_t lane = (uint32_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return lane;
}

START_TEST(sql_and_c_agree_on_ids_up_to_two_to_the_forty)
{
    sqlite3_stmt *statement = NULL;
    sqlite3 *raw = open_raw(":memory:");
    ck_assert_int_eq(sqlite3_prepare_v2(raw, "SELECT " LANE_SQL, -1, &statement, NULL), SQLITE_OK);

    for (int shift = 0; shift <= 40; shift++)
        for (int64_t near = -3; near <= 3; near++)
            for (uint32_t lanes = 1; lanes <= STELE_LANES_MAX; lanes = lanes * 2 + 1) {
                int64_t id = (INT64_C(1) << shift) + near;
                if (id > 0)
                    ck_assert_uint_eq(lane_in_sql(statement, id, lanes), stele__lane_of(id, lanes));
            }
    for (int64_t id = 1; id < INT64_C(1) << 40; id += INT64_C(123456789))
        ck_assert_uint_eq(lane_in_sql(statement, id, 7), stele__lane_of(id, 7));
    sqlite3_finalize(statement);
    sqlite3_close(raw);
}
END_TEST

static int64_t id_of(sqlite3 *raw, const char *stream)
{
    char sql[100];
    snprintf(sql, sizeof(sql), "SELECT id FROM streams WHERE name = '%s'", stream);
    return raw_number(raw, sql);
}

/* How many streams a reader of the lane is given; each must be of it. */
static int count_streams(sqlite3 *raw, uint32_t lanes, uint32_t lane)
{
    stele_read read = STELE_READ_INIT;
    stele__follow *follow = NULL;
    stele__looked looked = { 0 };
    char epoch[37] = "";
    int count = 0;
    stele__follow_look look = { .epoch = epoch, .count_max = 100, .size_max = 1 << 20 };
    assert_status(stele__follow_open(store, &read, lanes, lane, false, &follow), STELE_OK);
    do {
        look.after = looked.through;
        assert_status(stele__follow_once(follow, &look, &looked), STELE_OK);
        for (size_t i = 0; i < looked.count; i++)
            ck_assert_uint_eq(stele__lane_of(id_of(raw, looked.records[i]->stream), lanes), lane);
        count += (int)looked.count;
    } while (looked.through < looked.head);
    stele__follow_close(follow);
    return count;
}

START_TEST(each_stream_is_read_in_exactly_its_lane)
{
    enum { STREAMS = 300 };
    sqlite3 *raw = open_raw(store_path());
    for (int i = 0; i < STREAMS; i++) {
        char stream[32];
        snprintf(stream, sizeof(stream), "s-%d", i);
        assert_status(append_one(stream, STELE_ANY, "t", NULL), STELE_OK);
    }
    for (uint32_t lanes = 1; lanes <= 9; lanes += 2) {
        int sum = 0;
        for (uint32_t lane = 1; lane <= lanes; lane++)
            sum += count_streams(raw, lanes, lane);
        ck_assert_int_eq(sum, STREAMS);
    }
    sqlite3_close(raw);
}
END_TEST

static Suite *lanes_suite(void)
{
    Suite *suite = suite_create("lanes");
    TCase *spread = add_case(suite, "spread", open_in_file);
    tcase_add_test(spread, ids_of_any_step_are_spread_evenly);
    tcase_add_test(spread, sql_and_c_agree_on_ids_up_to_two_to_the_forty);
    tcase_add_test(spread, each_stream_is_read_in_exactly_its_lane);
    return suite;
}

int main(void)
{
    return run_suite(lanes_suite());
}
