#include "output.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <stele.h>

#include "table.h"

cell text_cell(const char *text)
{
    return bytes_cell(text, strlen(text));
}

cell bytes_cell(const void *bytes, size_t size)
{
    return (cell){ CELL_TEXT, bytes, size, 0 };
}

cell words_cell(const char *words)
{
    return (cell){ CELL_WORDS, words, strlen(words), 0 };
}

cell number_cell(int64_t number)
{
    return (cell){ CELL_NUMBER, NULL, 0, number };
}

cell boolean_cell(bool value)
{
    return (cell){ CELL_BOOLEAN, NULL, 0, value };
}

static size_t find_terminal_width(void)
{
    struct winsize size = { 0 };
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

void output_init(output *out)
{
    *out = (output){ 0 };
    out->terminal = isatty(STDOUT_FILENO) != 0;
    out->format = out->terminal ? OUTPUT_TABLE : OUTPUT_PLAIN;
    out->terminal_width = out->terminal ? find_terminal_width() : 0;
    out->json_head = "";
}

void output_dispose(output *out)
{
    buffer_dispose(&out->cells);
    buffer_dispose(&out->line);
}

bool output_is_unread(void)
{
    struct pollfd standard = { .fd = STDOUT_FILENO };
    return poll(&standard, 1, 0) == 1 && (standard.revents & (POLLERR | POLLHUP)) != 0;
}

/* --- JSON --- */

void add_json_string(buffer *to, const char *text, size_t size)
{
    size_t quoted = stele_json_quote(text, size, NULL, 0);
    if (quoted == 0) {
        buffer escaped = { 0 };
        escape_text(&escaped, text, size, ESCAPE_FOR_PEOPLE);
        add_json_string(to, escaped.bytes, escaped.size);
        buffer_dispose(&escaped);
        return;
    }
    to->bytes = grow(to->bytes, &to->capacity, to->size + quoted + 1, 1);
    to->size += stele_json_quote(text, size, to->bytes + to->size, quoted + 1);
}

static void add_json_words(buffer *to, const char *words)
{
    buffer_add_string(to, "[");
    while (*words != '\0') {
        size_t size = strcspn(words, " ");
        add_json_string(to, words, size);
        words += size;
        if (*words == ' ') {
            words++;
            buffer_add_string(to, ",");
        }
    }
    buffer_add_string(to, "]");
}

static void add_json_cell(buffer *to, const cell *from)
{
    switch (from->kind) {
    case CELL_TEXT: add_json_string(to, from->text, from->size); break;
    case CELL_NUMBER: buffer_format(to, "%" PRId64, from->number); break;
    case CELL_BOOLEAN: buffer_add_string(to, from->number != 0 ? "true" : "false"); break;
    case CELL_WORDS: add_json_words(to, from->text); break;
    case CELL_NOTHING: buffer_add_string(to, "null"); break;
    }
}

/* `"name":value` for each; a run of names `a.b`, `a.c` becomes `"a":{"b":...,"c":...}`. */
static void add_json_fields(buffer *to, const column *fields, const cell *cells, size_t count)
{
    const char *outer = "";
    size_t outer_size = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = fields[i].name;
        const char *dot = strchr(name, '.');
        size_t size = dot != NULL ? (size_t)(dot - name) : 0;
        bool same = size == outer_size && strncmp(name, outer, size) == 0;
        if (!same && outer_size > 0)
            buffer_add_string(to, "}");
        if (i > 0)
            buffer_add_string(to, ",");
        if (!same && size > 0) {
            add_json_string(to, name, size);
            buffer_add_string(to, ":{");
        }
        outer = name;
        outer_size = size;
        const char *own = dot != NULL ? dot + 1 : name;
        add_json_string(to, own, strlen(own));
        buffer_add_string(to, ":");
        add_json_cell(to, &cells[i]);
    }
    if (outer_size > 0)
        buffer_add_string(to, "}");
}

static bool is_json(const output *out)
{
    return out->format == OUTPUT_JSON || out->format == OUTPUT_JSONL;
}

static bool write_bytes(const char *bytes, size_t size)
{
    return fwrite(bytes, 1, size, stdout) == size;
}

bool output_json_bytes(output *out, const char *json, size_t size)
{
    if (!out->terminal)
        return write_bytes(json, size);
    bool line = size > 0 && json[size - 1] == '\n';
    buffer escaped = { 0 };
    escape_json(&escaped, json, line ? size - 1 : size);
    if (line)
        buffer_add_string(&escaped, "\n");
    bool taken = write_bytes(escaped.bytes, escaped.size);
    buffer_dispose(&escaped);
    return taken;
}

