/* How long a WAL is, for those who are not told by SQLite. */
#include "base/platform.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* As SQLite's file format has them. */
#define WAL_HEADER_SIZE   32
#define FRAME_HEADER_SIZE 24
#define SALTS_SIZE        8

static uint32_t read_big_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_frame_of(int descriptor, const unsigned char *salts, off_t offset)
{
    unsigned char header[FRAME_HEADER_SIZE];
    return pread(descriptor, header, sizeof(header), offset) == (ssize_t)sizeof(header)
           && memcmp(header + 8, salts, SALTS_SIZE) == 0;
}

/*
 * The file doesn't shrink when the WAL begins anew, so its size says too much. But each beginning
 * has salts of its own, which are in all its frames: they are the first ones of the file.
 */
uint32_t stele__wal_page_count(const char *path)
{
    unsigned char header[WAL_HEADER_SIZE];
    uint32_t count = 0;
    /* SQLite locks only the other files: closing this one drops no lock. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0)
        return 0;
    off_t size = lseek(descriptor, 0, SEEK_END);
    if (size > WAL_HEADER_SIZE
        && pread(descriptor, header, sizeof(header), 0) == (ssize_t)sizeof(header)) {
        off_t frame_size = (off_t)read_big_endian(header + 8) + FRAME_HEADER_SIZE;
        off_t low = 0;
        off_t high = (size - WAL_HEADER_SIZE) / frame_size;
        while (low < high) {
            off_t middle = low + (high - low) / 2;
            if (is_frame_of(descriptor, header + 16, WAL_HEADER_SIZE + middle * frame_size))
                low = middle + 1;
            else
                high = middle;
        }
        count = low < UINT32_MAX ? (uint32_t)low : UINT32_MAX;
    }
    close(descriptor);
    return count;
}
