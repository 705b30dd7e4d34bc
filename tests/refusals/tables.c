/*
 * Lines of a table that must not compile: scripts/refusals.sh compiles this file once for each,
 * with REFUSED defined as its number, and once without, which must work. The lines are those that
 * begin with `#if REFUSED ==`.
 */
#include <stele.h>

typedef struct item {
    char sku[24];
    uint32_t quantity;
} item;

typedef struct other {
    int number;
} other;

typedef enum state { OPEN, CLOSED } state;

typedef struct order {
    item one;
    other another;
    item lines[4];
    size_t line_count;
    item *more;
    char *note;
    char **notes;
    unsigned char key[16];
    uint8_t *pointer;
    const char *borrowed;
    char letter;
    long double precise;
    double matrix[3];
    bool gift;
    state state;
    float *reals;
    void *anything;
    int (*function)(void);
} order;

STELE_ENUM(state_names, { OPEN, "open" }, { CLOSED, "closed" });

static const stele_field item_fields[] = {
    STELE_F(item, sku, "sku", STELE_REQUIRED),
    STELE_F(item, quantity, "qty", STELE_REQUIRED),
};
STELE_TYPE(item_type, item, "Item", 1, item_fields);

static const stele_field order_fields[] = {
#ifndef REFUSED
    STELE_F_STRUCT(order, one, "one", item_type, 0),
    STELE_F_LIST(order, lines, line_count, "lines", item_type, 0),
    STELE_F_OWNED_LIST(order, more, line_count, "more", item_type, 0),
    STELE_F(order, note, "note", 0),
    STELE_F_OWNED_VALUES(order, notes, line_count, "notes", 0),
    STELE_F(order, key, "key", 0),
    STELE_F_ARRAY(order, matrix, "matrix", 0),
    STELE_F_ENUM(order, state, "state", state_names, 0),
    STELE_F_HAS(order, matrix[0], gift, "first", 0),
#endif
#if REFUSED == 1 /* a pointer to bytes, whose size nobody knows */
    STELE_F(order, pointer, "x", 0),
#elif REFUSED == 2  /* text that can't be owned */
    STELE_F(order, borrowed, "x", 0),
#elif REFUSED == 3  /* one character: a text or a number? */
    STELE_F(order, letter, "x", 0),
#elif REFUSED == 4  /* no number of JSON or CBOR */
    STELE_F(order, precise, "x", 0),
#elif REFUSED == 5  /* an array needs STELE_F_ARRAY */
    STELE_F(order, matrix, "x", 0),
#elif REFUSED == 6  /* a struct needs its table */
    STELE_F(order, one, "x", 0),
#elif REFUSED == 7  /* another struct's table */
    STELE_F_STRUCT(order, another, "x", item_type, 0),
#elif REFUSED == 8  /* a pointer is no list in place */
    STELE_F_LIST(order, more, line_count, "x", item_type, 0),
#elif REFUSED == 9  /* a list in place is none that is owned */
    STELE_F_OWNED_LIST(order, lines, line_count, "x", item_type, 0),
#elif REFUSED == 10 /* a count that is none */
    STELE_F_LIST(order, lines, note, "x", item_type, 0),
#elif REFUSED == 11 /* the same */
    STELE_F_LIST(order, lines, matrix[0], "x", item_type, 0),
#elif REFUSED == 21 /* a bool counts no further than 1 */
    STELE_F_LIST(order, lines, gift, "x", item_type, 0),
#elif REFUSED == 22 /* and a char, who knows? */
    STELE_F_LIST(order, lines, letter, "x", item_type, 0),
#elif REFUSED == 12 /* `has` is a bool */
    STELE_F_HAS(order, matrix[0], line_count, "x", 0),
#elif REFUSED == 13 /* an enum of reals */
    STELE_F_ENUM(order, matrix[0], "x", state_names, 0),
#elif REFUSED == 14 /* an array of structs needs a count */
    STELE_F_ARRAY(order, lines, "x", 0),
#elif REFUSED == 15 /* a pointer is no array */
    STELE_F_VALUES(order, reals, line_count, "x", 0),
#elif REFUSED == 16 /* and the other way round */
    STELE_F_OWNED_VALUES(order, matrix, line_count, "x", 0),
#elif REFUSED == 17 /* bytes are unsigned char */
    STELE_F_BYTES(order, one.sku, line_count, "x", 0),
#elif REFUSED == 18 /* nothing is known of it */
    STELE_F(order, anything, "x", 0),
#elif REFUSED == 19 /* no data */
    STELE_F(order, function, "x", 0),
#elif REFUSED == 20 /* a name is a literal, whose size is known */
    STELE_F(order, note, order_name, 0),
#endif
};
STELE_TYPE(order_type, order, "Order", 1, order_fields);
