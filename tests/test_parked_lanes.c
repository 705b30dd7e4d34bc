/* Replaying parked events of lanes that move from one member to another meanwhile. */
#include "groups.h"
#include "parkings.h"

#include <pthread.h>

#include "checkpoint/own.h"
#include "effort.h"

/* --- At one moment --- */

static stele_subscription_options options;
static stele_parked_choice choice;
static stele_parked_counts counts;
static stele_parked_counts rivals;
static stele_subscription *member;
static stele_subscription *rival;
static void (*meddle)(void);

static int64_t (*real_lease_now)(void);
static int64_t lease_time_us;

static int64_t tell_lease_time(void)
{
    return lease_time_us;
}

static stele_subscription *join_as(const char *owner)
{
    options.owner = owner;
    return open_subscription(&options);
}

/* Position 5 of a-1 is parked, and 7 and 9 behind it, by a subscription of three lanes. */
static void open_with_members(void)
{
    real_lease_now = stele__lease_now_us;
    stele__lease_now_us = tell_lease_time;
    lease_time_us = INT64_C(1000000000);
    open_with_ten();
    options = make_parking("l");
    options.lanes = 3;
    options.delivery = STELE_AT_LEAST_ONCE;
    choice = choose("l");
    counts = (stele_parked_counts){ 0 };
    rivals = (stele_parked_counts){ 0 };
    seen.poison = 5;
    assert_status(run_through(&options, &seen), STELE_DONE);
    seen.poison = 0;
    seen.count = 0;
    ck_assert_str_eq(parked_text("l"), "5 7<5 9<5");
    member = join_as("member");
    rival = join_as("rival");
}

static void close_members(void)
{
    stele_subscription_close(member);
    stele_subscription_close(rival);
    stele__lease_now_us = real_lease_now;
    close_and_remove();
}

static stele_status handle_and_meddle(void *context, const stele_record *record,
                                      const stele_handling *handling)
{
    void (*now)(void) = meddle;
    meddle = NULL;
    if (now != NULL)
        now();
    return see_event(context, record, handling);
}

static stele_status replay_as(stele_subscription *one, stele_parked_counts *counts_out)
{
    stele_handler handler = seeing(&seen);
    handler.event = handle_and_meddle;
    return stele_subscription_replay(one, &choice, &handler, counts_out);
}

/* --- What the rival does while the member's handler has position 5 --- */

static void try_as_rival(void)
{
    assert_status(replay_as(rival, &rivals), STELE_BUSY);
    assert_reason_has("'member'");
}

static void replay_as_rival(void)
{
    lease_time_us += INT64_C(3600000000);
    assert_status(replay_as(rival, &rivals), STELE_OK);
    ck_assert_uint_eq(rivals.handled, 3);
}

static void fail_as_rival(void)
{
    lease_time_us += INT64_C(3600000000);
    seen.poison = 5;
    assert_status(replay_as(rival, &rivals), STELE_OK);
    seen.poison = 0;
    ck_assert_uint_eq(rivals.failed, 1);
}

START_TEST(lane_is_not_replayed_by_two_at_a_time)
{
    meddle = try_as_rival;

    assert_status(replay_as(member, &counts), STELE_OK);

    ck_assert_uint_eq(rivals.handled, 0);
    ck_assert_uint_eq(counts.handled, 3);
    ck_assert_uint_eq(seen.count, 3);
    ck_assert_str_eq(parked_text("l"), "");
}
END_TEST

/* What the rival has taken away isn't missed, and is handled no third time. */
START_TEST(lane_that_moves_and_is_replayed_there_leaves_nothing_to_do)
{
    meddle = replay_as_rival;

    assert_status(replay_as(member, &counts), STELE_OK);

    ck_assert_uint_eq(counts.left, 0);
    ck_assert_uint_eq(seen.count, 4); /* 5 was at hand when the lane moved */
    ck_assert_str_eq(parked_text("l"), "");
}
END_TEST

START_TEST(member_whose_lane_has_moved_takes_nothing_away)
{
    meddle = fail_as_rival;

    assert_status(replay_as(member, &counts), STELE_FENCED);

    ck_assert_uint_eq(counts.handled, 0);
    ck_assert_str_eq(parked_text("l"), "5 7<5 9<5");
    ck_assert_str_eq(parked_at("l", 5).reason, "poison");
    assert_status(replay_as(member, &counts), STELE_BUSY);
    assert_reason_has("'rival'");
    assert_status(replay_as(rival, &rivals), STELE_OK);
    ck_assert_uint_eq(rivals.handled, 3);
    ck_assert_str_eq(parked_text("l"), "");
}
END_TEST

