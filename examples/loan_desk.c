/*
 * A loan desk: a small program over a log of loan applications.
 *
 *     loan_desk [--json] [--application loan-ID] [--source NAME] STORE [LOG|-]
 *
 * It imports LOG into STORE (made when missing), folds the new events into a read model that lives
 * in the same file, and reports. Run it again, also after a crash: what is there is not added
 * twice. An application is a stream `loan-ID`; other streams in the store are left alone.
 *
 * What counts. Submitted: applications with an A_SUBMITTED; the first of several is the submission.
 * Approved, declined, cancelled: by the last A_APPROVED, A_DECLINED or A_CANCELLED in the order of
 * the log, also when it holds no submission. Undecided: submitted, and none of the three. The
 * amount is `amount_req`, an exact decimal, of the submission, or else of the application's first
 * event; one that is missing or no such number counts as 0, and the report says how many are. The
 * lead time runs from submission to decision, where both are known; p50 and p90 are nearest-rank.
 *
 * Exit: 0; 1 failed, after an `error:` line; 2 usage; 6 the store is damaged; 8 some lines of LOG
 * were bad, each reported as `LOG:LINE: reason`.
 */
#define _XOPEN_SOURCE 700 /* wcwidth */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <sqlite3.h>

#include <stele.h>

#include "loan_events.h"

#define CHECKPOINT      "loan_desk"
#define BATCH_EVENTS    1000
#define TYPE_ROWS       40
#define HISTORY_ROWS    12
#define NAME_COLUMNS    30
#define BAR_COLUMNS     34
#define MILLION         INT64_C(1000000)
#define DIGITS          "0123456789"
#define EXIT_USAGE      2
#define EXIT_DAMAGED    6
#define EXIT_INCOMPLETE 8

typedef struct loan_desk {
    const char *store_path;
    const char *log_path;
    const char *source;      /* NULL: the log's true path. */
    const char *application; /* Whose history to show, "loan-ID". */
    bool json;
    FILE *log; /* NULL imports nothing. */
    stele_store *store;
} loan_desk;

static bool fail(const char *what, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", what, why);
    return false;
}

static bool fail_store(const char *what)
{
    return fail(what, stele_error_text());
}

/* --- Import --- */

static stele_status read_log(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    loan_desk *desk = context;
    *size_out = fread(buffer, 1, capacity, desk->log);
    return ferror(desk->log) ? STELE_IO : STELE_OK;
}

static void report_line(void *context, uint64_t line, const char *reason)
{
    const loan_desk *desk = context;
    const char *name = desk->log == stdin && desk->source != NULL ? desk->source : desk->log_path;
    fprintf(stderr, "%s:%" PRIu64 ": %s\n", name, line, reason);
}

/* Lines without an `id` are told apart by source and line number, so that importing the log again
 * adds nothing. */
static bool import_log(loan_desk *desk, stele_imported *imported)
{
    char *true_path = desk->log == stdin ? NULL : realpath(desk->log_path, NULL);
    stele_import import = STELE_IMPORT_INIT;
    import.source = desk->source != NULL ? desk->source : true_path;
    import.read = read_log;
    import.reject = report_line;
    import.context = desk;
    stele_status status = stele_store_import(desk->store, &import, imported);
    free(true_path);
    if (ferror(desk->log))
        return fail(desk->log_path, "can't be read");
    return status == STELE_OK || fail_store("import");
}

/* --- Reading events --- */

static int64_t time_of(const stele_record *record)
{
    return record->has_occurred_at ? record->occurred_at : record->recorded_at;
}

/* Read a decimal such as "12500" or "99.95" exactly, as millionths, or not at all. */
static bool parse_amount(const char *text, int64_t *millionths_out)
{
    size_t whole = strspn(text, DIGITS);
    const char *decimals = text + whole + (text[whole] == '.');
    size_t count = strspn(decimals, DIGITS);
    size_t kept = count < 6 ? count : 6;
    size_t zeros = strspn(text, "0");
    if (whole + count == 0 || whole > 12 + zeros
        || kept + strspn(decimals + kept, "0") != strlen(decimals))
        return false;
    int64_t millionths = 0;
    for (size_t i = 0; i < 6; i++)
        millionths = millionths * 10 + (i < kept ? decimals[i] - '0' : 0);
    *millionths_out = strtoll(text, NULL, 10) * MILLION + millionths;
    return true;
}

