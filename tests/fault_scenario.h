/**
 * @file tests/fault_scenario.h
 * A scenario that uses much of the library, a fault that may strike anywhere in it, and the look
 * at what is left. Nothing here asserts: what is wrong is kept as a sentence, for the sweeps to
 * fail with, and for their controls to expect.
 */
#ifndef STELE_TESTS_FAULT_SCENARIO_H
#define STELE_TESTS_FAULT_SCENARIO_H

#include "contract.h"
#include "disk_hooks.h"

#include <stele/verify.h>

#include <fcntl.h>
#include <stdarg.h>

/* --- The fault --- */

static struct fault {
    bool armed;
    bool sticky;   /* from number `at` on all fail, not only that one */
    int64_t at;    /* counted from 1; 0: none */
    int64_t count; /* of what could have failed */
    int64_t hits;
} fault;

static inline bool fault_is_due(void)
{
    if (!fault.armed)
        return false;
    fault.count++;
    bool due = fault.at > 0 && (fault.sticky ? fault.count >= fault.at : fault.count == fault.at);
    fault.hits += due;
    return due;
}

/* --- What went wrong --- */

static char wrong[700];

__attribute__((format(printf, 1, 2))) static inline void blame(const char *format, ...)
{
    if (wrong[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wrong, sizeof(wrong), format, arguments);
    va_end(arguments);
}

/* Statuses that the running sweep has seen, and those that it allows. */
static int status_seen[32];
static bool (*status_is_allowed)(stele_status status);

static inline stele_status take_status(const char *what, stele_status status)
{
    if (status < 0) {
        status_seen[-status]++;
        if (fault.hits == 0)
            blame("%s is %s without a fault: %s", what, stele_status_name(status),
                  stele_error_text());
        else if (!status_is_allowed(status))
            blame("%s is %s: %s", what, stele_status_name(status), stele_error_text());
        else if (stele_error_text()[0] == '\0')
            blame("%s is %s without a reason", what, stele_status_name(status));
    }
    return status;
}

/* --- What was acknowledged --- */

typedef enum deed { SINGLE, BATCH, KEYED, WITH_SQL, MANY, LAST, PROBE, AGAIN, DEEDS } deed;

static const struct {
    const char *type; /* of its events, and of nobody else's */
    int64_t events;
} deeds[DEEDS] = {
    [SINGLE] = { "single", 1 },     [BATCH] = { "batch", 3 }, [KEYED] = { "keyed", 1 },
    [WITH_SQL] = { "with-sql", 1 }, [MANY] = { "many", 2 },   [LAST] = { "last", 1 },
    [PROBE] = { "probe", 1 },       [AGAIN] = { "again", 1 },
};

/* The best answer to each: OK beats UNKNOWN_OUTCOME beats failures. NOT_FOUND: never tried. */
static stele_status answers[DEEDS];
static stele_status checkpoint_answer;

static inline void keep_answer(deed done, stele_status status)
{
    if (status == STELE_OK || answers[done] == STELE_NOT_FOUND
        || (status == STELE_UNKNOWN_OUTCOME && answers[done] != STELE_OK))
        answers[done] = status;
}

static inline stele_status append_deed(stele_store *target, deed done, const char *key)
{
    static char data[3000];
    memset(data, '7', sizeof(data));
    stele_event events[3];
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        events[i] = make_event(deeds[done].type, "");
        events[i].data = data;
        events[i].data_size = i == 0 ? sizeof(data) : 10;
    }
    stele_append append =
        make_append(deeds[done].type, STELE_ANY, events, (size_t)deeds[done].events);
    append.idempotency_key = key;
    stele_status status = take_status(deeds[done].type, stele_store_append(target, &append, NULL));
    keep_answer(done, status);
    return status;
}

/* --- The steps --- */

/* All events of the log; -1 when reading failed. */
static inline int64_t read_all(stele_store *from, int64_t counts_out[DEEDS])
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_read read = STELE_READ_INIT;
    int64_t count = 0;
    memset(counts_out, 0, DEEDS * sizeof(counts_out[0]));
    stele_status status = take_status("read", stele_store_read(from, &read, &cursor));
    if (status != STELE_OK)
        return -1;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        if (record->position != ++count)
            blame("position %" PRId64 " comes as number %" PRId64, record->position, count);
        for (int i = 0; i < DEEDS; i++)
            counts_out[i] += strcmp(record->type, deeds[i].type) == 0;
    }
    take_status("next", status);
    stele_cursor_close(cursor);
    return status == STELE_DONE ? count : -1;
}

