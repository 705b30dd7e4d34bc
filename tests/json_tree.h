/**
 * @file tests/json_tree.h
 * Trees of cJSON in tests, all memory counted. main() calls count_tree_memory() first;
 * dispose_printed() is the teardown.
 */
#ifndef STELE_TESTS_JSON_TREE_H
#define STELE_TESTS_JSON_TREE_H

#include <stele/tree.h>

#include "resources.h"

#include <cjson/cJSON.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cJSON's memory, of which one allocation may fail. */
static struct {
    int64_t calls;
    int64_t blocks;
    int64_t fail; /* the call that gets none; 0: all get some */
} tree_memory;

static inline void *allocate_for_tree(size_t size)
{
    if (++tree_memory.calls == tree_memory.fail)
        return NULL;
    void *memory = malloc(size);
    tree_memory.blocks += memory != NULL;
    return memory;
}

static inline void release_for_tree(void *memory)
{
    tree_memory.blocks -= memory != NULL;
    free(memory);
}

static stele_buffer printed;

static inline void dispose_printed(void)
{
    stele_buffer_dispose(&printed);
    ck_assert_int_eq(tree_memory.blocks, 0);
    ck_assert_int_eq(atomic_load(&own.blocks), 0);
}

static inline cJSON *parse(const char *text)
{
    cJSON *tree = NULL;
    stele_flaw flaw;
    stele_status status = stele_tree_parse(text, strlen(text), NULL, &tree, &flaw);
    ck_assert_msg(status == STELE_OK, "%s: %s", text, stele_error_text());
    ck_assert_str_eq(flaw.path, "");
    ck_assert_uint_eq(flaw.offset, 0);
    return tree;
}

/* Print a tree and end it. */
static inline stele_status print_and_delete(cJSON *tree)
{
    printed.size = 0;
    stele_status status = stele_tree_print(tree, &printed);
    if (status == STELE_OK)
        ck_assert_uint_eq(strlen(printed.data), printed.size);
    else
        ck_assert_uint_eq(printed.size, 0);
    cJSON_Delete(tree);
    return status;
}

/* `[[[...` of the given depth, closed again. */
static inline char *nest(size_t depth)
{
    char *text = malloc(2 * depth + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
    return text;
}

static inline void count_tree_memory(void)
{
    count_own_memory();
    cJSON_InitHooks(&(cJSON_Hooks){ allocate_for_tree, release_for_tree });
}

#endif