/* --- The read model --- */

/* Amounts are in millionths, times in microseconds; NULL is not known, or not yet. */
static const char create_model[] =
    "CREATE TABLE IF NOT EXISTS loan_application (stream TEXT PRIMARY KEY, events INTEGER NOT NULL,"
    "  submitted_at INTEGER, outcome TEXT, decided_at INTEGER, amount INTEGER"
    " ) STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS loan_type (type TEXT PRIMARY KEY, events INTEGER NOT NULL"
    " ) STRICT, WITHOUT ROWID";

/* The fold, as one statement: the first submission and the last decision win. */
static const char fold_application[] =
    "INSERT INTO loan_application (stream, events, submitted_at, outcome, decided_at, amount)"
    " VALUES (?1, 1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT (stream) DO UPDATE SET events = events + 1,"
    "  submitted_at = coalesce(submitted_at, excluded.submitted_at),"
    "  outcome = coalesce(excluded.outcome, outcome),"
    "  decided_at = coalesce(excluded.decided_at, decided_at),"
    "  amount = CASE WHEN submitted_at IS NULL AND excluded.submitted_at IS NOT NULL"
    "   THEN coalesce(excluded.amount, amount) ELSE coalesce(amount, excluded.amount) END";

static const char fold_type[] = "INSERT INTO loan_type (type, events) VALUES (?1, 1)"
                                " ON CONFLICT (type) DO UPDATE SET events = events + 1";

static const char *outcome_of(const stele_type *type)
{
    if (type == &approved_type)
        return "approved";
    if (type == &declined_type)
        return "declined";
    return type == &cancelled_type ? "cancelled" : NULL;
}

static bool apply_event(sqlite3_stmt *application, sqlite3_stmt *type, const stele_record *record,
                        const loan_event *event)
{
    bool submitted = event->type == &submitted_type;
    const char *outcome = outcome_of(event->type);
    int64_t amount = 0;

    sqlite3_clear_bindings(application);
    sqlite3_bind_text(application, 1, record->stream, -1, SQLITE_STATIC);
    if (submitted)
        sqlite3_bind_int64(application, 2, time_of(record));
    if (outcome != NULL) {
        sqlite3_bind_text(application, 3, outcome, -1, SQLITE_STATIC);
        sqlite3_bind_int64(application, 4, time_of(record));
    }
    if ((submitted || record->version == 1) && parse_amount(event->amount, &amount))
        sqlite3_bind_int64(application, 5, amount);
    sqlite3_bind_text(type, 1, record->type, -1, SQLITE_STATIC);

    sqlite3_step(application);
    sqlite3_step(type); /* each reset repeats how its step went */
    return sqlite3_reset(application) == SQLITE_OK && sqlite3_reset(type) == SQLITE_OK;
}

static bool apply_batch(loan_desk *desk, sqlite3 *sqlite, stele_cursor *cursor)
{
    sqlite3_stmt *application = NULL;
    sqlite3_stmt *type = NULL;
    const stele_record *record;
    loan_event event;
    stele_status status = STELE_OK;
    bool applied =
        sqlite3_exec(sqlite, create_model, NULL, NULL, NULL) == SQLITE_OK
        && sqlite3_prepare_v2(sqlite, fold_application, -1, &application, NULL) == SQLITE_OK
        && sqlite3_prepare_v2(sqlite, fold_type, -1, &type, NULL) == SQLITE_OK;
    while (applied && (status = stele_cursor_next(cursor, &record)) == STELE_OK
           && (status = read_event(desk->store, record, &event)) == STELE_OK)
        applied = apply_event(application, type, record, &event);
    if (!applied)
        fail("read model", sqlite3_errmsg(sqlite));
    else if (status < 0)
        applied = fail_store("read");
    sqlite3_finalize(application);
    sqlite3_finalize(type);
    return applied;
}

