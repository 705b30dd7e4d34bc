/**
 * @file tests/scenario_probes.h
 * The probes of tests/test_modes_matrix.c for scenarios. They use a type that those of
 * tests/typed_probes.h have registered.
 */
#ifndef STELE_TESTS_SCENARIO_PROBES_H
#define STELE_TESTS_SCENARIO_PROBES_H

#include <stele/scenario.h>

#include "typed_probes.h"

/* The command is an int: how many events to emit; below 0 is refused. */
static stele_status decide_probe(void *context, const void *state, const void *command,
                                 stele_decision *decision)
{
    const int *count = command;
    (void)context, (void)state;
    if (*count < 0)
        return stele_decision_refuse(decision, 1, "as the probe wants it");
    return *count == 0 ? STELE_OK : stele_decision_emit(decision, &noted_type, &probe_value);
}

static stele_status evolve_probe(void *context, void *state, const stele_folding *event)
{
    (void)context, (void)event;
    ++*(int *)state;
    return STELE_OK;
}

/* Run `step` in a scenario, after a `when` of so many events unless it is SKIP_WHEN. */
enum { SKIP_WHEN = -2, WHEN_REFUSED = -1 };

static stele_status probe_scenario_step(int count, stele_status (*step)(stele_scenario *scenario))
{
    stele_aggregate *counters = NULL;
    stele_scenario *scenario = NULL;
    stele_decider decider = STELE_DECIDER_INIT;
    decider.name = "probe";
    decider.state_size = sizeof(int);
    decider.decide = decide_probe;
    decider.evolve = evolve_probe;
    stele_status status = stele_aggregate_open(store, &decider, NULL, &counters);
    if (status == STELE_OK)
        status = stele_scenario_open(counters, &scenario);
    if (status == STELE_OK && count != SKIP_WHEN)
        status = stele_scenario_when(scenario, &count);
    if (status == STELE_OK && step != NULL)
        status = step(scenario);
    stele_scenario_close(scenario);
    stele_aggregate_close(counters);
    return status;
}

static stele_status probe_scenario(void)
{
    return probe_scenario_step(SKIP_WHEN, NULL);
}

static stele_status give_probe(stele_scenario *scenario)
{
    return stele_scenario_given(scenario, &noted_type, &probe_value);
}

static stele_status probe_given(void)
{
    return probe_scenario_step(SKIP_WHEN, give_probe);
}

static stele_status give_event_probe(stele_scenario *scenario)
{
    const stele_event event = make_event("Noted", "{\"n\":1}");
    return stele_scenario_given_event(scenario, &event);
}

static stele_status probe_given_event(void)
{
    return probe_scenario_step(SKIP_WHEN, give_event_probe);
}

static stele_status probe_when(void)
{
    return probe_scenario_step(1, NULL);
}

static stele_status then_probe(stele_scenario *scenario)
{
    return stele_scenario_then(scenario, &noted_type, &probe_value);
}

static stele_status probe_then(void)
{
    return probe_scenario_step(1, then_probe);
}

/* In the write codec that the probes have chosen. */
static stele_status then_event_probe(stele_scenario *scenario)
{
    stele_event event = make_event("Noted", "\xa1\x61n\x01");
    event.codec = "cbor";
    return stele_scenario_then_event(scenario, &event);
}

static stele_status probe_then_event(void)
{
    return probe_scenario_step(1, then_event_probe);
}

static stele_status probe_then_nothing(void)
{
    return probe_scenario_step(0, stele_scenario_then_nothing);
}

static stele_status then_refused_probe(stele_scenario *scenario)
{
    return stele_scenario_then_refused(scenario, 1);
}

static stele_status probe_then_refused(void)
{
    return probe_scenario_step(WHEN_REFUSED, then_refused_probe);
}

static stele_status then_state_probe(stele_scenario *scenario)
{
    return stele_scenario_then_state(scenario, &(int){ 0 });
}

static stele_status probe_then_state(void)
{
    return probe_scenario_step(SKIP_WHEN, then_state_probe);
}

static stele_status state_probe(stele_scenario *scenario)
{
    int state = 1;
    stele_status status = stele_scenario_state(scenario, &state);
    return status == STELE_OK && state != 0 ? STELE_IO : status;
}

static stele_status probe_scenario_state(void)
{
    return probe_scenario_step(SKIP_WHEN, state_probe);
}

INSIDE(probe_given_around, probe_given())
INSIDE(probe_scenario_state_around, probe_scenario_state())

#endif
