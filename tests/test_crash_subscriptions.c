/*
 * Power cuts while a subscription keeps a model exactly once: whatever is left, the model, the
 * parked events and the checkpoint are one state, nothing that was committed is undone, and the
 * next process goes on to the same model.
 */
#include "crash/cutting.h"
#include "support.h"

#include <stele/checkpoint.h>
#include <stele/eventstore.h>
#include <stele/subscription.h>
#include <stele/transaction.h>
#include <stele/verify.h>

#include <sqlite3.h>

enum { ROUNDS = 12, FACTS_MAX = 1000, CRASH_BOOT = 2000, POISON = 11 };

/* What was acknowledged by then. */
typedef struct fact {
    size_t acked_at;
    int64_t head;
    int64_t handled; /* the checkpoint is there, or further */
} fact;

static struct {
    fact facts[FACTS_MAX];
    size_t count;
} known;

static void note_fact(int64_t head, int64_t handled)
{
    fact next = known.facts[known.count - 1];
    next.head = head > next.head ? head : next.head;
    next.handled = handled > next.handled ? handled : next.handled;
    next.acked_at = recorder_now();
    ck_assert_uint_lt(known.count, FACTS_MAX);
    known.facts[known.count++] = next;
}

/* --- The work --- */

static int run_model(stele_transaction *transaction, const char *sql)
{
    return sqlite3_exec(stele_transaction_sqlite(transaction), sql, NULL, NULL, NULL);
}

static stele_status note_event(void *context, const stele_record *record,
                               const stele_handling *handling)
{
    const bool *notes = context;
    char sql[96];
    if (*notes) /* what came before this batch was committed */
        note_fact(0, handling->batch->after);
    if (record->position == POISON)
        return stele_handling_fail(handling, POISON, "poison");
    snprintf(sql, sizeof(sql), "INSERT INTO model(position) VALUES(%" PRId64 ")", record->position);
    return run_model(handling->transaction, sql) == SQLITE_OK ? STELE_OK : STELE_IO;
}

static stele_status catch_up(stele_store *store, bool notes)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_subscription *subscription = NULL;
    stele_handler handler = STELE_HANDLER_INIT;
    options.name = "s";
    options.owner = "worker";
    options.stop = STELE_STOP_HEAD;
    options.batch_count_max = 3;
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 2;
    options.backoff_ms = 1;
    handler.event = note_event;
    handler.context = &notes;
    stele_status status = stele_subscription_open(store, &options, &subscription);
    if (status == STELE_OK)
        status = stele_subscription_run(subscription, &handler);
    stele_subscription_close(subscription);
    return status;
}

static int64_t append_some(stele_store *store, crash_run *run)
{
    stele_event events[4];
    char stream[16];
    size_t count = 1 + (size_t)random_below(&run->random, 4);
    for (size_t i = 0; i < count; i++)
        events[i] = (stele_event){ .type = "t", .data = "{}", .data_size = 2 };
    snprintf(stream, sizeof(stream), "a-%d", (int)random_below(&run->random, 3));
    stele_append append = STELE_APPEND_INIT;
    stele_appended appended = { 0 };
    append.stream = stream;
    append.expected_version = STELE_ANY;
    append.events = events;
    append.event_count = count;
    if (stele_store_append(store, &append, &appended) != STELE_OK)
        ck_abort_msg("appending: %s", stele_error_text());
    return appended.last_position;
}

static void append_and_handle(crash_run *run)
{
    memset(&known, 0, sizeof(known));
    known.count = 1;
    stele_store *store = crash_open(run);
    stele_transaction *transaction = NULL;
    ck_assert_int_eq(stele_transaction_begin(store, &transaction), STELE_OK);
    ck_assert_int_eq(run_model(transaction, "CREATE TABLE model(position INTEGER)"), SQLITE_OK);
    ck_assert_int_eq(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t head = append_some(store, run);
        note_fact(head, 0);
        if (random_chance(&run->random, 1, 2))
            continue;
        if (catch_up(store, true) != STELE_DONE)
            ck_abort_msg("handling: %s", stele_error_text());
        note_fact(head, head);
    }
    crash_close(run, store);
}

static const crash_workload subscribing = { .name = "subscriptions",
                                            .work = append_and_handle,
                                            .cuts = 300 };

static const crash_workload unsynced_subscribing = {
    .name = "subscriptions-control-wal-sync-ignored",
    .work = append_and_handle,
    .faults = { .wal_sync_ignored = true },
    .cuts = 100,
};

/* --- What is left --- */