/*
 * Fold the next events. The checkpoint is read, the model changed and the checkpoint moved in one
 * transaction: each event counts exactly once, whenever the program is killed, and however many
 * run at once. Other writers wait meanwhile, so a batch is small.
 */
static bool fold_batch(loan_desk *desk, bool *more_out)
{
    stele_transaction *transaction = NULL;
    stele_cursor *cursor = NULL;
    stele_checkpoint checkpoint;
    stele_read read = STELE_READ_INIT;
    read.category = "loan";
    read.limit = BATCH_EVENTS;

    bool done =
        stele_transaction_begin(desk->store, &transaction) == STELE_OK
        && stele_transaction_checkpoint_load(transaction, CHECKPOINT, &checkpoint) == STELE_OK;
    if (done) {
        read.after_position = checkpoint.position;
        done = stele_transaction_read(transaction, &read, &cursor) == STELE_OK;
    }
    if (!done) {
        fail_store("fold");
        goto cleanup;
    }
    done = apply_batch(desk, stele_transaction_sqlite(transaction), cursor);
    if (!done)
        goto cleanup;

    int64_t scanned = stele_cursor_scanned(cursor);
    *more_out = scanned > checkpoint.position;
    if (*more_out)
        done = stele_transaction_checkpoint_save(transaction, CHECKPOINT, scanned) == STELE_OK;
    done = (done && stele_transaction_commit(transaction) == STELE_OK) || fail_store("fold");

cleanup:
    stele_cursor_close(cursor);
    stele_transaction_end(transaction); /* rolls back what was not committed */
    return done;
}

/* --- Asking the read model --- */

typedef struct answer {
    char name[STELE_NAME_SIZE_MAX + 1];
    int64_t numbers[5];
} answer;

/* What the model says, copied so that no lock is held while it is printed. */
typedef struct loan_summary {
    answer outcomes[4];
    answer lead;
    answer types[TYPE_ROWS];
    answer busiest;
} loan_summary;

enum { APPLICATIONS, SUBMITTED, UNITS, MILLIONTHS, UNKNOWN };
static const char select_outcomes[] =
    "WITH kind(place, name) AS"
    "  (VALUES (1, 'approved'), (2, 'declined'), (3, 'cancelled'), (4, 'undecided'))"
    " SELECT name, count(stream), count(submitted_at), sum(amount / 1000000),"
    "  sum(amount % 1000000), count(stream) - count(amount)"
    " FROM kind LEFT JOIN loan_application ON coalesce(outcome, 'undecided') = name"
    "  AND coalesce(submitted_at, decided_at) IS NOT NULL"
    " GROUP BY place ORDER BY place";

/* The nearest-rank percentile is the ceil(p * n)th of n in order. */
enum { DECIDED, P50, P90 };
static const char select_lead[] =
    "SELECT '', count(*), max(took) FILTER (WHERE place = (n * 50 + 99) / 100),"
    "  max(took) FILTER (WHERE place = (n * 90 + 99) / 100)"
    " FROM (SELECT took, row_number() OVER (ORDER BY took) AS place, count(*) OVER () AS n"
    "  FROM (SELECT decided_at - submitted_at AS took FROM loan_application)"
    "  WHERE took IS NOT NULL)";

enum { EVENTS, ALL_EVENTS, ALL_TYPES };
static const char select_types[] = "SELECT type, events, sum(events) OVER (), count(*) OVER ()"
                                   " FROM loan_type ORDER BY events DESC, type";

static const char select_busiest[] = "SELECT stream, events FROM loan_application"
                                     " ORDER BY events DESC, stream";

