/* A rebuild at work, between its files. */
#ifndef STELE_PROJECTION_REBUILD_H
#define STELE_PROJECTION_REBUILD_H

#include "projection/own.h"
#include "store/work.h"

typedef struct stele__rebuilding {
    stele_store *store;
    stele_projection projection;
    stele_rebuild options;
    stele__work work;
    char place_name[STELE__BUILD_NAME_SIZE]; /* whose place moves: the build's, or its own */
    char suffix[STELE__SUFFIX_SIZE];
    char owner[STELE__OWNER_SIZE];
    int64_t generation; /* of our claim on that place */
    int64_t build;      /* its number; 0: in place */
    stele_rebuilt rebuilt;
    bool done;
} stele__rebuilding;

/* For the control of a test: new tables are swapped in that lack the last events. */
extern bool stele__rebuild_swaps_early;

/* Claim what was begun, or begin: in `transaction`. */
stele_status stele__rebuild_begin_beside(stele__rebuilding *of, stele_transaction *transaction);
stele_status stele__rebuild_begin_in_place(stele__rebuilding *of, stele_transaction *transaction);
/* Fold the next events, and with the last ones end it: `done`. */
stele_status stele__rebuild_step(stele__rebuilding *of, stele_transaction *transaction,
                                 stele__folding *folding);
/* swap.c: the new tables, which are as far as the old, become those of the projection. */
stele_status stele__rebuild_swap(stele__rebuilding *of, stele_transaction *transaction,
                                 stele__projection_row *row, stele__place *live);

/* What was parked by the tables of before goes. */
stele_status stele__rebuild_forget_parked(stele__rebuilding *of, stele_transaction *transaction);
/* Nobody has it any more, and nothing was ever wrong with it; effects up to where it is were had.
 */
void stele__rebuild_renew_place(stele__place *live);

#endif
