/* Changes of a checkpoint, between the files of this area. */
#ifndef STELE_CHECKPOINT_CHECKPOINT_H
#define STELE_CHECKPOINT_CHECKPOINT_H

#include "base/bytes.h"
#include "checkpoint/own.h"

/* All places of a name as one, for those who look from outside. */
typedef struct stele__places_sum {
    bool found;       /* at least one was saved */
    int64_t position; /* of the one that is furthest behind */
    int64_t saved_at; /* of the one saved last */
    bool lost;
    int64_t shared; /* when lost; the least */
    int64_t lanes;
    bool unsaved_lane;
} stele__places_sum;

/* `lost` and `shared` as it was judged. In the order of lanes. */
void stele__place_add(stele__places_sum *sum, const stele__place *place, bool lost, int64_t shared);

/* A change in a transaction, its own or the user's. */
typedef struct stele__checkpoint_change {
    stele_status (*apply)(stele_store *store, stele__connection *connection,
                          struct stele__checkpoint_change *change);
    const char *name;
    int64_t position;
    stele_checkpoint_move move;
    stele_checkpoint_claim claim;
    int64_t generation;
    uint32_t lease_ms;
    /* What it found. */
    int64_t actual;
    bool found;
    stele_checkpoint_claimed claimed;
    bool half_way; /* a failure came after something was written */
} stele__checkpoint_change;

stele_status stele__checkpoint_write(stele_store *store, stele__checkpoint_change *change);
stele_status stele__checkpoint_write_within(stele_transaction *transaction,
                                            stele__checkpoint_change *change);

/* MISUSE when it isn't within 0 and the head. */
stele_status stele__checkpoint_check_position(stele__connection *connection, const char *name,
                                              int64_t position);

#endif
