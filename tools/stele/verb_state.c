/*
 * state get, put, list and delete: entries beside the log.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confirm.h"
#include "operand.h"
#include "options.h"
#include "place.h"
#include "tool.h"

/* What the library takes unless its options say otherwise. */
#define VALUE_SIZE_MAX ((size_t)16 * 1024 * 1024)

const command state_words[] = {
    { .name = "state get",
      .forms = { "SCOPE KEY" },
      .operand_min = 2,
      .operand_max = 2,
      .effect = IMPACT_LOOK,
      .what = "print a state entry",
      .details = "Exit code 3 when it isn't there. In json the value is `data` when it is JSON of\n"
                 "one line without blanks around it, else `data_b64`, in base64.\n",
      .options = { { .name = "data", .what = "print the value alone, byte for byte" } },
      .examples = { "stele state get settings theme", "stele state get settings theme --data",
                    "stele state get settings theme -o json | jq .revision" },
      .run = run_state_get },
    { .name = "state put",
      .forms = { "SCOPE KEY [DATA|-]" },
      .operand_min = 2,
      .operand_max = 3,
      .effect = IMPACT_WRITE,
      .creates = true,
      .what = "write a state entry: create it, or replace it",
      .details = "DATA is as for append, but empty only with another codec than json. Attributes\n"
                 "are replaced together with the value. A write id that came before with the same\n"
                 "content writes nothing, however often the entry was written since; with other\n"
                 "content the exit code is 4.\n",
      .options = { { .name = "codec",
                     .value = "NAME",
                     .choices = "json cbor raw",
                     .open = true,
                     .what = "what DATA is written in; json" },
                   { .name = "expect",
                     .value = "any|none|N",
                     .choices = "any none",
                     .open = true,
                     .what = "which revision the entry must be at; any" },
                   { .name = "write-id",
                     .value = "ID",
                     .what = "names this write, so that repeating it changes nothing" },
                   { .name = "attribute",
                     .value = "NAME=VALUE",
                     .repeats = true,
                     .what = "a text beside the value" } },
      .examples = { "stele state put settings theme '\"dark\"' --expect none",
                    "stele state put jobs job-7 - --codec raw --attribute by=cron < job.bin",
                    "stele state put jobs job-7 '{\"step\":3}' --expect 2 --write-id job-7/3" },
      .run = run_state_put },
    { .name = "state list",
      .forms = { "[SCOPE]" },
      .operand_max = 1,
      .effect = IMPACT_LOOK,
      .what = "list state entries, of one scope or of all",
      .details = "By scope and key, or with --newest by the time of writing, in one scope. Scopes\n"
                 "that begin with `$` are the library's and identities'.\n",
      .options = { { .name = "prefix", .value = "P", .what = "only keys that start with P" },
                   { .name = "newest", .what = "the latest written first; needs SCOPE" },
                   { .name = "limit", .value = "N", .what = "at most N entries" } },
      .examples = { "stele state list", "stele state list jobs --newest --limit 10",
                    "stele state list jobs --prefix job- -o jsonl | jq -r .key" },
      .run = run_state_list },
    { .name = "state delete",
      .forms = { "SCOPE KEY" },
      .operand_min = 2,
      .operand_max = 2,
      .effect = IMPACT_WRITE,
      .what = "delete a state entry",
      .details = "Its key and revision are remembered, so that late retries of old writes find\n"
                 "that they are old. One that isn't there is no failure.\n",
      .options = { { .name = "expect",
                     .value = "N",
                     .what = "the revision that the entry must be at" },
                   YES_OPTION,
                   DRY_RUN_OPTION },
      .examples = { "stele state delete settings theme", "stele state delete jobs job-7 -y",
                    "stele state delete jobs job-7 --expect 3 --dry-run" },
      .run = run_state_delete },
    { .name = NULL },
};

static const column entry_columns[] = {
    { .name = "scope" },
    { .name = "key" },
    { .name = "revision", .right = true },
    { .name = "updated_at" },
    { .name = "codec" },
    { .name = "attributes", .may_be_cut = true },
    { .name = "data", .may_be_cut = true },
};

static const column written_fields[] = {
    { .name = "scope" },      { .name = "key" },   { .name = "revision" },
    { .name = "updated_at" }, { .name = "found" }, { .name = "duplicate" },
    { .name = "superseded" },
};

static const column removed_fields[] = {
    { .name = "scope" }, { .name = "key" },     { .name = "revision" },
    { .name = "found" }, { .name = "dry_run" },
};

/* --- Entries, printed --- */

