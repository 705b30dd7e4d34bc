/* Parked events: listing them, asking for their replay, dropping them. */
#include "parkings.h"

#include <stele/lifecycle.h>
#include <stele/retention.h>

/* --- The list --- */

START_TEST(parked_events_are_listed_by_subscription_and_position)
{
    park_of("r", 8);

    stele_parked_list *list = NULL;
    const stele_parked *parked = NULL;
    assert_status(stele_store_parked(store, NULL, &list), STELE_OK);

    const struct {
        const char *subscription;
        int64_t position;
    } expected[] = { { "r", 8 }, { "r", 10 }, { "s", 5 }, { "s", 7 }, { "s", 9 } };
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_status(stele_parked_next(list, &parked), STELE_OK);
        ck_assert_str_eq(parked->subscription, expected[i].subscription);
        ck_assert_int_eq(parked->position, expected[i].position);
    }
    assert_status(stele_parked_next(list, &parked), STELE_DONE);
    ck_assert_ptr_null(parked);
    assert_status(stele_parked_next(list, &parked), STELE_DONE);
    stele_parked_close(list);
    ck_assert_str_eq(parked_text("r"), "8 10<8");
    ck_assert_str_eq(parked_text("nobody"), "");
}
END_TEST

START_TEST(parked_event_tells_its_reason_and_who_waits_behind_it)
{
    stele_parked failed = parked_at("s", 5);
    ck_assert_str_eq(failed.stream, "a-1");
    ck_assert_str_eq(failed.reason, "poison");
    ck_assert_int_eq(failed.behind, 0);
    ck_assert_int_eq(failed.attempts, 2);
    ck_assert_int_gt(failed.parked_at, 0);
    ck_assert_int_eq(failed.asked_at, 0);

    stele_parked waiting = parked_at("s", 9);
    ck_assert_str_eq(waiting.stream, "a-1");
    ck_assert_str_eq(waiting.reason, "");
    ck_assert_int_eq(waiting.behind, 5);
    ck_assert_int_eq(waiting.attempts, 0);
}
END_TEST

START_TEST(list_is_of_one_moment)
{
    stele_parked_list *list = NULL;
    const stele_parked *parked = NULL;
    stele_parked_choice choice = choose("s");
    assert_status(stele_store_parked(store, "s", &list), STELE_OK);
    assert_status(stele_parked_next(list, &parked), STELE_OK);

    assert_status(stele_parked_drop(store, &choice, NULL), STELE_OK);

    assert_status(stele_parked_next(list, &parked), STELE_OK);
    ck_assert_int_eq(parked->position, 7);
    stele_parked_close(list);
    ck_assert_str_eq(parked_text("s"), "");
}
END_TEST

START_TEST(list_of_a_closed_store_is_closed)
{
    stele_parked_list *list = NULL;
    const stele_parked *parked = (const stele_parked *)&list;
    assert_status(stele_store_parked(store, "s", &list), STELE_OK);
    close_store();

    assert_status(stele_parked_next(list, &parked), STELE_CLOSED);
    ck_assert_ptr_null(parked);
    stele_parked_close(list);
    stele_parked_close(NULL);
}
END_TEST

START_TEST(list_refuses_what_is_no_argument)
{
    stele_parked_list *list = (stele_parked_list *)&list;
    const stele_parked *parked = NULL;
    assert_status(stele_store_parked(NULL, "s", &list), STELE_MISUSE);
    ck_assert_ptr_null(list);
    assert_status(stele_store_parked(store, "", &list), STELE_MISUSE);
    assert_status(stele_store_parked(store, "s", NULL), STELE_MISUSE);
    assert_status(stele_parked_next(NULL, &parked), STELE_MISUSE);
    assert_status(stele_store_parked(store, "s", &list), STELE_OK);
    assert_status(stele_parked_next(list, NULL), STELE_MISUSE);
    stele_parked_close(list);
}
END_TEST

