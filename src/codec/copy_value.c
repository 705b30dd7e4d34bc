/*
 * Copies of values. The bytes of a struct are taken as they stand, members that no table names with
 * them; then each pointer in it is forgotten, and given memory of the copy's own. In between
 * nothing is owned twice, so that a copy that failed half-way is cleared as any value is.
 */
#include "codec/plan_internal.h"

#include <string.h>

#include "base/failure.h"
#include "base/memory.h"

enum { COPY_TABLES_MAX = 16 }; /* that are kept in mind without an allocation */

/* `depth` counts structs and lists inside each other, as encoding does. */
static stele_status fill_struct(const stele_type *type, const void *from, void *to, uint32_t depth);

/* --- What is to be copied --- */

static bool is_owned_kind(const stele_field *field)
{
    return field->kind == STELE_KIND_OWNED_TEXT || field->kind == STELE_KIND_OWNED_BYTES;
}

/* Whether all of a value is its bytes, whatever they are: it owns nothing, and counts nothing. */
static bool is_flat_type(const stele_type *type)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const stele_field *field = &type->fields[i];
        if (field->count_offset != STELE_NO_MEMBER || is_owned_kind(field))
            return false;
        if (field->kind == STELE_KIND_STRUCT && !is_flat_type(field->type))
            return false;
    }
    return true;
}

/* The tables that `type` refers to, too. Names play no part in a copy, so it pays not to look at
 * them: this is asked for each copy. */
static stele_status check_layouts(const stele_type *type)
{
    const stele_type *tables[COPY_TABLES_MAX] = { type };
    size_t count = 1;
    for (size_t at = 0; at < count; at++) {
        stele_status status = stele__layout_check(tables[at]);
        if (status != STELE_OK)
            return status;
        for (size_t i = 0; i < tables[at]->field_count; i++) {
            const stele_field *field = &tables[at]->fields[i];
            if (field->kind != STELE_KIND_STRUCT)
                continue;
            size_t known = 0;
            while (known < count && tables[known] != field->type)
                known++;
            if (known == COPY_TABLES_MAX)
                return stele_type_check(type);
            tables[known] = field->type;
            count += known == count ? 1 : 0;
        }
    }
    return STELE_OK;
}

/* --- Forgetting --- */

/* In lists in place whatever their count is: beyond it nothing is copied. */
static void forget_owned(const stele_type *type, void *structure)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const stele_field *field = &type->fields[i];
        char *member = (char *)structure + field->offset;
        size_t count = field->shape == STELE_SHAPE_ONE ? 1 : field->capacity;
        if (field->shape == STELE_SHAPE_OWNED_LIST)
            memset(member, 0, sizeof(void *));
        else if (is_owned_kind(field))
            memset(member, 0, count * field->size);
        else if (field->kind == STELE_KIND_STRUCT)
            for (size_t j = 0; j < count; j++)
                forget_owned(field->type, member + j * field->size);
    }
}

/* --- Filling --- */

static stele_status copy_memory(const void *from, size_t size, void **copy_out)
{
    *copy_out = stele__allocate(size > 0 ? size : 1);
    if (*copy_out == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu bytes", size);
    if (size > 0)
        memcpy(*copy_out, from, size);
    return STELE_OK;
}

static stele_status fill_text(const void *from, void *to)
{
    const char *text = stele__member_pointer(from);
    void *copy = NULL;
    if (text == NULL)
        return STELE_OK;
    stele_status status = copy_memory(text, strlen(text) + 1, &copy);
    memcpy(to, &copy, sizeof(copy));
    return status;
}

/* Empty bytes that are there stay there. */
static stele_status fill_bytes(const void *from, void *to)
{
    stele_bytes bytes = stele__member_bytes(from);
    void *copy = NULL;
    if (bytes.data == NULL)
        return STELE_OK;
    stele_status status = copy_memory(bytes.data, bytes.size, &copy);
    bytes = (stele_bytes){ copy, copy == NULL ? 0 : bytes.size };
    memcpy(to, &bytes, sizeof(bytes));
    return status;
}

static stele_status fill_elements(const stele_field *field, const char *from, char *to,
                                  size_t count, uint32_t depth)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < count && status == STELE_OK; i++, from += field->size, to += field->size)
        status = field->kind == STELE_KIND_OWNED_TEXT ? fill_text(from, to)
                 : field->kind == STELE_KIND_OWNED_BYTES
                     ? fill_bytes(from, to)
                     : fill_struct(field->type, from, to, depth + 1);
    return status;
}

static stele_status fill_owned_list(const stele_field *field, const char *from, char *to,
                                    size_t count, uint32_t depth)
{
    const char *elements = stele__member_pointer(from);
    void *copies = NULL;
    if (count == 0)
        return STELE_OK;
    if (elements == NULL)
        return stele__fail(STELE_INVALID, "'%s': a list that is NULL, its count is %zu",
                           field->name, count);
    stele_status status = copy_memory(elements, count * field->size, &copies);
    memcpy(to, &copies, sizeof(copies));
    if (status != STELE_OK)
        return status;

    bool is_struct = field->kind == STELE_KIND_STRUCT;
    if (is_struct ? is_flat_type(field->type) : !is_owned_kind(field))
        return STELE_OK;
    if (!is_struct)
        memset(copies, 0, count * field->size);
    for (size_t i = 0; i < count && is_struct; i++)
        forget_owned(field->type, (char *)copies + i * field->size);
    return fill_elements(field, elements, copies, count, depth);
}

static stele_status fill_field(const stele_field *field, const void *from, void *to, uint32_t depth)
{
    size_t count = 1;
    if ((field->shape != STELE_SHAPE_ONE || field->count_offset != STELE_NO_MEMBER)
        && !stele__member_count(field, from, &count))
        return stele__fail(STELE_INVALID, "'%s': a count beyond its capacity", field->name);
    const char *source = (const char *)from + field->offset;
    char *member = (char *)to + field->offset;
    if (field->shape == STELE_SHAPE_OWNED_LIST)
        return fill_owned_list(field, source, member, count, depth + 1);
    if (is_owned_kind(field) || field->kind == STELE_KIND_STRUCT)
        return fill_elements(field, source, member, count,
                             depth + (field->shape == STELE_SHAPE_ONE ? 0 : 1));
    return STELE_OK;
}

static stele_status fill_struct(const stele_type *type, const void *from, void *to, uint32_t depth)
{
    if (depth > STELE__VALUE_DEPTH_MAX)
        return stele__fail(STELE_TOO_LARGE, "nested deeper than %d levels", STELE__VALUE_DEPTH_MAX);
    stele_status status = STELE_OK;
    for (size_t i = 0; i < type->field_count && status == STELE_OK; i++)
        status = fill_field(&type->fields[i], from, to, depth);
    return status;
}

stele_status stele_type_copy(const stele_type *type, const void *value, void *copy)
{
    if (type == NULL || value == NULL || copy == NULL)
        return stele__fail(STELE_MISUSE, "stele_type_copy: a NULL argument");
    if (copy == value)
        return stele__fail(STELE_MISUSE, "stele_type_copy: a value isn't copied to itself");
    stele_status status = check_layouts(type);
    if (status != STELE_OK)
        return status;
    memcpy(copy, value, type->size);
    if (is_flat_type(type))
        return STELE_OK;
    forget_owned(type, copy);
    status = fill_struct(type, value, copy, 1);
    if (status == STELE_OK)
        return STELE_OK;
    stele__plan_clear(type, copy);
    return stele__fail_within(status, "type '%s'", type->name);
}