static bool prints_json(const output *out)
{
    return out->format == OUTPUT_JSON || out->format == OUTPUT_JSONL;
}

static void add_base64(buffer *to, const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)bytes[i] << 16;
        bits |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= left > 2 ? bytes[i + 2] : 0;
        char four[4] = { digits[bits >> 18], digits[bits >> 12 & 63],
                         left > 1 ? digits[bits >> 6 & 63] : '=',
                         left > 2 ? digits[bits & 63] : '=' };
        buffer_add(to, four, sizeof(four));
    }
}

static void add_json_attributes(buffer *to, const stele_entry *entry)
{
    buffer_add_string(to, "{");
    for (size_t i = 0; i < entry->attribute_count; i++) {
        const stele_attribute *attribute = &entry->attributes[i];
        buffer_add_string(to, i == 0 ? "" : ",");
        add_json_string(to, attribute->name, strlen(attribute->name));
        buffer_add_string(to, ":");
        add_json_string(to, attribute->value, strlen(attribute->value));
    }
    buffer_add_string(to, "}");
}

/* Whether the value can stand in a line as it is, and comes back the same from there: JSON on one
 * line, without blanks around it. */
static bool goes_into_line(const stele_entry *entry)
{
    const char *data = entry->data;
    size_t size = entry->data_size;
    return strcmp(entry->codec, "json") == 0 && size > 0 && memchr(data, '\n', size) == NULL
           && memchr(data, '\r', size) == NULL && strchr(" \t", data[0]) == NULL
           && strchr(" \t", data[size - 1]) == NULL;
}

/* The fields of the entry's object, without its braces. */
static void add_json_entry(buffer *to, const stele_entry *entry)
{
    char time[STELE_TIME_SIZE];
    stele_time_format(entry->updated_at, time);
    buffer_add_string(to, "\"scope\":");
    add_json_string(to, entry->scope, strlen(entry->scope));
    buffer_add_string(to, ",\"key\":");
    add_json_string(to, entry->key, strlen(entry->key));
    buffer_format(to, ",\"revision\":%" PRId64 ",\"updated_at\":\"%s\",\"codec\":", entry->revision,
                  time);
    add_json_string(to, entry->codec, strlen(entry->codec));
    buffer_add_string(to, ",\"attributes\":");
    add_json_attributes(to, entry);
    if (goes_into_line(entry)) {
        buffer_add_string(to, ",\"data\":");
        buffer_add(to, entry->data, entry->data_size);
    } else {
        buffer_add_string(to, ",\"data_b64\":\"");
        add_base64(to, entry->data, entry->data_size);
        buffer_add_string(to, "\"");
    }
}

/* As a row of a list, or as the one answer. @return False when nobody takes it any more. */
static bool print_entry(output *out, const stele_entry *entry, bool answer)
{
    buffer text = { 0 };
    bool taken = true;
    if (prints_json(out)) {
        buffer_add_string(&text, answer ? "{\"v\":1," : "{");
        add_json_entry(&text, entry);
        buffer_add_string(&text, answer ? "}\n" : "}");
        taken = answer ? output_json_bytes(out, text.bytes, text.size)
                       : output_json_row(out, text.bytes, text.size);
    } else {
        char time[STELE_TIME_SIZE];
        stele_time_format(entry->updated_at, time);
        add_json_attributes(&text, entry);
        const cell cells[] = {
            text_cell(entry->scope),
            text_cell(entry->key),
            number_cell(entry->revision),
            text_cell(time),
            text_cell(entry->codec),
            entry->attribute_count == 0 ? text_cell("") : bytes_cell(text.bytes, text.size),
            bytes_cell(entry->data, entry->data_size),
        };
        if (answer)
            output_answer(out, entry_columns, cells, sizeof(cells) / sizeof(cells[0]));
        else
            taken = output_row(out, cells);
    }
    buffer_dispose(&text);
    return taken;
}

/* --- get --- */

static exit_code report_no_entry(const tool *of)
{
    report_error("no entry '%s' in scope '%s'", of->operands[1], of->operands[0]);
    report_hint("stele state list shows all scopes and keys");
    return EXIT_NOT_FOUND;
}

exit_code run_state_get(tool *of)
{
    stele_store *store;
    const stele_entry *entry = NULL;
    exit_code code = open_store(of, 0, &store);
    if (code != EXIT_OK)
        return code;
    stele_status status = stele_state_get(store, of->operands[0], of->operands[1], &entry);
    if (status != STELE_OK)
        code = report_status(status);
    else if (!entry->found)
        code = report_no_entry(of);
    else if (option_given(of, "data"))
        fwrite(entry->data, 1, entry->data_size, stdout);
    else
        print_entry(&of->out, entry, true);
    stele_entry_close(entry);
    close_store(of, store);
    return code;
}

