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

exit_code records_begin(records *of, output *out)
{
    *of = (records){ .out = out };
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

/* What became of the data of `record`; NULL when it is there. */
static const char *loss_of(const stele_record *record)
{
    if ((record->flags & STELE_RECORD_ERASED) != 0)
        return "erased";
    return (record->flags & STELE_RECORD_ARCHIVED) != 0 ? "archived" : NULL;
}

static void add_json_name(buffer *to, const char *key, const char *name)
{
    buffer_format(to, "\"%s\":", key);
    add_json_string(to, name, strlen(name));
}

/* The object of a record without data: as export has it, with what became of the data instead. */
static bool write_lost(records *of, const stele_record *record, const char *loss)
{
    char time[STELE_TIME_SIZE];
    stele_time_format(time_of(record), time);
    buffer line = { 0 };
    buffer_add_string(&line, "{");
    add_json_name(&line, "stream", record->stream);
    buffer_add_string(&line, ",");
    add_json_name(&line, "type", record->type);
    buffer_format(&line, ",\"time\":\"%s\",\"state\":\"%s\"", time, loss);
    buffer_format(&line, ",\"position\":%" PRId64 ",\"version\":%" PRId64, record->position,
                  record->version);
    buffer_format(&line, ",\"schema_version\":%" PRId64 ",", record->schema_version);
    add_json_name(&line, "codec", record->codec);
    buffer_add_string(&line, "}");
    bool taken = output_json_row(of->out, line.bytes, line.size);
    buffer_dispose(&line);
    return taken;
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

static bool write_cells(records *of, const stele_record *record, const char *loss)
{
    char time[STELE_TIME_SIZE];
    stele_time_format(time_of(record), time);
    cell data = bytes_cell(record->data, record->data_size);
    if (loss != NULL)
        data = text_cell(loss[0] == 'e' ? "(erased)" : "(archived)");
    const cell cells[] = {
        number_cell(record->position),
        number_cell(record->version),
        text_cell(time),
        text_cell(record->stream),
        text_cell(record->type),
        data,
        bytes_cell(record->metadata, record->metadata_size),
    };
    return output_row(of->out, cells);
}

stele_status records_write(records *of, const stele_record *record)
{
    const char *loss = loss_of(record);
    bool taken = true;
    if (of->exporter == NULL) {
        taken = write_cells(of, record, loss);
    } else if (loss != NULL) {
        taken = write_lost(of, record, loss);
    } else {
        stele_status status = write_line(of, record, &taken);
        if (status != STELE_OK)
            return status;
    }
    return taken ? STELE_OK : STELE_DONE;
}

void records_end(records *of)
{
    output_end(of->out);
    stele_exporter_close(of->exporter);
    of->exporter = NULL;
}
