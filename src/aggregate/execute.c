/* Executing a command: load, decide, append; and when somebody else was faster, once more. */
#include <inttypes.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/bytes.h"
#include "base/failure.h"
#include "base/options.h"
#include "base/platform.h"
#include "store/sequencer.h"

#define NAP_US 20000

void stele_execute_init(stele_execute *execute)
{
    *execute = (stele_execute)STELE_EXECUTE_INIT;
}

/* A command on its way. */
typedef struct command_run {
    stele_aggregate *aggregate;
    stele_transaction *transaction; /* NULL: none */
    stele_execute execute;          /* full size */
    stele_cause cause;
    stele__patience patience; /* of the whole, when the caller said how long */
    stele_wait wait;          /* what is left of that */
    stele__fold fold;
    stele_decision decision;
    stele_executed executed;
} command_run;

/* --- Before --- */

static stele_status check_execute(const stele_aggregate *aggregate, const stele_execute *given,
                                  command_run *run)
{
    run->execute = (stele_execute)STELE_EXECUTE_INIT;
    if (aggregate == NULL)
        return stele__fail(STELE_MISUSE, "the aggregate is NULL");
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "what to execute is NULL");
    stele_status status =
        stele__options_take("stele_execute", given, &run->execute, sizeof(run->execute));
    if (status != STELE_OK)
        return status;
    if (run->execute.state != NULL)
        memset(run->execute.state, 0, aggregate->state_size);
    status = stele__check_name("stream", run->execute.stream);
    if (status == STELE_OK && run->execute.stream[0] == '$')
        status = stele__fail(STELE_MISUSE, "the stream '%s' is the library's", run->execute.stream);
    if (status == STELE_OK && run->execute.idempotency_key != NULL)
        status = stele__check_name("idempotency key", run->execute.idempotency_key);
    if (status == STELE_OK && aggregate->decider.decide == NULL)
        status = stele__fail(STELE_MISUSE, "the decider '%s' has no `decide`", aggregate->name);
    if (status == STELE_OK && run->execute.expected_version < STELE_STREAM_EXISTS)
        status = stele__fail(STELE_MISUSE, "the expected version %" PRId64 " is none",
                             run->execute.expected_version);
    if (status == STELE_OK && run->execute.cause != NULL)
        status = stele__cause_take(run->execute.cause, &run->cause);
    if (run->execute.tries == 0)
        run->execute.tries = aggregate->options.tries;
    return status;
}

static void begin_execution(command_run *run, stele_aggregate *aggregate,
                            stele_transaction *transaction)
{
    run->aggregate = aggregate;
    run->transaction = transaction;
    run->wait = (stele_wait)STELE_WAIT_INIT;
    run->fold = (stele__fold){ .aggregate = aggregate,
                               .stream = run->execute.stream,
                               .transaction = transaction,
                               .executing = true };
    stele__decision_begin(&run->decision, aggregate, run->execute.stream,
                          run->execute.cause == NULL ? NULL : &run->cause);
}

/* What is left of the caller's time, for the next thing that waits. NULL when it gave none. */
static stele_status time_left(command_run *run, const stele_wait **wait_out)
{
    *wait_out = NULL;
    stele_status status = stele__aggregate_check(run->aggregate);
    if (status != STELE_OK || run->execute.wait == NULL)
        return status;
    status = stele__patience_check(&run->patience, "executing a command");
    if (status != STELE_OK)
        return status;
    run->wait.progress = run->patience.progress;
    run->wait.context = run->patience.context;
    int64_t left_us = run->patience.deadline_us == INT64_MAX
                          ? INT64_MAX
                          : run->patience.deadline_us - stele__clock_monotonic_us();
    if (left_us != INT64_MAX)
        run->wait.timeout_ms = left_us <= 0 ? 0 : (uint32_t)(left_us / 1000 + 1);
    *wait_out = &run->wait;
    return STELE_OK;
}

/* --- Idempotency --- */

