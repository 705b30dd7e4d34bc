/*
 * What the library does to files by itself, told to the recorder.
 *
 * The linker turns each call of `open` and so on in our own objects into one of `__wrap_open` (see
 * the Makefile); SQLite is a library of its own and keeps the system's. Were it linked in, its
 * calls would come from within the VFS, where recorder_enter() says no.
 */
#define _GNU_SOURCE
#include "crash/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTOR_MAX 4096

int __real_open(const char *path, int flags, ...);
int __real_close(int descriptor);
int __real_fsync(int descriptor);
int __real_fdatasync(int descriptor);
ssize_t __real_write(int descriptor, const void *data, size_t size);
ssize_t __real_pwrite(int descriptor, const void *data, size_t size, off_t offset);
int __real_ftruncate(int descriptor, off_t size);
int __real_unlink(const char *path);
int __real_rename(const char *old_path, const char *path);
int __real_link(const char *old_path, const char *path);
int __real_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
ssize_t __real_getrandom(void *bytes, size_t size, unsigned flags);
int __real_clock_gettime(clockid_t clock, struct timespec *time_out);

int __wrap_open(const char *path, int flags, ...);
int __wrap___open_2(const char *path, int flags);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_close(int descriptor);
int __wrap_fsync(int descriptor);
int __wrap_fdatasync(int descriptor);
ssize_t __wrap_write(int descriptor, const void *data, size_t size);
ssize_t __wrap_pwrite(int descriptor, const void *data, size_t size, off_t offset);
int __wrap_ftruncate(int descriptor, off_t size);
int __wrap_unlink(const char *path);
int __wrap_rename(const char *old_path, const char *path);
int __wrap_link(const char *old_path, const char *path);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_rmdir(const char *path);
ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time_out);

/* What our descriptors stand for; each is the business of the thread that has it open. */
static struct {
    bool known;
    int file;          /* -1: the folder below */
    char folder[1024]; /* relative to the recorded one */
} descriptors[DESCRIPTOR_MAX];

static bool is_known(int descriptor)
{
    return descriptor >= 0 && descriptor < DESCRIPTOR_MAX && descriptors[descriptor].known;
}

/* The boot id that the recorder wants, as a descriptor to read it from. */
static int open_boot_id(void)
{
    char text[64];
    int ends[2];
    recorder_boot_id(text);
    if (text[0] == '\0' || pipe(ends) != 0)
        return -1;
    ssize_t size = __real_write(ends[1], text, strlen(text));
    __real_close(ends[1]);
    return size > 0 ? ends[0] : -1;
}

static void note_open(int descriptor, const char *name, int flags, bool existed)
{
    if (descriptor >= DESCRIPTOR_MAX || strlen(name) >= sizeof(descriptors[0].folder))
        return;
    descriptors[descriptor].known = true;
    descriptors[descriptor].file = -1;
    if ((flags & O_DIRECTORY) != 0) {
        snprintf(descriptors[descriptor].folder, sizeof(descriptors[0].folder), "%s", name);
        return;
    }
    int file = existed ? recorder_find(name) : recorder_note_create(name, false);
    if (existed && (flags & O_TRUNC) != 0)
        recorder_note_truncate(file, 0);
    descriptors[descriptor].file = file;
}

int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = (mode_t)va_arg(arguments, int);
        va_end(arguments);
    }
    if (strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
        int descriptor = open_boot_id();
        if (descriptor >= 0)
            return descriptor;
    }
    const char *name = recorder_name_of(path);
    if (name == NULL || !recorder_enter())
        return __real_open(path, flags, mode);
    bool existed = access(path, F_OK) == 0;
    int descriptor = __real_open(path, flags, mode);
    int error = errno;
    if (descriptor >= 0)
        note_open(descriptor, name, flags, existed);
    recorder_leave();
    errno = error;
    return descriptor;
}

/* The same under the names that checked and large-file builds use. */
int __wrap___open_2(const char *path, int flags)
{
    return __wrap_open(path, flags);
}

int __wrap_open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = (mode_t)va_arg(arguments, int);
        va_end(arguments);
    }
    return __wrap_open(path, flags, mode);
}

