/*
 * Trying every stored (type, schema version, codec) with samples. A first pass over the log counts
 * the events of each, so that in the second one the samples can be spread evenly.
 */
#include <stdlib.h>
#include <string.h>

#include <stele/eventstore.h>
#include <stele/typed.h>
#include <stele/upcast.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/patience.h"
#include "codec/registry.h"

/* A line, its texts its own, and how far its samples are. */
typedef struct lint_tally {
    stele_lint_line line;
    uint64_t met; /* events, in the pass that tries */
    uint64_t due; /* of the next sample: when it has gathered as many as there are to choose from */
} lint_tally;

struct stele_lint {
    stele_store *store; /* while scanning */
    uint64_t samples;
    stele__patience patience;
    lint_tally *tallies;
    size_t count;
    size_t capacity;
    size_t *places;     /* of tallies by a hash: the index, and 1 more; 0: none */
    size_t place_count; /* 0 or a power of 2 */
    size_t last;        /* the tally met last */
    size_t next;        /* the line to hand out */
    stele_decoded *decoded;
};

void stele_lint_options_init(stele_lint_options *options)
{
    if (options != NULL)
        *options = (stele_lint_options)STELE_LINT_OPTIONS_INIT;
}

static stele_status refuse_lint_memory(void)
{
    return stele__fail(STELE_NO_MEMORY, "no memory for a lint");
}

/* --- Lines --- */

static stele_status add_tally(stele_lint *lint, const stele_lint_line *line)
{
    if (lint->count == lint->capacity) {
        size_t capacity = lint->capacity == 0 ? 16 : 2 * lint->capacity;
        lint_tally *tallies = stele__reallocate(lint->tallies, capacity * sizeof(*tallies));
        if (tallies == NULL)
            return refuse_lint_memory();
        lint->tallies = tallies;
        lint->capacity = capacity;
    }
    char *type = stele__copy_text(line->type);
    char *codec = stele__copy_text(line->codec);
    if (type == NULL || codec == NULL) {
        stele__free(type);
        stele__free(codec);
        return refuse_lint_memory();
    }
    lint_tally *tally = &lint->tallies[lint->count++];
    *tally = (lint_tally){ .line = *line };
    tally->line.type = type;
    tally->line.codec = codec;
    tally->line.offender = "";
    return STELE_OK;
}

static int compare_tallies(const void *one, const void *other)
{
    const stele_lint_line *a = &((const lint_tally *)one)->line;
    const stele_lint_line *b = &((const lint_tally *)other)->line;
    int order = strcmp(a->type, b->type);
    if (order == 0)
        order = (a->schema_version > b->schema_version) - (a->schema_version < b->schema_version);
    return order != 0 ? order : strcmp(a->codec, b->codec);
}

/* --- Finding the line of a record --- */

static bool is_tally_of(const lint_tally *tally, const stele_record *record)
{
    return tally->line.schema_version == record->schema_version
           && strcmp(tally->line.type, record->type) == 0
           && strcmp(tally->line.codec, record->codec) == 0;
}

static size_t hash_tally(const char *type, int64_t schema_version, const char *codec)
{
    uint64_t hash = stele__hash_with(type, strlen(type), (uint64_t)schema_version);
    return (size_t)stele__hash_with(codec, strlen(codec), hash);
}

/* Room for one more, with half of the places left free. */
static stele_status reserve_lint_place(stele_lint *lint)
{
    if (2 * (lint->count + 1) <= lint->place_count)
        return STELE_OK;
    size_t count = lint->place_count == 0 ? 64 : 2 * lint->place_count;
    size_t *places = stele__allocate_array(count, sizeof(*places));
    if (places == NULL)
        return refuse_lint_memory();
    for (size_t i = 0; i < lint->count; i++) {
        const stele_lint_line *line = &lint->tallies[i].line;
        size_t place = hash_tally(line->type, line->schema_version, line->codec) & (count - 1);
        while (places[place] != 0)
            place = (place + 1) & (count - 1);
        places[place] = i + 1;
    }
    stele__free(lint->places);
    lint->places = places;
    lint->place_count = count;
    return STELE_OK;
}

