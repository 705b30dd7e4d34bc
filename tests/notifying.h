/**
 * @file tests/notifying.h
 * What the tests of the notifier share: waits that end, threads that wait, and a process that
 * writes.
 */
#ifndef STELE_TESTS_NOTIFYING_H
#define STELE_TESTS_NOTIFYING_H

#include "contract.h"

#include <stele/notify.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>

/* Long enough for whatever must come; a test that waits so long has failed. */
#define MUST_COME_MS 60000u

/* So long that somebody who waits has most likely gone to sleep. */
static inline void settle(void)
{
    poll(NULL, 0, 20);
}

static inline stele_notifier *notifier_of(stele_store *of)
{
    stele_notifier *notifier = NULL;
    assert_status(stele_store_notifier(of, &notifier), STELE_OK);
    ck_assert_ptr_nonnull(notifier);
    return notifier;
}

static inline stele_notifier *open_notifier(void)
{
    stele_notifier *notifier = (stele_notifier *)&notifier;
    assert_status(stele_notifier_open(&notifier), STELE_OK);
    ck_assert_ptr_nonnull(notifier);
    return notifier;
}

static inline stele_listener *open_listener(stele_notifier *notifier, int64_t after)
{
    stele_listener *listener = NULL;
    assert_status(stele_listener_open(notifier, after, &listener), STELE_OK);
    ck_assert_ptr_nonnull(listener);
    return listener;
}

static inline stele_wait wait_of(uint32_t timeout_ms)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = timeout_ms;
    return wait;
}

static inline stele_status wait_ms(stele_notifier *notifier, int64_t after, uint32_t timeout_ms,
                                   int64_t *head_out)
{
    stele_wait wait = wait_of(timeout_ms);
    return stele_notifier_wait(notifier, after, &wait, head_out);
}

static inline stele_status hear_ms(stele_listener *listener, uint32_t timeout_ms, int64_t *head_out)
{
    stele_wait wait = wait_of(timeout_ms);
    return stele_listener_wait(listener, &wait, head_out);
}

static inline void append_some(stele_store *to, int count)
{
    for (int i = 0; i < count; i++)
        assert_status(append_to(to, "noted-1", STELE_ANY, "noted", NULL), STELE_OK);
}

static inline bool is_readable(int descriptor, int timeout_ms)
{
    struct pollfd asked = { .fd = descriptor, .events = POLLIN };
    int got;
    do
        got = poll(&asked, 1, timeout_ms);
    while (got < 0 && errno == EINTR);
    return got == 1 && (asked.revents & POLLIN) != 0;
}

/* --- Another process, which appends an event to the file for each byte that it is sent --- */

typedef struct writer_process {
    pid_t pid;
    int to;
    int from;
} writer_process;

static inline void serve_appends(const char *path, int from, int to)
{
    stele_store *own = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    char byte = 0;
    while (read(from, &byte, 1) == 1) {
        stele_status status = own == NULL ? stele_store_open(path, &options, &own) : STELE_OK;
        if (status == STELE_OK && byte == 'a')
            status = append_to(own, "theirs-1", STELE_ANY, "noted", NULL);
        byte = status == STELE_OK ? 'k' : 'f';
        if (write(to, &byte, 1) != 1)
            break;
    }
    stele_store_close(own);
    _exit(0);
}

/* Before this process has opened any. */
static inline void start_writer(writer_process *writer, const char *path)
{
    int down[2], up[2];
    ck_assert_int_eq(pipe(down), 0);
    ck_assert_int_eq(pipe(up), 0);
    fflush(NULL);
    writer->pid = fork();
    ck_assert_int_ge(writer->pid, 0);
    if (writer->pid == 0) {
        close(down[1]);
        close(up[0]);
        serve_appends(path, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    writer->to = down[1];
    writer->from = up[0];
}

static inline void tell_writer(const writer_process *writer, char what)
{
    ck_assert_int_eq(write(writer->to, &what, 1), 1);
}

static inline void hear_writer(const writer_process *writer)
{
    char byte = 0;
    ck_assert_int_eq(read(writer->from, &byte, 1), 1);
    ck_assert_int_eq(byte, 'k');
}

/* It is committed when this returns. */
static inline void append_there(const writer_process *writer)
{
    tell_writer(writer, 'a');
    hear_writer(writer);
}

static inline void end_writer(writer_process *writer)
{
    int status = 0;
    close(writer->to);
    close(writer->from);
    ck_assert_int_eq(waitpid(writer->pid, &status, 0), writer->pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif
