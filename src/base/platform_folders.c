/* Folders: making, reading and locking them, and giving what is in them other names. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"

static stele_status fail_with_folder(int error, const char *what, const char *path)
{
    stele_status status = error == ENOENT || error == ENOTDIR                   ? STELE_NOT_FOUND
                          : error == ENOSPC || error == EDQUOT                  ? STELE_FULL
                          : error == EACCES || error == EPERM || error == EROFS ? STELE_READ_ONLY
                          : error == ENOMEM                                     ? STELE_NO_MEMORY
                          : error == EEXIST || error == ENOTEMPTY               ? STELE_CONFLICT
                          : error == ENAMETOOLONG                               ? STELE_TOO_LARGE
                                                                                : STELE_IO;
    return stele__fail(status, "can't %s '%s': %s", what, path, strerror(error));
}

stele_status stele__resolve_folder(const char *path, char **resolved_out)
{
    *resolved_out = NULL;
    char *real = realpath(path, NULL);
    if (real == NULL)
        return fail_with_folder(errno, "open the folder", path);
    stele_status status = STELE_OK;
    struct stat facts;
    if (stat(real, &facts) != 0)
        status = fail_with_folder(errno, "look at", path);
    else if (!S_ISDIR(facts.st_mode))
        status = stele__fail(STELE_MISUSE, "'%s' is no folder", path);
    if (status == STELE_OK) {
        *resolved_out = stele__copy_text(real);
        if (*resolved_out == NULL)
            status = stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", path);
    }
    free(real); /* realpath's own memory */
    return status;
}

stele_status stele__make_folder(const char *path, bool *made_out)
{
    struct stat facts;
    if (made_out != NULL)
        *made_out = false;
    if (mkdir(path, 0700) != 0) {
        int error = errno;
        if (error != EEXIST || lstat(path, &facts) != 0)
            return fail_with_folder(error, "create the folder", path);
        if (!S_ISDIR(facts.st_mode))
            return stele__fail(STELE_MISUSE, "'%s' is %s, not a folder", path,
                               S_ISLNK(facts.st_mode) ? "a link" : "something else");
        return STELE_OK;
    }
    if (made_out != NULL)
        *made_out = true;
    /* The umask may have taken bits away. */
    if (chmod(path, 0700) != 0)
        return fail_with_folder(errno, "create the folder", path);
    return stele__sync_folder(path);
}

stele_status stele__remove_folder(const char *path)
{
    if (rmdir(path) == 0 || errno == ENOENT)
        return STELE_OK;
    return fail_with_folder(errno, "remove the folder", path);
}

stele_status stele__rename(const char *from, const char *to)
{
    if (rename(from, to) == 0)
        return STELE_OK;
    return fail_with_folder(errno, "rename", from);
}

stele_status stele__sync_file(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return fail_with_folder(errno, "open", path);
    stele_status status = STELE_OK;
    if (fsync(descriptor) != 0)
        status = fail_with_folder(errno, "sync", path);
    close(descriptor);
    return status;
}

/* --- Reading a folder --- */

struct stele__folder {
    DIR *handle;
    char *path;
};

stele_status stele__folder_open(const char *path, stele__folder **folder_out)
{
    *folder_out = NULL;
    stele__folder *folder = stele__allocate_array(1, sizeof(*folder));
    char *copy = stele__copy_text(path);
    if (folder == NULL || copy == NULL) {
        stele__free(folder);
        stele__free(copy);
        return stele__fail(STELE_NO_MEMORY, "no memory to read the folder '%s'", path);
    }
    folder->path = copy;
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;
    if (descriptor >= 0) {
        folder->handle = fdopendir(descriptor);
        error = errno;
        if (folder->handle == NULL)
            close(descriptor);
    }
    if (folder->handle != NULL) {
        *folder_out = folder;
        return STELE_OK;
    }
    stele__folder_close(folder);
    return fail_with_folder(error, "read the folder", path);
}

stele_status stele__folder_next(stele__folder *folder, const char **name_out)
{
    *name_out = NULL;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder->handle);
        if (entry == NULL && errno == 0)
            return STELE_DONE;
        if (entry == NULL)
            return fail_with_folder(errno, "read the folder", folder->path);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *name_out = entry->d_name;
        return STELE_OK;
    }
}

void stele__folder_close(stele__folder *folder)
{
    if (folder == NULL)
        return;
    if (folder->handle != NULL)
        closedir(folder->handle);
    stele__free(folder->path);
    stele__free(folder);
}

/* --- Locks --- */

stele_status stele__lock_open(const char *path, int *descriptor_out)
{
    const int flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    *descriptor_out = open(path, O_RDWR | O_CREAT | flags, 0600);
    if (*descriptor_out < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        /* Enough for a shared one. */
        int error = errno;
        *descriptor_out = open(path, O_RDONLY | flags);
        if (*descriptor_out < 0)
            return fail_with_folder(error, "open the lock", path);
    }
    if (*descriptor_out < 0)
        return fail_with_folder(errno, "open the lock", path);
    struct stat facts;
    if (fstat(*descriptor_out, &facts) == 0 && S_ISREG(facts.st_mode))
        return STELE_OK;
    close(*descriptor_out);
    *descriptor_out = -1;
    return stele__fail(STELE_MISUSE, "'%s' is not a file: no lock can be kept in it", path);
}

void stele__lock_close(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}

static stele_status fail_with_lock(int error, bool *taken_out)
{
    *taken_out = false;
    if (error == EAGAIN || error == EACCES || error == EINTR || error == EWOULDBLOCK)
        return STELE_OK;
    if (error == EBADF)
        return stele__fail(STELE_READ_ONLY, "can't lock a folder that may not be written");
    return stele__fail(STELE_IO, "can't lock a folder: %s", strerror(error));
}

#if defined(__linux__) && defined(F_OFD_SETLK)

stele_status stele__lock_try(int descriptor, int part, bool exclusive, bool *taken_out)
{
    struct flock lock = { .l_whence = SEEK_SET, .l_start = part, .l_len = 1 };
    lock.l_type = exclusive ? F_WRLCK : F_RDLCK;
    *taken_out = fcntl(descriptor, F_OFD_SETLK, &lock) == 0;
    return *taken_out ? STELE_OK : fail_with_lock(errno, taken_out);
}

void stele__lock_drop(int descriptor, int part)
{
    struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = part, .l_len = 1 };
    (void)fcntl(descriptor, F_OFD_SETLK, &lock);
}

#else

/* One lock a file: part 0 is it, the others are always free. */
stele_status stele__lock_try(int descriptor, int part, bool exclusive, bool *taken_out)
{
    *taken_out = part != 0 || flock(descriptor, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0;
    return *taken_out ? STELE_OK : fail_with_lock(errno, taken_out);
}

void stele__lock_drop(int descriptor, int part)
{
    if (part == 0)
        (void)flock(descriptor, LOCK_UN);
}

#endif
