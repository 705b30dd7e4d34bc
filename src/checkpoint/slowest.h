/* Which reader is furthest behind, for those who forget events. */
#ifndef STELE_CHECKPOINT_SLOWEST_H
#define STELE_CHECKPOINT_SLOWEST_H

#include "store/store.h"

typedef struct stele__slowest {
    bool found;
    int64_t position; /* INT64_MAX when there is none */
    char name[STELE_NAME_SIZE_MAX + 1];
} stele__slowest;

/*
 * Of the checkpoints saved at `saved_since` or later the one that has scanned least; of several the
 * first by name. One of a timeline that was lost counts with what it shares with this. Inside a
 * transaction. CORRUPT names the row that is damaged.
 */
stele_status stele__checkpoint_slowest(stele__connection *connection, int64_t saved_since,
                                       stele__slowest *slowest_out);

#endif
