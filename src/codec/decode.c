/*
 * From a payload to a struct, step by step and without a tree. What was decoded before a failure is
 * cleared again.
 */
#include "codec/plan_internal.h"

#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "codec/flaw.h"
#include "codec/source.h"

enum {
    DECODE_SEEN_INLINE = 256,  /* fields that are kept in mind without an allocation */
    DECODE_ELEMENTS_FIRST = 8, /* elements of an owned list to allocate at first */
    DECODE_SHOWN_NAME_SIZE = 60
};

typedef struct value_decoding {
    stele__source source;
    size_t memory_left; /* that owned members may still take */
    stele_flaw *flaw;
} value_decoding;

static stele_status decode_struct(value_decoding *decoding, const stele__plan *plan,
                                  void *structure);

/* The innermost place of a failure, whose text is kept already. */
static stele_status refuse_here(value_decoding *decoding, stele_status status)
{
    stele__flaw_begin(decoding->flaw, decoding->source.offset);
    return status;
}

static stele_status refuse_item(value_decoding *decoding, const char *expected)
{
    return refuse_here(decoding, stele__source_refuse(&decoding->source, expected));
}

static stele_status next_item(value_decoding *decoding)
{
    stele_status status = stele__source_next(&decoding->source);
    return status < 0 ? refuse_here(decoding, status) : status;
}

/* --- Memory that the value will own --- */

static stele_status take_memory(value_decoding *decoding, size_t size)
{
    if (size <= decoding->memory_left) {
        decoding->memory_left -= size;
        return STELE_OK;
    }
    return refuse_here(decoding, stele__fail(STELE_TOO_LARGE,
                                             "the value needs more than %d bytes at byte %zu",
                                             STELE__VALUE_MEMORY_MAX, decoding->source.offset));
}

static stele_status allocate_member(value_decoding *decoding, size_t size, void **memory_out)
{
    stele_status status = take_memory(decoding, size);
    if (status != STELE_OK)
        return status;
    *memory_out = stele__allocate(size);
    return *memory_out != NULL
               ? STELE_OK
               : refuse_here(decoding,
                             stele__fail(STELE_NO_MEMORY, "no memory for %zu bytes", size));
}

/* --- Scalars --- */

static stele_status decode_bool(value_decoding *decoding, bool *member)
{
    if (decoding->source.form != STELE__FORM_TRUE && decoding->source.form != STELE__FORM_FALSE)
        return refuse_item(decoding, "true or false");
    *member = decoding->source.form == STELE__FORM_TRUE;
    return STELE_OK;
}

static stele_status decode_integer(value_decoding *decoding, const stele_field *field, void *member)
{
    bool negative = false;
    uint64_t magnitude = 0;
    stele_status status = stele__source_integer(&decoding->source, &negative, &magnitude);
    bool is_signed = field->kind == STELE_KIND_SIGNED;
    if (status == STELE_OK
        && !stele__member_set(member, field->size, is_signed, negative, magnitude))
        status = stele__fail(STELE_INVALID, "an integer beyond %s%zu_t at byte %zu",
                             is_signed ? "int" : "uint", field->size * 8, decoding->source.offset);
    return status == STELE_OK ? STELE_OK : refuse_here(decoding, status);
}

static stele_status decode_real(value_decoding *decoding, const stele_field *field, void *member)
{
    stele_status status;
    if (field->size == sizeof(float)) {
        float value = 0;
        status = stele__source_float(&decoding->source, &value);
        memcpy(member, &value, sizeof(value));
    } else {
        double value = 0;
        status = stele__source_double(&decoding->source, &value);
        memcpy(member, &value, sizeof(value));
    }
    return status == STELE_OK ? STELE_OK : refuse_here(decoding, status);
}

/* `text` NULL: it isn't shown. */
static stele_status refuse_unknown(value_decoding *decoding, const char *what, const char *text,
                                   size_t size)
{
    size_t shown = text == NULL ? 3 : stele__utf8_cut(text, size, DECODE_SHOWN_NAME_SIZE);
    return refuse_here(
        decoding, stele__fail(STELE_INVALID, "the %s '%.*s' is not known, at byte %zu", what,
                              (int)shown, text == NULL ? "..." : text, decoding->source.offset));
}

