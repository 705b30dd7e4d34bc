/* Registering with a store, and looking up what is registered. */
#include "codec/registry.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"

/* What a store has that is used before anything was registered: then nothing can fail. */
static stele__registry nothing_registered = { .frozen = true };

/* --- Lists and indexes --- */

/* Room for one more: OK or NO_MEMORY. */
static stele_status reserve_item(stele__list *list)
{
    if (list->count < list->capacity)
        return STELE_OK;
    size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    void **items = stele__reallocate(list->items, capacity * sizeof(*items));
    if (items == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu registrations", capacity);
    list->items = items;
    list->capacity = capacity;
    return STELE_OK;
}

/* Once there is room. */
static void add_item(stele__list *list, void *item)
{
    list->items[list->count++] = item;
}

stele_status stele__list_add(stele__list *list, void *item)
{
    stele_status status = reserve_item(list);
    if (status == STELE_OK)
        add_item(list, item);
    return status;
}

static uint64_t hash_name(const char *name, int64_t schema_version)
{
    return stele__hash_with(name, strlen(name), (uint64_t)schema_version);
}

static uint64_t hash_known_name(const stele__known *known)
{
    return hash_name(known->name, known->schema_version);
}

static uint64_t hash_table(const stele_type *type)
{
    return ((uint64_t)(uintptr_t)type >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 16;
}

static uint64_t hash_known_table(const stele__known *known)
{
    return hash_table(known->type);
}

static void put_known(stele__index *index, uint64_t hash, stele__known *known)
{
    size_t place = (size_t)hash & (index->size - 1);
    while (index->places[place] != NULL)
        place = (place + 1) & (index->size - 1);
    index->places[place] = known;
    index->count++;
}

/* Room for one more: OK or NO_MEMORY. */
static stele_status reserve_place(stele__index *index, uint64_t (*hash)(const stele__known *known))
{
    if (2 * (index->count + 1) <= index->size)
        return STELE_OK;
    stele__index larger = { .size = index->size == 0 ? 32 : 2 * index->size };
    larger.places = stele__allocate_array(larger.size, sizeof(stele__known *));
    if (larger.places == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu registrations", larger.size);
    for (size_t i = 0; i < index->size; i++)
        if (index->places[i] != NULL)
            put_known(&larger, hash(index->places[i]), index->places[i]);
    stele__free(index->places);
    *index = larger;
    return STELE_OK;
}

stele__known *stele__known_find(const stele__registry *registry, const char *name,
                                int64_t schema_version)
{
    const stele__index *index = &registry->names;
    if (index->size == 0)
        return NULL;
    size_t place = (size_t)hash_name(name, schema_version) & (index->size - 1);
    for (; index->places[place] != NULL; place = (place + 1) & (index->size - 1)) {
        stele__known *known = index->places[place];
        if (known->schema_version == schema_version && strcmp(known->name, name) == 0)
            return known;
    }
    return NULL;
}

const stele__known *stele__known_resolve(const stele__registry *registry, const char *name,
                                         int64_t schema_version)
{
    const stele__known *known = stele__known_find(registry, name, schema_version);
    if (known != NULL && known->alias == NULL)
        return known;
    const stele__known *alias = stele__known_find(registry, name, 0);
    if (alias == NULL || alias->alias == NULL || schema_version < 1)
        return NULL;
    return stele__known_find(registry, alias->alias_of, schema_version);
}

const stele__known *stele__known_table(const stele__registry *registry, const stele_type *type)
{
    const stele__index *index = &registry->tables;
    if (index->size == 0)
        return NULL;
    size_t place = (size_t)hash_table(type) & (index->size - 1);
    for (; index->places[place] != NULL; place = (place + 1) & (index->size - 1))
        if (index->places[place]->type == type)
            return index->places[place];
    return NULL;
}

bool stele__is_alias(const stele__registry *registry, const char *name)
{
    return stele__known_find(registry, name, 0) != NULL;
}

/* --- The registry of a store --- */

static void dispose_registry(void *state)
{
    stele__registry *registry = state;
    for (size_t i = 0; i < registry->known.count; i++) {
        stele__known *known = registry->known.items[i];
        stele__plan_free(known->plan);
        stele__free(known->alias);
        stele__free(known->alias_of);
        stele__free(known);
    }
    for (size_t i = 0; i < registry->steps.count; i++)
        stele__step_free(registry->steps.items[i]);
    for (size_t i = 0; i < registry->codecs.count; i++)
        stele__free(registry->codecs.items[i]);
    stele__free(registry->known.items);
    stele__free(registry->listed.items);
    stele__free(registry->steps.items);
    stele__free(registry->codecs.items);
    stele__free(registry->names.places);
    stele__free(registry->tables.places);
    stele__free(registry);
}

stele_status stele__registry_begin(stele_store *store, stele__registry **registry_out)
{
    stele__attachment *attachment = &store->attachments[STELE__ATTACHMENT_CODECS];
    pthread_mutex_lock(&store->mutex);
    stele__registry *registry = atomic_load(&attachment->state);
    if (registry == NULL) {
        registry = stele__allocate_array(1, sizeof(*registry));
        if (registry == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for registrations");
        attachment->dispose = dispose_registry;
        atomic_store(&attachment->state, registry);
    }
    *registry_out = registry;
    if (registry->frozen)
        return stele__fail(STELE_MISUSE, "too late to register: the store has encoded, decoded or"
                                         " looked up something already");
    return STELE_OK;
}

void stele__registry_done(stele_store *store)
{
    pthread_mutex_unlock(&store->mutex);
}

const stele__registry *stele__registry_use(stele_store *store)
{
    stele__attachment *attachment = &store->attachments[STELE__ATTACHMENT_CODECS];
    stele__registry *registry = atomic_load_explicit(&attachment->state, memory_order_acquire);
    if (registry != NULL && atomic_load_explicit(&registry->frozen, memory_order_acquire))
        return registry;
    pthread_mutex_lock(&store->mutex);
    registry = atomic_load(&attachment->state);
    if (registry == NULL) {
        registry = &nothing_registered;
        atomic_store(&attachment->state, registry);
    } else {
        atomic_store(&registry->frozen, true);
    }
    pthread_mutex_unlock(&store->mutex);
    return registry;
}

/* --- Tables and aliases --- */

/* What is known of this name and version, made if it isn't; `name` is borrowed for good then. */
static stele_status know_name(stele__registry *registry, const char *name, int64_t schema_version,
                              stele__known **known_out)
{
    *known_out = stele__known_find(registry, name, schema_version);
    if (*known_out != NULL)
        return STELE_OK;
    stele_status status = reserve_item(&registry->known);
    if (status == STELE_OK)
        status = reserve_place(&registry->names, hash_known_name);
    if (status != STELE_OK)
        return status;
    stele__known *known = stele__allocate_array(1, sizeof(*known));
    if (known == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the name '%s'", name);
    known->name = name;
    known->schema_version = schema_version;
    add_item(&registry->known, known);
    put_known(&registry->names, hash_known_name(known), known);
    *known_out = known;
    return STELE_OK;
}

static stele_status add_table(stele__registry *registry, const stele_type *type, stele__plan *plan)
{
    stele__known *known = stele__known_find(registry, type->name, type->schema_version);
    if (known != NULL && known->type != NULL)
        return stele__fail(STELE_MISUSE, "a table " STELE__TYPE_FORMAT " is registered", type->name,
                           type->schema_version);
    if (stele__is_alias(registry, type->name))
        return stele__fail(STELE_MISUSE, "'%s' is an alias", type->name);
    stele_status status = reserve_item(&registry->listed);
    if (status == STELE_OK)
        status = reserve_place(&registry->tables, hash_known_table);
    if (status == STELE_OK)
        status = know_name(registry, type->name, type->schema_version, &known);
    if (status != STELE_OK)
        return status;
    known->type = type;
    known->plan = plan;
    add_item(&registry->listed, known);
    put_known(&registry->tables, hash_table(type), known);
    return STELE_OK;
}

stele_status stele_store_register_type(stele_store *store, const stele_type *type)
{
    stele__plan *plan = NULL;
    stele__registry *registry = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = type == NULL ? stele__fail(STELE_MISUSE, "the type is NULL")
                          : stele__plan_make(type, &plan);
    if (status == STELE_OK) {
        status = stele__registry_begin(store, &registry);
        if (status == STELE_OK)
            status = add_table(registry, type, plan);
        stele__registry_done(store);
        if (status != STELE_OK)
            stele__plan_free(plan);
    }
    stele__store_leave(store);
    return status;
}

static bool step_names(const stele__upcast_step *step, const char *name)
{
    if (strcmp(step->type, name) == 0)
        return true;
    for (size_t i = 0; i < step->output_count; i++)
        if (strcmp(step->outputs[i].type, name) == 0)
            return true;
    return false;
}

/* Whatever stands for a name may not be one of which something else is said. */
static stele_status check_alias(const stele__registry *registry, const char *alias,
                                const char *type)
{
    if (strcmp(alias, type) == 0)
        return stele__fail(STELE_MISUSE, "'%s' would be an alias of itself", alias);
    if (stele__is_alias(registry, alias))
        return stele__fail(STELE_MISUSE, "the alias '%s' is registered", alias);
    if (stele__is_alias(registry, type))
        return stele__fail(STELE_MISUSE, "'%s' is an alias itself", type);
    for (size_t i = 0; i < registry->listed.count; i++) {
        const stele__known *known = registry->listed.items[i];
        if (known->type != NULL && strcmp(known->name, alias) == 0)
            return stele__fail(STELE_MISUSE, "a table " STELE__TYPE_FORMAT " is registered", alias,
                               known->schema_version);
        if (known->alias != NULL && strcmp(known->alias_of, alias) == 0)
            return stele__fail(STELE_MISUSE, "'%s' has the alias '%s'", alias, known->alias);
    }
    for (size_t i = 0; i < registry->steps.count; i++)
        if (step_names(registry->steps.items[i], alias))
            return stele__fail(STELE_MISUSE, "an upcaster takes or makes '%s'", alias);
    return STELE_OK;
}

/* Takes both texts over, on success. */
static stele_status add_alias(stele__registry *registry, char *alias, char *type)
{
    stele__known *known = NULL;
    stele_status status = check_alias(registry, alias, type);
    if (status == STELE_OK)
        status = reserve_item(&registry->listed);
    if (status == STELE_OK)
        status = know_name(registry, alias, 0, &known);
    if (status != STELE_OK)
        return status;
    known->alias = alias;
    known->alias_of = type;
    add_item(&registry->listed, known);
    return STELE_OK;
}

static stele_status copy_and_add_alias(stele_store *store, const char *alias, const char *type)
{
    stele__registry *registry = NULL;
    char *alias_copy = stele__copy_text(alias);
    char *type_copy = stele__copy_text(type);
    stele_status status;
    if (alias_copy == NULL || type_copy == NULL) {
        status = stele__fail(STELE_NO_MEMORY, "no memory for the alias '%s'", alias);
    } else {
        status = stele__registry_begin(store, &registry);
        if (status == STELE_OK)
            status = add_alias(registry, alias_copy, type_copy);
        stele__registry_done(store);
    }
    if (status != STELE_OK) {
        stele__free(alias_copy);
        stele__free(type_copy);
    }
    return status;
}

stele_status stele_store_register_alias(stele_store *store, const char *alias, const char *type)
{
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__check_name("alias", alias);
    if (status == STELE_OK)
        status = stele__check_name("type", type);
    if (status == STELE_OK)
        status = copy_and_add_alias(store, alias, type);
    stele__store_leave(store);
    return status;
}

stele_status stele__registry_add_step(stele__registry *registry, stele__upcast_step *step)
{
    stele__known *known = NULL;
    stele_status status = reserve_item(&registry->steps);
    if (status == STELE_OK)
        status = know_name(registry, step->type, step->schema_version, &known);
    if (status != STELE_OK)
        return status;
    add_item(&registry->steps, step);
    known->step = step;
    return STELE_OK;
}

/* Nothing was put into the index behind it, so its place can just be given up. */
static void forget_last_known(stele__registry *registry)
{
    stele__known *known = registry->known.items[--registry->known.count];
    stele__index *index = &registry->names;
    size_t place = (size_t)hash_known_name(known) & (index->size - 1);
    while (index->places[place] != known)
        place = (place + 1) & (index->size - 1);
    index->places[place] = NULL;
    index->count--;
    stele__free(known);
}

void stele__registry_drop_step(stele__registry *registry)
{
    const stele__upcast_step *step = registry->steps.items[--registry->steps.count];
    stele__known *known = stele__known_find(registry, step->type, step->schema_version);
    known->step = NULL;
    if (known->type == NULL)
        forget_last_known(registry);
}

stele_status stele_store_registered(stele_store *store, size_t index,
                                    stele_registered *registered_out)
{
    if (registered_out == NULL)
        return stele__fail(STELE_MISUSE, "registered_out is NULL");
    *registered_out = (stele_registered){ 0 };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    const stele__registry *registry = stele__registry_use(store);
    if (index < registry->listed.count) {
        const stele__known *known = registry->listed.items[index];
        *registered_out = (stele_registered){ .name = known->name,
                                              .schema_version = known->schema_version,
                                              .type = known->type,
                                              .alias_of = known->alias_of };
    } else {
        status = STELE_DONE;
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_store_type(stele_store *store, const char *name, int64_t schema_version,
                              const stele_type **type_out)
{
    if (type_out == NULL)
        return stele__fail(STELE_MISUSE, "type_out is NULL");
    *type_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    if (name == NULL) {
        status = stele__fail(STELE_MISUSE, "the name is NULL");
    } else {
        const stele__known *known =
            stele__known_resolve(stele__registry_use(store), name, schema_version);
        if (known == NULL || known->type == NULL)
            status =
                stele__fail(STELE_UNKNOWN_TYPE, "no table " STELE__TYPE_FORMAT " is registered",
                            name, schema_version);
        else
            *type_out = known->type;
    }
    stele__store_leave(store);
    return status;
}
