/* Files that appear under their name only when they are whole. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/platform.h"

int (*stele__link_file)(const char *from, const char *to) = link;

static stele_status fail_publishing(int error, const char *what, const char *path)
{
    stele_status status = error == ENOENT || error == ENOTDIR                   ? STELE_NOT_FOUND
                          : error == ENOSPC || error == EDQUOT                  ? STELE_FULL
                          : error == EACCES || error == EPERM || error == EROFS ? STELE_READ_ONLY
                          : error == EEXIST || error == ENAMETOOLONG            ? STELE_MISUSE
                                                                                : STELE_IO;
    return stele__fail(status, "can't %s '%s': %s", what, path, strerror(error));
}

stele_status stele__claim_file(const char *path, bool *claimed_out)
{
    *claimed_out = false;
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor < 0 && errno == EEXIST)
        return STELE_OK;
    if (descriptor < 0)
        return fail_publishing(errno, "create", path);
    *claimed_out = true;
    /* The umask may have taken bits away. */
    stele_status status = STELE_OK;
    if (fchmod(descriptor, 0600) != 0)
        status = fail_publishing(errno, "create", path);
    close(descriptor);
    return status;
}

stele_status stele__file_peek(const char *path, void *bytes, size_t size, size_t *size_out)
{
    *size_out = 0;
    int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return fail_publishing(errno, "open", path);
    ssize_t got = pread(descriptor, bytes, size, 0);
    stele_status status = got < 0 ? fail_publishing(errno, "read", path) : STELE_OK;
    *size_out = got > 0 ? (size_t)got : 0;
    close(descriptor);
    return status;
}

/* An empty file holds the name until the other one takes its place: nobody else can have it. */
static stele_status rename_over_claim(const char *from, const char *to)
{
    bool claimed = false;
    stele_status status = stele__claim_file(to, &claimed);
    if (status == STELE_OK && !claimed)
        return fail_publishing(EEXIST, "create", to);
    if (status == STELE_OK && rename(from, to) != 0) {
        status = fail_publishing(errno, "rename", from);
        unlink(to);
    }
    return status;
}

stele_status stele__publish_file(const char *from, const char *to)
{
    if (stele__link_file(from, to) == 0)
        return STELE_OK;
    switch (errno) {
    case EPERM: /* what Linux says of a filesystem without links, and of files one may not link */
    case EMLINK:
    case ENOSYS:
    case EOPNOTSUPP: return rename_over_claim(from, to);
    default: return fail_publishing(errno, "create", to);
    }
}

stele_status stele__remove_file(const char *path)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return STELE_OK;
    return fail_publishing(errno, "remove", path);
}