static stele_status decode_enum(value_decoding *decoding, const stele_field *field, void *member)
{
    if (decoding->source.form != STELE__FORM_TEXT)
        return refuse_item(decoding, "a name");
    STELE__UNINITIALIZED char name[STELE_NAME_SIZE_MAX + 1];
    size_t size = 0;
    stele_status status = stele__source_text(&decoding->source, name, sizeof(name), &size);
    const stele_enum *names = field->names;
    size_t found = names->count;
    for (size_t i = 0; i < names->count && status == STELE_OK && found == names->count; i++)
        if (strcmp(names->names[i].name, name) == 0)
            found = i;
    if (found == names->count && !names->has_unknown) {
        bool shown = status == STELE_OK && (field->flags & STELE_SECRET) == 0;
        return refuse_unknown(decoding, "name", shown ? name : NULL, size);
    }
    int64_t value = found == names->count ? names->unknown : names->names[found].value;
    uint64_t bits = stele__member_bits(value, field->size);
    stele__member_set(member, field->size, false, false, bits);
    return STELE_OK;
}

/* --- Texts and bytes --- */

static stele__wanted choose_wanted(const stele_field *field)
{
    return (field->flags & STELE_OR_NUMBER) != 0 ? STELE__WANT_TEXT_OR_NUMBER : STELE__WANT_TEXT;
}

static stele_status decode_text(value_decoding *decoding, const stele_field *field, char *member)
{
    size_t size = 0;
    stele_status status = stele__source_room(&decoding->source, choose_wanted(field), &size);
    if (status == STELE_OK)
        status = stele__source_text(&decoding->source, member, field->size, &size);
    if (status == STELE_TOO_LARGE)
        status = stele__fail(STELE_INVALID, "a text of %zu bytes, at most %zu fit, at byte %zu",
                             size, field->size - 1, decoding->source.offset);
    if (status == STELE_OK)
        return STELE_OK;
    memset(member, 0, field->size);
    return refuse_here(decoding, status);
}

static stele_status decode_owned_text(value_decoding *decoding, const stele_field *field,
                                      void *member)
{
    size_t room = 0;
    stele_status status = stele__source_room(&decoding->source, choose_wanted(field), &room);
    if (status != STELE_OK)
        return refuse_here(decoding, status);
    void *memory = NULL;
    status = allocate_member(decoding, room, &memory);
    if (status != STELE_OK)
        return status;
    memcpy(member, &memory, sizeof(memory));
    size_t size = 0;
    status = stele__source_text(&decoding->source, memory, room, &size);
    return status == STELE_OK ? STELE_OK : refuse_here(decoding, status);
}

static stele_status decode_bytes(value_decoding *decoding, const stele_field *field,
                                 void *structure, unsigned char *member)
{
    bool counted = field->count_offset != STELE_NO_MEMBER && field->shape == STELE_SHAPE_ONE;
    size_t size = 0;
    stele_status status = stele__source_room(&decoding->source, STELE__WANT_BYTES, &size);
    if (status == STELE_OK)
        status = stele__source_bytes(&decoding->source, member, field->size, &size);
    if (status == STELE_TOO_LARGE || (status == STELE_OK && !counted && size != field->size))
        status = stele__fail(STELE_INVALID, "%zu bytes where %s%zu are expected, at byte %zu", size,
                             counted ? "at most " : "", field->size, decoding->source.offset);
    if (status == STELE_OK && counted
        && !stele__member_set((char *)structure + field->count_offset, field->count_size,
                              field->count_is_signed, false, size))
        status = stele__fail(STELE_INVALID, "%zu bytes, more than can be counted, at byte %zu",
                             size, decoding->source.offset);
    return status == STELE_OK ? STELE_OK : refuse_here(decoding, status);
}

static stele_status decode_owned_bytes(value_decoding *decoding, void *member)
{
    size_t room = 0;
    stele_status status = stele__source_room(&decoding->source, STELE__WANT_BYTES, &room);
    if (status != STELE_OK)
        return refuse_here(decoding, status);
    void *memory = NULL;
    status = allocate_member(decoding, room, &memory);
    if (status != STELE_OK)
        return status;
    stele_bytes bytes = { memory, 0 };
    status = stele__source_bytes(&decoding->source, bytes.data, room, &bytes.size);
    memcpy(member, &bytes, sizeof(bytes));
    return status == STELE_OK ? STELE_OK : refuse_here(decoding, status);
}

/* --- Structs and lists --- */

/* `structure` is what the field is a member of. */
static stele_status decode_element(value_decoding *decoding, const stele__plan_field *planned,
                                   void *structure, void *member)
{
    const stele_field *field = planned->field;
    switch (field->kind) {
    case STELE_KIND_BOOL: return decode_bool(decoding, member);
    case STELE_KIND_SIGNED:
    case STELE_KIND_UNSIGNED: return decode_integer(decoding, field, member);
    case STELE_KIND_REAL: return decode_real(decoding, field, member);
    case STELE_KIND_TEXT: return decode_text(decoding, field, member);
    case STELE_KIND_BYTES: return decode_bytes(decoding, field, structure, member);
    case STELE_KIND_OWNED_TEXT: return decode_owned_text(decoding, field, member);
    case STELE_KIND_OWNED_BYTES: return decode_owned_bytes(decoding, member);
    case STELE_KIND_ENUM: return decode_enum(decoding, field, member);
    case STELE_KIND_STRUCT: return decode_struct(decoding, planned->nested, member);
    }
    return STELE_MISUSE; /* no table that was checked has another */
}

