/**
 * @file stele/type.h
 * Descriptions of the program's own structs: one constant table encodes, decodes, frees and
 * describes, for JSON and CBOR alike.
 *
 * The struct stays the program's. A table has a line for each member that is stored; how a member
 * is stored is inferred from its C type, and a member of a type that can't be stored, or a count or
 * `has` member of the wrong type, doesn't compile:
 *
 *     typedef struct { char sku[24]; uint32_t quantity; double price; } line_item;
 *     static const stele_field line_item_fields[] = {
 *         STELE_F(line_item, sku, "sku", STELE_REQUIRED),
 *         STELE_F(line_item, quantity, "qty", STELE_REQUIRED),
 *         STELE_F(line_item, price, "price", STELE_OPTIONAL),
 *     };
 *     STELE_TYPE(line_item_type, line_item, "LineItem", 1, line_item_fields);
 *
 * | member                     | is stored as                                                    |
 * |----------------------------|-----------------------------------------------------------------|
 * | `bool`                     | true or false                                                   |
 * | any integer but `char`     | an integer; beyond +-(2^53 - 1) in JSON as a decimal string      |
 * | `float`, `double`          | a number; NaN and infinities in CBOR only                        |
 * | `char[N]`                  | a text of at most N - 1 bytes, NUL-terminated; never cut         |
 * | `char *`                   | a text, owned by the struct; NULL is none                        |
 * | `unsigned char[N]`         | exactly N bytes; in JSON as base64                               |
 * | `stele_bytes`              | bytes, owned by the struct; `data` NULL is none                  |
 *
 * and by macros of their own: enums by name, nested structs, arrays, lists with a count, bounded or
 * owned. Texts are UTF-8 without NUL.
 *
 * Reading. Members may come in any order. A key that the table doesn't know is skipped with all
 * that is in it, unless the type is STELE_STRICT. `null` is the same as absent. What is absent is
 * left zero, if it is optional; of a required member it is STELE_INVALID. A member outside the
 * range of its C type is STELE_INVALID; one that would be rounded (a bare JSON integer beyond
 * +-(2^53 - 1), 1e999, a CBOR double in a `float`) is STELE_PRECISION. An integer is read from a
 * number without point or exponent, or from a string in that form.
 *
 * An optional struct, and an optional enum of which no name is 0, need the form with `has`: else
 * nobody could write what was read.
 *
 * Writing is deterministic: JSON in the order of the table, without blanks, doubles in the fewest
 * digits that read back the same; CBOR as RFC 8949 section 4.2 has it, keys in its order. What is
 * optional and not there (`has` false, NULL) is left out.
 *
 * Ownership. What is decoded into a `char *`, `stele_bytes` or owned list is the struct's, until
 * stele_type_clear(); a program that fills such members itself either owns them and doesn't clear,
 * or takes their memory from stele_type_allocate().
 *
 * Threads. Tables are constant and may be used by any number of threads. A value is used by one
 * thread at a time.
 *
 * C11 is needed to define tables; the header itself also compiles as C++, where a table from a C
 * file can be used: STELE_TYPE_DECLARE() declares one.
 */
#ifndef STELE_TYPE_H
#define STELE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/buffer.h>
#include <stele/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Tables --- */

/** Bytes owned by the struct that they are a member of. */
typedef struct stele_bytes {
    unsigned char *data;
    size_t size;
} stele_bytes;

/** What may be said of a field; any of these together. */
enum {
    STELE_REQUIRED = 0,  /**< It must be there. */
    STELE_OPTIONAL = 1,  /**< It may be absent. */
    STELE_SECRET = 2,    /**< Text output shows "***" instead; stored as it is. */
    STELE_AS_STRING = 4, /**< An integer: in JSON always a string. */
    STELE_OR_NUMBER = 8, /**< A text: a number is read, too, in its decimal form as it stands there.
                              For decimals that may not be rounded, such as money. */

    STELE_STRICT = 1 /**< Of a type: unknown keys are STELE_INVALID. */
};

/** How a member is stored. */
typedef enum stele_kind {
    STELE_KIND_BOOL = 1,
    STELE_KIND_SIGNED = 2,   /**< An integer of `size` bytes. */
    STELE_KIND_UNSIGNED = 3, /**< The same, never negative. */
    STELE_KIND_REAL = 4,     /**< A float or double, by `size`. */
    STELE_KIND_TEXT = 5,     /**< char[size]. */
    STELE_KIND_BYTES = 6,    /**< unsigned char[size]. */
    STELE_KIND_OWNED_TEXT = 7,
    STELE_KIND_OWNED_BYTES = 8,
    STELE_KIND_ENUM = 9,
    STELE_KIND_STRUCT = 10
} stele_kind;