static stele_status find_key(command_run *run, stele_key_info *info)
{
    const char *key = run->execute.idempotency_key;
    *info = (stele_key_info){ 0 };
    if (key == NULL)
        return STELE_OK;
    return run->transaction != NULL
               ? stele_transaction_key(run->transaction, key, info)
               : stele__key_look(run->aggregate->store, run->fold.wait, key, info);
}

static stele_status append_events(command_run *run, const stele_append *append,
                                  stele_appended *appended)
{
    return run->transaction != NULL ? stele_transaction_append(run->transaction, append, appended)
                                    : stele_store_append(run->aggregate->store, append, appended);
}

/* A command that emitted nothing left no trace of its stream but in the digest of its key: an
 * append of nothing says whether it is the same. */
static stele_status repeat_empty(command_run *run)
{
    stele_append append = STELE_APPEND_INIT;
    stele_appended appended;
    append.stream = run->execute.stream;
    append.idempotency_key = run->execute.idempotency_key;
    stele_status status = time_left(run, &append.wait);
    if (status == STELE_OK)
        status = append_events(run, &append, &appended);
    run->executed.duplicate = status == STELE_OK;
    if (status == STELE_OK)
        run->executed.version = appended.stream_version;
    return status;
}

/* The key came before: the first attempt's outcome, and nothing is loaded or decided. */
static stele_status answer_key(command_run *run, const stele_key_info *info)
{
    stele_executed *executed = &run->executed;
    if (info->event_count == 0)
        return repeat_empty(run);
    stele_status status = stele__fold_look(&run->fold);
    if (status != STELE_OK)
        return status;
    /* The key's events may be of a stream that was deleted since, whatever is called so now. */
    if (!info->erased && info->stream_id != run->fold.tail.id)
        return stele__fail(STELE_KEY_REUSED,
                           "the idempotency key '%s' was used for another stream than '%s'",
                           run->execute.idempotency_key, run->execute.stream);
    executed->duplicate = true;
    executed->erased = info->erased;
    executed->version = info->stream_version;
    executed->first_position = info->first_position;
    executed->last_position = info->last_position;
    executed->event_count = (uint64_t)info->event_count;
    return STELE_OK;
}

/* --- A try --- */

static stele_status check_stream_state(const command_run *run)
{
    const char *stream = run->execute.stream;
    switch (run->fold.tail.state) {
    case STELE_STREAM_ARCHIVED:
        return stele__fail(STELE_ARCHIVED, "stream '%s' is archived", stream);
    case STELE_STREAM_TOMBSTONED:
        return stele__fail(STELE_TOMBSTONED, "stream '%s' is tombstoned", stream);
    default: return STELE_OK;
    }
}

static stele_status check_version(const command_run *run)
{
    int64_t expected = run->execute.expected_version;
    int64_t actual = run->fold.at.version;
    if (expected == STELE_ANY || expected == actual
        || (expected == STELE_STREAM_EXISTS && actual > 0))
        return STELE_OK;
    if (expected == STELE_STREAM_EXISTS)
        return stele__fail(STELE_CONFLICT, "stream '%s' was expected to exist",
                           run->execute.stream);
    return stele__fail(STELE_CONFLICT, "stream '%s' is at version %" PRId64 ", expected %" PRId64,
                       run->execute.stream, actual, expected);
}

/* What was emitted is wrong: whose it was is said with that. */
static stele_status name_refusal(const command_run *run, stele_status status)
{
    if (status != STELE_INVALID && status != STELE_PRECISION && status != STELE_TOO_LARGE
        && status != STELE_UNSUPPORTED && status != STELE_MISUSE)
        return status;
    return stele__fail_within(status, "stream '%s' at version %" PRId64, run->execute.stream,
                              run->fold.at.version);
}

/* Append what was emitted, at the version that was decided on, of the stream that it was: a later
 * one of its name may have come as far. */