int __wrap_close(int descriptor)
{
    /* Also when nothing is recorded: the number may come again in a later recording. */
    if (is_known(descriptor))
        descriptors[descriptor].known = false;
    return __real_close(descriptor);
}

static int sync_descriptor(int descriptor, int (*real)(int descriptor))
{
    if (!recorder_enter())
        return 0; /* no power will fail */
    int result = 0;
    int error = errno;
    if (!is_known(descriptor)) {
        result = real(descriptor);
        error = errno;
    } else if (descriptors[descriptor].file >= 0) {
        recorder_note_sync(descriptors[descriptor].file, 0);
    } else if (!recorder_note_folder_sync(descriptors[descriptor].folder)) {
        result = -1;
        error = EIO;
    }
    recorder_leave();
    errno = error;
    return result;
}

int __wrap_fsync(int descriptor)
{
    return sync_descriptor(descriptor, __real_fsync);
}

int __wrap_fdatasync(int descriptor)
{
    return sync_descriptor(descriptor, __real_fdatasync);
}

ssize_t __wrap_write(int descriptor, const void *data, size_t size)
{
    if (!recorder_enter())
        return __real_write(descriptor, data, size);
    ssize_t done = __real_write(descriptor, data, size);
    int error = errno;
    if (done > 0 && is_known(descriptor))
        recorder_note_write(descriptors[descriptor].file, data, (size_t)done,
                            lseek(descriptor, 0, SEEK_CUR) - done);
    recorder_leave();
    errno = error;
    return done;
}

ssize_t __wrap_pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    if (!recorder_enter())
        return __real_pwrite(descriptor, data, size, offset);
    ssize_t done = __real_pwrite(descriptor, data, size, offset);
    if (done > 0 && is_known(descriptor))
        recorder_note_write(descriptors[descriptor].file, data, (size_t)done, offset);
    recorder_leave();
    return done;
}

int __wrap_ftruncate(int descriptor, off_t size)
{
    if (!recorder_enter())
        return __real_ftruncate(descriptor, size);
    int result = __real_ftruncate(descriptor, size);
    if (result == 0 && is_known(descriptor))
        recorder_note_truncate(descriptors[descriptor].file, size);
    recorder_leave();
    return result;
}

static int remove_path(const char *path, int (*real)(const char *path))
{
    const char *name = recorder_name_of(path);
    if (name == NULL || !recorder_enter())
        return real(path);
    int result = real(path);
    if (result == 0)
        recorder_note_remove(name);
    recorder_leave();
    return result;
}

int __wrap_unlink(const char *path)
{
    return remove_path(path, __real_unlink);
}

int __wrap_rmdir(const char *path)
{
    return remove_path(path, __real_rmdir);
}

int __wrap_rename(const char *old_path, const char *path)
{
    const char *old_name = recorder_name_of(old_path);
    const char *name = recorder_name_of(path);
    if (old_name == NULL || name == NULL || !recorder_enter())
        return __real_rename(old_path, path);
    int result = __real_rename(old_path, path);
    if (result == 0)
        recorder_note_move(old_name, name);
    recorder_leave();
    return result;
}

int __wrap_link(const char *old_path, const char *path)
{
    const char *old_name = recorder_name_of(old_path);
    const char *name = recorder_name_of(path);
    if (old_name == NULL || name == NULL || !recorder_enter())
        return __real_link(old_path, path);
    int result = __real_link(old_path, path);
    int error = errno;
    if (result == 0)
        recorder_note_link(old_name, name);
    recorder_leave();
    errno = error;
    return result;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    const char *name = recorder_name_of(path);
    if (name == NULL || !recorder_enter())
        return __real_mkdir(path, mode);
    int result = __real_mkdir(path, mode);
    int error = errno;
    if (result == 0)
        recorder_note_create(name, true);
    recorder_leave();
    errno = error;
    return result;
}

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags)
{
    if (recorder_fill_random(bytes, size))
        return (ssize_t)size;
    return __real_getrandom(bytes, size, flags);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time_out)
{
    int64_t now = clock == CLOCK_REALTIME ? recorder_clock() : 0;
    if (now == 0)
        return __real_clock_gettime(clock, time_out);
    time_out->tv_sec = (time_t)(now / 1000000000);
    time_out->tv_nsec = (long)(now % 1000000000);
    return 0;
}
