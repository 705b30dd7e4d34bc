/* How much a connection has read. */
#include <sqlite3.h>

#include "sqlite/statement.h"

/* The file's, which never changes while it is open in WAL; another journal may let it. */
static uint32_t find_page_size(stele__database *database)
{
    stele__statement *statement = NULL;
    if (stele__statement_begin(database, "PRAGMA page_size", &statement) == STELE_OK
        && stele__statement_step(statement) == STELE_OK)
        database->page_size = (uint32_t)stele__column_number(statement, 0);
    stele__statement_end(statement);
    return database->page_size;
}

uint64_t stele__database_bytes_read(stele__database *database)
{
    int misses = 0;
    int highest = 0;
    if (sqlite3_db_status(database->handle, SQLITE_DBSTATUS_CACHE_MISS, &misses, &highest, 0)
            != SQLITE_OK
        || misses < 0)
        return 0;
    uint32_t page_size = database->page_size > 0 ? database->page_size : find_page_size(database);
    return (uint64_t)misses * page_size;
}
