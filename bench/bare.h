/*
 * The hand-written side: prepared statements on SQLite, for a program that knows exactly what it
 * needs. Same schema, same pragmas, same WAL handling as the library; no checks of arguments or
 * conditions, no locks, no errors but death.
 *
 * Without checksums the two columns for them hold constants; with them, rows are written and
 * verified as the file format has it. Payloads are taken as JSON unseen, unless the gate is asked
 * for.
 */
#ifndef STELE_BENCH_BARE_H
#define STELE_BENCH_BARE_H

#include <sqlite3.h>

#include "bench.h"

/* Where the key of an append is kept. */
typedef enum bare_keys {
    BARE_KEYS_BY_POSITION, /* the format: id = first position, an index on the key */
    BARE_KEYS_BY_KEY,      /* a table without rowid on the key, an index on the position */
    BARE_KEYS_IN_EVENT,    /* columns of the event, a partial index on the key */
    BARE_KEYS_LAYOUTS
} bare_keys;

/* In an event's flags: it is the first of an append with a key. */
#define BARE_KEYED 8

typedef struct bare_options {
    stele_durability durability;
    bool checksums;
    bool json_gate; /* check data and metadata with the library's own tokenizer */
    bare_keys keys;
} bare_options;

/* Writing: a store of the benchmark's streams, all of them there from the start. */
typedef struct bare_writer {
    bare_options options;
    const bench_workload *workload;
    sqlite3 *writer;
    sqlite3 *transferrer;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *version;
    sqlite3_stmt *insert;
    sqlite3_stmt *find_key;
    sqlite3_stmt *insert_key;
    int64_t head;
    int wal_pages;
    int transfer_at;
} bare_writer;

void bare_writer_open(bare_writer *writer, const char *name, const bare_options *options,
                      const bench_workload *workload);
void bare_append(bare_writer *writer, const bench_draw *draw);
void bare_writer_close(bare_writer *writer);

/* Reading a file that the library may have written. */
#define BARE_PAGE_EVENTS 1000

typedef struct bare_reader {
    sqlite3 *handle;
    sqlite3_stmt *all;    /* after ?1 */
    sqlite3_stmt *stream; /* named ?1 */
    sqlite3_stmt *filtered;
    sqlite3_stmt *page; /* of all, a page */
    sqlite3_stmt *filtered_page;
    int64_t last;    /* position of the last one read */
    bool checked;    /* verify, name and copy each event */
    char **names[3]; /* of streams, types, codecs, by id */
    struct stele_record *records;
    size_t record_count;
    char *bytes;
    size_t size;
    size_t capacity;
    uint64_t sum; /* of something of each column, so that nothing is left out */
} bare_reader;

void bare_reader_open(bare_reader *reader, const char *name, bool checked);
/* Run `statement` (bound) to its end; the number of its rows. */
uint64_t bare_read(bare_reader *reader, sqlite3_stmt *statement);
void bare_reader_close(bare_reader *reader);

/* Keeping snapshots and state entries in a file that the library has made: bare_keeper.c. The WAL
 * is never transferred. */
typedef struct bare_keeper {
    bool checksums;
    sqlite3 *writer;
    sqlite3 *reader;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *save;
    sqlite3_stmt *drop;
    sqlite3_stmt *load;
    sqlite3_stmt *revision;
    sqlite3_stmt *put;
    sqlite3_stmt *get;
} bare_keeper;

void bare_keeper_open(bare_keeper *keeper, const char *name, stele_durability durability,
                      bool checksums);
void bare_save_snapshot(bare_keeper *keeper, const char *stream, int64_t version, const void *data,
                        size_t size);
size_t bare_load_snapshot(bare_keeper *keeper, const char *stream);
void bare_put_entry(bare_keeper *keeper, const char *scope, const char *key, const void *data,
                    size_t size);
size_t bare_get_entry(bare_keeper *keeper, const char *scope, const char *key);
void bare_keeper_close(bare_keeper *keeper);

/* --- connect.c: what both share --- */

sqlite3 *bare_connect(const char *name, stele_durability durability, bool reader);
sqlite3_stmt *bare_prepare(sqlite3 *handle, const char *sql);
void bare_execute(sqlite3 *handle, const char *sql);
int64_t bare_number(sqlite3 *handle, const char *sql);
/* Die unless `code` is SQLITE_OK, SQLITE_ROW or SQLITE_DONE. */
void bare_expect(sqlite3 *handle, int code, const char *doing);
/* Step a statement that gives no row, and reset it. */
void bare_run(sqlite3_stmt *statement);

/* --- checksum.c --- */

uint64_t bare_payload_hash(const void *data, size_t data_size, const void *metadata,
                           size_t metadata_size);
/* Of a record whose names are known; `flags` are those in the file. */
int64_t bare_row_checksum(const stele_record *record, int64_t flags, uint64_t payload_hash);

#endif
