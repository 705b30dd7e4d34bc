/* Registering upcasters: what may follow what. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "codec/registry.h"

void stele_upcaster_init(stele_upcaster *upcaster)
{
    if (upcaster != NULL)
        *upcaster = (stele_upcaster)STELE_UPCASTER_INIT;
}

/* --- Taking one over --- */

void stele__step_free(stele__upcast_step *step)
{
    if (step == NULL)
        return;
    for (size_t i = 0; i < step->output_count; i++)
        stele__free(step->outputs[i].type);
    stele__free(step->outputs);
    stele__free(step->type);
    stele__plan_free(step->from);
    stele__free(step);
}

static stele_status check_output(const stele_upcaster *upcaster, size_t index)
{
    const stele_type_version *output = &upcaster->outputs[index];
    stele_status status = stele__check_name("type", output->type);
    if (status == STELE_OK && output->schema_version < 1)
        status = stele__fail(STELE_MISUSE, "the schema_version %" PRId64 " is below 1",
                             output->schema_version);
    for (size_t i = 0; i < index && status == STELE_OK; i++)
        if (output->schema_version == upcaster->outputs[i].schema_version
            && strcmp(output->type, upcaster->outputs[i].type) == 0)
            status = stele__fail(STELE_MISUSE, STELE__TYPE_FORMAT " is declared twice",
                                 output->type, output->schema_version);
    return status == STELE_OK ? status : stele__fail_within(status, "output %zu", index);
}

static stele_status check_upcaster(const stele_upcaster *upcaster)
{
    stele_status status = stele__check_name("type", upcaster->type);
    if (status != STELE_OK)
        return status;
    if (upcaster->schema_version < 1 || upcaster->schema_version == INT64_MAX)
        return stele__fail(STELE_MISUSE, "the schema_version %" PRId64 " is none",
                           upcaster->schema_version);
    if (upcaster->upcast == NULL)
        return stele__fail(STELE_MISUSE, "stele_upcaster.upcast is NULL");
    if (upcaster->outputs == NULL && upcaster->output_count > 0)
        return stele__fail(STELE_MISUSE, "outputs is NULL, output_count is %zu",
                           upcaster->output_count);
    if (upcaster->output_count > STELE_UPCAST_PART_MAX)
        return stele__fail(STELE_MISUSE, "%zu outputs are more than %d", upcaster->output_count,
                           STELE_UPCAST_PART_MAX);
    for (size_t i = 0; i < upcaster->output_count && status == STELE_OK; i++)
        status = check_output(upcaster, i);
    return status;
}

/* The outputs as declared, or the next version of the same type. */
static bool copy_outputs(stele__upcast_step *step, const stele_upcaster *upcaster)
{
    stele_type_version next = { upcaster->type, upcaster->schema_version + 1 };
    const stele_type_version *outputs = upcaster->outputs == NULL ? &next : upcaster->outputs;
    size_t count = upcaster->outputs == NULL ? 1 : upcaster->output_count;
    step->outputs = stele__allocate_array(count + 1, sizeof(*step->outputs));
    if (step->outputs == NULL)
        return false;
    for (; step->output_count < count; step->output_count++) {
        stele__output *output = &step->outputs[step->output_count];
        output->type = stele__copy_text(outputs[step->output_count].type);
        output->schema_version = outputs[step->output_count].schema_version;
        if (output->type == NULL)
            return false;
    }
    return true;
}

static stele_status make_step(const stele_upcaster *upcaster, stele__upcast_step **step_out)
{
    stele_status status = STELE_OK;
    stele__upcast_step *step = stele__allocate_array(1, sizeof(*step));
    *step_out = step;
    if (step != NULL)
        step->type = stele__copy_text(upcaster->type);
    if (step == NULL || step->type == NULL || !copy_outputs(step, upcaster))
        return stele__fail(STELE_NO_MEMORY, "no memory for an upcaster from '%s'", upcaster->type);
    step->schema_version = upcaster->schema_version;
    step->upcast = upcaster->upcast;
    step->context = upcaster->context;
    if (upcaster->from != NULL)
        status = stele__plan_make(upcaster->from, &step->from);
    return status;
}

/* --- What follows what --- */

static stele__upcast_step *step_of_output(const stele__registry *registry,
                                          const stele__upcast_step *step, size_t index)
{
    const stele__known *known =
        stele__known_find(registry, step->outputs[index].type, step->outputs[index].schema_version);
    return known == NULL ? NULL : known->step;
}

/* A way from upcaster to upcaster. What is registered has no cycle and no chain longer than
 * STELE_UPCAST_STEP_MAX, so a way is no longer either. */
typedef struct upcast_way {
    struct {
        stele__upcast_step *step;
        size_t next_output;
    } steps[STELE_UPCAST_STEP_MAX + 1];
    size_t size;
} upcast_way;

