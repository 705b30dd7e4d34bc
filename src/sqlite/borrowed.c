#include "sqlite/borrowed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "base/failure.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/platform.h"
#include "sqlite/statement.h"

#define MARK "stele_transaction"

/* --- May it be borrowed? --- */

/* Set up without threads, SQLite gives no handle a mutex, not even one that asks for it. */
static bool has_threads(void)
{
    if (sqlite3_threadsafe() == 0)
        return false;
    sqlite3 *asking = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY
                | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_PRIVATECACHE;
    bool has = sqlite3_open_v2(":memory:", &asking, flags, NULL) != SQLITE_OK
               || sqlite3_db_mutex(asking) != NULL;
    sqlite3_close(asking);
    return has;
}

/* Two copies of SQLite in one process drop each other's locks. Each has its own list of VFSes, so a
 * handle whose VFS isn't in ours is another copy's. */
static stele_status find_vfs(stele__database *database)
{
    sqlite3_vfs *vfs = NULL;
    int code = sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_VFS_POINTER, &vfs);
    if (code != SQLITE_OK || vfs == NULL || vfs->zName == NULL
        || sqlite3_vfs_find(vfs->zName) != vfs)
        return stele__fail(STELE_UNSUPPORTED,
                           "the handle's VFS is not one of this SQLite (%s): is it the handle of"
                           " another copy?",
                           sqlite3_libversion());
    database->borrowed->vfs = vfs->zName;
    const char *path = sqlite3_db_filename(database->handle, "main");
    /* A "memdb" has a name, but no file. */
    bool no_file = path == NULL || strcmp(vfs->zName, "memdb") == 0;
    database->borrowed->path = no_file ? "" : path;
    database->memory = *database->borrowed->path == '\0';
    return STELE_OK;
}

/* The text that a pragma answers. */
static stele_status read_pragma(stele__database *database, const char *sql, char *text_out,
                                size_t capacity)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
    text_out[0] = '\0';
    if (code == SQLITE_OK) {
        if (sqlite3_step(statement) == SQLITE_ROW)
            snprintf(text_out, capacity, "%s", (const char *)sqlite3_column_text(statement, 0));
        code = sqlite3_finalize(statement);
    }
    return code == SQLITE_OK ? STELE_OK : stele__database_fail(database, code, sql);
}

/* A statement that reads keeps a transaction open, too. */
static stele_status check_idle(stele__database *database)
{
    if (!sqlite3_get_autocommit(database->handle))
        return stele__fail(STELE_MISUSE, "the handle has a transaction open: end it first");
    if (sqlite3_txn_state(database->handle, "main") != SQLITE_TXN_NONE)
        return stele__fail(STELE_MISUSE,
                           "a statement on the handle isn't finished: reset or finalize it first");
    return STELE_OK;
}

/* Whether a journal of this mode undoes what was begun, and what makes its commits durable. */
static stele_status judge_journal(stele__database *database)
{
    stele__borrowed *borrowed = database->borrowed;
    char mode[16];
    char locking[16];
    stele_status status = read_pragma(database, "PRAGMA main.journal_mode", mode, sizeof(mode));
    if (status == STELE_OK)
        status = read_pragma(database, "PRAGMA main.locking_mode", locking, sizeof(locking));
    if (status != STELE_OK)
        return status;
    if (strcmp(mode, "off") == 0)
        return stele__fail(STELE_UNSUPPORTED,
                           "the handle has no journal, so nothing can be undone");
    if (!database->memory && strcmp(locking, "exclusive") == 0)
        return stele__fail(STELE_UNSUPPORTED,
                           "the handle's locking_mode is exclusive: nobody else could read");
    borrowed->safe_journal = strcmp(mode, "memory") != 0;
    /* Deleting a journal is durable only once the folder was synced, which is EXTRA. */
    borrowed->full_level = strcmp(mode, "delete") == 0 ? 3 : 2;
    return STELE_OK;
}

static stele_status judge_handle(stele__database *database)
{
    if (!has_threads())
        return stele__fail(STELE_UNSUPPORTED, "this SQLite was built or set up without threads");
    stele_status status = check_idle(database);
    if (status == STELE_OK)
        status = find_vfs(database);
    if (status != STELE_OK)
        return status;
    int64_t query_only = 0;
    status = stele__database_number(database, "PRAGMA query_only", &query_only);
    if (status != STELE_OK)
        return status;
    if (sqlite3_db_readonly(database->handle, "main") != 0 || query_only != 0)
        return stele__fail(STELE_READ_ONLY, "the handle can only read%s",
                           query_only != 0 ? " (query_only)" : "");
    return judge_journal(database);
}

