/*
 * Attributes as they lie in a row: a JSON object of strings, the names in the order of their bytes,
 * without blanks. There is one such text for a set of attributes, so that equal texts mean equal
 * sets, and SQL's JSON functions read it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "state/state.h"

/* Sorted without asking for memory. */
#define ATTRIBUTES_INLINE    16
#define ATTRIBUTE_SIZE_FIRST sizeof(stele_attribute)

const char *stele_entry_attribute(const stele_entry *entry, const char *name)
{
    if (entry == NULL || name == NULL)
        return NULL;
    for (size_t i = 0; i < entry->attribute_count; i++)
        if (strcmp(entry->attributes[i].name, name) == 0)
            return entry->attributes[i].value;
    return NULL;
}

/* --- Writing --- */

static stele_status add_quoted(stele__buffer *text, const char *string)
{
    stele_status status = stele__buffer_add(text, "\"", 1);
    while (status == STELE_OK && *string != '\0') {
        size_t plain = 0;
        while ((unsigned char)string[plain] >= 0x20 && string[plain] != '"'
               && string[plain] != '\\')
            plain++;
        status = stele__buffer_add(text, string, plain);
        string += plain;
        if (status != STELE_OK || *string == '\0')
            break;
        char escape[8];
        if (*string == '"' || *string == '\\')
            snprintf(escape, sizeof(escape), "\\%c", *string);
        else
            snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)*string);
        status = stele__buffer_add_text(text, escape);
        string++;
    }
    return status == STELE_OK ? stele__buffer_add(text, "\"", 1) : status;
}

static stele_status check_attribute(const void *array, size_t index, size_t size,
                                    stele_attribute *attribute_out)
{
    const unsigned char *at = (const unsigned char *)array + index * size;
    for (size_t i = sizeof(*attribute_out); i < size; i++)
        if (at[i] != 0)
            return stele__fail(STELE_MISUSE,
                               "attribute %zu sets a field that this library doesn't know", index);
    memcpy(attribute_out, at, sizeof(*attribute_out));
    if (attribute_out->value == NULL)
        attribute_out->value = "";
    stele_status status = stele__check_name("name of an attribute", attribute_out->name);
    if (status != STELE_OK)
        return stele__fail_within(status, "attribute %zu", index);
    if (!stele__utf8_valid(attribute_out->value, strlen(attribute_out->value)))
        return stele__fail(STELE_MISUSE, "the value of the attribute '%s' is not UTF-8",
                           attribute_out->name);
    return STELE_OK;
}

static int compare_attributes(const void *left, const void *right)
{
    return strcmp(((const stele_attribute *)left)->name, ((const stele_attribute *)right)->name);
}

static stele_status write_sorted(const stele_attribute *sorted, size_t count, size_t size_max,
                                 stele__buffer *text)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        if (i > 0 && strcmp(sorted[i - 1].name, sorted[i].name) == 0)
            return stele__fail(STELE_MISUSE, "the attribute '%s' is there twice", sorted[i].name);
        if (strlen(sorted[i].value) > size_max)
            return stele__fail(STELE_TOO_LARGE,
                               "the attribute '%s' has %zu bytes, beyond value_size_max",
                               sorted[i].name, strlen(sorted[i].value));
        status = stele__buffer_add(text, i == 0 ? "{" : ",", 1);
        if (status == STELE_OK)
            status = add_quoted(text, sorted[i].name);
        if (status == STELE_OK)
            status = stele__buffer_add(text, ":", 1);
        if (status == STELE_OK)
            status = add_quoted(text, sorted[i].value);
        if (status == STELE_OK && text->size >= size_max)
            return stele__fail(STELE_TOO_LARGE, "the attributes are beyond value_size_max, %zu",
                               size_max);
    }
    return status == STELE_OK ? stele__buffer_add(text, "}", 2) : status; /* with its NUL */
}

