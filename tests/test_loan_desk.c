/*
 * The loan desk against a count of its own: this file reads logs in the form that loan_log writes,
 * in its own way, and shares no code with the example.
 */
#include "loan_desk.h"

#include <stele.h>

#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <time.h>

#define LINE_SIZE    4096
#define RESULT_SIZE  1024
#define LOAN_ID_MAX  1000000
#define MILLION      INT64_C(1000000)
#define ATTEMPTS_MAX 20

static const char *generate(const char *applications, const char *seed)
{
    const char *log = test_path("log.jsonl");
    ck_assert_int_eq(
        RUN(log, test_program("loan_log"), "--applications", applications, "--seed", seed), 0);
    return log;
}

/* --- A count of our own --- */

enum { APPROVED, DECLINED, CANCELLED, UNDECIDED };

typedef struct application {
    bool submitted;
    int outcome;
    int64_t submitted_at;
    int64_t decided_at;
    int64_t amount;
} application;

static const char *member_of(const char *line, const char *name)
{
    static char value[LINE_SIZE];
    char quoted[64];
    snprintf(quoted, sizeof(quoted), "\"%s\":\"", name);
    const char *at = strstr(line, quoted);
    if (at == NULL)
        return NULL;
    snprintf(value, sizeof(value), "%s", at + strlen(quoted));
    value[strcspn(value, "\"")] = '\0';
    return value;
}

static int64_t microseconds_of(const char *time)
{
    static const int days_before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, used = 0;
    ck_assert_int_eq(sscanf(time, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute,
                            &second, &used),
                     6);
    int64_t days = 0;
    for (int past = 1970; past < year; past++)
        days += past % 4 == 0 ? 366 : 365; /* Good until 2099. */
    days += days_before[month - 1] + day - 1 + (year % 4 == 0 && month > 2);
    int64_t fraction = 0;
    if (time[used] == '.') {
        int64_t unit = MILLION / 10;
        for (used++; time[used] >= '0' && time[used] <= '9'; used++, unit /= 10)
            fraction += (time[used] - '0') * unit;
    }
    return (days * 86400 + hour * 3600 + minute * 60 + second) * MILLION + fraction;
}

static int64_t millionths_of(const char *amount)
{
    char digits[32];
    const char *point = strchr(amount, '.');
    snprintf(digits, sizeof(digits), "%s", point != NULL ? point + 1 : "");
    while (strlen(digits) < 6)
        strcat(digits, "0");
    return strtoll(amount, NULL, 10) * MILLION + strtoll(digits, NULL, 10);
}

static const char *decimal_of(int64_t millionths, char text[32])
{
    int size =
        snprintf(text, 32, "%" PRId64 ".%06" PRId64, millionths / MILLION, millionths % MILLION);
    while (text[size - 1] == '0')
        text[--size] = '\0';
    if (text[size - 1] == '.')
        text[--size] = '\0';
    return text;
}

static int compare_numbers(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;
    return (*a > *b) - (*a < *b);
}

static const char *percentile_of(const int64_t *sorted, int count, int percent, char text[32])
{
    if (count == 0)
        return "null";
    int rank = 1;
    while (rank * 100 < percent * count)
        rank++;
    return decimal_of((sorted[rank - 1] + 43200) / 86400, text);
}

/* Note the event of `line`. */
static void count_line(const char *line, application *loans)
{
    long id = strtol(member_of(line, "stream") + strlen("loan-"), NULL, 10);
    ck_assert(id >= 0 && id < LOAN_ID_MAX);
    application *loan = &loans[id];
    const char *type = member_of(line, "type");
    int outcome = strcmp(type, "A_APPROVED") == 0    ? APPROVED
                  : strcmp(type, "A_DECLINED") == 0  ? DECLINED
                  : strcmp(type, "A_CANCELLED") == 0 ? CANCELLED
                                                     : UNDECIDED;
    if (outcome != UNDECIDED) {
        loan->outcome = outcome;
        loan->decided_at = microseconds_of(member_of(line, "time"));
    } else if (strcmp(type, "A_SUBMITTED") == 0) {
        loan->submitted = true;
        loan->outcome = UNDECIDED;
        loan->submitted_at = microseconds_of(member_of(line, "time"));
        loan->amount = millionths_of(member_of(line, "amount_req"));
    }
}