/** How many of them a member holds. */
typedef enum stele_shape {
    STELE_SHAPE_ONE = 0,
    STELE_SHAPE_ARRAY = 1,     /**< Exactly `capacity` elements. */
    STELE_SHAPE_LIST = 2,      /**< Up to `capacity` elements in place, counted by a member. */
    STELE_SHAPE_OWNED_LIST = 3 /**< A pointer to elements owned by the struct, and their count. */
} stele_shape;

/** No such member: of `has_offset` and `count_offset`. */
#define STELE_NO_MEMBER SIZE_MAX

struct stele_type;
struct stele_enum;

/** A line of a table. Write it with the macros below. */
typedef struct stele_field {
    const char *name; /**< In the payload. */
    size_t name_size;
    stele_kind kind; /**< Of the member, or of its elements. */
    stele_shape shape;
    uint32_t flags;
    size_t offset;       /**< Of the member in its struct. */
    size_t size;         /**< Of the member, or of one element. */
    size_t capacity;     /**< Elements in place. */
    size_t count_offset; /**< Of the member that counts; of BYTES too. */
    size_t count_size;   /**< Of that member: an integer of so many bytes. */
    bool count_is_signed;
    size_t has_offset;              /**< Of the bool that says whether it is there. */
    const struct stele_type *type;  /**< Of STRUCT. */
    const struct stele_enum *names; /**< Of ENUM. */
} stele_field;

/** A table: what an event, or a struct in it, is made of. */
typedef struct stele_type {
    size_t struct_size;     /**< Of this struct. */
    size_t field_size;      /**< Of stele_field. */
    const char *name;       /**< As stored with each event. */
    int64_t schema_version; /**< From 1. */
    size_t size;            /**< Of the program's struct. */
    const stele_field *fields;
    size_t field_count;
    uint32_t flags; /**< STELE_STRICT or 0. */
} stele_type;

/** A value of an enum, and its name in payloads. */
typedef struct stele_enum_name {
    int64_t value;
    const char *name;
} stele_enum_name;

/** The names of an enum. One with a number that has none isn't encoded: STELE_INVALID. */
typedef struct stele_enum {
    const stele_enum_name *names;
    size_t count;
    bool has_unknown; /**< A name that isn't known is read as `unknown`; else it is INVALID. */
    int64_t unknown;
} stele_enum;

/* clang-format off */

