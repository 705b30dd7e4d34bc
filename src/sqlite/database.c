#include "sqlite/database.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>
#include <stele/version.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/patience.h"
#include "sqlite/borrowed.h"
#include "sqlite/statement.h"

/* Nothing of ours is larger: 64 MiB of payload and its row. */
#define VALUE_SIZE_MAX (65 * 1024 * 1024)

const char *stele_sqlite_version(void)
{
    return sqlite3_libversion();
}

bool stele__sqlite_has_wal_reset_bug(void)
{
    /* Mended in 3.51.3, and in the branches 3.44.6 and 3.50.7. */
    int version = sqlite3_libversion_number();
    if (version >= 3051003)
        return false;
    return !(version >= 3044006 && version < 3045000) && !(version >= 3050007 && version < 3051000);
}

static stele_status status_of_io_error(int code)
{
    switch (code) {
    case SQLITE_IOERR_NOMEM: return STELE_NO_MEMORY;
    case SQLITE_IOERR_SHMSIZE: return STELE_FULL; /* not a block left for the -shm */
    default: return STELE_IO;
    }
}

static stele_status status_of_code(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* a lock that was kept through a recovery */ return STELE_BUSY;
    case SQLITE_NOMEM: return STELE_NO_MEMORY;
    case SQLITE_FULL: return STELE_FULL;
    case SQLITE_READONLY: return STELE_READ_ONLY;
    case SQLITE_TOOBIG: return STELE_TOO_LARGE;
    case SQLITE_INTERRUPT: return STELE_CANCELLED;
    case SQLITE_AUTH: return STELE_MISUSE;
    case SQLITE_IOERR: return status_of_io_error(code);
    case SQLITE_CANTOPEN: return STELE_IO;
    /* Our statements are right for our schema: what doesn't fit them is a damaged file. */
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: return STELE_CORRUPT;
    default: return STELE_IO;
    }
}

stele_status stele__database_fail(stele__database *database, int code, const char *doing)
{
    const char *text = database == NULL || database->handle == NULL
                           ? sqlite3_errstr(code)
                           : sqlite3_errmsg(database->handle);
    /* A borrowed handle may give short codes. */
    if (database != NULL && database->borrowed != NULL
        && (sqlite3_extended_errcode(database->handle) & 0xff) == code)
        code = sqlite3_extended_errcode(database->handle);
    stele_status status = status_of_code(code);
    if ((code & 0xff) == SQLITE_INTERRUPT && database != NULL && database->stopped != STELE_OK)
        return database->stopped; /* which has said why */
    if (code == SQLITE_BUSY && database != NULL)
        return stele__fail(status, "another connection kept the file locked beyond %u ms (%s)",
                           database->wait_ms, text);
    return stele__fail(status, "%s: %s (SQLite code %d)", doing, text, code);
}

/* How many steps of SQLite's machine pass between two looks at the clock: about a millisecond. */
#define STEPS_BETWEEN_LOOKS 20000

static int look_at_patience(void *context)
{
    stele__database *database = context;
    if (database->patience == NULL)
        return 0;
    database->stopped = stele__patience_check(database->patience, "reading");
    return database->stopped != STELE_OK;
}

void stele__database_watch(stele__database *database, struct stele__patience *patience)
{
    database->patience = patience;
    database->stopped = STELE_OK;
}

static int note_wal_pages(void *context, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    ((stele__database *)context)->wal_pages = (uint32_t)pages;
    return SQLITE_OK;
}

static void note_rollback(void *context)
{
    ((stele__database *)context)->transaction_count++;
}

static int note_commit(void *context)
{
    note_rollback(context);
    return 0; /* go on */
}

