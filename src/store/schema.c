#include "store/schema.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "sqlite/statement.h"
#include "store/store.h"

/*
 * Format 1. Every row carries the checksum of its other columns (see docs/file-format.md).
 *
 * The fixed columns of an event come before its blobs, so that reading them never walks a long
 * payload's overflow pages. Positions are given by us, so no AUTOINCREMENT: it costs a page each
 * commit and burns numbers. A stream's version is the highest on the events' own index, whose last
 * leaf an append dirties anyway.
 */
static const struct schema_object {
    const char *type;
    const char *name;
    const char *sql;
} schema_objects[] = {
    { "table", "meta",
      "CREATE TABLE meta(\n"
      "  key TEXT PRIMARY KEY NOT NULL,\n"
      "  value TEXT NOT NULL,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT, WITHOUT ROWID" },
    { "table", "epochs",
      "CREATE TABLE epochs(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  epoch TEXT NOT NULL UNIQUE,\n"
      "  starts_after INTEGER NOT NULL,\n"
      "  started_at INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT" },
    { "table", "streams",
      "CREATE TABLE streams(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  name TEXT UNIQUE,\n"
      "  state INTEGER NOT NULL,\n"
      "  reason TEXT,\n"
      "  changed_at INTEGER,\n"
      "  base_version INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT" },
    { "table", "types",
      "CREATE TABLE types(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  name TEXT NOT NULL UNIQUE,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT" },
    { "table", "codecs",
      "CREATE TABLE codecs(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  name TEXT NOT NULL UNIQUE,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT" },
    { "table", "events",
      "CREATE TABLE events(\n"
      "  position INTEGER PRIMARY KEY CHECK(position > 0),\n"
      "  stream INTEGER NOT NULL,\n"
      "  version INTEGER NOT NULL CHECK(version > 0),\n"
      "  type INTEGER NOT NULL,\n"
      "  schema_version INTEGER NOT NULL,\n"
      "  codec INTEGER NOT NULL,\n"
      "  recorded_at INTEGER NOT NULL,\n"
      "  occurred_at INTEGER,\n"
      "  flags INTEGER NOT NULL,\n"
      "  payload_hash INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  data ANY,\n"
      "  metadata ANY,\n"
      "  UNIQUE(stream, version)\n"
      ") STRICT" },
    { "table", "idempotency",
      "CREATE TABLE idempotency(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  key TEXT NOT NULL UNIQUE,\n"
      "  stream INTEGER NOT NULL,\n"
      "  version INTEGER NOT NULL,\n"
      "  event_count INTEGER NOT NULL,\n"
      "  digest INTEGER,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT" },
    { "table", "snapshots",
      "CREATE TABLE snapshots(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  stream INTEGER NOT NULL,\n"
      "  name TEXT NOT NULL,\n"
      "  version INTEGER NOT NULL,\n"
      "  epoch TEXT NOT NULL,\n"
      "  schema_version INTEGER NOT NULL,\n"
      "  codec INTEGER NOT NULL,\n"
      "  saved_at INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  data ANY NOT NULL,\n"
      "  metadata ANY,\n"
      "  UNIQUE(stream, name, version)\n"
      ") STRICT" },
    /* Lane 0 is the name itself; a subscription with lanes has a row for each, from 1. A position
     * of -1 was claimed, and never saved. */
    { "table", "checkpoints",
      "CREATE TABLE checkpoints(\n"
      "  name TEXT NOT NULL,\n"
      "  lane INTEGER NOT NULL,\n"
      "  lanes INTEGER NOT NULL,\n"
      "  position INTEGER NOT NULL CHECK(position >= -1),\n"
      "  epoch TEXT NOT NULL,\n"
      "  saved_at INTEGER NOT NULL,\n"
      "  generation INTEGER NOT NULL,\n"
      "  owner TEXT NOT NULL,\n"
      "  boot TEXT NOT NULL,\n"
      "  lease_until INTEGER NOT NULL,\n"
      "  beat_at INTEGER NOT NULL,\n"
      "  attempting INTEGER NOT NULL,\n"
      "  attempts INTEGER NOT NULL,\n"
      "  effects_after INTEGER NOT NULL,\n"
      "  state INTEGER NOT NULL,\n"
      "  rate INTEGER NOT NULL,\n"
      "  lag INTEGER NOT NULL,\n"
      "  lag_before INTEGER NOT NULL,\n"
      "  error TEXT NOT NULL,\n"
      "  error_position INTEGER NOT NULL,\n"
      "  error_at INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  PRIMARY KEY(name, lane)\n"
      ") STRICT, WITHOUT ROWID" },
    /* Who works on a subscription with lanes. */
    { "table", "members",
      "CREATE TABLE members(\n"
      "  subscription TEXT NOT NULL,\n"
      "  owner TEXT NOT NULL,\n"
      "  boot TEXT NOT NULL,\n"
      "  lease_until INTEGER NOT NULL,\n"
      "  joined_at INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  PRIMARY KEY(subscription, owner)\n"
      ") STRICT, WITHOUT ROWID" },
    /* What failed itself has `behind` 0; what waits for it has its position there. */
    { "table", "parked",
      "CREATE TABLE parked(\n"
      "  subscription TEXT NOT NULL,\n"
      "  position INTEGER NOT NULL,\n"
      "  key TEXT NOT NULL,\n"
      "  behind INTEGER NOT NULL,\n"
      "  reason TEXT NOT NULL,\n"
      "  attempts INTEGER NOT NULL,\n"
      "  parked_at INTEGER NOT NULL,\n"
      "  asked_at INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  PRIMARY KEY(subscription, position)\n"
      ") STRICT, WITHOUT ROWID" },
    { "index", "parked_key", "CREATE INDEX parked_key ON parked(subscription, key, position)" },
    { "table", "state",
      "CREATE TABLE state(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  scope TEXT NOT NULL,\n"
      "  key TEXT NOT NULL,\n"
      "  revision INTEGER NOT NULL,\n"
      "  codec INTEGER NOT NULL,\n"
      "  updated_at INTEGER NOT NULL,\n"
      "  attributes TEXT,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  data ANY,\n"
      "  UNIQUE(scope, key)\n"
      ") STRICT" },
    { "index", "state_newest", "CREATE INDEX state_newest ON state(scope, updated_at, key)" },
    /* What was written under a name of its own, so that it isn't written again. */
    { "table", "state_writes",
      "CREATE TABLE state_writes(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  scope TEXT NOT NULL,\n"
      "  write_id TEXT NOT NULL,\n"
      "  entry INTEGER NOT NULL,\n"
      "  revision INTEGER NOT NULL,\n"
      "  kind INTEGER NOT NULL,\n"
      "  digest INTEGER NOT NULL,\n"
      "  written_at INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  UNIQUE(scope, write_id)\n"
      ") STRICT" },
    { "index", "state_writes_entry", "CREATE INDEX state_writes_entry ON state_writes(entry)" },
    { "table", "archives",
      "CREATE TABLE archives(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  uuid TEXT NOT NULL UNIQUE,\n"
      "  hint TEXT,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT" },
    /* `move` names the moving of this range: the archive knows it by nothing else. */
    { "table", "archive_ranges",
      "CREATE TABLE archive_ranges(\n"
      "  stream INTEGER NOT NULL,\n"
      "  first_version INTEGER NOT NULL,\n"
      "  last_version INTEGER NOT NULL,\n"
      "  archive INTEGER NOT NULL,\n"
      "  move TEXT NOT NULL,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  PRIMARY KEY(stream, first_version)\n"
      ") STRICT, WITHOUT ROWID" },
    /* Which log of frames the file follows, and how far. */
    { "table", "frame_lane",
      "CREATE TABLE frame_lane(\n"
      "  id INTEGER PRIMARY KEY CHECK(id = 1),\n"
      "  lane BLOB NOT NULL,\n"
      "  shard BLOB NOT NULL,\n"
      "  applied INTEGER NOT NULL,\n"
      "  head INTEGER NOT NULL,\n"
      "  chains BLOB NOT NULL,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT" },
    { "table", "frame_writers",
      "CREATE TABLE frame_writers(\n"
      "  writer BLOB PRIMARY KEY NOT NULL,\n"
      "  last INTEGER NOT NULL,\n"
      "  applied INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT, WITHOUT ROWID" },
    /* Streams that are being moved, brought back or erased: what an open goes on with. */
    { "table", "unfinished",
      "CREATE TABLE unfinished(\n"
      "  stream INTEGER PRIMARY KEY,\n"
      "  work INTEGER NOT NULL,\n"
      "  began_at INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT" },
    /* The other side: what this store keeps for others. */
    { "table", "kept_streams",
      "CREATE TABLE kept_streams(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  move TEXT NOT NULL UNIQUE,\n"
      "  source TEXT NOT NULL,\n"
      "  epoch TEXT NOT NULL,\n"
      "  stream INTEGER NOT NULL,\n"
      "  name TEXT NOT NULL,\n"
      "  first_version INTEGER NOT NULL,\n"
      "  last_version INTEGER NOT NULL,\n"
      "  state INTEGER NOT NULL,\n"
      "  kept_at INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT" },
    { "table", "kept_events",
      "CREATE TABLE kept_events(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  kept_stream INTEGER NOT NULL,\n"
      "  version INTEGER NOT NULL,\n"
      "  position INTEGER NOT NULL,\n"
      "  type INTEGER NOT NULL,\n"
      "  schema_version INTEGER NOT NULL,\n"
      "  codec INTEGER NOT NULL,\n"
      "  recorded_at INTEGER NOT NULL,\n"
      "  occurred_at INTEGER,\n"
      "  flags INTEGER NOT NULL,\n"
      "  payload_hash INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  data ANY NOT NULL,\n"
      "  metadata ANY,\n"
      "  UNIQUE(kept_stream, version)\n"
      ") STRICT" },
    /* For people with a SQL shell; the library never reads through it. */
    { "view", "log",
      "CREATE VIEW log AS SELECT e.position, s.name AS stream, e.version, t.name AS type,\n"
      "  e.schema_version, c.name AS codec,\n"
      "  strftime('%Y-%m-%dT%H:%M:%fZ', e.recorded_at / 1000000.0, 'unixepoch') AS recorded_at,\n"
      "  strftime('%Y-%m-%dT%H:%M:%fZ', e.occurred_at / 1000000.0, 'unixepoch') AS occurred_at,\n"
      "  CASE typeof(e.data) WHEN 'text' THEN e.data END AS data, e.metadata\n"
      "FROM events e JOIN streams s ON s.id = e.stream JOIN types t ON t.id = e.type\n"
      "  JOIN codecs c ON c.id = e.codec" },
};

