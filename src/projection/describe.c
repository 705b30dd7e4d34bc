/* Descriptions of projections: checking and copying them, and calling their functions. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "projection/own.h"
#include "store/schema.h"

void stele_projection_init(stele_projection *projection)
{
    *projection = (stele_projection)STELE_PROJECTION_INIT;
}

/* --- Checking --- */

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* "_b7": what a build is called by. */
static bool ends_like_suffix(const char *table)
{
    size_t size = strlen(table);
    size_t digits = 0;
    while (digits < size && is_digit(table[size - 1 - digits]))
        digits++;
    return digits > 0 && size >= digits + 2 && table[size - digits - 2] == '_'
           && (table[size - digits - 1] == 'b' || table[size - digits - 1] == 'B');
}

static stele_status check_projected_table(const char *table)
{
    if (table == NULL)
        return stele__fail(STELE_MISUSE, "a table of the projection is NULL");
    size_t size = strlen(table);
    bool good = size >= 1 && size <= STELE_PROJECTION_TABLE_MAX && is_letter(table[0]);
    for (size_t i = 0; i < size && good; i++)
        good = is_letter(table[i]) || is_digit(table[i]);
    if (!good)
        return stele__fail(STELE_MISUSE, "'%s' is no name for a table of a projection", table);
    if (ends_like_suffix(table))
        return stele__fail(STELE_MISUSE, "the table name '%s' ends like a suffix", table);
    /* They are dropped and renamed by SQL of ours, which may do that to any. */
    if (stele__schema_is_ours(table))
        return stele__fail(STELE_MISUSE, "the table '%s' is the library's", table);
    return STELE_OK;
}

static stele_status check_projected_tables(const stele_projection *projection)
{
    if (projection->table_count > STELE_PROJECTION_TABLES_MAX)
        return stele__fail(STELE_MISUSE, "%zu tables, beyond %d", projection->table_count,
                           STELE_PROJECTION_TABLES_MAX);
    if (projection->table_count > 0 && projection->tables == NULL)
        return stele__fail(STELE_MISUSE, "tables is NULL, table_count %zu",
                           projection->table_count);
    for (size_t i = 0; i < projection->table_count; i++) {
        stele_status status = check_projected_table(projection->tables[i]);
        if (status != STELE_OK)
            return status;
        for (size_t j = 0; j < i; j++)
            if (strcmp(projection->tables[i], projection->tables[j]) == 0)
                return stele__fail(STELE_MISUSE, "the table '%s' is there twice",
                                   projection->tables[i]);
    }
    return STELE_OK;
}

static stele_status check_projection(const stele_projection *projection)
{
    stele_status status =
        stele__check_name_within("projection", projection->name, STELE_PROJECTION_NAME_MAX);
    if (status != STELE_OK)
        return status;
    if (projection->name[0] == '$')
        return stele__fail(STELE_MISUSE, "the projection name '%s' is the library's",
                           projection->name);
    if (projection->version < 1)
        return stele__fail(STELE_MISUSE, "the projection '%s' has version %" PRId64,
                           projection->name, projection->version);
    if (projection->project == NULL)
        return stele__fail(STELE_MISUSE, "the projection '%s' has no function to project",
                           projection->name);
    if (projection->type_count > 0 && projection->types == NULL)
        return stele__fail(STELE_MISUSE, "types is NULL, type_count %zu", projection->type_count);
    for (size_t i = 0; i < projection->type_count && status == STELE_OK; i++)
        status = stele__check_name("type", projection->types[i]);
    if (status == STELE_OK && projection->category != NULL) {
        status = stele__check_name("category", projection->category);
        if (status == STELE_OK && strchr(projection->category, '-') != NULL)
            status = stele__fail(STELE_MISUSE, "the category '%s' has a '-'", projection->category);
    }
    if (status == STELE_OK && projection->prefix != NULL)
        status = stele__check_name("prefix", projection->prefix);
    return status == STELE_OK ? check_projected_tables(projection) : status;
}

/* --- Copying --- */

static const char *const *copy_texts(const char *const *texts, size_t count, bool *failed)
{
    if (count == 0 || *failed)
        return NULL;
    char **copies = stele__allocate_array(count, sizeof(*copies));
    *failed = copies == NULL;
    for (size_t i = 0; i < count && !*failed; i++) {
        copies[i] = stele__copy_text(texts[i]);
        *failed = copies[i] == NULL;
    }
    return (const char *const *)copies;
}

static const char *copy_optional(const char *text, bool *failed)
{
    char *copy = stele__copy_text(text);
    *failed |= text != NULL && copy == NULL;
    return copy;
}

stele_status stele__projection_take(const stele_projection *given, stele_projection *taken_out)
{
    stele_projection projection = STELE_PROJECTION_INIT;
    *taken_out = projection;
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "projection is NULL");
    stele_status status =
        stele__options_take("stele_projection", given, &projection, sizeof(projection));
    if (status == STELE_OK)
        status = check_projection(&projection);
    if (status != STELE_OK)
        return status;
    bool failed = false;
    *taken_out = projection;
    taken_out->name = copy_optional(projection.name, &failed);
    taken_out->category = copy_optional(projection.category, &failed);
    taken_out->prefix = copy_optional(projection.prefix, &failed);
    taken_out->types = copy_texts(projection.types, projection.type_count, &failed);
    taken_out->tables = copy_texts(projection.tables, projection.table_count, &failed);
    if (!failed)
        return STELE_OK;
    stele__projection_dispose(taken_out);
    return stele__fail(STELE_NO_MEMORY, "no memory for a projection");
}