static stele_status append_decision(command_run *run, bool *overtaken_out)
{
    stele_append append = STELE_APPEND_INIT;
    stele_appended appended = { 0 };
    stele_condition same = { .kind = STELE_CONDITION_STREAM_ID,
                             .stream = run->execute.stream,
                             .expected_version = run->fold.at.stream_id };
    append.conditions = &same;
    append.condition_count = 1;
    append.stream = run->execute.stream;
    append.expected_version = run->fold.at.version;
    append.events = (const stele_event *)(const void *)run->decision.events.data;
    append.event_count = run->decision.events.size / sizeof(stele_event);
    append.idempotency_key = run->execute.idempotency_key;
    if (append.event_count == 0 && append.idempotency_key == NULL)
        return STELE_OK;
    stele_status status = run->transaction == NULL ? time_left(run, &append.wait) : STELE_OK;
    if (status == STELE_OK)
        status = append_events(run, &append, &appended);
    *overtaken_out = status == STELE_CONFLICT;
    if (status == STELE_OK || status == STELE_CONFLICT)
        run->executed.version = appended.stream_version;
    if (status == STELE_OK) {
        run->executed.first_position = appended.first_position;
        run->executed.last_position = appended.last_position;
        run->executed.duplicate = appended.duplicate;
        run->executed.erased = appended.erased;
        run->executed.event_count = append.event_count;
    }
    return name_refusal(run, status);
}

/* Decide on the state at hand, and append. */
static stele_status try_once(command_run *run, bool *overtaken_out)
{
    *overtaken_out = false;
    run->executed.version = run->fold.at.version;
    stele_status status = check_stream_state(run);
    if (status == STELE_OK)
        status = check_version(run);
    if (status != STELE_OK)
        return status;
    run->executed.tries++;
    status = stele__decision_make(&run->decision, run->fold.at.state, run->fold.at.version,
                                  run->execute.command);
    if (status == STELE_REFUSED)
        run->executed.refusal = run->decision.refusal;
    return status == STELE_OK ? append_decision(run, overtaken_out) : status;
}

/* --- Once more --- */

/* In short naps: who closes the store or the aggregate, or cancels, isn't kept waiting. */
static stele_status sleep_between_tries(command_run *run, int64_t sleep_us)
{
    int64_t end_us = stele__clock_monotonic_us() + sleep_us;
    stele__patience closing = { .deadline_us = INT64_MAX, .closing = run->patience.closing };
    stele__patience *patience = run->execute.wait != NULL ? &run->patience : &closing;
    stele_status status = STELE_OK;
    while (status == STELE_OK && (sleep_us = end_us - stele__clock_monotonic_us()) > 0) {
        stele__patience_sleep(patience, (uint32_t)(sleep_us < NAP_US ? sleep_us : NAP_US));
        status = stele__aggregate_check(run->aggregate);
        if (status == STELE_OK)
            status = stele__patience_check(patience, "executing a command");
    }
    return status;
}

/* Half of the time is left to chance, so that two who meet don't meet again. */
static stele_status back_off(command_run *run, uint32_t tries)
{
    const stele_aggregate_options *options = &run->aggregate->options;
    stele_status status = stele__aggregate_check(run->aggregate);
    if (tries < 2 || options->backoff_us == 0 || status != STELE_OK)
        return status;
    uint64_t sleep_us = options->backoff_us;
    for (uint32_t i = 2; i < tries && sleep_us < options->backoff_max_us; i++)
        sleep_us *= 2;
    if (sleep_us > options->backoff_max_us)
        sleep_us = options->backoff_max_us;
    uint32_t chance = 0;
    status = stele__random_bytes(&chance, sizeof(chance));
    if (status != STELE_OK)
        return status;
    return sleep_between_tries(run, (int64_t)(sleep_us / 2 + chance % (sleep_us / 2 + 1)));
}

static void count_execution(stele_aggregate *aggregate, bool overtaken)
{
    pthread_mutex_lock(&aggregate->mutex);
    if (overtaken)
        aggregate->counts.conflicts++;
    else
        aggregate->counts.executed++;
    pthread_mutex_unlock(&aggregate->mutex);
}

/* Somebody appended: fold what was missed. */
static stele_status catch_up(command_run *run)
{
    stele_status status = back_off(run, run->executed.tries);
    if (status == STELE_OK)
        status = time_left(run, &run->fold.wait);
    return status == STELE_OK ? stele__fold_on(&run->fold) : status;
}

