/*
 * Judging a payload: one pass over its heads, with a stack of frames instead of recursion.
 *
 * Nothing is allocated because a head says so: frames grow with the heads that are there, keys
 * with the keys.
 */
#include "codec/cbor_internal.h"

#include "base/bytes.h"
#include "base/failure.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CBOR_HIGH_BITS UINT64_C(0x8080808080808080)

enum {
    CBOR_SHOWN_KEY_SIZE = 40 /* bytes of a key that an error text shows, at most */
};

/** A pass over a payload. */
typedef struct cbor_scan {
    stele_cbor_reader *reader;
    const unsigned char *at;
    uint32_t items; /* so far */
} cbor_scan;

/* Failing */

stele_status stele__cbor_fail(stele_cbor_reader *reader, stele_status status,
                              const unsigned char *at)
{
    reader->last_kind = 0;
    reader->failure = status;
    reader->failure_offset = (size_t)(at - reader->data);
    stele__fail(status, "%s", reader->failure_text);
    return status;
}

__attribute__((format(printf, 4, 5))) static stele_status
refuse_cbor(cbor_scan *scan, stele_status status, const unsigned char *at, const char *format, ...)
{
    stele_cbor_reader *reader = scan->reader;
    char what[sizeof reader->failure_text - 32];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(reader->failure_text, sizeof reader->failure_text, "%s at byte %zu", what,
             (size_t)(at - reader->data));
    return stele__cbor_fail(reader, status, at);
}

static const char *name_cbor_item(const stele__cbor_head *head)
{
    static const char *const names[] = { "integer", "integer", "byte string", "text",
                                         "array",   "map",     "tag",         "simple value" };
    bool is_real = head->major == STELE__CBOR_MAJOR_OTHER && head->info > STELE__CBOR_INFO_8;
    return is_real ? "real" : names[head->major];
}

/* Name the last key, which its map already has, in its one form; `at` is where it starts. */
static stele_status refuse_cbor_duplicate(cbor_scan *scan, const unsigned char *at)
{
    size_t size;
    const unsigned char *key = stele__keys_last(&scan->reader->keys, &size);
    stele__cbor_head head;
    stele__cbor_read_head(key, key + size, &head);

    if (head.major == STELE__CBOR_MAJOR_POSITIVE)
        return refuse_cbor(scan, STELE_INVALID, at, "duplicate key %" PRIu64, head.argument);
    if (head.major == STELE__CBOR_MAJOR_NEGATIVE && head.argument == UINT64_MAX)
        return refuse_cbor(scan, STELE_INVALID, at, "duplicate key -18446744073709551616");
    if (head.major == STELE__CBOR_MAJOR_NEGATIVE)
        return refuse_cbor(scan, STELE_INVALID, at, "duplicate key -%" PRIu64, head.argument + 1);
    if (head.major == STELE__CBOR_MAJOR_BYTES)
        return refuse_cbor(scan, STELE_INVALID, at, "duplicate key, a byte string of %" PRIu64,
                           head.argument);

    const unsigned char *text = key + head.size;
    size_t text_size = size - head.size;
    size_t shown_size = text_size;
    if (shown_size > CBOR_SHOWN_KEY_SIZE) {
        shown_size = CBOR_SHOWN_KEY_SIZE;
        while ((text[shown_size] & 0xc0) == 0x80) /* not through a character */
            shown_size--;
    }
    return refuse_cbor(scan, STELE_INVALID, at, "duplicate key '%.*s'%s", (int)shown_size,
                       (const char *)text, shown_size < text_size ? "..." : "");
}

/* Heads */

/* Count one more item, and read its head: of any major type, reserved forms refused. */
static stele_status read_cbor_head(cbor_scan *scan, const unsigned char *at, stele__cbor_head *head)
{
    const stele_cbor_reader *reader = scan->reader;
    if (scan->items == reader->item_max)
        return refuse_cbor(scan, STELE_TOO_LARGE, at, "more than %" PRIu32 " items",
                           reader->item_max);
    scan->items++;

    bool complete = stele__cbor_read_head(at, reader->end, head);
    if (head->info > STELE__CBOR_INFO_64 && head->info < STELE__CBOR_INFO_INDEFINITE)
        return refuse_cbor(scan, STELE_INVALID, at, "reserved byte 0x%02x", (unsigned)*at);
    if (!complete)
        return refuse_cbor(scan, STELE_INVALID, at, "%s with a head of %zu bytes, of which %zu are",
                           name_cbor_item(head), head->size, (size_t)(reader->end - at));
    return STELE_OK;
}

