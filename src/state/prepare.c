/* What can be judged of a put or a deletion before the write lock is taken. */
#include <inttypes.h>
#include <string.h>

#include <stele/codec.h>
#include <stele/json.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "state/state.h"
#include "store/sequencer.h"

void stele_put_init(stele_put *put)
{
    *put = (stele_put)STELE_PUT_INIT;
}

void stele_remove_init(stele_remove *remove)
{
    *remove = (stele_remove)STELE_REMOVE_INIT;
}

stele_status stele__check_scope(const char *scope)
{
    return stele__check_name_within("scope", scope, STELE_SCOPE_SIZE_MAX);
}

stele_status stele__check_scope_to_write(const char *scope)
{
    stele_status status = stele__check_scope(scope);
    if (status == STELE_OK && scope[0] == '$' && !stele__is_identity_scope(scope))
        return stele__fail(STELE_MISUSE, "the scope '%s' is the library's", scope);
    return status;
}

/* What both kinds of change have. */
static stele_status check_change(const stele__state_change *change, bool own)
{
    stele_status status =
        own ? stele__check_scope(change->scope) : stele__check_scope_to_write(change->scope);
    if (status == STELE_OK)
        status = stele__check_name("key", change->key);
    if (status == STELE_OK && change->write_id != NULL)
        status = stele__check_name("write id", change->write_id);
    if (status == STELE_OK && change->expected_revision < STELE_ANY)
        status = stele__fail(STELE_MISUSE, "the expected revision %" PRId64 " is none",
                             change->expected_revision);
    return status;
}

/* Is it a value of its codec? For what needs no looking up nothing is: after that it is too late to
 * register a codec. */
static stele_status check_by_name(stele_store *store, const char *codec, const void *data,
                                  size_t size, uint32_t size_max)
{
    if (size == 0 || strcmp(codec, "raw") == 0)
        return STELE_OK;
    if (stele__is_framing(store) && strcmp(codec, "json") != 0 && strcmp(codec, "cbor") != 0)
        return STELE_OK; /* who wrote the frame knew the program's codecs */
    if (strcmp(codec, "json") != 0)
        return stele_store_check_payload(store, codec, data, size, size_max);
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.size_max = size_max;
    return stele_json_check(data, size, &options);
}

static stele_status check_value(stele_store *store, const stele_put *put,
                                stele__state_change *change)
{
    uint32_t size_max =
        stele__is_framing(store) ? STELE__FRAMED_SIZE_MAX : store->options.value_size_max;
    if (put->data == NULL && put->data_size > 0)
        return stele__fail(STELE_MISUSE, "data is NULL, data_size is %zu", put->data_size);
    stele_status status = stele__check_name("codec", change->codec);
    if (status == STELE_OK)
        status = stele__attributes_write(put->attributes, put->attribute_count, put->attribute_size,
                                         size_max, &change->attributes);
    if (status != STELE_OK)
        return status;
    size_t attributes_size = change->attributes.size > 0 ? change->attributes.size - 1 : 0;
    if (put->data_size > size_max || attributes_size > size_max - put->data_size)
        return stele__fail(STELE_TOO_LARGE,
                           "data of %zu and attributes of %zu bytes are beyond value_size_max,"
                           " %" PRIu32,
                           put->data_size, attributes_size, size_max);
    status = check_by_name(store, change->codec, put->data, put->data_size, size_max);
    return status == STELE_OK ? STELE_OK : stele__fail_within(status, "data");
}

/* One number for the whole attempt, so that a retry can be told from a mix-up. */
static int64_t digest_change(const stele__state_change *change)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_text(&digest, change->key);
    stele__digest_number(&digest, change->deletion);
    stele__digest_text(&digest, change->codec);
    stele__digest_bytes(&digest, change->attributes.data, change->attributes.size);
    stele__digest_bytes(&digest, change->data, change->data_size);
    return (int64_t)stele__digest_end(&digest);
}

static void measure_change(stele__state_change *change)
{
    change->request.repeatable = change->write_id != NULL;
    change->request.size = sizeof(*change) + change->data_size + change->attributes.size;
    if (change->write_id != NULL)
        change->digest = digest_change(change);
}

stele_status stele__prepare_put(stele_store *store, const stele_put *put, bool own,
                                stele__state_change *change)
{
    stele_put taken = STELE_PUT_INIT;
    if (put == NULL)
        return stele__fail(STELE_MISUSE, "the put is NULL");
    stele_status status = stele__options_take("stele_put", put, &taken, sizeof(taken));
    if (status != STELE_OK)
        return status;
    change->scope = taken.scope;
    change->key = taken.key;
    change->expected_revision = taken.expected_revision;
    change->codec = taken.codec == NULL ? "raw" : taken.codec;
    change->data = taken.data == NULL ? "" : taken.data;
    change->data_size = taken.data_size;
    change->write_id = taken.write_id;
    change->wait = taken.wait;
    status = check_change(change, own);
    if (status == STELE_OK)
        status = check_value(store, &taken, change);
    if (status == STELE_OK)
        measure_change(change);
    return status;
}

stele_status stele__prepare_remove(const stele_remove *what, bool own, stele__state_change *change)
{
    stele_remove taken = STELE_REMOVE_INIT;
    if (what == NULL)
        return stele__fail(STELE_MISUSE, "what to remove is NULL");
    stele_status status = stele__options_take("stele_remove", what, &taken, sizeof(taken));
    if (status != STELE_OK)
        return status;
    change->deletion = true;
    change->scope = taken.scope;
    change->key = taken.key;
    change->expected_revision = taken.expected_revision;
    change->codec = "";
    change->data = "";
    change->write_id = taken.write_id;
    change->wait = taken.wait;
    status = check_change(change, own);
    if (status == STELE_OK)
        measure_change(change);
    return status;
}

void stele__state_change_dispose(stele__state_change *change)
{
    stele__buffer_dispose(&change->attributes);
}
