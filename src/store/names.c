/*
 * Interned names: streams, types and codecs live once in the file, and events hold their ids.
 *
 * Each connection remembers some names in tables of fixed size. An id never changes
 * its name while the stream lives; but another process may delete a stream and give its name to a
 * new one, and a rollback takes back what was assigned. Whatever is remembered by name therefore
 * holds only for one revision of the connection.
 */
#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "sqlite/statement.h"
#include "store/names.h"

#define STREAM_SLOTS 8192
#define NAME_SLOTS   512
/* By name there are as many slots for each hash, so that two names in use don't keep driving each
 * other out. */
#define NAME_WAYS 4

typedef struct name_slot {
    int64_t id; /* 0: free */
    char *name;
} name_slot;

typedef struct stream_slot {
    stele__stream stream; /* id 0: free */
    char *name;
} stream_slot;

typedef struct name_cache {
    uint64_t revision;
    bool has_end;
    stele__log_end end;
    int64_t stream_id_next; /* 0: not known */
    unsigned evicted;       /* whose turn it is to make room */
    /* Of a reader: as of which commit, and after how many deletions, ids are remembered. */
    uint32_t data_version;
    int64_t deletions;
    bool knows_deletions;
    stream_slot *streams_by_name;
    name_slot *streams_by_id;
    name_slot by_name[STELE__NAME_TABLES][NAME_SLOTS];
    name_slot by_id[STELE__NAME_TABLES][NAME_SLOTS];
} name_cache;

static const struct {
    const char *what;
    const char *find;
    const char *name_of;
    const char *next_id;
    const char *insert;
} name_sql[STELE__NAME_TABLES] = {
    { "type", "SELECT id, checksum FROM types WHERE name = ?1",
      "SELECT name, checksum FROM types WHERE id = ?1",
      "SELECT coalesce(max(id), 0) + 1 FROM types",
      "INSERT INTO types(id, name, checksum) VALUES(?1, ?2, ?3)" },
    { "codec", "SELECT id, checksum FROM codecs WHERE name = ?1",
      "SELECT name, checksum FROM codecs WHERE id = ?1",
      "SELECT coalesce(max(id), 0) + 1 FROM codecs",
      "INSERT INTO codecs(id, name, checksum) VALUES(?1, ?2, ?3)" },
};

static void clear_name_slots(name_slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        stele__free(slots[i].name);
        slots[i] = (name_slot){ 0 };
    }
}

/* Forget what depends on the revision; `ids` too when the connection ends. */
static void clear_name_cache(name_cache *cache, bool ids)
{
    cache->has_end = false;
    cache->stream_id_next = 0;
    for (size_t i = 0; i < STREAM_SLOTS && cache->streams_by_name != NULL; i++) {
        stele__free(cache->streams_by_name[i].name);
        cache->streams_by_name[i] = (stream_slot){ 0 };
    }
    for (int table = 0; table < STELE__NAME_TABLES; table++) {
        clear_name_slots(cache->by_name[table], NAME_SLOTS);
        if (ids)
            clear_name_slots(cache->by_id[table], NAME_SLOTS);
    }
    if (ids && cache->streams_by_id != NULL)
        clear_name_slots(cache->streams_by_id, STREAM_SLOTS);
}

static void dispose_name_cache(void *state)
{
    name_cache *cache = state;
    clear_name_cache(cache, true);
    stele__free(cache->streams_by_name);
    stele__free(cache->streams_by_id);
    stele__free(cache);
}

static name_cache *cache_of(stele__connection *connection)
{
    return connection->slots[STELE__SLOT_NAMES].state;
}

/*
 * A reader remembers names of streams by id for as long as it lives, while others commit. Only a
 * deletion takes a name from an id, and each is counted in `meta`.
 */
static stele_status notice_deletions(stele__connection *connection, name_cache *cache)
{
    uint32_t data_version = stele__database_data_version(connection->database);
    if (connection->remembers || (cache->knows_deletions && data_version == cache->data_version))
        return STELE_OK;
    int64_t deletions = 0;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'deletions'",
        &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        deletions = stele__column_number(statement, 0);
    stele__statement_end(statement);
    if (status < 0)
        return status;
    if (cache->knows_deletions && deletions != cache->deletions)
        clear_name_slots(cache->streams_by_id, STREAM_SLOTS);
    cache->data_version = data_version;
    cache->deletions = deletions;
    cache->knows_deletions = true;
    return STELE_OK;
}