#define OBJECT_COUNT (sizeof(schema_objects) / sizeof(schema_objects[0]))

/* As the array above, written out once for stele_schema_sql(). */
static char schema_text[12288];

static void write_schema_text(void)
{
    /* What only an empty database can take comes first. */
    size_t used = (size_t)snprintf(schema_text, sizeof(schema_text),
                                   "PRAGMA encoding='UTF-8';\nPRAGMA page_size=4096;\n"
                                   "PRAGMA auto_vacuum=INCREMENTAL;\n");
    for (size_t i = 0; i < OBJECT_COUNT; i++)
        used += (size_t)snprintf(schema_text + used, sizeof(schema_text) - used, "%s;\n",
                                 schema_objects[i].sql);
    snprintf(schema_text + used, sizeof(schema_text) - used,
             "PRAGMA application_id=%d;\nPRAGMA user_version=%d;\n", STELE__APPLICATION_ID,
             STELE_FORMAT);
}

const char *stele_schema_sql(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_schema_text);
    return schema_text;
}

stele_status stele__schema_recognize(stele__database *database, stele__file_kind *kind_out)
{
    int64_t application = 0;
    int64_t format = 0;
    int64_t object_count = 0;
    stele_status status =
        stele__database_number(database, "SELECT count(*) FROM sqlite_schema", &object_count);
    if (status == STELE_OK)
        status = stele__database_number(database, "PRAGMA application_id", &application);
    if (status == STELE_OK)
        status = stele__database_number(database, "PRAGMA user_version", &format);
    if (status != STELE_OK)
        return status;

    if (application == 0 && format == 0 && object_count == 0) {
        *kind_out = STELE__FILE_EMPTY;
        return STELE_OK;
    }
    if (application != STELE__APPLICATION_ID)
        return stele__fail(STELE_CORRUPT,
                           "a SQLite file, but not a stele store (application_id %" PRId64 ")",
                           application);
    if (format > STELE_FORMAT)
        return stele__fail(STELE_UNSUPPORTED,
                           "the store has format %" PRId64 ", this library knows %d", format,
                           STELE_FORMAT);
    if (format < 1)
        return stele__fail(STELE_CORRUPT, "the store has format %" PRId64 ", which never was",
                           format);
    *kind_out = STELE__FILE_CURRENT;
    return STELE_OK;
}

