/**
 * @file tests/crash/disk_image.h
 * What may be on the disk after the power failed at some moment of a recording.
 *
 * The model. What was synced is there. Of the rest, any part may be: each write is kept, dropped
 * or torn into sectors of 512 (sometimes 4096) bytes, whatever became of those before and after it;
 * each truncation, creation, removal and renaming is kept or dropped. The size of a file follows
 * what was kept, and now and then what was dropped, too: where a file was made longer but its data
 * didn't arrive, there are zeros or junk. A name is durable only after a sync of its folder.
 */
#ifndef STELE_TESTS_CRASH_DISK_IMAGE_H
#define STELE_TESTS_CRASH_DISK_IMAGE_H

#include "crash/recorder.h"

/** The disk at one moment of a recording: what is durable, and what isn't yet. */
typedef struct disk disk;

/** The disk before the first operation. `recorded` must outlive it. */
disk *disk_open(const recording *recorded);

/** Go on until `operation_count` operations have happened; never back. */
void disk_advance(disk *state, size_t operation_count);

void disk_close(disk *state);

/** One file or folder of an image. */
typedef struct image_file {
    const char *name; /* borrowed from the recording */
    bool folder;
    unsigned char *data;
    size_t size;
} image_file;

typedef struct image {
    image_file *files;
    size_t count;
} image;

/** Let the power fail now; `seed` decides what becomes of what isn't durable. */
image disk_cut(const disk *state, uint64_t seed);

/** Write `made` into `folder`, which is emptied first. */
void image_save(const image *made, const char *folder);

void image_dispose(image *made);

#endif
