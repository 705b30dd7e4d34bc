/* Five structs: scalars, texts and bytes, what may be missing, shapes, and a tree. */
#include "typed_tables.h"

typedef enum colour { COLOUR_NONE, COLOUR_RED, COLOUR_FAR = -7 } colour;
STELE_ENUM(colours, { COLOUR_NONE, "none" }, { COLOUR_RED, "red" }, { COLOUR_FAR, "far" });
STELE_ENUM_OR(open_colours, COLOUR_NONE, { COLOUR_NONE, "none" }, { COLOUR_RED, "r\"\xC3\xA9" });

/* Scalars of every width. */

typedef struct scalars {
    bool yes;
    signed char i8;
    short i16;
    int i32;
    long i64;
    long long long_long;
    unsigned char u8;
    unsigned short u16;
    unsigned u32;
    unsigned long u64;
    unsigned long long as_string;
    float real32;
    double real64;
    colour named;
    short small_named;
} scalars;
static const stele_field scalars_fields[] = {
    STELE_F(scalars, yes, "yes", STELE_OPTIONAL),
    STELE_F(scalars, i8, "i8", STELE_OPTIONAL),
    STELE_F(scalars, i16, "i16", STELE_OPTIONAL),
    STELE_F(scalars, i32, "i32", STELE_OPTIONAL | STELE_SECRET),
    STELE_F(scalars, i64, "i64", STELE_OPTIONAL),
    STELE_F(scalars, long_long, "ll", STELE_OPTIONAL | STELE_AS_STRING),
    STELE_F(scalars, u8, "u8", STELE_OPTIONAL),
    STELE_F(scalars, u16, "u16", STELE_OPTIONAL),
    STELE_F(scalars, u32, "u32", STELE_OPTIONAL),
    STELE_F(scalars, u64, "u64", STELE_OPTIONAL),
    STELE_F(scalars, as_string, "s", STELE_OPTIONAL | STELE_AS_STRING),
    STELE_F(scalars, real32, "f", STELE_OPTIONAL),
    STELE_F(scalars, real64, "d", STELE_OPTIONAL),
    STELE_F_ENUM(scalars, named, "e", colours, STELE_OPTIONAL),
    STELE_F_ENUM(scalars, small_named, "eo", open_colours, STELE_OPTIONAL),
};
STELE_TYPE(scalars_type, scalars, "Scalars", 1, scalars_fields);

/* Texts and bytes, in place and owned; strict. */

typedef struct texts {
    char place[8];
    char none[1];
    char *owned;
    char *wanted;
    unsigned char exact[3];
    unsigned char counted[6];
    signed char counted_size;
    stele_bytes bytes;
} texts;
static const stele_field texts_fields[] = {
    STELE_F(texts, place, "t", STELE_OPTIONAL),
    STELE_F(texts, none, "n", STELE_OPTIONAL),
    STELE_F(texts, owned, "o", STELE_OPTIONAL | STELE_SECRET),
    STELE_F(texts, wanted, "w", STELE_REQUIRED),
    STELE_F(texts, exact, "x", STELE_OPTIONAL),
    STELE_F_BYTES(texts, counted, counted_size, "c", STELE_OPTIONAL),
    STELE_F(texts, bytes, "b", STELE_OPTIONAL),
};
STELE_TYPE_FLAGS(texts_type, texts, "Texts", 2, texts_fields, STELE_STRICT);

/* What may be missing, and says so; structs in a struct. */

typedef struct part {
    char name[6];
    double weight;
    bool has_weight;
} part;
static const stele_field part_fields[] = {
    STELE_F(part, name, "name", STELE_REQUIRED),
    STELE_F_HAS(part, weight, has_weight, "weight", 0),
};
STELE_TYPE(part_type, part, "Part", 1, part_fields);

