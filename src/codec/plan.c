/*
 * Making tables ready for use. A table may refer to itself through an owned list, so each is looked
 * for among those made already before it is made.
 */
#include "codec/plan_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include <stele/store.h>

#include "base/failure.h"
#include "base/memory.h"
#include "codec/sink.h"

/* --- Is the table right? --- */

static stele_status refuse_field(const stele_type *type, size_t index, const char *what)
{
    const char *name = type->fields[index].name;
    return stele__fail(STELE_MISUSE, "type '%s', line %zu, '%s': %s", type->name, index,
                       name == NULL ? "" : name, what);
}

static bool is_integer_size(size_t size)
{
    return size == 1 || size == 2 || size == 4 || size == 8;
}

static bool has_right_size(const stele_field *field)
{
    switch (field->kind) {
    case STELE_KIND_BOOL: return field->size == sizeof(bool);
    case STELE_KIND_SIGNED:
    case STELE_KIND_UNSIGNED:
    case STELE_KIND_ENUM: return is_integer_size(field->size);
    case STELE_KIND_REAL: return field->size == sizeof(float) || field->size == sizeof(double);
    case STELE_KIND_TEXT:
    case STELE_KIND_BYTES: return field->size > 0;
    case STELE_KIND_OWNED_TEXT: return field->size == sizeof(char *);
    case STELE_KIND_OWNED_BYTES: return field->size == sizeof(stele_bytes);
    case STELE_KIND_STRUCT: return field->type != NULL && field->size == field->type->size;
    }
    return false;
}

/* The bytes that the member itself takes in its struct. */
static bool lies_inside(const stele_type *type, const stele_field *field)
{
    size_t size = field->size;
    if (field->shape == STELE_SHAPE_OWNED_LIST)
        size = sizeof(void *);
    else if (field->shape != STELE_SHAPE_ONE)
        size = field->capacity > type->size ? type->size + 1 : field->size * field->capacity;
    return size <= type->size && field->offset <= type->size - size;
}

static bool is_member_inside(const stele_type *type, size_t offset, size_t size)
{
    return offset == STELE_NO_MEMBER || (size <= type->size && offset <= type->size - size);
}

/* As a signed or as an unsigned integer of `size` bytes: which of both, only the program knows. */
static bool fits_member(int64_t value, size_t size)
{
    if (size == 8)
        return true;
    int64_t range = INT64_C(1) << size * 8;
    return value >= -range / 2 && value < range;
}

static stele_status check_enum(const stele_type *type, size_t index)
{
    const stele_enum *names = type->fields[index].names;
    if (names == NULL || names->count == 0)
        return refuse_field(type, index, "an enum without names");
    size_t size = type->fields[index].size;
    if (names->has_unknown && !fits_member(names->unknown, size))
        return refuse_field(type, index, "its enum's unknown value doesn't fit into it");
    for (size_t i = 0; i < names->count; i++) {
        if (!fits_member(names->names[i].value, size))
            return refuse_field(type, index, "a value of its enum doesn't fit into it");
        if (stele__check_name("name of an enum", names->names[i].name) != STELE_OK)
            return stele__fail_within(STELE_MISUSE, "type '%s', line %zu", type->name, index);
        for (size_t j = 0; j < i; j++)
            if (strcmp(names->names[i].name, names->names[j].name) == 0)
                return refuse_field(type, index, "two values of its enum have one name");
    }
    return STELE_OK;
}

