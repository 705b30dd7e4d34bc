/* Failing with a reason: every failure is born here, with names and numbers. */
#ifndef STELE_BASE_FAILURE_H
#define STELE_BASE_FAILURE_H

#include <stdarg.h>
#include <stddef.h>

#include <stele/status.h>

/* Room for a reason; a longer one is cut. */
#define STELE__ERROR_SIZE 512

/*
 * Keep the reason for this thread's stele_error_text() and return `status`. A byte of an argument
 * that is not printable ASCII or valid UTF-8 ends up escaped as \xNN. Arguments may point into
 * the text kept before.
 */
__attribute__((format(printf, 2, 3))) stele_status stele__fail(stele_status status,
                                                               const char *format, ...);

/* The same, with `context` put before the reason kept: "line 7: no such thing". */
__attribute__((format(printf, 2, 3))) stele_status stele__fail_within(stele_status status,
                                                                      const char *format, ...);

/* What clang's analyzer can't see from outside: that the answer is the status given. */
#ifdef __clang_analyzer__
#define stele__fail(status, ...) (stele__fail(status, __VA_ARGS__), (status))
#endif

/* Keep this thread's text, and put it back: for clean-up that may fail on its own. */
void stele__keep_error(char text_out[STELE__ERROR_SIZE]);
void stele__restore_error(const char *text);

/* Format into `out`, escaped in the same way and cut to fit. Keeps nothing. */
__attribute__((format(printf, 3, 0))) void
stele__format_printable(char *out, size_t capacity, const char *format, va_list arguments);

#endif
