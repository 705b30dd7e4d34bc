/**
 * @file tests/scenarios.h
 * A decider that does what it is told, for the tests of scenarios.
 */
#ifndef STELE_TESTS_SCENARIOS_H
#define STELE_TESTS_SCENARIOS_H

#include "contract.h"

#include <stele.h>

/* --- What can happen to a purse --- */

typedef struct filled {
    int64_t amount;
    char *from;
} filled;

static const stele_field filled_fields[] = {
    STELE_F(filled, amount, "amount", STELE_REQUIRED),
    STELE_F(filled, from, "from", STELE_OPTIONAL),
};
STELE_TYPE(filled_type, filled, "Filled", 1, filled_fields);

typedef struct spent {
    int64_t amount;
} spent;

static const stele_field spent_fields[] = {
    STELE_F(spent, amount, "amount", STELE_REQUIRED),
};
STELE_TYPE(spent_type, spent, "Spent", 2, spent_fields);
/* As it was once: in whole coins. */
static const stele_field coins_fields[] = {
    STELE_F(spent, amount, "coins", STELE_REQUIRED),
};
STELE_TYPE(coins_type, spent, "Spent", 1, coins_fields);
/* Never registered. */
STELE_TYPE(lost_type, spent, "Lost", 1, spent_fields);

typedef struct locked {
    char pin[16];
} locked;

static const stele_field locked_fields[] = {
    STELE_F(locked, pin, "pin", STELE_REQUIRED | STELE_SECRET),
};
STELE_TYPE(locked_type, locked, "Locked", 1, locked_fields);

static inline stele_status coins_as_cents(void *context, const stele_upcast_input *input,
                                          stele_upcast *upcast)
{
    (void)context;
    spent cents = { .amount = ((const spent *)input->value)->amount * 100 };
    return stele_upcast_emit_value(upcast, &spent_type, &cents);
}

static inline stele_status register_purse(stele_store *target)
{
    stele_upcaster upcaster = STELE_UPCASTER_INIT;
    upcaster.type = "Spent";
    upcaster.schema_version = 1;
    upcaster.from = &coins_type;
    upcaster.upcast = coins_as_cents;
    stele_status status = stele_store_register_type(target, &filled_type);
    if (status == STELE_OK)
        status = stele_store_register_type(target, &spent_type);
    if (status == STELE_OK)
        status = stele_store_register_type(target, &locked_type);
    return status == STELE_OK ? stele_store_register_upcaster(target, &upcaster) : status;
}

/* --- The purse --- */

typedef struct purse {
    int64_t balance;
    double weight;
    char *from; /* of whoever filled it last */
    char pin[16];
} purse;

static const stele_field purse_fields[] = {
    STELE_F(purse, balance, "balance", STELE_REQUIRED),
    STELE_F(purse, weight, "weight", STELE_REQUIRED),
    STELE_F(purse, from, "from", STELE_OPTIONAL),
    STELE_F(purse, pin, "pin", STELE_OPTIONAL | STELE_SECRET),
};
STELE_TYPE(purse_type, purse, "Purse", 1, purse_fields);

/* Something to be emitted: a value with all that an event may have, or an event. */
typedef struct emission {
    stele_typed_event typed; /* type NULL: */
    stele_event event;
} emission;

/* What `decide` is to do. */
typedef struct order {
    const emission *emissions;
    size_t count;
    int32_t refusal;      /* 0: none */
    const char *reason;   /* NULL: "as told" */
    stele_status failure; /* STELE_OK: none */
    stele_scenario *call; /* from inside */
    stele_status called;
} order;

static inline stele_status decide_as_told(void *context, const void *state, const void *command,
                                          stele_decision *decision)
{
    const order *told = command;
    stele_status status = told->failure;
    (void)context, (void)state;
    if (told->call != NULL)
        ((order *)(uintptr_t)told)->called = stele_scenario_then_refused(told->call, 1);
    if (told->refusal != 0)
        return stele_decision_refuse(decision, told->refusal,
                                     told->reason != NULL ? told->reason : "as told");
    for (size_t i = 0; i < told->count && status == STELE_OK; i++)
        status = told->emissions[i].typed.type != NULL
                     ? stele_decision_emit_typed(decision, &told->emissions[i].typed)
                     : stele_decision_emit_event(decision, &told->emissions[i].event);
    return status;
}

static inline stele_status keep_text(char **kept, const char *text)
{
    stele_type_release(*kept);
    *kept = NULL;
    if (text == NULL)
        return STELE_OK;
    *kept = stele_type_allocate(strlen(text) + 1, 1);
    if (*kept == NULL)
        return STELE_NO_MEMORY;
    strcpy(*kept, text);
    return STELE_OK;
}

