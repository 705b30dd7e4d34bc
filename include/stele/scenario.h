/**
 * @file stele/scenario.h
 * Given, when, then: for testing deciders, with any test framework or none.
 *
 *     stele_scenario_given(scenario, &opened_type, &(opened){ .limit = 100 });
 *     stele_scenario_when(scenario, &(withdraw){ .amount = 500 });
 *     ck_assert_msg(stele_scenario_then_refused(scenario, OVERDRAFT) == STELE_OK,
 *                   "%s", stele_error_text());
 *
 * A scenario is run on a stream of its own in a store, mostly one in memory, through the same calls
 * that the program uses: events are encoded, stored, decoded and folded. So what a test sees is
 * what happens.
 *
 * Each `then` answers STELE_OK when it holds, and else STELE_INVALID, with what was expected and
 * what happened in stele_error_text(). A `given` or `when` that fails is remembered: each later
 * call of the scenario repeats it. Steps may follow each other in any order and number; a `then` is
 * about the last `when`.
 *
 * Threads. A scenario is used by one thread at a time.
 */
#ifndef STELE_SCENARIO_H
#define STELE_SCENARIO_H

#include <stddef.h>
#include <stdint.h>

#include <stele/aggregate.h>
#include <stele/api.h>
#include <stele/status.h>
#include <stele/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One case under test. */
typedef struct stele_scenario stele_scenario;

/**
 * Begin a scenario on a new stream.
 *
 * @param aggregate    Of the decider under test. Must outlive the scenario.
 * @param scenario_out Receives the scenario; end it with stele_scenario_close().
 * @return STELE_OK; STELE_MISUSE (also for a decider whose states can't be copied);
 *         STELE_NO_MEMORY; STELE_IO; STELE_CLOSED.
 */
STELE_API stele_status stele_scenario_open(stele_aggregate *aggregate,
                                           stele_scenario **scenario_out);

/** End `scenario`. NULL is allowed; never fails. Its events stay in the store. Also after the store
 * was closed. */
STELE_API void stele_scenario_close(stele_scenario *scenario);

/** This has happened. @return As stele_append_typed(). */
STELE_API stele_status stele_scenario_given(stele_scenario *scenario, const stele_type *type,
                                            const void *value);

/** The same with all that an event may have, as bytes. @return As stele_store_append(). */
STELE_API stele_status stele_scenario_given_event(stele_scenario *scenario,
                                                  const stele_event *event);

/** The command is executed. @return STELE_OK also when it was refused; else what failed. */
STELE_API stele_status stele_scenario_when(stele_scenario *scenario, const void *command);

/**
 * The command emitted this event next: the first `then_event` after a `when` is about its first
 * event, and so on. Compared are type, schema version, and the payload as `value` is encoded.
 *
 * @return STELE_OK; STELE_INVALID (another event, or none, or refused); STELE_MISUSE (no `when`); a
 *         failure that is remembered; else as stele_event_encode(), and as reading the stream
 *         (STELE_NOT_FOUND: the event isn't there any more).
 */
STELE_API stele_status stele_scenario_then(stele_scenario *scenario, const stele_type *type,
                                           const void *value);

/** The same as bytes: type, codec, schema version and data are compared, and metadata if given.
 * @return As stele_scenario_then(). */
STELE_API stele_status stele_scenario_then_event(stele_scenario *scenario,
                                                 const stele_event *event);

/** The command emitted nothing more than what `then` calls have named; without these: nothing. A
 * refusal is no such nothing: that is STELE_INVALID. @return As stele_scenario_then(). */
STELE_API stele_status stele_scenario_then_nothing(stele_scenario *scenario);

/** The command was refused with this code. @return As stele_scenario_then(). */
STELE_API stele_status stele_scenario_then_refused(stele_scenario *scenario, int32_t code);

/**
 * The state is now as `state`, compared by its table, as JSON; without a table, by what the
 * decider's `encode` writes, or else by its bytes. It needs no `when`.
 *
 * @param state A state of the program's.
 * @return STELE_OK; STELE_INVALID (another state); a failure that is remembered; STELE_UNSUPPORTED
 *         (states that own memory, without table and `encode`); else as stele_aggregate_load(), and
 *         as writing a state (one with NaN in it can't be).
 */
STELE_API stele_status stele_scenario_then_state(stele_scenario *scenario, const void *state);

/** The state now, for looking at what the above can't compare; clear it with
 * stele_aggregate_clear(). @return As stele_aggregate_load(). */
STELE_API stele_status stele_scenario_state(stele_scenario *scenario, void *state);

#ifdef __cplusplus
}
#endif

#endif
