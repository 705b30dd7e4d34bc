/* What the store knows of a projection: an entry, whose attributes say it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "eventstore/inline.h"
#include "projection/own.h"
#include "state/own.h"

/* The numbers of a row, by the names of their attributes. */
typedef struct row_number {
    const char *name;
    size_t offset;
} row_number;

static const row_number row_numbers[] = {
    { "version", offsetof(stele__projection_row, version) },
    { "builds", offsetof(stele__projection_row, builds) },
    { "build", offsetof(stele__projection_row, build) },
    { "build_version", offsetof(stele__projection_row, build_version) },
    { "replay_to", offsetof(stele__projection_row, replay_to) },
};

#define ROW_NUMBER_COUNT (sizeof(row_numbers) / sizeof(row_numbers[0]))

static int64_t *number_at(stele__projection_row *row, size_t index)
{
    return (int64_t *)(void *)((char *)row + row_numbers[index].offset);
}

static stele_status refuse_row(const char *name, const char *what)
{
    return stele__fail(STELE_CORRUPT, "the record of the projection '%s' has no good '%s'", name,
                       what);
}

static bool take_list(const char *text, char list_out[STELE__TABLE_LIST_SIZE])
{
    if (text == NULL || strlen(text) >= STELE__TABLE_LIST_SIZE)
        return false;
    snprintf(list_out, STELE__TABLE_LIST_SIZE, "%s", text);
    /* It becomes part of SQL. */
    for (; *text != '\0'; text++)
        if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || *text == '_'
              || *text == ',' || (*text >= '0' && *text <= '9')))
            return false;
    return true;
}

static stele_status read_projection_row(const char *name, const stele_entry *entry,
                                        stele__projection_row *row)
{
    *row = (stele__projection_row){ .found = entry->found };
    if (!entry->found)
        return STELE_OK;
    for (size_t i = 0; i < ROW_NUMBER_COUNT; i++) {
        const char *text = stele_entry_attribute(entry, row_numbers[i].name);
        int64_t number = 0;
        if (text == NULL || !stele__take_number(&text, &number) || *text != '\0' || number < 0)
            return refuse_row(name, row_numbers[i].name);
        *number_at(row, i) = number;
    }
    const char *kind = stele_entry_attribute(entry, "kind");
    row->with_append = kind != NULL && strcmp(kind, "inline") == 0;
    if (kind == NULL || (!row->with_append && strcmp(kind, "async") != 0))
        return refuse_row(name, "kind");
    if (!take_list(stele_entry_attribute(entry, "tables"), row->tables))
        return refuse_row(name, "tables");
    if (!take_list(stele_entry_attribute(entry, "build_tables"), row->build_tables))
        return refuse_row(name, "build_tables");
    return STELE_OK;
}

stele_status stele__projection_row_load(stele_transaction *transaction, const char *name,
                                        stele__projection_row *row_out)
{
    const stele_entry *entry = NULL;
    *row_out = (stele__projection_row){ 0 };
    stele_status status =
        stele_transaction_state_get(transaction, STELE__PROJECTION_SCOPE, name, &entry);
    if (status == STELE_OK)
        status = read_projection_row(name, entry, row_out);
    stele_entry_close(entry);
    return status;
}

stele_status stele__projection_row_read(stele_store *store, const char *name,
                                        stele__projection_row *row_out)
{
    const stele_entry *entry = NULL;
    *row_out = (stele__projection_row){ 0 };
    stele_status status = stele_state_get(store, STELE__PROJECTION_SCOPE, name, &entry);
    if (status == STELE_OK)
        status = read_projection_row(name, entry, row_out);
    stele_entry_close(entry);
    return status;
}

stele_status stele__projection_row_look(stele__connection *connection, const char *name,
                                        stele__projection_row *row_out)
{
    const stele_entry *entry = NULL;
    *row_out = (stele__projection_row){ 0 };
    stele_status status = stele__entry_look(connection, STELE__PROJECTION_SCOPE, name, &entry);
    if (status == STELE_OK)
        status = read_projection_row(name, entry, row_out);
    stele_entry_close(entry);
    return status;
}

stele_status stele__projection_row_store(stele_transaction *transaction, const char *name,
                                         const stele__projection_row *row)
{
    char texts[ROW_NUMBER_COUNT][24];
    stele__projection_row copy = *row;
    stele_attribute attributes[ROW_NUMBER_COUNT + 3];
    for (size_t i = 0; i < ROW_NUMBER_COUNT; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%" PRId64, *number_at(&copy, i));
        attributes[i] = (stele_attribute){ row_numbers[i].name, texts[i] };
    }
    attributes[ROW_NUMBER_COUNT] =
        (stele_attribute){ "kind", row->with_append ? "inline" : "async" };
    attributes[ROW_NUMBER_COUNT + 1] = (stele_attribute){ "tables", row->tables };
    attributes[ROW_NUMBER_COUNT + 2] = (stele_attribute){ "build_tables", row->build_tables };
    stele_put put = STELE_PUT_INIT;
    put.scope = STELE__PROJECTION_SCOPE;
    put.key = name;
    put.data = "";
    put.attributes = attributes;
    put.attribute_count = ROW_NUMBER_COUNT + 3;
    /* What is known of it in memory isn't so any more. */
    transaction->store->writer.revision++;
    return stele__transaction_own_put(transaction, &put, NULL);
}

static stele_status remove_entry(stele_transaction *transaction, const char *scope,
                                 const char *name)
{
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = scope;
    what.key = name;
    return stele__transaction_own_delete(transaction, &what, NULL);
}

stele_status stele__projection_row_remove(stele_transaction *transaction, const char *name)
{
    return remove_entry(transaction, STELE__PROJECTION_SCOPE, name);
}

stele_status stele__projection_mark(stele_transaction *transaction, const char *name, bool kept)
{
    stele_status status = STELE_OK;
    if (kept) {
        stele_put put = STELE_PUT_INIT;
        put.scope = STELE__INLINE_SCOPE;
        put.key = name;
        put.data = "";
        status = stele__transaction_own_put(transaction, &put, NULL);
    } else {
        status = remove_entry(transaction, STELE__INLINE_SCOPE, name);
    }
    /* What was looked up before isn't so any more. */
    transaction->store->writer.revision++;
    return status;
}

stele_status stele__projection_row_check(const stele__projection_row *row,
                                         const stele_projection *projection, bool with_append,
                                         bool placed)
{
    if (row->version != projection->version)
        return stele__fail(STELE_CONFLICT,
                           "the tables of the projection '%s' are of version %" PRId64
                           ", this code of version %" PRId64 ": rebuild it",
                           projection->name, row->version, projection->version);
    if (row->with_append != with_append)
        return stele__fail(STELE_CONFLICT, "the projection '%s' is kept %s, asked for is %s",
                           projection->name, row->with_append ? "inline" : "async",
                           with_append ? "inline" : "async");
    if (!placed)
        return stele__fail(STELE_CONFLICT,
                           "the checkpoint of the projection '%s' is gone: nobody knows how far its"
                           " tables are: rebuild it",
                           projection->name);
    return STELE_OK;
}
