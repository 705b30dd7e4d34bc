/*
 * Tests of a decider, in given, when, then, without any test framework: a lending library's shelf,
 * of which nobody borrows what isn't there.
 */
#include <stdio.h>

#include <stele.h>

/* --- The decider under test --- */

typedef struct copies {
    int64_t count;
} copies;

static const stele_field copies_fields[] = {
    STELE_F(copies, count, "count", STELE_REQUIRED),
};
STELE_TYPE(bought_type, copies, "Bought", 1, copies_fields);
STELE_TYPE(lent_type, copies, "Lent", 1, copies_fields);
STELE_TYPE(shelf_type, copies, "Shelf", 1, copies_fields);

enum { NOT_SO_MANY = 1 };

static stele_status decide(void *context, const void *state, const void *command,
                           stele_decision *decision)
{
    const copies *shelf = state;
    const copies *wanted = command;
    (void)context;
    if (wanted->count > shelf->count)
        return stele_decision_refuse(decision, NOT_SO_MANY, "there aren't so many");
    return stele_decision_emit(decision, &lent_type, wanted);
}

static stele_status evolve(void *context, void *state, const stele_folding *event)
{
    copies *shelf = state;
    const copies *moved = event->part->value;
    (void)context;
    shelf->count += event->part->type == &bought_type ? moved->count : -moved->count;
    return STELE_OK;
}

/* --- The tests --- */

static stele_status lends_what_is_there(stele_scenario *scenario)
{
    stele_scenario_given(scenario, &bought_type, &(copies){ 3 });
    stele_scenario_when(scenario, &(copies){ 2 });
    stele_status status = stele_scenario_then(scenario, &lent_type, &(copies){ 2 });
    if (status == STELE_OK)
        status = stele_scenario_then_nothing(scenario);
    return status == STELE_OK ? stele_scenario_then_state(scenario, &(copies){ 1 }) : status;
}

static stele_status refuses_the_rest(stele_scenario *scenario)
{
    stele_scenario_given(scenario, &bought_type, &(copies){ 3 });
    stele_scenario_given(scenario, &lent_type, &(copies){ 2 });
    stele_scenario_when(scenario, &(copies){ 2 });
    return stele_scenario_then_refused(scenario, NOT_SO_MANY);
}

/* This one is wrong, to show what is told then. */
static stele_status lends_more_than_was_asked(stele_scenario *scenario)
{
    stele_scenario_given(scenario, &bought_type, &(copies){ 3 });
    stele_scenario_when(scenario, &(copies){ 2 });
    return stele_scenario_then(scenario, &lent_type, &(copies){ 3 });
}

static const struct {
    const char *name;
    stele_status (*run)(stele_scenario *scenario);
} tests[] = {
    { "lends what is there", lends_what_is_there },
    { "refuses the rest", refuses_the_rest },
    { "lends more than was asked", lends_more_than_was_asked },
};

/* Each in a scenario of its own: on a stream that no other has. */
static void run_test(stele_aggregate *shelves, size_t index)
{
    stele_scenario *scenario = NULL;
    stele_status status = stele_scenario_open(shelves, &scenario);
    if (status == STELE_OK)
        status = tests[index].run(scenario);
    if (status == STELE_OK)
        printf("ok: %s\n", tests[index].name);
    else
        printf("FAILED: %s: %s\n", tests[index].name, stele_error_text());
    stele_scenario_close(scenario);
}

int main(void)
{
    stele_store *store = NULL;
    stele_aggregate *shelves = NULL;
    stele_decider decider = STELE_DECIDER_INIT;
    decider.name = "shelf";
    decider.state = &shelf_type;
    decider.decide = decide;
    decider.evolve = evolve;

    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = stele_store_register_type(store, &bought_type);
    if (status == STELE_OK)
        status = stele_store_register_type(store, &lent_type);
    if (status == STELE_OK)
        status = stele_aggregate_open(store, &decider, NULL, &shelves);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]) && status == STELE_OK; i++)
        run_test(shelves, i);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_aggregate_close(shelves);
    stele_store_close(store);
    return status < 0;
}
