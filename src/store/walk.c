/* Going through a table in steps, so that no read stays open for long and holds the WAL. */
#include <inttypes.h>
#include <string.h>

#include "store/check.h"

/* What a row holds, of which a step must not read too much. */
static uint64_t measure_row(stele__statement *statement)
{
    uint64_t bytes = 0;
    for (int i = 0; i < stele__column_count(statement); i++) {
        stele__column_type type = stele__column_type_of(statement, i);
        size_t size = sizeof(int64_t);
        if (type == STELE__COLUMN_TEXT || type == STELE__COLUMN_BLOB)
            stele__column_bytes(statement, i, &size);
        bytes += size;
    }
    return bytes;
}

/* `from` stays as it is while the visitor moves on. */
static void bind_walk(stele__statement *statement, const stele__walk *from)
{
    if (from->by_text) {
        stele__bind_text_bytes(statement, 1, from->text, from->text_size);
        stele__bind_number(statement, 2, from->first);
        if (from->with_number)
            stele__bind_number(statement, 4, from->second);
    } else {
        stele__bind_number(statement, 1, from->first);
        stele__bind_number(statement, 2, from->second);
    }
    stele__bind_number(statement, 3, from->findings->work->options.step_count_max);
}

stele_status stele__walk_note_text(stele__walk *walk, const char *text)
{
    size_t size = text == NULL ? 0 : strlen(text);
    if (text == NULL || size >= sizeof(walk->text))
        return stele__fail(STELE_CORRUPT, "a name of %zu bytes can't be ours", size);
    memcpy(walk->text, text, size + 1);
    walk->text_size = size;
    walk->first = 1;
    return STELE_OK;
}

/* Each step must end behind where it began, or a damaged order of rows could hold a walk for ever.
 */
static stele_status expect_advance(const stele__walk *walk, const stele__walk *before)
{
    int compared = walk->by_text ? strcmp(walk->text, before->text)
                                 : (walk->first > before->first) - (walk->first < before->first);
    bool advanced = compared > 0 || (walk->by_text && walk->first > before->first);
    if (compared == 0 && (!walk->by_text || walk->with_number))
        advanced |= walk->second > before->second;
    if (advanced || walk->done)
        return STELE_OK;
    if (walk->by_text)
        return stele__fail(STELE_CORRUPT, "the rows after '%s' are out of order", before->text);
    return stele__fail(STELE_CORRUPT, "the rows after %" PRId64 " are out of order", before->first);
}

/* The rows of one step; how many they were, and how much of the file was read for them. */
static stele_status walk_step(stele__connection *connection, const char *sql,
                              stele__walk_visitor visit, stele__walk *walk, uint64_t *count_out,
                              uint64_t *bytes_out)
{
    const stele__walk from = *walk;
    const stele_work *limits = &walk->findings->work->options;
    stele__database *database = connection->database;
    stele__statement *statement = NULL;
    uint64_t read_before = stele__database_bytes_read(database);
    uint64_t bytes = 0;
    stele_status status = walk->begin == NULL ? STELE_OK : walk->begin(connection);
    if (status == STELE_OK)
        status = stele__statement_begin(database, sql, &statement);
    if (status != STELE_OK)
        return status;
    bind_walk(statement, &from);
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        ++*count_out;
        bytes += measure_row(statement);
        status = visit(connection, statement, walk);
        if (status != STELE_OK || bytes >= limits->step_size_max)
            break;
    }
    stele__statement_end(statement);
    walk->done = status == STELE_DONE && *count_out < limits->step_count_max;
    uint64_t bytes_read = stele__database_bytes_read(database) - read_before;
    *bytes_out = bytes_read > bytes ? bytes_read : bytes;
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status expect_total(stele__connection *connection, stele__walk *walk)
{
    int64_t total = 0;
    if (walk->total == NULL)
        return STELE_OK;
    stele_status status = stele__database_number(connection->database, walk->total, &total);
    walk->findings->work->progress.total += total > 0 ? (uint64_t)total : 0;
    walk->total = NULL; /* asked once */
    return status;
}

stele_status stele__walk_rows(stele_store *store, const char *sql, stele__walk_visitor visit,
                              stele__walk *walk)
{
    stele_status status = STELE_OK;
    while (status == STELE_OK && !walk->done) {
        stele__connection *connection = NULL;
        stele__walk before = *walk;
        uint64_t count = 0;
        uint64_t bytes = 0;
        status = stele__read_begin_to_check(store, &connection);
        if (status != STELE_OK)
            break;
        status = expect_total(connection, walk);
        if (status == STELE_OK)
            status = walk_step(connection, sql, visit, walk, &count, &bytes);
        stele__read_end(store, connection);
        if (status == STELE_OK)
            status = expect_advance(walk, &before);
        if (status == STELE_OK)
            status = stele__work_step(walk->findings->work, count, bytes);
    }
    return status;
}
