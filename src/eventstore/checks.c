/* What the event store proves of its part of the file, and the digest over all of it. */
#include "eventstore/checks.h"

#include "eventstore/checking.h"
#include "eventstore/eventstore.h"

/* What leads to a stream's events is made of them. */
static stele_status repair_event_index(stele_store *store, const stele_wait *wait,
                                       bool *repaired_out)
{
    return stele__repair_indexes(store, wait, "events", repaired_out);
}

const stele__check *stele__eventstore_checks(size_t *count_out)
{
    static const stele__check log_checks[] = {
        { "positions", stele__check_positions, NULL },
        { "versions", stele__check_versions, repair_event_index },
        { "index", stele__check_index, repair_event_index },
        { "checksums", stele__check_checksums, NULL },
        { "names", stele__check_names, NULL },
        { "idempotency", stele__check_idempotency, NULL },
        { "states", stele__check_states, NULL },
        { "husks", stele__check_husks, NULL },
        { "archives", stele__check_archives, NULL },
        { "kept", stele__check_kept, NULL },
    };
    *count_out = sizeof(log_checks) / sizeof(log_checks[0]);
    return log_checks;
}

stele_status stele__eventstore_digest(stele__database *database, uint64_t *hash_out)
{
    static const char *const tables[] = {
        "SELECT id, name, state, reason, changed_at, base_version, checksum FROM streams"
        " ORDER BY id",
        /* What the number of a type or a codec is depends on the snapshots that were ever saved in
         * this file, and on what it ever kept for others. */
        "SELECT position, stream, version, (SELECT name FROM types WHERE id = type), "
        "schema_version,"
        " (SELECT name FROM codecs WHERE id = codec), recorded_at, occurred_at, flags,"
        " payload_hash, checksum, data, metadata FROM events NOT INDEXED ORDER BY position",
        "SELECT id, key, stream, version, event_count, digest, checksum FROM idempotency"
        " ORDER BY id",
    };
    stele_status status = STELE_OK;
    *hash_out = 0;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && status == STELE_OK; i++)
        status = stele__digest_rows(database, tables[i], hash_out);
    return status;
}
