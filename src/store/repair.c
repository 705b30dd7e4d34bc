/*
 * Building the SQL indexes of our tables anew, when SQLite finds fault with them.
 *
 * They are derived: each entry is made of a row. But clearing a damaged index can give away pages
 * that are another's, and an index may be the last to know of a row that its table has lost. So
 * nothing is kept, unless afterwards the table's rows are the same, SQLite complains of nothing
 * that it didn't complain of before, and no entry told of a row that isn't there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "store/check.h"

/* The tables with an index of their own, and what an index without damage says of a row. */
static const struct repairable {
    const char *table;
    const char *id;    /* its rowid */
    const char *index; /* the first one of UNIQUE */
    const char *key;   /* its columns, NULs between; "" ends */
} repairable_tables[] = {
    { "epochs", "id", "sqlite_autoindex_epochs_1", "epoch\0" },
    { "streams", "id", "sqlite_autoindex_streams_1", "name\0" },
    { "types", "id", "sqlite_autoindex_types_1", "name\0" },
    { "codecs", "id", "sqlite_autoindex_codecs_1", "name\0" },
    { "events", "position", "sqlite_autoindex_events_1", "stream\0version\0" },
    { "idempotency", "id", "sqlite_autoindex_idempotency_1", "key\0" },
    { "snapshots", "id", "sqlite_autoindex_snapshots_1", "stream\0name\0version\0" },
    { "state", "id", "sqlite_autoindex_state_1", "scope\0key\0" },
    { "archives", "id", "sqlite_autoindex_archives_1", "uuid\0" },
    { "kept_streams", "id", "sqlite_autoindex_kept_streams_1", "move\0" },
    { "kept_events", "id", "sqlite_autoindex_kept_events_1", "kept_stream\0version\0" },
};

typedef struct repairable repairable;

#define REPAIRABLE_COUNT (sizeof(repairable_tables) / sizeof(repairable_tables[0]))

/* Entries without a row that are looked into; with more of them it isn't an accident of one. */
#define ORPHANS_MAX 100

/* All that SQLite complains of, a line each. */
typedef struct complaints {
    char *text;
    size_t size;
} complaints;

/* A row may hold several lines. */
static stele_status add_complaints(complaints *all, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        char *grown = stele__reallocate(all->text, all->size + size + 3);
        if (grown == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for what SQLite complains of");
        all->text = grown;
        all->size += (size_t)sprintf(grown + all->size, "\n%.*s\n", (int)size, text);
        text += size + strspn(text + size, "\n");
    }
    return STELE_OK;
}

/* Of the whole file, or of `table` with its indexes; `all->text` stays NULL for none. Damage can
 * end the check early, which is CORRUPT. */