stele_status stele__schema_migrate(stele__database *database)
{
    stele_status status = stele__database_begin(database);
    if (status != STELE_OK)
        return status;

    /* Somebody else may have done it since we looked. */
    stele__file_kind kind = STELE__FILE_EMPTY;
    status = stele__schema_recognize(database, &kind);
    if (status == STELE_OK && kind == STELE__FILE_EMPTY)
        status = stele__database_execute(database, stele_schema_sql());
    if (status == STELE_OK && kind == STELE__FILE_EMPTY)
        status = stele__meta_fill(database);
    if (status == STELE_OK)
        status = stele__settle_outcome(stele__database_commit(database));
    stele__database_rollback(database);
    return status;
}

/* As SQLite compares names: the case of ASCII letters aside, whatever the locale. */
static bool is_same_name(const char *left, const char *right, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned a = (unsigned char)left[i];
        unsigned b = (unsigned char)right[i];
        a += a - 'A' < 26 ? 32 : 0;
        b += b - 'A' < 26 ? 32 : 0;
        if (a != b || a == '\0')
            return a == b;
    }
    return true;
}

static bool name_begins(const char *name, const char *prefix)
{
    return is_same_name(name, prefix, strlen(prefix));
}

/* Its place in `schema_objects`, OBJECT_COUNT for none. */
static size_t find_our_object(const char *name)
{
    size_t i = 0;
    while (i < OBJECT_COUNT && !is_same_name(schema_objects[i].name, name, SIZE_MAX))
        i++;
    return i;
}

