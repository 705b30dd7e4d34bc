/* The names inside the file: a row of `meta`, "<bytes of the organisation> <both names>". */
#include "shard/shard.h"

#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "store/notes.h"

#define IDENTITY_KEY "shard:names"

static stele_status fail_with_identity(void)
{
    return stele__fail(STELE_CORRUPT, "the row '" IDENTITY_KEY "' of meta is damaged");
}

static stele_status parse_identity(const char *text,
                                   char organisation_out[STELE_SHARD_NAME_MAX + 1],
                                   char name_space_out[STELE_SHARD_NAME_MAX + 1])
{
    int64_t size = 0;
    if (!stele__take_number(&text, &size) || !stele__take_text(&text, " "))
        return fail_with_identity();
    size_t left = strlen(text);
    if (size < 0 || size > STELE_SHARD_NAME_MAX || (size_t)size >= left
        || left - (size_t)size > STELE_SHARD_NAME_MAX)
        return fail_with_identity();
    memcpy(organisation_out, text, (size_t)size);
    organisation_out[size] = '\0';
    memcpy(name_space_out, text + size, left - (size_t)size + 1);
    return STELE_OK;
}

stele_status stele__shard_identity_read(stele_store *store, bool *found_out,
                                        char organisation_out[STELE_SHARD_NAME_MAX + 1],
                                        char name_space_out[STELE_SHARD_NAME_MAX + 1])
{
    stele__buffer key = { 0 };
    stele__buffer value = { 0 };
    *found_out = false;
    organisation_out[0] = '\0';
    name_space_out[0] = '\0';
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    /* The row is the only one between these two. */
    status = stele__buffer_add(&key, "shard:", sizeof("shard:"));
    if (status == STELE_OK)
        status = stele__note_next(store, "shard;", &key, &value);
    stele__store_leave(store);
    if (status == STELE_OK) {
        status = parse_identity(value.data, organisation_out, name_space_out);
        *found_out = status == STELE_OK;
    } else if (status == STELE_DONE) {
        status = STELE_OK;
    }
    stele__buffer_dispose(&key);
    stele__buffer_dispose(&value);
    return status;
}

stele_status stele__shard_identity_write(stele__database *database, const char *organisation,
                                         const char *name_space)
{
    char text[2 * STELE_SHARD_NAME_MAX + 40]; /* with the length of the first one */
    snprintf(text, sizeof(text), "%zu %s%s", strlen(organisation), organisation, name_space);
    return stele__meta_write(database, IDENTITY_KEY, text);
}
