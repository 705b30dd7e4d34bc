/*
 * Names, and the components of paths that stand for them.
 *
 * Lower-case letters, digits, '-', '_' and a '.' within stand for themselves, every other byte is
 * '%' and two lower-case digits: so two names differ in their components even where a file system
 * folds case or normalizes Unicode, and none begins or ends with a dot. What is longer than a
 * component may be is cut, and a hash of the name follows "%%", which no escape begins with.
 */
#include "shard/shard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"

/* Of a hashed one, what is kept of the encoding; the rest is "%%", 32 digits, "%%" and a probe. */
#define PREFIX_MAX  60
#define DIGITS      32
#define EMPTY_NAME  "_"
#define ENCODED_MAX (3 * STELE_SHARD_NAME_MAX)

static void hash_shard_name(const char *name, uint64_t hashes_out[2])
{
    size_t size = strlen(name);
    hashes_out[0] = stele__hash(name, size);
    hashes_out[1] = stele__hash_with(name, size, UINT64_C(0x7368617264));
}

void (*stele__hash_shard_name)(const char *name, uint64_t hashes_out[2]) = hash_shard_name;

static stele_status check_shard_name(const char *what, const char *name)
{
    if (name == NULL)
        return stele__fail(STELE_MISUSE, "the %s is NULL", what);
    size_t size = strlen(name);
    if (size > STELE_SHARD_NAME_MAX)
        return stele__fail(STELE_TOO_LARGE, "the %s '%.40s...' has %zu bytes, and at most %d go",
                           what, name, size, STELE_SHARD_NAME_MAX);
    if (!stele__utf8_valid(name, size))
        return stele__fail(STELE_INVALID, "the %s '%s' isn't UTF-8", what, name);
    return STELE_OK;
}

stele_status stele__check_organisation(const char *organisation)
{
    return check_shard_name("organisation", organisation);
}

stele_status stele__check_namespace(const char *name_space)
{
    stele_status status = check_shard_name("namespace", name_space);
    if (status == STELE_OK && *name_space == '\0')
        return stele__fail(STELE_MISUSE, "the namespace is empty");
    return status;
}

static bool is_plain_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-'
           || byte == '_';
}

/* What other systems take for a device, whatever follows a dot. */
static bool is_reserved_name(const char *name)
{
    static const char *const reserved[] = { "con", "prn", "aux", "nul" };
    size_t size = strcspn(name, ".");
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (size == 3 && strncmp(name, reserved[i], 3) == 0)
            return true;
    return size == 4 && (strncmp(name, "com", 3) == 0 || strncmp(name, "lpt", 3) == 0)
           && name[3] >= '1' && name[3] <= '9';
}

/* All of it, however long; the answer is its size. */
static size_t encode_whole(const char *name, bool organisation, char out[ENCODED_MAX + 1])
{
    static const char digits[] = "0123456789abcdef";
    bool escape_first = is_reserved_name(name) || (organisation && strcmp(name, EMPTY_NAME) == 0);
    size_t size = 0;
    if (organisation && *name == '\0')
        out[size++] = EMPTY_NAME[0];
    for (const char *at = name; *at != '\0'; at++) {
        bool dot_within = *at == '.' && at != name && at[1] != '\0';
        if ((is_plain_byte(*at) || dot_within) && !(at == name && escape_first)) {
            out[size++] = *at;
        } else {
            out[size++] = '%';
            out[size++] = digits[(unsigned char)*at >> 4];
            out[size++] = digits[(unsigned char)*at & 15];
        }
    }
    out[size] = '\0';
    return size;
}

/* At most `size_max` bytes of an encoding, and no part of an escape. */
static size_t cut_encoding(const char *encoded, size_t size_max)
{
    size_t size = 0;
    while (encoded[size] != '\0') {
        size_t next = size + (encoded[size] == '%' ? 3 : 1);
        if (next > size_max)
            break;
        size = next;
    }
    return size;
}

void stele__component_encode(const char *name, bool organisation, unsigned probe,
                             stele__component *component_out)
{
    char whole[ENCODED_MAX + 1];
    size_t size = encode_whole(name, organisation, whole);
    component_out->hashed = size > STELE__COMPONENT_MAX;
    if (!component_out->hashed) {
        memcpy(component_out->text, whole, size + 1);
        return;
    }
    uint64_t hashes[2];
    char suffix[16] = "";
    stele__hash_shard_name(name, hashes);
    if (probe > 0)
        snprintf(suffix, sizeof(suffix), "%%%%%u", probe % (STELE__PROBE_MAX + 1));
    snprintf(component_out->text, sizeof(component_out->text),
             "%.*s%%%%%016" PRIx64 "%016" PRIx64 "%s", (int)cut_encoding(whole, PREFIX_MAX), whole,
             hashes[0], hashes[1], suffix);
}

static bool read_hex_digit(char digit, unsigned *value)
{
    if (digit >= '0' && digit <= '9')
        *value = *value << 4 | (unsigned)(digit - '0');
    else if (digit >= 'a' && digit <= 'f')
        *value = *value << 4 | (unsigned)(digit - 'a' + 10);
    else
        return false;
    return true;
}

/* Back to bytes, up to `end`. Not whether they would be encoded in that way. */
static bool decode_component(const char *text, const char *end,
                             char name_out[STELE_SHARD_NAME_MAX + 1])
{
    size_t size = 0;
    while (text < end) {
        unsigned byte = (unsigned char)*text++;
        if (byte == '%') {
            byte = 0;
            if (end - text < 2 || !read_hex_digit(text[0], &byte)
                || !read_hex_digit(text[1], &byte))
                return false;
            text += 2;
        }
        if (byte == 0 || size == STELE_SHARD_NAME_MAX)
            return false;
        name_out[size++] = (char)byte;
    }
    name_out[size] = '\0';
    return true;
}

/* What follows the prefix: "%%", digits, and a probe that isn't 0. */
static bool is_hash_suffix(const char *text)
{
    unsigned value = 0;
    text += 2;
    for (int i = 0; i < DIGITS; i++)
        if (!read_hex_digit(*text++, &value))
            return false;
    if (*text == '\0')
        return true;
    if (!stele__take_text(&text, "%%"))
        return false;
    int64_t probe = 0;
    return *text >= '1' && *text <= '9' && stele__take_number(&text, &probe) && *text == '\0'
           && probe <= STELE__PROBE_MAX;
}

bool stele__component_decode(const char *text, bool organisation, bool *hashed_out,
                             char name_out[STELE_SHARD_NAME_MAX + 1])
{
    *hashed_out = false;
    name_out[0] = '\0';
    size_t size = strlen(text);
    if (size == 0 || size > STELE__COMPONENT_MAX)
        return false;
    const char *hash = strstr(text, "%%");
    if (hash != NULL) {
        bool good = is_hash_suffix(hash) && decode_component(text, hash, name_out);
        name_out[0] = '\0';
        *hashed_out = good;
        return good;
    }
    if (organisation && strcmp(text, EMPTY_NAME) == 0)
        return true;
    char again[ENCODED_MAX + 1];
    bool good = decode_component(text, text + size, name_out)
                && stele__utf8_valid(name_out, strlen(name_out));
    if (good) { /* there is one way to write each name */
        encode_whole(name_out, organisation, again);
        good = strcmp(again, text) == 0;
    }
    if (!good)
        name_out[0] = '\0';
    return good;
}