/** `STELE_ENUM(table, { ACTIVE, "active" }, { GONE, "gone" })`: names are distinct. */
#define STELE_ENUM(table, ...) \
    static const stele_enum_name table##_names[] = { __VA_ARGS__ }; \
    const stele_enum table = { table##_names, sizeof(table##_names) / sizeof(table##_names[0]), false, 0 }

/** The same, with the value that unknown names are read as. */
#define STELE_ENUM_OR(table, unknown, ...) \
    static const stele_enum_name table##_names[] = { __VA_ARGS__ }; \
    const stele_enum table = { table##_names, sizeof(table##_names) / sizeof(table##_names[0]), true, unknown }

/** Define the table of `structure`, whose lines are the array `lines`. */
#define STELE_TYPE(table, structure, name, schema_version, lines) \
    STELE_TYPE_FLAGS(table, structure, name, schema_version, lines, 0)
#define STELE_TYPE_FLAGS(table, structure, name, schema_version, lines, flags) \
    STELE_TYPE_DECLARE(table, structure); \
    const stele_type table = { sizeof(stele_type), sizeof(stele_field), "" name "", schema_version, \
        sizeof(structure), lines, sizeof(lines) / sizeof((lines)[0]), flags }
/** Declare a table that another file defines. */
#define STELE_TYPE_DECLARE(table, structure) \
    typedef structure table##_value; \
    extern const stele_type table

/** A bool, integer, float, double, char[N], char *, unsigned char[N] or stele_bytes. */
#define STELE_F(structure, member, name, flags) \
    STELE_F_FULL(structure, member, name, STELE_KIND_OF(&STELE_M(structure, member)), \
        STELE_SHAPE_ONE, flags, sizeof(STELE_M(structure, member)), 0, \
        STELE_COUNT_NONE, STELE_NO_MEMBER, NULL, NULL)
/** The same, optional: `has` is a bool member that says whether it is there. */
#define STELE_F_HAS(structure, member, has, name, flags) \
    STELE_F_FULL(structure, member, name, STELE_KIND_OF(&STELE_M(structure, member)), \
        STELE_SHAPE_ONE, (flags) | STELE_OPTIONAL, sizeof(STELE_M(structure, member)), 0, \
        STELE_COUNT_NONE, STELE_HAS_OF(structure, has), NULL, NULL)
/** An integer or enum, stored by its name in `table` (STELE_ENUM). */
#define STELE_F_ENUM(structure, member, name, table, flags) \
    STELE_F_FULL(structure, member, name, STELE_KIND_ENUM, STELE_SHAPE_ONE, flags, \
        STELE_INTEGER_SIZE(STELE_M(structure, member)), 0, STELE_COUNT_NONE, STELE_NO_MEMBER, NULL, &(table))
#define STELE_F_HAS_ENUM(structure, member, has, name, table, flags) \
    STELE_F_FULL(structure, member, name, STELE_KIND_ENUM, STELE_SHAPE_ONE, (flags) | STELE_OPTIONAL, \
        STELE_INTEGER_SIZE(STELE_M(structure, member)), 0, STELE_COUNT_NONE, \
        STELE_HAS_OF(structure, has), NULL, &(table))
/** A struct in the struct; `table` is its STELE_TYPE. */
#define STELE_F_STRUCT(structure, member, name, table, flags) \
    STELE_F_FULL(structure, member, name, STELE_STRUCT_KIND(&STELE_M(structure, member), table), \
        STELE_SHAPE_ONE, flags, sizeof(STELE_M(structure, member)), 0, \
        STELE_COUNT_NONE, STELE_NO_MEMBER, &(table), NULL)
#define STELE_F_HAS_STRUCT(structure, member, has, name, table, flags) \
    STELE_F_FULL(structure, member, name, STELE_STRUCT_KIND(&STELE_M(structure, member), table), \
        STELE_SHAPE_ONE, (flags) | STELE_OPTIONAL, sizeof(STELE_M(structure, member)), 0, \
        STELE_COUNT_NONE, STELE_HAS_OF(structure, has), &(table), NULL)
/** `unsigned char member[N]`, of which the integer member `count` says how many are used. */
#define STELE_F_BYTES(structure, member, count, name, flags) \
    STELE_F_FULL(structure, member, name, STELE_BYTES_KIND(&STELE_M(structure, member)), \
        STELE_SHAPE_ONE, flags, sizeof(STELE_M(structure, member)), 0, \
        STELE_COUNT_OF(structure, count), STELE_NO_MEMBER, NULL, NULL)
/** `element member[N]`: always all N, of a kind that STELE_F takes. */
#define STELE_F_ARRAY(structure, member, name, flags) \
    STELE_F_FULL(structure, member, name, STELE_ARRAY_KIND_OF(&STELE_M(structure, member)), \
        STELE_SHAPE_ARRAY, flags, sizeof(STELE_M(structure, member)[0]), \
        sizeof(STELE_M(structure, member)) / sizeof(STELE_M(structure, member)[0]), \
        STELE_COUNT_NONE, STELE_NO_MEMBER, NULL, NULL)
/** `element member[N]`, of which the integer member `count` says how many are used. */
#define STELE_F_VALUES(structure, member, count, name, flags) \
    STELE_F_FULL(structure, member, name, STELE_ARRAY_KIND_OF(&STELE_M(structure, member)), \
        STELE_SHAPE_LIST, flags, sizeof(STELE_M(structure, member)[0]), \
        sizeof(STELE_M(structure, member)) / sizeof(STELE_M(structure, member)[0]), \
        STELE_COUNT_OF(structure, count), STELE_NO_MEMBER, NULL, NULL)
/** The same, of structs. */
#define STELE_F_LIST(structure, member, count, name, table, flags) \
    STELE_F_FULL(structure, member, name, STELE_STRUCT_ARRAY_KIND(&STELE_M(structure, member), table), \
        STELE_SHAPE_LIST, flags, sizeof(STELE_M(structure, member)[0]), \
        sizeof(STELE_M(structure, member)) / sizeof(STELE_M(structure, member)[0]), \
        STELE_COUNT_OF(structure, count), STELE_NO_MEMBER, &(table), NULL)
/** `element *member`, owned, and the integer member `count`; NULL with a count of 0. */
#define STELE_F_OWNED_VALUES(structure, member, count, name, flags) \
    STELE_F_FULL(structure, member, name, STELE_POINTER_KIND_OF(&STELE_M(structure, member)), \
        STELE_SHAPE_OWNED_LIST, flags, sizeof(*STELE_M(structure, member)), 0, \
        STELE_COUNT_OF(structure, count), STELE_NO_MEMBER, NULL, NULL)
/** The same, of structs. */
#define STELE_F_OWNED_LIST(structure, member, count, name, table, flags) \
    STELE_F_FULL(structure, member, name, STELE_STRUCT_POINTER_KIND(&STELE_M(structure, member), table), \
        STELE_SHAPE_OWNED_LIST, flags, sizeof(*STELE_M(structure, member)), 0, \
        STELE_COUNT_OF(structure, count), STELE_NO_MEMBER, &(table), NULL)

/* What the macros above are made of. */

#define STELE_M(structure, member) (((structure *)0)->member)
#define STELE_F_FULL(structure, member, name, kind, shape, flags, size, capacity, count, has, type, names) \
    { "" name "", sizeof("" name "") - 1, kind, shape, flags, offsetof(structure, member), size, \
        capacity, count, has, type, names }

#define STELE_COUNT_NONE STELE_NO_MEMBER, 0, false
#define STELE_COUNT_OF(structure, count) \
    offsetof(structure, count), STELE_COUNT_SIZE(STELE_M(structure, count)), \
        STELE_IS_SIGNED(STELE_M(structure, count))
#define STELE_COUNT_SIZE(integer)                                                                  \
    _Generic((integer), signed char: 1, unsigned char: 1, short: sizeof(short),                    \
        unsigned short: sizeof(short), int: sizeof(int), unsigned: sizeof(int),                    \
        long: sizeof(long), unsigned long: sizeof(long), long long: sizeof(long long),             \
        unsigned long long: sizeof(long long))
#define STELE_IS_SIGNED(integer) \
    _Generic((integer), signed char: true, short: true, int: true, long: true, long long: true, \
        default: false)
#define STELE_HAS_OF(structure, has) \
    _Generic(&STELE_M(structure, has), bool *: offsetof(structure, has))
/* Of anything but an integer or enum this is an error. */
#define STELE_INTEGER_SIZE(integer) (sizeof(integer) + 0 * sizeof((integer) | 0))

#define STELE_KINDS(before, after) \
    bool before after: STELE_KIND_BOOL, \
    signed char before after: STELE_KIND_SIGNED, short before after: STELE_KIND_SIGNED, \
    int before after: STELE_KIND_SIGNED, long before after: STELE_KIND_SIGNED, \
    long long before after: STELE_KIND_SIGNED, \
    unsigned char before after: STELE_KIND_UNSIGNED, \
    unsigned short before after: STELE_KIND_UNSIGNED, unsigned before after: STELE_KIND_UNSIGNED, \
    unsigned long before after: STELE_KIND_UNSIGNED, \
    unsigned long long before after: STELE_KIND_UNSIGNED, \
    float before after: STELE_KIND_REAL, double before after: STELE_KIND_REAL, \
    char *before after: STELE_KIND_OWNED_TEXT, stele_bytes before after: STELE_KIND_OWNED_BYTES
#define STELE_TIMES(count) [count]
#define STELE_ELEMENTS_OF(array) (sizeof(*(array)) / sizeof((*(array))[0]))

#define STELE_KIND_OF(member) _Generic((member), STELE_KINDS(*, ), \
    char (*)[sizeof(*(member))]: STELE_KIND_TEXT, \
    unsigned char (*)[sizeof(*(member))]: STELE_KIND_BYTES)
#define STELE_ARRAY_KIND_OF(array) _Generic((array), STELE_KINDS((*), STELE_TIMES(STELE_ELEMENTS_OF(array))), \
    char (*)[STELE_ELEMENTS_OF(array)][sizeof((*(array))[0])]: STELE_KIND_TEXT, \
    unsigned char (*)[STELE_ELEMENTS_OF(array)][sizeof((*(array))[0])]: STELE_KIND_BYTES)
