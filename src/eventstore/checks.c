/* Proving the log: numbers without gaps, checksums, names, keys. */
#include "eventstore/checks.h"

#include <inttypes.h>
#include <string.h>

#include "eventstore/eventstore.h"

/* Rows looked at in one read, so that no read stays open for long. */
#define CHECK_PAGE 10000

/* Where a paged check stands. */
typedef struct check_walk {
    stele__findings *findings;
    int64_t first;  /* the key reached: a position, id or stream */
    int64_t second; /* a version */
    bool done;
} check_walk;

typedef stele_status (*walk_row)(stele__connection *connection, stele__statement *statement,
                                 check_walk *walk);

/* One page of `sql`, whose ?1 and ?2 are the key to go on after and ?3 the limit. */
static stele_status walk_page(stele__connection *connection, const char *sql, walk_row visit,
                              check_walk *walk)
{
    stele__statement *statement = NULL;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__statement_begin(connection->database, sql, &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, walk->first);
    stele__bind_number(statement, 2, walk->second);
    stele__bind_number(statement, 3, CHECK_PAGE);
    int count = 0;
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        count++;
        status = visit(connection, statement, walk);
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    walk->done = count < CHECK_PAGE;
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status walk_rows(stele_store *store, const char *sql, walk_row visit, check_walk *walk)
{
    stele_status status = STELE_OK;
    while (status == STELE_OK && !walk->done) {
        stele__connection *connection = NULL;
        status = stele__read_begin_to_check(store, &connection);
        if (status != STELE_OK)
            break;
        status = walk_page(connection, sql, visit, walk);
        stele__read_end(store, connection);
    }
    return status;
}

static stele_status visit_position(stele__connection *connection, stele__statement *statement,
                                   check_walk *walk)
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

static stele_status check_positions(stele_store *store, stele__findings *findings)
{
    check_walk walk = { .findings = findings };
    return walk_rows(store,
                     "SELECT position FROM events NOT INDEXED WHERE position > ?1 AND ?2 = 0"
                     " ORDER BY position LIMIT ?3",
                     visit_position, &walk);
}

/* Over the index, which is what answers a stream's version; compared with the rows elsewhere. */
static stele_status visit_version(stele__connection *connection, stele__statement *statement,
                                  check_walk *walk)
{
    (void)connection;
    int64_t stream = stele__column_number(statement, 0);
    int64_t version = stele__column_number(statement, 1);
    int64_t base_version = stele__column_number(statement, 2);
    int64_t expected = stream == walk->first ? walk->second + 1 : base_version + 1;
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

static stele_status check_versions(stele_store *store, stele__findings *findings)
{
    check_walk walk = { .findings = findings };
    return walk_rows(store,
                     "SELECT e.stream, e.version, (SELECT base_version FROM streams s"
                     " WHERE s.id = e.stream) FROM events e"
                     " WHERE (e.stream, e.version) > (?1, ?2)"
                     " ORDER BY e.stream, e.version LIMIT ?3",
                     visit_version, &walk);
}

static stele_status visit_event(stele__connection *connection, stele__statement *statement,
                                check_walk *walk)
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

static stele_status check_checksums(stele_store *store, stele__findings *findings)
{
    check_walk walk = { .findings = findings };
    return walk_rows(store,
                     "SELECT " STELE__ROW_COLUMNS " FROM events NOT INDEXED WHERE position > ?1"
                     " AND ?2 = 0 ORDER BY position LIMIT ?3",
                     visit_event, &walk);
}

/* An event whose row the index has lost would still be read by position, but not in its stream. */
static stele_status visit_indexed(stele__connection *connection, stele__statement *statement,
                                  check_walk *walk)
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

static stele_status check_index(stele_store *store, stele__findings *findings)
{
    check_walk walk = { .findings = findings };
    return walk_rows(store,
                     "SELECT e.position, (SELECT i.position FROM events i"
                     " WHERE i.stream = e.stream AND i.version = e.version)"
                     " FROM events e NOT INDEXED WHERE e.position > ?1 AND ?2 = 0"
                     " ORDER BY e.position LIMIT ?3",
                     visit_indexed, &walk);
}

static stele_status visit_stream(stele__connection *connection, stele__statement *statement,
                                 check_walk *walk)
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
                               check_walk *walk)
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

static stele_status check_names(stele_store *store, stele__findings *findings)
{
    check_walk streams = { .findings = findings };
    check_walk types = { .findings = findings };
    check_walk codecs = { .findings = findings };
    stele_status status =
        walk_rows(store,
                  "SELECT id, name, state, reason, changed_at, base_version, checksum FROM streams"
                  " WHERE id > ?1 AND ?2 = 0 ORDER BY id LIMIT ?3",
                  visit_stream, &streams);
    if (status == STELE_OK)
        status = walk_rows(store,
                           "SELECT id, name, checksum FROM types WHERE id > ?1 AND ?2 = 0"
                           " ORDER BY id LIMIT ?3",
                           visit_name, &types);
    if (status == STELE_OK)
        status = walk_rows(store,
                           "SELECT id, name, checksum FROM codecs WHERE id > ?1 AND ?2 = 0"
                           " ORDER BY id LIMIT ?3",
                           visit_name, &codecs);
    return status;
}

/* A key's row: whole, and its events there, of its stream, ending at its version. */
static stele_status visit_key(stele__connection *connection, stele__statement *statement,
                              check_walk *walk)
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
                                      check_walk *walk)
{
    (void)connection;
    walk->first = stele__column_number(statement, 0);
    if (stele__column_number(statement, 1) != 0)
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "the key of position %" PRId64 " is missing", walk->first);
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