/* There is no item at `at`, but a break or nothing. */
static stele_status refuse_cbor_place(cbor_scan *scan, const unsigned char *at)
{
    const stele_cbor_reader *reader = scan->reader;
    const stele__cbor_frame *frame = reader->depth == 0 ? NULL : &reader->frames[reader->depth - 1];
    bool is_map = frame != NULL && frame->major == STELE__CBOR_MAJOR_MAP;
    return refuse_cbor(scan, STELE_INVALID, at, "%s instead of %s%s",
                       at == reader->end ? "end of the payload" : "break",
                       !is_map           ? "an item"
                       : frame->at_value ? "a value"
                                         : "a key",
                       frame != NULL && frame->indefinite && !frame->at_value ? " or a break" : "");
}

/* Strings */

/* The first byte that is no UTF-8, or `end`. */
static const unsigned char *find_bad_utf8(const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        uint64_t eight;
        if (end - at >= (ptrdiff_t)sizeof eight) {
            memcpy(&eight, at, sizeof eight);
            if ((eight & CBOR_HIGH_BITS) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t sequence = stele__utf8_sequence(at, (size_t)(end - at));
        if (sequence == 0)
            break;
        at += sequence;
    }
    return at;
}

/* Pass over the content of a definite string whose head stands at `start`. */
static stele_status scan_cbor_content(cbor_scan *scan, const unsigned char *start,
                                      const stele__cbor_head *head)
{
    const unsigned char *content = start + head->size;
    size_t left = (size_t)(scan->reader->end - content);
    if (head->argument > left)
        return refuse_cbor(scan, STELE_INVALID, start, "%s of %" PRIu64 " bytes with %zu left",
                           name_cbor_item(head), head->argument, left);

    scan->at = content + (size_t)head->argument;
    if (head->major == STELE__CBOR_MAJOR_TEXT) {
        const unsigned char *bad = find_bad_utf8(content, scan->at);
        if (bad < scan->at)
            return refuse_cbor(scan, STELE_INVALID, bad, "invalid UTF-8");
    }
    return STELE_OK;
}

/* Pass over the chunks of a string, and the break behind them; counts the bytes of its content. */
static stele_status scan_cbor_chunks(cbor_scan *scan, const stele__cbor_head *string,
                                     size_t *size_out)
{
    *size_out = 0;
    for (;;) {
        const unsigned char *at = scan->at;
        if (at == scan->reader->end)
            return refuse_cbor(scan, STELE_INVALID, at,
                               "end of the payload instead of a chunk or a break");
        if (*at == STELE__CBOR_BREAK) {
            scan->at++;
            return STELE_OK;
        }
        stele__cbor_head head = { 0 };
        stele_status status = read_cbor_head(scan, at, &head);
        if (status != STELE_OK)
            return status;
        if (head.major != string->major)
            return refuse_cbor(scan, STELE_INVALID, at, "%s as a chunk of a %s",
                               name_cbor_item(&head), name_cbor_item(string));
        if (head.info == STELE__CBOR_INFO_INDEFINITE)
            return refuse_cbor(scan, STELE_INVALID, at, "chunk of indefinite length");
        status = scan_cbor_content(scan, at, &head);
        if (status != STELE_OK)
            return status;
        *size_out += (size_t)head.argument;
    }
}

/* Keys */

/* Put the one form of a key whose bytes are [start, end) into `room`; returns its size. */
static size_t encode_cbor_key(const unsigned char *start, const unsigned char *end,
                              const stele__cbor_head *head, size_t content_size,
                              unsigned char *room)
{
    bool is_string = head->major >= STELE__CBOR_MAJOR_BYTES;
    size_t size = stele__cbor_write_head(room, (stele__cbor_major)head->major,
                                         is_string ? content_size : head->argument);
    if (!is_string)
        return size;
    if (head->info != STELE__CBOR_INFO_INDEFINITE) {
        memcpy(room + size, start + head->size, content_size);
        return size + content_size;
    }
    const unsigned char *at = start + 1;
    while (*at != STELE__CBOR_BREAK) {
        stele__cbor_head chunk;
        stele__cbor_read_head(at, end, &chunk);
        memcpy(room + size, at + chunk.size, (size_t)chunk.argument);
        size += (size_t)chunk.argument;
        at += chunk.size + (size_t)chunk.argument;
    }
    return size;
}

/* Compare the key that starts at `start` and ends where the scan is with those before it. */
static stele_status add_cbor_key(cbor_scan *scan, const unsigned char *start,
                                 const stele__cbor_head *head, size_t content_size)
{
    stele_cbor_reader *reader = scan->reader;
    stele__keys_object *object = &reader->frames[reader->depth - 1].keys;
    bool is_shortest = head->info != STELE__CBOR_INFO_INDEFINITE
                       && head->size == stele__cbor_head_size(head->argument);

    stele_status status = STELE_NO_MEMORY;
    if (is_shortest) {
        status = stele__keys_add(&reader->keys, object, start, (size_t)(scan->at - start));
    } else {
        /* The one form is never longer than what is written, but room for a head is asked for. */
        unsigned char *room =
            stele__keys_room(&reader->keys, (size_t)(scan->at - start) + STELE__CBOR_HEAD_SIZE_MAX);
        if (room != NULL)
            status = stele__keys_add_decoded(
                &reader->keys, object, encode_cbor_key(start, scan->at, head, content_size, room));
    }
    if (status == STELE_INVALID)
        return refuse_cbor_duplicate(scan, start);
    if (status != STELE_OK)
        return refuse_cbor(scan, status, start, "no memory to tell keys apart");
    return STELE_OK;
}

/* Maps, arrays and tags */

static stele_status grow_cbor_frames(stele_cbor_reader *reader)
{
    stele__cbor_frame *memory = stele__grow_array(
        reader->frames, reader->first_frames, &reader->frame_capacity, sizeof(stele__cbor_frame));
    if (memory == NULL)
        return STELE_NO_MEMORY;
    reader->frames = memory;
    return STELE_OK;
}

stele_status stele__cbor_enter(stele_cbor_reader *reader, const stele__cbor_head *head)
{
    if (reader->depth == reader->frame_capacity && grow_cbor_frames(reader) != STELE_OK)
        return STELE_NO_MEMORY;
    stele__cbor_frame *frame = &reader->frames[reader->depth++];
    frame->major = (uint8_t)head->major;
    frame->indefinite = head->info == STELE__CBOR_INFO_INDEFINITE;
    frame->at_value = false;
    frame->left = head->major == STELE__CBOR_MAJOR_TAG   ? 1
                  : head->major == STELE__CBOR_MAJOR_MAP ? (uint32_t)head->argument * 2
                                                         : (uint32_t)head->argument;
    stele__keys_enter(&reader->keys, &frame->keys);
    return STELE_OK;
}

static stele_status begin_cbor_container(cbor_scan *scan, const unsigned char *at,
                                         const stele__cbor_head *head)
{
    stele_cbor_reader *reader = scan->reader;
    size_t left = (size_t)(reader->end - scan->at);
    /* Each item takes a byte at least. */
    if (head->major == STELE__CBOR_MAJOR_ARRAY && head->argument > left)
        return refuse_cbor(scan, STELE_INVALID, at,
                           "array of %" PRIu64 " items with %zu bytes left", head->argument, left);
    if (head->major == STELE__CBOR_MAJOR_MAP && head->argument > left / 2)
        return refuse_cbor(scan, STELE_INVALID, at, "map of %" PRIu64 " pairs with %zu bytes left",
                           head->argument, left);
    if (reader->depth == reader->depth_max)
        return refuse_cbor(scan, STELE_TOO_LARGE, at, "nested deeper than %" PRIu32 " levels",
                           reader->depth_max);
    if (stele__cbor_enter(reader, head) != STELE_OK)
        return refuse_cbor(scan, STELE_NO_MEMORY, at, "no memory to nest deeper");
    return STELE_OK;
}

/* End the maps and arrays that have all they announced. */
static void end_full_cbor_containers(stele_cbor_reader *reader)
{
    while (reader->depth > 0) {
        const stele__cbor_frame *frame = &reader->frames[reader->depth - 1];
        if (frame->indefinite || frame->left > 0 || frame->major == STELE__CBOR_MAJOR_TAG)
            return;
        stele__keys_leave(&reader->keys, &frame->keys);
        reader->depth--;
        stele__cbor_end_item(reader);
    }
}

/* The whole */

static stele_status scan_cbor_break(cbor_scan *scan)
{
    stele_cbor_reader *reader = scan->reader;
    const stele__cbor_frame *frame = &reader->frames[reader->depth > 0 ? reader->depth - 1 : 0];
    if (reader->depth == 0 || !frame->indefinite || frame->at_value)
        return refuse_cbor_place(scan, scan->at);
    stele__keys_leave(&reader->keys, &frame->keys);
    reader->depth--;
    scan->at++;
    stele__cbor_end_item(reader);
    return STELE_OK;
}

static stele_status scan_cbor_string(cbor_scan *scan, const unsigned char *at,
                                     const stele__cbor_head *head, bool is_key)
{
    size_t content_size = (size_t)head->argument;
    stele_status status = head->info == STELE__CBOR_INFO_INDEFINITE
                              ? scan_cbor_chunks(scan, head, &content_size)
                              : scan_cbor_content(scan, at, head);
    if (status == STELE_OK && is_key)
        status = add_cbor_key(scan, at, head, content_size);
    return status;
}

static stele_status scan_cbor_item(cbor_scan *scan)
{
    stele_cbor_reader *reader = scan->reader;
    const unsigned char *at = scan->at;
    if (at == reader->end)
        return refuse_cbor_place(scan, at);
    if (*at == STELE__CBOR_BREAK)
        return scan_cbor_break(scan);

    stele__cbor_head head = { 0 };
    stele_status status = read_cbor_head(scan, at, &head);
    if (status != STELE_OK)
        return status;
    bool is_key = stele__cbor_begin_item(reader);
    if (is_key && head.major > STELE__CBOR_MAJOR_TEXT)
        return refuse_cbor(scan, STELE_INVALID, at, "%s as a key", name_cbor_item(&head));
    scan->at += head.size;

    switch ((stele__cbor_major)head.major) {
    case STELE__CBOR_MAJOR_BYTES:
    case STELE__CBOR_MAJOR_TEXT: status = scan_cbor_string(scan, at, &head, is_key); break;
    case STELE__CBOR_MAJOR_ARRAY:
    case STELE__CBOR_MAJOR_MAP: return begin_cbor_container(scan, at, &head);
    case STELE__CBOR_MAJOR_POSITIVE:
    case STELE__CBOR_MAJOR_NEGATIVE:
    case STELE__CBOR_MAJOR_TAG:
        if (head.info == STELE__CBOR_INFO_INDEFINITE)
            return refuse_cbor(scan, STELE_INVALID, at, "reserved byte 0x%02x", (unsigned)*at);
        if (head.major == STELE__CBOR_MAJOR_TAG)
            return begin_cbor_container(scan, at, &head);
        if (is_key)
            status = add_cbor_key(scan, at, &head, 0);
        break;
    case STELE__CBOR_MAJOR_OTHER:
        if (head.info == STELE__CBOR_INFO_8 && head.argument < 32)
            return refuse_cbor(scan, STELE_INVALID, at, "simple value %" PRIu64 " in two bytes",
                               head.argument);
        break;
    }
    if (status == STELE_OK)
        stele__cbor_end_item(reader);
    return status;
}

stele_status stele__cbor_scan(stele_cbor_reader *reader)
{
    cbor_scan scan = { reader, reader->data, 0 };
    do {
        stele_status status = scan_cbor_item(&scan);
        if (status != STELE_OK)
            return status;
        end_full_cbor_containers(reader);
    } while (reader->depth > 0);

    if (scan.at < reader->end)
        return refuse_cbor(&scan, STELE_INVALID, scan.at, "unexpected byte 0x%02x after the item",
                           (unsigned)*scan.at);
    return STELE_OK;
}
