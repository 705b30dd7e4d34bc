/* Small files that are read and written in place. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/platform.h"

static stele_status fail_small_file(int error, const char *what, const char *path)
{
    stele_status status = error == ENOENT || error == ENOTDIR  ? STELE_NOT_FOUND
                          : error == ELOOP || error == EMLINK  ? STELE_MISUSE
                          : error == ENOSPC || error == EDQUOT ? STELE_FULL
                          : error == EFBIG                     ? STELE_FULL
                          : error == EROFS                     ? STELE_READ_ONLY
                          : error == ENOMEM                    ? STELE_NO_MEMORY
                                                               : STELE_IO;
    if (status == STELE_MISUSE)
        return stele__fail(status, "'%s' is a link, and is not followed", path);
    return stele__fail(status, "can't %s '%s': %s", what, path, strerror(error));
}

static int sync_data(int descriptor)
{
#ifdef __APPLE__
    return fcntl(descriptor, F_FULLFSYNC);
#else
    return fdatasync(descriptor);
#endif
}

static stele_status sync_small_file(int descriptor, const char *path)
{
    while (sync_data(descriptor) != 0) {
        if (errno != EINTR)
            return fail_small_file(errno, "sync", path);
    }
    return STELE_OK;
}

/* Behind what is there by now, never over it: who opens the file at the same time may have made it
 * as long, and written to it. Then it becomes longer. */
static stele_status append_zeros(int descriptor, const char *path, size_t size)
{
    static const unsigned char zeros[8192];
    stele_status status = STELE_OK;
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_APPEND) != 0)
        return fail_small_file(errno, "write", path);
    while (size > 0 && status == STELE_OK) {
        ssize_t put = write(descriptor, zeros, size < sizeof(zeros) ? size : sizeof(zeros));
        if (put < 0 && errno != EINTR)
            status = fail_small_file(errno, "write", path);
        if (put > 0)
            size -= (size_t)put;
    }
    if (status == STELE_OK && fcntl(descriptor, F_SETFL, flags) != 0)
        status = fail_small_file(errno, "write", path);
    return status == STELE_OK ? sync_small_file(descriptor, path) : status;
}

stele_status stele__small_file_open(const char *path, bool writable, size_t size,
                                    int *descriptor_out)
{
    *descriptor_out = -1;
    /* NONBLOCK: a FIFO in its place must not make us wait for somebody to open its other end. */
    const int flags =
        (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int descriptor = open(path, flags);
    if (descriptor < 0 && errno == ENOENT && writable) {
        stele_status status = stele__create_beside(path);
        if (status != STELE_OK)
            return status;
        descriptor = open(path, flags);
    }
    if (descriptor < 0 && (errno == EISDIR || errno == ENXIO))
        return stele__fail(STELE_MISUSE, "'%s' is not a regular file", path);
    if (descriptor < 0)
        return fail_small_file(errno, "open", path);

    struct stat facts;
    stele_status status = STELE_OK;
    if (fstat(descriptor, &facts) != 0)
        status = fail_small_file(errno, "look at", path);
    else if (!S_ISREG(facts.st_mode))
        status = stele__fail(STELE_MISUSE, "'%s' is not a regular file", path);
    else if (writable && (size_t)facts.st_size < size)
        status = append_zeros(descriptor, path, size - (size_t)facts.st_size);
    if (status != STELE_OK)
        close(descriptor);
    else
        *descriptor_out = descriptor;
    return status;
}

void stele__small_file_close(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}

stele_status stele__small_file_read(int descriptor, const char *path, size_t offset, void *bytes,
                                    size_t size, size_t *size_out)
{
    unsigned char *out = bytes;
    *size_out = 0;
    while (*size_out < size) {
        ssize_t got =
            pread(descriptor, out + *size_out, size - *size_out, (off_t)(offset + *size_out));
        if (got < 0 && errno != EINTR)
            return fail_small_file(errno, "read", path);
        if (got == 0)
            break;
        if (got > 0)
            *size_out += (size_t)got;
    }
    return STELE_OK;
}

stele_status stele__small_file_write(int descriptor, const char *path, size_t offset,
                                     const void *bytes, size_t size)
{
    const unsigned char *in = bytes;
    size_t done = 0;
    while (done < size) {
        ssize_t put = pwrite(descriptor, in + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno != EINTR)
            return fail_small_file(errno, "write", path);
        if (put > 0)
            done += (size_t)put;
    }
    return sync_small_file(descriptor, path);
}
