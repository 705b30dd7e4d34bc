#include "table.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define GAP               2
#define CUT_MARK          "..."
#define CUT_MARK_WIDTH    3
#define CUT_WIDTH_MIN     8 /* a cut column is at least so wide, whatever the terminal */
#define WAITING_COUNT_MAX 200
#define WAITING_SIZE_MAX  ((size_t)1024 * 1024)
#define PADDING_MAX       ((size_t)60) /* without a terminal: a longer cell doesn't widen others */

static bool widens_others(const output *out, size_t index, size_t width)
{
    return out->terminal_width > 0 || !out->columns[index].may_be_cut || width <= PADDING_MAX;
}

static void widen_column(output *out, size_t index, size_t width)
{
    if (width > out->widths[index] && widens_others(out, index, width))
        out->widths[index] = width;
}

void table_begin(output *out)
{
    out->waiting_count = 0;
    buffer_clear(&out->cells);
    for (size_t i = 0; i < out->column_count; i++)
        out->widths[i] = strlen(out->columns[i].name);
}

void table_add_cell(output *out, size_t index, const char *text, size_t size)
{
    /* More than the terminal is wide can't be shown: keep one column more, to know that. */
    if (out->terminal_width > 0 && out->columns[index].may_be_cut)
        size = text_fit(text, size, out->terminal_width + 1);
    widen_column(out, index, text_width(text, size));
    buffer_add(&out->cells, text, size);
    buffer_add(&out->cells, "", 1);
}

bool table_end_row(output *out)
{
    out->waiting_count++;
    if (out->waiting_count < WAITING_COUNT_MAX && out->cells.size < WAITING_SIZE_MAX)
        return true;
    return table_flush(out);
}

/* Share what the terminal has left among the columns that may be cut, the narrowest first: what
 * one doesn't need goes to the wider ones. */
static void fit_columns(const output *out, size_t *widths)
{
    size_t taken = GAP * (out->column_count - 1);
    size_t uncut = 0;
    for (size_t i = 0; i < out->column_count; i++) {
        widths[i] = out->widths[i];
        if (out->columns[i].may_be_cut)
            uncut++;
        else
            taken += widths[i];
    }
    if (out->terminal_width == 0)
        return;

    size_t left = out->terminal_width > taken ? out->terminal_width - taken : 0;
    bool fitted[OUTPUT_COLUMNS_MAX] = { false };
    for (; uncut > 0; uncut--) {
        size_t narrowest = OUTPUT_COLUMNS_MAX;
        for (size_t i = 0; i < out->column_count; i++) {
            if (out->columns[i].may_be_cut && !fitted[i]
                && (narrowest == OUTPUT_COLUMNS_MAX || widths[i] < widths[narrowest]))
                narrowest = i;
        }
        size_t share = left / uncut < CUT_WIDTH_MIN ? CUT_WIDTH_MIN : left / uncut;
        if (widths[narrowest] > share)
            widths[narrowest] = share;
        fitted[narrowest] = true;
        left -= widths[narrowest] < left ? widths[narrowest] : left;
    }
}

static void pad(size_t count)
{
    for (; count > 0; count--)
        putc(' ', stdout);
}

static void write_cell(const output *out, size_t index, const char *text, size_t limit)
{
    size_t size = strlen(text);
    size_t width = text_width(text, size);
    const char *mark = "";
    if (width > limit && out->columns[index].may_be_cut && out->terminal_width > 0) {
        size = text_fit(text, size, limit - CUT_MARK_WIDTH);
        mark = CUT_MARK;
        width = text_width(text, size) + CUT_MARK_WIDTH;
    }
    size_t padding = width < limit ? limit - width : 0;
    bool last = index + 1 == out->column_count;
    if (out->columns[index].right)
        pad(padding);
    fwrite(text, 1, size, stdout);
    fputs(mark, stdout);
    if (!last)
        pad((out->columns[index].right ? 0 : padding) + GAP);
}

static void write_header(output *out, const size_t *widths)
{
    char name[64];
    for (size_t i = 0; i < out->column_count; i++) {
        size_t size = 0;
        for (const char *from = out->columns[i].name; *from != '\0' && size + 1 < sizeof(name);)
            name[size++] = (char)toupper((unsigned char)*from++);
        name[size] = '\0';
        write_cell(out, i, name, widths[i]);
    }
    putc('\n', stdout);
    out->header_written = true;
}

bool table_flush(output *out)
{
    size_t widths[OUTPUT_COLUMNS_MAX] = { 0 };
    fit_columns(out, widths);
    if (!out->header_written)
        write_header(out, widths);

    const char *text = out->cells.bytes;
    for (; out->waiting_count > 0; out->waiting_count--) {
        for (size_t i = 0; i < out->column_count; i++) {
            write_cell(out, i, text, widths[i]);
            text += strlen(text) + 1;
        }
        putc('\n', stdout);
    }
    buffer_clear(&out->cells);
    return ferror(stdout) == 0;
}
