/* Comparing two of the user's tables row by row, in the transaction that is open. */
#ifndef STELE_STORE_COMPARE_H
#define STELE_STORE_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "sqlite/database.h"

/* Room for a row as text; a longer one is cut. */
#define STELE__ROW_TEXT_SIZE ((size_t)400)

typedef struct stele__comparison {
    bool alike; /* both are there, with the same columns; else nothing of the rest is known */
    uint64_t first_rows;
    uint64_t second_rows;
    uint64_t only_first; /* rows that the other doesn't have, or not as often: each time counts */
    uint64_t only_second;
    char first_text[STELE__ROW_TEXT_SIZE]; /* the first of these, as SQL literals; "" */
    char second_text[STELE__ROW_TEXT_SIZE];
} stele__comparison;

/* `first` and `second` are names of tables, of letters, digits and '_' only. */
stele_status stele__tables_compare(stele__database *database, const char *first, const char *second,
                                   stele__comparison *comparison_out);

#endif