START_TEST(damage_to_a_parked_row_is_an_error)
{
    stele_parked_list *list = NULL;
    stele_parked_choice choice = choose("s");
    close_store();
    run_sql(store_path(), "UPDATE parked SET reason = 'none' WHERE position = 7");
    open_in_file();

    assert_status(stele_store_parked(store, "s", &list), STELE_CORRUPT);
    assert_reason_has("position 7");
    ck_assert_ptr_null(list);
    assert_status(stele_parked_ask(store, &choice, NULL), STELE_CORRUPT);
    assert_status(stele_parked_drop(store, &choice, NULL), STELE_CORRUPT);
}
END_TEST

/* --- Asking --- */

START_TEST(asking_marks_what_is_chosen_and_gives_it_its_tries_anew)
{
    stele_parked_choice choice = choose("s");
    stele_parked_counts counts;

    assert_status(stele_parked_ask(store, &choice, &counts), STELE_OK);

    ck_assert_uint_eq(counts.chosen, 3);
    ck_assert_uint_eq(counts.left, 3);
    ck_assert_uint_eq(counts.handled, 0);
    ck_assert_str_eq(parked_text("s"), "5? 7<5? 9<5?");
    ck_assert_int_eq(parked_at("s", 5).attempts, 0);
    ck_assert_str_eq(parked_at("s", 5).reason, "poison");
}
END_TEST

START_TEST(asking_chooses_by_stream_position_and_limit)
{
    park_of("r", 8);
    stele_parked_choice choice = choose("r");
    stele_parked_counts counts;

    choice.stream = "a-1";
    assert_status(stele_parked_ask(store, &choice, &counts), STELE_OK);
    ck_assert_uint_eq(counts.chosen, 0);
    ck_assert_uint_eq(counts.left, 2);
    choice.stream = "b-1";
    choice.limit = 1;
    assert_status(stele_parked_ask(store, &choice, &counts), STELE_OK);
    ck_assert_uint_eq(counts.chosen, 1);
    ck_assert_str_eq(parked_text("r"), "8? 10<8");

    choice = choose("s");
    choice.position = 5;
    assert_status(stele_parked_ask(store, &choice, &counts), STELE_OK);
    ck_assert_str_eq(parked_text("s"), "5? 7<5 9<5");
    choice.position = 6;
    assert_status(stele_parked_ask(store, &choice, &counts), STELE_OK);
    ck_assert_uint_eq(counts.chosen, 0);
    choice.position = 5;
    choice.stream = "b-1";
    assert_status(stele_parked_ask(store, &choice, &counts), STELE_OK);
    ck_assert_uint_eq(counts.chosen, 0);
}
END_TEST

START_TEST(asking_for_one_behind_another_is_misuse)
{
    stele_parked_choice choice = choose("s");
    choice.position = 7;

    assert_status(stele_parked_ask(store, &choice, NULL), STELE_MISUSE);
    assert_reason_has("waits behind 5");

    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
}
END_TEST

START_TEST(dry_run_only_counts)
{
    stele_parked_choice choice = choose("s");
    stele_parked_counts counts;
    choice.dry_run = true;
    choice.limit = 2;

    assert_status(stele_parked_ask(store, &choice, &counts), STELE_OK);
    ck_assert_uint_eq(counts.chosen, 2);
    ck_assert_uint_eq(counts.left, 3);
    assert_status(stele_parked_drop(store, &choice, &counts), STELE_OK);
    ck_assert_uint_eq(counts.chosen, 2);
    ck_assert_uint_eq(counts.left, 3);

    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
}
END_TEST

/* --- Dropping --- */

