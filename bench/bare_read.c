/* Reading by hand: the columns alone, or all that the library does with a row. */
#include <stdlib.h>
#include <string.h>

#include "bare.h"

#define COLUMNS                                                                                    \
    "position, stream, version, type, schema_version, codec, recorded_at, occurred_at, flags, "    \
    "payload_hash, checksum, data, metadata"

static char **load_names(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = bare_prepare(handle, sql);
    char **names = NULL;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        size_t count = (size_t)sqlite3_column_int64(statement, 0) + 1;
        if (names == NULL)
            names = bench_allocate((count + 1) * sizeof(*names));
        const char *name = (const char *)sqlite3_column_text(statement, 1);
        size_t size = strlen(name) + 1;
        char *copy = bench_allocate(size);
        memcpy(copy, name, size);
        names[count - 1] = copy;
    }
    bare_expect(handle, code, sql);
    sqlite3_finalize(statement);
    if (names == NULL)
        bench_die("no rows: %s", sql);
    return names;
}

void bare_reader_open(bare_reader *reader, const char *name, bool checked)
{
    *reader = (bare_reader){ .checked = checked };
    reader->handle = bare_connect(name, STELE_DURABILITY_RELAXED, true);
    reader->all = bare_prepare(reader->handle, "SELECT " COLUMNS " FROM events WHERE position > ?1"
                                               " ORDER BY position");
    reader->stream =
        bare_prepare(reader->handle, "SELECT " COLUMNS " FROM events WHERE stream ="
                                     " (SELECT id FROM streams WHERE name = ?1) ORDER BY version");
    reader->filtered =
        bare_prepare(reader->handle, "SELECT " COLUMNS " FROM events WHERE position > ?1"
                                     " AND type = ?2 ORDER BY position");
    reader->page = bare_prepare(reader->handle, "SELECT " COLUMNS " FROM events WHERE position > ?1"
                                                " ORDER BY position LIMIT ?3");
    reader->filtered_page =
        bare_prepare(reader->handle, "SELECT " COLUMNS " FROM events WHERE position > ?1"
                                     " AND type = ?2 ORDER BY position LIMIT ?3");
    reader->records = bench_allocate(BARE_PAGE_EVENTS * sizeof(*reader->records));
    /* Ids fall, so that the first row says how many there are. */
    reader->names[0] = load_names(reader->handle, "SELECT id, name FROM streams ORDER BY id DESC");
    reader->names[1] = load_names(reader->handle, "SELECT id, name FROM types ORDER BY id DESC");
    reader->names[2] = load_names(reader->handle, "SELECT id, name FROM codecs ORDER BY id DESC");
}

static const char *copy_bytes(bare_reader *reader, const void *bytes, size_t size)
{
    char *at = reader->bytes + reader->size;
    memcpy(at, bytes, size);
    at[size] = '\0';
    reader->size += size + 1;
    return at;
}

static void make_room(bare_reader *reader, size_t size)
{
    if (reader->record_count == BARE_PAGE_EVENTS) {
        reader->record_count = 0;
        reader->size = 0;
    }
    if (reader->capacity - reader->size >= size)
        return;
    if (reader->record_count > 0)
        bench_die("a page of the hand-written reader is full");
    free(reader->bytes);
    reader->capacity = (size_t)BARE_PAGE_EVENTS * 1024 + size;
    reader->bytes = bench_allocate(reader->capacity);
}

static void take_checked_row(bare_reader *reader, sqlite3_stmt *row)
{
    stele_record record = {
        .position = sqlite3_column_int64(row, 0),
        .version = sqlite3_column_int64(row, 2),
        .stream = reader->names[0][sqlite3_column_int64(row, 1)],
        .type = reader->names[1][sqlite3_column_int64(row, 3)],
        .codec = reader->names[2][sqlite3_column_int64(row, 5)],
        .schema_version = sqlite3_column_int64(row, 4),
        .recorded_at = sqlite3_column_int64(row, 6),
        .occurred_at = sqlite3_column_int64(row, 7),
        .has_occurred_at = sqlite3_column_type(row, 7) != SQLITE_NULL,
        .data = sqlite3_column_blob(row, 11),
        .data_size = (size_t)sqlite3_column_bytes(row, 11),
        .metadata = sqlite3_column_blob(row, 12),
        .metadata_size = (size_t)sqlite3_column_bytes(row, 12),
    };
    int64_t flags = sqlite3_column_int64(row, 8);
    uint64_t payload_hash = (uint64_t)sqlite3_column_int64(row, 9);
    if (bare_payload_hash(record.data, record.data_size, record.metadata, record.metadata_size)
            != payload_hash
        || bare_row_checksum(&record, flags, payload_hash) != sqlite3_column_int64(row, 10))
        bench_die("a checksum is wrong at position %lld", (long long)record.position);

    make_room(reader, record.data_size + record.metadata_size + 1024);
    record.stream = copy_bytes(reader, record.stream, strlen(record.stream));
    record.type = copy_bytes(reader, record.type, strlen(record.type));
    record.codec = copy_bytes(reader, record.codec, strlen(record.codec));
    record.data = copy_bytes(reader, record.data, record.data_size);
    record.metadata = copy_bytes(reader, record.metadata, record.metadata_size);
    reader->records[reader->record_count++] = record;
}

static void take_columns(bare_reader *reader, sqlite3_stmt *row)
{
    uint64_t sum = 0;
    for (int column = 0; column < 11; column++)
        sum += (uint64_t)sqlite3_column_int64(row, column);
    const char *data = sqlite3_column_blob(row, 11);
    sum += (uint64_t)data[sqlite3_column_bytes(row, 11) - 1];
    const char *metadata = sqlite3_column_blob(row, 12);
    sum += (uint64_t)metadata[sqlite3_column_bytes(row, 12) - 1];
    reader->sum += sum;
}

uint64_t bare_read(bare_reader *reader, sqlite3_stmt *statement)
{
    uint64_t count = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        count++;
        reader->last = sqlite3_column_int64(statement, 0);
        if (reader->checked)
            take_checked_row(reader, statement);
        else
            take_columns(reader, statement);
    }
    bare_expect(reader->handle, code, "read");
    sqlite3_reset(statement);
    return count;
}

void bare_reader_close(bare_reader *reader)
{
    for (int table = 0; table < 3; table++) {
        for (char **name = reader->names[table] + 1; *name != NULL; name++)
            free(*name);
        free(reader->names[table]);
    }
    free(reader->records);
    free(reader->bytes);
    sqlite3_finalize(reader->all);
    sqlite3_finalize(reader->stream);
    sqlite3_finalize(reader->filtered);
    sqlite3_finalize(reader->page);
    sqlite3_finalize(reader->filtered_page);
    sqlite3_close(reader->handle);
}
