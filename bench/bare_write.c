/* Appending by hand. */
#include <string.h>
#include <time.h>

#include <stele/json.h>
#include <stele/store.h>

#include "bare.h"

#define WAL_SOFT_PAGES 8000

static const struct {
    const char *schema; /* what it has instead of the format's table */
    const char *insert;
    const char *find;
    const char *insert_key; /* NULL: it is part of the event */
} layouts[BARE_KEYS_LAYOUTS] = {
    { "",
      "INSERT INTO events(position, stream, version, type, schema_version, codec, recorded_at,"
      " occurred_at, flags, payload_hash, checksum, data, metadata)"
      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
      "SELECT 1 FROM idempotency WHERE key = ?1",
      "INSERT INTO idempotency(id, key, stream, version, event_count, digest, checksum)"
      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)" },
    { "DROP TABLE idempotency;"
      "CREATE TABLE idempotency(key TEXT PRIMARY KEY NOT NULL, position INTEGER NOT NULL,"
      " stream INTEGER NOT NULL, version INTEGER NOT NULL, event_count INTEGER NOT NULL,"
      " digest INTEGER, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
      "CREATE INDEX idempotency_position ON idempotency(position);",
      "INSERT INTO events(position, stream, version, type, schema_version, codec, recorded_at,"
      " occurred_at, flags, payload_hash, checksum, data, metadata)"
      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
      "SELECT 1 FROM idempotency WHERE key = ?1",
      "INSERT INTO idempotency(position, key, stream, version, event_count, digest, checksum)"
      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)" },
    { "DROP TABLE idempotency; DROP TABLE events;"
      "CREATE TABLE events(position INTEGER PRIMARY KEY CHECK(position > 0),"
      " stream INTEGER NOT NULL, version INTEGER NOT NULL CHECK(version > 0),"
      " type INTEGER NOT NULL, schema_version INTEGER NOT NULL, codec INTEGER NOT NULL,"
      " recorded_at INTEGER NOT NULL, occurred_at INTEGER, flags INTEGER NOT NULL,"
      " payload_hash INTEGER NOT NULL, checksum INTEGER NOT NULL, key TEXT, event_count INTEGER,"
      " digest INTEGER, data ANY, metadata ANY, UNIQUE(stream, version)) STRICT;"
      "CREATE UNIQUE INDEX events_key ON events(key) WHERE key IS NOT NULL;",
      "INSERT INTO events(position, stream, version, type, schema_version, codec, recorded_at,"
      " occurred_at, flags, payload_hash, checksum, data, metadata, key, event_count, digest)"
      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
      "SELECT 1 FROM events WHERE key = ?1", NULL },
};

static int note_wal_pages(void *context, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    ((bare_writer *)context)->wal_pages = pages;
    return SQLITE_OK;
}

/* All names, so that nothing is interned while the clock runs. */
static void insert_names(bare_writer *writer)
{
    bare_execute(writer->writer, "BEGIN IMMEDIATE");
    sqlite3_stmt *type =
        bare_prepare(writer->writer, "INSERT INTO types(id, name, checksum) VALUES(?1, ?2, 1)");
    for (int i = 0; i < BENCH_TYPES; i++) {
        sqlite3_bind_int64(type, 1, i + 1);
        sqlite3_bind_text(type, 2, bench_types[i], -1, SQLITE_STATIC);
        bare_run(type);
    }
    sqlite3_finalize(type);
    bare_execute(writer->writer, "INSERT INTO codecs(id, name, checksum) VALUES(1, 'json', 1)");

    sqlite3_stmt *stream =
        bare_prepare(writer->writer, "INSERT INTO streams(id, name, state, base_version, checksum)"
                                     " VALUES(?1, ?2, 0, 0, 1)");
    for (int i = 0; i < BENCH_STREAMS; i++) {
        sqlite3_bind_int64(stream, 1, i + 1);
        sqlite3_bind_text(stream, 2, writer->workload->streams[i], -1, SQLITE_STATIC);
        bare_run(stream);
    }
    sqlite3_finalize(stream);
    bare_execute(writer->writer, "COMMIT");
}

static int64_t read_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void insert_event(bare_writer *writer, const bench_draw *draw, size_t index, int64_t version,
                         int64_t now)
{
    const stele_event *event = &draw->events[index];
    sqlite3_stmt *insert = writer->insert;
    bool keyed = index == 0 && draw->key != NULL;
    int64_t flags = keyed ? BARE_KEYED : 0;
    uint64_t payload_hash = 0x123456789abcdef0;
    int64_t checksum = 0x0fedcba987654321;
    writer->head++;
    if (writer->options.checksums) {
        stele_record record = { .position = writer->head,
                                .version = version,
                                .stream = draw->stream_name != NULL
                                              ? draw->stream_name
                                              : writer->workload->streams[draw->stream],
                                .type = event->type,
                                .codec = "json",
                                .schema_version = 1,
                                .recorded_at = now };
        payload_hash =
            bare_payload_hash(event->data, event->data_size, event->metadata, event->metadata_size);
        checksum = bare_row_checksum(&record, flags, payload_hash);
    }
    sqlite3_bind_int64(insert, 1, writer->head);
    sqlite3_bind_int64(insert, 2, draw->stream + 1);
    sqlite3_bind_int64(insert, 3, version);
    sqlite3_bind_int64(insert, 4, draw->types[index] + 1);
    sqlite3_bind_int64(insert, 5, 1);
    sqlite3_bind_int64(insert, 6, 1);
    sqlite3_bind_int64(insert, 7, now);
    sqlite3_bind_int64(insert, 9, flags);
    sqlite3_bind_int64(insert, 10, (int64_t)payload_hash);
    sqlite3_bind_int64(insert, 11, checksum);
    sqlite3_bind_text(insert, 12, event->data, (int)event->data_size, SQLITE_STATIC);
    sqlite3_bind_text(insert, 13, event->metadata, (int)event->metadata_size, SQLITE_STATIC);
    if (writer->options.keys == BARE_KEYS_IN_EVENT && keyed) {
        sqlite3_bind_text(insert, 14, draw->key, -1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 15, (int64_t)draw->count);
        sqlite3_bind_int64(insert, 16, (int64_t)payload_hash);
    } else if (writer->options.keys == BARE_KEYS_IN_EVENT) {
        for (int i = 14; i <= 16; i++)
            sqlite3_bind_null(insert, i);
    }
    bare_run(insert);
}

