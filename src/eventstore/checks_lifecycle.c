/* Proving what happened to streams: husks where they should be, payloads where they went. */
#include "eventstore/checking.h"

#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "eventstore/lifecycle.h"

static void add_fault(stele__walk *walk)
{
    stele__findings_add_error(walk->findings);
}

/* --- husks --- */

/* A row as the columns of check_husks() have it. */
typedef struct husk_facts {
    int64_t position;
    int64_t version;
    int64_t flags;
    int64_t state;
    int64_t base_version;
    bool in_range; /* of versions that are in an archive */
    stele__unfinished work;
    bool has_payload;
} husk_facts;

/* What is wrong with it; NULL for nothing. */
static const char *judge_husk(const husk_facts *row)
{
    bool erased = (row->flags & STELE_RECORD_ERASED) != 0;
    bool archived = (row->flags & STELE_RECORD_ARCHIVED) != 0;
    if (erased && archived)
        return "is both erased and archived";
    if (row->has_payload == (erased || archived))
        return erased || archived ? "is a husk with a payload" : "has lost its payload";
    if (row->state == STELE__STREAM_DELETED)
        return erased ? NULL : "belongs to a deleted stream, and wasn't erased";
    if (row->state == STELE__STREAM_DELETING)
        return NULL; /* just now it may be either */
    if (erased != (row->version <= row->base_version))
        return erased ? "was erased, and its stream wasn't" : "was trimmed, and isn't erased";
    if (archived && !row->in_range)
        return "is in an archive that the file doesn't name";
    if (!archived && !erased && row->in_range && row->work == STELE__UNFINISHED_NONE)
        return "was moved to an archive, and is here";
    return NULL;
}

static stele_status visit_husk(stele__connection *connection, stele__statement *statement,
                               stele__walk *walk)
{
    (void)connection;
    husk_facts row = { .position = stele__column_number(statement, 0),
                       .version = stele__column_number(statement, 1),
                       .flags = stele__column_number(statement, 2),
                       .state = stele__column_number(statement, 3),
                       .base_version = stele__column_number(statement, 4),
                       .in_range = stele__column_number(statement, 5) != 0,
                       .work = (stele__unfinished)stele__column_number(statement, 6),
                       .has_payload = stele__column_number(statement, 7) != 0 };
    walk->first = row.position;
    walk->findings->count++;
    const char *fault = judge_husk(&row);
    if (fault == NULL)
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "position %" PRId64 " %s", row.position, fault);
    add_fault(walk);
    return STELE_OK;
}

stele_status stele__check_husks(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings, .total = "SELECT count(*) FROM events" };
    return stele__walk_rows(store,
                            "SELECT e.position, e.version, e.flags, s.state, s.base_version,"
                            " coalesce(e.version BETWEEN r.first_version AND r.last_version, 0),"
                            " coalesce(u.work, 0), typeof(e.data) <> 'null'"
                            " FROM events e NOT INDEXED JOIN streams s ON s.id = e.stream"
                            " LEFT JOIN archive_ranges r ON r.stream = e.stream"
                            " LEFT JOIN unfinished u ON u.stream = e.stream"
                            " WHERE e.position > ?1 AND ?2 = 0 ORDER BY e.position LIMIT ?3",
                            visit_husk, &walk);
}

/* --- states --- */

static stele_status visit_state(stele__connection *connection, stele__statement *statement,
                                stele__walk *walk)
{
    (void)connection;
    int64_t state = stele__column_number(statement, 1);
    bool has_name = stele__column_number(statement, 2) != 0;
    int64_t base_version = stele__column_number(statement, 3);
    int64_t version = stele__column_number(statement, 4);
    int64_t work = stele__column_number(statement, 5);
    bool has_range = stele__column_number(statement, 6) != 0;
    const char *fault = NULL;
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    if (state < STELE_STREAM_ACTIVE || state > STELE__STREAM_DELETED)
        fault = "is in a state that there is not";
    else if (has_name != (state < STELE__STREAM_DELETING))
        fault = has_name ? "is deleted, and has a name" : "isn't deleted, and has no name";
    else if ((state == STELE__STREAM_DELETING) != (work == STELE__UNFINISHED_ERASE))
        fault = work == STELE__UNFINISHED_ERASE ? "is being erased, and isn't deleted"
                                                : "is deleted, and nobody erases it";
    else if (base_version > version || base_version < 0)
        fault = "was trimmed beyond its last event";
    else if (has_range && state != STELE_STREAM_ARCHIVED && work != STELE__UNFINISHED_DROP
             && work != STELE__UNFINISHED_ERASE)
        fault = "isn't archived, and has events in an archive";
    else if (work != STELE__UNFINISHED_NONE && work != STELE__UNFINISHED_ERASE && !has_range)
        fault = "is being moved, and no archive is named";
    if (fault == NULL)
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "stream %" PRId64 " %s", walk->first, fault);
    add_fault(walk);
    return STELE_OK;
}

