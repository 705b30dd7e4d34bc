/**
 * @file tests/cli_support.h
 * What the tests of the command line tool share: running it, and looking at what it said.
 *
 * Whoever includes this defines _XOPEN_SOURCE 700 first. Unless a launch says otherwise the tool
 * finds in STELE_STORE the path store.db in the folder of the running test.
 */
#ifndef STELE_TESTS_CLI_SUPPORT_H
#define STELE_TESTS_CLI_SUPPORT_H

#include "support.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <stele/json.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define ARGUMENTS(...)                                                                             \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

/** How to run the tool. What is left out is as a script has it. */
typedef struct launch {
    const char *const *arguments;
    const char *input;     /**< Standard input; NULL: nothing. */
    size_t input_size;     /**< 0: a string. */
    int input_from;        /**< A descriptor to have as standard input instead; 0: none. */
    unsigned columns;      /**< Standard output is a terminal so wide; 0: a file. */
    bool no_store;         /**< STELE_STORE isn't set. */
    void (*prepare)(void); /**< Called in the child just before the tool. */
} launch;

/** How it went. */
typedef struct ran {
    int code; /**< Its exit code, or 256 + the signal that killed it. */
    char *out;
    size_t out_size;
    char *err;
    struct ran *next;
} ran;

static ran *all_runs;

/* --- Files --- */

static inline char *read_whole(const char *path, size_t *size_out)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "can't open %s", path);
    size_t size = 0;
    size_t capacity = 4096;
    char *bytes = malloc(capacity);
    ck_assert_ptr_nonnull(bytes);
    for (size_t got; (got = fread(bytes + size, 1, capacity - size - 1, file)) > 0;) {
        size += got;
        if (capacity - size < 2) {
            capacity *= 2;
            bytes = realloc(bytes, capacity);
            ck_assert_ptr_nonnull(bytes);
        }
    }
    fclose(file);
    bytes[size] = '\0';
    if (size_out != NULL)
        *size_out = size;
    return bytes;
}

static inline void write_whole(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "can't create %s", path);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

/** A file in the test's folder. */
static inline const char *make_file(const char *name, const char *text)
{
    write_whole(test_path(name), text, strlen(text));
    return test_path(name);
}

/* --- Running --- */

static inline void become_tool(const launch *how)
{
    const char *arguments[32] = { "stele" };
    size_t count = 1;
    for (const char *const *from = how->arguments; *from != NULL; from++)
        arguments[count++] = *from;
    arguments[count] = NULL;
    if (how->no_store)
        unsetenv("STELE_STORE");
    else
        setenv("STELE_STORE", test_path("store.db"), 1);
    if (how->prepare != NULL)
        how->prepare();
    execv(test_tool(), (char *const *)arguments);
    _exit(99);
}

/** Put `descriptor` in place of the standard one `standard`. In a child. */
static inline void put_in_place(int descriptor, int standard)
{
    if (descriptor == standard)
        return;
    if (descriptor < 0 || dup2(descriptor, standard) < 0)
        _exit(98);
    close(descriptor);
}

static inline int open_in_child(const char *path, int flags)
{
    return open(path, flags, 0600);
}

/* A signal for the tool is not to run Check's handler, which ends the whole test, before the tool
 * is there. */
static inline void hold_signals(sigset_t *before)
{
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGINT);
    sigprocmask(SIG_BLOCK, &held, before);
}

static inline void let_signals_in(const sigset_t *before)
{
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigprocmask(SIG_SETMASK, before, NULL);
}

/** Start the tool with standard output at `output`. @return Its process. */
static inline pid_t start_tool(const launch *how, int output)
{
    const char *input = "/dev/null";
    if (how->input != NULL) {
        size_t size = how->input_size > 0 ? how->input_size : strlen(how->input);
        input = test_path("run.in");
        write_whole(input, how->input, size);
    }
    const char *errors = test_path("run.err");
    sigset_t before;
    fflush(NULL);
    hold_signals(&before);
    pid_t child = fork();
    if (child != 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        ck_assert_int_ge(child, 0);
        return child;
    }
    let_signals_in(&before);
    put_in_place(output, STDOUT_FILENO);
    put_in_place(how->input_from > 0 ? how->input_from : open_in_child(input, O_RDONLY),
                 STDIN_FILENO);
    put_in_place(open_in_child(errors, O_WRONLY | O_CREAT | O_TRUNC), STDERR_FILENO);
    become_tool(how);
    return 0;
}