static stele_status read_complaints(stele__database *database, const char *table, complaints *all)
{
    char sql[96];
    stele__statement *statement = NULL;
    snprintf(sql, sizeof(sql), "PRAGMA integrity_check(%s)", table == NULL ? "10000" : table);
    stele_status status = stele__statement_begin_text(database, sql, &statement);
    while (status == STELE_OK && (status = stele__statement_step(statement)) == STELE_OK) {
        const char *text = stele__column_text(statement, 0);
        if (text != NULL && strcmp(text, "ok") == 0)
            continue;
        status = add_complaints(all, text == NULL ? "no answer" : text);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* CORRUPT when SQLite complains of something new. */
static stele_status expect_no_new_complaint(const complaints *before, const complaints *after)
{
    for (char *line = after->text; line != NULL && *line == '\n';) {
        char *end = strstr(line + 1, "\n\n");
        size_t size = end == NULL ? strlen(line) : (size_t)(end + 1 - line);
        char kept = line[size];
        line[size] = '\0';
        bool known = before->text != NULL && strstr(before->text, line) != NULL;
        line[size] = kept;
        if (!known)
            return stele__fail(STELE_CORRUPT, "building the index anew would harm other pages");
        line += size;
    }
    return STELE_OK;
}

/* Whether the table has a row with the key of the index' entry, under another id. */
static stele_status find_keyed_row(stele__database *database, const repairable *of,
                                   stele__statement *entry, bool *found_out)
{
    char sql[256];
    size_t used =
        (size_t)snprintf(sql, sizeof(sql), "SELECT 1 FROM %s NOT INDEXED WHERE 1", of->table);
    int count = 0;
    for (const char *column = of->key; *column != '\0'; column += strlen(column) + 1)
        used += (size_t)snprintf(sql + used, sizeof(sql) - used, " AND %s IS ?%d", column, ++count);
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin_text(database, sql, &statement);
    if (status != STELE_OK)
        return status;
    for (int i = 1; i <= count; i++) {
        const char *text = stele__column_text(entry, i);
        if (stele__column_type_of(entry, i) == STELE__COLUMN_NUMBER)
            stele__bind_number(statement, i, stele__column_number(entry, i));
        else if (text != NULL)
            stele__bind_text(statement, i, text);
        else
            stele__bind_null(statement, i);
    }
    status = stele__statement_step(statement);
    *found_out = status == STELE_OK;
    stele__statement_end(statement);
    return status < 0 ? status : STELE_OK;
}

/*
 * CORRUPT when an entry of the index tells of a row that the table doesn't have. Read from one end,
 * and from the other: what is behind damage on both sides can't be asked.
 */
static stele_status expect_no_orphans(stele__database *database, const repairable *of,
                                      const char *order)
{
    char columns[64] = "";
    char orders[64] = "";
    char sql[400];
    size_t used = 0;
    size_t ordered = 0;
    for (const char *column = of->key; *column != '\0'; column += strlen(column) + 1) {
        used += (size_t)snprintf(columns + used, sizeof(columns) - used, ", i.%s", column);
        ordered += (size_t)snprintf(orders + ordered, sizeof(orders) - ordered, "%s i.%s %s",
                                    ordered > 0 ? "," : "", column, order);
    }
    snprintf(sql, sizeof(sql),
             "SELECT i.%s%s FROM %s i INDEXED BY %s WHERE NOT EXISTS (SELECT 1 FROM %s t NOT"
             " INDEXED WHERE t.%s = i.%s) ORDER BY%s LIMIT %d",
             of->id, columns, of->table, of->index, of->table, of->id, of->id, orders, ORPHANS_MAX);
    stele__statement *entry = NULL;
    stele_status status = stele__statement_begin_text(database, sql, &entry);
    int count = 0;
    while (status == STELE_OK && (status = stele__statement_step(entry)) == STELE_OK) {
        bool found = false;
        int64_t id = stele__column_number(entry, 0);
        status = find_keyed_row(database, of, entry, &found);
        if (status == STELE_OK && (!found || ++count == ORPHANS_MAX))
            status = stele__fail(STELE_INVALID,
                                 "an index names the row %" PRId64 " of %s, which is not there", id,
                                 of->table);
    }
    stele__statement_end(entry);
    /* Damage of the index ends the reading; but that a row is missing is what was looked for. */
    if (status == STELE_INVALID)
        return stele__fail_within(STELE_CORRUPT, "not repaired");
    return status == STELE_DONE || status == STELE_CORRUPT ? STELE_OK : status;
}

static stele_status digest_table(stele__database *database, const repairable *of,
                                 uint64_t *hash_out)
{
    char sql[96];
    stele__statement *statement = NULL;
    snprintf(sql, sizeof(sql), "SELECT * FROM %s NOT INDEXED ORDER BY %s", of->table, of->id);
    *hash_out = 0;
    /* Kept by the connection as text, so that its address is no key. */
    stele_status status = stele__statement_begin_text(database, sql, &statement);
    if (status == STELE_OK)
        status = stele__digest_statement(statement, hash_out);
    stele__statement_end(statement);
    return status;
}

/* What the table says, and what SQLite complains of; CORRUPT when it must be left as it is. */
static stele_status look_before(stele__database *database, const repairable *of, uint64_t *hash_out,
                                complaints *before)
{
    stele_status status = expect_no_orphans(database, of, "");
    if (status == STELE_OK)
        status = expect_no_orphans(database, of, "DESC");
    if (status == STELE_OK)
        status = digest_table(database, of, hash_out);
    if (status != STELE_OK)
        return status;
    /* Damage of the index may end it early: then what it had not come to counts as new later. */
    status = read_complaints(database, NULL, before);
    return status == STELE_CORRUPT ? STELE_OK : status;
}

/* CORRUPT when the rows are others, or SQLite complains of something new. */
static stele_status look_after(stele__database *database, const repairable *of,
                               uint64_t hash_before, const complaints *before, complaints *after)
{
    uint64_t hash = 0;
    stele_status status = digest_table(database, of, &hash);
    if (status == STELE_OK && hash != hash_before)
        status = stele__fail(STELE_CORRUPT, "building the index anew would harm the rows of %s",
                             of->table);
    if (status == STELE_OK)
        status = read_complaints(database, NULL, after);
    return status == STELE_OK ? expect_no_new_complaint(before, after) : status;
}

/* Inside a write transaction: everything but the commit. */
static stele_status rebuild_indexes(stele__connection *connection, const repairable *of,
                                    complaints *before, complaints *after)
{
    stele__database *database = connection->database;
    uint64_t hash = 0;
    stele_status status = look_before(database, of, &hash, before);
    if (status != STELE_OK)
        return status;
    char sql[64];
    snprintf(sql, sizeof(sql), "REINDEX %s", of->table);
    stele__connection_touch(connection);
    status = stele__database_execute(database, sql);
    return status == STELE_OK ? look_after(database, of, hash, before, after) : status;
}

static stele_status repair_table(stele_store *store, const stele_wait *wait, const repairable *of,
                                 bool *repaired_out)
{
    complaints of_table = { 0 };
    complaints before = { 0 };
    complaints after = { 0 };
    stele__connection *connection = NULL;
    stele_status status = stele__write_begin(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = read_complaints(connection->database, of->table, &of_table);
    if (status == STELE_CORRUPT || (status == STELE_OK && of_table.text != NULL)) {
        status = rebuild_indexes(connection, of, &before, &after);
        if (status == STELE_OK)
            status = stele__write_commit(store);
        if (status == STELE_OK)
            *repaired_out = true;
    }
    stele__write_end(store);
    stele__free(of_table.text);
    stele__free(before.text);
    stele__free(after.text);
    return status;
}

stele_status stele__repair_indexes(stele_store *store, const stele_wait *wait, const char *table,
                                   bool *repaired_out)
{
    stele_status damage = STELE_OK;
    for (size_t i = 0; i < REPAIRABLE_COUNT; i++) {
        const repairable *of = &repairable_tables[i];
        if (table != NULL && strcmp(of->table, table) != 0)
            continue;
        stele_status status = repair_table(store, wait, of, repaired_out);
        if (status == STELE_CORRUPT) /* the others may fare better */
            damage = status;
        else if (status != STELE_OK)
            return status;
    }
    return damage;
}
