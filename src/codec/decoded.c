/* Decoding a record: by its codec, its type, and the upcasters from its schema version. */
#include "codec/decoded.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"

/* What a handle keeps between two records: so many items, each with no more than that. */
#define SPARE_COUNT_MAX 16
#define SPARE_SIZE_MAX  ((size_t)64 * 1024)

/* --- Items --- */

static void free_item(stele__item *item)
{
    stele_buffer_dispose(&item->bytes);
    stele__free(item->memory);
    stele__free(item);
}

stele__item *stele__item_take(stele_decoded *decoded)
{
    stele__item *item = decoded->spare;
    if (item == NULL)
        return stele__allocate_array(1, sizeof(*item));
    decoded->spare = item->next;
    decoded->spare_count--;
    item->next = NULL;
    return item;
}

void stele__item_give(stele_decoded *decoded, stele__item *item)
{
    if (item->held != NULL)
        stele_type_clear(item->held, item->memory);
    item->held = NULL;
    if (decoded->spare_count == SPARE_COUNT_MAX) {
        free_item(item);
        return;
    }
    if (item->memory_size > SPARE_SIZE_MAX) {
        stele__free(item->memory);
        item->memory = NULL;
        item->memory_size = 0;
    }
    if (item->bytes.capacity > SPARE_SIZE_MAX)
        stele_buffer_dispose(&item->bytes);
    item->bytes.size = 0;
    item->next = decoded->spare;
    decoded->spare = item;
    decoded->spare_count++;
}