/* Functions that the comparison asks: a table of their name would answer in their place. */
static bool is_asked_function(const char *name)
{
    return is_same_name(name, "pragma_foreign_key_list", SIZE_MAX)
           || is_same_name(name, "pragma_index_list", SIZE_MAX);
}

bool stele__schema_is_ours(const char *name)
{
    return find_our_object(name) < OBJECT_COUNT || is_asked_function(name);
}

/* A row of sqlite_schema. `sql` is NULL for the indexes behind UNIQUE and PRIMARY KEY. */
typedef struct schema_row {
    const char *type, *name, *table, *sql;
    int64_t root_page; /* 0 for a view */
} schema_row;

/* SQLite's own: statistics, the sequence of a user's AUTOINCREMENT, indexes behind UNIQUE. */
static bool belongs_to_sqlite(const schema_row *row)
{
    if (strcmp(row->type, "index") == 0)
        return row->sql == NULL && name_begins(row->name, "sqlite_autoindex_");
    return strcmp(row->type, "table") == 0 && is_same_name(row->name, row->table, SIZE_MAX)
           && (name_begins(row->name, "sqlite_stat")
               || is_same_name(row->name, "sqlite_sequence", SIZE_MAX));
}

/* `sql` gives pairs of names; `first` and `second` tell what one does to the other. */
static stele_status refuse_pairs(stele__database *database, const char *sql, bool of_ours,
                                 const char *first, const char *second)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(database, sql, &statement);
    if (status != STELE_OK)
        return status;
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        const char *name = stele__column_text(statement, 0);
        const char *target = stele__column_text(statement, 1);
        if (name == NULL || target == NULL || (of_ours && !stele__schema_is_ours(target)))
            continue;
        status = stele__fail(STELE_CORRUPT, "%s '%s' %s '%s'", first, name, second, target);
        break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* A user's REFERENCES to a table of ours would make our own writes fail. */
static stele_status refuse_foreign_keys(stele__database *database)
{
    return refuse_pairs(database,
                        "SELECT s.name, f.\"table\" FROM sqlite_schema s,"
                        " pragma_foreign_key_list(s.name) f WHERE s.type = 'table'",
                        true, "the foreign table", "references our table");
}

/* Two names for the same pages: writing to one of them would change the other. */
static stele_status refuse_shared_pages(stele__database *database)
{
    return refuse_pairs(database,
                        "SELECT max(name), min(name) FROM (SELECT name, rootpage FROM sqlite_schema"
                        " UNION ALL SELECT 'sqlite_schema', 1) WHERE rootpage > 0"
                        " GROUP BY rootpage HAVING count(*) > 1",
                        false, "the schema puts", "into the pages of");
}

/* The index behind a UNIQUE of ours has no SQL to compare, but has to be there. */
static stele_status refuse_lost_indexes(stele__database *database)
{
    return refuse_pairs(database,
                        "SELECT i.name, s.name FROM sqlite_schema s, pragma_index_list(s.name) i"
                        " WHERE s.type = 'table' AND i.origin = 'u' AND NOT EXISTS (SELECT 1 FROM"
                        " sqlite_schema x WHERE x.name = i.name AND x.rootpage > 0)",
                        true, "the schema lacks the index", "of our table");
}