static inline int wait_for(pid_t child)
{
    int outcome = 0;
    while (waitpid(child, &outcome, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    return WIFEXITED(outcome) ? WEXITSTATUS(outcome) : 256 + WTERMSIG(outcome);
}

static inline ran *note_run(int code, char *out, size_t out_size)
{
    ran *result = calloc(1, sizeof(*result));
    ck_assert_ptr_nonnull(result);
    result->code = code;
    result->out = out;
    result->out_size = out_size;
    result->err = read_whole(test_path("run.err"), NULL);
    result->next = all_runs;
    all_runs = result;
    return result;
}

/* Run with standard output a terminal, and hand out what arrived there. */
static inline ran *run_on_terminal(const launch *how)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(slave, 0);
    struct termios modes;
    ck_assert_int_eq(tcgetattr(slave, &modes), 0);
    modes.c_oflag &= ~(tcflag_t)OPOST; /* what is written arrives as it is */
    ck_assert_int_eq(tcsetattr(slave, TCSANOW, &modes), 0);
    struct winsize size = { .ws_row = 24, .ws_col = (unsigned short)how->columns };
    ck_assert_int_eq(ioctl(slave, TIOCSWINSZ, &size), 0);
    fcntl(master, F_SETFD, FD_CLOEXEC);
    pid_t child = start_tool(how, slave);
    close(slave);

    size_t count = 0;
    size_t capacity = 65536;
    char *out = malloc(capacity);
    ck_assert_ptr_nonnull(out);
    ssize_t got;
    while (capacity - count > 1 && (got = read(master, out + count, capacity - count - 1)) > 0)
        count += (size_t)got;
    out[count] = '\0';
    close(master);
    return note_run(wait_for(child), out, count);
}

/** Run the tool to its end. */
static inline const ran *run_tool(const launch *how)
{
    if (how->columns > 0)
        return run_on_terminal(how);
    const char *path = test_path("run.out");
    int output = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(output, 0);
    pid_t child = start_tool(how, output);
    close(output);
    int code = wait_for(child);
    size_t size;
    char *out = read_whole(path, &size);
    return note_run(code, out, size);
}

#define STELE(...)      run_tool(&(launch){ .arguments = ARGUMENTS(__VA_ARGS__) })
#define FEED(text, ...) run_tool(&(launch){ .arguments = ARGUMENTS(__VA_ARGS__), .input = (text) })
#define WIDE(wide, ...)                                                                            \
    run_tool(&(launch){ .arguments = ARGUMENTS(__VA_ARGS__), .columns = (wide) })
#define WITHOUT_STORE(...)                                                                         \
    run_tool(&(launch){ .arguments = ARGUMENTS(__VA_ARGS__), .no_store = true })

/** Forget the runs and the files of the test. The teardown of all. */
static inline void forget_runs(void)
{
    while (all_runs != NULL) {
        ran *next = all_runs->next;
        free(all_runs->out);
        free(all_runs->err);
        free(all_runs);
        all_runs = next;
    }
    remove_test_folder();
}

/* --- Looking at the outcome --- */

#define assert_code(result, expected)                                                              \
    ck_assert_msg((result)->code == (expected), "exit code %d, not %d\nout: %s\nerr: %s",          \
                  (result)->code, (expected), (result)->out, (result)->err)

/** It ended with `expected`, and the first line of what it said is `error: ...` with `part`. */
#define assert_refused(result, expected, part)                                                     \
    do {                                                                                           \
        const ran *result_ = (result);                                                             \
        assert_code(result_, expected);                                                            \
        ck_assert_msg(strncmp(result_->err, "error: ", 7) == 0, "no error: %s", result_->err);     \
        assert_has(result_->err, part);                                                            \
    } while (0)

#define assert_has(text, part)                                                                     \
    ck_assert_msg(strstr((text), (part)) != NULL, "'%s' lacks '%s'", (text), (part))

#define assert_lacks(text, part)                                                                   \
    ck_assert_msg(strstr((text), (part)) == NULL, "'%s' has '%s'", (text), (part))

/** It succeeded silently, and printed `expected`. */
#define assert_out(result, expected)                                                               \
    do {                                                                                           \
        const ran *result_ = (result);                                                             \
        assert_code(result_, 0);                                                                   \
        ck_assert_str_eq(result_->err, "");                                                        \
        ck_assert_str_eq(result_->out, (expected));                                                \
    } while (0)

static inline size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

/** `text` is one line of strict JSON. */
static inline void assert_json(const char *text)
{
    ck_assert_msg(stele_json_check(text, strlen(text), NULL) == STELE_OK, "not JSON: %s", text);
}

/** Each line of `text` is strict JSON. */
static inline void assert_json_lines(const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        ck_assert_msg(stele_json_check(text, size, NULL) == STELE_OK, "not JSON: %.*s", (int)size,
                      text);
        text += size + (text[size] == '\n');
    }
}

