/**
 * @file tests/aggregate_probes.h
 * The probes of tests/test_modes_matrix.c for aggregates. They come after those that register.
 */
#ifndef STELE_TESTS_AGGREGATE_PROBES_H
#define STELE_TESTS_AGGREGATE_PROBES_H

#include "accounts.h"

static stele_aggregate *probed;

static stele_status open_probed(void)
{
    stele_decider decider = tally_decider();
    return stele_aggregate_open(store, &decider, NULL, &probed);
}

static stele_status close_probed(stele_status status)
{
    stele_aggregate_close(probed);
    probed = NULL;
    return status;
}

static stele_status probe_aggregate_open(void)
{
    return close_probed(open_probed());
}

static stele_status probe_aggregate_describe(void)
{
    stele_aggregate_info info = { .struct_size = sizeof(info) };
    stele_status status = open_probed();
    return close_probed(status == STELE_OK ? stele_aggregate_describe(probed, &info) : status);
}

/* All that a decision has; the last one ends it. */
static stele_status emit_of_every_kind(stele_decision *decision)
{
    stele_event event = { .type = "Told", .data = "{}", .data_size = 2 };
    stele_status status = stele_decision_emit(decision, &noted_type, &probe_value);
    if (status == STELE_OK)
        status = stele_decision_emit_typed(decision, &probe_typed);
    if (status == STELE_OK)
        status = stele_decision_emit_event(decision, &event);
    ck_assert_str_eq(stele_decision_stream(decision), "a-1");
    ck_assert_int_ge(stele_decision_version(decision), 3);
    return status == STELE_OK ? stele_decision_refuse(decision, 1, "only a probe") : status;
}

static stele_status emit_one(stele_decision *decision)
{
    return stele_decision_emit(decision, &noted_type, &probe_value);
}

static stele_status execute_probed(const char *stream, command what)
{
    stele_execute execute = STELE_EXECUTE_INIT;
    execute.stream = stream;
    execute.command = &what;
    return open_transaction == NULL
               ? stele_aggregate_execute(probed, &execute, NULL)
               : stele_transaction_aggregate_execute(open_transaction, probed, &execute, NULL);
}

static stele_status run_probed(const char *stream, command what)
{
    stele_status status = open_probed();
    return close_probed(status == STELE_OK ? execute_probed(stream, what) : status);
}

static stele_status probe_execute(void)
{
    return run_probed("b-10", (command){ .verb = EMIT, .emit = emit_one });
}

static stele_status probe_execute_nothing(void)
{
    return run_probed("a-1", (command){ .verb = IDLE });
}

static stele_status probe_decision(void)
{
    stele_status status = run_probed("a-1", (command){ .verb = EMIT, .emit = emit_of_every_kind });
    return status == STELE_REFUSED ? STELE_OK : status;
}

static stele_status load_probed(void)
{
    tally state;
    stele_loaded out;
    stele_status status =
        open_transaction == NULL
            ? stele_aggregate_load(probed, "a-1", &state, &out)
            : stele_transaction_aggregate_load(open_transaction, probed, "a-1", &state, &out);
    if (status == STELE_OK && (state.count < 3 || out.version < 3))
        status = STELE_IO;
    stele_aggregate_clear(probed, &state);
    return status;
}

static stele_status probe_load(void)
{
    stele_status status = open_probed();
    return close_probed(status == STELE_OK ? load_probed() : status);
}

static stele_status probe_at(void)
{
    tally state;
    stele_at at = STELE_AT_INIT;
    at.stream = "a-1";
    at.version = 2;
    stele_status status = open_probed();
    if (status == STELE_OK)
        status = stele_aggregate_at(probed, &at, &state, NULL);
    if (status == STELE_OK && state.count != 2)
        status = STELE_IO;
    return close_probed(status);
}

static stele_status encode_probed(void *context, const void *state, stele_buffer *buffer)
{
    (void)context;
    return stele_buffer_add(buffer, state, sizeof(tally));
}

static stele_status decode_probed(void *context, const void *data, size_t size, void *state)
{
    (void)context;
    if (size != sizeof(tally))
        return STELE_INVALID;
    memcpy(state, data, size);
    return STELE_OK;
}

static stele_status probe_aggregate_snapshot(void)
{
    stele_decider decider = tally_decider();
    decider.encode = encode_probed;
    decider.decode = decode_probed;
    stele_status status = stele_aggregate_open(store, &decider, NULL, &probed);
    if (status == STELE_OK)
        status = stele_aggregate_snapshot(probed, "a-1", NULL);
    return close_probed(status);
}

/* On the store, by the thread that has the transaction. */
static stele_status outside(stele_status (*probe)(void))
{
    stele_transaction *kept = open_transaction;
    open_transaction = NULL;
    stele_status status = probe();
    open_transaction = kept;
    return status;
}

INSIDE(probe_execute_in, probe_execute())
INSIDE(probe_load_in, probe_load())
INSIDE(probe_execute_around, outside(probe_execute))
INSIDE(probe_load_around, outside(probe_load))

#endif
