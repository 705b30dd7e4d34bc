/* The checks that need no knowledge of the log: SQLite's own, the schema, the facts in `meta`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "sqlite/statement.h"
#include "store/check.h"
#include "store/lane.h"
#include "store/schema.h"
#include "store/stamp.h"

/* The end of the year 9999. A clock that is ahead is no damage. */
#define LAST_TIME INT64_C(253402300799999999)

void stele__findings_add_error(stele__findings *findings)
{
    if (findings->failures++ == 0)
        snprintf(findings->offender, sizeof(findings->offender), "%s", stele_error_text());
}

/* What keeps an eye on the one long read: SQLite asks it about every 20 ms. */
typedef struct integrity_watch {
    stele__work *work;
    stele__database *database;
    uint64_t bytes_told;
    stele_status stopped;
    char reason[STELE__ERROR_SIZE];
} integrity_watch;

/* On the reading thread, in the middle of SQLite: what is read so far is a step. */
static int step_inside_read(void *context)
{
    integrity_watch *watch = context;
    uint64_t bytes = stele__database_bytes_read(watch->database);
    uint64_t news = bytes - watch->bytes_told;
    watch->bytes_told = bytes;
    watch->stopped = stele__work_step(watch->work, news / watch->database->page_size, news);
    if (watch->stopped != STELE_OK)
        stele__keep_error(watch->reason);
    return watch->stopped != STELE_OK;
}

static stele_status read_integrity(stele__connection *connection, stele__findings *findings)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database, "PRAGMA integrity_check", &statement);
    while (status == STELE_OK && (status = stele__statement_step(statement)) == STELE_OK) {
        const char *text = stele__column_text(statement, 0);
        findings->count++;
        if (text != NULL && strcmp(text, "ok") == 0)
            continue;
        stele__fail(STELE_CORRUPT, "%s", text == NULL ? "no answer" : text);
        stele__findings_add_error(findings);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* The one check that is a single read: what it looks for goes across the whole file. */
static stele_status check_sqlite(stele_store *store, stele__findings *findings)
{
    stele__connection *connection = NULL;
    stele_status status = stele__read_begin_to_check(store, &connection);
    if (status != STELE_OK)
        return status;
    integrity_watch watch = { .work = findings->work, .database = connection->database };
    watch.bytes_told = stele__database_bytes_read(connection->database);
    if (connection->database->page_size > 0) {
        connection->patience.progress = step_inside_read;
        connection->patience.context = &watch;
    }
    status = read_integrity(connection, findings);
    stele__read_end(store, connection);
    if (watch.stopped != STELE_OK) {
        stele__restore_error(watch.reason);
        return watch.stopped;
    }
    return status == STELE_OK ? stele__work_step(findings->work, 0, 0) : status;
}

static stele_status repair_sqlite(stele_store *store, const stele_wait *wait, bool *repaired_out)
{
    return stele__repair_indexes(store, wait, NULL, repaired_out);
}

/* Not in steps: a schema is read in one go, or another one is read. */
static stele_status check_schema(stele_store *store, stele__findings *findings)
{
    stele__connection *connection = NULL;
    bool foreign = false;
    int64_t count = 0;
    stele_status status = stele__read_begin_to_check(store, &connection);
    if (status != STELE_OK)
        return status;
    status =
        stele__database_number(connection->database, "SELECT count(*) FROM sqlite_schema", &count);
    if (status == STELE_OK)
        status =
            stele__schema_compare(connection->database, store->options.strict_schema, &foreign);
    findings->count = (uint64_t)count;
    stele__read_end(store, connection);
    return status;
}

static stele_status visit_meta(stele__connection *connection, stele__statement *statement,
                               stele__walk *walk)
{
    (void)connection;
    const char *key = stele__column_text(statement, 0);
    const char *value = stele__column_text(statement, 1);
    walk->findings->count++;
    if (key == NULL || value == NULL
        || stele__meta_checksum(key, value) != stele__column_number(statement, 2)) {
        stele__fail(STELE_CORRUPT, "the row '%s' of meta is damaged", key == NULL ? "" : key);
        stele__findings_add_error(walk->findings);
    }
    return stele__walk_note_text(walk, key);
}

static stele_status check_meta(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings, .by_text = true };
    return stele__walk_rows(store,
                            "SELECT key, value, checksum FROM meta WHERE key >= ?1"
                            " AND (key > ?1 OR ?2 = 0) ORDER BY key LIMIT ?3",
                            visit_meta, &walk);
}

/* While it bears the stamp nobody writes it, so it still is what the stamp was made of. */
static stele_status judge_stamp(stele__database *database, const stele__stamp *stamp)
{
    char epoch[37];
    int64_t head = 0;
    stele_status status =
        stele__database_number(database, "SELECT max(position) FROM events", &head);
    if (status == STELE_OK)
        status = stele__epoch_current(database, epoch);
    if (status != STELE_OK)
        return status;
    if (stamp->damaged)
        return stele__fail(STELE_CORRUPT, "the stamp of this backup is damaged");
    if (stamp->head != head)
        return stele__fail(STELE_CORRUPT,
                           "the stamp says that this backup was made at position %" PRId64
                           ", and its head is %" PRId64,
                           stamp->head, head);
    if (strcmp(stamp->epoch, epoch) != 0)
        return stele__fail(STELE_CORRUPT,
                           "the stamp says that this backup was made in the epoch '%s', and its"
                           " current one is '%s'",
                           stamp->epoch, epoch);
    if (stamp->made_at <= 0 || stamp->made_at > LAST_TIME)
        return stele__fail(STELE_CORRUPT,
                           "the stamp says that this backup was made at the time %" PRId64
                           ", which can't be",
                           stamp->made_at);
    return STELE_OK;
}

