/**
 * @file stele/codec.h
 * Codecs: what turns payloads into values and back, by the name that is stored with each event.
 *
 * A log may mix codecs; each event is read by its own. Every store knows
 *
 * - `json`: strict JSON, checked at every append (stele/json.h);
 * - `cbor`: CBOR, likewise (stele/cbor.h), written in the deterministic form of RFC 8949;
 * - `raw`: any bytes, of which no value is made.
 *
 * A program may register its own. Payloads of a codec that nobody knows can be appended, read,
 * imported and exported: they are bytes. Only decoding them is STELE_UNSUPPORTED.
 *
 * Registering. What a store knows of codecs, types and upcasters (stele/typed.h, stele/upcast.h) is
 * registered after opening it and before its first use: the first encoding, decoding, look at one
 * of them, or append in a codec other than `json` and `raw`, on any thread, freezes it, also if it
 * fails. Later registrations are STELE_MISUSE; a frozen registry is read without a lock. A
 * registration that fails changes nothing.
 *
 * Functions, contexts and tables that are registered must last until the store is closed, and so is
 * every stele_decoded that was used with it. Nothing of them is stored in the file.
 */
#ifndef STELE_CODEC_H
#define STELE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/buffer.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A codec of the program's own. Its functions are called on any thread, several at once, and may
 * call nothing with a store (STELE_MISUSE); everything else of the library is open to them.
 *
 * One that fails returns STELE_INVALID, STELE_PRECISION, STELE_TOO_LARGE, STELE_UNSUPPORTED or
 * STELE_NO_MEMORY; anything else, which would mean something else to who appends or reads, is taken
 * for STELE_INVALID. What last failed in the library during the call is kept as the reason.
 */
typedef struct stele_codec {
    size_t struct_size; /**< Set by the initializer. */
    const char *name;   /**< As stored with each event. */
    /** Whether these bytes, at least one, are a payload: asked before each append and decoding, and
     * of what upcasters emit. NULL: all are. */
    stele_status (*check)(void *context, const void *data, size_t size);
    /** Put the payload of a value into `buffer`, which is empty. NULL: UNSUPPORTED. `flaw_out` is
     * never NULL, here and below. */
    stele_status (*encode)(void *context, const stele_type *type, const void *value,
                           stele_buffer *buffer, stele_flaw *flaw_out);
    /** Make a value, zero before, of a payload of at least one byte that `check` has accepted. What
     * it left in `value` on failure is cleared by the caller, so owned members come from
     * stele_type_allocate(). NULL: UNSUPPORTED. */
    stele_status (*decode)(void *context, const stele_type *type, const void *data, size_t size,
                           void *value, stele_flaw *flaw_out);
    void *context;
} stele_codec;

#define STELE_CODEC_INIT                                                                           \
    {                                                                                              \
        sizeof(stele_codec), NULL, NULL, NULL, NULL, NULL                                          \
    }

/** Set `codec` to the defaults, as STELE_CODEC_INIT does. For bindings. NULL is allowed. */
STELE_API void stele_codec_init(stele_codec *codec);

/** The codecs that every store knows: for use without a store. Never NULL, never freed. */
STELE_API const stele_codec *stele_codec_json(void);
STELE_API const stele_codec *stele_codec_cbor(void);
STELE_API const stele_codec *stele_codec_raw(void);

/**
 * Register a codec of the program's.
 *
 * @param codec Copied, its name too.
 * @return STELE_OK; STELE_MISUSE (a NULL, a bad name, a name that is known, a frozen registry);
 *         STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_store_register_codec(stele_store *store, const stele_codec *codec);

/**
 * The codec in which typed events are written when they name none: "json", unless set here before
 * the registry is frozen.
 *
 * @return STELE_OK; STELE_UNSUPPORTED (no such codec, or it encodes nothing); STELE_MISUSE (a NULL,
 *         a frozen registry); STELE_CLOSED.
 */
STELE_API stele_status stele_store_write_codec(stele_store *store, const char *name);

/**
 * Find a codec by its name. Freezes the registry.
 *
 * @param codec_out Borrowed until the store is closed; NULL unless STELE_OK.
 * @return STELE_OK; STELE_UNSUPPORTED, with the name; STELE_MISUSE (a NULL); STELE_CLOSED.
 */
STELE_API stele_status stele_store_codec(stele_store *store, const char *name,
                                         const stele_codec **codec_out);

/**
 * The names of all codecs, in the order of registration, built-in ones first. Freezes the registry.
 *
 * @param index    From 0.
 * @param name_out Borrowed until the store is closed; NULL unless STELE_OK.
 * @return STELE_OK; STELE_DONE (no more); STELE_MISUSE; STELE_CLOSED.
 */
STELE_API stele_status stele_store_codec_at(stele_store *store, size_t index,
                                            const char **name_out);

/**
 * Say whether a payload could be appended: the gate, by itself. Empty ones, and those of codecs
 * that nobody knows, are STELE_OK. Freezes the registry.
 *
 * @param name     NULL means "json".
 * @param size_max Most bytes; more is STELE_TOO_LARGE.
 * @return STELE_OK; STELE_INVALID, STELE_PRECISION, STELE_TOO_LARGE, STELE_UNSUPPORTED,
 *         STELE_NO_MEMORY as the codec says; STELE_MISUSE (a NULL); STELE_CLOSED.
 */
STELE_API stele_status stele_store_check_payload(stele_store *store, const char *name,
                                                 const void *data, size_t size, uint32_t size_max);

/**
 * Encode a value: what a stored payload would be.
 *
 * @param codec    One of the three above, the program's own, or from stele_store_codec().
 * @param buffer   Receives the payload at its end.
 * @param flaw_out Says where, on STELE_INVALID. May be NULL.
 * @return STELE_OK; STELE_INVALID (a member that can't be stored: text that is not UTF-8 or not
 *         NUL-terminated, a count beyond its capacity, an enum's number without a name, NaN in
 *         JSON, a required member that is NULL); STELE_TOO_LARGE (structs and lists more than 64
 *         deep, or beyond 64 MiB); STELE_UNSUPPORTED (the codec encodes nothing); STELE_MISUSE (a
 *         NULL, a wrong table); STELE_NO_MEMORY. On failure the buffer is as it was.
 */
STELE_API stele_status stele_type_encode(const stele_type *type, const void *value,
                                         const stele_codec *codec, stele_buffer *buffer,
                                         stele_flaw *flaw_out);

/**
 * Decode a payload, which is checked first as if it were to be appended.
 *
 * @param codec    As for stele_type_encode().
 * @param value    `type->size` bytes; what was in it is forgotten, not freed. On STELE_OK end
 *                 it with stele_type_clear(); else it is zero, on STELE_MISUSE untouched.
 * @param flaw_out Says where, on failure. May be NULL.
 * @return STELE_OK; STELE_INVALID (no payload of this type: the text says what was expected);
 *         STELE_PRECISION (a number that would be rounded); STELE_TOO_LARGE (more than 64 levels or
 *         64 MiB, or owned members of more than 256 MiB); STELE_UNSUPPORTED (the codec decodes
 *         nothing); STELE_MISUSE (a NULL, a wrong table); STELE_NO_MEMORY.
 */
STELE_API stele_status stele_type_decode(const stele_type *type, const stele_codec *codec,
                                         const void *data, size_t size, void *value,
                                         stele_flaw *flaw_out);

#ifdef __cplusplus
}
#endif

#endif