/* What is readable is what was acknowledged, and maybe what has an unknown outcome. */
static inline void compare_with_answers(const char *where, stele_store *from)
{
    int64_t counts[DEEDS];
    if (read_all(from, counts) < 0)
        return;
    for (int i = 0; i < DEEDS; i++) {
        bool all = counts[i] == deeds[i].events, none = counts[i] == 0;
        bool right = answers[i] == STELE_OK                ? all
                     : answers[i] == STELE_UNKNOWN_OUTCOME ? all || none
                                                           : none;
        if (!right)
            blame("%s: %" PRId64 " events '%s' of an append that was answered %s", where, counts[i],
                  deeds[i].type, stele_status_name(answers[i]));
    }
}

static inline void run_transaction(stele_store *in)
{
    stele_transaction *transaction = NULL;
    if (take_status("begin", stele_transaction_begin(in, &transaction)) != STELE_OK)
        return;
    stele_event event = make_event(deeds[WITH_SQL].type, "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    struct sqlite3 *handle = stele_transaction_sqlite(transaction);
    stele_status status = STELE_IO;
    if (handle == NULL)
        blame("no handle in an open transaction");
    else if (sqlite3_exec(handle,
                          "CREATE TABLE IF NOT EXISTS balances(account TEXT, amount INTEGER);"
                          "INSERT INTO balances VALUES('account-1', 10)",
                          NULL, NULL, NULL)
             == SQLITE_OK)
        status = take_status("append inside", stele_transaction_append(transaction, &append, NULL));
    if (status == STELE_OK)
        status = take_status("checkpoint inside",
                             stele_transaction_checkpoint_save(transaction, "reader-2", 1));
    if (status == STELE_OK)
        status = take_status("commit", stele_transaction_commit(transaction));
    keep_answer(WITH_SQL, status);
    stele_transaction_end(transaction);
}

static inline void append_two_streams(stele_store *to)
{
    stele_event event = make_event(deeds[MANY].type, "{}");
    stele_append appends[2] = { make_append("account-1", STELE_ANY, &event, 1),
                                make_append("account-2", STELE_ANY, &event, 1) };
    keep_answer(MANY, take_status("many", stele_store_append_many(to, appends, 2, NULL, NULL)));
}

/* Each of them can be made again, whatever became of it. */
static inline void move_and_own(stele_store *with)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    stele_checkpoint_claimed claimed = { 0 };
    claim.owner = "worker";
    take_status("advance", stele_checkpoint_advance(with, "reader-3", &move, NULL));
    if (take_status("claim", stele_checkpoint_claim_take(with, "reader-4", &claim, &claimed))
        == STELE_OK)
        take_status("renew",
                    stele_checkpoint_claim_renew(with, "reader-4", claimed.generation, 1000));
    take_status("reset", stele_checkpoint_reset(with, "reader-3", NULL));
}

static inline void ask_questions(stele_store *of)
{
    int64_t head = 0;
    stele_stream_info stream = { 0 };
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_checkpoint checkpoint = { 0 };
    take_status("head", stele_store_head(of, &head));
    if (answers[SINGLE] == STELE_OK)
        take_status("stream", stele_store_stream(of, "single", &stream));
    take_status("describe", stele_store_describe(of, &info));
    take_status("checkpoint_load", stele_checkpoint_load(of, "reader-1", &checkpoint));
    if (checkpoint_answer == STELE_OK && !checkpoint.found && fault.hits == 0)
        blame("a saved checkpoint isn't found");
    stele_key_info key;
    if (take_status("key", stele_store_key(of, "attempt-1", &key)) != STELE_OK)
        return;
    stele_status answer = answers[KEYED];
    bool may_be_unknown = answer != STELE_OK, may_be_known = !may_be_unknown;
    may_be_known |= answer == STELE_UNKNOWN_OUTCOME;
    if (key.found ? !may_be_known : !may_be_unknown)
        blame("the key is %s, its append was answered %s", key.found ? "known" : "unknown",
              stele_status_name(answers[KEYED]));
}

static inline stele_store *open_for_scenario(uint32_t busy_timeout_ms)
{
    stele_store *opened = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = busy_timeout_ms;
    take_status("open", stele_store_open(store_path(), &options, &opened));
    return opened;
}

