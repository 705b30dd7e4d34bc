/*
 * A worker: a process that keeps a read model of the loan desk in the file of the store itself,
 * exactly once.
 *
 *     projection_worker [--until-head] [--owner NAME] STORE
 *     projection_worker --report STORE
 *
 * It catches up with the events that are there, and then waits for those that other processes
 * append, until SIGTERM or SIGINT; with --until-head it ends when it has seen what was there at
 * the start. Try it, in two terminals:
 *
 *     projection_worker loans.stele
 *     stele -s loans.stele import log.jsonl
 *     projection_worker --report loans.stele
 *
 * Kill it in whatever way at whatever moment and start it again: each event counts once. That is
 * so because the library hands the handler a transaction, and commits what it writes together with
 * the place up to which the log was read. Nothing else has to be remembered, and nothing undone.
 *
 * Several may run: one works, the others stand by. One that was killed is still taken to be alive
 * until its lease has ended, at most LEASE_MS later. Started again with the same --owner it needn't
 * wait for that; no two that run at once may have the same one.
 *
 * What is kept: of each application its state, the amount asked for and the offers made; events
 * by type and by resource. loan_desk.c says what counts as what. --report writes the figures, a
 * line each, in the order of their names.
 *
 * Exit: 0; 1 failed, after an `error:` line; 2 usage; 3 an event can't be handled: see
 * `stele sub`; 4 the store was put back to an older time: look at the model, then
 * `stele checkpoint reset`; 6 the store is damaged.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include <stele.h>

#include "loan_events.h"

#define SUBSCRIPTION "loan_model"
#define BATCH_EVENTS 500  /* Other writers wait while a batch is handled. */
#define LEASE_MS     5000 /* And after a crash, at most so long until another one takes over. */
#define DIGITS       "0123456789"
#define MILLION      INT64_C(1000000)
#define EXIT_USAGE   2
#define EXIT_REFUSED 3
#define EXIT_EPOCH   4
#define EXIT_DAMAGED 6

/* The statements that take an event into the model. */
enum { FOLD_APPLICATION, FOLD_TYPE, FOLD_RESOURCE, FOLDS };

typedef struct loan_worker {
    const char *path;
    const char *owner; /* NULL: made up by the library. */
    bool until_head;
    bool report;
    stele_store *store;
    sqlite3 *sqlite; /* Whose statements these are: prepared once, as it is always the same. */
    sqlite3_stmt *folds[FOLDS];
} loan_worker;

static bool fail(const char *what, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", what, why);
    return false;
}

/* --- The model --- */

/* Amounts are in millionths, times in microseconds; NULL is not known, or not yet. The sum of the
 * positions would show an event that counted twice, or that didn't. */
static const char create_model[] =
    "CREATE TABLE IF NOT EXISTS model_application (stream TEXT PRIMARY KEY,"
    "  events INTEGER NOT NULL, offers INTEGER NOT NULL, submitted_at INTEGER, outcome TEXT,"
    "  decided_at INTEGER, amount INTEGER) STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS model_type (type TEXT PRIMARY KEY, events INTEGER NOT NULL,"
    "  positions INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS model_resource (resource TEXT PRIMARY KEY,"
    "  events INTEGER NOT NULL) STRICT, WITHOUT ROWID";

/* The first submission and the last decision win. */
static const char *const fold_texts[FOLDS] = {
    [FOLD_APPLICATION] =
        "INSERT INTO model_application"
        "  (stream, events, offers, submitted_at, outcome, decided_at, amount)"
        " VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (stream) DO UPDATE SET events = events + 1,"
        "  offers = offers + excluded.offers,"
        "  submitted_at = coalesce(submitted_at, excluded.submitted_at),"
        "  outcome = coalesce(excluded.outcome, outcome),"
        "  decided_at = coalesce(excluded.decided_at, decided_at),"
        "  amount = CASE WHEN submitted_at IS NULL AND excluded.submitted_at IS NOT NULL"
        "   THEN coalesce(excluded.amount, amount) ELSE coalesce(amount, excluded.amount) END",
    [FOLD_TYPE] = ("INSERT INTO model_type (type, events, positions) VALUES (?1, 1, ?2)"
                   " ON CONFLICT (type) DO UPDATE SET events = events + 1,"
                   "  positions = positions + excluded.positions"),
    [FOLD_RESOURCE] = ("INSERT INTO model_resource (resource, events) VALUES (?1, 1)"
                       " ON CONFLICT (resource) DO UPDATE SET events = events + 1"),
};

