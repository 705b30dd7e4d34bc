/*
 * What a scenario says of events and payloads that aren't as expected: for people, and within the
 * few hundred bytes of an error text.
 */
#ifndef STELE_AGGREGATE_SCENARIO_TEXT_H
#define STELE_AGGREGATE_SCENARIO_TEXT_H

#include <stele/aggregate.h>
#include <stele/buffer.h>
#include <stele/eventstore.h>
#include <stele/store.h>

/* --- scenario_text.c --- */

/* Something in words: what it is, as in "withdrawn", and what is in it. Starts as { 0 }; end it
 * with stele__words_dispose(). */
typedef struct stele__words {
    char head[160];
    stele_buffer payload; /* empty: there is none */
} stele__words;

/* An event: type, what is unusual of schema version and codec, payload. By its table, where it has
 * one, so that it reads the same whatever it is stored in, and secrets stay secret. */
stele_status stele__words_of_event(stele_store *store, const stele_event *event,
                                   stele__words *words);
/* Any bytes, in `codec`. */
stele_status stele__words_of_bytes(const char *head, const char *codec, const void *data,
                                   size_t size, stele__words *words);
void stele__words_dispose(stele__words *words);

/* INVALID: "<lead> expected <expected>, but there is <found>". Long payloads are shown around where
 * they begin to differ. */
stele_status stele__fail_differing(const char *lead, const stele__words *expected,
                                   const stele__words *found);
/* INVALID: "<lead> <words> <tail>". */
stele_status stele__fail_with_words(const char *lead, const stele__words *words, const char *tail);

/* --- scenario_state.c --- */

/* OK when `found` is as `expected`; INVALID, with both; UNSUPPORTED when they can't be compared. */
stele_status stele__compare_states(const stele_aggregate *aggregate, const void *expected,
                                   const void *found);

#endif
