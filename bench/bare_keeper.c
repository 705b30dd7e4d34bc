/*
 * Snapshots and state entries by hand: a row replaced by the next one, on the library's tables.
 * With checksums it also reads what it replaces, and proves what it reads.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bare.h"

#define CONSTANT_CHECKSUM 0x0fedcba987654321

void bare_keeper_open(bare_keeper *keeper, const char *name, stele_durability durability,
                      bool checksums)
{
    *keeper = (bare_keeper){ .checksums = checksums };
    keeper->writer = bare_connect(name, durability, false);
    keeper->reader = bare_connect(name, durability, true);
    sqlite3_wal_autocheckpoint(keeper->writer, 8000);
    keeper->begin = bare_prepare(keeper->writer, "BEGIN IMMEDIATE");
    keeper->commit = bare_prepare(keeper->writer, "COMMIT");
    keeper->save = bare_prepare(
        keeper->writer,
        "INSERT OR REPLACE INTO snapshots(stream, name, version, epoch, schema_version, codec,"
        " saved_at, checksum, data) VALUES((SELECT id FROM streams WHERE name = ?1), 'state', ?2,"
        " 'ten characters, and ten more!', 1, 1, ?3, ?4, ?5)");
    keeper->drop = bare_prepare(keeper->writer,
                                "DELETE FROM snapshots WHERE name = 'state' AND version < ?2 AND"
                                " stream = (SELECT id FROM streams WHERE name = ?1)");
    keeper->load = bare_prepare(
        keeper->reader, "SELECT version, epoch, saved_at, checksum, data FROM snapshots WHERE"
                        " stream = (SELECT id FROM streams WHERE name = ?1) AND name = 'state'"
                        " ORDER BY version DESC LIMIT 1");
    keeper->revision = bare_prepare(
        keeper->writer,
        "SELECT revision, updated_at, checksum, data FROM state WHERE scope = ?1 AND key = ?2");
    keeper->put = bare_prepare(
        keeper->writer,
        "INSERT INTO state(scope, key, revision, codec, updated_at, checksum, data)"
        " VALUES(?1, ?2, 1, 1, ?3, ?4, ?5) ON CONFLICT(scope, key) DO UPDATE SET"
        " revision = revision + 1, codec = excluded.codec, updated_at = excluded.updated_at,"
        " checksum = excluded.checksum, data = excluded.data");
    keeper->get = bare_prepare(
        keeper->reader,
        "SELECT revision, updated_at, checksum, data FROM state WHERE scope = ?1 AND key = ?2");
}

static int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static size_t lay_field(char *buffer, size_t at, const void *bytes, size_t size)
{
    memcpy(buffer + at, bytes, size);
    return at + size;
}

/* Of the names, two numbers and the data, laid out one behind the other. */
static int64_t sum_row(const bare_keeper *keeper, const char *scope, const char *key,
                       int64_t number, int64_t time, const void *data, size_t size)
{
    char buffer[2048];
    size_t at = 0;
    if (!keeper->checksums)
        return CONSTANT_CHECKSUM;
    if (strlen(scope) + strlen(key) + size + 2 * sizeof(int64_t) > sizeof(buffer))
        bench_die("a row of %zu bytes is too large", size);
    memcpy(buffer, &number, sizeof(number));
    memcpy(buffer + sizeof(number), &time, sizeof(time));
    at = 2 * sizeof(int64_t);
    at = lay_field(buffer, at, scope, strlen(scope));
    at = lay_field(buffer, at, key, strlen(key));
    memcpy(buffer + at, data, size);
    return (int64_t)XXH3_64bits(buffer, at + size);
}

/* Copied to where the caller could keep it; its size. */
static size_t copy_out(const void *data, size_t size)
{
    char *copy = bench_allocate(size + 1);
    memcpy(copy, data, size);
    size_t copied = size + (copy[size] != '\0');
    free(copy);
    return copied;
}

