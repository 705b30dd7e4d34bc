/* Where a shard has gone: three lines, "stele-moved 1", a path, and 16 digits of its hash. */
#include "shard/shard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/platform.h"

#define MOVED_MAX (STELE__FENCE_WHERE_MAX + 40)

static size_t format_moved(const char *where, char out[MOVED_MAX])
{
    int size = snprintf(out, MOVED_MAX, "stele-moved 1\n%s\n%016" PRIx64 "\n", where,
                        stele__hash(where, strlen(where)));
    return (size_t)size;
}

stele_status stele__shard_moved_write(const char *path, const char *where)
{
    char text[MOVED_MAX];
    char fresh[STELE__SHARD_PATH_MAX];
    int descriptor = -1;
    if (strlen(where) > STELE__FENCE_WHERE_MAX || strchr(where, '\n') != NULL)
        return stele__fail(STELE_MISUSE, "the place '%s' is too long, or has a line end", where);
    if (snprintf(fresh, sizeof(fresh), "%s-new", path) >= (int)sizeof(fresh))
        return stele__fail(STELE_TOO_LARGE, "the path '%s' is too long", path);
    size_t size = format_moved(where, text);
    stele_status status = stele__remove_file(fresh); /* of one who was cut short */
    if (status == STELE_OK)
        status = stele__small_file_open(fresh, true, 0, &descriptor);
    if (status != STELE_OK)
        return status;
    status = stele__small_file_write(descriptor, fresh, 0, text, size);
    stele__small_file_close(descriptor);
    if (status == STELE_OK)
        status = stele__rename(fresh, path);
    return status == STELE_OK ? stele__sync_folder(path) : status;
}

stele_status stele__shard_moved_read(const char *path, char where_out[STELE__FENCE_WHERE_MAX + 1])
{
    char text[MOVED_MAX + 1];
    char again[MOVED_MAX];
    size_t size = 0;
    where_out[0] = '\0';
    stele_status status = stele__file_peek(path, text, sizeof(text) - 1, &size);
    if (status != STELE_OK)
        return status;
    text[size] = '\0';
    const char *at = text;
    const char *end = NULL;
    if (stele__take_text(&at, "stele-moved 1\n"))
        end = strchr(at, '\n');
    if (end != NULL && end - at <= STELE__FENCE_WHERE_MAX) {
        memcpy(where_out, at, (size_t)(end - at));
        where_out[end - at] = '\0';
        if (format_moved(where_out, again) == size && memcmp(again, text, size) == 0)
            return STELE_OK;
    }
    where_out[0] = '\0';
    return stele__fail(STELE_CORRUPT, "'%s' should hold a path, and doesn't", path);
}

stele_status stele__shard_has_moved(const stele__shard_place *place)
{
    char path[STELE__SHARD_PATH_MAX];
    char where[STELE__FENCE_WHERE_MAX + 1];
    stele__shard_place_beside(place, ".moved", path);
    stele_status status = stele__shard_moved_read(path, where);
    if (status != STELE_OK)
        return status;
    return stele__fail(STELE_MOVED, "the shard has moved to '%s'", where);
}

stele_status stele__shard_place_judge(const stele__shard_place *place)
{
    if (place->arriving)
        return stele__fail(STELE_BUSY, "'%s' is just being moved here", place->path);
    return place->moved ? stele__shard_has_moved(place) : STELE_OK;
}
