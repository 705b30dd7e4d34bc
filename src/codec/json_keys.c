/*
 * Which keys an object has, so that none comes twice.
 *
 * Most objects are small: their keys are compared one by one, by fingerprint first. From
 * JSON_SMALL_OBJECT keys on, an object gets a crit-bit tree, which looks at one bit of the key a
 * step and compares the whole key once. Its cost is bounded by the bytes of the key, whatever the
 * other keys are; a hash table would need a secret to hold against keys that were made to collide.
 *
 * A key ends with a NUL that isn't stored: no key holds one, so no key is the beginning of another.
 * Each key but an object's first brings the one node of the tree that tells it from those
 * before. So keys and nodes are one array, used as a stack: the keys of inner objects lie above
 * those of outer ones and go away at once when the object ends.
 */
#include "codec/json_internal.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

enum {
    JSON_SMALL_OBJECT = 16,         /* keys that are compared one by one */
    JSON_KEYS_KEPT = 512,           /* keys whose memory a reset keeps: 14 KiB */
    JSON_DECODED_BYTES_KEPT = 8192, /* likewise decoded bytes */
    JSON_DECODED_BYTES_FIRST = 256, /* decoded bytes to allocate at first */
    JSON_KEY_TAG_BITS = 1           /* a child is index * 2, plus 1 if it is a node */
};

void stele__json_keys_init(stele__json_keys *keys)
{
    keys->text = NULL;
    keys->keys = keys->first;
    keys->count = 0;
    keys->capacity = STELE__JSON_KEYS_INLINE;
    keys->decoded = NULL;
    keys->decoded_size = 0;
    keys->decoded_capacity = 0;
}

void stele__json_keys_dispose(stele__json_keys *keys)
{
    if (keys->keys != keys->first)
        stele__free(keys->keys);
    stele__free(keys->decoded);
    stele__json_keys_init(keys);
}

void stele__json_keys_reset(stele__json_keys *keys, const unsigned char *text)
{
    if (keys->capacity > JSON_KEYS_KEPT || keys->decoded_capacity > JSON_DECODED_BYTES_KEPT)
        stele__json_keys_dispose(keys);
    keys->text = text;
    keys->count = 0;
    keys->decoded_size = 0;
}

void stele__json_keys_enter(const stele__json_keys *keys, stele__json_object *object)
{
    object->first_key = (uint32_t)keys->count;
    object->first_decoded = (uint32_t)keys->decoded_size;
    object->root = 0;
}

void stele__json_keys_leave(stele__json_keys *keys, const stele__json_object *object)
{
    assert(object->first_key <= keys->count && object->first_decoded <= keys->decoded_size);
    keys->count = object->first_key;
    keys->decoded_size = object->first_decoded;
}

const unsigned char *stele__json_key_bytes(const stele__json_keys *keys, const stele__json_key *key)
{
    return (key->decoded ? keys->decoded : keys->text) + key->start;
}

/* Make room for one more key. */
static stele_status reserve_json_key(stele__json_keys *keys)
{
    if (keys->count < keys->capacity)
        return STELE_OK;
    if (keys->capacity > SIZE_MAX / 2 / sizeof(stele__json_key))
        return STELE_NO_MEMORY;

    bool is_inline = keys->keys == keys->first;
    size_t capacity = keys->capacity * 2;
    size_t size = capacity * sizeof(stele__json_key);
    stele__json_key *memory =
        is_inline ? stele__allocate(size) : stele__reallocate(keys->keys, size);
    if (memory == NULL)
        return STELE_NO_MEMORY;

    if (is_inline)
        memcpy(memory, keys->first, sizeof keys->first);
    keys->keys = memory;
    keys->capacity = capacity;
    return STELE_OK;
}

/* Make room for `size` more decoded bytes. */
static stele_status reserve_decoded_json(stele__json_keys *keys, size_t size)
{
    if (size <= keys->decoded_capacity - keys->decoded_size)
        return STELE_OK;

    /* All decoded bytes together are fewer than those of the text, so this can't overflow. */
    size_t needed = keys->decoded_size + size;
    size_t capacity =
        keys->decoded_capacity == 0 ? JSON_DECODED_BYTES_FIRST : keys->decoded_capacity;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;

    unsigned char *memory = stele__reallocate(keys->decoded, capacity);
    if (memory == NULL)
        return STELE_NO_MEMORY;
    keys->decoded = memory;
    keys->decoded_capacity = capacity;
    return STELE_OK;
}

/* Put the decoded form of a key behind the others; it is never longer than the written form. */
static stele_status decode_json_key(stele__json_keys *keys, stele__json_key *entry,
                                    const unsigned char *key, size_t size)
{
    stele_status status = reserve_decoded_json(keys, size);
    if (status != STELE_OK)
        return status;

    entry->start = (uint32_t)keys->decoded_size;
    const unsigned char *end = key + size;
    while (key < end) {
        unsigned char utf8[4];
        size_t utf8_size = 0;
        size_t taken = stele__json_decode_one(key, end, utf8, &utf8_size);
        assert(taken > 0); /* the reader has checked the escapes */
        memcpy(keys->decoded + keys->decoded_size, utf8, utf8_size);
        keys->decoded_size += utf8_size;
        key += taken;
    }
    entry->size = (uint32_t)(keys->decoded_size - entry->start);
    return STELE_OK;
}