/* Answer with the first `capacity` rows of `sql`: a name and some numbers each. */
static bool ask(sqlite3 *sqlite, const char *sql, answer *answers, int capacity)
{
    sqlite3_stmt *row = NULL;
    int step = sqlite3_prepare_v2(sqlite, sql, -1, &row, NULL);
    for (int i = 0; i < capacity && (step = sqlite3_step(row)) == SQLITE_ROW; i++) {
        const unsigned char *name = sqlite3_column_text(row, 0);
        snprintf(answers[i].name, sizeof(answers[i].name), "%s", (const char *)name);
        for (int column = 1; column < sqlite3_column_count(row); column++)
            answers[i].numbers[column - 1] = sqlite3_column_int64(row, column);
    }
    bool done =
        step == SQLITE_ROW || step == SQLITE_DONE || fail("read model", sqlite3_errmsg(sqlite));
    sqlite3_finalize(row);
    return done;
}

static bool summarise(loan_desk *desk, loan_summary *summary)
{
    stele_transaction *transaction = NULL;
    if (stele_transaction_begin(desk->store, &transaction) < 0)
        return fail_store("read model");
    sqlite3 *sqlite = stele_transaction_sqlite(transaction);
    bool done = ask(sqlite, select_outcomes, summary->outcomes, 4)
                && ask(sqlite, select_lead, &summary->lead, 1)
                && ask(sqlite, select_types, summary->types, TYPE_ROWS)
                && ask(sqlite, select_busiest, &summary->busiest, 1);
    stele_transaction_end(transaction);
    return done;
}

static int64_t add_up(const loan_summary *summary, int number)
{
    int64_t sum = 0;
    for (int i = 0; i < 4; i++)
        sum += summary->outcomes[i].numbers[number];
    return sum;
}

/* --- Printing --- */

#define PLAIN   "%lld" /* For sqlite3_snprintf(), which can group digits and ignores the locale. */
#define GROUPED "%,lld"

typedef struct decimal {
    char text[48];
} decimal;

/* Write units and millionths, which have the same sign, exactly and with the fewest digits. */
static decimal format_decimal(const char *format, int64_t units, int64_t millionths)
{
    decimal written = { "-" };
    int sign = units < 0 || millionths < 0;
    sqlite3_snprintf((int)sizeof(written) - sign, written.text + sign, format,
                     llabs(units + millionths / MILLION));
    size_t used = strlen(written.text);
    if (millionths % MILLION != 0) {
        snprintf(written.text + used, sizeof(written) - used, ".%06lld",
                 llabs(millionths % MILLION));
        for (used = strlen(written.text); written.text[used - 1] == '0'; used--)
            written.text[used - 1] = '\0';
    }
    return written;
}

static decimal format_count(int64_t count)
{
    return format_decimal(GROUPED, count, 0);
}

/* Days, rounded to a millionth, which has 86,400 microseconds. */
static decimal format_days(int64_t us)
{
    return format_decimal(PLAIN, 0, (us + (us < 0 ? -43200 : 43200)) / 86400);
}

/* Print what somebody else chose in `columns`, so that it can't drive the terminal. */
static void print_text(const char *text, int columns)
{
    const char *end = text + strlen(text);
    while (text < end) {
        wchar_t character;
        mbstate_t state = { 0 };
        size_t size = mbrtowc(&character, text, (size_t)(end - text), &state);
        int width = size <= MB_LEN_MAX ? wcwidth(character) : -1;
        if (columns < (width < 0 ? 4 : width))
            break;
        if (width < 0)
            printf("\\x%02x", (unsigned)(unsigned char)*text);
        else
            fwrite(text, 1, size, stdout);
        columns -= width < 0 ? 4 : width;
        text += width < 0 ? 1 : size;
    }
    printf("%*s", columns, "");
}