static int64_t ask_number(stele_transaction *transaction, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = -1;
    if (sqlite3_prepare_v2(stele_transaction_sqlite(transaction), sql, -1, &statement, NULL)
            == SQLITE_OK
        && sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* Up to the checkpoint each position is in the model or parked, once; beyond it none is. */
static int64_t judge_model(stele_store *store, const char *where)
{
    stele_transaction *transaction = NULL;
    ck_assert_msg(stele_transaction_begin(store, &transaction) == STELE_OK, "%s: %s", where,
                  stele_error_text());
    int64_t place = ask_number(transaction, "SELECT coalesce(max(position), 0) FROM checkpoints");
    bool has_model = ask_number(transaction, "SELECT count(*) FROM sqlite_schema"
                                             " WHERE name = 'model'")
                     == 1;
    int64_t all = 0;
    int64_t distinct = 0;
    int64_t last = 0;
    if (has_model) {
        all = ask_number(transaction, "SELECT (SELECT count(*) FROM model)"
                                      " + (SELECT count(*) FROM parked)");
        distinct = ask_number(transaction, "SELECT count(*) FROM (SELECT position FROM model"
                                           " UNION SELECT position FROM parked)");
        last = ask_number(transaction, "SELECT coalesce(max(position), 0) FROM (SELECT position"
                                       " FROM model UNION SELECT position FROM parked)");
    }
    stele_transaction_end(transaction);
    ck_assert_msg(all == place && distinct == place && last == place,
                  "%s: the checkpoint is at %" PRId64 ", the model has %" PRId64 " rows, %" PRId64
                  " positions, up to %" PRId64,
                  where, place, all, distinct, last);
    return place;
}

static void expect_whole_store(stele_store *store, const char *where)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(store, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s: %s", where, check->name, check->offender);
    ck_assert_msg(status == STELE_DONE, "%s: verify: %s", where, stele_error_text());
    stele_verify_close(verify);
}

static void judge_subscription(const crash_workload *workload, const char *path, size_t cut,
                               const char *where)
{
    stele_store *store = NULL;
    const fact *acked = &known.facts[0];
    for (size_t i = 1; i < known.count && known.facts[i].acked_at <= cut; i++)
        acked = &known.facts[i];
    recorder_set_boot(CRASH_BOOT);
    stele_status status = stele_store_open(path, NULL, &store);
    if (status != STELE_OK && workload->faults.wal_sync_ignored) {
        acknowledged_lost++; /* all of it */
        return;
    }
    ck_assert_msg(status == STELE_OK, "%s: opening: %s", where, stele_error_text());
    int64_t head = 0;
    ck_assert_msg(stele_store_head(store, &head) == STELE_OK, "%s: %s", where, stele_error_text());
    int64_t place = judge_model(store, where);
    if ((head < acked->head || place < acked->handled) && acknowledged_lost++ == 0)
        snprintf(first_loss, sizeof(first_loss),
                 "%s: head %" PRId64 " and place %" PRId64 " were acknowledged, %" PRId64
                 " and %" PRId64 " are left",
                 where, acked->head, acked->handled, head, place);
    if (acknowledged_lost == 0 && head > 0 && place >= 0) {
        stele_transaction *transaction = NULL;
        if (stele_transaction_begin(store, &transaction) == STELE_OK) {
            run_model(transaction, "CREATE TABLE IF NOT EXISTS model(position INTEGER)");
            stele_transaction_commit(transaction);
            stele_transaction_end(transaction);
        }
        status = catch_up(store, false);
        ck_assert_msg(status == STELE_DONE, "%s: going on: %s", where, stele_error_text());
        ck_assert_msg(judge_model(store, where) == head, "%s: the model ends early", where);
        expect_whole_store(store, where);
    }
    stele_store_close(store);
}

/* --- The cuts --- */

START_TEST(model_and_checkpoint_are_one_state_after_power_cuts)
{
    cut_workload(&subscribing, judge_subscription, &known.count);
    ck_assert_msg(acknowledged_lost == 0, "%s", first_loss);
}
END_TEST

/* The control: then what was committed is not there. */
START_TEST(disk_that_ignores_the_sync_of_the_wal_loses_what_was_handled)
{
    cut_workload(&unsynced_subscribing, judge_subscription, &known.count);
    ck_assert_int_gt(acknowledged_lost, 0);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_subscriptions");
    TCase *tests = crash_case(suite, "subscriptions");
    tcase_add_test(tests, model_and_checkpoint_are_one_state_after_power_cuts);
    tests = crash_case(suite, "control-wal-sync-ignored");
    tcase_add_test(tests, disk_that_ignores_the_sync_of_the_wal_loses_what_was_handled);
    return run_suite(suite);
}
