/**
 * @file tests/everything.h
 * A struct with a member of every kind that a table can describe, its table, and what a harness
 * needs beside it: chance values with the edges of every kind, and a comparison that knows nothing
 * of the library.
 */
#ifndef STELE_TESTS_EVERYTHING_H
#define STELE_TESTS_EVERYTHING_H

#include <stele.h>

#include "effort.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef enum colour { RED = -3, GREEN = 0, BLUE = 70000 } colour;

typedef struct point {
    int32_t x;
    int32_t y;
    char label[12];
} point;

typedef struct branch {
    char name[8];
    char *note;
    struct branch *children;
    size_t child_count;
} branch;

typedef struct everything {
    bool flag;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    long long wide;
    int64_t always_text;
    float single;
    double real;
    char text[16];
    char *owned;
    unsigned char key[8];
    stele_bytes blob;
    unsigned char some[10];
    uint8_t some_count;
    colour colour;
    int16_t short_colour;
    point origin;
    bool has_maybe;
    int32_t maybe;
    bool has_corner;
    point corner;
    bool has_tint;
    colour tint;
    double matrix[3];
    int16_t numbers[5];
    int number_count;
    char tags[3][6];
    uint16_t tag_count;
    point points[3];
    size_t point_count;
    uint32_t *many;
    int64_t many_count;
    char **names;
    size_t name_count;
    point *path;
    uint8_t path_count;
    branch *tree;
    size_t tree_count;
    char secret[16];
    int32_t without_name;
} everything;

STELE_ENUM(colour_names, { RED, "red" }, { GREEN, "green" }, { BLUE, "blue" });
STELE_ENUM_OR(tint_names, GREEN, { RED, "red" }, { BLUE, "blue" }, { GREEN, "other" });
STELE_ENUM(short_names, { -2, "minus" }, { 300, "plus" });

static const stele_field point_fields[] = {
    STELE_F(point, x, "x", STELE_REQUIRED),
    STELE_F(point, y, "y", STELE_REQUIRED),
    STELE_F(point, label, "label", STELE_OPTIONAL),
};
STELE_TYPE(point_type, point, "Point", 1, point_fields);

STELE_TYPE_DECLARE(branch_type, branch);
static const stele_field branch_fields[] = {
    STELE_F(branch, name, "name", STELE_REQUIRED),
    STELE_F(branch, note, "note", STELE_OPTIONAL),
    STELE_F_OWNED_LIST(branch, children, child_count, "children", branch_type, STELE_OPTIONAL),
};
STELE_TYPE(branch_type, branch, "Branch", 1, branch_fields);

static const stele_field everything_fields[] = {
    STELE_F(everything, flag, "flag", STELE_REQUIRED),
    STELE_F(everything, i8, "i8", STELE_REQUIRED),
    STELE_F(everything, i16, "i16", STELE_REQUIRED),
    STELE_F(everything, i32, "i32", STELE_REQUIRED),
    STELE_F(everything, i64, "i64", STELE_REQUIRED),
    STELE_F(everything, u8, "u8", STELE_REQUIRED),
    STELE_F(everything, u16, "u16", STELE_REQUIRED),
    STELE_F(everything, u32, "u32", STELE_REQUIRED),
    STELE_F(everything, u64, "u64", STELE_REQUIRED),
    STELE_F(everything, wide, "wide", STELE_REQUIRED),
    STELE_F(everything, always_text, "alwaysText", STELE_AS_STRING),
    STELE_F(everything, single, "single", STELE_REQUIRED),
    STELE_F(everything, real, "real", STELE_REQUIRED),
    STELE_F(everything, text, "text", STELE_REQUIRED),
    STELE_F(everything, owned, "owned", STELE_OPTIONAL),
    STELE_F(everything, key, "key", STELE_REQUIRED),
    STELE_F(everything, blob, "blob", STELE_OPTIONAL),
    STELE_F_BYTES(everything, some, some_count, "some", STELE_REQUIRED),
    STELE_F_ENUM(everything, colour, "colour", colour_names, STELE_REQUIRED),
    STELE_F_ENUM(everything, short_colour, "short \"colour\"", short_names, STELE_REQUIRED),
    STELE_F_STRUCT(everything, origin, "origin", point_type, STELE_REQUIRED),
    STELE_F_HAS(everything, maybe, has_maybe, "maybe", 0),
    STELE_F_HAS_STRUCT(everything, corner, has_corner, "corner", point_type, 0),
    STELE_F_HAS_ENUM(everything, tint, has_tint, "tint", tint_names, 0),
    STELE_F_ARRAY(everything, matrix, "matrix", STELE_REQUIRED),
    STELE_F_VALUES(everything, numbers, number_count, "numbers", STELE_REQUIRED),
    STELE_F_VALUES(everything, tags, tag_count, "tags", STELE_OPTIONAL),
    STELE_F_LIST(everything, points, point_count, "points", point_type, STELE_REQUIRED),
    STELE_F_OWNED_VALUES(everything, many, many_count, "many", STELE_REQUIRED),
    STELE_F_OWNED_VALUES(everything, names, name_count, "names", STELE_OPTIONAL),
    STELE_F_OWNED_LIST(everything, path, path_count, "path", point_type, STELE_OPTIONAL),
    STELE_F_OWNED_LIST(everything, tree, tree_count, "tree", branch_type, STELE_OPTIONAL),
    STELE_F(everything, secret, "secret", STELE_SECRET),
    STELE_F(everything, without_name, "", STELE_REQUIRED),
};
STELE_TYPE(everything_type, everything, "Everything", 3, everything_fields);

