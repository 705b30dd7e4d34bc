#include "store/schema.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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
    { "table", "checkpoints",
      "CREATE TABLE checkpoints(\n"
      "  name TEXT PRIMARY KEY NOT NULL,\n"
      "  position INTEGER NOT NULL CHECK(position >= 0),\n"
      "  epoch TEXT NOT NULL,\n"
      "  saved_at INTEGER NOT NULL,\n"
      "  owner TEXT,\n"
      "  boot TEXT,\n"
      "  lease_until INTEGER,\n"
      "  generation INTEGER NOT NULL,\n"
      "  attempt_position INTEGER,\n"
      "  attempts INTEGER NOT NULL,\n"
      "  status TEXT,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT, WITHOUT ROWID" },
    { "table", "parked",
      "CREATE TABLE parked(\n"
      "  subscription TEXT NOT NULL,\n"
      "  position INTEGER NOT NULL,\n"
      "  key TEXT NOT NULL,\n"
      "  reason TEXT NOT NULL,\n"
      "  attempts INTEGER NOT NULL,\n"
      "  parked_at INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  PRIMARY KEY(subscription, position)\n"
      ") STRICT, WITHOUT ROWID" },
    { "table", "state",
      "CREATE TABLE state(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  scope TEXT NOT NULL,\n"
      "  key TEXT NOT NULL,\n"
      "  revision INTEGER NOT NULL,\n"
      "  codec INTEGER NOT NULL,\n"
      "  updated_at INTEGER NOT NULL,\n"
      "  write_id TEXT,\n"
      "  attributes TEXT,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  data ANY,\n"
      "  UNIQUE(scope, key)\n"
      ") STRICT" },
    { "index", "state_newest", "CREATE INDEX state_newest ON state(scope, updated_at, key)" },
    { "table", "archives",
      "CREATE TABLE archives(\n"
      "  id INTEGER PRIMARY KEY,\n"
      "  uuid TEXT NOT NULL UNIQUE,\n"
      "  hint TEXT,\n"
      "  checksum INTEGER NOT NULL\n"
      ") STRICT" },
    { "table", "archive_ranges",
      "CREATE TABLE archive_ranges(\n"
      "  stream INTEGER NOT NULL,\n"
      "  first_version INTEGER NOT NULL,\n"
      "  last_version INTEGER NOT NULL,\n"
      "  archive INTEGER NOT NULL,\n"
      "  checksum INTEGER NOT NULL,\n"
      "  PRIMARY KEY(stream, first_version)\n"
      ") STRICT, WITHOUT ROWID" },
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
static char schema_text[8192];

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

static const struct schema_object *find_our_object(const char *name)
{
    for (size_t i = 0; i < OBJECT_COUNT; i++)
        if (strcasecmp(schema_objects[i].name, name) == 0)
            return &schema_objects[i];
    return NULL;
}

/* SQLite's own: statistics, the sequence of a user's AUTOINCREMENT, indexes behind UNIQUE. */
static bool belongs_to_sqlite(const char *name)
{
    return strncasecmp(name, "sqlite_stat", 11) == 0 || strcasecmp(name, "sqlite_sequence") == 0
           || strncasecmp(name, "sqlite_autoindex_", 17) == 0;
}

/* A user's REFERENCES to a table of ours would make our own writes fail. */
static stele_status refuse_foreign_keys(stele__database *database)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        database,
        "SELECT s.name, f.\"table\" FROM sqlite_schema s, pragma_foreign_key_list(s.name) f"
        " WHERE s.type = 'table'",
        &statement);
    if (status != STELE_OK)
        return status;
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        const char *name = stele__column_text(statement, 0);
        const char *target = stele__column_text(statement, 1);
        if (name == NULL || target == NULL || find_our_object(target) == NULL)
            continue;
        status = stele__fail(STELE_CORRUPT, "the foreign table '%s' references our table '%s'",
                             name, target);
        break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* One row of sqlite_schema: ours as it should be, SQLite's own, or somebody else's. */
static stele_status judge_object(const char *type, const char *name, const char *table,
                                 const char *sql, bool strict, bool *ours_out, bool *foreign_out)
{
    *ours_out = false;
    if (belongs_to_sqlite(name) && (sql == NULL || strncasecmp(name, "sqlite_auto", 11) != 0))
        return STELE_OK;

    const struct schema_object *object = find_our_object(name);
    if (object != NULL) {
        *ours_out = true;
        if (strcmp(object->type, type) == 0 && sql != NULL && strcmp(object->sql, sql) == 0)
            return STELE_OK;
        return stele__fail(STELE_CORRUPT, "the %s '%s' of the schema was changed", type, name);
    }
    if (find_our_object(table) != NULL)
        return stele__fail(STELE_CORRUPT, "the foreign %s '%s' hangs on our table '%s'", type, name,
                           table);
    if (strict)
        return stele__fail(STELE_CORRUPT, "the foreign %s '%s' is refused by strict_schema", type,
                           name);
    *foreign_out = true;
    return STELE_OK;
}

stele_status stele__schema_compare(stele__database *database, bool strict, bool *foreign_out)
{
    *foreign_out = false;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        database, "SELECT type, name, tbl_name, sql FROM sqlite_schema", &statement);
    if (status != STELE_OK)
        return status;

    size_t ours = 0;
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        const char *type = stele__column_text(statement, 0);
        const char *name = stele__column_text(statement, 1);
        const char *table = stele__column_text(statement, 2);
        bool is_ours = false;
        if (type == NULL || name == NULL || table == NULL)
            status = stele__fail(STELE_CORRUPT, "the schema has a row without a name");
        else
            status = judge_object(type, name, table, stele__column_text(statement, 3), strict,
                                  &is_ours, foreign_out);
        if (status != STELE_OK)
            break;
        ours += is_ours;
    }
    stele__statement_end(statement);
    if (status != STELE_DONE)
        return status;
    if (ours != OBJECT_COUNT)
        return stele__fail(STELE_CORRUPT, "the schema has %zu of our %zu objects", ours,
                           OBJECT_COUNT);
    return refuse_foreign_keys(database);
}
