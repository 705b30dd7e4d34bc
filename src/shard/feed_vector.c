/*
 * The vector as a text: `[["organisation","namespace","epoch",position],...]`, by names. What was
 * given and has found no shard yet stays in it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele/json.h>

#include "base/failure.h"
#include "base/memory.h"
#include "shard/feeding.h"

#define VECTOR_SIZE_MAX (256u * 1024 * 1024)
/* A name with all its bytes escaped, in quotes, and a NUL. */
#define QUOTED_MAX (6 * STELE_SHARD_NAME_MAX + 3)

int stele__feed_order(const char *organisation, const char *name_space,
                      const char *other_organisation, const char *other_namespace)
{
    int order = strcmp(organisation, other_organisation);
    return order != 0 ? order : strcmp(name_space, other_namespace);
}

/* --- Reading --- */

static stele_status refuse_vector(const stele_json_token *token, const char *what)
{
    return stele__fail(STELE_INVALID, "the vector, byte %zu: %s", token->offset, what);
}

/* The next token, which must be of that kind. */
static stele_status expect_token(stele_json_reader *reader, stele_json_kind kind, const char *what,
                                 stele_json_token *token)
{
    stele_status status = stele_json_next(reader, token);
    if (status < 0)
        return stele__fail_within(status, "the vector");
    return token->kind == kind ? STELE_OK : refuse_vector(token, what);
}

static stele_status read_vector_name(stele_json_reader *reader, const char *what,
                                     stele_status (*check)(const char *name), char **name_out)
{
    char name[STELE_SHARD_NAME_MAX + 1];
    stele_json_token token;
    stele_status status = expect_token(reader, STELE_JSON_STRING, what, &token);
    if (status != STELE_OK)
        return status;
    if (stele_json_text(&token, name, sizeof(name), NULL) != STELE_OK || check(name) != STELE_OK)
        return refuse_vector(&token, what);
    *name_out = stele__copy_text(name);
    return *name_out != NULL ? STELE_OK : stele__fail(STELE_NO_MEMORY, "no memory for the vector");
}

static bool is_uuid_text(const char *text)
{
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (dash ? text[i] != '-' : !digit)
            return false;
    }
    return text[36] == '\0';
}

/* What follows the bracket of a component. */
static stele_status read_component(stele_json_reader *reader, stele__feed_given *given)
{
    stele_json_token token;
    stele_status status = read_vector_name(reader, "the name of an organisation was to come",
                                           stele__check_organisation, &given->organisation);
    if (status == STELE_OK)
        status = read_vector_name(reader, "the name of a namespace was to come",
                                  stele__check_namespace, &given->name_space);
    if (status == STELE_OK)
        status = expect_token(reader, STELE_JSON_STRING, "an epoch was to come", &token);
    if (status == STELE_OK
        && (stele_json_text(&token, given->epoch, sizeof(given->epoch), NULL) != STELE_OK
            || !is_uuid_text(given->epoch)))
        status = refuse_vector(&token, "an epoch was to come");
    if (status == STELE_OK)
        status = expect_token(reader, STELE_JSON_NUMBER, "a position was to come", &token);
    if (status == STELE_OK
        && (stele_json_int64(&token, &given->position) != STELE_OK || given->position < 0))
        status = refuse_vector(&token, "a position was to come");
    if (status == STELE_OK)
        status = expect_token(reader, STELE_JSON_ARRAY_END, "the component was to end", &token);
    return status;
}

