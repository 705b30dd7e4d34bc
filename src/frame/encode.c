/* Putting frames together. */
#include <string.h>

#include "base/checksum.h"
#include "base/memory.h"
#include "base/platform.h"
#include "frame/wire.h"

/* --- Ids --- */

stele_status stele__frame_id_make(stele__frame_id *id_out)
{
    return stele__random_bytes(id_out->bytes, sizeof(id_out->bytes));
}

bool stele__frame_id_equal(const stele__frame_id *a, const stele__frame_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void stele__frame_id_text(const stele__frame_id *id, char text_out[33])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < STELE__FRAME_ID_SIZE; i++) {
        text_out[2 * i] = digits[id->bytes[i] >> 4];
        text_out[2 * i + 1] = digits[id->bytes[i] & 15];
    }
    text_out[32] = '\0';
}

/* --- Numbers and strings --- */

static stele_status add_uint(stele__buffer *buffer, uint64_t number, int size)
{
    unsigned char bytes[8];
    stele__put_number(bytes, number, size);
    return stele__buffer_add(buffer, bytes, (size_t)size);
}

static stele_status add_int(stele__buffer *buffer, int64_t number)
{
    return add_uint(buffer, (uint64_t)number, 8);
}

/* Bytes without a NUL behind. */
static stele_status add_blob(stele__buffer *buffer, const void *bytes, size_t size)
{
    if (size > UINT32_MAX)
        return stele__fail(STELE_TOO_LARGE, "%zu bytes don't fit into a frame", size);
    stele_status status = add_uint(buffer, size, 4);
    return status == STELE_OK ? stele__buffer_add(buffer, bytes, size) : status;
}

/* Where string number `string` lies in the table: its size, its bytes, a NUL. */
static const char *string_at(const stele__frame_builder *builder, uint32_t string)
{
    uint32_t place = 0;
    memcpy(&place, builder->places.data + string * sizeof(place), sizeof(place));
    return builder->strings.data + place + 4;
}

/* Its place in the index, or the free one for it. The index is never full. */
static uint32_t *find_string(const stele__frame_builder *builder, const char *text, size_t size)
{
    size_t at = (size_t)stele__hash(text, size) & (builder->index_size - 1);
    while (builder->index[at] != 0) {
        const char *there = string_at(builder, builder->index[at] - 1);
        if (stele__get_number((const unsigned char *)there - 4, 4) == size
            && memcmp(there, text, size) == 0)
            break;
        at = (at + 1) & (builder->index_size - 1);
    }
    return &builder->index[at];
}