stele_status stele__database_wrap(struct sqlite3 *handle, const stele__database_options *options,
                                  stele__database **database_out)
{
    *database_out = NULL;
    stele__database *database = stele__allocate_array(1, sizeof(*database));
    stele__borrowed *borrowed = stele__allocate_array(1, sizeof(*borrowed));
    if (database == NULL || borrowed == NULL) {
        stele__free(database);
        stele__free(borrowed);
        return stele__fail(STELE_NO_MEMORY, "no memory for a connection");
    }
    database->handle = handle;
    database->borrowed = borrowed;
    database->busy_timeout_ms = options->busy_timeout_ms;
    database->wait_ms = options->busy_timeout_ms;
    stele_status status = judge_handle(database);
    if (status == STELE_OK) {
        int code = sqlite3_prepare_v3(handle, "ROLLBACK", -1, SQLITE_PREPARE_PERSISTENT,
                                      &database->rollback, NULL);
        if (code != SQLITE_OK)
            status = stele__database_fail(database, code, "can't prepare a statement");
    }
    if (status != STELE_OK)
        stele__database_close(database);
    else
        *database_out = database;
    return status;
}

/* --- What is set, and put back --- */

static stele_status set_number(stele__database *database, const char *pragma, int64_t value)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "PRAGMA main.%s=%" PRId64, pragma, value);
    return stele__database_execute(database, sql);
}

static stele_status keep_settings(stele__database *database)
{
    stele__borrowed *borrowed = database->borrowed;
    const struct {
        const char *sql;
        int64_t *number;
    } kept[] = {
        { "PRAGMA main.synchronous", &borrowed->synchronous },
        { "PRAGMA main.secure_delete", &borrowed->secure_delete },
        { "PRAGMA main.wal_autocheckpoint", &borrowed->wal_autocheckpoint },
    };
    stele_status status = STELE_OK;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]) && status == STELE_OK; i++)
        status = stele__database_number(database, kept[i].sql, kept[i].number);
    if (status == STELE_OK
        && sqlite3_db_config(database->handle, SQLITE_DBCONFIG_DEFENSIVE, -1, &borrowed->defensive)
               != SQLITE_OK)
        status = stele__fail(STELE_UNSUPPORTED, "this SQLite can't tell DEFENSIVE");
    borrowed->kept = status == STELE_OK;
    return status;
}

stele_status stele__borrowed_sync(stele__database *database, stele_durability durability)
{
    stele__borrowed *borrowed = database->borrowed;
    stele_status status = check_idle(database);
    if (status != STELE_OK)
        return status;
    int64_t level = durability == STELE_DURABILITY_FULL ? borrowed->full_level : 1;
    borrowed->level = level > borrowed->synchronous ? level : borrowed->synchronous;
    return set_number(database, "synchronous", borrowed->level);
}

/* Only a file without pages takes it; one that is empty otherwise can be written anew. */
static stele_status prepare_empty_file(stele__database *database)
{
    int64_t now = 0;
    stele_status status = set_number(database, "auto_vacuum", 2);
    if (status == STELE_OK)
        status = stele__database_number(database, "PRAGMA main.auto_vacuum", &now);
    if (status != STELE_OK || now == 2)
        return status;
    if (stele__database_execute(database, "VACUUM main") == STELE_OK)
        stele__database_number(database, "PRAGMA main.auto_vacuum", &now);
    if (now != 2)
        stele__log(STELE_LOG_WARNING, "the file won't shrink: auto_vacuum could not be set");
    return STELE_OK;
}

stele_status stele__borrowed_settle(stele__database *database,
                                    const stele__database_options *options, bool fresh)
{
    char encoding[16];
    stele_status status = read_pragma(database, "PRAGMA encoding", encoding, sizeof(encoding));
    if (status == STELE_OK && strcmp(encoding, "UTF-8") != 0)
        status = stele__fail(STELE_UNSUPPORTED, "the file's text is not in UTF-8");
    if (status == STELE_OK)
        status = keep_settings(database);
    if (status == STELE_OK && fresh)
        status = prepare_empty_file(database);
    if (status == STELE_OK)
        status = stele__borrowed_sync(database, options->durability);
    if (status == STELE_OK)
        status = set_number(database, "secure_delete", 1);
    if (status == STELE_OK && database->borrowed->wal_autocheckpoint > 0)
        status = set_number(database, "wal_autocheckpoint", 0);
    int now = 0;
    if (status == STELE_OK)
        sqlite3_db_config(database->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, &now);
    return status;
}

