/**
 * @file stele/upcast.h
 * Upcasters: what turns an event as it was once stored into what the program knows now, on reading.
 * What is stored never changes.
 *
 * An upcaster takes events of one (type, schema version) and emits 0, 1 or more others, each of a
 * (type, schema version) that it has declared. What it emits is checked as an append would be, and
 * goes on to the upcaster of its own type and version, if there is one: so they chain. All parts of
 * a record keep its position, and come from one stele_record_decode().
 *
 * A chain ends where no upcaster takes what was emitted: that is then decoded by its table. So the
 * outputs are those of the newest code, whatever versions are registered as tables.
 *
 * It is a pure function of the payload and the facts of the record: it reads no clock, no file and
 * no store, and is called on any thread, several at once. A store that is used in it answers
 * STELE_MISUSE.
 */
#ifndef STELE_UPCAST_H
#define STELE_UPCAST_H

#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/eventstore.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The longest chain of upcasters. */
#define STELE_UPCAST_STEP_MAX 32
/** Most parts that a record may become, at any step; in all steps together
 * STELE_UPCAST_STEP_MAX times as many may be emitted. */
#define STELE_UPCAST_PART_MAX 1000

/** What an event is, or becomes. */
typedef struct stele_type_version {
    const char *type;
    int64_t schema_version;
} stele_type_version;

/** The event at hand. Lent for the call. */
typedef struct stele_upcast_input {
    const stele_record *record; /**< As stored: its stream, version, position, times, metadata. */
    const char *type;           /**< Of this step. */
    int64_t schema_version;
    const char *codec; /**< Of `data`. */
    const void *data;  /**< The payload of this step; a NUL follows it. */
    size_t data_size;
    const void *value; /**< The payload as a struct of `from`, or NULL without one. */
} stele_upcast_input;

/** Takes what an upcaster emits. Lent for the call. */
typedef struct stele_upcast stele_upcast;

/** An upcaster. */
typedef struct stele_upcaster {
    size_t struct_size;     /**< Set by the initializer. */
    const char *type;       /**< It takes events of this type (not an alias) ... */
    int64_t schema_version; /**< ... and schema version. */
    const stele_type_version
        *outputs;        /**< What it may emit, each once; NULL: the same type, one version on. */
    size_t output_count; /**< 0 with `outputs` set: it drops all events. At most 1000. */
    const stele_type *from; /**< Decode the payload by this table for it. NULL: bytes suffice. */
    /** STELE_OK; or why it can't, negative. The reason is stele_upcast_fail()'s, or what last
     * failed in the library during the call. Anything that is no failure is STELE_INVALID. */
    stele_status (*upcast)(void *context, const stele_upcast_input *input, stele_upcast *upcast);
    void *context;
} stele_upcaster;

#define STELE_UPCASTER_INIT                                                                        \
    {                                                                                              \
        sizeof(stele_upcaster), NULL, 0, NULL, 0, NULL, NULL, NULL                                 \
    }

/** Set `upcaster` to the defaults, as STELE_UPCASTER_INIT does. For bindings. NULL is allowed. */
STELE_API void stele_upcaster_init(stele_upcaster *upcaster);

/**
 * Register an upcaster, by the rules of stele/codec.h.
 *
 * @param upcaster Copied, names too, but not `from`.
 * @return STELE_OK; STELE_MISUSE (a NULL; a bad name; a schema version below 1; one from there is
 *         registered; a type is an alias; a wrong table; it would close a cycle, which the text
 *         spells out, or make a chain longer than STELE_UPCAST_STEP_MAX; a frozen registry);
 *         STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_store_register_upcaster(stele_store *store,
                                                     const stele_upcaster *upcaster);

/** Bytes to emit. All pointers are borrowed for the call. */
typedef struct stele_upcast_output {
    const char *type;       /**< NULL: the only output declared. */
    int64_t schema_version; /**< 0: that of the only output declared of this type. */
    const char *codec;      /**< NULL: the input's. */
    const void *data;
    size_t data_size;
} stele_upcast_output;

/**
 * Emit an event as bytes.
 *
 * @return STELE_OK; STELE_INVALID (no output was declared as such; the payload isn't one of its
 *         codec); STELE_TOO_LARGE (beyond STELE_UPCAST_PART_MAX, or the parts together beyond 64
 *         MiB); what else its codec says; STELE_MISUSE (a NULL; a bad name; a type or version left
 *         open though several are declared); STELE_NO_MEMORY. After a failure nothing more is
 *         taken, and this is what the record's decoding answers, whatever the upcaster returns.
 */
