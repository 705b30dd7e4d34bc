/* Reading frames: bytes of anybody's, so every count and every end is checked first. */
#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "base/memory.h"
#include "frame/wire.h"

/* --- Room --- */

struct stele__frame_block {
    struct stele__frame_block *next;
    size_t used;
    size_t size;
    max_align_t room[];
};

void *stele__frame_room(stele__frame_block **blocks, size_t count, size_t size)
{
    size_t alignment = sizeof(max_align_t);
    if (count > 0 && size > (SIZE_MAX / 4 - alignment) / count)
        return NULL;
    size_t wanted = (count * size + alignment - 1) / alignment * alignment;
    stele__frame_block *block = *blocks;
    if (block == NULL || block->size - block->used < wanted) {
        size_t room = wanted < 1024 ? 1024 : wanted;
        block = stele__allocate_array(1, sizeof(*block) + room);
        if (block == NULL)
            return NULL;
        block->size = room;
        block->next = *blocks;
        *blocks = block;
    }
    char *at = (char *)block->room + block->used;
    block->used += wanted;
    return at;
}

void stele__frame_free_blocks(stele__frame_block *blocks)
{
    while (blocks != NULL) {
        stele__frame_block *next = blocks->next;
        stele__free(blocks);
        blocks = next;
    }
}

/* --- The header --- */

static stele_status read_header(const void *bytes, size_t size, stele__frame_header *header_out)
{
    const unsigned char *from = bytes;
    if (bytes == NULL || size < STELE__FRAME_HEADER_SIZE)
        return stele__fail(STELE_CORRUPT, "a frame of %zu bytes is cut: its header has %d", size,
                           STELE__FRAME_HEADER_SIZE);
    if (memcmp(from, STELE__FRAME_MAGIC, 4) != 0)
        return stele__fail(STELE_CORRUPT, "no frame: byte 0 begins no '" STELE__FRAME_MAGIC "'");
    uint64_t format = stele__get_number(from + 4, 2);
    if (format != STELE__FRAME_FORMAT)
        return stele__fail(STELE_UNSUPPORTED,
                           "byte 4: a frame of format %" PRIu64 ", this library knows %d", format,
                           STELE__FRAME_FORMAT);
    size_t body_size = (size_t)stele__get_number(from + 76, 4);
    if (body_size != size - STELE__FRAME_HEADER_SIZE)
        return stele__fail(STELE_CORRUPT,
                           "byte 76: the frame's body has %zu bytes, and %zu are there", body_size,
                           size - STELE__FRAME_HEADER_SIZE);
    uint64_t checksum = stele__get_number(from + STELE__FRAME_CHECKSUM_AT, 8);
    if (checksum
        != stele__hash_with(from + STELE__FRAME_HEADER_SIZE, body_size,
                            stele__hash(from, STELE__FRAME_CHECKSUM_AT)))
        return stele__fail(STELE_CORRUPT, "byte %d: the frame's checksum isn't right",
                           STELE__FRAME_CHECKSUM_AT);
    *header_out = (stele__frame_header){
        .kind = (stele__frame_kind)stele__get_number(from + 6, 2),
        .writer_sequence = stele__get_number(from + 56, 8),
        .time = (int64_t)stele__get_number(from + 64, 8),
        .change_count = (uint32_t)stele__get_number(from + 72, 4),
        .body_size = (uint32_t)body_size,
        .checksum = checksum,
    };
    memcpy(header_out->lane.bytes, from + 8, STELE__FRAME_ID_SIZE);
    memcpy(header_out->shard.bytes, from + 24, STELE__FRAME_ID_SIZE);
    memcpy(header_out->writer.bytes, from + 40, STELE__FRAME_ID_SIZE);
    switch (header_out->kind) {
    case STELE__FRAME_GENESIS:
    case STELE__FRAME_DATA:
    case STELE__FRAME_BARRIER:
    case STELE__FRAME_CHECKPOINT: break;
    default:
        return stele__fail(STELE_UNSUPPORTED, "byte 6: a frame of the unknown kind %d",
                           (int)header_out->kind);
    }
    if (header_out->writer_sequence == 0 || header_out->writer_sequence > INT64_MAX)
        return stele__fail(STELE_INVALID,
                           "byte 56: the frame has no number of its writer's that can be");
    return STELE_OK;
}

stele_status stele__frame_peek(const void *bytes, size_t size, stele__frame_header *header_out)
{
    *header_out = (stele__frame_header){ 0 };
    return read_header(bytes, size, header_out);
}

/* --- The body --- */

