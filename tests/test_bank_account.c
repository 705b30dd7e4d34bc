/*
 * The bank of examples/bank_account.c: killed at any moment, and its books read by plain SQL.
 *
 * What it does on its threads (pthreads) the thread sanitizer sees, too.
 */
#include "bank_log.h"
#include "effort.h"
#include "loan_desk.h"

#include <signal.h>
#include <time.h>

#include <stele.h>

enum {
    ROUNDS_MAX = 80,
    ROUND_MS_MAX = 20000,
    ACKNOWLEDGED_LEAST = 11,
    OPENINGS = 20 /* events of ten accounts */
};

static const char *bank_program(void)
{
    return test_program("../examples/bank_account");
}

static const char *bank_path(void)
{
    return test_path("bank.db");
}

static void expect_books(const books_found *found, unsigned wrong)
{
    ck_assert_msg(found->wrong == wrong, "red: %s", red_checks(found->wrong));
}

#define RUN_BANK(name, ...) RUN(test_path(name), bank_program(), __VA_ARGS__, bank_path())

/* The number behind `name` in the line that `--json` prints. */
static int64_t figure_in(const char *output, const char *name)
{
    char quoted[64];
    snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    const char *at = strstr(read_text(test_path(output)), quoted);
    ck_assert_msg(at != NULL, "no %s", quoted);
    return strtoll(at + strlen(quoted), NULL, 10);
}

/* --- What it prints --- */

START_TEST(money_adds_up_after_eight_threads)
{
    int code = RUN_BANK("output", "--json", "--transfers", "400");

    ck_assert_msg(code == 0, "%d: %s", code, read_text(test_path("errors")));
    ck_assert_ptr_nonnull(strstr(read_text(test_path("output")), "\"adds_up\":true}\n"));
    int64_t transfers = figure_in("output", "transfers");
    int64_t cash = figure_in("output", "cash");
    ck_assert_int_gt(transfers, 200);
    ck_assert_int_gt(cash, 10);
    ck_assert_int_eq(transfers + cash + figure_in("output", "refused"), 400);
    books_found found = check_books(bank_path(), NULL, 0);
    expect_books(&found, 0);
    ck_assert_int_eq(found.events, 2 * transfers + cash + OPENINGS);
}
END_TEST

START_TEST(second_run_repeats_nothing)
{
    ck_assert_int_eq(RUN_BANK("first", "--json", "--transfers", "300"), 0);

    ck_assert_int_eq(RUN_BANK("second", "--json", "--transfers", "300", "--threads", "3"), 0);

    ck_assert_int_eq(figure_in("second", "repeated"),
                     figure_in("first", "transfers") + figure_in("first", "cash"));
    books_found found = check_books(bank_path(), NULL, 0);
    expect_books(&found, 0);
}
END_TEST

/* Two programs with the same jobs: each is done by one of them. */
START_TEST(two_at_once_do_each_job_once)
{
    const char *const arguments[] = { bank_program(), "--json", "--transfers", "300",
                                      "--threads",    "4",      bank_path(),   NULL };

    pid_t first = start(arguments, test_path("first"));
    pid_t second = start(arguments, test_path("second"));
    int codes[] = { finish(first), finish(second) };

    ck_assert_msg(codes[0] == 0 && codes[1] == 0, "%d, %d: %s", codes[0], codes[1],
                  read_text(test_path("errors")));
    books_found found = check_books(bank_path(), NULL, 0);
    expect_books(&found, 0);
    int64_t transfers = figure_in("first", "transfers") + figure_in("second", "transfers");
    int64_t cash = figure_in("first", "cash") + figure_in("second", "cash");
    ck_assert_int_eq(found.events, 2 * transfers + cash + OPENINGS);
}
END_TEST

