/* Reading payloads that are in attached archives, during one page of a cursor. */
#include "eventstore/lifecycle.h"

#include "base/failure.h"

static void leave_archive(stele__through *through)
{
    stele__statement_end(through->statement);
    through->statement = NULL;
    if (through->archive == NULL)
        return;
    if (through->connection != NULL)
        stele__read_end(through->archive, through->connection);
    stele__store_leave(through->archive);
    stele__store_release(through->archive);
    through->archive = NULL;
    through->connection = NULL;
}

/* Find where the payloads of the stream are, and begin to read there. */
static stele_status enter_archive(stele__through *through, stele_store *store,
                                  stele__connection *connection, int64_t stream)
{
    bool found = false;
    stele__range range;
    stele__kept kept;
    leave_archive(through);
    through->stream = stream;
    through->kept = 0;
    stele_status status = stele__range_find(connection, stream, &found, &range);
    if (status == STELE_OK && found)
        status = stele__attached_enter(store, range.uuid, &through->archive);
    if (status != STELE_OK || through->archive == NULL)
        return status;
    status = stele__read_begin(through->archive, NULL, &through->connection);
    if (status == STELE_OK)
        status = stele__names_begin(through->connection);
    if (status == STELE_OK)
        status = stele__kept_load(through->connection, range.move, &kept);
    if (status == STELE_OK)
        through->kept = kept.id;
    return status;
}

stele_status stele__through_fetch(stele__through *through, stele_store *store,
                                  stele__connection *connection, stele__row *row)
{
    stele__row there;
    stele_status status = STELE_OK;
    if (through->stream != row->stream)
        status = enter_archive(through, store, connection, row->stream);
    if (status == STELE_OK && through->kept == 0)
        return STELE_DONE;
    if (status != STELE_OK)
        through->stream = 0; /* the next one asks again */
    stele__statement_end(through->statement);
    through->statement = NULL;
    if (status == STELE_OK)
        status = stele__kept_fetch(through->connection, through->kept, row->version,
                                   row->payload_hash, &through->statement, &there);
    if (status != STELE_OK)
        return stele__fail_within(status, "position %lld", (long long)row->position);
    row->flags &= ~(int64_t)STELE_RECORD_ARCHIVED;
    row->data = there.data;
    row->data_size = there.data_size;
    row->metadata = there.metadata;
    row->metadata_size = there.metadata_size;
    return STELE_OK;
}

void stele__through_end(stele__through *through)
{
    leave_archive(through);
    through->stream = 0;
    through->kept = 0;
}