/* --- Chance values --- */

static inline uint64_t chance_bits(void)
{
    static const uint64_t edges[] = { 0,
                                      1,
                                      23,
                                      24,
                                      127,
                                      128,
                                      255,
                                      256,
                                      32767,
                                      65535,
                                      65536,
                                      INT32_MAX,
                                      UINT32_MAX,
                                      (UINT64_C(1) << 53) - 1,
                                      UINT64_C(1) << 53,
                                      (UINT64_C(1) << 53) + 1,
                                      INT64_MAX,
                                      UINT64_C(1) << 63,
                                      UINT64_MAX };
    uint64_t bits = next_chance();
    switch (bits >> 5 & 3) {
    case 0: return edges[(bits >> 8) % (sizeof(edges) / sizeof(edges[0]))];
    case 1: return 0 - edges[(bits >> 8) % (sizeof(edges) / sizeof(edges[0]))];
    case 2: return (bits >> 8) % 1000;
    default: return next_chance() >> (bits >> 8) % 64;
    }
}

/* Any finite double, often one of the edges. */
static inline double chance_double(void)
{
    static const double edges[] = { 0.0,
                                    -0.0,
                                    1.0,
                                    -1.0,
                                    0.1,
                                    1e23,
                                    DBL_MAX,
                                    -DBL_MAX,
                                    DBL_MIN,
                                    5e-324,
                                    -5e-324,
                                    2.5,
                                    65504.0,
                                    65520.0,
                                    6.0e-8,
                                    FLT_MAX,
                                    FLT_MIN,
                                    1e21,
                                    1e22,
                                    1e-7,
                                    123456.5,
                                    1e300,
                                    9007199254740993.0 };
    uint64_t bits = next_chance();
    if (one_in(3))
        return edges[(bits >> 9) % (sizeof(edges) / sizeof(edges[0]))];
    if (one_in(3))
        return (double)(int64_t)(bits >> 40) / 100.0;
    double value;
    do {
        bits = next_chance();
        memcpy(&value, &bits, sizeof(value));
    } while (!isfinite(value));
    return value;
}

static inline float chance_float(void)
{
    if (one_in(2))
        return (float)((double)(next_chance() >> 50) / 8.0);
    float value;
    do {
        uint32_t bits = (uint32_t)(next_chance() >> 16);
        memcpy(&value, &bits, sizeof(value));
    } while (!isfinite(value));
    return value;
}

/* A text of less than `capacity` bytes: plain, escaped and many-byte characters. */
static inline void chance_text(char *out, size_t capacity)
{
    static const char *const pieces[] = {
        "a",        "B9",       " ",    "\"", "\\", "/",  "\n",           "\t",
        "\x01\x1f", "\xC3\xA9", "\x7f", "{}", ":,", "''", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"
    };
    size_t used = 0;
    while (!one_in(6)) {
        const char *piece = pieces[(next_chance() >> 7) % (sizeof(pieces) / sizeof(pieces[0]))];
        size_t size = strlen(piece);
        if (used + size >= capacity)
            break;
        memcpy(out + used, piece, size);
        used += size;
    }
    out[used] = '\0';
}

