/* The codecs of a store. */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "codec/registry.h"

static const stele_codec *codec_at(const stele__registry *registry, size_t index)
{
    switch (index) {
    case 0: return stele_codec_json();
    case 1: return stele_codec_cbor();
    case 2: return stele_codec_raw();
    default: return index - 3 < registry->codecs.count ? registry->codecs.items[index - 3] : NULL;
    }
}

/* They are few, and the first is the usual one. */
const stele_codec *stele__codec_find(const stele__registry *registry, const char *name)
{
    const stele_codec *codec;
    for (size_t i = 0; (codec = codec_at(registry, i)) != NULL; i++)
        if (strcmp(codec->name, name) == 0)
            return codec;
    return NULL;
}

const stele_codec *stele__codec_to_write(const stele__registry *registry)
{
    return registry->write_codec != NULL ? registry->write_codec : stele_codec_json();
}

/* The codec and its name in one block. */
static stele_codec *copy_codec(const stele_codec *codec)
{
    size_t size = strlen(codec->name) + 1;
    stele_codec *copy = stele__allocate(sizeof(*copy) + size);
    if (copy == NULL)
        return NULL;
    char *name = (char *)(copy + 1);
    memcpy(name, codec->name, size);
    *copy = *codec;
    copy->name = name;
    return copy;
}

static stele_status add_codec(stele__registry *registry, const stele_codec *codec)
{
    if (stele__codec_find(registry, codec->name) != NULL)
        return stele__fail(STELE_MISUSE, "the codec '%s' is known already", codec->name);
    stele_codec *copy = copy_codec(codec);
    if (copy == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the codec '%s'", codec->name);
    stele_status status = stele__list_add(&registry->codecs, copy);
    if (status != STELE_OK)
        stele__free(copy);
    return status;
}

stele_status stele_store_register_codec(stele_store *store, const stele_codec *codec)
{
    stele_codec taken = STELE_CODEC_INIT;
    stele__registry *registry = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    if (codec == NULL)
        status = stele__fail(STELE_MISUSE, "the codec is NULL");
    else
        status = stele__options_take("stele_codec", codec, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = stele__check_name("codec", taken.name);
    if (status == STELE_OK) {
        status = stele__registry_begin(store, &registry);
        if (status == STELE_OK)
            status = add_codec(registry, &taken);
        stele__registry_done(store);
    }
    stele__store_leave(store);
    return status;
}

static stele_status set_write_codec(stele__registry *registry, const char *name)
{
    const stele_codec *codec = stele__codec_find(registry, name);
    if (codec == NULL)
        return stele__fail(STELE_UNSUPPORTED, "the codec '%s' isn't known", name);
    if (codec->encode == NULL)
        return stele__fail(STELE_UNSUPPORTED, "the codec '%s' encodes nothing", name);
    registry->write_codec = codec;
    return STELE_OK;
}

stele_status stele_store_write_codec(stele_store *store, const char *name)
{
    stele__registry *registry = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    if (name == NULL) {
        status = stele__fail(STELE_MISUSE, "the name is NULL");
    } else {
        status = stele__registry_begin(store, &registry);
        if (status == STELE_OK)
            status = set_write_codec(registry, name);
        stele__registry_done(store);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_store_codec(stele_store *store, const char *name, const stele_codec **codec_out)
{
    if (codec_out == NULL)
        return stele__fail(STELE_MISUSE, "codec_out is NULL");
    *codec_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    if (name == NULL)
        status = stele__fail(STELE_MISUSE, "the name is NULL");
    else
        *codec_out = stele__codec_find(stele__registry_use(store), name);
    if (status == STELE_OK && *codec_out == NULL)
        status = stele__fail(STELE_UNSUPPORTED, "the codec '%s' isn't known", name);
    stele__store_leave(store);
    return status;
}

stele_status stele_store_codec_at(stele_store *store, size_t index, const char **name_out)
{
    if (name_out == NULL)
        return stele__fail(STELE_MISUSE, "name_out is NULL");
    *name_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    const stele_codec *codec = codec_at(stele__registry_use(store), index);
    if (codec != NULL)
        *name_out = codec->name;
    else
        status = STELE_DONE;
    stele__store_leave(store);
    return status;
}

stele_status stele_store_check_payload(stele_store *store, const char *name, const void *data,
                                       size_t size, uint32_t size_max)
{
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    if (data == NULL && size > 0)
        status = stele__fail(STELE_MISUSE, "data is NULL, size is %zu", size);
    else
        status = stele__codec_check(
            stele__codec_find(stele__registry_use(store), name == NULL ? "json" : name), data, size,
            size_max);
    stele__store_leave(store);
    return status;
}
