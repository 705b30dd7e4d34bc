/* The row of a checkpoint, between the files of this area. */
#ifndef STELE_CHECKPOINT_ROW_H
#define STELE_CHECKPOINT_ROW_H

#include "sqlite/statement.h"
#include "store/store.h"

/* All of it; what belongs to owners and attempts stays empty until somebody leases it. */
typedef struct stele__checkpoint_row {
    int64_t position;
    const char *epoch;
    int64_t saved_at;
    const char *owner;
    const char *boot;
    int64_t lease_until;
    int64_t generation;
    int64_t attempt_position;
    int64_t attempts;
    const char *status;
} stele__checkpoint_row;

#define STELE__CHECKPOINT_COLUMNS                                                                  \
    "position, epoch, saved_at, owner, boot, lease_until, generation, attempt_position, "          \
    "attempts, "                                                                                   \
    "status, checksum"

int64_t stele__checkpoint_row_checksum(const char *name, const stele__checkpoint_row *row);

/* The statement's row of the columns above: OK, or CORRUPT. Texts are borrowed from it. */
stele_status stele__checkpoint_row_read(stele__statement *statement, const char *name,
                                        stele__checkpoint_row *row_out);

/* EPOCH beyond what its epoch shares with the current one; else `*shared_out` is 0. */
stele_status stele__checkpoint_row_judge(stele__connection *connection, const char *name,
                                         const stele__checkpoint_row *row, int64_t *shared_out);

#endif