/* One event into every stream, as the library's side begins. */
static void fill_streams(bare_writer *writer)
{
    bare_run(writer->begin);
    for (uint32_t i = 0; i < BENCH_STREAMS; i++) {
        bench_draw draw = { .stream = i,
                            .events = &writer->workload->events[i],
                            .types = &writer->workload->types[i] };
        insert_event(writer, &draw, 0, 1, read_clock());
    }
    bare_run(writer->commit);
}

void bare_writer_open(bare_writer *writer, const char *name, const bare_options *options,
                      const bench_workload *workload)
{
    *writer =
        (bare_writer){ .options = *options, .workload = workload, .transfer_at = WAL_SOFT_PAGES };
    writer->writer = bare_connect(name, options->durability, false);
    bare_execute(writer->writer, stele_schema_sql());
    bare_execute(writer->writer, layouts[options->keys].schema);
    writer->transferrer = bare_connect(name, options->durability, false);
    sqlite3_wal_hook(writer->writer, note_wal_pages, writer);
    insert_names(writer);

    writer->begin = bare_prepare(writer->writer, "BEGIN IMMEDIATE");
    writer->commit = bare_prepare(writer->writer, "COMMIT");
    writer->version =
        bare_prepare(writer->writer, "SELECT max(version) FROM events WHERE stream = ?1");
    writer->insert = bare_prepare(writer->writer, layouts[options->keys].insert);
    writer->find_key = bare_prepare(writer->writer, layouts[options->keys].find);
    if (layouts[options->keys].insert_key != NULL)
        writer->insert_key = bare_prepare(writer->writer, layouts[options->keys].insert_key);
    fill_streams(writer);
}

static void look_for_key(bare_writer *writer, const char *key)
{
    sqlite3_bind_text(writer->find_key, 1, key, -1, SQLITE_STATIC);
    int code = sqlite3_step(writer->find_key);
    if (code != SQLITE_DONE)
        bench_die("the key '%s' came before: %s", key, sqlite3_errmsg(writer->writer));
    sqlite3_reset(writer->find_key);
}

static void insert_key(bare_writer *writer, const bench_draw *draw, int64_t first, int64_t version)
{
    sqlite3_stmt *insert = writer->insert_key;
    sqlite3_bind_int64(insert, 1, first);
    sqlite3_bind_text(insert, 2, draw->key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 3, draw->stream + 1);
    sqlite3_bind_int64(insert, 4, version);
    sqlite3_bind_int64(insert, 5, (int64_t)draw->count);
    sqlite3_bind_int64(insert, 6, 0x123456789abcdef0);
    sqlite3_bind_int64(insert, 7, 0x0fedcba987654321);
    bare_run(insert);
}

/* As the library does: at the same length, PASSIVE, under the write lock. */
static void transfer_when_long(bare_writer *writer)
{
    if (writer->wal_pages < WAL_SOFT_PAGES) {
        writer->transfer_at = WAL_SOFT_PAGES;
    } else if (writer->wal_pages >= writer->transfer_at) {
        bare_run(writer->begin);
        bare_expect(writer->transferrer,
                    sqlite3_wal_checkpoint_v2(writer->transferrer, "main",
                                              SQLITE_CHECKPOINT_PASSIVE, NULL, NULL),
                    "checkpoint");
        bare_execute(writer->writer, "ROLLBACK");
        writer->transfer_at = writer->wal_pages + WAL_SOFT_PAGES / 4 + 1;
    }
}

static void check_json(const bench_draw *draw)
{
    for (size_t i = 0; i < draw->count; i++) {
        const stele_event *event = &draw->events[i];
        bench_expect(stele_json_check(event->data, event->data_size, NULL), "data");
        bench_expect(stele_json_check(event->metadata, event->metadata_size, NULL), "metadata");
    }
}

void bare_append(bare_writer *writer, const bench_draw *draw)
{
    if (writer->options.json_gate)
        check_json(draw);
    bare_run(writer->begin);
    if (draw->key != NULL)
        look_for_key(writer, draw->key);
    sqlite3_bind_int64(writer->version, 1, draw->stream + 1);
    bare_expect(writer->writer, sqlite3_step(writer->version), "version");
    int64_t version = sqlite3_column_int64(writer->version, 0);
    sqlite3_reset(writer->version);

    int64_t first = writer->head + 1;
    int64_t now = read_clock();
    for (size_t i = 0; i < draw->count; i++)
        insert_event(writer, draw, i, ++version, now);
    if (draw->key != NULL && writer->insert_key != NULL)
        insert_key(writer, draw, first, version);
    bare_run(writer->commit);
    transfer_when_long(writer);
}

void bare_writer_close(bare_writer *writer)
{
    sqlite3_stmt *statements[] = { writer->begin,  writer->commit,   writer->version,
                                   writer->insert, writer->find_key, writer->insert_key };
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        sqlite3_finalize(statements[i]);
    sqlite3_close(writer->transferrer);
    sqlite3_close(writer->writer);
}