/* One row of sqlite_schema: ours as it should be, SQLite's own, or somebody else's. Marks what it
 * found of ours. */
static stele_status judge_object(const schema_row *row, bool strict, bool found[OBJECT_COUNT],
                                 bool *foreign_out)
{
    size_t place = find_our_object(row->name);
    if (place < OBJECT_COUNT) {
        const struct schema_object *object = &schema_objects[place];
        found[place] = true;
        bool has_pages = strcmp(object->type, "view") == 0 || row->root_page > 1;
        if (strcmp(object->type, row->type) == 0 && row->sql != NULL
            && strcmp(object->sql, row->sql) == 0 && has_pages)
            return STELE_OK;
        return stele__fail(STELE_CORRUPT, "the %s '%s' of the schema was changed", row->type,
                           row->name);
    }
    if (belongs_to_sqlite(row))
        return STELE_OK;
    if (is_asked_function(row->name))
        return stele__fail(STELE_CORRUPT, "the foreign %s '%s' hides a function of SQLite",
                           row->type, row->name);
    if (stele__schema_is_ours(row->table))
        return stele__fail(STELE_CORRUPT, "the foreign %s '%s' hangs on our table '%s'", row->type,
                           row->name, row->table);
    if (strict)
        return stele__fail(STELE_CORRUPT, "the foreign %s '%s' is refused by strict_schema",
                           row->type, row->name);
    *foreign_out = true;
    return STELE_OK;
}

static stele_status judge_objects(stele__database *database, bool strict, bool found[OBJECT_COUNT],
                                  bool *foreign_out)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        database, "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema", &statement);
    if (status != STELE_OK)
        return status;
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        schema_row row = {
            .type = stele__column_text(statement, 0),
            .name = stele__column_text(statement, 1),
            .table = stele__column_text(statement, 2),
            .sql = stele__column_text(statement, 3),
            .root_page = stele__column_number(statement, 4),
        };
        if (row.type == NULL || row.name == NULL || row.table == NULL)
            status = stele__fail(STELE_CORRUPT, "the schema has a row without a name");
        else
            status = judge_object(&row, strict, found, foreign_out);
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__schema_compare(stele__database *database, bool strict, bool *foreign_out)
{
    *foreign_out = false;
    bool found[OBJECT_COUNT] = { false };
    stele_status status = judge_objects(database, strict, found, foreign_out);
    for (size_t i = 0; i < OBJECT_COUNT && status == STELE_OK; i++)
        if (!found[i])
            status = stele__fail(STELE_CORRUPT, "the %s '%s' of the schema is missing",
                                 schema_objects[i].type, schema_objects[i].name);
    if (status == STELE_OK)
        status = refuse_shared_pages(database);
    if (status == STELE_OK)
        status = refuse_lost_indexes(database);
    if (status == STELE_OK)
        status = refuse_foreign_keys(database);
    return status;
}

stele_status stele__schema_count_silenced(stele__database *database, int64_t *count_out)
{
    return stele__database_number(database,
                                  "SELECT count(*) FROM sqlite_schema"
                                  " WHERE type IN ('trigger', 'view') AND name <> 'log'",
                                  count_out);
}

/* The number of the schema, which each change of it moves; 0 is never that of a store. */
static stele_status read_schema_cookie(stele__database *database, uint32_t *cookie_out)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(database, "PRAGMA schema_version", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    *cookie_out = status == STELE_OK ? (uint32_t)stele__column_number(statement, 0) : 0;
    stele__statement_end(statement);
    return status < 0 ? status : STELE_OK;
}

stele_status stele__schema_recheck(stele__database *database, uint32_t *cookie, bool strict,
                                   bool *foreign_out)
{
    uint32_t now = 0;
    stele_status status = read_schema_cookie(database, &now);
    if (status != STELE_OK || (now == *cookie && now != 0))
        return status;

    bool foreign = false;
    status = stele__schema_compare(database, strict, &foreign);
    if (status != STELE_OK)
        return stele__fail_within(status, "the schema has changed since it was opened");
    *cookie = now;
    if (foreign_out != NULL)
        *foreign_out = foreign;
    return STELE_OK;
}
