#include "sqlite/authorizer.h"

#include <string.h>

#include <sqlite3.h>

#include "base/failure.h"

/* Whether SQLite's name for a table, index or view is one of ours, its own indexes included. */
static bool names_our_object(const stele__database *database, const char *name)
{
    static const char prefix[] = "sqlite_autoindex_";
    if (name == NULL)
        return false;
    if (sqlite3_strnicmp(name, prefix, (int)strlen(prefix)) != 0)
        return database->is_ours(name);

    /* sqlite_autoindex_TABLE_N */
    char table[64];
    const char *start = name + strlen(prefix);
    const char *end = strrchr(start, '_');
    if (end == NULL || (size_t)(end - start) >= sizeof(table))
        return false;
    memcpy(table, start, (size_t)(end - start));
    table[end - start] = '\0';
    return database->is_ours(table);
}

static bool is_listed(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (sqlite3_stricmp(names[i], name) == 0)
            return true;
    return false;
}

/* Those that tell, and change nothing. */
static bool is_harmless_pragma(const char *name, const char *argument)
{
    /* What they are given is the name of an object, or how much to tell. max_page_count sets
     * something, but only how large the file may grow. */
    static const char *const asking[] = {
        "foreign_key_check", "foreign_key_list", "index_info",     "index_list",
        "index_xinfo",       "integrity_check",  "max_page_count", "quick_check",
        "table_info",        "table_list",       "table_xinfo",
    };
    /* An argument to these would be a new value. */
    static const char *const telling[] = {
        "application_id", "auto_vacuum",    "cache_size",  "collation_list", "compile_options",
        "data_version",   "database_list",  "encoding",    "foreign_keys",   "freelist_count",
        "function_list",  "journal_mode",   "module_list", "page_count",     "page_size",
        "pragma_list",    "schema_version", "synchronous", "user_version",
    };
    if (is_listed(asking, sizeof(asking) / sizeof(asking[0]), name))
        return true;
    return argument == NULL && is_listed(telling, sizeof(telling) / sizeof(telling[0]), name);
}

/*
 * `first` and `second` mean what SQLite says they mean for `action`.
 *
 * A TEMP table comes before ours wherever SQL names only the table, so it may not have one of our
 * names; renaming is not told of by the new name, so a TEMP table is not to be altered at all. A
 * TEMP trigger runs although triggers are off. What is left out here is refused.
 */
static bool is_allowed(const stele__database *database, int action, const char *first,
                       const char *second)
{
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
    case SQLITE_FUNCTION:
    case SQLITE_ANALYZE:
    case SQLITE_SAVEPOINT: return true;

    /* sqlite_schema is among these whenever something is created; DEFENSIVE keeps other SQL off
     * it. */
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return !names_our_object(database, first)
               && (first == NULL || sqlite3_stricmp(first, "sqlite_dbpage") != 0);

    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_TEMP_TABLE:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_TEMP_VIEW:
    case SQLITE_DROP_VTABLE:
    case SQLITE_REINDEX: return !names_our_object(database, first);

    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TEMP_INDEX:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_DROP_TEMP_TRIGGER:
        return !names_our_object(database, first) && !names_our_object(database, second);

    case SQLITE_ALTER_TABLE:
        return first != NULL && sqlite3_stricmp(first, "main") == 0
               && !names_our_object(database, second);

    case SQLITE_PRAGMA: return first != NULL && is_harmless_pragma(first, second);

    default: return false;
    }
}

static int authorize(void *context, int action, const char *first, const char *second,
                     const char *schema, const char *trigger)
{
    (void)schema;
    (void)trigger;
    const stele__database *database = context;
    /* A statement of the user has ended the transaction: nothing more is done in its place. */
    if (database->authorizer_armed && sqlite3_get_autocommit(database->handle))
        return SQLITE_DENY;
    return !database->authorizer_armed || is_allowed(database, action, first, second) ? SQLITE_OK
                                                                                      : SQLITE_DENY;
}

stele_status stele__authorizer_install(stele__database *database, bool (*is_ours)(const char *name))
{
    database->is_ours = is_ours;
    int code = sqlite3_set_authorizer(database->handle, authorize, database);
    /* It expired this one, which has to be ready when memory is short. */
    sqlite3_stmt *rollback = NULL;
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v3(database->handle, "ROLLBACK", -1, SQLITE_PREPARE_PERSISTENT,
                                  &rollback, NULL);
    if (code != SQLITE_OK)
        return stele__database_fail(database, code, "can't guard the connection");
    sqlite3_finalize(database->rollback);
    database->rollback = rollback;
    return STELE_OK;
}

void stele__authorizer_arm(stele__database *database, bool armed)
{
    database->authorizer_armed = armed && database->is_ours != NULL;
}