static stele_status check_shape(const stele_type *type, size_t index)
{
    const stele_field *field = &type->fields[index];
    bool counted = field->count_offset != STELE_NO_MEMBER;
    bool is_list = field->shape == STELE_SHAPE_LIST || field->shape == STELE_SHAPE_OWNED_LIST;
    if (field->shape < STELE_SHAPE_ONE || field->shape > STELE_SHAPE_OWNED_LIST)
        return refuse_field(type, index, "an unknown shape");
    if (is_list && !counted)
        return refuse_field(type, index, "a list without a count");
    if (counted && !is_list && (field->kind != STELE_KIND_BYTES || field->shape != STELE_SHAPE_ONE))
        return refuse_field(type, index, "a count that counts nothing");
    if (counted && !is_integer_size(field->count_size))
        return refuse_field(type, index, "the count is no integer");
    if ((field->shape == STELE_SHAPE_ARRAY || field->shape == STELE_SHAPE_LIST)
        && field->capacity == 0)
        return refuse_field(type, index, "no room for elements");
    if (field->has_offset != STELE_NO_MEMBER && field->shape != STELE_SHAPE_ONE)
        return refuse_field(type, index, "a list with a 'has' member");
    if ((field->flags
         & ~(uint32_t)(STELE_OPTIONAL | STELE_SECRET | STELE_AS_STRING | STELE_OR_NUMBER))
        != 0)
        return refuse_field(type, index, "an unknown flag");
    if ((field->flags & STELE_AS_STRING) != 0 && field->kind != STELE_KIND_SIGNED
        && field->kind != STELE_KIND_UNSIGNED)
        return refuse_field(type, index, "STELE_AS_STRING is for integers");
    if ((field->flags & STELE_OR_NUMBER) != 0 && field->kind != STELE_KIND_TEXT
        && field->kind != STELE_KIND_OWNED_TEXT)
        return refuse_field(type, index, "STELE_OR_NUMBER is for texts");
    return STELE_OK;
}

static bool names_zero(const stele_enum *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->names[i].value == 0)
            return true;
    return false;
}

/* What is absent is read as zero, so zero must be something that can be written. */
static stele_status check_absence(const stele_type *type, size_t index)
{
    const stele_field *field = &type->fields[index];
    bool one = field->shape == STELE_SHAPE_ONE;
    if ((field->flags & STELE_OPTIONAL) == 0 || field->has_offset != STELE_NO_MEMBER
        || (!one && field->shape != STELE_SHAPE_ARRAY))
        return STELE_OK;
    if (field->kind == STELE_KIND_STRUCT)
        return refuse_field(type, index, "an optional struct needs a 'has' member");
    if (field->kind == STELE_KIND_ENUM && !names_zero(field->names))
        return refuse_field(type, index, "an optional enum needs a name for 0, or a 'has' member");
    if (!one && (field->kind == STELE_KIND_OWNED_TEXT || field->kind == STELE_KIND_OWNED_BYTES))
        return refuse_field(type, index, "an array of what may be NULL can't be optional");
    return STELE_OK;
}

static stele_status check_line_place(const stele_type *type, size_t index)
{
    const stele_field *field = &type->fields[index];
    /* The empty key is one, too. */
    if (field->name == NULL)
        return refuse_field(type, index, "it has no name");
    if (!has_right_size(field))
        return refuse_field(type, index, "its kind and size don't go together");
    if (!lies_inside(type, field) || !is_member_inside(type, field->count_offset, field->count_size)
        || !is_member_inside(type, field->has_offset, sizeof(bool)))
        return refuse_field(type, index, "it isn't inside the struct");
    return check_shape(type, index);
}

stele_status stele__layout_check(const stele_type *type)
{
    if (type->struct_size != sizeof(stele_type) || type->field_size != sizeof(stele_field))
        return stele__fail(STELE_MISUSE,
                           "a type of %zu bytes with fields of %zu is of no known form",
                           type->struct_size, type->field_size);
    if (type->name == NULL)
        return stele__fail(STELE_MISUSE, "the type has no name");
    if (type->size == 0 || (type->fields == NULL && type->field_count > 0))
        return stele__fail(STELE_MISUSE, "type '%s': no struct, or no lines", type->name);
    if (type->field_count > UINT32_MAX / 4)
        return stele__fail(STELE_MISUSE, "type '%s': %zu lines are too many", type->name,
                           type->field_count);
    stele_status status = STELE_OK;
    for (size_t i = 0; i < type->field_count && status == STELE_OK; i++)
        status = check_line_place(type, i);
    return status;
}

static stele_status check_field(const stele_type *type, size_t index)
{
    const stele_field *field = &type->fields[index];
    if (field->name[0] != '\0' && stele__check_name("name of a field", field->name) != STELE_OK)
        return stele__fail_within(STELE_MISUSE, "type '%s', line %zu", type->name, index);
    if (field->name_size != strlen(field->name))
        return refuse_field(type, index, "name_size is not that of its name");
    stele_status status = field->kind == STELE_KIND_ENUM ? check_enum(type, index) : STELE_OK;
    return status == STELE_OK ? check_absence(type, index) : status;
}

