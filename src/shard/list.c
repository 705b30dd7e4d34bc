/* Listing shards and organisations. */
#include <stele/shard_list.h>

#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "shard/scan.h"

typedef struct shard_list_row {
    size_t organisation_at; /* in the texts */
    size_t name_at;
    size_t path_at; /* behind the root, with its slash */
    bool moved;
    bool moving;
} shard_list_row;

struct stele_shard_list {
    stele_shards *shards; /* held */
    bool of_organisations;
    stele__buffer texts;
    stele__buffer rows;
    size_t row_next; /* in bytes of `rows` */
    stele_shard_entry lent;
    char path[STELE__SHARD_PATH_MAX]; /* of it */
};

void stele_shards_read_init(stele_shards_read *read)
{
    *read = (stele_shards_read)STELE_SHARDS_READ_INIT;
}

bool stele__has_prefix(const char *name, const char *prefix)
{
    return prefix == NULL || strncmp(name, prefix, strlen(prefix)) == 0;
}

stele_status stele__shards_read_take(const stele_shards_read *given, stele_shards_read *read)
{
    *read = (stele_shards_read)STELE_SHARDS_READ_INIT;
    stele_status status = stele__options_take("stele_shards_read", given, read, sizeof(*read));
    if (status == STELE_OK && read->organisation != NULL)
        status = stele__check_organisation(read->organisation);
    if (status == STELE_OK && read->after_organisation != NULL)
        status = stele__check_organisation(read->after_organisation);
    if (status == STELE_OK && read->after_namespace != NULL)
        status = stele__check_namespace(read->after_namespace);
    if (status == STELE_OK && read->prefix != NULL && strlen(read->prefix) > STELE_SHARD_NAME_MAX)
        status = stele__fail(STELE_TOO_LARGE, "the prefix has %zu bytes, and at most %d go",
                             strlen(read->prefix), STELE_SHARD_NAME_MAX);
    if (status == STELE_OK && read->after_organisation == NULL)
        read->after_organisation = read->after_namespace == NULL ? NULL : read->organisation;
    if (status == STELE_OK && read->after_namespace != NULL && read->after_organisation == NULL)
        status = stele__fail(STELE_MISUSE, "after_namespace '%s' is of no organisation",
                             read->after_namespace);
    return status;
}

/* --- Reading --- */

static bool list_is_full(const stele_shard_list *list, const stele_shards_read *read)
{
    return read->limit > 0 && list->rows.size / sizeof(shard_list_row) >= read->limit;
}

static stele_status add_list_text(stele_shard_list *list, const char *text, size_t *at_out)
{
    *at_out = list->texts.size;
    return stele__buffer_add(&list->texts, text, strlen(text) + 1);
}

static stele_status add_list_row(stele_shard_list *list, const char *organisation, const char *path,
                                 const stele__scan_row *of)
{
    const char *name_space = list->of_organisations ? "" : of->name;
    shard_list_row row = { .moved = of->moved, .moving = of->moving };
    stele_status status = add_list_text(list, organisation, &row.organisation_at);
    if (status == STELE_OK)
        status = add_list_text(list, name_space, &row.name_at);
    if (status == STELE_OK)
        status = add_list_text(list, path, &row.path_at);
    return status == STELE_OK ? stele__buffer_add(&list->rows, &row, sizeof(row)) : status;
}

static stele_status list_namespaces(stele_shard_list *list, const stele_shards_read *read,
                                    const stele__scan_row *organisation)
{
    char folder[STELE__SHARD_PATH_MAX];
    char path[2 * STELE__COMPONENT_MAX + 8];
    stele__scan scan = { 0 };
    bool at_after = read->after_organisation != NULL
                    && strcmp(organisation->name, read->after_organisation) == 0;
    snprintf(folder, sizeof(folder), "%s/%s", list->shards->root, organisation->component);
    stele_status status = stele__scan_namespaces(list->shards, folder, &scan);
    for (size_t i = 0; i < scan.count && status == STELE_OK && !list_is_full(list, read); i++) {
        const stele__scan_row *row = &scan.rows[i];
        if (!stele__has_prefix(row->name, read->prefix)
            || (at_after && strcmp(row->name, read->after_namespace) <= 0))
            continue;
        snprintf(path, sizeof(path), "/%s/%s.db", organisation->component, row->component);
        status = add_list_row(list, organisation->name, path, row);
    }
    stele__scan_dispose(&scan);
    return status;
}

