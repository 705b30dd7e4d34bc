#include "backup/destination.h"

#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"

/* `path` with `suffix`; freed by the caller, NULL without memory. */
static char *join_suffix(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *joined = stele__allocate(size);
    if (joined != NULL)
        snprintf(joined, size, "%s%s", path, suffix);
    return joined;
}

/* What lay beside another store would be taken for the new one's. */
static stele_status refuse_existing(const char *path)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal", "-anchor" };
    stele_status status = STELE_OK;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]) && status == STELE_OK; i++) {
        stele__file_facts facts = { 0 };
        char *name = join_suffix(path, suffixes[i]);
        if (name == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", path);
        status = stele__look_at_file(name, &facts);
        if (status == STELE_OK && facts.exists)
            status = stele__fail(STELE_MISUSE, "'%s' exists, and nothing is written over", name);
        stele__free(name);
    }
    return status;
}

stele_status stele__destination_open(stele__destination *destination, const char *path)
{
    *destination = (stele__destination){ 0 };
    if (path == NULL || *path == '\0')
        return stele__fail(STELE_MISUSE, "the path is %s", path == NULL ? "NULL" : "empty");
    if (strcmp(path, ":memory:") == 0 || strncmp(path, "file:", 5) == 0)
        return stele__fail(STELE_MISUSE, "'%s' names no file: give a plain path", path);
    stele_status status = stele__resolve_path(path, &destination->path);
    if (status == STELE_OK)
        status = refuse_existing(destination->path);
    if (status == STELE_OK
        && (destination->partial = join_suffix(destination->path, "-partial")) == NULL)
        status = stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", path);
    if (status == STELE_OK)
        status = stele__copy_open(destination->partial, &destination->target);
    if (status != STELE_OK)
        stele__destination_close(destination);
    return status;
}

stele_status stele__destination_publish(stele__destination *destination)
{
    /* Its lock is kept until then, so that nobody takes it for left over: but who did so before
     * may come to that only now, and what has its name then is another one's. */
    stele_status status = stele__copy_check_name(destination->target);
    if (status == STELE_OK)
        status = stele__publish_file(destination->partial, destination->path);
    if (status != STELE_OK)
        return status;
    stele__copy_leave(destination->partial, destination->target);
    destination->target = NULL;
    status = stele__sync_folder(destination->path);
    if (status != STELE_OK) {
        char error[STELE__ERROR_SIZE];
        stele__keep_error(error);
        stele__remove_file(destination->path);
        stele__restore_error(error);
    }
    return status;
}

void stele__destination_close(stele__destination *destination)
{
    if (destination->target != NULL)
        stele__copy_discard(destination->partial, destination->target);
    stele__free(destination->partial);
    stele__free(destination->path);
    *destination = (stele__destination){ 0 };
}