void stele__borrowed_release(stele__database *database)
{
    stele__borrowed *borrowed = database->borrowed;
    int now = 0;
    if (borrowed->kept) {
        sqlite3_db_config(database->handle, SQLITE_DBCONFIG_DEFENSIVE, borrowed->defensive, &now);
        /* 2 is written "fast". */
        if (borrowed->secure_delete == 2)
            stele__database_execute(database, "PRAGMA main.secure_delete=fast");
        else
            set_number(database, "secure_delete", borrowed->secure_delete);
        if (borrowed->wal_autocheckpoint > 0)
            set_number(database, "wal_autocheckpoint", borrowed->wal_autocheckpoint);
        set_number(database, "synchronous", borrowed->synchronous);
    }
    database->handle = NULL;
    stele__free(borrowed);
    database->borrowed = NULL;
}

/* --- Transactions --- */

/* No busy handler waits here. */
static stele_status run_begin(stele__database *database, const char *begin)
{
    int64_t until_us = stele__clock_monotonic_us() + (int64_t)database->wait_ms * 1000;
    for (;;) {
        stele__statement *statement = NULL;
        stele_status status = stele__statement_begin(database, begin, &statement);
        if (status == STELE_OK)
            status = stele__statement_run(statement);
        if (status != STELE_BUSY || stele__clock_monotonic_us() >= until_us)
            return status;
        stele__sleep_us(1000);
    }
}

stele_status stele__borrowed_begin(stele__database *database, const char *begin)
{
    stele__borrowed *borrowed = database->borrowed;
    int64_t timeout_ms = 0;
    stele_status status = check_idle(database);
    if (status != STELE_OK)
        return status;
    if (!database->memory && borrowed->kept) {
        /* The caller may have set it since. */
        status = set_number(database, "synchronous", borrowed->level);
        /* Waiting is up to who calls this. A time can be put back; a handler of the caller's shows
         * as 0, and stays. */
        if (status == STELE_OK)
            status = stele__database_number(database, "PRAGMA busy_timeout", &timeout_ms);
        if (status != STELE_OK)
            return status;
    }
    if (timeout_ms > 0)
        sqlite3_busy_timeout(database->handle, 0);
    status = run_begin(database, begin);
    if (timeout_ms > 0)
        sqlite3_busy_timeout(database->handle, (int)timeout_ms);
    borrowed->begun = status == STELE_OK;
    return status;
}

void stele__borrowed_ended(stele__database *database, bool committed)
{
    database->borrowed->begun = false;
    database->transaction_count++;
    if (committed && !database->memory)
        database->wal_pages = stele__wal_page_count(sqlite3_filename_wal(database->borrowed->path));
}

bool stele__borrowed_is_writing(const stele__database *database)
{
    for (sqlite3_stmt *statement = sqlite3_next_stmt(database->handle, NULL); statement != NULL;
         statement = sqlite3_next_stmt(database->handle, statement))
        if (sqlite3_stmt_busy(statement) && !sqlite3_stmt_readonly(statement))
            return true;
    return false;
}

int stele__borrowed_commit(stele__database *database, struct sqlite3_stmt *commit)
{
    int64_t until_us = stele__clock_monotonic_us() + (int64_t)database->busy_timeout_ms * 1000;
    int code = sqlite3_step(commit);
    while ((code & 0xff) == SQLITE_BUSY && stele__clock_monotonic_us() < until_us) {
        sqlite3_reset(commit);
        if (stele__borrowed_is_writing(database))
            return code;
        stele__sleep_us(1000);
        code = sqlite3_step(commit);
    }
    return code;
}

stele_status stele__borrowed_mark(stele__database *database)
{
    return stele__database_execute(database, "SAVEPOINT " MARK);
}

stele_status stele__borrowed_unmark(stele__database *database)
{
    int code = sqlite3_exec(database->handle, "RELEASE " MARK, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        return STELE_OK;
    if ((code & 0xff) == SQLITE_ERROR)
        return stele__fail(STELE_MISUSE, "the transaction was ended by other SQL");
    if ((code & 0xff) == SQLITE_BUSY)
        return stele__fail(STELE_MISUSE, "can't commit: %s (reset your statements first)",
                           sqlite3_errmsg(database->handle));
    return stele__database_fail(database, code, "can't commit");
}