/* The line that loan_desk has to print for `log`, in which each application is submitted once. */
static const char *expected_for(const char *log)
{
    static char result[RESULT_SIZE];
    static char line[LINE_SIZE];
    application *loans = calloc(LOAN_ID_MAX, sizeof(application));
    int64_t *leads = calloc(LOAN_ID_MAX, sizeof(int64_t));
    FILE *file = fopen(log, "rb");
    ck_assert(loans != NULL && leads != NULL && file != NULL);
    int64_t events = 0, submitted = 0;
    for (; fgets(line, sizeof(line), file) != NULL; events++)
        count_line(line, loans);
    fclose(file);

    int64_t counts[4] = { 0 }, amounts[4] = { 0 };
    int decided = 0;
    for (long id = 0; id < LOAN_ID_MAX; id++) {
        if (!loans[id].submitted)
            continue;
        submitted++;
        counts[loans[id].outcome]++;
        amounts[loans[id].outcome] += loans[id].amount;
        if (loans[id].outcome != UNDECIDED)
            leads[decided++] = loans[id].decided_at - loans[id].submitted_at;
    }
    qsort(leads, (size_t)decided, sizeof(int64_t), compare_numbers);
    char texts[6][32];
    snprintf(result, sizeof(result),
             "{\"v\":1,\"events\":%" PRId64 ",\"submitted\":%" PRId64 ",\"approved\":%" PRId64
             ",\"declined\":%" PRId64 ",\"cancelled\":%" PRId64 ",\"undecided\":%" PRId64
             ",\"amount_by_outcome\":{\"approved\":%s,\"declined\":%s,\"cancelled\":%s,"
             "\"undecided\":%s},\"lead_days_p50\":%s,\"lead_days_p90\":%s}\n",
             events, submitted, counts[APPROVED], counts[DECLINED], counts[CANCELLED],
             counts[UNDECIDED], decimal_of(amounts[APPROVED], texts[0]),
             decimal_of(amounts[DECLINED], texts[1]), decimal_of(amounts[CANCELLED], texts[2]),
             decimal_of(amounts[UNDECIDED], texts[3]), percentile_of(leads, decided, 50, texts[4]),
             percentile_of(leads, decided, 90, texts[5]));
    free(loans);
    free(leads);
    return result;
}

static stele_store *open_store(const char *path)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(path, NULL, &store);
    ck_assert_msg(status == STELE_OK, "open: %s", stele_error_text());
    return store;
}

/* --- Generated logs --- */

static const char *const seeds[] = { "1", "2", "3", "20111001" };
static const char *const sizes[] = { "400", "1", "37", "200" };

START_TEST(figures_agree_with_a_count_of_our_own)
{
    const char *log = generate(sizes[_i], seeds[_i]);

    ck_assert_str_eq(run_desk(test_path("loans.db"), log, 0), expected_for(log));
}
END_TEST

START_TEST(second_run_adds_nothing)
{
    const char *log = generate("100", "5");
    const char *first = run_desk(test_path("loans.db"), log, 0);
    char before[17], after[17];
    stele_store *store = open_store(test_path("loans.db"));
    ck_assert_int_eq(stele_store_digest(store, before), STELE_OK);
    stele_store_close(store);

    ck_assert_str_eq(run_desk(test_path("loans.db"), log, 0), first);

    store = open_store(test_path("loans.db"));
    ck_assert_int_eq(stele_store_digest(store, after), STELE_OK);
    stele_store_close(store);
    ck_assert_str_eq(after, before);
}
END_TEST

START_TEST(lines_without_id_are_not_added_twice_either)
{
    const char *log = generate("20", "5");
    ck_assert_int_eq(rename(log, test_path("with_id.jsonl")), 0);
    ck_assert_int_eq(RUN(log, "sed", "s/\"id\":\"[^\"]*\",//", test_path("with_id.jsonl")), 0);
    const char *first = run_desk(test_path("loans.db"), log, 0);
    ck_assert_str_eq(first, expected_for(log));

    ck_assert_str_eq(run_desk(test_path("loans.db"), log, 0), first);
}
END_TEST

