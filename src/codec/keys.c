/*
 * Finding a key that comes twice.
 *
 * Most objects are small: their keys are compared one by one, by fingerprint first. From
 * KEYS_SMALL_OBJECT keys on, an object gets a crit-bit tree, which looks at one bit of the key a
 * step and compares the whole key once. Its cost is bounded by the bytes of the key, whatever the
 * other keys are; a hash table would need a secret to hold against keys that were made to collide.
 *
 * Behind its end a key is as if it went on in NULs; see keys.h for why that tells keys apart.
 * Each key but an object's first brings the one node of the tree that tells it from those
 * before. So keys and nodes are one array, used as a stack: the keys of inner objects lie above
 * those of outer ones and go away at once when the object ends.
 */
#include "codec/keys.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

enum {
    KEYS_SMALL_OBJECT = 16,   /* keys that are compared one by one */
    KEYS_KEPT = 512,          /* keys whose memory a reset keeps: 14 KiB */
    KEYS_DECODED_KEPT = 8192, /* likewise decoded bytes */
    KEYS_DECODED_FIRST = 256, /* decoded bytes to allocate at first */
    KEYS_TAG_BITS = 1         /* a child is index * 2, plus 1 if it is a node */
};

void stele__keys_init(stele__keys *keys)
{
    keys->input = NULL;
    keys->keys = keys->first;
    keys->count = 0;
    keys->capacity = STELE__KEYS_INLINE;
    keys->decoded = NULL;
    keys->decoded_size = 0;
    keys->decoded_capacity = 0;
}

void stele__keys_dispose(stele__keys *keys)
{
    if (keys->keys != keys->first)
        stele__free(keys->keys);
    stele__free(keys->decoded);
    stele__keys_init(keys);
}

void stele__keys_reset(stele__keys *keys, const unsigned char *input)
{
    if (keys->capacity > KEYS_KEPT || keys->decoded_capacity > KEYS_DECODED_KEPT)
        stele__keys_dispose(keys);
    keys->input = input;
    keys->count = 0;
    keys->decoded_size = 0;
}

void stele__keys_enter(const stele__keys *keys, stele__keys_object *object)
{
    object->first_key = (uint32_t)keys->count;
    object->first_decoded = (uint32_t)keys->decoded_size;
    object->root = 0;
}

void stele__keys_leave(stele__keys *keys, const stele__keys_object *object)
{
    assert(object->first_key <= keys->count && object->first_decoded <= keys->decoded_size);
    keys->count = object->first_key;
    keys->decoded_size = object->first_decoded;
}

static inline const unsigned char *bytes_of_key(const stele__keys *keys, const stele__key *key)
{
    return (key->decoded ? keys->decoded : keys->input) + key->start;
}

static stele_status grow_keys(stele__keys *keys)
{
    stele__key *memory =
        stele__grow_array(keys->keys, keys->first, &keys->capacity, sizeof(stele__key));
    if (memory == NULL)
        return STELE_NO_MEMORY;
    keys->keys = memory;
    return STELE_OK;
}

unsigned char *stele__keys_room(stele__keys *keys, size_t size_max)
{
    if (size_max > keys->decoded_capacity - keys->decoded_size) {
        /* All decoded bytes together are no more than those of the input: no overflow. */
        size_t needed = keys->decoded_size + size_max;
        size_t capacity = keys->decoded_capacity == 0 ? KEYS_DECODED_FIRST : keys->decoded_capacity;
        while (capacity < needed)
            capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;

        unsigned char *memory = stele__reallocate(keys->decoded, capacity);
        if (memory == NULL)
            return NULL;
        keys->decoded = memory;
        keys->decoded_capacity = capacity;
    }
    return keys->decoded + keys->decoded_size;
}

static inline uint32_t fingerprint_key(const unsigned char *key, uint32_t size)
{
    if (size == 0)
        return 0;
    return size << 24 | (uint32_t)key[0] << 16 | (uint32_t)key[size / 2] << 8 | key[size - 1];
}

/* The byte of a key at `index`, NULs following its last one. */
static inline unsigned byte_of_key(const unsigned char *key, uint32_t size, uint32_t index)
{
    return index < size ? key[index] : 0;
}

static inline bool is_same_key(const stele__keys *keys, const stele__key *left,
                               const stele__key *right)
{
    return left->fingerprint == right->fingerprint && left->size == right->size
           && memcmp(bytes_of_key(keys, left), bytes_of_key(keys, right), left->size) == 0;
}

static inline unsigned choose_key_child(const stele__key *node, const unsigned char *key,
                                        uint32_t size)
{
    return (byte_of_key(key, size, node->critical_byte) & node->critical_bit) != 0;
}

