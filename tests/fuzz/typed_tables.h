/**
 * @file tests/fuzz/typed_tables.h
 * Tables with every kind of member that a struct can have.
 */
#ifndef STELE_TESTS_FUZZ_TYPED_TABLES_H
#define STELE_TESTS_FUZZ_TYPED_TABLES_H

#include <stele/type.h>

enum { TYPED_TABLE_COUNT = 5 };

/** What the first byte of an input chooses from. */
extern const stele_type *const typed_tables[TYPED_TABLE_COUNT];

#endif