stele_status stele__item_decode(stele_decoded *decoded, stele__item *item,
                                const stele__registry *registry, const stele__plan *plan)
{
    const stele_type *type = stele__plan_type(plan);
    const stele_codec *codec = stele__codec_find(registry, item->part.codec);
    if (codec == NULL)
        return stele__fail(STELE_UNSUPPORTED, "the codec '%s' isn't known", item->part.codec);
    if (item->memory_size < type->size) {
        void *memory = stele__allocate(type->size);
        if (memory == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for a value of %zu bytes", type->size);
        stele__free(item->memory);
        item->memory = memory;
        item->memory_size = type->size;
    }
    stele_status status = stele__codec_decode(codec, plan, item->part.data, item->part.data_size,
                                              item->memory, &decoded->memory_left, &decoded->flaw);
    if (status != STELE_OK)
        return status;
    item->held = type;
    item->part.codec = codec->name;
    item->part.value = item->memory;
    return STELE_OK;
}

/* --- A record --- */

/* The record itself, as the one event that it is. */
static void fill_item(stele__item *item, const stele_record *record)
{
    item->part = (stele_part){ .name = record->type,
                               .schema_version = record->schema_version,
                               .codec = record->codec,
                               .data = record->data,
                               .data_size = record->data_size };
    item->known = NULL;
    item->step = 0;
}

static void clear_items(stele_decoded *decoded)
{
    while (decoded->first != NULL) {
        stele__item *item = decoded->first;
        decoded->first = item->next;
        stele__item_give(decoded, item);
    }
    decoded->item_count = 0;
    decoded->byte_count = 0;
    decoded->emitted = 0;
    decoded->memory_left = STELE__VALUE_MEMORY_MAX;
    decoded->part_count = 0;
    decoded->failed = false;
    stele__flaw_clear(&decoded->flaw);
}

static stele_status begin_record(stele_decoded *decoded, const stele_record *record)
{
    clear_items(decoded);
    stele__item *item = stele__item_take(decoded);
    if (item == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a part");
    fill_item(item, record);
    decoded->first = item;
    decoded->item_count = 1;
    return STELE_OK;
}

/* Nothing comes after it: decode it, by the table of what it is now. */
static stele_status finish_item(stele_decoded *decoded, const stele__registry *registry,
                                stele__item *item)
{
    stele_status status;
    if (item->known == NULL || item->known->type == NULL) {
        status = stele__fail(STELE_UNKNOWN_TYPE, "no table and no upcaster is registered for it");
    } else {
        item->part.name = item->known->type->name;
        item->part.type = item->known->type;
        status = stele__item_decode(decoded, item, registry, item->known->plan);
    }
    if (status == STELE_OK || item->step == 0)
        return status;
    return stele__fail_within(status, "step %" PRIu32 " to " STELE__TYPE_FORMAT, item->step,
                              item->part.name, item->part.schema_version);
}

static stele_status make_parts(stele_decoded *decoded, const stele__registry *registry,
                               const stele_record *record)
{
    stele__item **at = &decoded->first;
    decoded->first->known = stele__known_resolve(registry, record->type, record->schema_version);
    while (*at != NULL) {
        bool done = (*at)->known == NULL || (*at)->known->step == NULL;
        stele_status status = done ? finish_item(decoded, registry, *at)
                                   : stele__upcast_item(decoded, registry, record, at);
        if (status != STELE_OK)
            return status;
        if (done)
            at = &(*at)->next;
    }
    return STELE_OK;
}

static stele_status list_parts(stele_decoded *decoded)
{
    if (decoded->item_count > decoded->part_capacity) {
        size_t capacity = decoded->item_count < 8 ? 8 : decoded->item_count;
        stele__item **parts = stele__allocate_array(capacity, sizeof(stele__item *));
        if (parts == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu parts", capacity);
        stele__free(decoded->parts);
        decoded->parts = parts;
        decoded->part_capacity = capacity;
    }
    size_t index = 0;
    for (stele__item *item = decoded->first; item != NULL; item = item->next) {
        item->part.index = index;
        item->part.count = decoded->item_count;
        decoded->parts[index++] = item;
    }
    decoded->part_count = index;
    return STELE_OK;
}

/* Whatever it had become, it is the record as stored. Keeps the text and where it failed. */
static stele_status leave_raw(stele_decoded *decoded, const stele_record *record)
{
    char error[STELE__ERROR_SIZE];
    stele_flaw flaw = decoded->flaw;
    stele__keep_error(error);
    stele_status status = begin_record(decoded, record);
    if (status == STELE_OK)
        status = list_parts(decoded);
    if (status != STELE_OK)
        return status;
    decoded->failed = true;
    decoded->flaw = flaw;
    stele__restore_error(error);
    return STELE_OK;
}

static stele_status decode_record(stele_decoded *decoded, const stele_record *record)
{
    const stele__registry *registry = stele__registry_use(decoded->store);
    stele_status status = begin_record(decoded, record);
    if (status == STELE_OK)
        status = make_parts(decoded, registry, record);
    if (status == STELE_OK)
        status = list_parts(decoded);
    if (status == STELE_OK)
        return STELE_OK;

    status = stele__fail_within(
        status, "stream '%s' version %" PRId64 " position %" PRId64 " type " STELE__TYPE_FORMAT,
        record->stream, record->version, record->position, record->type, record->schema_version);
    if (status != STELE_NO_MEMORY && leave_raw(decoded, record) != STELE_OK)
        status = STELE_NO_MEMORY;
    if (status == STELE_NO_MEMORY) {
        clear_items(decoded);
        decoded->failed = true;
    }
    return status;
}

/* --- The public calls --- */

stele_status stele__record_check(const stele_record *record)
{
    if (record == NULL)
        return stele__fail(STELE_MISUSE, "the record is NULL");
    const char *missing = record->stream == NULL  ? "stream"
                          : record->type == NULL  ? "type"
                          : record->codec == NULL ? "codec"
                                                  : NULL;
    if (missing != NULL)
        return stele__fail(STELE_MISUSE, "the record's %s is NULL", missing);
    if (record->data == NULL && record->data_size > 0)
        return stele__fail(STELE_MISUSE, "the record's data is NULL, its size is %zu",
                           record->data_size);
    return STELE_OK;
}

/* A handle holds the store, so that what is registered there can be used without a lock. */
static stele_status open_decoded(stele_store *store, stele_decoded **decoded_out)
{
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    *decoded_out = stele__allocate_array(1, sizeof(**decoded_out));
    if (*decoded_out == NULL) {
        status = stele__fail(STELE_NO_MEMORY, "no memory for a decoded record");
    } else {
        (*decoded_out)->store = store;
        stele__store_hold(store);
    }
    stele__store_leave(store);
    return status;
}

static stele_status check_use(stele_store *store)
{
    if (stele__callback_running() != NULL)
        return stele__fail(STELE_MISUSE, "called from inside %s, which may call nothing",
                           stele__callback_running());
    return stele__store_check(store);
}

/* Go on with another store. */
static stele_status turn_to_store(stele_decoded *decoded, stele_store *store)
{
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    clear_items(decoded);
    stele__store_hold(store);
    stele__store_leave(store);
    stele__store_release(decoded->store);
    decoded->store = store;
    return STELE_OK;
}

stele_status stele_record_decode(stele_store *store, const stele_record *record,
                                 stele_decoded **decoded)
{
    if (store == NULL || decoded == NULL)
        return stele__fail(STELE_MISUSE, "the %s is NULL", store == NULL ? "store" : "decoded");
    stele_status status = stele__record_check(record);
    if (status != STELE_OK)
        return status;
    if (*decoded != NULL) {
        status = (*decoded)->store == store ? check_use(store) : turn_to_store(*decoded, store);
        return status == STELE_OK ? decode_record(*decoded, record) : status;
    }

    stele_decoded *made = NULL;
    status = open_decoded(store, &made);
    if (status != STELE_OK)
        return status;
    status = decode_record(made, record);
    if (status == STELE_NO_MEMORY)
        stele_decoded_close(made);
    else
        *decoded = made;
    return status;
}

size_t stele_decoded_count(const stele_decoded *decoded)
{
    return decoded == NULL ? 0 : decoded->part_count;
}

const stele_part *stele_decoded_part(const stele_decoded *decoded, size_t index)
{
    if (decoded == NULL || index >= decoded->part_count)
        return NULL;
    return &decoded->parts[index]->part;
}

const stele_flaw *stele_decoded_flaw(const stele_decoded *decoded)
{
    return decoded == NULL || !decoded->failed ? NULL : &decoded->flaw;
}

void stele_decoded_close(stele_decoded *decoded)
{
    if (decoded == NULL)
        return;
    clear_items(decoded);
    while (decoded->spare != NULL) {
        stele__item *item = decoded->spare;
        decoded->spare = item->next;
        free_item(item);
    }
    stele__free(decoded->parts);
    stele__store_release(decoded->store);
    stele__free(decoded);
}