/* Where the reading is. The first thing that is wrong ends it: `status` stays, and everything reads
 * as zero from there. */
typedef struct frame_reader {
    stele__frame *frame;
    const unsigned char *bytes; /* of the whole frame */
    size_t at;
    size_t size;
    const char **strings;
    uint32_t string_count;
    stele_status status;
} frame_reader;

static void flaw(frame_reader *reader, size_t at, const char *what)
{
    if (reader->status == STELE_OK)
        reader->status = stele__fail(STELE_INVALID, "byte %zu of the frame: %s", at, what);
    reader->at = reader->size;
}

static uint64_t take_uint(frame_reader *reader, int size)
{
    if (reader->size - reader->at < (size_t)size) {
        flaw(reader, reader->at, "it ends inside a number");
        return 0;
    }
    uint64_t number = stele__get_number(reader->bytes + reader->at, size);
    reader->at += (size_t)size;
    return number;
}

static int64_t take_int(frame_reader *reader)
{
    return (int64_t)take_uint(reader, 8);
}

/* A count of things that have at least `item_size` bytes each. */
static uint32_t take_count(frame_reader *reader, size_t item_size)
{
    size_t at = reader->at;
    uint32_t count = (uint32_t)take_uint(reader, 4);
    if (count > (reader->size - reader->at) / item_size) {
        flaw(reader, at, "a count is larger than what follows");
        return 0;
    }
    return count;
}

static const char *take_blob(frame_reader *reader, size_t *size_out)
{
    uint32_t size = take_count(reader, 1);
    const char *bytes = (const char *)reader->bytes + reader->at;
    *size_out = size;
    reader->at += size;
    return size == 0 ? NULL : bytes;
}

/* Room for what was counted; NULL for none. */
static void *take_room(frame_reader *reader, size_t count, size_t size)
{
    if (count == 0 || reader->status != STELE_OK)
        return NULL;
    void *room = stele__frame_room(&reader->frame->blocks, count, size);
    if (room == NULL) {
        reader->status = stele__fail(STELE_NO_MEMORY, "no memory for a frame");
        reader->at = reader->size;
    }
    return room;
}

/* The table of strings. Each is used in place: a NUL follows it. */
static void take_strings(frame_reader *reader)
{
    uint32_t count = take_count(reader, 5);
    reader->strings = take_room(reader, count, sizeof(*reader->strings));
    for (uint32_t i = 0; i < count && reader->status == STELE_OK; i++) {
        size_t at = reader->at;
        size_t size = 0;
        const char *text = take_blob(reader, &size);
        if (reader->status == STELE_OK && take_uint(reader, 1) != 0)
            flaw(reader, reader->at - 1, "no NUL behind a string");
        if (reader->status != STELE_OK)
            return;
        if (text == NULL)
            text = "";
        if (memchr(text, 0, size) != NULL || !stele__utf8_valid(text, size))
            flaw(reader, at, "a string that is no UTF-8, or has a NUL in it");
        reader->strings[i] = text;
    }
    reader->string_count = reader->status == STELE_OK ? count : 0;
}

/* NULL when it isn't there. */
static const char *take_optional(frame_reader *reader)
{
    size_t at = reader->at;
    uint32_t string = (uint32_t)take_uint(reader, 4);
    if (reader->status != STELE_OK || string == STELE__FRAME_NO_STRING)
        return NULL;
    if (string >= reader->string_count) {
        flaw(reader, at, "the number of a string that isn't there");
        return NULL;
    }
    return reader->strings[string];
}

static const char *take_frame_string(frame_reader *reader)
{
    size_t at = reader->at;
    const char *text = take_optional(reader);
    if (text == NULL)
        flaw(reader, at, "a string is missing");
    return text;
}

static stele_event take_event(frame_reader *reader)
{
    stele_event event = { .type = take_frame_string(reader), .codec = take_frame_string(reader) };
    event.schema_version = take_int(reader);
    size_t at = reader->at;
    uint64_t has_time = take_uint(reader, 1);
    event.occurred_at = take_int(reader);
    if (has_time > 1 || (has_time == 0 && event.occurred_at != 0))
        flaw(reader, at, "a time that is neither there nor not");
    event.has_occurred_at = has_time == 1;
    event.data = take_blob(reader, &event.data_size);
    event.metadata = take_blob(reader, &event.metadata_size);
    return event;
}