START_TEST(report_is_for_people_without_json)
{
    ck_assert_int_eq(RUN_BANK("output", "--transfers", "20", "--accounts", "2", "--seed", "7"), 0);

    const char *text = read_text(test_path("output"));
    ck_assert_ptr_nonnull(strstr(text, "2 accounts, 8 threads, 20 jobs\n"));
    ck_assert_ptr_nonnull(strstr(text, "It adds up.\n"));
}
END_TEST

START_TEST(bad_arguments_are_usage)
{
    static const char *const bad[][2] = { { "--threads", "0" },     { "--threads", "65" },
                                          { "--accounts", "1" },    { "--transfers", "-1" },
                                          { "--transfers", "1x" },  { "--seed", "" },
                                          { "--transfers", "9e9" }, { "--what", "1" } };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(RUN_BANK("output", bad[i][0], bad[i][1]), 2);
        ck_assert_ptr_nonnull(strstr(read_text(test_path("errors")), "usage: bank_account"));
    }
    ck_assert_int_eq(RUN(test_path("output"), bank_program()), 2);
}
END_TEST

START_TEST(store_that_cant_be_opened_is_told)
{
    ck_assert_int_eq(RUN(test_path("output"), bank_program(), test_path("none/bank.db")), 1);

    const char *errors = read_text(test_path("errors"));
    ck_assert_msg(strncmp(errors, "error: ", 7) == 0, "%s", errors);
}
END_TEST

/* --- Killed --- */

static void kill_after(pid_t child, uint64_t milliseconds)
{
    nanosleep(&(struct timespec){ .tv_sec = (time_t)(milliseconds / 1000),
                                  .tv_nsec = (long)(milliseconds % 1000) * 1000000 },
              NULL);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(finish(child), -SIGKILL);
}

/* Each line of this is on its way to the file before the next job begins. */
static const char *start_and_kill(int round, uint64_t milliseconds)
{
    static char outputs[ROUNDS_MAX][4200];
    char name[32];
    char seed[32];
    snprintf(name, sizeof(name), "acknowledged-%d", round);
    snprintf(seed, sizeof(seed), "%d", round % 4 == 3 ? round : 1); /* mostly the same jobs again */
    snprintf(outputs[round], sizeof(outputs[0]), "%s", test_path(name));
    pid_t child = start((const char *const[]){ bank_program(), "--acknowledge", "--transfers",
                                               "2000000000", "--seed", seed, bank_path(), NULL },
                        outputs[round]);
    kill_after(child, milliseconds);
    return outputs[round];
}

START_TEST(killed_at_any_moment_no_money_is_lost_or_made)
{
    int rounds = effort_is_long() ? 60 : 6;
    int done = 0;
    uint64_t longest = effort_is_long() ? 1500 : 400;
    uint64_t seed = choose_seed();
    const char *acknowledged[ROUNDS_MAX];
    books_found found = { 0 };
    printf("# seed %" PRIu64 ", %d rounds\n", seed, rounds);
    ck_assert_int_eq(RUN_BANK("output", "--transfers", "0"), 0); /* there is a file to read */

    /* However slow the disk is, some jobs must get done: more rounds, and longer ones. */
    for (int i = 0; i < rounds || found.acknowledged < ACKNOWLEDGED_LEAST; i++) {
        ck_assert_int_lt(i, ROUNDS_MAX);
        acknowledged[i] = start_and_kill(i, next_chance() % longest);
        found = check_books(bank_path(), acknowledged, (size_t)i + 1);
        ck_assert_msg(found.wrong == 0, "round %d: red: %s", i, red_checks(found.wrong));
        if (i >= rounds && longest < ROUND_MS_MAX)
            longest *= 2;
        done = i + 1;
    }

    printf("# %d rounds, %" PRId64 " events, %" PRId64 " jobs acknowledged\n", done, found.events,
           found.acknowledged);
    ck_assert_int_eq(RUN_BANK("output", "--transfers", "50", "--json"), 0);
    found = check_books(bank_path(), acknowledged, (size_t)done);
    expect_books(&found, 0);
}
END_TEST

