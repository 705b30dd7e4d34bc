/* An aggregate: its state, its events, what a command makes of them. */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

/* What happens to a tank. */
typedef struct tank_filled {
    int64_t litres;
} tank_filled;

static const stele_field tank_filled_fields[] = {
    STELE_F(tank_filled, litres, "litres", STELE_REQUIRED),
};
STELE_TYPE(tank_filled_type, tank_filled, "TankFilled", 1, tank_filled_fields);

/* What is known of it after all that: also what a snapshot holds. */
typedef struct tank {
    int64_t litres;
    int64_t fillings;
} tank;

static const stele_field tank_fields[] = {
    STELE_F(tank, litres, "litres", STELE_REQUIRED),
    STELE_F(tank, fillings, "fillings", STELE_REQUIRED),
};
STELE_TYPE(tank_type, tank, "tank", 1, tank_fields);

enum { TANK_SIZE = 1000, WOULD_OVERFLOW = 1 };

/* A command is whatever the program hands over. */
typedef struct fill {
    int64_t litres;
} fill;

static stele_status decide_on_tank(void *context, const void *state, const void *command,
                                   stele_decision *decision)
{
    const tank *now = state;
    const fill *asked = command;
    (void)context;
    if (asked->litres == 0)
        return STELE_OK; /* nothing to be done */
    if (now->litres + asked->litres > TANK_SIZE)
        return stele_decision_refuse(decision, WOULD_OVERFLOW, "the tank would overflow");
    return stele_decision_emit(decision, &tank_filled_type,
                               &(tank_filled){ .litres = asked->litres });
}

static stele_status evolve_tank(void *context, void *state, const stele_folding *event)
{
    tank *now = state;
    (void)context;
    if (event->part->type == &tank_filled_type) {
        const tank_filled *filled = event->part->value;
        now->litres += filled->litres;
        now->fillings++;
    }
    return STELE_OK;
}

static stele_status fill_tank(stele_aggregate *tanks, const char *stream, int64_t litres,
                              const char *key)
{
    fill command = { .litres = litres };
    stele_cause cause = STELE_CAUSE_INIT;
    cause.correlation = "delivery-4711";
    stele_execute execute = STELE_EXECUTE_INIT;
    execute.stream = stream;
    execute.command = &command;
    execute.idempotency_key = key; /* sent twice, executed once */
    execute.cause = &cause;

    stele_executed executed;
    stele_status status = stele_aggregate_execute(tanks, &execute, &executed);
    if (status == STELE_REFUSED)
        printf("refused with %" PRId32 ": %s\n", executed.refusal, stele_error_text());
    else if (status == STELE_OK)
        printf("%s is at version %" PRId64 "%s\n", stream, executed.version,
               executed.duplicate ? ", as before" : "");
    return status;
}

/* As it is now, and as it was after its first event. */
static stele_status show_tank(stele_aggregate *tanks, const char *stream)
{
    tank now, then;
    stele_loaded loaded;
    stele_status status = stele_aggregate_load(tanks, stream, &now, &loaded);
    if (status != STELE_OK)
        return status;
    printf("%" PRId64 " litres at version %" PRId64 "\n", now.litres, loaded.version);
    stele_aggregate_clear(tanks, &now);

    stele_at at = STELE_AT_INIT;
    at.stream = stream;
    at.version = 1;
    status = stele_aggregate_at(tanks, &at, &then, NULL);
    if (status == STELE_OK)
        printf("%" PRId64 " litres at first\n", then.litres);
    stele_aggregate_clear(tanks, &then);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_aggregate *tanks = NULL;
    stele_decider decider = STELE_DECIDER_INIT;
    decider.name = "tank";
    decider.state = &tank_type;
    decider.decide = decide_on_tank;
    decider.evolve = evolve_tank;
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.snapshot_events = 200;

    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = stele_store_register_type(store, &tank_filled_type);
    if (status == STELE_OK)
        status = stele_aggregate_open(store, &decider, &options, &tanks);
    if (status == STELE_OK)
        status = fill_tank(tanks, "tank-7", 600, "order-1");
    if (status == STELE_OK)
        status = fill_tank(tanks, "tank-7", 300, "order-2");
    if (status == STELE_OK)
        status = fill_tank(tanks, "tank-7", 300, "order-2");
    if (status == STELE_OK && fill_tank(tanks, "tank-7", 600, "order-3") == STELE_REFUSED)
        status = show_tank(tanks, "tank-7");
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_aggregate_close(tanks);
    stele_store_close(store);
    return status < 0;
}
