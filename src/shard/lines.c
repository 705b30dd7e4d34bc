/* Small files of lines and a checksum, which are there whole or not at all. */
#include "shard/move.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/platform.h"

/* "stele-<kind> 1", the lines, and in 16 digits the hash of all that. */
#define SEAL_SIZE 17

/* Any line goes: a line end in it is written as %0a, and % as %25. */
static stele_status add_escaped(stele__buffer *buffer, const char *line)
{
    stele_status status = STELE_OK;
    for (const char *at = line; *at != '\0' && status == STELE_OK; at++) {
        if (*at == '\n' || *at == '%')
            status = stele__buffer_add_text(buffer, *at == '\n' ? "%0a" : "%25");
        else
            status = stele__buffer_add(buffer, at, 1);
    }
    return status == STELE_OK ? stele__buffer_add_text(buffer, "\n") : status;
}

static stele_status format_lines(stele__buffer *buffer, const char *kind, const stele__lines *lines)
{
    char head[64];
    char seal[SEAL_SIZE + 1];
    snprintf(head, sizeof(head), "stele-%.40s 1\n", kind);
    stele_status status = stele__buffer_add_text(buffer, head);
    for (size_t i = 0; i < lines->count && status == STELE_OK; i++)
        status = add_escaped(buffer, lines->line[i]);
    if (status != STELE_OK)
        return status;
    snprintf(seal, sizeof(seal), "%016" PRIx64 "\n", stele__hash(buffer->data, buffer->size));
    return stele__buffer_add(buffer, seal, SEAL_SIZE);
}

/* `path` with its last component replaced by a new name. */
static stele_status choose_new_path(const char *path, char fresh_out[STELE__SHARD_PATH_MAX])
{
    char name[64];
    const char *slash = strrchr(path, '/');
    stele_status status = stele__shard_new_name(".new-", name);
    if (status == STELE_OK)
        snprintf(fresh_out, STELE__SHARD_PATH_MAX, "%.*s/%s", (int)(slash - path), path, name);
    return status;
}

static stele_status write_small(const char *path, const stele__buffer *buffer)
{
    int descriptor = -1;
    stele_status status = stele__small_file_open(path, true, buffer->size, &descriptor);
    if (status != STELE_OK)
        return status;
    status = stele__small_file_write(descriptor, path, 0, buffer->data, buffer->size);
    stele__small_file_close(descriptor);
    return status;
}

stele_status stele__lines_write(const char *path, const char *kind, const stele__lines *lines)
{
    char fresh[STELE__SHARD_PATH_MAX];
    stele__buffer buffer = { 0 };
    stele_status status = format_lines(&buffer, kind, lines);
    if (status == STELE_OK && buffer.size >= sizeof(lines->text))
        status = stele__fail(STELE_TOO_LARGE, "'%s' would have %zu bytes", path, buffer.size);
    if (status == STELE_OK)
        status = choose_new_path(path, fresh);
    if (status == STELE_OK) {
        status = write_small(fresh, &buffer);
        if (status == STELE_OK)
            status = stele__rename(fresh, path);
        if (status != STELE_OK) {
            char error[STELE__ERROR_SIZE];
            stele__keep_error(error);
            (void)stele__remove_file(fresh);
            stele__restore_error(error);
        }
    }
    stele__buffer_dispose(&buffer);
    return status == STELE_OK ? stele__sync_folder(path) : status;
}

static char *unescape(char *from)
{
    char *out = from;
    for (char *at = from; *at != '\0'; at++) {
        if (strncmp(at, "%0a", 3) == 0 || strncmp(at, "%25", 3) == 0) {
            *out++ = at[1] == '0' ? '\n' : '%';
            at += 2;
        } else {
            *out++ = *at;
        }
    }
    *out = '\0';
    return from;
}

/* False when it isn't what format_lines() made. */
static bool parse_lines(size_t size, const char *kind, size_t count, stele__lines *lines)
{
    char head[64];
    char seal[SEAL_SIZE + 1];
    int head_size = snprintf(head, sizeof(head), "stele-%.40s 1\n", kind);
    if (size < (size_t)head_size + SEAL_SIZE || memchr(lines->text, '\0', size) != NULL
        || strncmp(lines->text, head, (size_t)head_size) != 0)
        return false;
    size -= SEAL_SIZE;
    snprintf(seal, sizeof(seal), "%016" PRIx64 "\n", stele__hash(lines->text, size));
    if (memcmp(lines->text + size, seal, SEAL_SIZE) != 0)
        return false;
    lines->text[size] = '\0';
    char *at = lines->text + head_size;
    for (lines->count = 0; *at != '\0' && lines->count < STELE__LINES_MAX; lines->count++) {
        char *end = strchr(at, '\n');
        if (end == NULL)
            return false;
        *end = '\0';
        lines->line[lines->count] = unescape(at);
        at = end + 1;
    }
    return *at == '\0' && lines->count == count;
}

stele_status stele__lines_read(const char *path, const char *kind, size_t count,
                               stele__lines *lines_out)
{
    stele__file_facts facts;
    size_t size = 0;
    stele_status status = stele__look_at_file(path, &facts);
    if (status != STELE_OK)
        return status;
    if (!facts.exists)
        return STELE_DONE;
    if (!facts.regular || facts.size >= (int64_t)sizeof(lines_out->text))
        return stele__fail(STELE_CORRUPT, "'%s' is damaged", path);
    status = stele__file_peek(path, lines_out->text, sizeof(lines_out->text) - 1, &size);
    if (status == STELE_NOT_FOUND) /* it went just now */
        return STELE_DONE;
    if (status != STELE_OK)
        return status;
    lines_out->text[size] = '\0';
    if (!parse_lines(size, kind, count, lines_out))
        return stele__fail(STELE_CORRUPT, "'%s' is damaged", path);
    return STELE_OK;
}