static inline char *chance_owned_text(void)
{
    char text[40];
    chance_text(text, sizeof(text));
    char *owned = stele_type_allocate(strlen(text) + 1, 1);
    memcpy(owned, text, strlen(text) + 1);
    return owned;
}

static inline point chance_point(void)
{
    point made = { .x = (int32_t)chance_bits(), .y = (int32_t)chance_bits() };
    chance_text(made.label, sizeof(made.label));
    return made;
}

static inline branch chance_branch(unsigned depth)
{
    branch made = { 0 };
    chance_text(made.name, sizeof(made.name));
    if (one_in(2))
        made.note = chance_owned_text();
    if (depth > 0 && one_in(2)) {
        made.child_count = 1 + (next_chance() >> 9) % 3;
        made.children = stele_type_allocate(made.child_count, sizeof(branch));
        for (size_t i = 0; i < made.child_count; i++)
            made.children[i] = chance_branch(depth - 1);
    }
    return made;
}

static inline void fill_scalars(everything *made)
{
    static const colour colours[] = { RED, GREEN, BLUE };
    made->flag = one_in(2);
    made->without_name = (int32_t)chance_bits();
    made->i8 = (int8_t)chance_bits();
    made->i16 = (int16_t)chance_bits();
    made->i32 = (int32_t)chance_bits();
    made->i64 = (int64_t)chance_bits();
    made->u8 = (uint8_t)chance_bits();
    made->u16 = (uint16_t)chance_bits();
    made->u32 = (uint32_t)chance_bits();
    made->u64 = chance_bits();
    made->wide = (long long)chance_bits();
    made->always_text = (int64_t)chance_bits();
    made->single = chance_float();
    made->real = chance_double();
    chance_text(made->text, sizeof(made->text));
    chance_text(made->secret, sizeof(made->secret));
    for (size_t i = 0; i < sizeof(made->key); i++)
        made->key[i] = (unsigned char)(next_chance() >> 20);
    made->some_count = (uint8_t)((next_chance() >> 9) % (sizeof(made->some) + 1));
    for (size_t i = 0; i < made->some_count; i++)
        made->some[i] = (unsigned char)(next_chance() >> 20);
    made->colour = colours[(next_chance() >> 9) % 3];
    made->short_colour = one_in(2) ? -2 : 300;
    made->origin = chance_point();
    made->has_maybe = one_in(2);
    made->maybe = made->has_maybe ? (int32_t)chance_bits() : 0;
    made->has_corner = one_in(2);
    if (made->has_corner)
        made->corner = chance_point();
    made->has_tint = one_in(2);
    made->tint = made->has_tint ? colours[(next_chance() >> 9) % 3] : GREEN;
}

static inline void fill_lists(everything *made)
{
    for (size_t i = 0; i < 3; i++)
        made->matrix[i] = chance_double();
    made->number_count = (int)((next_chance() >> 9) % 6);
    for (int i = 0; i < made->number_count; i++)
        made->numbers[i] = (int16_t)chance_bits();
    made->tag_count = (uint16_t)((next_chance() >> 9) % 4);
    for (size_t i = 0; i < made->tag_count; i++)
        chance_text(made->tags[i], sizeof(made->tags[i]));
    made->point_count = (size_t)((next_chance() >> 9) % 4);
    for (size_t i = 0; i < made->point_count; i++)
        made->points[i] = chance_point();
}

static inline void fill_owned(everything *made)
{
    if (one_in(2))
        made->owned = chance_owned_text();
    if (one_in(2)) {
        made->blob.size = (size_t)((next_chance() >> 9) % 70);
        made->blob.data = stele_type_allocate(made->blob.size + 1, 1);
        for (size_t i = 0; i < made->blob.size; i++)
            made->blob.data[i] = (unsigned char)(next_chance() >> 20);
    }
    made->many_count = (int64_t)((next_chance() >> 9) % 40);
    made->many = stele_type_allocate((size_t)made->many_count, sizeof(uint32_t));
    for (int64_t i = 0; i < made->many_count; i++)
        made->many[i] = (uint32_t)chance_bits();
    made->name_count = (size_t)((next_chance() >> 9) % 4);
    made->names = stele_type_allocate(made->name_count, sizeof(char *));
    for (size_t i = 0; i < made->name_count; i++)
        made->names[i] = chance_owned_text();
    made->path_count = (uint8_t)((next_chance() >> 9) % 12);
    made->path = stele_type_allocate(made->path_count, sizeof(point));
    for (size_t i = 0; i < made->path_count; i++)
        made->path[i] = chance_point();
    made->tree_count = (size_t)((next_chance() >> 9) % 3);
    made->tree = stele_type_allocate(made->tree_count, sizeof(branch));
    for (size_t i = 0; i < made->tree_count; i++)
        made->tree[i] = chance_branch(4);
}