static stele_status check_backup(stele_store *store, stele__findings *findings)
{
    stele__connection *connection = NULL;
    stele__stamp stamp;
    stele_status status = stele__read_begin_to_check(store, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__stamp_read(connection->database, &stamp);
    if (status == STELE_OK && stamp.found) {
        findings->count++;
        status = judge_stamp(connection->database, &stamp);
    }
    stele__read_end(store, connection);
    return status;
}

static stele_status visit_epoch(stele__connection *connection, stele__statement *statement,
                                stele__walk *walk)
{
    (void)connection;
    int64_t id = stele__column_number(statement, 0);
    int64_t expected = walk->first + 1;
    walk->first = id;
    walk->findings->count++;
    if (id == expected
        && stele__epoch_checksum(id, stele__column_text(statement, 1),
                                 stele__column_number(statement, 2),
                                 stele__column_number(statement, 3))
               == stele__column_number(statement, 4))
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "the row %lld of epochs is damaged", (long long)id);
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

static stele_status check_epochs(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings };
    return stele__walk_rows(store,
                            "SELECT id, epoch, starts_after, started_at, checksum FROM epochs"
                            " WHERE id > ?1 AND ?2 = 0 ORDER BY id LIMIT ?3",
                            visit_epoch, &walk);
}

/* As it was judged at open. The end of a log that is missing leaves no gap: nothing else may tell.
 */
static stele_status check_anchor(stele_store *store, stele__findings *findings)
{
    findings->count =
        store->anchor_state == STELE_ANCHOR_GOOD || store->anchor_state == STELE_ANCHOR_LOST;
    if (store->anchor_state != STELE_ANCHOR_LOST)
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "%s", store->lost);
    stele__findings_add_error(findings);
    return STELE_OK;
}

static stele_status visit_writer(stele__connection *connection, stele__statement *statement,
                                 stele__walk *walk)
{
    (void)connection;
    size_t size = 0;
    const void *writer = stele__column_bytes(statement, 1, &size);
    int64_t applied = stele__column_number(statement, 3);
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    if (size == STELE__LANE_ID_SIZE && applied <= stele__column_number(statement, 5)
        && stele__lane_writer_checksum(writer, size, stele__column_number(statement, 2), applied)
               == stele__column_number(statement, 4))
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "row %" PRId64 " of frame_writers is damaged", walk->first);
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

/* The lane, if any; no writer can have a frame beyond what was applied. */
static stele_status check_frames(stele_store *store, stele__findings *findings)
{
    stele__connection *connection = NULL;
    stele__lane lane;
    int64_t head = 0;
    stele_status status = stele__read_begin_to_check(store, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__lane_load(connection, &lane);
    if (status == STELE_OK)
        status = stele__database_number(connection->database,
                                        "SELECT coalesce(max(position), 0) FROM events", &head);
    stele__read_end(store, connection);
    findings->count += lane.found || status == STELE_CORRUPT;
    if (status == STELE_OK && lane.head > head)
        status = stele__fail(STELE_CORRUPT,
                             "the row of frame_lane knows of position %" PRId64
                             ", and the log ends at %" PRId64,
                             lane.head, head);
    if (status == STELE_CORRUPT) {
        stele__findings_add_error(findings);
        status = STELE_OK;
    }
    stele__walk walk = { .findings = findings };
    if (status == STELE_OK)
        status = stele__walk_rows(
            store,
            "SELECT row, writer, last, applied, checksum,"
            " coalesce((SELECT applied FROM frame_lane), 0) FROM (SELECT"
            " row_number() OVER (ORDER BY writer) AS row, writer, last, applied, checksum"
            " FROM frame_writers) WHERE row > ?1 AND ?2 = 0 ORDER BY row LIMIT ?3",
            visit_writer, &walk);
    return status;
}

const stele__check *stele__store_checks(size_t *count_out)
{
    static const stele__check checks[] = {
        { "sqlite", check_sqlite, repair_sqlite },
        { "schema", check_schema, NULL },
        { "meta", check_meta, NULL },
        { "backup", check_backup, NULL },
        { "epochs", check_epochs, NULL },
        { "frames", check_frames, NULL },
        { "anchor", check_anchor, NULL },
    };
    *count_out = sizeof(checks) / sizeof(checks[0]);
    return checks;
}

stele_status stele__digest_statement(stele__statement *statement, uint64_t *hash)
{
    stele_status status;
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        stele__digest digest;
        stele__digest_init(&digest);
        stele__digest_number(&digest, (int64_t)*hash);
        for (int i = 0; i < stele__column_count(statement); i++) {
            stele__column_type type = stele__column_type_of(statement, i);
            size_t size = 0;
            stele__digest_number(&digest, type);
            if (type == STELE__COLUMN_NUMBER) {
                stele__digest_number(&digest, stele__column_number(statement, i));
            } else if (type != STELE__COLUMN_NULL) {
                const void *bytes = stele__column_bytes(statement, i, &size);
                stele__digest_bytes(&digest, bytes, size);
            }
        }
        *hash = stele__digest_end(&digest);
    }
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__digest_rows(stele__database *database, const char *sql, uint64_t *hash)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(database, sql, &statement);
    if (status == STELE_OK)
        status = stele__digest_statement(statement, hash);
    stele__statement_end(statement);
    return status;
}
