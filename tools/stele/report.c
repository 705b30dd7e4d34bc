#include "report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "escape.h"

#define PROGRESS_INTERVAL_MS 200

static bool progress_shown;

void report_progress_end(void)
{
    if (progress_shown)
        fputs("\r\033[K", stderr);
    progress_shown = false;
}

__attribute__((format(printf, 2, 0))) static void write_line(const char *label, const char *format,
                                                             va_list arguments)
{
    char text[4096];
    int size = vsnprintf(text, sizeof(text), format, arguments);
    if (size < 0)
        return;
    if ((size_t)size >= sizeof(text))
        size = (int)sizeof(text) - 1;

    buffer line = { 0 };
    buffer_add_string(&line, label);
    escape_text(&line, text, (size_t)size, ESCAPE_FOR_PEOPLE);
    buffer_add_string(&line, "\n");
    report_progress_end();
    fwrite(line.bytes, 1, line.size, stderr);
    buffer_dispose(&line);
}

void report_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line("error: ", format, arguments);
    va_end(arguments);
}

void report_hint(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line("hint: ", format, arguments);
    va_end(arguments);
}

void report_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line("", format, arguments);
    va_end(arguments);
}

exit_code exit_code_of(stele_status status)
{
    switch (status) {
    case STELE_OK:
    case STELE_DONE:
    case STELE_TIMED_OUT: return EXIT_OK;
    case STELE_MISUSE:
    case STELE_TOO_LARGE:
    case STELE_INVALID:
    case STELE_PRECISION: return EXIT_USAGE;
    case STELE_NOT_FOUND: return EXIT_NOT_FOUND;
    case STELE_CONFLICT:
    case STELE_KEY_REUSED:
    case STELE_FENCED:
    case STELE_REFUSED: return EXIT_CONFLICT;
    case STELE_BUSY: return EXIT_BUSY;
    case STELE_CORRUPT: return EXIT_DAMAGED;
    case STELE_ARCHIVED:
    case STELE_TOMBSTONED:
    case STELE_UNSUPPORTED:
    case STELE_EPOCH:
    case STELE_MOVED:
    case STELE_READ_ONLY: return EXIT_REFUSED;
    case STELE_CANCELLED: return EXIT_INTERRUPTED;
    default: return EXIT_OTHER;
    }
}

static const char *hint_for(stele_status status)
{
    switch (status) {
    case STELE_BUSY: return "another process is writing; try again";
    case STELE_CORRUPT: return "stele verify names what is damaged";
    case STELE_FULL: return "free some space and repeat; reading still works";
    case STELE_KEY_REUSED: return "a key names one append; give other content another --key";
    case STELE_READ_ONLY: return "stele doctor says why";
    case STELE_REFUSED: return "nothing was stored; the rules that refused are the program's own";
    case STELE_UNKNOWN_OUTCOME: return "repeat it with the same --key: nothing is stored twice";
    default: return NULL;
    }
}

exit_code report_status_alone(stele_status status)
{
    const char *text = stele_error_text();
    report_error("%s", text[0] != '\0' ? text : stele_status_text(status));
    return exit_code_of(status);
}

exit_code report_status(stele_status status)
{
    exit_code code = report_status_alone(status);
    const char *hint = hint_for(status);
    if (hint != NULL)
        report_hint("%s", hint);
    return code;
}

void report_progress(const char *format, ...)
{
    static int64_t shown_at_ms;
    if (isatty(STDERR_FILENO) == 0)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (now_ms - shown_at_ms < PROGRESS_INTERVAL_MS)
        return;
    shown_at_ms = now_ms;

    report_progress_end();
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fflush(stderr);
    progress_shown = true;
}
