/* What a record is decoded into, as its decoding (decoded.c) and the upcasters (upcasting.c) share
 * it. */
#ifndef STELE_CODEC_DECODED_H
#define STELE_CODEC_DECODED_H

#include "codec/registry.h"

/* One event that a record is, or became on the way to its parts. */
typedef struct stele__item {
    stele_part part; /* `value` is NULL until it is decoded */
    const stele__known *known;
    uint32_t step; /* how many upcasters led here */
    struct stele__item *next;
    stele_buffer bytes; /* of what was emitted: the payload, a NUL, the codec's name */
    void *memory;       /* for a value, used again */
    size_t memory_size;
    const stele_type *held; /* whose value is in it; NULL: none */
} stele__item;

struct stele_decoded {
    stele_store *store; /* held: what is registered there is in use here */
    stele__item
        *first; /* the events of the record in their order, first of all the record itself */
    stele__item *spare; /* for later ones */
    size_t spare_count;
    size_t item_count;  /* of those from `first` on, and emitted just now */
    size_t byte_count;  /* that they take */
    size_t emitted;     /* ever, by the record's upcasters */
    size_t memory_left; /* that its values may still own, all together */
    stele__item **parts;
    size_t part_count;
    size_t part_capacity;
    bool failed;
    stele_flaw flaw;
};

/* --- decoded.c --- */

/* Whether a record that is passed in has what decoding looks at. MISUSE. */
stele_status stele__record_check(const stele_record *record);
/* An item for something to come; NULL when there is no memory. */
stele__item *stele__item_take(stele_decoded *decoded);
/* End what it holds, and keep it for later. */
void stele__item_give(stele_decoded *decoded, stele__item *item);
/* Decode its payload by `plan`. The text says no more than what is wrong with it. */
stele_status stele__item_decode(stele_decoded *decoded, stele__item *item,
                                const stele__registry *registry, const stele__plan *plan);

/* --- upcasting.c --- */

/* Put in the place of `*at` what its upcaster makes of it. On failure it stays. */
stele_status stele__upcast_item(stele_decoded *decoded, const stele__registry *registry,
                                const stele_record *record, stele__item **at);

#endif
