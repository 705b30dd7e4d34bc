/* Proving the events: numbers without gaps, checksums, the index of the streams. */
#include <inttypes.h>
#include <string.h>

#include "eventstore/checking.h"
#include "eventstore/eventstore.h"

/* As dense positions have it: the highest is how many there are. */
static const char events_there_are[] = "SELECT max(position) FROM events";

static stele_status visit_position(stele__connection *connection, stele__statement *statement,
                                   stele__walk *walk)
{
    (void)connection;
    int64_t position = stele__column_number(statement, 0);
    walk->findings->count++;
    if (position != walk->first + 1) {
        stele__fail(STELE_CORRUPT, "position %" PRId64 " is missing", walk->first + 1);
        stele__findings_add_error(walk->findings);
    }
    walk->first = position;
    return STELE_OK;
}

stele_status stele__check_positions(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings, .total = events_there_are };
    return stele__walk_rows(store,
                            "SELECT position FROM events NOT INDEXED WHERE position > ?1 AND ?2 = 0"
                            " ORDER BY position LIMIT ?3",
                            visit_position, &walk);
}

/* Over the index, which is what answers a stream's version; compared with the rows elsewhere. */
static stele_status visit_version(stele__connection *connection, stele__statement *statement,
                                  stele__walk *walk)
{
    (void)connection;
    int64_t stream = stele__column_number(statement, 0);
    int64_t version = stele__column_number(statement, 1);
    int64_t expected =
        stream == walk->first ? walk->second + 1 : 1; /* trimmed ones are there, too */
    walk->findings->count++;
    if (version != expected) {
        stele__fail(STELE_CORRUPT, "version %" PRId64 " of stream %" PRId64 " is missing", expected,
                    stream);
        stele__findings_add_error(walk->findings);
    }
    walk->first = stream;
    walk->second = version;
    return STELE_OK;
}

stele_status stele__check_versions(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings, .total = events_there_are };
    return stele__walk_rows(store,
                            "SELECT e.stream, e.version FROM events e"
                            " WHERE (e.stream, e.version) > (?1, ?2)"
                            " ORDER BY e.stream, e.version LIMIT ?3",
                            visit_version, &walk);
}

static stele_status visit_event(stele__connection *connection, stele__statement *statement,
                                stele__walk *walk)
{
    stele__row row;
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    stele_status status = stele__row_read(connection, statement, &row);
    if (status != STELE_CORRUPT)
        return status;
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

stele_status stele__check_checksums(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings,
                         .total = events_there_are,
                         .begin = stele__names_begin };
    return stele__walk_rows(store,
                            "SELECT " STELE__ROW_COLUMNS
                            " FROM events NOT INDEXED WHERE position > ?1"
                            " AND ?2 = 0 ORDER BY position LIMIT ?3",
                            visit_event, &walk);
}

/* An event whose row the index has lost would still be read by position, but not in its stream. */
static stele_status visit_indexed(stele__connection *connection, stele__statement *statement,
                                  stele__walk *walk)
{
    (void)connection;
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    if (stele__column_number(statement, 1) == walk->first)
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "position %" PRId64 " is not in the index of its stream",
                walk->first);
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

stele_status stele__check_index(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings, .total = events_there_are };
    return stele__walk_rows(store,
                            "SELECT e.position, (SELECT i.position FROM events i"
                            " WHERE i.stream = e.stream AND i.version = e.version)"
                            " FROM events e NOT INDEXED WHERE e.position > ?1 AND ?2 = 0"
                            " ORDER BY e.position LIMIT ?3",
                            visit_indexed, &walk);
}
