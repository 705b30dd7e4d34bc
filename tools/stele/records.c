#include "records.h"

#include <inttypes.h>
#include <string.h>

static const column columns[] = {
    { .name = "position", .right = true },
    { .name = "version", .right = true },
    { .name = "time" },
    { .name = "stream" },
    { .name = "type" },
    { .name = "data", .may_be_cut = true },
    { .name = "metadata", .may_be_cut = true },
};

bool records_show_keys(const output *out)
{
    return out->format == OUTPUT_JSON || out->format == OUTPUT_JSONL;
}

exit_code records_begin(records *of, output *out, stele_store *types)
{
    *of = (records){ .out = out, .types = types, .text = STELE_BUFFER_INIT };
    if (records_show_keys(out)) {
        stele_status status = stele_exporter_open(&of->exporter);
        if (status != STELE_OK)
            return report_status(status);
    }
    output_begin(out, columns, sizeof(columns) / sizeof(columns[0]));
    return EXIT_OK;
}

static int64_t time_of(const stele_record *record)
{
    return record->has_occurred_at ? record->occurred_at : record->recorded_at;
}

static stele_status write_line(records *of, const stele_record *record, bool *taken_out)
{
    const char *line;
    size_t size;
    stele_status status = stele_exporter_line(of->exporter, record, &line, &size);
    if (status == STELE_OK)
        *taken_out = output_json_row(of->out, line, size - 1); /* without its newline */
    return status;
}

/* All parts of a decoded record, with blanks between. */
static stele_status format_parts(records *of)
{
    size_t count = stele_decoded_count(of->decoded);
    stele_status status = STELE_OK;
    of->text.size = 0;
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        const stele_part *part = stele_decoded_part(of->decoded, i);
        if (i > 0)
            status = stele_buffer_add(&of->text, " ", 1);
        if (status == STELE_OK)
            status = stele_type_format(part->type, part->value, &of->text);
    }
    return status;
}

/* What the cell of the data shows. OK or NO_MEMORY. */
static stele_status choose_data(records *of, const stele_record *record, cell *data_out)
{
    *data_out = bytes_cell(record->data, record->data_size);
    if (of->types == NULL)
        return STELE_OK;
    stele_status status = stele_record_decode(of->types, record, &of->decoded);
    if (status == STELE_OK)
        status = format_parts(of);
    if (status != STELE_OK) {
        of->undecoded++;
        return status == STELE_NO_MEMORY ? status : STELE_OK;
    }
    *data_out = stele_decoded_count(of->decoded) == 0 ? text_cell("(nothing)")
                                                      : bytes_cell(of->text.data, of->text.size);
    return STELE_OK;
}

static stele_status write_cells(records *of, const stele_record *record, bool *taken_out)
{
    char time[STELE_TIME_SIZE];
    cell data;
    stele_status status = choose_data(of, record, &data);
    if (status != STELE_OK)
        return status;
    stele_time_format(time_of(record), time);
    const cell cells[] = {
        number_cell(record->position),
        number_cell(record->version),
        text_cell(time),
        text_cell(record->stream),
        text_cell(record->type),
        data,
        bytes_cell(record->metadata, record->metadata_size),
    };
    *taken_out = output_row(of->out, cells);
    return STELE_OK;
}

stele_status records_write(records *of, const stele_record *record)
{
    bool taken = true;
    stele_status status = STELE_OK;
    if (of->exporter == NULL)
        status = write_cells(of, record, &taken);
    else
        status = write_line(of, record, &taken);
    if (status != STELE_OK)
        return status;
    return taken ? STELE_OK : STELE_DONE;
}

void records_end(records *of)
{
    output_end(of->out);
    if (of->undecoded > 0)
        report_hint("%" PRIu64
                    " events can't be decoded, and are shown as they are stored; `stele lint"
                    " --lib` says why",
                    of->undecoded);
    stele_exporter_close(of->exporter);
    of->exporter = NULL;
    stele_decoded_close(of->decoded);
    of->decoded = NULL;
    stele_buffer_dispose(&of->text);
}
