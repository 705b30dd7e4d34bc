/**
 * @file tests/accounts.h
 * What the tests of aggregates share: an account as a decider, in each way that a state can be
 * described, and short ways to execute and to load.
 */
#ifndef STELE_TESTS_ACCOUNTS_H
#define STELE_TESTS_ACCOUNTS_H

#include <stele.h>
#include <stele/aggregate.h>

#include "contract.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- Events --- */

typedef struct movement {
    int64_t amount; /* taken out when negative */
    int64_t id;     /* of the command */
} movement;

static const stele_field movement_fields[] = {
    STELE_F(movement, amount, "amount", STELE_REQUIRED),
    STELE_F(movement, id, "id", STELE_OPTIONAL),
};
STELE_TYPE(movement_type, movement, "Moved", 1, movement_fields);
STELE_TYPE(unheard_type, movement, "Unheard", 1, movement_fields);

/* --- Commands --- */

typedef enum verb { MOVE, IDLE, REFUSE, FAIL, EMIT } verb;

typedef struct command {
    verb verb;
    int64_t amount; /* MOVE; below what is there it is refused with code 7 */
    int64_t id;
    int count;                                      /* of events; 0 means 1 */
    stele_status answer;                            /* of FAIL, and of EMIT after it */
    const char *reason;                             /* of REFUSE */
    stele_status (*emit)(stele_decision *decision); /* EMIT */
} command;

/* --- What the deciders do besides, and what was asked of them --- */

static struct teller {
    atomic_int initial, decided, evolved, cleared, copied, encoded, decoded;
    /* Called in the middle; they are told which call of its kind it is, from 1. */
    void (*in_initial)(int nth);
    void (*in_decide)(int nth);
    void (*in_evolve)(int nth);
    void (*in_clear)(int nth);
    void (*in_copy)(int nth);
    void (*in_encode)(int nth);
    void (*in_decode)(int nth);
    /* What they answer; OK: as it is. */
    stele_status initial_answer, evolve_answer, copy_answer, encode_answer, decode_answer;
    int64_t evolve_version; /* the only one that fails; 0: all do */
    bool watches;           /* decide notes what it sees: only with one thread */
    char stream[64];
    int64_t version;
} teller;

static inline void reset_teller(void)
{
    memset(&teller, 0, sizeof(teller));
}

static inline void note_call(atomic_int *count, void (*hook)(int nth))
{
    int nth = atomic_fetch_add(count, 1) + 1;
    if (hook != NULL)
        hook(nth);
}

/* --- The account: a plain table --- */

typedef struct account {
    int64_t balance;
    int64_t count;   /* of movements */
    int64_t strange; /* of parts without a table */
    int64_t begun;   /* by initial() */
    int64_t last_id;
    int64_t checksum; /* of the order in which they came */
} account;

static const stele_field account_fields[] = {
    STELE_F(account, balance, "balance", STELE_REQUIRED),
    STELE_F(account, count, "count", STELE_REQUIRED),
    STELE_F(account, strange, "strange", STELE_OPTIONAL),
    STELE_F(account, begun, "begun", STELE_OPTIONAL),
    STELE_F(account, last_id, "last", STELE_OPTIONAL),
    STELE_F(account, checksum, "checksum", STELE_OPTIONAL),
};
STELE_TYPE(account_type, account, "Account", 1, account_fields);

static inline void move_account(account *of, const movement *by)
{
    of->balance += by->amount;
    of->count++;
    of->last_id = by->id;
    of->checksum = (int64_t)((uint64_t)of->checksum * 31 + (uint64_t)(by->id + by->amount));
}

static inline stele_status begin_account(void *context, void *state)
{
    (void)context;
    note_call(&teller.initial, teller.in_initial);
    account *begun = state;
    ck_assert_int_eq(begun->begun, 0);
    begun->begun = 1;
    return teller.initial_answer;
}

/* What every evolve() of ours does besides. */
static inline stele_status note_evolve(const stele_folding *event)
{
    note_call(&teller.evolved, teller.in_evolve);
    ck_assert_ptr_nonnull(event->record);
    bool here = teller.evolve_version == 0 || teller.evolve_version == event->record->version;
    return here ? teller.evolve_answer : STELE_OK;
}

