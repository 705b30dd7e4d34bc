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

/* Whether they have the same columns in the same order; what isn't there has none. */
static stele_status compare_columns(stele__database *database, const char *first,
                                    const char *second, bool *alike_out)
{
    char sql[COMPARE_SQL_SIZE];
    int64_t columns = 0;
    int64_t shared = 0;
    int64_t others = 0;
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM pragma_table_info('%s')", first);
    stele_status status = stele__database_number(database, sql, &columns);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM pragma_table_info('%s')", second);
    if (status == STELE_OK)
        status = stele__database_number(database, sql, &others);
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM pragma_table_info('%s') a JOIN pragma_table_info('%s') b"
             " ON a.cid = b.cid AND a.name = b.name",
             first, second);
    if (status == STELE_OK)
        status = stele__database_number(database, sql, &shared);
    *alike_out = columns > 0 && columns == others && columns == shared;
    return status;
}

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

/* Of the rows that `left` has and `right` doesn't: how many, and the first. */
static stele_status compare_row_sets(stele__database *database, const char *left, const char *right,
                                     uint64_t *count_out, char text[STELE__ROW_TEXT_SIZE])
{
    char sql[COMPARE_SQL_SIZE];
    stele__statement *statement = NULL;
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM (SELECT * FROM main.\"%s\" EXCEPT SELECT * FROM main.\"%s\")",
             left, right);
    stele_status status = count_by(database, sql, count_out);
    if (status != STELE_OK || *count_out == 0)
        return status;
    snprintf(sql, sizeof(sql), "SELECT * FROM main.\"%s\" EXCEPT SELECT * FROM main.\"%s\" LIMIT 1",
             left, right);
    status = stele__statement_begin_text(database, sql, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    for (int i = 0; status == STELE_OK && i < stele__column_count(statement); i++) {
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
    stele__comparison *of = comparison_out;
    *of = (stele__comparison){ 0 };
    stele_status status = compare_columns(database, first, second, &of->alike);
    if (status != STELE_OK || !of->alike)
        return status;
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM main.\"%s\"", first);
    status = count_by(database, sql, &of->first_rows);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM main.\"%s\"", second);
    if (status == STELE_OK)
        status = count_by(database, sql, &of->second_rows);
    if (status == STELE_OK)
        status = compare_row_sets(database, first, second, &of->only_first, of->first_text);
    if (status == STELE_OK)
        status = compare_row_sets(database, second, first, &of->only_second, of->second_text);
    return status;
}