static stele_status find_tally(stele_lint *lint, const stele_record *record, lint_tally **tally_out)
{
    /* Mostly it is the one met last. */
    if (lint->last < lint->count && is_tally_of(&lint->tallies[lint->last], record)) {
        *tally_out = &lint->tallies[lint->last];
        return STELE_OK;
    }
    stele_status status = reserve_lint_place(lint);
    if (status != STELE_OK)
        return status;
    size_t mask = lint->place_count - 1;
    size_t place = hash_tally(record->type, record->schema_version, record->codec) & mask;
    while (lint->places[place] != 0
           && !is_tally_of(&lint->tallies[lint->places[place] - 1], record))
        place = (place + 1) & mask;
    if (lint->places[place] == 0) {
        stele_lint_line line = { .kind = STELE_LINT_STORED,
                                 .type = record->type,
                                 .schema_version = record->schema_version,
                                 .codec = record->codec };
        status = add_tally(lint, &line);
        if (status != STELE_OK)
            return status;
        lint->places[place] = lint->count;
    }
    lint->last = lint->places[place] - 1;
    *tally_out = &lint->tallies[lint->last];
    return STELE_OK;
}

/* --- Trying --- */

/* Half of the samples are the first events. The others are spread over the rest, to the last one:
 * each event adds their number to what is due, and as much as there are events is a sample. */
static bool is_sample(const stele_lint *lint, lint_tally *tally)
{
    uint64_t spread = lint->samples / 2;
    uint64_t first = lint->samples - spread;
    if (lint->samples == 0 || lint->samples >= tally->line.events || ++tally->met <= first)
        return true;
    tally->due += spread;
    if (tally->due < tally->line.events - first)
        return false;
    tally->due -= tally->line.events - first;
    return true;
}

static void count_parts(stele_lint_line *line, uint64_t parts)
{
    bool first = line->tried == line->failures + 1;
    if (first || parts < line->parts_min)
        line->parts_min = parts;
    if (first || parts > line->parts_max)
        line->parts_max = parts;
}

static stele_status count_failure(stele_lint_line *line, stele_status status)
{
    if (line->failures == 0) {
        char *offender = stele__copy_text(stele_error_text());
        if (offender == NULL)
            return refuse_lint_memory();
        line->status = status;
        line->offender = offender;
    }
    line->failures++;
    return STELE_OK;
}

/* That a record can't be decoded is a finding, whatever an upcaster answered. Whether the store was
 * really closed is seen by the cursor. */
static stele_status try_record(stele_lint *lint, stele_lint_line *line, const stele_record *record)
{
    stele_status status = stele_record_decode(lint->store, record, &lint->decoded);
    if (status == STELE_NO_MEMORY)
        return status;
    line->tried++;
    if (status != STELE_OK)
        return count_failure(line, status);
    count_parts(line, stele_decoded_count(lint->decoded));
    return STELE_OK;
}

/* What is appended after `head` is left for the next lint. */
static stele_status scan_log(stele_lint *lint, const stele_wait *wait, int64_t head, bool counting,
                             bool trying)
{
    stele_read read = STELE_READ_INIT;
    read.to_position = head;
    read.wait = wait;
    stele_cursor *cursor = NULL;
    stele_status status = stele_store_read(lint->store, &read, &cursor);
    const stele_record *record = NULL;
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        lint_tally *tally = NULL;
        /* The read asks only while it reads a page. */
        status = stele__patience_check(&lint->patience, "a lint");
        if (status == STELE_OK)
            status = find_tally(lint, record, &tally);
        if (status == STELE_OK && counting)
            tally->line.events++;
        if (status == STELE_OK && trying && is_sample(lint, tally))
            status = try_record(lint, &tally->line, record);
    }
    stele_cursor_close(cursor);
    return status < 0 ? status : STELE_OK;
}

static stele_status list_stored(stele_lint *lint, const stele_wait *wait)
{
    int64_t head = 0;
    stele_status status = stele_store_head(lint->store, &head);
    if (status != STELE_OK || head == 0)
        return status;
    bool in_one = lint->samples == 0;
    if (!in_one)
        status = scan_log(lint, wait, head, true, false);
    if (status == STELE_OK)
        status = scan_log(lint, wait, head, in_one, true);
    if (lint->count > 1)
        qsort(lint->tallies, lint->count, sizeof(*lint->tallies), compare_tallies);
    return status;
}

/* --- Upcasters that nothing reaches --- */

