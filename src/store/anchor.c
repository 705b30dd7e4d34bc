/* The anchor's file, and what the WAL's own header says. Laid out in docs/file-format.md. */
#include "store/anchor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"

/* One slot in each of two pages, so that no torn write reaches both. */
#define SLOT_SIZE        ((size_t)512)
#define SLOT_DISTANCE    ((size_t)4096)
#define ANCHOR_FILE_SIZE (2 * SLOT_DISTANCE)
#define ANCHOR_FORMAT    1

/* Where things are in a slot. The first three and the last hold for every format. */
#define SLOT_MAGIC         0
#define SLOT_FORMAT        8
#define SLOT_SEQUENCE      16
#define SLOT_UUID          24
#define SLOT_EPOCH         64
#define SLOT_HEAD          104
#define SLOT_HEAD_CHECKSUM 112
#define SLOT_HAS_SALTS     120
#define SLOT_SALTS         ((size_t)124)
#define SLOT_CHECKSUM      (SLOT_SIZE - 8)

static const char anchor_magic[] = "STELANCH";

struct stele__anchor {
    char *path;
    int descriptor;
};

/* The slot that counts. */
typedef struct anchor_slot {
    bool found;
    int index;
    uint64_t sequence;
    uint32_t format;
    unsigned char bytes[SLOT_SIZE];
} anchor_slot;

static void put_number(unsigned char *out, uint64_t number, int size)
{
    for (int i = 0; i < size; i++)
        out[i] = (unsigned char)(number >> (8 * i));
}

static uint64_t get_number(const unsigned char *in, int size)
{
    uint64_t number = 0;
    for (int i = size - 1; i >= 0; i--)
        number = number << 8 | in[i];
    return number;
}

