/* Statuses, their sentences, and the reason for this thread's last failure. */
#include "base/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

typedef struct status_words {
    const char *name;
    const char *text;
} status_words;

#define STATUS_FIRST STELE_MOVED
#define STATUS_LAST  STELE_TIMED_OUT

/* From STATUS_FIRST up. */
static const status_words status_table[] = {
    { "MOVED", "the shard is somewhere else now" },
    { "REFUSED", "the program's own rules refused the command" },
    { "READ_ONLY", "the store was opened for reading" },
    { "UNKNOWN_OUTCOME", "stored or not: repeat with the same key to find out" },
    { "CLOSED", "the store was closed" },
    { "CANCELLED", "cancelled by the caller" },
    { "EPOCH", "the position belongs to another timeline of this file" },
    { "FENCED", "another owner took over" },
    { "PRECISION", "the number would have been rounded" },
    { "INVALID", "the input can't be decoded" },
    { "UNKNOWN_TYPE", "the event type isn't registered" },
    { "UNSUPPORTED", "not supported by this library or in this mode" },
    { "CORRUPT", "the file is damaged or is not a stele file" },
    { "IO", "the disk, or the system below, failed" },
    { "FULL", "no space is left for writing" },
    { "NO_MEMORY", "an allocation failed" },
    { "TOO_LARGE", "beyond a stated limit" },
    { "MISUSE", "an argument breaks the contract" },
    { "KEY_REUSED", "the idempotency key came before with other content" },
    { "TOMBSTONED", "the stream is closed for good" },
    { "ARCHIVED", "the stream is archived" },
    { "NOT_FOUND", "no such thing" },
    { "BUSY", "another writer held the file for too long" },
    { "CONFLICT", "the stream is not at the expected version" },
    { "OK", "done as asked" },
    { "DONE", "no more records" },
    { "TIMED_OUT", "the time to wait is over" },
};

_Static_assert(sizeof(status_table) / sizeof(status_table[0]) == STATUS_LAST - STATUS_FIRST + 1,
               "each status has its words");

static _Thread_local char error_kept[STELE__ERROR_SIZE];

const char *stele_status_text(stele_status status)
{
    if (status < STATUS_FIRST || status > STATUS_LAST)
        return "not a status";
    return status_table[status - STATUS_FIRST].text;
}

const char *stele_status_name(stele_status status)
{
    if (status < STATUS_FIRST || status > STATUS_LAST)
        return "UNKNOWN";
    return status_table[status - STATUS_FIRST].name;
}

const char *stele_error_text(void)
{
    return error_kept;
}

/* Copy `text` to `out` so that printing it can do no harm to a terminal or a log. */
static void write_printable(char *out, size_t capacity, const char *text, size_t text_size)
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;

    for (size_t i = 0; i < text_size;) {
        const unsigned char *at = (const unsigned char *)text + i;
        size_t sequence = stele__utf8_sequence(at, text_size - i);
        bool control = *at < 0x20 || *at == 0x7f || (*at == 0xc2 && sequence == 2 && at[1] < 0xa0);
        if (sequence == 0 || control) {
            if (used + 4 >= capacity)
                break;
            out[used++] = '\\';
            out[used++] = 'x';
            out[used++] = digits[*at >> 4];
            out[used++] = digits[*at & 15];
            i++;
        } else {
            if (used + sequence >= capacity)
                break;
            memcpy(out + used, at, sequence);
            used += sequence;
            i += sequence;
        }
    }
    out[used] = '\0';
}

/* What `format` makes, and `suffix` after it unless that is NULL, escaped. */
__attribute__((format(printf, 3, 0))) static void format_escaped(char *out, size_t capacity,
                                                                 const char *format,
                                                                 va_list arguments,
                                                                 const char *suffix)
{
    char text[2 * STELE__ERROR_SIZE + 16];
    int size = vsnprintf(text, sizeof(text), format, arguments);
    if (size < 0)
        size = 0;
    size_t used = (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1;
    if (suffix != NULL && sizeof(text) - used > 3) {
        int more = snprintf(text + used, sizeof(text) - used, ": %s", suffix);
        if (more > 0)
            used += (size_t)more < sizeof(text) - used ? (size_t)more : sizeof(text) - used - 1;
    }
    write_printable(out, capacity, text, used);
}

void stele__format_printable(char *out, size_t capacity, const char *format, va_list arguments)
{
    format_escaped(out, capacity, format, arguments, NULL);
}

stele_status(stele__fail)(stele_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_escaped(error_kept, sizeof(error_kept), format, arguments, NULL);
    va_end(arguments);
    return status;
}

stele_status stele__fail_within(stele_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_escaped(error_kept, sizeof(error_kept), format, arguments, error_kept);
    va_end(arguments);
    return status;
}

void stele__keep_error(char text_out[STELE__ERROR_SIZE])
{
    snprintf(text_out, STELE__ERROR_SIZE, "%s", error_kept);
}

void stele__restore_error(const char *text)
{
    snprintf(error_kept, sizeof(error_kept), "%s", text);
}