/* Every event's data is the very text of its line, in the order of the lines. */
static void compare_data(const char *path, const char *log)
{
    static char line[LINE_SIZE], copy[LINE_SIZE];
    stele_store *store = open_store(path);
    stele_cursor *cursor = NULL;
    stele_exporter *exporter = NULL;
    const stele_record *record = NULL;
    ck_assert_int_eq(stele_store_read(store, NULL, &cursor), STELE_OK);
    ck_assert_int_eq(stele_exporter_open(&exporter), STELE_OK);
    FILE *file = fopen(log, "rb");
    ck_assert_ptr_nonnull(file);

    while (fgets(line, sizeof(line), file) != NULL) {
        const char *exported = NULL;
        size_t size = 0;
        char *data = strstr(line, "\"data\":");
        line[strlen(line) - 2] = '\0'; /* The closing brace and the newline. */
        ck_assert_int_eq(stele_cursor_next(cursor, &record), STELE_OK);
        ck_assert_str_eq((const char *)record->data, data + strlen("\"data\":"));
        ck_assert_int_eq(stele_exporter_line(exporter, record, &exported, &size), STELE_OK);
        snprintf(copy, sizeof(copy), "%.*s", (int)size, exported);
        const char *found = strstr(copy, "\"data\":");
        ck_assert(found != NULL && strncmp(found, data, strlen(data)) == 0);
    }
    ck_assert_int_eq(stele_cursor_next(cursor, &record), STELE_DONE);

    fclose(file);
    stele_exporter_close(exporter);
    stele_cursor_close(cursor);
    stele_store_close(store);
}

START_TEST(data_comes_back_byte_for_byte_in_order)
{
    const char *log = generate("100", "6");
    run_desk(test_path("loans.db"), log, 0);

    compare_data(test_path("loans.db"), log);
}
END_TEST

START_TEST(same_seed_makes_the_same_log)
{
    const char *log = generate("20", "7");
    ck_assert_int_eq(rename(log, test_path("first.jsonl")), 0);

    ck_assert_int_eq(RUN(test_path("output"), "cmp", generate("20", "7"), test_path("first.jsonl")),
                     0);
    ck_assert_int_eq(RUN(test_path("output"), "cmp", generate("20", "8"), test_path("first.jsonl")),
                     1);
}
END_TEST

/* --- Cut short, and two at once --- */

static void pause_for(long microseconds)
{
    nanosleep(&(struct timespec){ .tv_nsec = microseconds * 1000 }, NULL);
}