static uint32_t get_big_number(const unsigned char *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static stele_status name_beside(const char *path, const char *suffix, char **name_out)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    *name_out = stele__allocate(size);
    if (*name_out == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the path '%s%s'", path, suffix);
    snprintf(*name_out, size, "%s%s", path, suffix);
    return STELE_OK;
}

/* The newer of the valid slots. */
static stele_status find_slot(int descriptor, const char *path, anchor_slot *newest)
{
    *newest = (anchor_slot){ 0 };
    for (int i = 0; i < 2; i++) {
        unsigned char bytes[SLOT_SIZE];
        size_t size = 0;
        stele_status status = stele__small_file_read(descriptor, path, (size_t)i * SLOT_DISTANCE,
                                                     bytes, SLOT_SIZE, &size);
        if (status != STELE_OK)
            return status;
        uint64_t sequence = get_number(bytes + SLOT_SEQUENCE, 8);
        if (size < SLOT_SIZE || memcmp(bytes + SLOT_MAGIC, anchor_magic, 8) != 0
            || get_number(bytes + SLOT_CHECKSUM, 8) != stele__hash(bytes, SLOT_CHECKSUM)
            || (newest->found && sequence <= newest->sequence))
            continue;
        newest->found = true;
        newest->index = i;
        newest->sequence = sequence;
        newest->format = (uint32_t)get_number(bytes + SLOT_FORMAT, 4);
        memcpy(newest->bytes, bytes, SLOT_SIZE);
    }
    if (newest->found && newest->format != ANCHOR_FORMAT)
        return stele__fail(STELE_UNSUPPORTED,
                           "the anchor '%s' has format %" PRIu32 ", this library knows %d", path,
                           newest->format, ANCHOR_FORMAT);
    return STELE_OK;
}

static stele_status read_facts(int descriptor, const char *path, bool *found_out,
                               stele__anchor_facts *facts_out)
{
    anchor_slot slot;
    *found_out = false;
    *facts_out = (stele__anchor_facts){ 0 };
    stele_status status = find_slot(descriptor, path, &slot);
    if (status != STELE_OK || !slot.found)
        return status;
    *found_out = true;
    memcpy(facts_out->uuid, slot.bytes + SLOT_UUID, sizeof(facts_out->uuid) - 1);
    memcpy(facts_out->epoch, slot.bytes + SLOT_EPOCH, sizeof(facts_out->epoch) - 1);
    facts_out->head = (int64_t)get_number(slot.bytes + SLOT_HEAD, 8);
    facts_out->head_checksum = (int64_t)get_number(slot.bytes + SLOT_HEAD_CHECKSUM, 8);
    facts_out->has_salts = get_number(slot.bytes + SLOT_HAS_SALTS, 4) != 0;
    for (size_t i = 0; i < 2; i++)
        facts_out->salts[i] = (uint32_t)get_number(slot.bytes + SLOT_SALTS + 4 * i, 4);
    return STELE_OK;
}

stele_status stele__anchor_open(const char *path, stele__anchor **anchor_out, bool *found_out,
                                stele__anchor_facts *facts_out)
{
    *anchor_out = NULL;
    *found_out = false;
    stele__anchor *anchor = stele__allocate(sizeof(*anchor));
    if (anchor == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for an anchor");
    *anchor = (stele__anchor){ .descriptor = -1 };

    stele_status status = name_beside(path, "-anchor", &anchor->path);
    if (status == STELE_OK)
        status = stele__small_file_open(anchor->path, true, ANCHOR_FILE_SIZE, &anchor->descriptor);
    if (status == STELE_OK)
        status = stele__anchor_look(anchor, found_out, facts_out);
    if (status != STELE_OK)
        stele__anchor_close(anchor);
    else
        *anchor_out = anchor;
    return status;
}

void stele__anchor_close(stele__anchor *anchor)
{
    if (anchor == NULL)
        return;
    stele__small_file_close(anchor->descriptor);
    stele__free(anchor->path);
    stele__free(anchor);
}

stele_status stele__anchor_look(stele__anchor *anchor, bool *found_out,
                                stele__anchor_facts *facts_out)
{
    return read_facts(anchor->descriptor, anchor->path, found_out, facts_out);
}

stele_status stele__anchor_read(const char *path, bool *found_out, stele__anchor_facts *facts_out)
{
    *found_out = false;
    *facts_out = (stele__anchor_facts){ 0 };
    char *name = NULL;
    int descriptor = -1;
    stele_status status = name_beside(path, "-anchor", &name);
    if (status == STELE_OK)
        status = stele__small_file_open(name, false, 0, &descriptor);
    if (status == STELE_OK)
        status = read_facts(descriptor, name, found_out, facts_out);
    else if (status == STELE_NOT_FOUND)
        status = STELE_OK;
    stele__small_file_close(descriptor);
    stele__free(name);
    return status;
}

stele_status stele__anchor_write(stele__anchor *anchor, const stele__anchor_facts *facts)
{
    anchor_slot newest;
    stele_status status = find_slot(anchor->descriptor, anchor->path, &newest);
    if (status != STELE_OK)
        return status;

    unsigned char bytes[SLOT_SIZE] = { 0 };
    memcpy(bytes + SLOT_MAGIC, anchor_magic, 8);
    put_number(bytes + SLOT_FORMAT, ANCHOR_FORMAT, 4);
    put_number(bytes + SLOT_SEQUENCE, newest.sequence + 1, 8);
    snprintf((char *)bytes + SLOT_UUID, sizeof(facts->uuid), "%s", facts->uuid);
    snprintf((char *)bytes + SLOT_EPOCH, sizeof(facts->epoch), "%s", facts->epoch);
    put_number(bytes + SLOT_HEAD, (uint64_t)facts->head, 8);
    put_number(bytes + SLOT_HEAD_CHECKSUM, (uint64_t)facts->head_checksum, 8);
    put_number(bytes + SLOT_HAS_SALTS, facts->has_salts, 4);
    for (size_t i = 0; i < 2; i++)
        put_number(bytes + SLOT_SALTS + 4 * i, facts->has_salts ? facts->salts[i] : 0, 4);
    put_number(bytes + SLOT_CHECKSUM, stele__hash(bytes, SLOT_CHECKSUM), 8);

    int index = newest.found ? 1 - newest.index : 0;
    return stele__small_file_write(anchor->descriptor, anchor->path, (size_t)index * SLOT_DISTANCE,
                                   bytes, SLOT_SIZE);
}

bool stele__anchor_facts_equal(const stele__anchor_facts *left, const stele__anchor_facts *right)
{
    return strcmp(left->uuid, right->uuid) == 0 && strcmp(left->epoch, right->epoch) == 0
           && left->head == right->head && left->head_checksum == right->head_checksum
           && left->has_salts == right->has_salts
           && (!left->has_salts
               || (left->salts[0] == right->salts[0] && left->salts[1] == right->salts[1]));
}

/* --- The WAL, as SQLite's file format documents it: big-endian, but for what is summed up --- */

#define WAL_HEADER_SIZE       32
#define WAL_FRAME_HEADER_SIZE 24
#define WAL_MAGIC             0x377f0682u /* the last bit: the sums are over big-endian words */
#define WAL_VERSION           3007000u

typedef struct wal_file {
    char *path;
    int descriptor;
    bool big_endian;
    uint32_t page_size;
    uint32_t sums[2]; /* through what was read last */
    unsigned char header[WAL_HEADER_SIZE];
} wal_file;

static void sum_up(wal_file *wal, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint32_t words[2];
        for (size_t k = 0; k < 2; k++)
            words[k] = wal->big_endian ? get_big_number(bytes + i + 4 * k)
                                       : (uint32_t)get_number(bytes + i + 4 * k, 4);
        wal->sums[0] += words[0] + wal->sums[1];
        wal->sums[1] += words[1] + wal->sums[0];
    }
}

static bool sums_are(const wal_file *wal, const unsigned char *expected)
{
    return wal->sums[0] == get_big_number(expected) && wal->sums[1] == get_big_number(expected + 4);
}

/* False when there is no WAL with a valid header. Close it in either case. */
static bool open_wal(const char *path, wal_file *wal)
{
    size_t size = 0;
    *wal = (wal_file){ .descriptor = -1 };
    if (name_beside(path, "-wal", &wal->path) != STELE_OK
        || stele__small_file_open(wal->path, false, 0, &wal->descriptor) != STELE_OK
        || stele__small_file_read(wal->descriptor, wal->path, 0, wal->header, WAL_HEADER_SIZE,
                                  &size)
               != STELE_OK
        || size < WAL_HEADER_SIZE)
        return false;
    uint32_t magic = get_big_number(wal->header);
    wal->big_endian = (magic & 1) != 0;
    wal->page_size = get_big_number(wal->header + 8);
    sum_up(wal, wal->header, 24);
    return (magic & ~1u) == WAL_MAGIC && get_big_number(wal->header + 4) == WAL_VERSION
           && wal->page_size >= 512 && wal->page_size <= 65536
           && (wal->page_size & (wal->page_size - 1)) == 0 && sums_are(wal, wal->header + 24);
}

static void close_wal(wal_file *wal)
{
    stele__small_file_close(wal->descriptor);
    stele__free(wal->path);
}

bool stele__wal_salts(const char *path, uint32_t salts_out[2])
{
    wal_file wal;
    bool valid = open_wal(path, &wal);
    for (size_t i = 0; i < 2; i++)
        salts_out[i] = valid ? get_big_number(wal.header + 16 + 4 * i) : 0;
    close_wal(&wal);
    return valid;
}

/* Whether the frame at `offset` is whole and goes on from those before it. */
static bool read_frame(wal_file *wal, size_t offset, unsigned char *frame, bool *commits_out)
{
    size_t frame_size = WAL_FRAME_HEADER_SIZE + wal->page_size;
    size_t size = 0;
    if (stele__small_file_read(wal->descriptor, wal->path, offset, frame, frame_size, &size)
            != STELE_OK
        || size < frame_size || memcmp(frame + 8, wal->header + 16, 8) != 0
        || get_big_number(frame) == 0)
        return false;
    sum_up(wal, frame, 8);
    sum_up(wal, frame + WAL_FRAME_HEADER_SIZE, wal->page_size);
    if (!sums_are(wal, frame + 16))
        return false;
    *commits_out = get_big_number(frame + 4) != 0;
    return true;
}

stele_status stele__wal_has_commit(const char *path, bool *has_commit_out)
{
    *has_commit_out = false;
    wal_file wal;
    stele_status status = STELE_OK;
    if (open_wal(path, &wal)) {
        size_t offset = WAL_HEADER_SIZE;
        unsigned char *frame = stele__allocate(WAL_FRAME_HEADER_SIZE + wal.page_size);
        if (frame == NULL)
            status = stele__fail(STELE_NO_MEMORY, "no memory for a page of the WAL");
        while (frame != NULL && !*has_commit_out && read_frame(&wal, offset, frame, has_commit_out))
            offset += WAL_FRAME_HEADER_SIZE + wal.page_size;
        stele__free(frame);
    }
    close_wal(&wal);
    return status;
}

bool stele__wal_salts_follow(const uint32_t then[2], const uint32_t now[2])
{
    uint32_t resets = now[0] - then[0];
    return resets == 0 ? now[1] == then[1] : resets <= 65536;
}