stele_status stele__names_begin(stele__connection *connection)
{
    name_cache *cache = cache_of(connection);
    if (cache == NULL) {
        cache = stele__allocate_array(1, sizeof(*cache));
        if (cache != NULL) {
            if (connection->remembers)
                cache->streams_by_name = stele__allocate_array(STREAM_SLOTS, sizeof(stream_slot));
            cache->streams_by_id = stele__allocate_array(STREAM_SLOTS, sizeof(name_slot));
        }
        if (cache == NULL || cache->streams_by_id == NULL
            || (connection->remembers && cache->streams_by_name == NULL)) {
            if (cache != NULL)
                dispose_name_cache(cache);
            return stele__fail(STELE_NO_MEMORY, "no memory for a cache of names");
        }
        cache->revision = connection->revision;
        connection->slots[STELE__SLOT_NAMES] =
            (stele__slot){ .state = cache, .dispose = dispose_name_cache };
    } else if (cache->revision != connection->revision) {
        /* A rollback may also have taken back an id that is remembered with its name. */
        clear_name_cache(cache, true);
        cache->revision = connection->revision;
    }
    return notice_deletions(connection, cache);
}

/* Remembering is best effort: without memory, the next look-up asks the file again. */
static void remember_name(name_slot *slot, int64_t id, const char *name)
{
    char *copy = stele__copy_text(name);
    stele__free(slot->name);
    *slot = (name_slot){ .id = copy == NULL ? 0 : id, .name = copy };
}

int64_t stele__stream_checksum(int64_t id, const char *name, int64_t state, const char *reason,
                               int64_t changed_at, int64_t base_version)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, id);
    stele__digest_text(&digest, name);
    stele__digest_number(&digest, state);
    stele__digest_text(&digest, reason);
    stele__digest_number(&digest, changed_at);
    stele__digest_number(&digest, base_version);
    return (int64_t)stele__digest_end(&digest);
}

int64_t stele__name_checksum(int64_t id, const char *name)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, id);
    stele__digest_text(&digest, name);
    return (int64_t)stele__digest_end(&digest);
}

/* The slot that holds `name`, or the one to put it in. */
static stream_slot *stream_slot_of(name_cache *cache, const char *name)
{
    uint64_t set = stele__hash(name, strlen(name)) % (STREAM_SLOTS / NAME_WAYS);
    stream_slot *slots = &cache->streams_by_name[set * NAME_WAYS];
    for (int i = 0; i < NAME_WAYS; i++)
        if (slots[i].stream.id != 0 && strcmp(slots[i].name, name) == 0)
            return &slots[i];
    for (int i = 0; i < NAME_WAYS; i++)
        if (slots[i].stream.id == 0)
            return &slots[i];
    return &slots[cache->evicted++ % NAME_WAYS];
}

/* Likewise of a type or codec. */
static name_slot *name_slot_of(name_cache *cache, stele__name_table table, const char *name)
{
    uint64_t set = stele__hash(name, strlen(name)) % (NAME_SLOTS / NAME_WAYS);
    name_slot *slots = &cache->by_name[table][set * NAME_WAYS];
    for (int i = 0; i < NAME_WAYS; i++)
        if (slots[i].id != 0 && strcmp(slots[i].name, name) == 0)
            return &slots[i];
    for (int i = 0; i < NAME_WAYS; i++)
        if (slots[i].id == 0)
            return &slots[i];
    return &slots[cache->evicted++ % NAME_WAYS];
}

/* The row of `streams` behind a SELECT of id, name, state, reason, changed_at, base_version,
 * checksum. */
static stele_status read_stream_row(stele__statement *statement, stele__stream *stream_out)
{
    stele__stream stream = { .id = stele__column_number(statement, 0),
                             .state = stele__column_number(statement, 2),
                             .base_version = stele__column_number(statement, 5) };
    int64_t checksum = stele__stream_checksum(
        stream.id, stele__column_text(statement, 1), stream.state, stele__column_text(statement, 3),
        stele__column_number(statement, 4), stream.base_version);
    if (checksum != stele__column_number(statement, 6))
        return stele__fail(STELE_CORRUPT, "the row %" PRId64 " of streams is damaged", stream.id);
    *stream_out = stream;
    return STELE_OK;
}