/* Also of what is handled in the transaction: the handler's writes go with the lane. */
START_TEST(exactly_once_goes_on_with_the_next_member)
{
    stele_subscription_close(member);
    stele_subscription_close(rival);
    options.delivery = STELE_EXACTLY_ONCE;
    member = join_as("member");
    rival = join_as("rival");
    choice.limit = 1;
    assert_status(replay_as(member, &counts), STELE_OK);
    assert_status(replay_as(rival, &rivals), STELE_BUSY);
    lease_time_us += INT64_C(3600000000);
    assert_status(replay_as(rival, &rivals), STELE_OK);
    assert_status(replay_as(member, &counts), STELE_BUSY);
    lease_time_us += INT64_C(3600000000);
    assert_status(replay_as(member, &counts), STELE_OK);

    ck_assert_uint_eq(counts.handled, 1);
    ck_assert_uint_eq(rivals.handled, 1);
    ck_assert_str_eq(parked_text("l"), "");
    ck_assert_str_eq(seen_text(), "5 7 9"); /* it had no transaction before */
}
END_TEST

/* --- For a while --- */

enum { LANES = 8, MEMBERS_MAX = 4 };

static atomic_bool asks;
static atomic_uint replay_tries;

static void open_with_table(void)
{
    open_in_file();
    make_handled_table();
    atomic_store(&asks, true);
    atomic_store(&replay_tries, 0);
}

/* Every ninth event fails at first, and every third of them when it is replayed. */
static stele_status fail_now_and_then(void *context, const stele_record *record,
                                      const stele_handling *handling)
{
    if (record->position % 9 == 0
        && (!handling->replay || atomic_fetch_add(&replay_tries, 1) % 3 == 0))
        return stele_handling_fail(handling, record->position, "not now");
    return write_down(context, record, handling);
}

static void *ask_again_and_again(void *context)
{
    stele_parked_choice all = choose("g");
    (void)context;
    while (atomic_load(&asks)) {
        stele_status status = stele_parked_ask(store, &all, NULL);
        ck_assert_msg(status == STELE_OK || status == STELE_BUSY, "%s", stele_error_text());
        sleep_ms(20);
    }
    return NULL;
}

static void start_member(stele_worker **worker, int *number)
{
    stele_subscription_options own = make_group(LANES);
    stele_handler handler = writing_down(number);
    handler.event = fail_now_and_then;
    own.on_failure = STELE_ON_FAILURE_PARK;
    own.tries = 1;
    assert_status(stele_worker_start(store, &own, &handler, 1, worker), STELE_OK);
}

static void change_members(stele_worker *workers[MEMBERS_MAX], int numbers[MEMBERS_MAX])
{
    size_t chosen = next_chance() % MEMBERS_MAX;
    if (workers[chosen] == NULL) {
        start_member(&workers[chosen], &numbers[chosen]);
        return;
    }
    stele_worker_close(workers[chosen]);
    workers[chosen] = NULL;
}

static int64_t count_parked(void)
{
    return sql_number(store_path(), "SELECT count(*) FROM parked");
}

START_TEST(each_parked_event_is_replayed_once_and_in_order_while_lanes_move)
{
    stele_worker *workers[MEMBERS_MAX] = { NULL };
    int numbers[MEMBERS_MAX] = { 0, 1, 2, 3 };
    int events = effort_is_long() ? 10000 : 600;
    uint64_t seed = choose_seed();
    pthread_t asker;
    ck_assert_int_eq(pthread_create(&asker, NULL, ask_again_and_again, NULL), 0);

    for (int i = 0; i < events; i += 10) {
        append_spread(store, i, 10);
        if (one_in(3))
            change_members(workers, numbers);
    }
    if (workers[0] == NULL)
        start_member(&workers[0], &numbers[0]);
    wait_until_handled(events);
    for (int i = 0; i < 6000 && count_parked() > 0; i++) {
        if (i % 40 == 39)
            change_members(workers, numbers);
        if (workers[0] == NULL)
            start_member(&workers[0], &numbers[0]);
        sleep_ms(10);
    }
    atomic_store(&asks, false);
    pthread_join(asker, NULL);
    for (int i = 0; i < MEMBERS_MAX; i++)
        stele_worker_close(workers[i]);

    printf("# parked lanes: seed %" PRIu64 ", %d events, %u replays of what fails\n", seed, events,
           atomic_load(&replay_tries));
    ck_assert_int_eq(count_parked(), 0);
    expect_handled_once();
}
END_TEST

static Suite *parked_lanes_suite(void)
{
    Suite *suite = suite_create("parked_lanes");
    TCase *moment = tcase_create("moment");
    tcase_add_checked_fixture(moment, open_with_members, close_members);
    tcase_set_timeout(moment, 60);
    suite_add_tcase(suite, moment);
    tcase_add_test(moment, lane_is_not_replayed_by_two_at_a_time);
    tcase_add_test(moment, lane_that_moves_and_is_replayed_there_leaves_nothing_to_do);
    tcase_add_test(moment, member_whose_lane_has_moved_takes_nothing_away);
    tcase_add_test(moment, exactly_once_goes_on_with_the_next_member);
    TCase *moving = add_case(suite, "moving", open_with_table);
    tcase_set_timeout(moving, 300);
    tcase_add_test(moving, each_parked_event_is_replayed_once_and_in_order_while_lanes_move);
    return suite;
}

int main(void)
{
    return run_suite(parked_lanes_suite());
}
