/* Lanes: members share them, take them over, and hand them on. */
#include "groups.h"

#include <pthread.h>

enum { LANES = 8, MEMBERS_MAX = 8 };

static void open_with_table(void)
{
    open_in_file();
    make_handled_table();
}

/* Take what comes at once, and acknowledge it: a member that works by itself. */
static size_t work_off(stele_subscription *member, uint32_t timeout_ms)
{
    stele_wait wait = wait_for_ms(timeout_ms);
    const stele_batch *batch = NULL;
    size_t count = 0;
    stele_status status;
    while ((status = stele_subscription_next(member, &wait, &batch)) == STELE_OK) {
        count += batch->count;
        assert_status(stele_subscription_ack(member, batch->through), STELE_OK);
    }
    ck_assert_msg(status == STELE_TIMED_OUT || status == STELE_DONE, "%s: %s",
                  stele_status_name(status), stele_error_text());
    return count;
}

static stele_subscription *join(const char *owner, uint32_t lease_ms)
{
    stele_subscription_options options = make_group(LANES);
    options.owner = owner;
    options.lease_ms = lease_ms;
    return open_subscription(&options);
}

/* --- Making lanes --- */

static void *open_and_look(void *context)
{
    (void)context;
    stele_subscription_options options = make_group(LANES);
    options.start = STELE_START_HEAD;
    stele_subscription *member = open_subscription(&options);
    stele_wait wait = wait_for_ms(100);
    const stele_batch *batch = NULL;
    stele_status status = STELE_BUSY;
    while (status == STELE_BUSY)
        status = stele_subscription_next(member, &wait, &batch);
    ck_assert_int_eq(status, STELE_TIMED_OUT);
    stele_subscription_close(member);
    return NULL;
}

START_TEST(rival_first_members_make_all_lanes_once_from_one_position)
{
    pthread_t threads[MEMBERS_MAX];
    append_spread(store, 0, 20);

    for (int i = 0; i < MEMBERS_MAX; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_look, NULL), 0);
    for (int i = 0; i < MEMBERS_MAX; i++)
        pthread_join(threads[i], NULL);

    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM checkpoints"), LANES);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM checkpoints WHERE lanes = 8"
                                              " AND position = 20 AND lane BETWEEN 1 AND 8"),
                     LANES);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM members"), 0);
}
END_TEST

START_TEST(nothing_is_written_before_a_member_is_used)
{
    append_spread(store, 0, 20);
    stele_subscription *member = join("a", 30000);

    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM checkpoints"), 0);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM members"), 0);
    stele_subscription_close(member);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM checkpoints"), 0);
}
END_TEST

START_TEST(other_number_of_lanes_is_refused)
{
    append_spread(store, 0, 20);
    stele_subscription *member = join("a", 30000);
    work_off(member, 0);
    stele_subscription_options options = make_group(LANES / 2);
    stele_subscription *other = NULL;

    assert_status(stele_subscription_open(store, &options, &other), STELE_MISUSE);
    options.lanes = 0;
    assert_status(stele_subscription_open(store, &options, &other), STELE_MISUSE);
    stele_subscription_close(member);
}
END_TEST

START_TEST(member_goes_on_with_new_lanes_after_a_reset)
{
    bool found = false;
    append_spread(store, 0, 50);
    stele_subscription *member = join("a", 30000);
    ck_assert_uint_eq(work_off(member, 0), 50);
    int64_t before = sql_number(store_path(), "SELECT max(generation) FROM checkpoints");

    assert_status(stele_checkpoint_reset(store, "g", &found), STELE_OK);
    ck_assert(found);

    while (saved_position("g") < 50)
        work_off(member, 20);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM checkpoints"), LANES);
    ck_assert_int_gt(sql_number(store_path(), "SELECT min(generation) FROM checkpoints"), before);
    stele_subscription_close(member);
}
END_TEST

/* --- Sharing --- */