/* Behind an organisation without a namespace is behind all its shards. */
static bool is_organisation_wanted(const stele_shard_list *list, const stele_shards_read *read,
                                   const char *name)
{
    int order = read->after_organisation == NULL ? 1 : strcmp(name, read->after_organisation);
    if (list->of_organisations)
        return order > 0 && stele__has_prefix(name, read->prefix);
    if (read->organisation != NULL && strcmp(name, read->organisation) != 0)
        return false;
    return order > 0 || (order == 0 && read->after_namespace != NULL);
}

static stele_status list_organisation(stele_shard_list *list, const stele_shards_read *read,
                                      const stele__scan_row *row)
{
    char path[STELE__COMPONENT_MAX + 2];
    if (!is_organisation_wanted(list, read, row->name))
        return STELE_OK;
    if (!list->of_organisations)
        return list_namespaces(list, read, row);
    snprintf(path, sizeof(path), "/%s", row->component);
    return add_list_row(list, row->name, path, row);
}

static stele_status read_folders(stele_shard_list *list, const stele_shards_read *read)
{
    stele__scan scan = { 0 };
    stele_status status = stele__scan_organisations(list->shards, &scan);
    for (size_t i = 0; i < scan.count && status == STELE_OK && !list_is_full(list, read); i++)
        status = list_organisation(list, read, &scan.rows[i]);
    stele__scan_dispose(&scan);
    return status;
}

static stele_status open_shard_list(stele_shards *shards, const stele_shards_read *given,
                                    bool of_organisations, stele_shard_list **list_out)
{
    stele_shards_read read;
    if (list_out == NULL)
        return stele__fail(STELE_MISUSE, "list_out is NULL");
    *list_out = NULL;
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    status = stele__shards_read_take(given, &read);
    stele_shard_list *list = NULL;
    if (status == STELE_OK) {
        list = stele__allocate_array(1, sizeof(*list));
        if (list == NULL)
            status = stele__fail(STELE_NO_MEMORY, "no memory for a list of shards");
    }
    if (status == STELE_OK) {
        list->shards = shards;
        list->of_organisations = of_organisations;
        stele__shards_hold(shards);
        status = read_folders(list, &read);
        if (status == STELE_OK)
            *list_out = list;
        else
            stele_shard_list_close(list);
    }
    stele__shards_leave(shards);
    return status;
}

stele_status stele_shards_list(stele_shards *shards, const stele_shards_read *read,
                               stele_shard_list **list_out)
{
    return open_shard_list(shards, read, false, list_out);
}

stele_status stele_shards_organisations(stele_shards *shards, const stele_shards_read *read,
                                        stele_shard_list **list_out)
{
    return open_shard_list(shards, read, true, list_out);
}

/* --- Handing out --- */

/* There are few slots: their number is that of open stores. */
static bool is_open_here(stele_shards *shards, const char *organisation, const char *name_space)
{
    bool open = false;
    pthread_mutex_lock(&shards->mutex);
    for (size_t i = 0; i < shards->chain_count && !open; i++)
        for (const stele__shard_slot *slot = shards->chains[i]; slot != NULL && !open;
             slot = slot->next)
            open = slot->state == STELE__ENTRY_OPEN && strcmp(slot->name_space, name_space) == 0
                   && strcmp(slot->organisation, organisation) == 0;
    pthread_mutex_unlock(&shards->mutex);
    return open;
}

stele_status stele_shard_list_next(stele_shard_list *list, const stele_shard_entry **entry_out)
{
    shard_list_row row;
    if (entry_out != NULL)
        *entry_out = NULL;
    if (list == NULL || entry_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", list == NULL ? "list" : "entry_out");
    stele_status status = stele__shards_enter(list->shards);
    if (status != STELE_OK)
        return status;
    if (list->row_next == list->rows.size) {
        status = STELE_DONE;
    } else {
        memcpy(&row, list->rows.data + list->row_next, sizeof(row));
        list->row_next += sizeof(row);
        list->lent = (stele_shard_entry){ .organisation = list->texts.data + row.organisation_at,
                                          .name_space = list->texts.data + row.name_at,
                                          .path = list->path,
                                          .moved = row.moved,
                                          .moving = row.moving };
        snprintf(list->path, sizeof(list->path), "%s%s", list->shards->root,
                 list->texts.data + row.path_at);
        if (!list->of_organisations)
            list->lent.open =
                is_open_here(list->shards, list->lent.organisation, list->lent.name_space);
        *entry_out = &list->lent;
    }
    stele__shards_leave(list->shards);
    return status;
}

void stele_shard_list_close(stele_shard_list *list)
{
    if (list == NULL)
        return;
    stele__buffer_dispose(&list->texts);
    stele__buffer_dispose(&list->rows);
    stele__shards_release(list->shards);
    stele__free(list);
}
