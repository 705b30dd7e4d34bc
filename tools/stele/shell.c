#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer.h"

#define GRACE_GLANCES   100 /* So often it is looked at whether it has ended, when told to. */
#define GRACE_GLANCE_MS 10

extern char **environ;

int start_shell(const char *command, int from, int to, pid_t *child_out)
{
    static char shell[] = "/bin/sh", option[] = "-c";
    char *text = copy_string(command);
    char *const arguments[] = { shell, option, text, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed == 0) {
        failed = posix_spawnattr_init(&attributes);
        if (failed == 0) {
            posix_spawnattr_setsigdefault(&attributes, &defaults);
            posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
            failed = posix_spawn_file_actions_adddup2(&actions, from, STDIN_FILENO);
            if (failed == 0 && to >= 0)
                failed = posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
            if (failed == 0)
                failed = posix_spawn(child_out, shell, &actions, &attributes, arguments, environ);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    free(text);
    return failed;
}

bool make_pipe(int ends[2])
{
    if (pipe(ends) != 0)
        return false;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    return true;
}

/* What waitpid() said, in words. */
static int describe_end(pid_t ended, int outcome, char how_out[SHELL_END_SIZE])
{
    if (ended > 0 && WIFEXITED(outcome)) {
        snprintf(how_out, SHELL_END_SIZE, "the command ended with exit code %d",
                 WEXITSTATUS(outcome));
        return WEXITSTATUS(outcome);
    }
    if (ended > 0 && WIFSIGNALED(outcome)) {
        snprintf(how_out, SHELL_END_SIZE, "the command was killed by signal %d", WTERMSIG(outcome));
        return 128 + WTERMSIG(outcome);
    }
    snprintf(how_out, SHELL_END_SIZE, "the command ended");
    return -1;
}

int wait_for_shell(pid_t child, char how_out[SHELL_END_SIZE])
{
    int outcome = 0;
    pid_t ended;
    do
        ended = waitpid(child, &outcome, 0);
    while (ended < 0 && errno == EINTR);
    return describe_end(ended, outcome, how_out);
}

bool shell_has_ended(pid_t child, int *code_out, char how_out[SHELL_END_SIZE])
{
    int outcome = 0;
    pid_t ended = waitpid(child, &outcome, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR))
        return false;
    *code_out = describe_end(ended, outcome, how_out);
    return true;
}

void end_shell(pid_t child)
{
    pid_t ended = 0;
    kill(child, SIGTERM);
    for (int i = 0; i < GRACE_GLANCES && ended == 0; i++) {
        poll(NULL, 0, GRACE_GLANCE_MS);
        ended = waitpid(child, NULL, WNOHANG);
    }
    if (ended == 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
}