static inline stele_status evolve_account(void *context, void *state, const stele_folding *event)
{
    account *of = state;
    (void)context;
    ck_assert_int_eq(of->begun, 1);
    ck_assert_ptr_nonnull(event->part);
    if (event->part->type == &movement_type)
        move_account(of, event->part->value);
    else
        of->strange++;
    return note_evolve(event); /* so that a failure leaves something half done */
}

static inline stele_status emit_moves(const command *what, stele_decision *decision)
{
    stele_status status = STELE_OK;
    for (int i = 0; i < (what->count == 0 ? 1 : what->count) && status == STELE_OK; i++) {
        movement by = { .amount = what->amount, .id = what->id };
        status = stele_decision_emit(decision, &movement_type, &by);
    }
    return status;
}

static inline stele_status decide_by_balance(int64_t balance, const command *what,
                                             stele_decision *decision)
{
    note_call(&teller.decided, teller.in_decide);
    if (teller.watches) {
        snprintf(teller.stream, sizeof(teller.stream), "%s", stele_decision_stream(decision));
        teller.version = stele_decision_version(decision);
    }
    switch (what->verb) {
    case IDLE: return STELE_OK;
    case REFUSE: return stele_decision_refuse(decision, 42, what->reason);
    case FAIL: return what->answer;
    case EMIT: what->emit(decision); return what->answer;
    case MOVE: break;
    }
    if (balance + what->amount < 0)
        return stele_decision_refuse(decision, 7, "not enough money");
    return emit_moves(what, decision);
}

static inline stele_status decide_account(void *context, const void *state, const void *what,
                                          stele_decision *decision)
{
    (void)context;
    return decide_by_balance(((const account *)state)->balance, what, decision);
}

static inline stele_decider account_decider(void)
{
    stele_decider decider = STELE_DECIDER_INIT;
    decider.name = "account";
    decider.state = &account_type;
    decider.initial = begin_account;
    decider.decide = decide_account;
    decider.evolve = evolve_account;
    return decider;
}

/* --- The same with a list of its own: a table that owns --- */

typedef struct ledger {
    int64_t balance;
    int64_t *ids;
    size_t id_count;
    char *owner;
} ledger;

static const stele_field ledger_fields[] = {
    STELE_F(ledger, balance, "balance", STELE_REQUIRED),
    STELE_F_OWNED_VALUES(ledger, ids, id_count, "ids", STELE_OPTIONAL),
    STELE_F(ledger, owner, "owner", STELE_OPTIONAL),
};
STELE_TYPE(ledger_type, ledger, "Ledger", 1, ledger_fields);

static inline stele_status begin_ledger(void *context, void *state)
{
    ledger *begun = state;
    (void)context;
    note_call(&teller.initial, teller.in_initial);
    begun->owner = stele_type_allocate(8, 1);
    if (begun->owner == NULL)
        return STELE_NO_MEMORY;
    memcpy(begun->owner, "nobody", 7);
    return teller.initial_answer;
}

static inline stele_status evolve_ledger(void *context, void *state, const stele_folding *event)
{
    ledger *of = state;
    const movement *by = event->part->value;
    (void)context;
    int64_t *ids = stele_type_allocate(of->id_count + 1, sizeof(*ids));
    if (ids == NULL)
        return STELE_NO_MEMORY;
    if (of->id_count > 0)
        memcpy(ids, of->ids, of->id_count * sizeof(*ids));
    stele_type_release(of->ids);
    of->ids = ids;
    of->ids[of->id_count++] = by->id;
    of->balance += by->amount;
    return note_evolve(event);
}

static inline stele_status decide_ledger(void *context, const void *state, const void *what,
                                         stele_decision *decision)
{
    const ledger *of = state;
    (void)context;
    ck_assert_str_eq(of->owner, "nobody");
    return decide_by_balance(of->balance, what, decision);
}

static inline stele_decider ledger_decider(void)
{
    stele_decider decider = STELE_DECIDER_INIT;
    decider.name = "ledger";
    decider.state = &ledger_type;
    decider.initial = begin_ledger;
    decider.decide = decide_ledger;
    decider.evolve = evolve_ledger;
    return decider;
}

/* --- The same by functions of the program's, with memory of its own --- */

typedef struct memo {
    int64_t balance;
    int64_t count;
    char *text; /* "+1-2", from malloc() */
} memo;

static inline stele_status append_memo(memo *of, const char *text)
{
    size_t size = of->text == NULL ? 0 : strlen(of->text);
    char *grown = realloc(of->text, size + strlen(text) + 1);
    if (grown == NULL)
        return STELE_NO_MEMORY;
    memcpy(grown + size, text, strlen(text) + 1);
    of->text = grown;
    return STELE_OK;
}

