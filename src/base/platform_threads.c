/* Threads, and what they wait for. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/platform.h"

int64_t stele__clock_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void stele__sleep_us(uint32_t microseconds)
{
    struct timespec left = { .tv_sec = microseconds / 1000000,
                             .tv_nsec = (long)(microseconds % 1000000) * 1000 };
    nanosleep(&left, NULL); /* earlier after a signal: callers ask again anyway */
}

#ifdef __APPLE__

void stele__condition_init(pthread_cond_t *condition)
{
    pthread_cond_init(condition, NULL);
}

void stele__condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_us)
{
    if (until_us == INT64_MAX) {
        pthread_cond_wait(condition, mutex);
        return;
    }
    int64_t left = until_us - stele__clock_monotonic_us();
    left = left < 0 ? 0 : left;
    struct timespec span = { .tv_sec = left / 1000000, .tv_nsec = (long)(left % 1000000) * 1000 };
    pthread_cond_timedwait_relative_np(condition, mutex, &span);
}

#else

void stele__condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

void stele__condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_us)
{
    if (until_us == INT64_MAX) {
        pthread_cond_wait(condition, mutex);
        return;
    }
    struct timespec until = { .tv_sec = until_us / 1000000,
                              .tv_nsec = (long)(until_us % 1000000) * 1000 };
    pthread_cond_timedwait(condition, mutex, &until);
}

#endif

stele_status stele__thread_start(pthread_t *thread_out, const char *name,
                                 void *(*run)(void *context), void *context)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread inherits it */
    int error = pthread_create(thread_out, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return stele__fail(STELE_NO_MEMORY, "can't start the thread '%s': %s", name,
                           strerror(error));
#ifdef __linux__
    pthread_setname_np(*thread_out, name);
#endif
    return STELE_OK;
}

static int make_quiet(int descriptor)
{
    return fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
           && fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0;
}

stele_status stele__event_open(int descriptors_out[2])
{
    if (pipe(descriptors_out) != 0) {
        descriptors_out[0] = -1;
        descriptors_out[1] = -1;
        return stele__fail(STELE_IO, "can't make a pipe: %s", strerror(errno));
    }
    if (make_quiet(descriptors_out[0]) && make_quiet(descriptors_out[1]))
        return STELE_OK;
    stele_status status = stele__fail(STELE_IO, "can't set up a pipe: %s", strerror(errno));
    stele__event_close(descriptors_out);
    return status;
}

void stele__event_signal(const int descriptors[2])
{
    /* A full pipe is readable already. */
    while (write(descriptors[1], "", 1) < 0 && errno == EINTR)
        continue;
}

void stele__event_clear(const int descriptors[2])
{
    char bytes[64];
    ssize_t got = 0;
    do
        got = read(descriptors[0], bytes, sizeof(bytes));
    while (got == (ssize_t)sizeof(bytes) || (got < 0 && errno == EINTR));
}

void stele__event_close(int descriptors[2])
{
    for (int i = 0; i < 2; i++) {
        if (descriptors[i] >= 0)
            close(descriptors[i]);
        descriptors[i] = -1;
    }
}