/* Make an owned list, whose memory is `*elements_out`, longer than `count`. */
static stele_status grow_owned_list(value_decoding *decoding, const stele_field *field,
                                    void *member, size_t count, size_t *capacity)
{
    if (count < *capacity)
        return STELE_OK;
    size_t more = *capacity == 0 ? DECODE_ELEMENTS_FIRST : *capacity;
    if (more > SIZE_MAX / 4 / field->size)
        return take_memory(decoding, SIZE_MAX);
    stele_status status = take_memory(decoding, more * field->size);
    if (status != STELE_OK)
        return status;
    char *memory =
        stele__reallocate(stele__member_pointer(member), (*capacity + more) * field->size);
    if (memory == NULL)
        return refuse_here(
            decoding, stele__fail(STELE_NO_MEMORY, "no memory for %zu elements", *capacity + more));
    memcpy(member, &memory, sizeof(memory));
    *capacity += more;
    return STELE_OK;
}

/* Make room for element `count`, and count it, so that it will be cleared whatever happens. */
static stele_status begin_element(value_decoding *decoding, const stele_field *field,
                                  void *structure, size_t count, size_t *capacity,
                                  void **element_out)
{
    char *member = (char *)structure + field->offset;
    if (field->shape != STELE_SHAPE_OWNED_LIST) {
        if (count == field->capacity)
            return refuse_here(decoding,
                               stele__fail(STELE_INVALID, "more than %zu elements at byte %zu",
                                           field->capacity, decoding->source.offset));
        *element_out = member + count * field->size;
    } else {
        stele_status status = grow_owned_list(decoding, field, member, count, capacity);
        if (status != STELE_OK)
            return status;
        *element_out = (char *)stele__member_pointer(member) + count * field->size;
        memset(*element_out, 0, field->size);
    }
    if (field->count_offset != STELE_NO_MEMBER
        && !stele__member_set((char *)structure + field->count_offset, field->count_size,
                              field->count_is_signed, false, count + 1))
        return refuse_here(decoding, stele__fail(STELE_INVALID,
                                                 "more elements than can be counted at byte %zu",
                                                 decoding->source.offset));
    return STELE_OK;
}

static stele_status decode_list(value_decoding *decoding, const stele__plan_field *planned,
                                void *structure)
{
    const stele_field *field = planned->field;
    if (decoding->source.form != STELE__FORM_LIST)
        return refuse_item(decoding, "a list");
    size_t count = 0;
    size_t capacity = 0;
    stele_status status;
    while ((status = next_item(decoding)) == STELE_OK
           && decoding->source.form != STELE__FORM_LIST_END) {
        void *element = NULL;
        status = begin_element(decoding, field, structure, count, &capacity, &element);
        if (status == STELE_OK)
            status = decode_element(decoding, planned, structure, element);
        if (status != STELE_OK) {
            stele__flaw_in_element(decoding->flaw, count);
            return status;
        }
        count++;
    }
    if (status == STELE_OK && field->shape == STELE_SHAPE_ARRAY && count < field->capacity)
        status =
            refuse_here(decoding, stele__fail(STELE_INVALID, "%zu elements, not %zu, at byte %zu",
                                              count, field->capacity, decoding->source.offset));
    return status;
}

static stele_status decode_field(value_decoding *decoding, const stele__plan_field *planned,
                                 void *structure)
{
    const stele_field *field = planned->field;
    stele_status status = next_item(decoding);
    if (status != STELE_OK)
        return status;
    if (decoding->source.form == STELE__FORM_NULL) {
        if ((field->flags & STELE_OPTIONAL) != 0)
            return STELE_OK;
        return refuse_here(decoding,
                           stele__fail(STELE_INVALID, "null, but it is required, at byte %zu",
                                       decoding->source.offset));
    }
    status = field->shape == STELE_SHAPE_ONE
                 ? decode_element(decoding, planned, structure, (char *)structure + field->offset)
                 : decode_list(decoding, planned, structure);
    if (status == STELE_OK && field->has_offset != STELE_NO_MEMBER)
        *(bool *)((char *)structure + field->has_offset) = true;
    return status;
}