static void drop_folds(loan_worker *worker)
{
    for (int i = 0; i < FOLDS; i++) {
        sqlite3_finalize(worker->folds[i]);
        worker->folds[i] = NULL;
    }
}

static bool prepare_folds(loan_worker *worker, sqlite3 *sqlite)
{
    bool prepared = true;
    if (sqlite != worker->sqlite)
        drop_folds(worker);
    worker->sqlite = sqlite;
    for (int i = 0; i < FOLDS && prepared; i++)
        prepared = worker->folds[i] != NULL
                   || sqlite3_prepare_v3(sqlite, fold_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                         &worker->folds[i], NULL)
                          == SQLITE_OK;
    return prepared;
}

static bool run_fold(sqlite3_stmt *fold)
{
    sqlite3_step(fold);
    bool done = sqlite3_reset(fold) == SQLITE_OK; /* which repeats how the step went */
    sqlite3_clear_bindings(fold);
    return done;
}

/* --- Taking an event into the model --- */

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
    if (whole + count == 0 || whole > 12 + strspn(text, "0")
        || kept + strspn(decimals + kept, "0") != strlen(decimals))
        return false;
    int64_t millionths = 0;
    for (size_t i = 0; i < 6; i++)
        millionths = millionths * 10 + (i < kept ? decimals[i] - '0' : 0);
    *millionths_out = strtoll(text, NULL, 10) * MILLION + millionths;
    return true;
}

static const char *outcome_of(const stele_type *type)
{
    if (type == &approved_type)
        return "approved";
    if (type == &declined_type)
        return "declined";
    return type == &cancelled_type ? "cancelled" : NULL;
}

static bool fold_application(sqlite3_stmt *fold, const stele_record *record,
                             const loan_event *event)
{
    bool submitted = event->type == &submitted_type;
    const char *outcome = outcome_of(event->type);
    int64_t amount = 0;
    sqlite3_bind_text(fold, 1, record->stream, -1, SQLITE_STATIC);
    sqlite3_bind_int(fold, 2, strcmp(record->type, "O_CREATED") == 0);
    if (submitted)
        sqlite3_bind_int64(fold, 3, time_of(record));
    if (outcome != NULL) {
        sqlite3_bind_text(fold, 4, outcome, -1, SQLITE_STATIC);
        sqlite3_bind_int64(fold, 5, time_of(record));
    }
    if ((submitted || record->version == 1) && parse_amount(event->amount, &amount))
        sqlite3_bind_int64(fold, 6, amount);
    return run_fold(fold);
}

static bool fold_event(loan_worker *worker, const stele_record *record, const loan_event *event,
                       const loan_text *resource)
{
    sqlite3_stmt *type = worker->folds[FOLD_TYPE];
    sqlite3_bind_text(type, 1, record->type, -1, SQLITE_STATIC);
    sqlite3_bind_int64(type, 2, record->position);
    sqlite3_bind_text(worker->folds[FOLD_RESOURCE], 1, resource->text, -1, SQLITE_STATIC);
    return fold_application(worker->folds[FOLD_APPLICATION], record, event) && run_fold(type)
           && run_fold(worker->folds[FOLD_RESOURCE]);
}

/* What went wrong in a statement of ours. */
static stele_status status_of(sqlite3 *sqlite)
{
    switch (sqlite3_errcode(sqlite) & 0xff) { /* without what extended codes add */
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG: return STELE_REFUSED;
    case SQLITE_FULL: return STELE_FULL;
    case SQLITE_NOMEM: return STELE_NO_MEMORY;
    case SQLITE_CORRUPT: return STELE_CORRUPT;
    default: return STELE_IO;
    }
}

/*
 * The handler. What it writes on the connection of the transaction is committed with the place
 * behind the batch, or not at all; so it neither begins nor commits anything itself.
 *
 * What it answers decides what comes next. A full disk isn't the event's fault: the library tries
 * again later. For anything else it names the event, and then the options decide what is done with
 * it; here the worker stops before it.
 */
