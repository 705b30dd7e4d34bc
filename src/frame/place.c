/* What a file knows of its lane, for who asks. */
#include <string.h>

#include "frame/frame.h"
#include "store/lane.h"
#include "store/names.h"

static void place_of_lane(const stele__lane *lane, stele__frame_place *place_out)
{
    *place_out = (stele__frame_place){ .bound = lane->found };
    if (!lane->found)
        return;
    memcpy(place_out->lane.bytes, lane->lane, STELE__FRAME_ID_SIZE);
    memcpy(place_out->shard.bytes, lane->shard, STELE__FRAME_ID_SIZE);
    place_out->applied = (uint64_t)lane->applied;
    place_out->chain = lane->chains[place_out->applied % STELE__LANE_CHAINS];
}

stele_status stele__frame_place_find(stele_store *store, stele__frame_place *place_out)
{
    stele__lane lane;
    stele__connection *connection = NULL;
    *place_out = (stele__frame_place){ 0 };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = stele__lane_load(connection, &lane);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    if (status == STELE_OK)
        place_of_lane(&lane, place_out);
    return status;
}

stele_status stele__frame_place_within(stele_transaction *transaction,
                                       stele__frame_place *place_out)
{
    stele__lane lane;
    stele__connection *connection = NULL;
    *place_out = (stele__frame_place){ 0 };
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__lane_load(connection, &lane);
    stele__transaction_leave(transaction);
    if (status == STELE_OK)
        place_of_lane(&lane, place_out);
    return status;
}

stele_status stele__frame_writer_find(stele_store *store, const stele__frame_id *writer,
                                      uint64_t *last_out)
{
    int64_t last = 0;
    stele__connection *connection = NULL;
    *last_out = 0;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = stele__lane_writer_find(connection, writer->bytes, &last);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    *last_out = (uint64_t)last;
    return status;
}

/* Inside a transaction. */
static stele_status bind_lane(stele__connection *connection, const stele__frame_id *lane,
                              const stele__frame_id *shard, bool *changed_out)
{
    stele__lane row;
    stele__log_end end;
    stele_status status = stele__lane_load(connection, &row);
    if (status != STELE_OK)
        return status;
    *changed_out = !row.found;
    if (row.found)
        return memcmp(row.lane, lane->bytes, sizeof(row.lane)) == 0
                       && memcmp(row.shard, shard->bytes, sizeof(row.shard)) == 0
                   ? STELE_OK
                   : stele__fail(STELE_MISUSE, "the store follows another lane");
    status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__log_end_find(connection, &end);
    if (status != STELE_OK)
        return status;
    memcpy(row.lane, lane->bytes, sizeof(row.lane));
    memcpy(row.shard, shard->bytes, sizeof(row.shard));
    stele__lane_begin(&row);
    row.head = end.head;
    return stele__lane_save(connection, &row);
}

stele_status stele__frame_bind(stele_store *store, const stele__frame_id *lane,
                               const stele__frame_id *shard)
{
    bool changed = false;
    stele__connection *connection = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin_durably(store, NULL, &connection);
    if (status == STELE_OK) {
        status = bind_lane(connection, lane, shard, &changed);
        if (status == STELE_OK && changed)
            status = stele__settle_outcome(stele__write_commit(store));
        stele__write_end(store);
    }
    stele__store_leave(store);
    return status;
}
