/* The well-formed items of RFC 8949, top down, with what stele/cbor.h refuses beyond them. */
#include "plain_cbor.h"

#include "fuzz.h"
#include "plain_utf8.h"

typedef struct plain_cbor_key {
    unsigned major;
    uint64_t number; /* of an integer; of a string its size */
    size_t start;    /* of a string's content, in `content` */
} plain_cbor_key;

typedef struct plain_items {
    const unsigned char *at;
    const unsigned char *end;
    uint32_t depth;
    uint32_t items;
    const stele_cbor_options *options;
    bool too_large;
    unsigned char *content; /* of all strings, one after the other: never more than the payload */
    size_t content_size;
    plain_cbor_key *keys; /* of the open maps */
    size_t key_count;
} plain_items;

typedef struct plain_head {
    unsigned major;
    unsigned info;
    uint64_t argument;
} plain_head;

static bool read_item(plain_items *items, plain_cbor_key *key);

static bool take_break(plain_items *items)
{
    if (items->at == items->end || *items->at != 0xff)
        return false;
    items->at++;
    return true;
}

static bool read_head(plain_items *items, plain_head *head)
{
    if (items->at == items->end || *items->at == 0xff)
        return false; /* a break is no item */
    items->too_large = items->items == items->options->item_max;
    if (items->too_large)
        return false;
    items->items++;
    unsigned first = *items->at++;
    head->major = first >> 5;
    head->info = first & 0x1f;
    head->argument = head->info;
    if (head->info < 24 || head->info == 31)
        return true;
    if (head->info > 27)
        return false;
    head->argument = 0;
    for (unsigned size = 1u << (head->info - 24); size > 0; size--) {
        if (items->at == items->end)
            return false;
        head->argument = head->argument << 8 | *items->at++;
    }
    return true;
}

static bool read_content(plain_items *items, const plain_head *head)
{
    if (head->argument > (uint64_t)(items->end - items->at))
        return false;
    const unsigned char *end = items->at + head->argument;
    memcpy(items->content + items->content_size, items->at, (size_t)head->argument);
    items->content_size += (size_t)head->argument;
    uint32_t code = 0;
    while (head->major == 3 && items->at < end) {
        if (!read_utf8(&items->at, end, &code))
            return false;
    }
    items->at = end;
    return true;
}

static bool read_string(plain_items *items, const plain_head *head)
{
    if (head->info != 31)
        return read_content(items, head);
    while (!take_break(items)) {
        plain_head chunk = { 0, 0, 0 };
        if (!read_head(items, &chunk) || chunk.major != head->major || chunk.info == 31)
            return false;
        if (!read_content(items, &chunk))
            return false;
    }
    return true;
}

static bool add_key(plain_items *items, size_t first, const plain_cbor_key *key)
{
    for (size_t i = first; i < items->key_count; i++) {
        const plain_cbor_key *other = &items->keys[i];
        if (other->major != key->major || other->number != key->number)
            continue;
        if (key->major < 2
            || memcmp(items->content + other->start, items->content + key->start,
                      (size_t)key->number)
                   == 0)
            return false;
    }
    items->keys[items->key_count++] = *key;
    return true;
}

static bool read_pair(plain_items *items, size_t first_key)
{
    plain_cbor_key key = { 0, 0, 0 };
    return read_item(items, &key) && add_key(items, first_key, &key) && read_item(items, NULL);
}

static bool read_members(plain_items *items, const plain_head *head)
{
    uint64_t left = (uint64_t)(items->end - items->at);
    if (head->info != 31 && head->argument > (head->major == 5 ? left / 2 : left))
        return false;
    items->too_large = items->depth == items->options->depth_max;
    if (items->too_large)
        return false;
    items->depth++;
    size_t first_key = items->key_count;
    for (uint64_t i = 0; head->info == 31 ? !take_break(items) : i < head->argument; i++) {
        if (!(head->major == 5 ? read_pair(items, first_key) : read_item(items, NULL)))
            return false;
    }
    items->key_count = first_key;
    items->depth--;
    return true;
}

static bool read_tagged(plain_items *items)
{
    items->too_large = items->depth == items->options->depth_max;
    if (items->too_large)
        return false;
    items->depth++;
    bool fine = read_item(items, NULL);
    items->depth--;
    return fine;
}

/* An item; with `key`, one that may be a key. */
static bool read_item(plain_items *items, plain_cbor_key *key)
{
    plain_head head = { 0, 0, 0 };
    size_t start = items->content_size;
    if (!read_head(items, &head) || (key != NULL && head.major > 3))
        return false;
    if (head.info == 31 && (head.major < 2 || head.major > 5))
        return false;
    if (head.major == 2 || head.major == 3) {
        if (!read_string(items, &head))
            return false;
        head.argument = items->content_size - start;
    }
    if (key != NULL)
        *key = (plain_cbor_key){ head.major, head.argument, start };
    if (head.major == 4 || head.major == 5)
        return read_members(items, &head);
    if (head.major == 6)
        return read_tagged(items);
    return head.major < 7 || head.info != 24 || head.argument >= 32;
}

stele_status plain_cbor_check(const void *data, size_t size, const stele_cbor_options *options)
{
    if (size > options->size_max)
        return STELE_TOO_LARGE;
    plain_items items = { .at = data, .options = options };
    items.end = items.at + size;
    items.content = take_memory(size);
    items.keys = take_memory((size + 1) * sizeof(plain_cbor_key));

    bool fine = read_item(&items, NULL) && items.at == items.end;

    free(items.keys);
    free(items.content);
    if (items.too_large)
        return STELE_TOO_LARGE;
    return fine ? STELE_OK : STELE_INVALID;
}
