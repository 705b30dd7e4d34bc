/*
 * Keys of many shards in one order: a piece of each is kept in memory, and of those the least key
 * is given next. A shard is acquired only while its next piece is read.
 */
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "shard/keys.h"

/* Bytes for all pieces together, and of each. */
#define PIECES_BYTES    ((size_t)8 * 1024 * 1024)
#define PIECE_BYTES_MAX ((size_t)64 * 1024)
#define PIECE_BYTES_MIN ((size_t)1024)
#define PIECE_COUNT_MAX 256

/* A key in a piece; its text and its data, each with a NUL, follow. */
typedef struct piece_head {
    int64_t updated_at;
    int64_t revision;
    size_t key_size;
    size_t data_size;
    bool left_out; /* the data: too large to be kept */
} piece_head;

/* A shard whose keys are gathered. */
typedef struct gather_source {
    const char *name_space;
    stele__buffer piece;
    piece_head head; /* of the key that is next */
    const char *key;
    size_t next_at; /* of the one behind it */
    bool ended;     /* nothing follows the piece */
} gather_source;

typedef struct gather_run {
    const stele__gathering *of;
    gather_source *sources;
    gather_source **heap; /* those that have a key, the least first */
    size_t heap_count;
    size_t piece_bytes;
} gather_run;

/* --- Pieces --- */

static stele_status add_to_piece(gather_source *source, const stele_entry *entry, size_t piece_max)
{
    stele__buffer *piece = &source->piece;
    piece_head head = { .updated_at = entry->updated_at,
                        .revision = entry->revision,
                        .key_size = strlen(entry->key),
                        .data_size = entry->data_size };
    head.left_out = head.data_size > piece_max;
    stele_status status = stele__buffer_add(piece, &head, sizeof(head));
    if (status == STELE_OK)
        status = stele__buffer_add(piece, entry->key, head.key_size + 1);
    if (status == STELE_OK && !head.left_out) /* the NUL is the entry's own */
        status = stele__buffer_add(piece, entry->data, head.data_size + 1);
    return status;
}

/* Move to the next key of the piece; false at its end. */
static bool next_of_piece(gather_source *source)
{
    if (source->next_at >= source->piece.size)
        return false;
    const char *at = source->piece.data + source->next_at;
    memcpy(&source->head, at, sizeof(source->head));
    source->key = at + sizeof(source->head);
    source->next_at += sizeof(source->head) + source->head.key_size + 1;
    if (!source->head.left_out)
        source->next_at += source->head.data_size + 1;
    return true;
}

static bool is_gone(const stele__gathering *of, stele_status status)
{
    if (status == STELE_NOT_FOUND)
        return true;
    return of->lenient && (status == STELE_MOVED || status == STELE_FENCED);
}

static stele_status acquire_source(const stele__gathering *of, const gather_source *source,
                                   stele_shard **shard_out)
{
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.must_exist = true;
    return stele_shards_acquire(of->shards, of->organisation, source->name_space, &how, shard_out);
}

static stele_status read_piece(const gather_run *run, gather_source *source, stele_store *store)
{
    stele_entries_read read = STELE_ENTRIES_READ_INIT;
    stele_entries *entries = NULL;
    const stele_entry *entry = NULL;
    read.scope = STELE_KEYED_SCOPE;
    read.prefix = run->of->prefix;
    read.limit = PIECE_COUNT_MAX;
    read.after = source->key; /* the last one of the piece before; NULL: none */
    stele_status status = stele_state_list(store, &read, &entries);
    source->piece.size = 0;
    source->next_at = 0;
    size_t count = 0;
    while (status == STELE_OK && source->piece.size < run->piece_bytes
           && (status = stele_entries_next(entries, &entry)) == STELE_OK) {
        status = add_to_piece(source, entry, run->piece_bytes);
        count++;
    }
    source->ended = status == STELE_DONE && count < PIECE_COUNT_MAX;
    stele_entries_close(entries);
    return status == STELE_DONE ? STELE_OK : status;
}

/* The next key of the source: OK; DONE when it has none. */
static stele_status advance_source(const gather_run *run, gather_source *source)
{
    stele_shard *shard = NULL;
    if (next_of_piece(source))
        return STELE_OK;
    if (source->ended)
        return STELE_DONE;
    stele_status status = acquire_source(run->of, source, &shard);
    if (status == STELE_OK)
        status = read_piece(run, source, shard->store);
    stele_shard_release(shard);
    if (status != STELE_OK)
        return is_gone(run->of, status) ? STELE_DONE : status;
    return next_of_piece(source) ? STELE_OK : STELE_DONE;
}