static stele_status refuse_cycle(const stele__upcast_step *step, const upcast_way *way)
{
    char text[STELE__ERROR_SIZE];
    size_t size = 0;
    for (size_t i = 0; i <= way->size && size < sizeof(text); i++) {
        const stele__upcast_step *at = i < way->size ? way->steps[i].step : step;
        int more = snprintf(text + size, sizeof(text) - size, "%s%s %" PRId64, i == 0 ? "" : " -> ",
                            at->type, at->schema_version);
        size += more > 0 ? (size_t)more : 0;
    }
    return stele__fail(STELE_MISUSE, "upcasters in a cycle: %s", text);
}

static bool comes_back(const stele__upcast_step *step, const stele__output *output)
{
    return output->schema_version == step->schema_version && strcmp(output->type, step->type) == 0;
}

/* Do the outputs of `step`, which is not registered yet, lead back to it? */
static stele_status refuse_cycles(stele__registry *registry, stele__upcast_step *step)
{
    STELE__UNINITIALIZED upcast_way way;
    uint32_t mark = ++registry->mark;
    way.size = 1;
    way.steps[0].step = step;
    way.steps[0].next_output = 0;
    while (way.size > 0) {
        stele__upcast_step *at = way.steps[way.size - 1].step;
        size_t output = way.steps[way.size - 1].next_output++;
        if (output == at->output_count) {
            way.size--;
            continue;
        }
        if (comes_back(step, &at->outputs[output]))
            return refuse_cycle(step, &way);
        stele__upcast_step *next = step_of_output(registry, at, output);
        if (next == NULL || next->mark == mark)
            continue;
        next->mark = mark;
        way.steps[way.size].step = next;
        way.steps[way.size++].next_output = 0;
    }
    return STELE_OK;
}

/* The most steps from `step` on, by what is known of those that follow. */
static uint32_t measure_chain(const stele__registry *registry, const stele__upcast_step *step)
{
    uint32_t longest = 0;
    for (size_t i = 0; i < step->output_count; i++) {
        const stele__upcast_step *next = step_of_output(registry, step, i);
        if (next != NULL && next->chain > longest)
            longest = next->chain;
    }
    return longest + 1;
}

/* Measure all again, as one was added: chains only grow. Without cycles this ends after as many
 * rounds as the longest has steps. */
static uint32_t measure_chains(stele__registry *registry)
{
    uint32_t longest = 0;
    for (bool changed = true; changed && longest <= STELE_UPCAST_STEP_MAX;) {
        changed = false;
        for (size_t i = 0; i < registry->steps.count; i++) {
            stele__upcast_step *step = registry->steps.items[i];
            uint32_t chain = measure_chain(registry, step);
            changed |= chain != step->chain;
            step->chain = chain;
            longest = chain > longest ? chain : longest;
        }
    }
    return longest;
}

static stele_status check_step(stele__registry *registry, stele__upcast_step *step)
{
    const stele__known *known = stele__known_find(registry, step->type, step->schema_version);
    if (known != NULL && known->step != NULL)
        return stele__fail(STELE_MISUSE, "an upcaster from " STELE__TYPE_FORMAT " is registered",
                           step->type, step->schema_version);
    if (stele__is_alias(registry, step->type))
        return stele__fail(STELE_MISUSE, "'%s' is an alias", step->type);
    for (size_t i = 0; i < step->output_count; i++)
        if (stele__is_alias(registry, step->outputs[i].type))
            return stele__fail(STELE_MISUSE, "'%s' is an alias", step->outputs[i].type);
    return refuse_cycles(registry, step);
}

static stele_status add_step(stele__registry *registry, stele__upcast_step *step)
{
    stele_status status = check_step(registry, step);
    if (status == STELE_OK)
        status = stele__registry_add_step(registry, step);
    if (status != STELE_OK || measure_chains(registry) <= STELE_UPCAST_STEP_MAX)
        return status;
    stele__registry_drop_step(registry);
    for (size_t i = 0; i < registry->steps.count; i++)
        ((stele__upcast_step *)registry->steps.items[i])->chain = 0;
    measure_chains(registry);
    return stele__fail(STELE_MISUSE,
                       "with the upcaster from " STELE__TYPE_FORMAT
                       " there would be a chain of more than %d",
                       step->type, step->schema_version, STELE_UPCAST_STEP_MAX);
}

stele_status stele_store_register_upcaster(stele_store *store, const stele_upcaster *upcaster)
{
    stele_upcaster taken = STELE_UPCASTER_INIT;
    stele__upcast_step *step = NULL;
    stele__registry *registry = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    if (upcaster == NULL)
        status = stele__fail(STELE_MISUSE, "the upcaster is NULL");
    else
        status = stele__options_take("stele_upcaster", upcaster, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = check_upcaster(&taken);
    if (status == STELE_OK)
        status = make_step(&taken, &step);
    if (status == STELE_OK) {
        status = stele__registry_begin(store, &registry);
        if (status == STELE_OK)
            status = add_step(registry, step);
        stele__registry_done(store);
    }
    if (status != STELE_OK)
        stele__step_free(step);
    stele__store_leave(store);
    return status;
}
