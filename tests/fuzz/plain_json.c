/* The grammar of RFC 8259, top down, with what stele/json.h refuses beyond it. */
#include "plain_json.h"

#include <stdbool.h>

#include "fuzz.h"
#include "plain_utf8.h"

typedef struct plain_key {
    size_t start; /* in `decoded` */
    size_t size;
} plain_key;

typedef struct plain_text {
    const unsigned char *at;
    const unsigned char *end;
    uint32_t depth;
    uint32_t depth_max;
    bool too_deep;
    unsigned char *decoded; /* of all strings, one after the other: never more than the text */
    size_t decoded_size;
    plain_key *keys; /* of the open objects */
    size_t key_count;
} plain_text;

static bool read_value(plain_text *text);

static bool take(plain_text *text, unsigned char wanted)
{
    if (text->at == text->end || *text->at != wanted)
        return false;
    text->at++;
    return true;
}

static void take_blanks(plain_text *text)
{
    while (take(text, ' ') || take(text, '\t') || take(text, '\r') || take(text, '\n'))
        ;
}

static bool take_word(plain_text *text, const char *word)
{
    while (*word != '\0') {
        if (!take(text, (unsigned char)*word++))
            return false;
    }
    return true;
}

static bool take_digits(plain_text *text)
{
    const unsigned char *start = text->at;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9')
        text->at++;
    return text->at > start;
}

static bool read_number(plain_text *text)
{
    take(text, '-');
    if (!take(text, '0') && !take_digits(text))
        return false;
    if (take(text, '.') && !take_digits(text))
        return false;
    if (take(text, 'e') || take(text, 'E')) {
        if (!take(text, '+'))
            take(text, '-');
        return take_digits(text);
    }
    return true;
}

static bool read_hex(plain_text *text, uint32_t *code_out)
{
    *code_out = 0;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *digit =
            text->at < text->end && *text->at != '\0' ? strchr(digits, *text->at) : NULL;
        if (digit == NULL)
            return false;
        uint32_t value = (uint32_t)(digit - digits);
        *code_out = *code_out * 16 + (value < 16 ? value : value - 6);
        text->at++;
    }
    return true;
}

static bool read_escape(plain_text *text, uint32_t *code_out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    if (text->at == text->end || *text->at == '\0')
        return false;
    const char *letter = strchr(letters, *text->at);
    if (letter != NULL) {
        *code_out = (unsigned char)meant[letter - letters];
        text->at++;
        return true;
    }
    if (!take(text, 'u') || !read_hex(text, code_out) || *code_out == 0)
        return false;
    if (*code_out >= 0xdc00 && *code_out <= 0xdfff)
        return false;
    if (*code_out < 0xd800 || *code_out > 0xdbff)
        return true;
    uint32_t low = 0;
    if (!take_word(text, "\\u") || !read_hex(text, &low) || low < 0xdc00 || low > 0xdfff)
        return false;
    *code_out = 0x10000 + ((*code_out - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* A character that stands for itself. */
static bool read_character(plain_text *text, uint32_t *code_out)
{
    return read_utf8(&text->at, text->end, code_out) && *code_out >= 0x20;
}

static void keep_character(plain_text *text, uint32_t code)
{
    static const unsigned char leads[] = { 0, 0xc0, 0xe0, 0xf0 };
    unsigned more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    text->decoded[text->decoded_size++] = (unsigned char)(leads[more] | code >> (6 * more));
    while (more-- > 0)
        text->decoded[text->decoded_size++] = (unsigned char)(0x80 | (code >> (6 * more) & 0x3f));
}

static bool read_string(plain_text *text)
{
    if (!take(text, '"'))
        return false;
    while (!take(text, '"')) {
        uint32_t code = 0;
        if (text->at == text->end)
            return false;
        if (!(take(text, '\\') ? read_escape(text, &code) : read_character(text, &code)))
            return false;
        keep_character(text, code);
    }
    return true;
}

static bool read_key(plain_text *text, size_t first_key)
{
    plain_key key = { text->decoded_size, 0 };
    if (!read_string(text))
        return false;
    key.size = text->decoded_size - key.start;
    for (size_t i = first_key; i < text->key_count; i++) {
        if (text->keys[i].size == key.size
            && memcmp(text->decoded + text->keys[i].start, text->decoded + key.start, key.size)
                   == 0)
            return false;
    }
    text->keys[text->key_count++] = key;
    take_blanks(text);
    return take(text, ':');
}

static bool read_members(plain_text *text, unsigned char end)
{
    size_t first_key = text->key_count;
    take_blanks(text);
    if (take(text, end))
        return true;
    do {
        take_blanks(text);
        if (end == '}' && !read_key(text, first_key))
            return false;
        if (!read_value(text))
            return false;
    } while (take(text, ','));
    text->key_count = first_key;
    return take(text, end);
}

/* A value, and the blanks around it. */
static bool read_value(plain_text *text)
{
    bool fine = false;
    take_blanks(text);
    if (text->at == text->end)
        return false;
    unsigned char first = *text->at;
    if (first == '{' || first == '[') {
        text->too_deep = text->depth == text->depth_max;
        if (text->too_deep)
            return false;
        text->at++;
        text->depth++;
        fine = read_members(text, first == '{' ? '}' : ']');
        text->depth--;
    } else if (first == '"') {
        fine = read_string(text);
    } else if (first == 't') {
        fine = take_word(text, "true");
    } else if (first == 'f') {
        fine = take_word(text, "false");
    } else if (first == 'n') {
        fine = take_word(text, "null");
    } else {
        fine = read_number(text);
    }
    if (fine)
        take_blanks(text);
    return fine;
}

stele_status plain_json_check(const void *text, size_t size, const stele_json_options *options)
{
    if (size > options->size_max)
        return STELE_TOO_LARGE;
    plain_text plain = { .at = text, .depth_max = options->depth_max };
    plain.end = plain.at + size;
    plain.decoded = take_memory(size);
    plain.keys = take_memory((size + 1) * sizeof(plain_key));

    bool fine = read_value(&plain) && plain.at == plain.end;

    free(plain.keys);
    free(plain.decoded);
    if (plain.too_deep)
        return STELE_TOO_LARGE;
    return fine ? STELE_OK : STELE_INVALID;
}