/* Note that events of this type come by: the steps from there are reached, once each. */
static void reach_step(const stele__registry *registry, const char *type, int64_t schema_version,
                       const stele__upcast_step **reached, size_t *count)
{
    const stele__known *known = stele__known_resolve(registry, type, schema_version);
    if (known == NULL || known->step == NULL)
        return;
    for (size_t i = 0; i < *count; i++)
        if (reached[i] == known->step)
            return;
    reached[(*count)++] = known->step;
}

static bool is_step_reached(const stele__upcast_step *step,
                            const stele__upcast_step *const *reached, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (reached[i] == step)
            return true;
    return false;
}

static stele_status list_unused(stele_lint *lint, const stele__registry *registry)
{
    size_t step_count = registry->steps.count;
    const stele__upcast_step **reached =
        stele__allocate_array(step_count + 1, sizeof(stele__upcast_step *));
    if (reached == NULL)
        return refuse_lint_memory();
    size_t count = 0;
    size_t stored_count = lint->count;
    for (size_t i = 0; i < stored_count; i++)
        reach_step(registry, lint->tallies[i].line.type, lint->tallies[i].line.schema_version,
                   reached, &count);
    /* What is reached grows while it is walked. */
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < reached[i]->output_count; j++)
            reach_step(registry, reached[i]->outputs[j].type, reached[i]->outputs[j].schema_version,
                       reached, &count);

    stele_status status = STELE_OK;
    for (size_t i = 0; i < step_count && status == STELE_OK; i++) {
        const stele__upcast_step *step = registry->steps.items[i];
        stele_lint_line line = { .kind = STELE_LINT_UNUSED,
                                 .type = step->type,
                                 .schema_version = step->schema_version,
                                 .codec = "" };
        if (!is_step_reached(step, reached, count))
            status = add_tally(lint, &line);
    }
    stele__free((void *)reached);
    return status;
}

/* --- The handle --- */

/* Once its lines are complete it needs nothing else, and the store may be closed. */
static void drop_lint_scan(stele_lint *lint)
{
    stele__free(lint->places);
    lint->places = NULL;
    stele_decoded_close(lint->decoded);
    lint->decoded = NULL;
    lint->store = NULL;
}

void stele_lint_close(stele_lint *lint)
{
    if (lint == NULL)
        return;
    drop_lint_scan(lint);
    for (size_t i = 0; i < lint->count; i++) {
        stele__free((char *)lint->tallies[i].line.type);
        stele__free((char *)lint->tallies[i].line.codec);
        if (lint->tallies[i].line.failures > 0)
            stele__free((char *)lint->tallies[i].line.offender);
    }
    stele__free(lint->tallies);
    stele__free(lint);
}

static stele_status run_lint(stele_lint *lint, const stele_lint_options *options)
{
    const stele__registry *registry = stele__registry_use(lint->store);
    lint->samples = options->samples;
    stele_status status =
        stele__patience_begin(&lint->patience, options->wait, UINT32_MAX, &lint->store->closing);
    /* Its time is that of each page, as for every read. */
    lint->patience.deadline_us = INT64_MAX;
    if (status == STELE_OK)
        status = list_stored(lint, options->wait);
    if (status == STELE_OK)
        status = list_unused(lint, registry);
    drop_lint_scan(lint);
    return status;
}

stele_status stele_store_lint(stele_store *store, const stele_lint_options *options,
                              stele_lint **lint_out)
{
    if (lint_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_store_lint: lint_out is NULL");
    *lint_out = NULL;
    stele_lint_options resolved = STELE_LINT_OPTIONS_INIT;
    stele_status status =
        stele__options_take("stele_lint_options", options, &resolved, sizeof(resolved));
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;

    stele_lint *lint = stele__allocate_array(1, sizeof(*lint));
    if (lint == NULL) {
        stele__store_leave(store);
        return refuse_lint_memory();
    }
    lint->store = store;
    status = run_lint(lint, &resolved);
    stele__store_leave(store);
    if (status != STELE_OK) {
        stele_lint_close(lint);
        return status;
    }
    *lint_out = lint;
    return STELE_OK;
}

stele_status stele_lint_next(stele_lint *lint, const stele_lint_line **line_out)
{
    if (line_out != NULL)
        *line_out = NULL;
    if (lint == NULL || line_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_lint_next: a NULL argument");
    if (lint->next == lint->count)
        return STELE_DONE;
    *line_out = &lint->tallies[lint->next++].line;
    return STELE_OK;
}
