/* The row of a checkpoint: reading it, and what of it is of this timeline. */
#include "checkpoint/row.h"

#include <stdio.h>

#include "base/checksum.h"
#include "base/failure.h"

int64_t stele__checkpoint_row_checksum(const char *name, const stele__checkpoint_row *row)
{
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_text(&digest, name);
    stele__digest_number(&digest, row->position);
    stele__digest_text(&digest, row->epoch);
    stele__digest_number(&digest, row->saved_at);
    stele__digest_text(&digest, row->owner);
    stele__digest_text(&digest, row->boot);
    stele__digest_number(&digest, row->lease_until);
    stele__digest_number(&digest, row->generation);
    stele__digest_number(&digest, row->attempt_position);
    stele__digest_number(&digest, row->attempts);
    stele__digest_text(&digest, row->status);
    return (int64_t)stele__digest_end(&digest);
}

stele_status stele__checkpoint_row_read(stele__statement *statement, const char *name,
                                        stele__checkpoint_row *row_out)
{
    *row_out = (stele__checkpoint_row){ .position = stele__column_number(statement, 0),
                                        .epoch = stele__column_text(statement, 1),
                                        .saved_at = stele__column_number(statement, 2),
                                        .owner = stele__column_text(statement, 3),
                                        .boot = stele__column_text(statement, 4),
                                        .lease_until = stele__column_number(statement, 5),
                                        .generation = stele__column_number(statement, 6),
                                        .attempt_position = stele__column_number(statement, 7),
                                        .attempts = stele__column_number(statement, 8),
                                        .status = stele__column_text(statement, 9) };
    if (stele__checkpoint_row_checksum(name, row_out) != stele__column_number(statement, 10))
        return stele__fail(STELE_CORRUPT, "the checkpoint '%s' is damaged", name);
    return STELE_OK;
}

stele_status stele__checkpoint_row_judge(stele__connection *connection, const char *name,
                                         const stele__checkpoint_row *row, int64_t *shared_out)
{
    char what[STELE_NAME_SIZE_MAX + sizeof("the checkpoint ''")];
    snprintf(what, sizeof(what), "the checkpoint '%s'", name);
    stele_status status =
        stele__epoch_check(connection->database, what, row->epoch == NULL ? "" : row->epoch,
                           row->position, shared_out);
    if (status != STELE_EPOCH)
        *shared_out = 0;
    return status;
}
