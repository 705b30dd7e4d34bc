/*
 * What a store knows of codecs, tables, names and upcasters, and what the files that use it share.
 *
 * It is attached to the store: written with the store's mutex held until the first use, then
 * frozen and read without a lock. It goes with the store's memory, so a handle that holds the
 * store may use it after closing.
 */
#ifndef STELE_CODEC_REGISTRY_H
#define STELE_CODEC_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/codec.h>
#include <stele/typed.h>
#include <stele/upcast.h>

#include "codec/plan.h"
#include "store/store.h"

/* --- What is registered --- */

/* What an upcaster may emit. */
typedef struct stele__output {
    char *type;
    int64_t schema_version;
} stele__output;

/* An upcaster. */
typedef struct stele__upcast_step {
    char *type;
    int64_t schema_version;
    stele__output *outputs;
    size_t output_count;
    stele__plan *from; /* NULL: it takes bytes */
    stele_status (*upcast)(void *context, const stele_upcast_input *input, stele_upcast *upcast);
    void *context;
    uint32_t chain; /* the most steps from here on, this one counted */
    uint32_t mark;  /* of the last search that came by */
} stele__upcast_step;

/* A name and schema version that something is registered for. */
typedef struct stele__known {
    const char *name; /* its table's, its step's, or `alias` */
    int64_t schema_version;
    const stele_type *type; /* NULL: none */
    stele__plan *plan;
    stele__upcast_step *step; /* NULL: none */
    char *alias;              /* not NULL: this stands for `alias_of`, and the rest is nothing */
    char *alias_of;
} stele__known;

/* Pointers, in the order of adding. */
typedef struct stele__list {
    void **items;
    size_t count;
    size_t capacity;
} stele__list;

/* The same in places that a hash says, for finding one. */
typedef struct stele__index {
    stele__known **places;
    size_t size; /* 0 or a power of 2, at least twice the count */
    size_t count;
} stele__index;

typedef struct stele__registry {
    atomic_bool frozen;
    const stele_codec *write_codec; /* NULL: JSON */
    stele__list codecs;             /* the program's, as stele_codec, with their names */
    stele__list known;
    stele__list listed; /* of these, tables and aliases */
    stele__list steps;
    stele__index names;  /* by name and schema version */
    stele__index tables; /* by the pointer */
    uint32_t mark;
} stele__registry;

/* --- registry.c --- */

/* Begin to register: the registry, with the store's mutex held. End with stele__registry_done(),
 * also on failure: MISUSE, NO_MEMORY. */
stele_status stele__registry_begin(stele_store *store, stele__registry **registry_out);
void stele__registry_done(stele_store *store);
/* The registry of `store`, which is frozen from now on. */
const stele__registry *stele__registry_use(stele_store *store);

/* What is known of exactly this name and version, aliases too (as version 0). NULL: nothing. */
stele__known *stele__known_find(const stele__registry *registry, const char *name,
                                int64_t schema_version);
/* The same of a stored name: an alias stands for its type. */
const stele__known *stele__known_resolve(const stele__registry *registry, const char *name,
                                         int64_t schema_version);
/* By the table itself. Looks at nothing of what it points to. */
const stele__known *stele__known_table(const stele__registry *registry, const stele_type *type);
bool stele__is_alias(const stele__registry *registry, const char *name);

/* Take over `step`: MISUSE when there is one, NO_MEMORY; nothing has changed then. */
stele_status stele__registry_add_step(stele__registry *registry, stele__upcast_step *step);
/* Undo the last of these. */
void stele__registry_drop_step(stele__registry *registry);

/* OK or NO_MEMORY. */
stele_status stele__list_add(stele__list *list, void *item);

/* --- store_codecs.c --- */

/* NULL: no such codec. */
const stele_codec *stele__codec_find(const stele__registry *registry, const char *name);
const stele_codec *stele__codec_to_write(const stele__registry *registry);

/* --- use.c: codecs of both kinds alike --- */

/* `flaw_out` may be NULL, here and below. */
void stele__flaw_clear(stele_flaw *flaw_out);
/* The gate. `codec` NULL: nobody knows it. */
stele_status stele__codec_check(const stele_codec *codec, const void *data, size_t size,
                                size_t size_max);
stele_status stele__codec_encode(const stele_codec *codec, const stele__plan *plan,
                                 const void *value, stele_buffer *buffer, stele_flaw *flaw_out);
stele_status stele__codec_decode(const stele_codec *codec, const stele__plan *plan,
                                 const void *data, size_t size, void *value, size_t *memory_left,
                                 stele_flaw *flaw_out);

/* --- upcast.c --- */

void stele__step_free(stele__upcast_step *step);
/* "'OrderPlaced' 2", in pieces: for formats. */
#define STELE__TYPE_FORMAT "'%s' %" PRId64

#endif