/* --- put --- */

/* Of each `NAME=VALUE`. The names are copies, to be freed with the array. */
static bool take_attributes(const tool *of, stele_attribute **attributes_out, size_t *count_out)
{
    const char **given = calloc(of->given_count + 1, sizeof(*given));
    stele_attribute *attributes = calloc(of->given_count + 1, sizeof(*attributes));
    *count_out = 0;
    *attributes_out = attributes;
    if (given == NULL || attributes == NULL)
        abort();
    size_t count = option_list(of, "attribute", given);
    bool taken = true;
    for (size_t i = 0; i < count && taken; i++) {
        size_t size = strcspn(given[i], "=");
        taken = given[i][size] == '=';
        if (!taken) {
            report_error("--attribute takes NAME=VALUE, not '%s'", given[i]);
            break;
        }
        attributes[i].name = strndup(given[i], size);
        attributes[i].value = given[i] + size + 1;
        *count_out = i + 1;
    }
    free(given);
    return taken;
}

static void free_attributes(stele_attribute *attributes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)attributes[i].name);
    free(attributes);
}

static bool read_expected_revision(const tool *of, int64_t *expected_out)
{
    const char *text = option_text(of, "expect");
    if (text == NULL || strcmp(text, "any") == 0)
        return true;
    if (strcmp(text, "none") == 0) {
        *expected_out = STELE_NO_ENTRY;
        return true;
    }
    if (text[0] < '0' || text[0] > '9') {
        report_error("--expect takes a revision, any or none, not '%s'", text);
        report_hint("stele state put --help");
        return false;
    }
    return option_number(of, "expect", 0, INT64_MAX, expected_out);
}

/* `write_id` NULL: it had none. */
static exit_code report_write(const tool *of, stele_status status, const char *write_id)
{
    bool unknown = status == STELE_UNKNOWN_OUTCOME;
    if (status != STELE_CONFLICT && status != STELE_KEY_REUSED && status != STELE_INVALID
        && !unknown)
        return report_status(status);
    exit_code code = report_status_alone(status);
    if (status == STELE_KEY_REUSED)
        report_hint("a write id names one write; another write needs another --write-id");
    else if (status == STELE_INVALID)
        report_hint("DATA is JSON unless --codec says otherwise; --codec raw takes any bytes");
    else if (unknown && write_id != NULL)
        report_hint("repeat it with the same --write-id: nothing is written twice");
    else
        report_hint("see it: stele state get %s %s", shell_word(of->operands[0]),
                    shell_word(of->operands[1]));
    return code;
}