typedef struct holes {
    int number;
    char text[4];
    colour named;
    part inner;
    part outer;
    unsigned char exact[2];
    bool has_number, has_text, has_named, has_inner, has_exact;
} holes;
static const stele_field holes_fields[] = {
    STELE_F_HAS(holes, number, has_number, "number", STELE_AS_STRING),
    STELE_F_HAS(holes, text, has_text, "text", STELE_SECRET),
    STELE_F_HAS_ENUM(holes, named, has_named, "named", colours, 0),
    STELE_F_HAS_STRUCT(holes, inner, has_inner, "inner", part_type, 0),
    STELE_F_STRUCT(holes, outer, "outer", part_type, STELE_SECRET),
    STELE_F_HAS(holes, exact, has_exact, "\xC3\xA9", 0),
};
STELE_TYPE(holes_type, holes, "Holes", 1, holes_fields);

/* Arrays and lists of everything. */

typedef struct words {
    char *both[2];
    stele_bytes blobs[1];
} words;
static const stele_field words_fields[] = {
    STELE_F_ARRAY(words, both, "both", STELE_REQUIRED),
    STELE_F_ARRAY(words, blobs, "blobs", STELE_REQUIRED),
};
STELE_TYPE(words_type, words, "Words", 1, words_fields);

typedef struct shapes {
    double pair[2];
    char names[2][4];
    int listed[3];
    unsigned char listed_count;
    unsigned char keys[2][2];
    size_t key_count;
    part parts[2];
    int part_count;
    long long *values;
    size_t value_count;
    char **texts;
    unsigned short text_count;
    stele_bytes *blobs;
    size_t blob_count;
    char (*codes)[4];
    short code_count;
    part *owned_parts;
    unsigned char owned_part_count;
    words *phrases;
    int phrase_count;
} shapes;
static const stele_field shapes_fields[] = {
    STELE_F_ARRAY(shapes, pair, "pair", STELE_OPTIONAL),
    STELE_F_ARRAY(shapes, names, "names", STELE_OPTIONAL),
    STELE_F_VALUES(shapes, listed, listed_count, "l", STELE_OPTIONAL | STELE_AS_STRING),
    STELE_F_VALUES(shapes, keys, key_count, "k", STELE_OPTIONAL),
    STELE_F_LIST(shapes, parts, part_count, "p", part_type, STELE_OPTIONAL),
    STELE_F_OWNED_VALUES(shapes, values, value_count, "v", STELE_OPTIONAL),
    STELE_F_OWNED_VALUES(shapes, texts, text_count, "t", STELE_OPTIONAL),
    STELE_F_OWNED_VALUES(shapes, blobs, blob_count, "b", STELE_OPTIONAL | STELE_SECRET),
    STELE_F_OWNED_VALUES(shapes, codes, code_count, "c", STELE_OPTIONAL),
    STELE_F_OWNED_LIST(shapes, owned_parts, owned_part_count, "op", part_type, STELE_OPTIONAL),
    STELE_F_OWNED_LIST(shapes, phrases, phrase_count, "w", words_type, STELE_OPTIONAL),
};
STELE_TYPE(shapes_type, shapes, "Shapes", 1, shapes_fields);

/* A tree: each node owns the nodes below. */

typedef struct node {
    char *name;
    struct node *below;
    size_t below_count;
    part parts[1];
    unsigned part_count;
} node;
STELE_TYPE_DECLARE(node_type, node);
static const stele_field node_fields[] = {
    STELE_F(node, name, "n", STELE_OPTIONAL),
    STELE_F_OWNED_LIST(node, below, below_count, "b", node_type, STELE_OPTIONAL),
    STELE_F_LIST(node, parts, part_count, "p", part_type, STELE_OPTIONAL),
};
STELE_TYPE_FLAGS(node_type, node, "Node", 1, node_fields, STELE_STRICT);

const stele_type *const typed_tables[TYPED_TABLE_COUNT] = { &scalars_type, &texts_type, &holes_type,
                                                            &shapes_type, &node_type };