/* --- A store to look at --- */

static inline void make_store(void)
{
    assert_code(STELE("init"), 0);
}

#define LOAN_TIME "2026-05-17T09:30:00.25Z"

/** Five events in three streams of two categories, with times of their own. */
static inline void make_loans(void)
{
    static const char lines[] =
        "{\"stream\":\"loan-1\",\"type\":\"Asked\",\"time\":\"2026-05-17T09:30:00.25Z\","
        "\"data\":{\"amount\":100},\"metadata\":{\"by\":\"ann\"},\"id\":\"k-1\"}\n"
        "{\"stream\":\"loan-2\",\"type\":\"Asked\",\"time\":\"2026-05-17T09:31:00Z\",\"data\":2}\n"
        "{\"stream\":\"loan-1\",\"type\":\"Granted\",\"time\":\"2026-05-17T09:32:00Z\","
        "\"data\":\"tab\\tand \\\\ \\\"quote\\\"\",\"schema_version\":2}\n"
        "{\"stream\":\"desk-7\",\"type\":\"Opened\",\"time\":\"2026-05-17T09:33:00Z\"}\n"
        "{\"stream\":\"loan-1\",\"type\":\"Paid\",\"time\":\"2026-05-17T09:34:00Z\",\"data\":[]}\n";
    make_store();
    const ran *result = FEED(lines, "import", "-");
    assert_code(result, 0);
    ck_assert_str_eq(result->out, "lines\t5\nappended\t5\nduplicates\t0\nrejected\t0\n");
}

/* Standard input and error are a terminal, on which `answer` was typed. */
static inline const ran *answer_on_terminal(const char *const *arguments, const char *answer)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(slave, 0);
    ck_assert_int_eq(write(master, answer, strlen(answer)), (ssize_t)strlen(answer));
    char *out = NULL;
    fflush(NULL);
    launch how = { .arguments = arguments };
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(slave, STDIN_FILENO);
        dup2(slave, STDERR_FILENO);
        int output = open(test_path("run.out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(output, STDOUT_FILENO);
        become_tool(&how);
    }
    int code = wait_for(child);
    static char shown[4096];
    fcntl(master, F_SETFL, O_NONBLOCK);
    size_t shown_size = 0;
    ssize_t size;
    while (shown_size < sizeof(shown) - 1
           && (size = read(master, shown + shown_size, sizeof(shown) - 1 - shown_size)) > 0)
        shown_size += (size_t)size;
    shown[shown_size] = '\0';
    close(slave);
    close(master);
    size_t out_size;
    out = read_whole(test_path("run.out"), &out_size);
    write_whole(test_path("run.err"), shown, strlen(shown));
    return note_run(code, out, out_size);
}

#endif