static inline uint32_t fingerprint_json_key(const unsigned char *key, uint32_t size)
{
    if (size == 0)
        return 0;
    return size << 24 | (uint32_t)key[0] << 16 | (uint32_t)key[size / 2] << 8 | key[size - 1];
}

/* The byte of a key at `index`, where a NUL follows its last one. */
static inline unsigned json_key_byte(const unsigned char *key, uint32_t size, uint32_t index)
{
    return index < size ? key[index] : 0;
}

static inline bool is_same_json_key(const stele__json_keys *keys, const stele__json_key *left,
                                    const stele__json_key *right)
{
    return left->fingerprint == right->fingerprint && left->size == right->size
           && memcmp(stele__json_key_bytes(keys, left), stele__json_key_bytes(keys, right),
                     left->size)
                  == 0;
}

static inline unsigned choose_json_child(const stele__json_key *node, const unsigned char *key,
                                         uint32_t size)
{
    return (json_key_byte(key, size, node->critical_byte) & node->critical_bit) != 0;
}

/* The key that is like this one wherever the tree looks. */
static const stele__json_key *find_closest_json_key(const stele__json_keys *keys, uint32_t root,
                                                    const unsigned char *key, uint32_t size)
{
    uint32_t child = root;
    while ((child & 1) != 0) {
        const stele__json_key *node = &keys->keys[child >> JSON_KEY_TAG_BITS];
        child = node->child[choose_json_child(node, key, size)];
    }
    return &keys->keys[child >> JSON_KEY_TAG_BITS];
}

/*
 * Hang the key at `index`, and its node, into the object's tree, where the nodes from the root
 * down look at ever later bits. STELE_INVALID if the key is there.
 */
static stele_status hang_json_key(stele__json_keys *keys, stele__json_object *object,
                                  uint32_t index)
{
    stele__json_key *entry = &keys->keys[index];
    const unsigned char *key = stele__json_key_bytes(keys, entry);
    const stele__json_key *closest = find_closest_json_key(keys, object->root, key, entry->size);
    const unsigned char *other = stele__json_key_bytes(keys, closest);

    uint32_t shorter = entry->size < closest->size ? entry->size : closest->size;
    uint32_t byte = 0;
    while (byte < shorter && key[byte] == other[byte])
        byte++;
    unsigned mine = json_key_byte(key, entry->size, byte);
    unsigned difference = mine ^ json_key_byte(other, closest->size, byte);
    if (difference == 0)
        return STELE_INVALID;

    uint8_t bit = 0x80;
    while ((difference & bit) == 0)
        bit >>= 1;

    uint32_t *link = &object->root;
    while ((*link & 1) != 0) {
        stele__json_key *node = &keys->keys[*link >> JSON_KEY_TAG_BITS];
        if (node->critical_byte > byte || (node->critical_byte == byte && node->critical_bit < bit))
            break;
        link = &node->child[choose_json_child(node, key, entry->size)];
    }

    unsigned side = (mine & bit) != 0;
    entry->critical_byte = byte;
    entry->critical_bit = bit;
    entry->child[side] = index << JSON_KEY_TAG_BITS;
    entry->child[1 - side] = *link;
    *link = index << JSON_KEY_TAG_BITS | 1;
    return STELE_OK;
}

/* Compare the last key with all others of a small object. */
static stele_status compare_json_keys(const stele__json_keys *keys, uint32_t first_key)
{
    const stele__json_key *last = &keys->keys[keys->count - 1];
    for (const stele__json_key *key = &keys->keys[first_key]; key < last; key++) {
        if (is_same_json_key(keys, key, last))
            return STELE_INVALID;
    }
    return STELE_OK;
}

/* Hang all keys into a new tree; they are known to differ. */
static void plant_json_keys(stele__json_keys *keys, stele__json_object *object)
{
    object->root = object->first_key << JSON_KEY_TAG_BITS;
    for (uint32_t i = 1; i < JSON_SMALL_OBJECT; i++) {
        stele_status status = hang_json_key(keys, object, object->first_key + i);
        assert(status == STELE_OK);
        (void)status;
    }
}

stele_status stele__json_keys_add(stele__json_keys *keys, stele__json_object *object,
                                  const unsigned char *key, size_t size, bool escaped)
{
    stele_status status = reserve_json_key(keys);
    if (status != STELE_OK)
        return status;

    stele__json_key *entry = &keys->keys[keys->count];
    entry->start = (uint32_t)(key - keys->text);
    entry->size = (uint32_t)size;
    entry->decoded = escaped;
    if (escaped) {
        status = decode_json_key(keys, entry, key, size);
        if (status != STELE_OK)
            return status;
    }
    entry->fingerprint = fingerprint_json_key(stele__json_key_bytes(keys, entry), entry->size);

    uint32_t index = (uint32_t)keys->count++;
    uint32_t count = index - object->first_key;
    if (count < JSON_SMALL_OBJECT)
        return compare_json_keys(keys, object->first_key);
    if (count == JSON_SMALL_OBJECT)
        plant_json_keys(keys, object);
    return hang_json_key(keys, object, index);
}