/* What was appended is not there. */
static void forget_append(command_run *run)
{
    stele_executed *executed = &run->executed;
    executed->version = run->fold.at.version;
    executed->first_position = executed->last_position = 0;
    executed->event_count = 0;
    executed->duplicate = executed->erased = false;
}

/* With the write lock, which nobody can be faster than. */
static stele_status try_locked(command_run *run)
{
    const stele_wait *wait = NULL;
    bool overtaken = false;
    stele_status status = time_left(run, &wait);
    if (status == STELE_OK)
        status = stele_transaction_begin_wait(run->aggregate->store, wait, &run->transaction);
    if (status != STELE_OK)
        return status;
    run->fold.transaction = run->transaction;
    status = stele__fold_on(&run->fold);
    if (status == STELE_OK)
        status = try_once(run, &overtaken);
    if (status == STELE_OK) {
        status = stele_transaction_commit(run->transaction);
        if (status != STELE_OK)
            forget_append(run);
    }
    stele_transaction_end(run->transaction);
    run->transaction = NULL;
    run->fold.transaction = NULL;
    return status;
}

static stele_status try_until_done(command_run *run)
{
    uint32_t lock_after = run->aggregate->options.lock_after;
    while (true) {
        bool overtaken = false;
        stele_status status = try_once(run, &overtaken);
        if (!overtaken)
            return status;
        count_execution(run->aggregate, true);
        if (run->transaction != NULL || run->executed.tries >= run->execute.tries)
            return stele__fail(STELE_CONFLICT,
                               "stream '%s' was at another version each time after deciding,"
                               " %" PRIu32 " times",
                               run->execute.stream, run->executed.tries);
        /* What is put in order elsewhere isn't decided by the file's lock. */
        bool locks = lock_after > 0 && run->executed.tries >= lock_after;
        if (locks && !stele__sequencer_is_there(run->aggregate->store)) {
            status = try_locked(run);
            if (status != STELE_UNSUPPORTED
                || !stele__sequencer_is_there(run->aggregate->store)) /* it has just come */
                return status;
        }
        status = catch_up(run);
        if (status != STELE_OK)
            return status;
    }
}

/* Whether it says of the command, on the state that was met, that it can't be. */
static bool is_verdict(stele_status status)
{
    switch (status) {
    case STELE_REFUSED:
    case STELE_CONFLICT:
    case STELE_KEY_REUSED:
    case STELE_ARCHIVED:
    case STELE_TOMBSTONED:
    case STELE_INVALID:
    case STELE_PRECISION:
    case STELE_TOO_LARGE:
    case STELE_UNSUPPORTED:
    case STELE_UNKNOWN_TYPE: return true;
    default: return false;
    }
}

/* The same command may have been executed elsewhere after our look at its key: what it was decided
 * on then had it in already. */
static stele_status ask_for_key_again(command_run *run, stele_status verdict)
{
    stele_key_info info;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    stele_status status = find_key(run, &info);
    if (status == STELE_OK && info.found) {
        run->executed.refusal = 0;
        return answer_key(run, &info);
    }
    stele__restore_error(error);
    return verdict;
}

/* --- After --- */

static bool wants_snapshot(const command_run *run)
{
    const stele_aggregate_options *options = &run->aggregate->options;
    const stele__fold *fold = &run->fold;
    if (run->transaction != NULL || !run->aggregate->snapshots
        || fold->at.version <= fold->at.snapshot_version)
        return false;
    uint64_t since = (uint64_t)(fold->at.version - fold->at.snapshot_version);
    return (options->snapshot_events > 0 && since >= options->snapshot_events)
           || (options->snapshot_fold_us > 0 && fold->report.folded > 0 && fold->report.fold_us > 0
               && (uint64_t)fold->report.fold_us > options->snapshot_fold_us);
}

/* Best effort: whatever comes of it, the command is done. */
static void save_by_policy(command_run *run)
{
    if (run->executed.duplicate || !wants_snapshot(run))
        return;
    stele_status status =
        stele__fold_save(&run->fold, run->execute.wait == NULL ? NULL : &run->wait);
    /* One that failed is tried again when as many events were folded once more. */
    run->fold.at.snapshot_version = run->fold.at.version;
    run->executed.snapshot_status = status;
    run->executed.snapshot_saved = status == STELE_OK;
}

