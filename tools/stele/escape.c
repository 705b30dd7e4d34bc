#include "escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/** A byte that begins no valid UTF-8 character. */
#define BROKEN UINT32_MAX

typedef struct code_range {
    uint32_t first;
    uint32_t last;
} code_range;

/* The letters that terminals draw in two columns, roughly: enough to keep a table straight. */
static const code_range wide[] = {
    { 0x1100, 0x115F },   { 0x231A, 0x231B },   { 0x23E9, 0x23EC },   { 0x2614, 0x2615 },
    { 0x2E80, 0x303E },   { 0x3041, 0xA4CF },   { 0xA960, 0xA97F },   { 0xAC00, 0xD7A3 },
    { 0xF900, 0xFAFF },   { 0xFE30, 0xFE6F },   { 0xFF00, 0xFF60 },   { 0xFFE0, 0xFFE6 },
    { 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF }, { 0x1F900, 0x1F9FF }, { 0x20000, 0x3FFFD },
};

/* Those that are drawn over or into their neighbour. */
static const code_range narrow[] = {
    { 0x0300, 0x036F }, { 0x0483, 0x0489 }, { 0x0591, 0x05BD }, { 0x064B, 0x065F },
    { 0x1AB0, 0x1AFF }, { 0x1DC0, 0x1DFF }, { 0x200B, 0x200F }, { 0x20D0, 0x20FF },
    { 0xFE00, 0xFE0F }, { 0xFE20, 0xFE2F }, { 0xFEFF, 0xFEFF }, { 0xE0100, 0xE01EF },
};

static bool is_in(uint32_t code, const code_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    }
    return false;
}

static size_t code_width(uint32_t code)
{
    if (code < 0x300)
        return 1;
    if (is_in(code, narrow, sizeof(narrow) / sizeof(narrow[0])))
        return 0;
    return is_in(code, wide, sizeof(wide) / sizeof(wide[0])) ? 2 : 1;
}

/* The character at `text`, and how many bytes it takes; BROKEN and 1 when it is none. */
static size_t decode_character(const unsigned char *text, size_t size, uint32_t *code_out)
{
    static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char first = text[0];
    *code_out = first;
    if (first < 0x80)
        return 1;

    *code_out = BROKEN;
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || length > size)
        return 1;
    uint32_t code = first & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 1;
        code = code << 6 | (text[i] & 0x3Fu);
    }
    if (code < lowest[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 1;
    *code_out = code;
    return length;
}

/* The controls of C0 and C1, DEL, the line separators, and what changes the writing direction. */
static bool is_harmful(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code <= 0x9F) || (code >= 0x2028 && code <= 0x202E)
           || (code >= 0x2066 && code <= 0x2069) || code == BROKEN;
}

static const char *short_escape(unsigned char byte)
{
    switch (byte) {
    case '\t': return "\\t";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\\': return "\\\\";
    default: return NULL;
    }
}

void escape_text(buffer *to, const char *text, size_t size, escape_for where)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t kept = 0; /* from where on nothing was added yet */
    size_t next = 0;
    while (next < size) {
        size_t here = next;
        uint32_t code;
        next += decode_character(bytes + here, size - here, &code);
        const char *escape = short_escape(bytes[here]);
        if (escape != NULL && where == ESCAPE_FOR_PEOPLE && bytes[here] == '\\')
            escape = NULL;
        if (escape == NULL && (where == ESCAPE_FOR_TSV || !is_harmful(code)))
            continue;

        buffer_add(to, text + kept, here - kept);
        kept = next;
        if (escape != NULL)
            buffer_add_string(to, escape);
        else if (code == BROKEN || code < 0x80)
            buffer_format(to, "\\x%02x", bytes[here]);
        else
            buffer_format(to, "\\u{%x}", (unsigned)code);
    }
    buffer_add(to, text + kept, size - kept);
}

void escape_json(buffer *to, const char *json, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)json;
    size_t kept = 0;
    size_t next = 0;
    while (next < size) {
        size_t here = next;
        uint32_t code;
        next += decode_character(bytes + here, size - here, &code);
        if (!is_harmful(code))
            continue;
        buffer_add(to, json + kept, here - kept);
        kept = next;
        /* Below 0x20 only white space between tokens is left; broken UTF-8 can't be in JSON. */
        if (code < 0x20)
            buffer_add(to, " ", 1);
        else
            buffer_format(to, "\\u%04x", code == BROKEN ? 0xFFFDu : (unsigned)code);
    }
    buffer_add(to, json + kept, size - kept);
}

size_t text_width(const char *text, size_t size)
{
    size_t width = 0;
    for (size_t at = 0; at < size;) {
        uint32_t code;
        at += decode_character((const unsigned char *)text + at, size - at, &code);
        width += code_width(code);
    }
    return width;
}

size_t text_fit(const char *text, size_t size, size_t width)
{
    size_t at = 0;
    while (at < size) {
        uint32_t code;
        size_t length = decode_character((const unsigned char *)text + at, size - at, &code);
        size_t needed = code_width(code);
        if (needed > width)
            break;
        width -= needed;
        at += length;
    }
    return at;
}
