/* Where in a payload something is, as stele_flaw says it: lines[0].qty */
#ifndef STELE_CODEC_PATH_H
#define STELE_CODEC_PATH_H

#include <stddef.h>

#include <stele/type.h>

enum {
    STELE__PATH_LEVELS = 64 /* remembered; of a deeper path those in its middle are not */
};

/* A member by its key, or an element by its index. */
typedef struct stele__path_step {
    const char *key; /* NULL for an index */
    size_t number;   /* the size of the key, or the index */
} stele__path_step;

/* The way down to where one is. Keys are borrowed until they are popped. */
typedef struct stele__path {
    size_t depth;
    size_t known; /* from here on, the levels that aren't among the first are known */
    stele__path_step steps[STELE__PATH_LEVELS];
} stele__path;

void stele__path_init(stele__path *path);
void stele__path_push_key(stele__path *path, const char *key, size_t size);
void stele__path_push_index(stele__path *path, size_t index);
void stele__path_pop(stele__path *path);

/*
 * Write the path; the middle of a long one is "...". A key that would be mistaken for more than
 * one, or that is empty, stands as ["a.b"]; what no terminal should get is written as \xNN.
 */
void stele__path_write(const stele__path *path, char out[sizeof((stele_flaw *)0)->path]);

/* Fill in a flaw, unless it is NULL. No path is the whole. */
void stele__flaw_set(stele_flaw *flaw_out, size_t offset, const stele__path *path);

#endif
