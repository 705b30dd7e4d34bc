/* What tells from outside that a file was written to, or a folder's names have changed. */
#include "base/platform.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/failure.h"

static int64_t nanoseconds_of(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int ask_stamp(const char *path, stele__file_stamp *stamp_out)
{
    struct stat facts;
    *stamp_out = (stele__file_stamp){ 0 };
    if (lstat(path, &facts) != 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
    stamp_out->exists = true;
    stamp_out->inode = (uint64_t)facts.st_ino;
    stamp_out->size = (int64_t)facts.st_size;
#ifdef __APPLE__
    stamp_out->modified_ns = nanoseconds_of(facts.st_mtimespec);
    stamp_out->changed_ns = nanoseconds_of(facts.st_ctimespec);
#else
    stamp_out->modified_ns = nanoseconds_of(facts.st_mtim);
    stamp_out->changed_ns = nanoseconds_of(facts.st_ctim);
#endif
    return 0;
}

int (*stele__ask_stamp)(const char *path, stele__file_stamp *stamp_out) = ask_stamp;

stele_status stele__stamp_file(const char *path, stele__file_stamp *stamp_out)
{
    int error = stele__ask_stamp(path, stamp_out);
    if (error != 0)
        return stele__fail(STELE_IO, "can't look at '%s': %s", path, strerror(error));
    return STELE_OK;
}

bool stele__stamp_equal(const stele__file_stamp *one, const stele__file_stamp *other)
{
    if (!one->exists || !other->exists)
        return one->exists == other->exists;
    return one->inode == other->inode && one->size == other->size
           && one->modified_ns == other->modified_ns && one->changed_ns == other->changed_ns;
}