static stele_status handle_batch(void *context, const stele_batch *batch,
                                 const stele_handling *handling)
{
    loan_worker *worker = context;
    sqlite3 *sqlite = stele_transaction_sqlite(handling->transaction);
    stele_status status = STELE_OK;
    bool folded = prepare_folds(worker, sqlite);
    for (size_t i = 0; i < batch->count && folded; i++) {
        const stele_record *record = batch->records[i];
        loan_event event;
        loan_text resource;
        status = read_event(worker->store, record, &event);
        if (status == STELE_OK)
            status = read_as(worker->store, record, &resource_type, &resource);
        if (status != STELE_OK)
            return status;
        folded = fold_event(worker, record, &event, &resource);
        if (!folded && status_of(sqlite) == STELE_REFUSED)
            return stele_handling_fail(handling, record->position, sqlite3_errmsg(sqlite));
    }
    return folded ? STELE_OK : status_of(sqlite);
}

static void say_caught_up(void *context, int64_t position)
{
    const loan_worker *worker = context;
    printf("%s: caught up at position %" PRId64 "\n", worker->path, position);
    fflush(stdout);
}

/* --- Working --- */

static stele_subscription *working; /* For the signal handler. */

static void stop_working(int number)
{
    (void)number;
    stele_subscription_stop(working);
}

static void on_signals(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static bool make_model(loan_worker *worker)
{
    stele_transaction *transaction = NULL;
    bool made = stele_transaction_begin(worker->store, &transaction) == STELE_OK;
    if (made) {
        sqlite3 *sqlite = stele_transaction_sqlite(transaction);
        if (sqlite3_exec(sqlite, create_model, NULL, NULL, NULL) != SQLITE_OK)
            made = fail("model", sqlite3_errmsg(sqlite));
        else
            made = stele_transaction_commit(transaction) == STELE_OK
                   || fail("model", stele_error_text());
    } else {
        fail("model", stele_error_text());
    }
    stele_transaction_end(transaction);
    return made;
}

static int exit_code_for(stele_status status)
{
    switch (status) {
    case STELE_DONE:
    case STELE_CANCELLED: return EXIT_SUCCESS;
    case STELE_REFUSED: return EXIT_REFUSED;
    case STELE_EPOCH: return EXIT_EPOCH;
    case STELE_CORRUPT: return EXIT_DAMAGED;
    default: return EXIT_FAILURE;
    }
}

static int work(loan_worker *worker)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.name = SUBSCRIPTION;
    options.category = "loan";
    options.batch_count_max = BATCH_EVENTS;
    options.lease_ms = LEASE_MS;
    options.owner = worker->owner;
    options.stop = worker->until_head ? STELE_STOP_HEAD : STELE_STOP_NEVER;
    stele_handler handler = STELE_HANDLER_INIT;
    handler.batch = handle_batch;
    handler.caught_up = say_caught_up;
    handler.context = worker;

    stele_status status = stele_subscription_open(worker->store, &options, &working);
    if (status == STELE_OK) {
        on_signals(stop_working);
        status = stele_subscription_run(working, &handler);
        on_signals(SIG_IGN); /* the handle must live as long as it may be stopped */
    }
    if (status < 0 && status != STELE_CANCELLED)
        fail("subscription", stele_error_text());
    stele_subscription_close(working); /* and gives it up: another one may go on at once */
    drop_folds(worker);
    return exit_code_for(status);
}

/* --- The report --- */

