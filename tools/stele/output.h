/**
 * @file output.h
 * Rows and answers on standard output, in the format asked for: the same rows in each.
 *
 * table  aligned columns for people; on a terminal, long cells are cut to its width
 * plain  tab-separated, after a line of column names
 * json   one object: {"v":1,"rows":[...]}, or {"v":1,...} for a single answer
 * jsonl  an object a line
 */
#ifndef STELE_TOOLS_OUTPUT_H
#define STELE_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "escape.h"

#define OUTPUT_COLUMNS_MAX 24

typedef enum output_format { OUTPUT_TABLE, OUTPUT_PLAIN, OUTPUT_JSON, OUTPUT_JSONL } output_format;

typedef enum cell_kind {
    CELL_TEXT,
    CELL_NUMBER,
    CELL_BOOLEAN,
    CELL_WORDS, /**< Text, with blanks between words: a list. */
    CELL_NOTHING
} cell_kind;

/** One value. Text is borrowed for the call. */
typedef struct cell {
    cell_kind kind;
    const char *text;
    size_t size;
    int64_t number;
} cell;

cell text_cell(const char *text);
cell bytes_cell(const void *bytes, size_t size);
cell words_cell(const char *words);
cell number_cell(int64_t number);
cell boolean_cell(bool value);

/** What a column, or a field of an answer, is called. */
typedef struct column {
    const char *name; /**< In an answer, `a.b` is field b of object a. */
    bool may_be_cut;  /**< In a table that is wider than the terminal. */
    bool right;       /**< Numbers: aligned right. */
} column;

/** Where rows go. Set up by output_init(), the format by the options. */
typedef struct output {
    output_format format;
    bool terminal;         /**< Standard output is one: escape what is of strangers. */
    const char *json_head; /**< Fields for the head of the JSON object, with a comma behind. */
    const char *list;      /**< Of which list of an open answer the rows are; NULL: of none. */
    const column *columns;
    size_t column_count;
    bool header_written;
    uint64_t row_count;
    size_t terminal_width;             /**< 0: no limit. */
    size_t widths[OUTPUT_COLUMNS_MAX]; /**< Of the table's columns so far. */
    buffer cells;                      /**< The table's waiting rows, each cell with a NUL. */
    size_t waiting_count;
    buffer line;
} output;

/** Find out what standard output is. Until an option says otherwise: a table on a terminal. */
void output_init(output *out);

void output_dispose(output *out);

/** Begin rows of `columns`, which stay borrowed until output_end(). */
void output_begin(output *out, const column *columns, size_t count);

/** Write a row, a cell for each column. @return False when nobody takes it any more. */
bool output_row(output *out, const cell *cells);

/** Write a row that is JSON already; for json and jsonl. @return As output_row(). */
bool output_json_row(output *out, const char *json, size_t size);

/** Let out what waits for the table's alignment, and what waits in the buffer. */
bool output_flush(output *out);

void output_end(output *out);

/** Write an answer of `count` named cells. */
void output_answer(output *out, const column *fields, const cell *cells, size_t count);

/** output_answer() that goes on with lists of rows, until output_close_answer(). */
void output_open_answer(output *out, const column *fields, const cell *cells, size_t count);

/** What output_begin() to output_end() write next is field `name` of the open answer: a list. */
void output_list(output *out, const char *name);

void output_close_answer(output *out);

/** Write bytes as they are; JSON that goes to a terminal is escaped. @return As output_row(). */
bool output_json_bytes(output *out, const char *json, size_t size);

/** Whether standard output is a pipe, socket or terminal that nobody reads any more. */
bool output_is_unread(void);

/** Add `text` to `to` as a JSON string; what isn't UTF-8 is escaped first. */
void add_json_string(buffer *to, const char *text, size_t size);

#endif
