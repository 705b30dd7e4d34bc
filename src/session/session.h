/* What the files of this folder share: the memory, its slots, and whose they are. */
#ifndef STELE_SESSION_SESSION_H
#define STELE_SESSION_SESSION_H

#include <stele/session.h>

#include "base/bytes.h"
#include "store/store.h"

#define STELE__SESSION_KEY "memory"

struct stele_session_memory {
    stele_store *store;   /* held */
    const char *strategy; /* a constant */
    bool keeps;           /* turns, under this strategy */
    uint32_t turn_count_max;
    uint32_t slot_size_max;
    char *audit_stream;
};

/* --- identity.c --- */

/*
 * Begin a call: the scope of the identity's slot. CLOSED; MISUSE, with the refusal of an identity
 * recorded; TOO_LARGE.
 */
stele_status stele__session_enter(stele_session_memory *memory, const char *operation,
                                  const stele_identity *identity,
                                  char scope_out[STELE_SCOPE_SIZE_MAX + 1]);

/* --- slot.c --- */

/* The turns of a slot. Zero is empty. */
typedef struct stele__session_slot {
    stele__buffer texts; /* roles and texts, each with its NUL */
    stele__buffer turns; /* of stele_turn */
    size_t size;         /* bytes of roles and texts */
} stele__session_slot;

/*
 * Read what a slot is stored as: strictly, all of it. INVALID for what isn't of the form, of
 * `memory`'s strategy, or empty under "none"; TOO_LARGE; NO_MEMORY: then there is nothing to
 * dispose of.
 */
stele_status stele__session_parse(const stele_session_memory *memory, const void *data, size_t size,
                                  stele__session_slot *slot_out);
void stele__session_dispose(stele__session_slot *slot);

/* Write `before`, and `text` as a JSON string. OK or NO_MEMORY; then a part may be there. */
stele_status stele__session_quote(stele__buffer *buffer, const char *before, const char *text);

/* Write `count` turns to the end of `buffer`. OK or NO_MEMORY; then a part may be there. */
stele_status stele__session_write(const stele_session_memory *memory, const stele_turn *turns,
                                  size_t count, stele__buffer *buffer);

#endif