static stele_status check_table(const stele_type *type)
{
    stele_status status = stele__layout_check(type);
    if (status == STELE_OK)
        status = stele__check_name("type", type->name);
    if (status != STELE_OK)
        return status;
    if (type->schema_version < 1)
        return stele__fail(STELE_MISUSE, "type '%s': the schema_version %" PRId64 " is below 1",
                           type->name, type->schema_version);
    if ((type->flags & ~(uint32_t)STELE_STRICT) != 0)
        return stele__fail(STELE_MISUSE, "type '%s': unknown flags", type->name);
    for (size_t i = 0; i < type->field_count && status == STELE_OK; i++)
        status = check_field(type, i);
    return status;
}

/* --- Names by hash --- */

static size_t hash_field_name(const char *name, size_t size)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)name[i]) * UINT32_C(16777619);
    return hash ^ hash >> 15;
}

static bool is_field_named(const stele__plan *plan, size_t index, const char *name, size_t size)
{
    const stele_field *field = plan->fields[index].field;
    return field->name_size == size && memcmp(field->name, name, size) == 0;
}

bool stele__plan_find(const stele__plan *plan, const char *name, size_t size, size_t *index)
{
    if (*index < plan->field_count && is_field_named(plan, *index, name, size))
        return true;
    size_t slot = hash_field_name(name, size) & plan->slot_mask;
    while (plan->slots[slot] != 0) {
        *index = plan->slots[slot] - 1;
        if (is_field_named(plan, *index, name, size))
            return true;
        slot = (slot + 1) & plan->slot_mask;
    }
    return false;
}

