/* What a plan is made of, for the files that encode and decode by it. */
#ifndef STELE_CODEC_PLAN_INTERNAL_H
#define STELE_CODEC_PLAN_INTERNAL_H

#include <stdbool.h>

#include "base/bytes.h"
#include "codec/plan.h"

/* A field's name as it comes before a value, ready to be copied. */
typedef struct stele__plan_key {
    const char *bytes;
    size_t size;
} stele__plan_key;

/* A line of the table, with what was worked out for it. */
typedef struct stele__plan_field {
    const stele_field *field;
    const stele__plan *nested; /* of STRUCT */
    stele__plan_key json_key;  /* quoted, with its colon */
    stele__plan_key cbor_key;
    uint32_t cbor_next; /* the field after it in `cbor_order`, or the count of fields */
} stele__plan_field;

struct stele__plan {
    const stele_type *type;
    stele__plan_field *fields; /* in the order of the table */
    size_t field_count;
    uint32_t *cbor_order; /* the fields, in the order of their encoded names */
    stele_buffer keys;    /* where the fields' keys are */
    uint32_t *slots;      /* the fields by the hash of their names, plus 1; 0 is free */
    size_t slot_mask;
    size_t required_count;
    stele__plan *next; /* of those made together; the first owns the others */
};

/* The field of this name: `*index` on success. `*index` is tried first. */
bool stele__plan_find(const stele__plan *plan, const char *name, size_t size, size_t *index);

/* A table as far as it says where members are: MISUSE. What it refers to isn't looked at. */
stele_status stele__layout_check(const stele_type *type);

/* --- value.c: members in memory --- */

/* An integer member of `size` bytes, signed or not. */
int64_t stele__member_signed(const void *member, size_t size);
uint64_t stele__member_unsigned(const void *member, size_t size);
/* False when the member can't hold it. */
bool stele__member_set(void *member, size_t size, bool is_signed, bool negative,
                       uint64_t magnitude);
/* The bits of an enum's number that a member of `size` bytes keeps. */
uint64_t stele__member_bits(int64_t value, size_t size);
/* What a member that is owned text, or an owned list, points to; and owned bytes. */
void *stele__member_pointer(const void *member);
stele_bytes stele__member_bytes(const void *member);
/* How many elements a list member holds, or bytes a BYTES member; false for a negative count or one
 * beyond its capacity. */
bool stele__member_count(const stele_field *field, const void *structure, size_t *count_out);
/* Free what a value owns, and zero it. */
void stele__plan_clear(const stele_type *type, void *value);

#endif
