/**
 * @file stele/tree.h
 * JSON as a cJSON tree, for payloads of a shape that no table describes.
 *
 * cJSON alone rounds long integers, cuts strings at \u0000, takes trailing junk and prints by the
 * locale. Here the strict gate of stele/json.h comes first, numbers that a tree can't hold are
 * refused, and printing is ours. Payloads that are stored never take this way.
 *
 * Threads. A tree is used by one thread at a time. The memory is cJSON's: cJSON_InitHooks().
 */
#ifndef STELE_TREE_H
#define STELE_TREE_H

#include <stddef.h>

#include <stele/api.h>
#include <stele/buffer.h>
#include <stele/json.h>
#include <stele/status.h>
#include <stele/type.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

/**
 * Build the tree of a text.
 *
 * @param options  NULL means STELE_JSON_OPTIONS_INIT. More than 1000 levels are too many, whatever
 *                 `depth_max` says.
 * @param tree_out Receives the tree; end it with cJSON_Delete(). NULL unless STELE_OK.
 * @param flaw_out Says where, on STELE_PRECISION and STELE_INVALID; else it is empty. May be NULL.
 * @return STELE_OK; STELE_INVALID, STELE_TOO_LARGE as stele_json_check(); STELE_PRECISION (an
 *         integer beyond +-(2^53 - 1), a number that a double can't hold but as infinity or 0);
 *         STELE_MISUSE (a NULL, or options of no released form); STELE_NO_MEMORY.
 */
STELE_API stele_status stele_tree_parse(const void *text, size_t size,
                                        const stele_json_options *options, struct cJSON **tree_out,
                                        stele_flaw *flaw_out);

/**
 * Print a tree, whoever built it: strict JSON without blanks that stele_tree_parse() reads as an
 * equal tree. A number is `valuedouble`, in the fewest digits that are read back as it, without a
 * point or exponent if it is an integer below 2^53. A cJSON_Raw is put in as it is.
 *
 * @param buffer Receives the text at its end, and a NUL that isn't counted.
 * @return STELE_OK; STELE_INVALID (a key or string that is not UTF-8, a key twice, a key or string
 *         that is NULL, NaN or an infinity, a cJSON_Raw that is not strict JSON); STELE_TOO_LARGE
 *         (more than 64 levels or 16 MiB, and so a ring of items); STELE_MISUSE (a NULL);
 *         STELE_NO_MEMORY. On failure the buffer is as it was.
 */
STELE_API stele_status stele_tree_print(const struct cJSON *tree, stele_buffer *buffer);

#ifdef __cplusplus
}
#endif

#endif
