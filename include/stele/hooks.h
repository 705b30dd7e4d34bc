/**
 * @file stele/hooks.h
 * What a program may put under the whole library: its own allocator, and an ear for warnings.
 *
 * Both are set once, before the first store is opened, and hold for the process. The library
 * itself never prints.
 */
#ifndef STELE_HOOKS_H
#define STELE_HOOKS_H

#include <stddef.h>

#include <stele/api.h>
#include <stele/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How much a log line matters. */
typedef enum stele_log_level {
    STELE_LOG_WARNING = 1, /**< Somebody should look: an anchor is missing, a disk failed. */
    STELE_LOG_NOTICE = 2   /**< Good to know: a new epoch began, a connection was replaced. */
} stele_log_level;

/**
 * Hears what no status can say. `text` is one line without its end, escaped like
 * stele_error_text(), borrowed for the call. Called on whatever thread has something to say, maybe
 * on several at once, and maybe with locks of the store held: it may call nothing of the library
 * (a call with a store answers STELE_MISUSE), and should be quick.
 */
typedef void (*stele_log_function)(void *context, stele_log_level level, const char *text);

/**
 * Set the log hook; NULL for none, as at the start.
 *
 * @return STELE_OK; STELE_MISUSE once a store was opened.
 */
STELE_API stele_status stele_log_set(stele_log_function log, void *context);

/**
 * Where the library's own memory comes from. All three are called from any thread, with the
 * meaning of malloc(), realloc() and free(); sizes are never 0. They may call nothing of the
 * library. SQLite's memory is SQLite's (sqlite3_config()).
 */
typedef struct stele_allocator {
    size_t struct_size; /**< Set by the initializer. */
    void *(*allocate)(void *context, size_t size);
    void *(*reallocate)(void *context, void *memory, size_t size);
    void (*release)(void *context, void *memory);
    void *context;
} stele_allocator;

#define STELE_ALLOCATOR_INIT                                                                       \
    {                                                                                              \
        sizeof(stele_allocator), NULL, NULL, NULL, NULL                                            \
    }

/**
 * Set the allocator. Copied.
 *
 * @param allocator NULL means the C library's again; else all three functions.
 * @return STELE_OK; STELE_MISUSE (a function is NULL; or the library allocated memory before).
 */
STELE_API stele_status stele_allocator_set(const stele_allocator *allocator);

#ifdef __cplusplus
}
#endif

#endif
