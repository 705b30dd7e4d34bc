#define _GNU_SOURCE
#include "base/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/memory.h"

static stele_status fail_with_errno(int error, const char *what, const char *path)
{
    stele_status status = error == ENOENT || error == ENOTDIR  ? STELE_NOT_FOUND
                          : error == ENOSPC || error == EDQUOT ? STELE_FULL
                          : error == EROFS                     ? STELE_READ_ONLY
                          : error == ENOMEM                    ? STELE_NO_MEMORY
                          : error == ENAMETOOLONG              ? STELE_MISUSE
                                                               : STELE_IO;
    return stele__fail(status, "can't %s '%s': %s", what, path, strerror(error));
}

stele_status stele__resolve_path(const char *path, char **resolved_out)
{
    *resolved_out = NULL;
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return stele__fail(STELE_MISUSE, "the path '%s' names no file", path);

    char *folder = stele__copy_text(slash == NULL ? "." : path);
    if (folder == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", path);
    if (slash != NULL)
        folder[slash == path ? 1 : slash - path] = '\0';

    stele_status status = STELE_OK;
    char *real = realpath(folder, NULL);
    if (real == NULL) {
        status = fail_with_errno(errno, "open the folder", folder);
    } else {
        size_t size = strlen(real) + strlen(name) + 2;
        *resolved_out = stele__allocate(size);
        if (*resolved_out == NULL)
            status = stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", path);
        else
            snprintf(*resolved_out, size, "%s%s%s", real, strcmp(real, "/") == 0 ? "" : "/", name);
    }
    free(real); /* realpath's own memory */
    stele__free(folder);
    return status;
}

stele_status stele__look_at_file(const char *path, stele__file_facts *facts_out)
{
    *facts_out = (stele__file_facts){ 0 };
    struct stat facts;
    if (lstat(path, &facts) != 0) {
        if (errno == ENOENT)
            return STELE_OK;
        return fail_with_errno(errno, "look at", path);
    }
    facts_out->exists = true;
    facts_out->regular = S_ISREG(facts.st_mode);
    facts_out->link = S_ISLNK(facts.st_mode);
    facts_out->folder = S_ISDIR(facts.st_mode);
    facts_out->mode = (uint32_t)facts.st_mode & 0777;
    facts_out->size = (int64_t)facts.st_size;
    facts_out->modified_us = (int64_t)facts.st_mtime * 1000000;
    return STELE_OK;
}

stele_status stele__sync_folder(const char *path)
{
    char *folder = stele__copy_text(path);
    if (folder == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", path);
    char *slash = strrchr(folder, '/');
    slash[slash == folder ? 1 : 0] = '\0';

    stele_status status = STELE_OK;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        status = fail_with_errno(errno, "open the folder", folder);
    } else {
        if (fsync(descriptor) != 0 && errno != EINVAL)
            status = fail_with_errno(errno, "sync the folder", folder);
        close(descriptor);
    }
    stele__free(folder);
    return status;
}

stele_status stele__create_file(const char *path)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        if (errno == EEXIST)
            return STELE_OK;
        if (errno == EACCES || errno == EPERM)
            return stele__fail(STELE_READ_ONLY, "can't create '%s': its folder may not be written",
                               path);
        return fail_with_errno(errno, "create", path);
    }
    /* The umask may take bits away from a mode, never add any; still, say what is meant. */
    stele_status status = STELE_OK;
    if (fchmod(descriptor, 0600) != 0 || fsync(descriptor) != 0)
        status = fail_with_errno(errno, "create", path);
    close(descriptor);
    return status == STELE_OK ? stele__sync_folder(path) : status;
}

stele_status stele__create_beside(const char *path)
{
    stele_status status = stele__create_file(path);
    char store[4200];
    const char *suffix = strrchr(path, '-');
    struct stat facts;
    if (status != STELE_OK || suffix == NULL || (size_t)(suffix - path) >= sizeof(store))
        return status;
    memcpy(store, path, (size_t)(suffix - path));
    store[suffix - path] = '\0';
    /* As SQLite does with its own: who may write the store may write what is beside it. */
    if (stat(store, &facts) == 0 && (facts.st_mode & 0777) != 0600)
        (void)chmod(path, facts.st_mode & 0777);
    return STELE_OK;
}

int64_t stele__clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

stele_status stele__random_bytes(void *bytes, size_t size)
{
    unsigned char *out = bytes;
    size_t done = 0;
    while (done < size) {
        ssize_t got = getrandom(out + done, size - done, 0);
        if (got < 0 && errno != EINTR)
            return stele__fail(STELE_IO, "no random bytes: %s", strerror(errno));
        if (got > 0)
            done += (size_t)got;
    }
    return STELE_OK;
}

static atomic_uint fork_count;
static atomic_int guarded_files;
static atomic_bool fork_tainted;

static void count_fork(void)
{
    if (atomic_exchange(&guarded_files, 0) > 0)
        atomic_store(&fork_tainted, true);
    atomic_fetch_add_explicit(&fork_count, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

void stele__fork_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
}

void stele__fork_guard(int change)
{
    atomic_fetch_add(&guarded_files, change);
}

bool stele__fork_tainted(void)
{
    return atomic_load(&fork_tainted);
}

uint32_t stele__fork_count(void)
{
    return atomic_load_explicit(&fork_count, memory_order_relaxed);
}

void stele__process_name(char name_out[64])
{
    char host[40] = "";
    if (gethostname(host, sizeof(host)) != 0)
        host[0] = '\0';
    host[sizeof(host) - 1] = '\0';
    /* It becomes part of a name, which may hold no control characters. */
    for (char *at = host; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || (unsigned char)*at > '~')
            *at = '?';
    snprintf(name_out, 64, "%s:%ld", host, (long)getpid());
}

void stele__boot_id(char id_out[64])
{
    id_out[0] = '\0';
    int descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    ssize_t got = read(descriptor, id_out, 63);
    close(descriptor);
    id_out[got > 0 ? got : 0] = '\0';
    id_out[strcspn(id_out, "\n")] = '\0';
}