static void remember_stream(stream_slot *slot, const char *name, const stele__stream *stream)
{
    char *copy = stele__copy_text(name);
    stele__free(slot->name);
    slot->name = copy;
    slot->stream = copy == NULL ? (stele__stream){ 0 } : *stream;
}

/* The highest version, from the index whose last leaf an append is about to extend; NULL when the
 * stream has no events here. */
static int64_t read_stream_version(stele__statement *statement, int column, int64_t base_version)
{
    return stele__column_type_of(statement, column) == STELE__COLUMN_NULL
               ? base_version
               : stele__column_number(statement, column);
}

static stele_status load_stream(stele__connection *connection, const char *name, bool *found_out,
                                stele__stream *stream_out)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT id, name, state, reason, changed_at, base_version, checksum,"
                               " (SELECT max(version) FROM events WHERE stream = streams.id)"
                               " FROM streams WHERE name = ?1",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    status = stele__statement_step(statement);
    *found_out = status == STELE_OK;
    if (status == STELE_OK)
        status = read_stream_row(statement, stream_out);
    if (status == STELE_OK)
        stream_out->version = read_stream_version(statement, 7, stream_out->base_version);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status find_stream_version(stele__connection *connection, stele__stream *stream)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT max(version) FROM events WHERE stream = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, stream->id);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        stream->version = read_stream_version(statement, 0, stream->base_version);
    stele__statement_end(statement);
    return status;
}

stele_status stele__stream_find(stele__connection *connection, const char *name, bool *found_out,
                                stele__stream *stream_out)
{
    name_cache *cache = cache_of(connection);
    stream_slot *slot = connection->remembers ? stream_slot_of(cache, name) : NULL;
    bool remembered = slot != NULL && slot->stream.id != 0 && strcmp(slot->name, name) == 0;
    stele_status status = STELE_OK;
    *found_out = true;
    if (remembered)
        *stream_out = slot->stream;
    else
        status = load_stream(connection, name, found_out, stream_out);
    if (status == STELE_OK && remembered)
        status = find_stream_version(connection, stream_out);
    if (status != STELE_OK || !*found_out)
        return status;

    if (remembered && stream_out->version != slot->stream.version)
        return stele__fail(STELE_CORRUPT,
                           "the index of stream '%s' ends at version %" PRId64
                           " where version %" PRId64 " was appended",
                           name, stream_out->version, slot->stream.version);
    if (!remembered && slot != NULL)
        remember_stream(slot, name, stream_out);
    return STELE_OK;
}

stele_status stele__stream_create(stele__connection *connection, const char *name,
                                  stele__stream *stream_out)
{
    name_cache *cache = cache_of(connection);
    stele_status status = STELE_OK;
    if (cache->stream_id_next == 0)
        status = stele__database_number(connection->database,
                                        "SELECT coalesce(max(id), 0) + 1 FROM streams",
                                        &cache->stream_id_next);
    stele__statement *statement = NULL;
    if (status == STELE_OK)
        status =
            stele__statement_begin(connection->database,
                                   "INSERT INTO streams(id, name, state, base_version, checksum)"
                                   " VALUES(?1, ?2, 0, 0, ?3)",
                                   &statement);
    if (status != STELE_OK)
        return status;
    int64_t id = cache->stream_id_next;
    stele__bind_number(statement, 1, id);
    stele__bind_text(statement, 2, name);
    stele__bind_number(statement, 3, stele__stream_checksum(id, name, 0, NULL, 0, 0));
    status = stele__statement_run(statement);
    if (status != STELE_OK)
        return status;
    cache->stream_id_next++;
    *stream_out = (stele__stream){ .id = id };
    remember_stream(stream_slot_of(cache, name), name, stream_out);
    return STELE_OK;
}

void stele__stream_advance(stele__connection *connection, const char *name, int64_t version)
{
    stream_slot *slot = stream_slot_of(cache_of(connection), name);
    if (slot->stream.id != 0 && strcmp(slot->name, name) == 0)
        slot->stream.version = version;
}