/* A name and a number or two a line. The nearest-rank percentile is the ceil(p * n)th of n. */
static const char select_report[] =
    "WITH outcome(name) AS (VALUES ('approved'), ('declined'), ('cancelled'), ('undecided')),"
    " application AS (SELECT *, coalesce(outcome, 'undecided') AS name FROM model_application"
    "  WHERE coalesce(submitted_at, decided_at) IS NOT NULL),"
    " lead AS (SELECT took, row_number() OVER (ORDER BY took) AS place, count(*) OVER () AS n"
    "  FROM (SELECT (decided_at - submitted_at) / 1000 AS took FROM application)"
    "  WHERE took IS NOT NULL)"
    " SELECT 'events', coalesce(sum(events), 0), NULL FROM model_type"
    " UNION ALL SELECT 'positions', coalesce(sum(positions), 0), NULL FROM model_type"
    " UNION ALL SELECT 'applications', count(*), NULL FROM model_application"
    " UNION ALL SELECT 'submitted', count(submitted_at), NULL FROM model_application"
    " UNION ALL SELECT 'offers', coalesce(sum(offers), 0), NULL FROM model_application"
    " UNION ALL SELECT 'offered', count(*), NULL FROM model_application WHERE offers > 0"
    " UNION ALL SELECT 'outcome ' || name, count(stream), coalesce(sum(amount), 0)"
    "  FROM outcome LEFT JOIN application USING (name) GROUP BY name"
    " UNION ALL SELECT 'lead_ms p50', coalesce(max(took), 0), NULL FROM lead"
    "  WHERE place = (n * 50 + 99) / 100"
    " UNION ALL SELECT 'lead_ms p90', coalesce(max(took), 0), NULL FROM lead"
    "  WHERE place = (n * 90 + 99) / 100"
    " UNION ALL SELECT 'type ' || type, events, positions FROM model_type"
    " UNION ALL SELECT 'resource ' || resource, events, NULL FROM model_resource"
    " ORDER BY 1";

/* What somebody else chose, so that it can't drive the terminal. */
static void print_name(const unsigned char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~' || *text == '\\')
            printf("\\x%02x", (unsigned)*text);
        else
            putchar(*text);
    }
}

static bool print_rows(sqlite3 *sqlite)
{
    sqlite3_stmt *rows = NULL;
    int step = sqlite3_prepare_v2(sqlite, select_report, -1, &rows, NULL);
    while (step == SQLITE_OK || step == SQLITE_ROW) {
        step = sqlite3_step(rows);
        if (step != SQLITE_ROW)
            break;
        print_name(sqlite3_column_text(rows, 0));
        printf("\t%lld", (long long)sqlite3_column_int64(rows, 1));
        if (sqlite3_column_type(rows, 2) != SQLITE_NULL)
            printf("\t%lld", (long long)sqlite3_column_int64(rows, 2));
        putchar('\n');
    }
    bool done = step == SQLITE_DONE || fail("model", sqlite3_errmsg(sqlite));
    sqlite3_finalize(rows);
    if (fflush(stdout) != 0)
        done = fail("standard output", strerror(errno));
    return done;
}

/* A connection of its own that only reads: nobody waits for it, and it sees one moment. */
static int report(const loan_worker *worker)
{
    sqlite3 *sqlite = NULL;
    bool done = sqlite3_open_v2(worker->path, &sqlite, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK
                || fail(worker->path, sqlite3_errmsg(sqlite));
    if (done) {
        sqlite3_busy_timeout(sqlite, 5000);
        done = print_rows(sqlite);
    }
    sqlite3_close(sqlite);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- The program --- */

static int run(loan_worker *worker)
{
    int code = EXIT_FAILURE;
    stele_status status = stele_store_open(worker->path, NULL, &worker->store);
    if (status == STELE_OK)
        status = register_events(worker->store);
    if (status != STELE_OK)
        fail(worker->path, stele_error_text());
    else if (make_model(worker))
        code = work(worker);
    stele_store_close(worker->store);
    return code;
}

int main(int argc, char **argv)
{
    static const struct option known[] = { { "until-head", no_argument, NULL, 'u' },
                                           { "owner", required_argument, NULL, 'o' },
                                           { "report", no_argument, NULL, 'r' },
                                           { NULL, 0, NULL, 0 } };
    loan_worker worker = { 0 };
    bool usage = false;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'u': worker.until_head = true; break;
        case 'o': worker.owner = optarg; break;
        case 'r': worker.report = true; break;
        default: usage = true; break;
        }
    }
    if (usage || argc - optind != 1 || (worker.report && (worker.until_head || worker.owner))) {
        fputs("usage: projection_worker [--until-head] [--owner NAME] STORE\n"
              "       projection_worker --report STORE\n",
              stderr);
        return EXIT_USAGE;
    }
    worker.path = argv[optind];
    return worker.report ? report(&worker) : run(&worker);
}