/* Settings that live in the connection alone, each looked at afterwards. */
static stele_status harden_connection(stele__database *database)
{
    static const struct {
        int option;
        int value;
        const char *name;
    } settings[] = {
        { SQLITE_DBCONFIG_DEFENSIVE, 1, "DEFENSIVE" },
        { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, "TRUSTED_SCHEMA" },
        { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, "ENABLE_TRIGGER" },
        { SQLITE_DBCONFIG_ENABLE_VIEW, 0, "ENABLE_VIEW" },
        { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, "ENABLE_LOAD_EXTENSION" },
        { SQLITE_DBCONFIG_ENABLE_FKEY, 1, "ENABLE_FKEY" },
        { SQLITE_DBCONFIG_DQS_DML, 0, "DQS_DML" },
        { SQLITE_DBCONFIG_DQS_DDL, 0, "DQS_DDL" },
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        int now = -1;
        int code = sqlite3_db_config(database->handle, settings[i].option, settings[i].value, &now);
        if (code != SQLITE_OK || now != settings[i].value)
            return stele__fail(STELE_UNSUPPORTED, "this SQLite can't set %s", settings[i].name);
    }
    sqlite3_limit(database->handle, SQLITE_LIMIT_LENGTH, VALUE_SIZE_MAX);
    sqlite3_limit(database->handle, SQLITE_LIMIT_EXPR_DEPTH, 100);
    sqlite3_limit(database->handle, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_extended_result_codes(database->handle, 1);
    return STELE_OK;
}

/* Set a pragma and read it back: SQLite ignores what it doesn't know or can't do. */
static stele_status set_pragma(stele__database *database, const char *name, int64_t value)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "PRAGMA %s=%" PRId64, name, value);
    stele_status status = stele__database_execute(database, sql);
    if (status != STELE_OK)
        return status;

    int64_t now = 0;
    snprintf(sql, sizeof(sql), "PRAGMA %s", name);
    status = stele__database_number(database, sql, &now);
    if (status == STELE_OK && now != value)
        status =
            stele__fail(STELE_UNSUPPORTED, "SQLite keeps %s at %" PRId64 " instead of %" PRId64,
                        name, now, value);
    return status;
}

static int open_handle(const char *path, const stele__database_options *options,
                       stele__database *database)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    flags |= options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (database->memory)
        return sqlite3_open_v2(":memory:", &database->handle,
                               flags | SQLITE_OPEN_MEMORY | SQLITE_OPEN_CREATE, NULL);
    flags |= SQLITE_OPEN_NOFOLLOW;
    if (!options->immutable)
        return sqlite3_open_v2(path, &database->handle, flags, options->vfs);

    /* Only a URI can say immutable; what has a meaning in one is escaped. */
    char *uri = stele__allocate(3 * strlen(path) + 32);
    if (uri == NULL)
        return SQLITE_NOMEM;
    char *out = uri + sprintf(uri, "file:");
    for (const char *at = path; *at != '\0'; at++)
        out += strchr("%?#", *at) != NULL ? sprintf(out, "%%%02X", (unsigned)*at)
                                          : sprintf(out, "%c", *at);
    sprintf(out, "?immutable=1");
    int code = sqlite3_open_v2(uri, &database->handle, flags | SQLITE_OPEN_URI, NULL);
    stele__free(uri);
    return code;
}

stele_status stele__database_open(const char *path, const stele__database_options *options,
                                  stele__database **database_out)
{
    *database_out = NULL;
    stele__database *database = stele__allocate_array(1, sizeof(*database));
    if (database == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a connection");
    database->memory = strcmp(path, ":memory:") == 0;

    stele_status status = STELE_OK;
    int code = open_handle(path, options, database);
    if (code != SQLITE_OK) {
        status = stele__database_fail(database, code, "can't open the file");
        goto cleanup;
    }
    /* SQLite falls back to reading what it may not write. */
    if (!options->read_only && sqlite3_db_readonly(database->handle, "main") != 0) {
        status = stele__fail(STELE_READ_ONLY, "the file may not be written");
        goto cleanup;
    }
    status = harden_connection(database);
    if (status != STELE_OK)
        goto cleanup;
    sqlite3_busy_timeout(database->handle, (int)options->busy_timeout_ms);
    database->busy_timeout_ms = options->busy_timeout_ms;
    database->wait_ms = options->busy_timeout_ms;

    const struct {
        const char *name;
        int64_t value;
    } pragmas[] = {
        { "cell_size_check", 1 },    { "mmap_size", 0 },
        { "temp_store", 2 },         { "cache_size", -(int64_t)options->cache_size_kb },
        { "wal_autocheckpoint", 0 }, { "query_only", options->query_only ? 1 : 0 },
    };
    for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]) && status == STELE_OK; i++) {
        if (database->memory && strcmp(pragmas[i].name, "mmap_size") == 0)
            continue;
        status = set_pragma(database, pragmas[i].name, pragmas[i].value);
    }
    if (status == STELE_OK) {
        code = sqlite3_prepare_v3(database->handle, "ROLLBACK", -1, SQLITE_PREPARE_PERSISTENT,
                                  &database->rollback, NULL);
        if (code != SQLITE_OK)
            status = stele__database_fail(database, code, "can't prepare a statement");
    }
    sqlite3_progress_handler(database->handle, STEPS_BETWEEN_LOOKS, look_at_patience, database);
    /* After the pragma, which takes the hook's place. */
    sqlite3_wal_hook(database->handle, note_wal_pages, database);
    sqlite3_commit_hook(database->handle, note_commit, database);
    sqlite3_rollback_hook(database->handle, note_rollback, database);