static inline stele_status fold_purse(void *context, void *state, const stele_folding *event)
{
    purse *now = state;
    (void)context;
    if (event->part->type == &filled_type) {
        const filled *value = event->part->value;
        now->balance += value->amount;
        return keep_text(&now->from, value->from);
    }
    if (event->part->type == &spent_type)
        now->balance -= ((const spent *)event->part->value)->amount;
    if (event->part->type == &locked_type)
        memcpy(now->pin, ((const locked *)event->part->value)->pin, sizeof(now->pin));
    return STELE_OK;
}

static inline stele_decider purse_decider(void)
{
    stele_decider decider = STELE_DECIDER_INIT;
    decider.name = "purse";
    decider.state = &purse_type;
    decider.decide = decide_as_told;
    decider.evolve = fold_purse;
    return decider;
}

/* --- Without a table: what was counted of a stream --- */

typedef struct tally {
    int64_t events;
    char *last; /* type */
} tally;

static inline stele_status fold_tally(void *context, void *state, const stele_folding *event)
{
    tally *now = state;
    (void)context;
    ck_assert_ptr_null(event->part);
    now->events++;
    return STELE_OK;
}

static inline stele_status fold_last(void *context, void *state, const stele_folding *event)
{
    stele_status status = fold_tally(context, state, event);
    return status == STELE_OK ? keep_text(&((tally *)state)->last, event->record->type) : status;
}

static inline void clear_tally(void *context, void *state)
{
    (void)context;
    stele_type_release(((tally *)state)->last);
}

static inline stele_status copy_tally(void *context, const void *state, void *copy)
{
    (void)context;
    ((tally *)copy)->events = ((const tally *)state)->events;
    return keep_text(&((tally *)copy)->last, ((const tally *)state)->last);
}

static inline stele_status write_tally(void *context, const void *state, stele_buffer *buffer)
{
    char text[100];
    const tally *now = state;
    (void)context;
    snprintf(text, sizeof(text), "%" PRId64 " %s", now->events, now->last == NULL ? "" : now->last);
    return stele_buffer_add(buffer, text, strlen(text));
}

static inline stele_status read_nothing(void *context, const void *data, size_t size, void *state)
{
    (void)context, (void)data, (void)size, (void)state;
    return STELE_INVALID;
}

static inline stele_decider tally_decider(void)
{
    stele_decider decider = STELE_DECIDER_INIT;
    decider.name = "tally";
    decider.state_size = sizeof(tally);
    decider.decide = decide_as_told;
    decider.evolve = fold_tally;
    decider.raw = true;
    return decider;
}

/* Its states own memory. */
static inline stele_decider owning_decider(void)
{
    stele_decider decider = tally_decider();
    decider.evolve = fold_last;
    decider.clear = clear_tally;
    decider.copy = copy_tally;
    return decider;
}

/* --- The scenario of the running test --- */

static stele_aggregate *aggregate;
static stele_scenario *scenario;

static inline void close_scenario(void)
{
    stele_scenario_close(scenario);
    stele_aggregate_close(aggregate);
    close_store();
    remove_test_folder();
    scenario = NULL;
    aggregate = NULL;
}

static inline TCase *add_scenario_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, close_scenario);
    suite_add_tcase(suite, tests);
    return tests;
}

static inline void open_scenario_of(stele_decider decider)
{
    assert_status(stele_aggregate_open(store, &decider, NULL, &aggregate), STELE_OK);
    assert_status(stele_scenario_open(aggregate, &scenario), STELE_OK);
    ck_assert_ptr_nonnull(scenario);
}

static inline void open_purse(void)
{
    open_in_memory();
    assert_status(register_purse(store), STELE_OK);
    open_scenario_of(purse_decider());
}

static inline emission spend(const spent *value)
{
    emission made = { .typed = STELE_TYPED_EVENT_INIT };
    made.typed.type = &spent_type;
    made.typed.value = value;
    return made;
}

static inline stele_status when_emitting(const emission *emissions, size_t count)
{
    order told = { .emissions = emissions, .count = count };
    return stele_scenario_when(scenario, &told);
}

static inline stele_status when_refused(int32_t code)
{
    order told = { .refusal = code };
    return stele_scenario_when(scenario, &told);
}

/* Of so many coins each, until a 0. */
static inline stele_status when_spending(const int64_t *amounts)
{
    enum { MOST = 8 };
    spent values[MOST];
    emission emissions[MOST];
    size_t count = 0;
    for (; amounts[count] != 0; count++) {
        values[count].amount = amounts[count];
        emissions[count] = spend(&values[count]);
    }
    return when_emitting(emissions, count);
}

#define WHEN_SPENDING(...)                                                                         \
    assert_status(when_spending((const int64_t[]){ __VA_ARGS__, 0 }), STELE_OK)

static inline stele_status then_spent(int64_t amount)
{
    return stele_scenario_then(scenario, &spent_type, &(spent){ .amount = amount });
}

/* It doesn't hold, and says so. */
#define assert_fails(call, text)                                                                   \
    do {                                                                                           \
        assert_status(call, STELE_INVALID);                                                        \
        ck_assert_str_eq(stele_error_text(), text);                                                \
    } while (0)

#endif