static void print_json(const loan_summary *summary)
{
    printf("{\"v\":1,\"events\":%" PRId64 ",\"submitted\":%" PRId64,
           summary->types[0].numbers[ALL_EVENTS], add_up(summary, SUBMITTED));
    for (int i = 0; i < 4; i++)
        printf(",\"%s\":%" PRId64, summary->outcomes[i].name,
               summary->outcomes[i].numbers[APPLICATIONS]);
    for (int i = 0; i < 4; i++) {
        const int64_t *numbers = summary->outcomes[i].numbers;
        printf("%s\"%s\":%s", i == 0 ? ",\"amount_by_outcome\":{" : ",", summary->outcomes[i].name,
               format_decimal(PLAIN, numbers[UNITS], numbers[MILLIONTHS]).text);
    }
    bool any = summary->lead.numbers[DECIDED] > 0;
    printf("},\"lead_days_p50\":%s,\"lead_days_p90\":%s}\n",
           any ? format_days(summary->lead.numbers[P50]).text : "null",
           any ? format_days(summary->lead.numbers[P90]).text : "null");
    if (add_up(summary, UNKNOWN) > 0)
        fputs("the amount of some applications is not known, and counts as 0\n", stderr);
}

static void print_figures(const loan_summary *summary)
{
    int64_t all = add_up(summary, APPLICATIONS);
    printf("\nApplications%19s%23s\n", "", "amount asked for");
    printf("  %-12s%12s\n", "submitted", format_count(add_up(summary, SUBMITTED)).text);
    for (int i = 0; i < 4; i++) {
        const int64_t *numbers = summary->outcomes[i].numbers;
        int64_t permille = all == 0 ? 0 : (numbers[APPLICATIONS] * 1000 + all / 2) / all;
        printf("  %-12s%12s%4" PRId64 ".%d %%%22s\n", summary->outcomes[i].name,
               format_count(numbers[APPLICATIONS]).text, permille / 10, (int)(permille % 10),
               format_decimal(GROUPED, numbers[UNITS], numbers[MILLIONTHS]).text);
    }
    if (add_up(summary, UNKNOWN) > 0)
        printf("  of %" PRId64 " the amount is not known\n", add_up(summary, UNKNOWN));

    printf("\nFrom submission to decision, in days\n");
    if (summary->lead.numbers[DECIDED] == 0)
        printf("  nothing was decided\n");
    else
        printf("  p50 %s\n  p90 %s\n", format_days(summary->lead.numbers[P50]).text,
               format_days(summary->lead.numbers[P90]).text);

    printf("\n%s events by type\n", format_count(summary->types[0].numbers[ALL_EVENTS]).text);
    static const char bar[BAR_COLUMNS + 1] = "##################################";
    int64_t most = summary->types[0].numbers[EVENTS];
    for (int i = 0; i < TYPE_ROWS && i < summary->types[0].numbers[ALL_TYPES]; i++) {
        int64_t events = summary->types[i].numbers[EVENTS];
        printf("  ");
        print_text(summary->types[i].name, NAME_COLUMNS);
        printf("%10s  %.*s\n", format_count(events).text,
               (int)((events * BAR_COLUMNS + most - 1) / most), bar);
    }
    if (summary->types[0].numbers[ALL_TYPES] > TYPE_ROWS)
        printf("  and %" PRId64 " more types\n", summary->types[0].numbers[ALL_TYPES] - TYPE_ROWS);
}

/* All that happened to the application asked for, or the beginning for the one with most events. */
static bool print_history(const loan_desk *desk, const loan_summary *summary)
{
    stele_cursor *cursor = NULL;
    const stele_record *record;
    loan_text transition;
    loan_text resource;
    stele_read read = STELE_READ_INIT;
    read.stream = desk->application != NULL ? desk->application : summary->busiest.name;
    read.limit = desk->application != NULL ? 0 : HISTORY_ROWS;
    if (read.stream[0] == '\0')
        return true;
    printf("\nHistory of %s\n", read.stream);
    int64_t shown = 0;
    stele_status status = stele_store_read(desk->store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK
           && (status = read_as(desk->store, record, &transition_type, &transition)) == STELE_OK
           && (status = read_as(desk->store, record, &resource_type, &resource)) == STELE_OK) {
        char time[STELE_TIME_SIZE];
        shown++;
        stele_time_format(time_of(record), time);
        printf("%4" PRId64 "  %-24s  ", record->version, time);
        print_text(record->type, NAME_COLUMNS);
        putchar(' ');
        print_text(transition.text, 9);
        print_text(resource.text, 10);
        putchar('\n');
    }
    stele_cursor_close(cursor);
    if (shown == 0)
        printf("      no events\n");
    else if (read.limit > 0 && summary->busiest.numbers[0] > shown)
        printf("      and %" PRId64 " more\n", summary->busiest.numbers[0] - shown);
    return status >= 0 || fail_store("history");
}

