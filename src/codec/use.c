/* Using a codec, built in or of the program's, with a store and without one. */
#include <string.h>

#include <stele/cbor.h>
#include <stele/json.h>

#include "base/bytes.h"
#include "base/callback.h"
#include "base/failure.h"
#include "base/options.h"
#include "codec/registry.h"

void stele__flaw_clear(stele_flaw *flaw_out)
{
    if (flaw_out != NULL) {
        flaw_out->offset = 0;
        flaw_out->path[0] = '\0';
    }
}

/* What a codec of the program's answered. Anything that means something else to who asked (that an
 * append is in conflict, that its outcome is unknown) is INVALID. */
static stele_status judge_codec(const stele_codec *codec, stele_status status)
{
    if (status == STELE_OK)
        return STELE_OK;
    bool silent = stele_error_text()[0] == '\0';
    if (status == STELE_INVALID || status == STELE_PRECISION || status == STELE_TOO_LARGE
        || status == STELE_UNSUPPORTED || status == STELE_NO_MEMORY)
        return silent ? stele__fail(status, "the codec '%s' gave no reason", codec->name)
                      : stele__fail_within(status, "the codec '%s'", codec->name);
    if (silent)
        return stele__fail(STELE_INVALID, "the codec '%s' answered %d, %s", codec->name,
                           (int)status, stele_status_name(status));
    return stele__fail_within(STELE_INVALID, "the codec '%s' answered %d, %s", codec->name,
                              (int)status, stele_status_name(status));
}

static stele_status run_codec_check(const stele_codec *codec, const void *data, size_t size)
{
    const char *outer = stele__callback_begin("a codec");
    stele__restore_error("");
    stele_status status = codec->check(codec->context, data, size);
    stele__callback_end(outer);
    return judge_codec(codec, status);
}

stele_status stele__codec_check(const stele_codec *codec, const void *data, size_t size,
                                size_t size_max)
{
    if (size > size_max)
        return stele__fail(STELE_TOO_LARGE, "%zu bytes are beyond %zu", size, size_max);
    if (size == 0 || codec == NULL || codec->check == NULL)
        return STELE_OK;
    uint32_t limit = size_max < UINT32_MAX ? (uint32_t)size_max : UINT32_MAX;
    stele__format format = stele__format_of(codec);
    if (format == STELE__FORMAT_JSON) {
        stele_json_options options = STELE_JSON_OPTIONS_INIT;
        options.size_max = limit;
        return stele_json_check(data, size, &options);
    }
    if (format == STELE__FORMAT_CBOR) {
        stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
        options.size_max = limit;
        options.item_max = limit; /* bytes bound it well enough */
        return stele_cbor_check(data, size, &options);
    }
    return run_codec_check(codec, data, size);
}

stele_status stele__codec_encode(const stele_codec *codec, const stele__plan *plan,
                                 const void *value, stele_buffer *buffer, stele_flaw *flaw_out)
{
    stele__format format = stele__format_of(codec);
    if (format != STELE__FORMAT_NONE)
        return stele__plan_encode(plan, format, value, buffer, flaw_out);
    stele__flaw_clear(flaw_out);
    if (codec->encode == NULL)
        return stele__fail(STELE_UNSUPPORTED, "the codec '%s' encodes nothing", codec->name);

    /* What is in the buffer is the caller's: events in front of this one. The codec gets its own.
     */
    stele_flaw own_flaw = { 0 };
    stele_buffer payload = STELE_BUFFER_INIT;
    const char *outer = stele__callback_begin("a codec");
    stele__restore_error("");
    stele_status status = codec->encode(codec->context, stele__plan_type(plan), value, &payload,
                                        flaw_out == NULL ? &own_flaw : flaw_out);
    stele__callback_end(outer);
    status = judge_codec(codec, status);
    if (status == STELE_OK)
        status = stele__buffer_add(buffer, payload.data, payload.size);
    stele_buffer_dispose(&payload);
    return status;
}

stele_status stele__codec_decode(const stele_codec *codec, const stele__plan *plan,
                                 const void *data, size_t size, void *value, size_t *memory_left,
                                 stele_flaw *flaw_out)
{
    stele__format format = stele__format_of(codec);
    if (format != STELE__FORMAT_NONE)
        return stele__plan_decode(plan, format, data, size, value, memory_left, flaw_out);
    const stele_type *type = stele__plan_type(plan);
    stele__flaw_clear(flaw_out);
    stele_type_init(type, value);
    if (codec->decode == NULL)
        return stele__fail(STELE_UNSUPPORTED, "the codec '%s' decodes nothing", codec->name);
    stele_status status = size == 0 ? stele__fail(STELE_INVALID, "an empty payload")
                                    : stele__codec_check(codec, data, size, SIZE_MAX);
    if (status != STELE_OK)
        return status;

    stele_flaw own_flaw = { 0 };
    const char *outer = stele__callback_begin("a codec");
    stele__restore_error("");
    status = codec->decode(codec->context, type, data, size, value,
                           flaw_out == NULL ? &own_flaw : flaw_out);
    stele__callback_end(outer);
    if (status != STELE_OK) {
        char error[STELE__ERROR_SIZE];
        stele__keep_error(error);
        stele_type_clear(type, value);
        stele__restore_error(error);
    }
    return judge_codec(codec, status);
}

/* --- Without a store --- */

/* `codec` in the size of now. */
static stele_status take_codec(const stele_codec *codec, stele_codec *taken)
{
    if (codec == NULL)
        return stele__fail(STELE_MISUSE, "the codec is NULL");
    *taken = (stele_codec)STELE_CODEC_INIT;
    stele_status status = stele__options_take("stele_codec", codec, taken, sizeof(*taken));
    return status == STELE_OK ? stele__check_name("codec", taken->name) : status;
}

stele_status stele_type_encode(const stele_type *type, const void *value, const stele_codec *codec,
                               stele_buffer *buffer, stele_flaw *flaw_out)
{
    stele_codec taken;
    stele__plan *plan = NULL;
    stele__flaw_clear(flaw_out);
    if (type == NULL || value == NULL || buffer == NULL)
        return stele__fail(STELE_MISUSE, "stele_type_encode: a NULL argument");
    stele_status status = take_codec(codec, &taken);
    if (status == STELE_OK)
        status = stele__plan_make(type, &plan);
    if (status != STELE_OK)
        return status;
    status = stele__codec_encode(&taken, plan, value, buffer, flaw_out);
    stele__plan_free(plan);
    return status;
}

stele_status stele_type_decode(const stele_type *type, const stele_codec *codec, const void *data,
                               size_t size, void *value, stele_flaw *flaw_out)
{
    stele_codec taken;
    stele__plan *plan = NULL;
    stele__flaw_clear(flaw_out);
    if (type == NULL || value == NULL || (data == NULL && size > 0))
        return stele__fail(STELE_MISUSE, "stele_type_decode: a NULL argument");
    stele_status status = take_codec(codec, &taken);
    if (status == STELE_OK)
        status = stele__plan_make(type, &plan);
    if (status == STELE_NO_MEMORY)
        stele_type_init(type, value);
    if (status != STELE_OK)
        return status;
    status = stele__codec_decode(&taken, plan, data, size, value, NULL, flaw_out);
    stele__plan_free(plan);
    return status;
}