/* All of these were copied. */
static void free_text(const char *text)
{
    stele__free((char *)text);
}

static void free_texts(const char *const *texts, size_t count)
{
    for (size_t i = 0; texts != NULL && i < count; i++)
        free_text(texts[i]);
    stele__free((char **)texts);
}

void stele__projection_dispose(stele_projection *taken)
{
    free_texts(taken->types, taken->type_count);
    free_texts(taken->tables, taken->table_count);
    free_text(taken->name);
    free_text(taken->category);
    free_text(taken->prefix);
    *taken = (stele_projection)STELE_PROJECTION_INIT;
}

/* --- What it is about --- */

bool stele__projection_wants(const stele_projection *projection, const stele_record *record)
{
    const char *stream = record->stream;
    if (stream[0] == '$' && !projection->system)
        return false;
    if (projection->prefix != NULL
        && strncmp(stream, projection->prefix, strlen(projection->prefix)) != 0)
        return false;
    if (projection->category != NULL) {
        size_t size = strlen(projection->category);
        if (strncmp(stream, projection->category, size) != 0
            || (stream[size] != '\0' && stream[size] != '-'))
            return false;
    }
    bool wanted = projection->type_count == 0;
    for (size_t i = 0; i < projection->type_count && !wanted; i++)
        wanted = strcmp(projection->types[i], record->type) == 0;
    return wanted;
}

void stele__projection_filter(const stele_projection *projection, stele_read *read)
{
    read->types = projection->types;
    read->type_count = projection->type_count;
    read->category = projection->category;
    read->prefix = projection->prefix;
    read->system = projection->system;
}

void stele__projection_list_tables(const stele_projection *projection,
                                   char list_out[STELE__TABLE_LIST_SIZE])
{
    size_t used = 0;
    list_out[0] = '\0';
    for (size_t i = 0; i < projection->table_count; i++)
        used += (size_t)snprintf(list_out + used, STELE__TABLE_LIST_SIZE - used, "%s%s",
                                 i == 0 ? "" : ",", projection->tables[i]);
}

void stele__suffix_of_build(int64_t build, char suffix_out[STELE__SUFFIX_SIZE])
{
    suffix_out[0] = '\0';
    if (build > 0)
        snprintf(suffix_out, STELE__SUFFIX_SIZE, "_b%" PRId64, build);
}

void stele__name_of_build(const char *name, char place_out[STELE__BUILD_NAME_SIZE])
{
    snprintf(place_out, STELE__BUILD_NAME_SIZE, STELE__BUILD_PREFIX "%s", name);
}

/* --- Calling it --- */

void stele__projecting_begin(stele__projecting *projecting, const stele_projection *projection,
                             stele_transaction *transaction, const char *suffix)
{
    *projecting = (stele__projecting){
        .lent = { .store = transaction->store,
                  .transaction = transaction,
                  .name = projection->name,
                  .suffix = suffix },
        .projection = projection,
    };
}

/* Its answer, with a text of ours around its own. News is none here. */
static stele_status judge_answer(const stele_transaction *transaction, stele_status status)
{
    if (transaction->doom != STELE_OK)
        return transaction->doom;
    if (status >= STELE_OK)
        return STELE_OK;
    if (stele_error_text()[0] == '\0')
        stele__fail(status, "%s", stele_status_text(status));
    return status;
}

stele_status stele__projecting_fold(stele__projecting *projecting, const stele_record *record,
                                    bool effects)
{
    const stele_projection *projection = projecting->projection;
    stele_transaction *transaction = projecting->lent.transaction;
    projecting->lent.effects = effects;
    stele__restore_error("");
    transaction->held = true;
    stele_status status = projection->project(projection->context, record, &projecting->lent);
    transaction->held = false;
    status = judge_answer(transaction, status);
    if (status == STELE_OK)
        return STELE_OK;
    return stele__fail_within(status,
                              "the projection '%s' can't fold '%s' of '%s', position %" PRId64,
                              projection->name, record->type, record->stream, record->position);
}

stele_status stele__projecting_setup(stele__projecting *projecting)
{
    const stele_projection *projection = projecting->projection;
    if (projection->setup == NULL)
        return STELE_OK;
    stele_transaction *transaction = projecting->lent.transaction;
    stele__restore_error("");
    transaction->held = true;
    stele_status status = projection->setup(projection->context, &projecting->lent);
    transaction->held = false;
    status = judge_answer(transaction, status);
    if (status == STELE_OK)
        return STELE_OK;
    return stele__fail_within(status, "the tables of the projection '%s' can't be set up",
                              projection->name);
}

stele_status stele_projecting_table(const stele_projecting *projecting, const char *table,
                                    char name_out[STELE_TABLE_NAME_SIZE])
{
    if (name_out == NULL)
        return stele__fail(STELE_MISUSE, "name_out is NULL");
    name_out[0] = '\0';
    if (projecting == NULL || table == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", table == NULL ? "table" : "projecting");
    const stele__projecting *of = (const stele__projecting *)(const void *)projecting;
    for (size_t i = 0; i < of->projection->table_count; i++)
        if (strcmp(of->projection->tables[i], table) == 0) {
            snprintf(name_out, STELE_TABLE_NAME_SIZE, "%s%s", table, projecting->suffix);
            return STELE_OK;
        }
    return stele__fail(STELE_MISUSE, "'%s' is no table that the projection '%s' has named", table,
                       projecting->name);
}