static stele_status pass_over_unknown(value_decoding *decoding, const stele__plan *plan,
                                      const char *name, size_t size)
{
    if ((plan->type->flags & STELE_STRICT) != 0)
        return refuse_unknown(decoding, "key", name, size);
    stele_status status = stele__source_skip(&decoding->source);
    return status < 0 ? refuse_here(decoding, status) : STELE_OK;
}

static stele_status refuse_missing(value_decoding *decoding, const stele__plan *plan,
                                   const uint64_t *seen)
{
    size_t index = 0;
    while ((plan->fields[index].field->flags & STELE_OPTIONAL) != 0
           || (seen[index / 64] >> index % 64 & 1) != 0)
        index++;
    refuse_here(decoding, STELE_INVALID);
    stele__flaw_in_member(decoding->flaw, plan->fields[index].field->name);
    return stele__fail(STELE_INVALID, "required, but not there, at byte %zu",
                       decoding->source.offset);
}

/* Read the pairs of a struct up to its end. `seen` has a bit for each field. */
static stele_status decode_pairs(value_decoding *decoding, const stele__plan *plan, void *structure,
                                 uint64_t *seen)
{
    size_t required_left = plan->required_count;
    bool in_cbor_order = decoding->source.format == STELE__FORMAT_CBOR;
    size_t index = in_cbor_order ? plan->cbor_order[0] : 0; /* the one that is expected */
    stele_status status;
    while ((status = next_item(decoding)) == STELE_OK
           && decoding->source.form != STELE__FORM_MAP_END) {
        STELE__UNINITIALIZED char scratch[STELE_NAME_SIZE_MAX + 1];
        size_t size = 0;
        const char *name = stele__source_key(&decoding->source, scratch, &size);
        if (name == NULL || !stele__plan_find(plan, name, size, &index)) {
            status = pass_over_unknown(decoding, plan, name, size);
            if (status != STELE_OK)
                return status;
            continue;
        }
        const stele__plan_field *planned = &plan->fields[index];
        status = decode_field(decoding, planned, structure);
        if (status != STELE_OK) {
            stele__flaw_in_member(decoding->flaw, planned->field->name);
            return status;
        }
        seen[index / 64] |= UINT64_C(1) << index % 64;
        required_left -= (planned->field->flags & STELE_OPTIONAL) == 0 ? 1 : 0;
        index = in_cbor_order ? planned->cbor_next : index + 1;
    }
    if (status == STELE_OK && required_left > 0)
        status = refuse_missing(decoding, plan, seen);
    return status;
}

static stele_status decode_struct(value_decoding *decoding, const stele__plan *plan,
                                  void *structure)
{
    if (decoding->source.form != STELE__FORM_MAP)
        return refuse_item(decoding, "an object");
    if (plan->field_count <= DECODE_SEEN_INLINE) {
        uint64_t seen[DECODE_SEEN_INLINE / 64] = { 0 };
        return decode_pairs(decoding, plan, structure, seen);
    }
    uint64_t *seen = stele__allocate_array(plan->field_count / 64 + 1, sizeof(*seen));
    if (seen == NULL)
        return refuse_here(
            decoding, stele__fail(STELE_NO_MEMORY, "no memory for %zu fields", plan->field_count));
    stele_status status = decode_pairs(decoding, plan, structure, seen);
    stele__free(seen);
    return status;
}

stele_status stele__plan_decode(const stele__plan *plan, stele__format format, const void *data,
                                size_t size, void *value, size_t *memory_left, stele_flaw *flaw_out)
{
    STELE__UNINITIALIZED stele_flaw own_flaw;
    STELE__UNINITIALIZED value_decoding decoding;
    decoding.memory_left = memory_left == NULL ? STELE__VALUE_MEMORY_MAX : *memory_left;
    decoding.flaw = flaw_out == NULL ? &own_flaw : flaw_out;
    stele__flaw_begin(decoding.flaw, 0);
    memset(value, 0, plan->type->size);

    stele_status status = stele__source_begin(&decoding.source, format, data, size);
    if (status != STELE_OK)
        refuse_here(&decoding, status);
    else
        status = next_item(&decoding);
    if (status == STELE_OK)
        status = decode_struct(&decoding, plan, value);
    if (status == STELE_OK) {
        status = next_item(&decoding); /* there may be something behind it */
        status = status == STELE_DONE ? STELE_OK : status;
    }
    stele__source_dispose(&decoding.source);
    if (memory_left != NULL)
        *memory_left = decoding.memory_left;
    if (status == STELE_OK)
        return STELE_OK;
    status = stele__flaw_end(status, decoding.flaw);
    stele__plan_clear(plan->type, value);
    return status;
}
