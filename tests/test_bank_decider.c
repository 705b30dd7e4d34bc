/*
 * The decider of examples/bank_account.c, tested by given, when, then: each test is a rule of the
 * bank. docs/testing-deciders.md shows how this file is made.
 */
#include "support.h"

#include "../examples/bank_account_events.h"

static stele_store *store;
static stele_aggregate *accounts;
static stele_scenario *scenario;

/* The text says which event was expected, and which was there. */
#define HOLDS(call) ck_assert_msg((call) == STELE_OK, "%s: %s", #call, stele_error_text())

static void open_scenario(void)
{
    HOLDS(stele_store_open(":memory:", NULL, &store));
    HOLDS(register_account_events(store));
    HOLDS(stele_aggregate_open(store, &account_decider, NULL, &accounts));
    HOLDS(stele_scenario_open(accounts, &scenario));
}

static void close_scenario(void)
{
    stele_scenario_close(scenario);
    stele_aggregate_close(accounts);
    stele_store_close(store);
}

/* --- Words --- */

static void given_open(int64_t balance)
{
    HOLDS(stele_scenario_given(scenario, &opened_type, &(account_opened){ "Ada" }));
    HOLDS(stele_scenario_given(scenario, &deposited_type, &(account_cash){ balance }));
}

#define WHEN(...) HOLDS(stele_scenario_when(scenario, &(account_command){ __VA_ARGS__ }))
#define THEN(type, structure, ...)                                                                 \
    HOLDS(stele_scenario_then(scenario, &(type), &(structure){ __VA_ARGS__ }))
#define THEN_NOTHING_MORE() HOLDS(stele_scenario_then_nothing(scenario))
#define THEN_REFUSED(code)  HOLDS(stele_scenario_then_refused(scenario, (code)))
#define THEN_BALANCE(expected)                                                                     \
    HOLDS(stele_scenario_then_state(scenario, &(account){ true, expected }))

/* --- Rules --- */

START_TEST(account_is_opened_with_a_first_deposit)
{
    WHEN(.wish = OPEN, .owner = "Ada", .amount = 100);

    THEN(opened_type, account_opened, "Ada");
    THEN(deposited_type, account_cash, 100);
    THEN_NOTHING_MORE();
    THEN_BALANCE(100);
}
END_TEST

START_TEST(account_may_be_opened_empty)
{
    WHEN(.wish = OPEN, .owner = "Ada");

    THEN(opened_type, account_opened, "Ada");
    THEN_NOTHING_MORE();
    THEN_BALANCE(0);
}
END_TEST

/* Else a second start of the program would pay in a second time. */
START_TEST(opening_an_open_account_does_nothing)
{
    given_open(100);

    WHEN(.wish = OPEN, .owner = "Eve", .amount = 5);

    THEN_NOTHING_MORE();
    THEN_BALANCE(100);
}
END_TEST

START_TEST(cash_goes_in_and_out)
{
    given_open(100);

    WHEN(.wish = DEPOSIT, .amount = 20);
    THEN(deposited_type, account_cash, 20);
    THEN_NOTHING_MORE();

    WHEN(.wish = WITHDRAW, .amount = 120);
    THEN(withdrawn_type, account_cash, 120);
    THEN_NOTHING_MORE();
    THEN_BALANCE(0);
}
END_TEST

START_TEST(transfer_names_itself_and_the_other_side)
{
    given_open(100);

    WHEN(.wish = TRANSFER_OUT, .amount = 30, .transfer = "t-1", .other = "account-2");
    THEN(transfer_sent_type, account_transfer, "t-1", "account-2", 30);
    THEN_NOTHING_MORE();

    WHEN(.wish = TRANSFER_IN, .amount = 5, .transfer = "t-2", .other = "account-3");
    THEN(transfer_received_type, account_transfer, "t-2", "account-3", 5);
    THEN_NOTHING_MORE();
    THEN_BALANCE(75);
}
END_TEST

START_TEST(nothing_is_taken_that_is_not_there)
{
    given_open(100);

    WHEN(.wish = WITHDRAW, .amount = 101);
    THEN_REFUSED(OVERDRAWN);

    WHEN(.wish = TRANSFER_OUT, .amount = 101, .transfer = "t-1", .other = "account-2");
    THEN_REFUSED(OVERDRAWN);
    THEN_BALANCE(100);
}
END_TEST

START_TEST(account_that_was_never_opened_takes_part_in_nothing)
{
    WHEN(.wish = DEPOSIT, .amount = 1);
    THEN_REFUSED(NOT_OPEN);
    WHEN(.wish = WITHDRAW, .amount = 1);
    THEN_REFUSED(NOT_OPEN);
    WHEN(.wish = TRANSFER_OUT, .amount = 1, .transfer = "t-1", .other = "account-2");
    THEN_REFUSED(NOT_OPEN);
    WHEN(.wish = TRANSFER_IN, .amount = 1, .transfer = "t-1", .other = "account-2");
    THEN_REFUSED(NOT_OPEN);
}
END_TEST

/* An amount below nothing would be an overdraft the other way round. */
START_TEST(amount_of_nothing_or_less_is_refused)
{
    given_open(100);
    for (int64_t amount = -1; amount <= 0; amount++) {
        WHEN(.wish = DEPOSIT, .amount = amount);
        THEN_REFUSED(NO_AMOUNT);
        WHEN(.wish = WITHDRAW, .amount = amount);
        THEN_REFUSED(NO_AMOUNT);
        WHEN(.wish = TRANSFER_OUT, .amount = amount, .transfer = "t-1", .other = "account-2");
        THEN_REFUSED(NO_AMOUNT);
        WHEN(.wish = TRANSFER_IN, .amount = amount, .transfer = "t-1", .other = "account-2");
        THEN_REFUSED(NO_AMOUNT);
    }
    WHEN(.wish = OPEN, .owner = "Ada", .amount = -1);
    THEN_REFUSED(NO_AMOUNT);
    THEN_BALANCE(100);
}
END_TEST

/* And no number overflows. */
START_TEST(no_account_holds_more_than_the_most)
{
    given_open(100);

    WHEN(.wish = DEPOSIT, .amount = BALANCE_MAX - 99);
    THEN_REFUSED(TOO_MUCH);
    WHEN(.wish = TRANSFER_IN, .amount = INT64_MAX, .transfer = "t-1", .other = "account-2");
    THEN_REFUSED(TOO_MUCH);

    WHEN(.wish = DEPOSIT, .amount = BALANCE_MAX - 100);
    THEN_BALANCE(BALANCE_MAX);
    WHEN(.wish = WITHDRAW, .amount = BALANCE_MAX);
    THEN_BALANCE(0);
}
END_TEST

static Suite *bank_decider_suite(void)
{
    Suite *suite = suite_create("bank_decider");
    TCase *tests = tcase_create("rules");
    tcase_add_checked_fixture(tests, open_scenario, close_scenario);
    tcase_add_test(tests, account_is_opened_with_a_first_deposit);
    tcase_add_test(tests, account_may_be_opened_empty);
    tcase_add_test(tests, opening_an_open_account_does_nothing);
    tcase_add_test(tests, cash_goes_in_and_out);
    tcase_add_test(tests, transfer_names_itself_and_the_other_side);
    tcase_add_test(tests, nothing_is_taken_that_is_not_there);
    tcase_add_test(tests, account_that_was_never_opened_takes_part_in_nothing);
    tcase_add_test(tests, amount_of_nothing_or_less_is_refused);
    tcase_add_test(tests, no_account_holds_more_than_the_most);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(bank_decider_suite());
}
