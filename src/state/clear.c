/* Long work on many entries, a step at a time: clearing a scope, and forgetting what is old. */
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "state/state.h"
#include "store/names.h"
#include "store/sequencer.h"
#include "store/work.h"

/* --- Clearing --- */

/* A call of stele_state_clear(). */
typedef struct state_clearing {
    stele_store *store;
    stele__work work;
    const char *scope;
    const char *prefix; /* "": all */
    stele__buffer keys; /* of one step, each with its NUL */
    char place[STELE_NAME_SIZE_MAX + 1];
    bool begun;
    bool done;
    int64_t count;
} state_clearing;

/* Remember the keys of the next step, those of entries that are there. */
static stele_status collect_keys(state_clearing *of, stele__connection *connection,
                                 uint64_t *looked_out, uint64_t *bytes_out)
{
    stele__statement *statement = NULL;
    const stele_work *limits = &of->work.options;
    of->keys.size = 0;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT key, data IS NOT NULL, coalesce(length(CAST(data AS BLOB)), 0) FROM state"
        " WHERE scope = ?1 AND key >= ?2 AND (key > ?2 OR ?3 = 0) ORDER BY key LIMIT ?4",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, of->scope);
    stele__bind_text(statement, 2, of->begun ? of->place : of->prefix);
    stele__bind_number(statement, 3, of->begun);
    stele__bind_number(statement, 4, limits->step_count_max);
    char place[STELE_NAME_SIZE_MAX + 1] = "";
    while (*bytes_out < limits->step_size_max
           && (status = stele__statement_step(statement)) == STELE_OK) {
        const char *key = stele__state_name(statement, 0, STELE_NAME_SIZE_MAX);
        if (key == NULL || (of->begun && strcmp(key, of->place) <= 0)) {
            status = stele__fail(STELE_CORRUPT, "scope '%s' has a key that %s", of->scope,
                                 key == NULL ? "can't be ours" : "is out of order");
            break;
        }
        of->done = strncmp(key, of->prefix, strlen(of->prefix)) != 0;
        if (of->done)
            break;
        memcpy(place, key, strlen(key) + 1);
        ++*looked_out;
        *bytes_out += (uint64_t)stele__column_number(statement, 2);
        if (stele__column_number(statement, 1) != 0)
            status = stele__buffer_add(&of->keys, key, strlen(key) + 1);
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    of->done |= status == STELE_DONE && *looked_out < limits->step_count_max;
    if (*looked_out > 0) {
        memcpy(of->place, place, sizeof(place));
        of->begun = true;
    }
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status delete_key(const state_clearing *of, stele__connection *connection,
                               const char *key)
{
    bool changed = false;
    stele__state_change change = {
        .scope = of->scope,
        .key = key,
        .deletion = true,
        .expected_revision = STELE_ANY,
        .codec = "",
        .data = "",
    };
    return stele__state_apply(of->store, connection, &change, &changed);
}

/* Inside a write transaction. */
static stele_status clear_some(state_clearing *of, stele__connection *connection,
                               int64_t *deleted_out, uint64_t *looked_out, uint64_t *bytes_out)
{
    stele_status status = collect_keys(of, connection, looked_out, bytes_out);
    for (size_t at = 0; status == STELE_OK && at < of->keys.size; ++*deleted_out) {
        status = delete_key(of, connection, of->keys.data + at);
        at += strlen(of->keys.data + at) + 1;
    }
    return status;
}

static stele_status clear_scope(state_clearing *of)
{
    stele_status status = STELE_OK;
    stele__work_part(&of->work, "clearing", 0);
    while (status == STELE_OK && !of->done) {
        stele__connection *connection = NULL;
        int64_t deleted = 0;
        uint64_t looked = 0;
        uint64_t bytes = 0;
        status = stele__write_begin(of->store, of->work.options.wait, &connection);
        if (status != STELE_OK)
            break;
        status = clear_some(of, connection, &deleted, &looked, &bytes);
        if (status == STELE_OK && deleted > 0)
            status = stele__write_commit(of->store);
        stele__write_end(of->store);
        if (status == STELE_OK) {
            of->count += deleted;
            status = stele__work_step(&of->work, looked, bytes);
        }
    }
    return status;
}

stele_status stele_state_clear(stele_store *store, const char *scope, const char *prefix,
                               const stele_work *work, int64_t *count_out)
{
    state_clearing of = { .store = store, .scope = scope, .prefix = prefix == NULL ? "" : prefix };
    if (count_out != NULL)
        *count_out = 0;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__check_scope_to_write(scope);
    if (status == STELE_OK && of.prefix[0] != '\0')
        status = stele__check_name("prefix", of.prefix);
    if (status == STELE_OK)
        status = stele__work_begin(&of.work, store, work);
    if (status == STELE_OK)
        status = stele__write_check(store);
    if (status == STELE_OK)
        status = clear_scope(&of);
    stele__buffer_dispose(&of.keys);
    stele__store_leave(store);
    if (count_out != NULL)
        *count_out = of.count;
    return status;
}

/* --- Forgetting --- */

/* A table to forget rows of: which look old, and what to do with one of them. */
typedef struct forgotten_table {
    const char *doing;
    const char *scan; /* id and time of rows after ?1, those that may go; ?2 of them */
    stele_status (*forget)(stele__connection *connection, int64_t id, int64_t before,
                           bool *gone_out);
} forgotten_table;

/* Rows looked at in one step, however many the caller allows: their ids are kept meanwhile. */
#define FORGET_STEP_MAX 10000

/* A call of stele_state_forget(). */
typedef struct state_forgetting {
    stele_store *store;
    stele__work work;
    int64_t before;
    uint32_t looked_max; /* rows of one step */
    int64_t *ids;        /* of these, those that look old */
    size_t id_count;
    int64_t place; /* every row up to this one was looked at */
    bool done;
    int64_t count;
} state_forgetting;

static stele_status delete_state_row(stele__connection *connection, const char *sql, int64_t id)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(connection->database, sql, &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, id);
    return stele__statement_run(statement);
}