/* --- The least key of all --- */

static bool gathers_before(const gather_source *a, const gather_source *b)
{
    int order = strcmp(a->key, b->key);
    return order < 0 || (order == 0 && a < b); /* sources are in the order of their names */
}

static void sink_source(gather_run *run, size_t at)
{
    gather_source *sinking = run->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= run->heap_count)
            break;
        if (child + 1 < run->heap_count && gathers_before(run->heap[child + 1], run->heap[child]))
            child++;
        if (!gathers_before(run->heap[child], sinking))
            break;
        run->heap[at] = run->heap[child];
        at = child;
    }
    run->heap[at] = sinking;
}

static stele_status fill_heap(gather_run *run, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        stele_status status = advance_source(run, &run->sources[i]);
        if (status == STELE_OK)
            run->heap[run->heap_count++] = &run->sources[i];
        else if (status != STELE_DONE)
            return status;
    }
    for (size_t i = run->heap_count / 2; i > 0; i--)
        sink_source(run, i - 1);
    return STELE_OK;
}

/* --- Giving them --- */

/* The data is read now. One that was deleted meanwhile is none. */
static stele_status give_large(const gather_run *run, const gather_source *source)
{
    stele_shard *shard = NULL;
    const stele_entry *entry = NULL;
    stele_status status = acquire_source(run->of, source, &shard);
    if (status == STELE_OK)
        status = stele_state_get(shard->store, STELE_KEYED_SCOPE, source->key, &entry);
    stele_shard_release(shard);
    if (status != STELE_OK)
        return is_gone(run->of, status) ? STELE_OK : status;
    if (entry->found) {
        const stele_keyed keyed = { .key = entry->key,
                                    .data = entry->data,
                                    .data_size = entry->data_size,
                                    .updated_at = entry->updated_at,
                                    .revision = entry->revision };
        status = run->of->function(run->of->context, &keyed);
    }
    stele_entry_close(entry);
    return status;
}

static stele_status give_key(const gather_run *run, const gather_source *source)
{
    if (source->head.left_out)
        return give_large(run, source);
    const stele_keyed keyed = { .key = source->key,
                                .data = source->key + source->head.key_size + 1,
                                .data_size = source->head.data_size,
                                .updated_at = source->head.updated_at,
                                .revision = source->head.revision };
    return run->of->function(run->of->context, &keyed);
}

static stele_status check_open(stele_shards *shards)
{
    stele_status status = stele__shards_enter(shards);
    if (status == STELE_OK)
        stele__shards_leave(shards);
    return status;
}

static stele_status give_all(gather_run *run)
{
    stele_status status = STELE_OK;
    while (status == STELE_OK && run->heap_count > 0) {
        gather_source *least = run->heap[0];
        status = check_open(run->of->shards);
        if (status == STELE_OK)
            status = give_key(run, least);
        if (status != STELE_OK)
            return status;
        status = advance_source(run, least);
        if (status == STELE_DONE) {
            run->heap[0] = run->heap[--run->heap_count];
            stele__buffer_dispose(&least->piece);
            status = STELE_OK;
        }
        if (status == STELE_OK && run->heap_count > 0)
            sink_source(run, 0);
    }
    return status;
}

stele_status stele__keys_gather(const stele__gathering *gathering, const char *const *name_spaces,
                                size_t count)
{
    gather_run run = { .of = gathering };
    if (count == 0)
        return STELE_OK;
    run.piece_bytes = PIECES_BYTES / count;
    if (run.piece_bytes < PIECE_BYTES_MIN)
        run.piece_bytes = PIECE_BYTES_MIN;
    if (run.piece_bytes > PIECE_BYTES_MAX)
        run.piece_bytes = PIECE_BYTES_MAX;
    run.sources = stele__allocate_array(count, sizeof(*run.sources));
    run.heap = stele__allocate_array(count, sizeof(gather_source *));
    stele_status status = STELE_OK;
    if (run.sources == NULL || run.heap == NULL)
        status = stele__fail(STELE_NO_MEMORY, "no memory to list %zu shards", count);
    for (size_t i = 0; i < count && status == STELE_OK; i++)
        run.sources[i].name_space = name_spaces[i];
    if (status == STELE_OK)
        status = fill_heap(&run, count);
    if (status == STELE_OK)
        status = give_all(&run);
    for (size_t i = 0; i < count && run.sources != NULL; i++)
        stele__buffer_dispose(&run.sources[i].piece);
    stele__free(run.sources);
    stele__free(run.heap);
    return status;
}