static exit_code put_entry(tool *of, stele_store *store, const stele_put *put)
{
    stele_written written;
    char time[STELE_TIME_SIZE];
    stele_status status = stele_state_put(store, put, &written);
    if (status != STELE_OK)
        return report_write(of, status, put->write_id);
    stele_time_format(written.updated_at, time);
    const cell cells[] = {
        text_cell(put->scope),
        text_cell(put->key),
        number_cell(written.revision),
        text_cell(time),
        boolean_cell(written.found),
        boolean_cell(written.duplicate),
        boolean_cell(written.superseded),
    };
    output_answer(&of->out, written_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}

/* Nothing isn't JSON, and would be what a forgotten DATA or a failed producer leaves of a value. */
static exit_code read_value(const tool *of, stele_put *put, buffer *input)
{
    bool is_json = strcmp(put->codec, "json") == 0;
    if (!take_data(of->operand_count > 2 ? of->operands[2] : NULL, VALUE_SIZE_MAX, is_json, input,
                   &put->data, &put->data_size))
        return EXIT_OTHER;
    if (!is_json || put->data_size > 0)
        return EXIT_OK;
    report_error("DATA is %s", of->operand_count > 2 ? "empty" : "missing");
    report_hint("'null' is JSON for nothing; --codec raw takes nothing as it is; stele state delete"
                " removes the entry");
    return EXIT_USAGE;
}

exit_code run_state_put(tool *of)
{
    stele_store *store = NULL;
    stele_put put = STELE_PUT_INIT;
    stele_attribute *attributes = NULL;
    size_t attribute_count = 0;
    buffer input = { 0 };
    put.scope = of->operands[0];
    put.key = of->operands[1];
    put.write_id = option_text(of, "write-id");
    put.codec = option_text(of, "codec");
    if (put.codec == NULL)
        put.codec = "json";
    exit_code code = EXIT_OK;
    if (!read_expected_revision(of, &put.expected_revision)
        || !take_attributes(of, &attributes, &attribute_count))
        code = EXIT_USAGE;
    put.attributes = attributes;
    put.attribute_count = attribute_count;
    if (code == EXIT_OK)
        code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = read_value(of, &put, &input);
    if (code == EXIT_OK)
        code = put_entry(of, store, &put);
    close_store(of, store);
    buffer_dispose(&input);
    free_attributes(attributes, attribute_count);
    return code;
}

/* --- list --- */

static bool read_list_options(const tool *of, stele_entries_read *read)
{
    int64_t limit = 0;
    read->scope = of->operand_count > 0 ? of->operands[0] : NULL;
    read->prefix = option_text(of, "prefix");
    if (!option_number(of, "limit", 1, INT64_MAX, &limit))
        return false;
    read->limit = (uint64_t)limit;
    if (!option_given(of, "newest"))
        return true;
    read->order = STELE_NEWEST_FIRST;
    if (read->scope == NULL) {
        report_error("--newest lists one scope, and none was given");
        report_hint("stele state list SCOPE --newest");
    }
    return read->scope != NULL;
}

exit_code run_state_list(tool *of)
{
    stele_store *store;
    stele_entries *entries = NULL;
    const stele_entry *entry = NULL;
    stele_entries_read read = STELE_ENTRIES_READ_INIT;
    if (!read_list_options(of, &read))
        return EXIT_USAGE;
    exit_code code = open_store(of, 0, &store);
    if (code != EXIT_OK)
        return code;
    stele_status status = stele_state_list(store, &read, &entries);
    if (status == STELE_OK) {
        output_begin(&of->out, entry_columns, sizeof(entry_columns) / sizeof(entry_columns[0]));
        while ((status = stele_entries_next(entries, &entry)) == STELE_OK)
            if (!print_entry(&of->out, entry, false))
                break;
        output_end(&of->out);
    }
    if (status < 0)
        code = report_status(status);
    stele_entries_close(entries);
    close_store(of, store);
    return code;
}

/* --- delete --- */

static void print_removed(tool *of, const stele_written *written, bool dry_run)
{
    const cell cells[] = {
        text_cell(of->operands[0]),   text_cell(of->operands[1]), number_cell(written->revision),
        boolean_cell(written->found), boolean_cell(dry_run),
    };
    output_answer(&of->out, removed_fields, cells, sizeof(cells) / sizeof(cells[0]));
}

/* What deleting would find, for who asks first. */
static exit_code look_before_delete(tool *of, stele_store *store, int64_t expected,
                                    stele_written *found_out)
{
    const stele_entry *entry = NULL;
    *found_out = (stele_written){ 0 };
    stele_status status = stele_state_get(store, of->operands[0], of->operands[1], &entry);
    if (status != STELE_OK)
        return report_status(status);
    found_out->found = entry->found;
    found_out->revision = entry->revision;
    stele_entry_close(entry);
    if (found_out->found && expected != STELE_ANY && expected != found_out->revision) {
        report_error("the entry '%s' of scope '%s' is at revision %" PRId64 ", expected %" PRId64,
                     of->operands[1], of->operands[0], found_out->revision, expected);
        return EXIT_CONFLICT;
    }
    return EXIT_OK;
}

static exit_code delete_entry(tool *of, stele_store *store, const stele_remove *what)
{
    stele_written written;
    bool dry_run = option_given(of, "dry-run");
    exit_code code = EXIT_OK;
    if (dry_run || will_ask(of))
        code = look_before_delete(of, store, what->expected_revision, &written);
    if (code == EXIT_OK && !dry_run)
        code = confirm(of, "delete the entry '%s' of scope '%s'?", what->key, what->scope);
    if (code == EXIT_OK && !dry_run) {
        stele_status status = stele_state_delete(store, what, &written);
        if (status != STELE_OK)
            code = report_write(of, status, what->write_id);
    }
    if (code == EXIT_OK)
        print_removed(of, &written, dry_run);
    return code;
}

exit_code run_state_delete(tool *of)
{
    stele_store *store;
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = of->operands[0];
    what.key = of->operands[1];
    if (!option_number(of, "expect", 1, INT64_MAX, &what.expected_revision))
        return EXIT_USAGE;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = delete_entry(of, store, &what);
    close_store(of, store);
    return code;
}
