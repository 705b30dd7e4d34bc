/*
 * The first levels of a path are kept, and of deeper ones the last, in a ring: what is deeper than
 * any real payload costs no memory. Going up from there again, levels are missing in between.
 */
#include "codec/path.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

enum {
    PATH_SIZE = sizeof((stele_flaw *)0)->path,
    PATH_FIRST_LEVELS = STELE__PATH_LEVELS / 2,
    PATH_LAST_LEVELS = STELE__PATH_LEVELS - PATH_FIRST_LEVELS,
    PATH_GAP_SIZE = 3, /* "..." */
    PATH_HEAD_SIZE = (PATH_SIZE - 1 - PATH_GAP_SIZE) / 2,
    PATH_TAIL_SIZE = PATH_SIZE - 1 - PATH_GAP_SIZE - PATH_HEAD_SIZE
};

/* What is written comes here a byte at a time; the middle of too much is overwritten. */
typedef struct path_output {
    size_t size;
    char first[PATH_SIZE - 1]; /* all of it, as long as it fits */
    char last[PATH_TAIL_SIZE]; /* a ring */
} path_output;

void stele__path_init(stele__path *path)
{
    path->depth = 0;
    path->known = PATH_FIRST_LEVELS;
}

static size_t find_path_step(size_t level)
{
    if (level < PATH_FIRST_LEVELS)
        return level;
    return PATH_FIRST_LEVELS + (level - PATH_FIRST_LEVELS) % PATH_LAST_LEVELS;
}

static void push_path_step(stele__path *path, const char *key, size_t number)
{
    path->steps[find_path_step(path->depth)] = (stele__path_step){ key, number };
    path->depth++;
    if (path->depth > path->known + PATH_LAST_LEVELS)
        path->known = path->depth - PATH_LAST_LEVELS;
}

void stele__path_push_key(stele__path *path, const char *key, size_t size)
{
    push_path_step(path, key == NULL ? "" : key, key == NULL ? 0 : size);
}

void stele__path_push_index(stele__path *path, size_t index)
{
    push_path_step(path, NULL, index);
}

void stele__path_pop(stele__path *path)
{
    assert(path->depth > 0);
    path->depth--;
    if (path->known > path->depth)
        path->known = path->depth > PATH_FIRST_LEVELS ? path->depth : PATH_FIRST_LEVELS;
}

/* Writing */

static void put_path_byte(path_output *output, char byte)
{
    if (output->size < sizeof output->first)
        output->first[output->size] = byte;
    output->last[output->size % PATH_TAIL_SIZE] = byte;
    output->size++;
}

static void put_path_text(path_output *output, const char *text)
{
    for (; *text != '\0'; text++)
        put_path_byte(output, *text);
}

/* One character of a key; returns how many bytes it has. */
static size_t put_path_character(path_output *output, const unsigned char *at, size_t size)
{
    size_t sequence = stele__utf8_sequence(at, size);
    bool control = *at < 0x20 || *at == 0x7f || (*at == 0xc2 && sequence == 2 && at[1] < 0xa0);
    if (sequence == 0 || control) {
        char escape[8];
        snprintf(escape, sizeof escape, "\\x%02x", (unsigned)*at);
        put_path_text(output, escape);
        return 1;
    }
    for (size_t i = 0; i < sequence; i++)
        put_path_byte(output, (char)at[i]);
    return sequence;
}

static bool is_plain_key(const stele__path_step *step)
{
    for (size_t i = 0; i < step->number; i++) {
        if (strchr(".[]\"", step->key[i]) != NULL) /* finds a NUL, too */
            return false;
    }
    return step->number > 0;
}

static void put_path_step(path_output *output, const stele__path_step *step)
{
    if (step->key == NULL) {
        char index[32];
        snprintf(index, sizeof index, "[%zu]", step->number);
        put_path_text(output, index);
        return;
    }
    bool plain = is_plain_key(step);
    if (!plain)
        put_path_text(output, "[\"");
    else if (output->size > 0)
        put_path_byte(output, '.');
    for (size_t i = 0; i < step->number;)
        i += put_path_character(output, (const unsigned char *)step->key + i, step->number - i);
    if (!plain)
        put_path_text(output, "\"]");
}

static bool continues_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Both ends of what didn't fit, without halves of characters. */
static void join_path_ends(const path_output *output, char *out)
{
    size_t head = PATH_HEAD_SIZE;
    while (continues_character(output->first[head]))
        head--;
    memcpy(out, output->first, head);
    memcpy(out + head, "...", PATH_GAP_SIZE);
    char *at = out + head + PATH_GAP_SIZE;

    size_t from = output->size - PATH_TAIL_SIZE;
    while (from < output->size && continues_character(output->last[from % PATH_TAIL_SIZE]))
        from++;
    for (; from < output->size; from++)
        *at++ = output->last[from % PATH_TAIL_SIZE];
    *at = '\0';
}

void stele__path_write(const stele__path *path, char out[PATH_SIZE])
{
    path_output output;
    output.size = 0;
    for (size_t level = 0; level < path->depth; level++) {
        if (level >= PATH_FIRST_LEVELS && level < path->known) {
            put_path_text(&output, "...");
            level = path->known;
            if (level == path->depth)
                break;
        }
        put_path_step(&output, &path->steps[find_path_step(level)]);
    }
    if (output.size > sizeof output.first) {
        join_path_ends(&output, out);
        return;
    }
    memcpy(out, output.first, output.size);
    out[output.size] = '\0';
}

void stele__flaw_set(stele_flaw *flaw_out, size_t offset, const stele__path *path)
{
    if (flaw_out == NULL)
        return;
    flaw_out->offset = offset;
    flaw_out->path[0] = '\0';
    if (path != NULL)
        stele__path_write(path, flaw_out->path);
}
