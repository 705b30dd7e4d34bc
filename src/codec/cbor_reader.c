/*
 * A reader's life, and its walk over a payload that the scan has accepted.
 */
#include "codec/cbor_internal.h"

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"

#include <assert.h>
#include <stdio.h>

enum {
    CBOR_FRAMES_KEPT = 256 /* frames whose memory a reset keeps: 5 KiB */
};

/* Opening and closing */

void stele_cbor_options_init(stele_cbor_options *options)
{
    const stele_cbor_options defaults = STELE_CBOR_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

static void release_cbor_frames(stele_cbor_reader *reader)
{
    if (reader->frames != reader->first_frames)
        stele__free(reader->frames);
    reader->frames = reader->first_frames;
    reader->frame_capacity = STELE__CBOR_FRAMES_INLINE;
}

/* Turn to the start of `data`, which is as yet unjudged. */
static void rewind_cbor(stele_cbor_reader *reader, const unsigned char *data, size_t size)
{
    reader->data = data;
    reader->end = data + size;
    reader->at = data;
    reader->value = data;
    reader->last_kind = 0;
    reader->last_is_key = false;
    reader->last_depth = 0;
    reader->depth = 0;
    reader->failure = STELE_OK;
    reader->failure_offset = 0;
}

void stele__cbor_reader_init(stele_cbor_reader *reader, const stele_cbor_options *options)
{
    reader->depth_max = options->depth_max;
    reader->size_max = options->size_max;
    reader->item_max = options->item_max;
    reader->frames = reader->first_frames;
    reader->frame_capacity = STELE__CBOR_FRAMES_INLINE;
    stele__keys_init(&reader->keys);
    rewind_cbor(reader, (const unsigned char *)"", 0);
}

void stele__cbor_reader_dispose(stele_cbor_reader *reader)
{
    release_cbor_frames(reader);
    stele__keys_dispose(&reader->keys);
}

static stele_status start_cbor(stele_cbor_reader *reader, const void *data, size_t size)
{
    if (data == NULL && size != 0)
        return stele__fail(STELE_MISUSE, "CBOR of %zu bytes at NULL", size);

    if (reader->frame_capacity > CBOR_FRAMES_KEPT)
        release_cbor_frames(reader);
    rewind_cbor(reader, data == NULL ? (const unsigned char *)"" : data, size);
    stele__keys_reset(&reader->keys, reader->data);
    if (size <= reader->size_max)
        return stele__cbor_scan(reader);

    snprintf(reader->failure_text, sizeof reader->failure_text,
             "CBOR of %zu bytes, at most %zu are allowed", size, (size_t)reader->size_max);
    return stele__cbor_fail(reader, STELE_TOO_LARGE, reader->data + reader->size_max);
}

stele_status stele_cbor_open(const void *data, size_t size, const stele_cbor_options *options,
                             stele_cbor_reader **reader_out)
{
    if (reader_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_cbor_open: reader_out is NULL");
    *reader_out = NULL;

    stele_cbor_options resolved = STELE_CBOR_OPTIONS_INIT;
    stele_status status =
        stele__options_take("stele_cbor_options", options, &resolved, sizeof resolved);
    if (status != STELE_OK)
        return status;

    stele_cbor_reader *reader = stele__allocate(sizeof *reader);
    if (reader == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a CBOR reader");
    stele__cbor_reader_init(reader, &resolved);
    status = start_cbor(reader, data, size);
    if (status != STELE_OK) {
        stele_cbor_close(reader);
        return status;
    }
    *reader_out = reader;
    return STELE_OK;
}

stele_status stele_cbor_reset(stele_cbor_reader *reader, const void *data, size_t size)
{
    if (reader == NULL)
        return stele__fail(STELE_MISUSE, "stele_cbor_reset: reader is NULL");
    return start_cbor(reader, data, size);
}

void stele_cbor_close(stele_cbor_reader *reader)
{
    if (reader == NULL)
        return;
    stele__cbor_reader_dispose(reader);
    stele__free(reader);
}

stele_status stele_cbor_check(const void *data, size_t size, const stele_cbor_options *options)
{
    stele_cbor_options resolved = STELE_CBOR_OPTIONS_INIT;
    stele_status status =
        stele__options_take("stele_cbor_options", options, &resolved, sizeof resolved);
    if (status != STELE_OK)
        return status;

    STELE__UNINITIALIZED stele_cbor_reader reader;
    stele__cbor_reader_init(&reader, &resolved);
    status = start_cbor(&reader, data, size);
    stele__cbor_reader_dispose(&reader);
    return status;
}

size_t stele_cbor_error_offset(const stele_cbor_reader *reader)
{
    return reader == NULL ? 0 : reader->failure_offset;
}

/* Walking */

/* Whether the innermost map or array has nothing left but maybe its break. */
static bool is_cbor_container_over(const stele_cbor_reader *reader)
{
    if (reader->depth == 0)
        return false;
    const stele__cbor_frame *frame = &reader->frames[reader->depth - 1];
    return frame->indefinite ? *reader->at == STELE__CBOR_BREAK : frame->left == 0;
}

static void end_cbor_container(stele_cbor_reader *reader, stele_cbor_token *token)
{
    const stele__cbor_frame *frame = &reader->frames[--reader->depth];
    if (frame->indefinite)
        reader->at++;
    *token = (stele_cbor_token){
        .kind = frame->major == STELE__CBOR_MAJOR_MAP ? STELE_CBOR_MAP_END : STELE_CBOR_ARRAY_END,
        .depth = reader->depth,
        .offset = (size_t)(reader->at - reader->data),
    };
    stele__cbor_end_item(reader);
}

/* Let a string in chunks span them all. */
static void span_cbor_chunks(stele_cbor_reader *reader, stele_cbor_token *token)
{
    const unsigned char *first = reader->at;
    while (*reader->at != STELE__CBOR_BREAK) {
        stele__cbor_head chunk;
        stele__cbor_read_head(reader->at, reader->end, &chunk);
        reader->at += chunk.size + (size_t)chunk.argument;
    }
    token->data = first;
    token->size = (size_t)(reader->at - first);
    reader->at++;
}

static void enter_cbor_token(stele_cbor_reader *reader, const stele_cbor_token *token)
{
    stele__cbor_head head = {
        .argument = token->number,
        .major = token->kind == STELE_CBOR_TAG         ? STELE__CBOR_MAJOR_TAG
                 : token->kind == STELE_CBOR_MAP_BEGIN ? STELE__CBOR_MAJOR_MAP
                                                       : STELE__CBOR_MAJOR_ARRAY,
        .info = token->indefinite ? STELE__CBOR_INFO_INDEFINITE : 0,
    };
    stele_status status = stele__cbor_enter(reader, &head);
    assert(status == STELE_OK); /* the scan was as deep */
    (void)status;
}

static stele_status read_cbor_item(stele_cbor_reader *reader, stele_cbor_token *token)
{
    const unsigned char *at = reader->at;
    bool is_key = stele__cbor_begin_item(reader);
    size_t size = stele__cbor_decode_item(at, reader->end, token);
    if (size == 0) {
        snprintf(reader->failure_text, sizeof reader->failure_text,
                 "an item that libcbor refuses at byte %zu", (size_t)(at - reader->data));
        return stele__cbor_fail(reader, STELE_UNSUPPORTED, at);
    }
    reader->at += size;
    token->depth = reader->depth;
    token->offset = (size_t)(at - reader->data);
    token->is_key = is_key;

    switch (token->kind) {
    case STELE_CBOR_ARRAY_BEGIN:
    case STELE_CBOR_MAP_BEGIN:
    case STELE_CBOR_TAG: enter_cbor_token(reader, token); break;
    case STELE_CBOR_BYTES:
    case STELE_CBOR_TEXT:
        if (token->indefinite)
            span_cbor_chunks(reader, token);
        stele__cbor_end_item(reader);
        break;
    default: stele__cbor_end_item(reader);
    }
    reader->value = at;
    return STELE_OK;
}

static stele_status read_cbor_token(stele_cbor_reader *reader, stele_cbor_token *token)
{
    if (reader->failure != STELE_OK)
        return stele__fail(reader->failure, "%s", reader->failure_text);
    if (reader->at == reader->end && reader->depth == 0) {
        reader->last_kind = 0;
        return STELE_DONE;
    }
    stele_status status = STELE_OK;
    if (is_cbor_container_over(reader))
        end_cbor_container(reader, token);
    else
        status = read_cbor_item(reader, token);
    if (status != STELE_OK)
        return status;
    reader->last_kind = (int)token->kind;
    reader->last_is_key = token->is_key;
    reader->last_depth = token->depth;
    return STELE_OK;
}

stele_status stele_cbor_next(stele_cbor_reader *reader, stele_cbor_token *token_out)
{
    if (reader == NULL || token_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_cbor_next: a NULL argument");
    return read_cbor_token(reader, token_out);
}

static bool begins_more(int kind)
{
    return kind == STELE_CBOR_ARRAY_BEGIN || kind == STELE_CBOR_MAP_BEGIN || kind == STELE_CBOR_TAG;
}

stele_status stele_cbor_skip(stele_cbor_reader *reader, const void **data_out, size_t *size_out)
{
    if (reader == NULL)
        return stele__fail(STELE_MISUSE, "stele_cbor_skip: reader is NULL");
    if (reader->failure != STELE_OK)
        return stele__fail(reader->failure, "%s", reader->failure_text);
    if (reader->last_kind == 0 || reader->last_kind == STELE_CBOR_ARRAY_END
        || reader->last_kind == STELE_CBOR_MAP_END)
        return stele__fail(STELE_MISUSE, "stele_cbor_skip: the last token has no value to skip");

    stele_cbor_token token;
    stele_status status = STELE_OK;
    if (reader->last_is_key)
        status = read_cbor_token(reader, &token);
    const unsigned char *start = reader->value;
    if (begins_more(reader->last_kind)) {
        uint32_t depth = reader->last_depth;
        while (status == STELE_OK && reader->depth > depth)
            status = read_cbor_token(reader, &token);
    }
    if (status != STELE_OK)
        return status;

    reader->last_kind = 0;
    if (data_out != NULL)
        *data_out = start;
    if (size_out != NULL)
        *size_out = (size_t)(reader->at - start);
    return STELE_OK;
}