stele_status stele__check_states(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings, .total = "SELECT count(*) FROM streams" };
    return stele__walk_rows(store,
                            "SELECT id, state, name IS NOT NULL, base_version,"
                            " coalesce((SELECT max(version) FROM events e WHERE e.stream = s.id),"
                            " base_version),"
                            " coalesce((SELECT work FROM unfinished u WHERE u.stream = s.id), 0),"
                            " EXISTS (SELECT 1 FROM archive_ranges r WHERE r.stream = s.id)"
                            " FROM streams s WHERE id > ?1 AND ?2 = 0 ORDER BY id LIMIT ?3",
                            visit_state, &walk);
}

/* --- archives --- */

/* Whether the stream's payloads are still where they were when the row was read. */
static stele_status is_still_there(stele_store *store, int64_t stream, const stele__range *range,
                                   bool *still_out)
{
    stele__connection *connection = NULL;
    stele__range now;
    stele__unfinished work = STELE__UNFINISHED_NONE;
    *still_out = false;
    stele_status status = stele__read_begin_to_check(store, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__range_find(connection, stream, still_out, &now);
    if (status == STELE_OK)
        status = stele__unfinished_find(connection, stream, &work);
    stele__read_end(store, connection);
    *still_out = *still_out && work == STELE__UNFINISHED_NONE && strcmp(now.move, range->move) == 0;
    return status;
}

/* Which versions are there, at least at both ends: gaps are found by the archive's own check. */
static stele_status has_both_ends(stele__connection *connection, const stele__kept *kept,
                                  bool *whole_out)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT coalesce(min(version), ?2), coalesce(max(version), ?2 - 1) FROM kept_events"
        " WHERE kept_stream = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, kept->id);
    stele__bind_number(statement, 2, kept->first_version);
    status = stele__statement_step(statement);
    *whole_out = status == STELE_OK && stele__column_number(statement, 0) == kept->first_version
                 && stele__column_number(statement, 1) == kept->last_version;
    stele__statement_end(statement);
    return status;
}

