/*
 * Which keys the open objects of a payload have, so that none comes twice. For JSON and for CBOR.
 *
 * A key is bytes, compared as such: those of the input where it stands there in its one form, else
 * those that its codec puts among the decoded bytes. No two different keys may differ only in NULs
 * at the end of one. JSON's hold no NUL; CBOR's say their own length at the start.
 */
#ifndef STELE_CODEC_KEYS_H
#define STELE_CODEC_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/status.h>

enum {
    STELE__KEYS_INLINE = 48 /* open at one moment without an allocation */
};

/** One key of an open object. */
typedef struct stele__key {
    uint32_t start;         /* in the input, or among the decoded bytes */
    uint32_t size;          /* of what is compared */
    uint32_t fingerprint;   /* differs only if the keys differ */
    uint32_t child[2];      /* its node of the object's tree; see keys.c */
    uint32_t critical_byte; /* which byte of a key the node looks at */
    uint8_t critical_bit;   /* and which bit of it, as a mask */
    bool decoded;           /* written in another form, so that `start` counts decoded bytes */
} stele__key;

/** The keys of all open objects, those of the innermost last. */
typedef struct stele__keys {
    const unsigned char *input;
    stele__key *keys; /* `first` or allocated */
    size_t count;
    size_t capacity;
    unsigned char *decoded; /* NULL until a key needed it */
    size_t decoded_size;
    size_t decoded_capacity;
    stele__key first[STELE__KEYS_INLINE];
} stele__keys;

/** Where one object's keys start. */
typedef struct stele__keys_object {
    uint32_t first_key;
    uint32_t first_decoded;
    uint32_t root; /* of its tree, once it has one */
} stele__keys_object;

/** Start with no keys, holding no memory. */
void stele__keys_init(stele__keys *keys);

/** Forget all keys, and turn to another input. Gives back what a giant one needed. */
void stele__keys_reset(stele__keys *keys, const unsigned char *input);

void stele__keys_dispose(stele__keys *keys);

void stele__keys_enter(const stele__keys *keys, stele__keys_object *object);
void stele__keys_leave(stele__keys *keys, const stele__keys_object *object);

/**
 * Add a key that stands in the input to the innermost object.
 *
 * STELE_OK; STELE_INVALID if the object has it (it is then still the last, so that it can be
 * named); STELE_NO_MEMORY. Sets no error text.
 */
stele_status stele__keys_add(stele__keys *keys, stele__keys_object *object,
                             const unsigned char *key, size_t size);

/**
 * Room for a key of at most `size_max` decoded bytes, behind those there are; NULL for no memory.
 * All of an input together are no more than its bytes. stele__keys_add_decoded() then takes the
 * first `size` of them as a key.
 */
unsigned char *stele__keys_room(stele__keys *keys, size_t size_max);
stele_status stele__keys_add_decoded(stele__keys *keys, stele__keys_object *object, size_t size);

/** The last key's bytes; not NUL-terminated, and gone with the next change. */
const unsigned char *stele__keys_last(const stele__keys *keys, size_t *size_out);

#endif
