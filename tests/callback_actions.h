/**
 * @file tests/callback_actions.h
 * What a callback might call, and what it is told: the columns of docs/callbacks.md.
 */
#ifndef STELE_TESTS_CALLBACK_ACTIONS_H
#define STELE_TESTS_CALLBACK_ACTIONS_H

#include "upcasters.h"

#include "accounts.h"

/* --- What a callback might call --- */

static stele_transaction *open_transaction;
static stele_store *other;

static inline stele_status try_append(void)
{
    return append_one("account-7", STELE_ANY, "tried", NULL);
}

static inline stele_status try_submit(void)
{
    stele_event event = make_event("tried", "{}");
    stele_append append = make_append("account-7", STELE_ANY, &event, 1);
    stele_ticket *ticket = NULL;
    stele_status status = stele_store_submit(store, &append, NULL, &ticket);
    stele_ticket_close(ticket);
    return status;
}

static inline stele_status try_flush(void)
{
    return stele_store_flush(store, NULL);
}

static inline stele_status try_begin(void)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    stele_transaction_end(transaction);
    return status;
}

static inline stele_status try_head(void)
{
    int64_t position = 0;
    return stele_store_head(store, &position);
}

static inline stele_status try_read(void)
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_status status = stele_store_read(store, NULL, &cursor);
    if (status == STELE_OK)
        status = stele_cursor_next(cursor, &record);
    stele_cursor_close(cursor);
    return status > 0 ? STELE_OK : status;
}

static inline stele_status try_describe(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    return stele_store_describe(store, &info);
}

static inline stele_status try_transfer(void)
{
    return stele_store_transfer(store, NULL, NULL);
}

static inline stele_status try_checkpoint(void)
{
    return stele_checkpoint_save(store, "reader", 0);
}

static inline stele_status try_verify(void)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(store, NULL, &verify);
    while (status == STELE_OK)
        status = stele_verify_next(verify, &check);
    stele_verify_close(verify);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status try_inside(void)
{
    if (open_transaction == NULL)
        return STELE_NOT_FOUND;
    stele_event event = make_event("tried", "{}");
    stele_append append = make_append("account-8", STELE_ANY, &event, 1);
    return stele_transaction_append(open_transaction, &append, NULL);
}

static inline stele_status try_other_store(void)
{
    return append_to(other, "account-7", STELE_ANY, "tried", NULL);
}

static inline stele_status try_lookup(void)
{
    const stele_codec *codec = NULL;
    return stele_store_codec(store, "json", &codec);
}

/* With a handle that was made before. */
static inline stele_status try_decode(void)
{
    stele_record record = make_record("Unheard", 1, "json", "{}");
    stele_status status = stele_record_decode(store, &record, &decoded);
    return status == STELE_UNKNOWN_TYPE ? STELE_OK : status;
}

/* By an aggregate that is opened for it: in a callback that may call nothing, that is refused. */
static inline stele_status emit_tried(stele_decision *decision)
{
    stele_event event = make_event("tried", "{}");
    return stele_decision_emit_event(decision, &event);
}

static inline stele_status try_execute(void)
{
    stele_decider decider = tally_decider();
    stele_aggregate *aggregate = NULL;
    stele_execute execute = STELE_EXECUTE_INIT;
    command what = { .verb = EMIT, .emit = emit_tried };
    execute.stream = "account-9";
    execute.command = &what;
    stele_status status = stele_aggregate_open(store, &decider, NULL, &aggregate);
    if (status == STELE_OK)
        status = stele_aggregate_execute(aggregate, &execute, NULL);
    stele_aggregate_close(aggregate);
    return status;
}

static inline stele_status try_load_state(void)
{
    stele_decider decider = tally_decider();
    stele_aggregate *aggregate = NULL;
    tally state;
    stele_status status = stele_aggregate_open(store, &decider, NULL, &aggregate);
    if (status == STELE_OK)
        status = stele_aggregate_load(aggregate, "account-9", &state, NULL);
    stele_aggregate_close(aggregate);
    return status;
}

enum {
    APPEND,
    SUBMIT,
    FLUSH,
    BEGIN,
    HEAD,
    READ,
    DESCRIBE,
    TRANSFER,
    CHECKPOINT,
    VERIFY,
    INSIDE,
    OTHER,
    LOOKUP,
    DECODE,
    EXECUTE,
    LOAD_STATE,
    ACTIONS
};

static stele_status (*const actions[ACTIONS])(void) = {
    [APPEND] = try_append,         [SUBMIT] = try_submit,     [FLUSH] = try_flush,
    [BEGIN] = try_begin,           [HEAD] = try_head,         [READ] = try_read,
    [DESCRIBE] = try_describe,     [TRANSFER] = try_transfer, [CHECKPOINT] = try_checkpoint,
    [VERIFY] = try_verify,         [INSIDE] = try_inside,     [OTHER] = try_other_store,
    [LOOKUP] = try_lookup,         [DECODE] = try_decode,     [EXECUTE] = try_execute,
    [LOAD_STATE] = try_load_state,
};

static stele_status answers[ACTIONS];
static int call_count;

static inline void try_all(void)
{
    if (call_count++ > 0)
        return;
    for (int i = 0; i < ACTIONS; i++)
        answers[i] = actions[i]();
}

/* NOT_FOUND stands for a cell that there is none of. */
static inline void expect_answers(const stele_status expected[ACTIONS])
{
    ck_assert_int_gt(call_count, 0);
    for (int i = 0; i < ACTIONS; i++)
        ck_assert_msg(answers[i] == expected[i], "action %d is %s, not %s", i,
                      stele_status_name(answers[i]), stele_status_name(expected[i]));
}

#define NONE STELE_NOT_FOUND
#define NO   STELE_MISUSE

static const stele_status nothing[ACTIONS] = {
    [APPEND] = NO,     [SUBMIT] = NO, [FLUSH] = NO,    [BEGIN] = NO,
    [HEAD] = NO,       [READ] = NO,   [DESCRIBE] = NO, [TRANSFER] = NO,
    [CHECKPOINT] = NO, [VERIFY] = NO, [INSIDE] = NONE, [OTHER] = NO,
    [LOOKUP] = NO,     [DECODE] = NO, [EXECUTE] = NO,  [LOAD_STATE] = NO,
};

static inline void setup_stores(void)
{
    call_count = 0;
    open_transaction = NULL;
    other = open_path(test_path("other.db"), NULL);
}

static inline void remove_stores(void)
{
    close_decoded();
    stele_store_close(other);
    close_and_remove();
}

#endif
