/*
 * Any bytes as structs: what a table decodes, it encodes in both codecs, and each of these is
 * decoded as the same value again. What it refuses leaves nothing behind.
 */
#include <stdbool.h>

#include <stele/buffer.h>
#include <stele/cbor.h>
#include <stele/codec.h>
#include <stele/json.h>

#include "fuzz.h"
#include "typed_tables.h"

/* A value in both codecs. JSON has no NaN and no infinities: then `in_json` is empty. */
typedef struct encodings {
    stele_buffer in_json;
    stele_buffer in_cbor;
} encodings;

static encodings encode_both(const stele_type *type, const void *value)
{
    encodings made = { STELE_BUFFER_INIT, STELE_BUFFER_INIT };
    stele_flaw flaw;
    require(stele_type_encode(type, value, stele_codec_cbor(), &made.in_cbor, &flaw) == STELE_OK);
    require(stele_cbor_check(made.in_cbor.data, made.in_cbor.size, NULL) == STELE_OK);
    stele_status status = stele_type_encode(type, value, stele_codec_json(), &made.in_json, &flaw);
    if (status == STELE_OK)
        require(stele_json_check(made.in_json.data, made.in_json.size, NULL) == STELE_OK);
    else
        require(status == STELE_INVALID && flaw.path[0] != '\0' && made.in_json.size == 0);
    return made;
}

static void dispose_encodings(encodings *made)
{
    stele_buffer_dispose(&made->in_json);
    stele_buffer_dispose(&made->in_cbor);
}

static bool are_equal(const stele_buffer *one, const stele_buffer *other)
{
    return one->size == other->size
           && (one->size == 0 || memcmp(one->data, other->data, one->size) == 0);
}

static void check_comes_back(const stele_type *type, const stele_codec *codec,
                             const stele_buffer *payload, const encodings *expected)
{
    void *value = take_memory(type->size);
    void *exactly = copy_bytes(payload->data, payload->size);
    require(stele_type_decode(type, codec, exactly, payload->size, value, NULL) == STELE_OK);
    free(exactly);
    encodings again = encode_both(type, value);
    require(are_equal(&again.in_json, &expected->in_json));
    require(are_equal(&again.in_cbor, &expected->in_cbor));
    dispose_encodings(&again);
    stele_type_clear(type, value);
    free(value);
}

static void check_value(const stele_type *type, const void *value, bool from_json)
{
    encodings made = encode_both(type, value);
    require(made.in_json.size > 0 || !from_json);
    check_comes_back(type, stele_codec_cbor(), &made.in_cbor, &made);
    if (made.in_json.size > 0) {
        check_comes_back(type, stele_codec_json(), &made.in_json, &made);
        require(stele_type_selftest(type, value) == STELE_OK);
    }
    dispose_encodings(&made);

    stele_buffer shown = STELE_BUFFER_INIT;
    require(stele_type_format(type, value, &shown) == STELE_OK);
    require(stele_json_check(shown.data, shown.size, NULL) == STELE_OK);
    stele_buffer_dispose(&shown);
}

static bool is_zero(const unsigned char *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (value[i] != 0)
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const stele_type *type = typed_tables[choice_of(data[0]) % TYPED_TABLE_COUNT];
    bool from_json = choice_of(data[1]) % 2 == 0;
    const stele_codec *codec = from_json ? stele_codec_json() : stele_codec_cbor();
    void *payload = copy_bytes(data + 2, size - 2);
    void *value = take_memory(type->size);
    memset(value, 0x55, type->size);

    stele_flaw flaw;
    stele_status status = stele_type_decode(type, codec, payload, size - 2, value, &flaw);
    if (status == STELE_OK) {
        check_value(type, value, from_json);
        stele_type_clear(type, value);
    } else {
        require(status == STELE_INVALID || status == STELE_PRECISION || status == STELE_TOO_LARGE);
        require(flaw.offset <= size - 2 && memchr(flaw.path, '\0', sizeof(flaw.path)) != NULL);
    }
    require(is_zero(value, type->size));
    free(value);
    free(payload);
    return 0;
}