static stele_condition take_condition(frame_reader *reader)
{
    size_t at = reader->at;
    stele_condition condition = { .kind = (stele_condition_kind)take_uint(reader, 1) };
    if (condition.kind != STELE_CONDITION_STREAM_VERSION
        && condition.kind != STELE_CONDITION_STREAM_ID)
        flaw(reader, at, "a condition of an unknown kind");
    condition.stream = take_frame_string(reader);
    condition.expected_version = take_int(reader);
    return condition;
}

static stele_append take_append(frame_reader *reader)
{
    stele_append append = STELE_APPEND_INIT;
    append.stream = take_frame_string(reader);
    append.expected_version = take_int(reader);
    append.idempotency_key = take_optional(reader);
    append.condition_count = take_count(reader, STELE__FRAME_CONDITION_SIZE);
    stele_condition *conditions = take_room(reader, append.condition_count, sizeof(*conditions));
    for (size_t i = 0; i < append.condition_count && reader->status == STELE_OK; i++)
        conditions[i] = take_condition(reader);
    append.conditions = conditions;
    append.event_count = take_count(reader, STELE__FRAME_EVENT_SIZE);
    stele_event *events = take_room(reader, append.event_count, sizeof(*events));
    for (size_t i = 0; i < append.event_count && reader->status == STELE_OK; i++)
        events[i] = take_event(reader);
    append.events = events;
    return append;
}

static const void *take_appends(frame_reader *reader, size_t *count_out)
{
    uint32_t count = take_count(reader, STELE__FRAME_APPEND_SIZE);
    stele_append *appends = take_room(reader, count, sizeof(*appends));
    for (uint32_t i = 0; i < count && reader->status == STELE_OK; i++)
        appends[i] = take_append(reader);
    *count_out = count;
    return appends;
}

static stele_put take_put(frame_reader *reader)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = take_frame_string(reader);
    put.key = take_frame_string(reader);
    put.expected_revision = take_int(reader);
    put.codec = take_frame_string(reader);
    put.write_id = take_optional(reader);
    put.data = take_blob(reader, &put.data_size);
    put.attribute_count = take_count(reader, STELE__FRAME_ATTRIBUTE_SIZE);
    stele_attribute *attributes = take_room(reader, put.attribute_count, sizeof(*attributes));
    for (size_t i = 0; i < put.attribute_count && reader->status == STELE_OK; i++) {
        attributes[i].name = take_frame_string(reader);
        attributes[i].value = take_frame_string(reader);
    }
    put.attributes = attributes;
    return put;
}

static stele_remove take_remove(frame_reader *reader)
{
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = take_frame_string(reader);
    what.key = take_frame_string(reader);
    what.expected_revision = take_int(reader);
    what.write_id = take_optional(reader);
    return what;
}

/* A change of a stream's state; only two kinds have a reason. */
static const void *take_state(frame_reader *reader, stele__change_kind kind, bool leave_archived)
{
    stele_archive *archive = NULL;
    stele_restore *restore = NULL;
    stele_tombstone *tombstone = NULL;
    stele_delete *deletion = NULL;
    size_t size = kind == STELE__CHANGE_ARCHIVE     ? sizeof(*archive)
                  : kind == STELE__CHANGE_RESTORE   ? sizeof(*restore)
                  : kind == STELE__CHANGE_TOMBSTONE ? sizeof(*tombstone)
                                                    : sizeof(*deletion);
    void *what = take_room(reader, 1, size);
    const char *stream = take_frame_string(reader);
    int64_t expected = take_int(reader);
    size_t at = reader->at;
    const char *reason = take_optional(reader);
    if (reason != NULL && kind != STELE__CHANGE_ARCHIVE && kind != STELE__CHANGE_TOMBSTONE)
        flaw(reader, at, "a reason where none can be");
    if (what == NULL || reader->status != STELE_OK)
        return NULL;
    if (kind == STELE__CHANGE_ARCHIVE) {
        archive = what;
        *archive = (stele_archive)STELE_ARCHIVE_INIT;
        archive->stream = stream;
        archive->expected_version = expected;
        archive->reason = reason;
    } else if (kind == STELE__CHANGE_RESTORE) {
        restore = what;
        *restore = (stele_restore)STELE_RESTORE_INIT;
        restore->stream = stream;
        restore->expected_version = expected;
    } else if (kind == STELE__CHANGE_TOMBSTONE) {
        tombstone = what;
        *tombstone = (stele_tombstone)STELE_TOMBSTONE_INIT;
        tombstone->stream = stream;
        tombstone->expected_version = expected;
        tombstone->reason = reason;
    } else {
        deletion = what;
        *deletion = (stele_delete)STELE_DELETE_INIT;
        deletion->stream = stream;
        deletion->expected_version = expected;
        deletion->leave_archived = leave_archived;
    }
    return what;
}

