/* Handles of projections: what the two kinds share, and what the store knows. */
#include <string.h>

#include "base/memory.h"
#include "projection/own.h"

stele_status stele__projector_make(stele_store *store, const stele_projection *projection,
                                   bool with_append, stele_projector **projector_out)
{
    *projector_out = NULL;
    if (store == NULL)
        return stele__fail(STELE_MISUSE, "the store is NULL");
    stele_status status = stele__store_check(store);
    if (status != STELE_OK)
        return status;
    stele_projector *projector = stele__allocate_array(1, sizeof(*projector));
    if (projector == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a projection");
    status = stele__projection_take(projection, &projector->projection);
    if (status != STELE_OK) {
        stele__free(projector);
        return status;
    }
    projector->store = store;
    projector->with_append = with_append;
    stele__store_hold(store);
    *projector_out = projector;
    return STELE_OK;
}

void stele__projector_free(stele_projector *projector)
{
    if (projector == NULL)
        return;
    stele__projection_dispose(&projector->projection);
    stele__store_release(projector->store);
    stele__free(projector);
}

void stele_projector_close(stele_projector *projector)
{
    if (projector == NULL)
        return;
    if (projector->with_append)
        stele__inline_leave(projector);
    else
        stele__async_close(projector);
}

stele_status stele_projection_describe(stele_store *store, const char *name,
                                       stele_projection_info *info_out)
{
    stele__projection_row row;
    stele_checkpoint checkpoint;
    char build[STELE__BUILD_NAME_SIZE];
    if (info_out == NULL)
        return stele__fail(STELE_MISUSE, "info_out is NULL");
    *info_out = (stele_projection_info){ 0 };
    stele_status status = stele__check_name_within("projection", name, STELE_PROJECTION_NAME_MAX);
    if (status == STELE_OK)
        status = stele__projection_row_read(store, name, &row);
    if (status != STELE_OK || !row.found)
        return status;
    *info_out = (stele_projection_info){ .found = true,
                                         .with_append = row.with_append,
                                         .version = row.version };
    stele__place place = { 0 };
    bool found = false;
    stele__connection *connection = NULL;
    status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = stele__place_load(connection, name, 0, &place, &found);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    info_out->position = found && place.position > 0 ? place.position : 0;
    info_out->effects_after = place.effects_after;
    /* Who follows it may have brought it there, after who rebuilt it in place was gone. */
    info_out->building = row.build > 0 || info_out->position < row.replay_to;
    if (status != STELE_OK || !info_out->building)
        return status;
    info_out->build_version = row.build > 0 ? row.build_version : row.version;
    info_out->build_position = info_out->position;
    info_out->build_to = row.build > 0 ? info_out->position : row.replay_to;
    if (row.build == 0)
        return STELE_OK;
    stele__name_of_build(name, build);
    status = stele_checkpoint_load(store, build, &checkpoint);
    info_out->build_position = checkpoint.position;
    return status == STELE_EPOCH ? STELE_OK : status;
}
