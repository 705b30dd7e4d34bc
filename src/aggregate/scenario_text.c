/* Events and payloads in words, for scenarios that fail. */
#include "aggregate/scenario_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele/codec.h>
#include <stele/type.h>
#include <stele/typed.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/memory.h"

#define NAME_SHOWN_MAX    40
#define PAYLOAD_SHOWN_MAX 140
#define SHOWN_BEFORE      40 /* of the first difference */
#define BYTES_SHOWN_MAX   32

void stele__words_dispose(stele__words *words)
{
    stele__buffer_dispose(&words->payload);
    words->head[0] = '\0';
}

/* --- Making them --- */

static stele_status show_bytes(const unsigned char *data, size_t size, stele_buffer *text)
{
    char shown[2 * BYTES_SHOWN_MAX + 32];
    int length = snprintf(shown, sizeof(shown), "%zu bytes 0x", size);
    for (size_t i = 0; i < size && i < BYTES_SHOWN_MAX; i++)
        length += snprintf(shown + length, sizeof(shown) - (size_t)length, "%02x", data[i]);
    if (size > BYTES_SHOWN_MAX)
        length += snprintf(shown + length, sizeof(shown) - (size_t)length, "...");
    return stele__buffer_add(text, shown, (size_t)length);
}

/* Without a NUL at its end, which isn't counted. */
static stele_status format_value(const stele_type *type, const stele_codec *codec, const void *data,
                                 size_t size, stele_buffer *text)
{
    void *value = stele__allocate_array(1, type->size);
    if (value == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a value");
    stele_status status = stele_type_decode(type, codec, data, size, value, NULL);
    if (status == STELE_OK)
        status = stele_type_format(type, value, text);
    stele_type_clear(type, value);
    stele__free(value);
    return status;
}

/* OK also when nothing is known of the type, or it can't be decoded: then nothing is written. */
static stele_status show_typed(stele_store *store, const stele_event *event, stele_buffer *text)
{
    const stele_type *type = NULL;
    const stele_codec *codec = NULL;
    stele_status status = stele_store_type(store, event->type, event->schema_version, &type);
    if (status == STELE_OK)
        status = stele_store_codec(store, event->codec, &codec);
    if (status == STELE_OK)
        status = format_value(type, codec, event->data, event->data_size, text);
    return status == STELE_NO_MEMORY || status == STELE_CLOSED ? status : STELE_OK;
}

static stele_status show_payload(const char *codec, const void *data, size_t size,
                                 stele_buffer *text)
{
    if (size == 0)
        return STELE_OK;
    return strcmp(codec, "json") == 0 ? stele__buffer_add(text, data, size)
                                      : show_bytes(data, size, text);
}

/* As much of a name as is shown, not through a character. */
static int shown_size(const char *name)
{
    return (int)stele__utf8_cut(name, strlen(name), NAME_SHOWN_MAX);
}

stele_status stele__words_of_event(stele_store *store, const stele_event *event,
                                   stele__words *words)
{
    char version[48] = "";
    bool json = strcmp(event->codec, "json") == 0;
    if (event->schema_version != 1)
        snprintf(version, sizeof(version), " (schema version %" PRId64 ")", event->schema_version);
    snprintf(words->head, sizeof(words->head), "%.*s%s%s%.*s", shown_size(event->type), event->type,
             version, json ? "" : " in ", json ? 0 : shown_size(event->codec), event->codec);
    stele_status status = show_typed(store, event, &words->payload);
    if (status == STELE_OK && words->payload.size == 0)
        status = show_payload(event->codec, event->data, event->data_size, &words->payload);
    return status;
}

stele_status stele__words_of_bytes(const char *head, const char *codec, const void *data,
                                   size_t size, stele__words *words)
{
    snprintf(words->head, sizeof(words->head), "%s", head);
    return show_payload(codec, data, size, &words->payload);
}

/* --- Saying them --- */

/* What is shown of a text. */
typedef struct window {
    const char *before; /* "..." when something is left out there */
    const char *text;
    int size;
    const char *after;
} window;

static bool is_inside_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

static window window_at(const stele_buffer *text, size_t differs_at)
{
    size_t begin = 0;
    size_t end = text->size;
    if (text->size > PAYLOAD_SHOWN_MAX) {
        begin = differs_at > SHOWN_BEFORE ? differs_at - SHOWN_BEFORE : 0;
        if (begin > text->size - PAYLOAD_SHOWN_MAX)
            begin = text->size - PAYLOAD_SHOWN_MAX;
        end = begin + PAYLOAD_SHOWN_MAX;
        while (begin < end && is_inside_character(text->data[begin]))
            begin++;
        while (end > begin && end < text->size && is_inside_character(text->data[end]))
            end--;
    }
    return (window){ .before = begin > 0        ? " ..."
                               : text->size > 0 ? " "
                                                : "",
                     .text = text->size > 0 ? text->data + begin : "",
                     .size = (int)(end - begin),
                     .after = end < text->size ? "..." : "" };
}

static size_t first_difference(const stele_buffer *left, const stele_buffer *right)
{
    size_t at = 0;
    while (at < left->size && at < right->size && left->data[at] == right->data[at])
        at++;
    return at;
}

stele_status stele__fail_differing(const char *lead, const stele__words *expected,
                                   const stele__words *found)
{
    size_t at = first_difference(&expected->payload, &found->payload);
    window one = window_at(&expected->payload, at);
    window other = window_at(&found->payload, at);
    if (strcmp(expected->head, found->head) == 0 && at == expected->payload.size
        && at == found->payload.size)
        return stele__fail(STELE_INVALID,
                           "%sexpected %s%s%.*s%s, but there is one that reads the same and is "
                           "other bytes: a secret, or how it is written",
                           lead, expected->head, one.before, one.size, one.text, one.after);
    return stele__fail(STELE_INVALID, "%sexpected %s%s%.*s%s, but there is %s%s%.*s%s", lead,
                       expected->head, one.before, one.size, one.text, one.after, found->head,
                       other.before, other.size, other.text, other.after);
}

stele_status stele__fail_with_words(const char *lead, const stele__words *words, const char *tail)
{
    window shown = window_at(&words->payload, 0);
    return stele__fail(STELE_INVALID, "%s%s%s%.*s%s%s", lead, words->head, shown.before, shown.size,
                       shown.text, shown.after, tail);
}
