/* Values in memory: members of every width, and what a struct owns. */
#include "codec/plan_internal.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

/* Members are copied by their bytes: a packed struct has them anywhere, and of two types of one
 * width (long and long long) only the program knows which it is. */

uint64_t stele__member_unsigned(const void *member, size_t size)
{
    uint8_t one;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (size) {
    case sizeof(one): memcpy(&one, member, sizeof(one)); return one;
    case sizeof(two): memcpy(&two, member, sizeof(two)); return two;
    case sizeof(four): memcpy(&four, member, sizeof(four)); return four;
    default: memcpy(&eight, member, sizeof(eight)); return eight;
    }
}

int64_t stele__member_signed(const void *member, size_t size)
{
    uint64_t bits = stele__member_unsigned(member, size);
    switch (size) {
    case 1: return (int8_t)bits;
    case 2: return (int16_t)bits;
    case 4: return (int32_t)bits;
    default: return (int64_t)bits;
    }
}

/* Write the low bits, which for a negative number is its two's complement. */
static void set_member_bits(void *member, size_t size, uint64_t bits)
{
    uint8_t one = (uint8_t)bits;
    uint16_t two = (uint16_t)bits;
    uint32_t four = (uint32_t)bits;
    switch (size) {
    case sizeof(one): memcpy(member, &one, sizeof(one)); break;
    case sizeof(two): memcpy(member, &two, sizeof(two)); break;
    case sizeof(four): memcpy(member, &four, sizeof(four)); break;
    default: memcpy(member, &bits, sizeof(bits)); break;
    }
}

uint64_t stele__member_bits(int64_t value, size_t size)
{
    return size == 8 ? (uint64_t)value : (uint64_t)value & ((UINT64_C(1) << size * 8) - 1);
}

bool stele__member_set(void *member, size_t size, bool is_signed, bool negative, uint64_t magnitude)
{
    uint64_t most = UINT64_MAX >> (64 - size * 8);
    if (is_signed)
        most = (most >> 1) + (negative ? 1 : 0);
    else if (negative && magnitude > 0)
        return false;
    if (magnitude > most)
        return false;
    set_member_bits(member, size, negative ? 0 - magnitude : magnitude);
    return true;
}

void *stele__member_pointer(const void *member)
{
    void *pointer;
    memcpy(&pointer, member, sizeof(pointer));
    return pointer;
}

stele_bytes stele__member_bytes(const void *member)
{
    stele_bytes bytes;
    memcpy(&bytes, member, sizeof(bytes));
    return bytes;
}

bool stele__member_count(const stele_field *field, const void *structure, size_t *count_out)
{
    if (field->count_offset == STELE_NO_MEMBER) {
        *count_out = field->shape == STELE_SHAPE_ONE ? field->size : field->capacity;
        return true;
    }
    const void *member = (const char *)structure + field->count_offset;
    uint64_t count = stele__member_unsigned(member, field->count_size);
    *count_out = (size_t)count;
    if (field->count_is_signed && stele__member_signed(member, field->count_size) < 0)
        return false;
    if (field->shape == STELE_SHAPE_OWNED_LIST)
        return count <= PTRDIFF_MAX / field->size;
    return count <= (field->shape == STELE_SHAPE_ONE ? field->size : field->capacity);
}

void stele_type_init(const stele_type *type, void *value)
{
    if (type != NULL && value != NULL)
        memset(value, 0, type->size);
}

void *stele_type_allocate(size_t count, size_t size)
{
    return count == 0 || size == 0 ? NULL : stele__allocate_array(count, size);
}

void stele_type_release(void *memory)
{
    stele__free(memory);
}

static bool owns_something(const stele_field *field)
{
    return field->kind == STELE_KIND_OWNED_TEXT || field->kind == STELE_KIND_OWNED_BYTES
           || field->kind == STELE_KIND_STRUCT;
}

static void clear_element(const stele_field *field, void *element)
{
    if (field->kind == STELE_KIND_OWNED_TEXT)
        stele__free(stele__member_pointer(element));
    else if (field->kind == STELE_KIND_OWNED_BYTES)
        stele__free(stele__member_bytes(element).data);
    else if (field->kind == STELE_KIND_STRUCT)
        stele__plan_clear(field->type, element);
}

static void clear_field(const stele_field *field, void *structure)
{
    bool is_owned_list = field->shape == STELE_SHAPE_OWNED_LIST;
    if (!is_owned_list && !owns_something(field))
        return;

    char *elements = (char *)structure + field->offset;
    size_t count = field->shape == STELE_SHAPE_ONE ? 1 : 0;
    if (field->shape != STELE_SHAPE_ONE && !stele__member_count(field, structure, &count))
        count = 0;
    if (is_owned_list)
        elements = stele__member_pointer(elements);
    for (size_t i = 0; i < count && elements != NULL && owns_something(field); i++)
        clear_element(field, elements + i * field->size);
    if (is_owned_list)
        stele__free(elements);
}

/* A list may own values of its own type: this goes as deep as the value does. Decoded ones are at
 * most STELE__VALUE_DEPTH_MAX deep. */
void stele__plan_clear(const stele_type *type, void *value)
{
    for (size_t i = 0; i < type->field_count; i++)
        clear_field(&type->fields[i], value);
    memset(value, 0, type->size);
}

void stele_type_clear(const stele_type *type, void *value)
{
    if (type != NULL && value != NULL)
        stele__plan_clear(type, value);
}