static stele_status hash_fields(stele__plan *plan)
{
    size_t capacity = 4;
    while (capacity < plan->field_count * 2)
        capacity *= 2;
    plan->slots = stele__allocate_array(capacity, sizeof(*plan->slots));
    if (plan->slots == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the type '%s'", plan->type->name);
    plan->slot_mask = capacity - 1;

    for (size_t i = 0; i < plan->field_count; i++) {
        const stele_field *field = plan->fields[i].field;
        size_t found = plan->field_count; /* none is tried first */
        if (stele__plan_find(plan, field->name, field->name_size, &found))
            return refuse_field(plan->type, i, "the name comes twice");
        size_t slot = hash_field_name(field->name, field->name_size) & plan->slot_mask;
        while (plan->slots[slot] != 0)
            slot = (slot + 1) & plan->slot_mask;
        plan->slots[slot] = (uint32_t)i + 1;
    }
    return STELE_OK;
}

/* --- The order of CBOR --- */

/* As the encoded names compare: a shorter one's head is less. */
static bool comes_before(const stele_field *left, const stele_field *right)
{
    if (left->name_size != right->name_size)
        return left->name_size < right->name_size;
    return memcmp(left->name, right->name, left->name_size) < 0;
}

/* Let the entry at `root` sink to its place in a heap whose greatest is first. */
static void sink_in_order(const stele__plan *plan, size_t root, size_t count)
{
    uint32_t *order = plan->cbor_order;
    for (size_t child; (child = root * 2 + 1) < count; root = child) {
        if (child + 1 < count
            && comes_before(plan->fields[order[child]].field, plan->fields[order[child + 1]].field))
            child++;
        if (!comes_before(plan->fields[order[root]].field, plan->fields[order[child]].field))
            return;
        uint32_t moved = order[root];
        order[root] = order[child];
        order[child] = moved;
    }
}

static stele_status order_fields(stele__plan *plan)
{
    size_t count = plan->field_count;
    plan->cbor_order = stele__allocate_array(count + 1, sizeof(*plan->cbor_order));
    if (plan->cbor_order == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the type '%s'", plan->type->name);
    for (size_t i = 0; i < count; i++)
        plan->cbor_order[i] = (uint32_t)i;
    for (size_t i = count / 2; i > 0; i--)
        sink_in_order(plan, i - 1, count);
    for (size_t end = count; end > 1; end--) {
        uint32_t greatest = plan->cbor_order[0];
        plan->cbor_order[0] = plan->cbor_order[end - 1];
        plan->cbor_order[end - 1] = greatest;
        sink_in_order(plan, 0, end - 1);
    }
    for (size_t i = 0; i < count; i++)
        plan->fields[plan->cbor_order[i]].cbor_next =
            i + 1 < count ? plan->cbor_order[i + 1] : (uint32_t)count;
    return STELE_OK;
}

/* --- Names as they are written --- */

static stele_status encode_keys(stele__plan *plan)
{
    for (size_t i = 0; i < plan->field_count; i++) {
        stele__plan_field *planned = &plan->fields[i];
        const stele_field *field = planned->field;
        stele__sink json = { .format = STELE__FORMAT_JSON, .buffer = &plan->keys };
        stele__sink cbor = { .format = STELE__FORMAT_CBOR, .buffer = &plan->keys };
        size_t start = plan->keys.size;
        stele_status status = stele__sink_key(&json, field->name, field->name_size);
        size_t middle = plan->keys.size;
        if (status == STELE_OK)
            status = stele__sink_key(&cbor, field->name, field->name_size);
        if (status != STELE_OK)
            return status;
        planned->json_key.size = middle - start;
        planned->cbor_key.size = plan->keys.size - middle;
    }
    /* Now they stay where they are. */
    const char *at = plan->keys.data;
    for (size_t i = 0; i < plan->field_count; i++) {
        stele__plan_field *planned = &plan->fields[i];
        planned->json_key.bytes = at;
        planned->cbor_key.bytes = at + planned->json_key.size;
        at = planned->cbor_key.bytes + planned->cbor_key.size;
    }
    return STELE_OK;
}

/* --- Making --- */

/* One table, without what it refers to. It is hung behind `last` first, so that it is freed. */
static stele_status make_one_plan(const stele_type *type, stele__plan **last)
{
    stele_status status = check_table(type);
    if (status != STELE_OK)
        return status;
    stele__plan *plan = stele__allocate_array(1, sizeof(*plan));
    if (plan == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the type '%s'", type->name);
    *last = plan;
    plan->type = type;
    plan->field_count = type->field_count;
    plan->fields = stele__allocate_array(type->field_count + 1, sizeof(*plan->fields));
    if (plan->fields == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the type '%s'", type->name);
    for (size_t i = 0; i < type->field_count; i++) {
        const stele_field *field = &type->fields[i];
        plan->fields[i].field = field;
        if ((field->flags & STELE_OPTIONAL) == 0)
            plan->required_count++;
    }
    status = hash_fields(plan);
    if (status == STELE_OK)
        status = order_fields(plan);
    return status == STELE_OK ? encode_keys(plan) : status;
}

/* The plan of `type` among those made, or a new one behind the last. */
static stele_status find_or_make_plan(stele__plan *first, const stele_type *type,
                                      const stele__plan **plan_out)
{
    stele__plan *plan = first;
    while (plan->type != type && plan->next != NULL)
        plan = plan->next;
    if (plan->type != type) {
        stele_status status = make_one_plan(type, &plan->next);
        if (status != STELE_OK)
            return status;
        plan = plan->next;
    }
    *plan_out = plan;
    return STELE_OK;
}

stele_status stele__plan_make(const stele_type *type, stele__plan **plan_out)
{
    *plan_out = NULL;
    if (type == NULL)
        return stele__fail(STELE_MISUSE, "the type is NULL");

    stele__plan *first = NULL;
    stele_status status = make_one_plan(type, &first);
    /* New ones are hung behind, so this comes to them, too. */
    for (stele__plan *plan = first; plan != NULL && status == STELE_OK; plan = plan->next) {
        for (size_t i = 0; i < plan->field_count && status == STELE_OK; i++) {
            if (plan->fields[i].field->kind == STELE_KIND_STRUCT)
                status =
                    find_or_make_plan(first, plan->fields[i].field->type, &plan->fields[i].nested);
        }
    }
    if (status != STELE_OK) {
        stele__plan_free(first);
        return status;
    }
    *plan_out = first;
    return STELE_OK;
}

void stele__plan_free(stele__plan *plan)
{
    while (plan != NULL) {
        stele__plan *next = plan->next;
        stele__free(plan->fields);
        stele__free(plan->cbor_order);
        stele__buffer_dispose(&plan->keys);
        stele__free(plan->slots);
        stele__free(plan);
        plan = next;
    }
}

const stele_type *stele__plan_type(const stele__plan *plan)
{
    return plan->type;
}

stele_status stele_type_check(const stele_type *type)
{
    stele__plan *plan = NULL;
    stele_status status = stele__plan_make(type, &plan);
    stele__plan_free(plan);
    return status;
}