/* Whether `sql` finds a row for ?1 and, if it asks for that, ?2. */
static stele_status find_state_row(stele__connection *connection, const char *sql, int64_t id,
                                   const int64_t *before, bool *found_out)
{
    stele__statement *statement = NULL;
    *found_out = false;
    stele_status status = stele__statement_begin(connection->database, sql, &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, id);
    if (before != NULL)
        stele__bind_number(statement, 2, *before);
    status = stele__statement_step(statement);
    *found_out = status == STELE_OK;
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* One that is damaged goes by the time it says: nothing else would ever remove it. */
static stele_status forget_write(stele__connection *connection, int64_t id, int64_t before,
                                 bool *gone_out)
{
    stele_status status =
        find_state_row(connection, "SELECT 1 FROM state_writes WHERE id = ?1 AND written_at < ?2",
                       id, &before, gone_out);
    return status == STELE_OK && *gone_out
               ? delete_state_row(connection, "DELETE FROM state_writes WHERE id = ?1", id)
               : status;
}

/* What is left of a deleted entry, once none of its write ids is. A damaged row may be one of an
 * entry that was there, so it stays. */
static stele_status forget_entry(stele__connection *connection, int64_t id, int64_t before,
                                 bool *gone_out)
{
    stele__state_row row;
    stele__statement *statement = NULL;
    bool has_writes = false;
    *gone_out = false;
    stele_status status = stele__state_row_begin_at(connection, id, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        status = stele__state_row_read(connection, statement, &row);
    bool old = status == STELE_OK && !row.there && row.updated_at < before;
    stele__statement_end(statement);
    if (!old)
        return status == STELE_DONE || status == STELE_CORRUPT ? STELE_OK : status;
    status = find_state_row(connection, "SELECT 1 FROM state_writes WHERE entry = ?1 LIMIT 1", id,
                            NULL, &has_writes);
    if (status != STELE_OK || has_writes)
        return status;
    *gone_out = true;
    return delete_state_row(connection, "DELETE FROM state WHERE id = ?1", id);
}

/* The rows of the next step that look old, in a read of its own: writers go on. */
static stele_status scan_old(state_forgetting *of, const char *sql)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    uint32_t looked = 0;
    of->id_count = 0;
    stele_status status = stele__read_begin(of->store, of->work.options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__statement_begin(connection->database, sql, &statement);
    if (status == STELE_OK) {
        stele__bind_number(statement, 1, of->place);
        stele__bind_number(statement, 2, of->looked_max);
    }
    while (status == STELE_OK && looked < of->looked_max
           && (status = stele__statement_step(statement)) == STELE_OK) {
        int64_t id = stele__column_number(statement, 0);
        if (id <= of->place) {
            status = stele__fail(STELE_CORRUPT, "the rows after %" PRId64 " are out of order",
                                 of->place);
            break;
        }
        of->place = id;
        looked++;
        if (stele__column_type_of(statement, 1) != STELE__COLUMN_NULL
            && stele__column_number(statement, 1) < of->before)
            of->ids[of->id_count++] = of->place;
    }
    stele__statement_end(statement);
    stele__read_end(of->store, connection);
    of->done = status == STELE_DONE;
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status forget_some(state_forgetting *of, const forgotten_table *table)
{
    stele__connection *connection = NULL;
    int64_t count = 0;
    stele_status status = stele__write_begin(of->store, of->work.options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__sequencer_check(of->store, "forgetting state entries");
    if (status == STELE_OK)
        status = stele__names_begin(connection);
    for (size_t i = 0; i < of->id_count && status == STELE_OK; i++) {
        bool gone = false;
        status = table->forget(connection, of->ids[i], of->before, &gone);
        count += gone;
    }
    if (status == STELE_OK && count > 0)
        status = stele__write_commit(of->store);
    stele__write_end(of->store);
    if (status == STELE_OK)
        of->count += count;
    return status;
}

static stele_status forget_in_table(state_forgetting *of, const forgotten_table *table)
{
    stele_status status = STELE_OK;
    of->place = INT64_MIN;
    of->done = false;
    stele__work_part(&of->work, table->doing, 0);
    while (status == STELE_OK && !of->done) {
        status = scan_old(of, table->scan);
        if (status == STELE_OK && of->id_count > 0)
            status = forget_some(of, table);
        if (status == STELE_OK)
            status = stele__work_step(&of->work, of->id_count, of->id_count * sizeof(int64_t));
    }
    return status;
}

static stele_status forget_old(state_forgetting *of)
{
    /* Write ids first: an entry's rest stays as long as one of them. */
    static const forgotten_table tables[] = {
        { "forgetting write ids",
          "SELECT id, written_at FROM state_writes WHERE id > ?1 ORDER BY id LIMIT ?2",
          forget_write },
        { "forgetting deleted entries",
          "SELECT id, CASE WHEN data IS NULL THEN updated_at END FROM state WHERE id > ?1"
          " ORDER BY id LIMIT ?2",
          forget_entry },
    };
    uint32_t asked = of->work.options.step_count_max;
    of->looked_max = asked < FORGET_STEP_MAX ? asked : FORGET_STEP_MAX;
    of->ids = stele__allocate_array(of->looked_max, sizeof(*of->ids));
    if (of->ids == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a step of %" PRIu32, of->looked_max);
    stele_status status = forget_in_table(of, &tables[0]);
    if (status == STELE_OK)
        status = forget_in_table(of, &tables[1]);
    stele__free(of->ids);
    return status;
}

stele_status stele_state_forget(stele_store *store, int64_t before, const stele_work *work,
                                int64_t *count_out)
{
    state_forgetting of = { .store = store, .before = before };
    if (count_out != NULL)
        *count_out = 0;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__work_begin(&of.work, store, work);
    if (status == STELE_OK)
        status = stele__write_check(store);
    if (status == STELE_OK)
        status = forget_old(&of);
    stele__store_leave(store);
    if (count_out != NULL)
        *count_out = of.count;
    return status;
}
