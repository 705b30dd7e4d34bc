/**
 * @file tests/loan_desk.h
 * Running the loan desk of examples/, and the files that go with it.
 */
#ifndef STELE_TESTS_LOAN_DESK_H
#define STELE_TESTS_LOAN_DESK_H

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What it prints to: made before it begins, so that it is there however soon it is killed. */
static inline int make_output(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    return file;
}

static inline pid_t start(const char *const *arguments, const char *output)
{
    int out = make_output(output);
    int errors = make_output(test_path("errors"));
    /* A signal for the program is not to run Check's handler before it is there. */
    sigset_t held;
    sigset_t before;
    sigemptyset(&held);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGINT);
    sigprocmask(SIG_BLOCK, &held, &before);
    pid_t child = fork();
    if (child != 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        close(out);
        close(errors);
        ck_assert_int_ge(child, 0);
        return child;
    }
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (dup2(out, 1) >= 0 && dup2(errors, 2) >= 0) {
        char *vector[16] = { NULL };
        for (size_t i = 0; arguments[i] != NULL; i++)
            vector[i] = (char *)(uintptr_t)arguments[i];
        execvp(vector[0], vector);
    }
    _exit(127);
}

/* The exit code, or minus the signal. */
static inline int finish(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define RUN(output, ...) finish(start((const char *const[]){ __VA_ARGS__, NULL }, (output)))

/* One buffer after another, so that two results can be compared. */
static inline const char *read_text(const char *path)
{
    static char texts[2][64 * 1024];
    static int turn;
    char *text = texts[turn++ % 2];
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(text, 1, sizeof(texts[0]) - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

static inline const char *desk_program(void)
{
    return test_program("../examples/loan_desk");
}

/* What `make demo OUT=json` prints for `log`, in a store of its own for each log. */
static inline const char *run_desk(const char *store, const char *log, int expected_exit)
{
    int status = RUN(test_path("output"), desk_program(), "--json", store, log);
    ck_assert_msg(status == expected_exit, "loan_desk exits with %d, not %d: %s", status,
                  expected_exit, read_text(test_path("errors")));
    return read_text(test_path("output"));
}

/* The parts of the line that `--json` prints. */
#define FIGURES(counts, amounts, leads)                                                            \
    "{\"v\":1," counts ",\"amount_by_outcome\":{" amounts "}," leads "}\n"
#define COUNTS(e, s, a, d, c, u)                                                                   \
    "\"events\":" #e ",\"submitted\":" #s ",\"approved\":" #a ",\"declined\":" #d                  \
    ",\"cancelled\":" #c ",\"undecided\":" #u
#define AMOUNTS(a, d, c, u)                                                                        \
    "\"approved\":" #a ",\"declined\":" #d ",\"cancelled\":" #c ",\"undecided\":" #u
#define LEADS(p50, p90) "\"lead_days_p50\":" #p50 ",\"lead_days_p90\":" #p90

#endif
