/* Connections of the hand-written side: the pragmas of the library, one for one. */
#include <stdio.h>

#include <stele/store.h>

#include "bare.h"

void bare_expect(sqlite3 *handle, int code, const char *doing)
{
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
        bench_die("%s: %s", doing, sqlite3_errmsg(handle));
}

void bare_execute(sqlite3 *handle, const char *sql)
{
    bare_expect(handle, sqlite3_exec(handle, sql, NULL, NULL, NULL), sql);
}

sqlite3_stmt *bare_prepare(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    bare_expect(handle,
                sqlite3_prepare_v3(handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL),
                sql);
    return statement;
}

int64_t bare_number(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = bare_prepare(handle, sql);
    bare_expect(handle, sqlite3_step(statement), sql);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

void bare_run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code != SQLITE_DONE)
        bench_die("%s: %s", sqlite3_sql(statement), sqlite3_errmsg(sqlite3_db_handle(statement)));
    sqlite3_reset(statement);
}

sqlite3 *bare_connect(const char *name, stele_durability durability, bool reader)
{
    sqlite3 *handle = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    bare_expect(handle, sqlite3_open_v2(bench_path(name), &handle, flags, NULL), "open");
    sqlite3_busy_timeout(handle, 5000);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    bare_execute(handle, "PRAGMA page_size=4096; PRAGMA auto_vacuum=2; PRAGMA cell_size_check=1;"
                         "PRAGMA mmap_size=0; PRAGMA temp_store=2; PRAGMA wal_autocheckpoint=0;"
                         "PRAGMA journal_mode=WAL; PRAGMA secure_delete=1;");
    bare_execute(handle, reader ? "PRAGMA cache_size=-2048; PRAGMA query_only=1"
                                : "PRAGMA cache_size=-8192");
    bare_execute(handle, durability == STELE_DURABILITY_FULL ? "PRAGMA synchronous=2"
                                                             : "PRAGMA synchronous=1");
    return handle;
}
