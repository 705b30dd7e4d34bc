/* Proving what events are called by: streams, types, codecs, idempotency keys. */
#include <inttypes.h>
#include <string.h>

#include "eventstore/checking.h"
#include "eventstore/eventstore.h"

static stele_status visit_stream(stele__connection *connection, stele__statement *statement,
                                 stele__walk *walk)
{
    (void)connection;
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    int64_t checksum = stele__stream_checksum(
        walk->first, stele__column_text(statement, 1), stele__column_number(statement, 2),
        stele__column_text(statement, 3), stele__column_number(statement, 4),
        stele__column_number(statement, 5));
    if (checksum == stele__column_number(statement, 6))
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "the row %" PRId64 " of streams is damaged", walk->first);
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

static stele_status visit_name(stele__connection *connection, stele__statement *statement,
                               stele__walk *walk)
{
    (void)connection;
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    const char *name = stele__column_text(statement, 1);
    if (name != NULL
        && stele__name_checksum(walk->first, name) == stele__column_number(statement, 2))
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "the name '%s' with id %" PRId64 " is damaged",
                name == NULL ? "" : name, walk->first);
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

stele_status stele__check_names(stele_store *store, stele__findings *findings)
{
    stele__walk streams = { .findings = findings };
    stele__walk types = { .findings = findings };
    stele__walk codecs = { .findings = findings };
    stele_status status = stele__walk_rows(
        store,
        "SELECT id, name, state, reason, changed_at, base_version, checksum FROM streams"
        " WHERE id > ?1 AND ?2 = 0 ORDER BY id LIMIT ?3",
        visit_stream, &streams);
    if (status == STELE_OK)
        status = stele__walk_rows(store,
                                  "SELECT id, name, checksum FROM types WHERE id > ?1 AND ?2 = 0"
                                  " ORDER BY id LIMIT ?3",
                                  visit_name, &types);
    if (status == STELE_OK)
        status = stele__walk_rows(store,
                                  "SELECT id, name, checksum FROM codecs WHERE id > ?1 AND ?2 = 0"
                                  " ORDER BY id LIMIT ?3",
                                  visit_name, &codecs);
    return status;
}

/* A key's row: whole, and its events there, of its stream, ending at its version. */
static stele_status visit_key(stele__connection *connection, stele__statement *statement,
                              stele__walk *walk)
{
    (void)connection;
    const char *key = stele__column_text(statement, 1);
    stele__key_row row = { .id = stele__column_number(statement, 0),
                           .stream = stele__column_number(statement, 2),
                           .version = stele__column_number(statement, 3),
                           .event_count = stele__column_number(statement, 4),
                           .digest = stele__column_number(statement, 5),
                           .erased = stele__column_type_of(statement, 5) == STELE__COLUMN_NULL };
    walk->first = row.id;
    walk->findings->count++;
    bool whole =
        key != NULL && stele__key_checksum(key, &row) == stele__column_number(statement, 6);
    bool fits = row.id < 0
                || (stele__column_number(statement, 7) == row.stream
                    && stele__column_number(statement, 8) == row.version);
    if (whole && fits)
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "the key '%s' %s", key == NULL ? "" : key,
                whole ? "doesn't fit its events" : "is damaged");
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

static stele_status visit_keyed_event(stele__connection *connection, stele__statement *statement,
                                      stele__walk *walk)
{
    (void)connection;
    walk->first = stele__column_number(statement, 0);
    if (stele__column_number(statement, 1) != 0)
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "the key of position %" PRId64 " is missing", walk->first);
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

stele_status stele__check_idempotency(stele_store *store, stele__findings *findings)
{
    stele__walk keys = { .findings = findings, .first = INT64_MIN };
    stele__walk events = { .findings = findings };
    stele_status status = stele__walk_rows(
        store,
        "SELECT i.id, i.key, i.stream, i.version, i.event_count, i.digest, i.checksum,"
        " e.stream, e.version FROM idempotency i"
        " LEFT JOIN events e ON e.position = i.id + i.event_count - 1"
        " WHERE i.id > ?1 AND ?2 = 0 ORDER BY i.id LIMIT ?3",
        visit_key, &keys);
    if (status == STELE_OK)
        status = stele__walk_rows(store,
                                  "SELECT position, EXISTS (SELECT 1 FROM idempotency"
                                  " WHERE id = events.position) FROM events NOT INDEXED"
                                  " WHERE position > ?1 AND ?2 = 0 AND flags & 8 <> 0"
                                  " ORDER BY position LIMIT ?3",
                                  visit_keyed_event, &events);
    return status;
}