STELE_API stele_status stele_upcast_emit(stele_upcast *upcast, const stele_upcast_output *output);

/**
 * Emit a value of `type`, encoded in the input's codec (one that encodes nothing: in the store's
 * write codec).
 *
 * @return As stele_upcast_emit(), and as stele_type_encode().
 */
STELE_API stele_status stele_upcast_emit_value(stele_upcast *upcast, const stele_type *type,
                                               const void *value);

/**
 * Say in words why an event can't be upcast; cut after 400 bytes. The first reason counts, and the
 * record can't be decoded, whatever the upcaster returns; another failure than STELE_INVALID may be
 * returned after it.
 *
 * @return STELE_INVALID; the failure of an emission before it; STELE_MISUSE (`upcast` NULL).
 */
STELE_API stele_status stele_upcast_fail(stele_upcast *upcast, const char *reason);

/* --- Trying all of them --- */

/** How to lint. Start from the initializer; fields are only ever added. */
typedef struct stele_lint_options {
    size_t struct_size; /**< Set by the initializer. */
    uint64_t samples; /**< Events decoded of each (type, schema version, codec), the first ones and
                           others spread over the log; 0: all. 100. */
    const stele_wait *wait; /**< Who may cancel it, asked while it reads and decodes; its time is
                               that of each page, as in stele_read. Borrowed for the call. NULL. */
} stele_lint_options;

#define STELE_LINT_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(stele_lint_options), 100, NULL                                                      \
    }

/** Set `options` to the defaults. For bindings. NULL is allowed. */
STELE_API void stele_lint_options_init(stele_lint_options *options);

/** What a line of a lint is about. */
typedef enum stele_lint_kind {
    STELE_LINT_STORED = 1, /**< Events in the log. */
    STELE_LINT_UNUSED = 2  /**< An upcaster that no stored event reaches. Not a failure. */
} stele_lint_kind;

/** A line: one (type, schema version, codec). Only lent by pointer. */
typedef struct stele_lint_line {
    stele_lint_kind kind;
    const char *type;
    int64_t schema_version;
    const char *codec;    /**< "" of UNUSED. */
    uint64_t events;      /**< In the log, outside `$` streams. */
    uint64_t tried;       /**< Of these. */
    uint64_t failures;    /**< Of those tried, not decoded. */
    uint64_t parts_min;   /**< Fewest parts that one became; 0 when all failed. */
    uint64_t parts_max;   /**< Most. */
    stele_status status;  /**< Of the first failure; STELE_OK for none. */
    const char *offender; /**< Its text; "" for none. */
} stele_lint_line;

/** A lint: the lines. Used by one thread at a time. */
typedef struct stele_lint stele_lint;

/**
 * Decode samples of every (type, schema version, codec) that the log holds, through all upcasters.
 * The log is read twice, once when all are tried; what is appended meanwhile is left out. Nothing
 * is changed. Freezes the registry. Whatever a decoding answers is a finding, but for
 * STELE_NO_MEMORY, an upcaster's own included, which ends the lint.
 *
 * @param options  NULL means STELE_LINT_OPTIONS_INIT.
 * @param lint_out Receives the lines; close it with stele_lint_close().
 * @return STELE_OK, failures among the lines or not; STELE_CORRUPT, STELE_BUSY, STELE_IO,
 *         STELE_CANCELLED, STELE_NO_MEMORY, STELE_MISUSE, STELE_CLOSED.
 */
STELE_API stele_status stele_store_lint(stele_store *store, const stele_lint_options *options,
                                        stele_lint **lint_out);

/**
 * The next line: those of STORED by type, schema version and codec, then those of UNUSED in the
 * order of registration.
 *
 * @param line_out Borrowed until the lint is closed; NULL unless STELE_OK.
 * @return STELE_OK; STELE_DONE; STELE_MISUSE.
 */
STELE_API stele_status stele_lint_next(stele_lint *lint, const stele_lint_line **line_out);

/** Close `lint`. NULL is allowed; never fails. Also after the store was closed. */
STELE_API void stele_lint_close(stele_lint *lint);

#ifdef __cplusplus
}
#endif

#endif
