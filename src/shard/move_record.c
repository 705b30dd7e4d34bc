/* What is written down about a move, at both ends. */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "shard/move.h"

static void keep_line(char *out, size_t size, const char *line)
{
    snprintf(out, size, "%s", line);
}

stele_status stele__move_record_write(const char *path, const stele__move_record *record)
{
    const stele__lines lines = { .line = { record->back ? "back" : "go", record->id, record->uuid,
                                           record->root, record->to_organisation,
                                           record->to_namespace },
                                 .count = 6 };
    return stele__lines_write(path, "moving", &lines);
}

stele_status stele__move_record_read(const char *path, stele__move_record *record_out)
{
    stele__lines lines;
    stele__move_record *record = record_out;
    *record = (stele__move_record){ 0 };
    stele_status status = stele__lines_read(path, "moving", 6, &lines);
    if (status != STELE_OK)
        return status;
    record->back = strcmp(lines.line[0], "back") == 0;
    keep_line(record->id, sizeof(record->id), lines.line[1]);
    keep_line(record->uuid, sizeof(record->uuid), lines.line[2]);
    keep_line(record->root, sizeof(record->root), lines.line[3]);
    keep_line(record->to_organisation, sizeof(record->to_organisation), lines.line[4]);
    keep_line(record->to_namespace, sizeof(record->to_namespace), lines.line[5]);
    return STELE_OK;
}

stele_status stele__reservation_write(const char *path, const stele__reservation *reservation)
{
    const stele__lines lines = { .line = { reservation->id, reservation->record }, .count = 2 };
    return stele__lines_write(path, "arriving", &lines);
}

stele_status stele__reservation_read(const char *path, stele__reservation *reservation_out)
{
    stele__lines lines;
    *reservation_out = (stele__reservation){ 0 };
    stele_status status = stele__lines_read(path, "arriving", 2, &lines);
    if (status != STELE_OK)
        return status;
    keep_line(reservation_out->id, sizeof(reservation_out->id), lines.line[0]);
    keep_line(reservation_out->record, sizeof(reservation_out->record), lines.line[1]);
    return STELE_OK;
}