/* Make the index anew, of `size` places. */
static stele_status rebuild_index(stele__frame_builder *builder, size_t size)
{
    uint32_t *index = stele__allocate_array(size, sizeof(*index));
    if (index == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the strings of a frame");
    stele__free(builder->index);
    builder->index = index;
    builder->index_size = size;
    for (uint32_t i = 0; i < builder->string_count; i++) {
        const char *text = string_at(builder, i);
        *find_string(builder, text, strlen(text)) = i + 1;
    }
    return STELE_OK;
}

/* A name that may come again: its number in the table. */
static stele_status add_string(stele__frame_builder *builder, const char *text)
{
    if (text == NULL)
        return add_uint(&builder->changes, STELE__FRAME_NO_STRING, 4);
    stele_status status = STELE_OK;
    size_t places = builder->index_size == 0 ? 64 : builder->index_size;
    while (places < 2 * ((size_t)builder->string_count + 1))
        places *= 2;
    if (places != builder->index_size)
        status = rebuild_index(builder, places);
    if (status != STELE_OK)
        return status;
    size_t size = strlen(text);
    uint32_t *place = find_string(builder, text, size);
    if (*place == 0) {
        uint32_t at = (uint32_t)builder->strings.size;
        status = add_blob(&builder->strings, text, size);
        if (status == STELE_OK)
            status = stele__buffer_add(&builder->strings, "", 1);
        if (status == STELE_OK)
            status = stele__buffer_add(&builder->places, &at, sizeof(at));
        if (status != STELE_OK)
            return status;
        *place = ++builder->string_count;
    }
    return add_uint(&builder->changes, *place - 1, 4);
}

/* --- Changes --- */

static stele_status add_event(stele__frame_builder *builder, const stele_append *append,
                              size_t index)
{
    stele__buffer *out = &builder->changes;
    stele_event event = { 0 };
    size_t size = append->event_size < sizeof(event) ? append->event_size : sizeof(event);
    memcpy(&event, (const char *)append->events + index * append->event_size, size);
    bool has_time = event.has_occurred_at || event.occurred_at != 0;
    if (event.type == NULL || (event.data == NULL && event.data_size > 0)
        || (event.metadata == NULL && event.metadata_size > 0))
        return stele__fail(STELE_MISUSE, "event %zu has a NULL in it", index);
    stele_status status = add_string(builder, event.type);
    if (status == STELE_OK)
        status = add_string(builder, event.codec == NULL ? "json" : event.codec);
    if (status == STELE_OK)
        status = add_int(out, event.schema_version == 0 ? 1 : event.schema_version);
    if (status == STELE_OK)
        status = add_uint(out, has_time, 1);
    if (status == STELE_OK)
        status = add_int(out, has_time ? event.occurred_at : 0);
    if (status == STELE_OK)
        status = add_blob(out, event.data, event.data_size);
    return status == STELE_OK ? add_blob(out, event.metadata, event.metadata_size) : status;
}

static stele_status add_condition(stele__frame_builder *builder, const stele_append *append,
                                  size_t index)
{
    stele_condition condition;
    memcpy(&condition, (const char *)append->conditions + index * append->condition_size,
           sizeof(condition));
    if (condition.stream == NULL)
        return stele__fail(STELE_MISUSE, "condition %zu has no stream", index);
    stele_status status = add_uint(&builder->changes, (uint64_t)condition.kind, 1);
    if (status == STELE_OK)
        status = add_string(builder, condition.stream);
    return status == STELE_OK ? add_int(&builder->changes, condition.expected_version) : status;
}

static stele_status add_append(stele__frame_builder *builder, const stele_append *append)
{
    stele__buffer *out = &builder->changes;
    if (append->stream == NULL)
        return stele__fail(STELE_MISUSE, "an append has no stream");
    if (append->condition_count > UINT32_MAX || append->event_count > UINT32_MAX)
        return stele__fail(STELE_TOO_LARGE, "an append has too many events or conditions");
    stele_status status = add_string(builder, append->stream);
    if (status == STELE_OK)
        status = add_int(out, append->expected_version);
    if (status == STELE_OK)
        status = add_string(builder, append->idempotency_key);
    if (status == STELE_OK)
        status = add_uint(out, append->condition_count, 4);
    for (size_t i = 0; i < append->condition_count && status == STELE_OK; i++)
        status = add_condition(builder, append, i);
    if (status == STELE_OK)
        status = add_uint(out, append->event_count, 4);
    for (size_t i = 0; i < append->event_count && status == STELE_OK; i++)
        status = add_event(builder, append, i);
    return status;
}

static stele_status add_appends(stele__frame_builder *builder, const stele_append *appends,
                                size_t count)
{
    if (count > UINT32_MAX)
        return stele__fail(STELE_TOO_LARGE, "%zu appends don't fit into a frame", count);
    stele_status status = add_uint(&builder->changes, count, 4);
    for (size_t i = 0; i < count && status == STELE_OK; i++)
        status = add_append(builder, &appends[i]);
    return status;
}

static stele_status add_put(stele__frame_builder *builder, const stele_put *put)
{
    stele__buffer *out = &builder->changes;
    if (put->scope == NULL || put->key == NULL || (put->data == NULL && put->data_size > 0))
        return stele__fail(STELE_MISUSE, "a put has a NULL in it");
    if (put->attribute_count > UINT32_MAX)
        return stele__fail(STELE_TOO_LARGE, "%zu attributes", put->attribute_count);
    stele_status status = add_string(builder, put->scope);
    if (status == STELE_OK)
        status = add_string(builder, put->key);
    if (status == STELE_OK)
        status = add_int(out, put->expected_revision);
    if (status == STELE_OK)
        status = add_string(builder, put->codec == NULL ? "raw" : put->codec);
    if (status == STELE_OK)
        status = add_string(builder, put->write_id);
    if (status == STELE_OK)
        status = add_blob(out, put->data, put->data_size);
    if (status == STELE_OK)
        status = add_uint(out, put->attribute_count, 4);
    for (size_t i = 0; i < put->attribute_count && status == STELE_OK; i++) {
        stele_attribute attribute;
        memcpy(&attribute, (const char *)put->attributes + i * put->attribute_size,
               sizeof(attribute));
        if (attribute.name == NULL)
            return stele__fail(STELE_MISUSE, "attribute %zu has no name", i);
        status = add_string(builder, attribute.name);
        if (status == STELE_OK)
            status = add_string(builder, attribute.value == NULL ? "" : attribute.value);
    }
    return status;
}

static stele_status add_remove(stele__frame_builder *builder, const stele_remove *what)
{
    if (what->scope == NULL || what->key == NULL)
        return stele__fail(STELE_MISUSE, "a removal has a NULL in it");
    stele_status status = add_string(builder, what->scope);
    if (status == STELE_OK)
        status = add_string(builder, what->key);
    if (status == STELE_OK)
        status = add_int(&builder->changes, what->expected_revision);
    return status == STELE_OK ? add_string(builder, what->write_id) : status;
}

/* A change of a stream's state. */
static stele_status add_state(stele__frame_builder *builder, const char *stream, int64_t expected,
                              const char *reason)
{
    if (stream == NULL)
        return stele__fail(STELE_MISUSE, "a change has no stream");
    stele_status status = add_string(builder, stream);
    if (status == STELE_OK)
        status = add_int(&builder->changes, expected);
    return status == STELE_OK ? add_string(builder, reason) : status;
}

static stele_status refuse_dry_run(bool dry_run)
{
    return dry_run ? stele__fail(STELE_UNSUPPORTED, "a dry run is no change") : STELE_OK;
}

static stele_status add_by_kind(stele__frame_builder *builder, const stele__change *change)
{
    const stele_archive *archive = change->what;
    const stele_restore *restore = change->what;
    const stele_tombstone *tombstone = change->what;
    const stele_delete *deletion = change->what;
    stele_status status = STELE_OK;
    switch (change->kind) {
    case STELE__CHANGE_APPENDS: return add_appends(builder, change->what, change->count);
    case STELE__CHANGE_PUT: return add_put(builder, change->what);
    case STELE__CHANGE_REMOVE: return add_remove(builder, change->what);
    case STELE__CHANGE_ARCHIVE:
        status = refuse_dry_run(archive->dry_run);
        if (status == STELE_OK && archive->to != NULL)
            status = stele__fail(STELE_UNSUPPORTED, "archiving into another store is no frame");
        return status == STELE_OK
                   ? add_state(builder, archive->stream, archive->expected_version, archive->reason)
                   : status;
    case STELE__CHANGE_RESTORE:
        status = refuse_dry_run(restore->dry_run);
        if (status == STELE_OK && restore->from != NULL)
            status = stele__fail(STELE_UNSUPPORTED, "restoring from another store is no frame");
        return status == STELE_OK
                   ? add_state(builder, restore->stream, restore->expected_version, NULL)
                   : status;
    case STELE__CHANGE_TOMBSTONE:
        status = refuse_dry_run(tombstone->dry_run);
        return status == STELE_OK ? add_state(builder, tombstone->stream,
                                              tombstone->expected_version, tombstone->reason)
                                  : status;
    case STELE__CHANGE_DELETE:
        status = refuse_dry_run(deletion->dry_run);
        return status == STELE_OK
                   ? add_state(builder, deletion->stream, deletion->expected_version, NULL)
                   : status;
    }
    return stele__fail(STELE_MISUSE, "there is no change of kind %d", (int)change->kind);
}

static size_t size_of_frame(const stele__frame_builder *builder)
{
    return STELE__FRAME_HEADER_SIZE + 4 + builder->strings.size + builder->changes.size;
}

/* As it was: what was added since is gone. */
static void undo_change(stele__frame_builder *builder, const stele__frame_builder *before)
{
    char error[STELE__ERROR_SIZE];
    builder->strings.size = before->strings.size;
    builder->changes.size = before->changes.size;
    builder->places.size = before->places.size;
    if (builder->string_count == before->string_count)
        return;
    builder->string_count = before->string_count;
    stele__keep_error(error);
    if (rebuild_index(builder, builder->index_size) != STELE_OK) {
        stele__free(builder->index); /* the next string makes it anew, as large as it must be */
        builder->index = NULL;
        builder->index_size = 0;
    }
    stele__restore_error(error);
}

stele_status stele__frame_add(stele__frame_builder *builder, const stele__change *change)
{
    stele__frame_builder before = *builder;
    size_t size_max = builder->size_max == 0 ? STELE__FRAME_SIZE_MAX : builder->size_max;
    unsigned flags = change->own ? STELE__CHANGE_OWN : 0;
    if (change->kind == STELE__CHANGE_DELETE
        && ((const stele_delete *)change->what)->leave_archived)
        flags |= STELE__CHANGE_LEAVE_ARCHIVED;
    stele_status status = add_uint(&builder->changes, (uint64_t)change->kind, 1);
    if (status == STELE_OK)
        status = add_uint(&builder->changes, flags, 1);
    if (status == STELE_OK)
        status = add_by_kind(builder, change);
    if (status == STELE_OK && size_of_frame(builder) > size_max)
        status = stele__fail(STELE_TOO_LARGE, "a frame of %zu bytes is beyond %zu",
                             size_of_frame(builder), size_max);
    if (status == STELE_OK)
        builder->change_count++;
    else
        undo_change(builder, &before);
    return status;
}

/* --- The whole --- */

static void write_header(unsigned char *out, const stele__frame_header *header, size_t body_size)
{
    static const unsigned char magic[] = { 'S', 'T', 'L', 'F' };
    memcpy(out, magic, sizeof(magic));
    stele__put_number(out + 4, STELE__FRAME_FORMAT, 2);
    stele__put_number(out + 6, (uint64_t)header->kind, 2);
    memcpy(out + 8, header->lane.bytes, 16);
    memcpy(out + 24, header->shard.bytes, 16);
    memcpy(out + 40, header->writer.bytes, 16);
    stele__put_number(out + 56, header->writer_sequence, 8);
    stele__put_number(out + 64, (uint64_t)header->time, 8);
    stele__put_number(out + 72, header->change_count, 4);
    stele__put_number(out + 76, body_size, 4);
    uint64_t checksum = stele__hash_with(out + STELE__FRAME_HEADER_SIZE, body_size,
                                         stele__hash(out, STELE__FRAME_CHECKSUM_AT));
    stele__put_number(out + STELE__FRAME_CHECKSUM_AT, checksum, 8);
}

stele_status stele__frame_end(stele__frame_builder *builder, const stele__frame_header *header,
                              stele__buffer *frame_out)
{
    stele__frame_header whole = *header;
    whole.kind = STELE__FRAME_DATA;
    whole.change_count = builder->change_count;
    frame_out->size = 0;
    stele_status status = stele__buffer_reserve(frame_out, size_of_frame(builder));
    if (status != STELE_OK)
        return status;
    unsigned char *out = (unsigned char *)frame_out->data;
    unsigned char *body = out + STELE__FRAME_HEADER_SIZE;
    stele__put_number(body, builder->string_count, 4);
    if (builder->strings.size > 0)
        memcpy(body + 4, builder->strings.data, builder->strings.size);
    if (builder->changes.size > 0)
        memcpy(body + 4 + builder->strings.size, builder->changes.data, builder->changes.size);
    frame_out->size = size_of_frame(builder);
    write_header(out, &whole, frame_out->size - STELE__FRAME_HEADER_SIZE);
    return STELE_OK;
}

void stele__frame_clear(stele__frame_builder *builder)
{
    builder->strings.size = 0;
    builder->changes.size = 0;
    builder->places.size = 0;
    builder->string_count = 0;
    builder->change_count = 0;
    if (builder->index != NULL)
        memset(builder->index, 0, builder->index_size * sizeof(*builder->index));
}

void stele__frame_builder_dispose(stele__frame_builder *builder)
{
    size_t size_max = builder->size_max;
    stele__buffer_dispose(&builder->strings);
    stele__buffer_dispose(&builder->changes);
    stele__buffer_dispose(&builder->places);
    stele__free(builder->index);
    *builder = (stele__frame_builder){ .size_max = size_max };
}

stele_status stele__frame_mark(const stele__frame_header *header,
                               const stele__frame_checkpoint *checkpoint, stele__buffer *frame_out)
{
    unsigned char bytes[STELE__FRAME_HEADER_SIZE + 24];
    size_t body_size = checkpoint == NULL ? 0 : 24;
    stele__frame_header whole = *header;
    whole.change_count = 0;
    if (checkpoint != NULL) {
        stele__put_number(bytes + STELE__FRAME_HEADER_SIZE, checkpoint->sequence, 8);
        stele__put_number(bytes + STELE__FRAME_HEADER_SIZE + 8, checkpoint->chain, 8);
        stele__put_number(bytes + STELE__FRAME_HEADER_SIZE + 16, checkpoint->forget_before, 8);
    }
    write_header(bytes, &whole, body_size);
    frame_out->size = 0;
    return stele__buffer_add(frame_out, bytes, STELE__FRAME_HEADER_SIZE + body_size);
}

void stele__frame_seal(void *frame, size_t size, const stele__frame_header *header)
{
    stele__frame_header whole = *header;
    unsigned char *out = frame;
    whole.kind = (stele__frame_kind)stele__get_number(out + 6, 2);
    whole.change_count = (uint32_t)stele__get_number(out + 72, 4);
    write_header(out, &whole, size - STELE__FRAME_HEADER_SIZE);
}
