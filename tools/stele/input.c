#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interrupt.h"

extern char **environ;

/* A signal may come just before there is something to wait for: it is looked for this often. */
enum { GLANCE_MS = 100 };

static bool is_compressed(const char *name)
{
    size_t size = strlen(name);
    return size > 3 && strcmp(name + size - 3, ".gz") == 0;
}

/* Start zcat from `from` to `to`, with the signals as a program expects them. */
static int spawn_zcat(int from, int to, pid_t *child_out)
{
    static char name[] = "zcat";
    char *const arguments[] = { name, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed != 0)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return failed;
    }

    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    failed = posix_spawnattr_setsigdefault(&attributes, &defaults);
    if (failed == 0)
        failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, from, STDIN_FILENO);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
    if (failed == 0)
        failed = posix_spawnp(child_out, name, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* From now on read what zcat makes of the file. */
static exit_code read_through_zcat(input *of)
{
    int ends[2];
    if (pipe(ends) != 0) {
        report_error("can't make a pipe: %s", strerror(errno));
        return EXIT_OTHER;
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    int failed = spawn_zcat(of->descriptor, ends[1], &of->child);
    close(ends[1]);
    close(of->descriptor);
    of->descriptor = ends[0];
    if (failed == 0)
        return EXIT_OK;
    of->child = 0;
    report_error("can't run zcat: %s", strerror(failed));
    report_hint("gzip -dc %s | stele import - --source %s", of->name, of->name);
    return EXIT_OTHER;
}

exit_code input_open(input *of, const char *name)
{
    *of = (input){ .name = name, .descriptor = STDIN_FILENO };
    if (strcmp(name, "-") == 0)
        return EXIT_OK;
    of->descriptor = open(name, O_RDONLY | O_CLOEXEC);
    if (of->descriptor < 0) {
        int failure = errno;
        report_error("can't open '%s': %s", name, strerror(failure));
        return failure == ENOENT || failure == ENOTDIR ? EXIT_NOT_FOUND : EXIT_OTHER;
    }
    struct stat facts;
    if (fstat(of->descriptor, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        report_error("'%s' is a folder", name);
        return EXIT_USAGE;
    }
    of->regular = S_ISREG(facts.st_mode);
    return is_compressed(name) ? read_through_zcat(of) : EXIT_OK;
}

/* At the end of what zcat wrote: it must have reached the end of the file. */
static stele_status check_zcat(input *of)
{
    int outcome = 0;
    pid_t ended;
    do
        ended = waitpid(of->child, &outcome, 0);
    while (ended < 0 && errno == EINTR);
    of->child = 0;
    if (ended > 0 && WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0)
        return STELE_OK;
    if (was_interrupted() || (ended > 0 && WIFSIGNALED(outcome) && WTERMSIG(outcome) == SIGINT))
        return STELE_CANCELLED;
    snprintf(of->failure, sizeof(of->failure), "zcat could not read '%.200s' to its end", of->name);
    return STELE_IO;
}

stele_status input_read(void *context, void *bytes, size_t capacity, size_t *size_out)
{
    input *of = context;
    *size_out = 0;
    for (;;) {
        if (was_interrupted())
            return STELE_CANCELLED;
        struct pollfd end = { .fd = of->descriptor, .events = POLLIN };
        int ready = poll(&end, 1, GLANCE_MS);
        if (ready == 0 || (ready < 0 && errno == EINTR))
            continue;
        ssize_t size = read(of->descriptor, bytes, capacity);
        if (size > 0) {
            *size_out = (size_t)size;
            return STELE_OK;
        }
        if (size == 0)
            return of->child > 0 ? check_zcat(of) : STELE_OK;
        if (errno != EINTR)
            break;
    }
    snprintf(of->failure, sizeof(of->failure), "can't read '%.150s': %.80s", of->name,
             strerror(errno));
    return STELE_IO;
}

void input_close(input *of)
{
    if (of->descriptor > STDERR_FILENO)
        close(of->descriptor);
    of->descriptor = -1;
    if (of->child > 0)
        waitpid(of->child, NULL, 0);
    of->child = 0;
}