/* While the accounts are made, too. */
START_TEST(killed_at_the_start_it_starts_again)
{
    for (uint64_t milliseconds = 1; milliseconds < 40; milliseconds *= 2) {
        pid_t child = start((const char *const[]){ bank_program(), "--accounts", "200",
                                                   "--transfers", "2000000000", bank_path(), NULL },
                            test_path("killed"));
        kill_after(child, milliseconds);
    }

    int code = RUN_BANK("output", "--accounts", "200", "--transfers", "200", "--json");

    ck_assert_msg(code == 0, "%d: %s", code, read_text(test_path("errors")));
    books_found found = check_books(bank_path(), NULL, 0);
    expect_books(&found, 0);
}
END_TEST

/* --- Controls: what the check of the books is for --- */

static void append_text(stele_store *store, const char *stream, const char *type, const char *data,
                        const char *key)
{
    stele_event event = { .type = type, .data = data, .data_size = strlen(data) };
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream;
    append.events = &event;
    append.event_count = 1;
    append.idempotency_key = key;
    if (stele_store_append(store, &append, NULL) != STELE_OK) {
        fprintf(stderr, "append: %s\n", stele_error_text());
        _exit(1);
    }
}

static stele_store *open_plain_bank(void)
{
    stele_store *store = NULL;
    if (stele_store_open(bank_path(), NULL, &store) != STELE_OK)
        _exit(1);
    static const char *const accounts[] = { "account-1", "account-2" };
    for (size_t i = 0; i < 2; i++) {
        append_text(store, accounts[i], "AccountOpened", "{\"owner\":\"Ada\"}", NULL);
        append_text(store, accounts[i], "Deposited", "{\"amount\":100}", NULL);
    }
    return store;
}

static void send_money(stele_store *store)
{
    append_text(store, "account-1", "TransferSent",
                "{\"transfer\":\"1-1\",\"other\":\"account-2\",\"amount\":30}", NULL);
}

static void receive_money(stele_store *store)
{
    append_text(store, "account-2", "TransferReceived",
                "{\"transfer\":\"1-1\",\"other\":\"account-1\",\"amount\":30}", NULL);
}

static void write_as_it_should_be(stele_store *store)
{
    send_money(store);
    receive_money(store);
    append_text(store, "account-1", "Withdrawn", "{\"amount\":7}", "1-2 cash");
}

static void be_killed_between_two_commits(stele_store *store)
{
    send_money(store);
    raise(SIGKILL);
    receive_money(store);
}

static void double_a_transfer(stele_store *store)
{
    write_as_it_should_be(store);
    send_money(store);
    receive_money(store);
}

static void name_somebody_else(stele_store *store)
{
    send_money(store);
    append_text(store, "account-2", "TransferReceived",
                "{\"transfer\":\"1-1\",\"other\":\"account-3\",\"amount\":30}", NULL);
}

static void receive_less(stele_store *store)
{
    send_money(store);
    append_text(store, "account-2", "TransferReceived",
                "{\"transfer\":\"1-1\",\"other\":\"account-1\",\"amount\":29}", NULL);
}

/* What came later doesn't make it good. */
static void overdraw(stele_store *store)
{
    append_text(store, "account-1", "Withdrawn", "{\"amount\":101}", "1-1 cash");
    append_text(store, "account-1", "Deposited", "{\"amount\":10}", "1-2 cash");
}

static void pay_twice(stele_store *store)
{
    append_text(store, "account-1", "Withdrawn", "{\"amount\":7}", "1-2 cash");
    append_text(store, "account-1", "Withdrawn", "{\"amount\":7}", NULL);
}

static void open_twice(stele_store *store)
{
    append_text(store, "account-1", "AccountOpened", "{\"owner\":\"Eve\"}", "1-1 cash");
}

