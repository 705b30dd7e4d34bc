#include "store/compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "sqlite/statement.h"

#define COMPARE_SQL_SIZE 640

static stele_status count_by(stele__database *database, const char *sql, uint64_t *count_out)
{
    int64_t count = 0;
    stele_status status = stele__database_number(database, sql, &count);
    *count_out = (uint64_t)count;
    return status;
}

/* How many columns both have, if these are the same ones in the same order; else 0. */
static stele_status compare_columns(stele__database *database, const char *first,
                                    const char *second, int *count_out)
{
    char sql[COMPARE_SQL_SIZE];
    int64_t columns = 0;
    int64_t shared = 0;
    int64_t others = 0;
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM pragma_table_xinfo('%s') WHERE hidden <> 1",
             first);
    stele_status status = stele__database_number(database, sql, &columns);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM pragma_table_xinfo('%s') WHERE hidden <> 1",
             second);
    if (status == STELE_OK)
        status = stele__database_number(database, sql, &others);
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM pragma_table_xinfo('%s') a JOIN pragma_table_xinfo('%s') b"
             " ON a.cid = b.cid AND a.name = b.name AND a.hidden <> 1 AND b.hidden <> 1",
             first, second);
    if (status == STELE_OK)
        status = stele__database_number(database, sql, &shared);
    *count_out = columns == others && columns == shared ? (int)columns : 0;
    return status;
}

/* --- A row as text --- */

/* Add what fits; the rest is cut. */
static void add_literal(char text[STELE__ROW_TEXT_SIZE], const char *literal)
{
    size_t used = strlen(text);
    size_t size = strlen(literal);
    size_t room = STELE__ROW_TEXT_SIZE - 1 - used;
    snprintf(text + used, STELE__ROW_TEXT_SIZE - used, "%.*s",
             (int)stele__utf8_cut(literal, size, room), literal);
}

static void write_literal(stele__statement *statement, int column, char text[STELE__ROW_TEXT_SIZE])
{
    char literal[STELE__ROW_TEXT_SIZE];
    size_t size = 0;
    const char *value = NULL;
    switch (stele__column_type_of(statement, column)) {
    case STELE__COLUMN_NULL: add_literal(text, "NULL"); return;
    case STELE__COLUMN_NUMBER:
        snprintf(literal, sizeof(literal), "%" PRId64, stele__column_number(statement, column));
        add_literal(text, literal);
        return;
    case STELE__COLUMN_BLOB:
        stele__column_bytes(statement, column, &size);
        snprintf(literal, sizeof(literal), "(%zu bytes)", size);
        add_literal(text, literal);
        return;
    case STELE__COLUMN_REAL:
    case STELE__COLUMN_TEXT: break;
    }
    bool quoted = stele__column_type_of(statement, column) == STELE__COLUMN_TEXT;
    value = stele__column_text(statement, column);
    add_literal(text, quoted ? "'" : "");
    if (value != NULL && stele__utf8_valid(value, strlen(value)))
        add_literal(text, value);
    add_literal(text, quoted ? "'" : "");
}

/* --- Rows --- */

/* SQL's names for the columns of both, which may have any: c1, c2, ... */
static stele_status add_columns(stele__buffer *sql, int count, const char *after)
{
    char name[48];
    stele_status status = STELE_OK;
    for (int i = 1; i <= count && status == STELE_OK; i++) {
        snprintf(name, sizeof(name), "%sc%d%s", i == 1 ? "" : ",", i, after);
        status = stele__buffer_add_text(sql, name);
    }
    return status;
}

/*
 * `select` FROM the rows of both tables, equal ones as one group, whose sum(side) says how many
 * more of them the first table has. Text is compared byte by byte, whatever its column says.
 */
static stele_status add_groups(stele__buffer *sql, const char *first, const char *second,
                               int columns, const char *select)
{
    char rows[COMPARE_SQL_SIZE];
    snprintf(rows, sizeof(rows),
             ",side) AS (SELECT *, 1 FROM main.\"%s\" UNION ALL SELECT *, -1 FROM main.\"%s\") ",
             first, second);
    stele_status status = stele__buffer_add_text(sql, "WITH rows_of_both(");
    if (status == STELE_OK)
        status = add_columns(sql, columns, "");
    if (status == STELE_OK)
        status = stele__buffer_add_text(sql, rows);
    if (status == STELE_OK)
        status = stele__buffer_add_text(sql, select);
    if (status == STELE_OK)
        status = stele__buffer_add_text(sql, " FROM rows_of_both GROUP BY ");
    return status == STELE_OK ? add_columns(sql, columns, " COLLATE BINARY") : status;
}

/* Begin `sql`, which is disposed of; `status` is of what has made it. */
static stele_status begin_built(stele__database *database, stele__buffer *sql, stele_status status,
                                stele__statement **statement_out)
{
    if (status == STELE_OK)
        status = stele__buffer_add(sql, "", 1);
    if (status == STELE_OK)
        status = stele__statement_begin_text(database, sql->data, statement_out);
    stele__buffer_dispose(sql);
    return status;
}

/* How many rows each has more often than the other: all in one sort of both. */
static stele_status count_excess(stele__database *database, const char *first, const char *second,
                                 int columns, stele__comparison *of)
{
    stele__buffer sql = { 0 };
    stele__statement *statement = NULL;
    stele_status status =
        stele__buffer_add_text(&sql, "SELECT sum(max(more, 0)), sum(max(-more, 0)) FROM (");
    if (status == STELE_OK)
        status = add_groups(&sql, first, second, columns, "SELECT sum(side) AS more");
    if (status == STELE_OK)
        status = stele__buffer_add_text(&sql, ")");
    status = begin_built(database, &sql, status, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        of->only_first = (uint64_t)stele__column_number(statement, 0);
        of->only_second = (uint64_t)stele__column_number(statement, 1);
    }
    stele__statement_end(statement);
    return status;
}

/* The first row that `left` has more often than `right`. */
static stele_status describe_excess(stele__database *database, const char *left, const char *right,
                                    int columns, char text[STELE__ROW_TEXT_SIZE])
{
    stele__buffer sql = { 0 };
    stele__statement *statement = NULL;
    stele_status status = add_groups(&sql, left, right, columns, "SELECT *");
    if (status == STELE_OK)
        status = stele__buffer_add_text(&sql, " HAVING sum(side) > 0 LIMIT 1");
    status = begin_built(database, &sql, status, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    for (int i = 0; status == STELE_OK && i < columns; i++) {
        add_literal(text, i == 0 ? "" : ",");
        write_literal(statement, i, text);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__tables_compare(stele__database *database, const char *first, const char *second,
                                   stele__comparison *comparison_out)
{
    char sql[COMPARE_SQL_SIZE];
    int columns = 0;
    stele__comparison *of = comparison_out;
    *of = (stele__comparison){ 0 };
    stele_status status = compare_columns(database, first, second, &columns);
    of->alike = columns > 0;
    if (status != STELE_OK || !of->alike)
        return status;
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM main.\"%s\"", first);
    status = count_by(database, sql, &of->first_rows);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM main.\"%s\"", second);
    if (status == STELE_OK)
        status = count_by(database, sql, &of->second_rows);
    if (status == STELE_OK)
        status = count_excess(database, first, second, columns, of);
    if (status == STELE_OK && of->only_first > 0)
        status = describe_excess(database, first, second, columns, of->first_text);
    if (status == STELE_OK && of->only_second > 0)
        status = describe_excess(database, second, first, columns, of->second_text);
    return status;
}