stele_status stele__attributes_write(const stele_attribute *attributes, size_t count, size_t size,
                                     size_t size_max, stele__buffer *text)
{
    stele_attribute few[ATTRIBUTES_INLINE];
    stele_attribute *sorted = few;
    stele_status status = STELE_OK;
    if (count == 0)
        return STELE_OK;
    if (attributes == NULL)
        return stele__fail(STELE_MISUSE, "attributes is NULL, attribute_count is %zu", count);
    if (size < ATTRIBUTE_SIZE_FIRST)
        return stele__fail(STELE_MISUSE, "attribute_size is %zu, too small", size);
    if (count > STELE_ATTRIBUTE_COUNT_MAX)
        return stele__fail(STELE_TOO_LARGE, "%zu attributes of one entry, beyond %d", count,
                           STELE_ATTRIBUTE_COUNT_MAX);
    if (count > ATTRIBUTES_INLINE)
        sorted = stele__allocate_array(count, sizeof(*sorted));
    if (sorted == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu attributes", count);
    for (size_t i = 0; i < count && status == STELE_OK; i++)
        status = check_attribute(attributes, i, size, &sorted[i]);
    if (status == STELE_OK) {
        qsort(sorted, count, sizeof(*sorted), compare_attributes);
        status = write_sorted(sorted, count, size_max, text);
    }
    if (sorted != few)
        stele__free(sorted);
    return status;
}

/* --- Reading --- */

/* What is left of the text, and of the room for what it says. */
typedef struct attribute_reader {
    const char *at;
    const char *end;
    char *room; /* NULL: nothing is kept */
} attribute_reader;

static bool take_character(attribute_reader *reader, char character)
{
    if (reader->at == reader->end || *reader->at != character)
        return false;
    reader->at++;
    return true;
}

/* The character that an escape stands for, in our own way of escaping; -1: none. */
static int take_escape(attribute_reader *reader)
{
    static const char digits[] = "0123456789abcdef";
    size_t left = (size_t)(reader->end - reader->at);
    if (left >= 1 && (*reader->at == '"' || *reader->at == '\\'))
        return (unsigned char)*reader->at++;
    if (left < 5 || memcmp(reader->at, "u00", 3) != 0
        || (reader->at[3] != '0' && reader->at[3] != '1'))
        return -1;
    const char *low = memchr(digits, reader->at[4], sizeof(digits) - 1);
    int character = low == NULL ? 0 : (reader->at[3] - '0') * 16 + (int)(low - digits);
    reader->at += 5;
    return character == 0 ? -1 : character;
}

/* A quoted string; `*size_out` without its quotes, escapes resolved. */
static bool take_string(attribute_reader *reader, const char **string_out, size_t *size_out)
{
    char *out = reader->room;
    *string_out = out;
    *size_out = 0;
    if (!take_character(reader, '"'))
        return false;
    while (reader->at < reader->end && *reader->at != '"') {
        int character = (unsigned char)*reader->at++;
        if (character < 0x20)
            return false;
        if (character == '\\' && (character = take_escape(reader)) < 0)
            return false;
        if (out != NULL)
            out[*size_out] = (char)character;
        ++*size_out;
    }
    if (!take_character(reader, '"'))
        return false;
    if (out == NULL)
        return true;
    out[*size_out] = '\0';
    reader->room = out + *size_out + 1;
    return stele__utf8_valid(out, *size_out);
}

static stele_status fail_with_attributes(void)
{
    return stele__fail(STELE_CORRUPT, "its attributes are damaged");
}

stele_status stele__attributes_read(const char *text, size_t size, stele_attribute *attributes_out,
                                    char *room, size_t *count_out)
{
    attribute_reader reader = { text, text + size, attributes_out == NULL ? NULL : room };
    *count_out = 0;
    if (text == NULL)
        return STELE_OK;
    do {
        stele_attribute attribute;
        size_t name_size;
        size_t value_size;
        if (!take_character(&reader, *count_out == 0 ? '{' : ',')
            || !take_string(&reader, &attribute.name, &name_size) || !take_character(&reader, ':')
            || !take_string(&reader, &attribute.value, &value_size))
            return fail_with_attributes();
        if (attributes_out != NULL) {
            if (stele__check_name("name of an attribute", attribute.name) != STELE_OK
                || (*count_out > 0
                    && strcmp(attributes_out[*count_out - 1].name, attribute.name) >= 0))
                return fail_with_attributes();
            attributes_out[*count_out] = attribute;
        }
        ++*count_out;
    } while (reader.at < reader.end && *reader.at == ',');
    if (!take_character(&reader, '}') || reader.at != reader.end)
        return fail_with_attributes();
    return STELE_OK;
}