cleanup:
    if (status != STELE_OK)
        stele__database_close(database);
    else
        *database_out = database;
    return status;
}

void stele__database_close(stele__database *database)
{
    if (database == NULL)
        return;
    for (size_t i = 0; i < database->statement_count; i++) {
        sqlite3_finalize(database->statements[i].handle);
        stele__free(database->statements[i].copy);
    }
    sqlite3_finalize(database->rollback);
    if (database->borrowed != NULL)
        stele__borrowed_release(database);
    /* The user's own statements on a borrowed handle don't keep the connection open. */
    sqlite3_close_v2(database->handle);
    stele__free(database);
}

/* WAL, asked for and read back: on a filesystem without shared memory SQLite stays where it is. */
static stele_status use_wal(stele__database *database, uint32_t timeout_ms)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(database, "PRAGMA journal_mode=WAL", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    /* Turning a new file over needs it alone, and for that SQLite doesn't wait by itself. */
    for (uint32_t waited = 0; status == STELE_BUSY && waited < timeout_ms; waited += 5) {
        sqlite3_reset(statement->handle);
        sqlite3_sleep(5);
        status = stele__statement_step(statement);
    }
    if (status == STELE_OK) {
        const char *mode = stele__column_text(statement, 0);
        if (mode == NULL || strcmp(mode, "wal") != 0)
            status = stele__fail(STELE_UNSUPPORTED, "the file can't use WAL (it stays '%s')",
                                 mode == NULL ? "" : mode);
    }
    stele__statement_end(statement);
    return status;
}

/* The pragma itself: a table could stand in the place of its function. */
static stele_status ask_encoding(stele__database *database, bool *utf8_out)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(database, "PRAGMA encoding", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    const char *encoding = status == STELE_OK ? stele__column_text(statement, 0) : NULL;
    *utf8_out = encoding != NULL && strcmp(encoding, "UTF-8") == 0;
    stele__statement_end(statement);
    return status < 0 ? status : STELE_OK;
}

stele_status stele__database_settle(stele__database *database,
                                    const stele__database_options *options, bool fresh)
{
    stele_status status = STELE_OK;
    if (database->borrowed != NULL)
        return stele__borrowed_settle(database, options, fresh);
    if (options->unsynced)
        status = set_pragma(database, "synchronous", 0);
    if (fresh) {
        if (status == STELE_OK)
            status = set_pragma(database, "page_size", 4096);
        if (status == STELE_OK)
            status = set_pragma(database, "auto_vacuum", 2);
        if (status != STELE_OK)
            return status;
    }
    /* In UTF-16 a payload would not come back as it went in. */
    bool utf8 = false;
    status = ask_encoding(database, &utf8);
    if (status == STELE_OK && !utf8)
        status = stele__fail(STELE_UNSUPPORTED, "the file's text is not in UTF-8");
    if (status != STELE_OK)
        return status;
    if (!database->memory && !options->read_only && !options->query_only
        && !options->keep_journal) {
        status = use_wal(database, options->busy_timeout_ms);
        if (status != STELE_OK)
            return status;
    }
    if (!options->unsynced)
        status = stele__database_sync(database, options->durability);
    if (status == STELE_OK)
        status = set_pragma(database, "secure_delete", 1);
    return status;
}

stele_status stele__database_sync(stele__database *database, stele_durability durability)
{
    if (database->borrowed != NULL)
        return stele__borrowed_sync(database, durability);
    return set_pragma(database, "synchronous", durability == STELE_DURABILITY_FULL ? 2 : 1);
}

void stele__database_limit_wait(stele__database *database, uint32_t timeout_ms)
{
    database->wait_ms =
        timeout_ms < database->busy_timeout_ms ? timeout_ms : database->busy_timeout_ms;
    if (database->borrowed == NULL)
        sqlite3_busy_timeout(database->handle, (int)database->wait_ms);
}

stele_status stele__database_execute(stele__database *database, const char *sql)
{
    int code = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        return STELE_OK;
    return stele__database_fail(database, code, "SQL failed");
}

stele_status stele__database_number(stele__database *database, const char *sql, int64_t *number_out)
{
    *number_out = 0;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            *number_out = sqlite3_column_int64(statement, 0);
        code = sqlite3_finalize(statement);
    }
    return code == SQLITE_OK ? STELE_OK : stele__database_fail(database, code, "SQL failed");
}