static stele_status check_idempotency(stele_store *store, stele__findings *findings)
{
    check_walk keys = { .findings = findings, .first = INT64_MIN };
    check_walk events = { .findings = findings };
    stele_status status =
        walk_rows(store,
                  "SELECT i.id, i.key, i.stream, i.version, i.event_count, i.digest, i.checksum,"
                  " e.stream, e.version FROM idempotency i"
                  " LEFT JOIN events e ON e.position = i.id + i.event_count - 1"
                  " WHERE i.id > ?1 AND ?2 = 0 ORDER BY i.id LIMIT ?3",
                  visit_key, &keys);
    if (status == STELE_OK)
        status = walk_rows(store,
                           "SELECT position, EXISTS (SELECT 1 FROM idempotency"
                           " WHERE id = events.position) FROM events NOT INDEXED"
                           " WHERE position > ?1 AND ?2 = 0 AND flags & 8 <> 0"
                           " ORDER BY position LIMIT ?3",
                           visit_keyed_event, &events);
    return status;
}

const stele__check *stele__eventstore_checks(size_t *count_out)
{
    static const stele__check log_checks[] = {
        { "positions", check_positions }, { "versions", check_versions },
        { "index", check_index },         { "checksums", check_checksums },
        { "names", check_names },         { "idempotency", check_idempotency },
    };
    *count_out = sizeof(log_checks) / sizeof(log_checks[0]);
    return log_checks;
}

stele_status stele__eventstore_digest(stele__database *database, uint64_t *hash_out)
{
    static const char *const tables[] = {
        "SELECT id, name, state, reason, changed_at, base_version, checksum FROM streams"
        " ORDER BY id",
        "SELECT id, name, checksum FROM types ORDER BY id",
        "SELECT id, name, checksum FROM codecs ORDER BY id",
        "SELECT " STELE__ROW_COLUMNS " FROM events NOT INDEXED ORDER BY position",
        "SELECT id, key, stream, version, event_count, digest, checksum FROM idempotency"
        " ORDER BY id",
    };
    stele_status status = STELE_OK;
    *hash_out = 0;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && status == STELE_OK; i++)
        status = stele__digest_rows(database, tables[i], hash_out);
    return status;
}