stele_status stele__stream_name(stele__connection *connection, int64_t id, const char **name_out)
{
    name_slot *slot = &cache_of(connection)->streams_by_id[(uint64_t)id % STREAM_SLOTS];
    *name_out = slot->name;
    if (slot->id == id && id != 0)
        return STELE_OK;

    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT id, name, state, reason, changed_at, base_version, checksum FROM streams"
        " WHERE id = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, id);
    stele__stream stream;
    status = stele__statement_step(statement);
    if (status == STELE_DONE)
        status = stele__fail(STELE_CORRUPT, "there is no stream %" PRId64, id);
    if (status == STELE_OK)
        status = read_stream_row(statement, &stream);
    *name_out = NULL;
    if (status == STELE_OK && stele__column_text(statement, 1) != NULL) {
        remember_name(slot, id, stele__column_text(statement, 1));
        *name_out = slot->name;
        if (slot->name == NULL)
            status = stele__fail(STELE_NO_MEMORY, "no memory for a name");
    }
    stele__statement_end(statement);
    return status;
}

stele_status stele__name_find(stele__connection *connection, stele__name_table table,
                              const char *name, int64_t *id_out)
{
    name_slot *slot = name_slot_of(cache_of(connection), table, name);
    *id_out = slot->id;
    if (slot->id != 0 && strcmp(slot->name, name) == 0)
        return STELE_OK;

    *id_out = 0;
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database, name_sql[table].find, &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        *id_out = stele__column_number(statement, 0);
        if (stele__name_checksum(*id_out, name) != stele__column_number(statement, 1))
            status = stele__fail(STELE_CORRUPT, "the row of the %s '%s' is damaged",
                                 name_sql[table].what, name);
        else
            remember_name(slot, *id_out, name);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__name_intern(stele__connection *connection, stele__name_table table,
                                const char *name, int64_t *id_out)
{
    stele_status status = stele__name_find(connection, table, name, id_out);
    if (status != STELE_OK || *id_out != 0)
        return status;

    int64_t id = 0;
    stele__statement *statement = NULL;
    status = stele__database_number(connection->database, name_sql[table].next_id, &id);
    if (status == STELE_OK)
        status = stele__statement_begin(connection->database, name_sql[table].insert, &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, id);
    stele__bind_text(statement, 2, name);
    stele__bind_number(statement, 3, stele__name_checksum(id, name));
    status = stele__statement_run(statement);
    if (status == STELE_OK)
        *id_out = id;
    return status;
}

stele_status stele__name_of(stele__connection *connection, stele__name_table table, int64_t id,
                            const char **name_out)
{
    name_slot *slot = &cache_of(connection)->by_id[table][(uint64_t)id % NAME_SLOTS];
    *name_out = slot->name;
    if (slot->id == id && id != 0)
        return STELE_OK;

    *name_out = NULL;
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database, name_sql[table].name_of, &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, id);
    status = stele__statement_step(statement);
    const char *name = status == STELE_OK ? stele__column_text(statement, 0) : NULL;
    if (status == STELE_DONE)
        status = stele__fail(STELE_CORRUPT, "there is no %s %" PRId64, name_sql[table].what, id);
    else if (status == STELE_OK
             && (name == NULL
                 || stele__name_checksum(id, name) != stele__column_number(statement, 1)))
        status = stele__fail(STELE_CORRUPT, "the row of the %s %" PRId64 " is damaged",
                             name_sql[table].what, id);
    if (status == STELE_OK) {
        remember_name(slot, id, name);
        *name_out = slot->name;
        if (slot->name == NULL)
            status = stele__fail(STELE_NO_MEMORY, "no memory for a name");
    }
    stele__statement_end(statement);
    return status;
}

stele_status stele__log_end_find(stele__connection *connection, stele__log_end *end_out)
{
    name_cache *cache = cache_of(connection);
    *end_out = cache->end;
    if (cache->has_end && connection->remembers)
        return STELE_OK;

    *end_out = (stele__log_end){ 0 };
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        end_out->head = stele__column_number(statement, 0);
        end_out->recorded_at = stele__column_number(statement, 1);
    }
    stele__statement_end(statement);
    if (status < 0)
        return status;
    stele__log_end_set(connection, *end_out);
    return STELE_OK;
}

void stele__log_end_set(stele__connection *connection, stele__log_end end)
{
    name_cache *cache = cache_of(connection);
    cache->end = end;
    cache->has_end = true;
}
