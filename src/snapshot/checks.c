/*
 * Proving snapshots: each is what was saved, of a stream that is there. One that is beyond its
 * stream or of another epoch is no damage: it is left from events that were lost.
 */
#include "snapshot/checks.h"

#include <inttypes.h>
#include <string.h>

#include "snapshot/row.h"

#define SNAPSHOTS_TO_CHECK                                                                         \
    "SELECT " STELE__SNAPSHOT_COLUMNS ", s.data, s.metadata, EXISTS (SELECT 1 FROM streams t"      \
    " WHERE t.id = s.stream AND t.name IS NOT NULL) FROM snapshots s"                              \
    " WHERE s.id > ?1 AND ?2 = 0 ORDER BY s.id LIMIT ?3"

/* Rows that are looked at in one transaction of a repair, and bytes. */
#define ROWS_AT_ONCE  1000
#define BYTES_AT_ONCE ((size_t)4 * 1024 * 1024)

/* OK, or CORRUPT with the reason. */
static stele_status prove_checked_row(stele__connection *connection, stele__statement *statement,
                                      int64_t *id_out, size_t *size_out)
{
    const char *codec = NULL;
    stele__snapshot_row row;
    stele__snapshot_content content = { 0 };
    stele__snapshot_row_read(statement, &row);
    *id_out = row.id;
    stele_status status = stele__snapshot_prove(connection, &row, statement,
                                                STELE__SNAPSHOT_COLUMN_COUNT, &codec, &content);
    *size_out = content.data_size + content.metadata_size;
    if (status == STELE_OK
        && stele__column_number(statement, STELE__SNAPSHOT_COLUMN_COUNT + 2) == 0)
        status = stele__fail(STELE_CORRUPT, "its stream is not there");
    if (status == STELE_CORRUPT)
        return stele__fail_within(status,
                                  "the snapshot '%s' of stream %" PRId64 " at version %" PRId64,
                                  row.name, row.stream, row.version);
    return status;
}

static stele_status visit_snapshot(stele__connection *connection, stele__statement *statement,
                                   stele__walk *walk)
{
    size_t size = 0;
    walk->findings->count++;
    stele_status status = prove_checked_row(connection, statement, &walk->first, &size);
    if (status != STELE_CORRUPT)
        return status;
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

static stele_status check_snapshots(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings,
                         .first = INT64_MIN,
                         .total = "SELECT count(*) FROM snapshots",
                         .begin = stele__names_begin };
    return stele__walk_rows(store, SNAPSHOTS_TO_CHECK, visit_snapshot, &walk);
}

/* Go on behind `*reached`; `*more_out` says whether there were rows. */
static stele_status drop_damaged(stele__connection *connection, int64_t *reached, bool *more_out,
                                 bool *dropped_out)
{
    size_t bytes = 0;
    stele__statement *statement = NULL;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__statement_begin(connection->database, SNAPSHOTS_TO_CHECK, &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, *reached);
    stele__bind_number(statement, 2, 0);
    stele__bind_number(statement, 3, ROWS_AT_ONCE);
    while (bytes < BYTES_AT_ONCE && (status = stele__statement_step(statement)) == STELE_OK) {
        size_t size = 0;
        *more_out = true;
        status = prove_checked_row(connection, statement, reached, &size);
        bytes += size;
        if (status == STELE_CORRUPT) {
            *dropped_out = true;
            status = stele__snapshot_row_delete(connection, *reached);
        }
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* Deleting a row whose pages are mixed up with others' could give those away. So SQLite may
 * complain of nothing but what the rows hold. */
static stele_status expect_sound_pages(stele_store *store, const stele_wait *wait)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    stele_status status = stele__read_begin(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status =
        stele__statement_begin(connection->database, "PRAGMA integrity_check(1000)", &statement);
    while (status == STELE_OK && (status = stele__statement_step(statement)) == STELE_OK) {
        const char *text = stele__column_text(statement, 0);
        if (text == NULL || (strcmp(text, "ok") != 0 && strstr(text, " in snapshots.") == NULL))
            status = stele__fail(STELE_CORRUPT,
                                 "no snapshot is dropped while the file has other"
                                 " damage: %s",
                                 text == NULL ? "" : text);
    }
    stele__statement_end(statement);
    stele__read_end(store, connection);
    return status == STELE_DONE ? STELE_OK : status;
}

/* A snapshot can be made anew: what is damaged is in the way, and no more than that. */
static stele_status repair_snapshots(stele_store *store, const stele_wait *wait, bool *repaired_out)
{
    int64_t reached = INT64_MIN;
    bool more = true;
    stele_status status = expect_sound_pages(store, wait);
    while (status == STELE_OK && more) {
        bool dropped = false;
        stele__connection *connection = NULL;
        more = false;
        status = stele__write_begin(store, wait, &connection);
        if (status != STELE_OK)
            break;
        status = drop_damaged(connection, &reached, &more, &dropped);
        if (status == STELE_OK && dropped)
            status = stele__write_commit(store);
        stele__write_end(store);
        *repaired_out |= status == STELE_OK && dropped;
    }
    return status;
}

const stele__check *stele__snapshot_checks(size_t *count_out)
{
    static const stele__check snapshot_checks[] = { { "snapshots", check_snapshots,
                                                      repair_snapshots } };
    *count_out = 1;
    return snapshot_checks;
}