START_TEST(dropping_leaves_what_waits_behind_in_order)
{
    stele_parked_choice choice = choose("s");
    stele_parked_counts counts;
    choice.position = 5;

    assert_status(stele_parked_drop(store, &choice, &counts), STELE_OK);

    ck_assert_uint_eq(counts.chosen, 1);
    ck_assert_uint_eq(counts.left, 2);
    ck_assert_str_eq(parked_text("s"), "7<5 9<5");
    assert_status(stele_parked_drop(store, &choice, &counts), STELE_OK);
    ck_assert_uint_eq(counts.chosen, 0);
    choice.position = 9;
    assert_status(stele_parked_drop(store, &choice, &counts), STELE_OK);
    ck_assert_str_eq(parked_text("s"), "7<5");
    choice = choose("s");
    assert_status(stele_parked_drop(store, &choice, &counts), STELE_OK);
    ck_assert_uint_eq(counts.left, 0);
}
END_TEST

START_TEST(stream_is_as_any_other_once_all_of_it_is_dropped)
{
    stele_parked_choice choice = choose("s");
    stele_subscription_options options = make_parking("s");
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(run_through(&options, &seen), STELE_DONE);
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5 11<5");

    choice.stream = "a-1";
    assert_status(stele_parked_drop(store, &choice, NULL), STELE_OK);

    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    seen.count = 0;
    assert_status(run_through(&options, &seen), STELE_DONE);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_int_eq(seen.positions[0], 12);
}
END_TEST

START_TEST(deleting_a_stream_takes_what_is_parked_of_it)
{
    stele_delete call = STELE_DELETE_INIT;
    stele_changed changed;
    call.stream = "a-1";

    assert_status(stele_store_delete(store, &call, &changed), STELE_OK);

    ck_assert_str_eq(parked_text("s"), "");
    stele_subscription_options options = make_parking("s");
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(run_through(&options, &seen), STELE_DONE);
    ck_assert_uint_eq(seen.count, 1);
}
END_TEST

START_TEST(trimming_takes_what_is_parked_of_the_events_that_go)
{
    stele_retain retain = STELE_RETAIN_INIT;
    stele_retained retained = { 0 };
    retain.stream = "a-1";
    retain.max_count = 2;
    retain.force = true;

    assert_status(stele_store_retain(store, &retain, &retained), STELE_OK);

    ck_assert_str_eq(parked_text("s"), "7<5 9<5");
}
END_TEST

/* --- What both refuse --- */

static stele_status (*const changes[])(stele_store *store, const stele_parked_choice *choice,
                                       stele_parked_counts *counts) = { stele_parked_ask,
                                                                        stele_parked_drop };

START_TEST(choice_that_means_nothing_is_misuse)
{
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        stele_parked_counts counts = { 9, 9, 9, 9, { 9 } };
        stele_parked_choice choice = choose(NULL);
        assert_status(changes[i](store, &choice, &counts), STELE_MISUSE);
        ck_assert_uint_eq(counts.chosen, 0);
        assert_status(changes[i](store, NULL, NULL), STELE_MISUSE);
        choice = choose("s");
        assert_status(changes[i](NULL, &choice, NULL), STELE_MISUSE);
        choice.struct_size = 0;
        assert_status(changes[i](store, &choice, NULL), STELE_MISUSE);
        choice = choose("");
        assert_status(changes[i](store, &choice, NULL), STELE_MISUSE);
        choice = choose("s");
        choice.stream = "\n";
        assert_status(changes[i](store, &choice, NULL), STELE_MISUSE);
        choice = choose("s");
        choice.position = -1;
        assert_status(changes[i](store, &choice, NULL), STELE_MISUSE);
    }
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
}
END_TEST

START_TEST(change_inside_a_transaction_of_the_thread_is_misuse)
{
    stele_parked_choice choice = choose("s");
    stele_transaction *transaction = begin();
    for (size_t i = 0; i < COUNT_OF(changes); i++)
        assert_status(changes[i](store, &choice, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
}
END_TEST

START_TEST(store_that_is_only_read_takes_no_change)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_parked_choice choice = choose("s");
    stele_parked_counts counts;
    close_store();
    options.read_only = true;
    store = open_path(store_path(), &options);

    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        choice.dry_run = false;
        assert_status(changes[i](store, &choice, &counts), STELE_READ_ONLY);
        choice.dry_run = true;
        assert_status(changes[i](store, &choice, &counts), STELE_OK);
        ck_assert_uint_eq(counts.chosen, 3);
    }
}
END_TEST

