/* Rows of `frame_lane` and `frame_writers`. */
#include "store/lane.h"

#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "sqlite/statement.h"

#define CHAINS_SIZE ((size_t)STELE__LANE_CHAINS * 8)

static void write_chains(const stele__lane *lane, unsigned char *out)
{
    for (size_t i = 0; i < STELE__LANE_CHAINS; i++)
        for (size_t at = 0; at < 8; at++)
            out[8 * i + at] = (unsigned char)(lane->chains[i] >> (8 * at));
}

static void read_chains(const unsigned char *from, stele__lane *lane)
{
    for (size_t i = 0; i < STELE__LANE_CHAINS; i++) {
        lane->chains[i] = 0;
        for (size_t at = 0; at < 8; at++)
            lane->chains[i] |= (uint64_t)from[8 * i + at] << (8 * at);
    }
}

int64_t stele__lane_checksum(const stele__lane *lane)
{
    STELE__UNINITIALIZED stele__digest digest;
    unsigned char chains[CHAINS_SIZE];
    write_chains(lane, chains);
    stele__digest_init(&digest);
    stele__digest_bytes(&digest, lane->lane, sizeof(lane->lane));
    stele__digest_bytes(&digest, lane->shard, sizeof(lane->shard));
    stele__digest_number(&digest, lane->applied);
    stele__digest_number(&digest, lane->head);
    stele__digest_bytes(&digest, chains, sizeof(chains));
    return (int64_t)stele__digest_end(&digest);
}

void stele__lane_begin(stele__lane *lane)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_bytes(&digest, lane->lane, sizeof(lane->lane));
    stele__digest_bytes(&digest, lane->shard, sizeof(lane->shard));
    memset(lane->chains, 0, sizeof(lane->chains));
    lane->applied = 0;
    lane->chains[0] = stele__digest_end(&digest);
}

static stele_status take_lane(stele__statement *statement, stele__lane *lane)
{
    size_t lane_size = 0;
    size_t shard_size = 0;
    size_t chains_size = 0;
    const void *id = stele__column_bytes(statement, 0, &lane_size);
    const void *shard = stele__column_bytes(statement, 1, &shard_size);
    const unsigned char *chains = stele__column_bytes(statement, 4, &chains_size);
    lane->applied = stele__column_number(statement, 2);
    lane->head = stele__column_number(statement, 3);
    if (lane_size == sizeof(lane->lane) && shard_size == sizeof(lane->shard)
        && chains_size == CHAINS_SIZE) {
        memcpy(lane->lane, id, sizeof(lane->lane));
        memcpy(lane->shard, shard, sizeof(lane->shard));
        read_chains(chains, lane);
        lane->found =
            lane->applied >= 0 && stele__lane_checksum(lane) == stele__column_number(statement, 5);
    }
    return lane->found ? STELE_OK : stele__fail(STELE_CORRUPT, "the row of frame_lane is damaged");
}

stele_status stele__lane_load(stele__connection *connection, stele__lane *lane_out)
{
    stele__statement *statement = NULL;
    *lane_out = (stele__lane){ 0 };
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT lane, shard, applied, head, chains, checksum FROM frame_lane WHERE id = 1",
        &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        status = take_lane(statement, lane_out);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__lane_save(stele__connection *connection, const stele__lane *lane)
{
    stele__statement *statement = NULL;
    unsigned char chains[CHAINS_SIZE];
    stele_status status = stele__statement_begin(
        connection->database,
        "INSERT INTO frame_lane(id, lane, shard, applied, head, chains, checksum)"
        " VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(id) DO UPDATE"
        " SET lane = ?1, shard = ?2, applied = ?3, head = ?4,"
        " chains = ?5, checksum = ?6",
        &statement);
    if (status != STELE_OK)
        return status;
    write_chains(lane, chains);
    stele__connection_touch(connection);
    stele__bind_blob(statement, 1, lane->lane, sizeof(lane->lane));
    stele__bind_blob(statement, 2, lane->shard, sizeof(lane->shard));
    stele__bind_number(statement, 3, lane->applied);
    stele__bind_number(statement, 4, lane->head);
    stele__bind_blob(statement, 5, chains, sizeof(chains));
    stele__bind_number(statement, 6, stele__lane_checksum(lane));
    return stele__statement_run(statement);
}

/* --- Writers --- */

int64_t stele__lane_writer_checksum(const void *writer, size_t size, int64_t last, int64_t applied)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_bytes(&digest, writer, size);
    stele__digest_number(&digest, last);
    stele__digest_number(&digest, applied);
    return (int64_t)stele__digest_end(&digest);
}

stele_status stele__lane_writer_find(stele__connection *connection, const unsigned char *writer,
                                     int64_t *last_out)
{
    stele__statement *statement = NULL;
    *last_out = 0;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT last, applied, checksum FROM frame_writers WHERE writer = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_blob(statement, 1, writer, STELE__LANE_ID_SIZE);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        *last_out = stele__column_number(statement, 0);
        if (*last_out < 0
            || stele__lane_writer_checksum(writer, STELE__LANE_ID_SIZE, *last_out,
                                           stele__column_number(statement, 1))
                   != stele__column_number(statement, 2))
            status = stele__fail(STELE_CORRUPT, "a row of frame_writers is damaged");
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__lane_writer_save(stele__connection *connection, const unsigned char *writer,
                                     int64_t last, int64_t applied)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "INSERT INTO frame_writers(writer, last, applied, checksum) VALUES(?1, ?2, ?3, ?4)"
        " ON CONFLICT(writer) DO UPDATE SET last = ?2, applied = ?3, checksum = ?4",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_blob(statement, 1, writer, STELE__LANE_ID_SIZE);
    stele__bind_number(statement, 2, last);
    stele__bind_number(statement, 3, applied);
    stele__bind_number(statement, 4,
                       stele__lane_writer_checksum(writer, STELE__LANE_ID_SIZE, last, applied));
    return stele__statement_run(statement);
}

stele_status stele__lane_writers_forget(stele__connection *connection, int64_t before,
                                        const unsigned char *writer)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "DELETE FROM frame_writers WHERE applied < ?1 AND writer <> ?2",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, before);
    stele__bind_blob(statement, 2, writer, STELE__LANE_ID_SIZE);
    return stele__statement_run(statement);
}

stele_status stele__lane_is_fresh(stele__connection *connection, bool *fresh_out)
{
    int64_t used = 0;
    stele_status status = stele__database_number(
        connection->database,
        "SELECT EXISTS (SELECT 1 FROM events) OR EXISTS (SELECT 1 FROM streams)"
        " OR EXISTS (SELECT 1 FROM idempotency) OR EXISTS (SELECT 1 FROM state)"
        " OR EXISTS (SELECT 1 FROM state_writes)",
        &used);
    *fresh_out = status == STELE_OK && used == 0;
    return status;
}
