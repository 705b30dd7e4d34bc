/*
 * The only door to libsqlite3: one connection, set up the way that every connection of ours is.
 *
 * A database is used by one thread at a time. Each call that fails has named its reason.
 */
#ifndef STELE_SQLITE_DATABASE_H
#define STELE_SQLITE_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/status.h>
#include <stele/store.h>

struct sqlite3;
struct sqlite3_stmt;
struct stele__patience;

/* Statements kept prepared on a connection. */
#define STELE__STATEMENT_MAX 48

/* A prepared statement; see statement.h. */
typedef struct stele__statement {
    struct sqlite3_stmt *handle;
    struct stele__database *database;
    const char *sql; /* its key: the caller's constant, or `copy` */
    char *copy;
    uint64_t used_at;
    int bind_result; /* the first bind that failed */
    bool in_use;
} stele__statement;

typedef struct stele__database {
    struct sqlite3 *handle;
    stele__statement statements[STELE__STATEMENT_MAX];
    size_t statement_count;
    uint64_t statement_clock;
    struct sqlite3_stmt *rollback;
    uint32_t wal_pages; /* after the last commit here that wrote */
    uint32_t busy_timeout_ms;
    uint32_t wait_ms;                  /* that, or less for the moment */
    uint64_t transaction_count;        /* write transactions that ended here */
    bool (*is_ours)(const char *name); /* of the authorizer; NULL until it is installed */
    bool authorizer_armed;
    bool memory;
    struct stele__borrowed *borrowed; /* of a handle of the caller's; NULL: it is ours */
    struct stele__patience *patience; /* of what runs now; NULL: as long as it takes */
    uint32_t page_size;               /* 0: not asked yet */
    stele_status stopped;             /* what ended it */
} stele__database;

typedef struct stele__database_options {
    uint32_t busy_timeout_ms;
    stele_durability durability;
    bool read_only; /* the file is opened for reading */
    bool immutable;
    bool query_only; /* a pooled reader: opened for writing, never writes */
    uint32_t cache_size_kb;
    const char *vfs;   /* NULL: SQLite's default */
    bool keep_journal; /* whatever the file's journal is, it stays */
    bool unsynced;     /* nobody else has it: who makes it syncs it at the end */
} stele__database_options;

/*
 * Open `path` (absolute, its last component no link), or a private database for ":memory:". The
 * file must exist. Nothing of it is read or changed yet. On failure `*database_out` is NULL.
 */
stele_status stele__database_open(const char *path, const stele__database_options *options,
                                  stele__database **database_out);

/* Close, with all statements; a borrowed handle is given back. NULL is allowed; never fails. */
void stele__database_close(stele__database *database);

/*
 * Bring the connection to the settings that need the file: WAL and synchronous, read back. To be
 * called once it is known to be ours; `fresh` sets what only an empty file can take.
 */
stele_status stele__database_settle(stele__database *database,
                                    const stele__database_options *options, bool fresh);

/* From now on, outside of a transaction: the `synchronous` that `durability` asks for. */
stele_status stele__database_sync(stele__database *database, stele_durability durability);

/* From now on wait at most this long for another process's lock; UINT32_MAX: as opened. */
void stele__database_limit_wait(stele__database *database, uint32_t timeout_ms);

/* Until told otherwise (NULL), statements end when `patience` does, with its status and text. */
void stele__database_watch(stele__database *database, struct stele__patience *patience);

/* Run SQL that gives no rows; several statements are fine. */
stele_status stele__database_execute(stele__database *database, const char *sql);

/* The one integer that `sql` gives; 0 for NULL or no row. Not kept prepared. */
stele_status stele__database_number(stele__database *database, const char *sql,
                                    int64_t *number_out);

/* The write lock is taken at once, so that what is then read is what is extended. */
stele_status stele__database_begin(stele__database *database);
/* A read transaction: one snapshot for several statements. */
stele_status stele__database_begin_read(stele__database *database);
/*
 * On failure everything is rolled back, and the status says that nothing was stored, or
 * UNKNOWN_OUTCOME.
 */
stele_status stele__database_commit(stele__database *database);
/* Also when no transaction is open. Keeps the error text. */
void stele__database_rollback(stele__database *database);
bool stele__database_in_transaction(const stele__database *database);

/*
 * Moves with each commit: an own one at once, that of another connection when this one next looks
 * at the file. No question to the file, so fresh only inside a transaction.
 */
uint32_t stele__database_data_version(stele__database *database);

/*
 * Copy what the WAL holds into the file, PASSIVE. The caller holds the write lock on another
 * connection. The counts are of all WAL pages, and of those copied.
 */
stele_status stele__database_transfer(stele__database *database, uint32_t *pages_out,
                                      uint32_t *copied_out);

/* Closing this connection leaves the WAL where it is, although it be the last one. */
void stele__database_leave_wal(stele__database *database);

/* Whether the file has one now, as this connection sees it. False when that can't be told. */
bool stele__database_has_wal(stele__database *database);

/* What was read of the file and its WAL on this connection: whole pages, those in its cache aside.
 */
uint64_t stele__database_bytes_read(stele__database *database);

/* Whether this SQLite has the WAL-reset bug. */
bool stele__sqlite_has_wal_reset_bug(void);

/* Turn SQLite's code, with its text on this connection, into a failure of ours. */
stele_status stele__database_fail(stele__database *database, int code, const char *doing);

#endif