START_TEST(change_waits_for_other_writers_only_so_long)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_parked_choice choice = choose("s");
    close_store();
    options.busy_timeout_ms = 50;
    store = open_path(store_path(), &options);
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");

    for (size_t i = 0; i < COUNT_OF(changes); i++)
        assert_status(changes[i](store, &choice, NULL), STELE_BUSY);

    run_raw(raw, "ROLLBACK");
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
}
END_TEST

static int drop_in_child(void *context)
{
    (void)context;
    stele_parked_choice choice = choose("s");
    stele_parked_counts counts;
    store = open_path(store_path(), NULL);
    choice.position = 5;
    stele_status status = stele_parked_drop(store, &choice, &counts);
    choice = choose("s");
    if (status == STELE_OK)
        status = stele_parked_ask(store, &choice, &counts);
    stele_store_close(store);
    return status == STELE_OK && counts.chosen == 2 ? 0 : 1;
}

START_TEST(change_of_another_process_is_seen)
{
    close_store();
    ck_assert_int_eq(run_in_child(drop_in_child, NULL), 0);
    open_in_file();
    ck_assert_str_eq(parked_text("s"), "7<5? 9<5?");
}
END_TEST

START_TEST(choice_is_set_to_its_defaults)
{
    stele_parked_choice choice;
    const stele_parked_choice defaults = STELE_PARKED_CHOICE_INIT;
    memset(&choice, 255, sizeof(choice));
    stele_parked_choice_init(&choice);
    ck_assert_uint_eq(choice.struct_size, sizeof(choice));
    ck_assert_ptr_eq(choice.subscription, defaults.subscription);
    ck_assert_ptr_eq(choice.stream, defaults.stream);
    ck_assert_int_eq(choice.position, 0);
    ck_assert_uint_eq(choice.limit, 0);
    ck_assert(!choice.dry_run);
}
END_TEST

static Suite *parked_suite(void)
{
    Suite *suite = suite_create("parked");
    TCase *listing = add_case(suite, "listing", open_with_parked);
    tcase_add_test(listing, parked_events_are_listed_by_subscription_and_position);
    tcase_add_test(listing, parked_event_tells_its_reason_and_who_waits_behind_it);
    tcase_add_test(listing, list_is_of_one_moment);
    tcase_add_test(listing, list_of_a_closed_store_is_closed);
    tcase_add_test(listing, list_refuses_what_is_no_argument);
    tcase_add_test(listing, damage_to_a_parked_row_is_an_error);
    TCase *asking = add_case(suite, "asking", open_with_parked);
    tcase_add_test(asking, asking_marks_what_is_chosen_and_gives_it_its_tries_anew);
    tcase_add_test(asking, asking_chooses_by_stream_position_and_limit);
    tcase_add_test(asking, asking_for_one_behind_another_is_misuse);
    tcase_add_test(asking, dry_run_only_counts);
    TCase *dropping = add_case(suite, "dropping", open_with_parked);
    tcase_add_test(dropping, dropping_leaves_what_waits_behind_in_order);
    tcase_add_test(dropping, stream_is_as_any_other_once_all_of_it_is_dropped);
    tcase_add_test(dropping, deleting_a_stream_takes_what_is_parked_of_it);
    tcase_add_test(dropping, trimming_takes_what_is_parked_of_the_events_that_go);
    TCase *both = add_case(suite, "both", open_with_parked);
    tcase_add_test(both, choice_that_means_nothing_is_misuse);
    tcase_add_test(both, change_inside_a_transaction_of_the_thread_is_misuse);
    tcase_add_test(both, store_that_is_only_read_takes_no_change);
    tcase_add_test(both, change_waits_for_other_writers_only_so_long);
    tcase_add_test(both, change_of_another_process_is_seen);
    tcase_add_test(both, choice_is_set_to_its_defaults);
    return suite;
}

int main(void)
{
    return run_suite(parked_suite());
}