#define STELE_POINTER_KIND_OF(pointer) _Generic((pointer), STELE_KINDS(**, ), \
    char (**)[sizeof(**(pointer))]: STELE_KIND_TEXT, \
    unsigned char (**)[sizeof(**(pointer))]: STELE_KIND_BYTES)
#define STELE_BYTES_KIND(member) \
    _Generic((member), unsigned char (*)[sizeof(*(member))]: STELE_KIND_BYTES)
#define STELE_STRUCT_KIND(member, table) _Generic((member), table##_value *: STELE_KIND_STRUCT)
#define STELE_STRUCT_ARRAY_KIND(array, table) \
    _Generic((array), table##_value (*)[STELE_ELEMENTS_OF(array)]: STELE_KIND_STRUCT)
#define STELE_STRUCT_POINTER_KIND(pointer, table) \
    _Generic((pointer), table##_value **: STELE_KIND_STRUCT)

/* clang-format on */

/** Where in a payload or value something was wrong. Callers provide the memory: final. */
typedef struct stele_flaw {
    size_t offset;  /**< Byte of the payload, from 0; 0 when there is none. */
    char path[240]; /**< Such as "lines[0].qty"; "" for the whole. A longer one loses its middle. */
} stele_flaw;

/**
 * Say whether a table makes sense, with all that it refers to: names are texts of up to
 * STELE_NAME_SIZE_MAX bytes without control characters, each once in its struct; members lie in
 * their struct; enums have names. What the macros wrote is right in the rest.
 *
 * Every function that takes a type checks it so, but for those of a store, which does it once, and
 * stele_type_copy(), to which names don't matter.
 *
 * @return STELE_OK; STELE_MISUSE, with a text that names table and line; STELE_NO_MEMORY.
 */
STELE_API stele_status stele_type_check(const stele_type *type);

/** Set the value at `value`, `type->size` bytes, to zero: nothing is there, nothing is owned. */
STELE_API void stele_type_init(const stele_type *type, void *value);

/**
 * Free what `value` owns, in nested structs and lists too, and set it to zero. The struct itself is
 * the caller's. A value that was decoded, or whose owned members are from stele_type_allocate() or
 * NULL. NULL is allowed.
 */
STELE_API void stele_type_clear(const stele_type *type, void *value);

/**
 * Memory for an owned member: zeroed, `count` times `size` bytes. NULL when there is none, or for
 * nothing. Ends with stele_type_clear() of the value that it was put into, or
 * stele_type_release().
 */
STELE_API void *stele_type_allocate(size_t count, size_t size);

/** Free what stele_type_allocate() gave and no value took. NULL is allowed. */
STELE_API void stele_type_release(void *memory);

/**
 * Write `value` for people: JSON as stele_type_encode() writes it, but for what is STELE_SECRET,
 * which is "***" whatever it is, and NaN and infinities, which are strings.
 *
 * @param buffer Receives the text at its end, and a NUL that isn't counted.
 * @return STELE_OK; STELE_INVALID, STELE_TOO_LARGE (as stele_type_encode()); STELE_MISUSE;
 *         STELE_NO_MEMORY. On failure the buffer is as it was.
 */
STELE_API stele_status stele_type_format(const stele_type *type, const void *value,
                                         stele_buffer *buffer);

/**
 * Write the JSON Schema (draft 2020-12) of what the table reads, which includes all that it
 * writes: for other programs, and for people. It says less than the table in two places: to JSON
 * Schema 1.0 is an integer, which is refused here, and its lengths of texts count characters.
 *
 * @param buffer Receives the schema at its end, and a NUL that isn't counted.
 * @return STELE_OK; STELE_MISUSE; STELE_NO_MEMORY. On failure the buffer is as it was.
 */
STELE_API stele_status stele_type_json_schema(const stele_type *type, stele_buffer *buffer);

/**
 * Test a table with a value of yours: encode it in JSON and CBOR, decode that, encode again, each
 * way and crosswise, and compare. For the tests of programs.
 *
 * @return STELE_OK; STELE_INVALID, STELE_PRECISION or STELE_TOO_LARGE, with a text that says what
 *         differs or doesn't come back; STELE_MISUSE; STELE_NO_MEMORY.
 */
STELE_API stele_status stele_type_selftest(const stele_type *type, const void *value);

/**
 * Make a copy of a value that shares nothing with it: what it owns is copied, too. Members that the
 * table doesn't name are copied as they stand. As for stele_type_clear(), what is owned is whatever
 * a pointer of the table points to, whether or not its `has` says that it is there.
 *
 * @param copy `type->size` bytes, not those of `value`; what was in it is forgotten, not freed. On
 *             STELE_OK end it with stele_type_clear(); else it is zero, on STELE_MISUSE untouched.
 * @return STELE_OK; STELE_INVALID (a count beyond its capacity, a list that is NULL with a count);
 *         STELE_TOO_LARGE (nested deeper than stele_type_encode() writes); STELE_MISUSE (a NULL,
 * `copy` is `value`, a table with members that can't be where it says they are); STELE_NO_MEMORY.
 */
STELE_API stele_status stele_type_copy(const stele_type *type, const void *value, void *copy);

#ifdef __cplusplus
}
#endif

#endif