/* End it with stele_type_clear(). */
static inline everything chance_everything(void)
{
    everything made = { 0 };
    fill_scalars(&made);
    fill_lists(&made);
    fill_owned(&made);
    return made;
}

/* --- Comparing --- */

static inline bool same_text(const char *left, const char *right)
{
    return left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
}

static inline bool same_point(const point *left, const point *right)
{
    return left->x == right->x && left->y == right->y && same_text(left->label, right->label);
}

static inline bool same_branch(const branch *left, const branch *right)
{
    if (!same_text(left->name, right->name) || !same_text(left->note, right->note)
        || left->child_count != right->child_count)
        return false;
    for (size_t i = 0; i < left->child_count; i++)
        if (!same_branch(&left->children[i], &right->children[i]))
            return false;
    return true;
}

static inline bool same_double(double left, double right)
{
    return memcmp(&left, &right, sizeof(left)) == 0;
}

static inline bool same_scalars(const everything *left, const everything *right)
{
    return left->without_name == right->without_name && left->flag == right->flag
           && left->i8 == right->i8 && left->i16 == right->i16 && left->i32 == right->i32
           && left->i64 == right->i64 && left->u8 == right->u8 && left->u16 == right->u16
           && left->u32 == right->u32 && left->u64 == right->u64 && left->wide == right->wide
           && left->always_text == right->always_text
           && memcmp(&left->single, &right->single, sizeof(float)) == 0
           && same_double(left->real, right->real) && same_text(left->text, right->text)
           && same_text(left->secret, right->secret)
           && memcmp(left->key, right->key, sizeof(left->key)) == 0
           && left->some_count == right->some_count
           && memcmp(left->some, right->some, left->some_count) == 0
           && left->colour == right->colour && left->short_colour == right->short_colour
           && same_point(&left->origin, &right->origin) && left->has_maybe == right->has_maybe
           && left->maybe == right->maybe && left->has_corner == right->has_corner
           && same_point(&left->corner, &right->corner) && left->has_tint == right->has_tint
           && left->tint == right->tint;
}

static inline bool same_lists(const everything *left, const everything *right)
{
    if (left->number_count != right->number_count || left->tag_count != right->tag_count
        || left->point_count != right->point_count)
        return false;
    for (size_t i = 0; i < 3; i++)
        if (!same_double(left->matrix[i], right->matrix[i]))
            return false;
    for (int i = 0; i < left->number_count; i++)
        if (left->numbers[i] != right->numbers[i])
            return false;
    for (size_t i = 0; i < left->tag_count; i++)
        if (!same_text(left->tags[i], right->tags[i]))
            return false;
    for (size_t i = 0; i < left->point_count; i++)
        if (!same_point(&left->points[i], &right->points[i]))
            return false;
    return true;
}

static inline bool same_owned(const everything *left, const everything *right)
{
    if (!same_text(left->owned, right->owned) || left->blob.size != right->blob.size
        || (left->blob.data == NULL) != (right->blob.data == NULL)
        || left->many_count != right->many_count || left->name_count != right->name_count
        || left->path_count != right->path_count || left->tree_count != right->tree_count)
        return false;
    if (left->blob.size > 0 && memcmp(left->blob.data, right->blob.data, left->blob.size) != 0)
        return false;
    for (int64_t i = 0; i < left->many_count; i++)
        if (left->many[i] != right->many[i])
            return false;
    for (size_t i = 0; i < left->name_count; i++)
        if (!same_text(left->names[i], right->names[i]))
            return false;
    for (size_t i = 0; i < left->path_count; i++)
        if (!same_point(&left->path[i], &right->path[i]))
            return false;
    for (size_t i = 0; i < left->tree_count; i++)
        if (!same_branch(&left->tree[i], &right->tree[i]))
            return false;
    return true;
}

static inline bool same_everything(const everything *left, const everything *right)
{
    return same_scalars(left, right) && same_lists(left, right) && same_owned(left, right);
}

#endif