static const struct {
    void (*write)(stele_store *store);
    const char *sql; /* afterwards, NULL: none */
    const char *acknowledged;
    unsigned wrong;
} wrong_books[] = {
    { write_as_it_should_be, NULL, "1-1\n1-2\nIt adds up.\n1-9", 0 },
    { be_killed_between_two_commits, NULL, "", 1u << TWO_SIDES | 1u << CONSERVED },
    { double_a_transfer, NULL, "1-1\n", 1u << TWO_SIDES },
    { name_somebody_else, NULL, "", 1u << NAME_EACH_OTHER },
    { receive_less, NULL, "", 1u << TWO_SIDES | 1u << CONSERVED },
    { overdraw, NULL, "", 1u << NOT_BELOW_ZERO },
    { pay_twice, NULL, "", 1u << PAID_ONCE },
    { open_twice, NULL, "", 1u << OPENED_ONCE },
    { write_as_it_should_be, NULL, "1-1\n1-3\n", 1u << ACKNOWLEDGED },
    { write_as_it_should_be, "DELETE FROM events WHERE position = 6", "",
      1u << TWO_SIDES | 1u << CONSERVED | 1u << POSITIONS_DENSE },
    { write_as_it_should_be, "UPDATE events SET version = 5 WHERE position = 7", "",
      1u << VERSIONS_DENSE },
};

static void tamper_with_books(const char *sql)
{
    sqlite3 *books = NULL;
    ck_assert_int_eq(sqlite3_open(bank_path(), &books), SQLITE_OK);
    run_on_books(books, sql);
    sqlite3_close(books);
}

static void write_wrong_books(int index)
{
    test_folder();
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        stele_store *store = open_plain_bank();
        wrong_books[index].write(store);
        stele_store_close(store);
        _exit(0);
    }
    int expected = wrong_books[index].write == be_killed_between_two_commits ? -SIGKILL : 0;
    ck_assert_int_eq(finish(child), expected);
    if (wrong_books[index].sql != NULL)
        tamper_with_books(wrong_books[index].sql);
}

START_TEST(books_that_are_wrong_are_found)
{
    write_wrong_books(_i);
    FILE *file = fopen(test_path("acknowledged"), "wb");
    ck_assert_ptr_nonnull(file);
    fputs(wrong_books[_i].acknowledged, file);
    fclose(file);
    const char *acknowledged = test_path("acknowledged");

    books_found found = check_books(bank_path(), &acknowledged, 1);

    expect_books(&found, wrong_books[_i].wrong);
}
END_TEST

/* The program's own count of the money notices, too. */
START_TEST(program_fails_when_money_is_missing)
{
    write_wrong_books(1);

    int code = RUN_BANK("output", "--json", "--transfers", "0", "--accounts", "2");

    ck_assert_int_eq(code, 3);
    ck_assert_ptr_nonnull(strstr(read_text(test_path("output")), "\"adds_up\":false"));
    ck_assert_int_eq(figure_in("output", "sent"), 30);
    ck_assert_int_eq(figure_in("output", "received"), 0);
}
END_TEST

static Suite *bank_account_suite(void)
{
    Suite *suite = suite_create("bank_account");
    TCase *tests = tcase_create("bank_account");
    tcase_add_checked_fixture(tests, NULL, remove_test_folder);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, money_adds_up_after_eight_threads);
    tcase_add_test(tests, second_run_repeats_nothing);
    tcase_add_test(tests, two_at_once_do_each_job_once);
    tcase_add_test(tests, report_is_for_people_without_json);
    tcase_add_test(tests, bad_arguments_are_usage);
    tcase_add_test(tests, store_that_cant_be_opened_is_told);
    tcase_add_test(tests, killed_at_any_moment_no_money_is_lost_or_made);
    tcase_add_test(tests, killed_at_the_start_it_starts_again);
    tcase_add_loop_test(tests, books_that_are_wrong_are_found, 0,
                        (int)(sizeof(wrong_books) / sizeof(wrong_books[0])));
    tcase_add_test(tests, program_fails_when_money_is_missing);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(bank_account_suite());
}