/* The state after the command, for who wants it. The command is done, whatever comes of this. */
static void show_state(command_run *run)
{
    if (run->execute.state == NULL)
        return;
    stele_status status =
        run->fold.at.state == NULL ? stele__fold_load(&run->fold) : stele__fold_on(&run->fold);
    if (status == STELE_OK)
        status = stele__fold_show(&run->fold, run->execute.state);
    if (status == STELE_OK)
        run->executed.state_version = run->fold.at.version;
    run->executed.state_status = status;
}

static stele_status load_and_try(command_run *run)
{
    stele_status status = stele__fold_load(&run->fold);
    if (status == STELE_OK)
        status = try_until_done(run);
    if (run->execute.idempotency_key != NULL && is_verdict(status))
        status = ask_for_key_again(run, status);
    if (status != STELE_OK)
        return status;
    if (!run->executed.duplicate && run->executed.event_count > 0)
        count_execution(run->aggregate, false);
    save_by_policy(run);
    return STELE_OK;
}

static stele_status run_execution(command_run *run)
{
    stele_key_info info;
    stele_status status = time_left(run, &run->fold.wait);
    if (status == STELE_OK)
        status = find_key(run, &info);
    if (status == STELE_OK)
        status = info.found ? answer_key(run, &info) : load_and_try(run);
    if (status == STELE_OK)
        show_state(run);
    run->executed.fold = run->fold.report;
    stele__fold_end(&run->fold);
    return status;
}

/* --- The public calls --- */

/* This thread would wait for itself. */
static stele_status check_no_transaction(const stele_store *store)
{
    if (atomic_load(&store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE, "this thread has a transaction open: use that");
    return STELE_OK;
}

static stele_status execute_in_turn(command_run *run)
{
    stele_aggregate *aggregate = run->aggregate;
    stele__in_line place;
    if (run->execute.wait != NULL)
        run->fold.patience = &run->patience;
    stele_status status = check_no_transaction(aggregate->store);
    if (status == STELE_OK)
        status = stele__patience_begin(&run->patience, run->execute.wait,
                                       aggregate->store->options.busy_timeout_ms,
                                       &aggregate->store->closing);
    if (status == STELE_OK)
        status = stele__line_join(aggregate, run->execute.stream, &run->patience, &place);
    if (status != STELE_OK)
        return status;
    status = run_execution(run);
    stele__line_leave(aggregate, &place);
    return status;
}

stele_status stele_aggregate_execute(stele_aggregate *aggregate, const stele_execute *execute,
                                     stele_executed *executed_out)
{
    command_run run = { 0 };
    stele_status status = check_execute(aggregate, execute, &run);
    if (status == STELE_OK)
        status = stele__aggregate_enter(aggregate);
    if (status == STELE_OK) {
        begin_execution(&run, aggregate, NULL);
        status = execute_in_turn(&run);
        stele__decision_end(&run.decision);
        stele__aggregate_leave(aggregate);
    }
    if (executed_out != NULL)
        *executed_out = run.executed;
    return status;
}

stele_status stele_transaction_aggregate_execute(stele_transaction *transaction,
                                                 stele_aggregate *aggregate,
                                                 const stele_execute *execute,
                                                 stele_executed *executed_out)
{
    command_run run = { 0 };
    stele_status status = check_execute(aggregate, execute, &run);
    if (status == STELE_OK)
        status = stele__aggregate_check_transaction(aggregate, transaction);
    if (status == STELE_OK)
        status = stele__aggregate_enter(aggregate);
    if (status == STELE_OK) {
        run.execute.wait = NULL;
        run.execute.tries = 1;
        begin_execution(&run, aggregate, transaction);
        status = run_execution(&run);
        stele__decision_end(&run.decision);
        stele__aggregate_leave(aggregate);
    }
    if (executed_out != NULL)
        *executed_out = run.executed;
    return status;
}
