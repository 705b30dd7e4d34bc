/*
 * Lines from strangers: an import counts all of them, and what it stored is exported, imported into
 * another store and exported there as the same bytes.
 */
#include <stdbool.h>

#include <stele/eventstore.h>
#include <stele/jsonl.h>
#include <stele/store.h>

#include "fuzz.h"

typedef struct line_source {
    const uint8_t *at;
    size_t left;
    size_t chunk; /* most bytes of one read; 0: all that fit */
    uint64_t rejected;
    uint64_t last_line;
} line_source;

static stele_status give_bytes(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    line_source *source = context;
    size_t size = source->left < capacity ? source->left : capacity;
    if (source->chunk != 0 && size > source->chunk)
        size = source->chunk;
    memcpy(buffer, source->at, size);
    source->at += size;
    source->left -= size;
    *size_out = size;
    return STELE_OK;
}

static void count_reject(void *context, uint64_t line, const char *reason)
{
    line_source *source = context;
    require(line > source->last_line && reason[0] != '\0');
    source->last_line = line;
    source->rejected++;
}

static int64_t stopped_clock(void *context)
{
    (void)context;
    return INT64_C(1709208000000000);
}

static stele_store *open_store(void)
{
    stele_store *store = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = stopped_clock;
    require(stele_store_open(":memory:", &options, &store) == STELE_OK);
    return store;
}

/* All events as lines. To be freed; NULL when there are none. */
static char *export_lines(stele_store *store, size_t *size_out)
{
    stele_read read = STELE_READ_INIT;
    read.keys = true;
    stele_cursor *cursor = NULL;
    stele_exporter *exporter = NULL;
    require(stele_store_read(store, &read, &cursor) == STELE_OK);
    require(stele_exporter_open(&exporter) == STELE_OK);
    char *lines = NULL;
    size_t used = 0;
    const stele_record *record = NULL;
    while (stele_cursor_next(cursor, &record) == STELE_OK) {
        const char *line = NULL;
        size_t size = 0;
        require(stele_exporter_line(exporter, record, &line, &size) == STELE_OK);
        lines = realloc(lines, used + size);
        require(lines != NULL && size > 0);
        memcpy(lines + used, line, size);
        used += size;
    }
    stele_exporter_close(exporter);
    stele_cursor_close(cursor);
    *size_out = used;
    return lines;
}

static stele_status import_bytes(stele_store *store, stele_import *import, line_source *source,
                                 stele_imported *imported_out)
{
    size_t size = source->left;
    import->read = give_bytes;
    import->reject = count_reject;
    import->context = source;
    stele_status status = stele_store_import(store, import, imported_out);
    require(status == STELE_OK || (status == STELE_INVALID && import->atomic));
    require(imported_out->rejected == source->rejected && imported_out->bytes == size);
    if (status == STELE_OK)
        require(imported_out->lines
                == imported_out->appended + imported_out->duplicates + imported_out->rejected);
    else
        require(imported_out->appended == 0 && imported_out->rejected > 0);
    return status;
}

static void check_round_trip(stele_store *store, uint64_t count)
{
    size_t size = 0;
    char *lines = export_lines(store, &size);
    stele_store *other = open_store();
    stele_import import = STELE_IMPORT_INIT;
    line_source source = { .at = (const uint8_t *)lines, .left = size };
    stele_imported imported;
    require(import_bytes(other, &import, &source, &imported) == STELE_OK);
    require(imported.appended == count && imported.lines == count);

    size_t size_again = 0;
    char *lines_again = export_lines(other, &size_again);
    require(size_again == size && memcmp(lines_again, lines, size) == 0);
    stele_store_close(other);
    free(lines_again);
    free(lines);
}

/*
 * Import into a store that lives as long as the process, in one transaction that a bad line at the
 * end undoes: quick, and what is refused there is refused anywhere.
 *
 * Returns how many lines were good.
 */
static uint64_t rehearse(const stele_import *how, const line_source *input)
{
    static stele_store *stage;
    static const char spoiler[] = "\n!";
    if (stage == NULL)
        stage = open_store();
    uint8_t *bytes = take_memory(input->left + sizeof(spoiler) - 1);
    memcpy(bytes, input->at, input->left);
    memcpy(bytes + input->left, spoiler, sizeof(spoiler) - 1);
    line_source source = *input;
    source.at = bytes;
    source.left += sizeof(spoiler) - 1;

    stele_import import = *how;
    import.atomic = true;
    stele_imported imported;
    int64_t head = -1;
    require(import_bytes(stage, &import, &source, &imported) == STELE_INVALID);
    require(stele_store_head(stage, &head) == STELE_OK && head == 0);
    free(bytes);
    return imported.lines - imported.rejected;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t chunks[16] = { 0, 1, 2, 3, 7, 16, 64, 255 };
    if (size < 2)
        return 0;
    unsigned how = choice_of(data[0]);
    stele_import import = STELE_IMPORT_INIT;
    import.atomic = (how & 1) != 0;
    import.lenient = (how & 2) != 0;
    import.source = (how & 4) != 0 ? "a file" : NULL;
    import.batch_size = (how & 8) != 0 ? 2 : import.batch_size;
    if (choice_of(data[1]) >= 8)
        import.line_size_max = 64;
    line_source source = { .at = data + 2, .left = size - 2 };
    source.chunk = chunks[choice_of(data[1])];

    uint64_t good = rehearse(&import, &source);
    if (good == 0)
        return 0;
    stele_store *store = open_store();
    stele_imported imported;
    int64_t head = -1;
    if (import_bytes(store, &import, &source, &imported) == STELE_OK)
        require(imported.appended + imported.duplicates == good);
    require(stele_store_head(store, &head) == STELE_OK && (uint64_t)head == imported.appended);
    if (head > 0)
        check_round_trip(store, imported.appended);
    stele_store_close(store);
    return 0;
}
