#include "mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interrupt.h"
#include "shell.h"

#define CHUNK_SIZE      ((size_t)65536)
#define GLANCE_MS       100 /* Ctrl-C may come just before the waiting begins. */
#define ANSWER_SIZE_MAX ((size_t)256 * 1024 * 1024)

static void say_failure(mapper *of, const char *what, const char *why)
{
    if (of->failure[0] == '\0')
        snprintf(of->failure, sizeof(of->failure), "%s%s%.100s", what, why[0] == '\0' ? "" : ": ",
                 why);
}

/* --- Starting and ending --- */

static void close_end(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

exit_code mapper_open(mapper *of, const char *command)
{
    int there[2] = { -1, -1 };
    int back[2] = { -1, -1 };
    *of = (mapper){ .to = -1, .from = -1 };
    int failed = make_pipe(there) && make_pipe(back) ? 0 : errno;
    if (failed == 0)
        failed = start_shell(command, there[0], back[1], &of->child);
    close_end(&there[0]);
    close_end(&back[1]);
    of->to = there[1];
    of->from = back[0];
    if (failed != 0) {
        of->child = 0;
        mapper_close(of);
        report_error("can't run '%s': %s", command, strerror(failed));
        return EXIT_OTHER;
    }
    /* Who only writes, or only reads, could wait for the other for ever. */
    fcntl(of->to, F_SETFL, O_NONBLOCK);
    fcntl(of->from, F_SETFL, O_NONBLOCK);
    return EXIT_OK;
}

/* Wait until it has ended, and keep in `failure` how, if not well or `early`. */
static void reap_mapper(mapper *of, bool early)
{
    char how[SHELL_END_SIZE];
    int ended_with = wait_for_shell(of->child, how);
    of->child = 0;
    if (early)
        say_failure(of, how, "an answer is missing");
    else if (ended_with != 0)
        report_line("warning: %s, when all was answered", how);
}

void mapper_close(mapper *of)
{
    close_end(&of->to);
    close_end(&of->from);
    if (of->child > 0)
        end_shell(of->child);
    of->child = 0;
    buffer_dispose(&of->answer);
}

/* --- A line there, a line back --- */

/* Read what has come. @return False at its end, or when it can't be read. */
static bool read_some(mapper *of)
{
    char chunk[CHUNK_SIZE];
    for (;;) {
        ssize_t size = read(of->from, chunk, sizeof(chunk));
        if (size > 0)
            buffer_add(&of->answer, chunk, (size_t)size);
        if (size > 0 || (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)))
            return true;
        if (size == 0)
            return false;
        if (errno != EINTR) {
            say_failure(of, "can't read what the command answers", strerror(errno));
            return false;
        }
    }
}

/* Write what can be. Who doesn't read any more may still have answered. */
static void write_some(mapper *of, const char *line, size_t size, size_t *sent)
{
    ssize_t wrote = write(of->to, line + *sent, size - *sent);
    if (wrote > 0)
        *sent += (size_t)wrote;
    else if (wrote < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
        *sent = size;
}

/* The newline that ends the answer, not looked for again where it wasn't. */
static const char *find_newline(const mapper *of, size_t *searched)
{
    const char *found = NULL;
    if (of->answer.size > *searched)
        found = memchr(of->answer.bytes + *searched, '\n', of->answer.size - *searched);
    *searched = of->answer.size;
    return found;
}

/* Take the last answer away. @return False when something is there already: nobody asked. */
static bool begin_question(mapper *of)
{
    buffer_clear(&of->answer);
    of->taken = 0;
    if (of->to < 0 || of->failure[0] != '\0')
        return false;
    read_some(of);
    if (of->answer.size == 0)
        return of->failure[0] == '\0';
    say_failure(of, "the command answered before it was asked", "");
    return false;
}

bool mapper_ask(mapper *of, const char *line, size_t size, const char **answer_out,
                size_t *size_out)
{
    size_t sent = 0;
    size_t searched = 0;
    const char *newline = NULL;
    if (!begin_question(of))
        return false;
    while ((newline = find_newline(of, &searched)) == NULL) {
        struct pollfd ends[2] = { { .fd = of->from, .events = POLLIN },
                                  { .fd = sent < size ? of->to : -1, .events = POLLOUT } };
        int ready = poll(ends, 2, GLANCE_MS);
        if (was_interrupted())
            return false;
        if (ready < 0)
            continue;
        if (ends[1].revents != 0)
            write_some(of, line, size, &sent);
        if (ends[0].revents != 0 && !read_some(of)) {
            if (of->failure[0] == '\0' && !was_interrupted())
                reap_mapper(of, true);
            return false;
        }
        if (of->answer.size > ANSWER_SIZE_MAX) {
            say_failure(of, "the command's answer is longer than 256 MiB", "");
            return false;
        }
    }
    *answer_out = of->answer.bytes;
    *size_out = (size_t)(newline - of->answer.bytes);
    of->taken = *size_out + 1;
    if (of->taken == of->answer.size)
        return true;
    say_failure(of, "the command answered more than one line", "");
    return false;
}

bool mapper_finish(mapper *of)
{
    close_end(&of->to);
    buffer_clear(&of->answer);
    struct pollfd end = { .fd = of->from, .events = POLLIN };
    while (of->answer.size == 0 && !was_interrupted()) {
        if (poll(&end, 1, GLANCE_MS) > 0 && !read_some(of))
            break;
    }
    if (was_interrupted())
        return true;
    if (of->answer.size > 0)
        say_failure(of, "the command answered more lines than it was asked", "");
    else if (of->failure[0] == '\0')
        reap_mapper(of, false);
    return of->failure[0] == '\0';
}
