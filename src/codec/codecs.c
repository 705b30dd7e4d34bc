/* The codecs that every store knows. */
#include "codec/plan.h"

#include <stele/cbor.h>
#include <stele/json.h>

void stele_codec_init(stele_codec *codec)
{
    if (codec != NULL)
        *codec = (stele_codec)STELE_CODEC_INIT;
}

/* --- The three --- */

/* Which is which is told by the addresses of its name and of a function. */
static const char json_name[] = "json";
static const char cbor_name[] = "cbor";
static const char raw_name[] = "raw";

static stele_status check_json_payload(void *context, const void *data, size_t size)
{
    (void)context;
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.size_max = STELE__VALUE_SIZE_MAX;
    return stele_json_check(data, size, &options);
}

static stele_status check_cbor_payload(void *context, const void *data, size_t size)
{
    (void)context;
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.size_max = STELE__VALUE_SIZE_MAX;
    options.item_max = STELE__VALUE_SIZE_MAX; /* as the gate has it: its bytes bound it */
    return stele_cbor_check(data, size, &options);
}

static stele_status encode_once(stele__format format, const stele_type *type, const void *value,
                                stele_buffer *buffer, stele_flaw *flaw_out)
{
    stele__plan *plan = NULL;
    stele_status status = stele__plan_make(type, &plan);
    if (status == STELE_OK)
        status = stele__plan_encode(plan, format, value, buffer, flaw_out);
    stele__plan_free(plan);
    return status;
}

static stele_status decode_once(stele__format format, const stele_type *type, const void *data,
                                size_t size, void *value, stele_flaw *flaw_out)
{
    stele__plan *plan = NULL;
    stele_status status = stele__plan_make(type, &plan);
    if (status == STELE_OK)
        status = stele__plan_decode(plan, format, data, size, value, NULL, flaw_out);
    stele__plan_free(plan);
    return status;
}

static stele_status encode_as_json(void *context, const stele_type *type, const void *value,
                                   stele_buffer *buffer, stele_flaw *flaw_out)
{
    (void)context;
    return encode_once(STELE__FORMAT_JSON, type, value, buffer, flaw_out);
}

static stele_status decode_from_json(void *context, const stele_type *type, const void *data,
                                     size_t size, void *value, stele_flaw *flaw_out)
{
    (void)context;
    return decode_once(STELE__FORMAT_JSON, type, data, size, value, flaw_out);
}

static stele_status encode_as_cbor(void *context, const stele_type *type, const void *value,
                                   stele_buffer *buffer, stele_flaw *flaw_out)
{
    (void)context;
    return encode_once(STELE__FORMAT_CBOR, type, value, buffer, flaw_out);
}

static stele_status decode_from_cbor(void *context, const stele_type *type, const void *data,
                                     size_t size, void *value, stele_flaw *flaw_out)
{
    (void)context;
    return decode_once(STELE__FORMAT_CBOR, type, data, size, value, flaw_out);
}

const stele_codec *stele_codec_json(void)
{
    static const stele_codec json = { sizeof(json),   json_name,        check_json_payload,
                                      encode_as_json, decode_from_json, NULL };
    return &json;
}

const stele_codec *stele_codec_cbor(void)
{
    static const stele_codec cbor = { sizeof(cbor),   cbor_name,        check_cbor_payload,
                                      encode_as_cbor, decode_from_cbor, NULL };
    return &cbor;
}

const stele_codec *stele_codec_raw(void)
{
    static const stele_codec raw = { sizeof(raw), raw_name, NULL, NULL, NULL, NULL };
    return &raw;
}

stele__format stele__format_of(const stele_codec *codec)
{
    if (codec->name == json_name && codec->encode == encode_as_json)
        return STELE__FORMAT_JSON;
    return codec->name == cbor_name && codec->encode == encode_as_cbor ? STELE__FORMAT_CBOR
                                                                       : STELE__FORMAT_NONE;
}