static int64_t count_in_model(stele_store *store, stele_checkpoint *checkpoint)
{
    stele_transaction *transaction = NULL;
    sqlite3_stmt *statement = NULL;
    ck_assert_int_eq(stele_transaction_begin(store, &transaction), STELE_OK);
    ck_assert_int_eq(stele_transaction_checkpoint_load(transaction, "loan_desk", checkpoint),
                     STELE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(stele_transaction_sqlite(transaction),
                                        "SELECT sum(events) FROM loan_application", -1, &statement,
                                        NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    stele_transaction_end(transaction);
    return count;
}

/* Put the model back to nothing, start the desk, and kill it when it has folded something. */
static int64_t kill_in_fold(const char *path, int64_t head)
{
    stele_store *store = open_store(path);
    stele_transaction *transaction = NULL;
    ck_assert_int_eq(stele_transaction_begin(store, &transaction), STELE_OK);
    ck_assert_int_eq(sqlite3_exec(stele_transaction_sqlite(transaction),
                                  "DROP TABLE loan_application; DROP TABLE loan_type", NULL, NULL,
                                  NULL),
                     SQLITE_OK);
    ck_assert_int_eq(stele_transaction_checkpoint_save(transaction, "loan_desk", 0), STELE_OK);
    ck_assert_int_eq(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);

    stele_checkpoint checkpoint = { 0 };
    pid_t child =
        start((const char *const[]){ desk_program(), "--json", path, NULL }, test_path("killed"));
    while (checkpoint.position == 0) {
        ck_assert_int_eq(stele_checkpoint_load(store, "loan_desk", &checkpoint), STELE_OK);
        pause_for(100);
    }
    kill(child, SIGKILL);
    finish(child);

    ck_assert_int_eq(count_in_model(store, &checkpoint), checkpoint.position);
    ck_assert_int_le(checkpoint.position, head);
    stele_store_close(store);
    return checkpoint.position;
}

/* Model and checkpoint move together, so whatever the kill left behind, the next run is right. */
START_TEST(killed_in_the_fold_it_goes_on_to_the_same_figures)
{
    const char *log = generate("1500", "9");
    const char *path = test_path("loans.db");
    run_desk(path, log, 0);
    int64_t head = 0;
    stele_store *store = open_store(path);
    ck_assert_int_eq(stele_store_head(store, &head), STELE_OK);
    stele_store_close(store);

    int64_t reached = head;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && reached == head; attempt++)
        reached = kill_in_fold(path, head);

    ck_assert_int_lt(reached, head);
    ck_assert_str_eq(run_desk(path, log, 0), expected_for(log));
}
END_TEST

START_TEST(killed_at_any_time_it_goes_on_to_the_same_figures)
{
    const char *log = generate("300", "10");
    const char *path = test_path("loans.db");
    for (long wait = 1000; wait < 300000; wait *= 2) {
        pid_t child = start((const char *const[]){ desk_program(), "--json", path, log, NULL },
                            test_path("killed"));
        pause_for(wait);
        kill(child, SIGKILL);
        finish(child);
    }

    ck_assert_str_eq(run_desk(path, log, 0), expected_for(log));
    compare_data(path, log);
}
END_TEST

START_TEST(two_at_once_count_every_event_once)
{
    const char *log = generate("300", "11");
    const char *path = test_path("loans.db");
    const char *const arguments[] = { desk_program(), "--json", path, log, NULL };

    pid_t first = start(arguments, test_path("first"));
    pid_t second = start(arguments, test_path("second"));
    ck_assert_int_eq(finish(first), 0);
    ck_assert_int_eq(finish(second), 0);

    ck_assert_str_eq(run_desk(path, log, 0), expected_for(log));
    compare_data(path, log);
}
END_TEST

/* --- A real log, when it is at hand --- */

START_TEST(figures_of_the_real_log_are_the_known_ones)
{
    const char *folder = getenv("STELE_DATA");
    if (folder == NULL || folder[0] == '\0')
        skip_test("STELE_DATA is not set");
    char packed[RESULT_SIZE];
    snprintf(packed, sizeof(packed), "%s/bpic2012.jsonl.gz", folder);
    const char *log = test_path("log.jsonl");
    ck_assert_int_eq(RUN(log, "gzip", "-dc", packed), 0);

    const char *figures = run_desk(test_path("loans.db"), log, 0);

    ck_assert_str_eq(figures, expected_for(log));
    const char *known = "{\"v\":1," COUNTS(262200, 13087, 2246, 7635, 2807, 399) ",";
    ck_assert_int_eq(strncmp(figures, known, strlen(known)), 0);
    compare_data(test_path("loans.db"), log);
}
END_TEST

static Suite *loan_desk_suite(void)
{
    Suite *suite = suite_create("loan_desk");
    TCase *tests = tcase_create("loan_desk");
    tcase_add_checked_fixture(tests, NULL, remove_test_folder);
    tcase_add_loop_test(tests, figures_agree_with_a_count_of_our_own, 0, 4);
    tcase_add_test(tests, second_run_adds_nothing);
    tcase_add_test(tests, lines_without_id_are_not_added_twice_either);
    tcase_add_test(tests, data_comes_back_byte_for_byte_in_order);
    tcase_add_test(tests, same_seed_makes_the_same_log);
    tcase_add_test(tests, killed_in_the_fold_it_goes_on_to_the_same_figures);
    tcase_add_test(tests, killed_at_any_time_it_goes_on_to_the_same_figures);
    tcase_add_test(tests, two_at_once_count_every_event_once);
    tcase_add_test(tests, figures_of_the_real_log_are_the_known_ones);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(loan_desk_suite());
}