static void take_change(frame_reader *reader, stele__change *change)
{
    size_t at = reader->at;
    uint64_t kind = take_uint(reader, 1);
    uint64_t flags = take_uint(reader, 1);
    bool is_state = kind == STELE__CHANGE_PUT || kind == STELE__CHANGE_REMOVE;
    uint64_t allowed = is_state                       ? STELE__CHANGE_OWN
                       : kind == STELE__CHANGE_DELETE ? STELE__CHANGE_LEAVE_ARCHIVED
                                                      : 0;
    *change = (stele__change){ .kind = (stele__change_kind)kind, .count = 1 };
    if (kind < STELE__CHANGE_APPENDS || kind > STELE__CHANGE_DELETE)
        flaw(reader, at, "a change of an unknown kind");
    if ((flags & ~allowed) != 0)
        flaw(reader, at + 1, "unknown flags of a change");
    if (reader->status != STELE_OK)
        return;
    change->own = (flags & STELE__CHANGE_OWN) != 0;
    if (kind == STELE__CHANGE_APPENDS) {
        change->what = take_appends(reader, &change->count);
    } else if (kind == STELE__CHANGE_PUT) {
        stele_put *put = take_room(reader, 1, sizeof(*put));
        if (put != NULL)
            *put = take_put(reader);
        change->what = put;
    } else if (kind == STELE__CHANGE_REMOVE) {
        stele_remove *what = take_room(reader, 1, sizeof(*what));
        if (what != NULL)
            *what = take_remove(reader);
        change->what = what;
    } else {
        change->what =
            take_state(reader, change->kind, (flags & STELE__CHANGE_LEAVE_ARCHIVED) != 0);
    }
}

static void take_changes(frame_reader *reader)
{
    stele__frame *frame = reader->frame;
    uint32_t count = frame->header.change_count;
    take_strings(reader);
    if (reader->status == STELE_OK
        && count > (reader->size - reader->at) / STELE__FRAME_CHANGE_SIZE)
        flaw(reader, 72, "more changes than bytes for them");
    frame->changes = take_room(reader, count, sizeof(*frame->changes));
    for (uint32_t i = 0; i < count && reader->status == STELE_OK; i++)
        take_change(reader, &frame->changes[i]);
}

static void take_checkpoint(frame_reader *reader)
{
    stele__frame_checkpoint *checkpoint = &reader->frame->checkpoint;
    checkpoint->sequence = take_uint(reader, 8);
    checkpoint->chain = take_uint(reader, 8);
    checkpoint->forget_before = take_uint(reader, 8);
}

static stele_status read_body(stele__frame *frame, size_t size)
{
    frame_reader reader = { .frame = frame,
                            .bytes = (const unsigned char *)frame->bytes,
                            .at = STELE__FRAME_HEADER_SIZE,
                            .size = size };
    if (frame->header.kind == STELE__FRAME_DATA)
        take_changes(&reader);
    else if (frame->header.change_count != 0)
        flaw(&reader, 72, "changes in a frame that holds none");
    if (frame->header.kind == STELE__FRAME_CHECKPOINT && reader.status == STELE_OK)
        take_checkpoint(&reader);
    if (reader.status == STELE_OK && reader.at != size)
        flaw(&reader, reader.at, "bytes behind its end");
    return reader.status;
}

stele_status stele__frame_read(const void *bytes, size_t size, size_t size_max,
                               stele__frame *frame_out)
{
    *frame_out = (stele__frame){ 0 };
    if (size_max == 0)
        size_max = STELE__FRAME_SIZE_MAX;
    if (size > size_max)
        return stele__fail(STELE_TOO_LARGE, "a frame of %zu bytes is beyond %zu", size, size_max);
    stele_status status = read_header(bytes, size, &frame_out->header);
    if (status != STELE_OK) {
        *frame_out = (stele__frame){ 0 };
        return status;
    }
    frame_out->bytes = stele__allocate(size);
    if (frame_out->bytes == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a frame of %zu bytes", size);
    memcpy(frame_out->bytes, bytes, size);
    status = read_body(frame_out, size);
    if (status != STELE_OK)
        stele__frame_dispose(frame_out);
    return status;
}

void stele__frame_dispose(stele__frame *frame)
{
    stele__free(frame->bytes);
    stele__frame_free_blocks(frame->blocks);
    *frame = (stele__frame){ 0 };
}