static bool print_verify(loan_desk *desk, bool *damaged_out)
{
    stele_verify *verify = NULL;
    const stele_check *check;
    uint64_t count = 0;
    uint64_t checks = 0;
    stele_status status = stele_verify_open(desk->store, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK) {
        checks++;
        count += check->count;
        if (check->failures == 0)
            continue;
        *damaged_out = true;
        fprintf(stderr, "error: verify: %s: %" PRIu64 " of %" PRIu64 " wrong, first %s\n",
                check->name, check->failures, check->count, check->offender);
    }
    stele_verify_close(verify);
    if (!desk->json && status == STELE_DONE)
        printf("\nVerify: %" PRIu64 " checks of %s things, %s\n", checks,
               format_count((int64_t)count).text, *damaged_out ? "DAMAGED" : "all well");
    return status == STELE_DONE || fail_store("verify");
}

/* --- The program --- */

static int run(loan_desk *desk)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.must_exist = desk->log == NULL;
    stele_imported imported = { 0 };
    loan_summary summary = { 0 };
    bool damaged = false;

    bool more = true;
    bool done = (stele_store_open(desk->store_path, &options, &desk->store) == STELE_OK
                 && register_events(desk->store) == STELE_OK)
                || fail_store("open");
    if (done && desk->log != NULL)
        done = import_log(desk, &imported);
    while (done && more)
        done = fold_batch(desk, &more);
    done = done && summarise(desk, &summary);
    if (done && desk->json) {
        print_json(&summary);
    } else if (done) {
        printf("%s: %s events imported, %s there before, %s lines bad\n", desk->store_path,
               format_count((int64_t)imported.appended).text,
               format_count((int64_t)imported.duplicates).text,
               format_count((int64_t)imported.rejected).text);
        print_figures(&summary);
        done = print_history(desk, &summary);
    }
    done = done && print_verify(desk, &damaged);
    if (fflush(stdout) != 0)
        done = fail("standard output", strerror(errno));

    if (!done)
        return EXIT_FAILURE;
    return damaged ? EXIT_DAMAGED : imported.rejected > 0 ? EXIT_INCOMPLETE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static const struct option known[] = { { "json", no_argument, NULL, 'j' },
                                           { "application", required_argument, NULL, 'a' },
                                           { "source", required_argument, NULL, 's' },
                                           { NULL, 0, NULL, 0 } };
    loan_desk desk = { 0 };
    bool usage = false;
    setlocale(LC_CTYPE, "");
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'j': desk.json = true; break;
        case 'a': desk.application = optarg; break;
        case 's': desk.source = optarg; break;
        default: usage = true; break;
        }
    }
    if (usage || argc - optind < 1 || argc - optind > 2) {
        fputs("usage: loan_desk [--json] [--application loan-ID] [--source NAME] STORE [LOG|-]\n",
              stderr);
        return EXIT_USAGE;
    }
    desk.store_path = argv[optind];
    if (argc - optind == 2) {
        desk.log_path = argv[optind + 1];
        desk.log = strcmp(desk.log_path, "-") == 0 ? stdin : fopen(desk.log_path, "rb");
        if (desk.log == NULL) {
            fail(desk.log_path, strerror(errno));
            return EXIT_FAILURE;
        }
    }
    int status = run(&desk);
    stele_store_close(desk.store);
    if (desk.log != NULL)
        fclose(desk.log);
    return status;
}