/* Goes on after failures, as a program would that only writes them down. */
static inline void run_steps(stele_store *with)
{
    int64_t counts[DEEDS];
    append_deed(with, SINGLE, NULL);
    append_deed(with, BATCH, NULL);
    append_deed(with, KEYED, "attempt-1");
    if (append_deed(with, KEYED, "attempt-1") != STELE_OK)
        append_deed(with, KEYED, "attempt-1");
    read_all(with, counts);
    run_transaction(with);
    append_two_streams(with);
    checkpoint_answer = take_status("checkpoint_save", stele_checkpoint_save(with, "reader-1", 0));
    move_and_own(with);
    ask_questions(with);
    take_status("transfer", stele_store_transfer(with, NULL, NULL));
    append_deed(with, LAST, NULL);
    read_all(with, counts);
}

/* --- After the fault --- */

/* Nothing fails now, so that each failure is one of ours. */
static inline stele_status expect_ok_now(const char *what, stele_status status)
{
    if (status < 0)
        blame("%s after the fault is %s: %s", what, stele_status_name(status), stele_error_text());
    return status;
}

/* A lock that was left would keep a stranger from writing, or from moving all of the WAL. */
static inline void probe_locks(void)
{
    stele_store *stranger = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    uint32_t left = 0;
    options.busy_timeout_ms = 0;
    if (expect_ok_now("a stranger's open", stele_store_open(store_path(), &options, &stranger))
        != STELE_OK)
        return;
    append_deed(stranger, PROBE, NULL);
    expect_ok_now("a stranger's append", answers[PROBE]);
    expect_ok_now("a stranger's transfer", stele_store_transfer(stranger, NULL, &left));
    if (left > 0)
        blame("%u pages can't be moved: somebody reads", (unsigned)left);
    stele_store_close(stranger);
}

static inline void verify_all(stele_store *target)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(target, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        if (check->failures > 0)
            blame("verify finds in '%s': %s", check->name, check->offender);
    stele_verify_close(verify);
    expect_ok_now("verify", status);
}

/* The row of the user's own table is there if and only if the event of its transaction is. */
static inline void compare_users_table(void)
{
    int64_t counts[DEEDS];
    sqlite3 *raw = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t rows = 0;
    stele_store *reader = open_for_scenario(0);
    if (reader == NULL || read_all(reader, counts) < 0)
        blame("can't read after the fault: %s", stele_error_text());
    stele_store_close(reader);
    if (sqlite3_open(store_path(), &raw) == SQLITE_OK
        && sqlite3_prepare_v2(raw, "SELECT count(*) FROM balances", -1, &statement, NULL)
               == SQLITE_OK
        && sqlite3_step(statement) == SQLITE_ROW)
        rows = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(raw);
    if (wrong[0] == '\0' && rows != counts[WITH_SQL])
        blame("%" PRId64 " rows of the user's for %" PRId64 " events", rows, counts[WITH_SQL]);
}

static inline int count_descriptors(void)
{
    int count = 0;
    for (int i = 0; i < 256; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

/* What a control does wrong on purpose, after the work. */
static void (*sabotage)(void);

/*
 * The whole: open, work, probe with the fault at rest, close, look. The fault may strike in the
 * open, the work or the close; `wrong` is empty when all was as promised.
 */
static inline void run_scenario(int64_t at, bool sticky)
{
    int descriptors = count_descriptors();
    wrong[0] = '\0';
    for (int i = 0; i < DEEDS; i++)
        answers[i] = STELE_NOT_FOUND;
    checkpoint_answer = STELE_NOT_FOUND;
    fault = (struct fault){ .armed = true, .sticky = sticky, .at = at };

    stele_store *with = open_for_scenario(20);
    if (with != NULL)
        run_steps(with);
    if (sabotage != NULL)
        sabotage();

    fault.armed = false;
    probe_locks();
    if (with != NULL) {
        append_deed(with, AGAIN, NULL);
        expect_ok_now("an append", answers[AGAIN]);
        compare_with_answers("same handle", with);
        fault.armed = true;
        stele_store_close(with);
        fault.armed = false;
    }
    store = open_for_scenario(0);
    if (store == NULL)
        blame("can't open after the fault: %s", stele_error_text());
    if (store != NULL) {
        compare_with_answers("reopened", store);
        verify_all(store);
    }
    close_store();
    compare_users_table();
    if (count_descriptors() != descriptors)
        blame("%d descriptors instead of %d", count_descriptors(), descriptors);
}

#endif