static stele_status add_component(stele_feed *feed, size_t *capacity, stele_json_reader *reader,
                                  const stele_json_token *begin)
{
    if (feed->given_count == *capacity) {
        size_t grown_to = *capacity == 0 ? 16 : 2 * *capacity;
        stele__feed_given *grown = stele__reallocate(feed->given, grown_to * sizeof(*grown));
        if (grown == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for a vector of %zu", grown_to);
        feed->given = grown;
        *capacity = grown_to;
    }
    stele__feed_given *given = &feed->given[feed->given_count++];
    *given = (stele__feed_given){ 0 };
    stele_status status = read_component(reader, given);
    if (status != STELE_OK || feed->given_count == 1)
        return status;
    const stele__feed_given *before = given - 1;
    if (stele__feed_order(before->organisation, before->name_space, given->organisation,
                          given->name_space)
        >= 0)
        return refuse_vector(begin, "this component is not behind the one before it");
    return STELE_OK;
}

static stele_status read_components(stele_feed *feed, stele_json_reader *reader)
{
    stele_json_token token;
    size_t capacity = 0;
    stele_status status =
        expect_token(reader, STELE_JSON_ARRAY_BEGIN, "a list was to come", &token);
    while (status == STELE_OK) {
        status = stele_json_next(reader, &token);
        if (status < 0)
            return stele__fail_within(status, "the vector");
        if (token.kind == STELE_JSON_ARRAY_END)
            break;
        status = token.kind == STELE_JSON_ARRAY_BEGIN
                     ? add_component(feed, &capacity, reader, &token)
                     : refuse_vector(&token, "a component was to come");
    }
    if (status != STELE_OK)
        return status;
    status = stele_json_next(reader, &token);
    return status == STELE_DONE ? STELE_OK : stele__fail_within(status, "the vector");
}

stele_status stele__feed_vector_read(stele_feed *feed, const char *text)
{
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    stele_json_reader *reader = NULL;
    options.size_max = VECTOR_SIZE_MAX;
    stele_status status = stele_json_open(text, strlen(text), &options, &reader);
    if (status != STELE_OK)
        return stele__fail_within(status, "the vector");
    status = read_components(feed, reader);
    stele_json_close(reader);
    return status;
}

/* --- Writing --- */

static stele_status add_vector_name(stele_buffer *text, const char *name)
{
    char quoted[QUOTED_MAX];
    size_t size = stele_json_quote(name, strlen(name), quoted, sizeof(quoted));
    return stele_buffer_add(text, quoted, size);
}

static stele_status add_to_vector(stele_buffer *text, bool *first, const char *organisation,
                                  const char *name_space, const char *epoch, int64_t position)
{
    char number[80];
    stele_status status = *first ? STELE_OK : stele_buffer_add(text, ",", 1);
    *first = false;
    if (status == STELE_OK)
        status = stele_buffer_add(text, "[", 1);
    if (status == STELE_OK)
        status = add_vector_name(text, organisation);
    if (status == STELE_OK)
        status = stele_buffer_add(text, ",", 1);
    if (status == STELE_OK)
        status = add_vector_name(text, name_space);
    int size = snprintf(number, sizeof(number), ",\"%s\",%" PRId64 "]", epoch, position);
    return status == STELE_OK ? stele_buffer_add(text, number, (size_t)size) : status;
}

/* Both lists are by names. */
static stele_status write_components(const stele_feed *feed, stele_buffer *text)
{
    size_t at = 0;
    bool first = true;
    stele_status status = STELE_OK;
    for (size_t i = 0; i <= feed->item_count && status == STELE_OK; i++) {
        const stele__feed_shard *item = i < feed->item_count ? feed->items[i] : NULL;
        if (item != NULL && !item->placed)
            continue;
        for (; at < feed->given_count && status == STELE_OK; at++) {
            const stele__feed_given *given = &feed->given[at];
            if (item != NULL
                && stele__feed_order(given->organisation, given->name_space, item->organisation,
                                     item->name_space)
                       >= 0)
                break;
            if (!given->taken)
                status = add_to_vector(text, &first, given->organisation, given->name_space,
                                       given->epoch, given->position);
        }
        if (item != NULL && status == STELE_OK)
            status = add_to_vector(text, &first, item->organisation, item->name_space, item->epoch,
                                   item->acked);
    }
    return status;
}

stele_status stele_feed_vector(stele_feed *feed, stele_buffer *text)
{
    if (feed == NULL || text == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", feed == NULL ? "feed" : "text");
    stele_status status = stele__shards_enter(feed->shards);
    if (status != STELE_OK)
        return status;
    size_t size = text->size;
    status = stele_buffer_add(text, "[", 1);
    if (status == STELE_OK)
        status = write_components(feed, text);
    if (status == STELE_OK)
        status = stele_buffer_add(text, "]", 1);
    if (status != STELE_OK)
        text->size = size;
    stele__shards_leave(feed->shards);
    return status;
}