void bare_save_snapshot(bare_keeper *keeper, const char *stream, int64_t version, const void *data,
                        size_t size)
{
    int64_t now = clock_now();
    bare_run(keeper->begin);
    sqlite3_bind_text(keeper->save, 1, stream, -1, SQLITE_STATIC);
    sqlite3_bind_int64(keeper->save, 2, version);
    sqlite3_bind_int64(keeper->save, 3, now);
    sqlite3_bind_int64(keeper->save, 4, sum_row(keeper, "state", stream, version, now, data, size));
    sqlite3_bind_text(keeper->save, 5, data, (int)size, SQLITE_STATIC);
    bare_run(keeper->save);
    sqlite3_bind_text(keeper->drop, 1, stream, -1, SQLITE_STATIC);
    sqlite3_bind_int64(keeper->drop, 2, version);
    bare_run(keeper->drop);
    bare_run(keeper->commit);
}

size_t bare_load_snapshot(bare_keeper *keeper, const char *stream)
{
    sqlite3_bind_text(keeper->load, 1, stream, -1, SQLITE_STATIC);
    if (sqlite3_step(keeper->load) != SQLITE_ROW)
        bench_die("no snapshot of '%s'", stream);
    const void *data = sqlite3_column_blob(keeper->load, 4);
    size_t size = (size_t)sqlite3_column_bytes(keeper->load, 4);
    int64_t sum = sum_row(keeper, "state", stream, sqlite3_column_int64(keeper->load, 0),
                          sqlite3_column_int64(keeper->load, 2), data, size);
    if (sum != sqlite3_column_int64(keeper->load, 3))
        bench_die("the snapshot of '%s' is damaged", stream);
    size = copy_out(data, size);
    sqlite3_reset(keeper->load);
    return size;
}

/* An entry behind a bound statement; its revision, 0: none. */
static int64_t read_entry(const bare_keeper *keeper, sqlite3_stmt *statement, const char *scope,
                          const char *key, size_t *size_out)
{
    sqlite3_bind_text(statement, 1, scope, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, key, -1, SQLITE_STATIC);
    int64_t revision = 0;
    *size_out = 0;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        revision = sqlite3_column_int64(statement, 0);
        const void *data = sqlite3_column_blob(statement, 3);
        size_t size = (size_t)sqlite3_column_bytes(statement, 3);
        if (sum_row(keeper, scope, key, revision, sqlite3_column_int64(statement, 1), data, size)
            != sqlite3_column_int64(statement, 2))
            bench_die("the entry '%s' is damaged", key);
        *size_out = copy_out(data, size);
    }
    sqlite3_reset(statement);
    return revision;
}

void bare_put_entry(bare_keeper *keeper, const char *scope, const char *key, const void *data,
                    size_t size)
{
    int64_t now = clock_now();
    int64_t revision = 0;
    size_t before = 0;
    bare_run(keeper->begin);
    if (keeper->checksums)
        revision = read_entry(keeper, keeper->revision, scope, key, &before);
    sqlite3_bind_text(keeper->put, 1, scope, -1, SQLITE_STATIC);
    sqlite3_bind_text(keeper->put, 2, key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(keeper->put, 3, now);
    sqlite3_bind_int64(keeper->put, 4, sum_row(keeper, scope, key, revision + 1, now, data, size));
    sqlite3_bind_text(keeper->put, 5, data, (int)size, SQLITE_STATIC);
    bare_run(keeper->put);
    bare_run(keeper->commit);
}

size_t bare_get_entry(bare_keeper *keeper, const char *scope, const char *key)
{
    size_t size = 0;
    if (read_entry(keeper, keeper->get, scope, key, &size) == 0)
        bench_die("no entry '%s'", key);
    return size;
}

void bare_keeper_close(bare_keeper *keeper)
{
    sqlite3_stmt *statements[] = { keeper->begin, keeper->commit,   keeper->save, keeper->drop,
                                   keeper->load,  keeper->revision, keeper->put,  keeper->get };
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        sqlite3_finalize(statements[i]);
    sqlite3_close(keeper->reader);
    sqlite3_close(keeper->writer);
}