/* The key that is like this one wherever the tree looks. */
static const stele__key *find_closest_key(const stele__keys *keys, uint32_t root,
                                          const unsigned char *key, uint32_t size)
{
    uint32_t child = root;
    while ((child & 1) != 0) {
        const stele__key *node = &keys->keys[child >> KEYS_TAG_BITS];
        child = node->child[choose_key_child(node, key, size)];
    }
    return &keys->keys[child >> KEYS_TAG_BITS];
}

/*
 * Hang the key at `index`, and its node, into the object's tree, where the nodes from the root
 * down look at ever later bits. STELE_INVALID if the key is there.
 */
static stele_status hang_key(stele__keys *keys, stele__keys_object *object, uint32_t index)
{
    stele__key *entry = &keys->keys[index];
    const unsigned char *key = bytes_of_key(keys, entry);
    const stele__key *closest = find_closest_key(keys, object->root, key, entry->size);
    const unsigned char *other = bytes_of_key(keys, closest);

    uint32_t shorter = entry->size < closest->size ? entry->size : closest->size;
    uint32_t byte = 0;
    while (byte < shorter && key[byte] == other[byte])
        byte++;
    unsigned mine = byte_of_key(key, entry->size, byte);
    unsigned difference = mine ^ byte_of_key(other, closest->size, byte);
    if (difference == 0)
        return STELE_INVALID;

    uint8_t bit = 0x80;
    while ((difference & bit) == 0)
        bit >>= 1;

    uint32_t *link = &object->root;
    while ((*link & 1) != 0) {
        stele__key *node = &keys->keys[*link >> KEYS_TAG_BITS];
        if (node->critical_byte > byte || (node->critical_byte == byte && node->critical_bit < bit))
            break;
        link = &node->child[choose_key_child(node, key, entry->size)];
    }

    unsigned side = (mine & bit) != 0;
    entry->critical_byte = byte;
    entry->critical_bit = bit;
    entry->child[side] = index << KEYS_TAG_BITS;
    entry->child[1 - side] = *link;
    *link = index << KEYS_TAG_BITS | 1;
    return STELE_OK;
}

/* Compare the last key with all others of a small object. */
static inline stele_status compare_keys(const stele__keys *keys, uint32_t first_key)
{
    const stele__key *last = &keys->keys[keys->count - 1];
    for (const stele__key *key = &keys->keys[first_key]; key < last; key++) {
        if (is_same_key(keys, key, last))
            return STELE_INVALID;
    }
    return STELE_OK;
}

/* Hang all keys into a new tree; they are known to differ. */
static void plant_keys(stele__keys *keys, stele__keys_object *object)
{
    object->root = object->first_key << KEYS_TAG_BITS;
    for (uint32_t i = 1; i < KEYS_SMALL_OBJECT; i++) {
        stele_status status = hang_key(keys, object, object->first_key + i);
        assert(status == STELE_OK);
        (void)status;
    }
}

/* Add the key that the last entry was made for. */
static inline stele_status add_key(stele__keys *keys, stele__keys_object *object, stele__key *entry,
                                   const unsigned char *key)
{
    entry->fingerprint = fingerprint_key(key, entry->size);

    uint32_t index = (uint32_t)keys->count++;
    uint32_t count = index - object->first_key;
    if (count < KEYS_SMALL_OBJECT)
        return compare_keys(keys, object->first_key);
    if (count == KEYS_SMALL_OBJECT)
        plant_keys(keys, object);
    return hang_key(keys, object, index);
}

stele_status stele__keys_add(stele__keys *keys, stele__keys_object *object,
                             const unsigned char *key, size_t size)
{
    if (keys->count == keys->capacity && grow_keys(keys) != STELE_OK)
        return STELE_NO_MEMORY;

    stele__key *entry = &keys->keys[keys->count];
    entry->start = (uint32_t)(key - keys->input);
    entry->size = (uint32_t)size;
    entry->decoded = false;
    return add_key(keys, object, entry, key);
}

stele_status stele__keys_add_decoded(stele__keys *keys, stele__keys_object *object, size_t size)
{
    assert(size <= keys->decoded_capacity - keys->decoded_size);
    if (keys->count == keys->capacity && grow_keys(keys) != STELE_OK)
        return STELE_NO_MEMORY;

    stele__key *entry = &keys->keys[keys->count];
    entry->start = (uint32_t)keys->decoded_size;
    entry->size = (uint32_t)size;
    entry->decoded = true;
    keys->decoded_size += size;
    return add_key(keys, object, entry, keys->decoded + entry->start);
}

const unsigned char *stele__keys_last(const stele__keys *keys, size_t *size_out)
{
    assert(keys->count > 0);
    const stele__key *last = &keys->keys[keys->count - 1];
    *size_out = last->size;
    return bytes_of_key(keys, last);
}