static inline stele_status begin_memo(void *context, void *state)
{
    (void)context;
    note_call(&teller.initial, teller.in_initial);
    stele_status status = append_memo(state, ":");
    return status == STELE_OK ? teller.initial_answer : status;
}

static inline stele_status evolve_memo(void *context, void *state, const stele_folding *event)
{
    memo *of = state;
    const movement *by = event->part->value;
    char text[32];
    (void)context;
    snprintf(text, sizeof(text), "%+" PRId64, by->amount);
    stele_status status = append_memo(of, text);
    of->balance += by->amount;
    of->count++;
    stele_status answer = note_evolve(event);
    return status == STELE_OK ? answer : status;
}

static inline stele_status decide_memo(void *context, const void *state, const void *what,
                                       stele_decision *decision)
{
    const memo *of = state;
    (void)context;
    ck_assert_int_eq(of->text[0], ':');
    return decide_by_balance(of->balance, what, decision);
}

static inline void clear_memo(void *context, void *state)
{
    memo *of = state;
    (void)context;
    note_call(&teller.cleared, teller.in_clear);
    free(of->text);
}

static inline stele_status copy_memo(void *context, const void *state, void *copy)
{
    const memo *of = state;
    memo *to = copy;
    (void)context;
    note_call(&teller.copied, teller.in_copy);
    ck_assert_ptr_null(to->text);
    to->balance = of->balance;
    to->count = of->count;
    stele_status status = append_memo(to, of->text);
    return status == STELE_OK ? teller.copy_answer : status;
}

static inline stele_status encode_memo(void *context, const void *state, stele_buffer *buffer)
{
    const memo *of = state;
    (void)context;
    note_call(&teller.encoded, teller.in_encode);
    stele_status status = stele_buffer_add(buffer, &of->balance, sizeof(of->balance));
    if (status == STELE_OK)
        status = stele_buffer_add(buffer, &of->count, sizeof(of->count));
    if (status == STELE_OK)
        status = stele_buffer_add(buffer, of->text, strlen(of->text));
    return status == STELE_OK ? teller.encode_answer : status;
}

static inline stele_status decode_memo(void *context, const void *data, size_t size, void *state)
{
    memo *of = state;
    (void)context;
    note_call(&teller.decoded, teller.in_decode);
    ck_assert_ptr_null(of->text);
    if (size < 2 * sizeof(int64_t) + 1)
        return STELE_INVALID;
    memcpy(&of->balance, data, sizeof(of->balance));
    memcpy(&of->count, (const char *)data + sizeof(int64_t), sizeof(of->count));
    of->text = malloc(size - 2 * sizeof(int64_t) + 1);
    if (of->text == NULL)
        return STELE_NO_MEMORY;
    memcpy(of->text, (const char *)data + 2 * sizeof(int64_t), size - 2 * sizeof(int64_t));
    of->text[size - 2 * sizeof(int64_t)] = '\0';
    return teller.decode_answer;
}

static inline stele_decider memo_decider(void)
{
    stele_decider decider = STELE_DECIDER_INIT;
    decider.name = "memo";
    decider.state_size = sizeof(memo);
    decider.initial = begin_memo;
    decider.decide = decide_memo;
    decider.evolve = evolve_memo;
    decider.clear = clear_memo;
    decider.copy = copy_memo;
    decider.encode = encode_memo;
    decider.decode = decode_memo;
    return decider;
}

/* --- Raw: records as they are --- */

typedef struct tally {
    int64_t count;
    int64_t bytes;
} tally;

static inline stele_status evolve_tally(void *context, void *state, const stele_folding *event)
{
    tally *of = state;
    (void)context;
    ck_assert_ptr_null(event->part);
    of->count++;
    of->bytes += (int64_t)event->record->data_size;
    return note_evolve(event);
}

static inline stele_status decide_tally(void *context, const void *state, const void *what,
                                        stele_decision *decision)
{
    (void)context;
    return decide_by_balance(((const tally *)state)->count, what, decision);
}

static inline stele_decider tally_decider(void)
{
    stele_decider decider = STELE_DECIDER_INIT;
    decider.name = "tally";
    decider.state_size = sizeof(tally);
    decider.decide = decide_tally;
    decider.evolve = evolve_tally;
    decider.raw = true;
    return decider;
}

#endif