bool output_json_row(output *out, const char *json, size_t size)
{
    bool is_line = out->format == OUTPUT_JSONL && out->list == NULL;
    if (!is_line && out->row_count > 0)
        fputs(out->format == OUTPUT_JSON ? ",\n" : ",", stdout);
    out->row_count++;
    bool taken = output_json_bytes(out, json, size);
    if (is_line)
        taken = putc('\n', stdout) != EOF && taken;
    return taken;
}

/* --- plain --- */

/* `from` as text, escaped for a cell that goes to `where`. */
static void add_cell(buffer *to, const cell *from, escape_for where)
{
    switch (from->kind) {
    case CELL_TEXT:
    case CELL_WORDS: escape_text(to, from->text, from->size, where); break;
    case CELL_NUMBER: buffer_format(to, "%" PRId64, from->number); break;
    case CELL_BOOLEAN: buffer_add_string(to, from->number != 0 ? "true" : "false"); break;
    case CELL_NOTHING: buffer_add(to, "", 0); break;
    }
}

static escape_for plain_escape(const output *out)
{
    return out->terminal ? ESCAPE_FOR_TSV_TERMINAL : ESCAPE_FOR_TSV;
}

static bool write_plain_row(output *out, const cell *cells)
{
    buffer_clear(&out->line);
    for (size_t i = 0; i < out->column_count; i++) {
        if (i > 0)
            buffer_add_string(&out->line, "\t");
        add_cell(&out->line, &cells[i], plain_escape(out));
    }
    buffer_add_string(&out->line, "\n");
    return write_bytes(out->line.bytes, out->line.size);
}

/* --- rows --- */

void output_begin(output *out, const column *columns, size_t count)
{
    out->columns = columns;
    out->column_count = count;
    out->header_written = false;
    out->row_count = 0;
    if (out->list != NULL && is_json(out)) {
        printf(",\"%s\":[", out->list);
        return;
    }
    if (out->list != NULL)
        putc('\n', stdout); /* parts it from what comes before */
    switch (out->format) {
    case OUTPUT_JSON: printf("{\"v\":1,%s\"rows\":[", out->json_head); break;
    case OUTPUT_PLAIN:
        for (size_t i = 0; i < count; i++)
            printf("%s%s", i > 0 ? "\t" : "", columns[i].name);
        putc('\n', stdout);
        break;
    case OUTPUT_TABLE: table_begin(out); break;
    case OUTPUT_JSONL: break;
    }
}

bool output_row(output *out, const cell *cells)
{
    if (is_json(out)) {
        buffer_clear(&out->line);
        buffer_add_string(&out->line, "{");
        add_json_fields(&out->line, out->columns, cells, out->column_count);
        buffer_add_string(&out->line, "}");
        return output_json_row(out, out->line.bytes, out->line.size);
    }
    out->row_count++;
    if (out->format == OUTPUT_PLAIN)
        return write_plain_row(out, cells);

    for (size_t i = 0; i < out->column_count; i++) {
        buffer_clear(&out->line);
        add_cell(&out->line, &cells[i], ESCAPE_FOR_PEOPLE);
        table_add_cell(out, i, out->line.bytes, out->line.size);
    }
    return table_end_row(out);
}

bool output_flush(output *out)
{
    if (out->format == OUTPUT_TABLE)
        table_flush(out);
    return fflush(stdout) == 0;
}

void output_end(output *out)
{
    if (out->format == OUTPUT_TABLE)
        table_flush(out);
    if (out->list != NULL && is_json(out))
        putc(']', stdout);
    else if (out->format == OUTPUT_JSON)
        fputs("]}\n", stdout);
    out->list = NULL;
}

/* --- one answer --- */

void output_answer(output *out, const column *fields, const cell *cells, size_t count)
{
    output_open_answer(out, fields, cells, count);
    output_close_answer(out);
}

void output_list(output *out, const char *name)
{
    out->list = name;
}

void output_close_answer(output *out)
{
    if (is_json(out))
        fputs("}\n", stdout);
}

void output_open_answer(output *out, const column *fields, const cell *cells, size_t count)
{
    buffer_clear(&out->line);
    if (is_json(out)) {
        buffer_add_string(&out->line, "{\"v\":1,");
        add_json_fields(&out->line, fields, cells, count);
        output_json_bytes(out, out->line.bytes, out->line.size);
        return;
    }

    size_t width = 0;
    for (size_t i = 0; out->format == OUTPUT_TABLE && i < count; i++) {
        size_t size = strlen(fields[i].name);
        width = size > width ? size : width;
    }
    for (size_t i = 0; i < count; i++) {
        const char *gap = out->format == OUTPUT_TABLE ? "  " : "\t";
        buffer_format(&out->line, "%-*s%s", (int)width, fields[i].name, gap);
        add_cell(&out->line, &cells[i],
                 out->format == OUTPUT_TABLE ? ESCAPE_FOR_PEOPLE : plain_escape(out));
        buffer_add_string(&out->line, "\n");
    }
    write_bytes(out->line.bytes, out->line.size);
}