static stele_status run_constant(stele__database *database, const char *sql)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(database, sql, &statement);
    return status == STELE_OK ? stele__statement_run(statement) : status;
}

stele_status stele__database_begin(stele__database *database)
{
    if (database->borrowed != NULL)
        return stele__borrowed_begin(database, "BEGIN IMMEDIATE");
    if (!sqlite3_get_autocommit(database->handle))
        return stele__fail(STELE_IO, "an earlier transaction could not be rolled back");
    return run_constant(database, "BEGIN IMMEDIATE");
}

stele_status stele__database_begin_read(stele__database *database)
{
    if (database->borrowed != NULL)
        return stele__borrowed_begin(database, "BEGIN");
    if (!sqlite3_get_autocommit(database->handle))
        return stele__fail(STELE_IO, "an earlier transaction could not be rolled back");
    return run_constant(database, "BEGIN");
}

/* What a failed COMMIT means. `code` is SQLite's. */
static stele_status judge_failed_commit(stele__database *database, int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL: return stele__database_fail(database, code, "can't commit");
    case SQLITE_BUSY:
        if (database->borrowed != NULL && !stele__borrowed_is_writing(database))
            return stele__fail(STELE_BUSY, "can't commit: others read the file, which has no WAL");
        return stele__fail(STELE_MISUSE, "can't commit: %s (reset your statements first)",
                           sqlite3_errmsg(database->handle));
    case SQLITE_CONSTRAINT:
        return stele__fail(STELE_MISUSE, "can't commit: %s", sqlite3_errmsg(database->handle));
    default:
        /* The pages may be whole in the WAL: what fails after them can't take them back. */
        return stele__fail(STELE_UNKNOWN_OUTCOME, "the commit failed: %s (SQLite code %d)",
                           sqlite3_errmsg(database->handle), code);
    }
}

stele_status stele__database_commit(stele__database *database)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(database, "COMMIT", &statement);
    if (status != STELE_OK) {
        stele__database_rollback(database);
        return status;
    }
    int code = database->borrowed != NULL ? stele__borrowed_commit(database, statement->handle)
                                          : sqlite3_step(statement->handle);
    if (code != SQLITE_DONE)
        status = judge_failed_commit(database, code);
    stele__statement_end(statement);
    if (code != SQLITE_DONE)
        stele__database_rollback(database);
    else if (database->borrowed != NULL)
        stele__borrowed_ended(database, true);
    return status;
}

void stele__database_rollback(stele__database *database)
{
    bool borrowed = database->borrowed != NULL;
    if (borrowed && !database->borrowed->begun) /* what is open isn't ours */
        return;
    if (borrowed)
        stele__borrowed_ended(database, false);
    if (sqlite3_get_autocommit(database->handle))
        return;
    /* Prepared when the connection was opened, so that a shortage of memory can't stop it. */
    sqlite3_step(database->rollback);
    sqlite3_reset(database->rollback);
}

bool stele__database_in_transaction(const stele__database *database)
{
    return !sqlite3_get_autocommit(database->handle)
           && (database->borrowed == NULL || database->borrowed->begun);
}

bool stele__database_has_wal(stele__database *database)
{
    stele__statement *statement = NULL;
    bool wal = false;
    if (stele__statement_begin(database, "PRAGMA main.journal_mode", &statement) == STELE_OK
        && stele__statement_step(statement) == STELE_OK) {
        const char *mode = stele__column_text(statement, 0);
        wal = mode != NULL && strcmp(mode, "wal") == 0;
    }
    stele__statement_end(statement);
    return wal;
}

void stele__database_leave_wal(stele__database *database)
{
    sqlite3_db_config(database->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

uint32_t stele__database_data_version(stele__database *database)
{
    uint32_t version = 0;
    sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_DATA_VERSION, &version);
    return version;
}

stele_status stele__database_transfer(stele__database *database, uint32_t *pages_out,
                                      uint32_t *copied_out)
{
    int pages = 0;
    int copied = 0;
    int code = sqlite3_wal_checkpoint_v2(database->handle, "main", SQLITE_CHECKPOINT_PASSIVE,
                                         &pages, &copied);
    *pages_out = pages > 0 ? (uint32_t)pages : 0;
    *copied_out = copied > 0 ? (uint32_t)copied : 0;
    return code == SQLITE_OK ? STELE_OK
                             : stele__database_fail(database, code, "can't transfer the WAL");
}
