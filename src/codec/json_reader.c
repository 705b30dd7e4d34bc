/*
 * A reader's life, and the public calls that drive the grammar over a text.
 */
#include "codec/json_internal.h"

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"

#include <stdio.h>

enum {
    JSON_FRAMES_KEPT = 256 /* frames whose memory a reset keeps: 4 KiB */
};

/* Opening and closing */

void stele_json_options_init(stele_json_options *options)
{
    const stele_json_options defaults = STELE_JSON_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

static void release_json_frames(stele_json_reader *reader)
{
    if (reader->frames != reader->first_frames)
        stele__free(reader->frames);
    reader->frames = reader->first_frames;
    reader->frame_capacity = STELE__JSON_FRAMES_INLINE;
}

void stele__json_reader_init(stele_json_reader *reader, const stele_json_options *options)
{
    reader->depth_max = options->depth_max;
    reader->size_max = options->size_max;
    reader->frames = reader->first_frames;
    reader->frame_capacity = STELE__JSON_FRAMES_INLINE;
    stele__keys_init(&reader->keys);
}

void stele__json_reader_dispose(stele_json_reader *reader)
{
    release_json_frames(reader);
    stele__keys_dispose(&reader->keys);
}

static stele_status start_json_text(stele_json_reader *reader, const void *text, size_t size)
{
    if (text == NULL && size != 0)
        return stele__fail(STELE_MISUSE, "JSON text of %zu bytes at NULL", size);

    if (reader->frame_capacity > JSON_FRAMES_KEPT)
        release_json_frames(reader);
    reader->text = text == NULL ? (const unsigned char *)"" : text;
    reader->end = reader->text + size;
    reader->at = reader->text;
    reader->value = reader->text;
    reader->state = STELE__JSON_BEFORE_VALUE;
    reader->last_kind = 0;
    reader->depth = 0;
    reader->failure = STELE_OK;
    reader->failure_offset = 0;
    stele__keys_reset(&reader->keys, reader->text);
    if (size <= reader->size_max)
        return STELE_OK;

    snprintf(reader->failure_text, sizeof reader->failure_text,
             "JSON text of %zu bytes, at most %zu are allowed", size, (size_t)reader->size_max);
    return stele__json_fail(reader, STELE_TOO_LARGE, reader->text + reader->size_max);
}

stele_status stele_json_open(const void *text, size_t size, const stele_json_options *options,
                             stele_json_reader **reader_out)
{
    if (reader_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_json_open: reader_out is NULL");
    *reader_out = NULL;

    stele_json_options resolved = STELE_JSON_OPTIONS_INIT;
    stele_status status =
        stele__options_take("stele_json_options", options, &resolved, sizeof resolved);
    if (status != STELE_OK)
        return status;

    stele_json_reader *reader = stele__allocate(sizeof *reader);
    if (reader == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a JSON reader");
    stele__json_reader_init(reader, &resolved);
    status = start_json_text(reader, text, size);
    if (status != STELE_OK) {
        stele_json_close(reader);
        return status;
    }
    *reader_out = reader;
    return STELE_OK;
}

stele_status stele_json_reset(stele_json_reader *reader, const void *text, size_t size)
{
    if (reader == NULL)
        return stele__fail(STELE_MISUSE, "stele_json_reset: reader is NULL");
    return start_json_text(reader, text, size);
}

void stele_json_close(stele_json_reader *reader)
{
    if (reader == NULL)
        return;
    stele__json_reader_dispose(reader);
    stele__free(reader);
}

/* Reading */

stele_status stele_json_next(stele_json_reader *reader, stele_json_token *token_out)
{
    if (reader == NULL || token_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_json_next: a NULL argument");
    return stele__json_read(reader, token_out);
}

stele_status stele_json_skip(stele_json_reader *reader, const char **text_out, size_t *size_out)
{
    if (reader == NULL)
        return stele__fail(STELE_MISUSE, "stele_json_skip: reader is NULL");
    if (reader->state == STELE__JSON_FAILED)
        return stele__fail(reader->failure, "%s", reader->failure_text);
    if (reader->last_kind == 0 || reader->last_kind == STELE_JSON_OBJECT_END
        || reader->last_kind == STELE_JSON_ARRAY_END)
        return stele__fail(STELE_MISUSE, "stele_json_skip: the last token has no value to skip");

    stele_json_token token;
    stele_status status = STELE_OK;
    if (reader->last_kind == STELE_JSON_KEY)
        status = stele__json_read(reader, &token);
    if (status != STELE_OK)
        return status;

    const unsigned char *start = reader->value;
    bool is_container =
        reader->last_kind == STELE_JSON_OBJECT_BEGIN || reader->last_kind == STELE_JSON_ARRAY_BEGIN;
    uint32_t depth = is_container ? reader->depth - 1 : reader->depth;
    while (reader->depth > depth) {
        status = stele__json_read(reader, &token);
        if (status != STELE_OK)
            return status;
    }

    reader->last_kind = 0;
    if (text_out != NULL)
        *text_out = (const char *)start;
    if (size_out != NULL)
        *size_out = (size_t)(reader->at - start);
    return STELE_OK;
}

size_t stele_json_error_offset(const stele_json_reader *reader)
{
    return reader == NULL ? 0 : reader->failure_offset;
}

stele_status stele_json_check(const void *text, size_t size, const stele_json_options *options)
{
    stele_json_options resolved = STELE_JSON_OPTIONS_INIT;
    stele_status status =
        stele__options_take("stele_json_options", options, &resolved, sizeof resolved);
    if (status != STELE_OK)
        return status;

    STELE__UNINITIALIZED stele_json_reader reader;
    stele__json_reader_init(&reader, &resolved);
    status = start_json_text(&reader, text, size);
    if (status == STELE_OK)
        status = stele__json_drain(&reader);
    stele__json_reader_dispose(&reader);
    return status;
}

stele_status stele_json_reader_check(stele_json_reader *reader, const void *text, size_t size)
{
    stele_status status = stele_json_reset(reader, text, size);
    return status == STELE_OK ? stele__json_drain(reader) : status;
}