/* What the archive knows of the move. */
static stele_status look_into_archive(stele_store *archive, const stele__range *range,
                                      bool *found_out, bool *whole_out)
{
    stele__connection *connection = NULL;
    stele__kept kept;
    *whole_out = false;
    stele_status status = stele__read_begin(archive, NULL, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__kept_find(connection, range->move, found_out, &kept);
    if (status == STELE_OK && *found_out)
        *whole_out = kept.state == STELE__KEPT_WHOLE && kept.first_version == range->first_version
                     && kept.last_version == range->last_version;
    if (status == STELE_OK && *whole_out)
        status = has_both_ends(connection, &kept, whole_out);
    stele__read_end(archive, connection);
    return status;
}

/* When the archive is attached: it must have all of what isn't being moved just now. */
static stele_status compare_with_archive(stele_store *store, int64_t stream,
                                         const stele__range *range, stele__walk *walk)
{
    stele_store *archive = NULL;
    bool found = false;
    bool whole = false;
    bool still = false;
    stele_status status = stele__attached_enter(store, range->uuid, &archive);
    if (status != STELE_OK || archive == NULL)
        return status;
    status = look_into_archive(archive, range, &found, &whole);
    stele__store_leave(archive);
    stele__store_release(archive);
    if (status != STELE_OK || whole)
        return status;
    /* It may have been brought back, or deleted, since the row was read. */
    status = is_still_there(store, stream, range, &still);
    if (status == STELE_OK && still) {
        stele__fail(STELE_CORRUPT, "the archive %s %s stream %" PRId64, range->uuid,
                    found ? "hasn't all of" : "knows nothing of", stream);
        add_fault(walk);
    }
    return status;
}

static stele_status visit_range(stele__connection *connection, stele__statement *statement,
                                stele__walk *walk)
{
    stele__range range;
    stele__unfinished work = STELE__UNFINISHED_NONE;
    bool found = false;
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    stele_status status = stele__range_find(connection, walk->first, &found, &range);
    if (status == STELE_OK)
        status = stele__unfinished_find(connection, walk->first, &work);
    if (status == STELE_OK
        && (range.first_version < 1 || range.last_version < range.first_version - 1
            || range.last_version > stele__column_number(statement, 1)))
        status = stele__fail(STELE_CORRUPT,
                             "the archive of stream %" PRId64 " ends at version %" PRId64
                             ", the stream at %" PRId64,
                             walk->first, range.last_version, stele__column_number(statement, 1));
    if (status == STELE_OK && work == STELE__UNFINISHED_NONE)
        status = compare_with_archive(walk->store, walk->first, &range, walk);
    if (status == STELE_CORRUPT) {
        add_fault(walk);
        status = STELE_OK;
    }
    return status;
}

static stele_status visit_unfinished(stele__connection *connection, stele__statement *statement,
                                     stele__walk *walk)
{
    stele__unfinished work = STELE__UNFINISHED_NONE;
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    stele_status status = stele__unfinished_find(connection, walk->first, &work);
    if (status == STELE_OK && stele__column_number(statement, 1) == 0)
        status =
            stele__fail(STELE_CORRUPT,
                        "unfinished work names stream %" PRId64 ", which isn't there", walk->first);
    if (status == STELE_CORRUPT) {
        add_fault(walk);
        status = STELE_OK;
    }
    return status;
}

stele_status stele__check_archives(stele_store *store, stele__findings *findings)
{
    stele__walk ranges = { .findings = findings, .store = store };
    stele__walk unfinished = { .findings = findings };
    stele_status status = stele__walk_rows(
        store,
        "SELECT stream, coalesce((SELECT max(version) FROM events e WHERE e.stream = r.stream), 0)"
        " FROM archive_ranges r WHERE stream > ?1 AND ?2 = 0 ORDER BY stream LIMIT ?3",
        visit_range, &ranges);
    if (status == STELE_OK)
        status = stele__walk_rows(
            store,
            "SELECT stream, EXISTS (SELECT 1 FROM streams s WHERE s.id = u.stream)"
            " FROM unfinished u WHERE stream > ?1 AND ?2 = 0 ORDER BY stream LIMIT ?3",
            visit_unfinished, &unfinished);
    return status;
}

/* --- kept --- */

static stele_status visit_kept_stream(stele__connection *connection, stele__statement *statement,
                                      stele__walk *walk)
{
    stele__kept kept;
    bool found = false;
    bool some = stele__column_type_of(statement, 2) != STELE__COLUMN_NULL;
    const char *move = stele__column_text(statement, 1);
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    stele_status status = stele__kept_find(connection, move == NULL ? "" : move, &found, &kept);
    if (status == STELE_OK && !found)
        status = stele__fail(STELE_CORRUPT, "the row %" PRId64 " of kept_streams is damaged",
                             walk->first);
    /* Gaps in between are found event by event. */
    int64_t first = some ? stele__column_number(statement, 2) : kept.first_version;
    int64_t last = some ? stele__column_number(statement, 3) : kept.first_version - 1;
    if (status == STELE_OK && kept.state == STELE__KEPT_WHOLE
        && (first != kept.first_version || last != kept.last_version))
        status = stele__fail(STELE_CORRUPT,
                             "what is kept as %" PRId64 " is versions %" PRId64 " to %" PRId64
                             ", not %" PRId64 " to %" PRId64,
                             kept.id, first, last, kept.first_version, kept.last_version);
    if (status == STELE_OK
        && (kept.state < STELE__KEPT_COPYING || kept.state > STELE__KEPT_DROPPING))
        status = stele__fail(STELE_CORRUPT,
                             "what is kept as %" PRId64 " is in a state that there"
                             " is not",
                             kept.id);
    if (status == STELE_CORRUPT) {
        add_fault(walk);
        status = STELE_OK;
    }
    return status;
}

static stele_status visit_kept_event(stele__connection *connection, stele__statement *statement,
                                     stele__walk *walk)
{
    stele__row row;
    int64_t before_stream = walk->first;
    int64_t before_version = walk->second;
    walk->first = stele__column_number(statement, 1);
    walk->second = stele__column_number(statement, 2);
    walk->findings->count++;
    stele_status status = stele__kept_row_read(connection, statement, &row);
    if (status == STELE_OK && stele__column_number(statement, 13) == 0)
        status = stele__fail(
            STELE_CORRUPT, "version %" PRId64 " is kept for a stream %" PRId64 " that isn't there",
            walk->second, walk->first);
    if (status == STELE_OK && walk->first == before_stream && walk->second != before_version + 1)
        status = stele__fail(STELE_CORRUPT,
                             "version %" PRId64 " of what is kept as %" PRId64 " is missing",
                             before_version + 1, walk->first);
    if (status == STELE_CORRUPT) {
        add_fault(walk);
        status = STELE_OK;
    }
    return status;
}

stele_status stele__check_kept(stele_store *store, stele__findings *findings)
{
    stele__walk streams = { .findings = findings };
    stele__walk events = { .findings = findings,
                           .begin = stele__names_begin,
                           .total = "SELECT count(*) FROM kept_events" };
    stele_status status = stele__walk_rows(
        store,
        "SELECT id, move, (SELECT min(version) FROM kept_events e WHERE e.kept_stream = k.id),"
        " (SELECT max(version) FROM kept_events e WHERE e.kept_stream = k.id)"
        " FROM kept_streams k WHERE id > ?1 AND ?2 = 0 ORDER BY id LIMIT ?3",
        visit_kept_stream, &streams);
    if (status == STELE_OK)
        status = stele__walk_rows(
            store,
            "SELECT position, kept_stream, version, type, schema_version, codec, recorded_at,"
            " occurred_at, flags, payload_hash, checksum, data, metadata,"
            " EXISTS (SELECT 1 FROM kept_streams k WHERE k.id = e.kept_stream)"
            " FROM kept_events e WHERE (kept_stream, version) > (?1, ?2)"
            " ORDER BY kept_stream, version LIMIT ?3",
            visit_kept_event, &events);
    return status;
}