/* All members in turn, with events in all lanes, until the lanes are so. */
static void settle_shares(stele_subscription *const *members, size_t count, const int64_t wanted[3])
{
    static int appended = 100000;
    int64_t shares[3] = { -1, -1, -1 };
    for (int round = 0; round < 1000 && memcmp(shares, wanted, sizeof(shares)) != 0; round++) {
        append_spread(store, appended, GROUP_STREAMS);
        appended += GROUP_STREAMS;
        for (size_t i = 0; i < count; i++)
            work_off(members[i], 0);
        sleep_ms(10);
        shares[0] = lanes_of("a");
        shares[1] = lanes_of("b");
        shares[2] = lanes_of("c");
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(shares[i], wanted[i]);
}

#define SHARES(a, b, c) ((const int64_t[3]){ a, b, c })

/* Until nothing is left to do. */
static size_t work_to_the_end(stele_subscription *member)
{
    size_t count = 0;
    for (int i = 0; i < 500 && saved_position("g") < head_of(store); i++)
        count += work_off(member, 20);
    ck_assert_int_eq(saved_position("g"), head_of(store));
    return count;
}

START_TEST(members_get_fair_shares_as_they_come_and_go)
{
    stele_subscription *members[3] = { join("a", 30000) };

    settle_shares(members, 1, SHARES(8, 0, 0));
    members[1] = join("b", 30000);
    settle_shares(members, 2, SHARES(4, 4, 0));
    members[2] = join("c", 30000);
    settle_shares(members, 3, SHARES(3, 3, 2));
    stele_subscription_close(members[0]);
    settle_shares(members + 1, 2, SHARES(0, 4, 4));
    work_to_the_end(members[1]);
    stele_subscription_close(members[1]);
    stele_subscription_close(members[2]);

    settle_shares(members, 0, SHARES(0, 0, 0));
}
END_TEST

START_TEST(lane_is_handed_over_only_after_its_batch)
{
    append_spread(store, 0, 4 * GROUP_STREAMS);
    stele_subscription *a = join("a", 30000);
    const stele_batch *batch = pull(a);
    uint32_t lane = batch->lane;
    int64_t through = batch->through;
    stele_subscription *b = join("b", 30000);

    for (int i = 0; i < 4; i++) {
        const stele_batch *other = NULL;
        stele_wait wait = wait_for_ms(50);
        while (stele_subscription_next(b, &wait, &other) == STELE_OK) {
            ck_assert_uint_ne(other->lane, lane);
            assert_status(stele_subscription_ack(b, other->through), STELE_OK);
        }
    }
    assert_status(stele_subscription_ack(a, through), STELE_OK);
    stele_subscription_close(a);

    work_to_the_end(b);
    stele_subscription_close(b);
}
END_TEST

START_TEST(member_without_a_lane_waits_until_one_is_left)
{
    stele_subscription_options options = make_group(1);
    options.owner = "a";
    stele_subscription *a = open_subscription(&options);
    options.owner = "b";
    stele_subscription *b = open_subscription(&options);
    append_spread(store, 0, 10);
    ck_assert_uint_eq(work_off(a, 0), 10);
    ck_assert_uint_eq(work_off(b, 50), 0);

    stele_subscription_close(a);
    append_spread(store, 10, 10);

    ck_assert_uint_eq(work_to_the_end(b), 10);
    stele_subscription_close(b);
}
END_TEST

START_TEST(member_is_done_when_all_lanes_are_through)
{
    append_spread(store, 0, 4 * GROUP_STREAMS);
    stele_subscription_options options = make_group(LANES);
    options.stop = STELE_STOP_HEAD;
    options.batch_count_max = 1000;
    stele_subscription *a = open_subscription(&options);
    stele_subscription *b = open_subscription(&options);
    stele_wait wait = wait_for_ms(200);
    const stele_batch *batch = NULL;

    int64_t through = pull(b)->through;
    stele_status status;
    while ((status = stele_subscription_next(a, &wait, &batch)) == STELE_OK)
        assert_status(stele_subscription_ack(a, batch->through), STELE_OK);
    ck_assert_int_eq(status, STELE_TIMED_OUT);

    assert_status(stele_subscription_ack(b, through), STELE_OK);
    stele_subscription_close(b);
    wait = wait_for_ms(10000);
    while ((status = stele_subscription_next(a, &wait, &batch)) == STELE_OK)
        assert_status(stele_subscription_ack(a, batch->through), STELE_OK);
    ck_assert_int_eq(status, STELE_DONE);
    ck_assert_int_eq(saved_position("g"), head_of(store));
    stele_subscription_close(a);
}
END_TEST

/* --- Leases --- */

START_TEST(silent_member_loses_its_lanes_and_is_refused)
{
    append_spread(store, 0, 4 * GROUP_STREAMS);
    stele_subscription *a = join("a", 1000);
    int64_t through = pull(a)->through;
    stele_subscription *b = join("b", 30000);

    /* The lease of a ends: it is silent for longer. */
    work_to_the_end(b);

    assert_status(stele_subscription_ack(a, through), STELE_FENCED);
    stele_subscription *members[] = { a, b };
    settle_shares(members, 2, SHARES(4, 4, 0));
    stele_subscription_close(a);
    stele_subscription_close(b);
}
END_TEST

START_TEST(member_that_ended_without_leaving_is_forgotten)
{
    stele_subscription *a = join("a", 1000);
    work_off(a, 0);
    run_sql(store_path(), "UPDATE members SET owner = 'gone' WHERE owner = 'a'");
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM members"), 1);
    /* Its row is damaged now: that isn't passed over. */
    stele_subscription *b = join("b", 1000);
    const stele_batch *batch = NULL;
    stele_wait wait = wait_for_ms(0);
    assert_status(stele_subscription_next(b, &wait, &batch), STELE_CORRUPT);
    run_sql(store_path(), "UPDATE members SET owner = 'a'");
    sleep_ms(1050);

    work_off(b, 0);

    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM members WHERE owner = 'a'"), 0);
    stele_subscription_close(b);
    stele_subscription_close(a);
}
END_TEST

START_TEST(idle_members_write_nothing_between_heartbeats)
{
    append_spread(store, 0, 20);
    /* Their heartbeats are a third of it apart: however long this takes, none is due. */
    stele_subscription *members[2] = { join("a", STELE_LEASE_MS_MAX),
                                       join("b", STELE_LEASE_MS_MAX) };
    settle_shares(members, 2, SHARES(4, 4, 0));
    for (int i = 0; i < 3; i++) {
        work_off(members[0], 60);
        work_off(members[1], 60);
    }
    sqlite3 *raw = open_raw(store_path());
    int64_t version = raw_number(raw, "PRAGMA data_version");

    for (int i = 0; i < 3; i++) {
        work_off(members[0], 50);
        work_off(members[1], 50);
    }

    ck_assert_int_eq(raw_number(raw, "PRAGMA data_version"), version);
    sqlite3_close(raw);
    stele_subscription_close(members[0]);
    stele_subscription_close(members[1]);
}
END_TEST

START_TEST(heartbeat_keeps_all_lanes_of_a_member_that_has_nothing_to_do)
{
    append_spread(store, 0, 4 * GROUP_STREAMS);
    stele_subscription *a = join("a", 1000);
    work_off(a, 0);
    ck_assert_int_eq(lanes_of("a"), LANES);
    int64_t generation = sql_number(store_path(), "SELECT sum(generation) FROM checkpoints");

    work_off(a, 1150);

    ck_assert_int_eq(sql_number(store_path(), "SELECT sum(generation) FROM checkpoints"),
                     generation);
    ck_assert_int_eq(lanes_of("a"), LANES);
    stele_subscription_close(a);
}
END_TEST

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether all of it was done while the lease held: a slow machine needs a longer one. */
static bool go_on_beside_a_writer(const char *owner, uint32_t lease_ms, int from)
{
    stele_wait wait = wait_for_ms(lease_ms / 2);
    const stele_batch *batch = NULL;
    append_spread(store, from, 4 * GROUP_STREAMS);
    stele_subscription *a = join(owner, lease_ms);
    int64_t begun_at = clock_ms();
    work_off(a, 0); /* which renews, when it takes long */
    ck_assert_int_eq(lanes_of(owner), LANES);
    append_spread(store, from + 1000, GROUP_STREAMS);

    sleep_ms((long)lease_ms / 3 + 50);
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");
    stele_status status = stele_subscription_next(a, &wait, &batch);
    run_raw(raw, "ROLLBACK");
    sqlite3_close(raw);

    bool in_time = clock_ms() - begun_at < lease_ms;
    ck_assert(status == STELE_OK || !in_time);
    if (status == STELE_OK)
        assert_status(stele_subscription_ack(a, batch->through), STELE_OK);
    stele_subscription_close(a);
    return in_time;
}

START_TEST(member_that_cannot_write_its_heartbeat_goes_on_with_what_it_has)
{
    uint32_t lease_ms = 3000;
    for (int turn = 0; turn < 4; turn++, lease_ms *= 2) {
        char owner[16];
        snprintf(owner, sizeof(owner), "a-%d", turn);
        if (go_on_beside_a_writer(owner, lease_ms, turn * 10000))
            return;
    }
    ck_abort_msg("not once in time, not even with %" PRIu32 " ms", lease_ms);
}
END_TEST

/* --- At least once --- */

START_TEST(batch_that_was_not_acknowledged_comes_again_with_the_same_keys)
{
    char keys[16][STELE_SUBSCRIPTION_KEY_SIZE];
    char key[STELE_SUBSCRIPTION_KEY_SIZE];
    append_spread(store, 0, 4 * GROUP_STREAMS);
    stele_subscription_options options = make_group(LANES);
    options.delivery = STELE_AT_LEAST_ONCE;
    stele_subscription *a = open_subscription(&options);
    const stele_batch *batch = pull(a);
    uint32_t lane = batch->lane;
    size_t count = batch->count;
    for (size_t i = 0; i < count; i++)
        assert_status(stele_subscription_key(a, batch->records[i], keys[i]), STELE_OK);
    stele_subscription_close(a);

    stele_subscription *b = open_subscription(&options);
    for (batch = pull(b); batch->lane != lane; batch = pull(b))
        assert_status(stele_subscription_ack(b, batch->through), STELE_OK);

    ck_assert_uint_ge(batch->count, 1);
    for (size_t i = 0; i < batch->count && i < count; i++) {
        assert_status(stele_subscription_key(b, batch->records[i], key), STELE_OK);
        ck_assert_str_eq(key, keys[i]);
    }
    stele_subscription_close(b);
}
END_TEST

static Suite *groups_making(void)
{
    Suite *suite = suite_create("groups");
    TCase *making = add_case(suite, "making", open_with_table);
    tcase_add_test(making, rival_first_members_make_all_lanes_once_from_one_position);
    tcase_add_test(making, nothing_is_written_before_a_member_is_used);
    tcase_add_test(making, other_number_of_lanes_is_refused);
    tcase_add_test(making, member_goes_on_with_new_lanes_after_a_reset);
    return suite;
}

static Suite *groups_sharing_1(void)
{
    Suite *suite = suite_create("groups");
    TCase *sharing = add_case(suite, "sharing", open_with_table);
    tcase_set_timeout(sharing, 600);
    tcase_add_test(sharing, members_get_fair_shares_as_they_come_and_go);
    tcase_add_test(sharing, member_without_a_lane_waits_until_one_is_left);
    return suite;
}

static Suite *groups_sharing_2(void)
{
    Suite *suite = suite_create("groups");
    TCase *sharing = add_case(suite, "sharing", open_with_table);
    tcase_set_timeout(sharing, 600);
    tcase_add_test(sharing, lane_is_handed_over_only_after_its_batch);
    tcase_add_test(sharing, member_is_done_when_all_lanes_are_through);
    return suite;
}

static Suite *groups_leases_1(void)
{
    Suite *suite = suite_create("groups");
    TCase *leases = add_case(suite, "leases", open_with_table);
    tcase_set_timeout(leases, 600);
    tcase_add_test(leases, silent_member_loses_its_lanes_and_is_refused);
    tcase_add_test(leases, heartbeat_keeps_all_lanes_of_a_member_that_has_nothing_to_do);
    return suite;
}

static Suite *groups_leases_2(void)
{
    Suite *suite = suite_create("groups");
    TCase *leases = add_case(suite, "leases", open_with_table);
    tcase_set_timeout(leases, 600);
    tcase_add_test(leases, member_that_ended_without_leaving_is_forgotten);
    tcase_add_test(leases, member_that_cannot_write_its_heartbeat_goes_on_with_what_it_has);
    return suite;
}

static Suite *groups_leases_3(void)
{
    Suite *suite = suite_create("groups");
    TCase *leases = add_case(suite, "leases", open_with_table);
    tcase_set_timeout(leases, 600);
    tcase_add_test(leases, idle_members_write_nothing_between_heartbeats);
    return suite;
}

static Suite *groups_again(void)
{
    Suite *suite = suite_create("groups");
    TCase *again = add_case(suite, "again", open_with_table);
    tcase_add_test(again, batch_that_was_not_acknowledged_comes_again_with_the_same_keys);
    return suite;
}

/* Half of their time they wait for leases to end. */
int main(void)
{
    static Suite *(*const suites[])(void) = { groups_making,   groups_sharing_1, groups_sharing_2,
                                              groups_leases_1, groups_leases_2,  groups_leases_3,
                                              groups_again };
    return run_suites_together(suites, COUNT_OF(suites));
}
