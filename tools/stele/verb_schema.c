/*
 * schema: what the types of a library are made of, for other programs.
 */
#include <string.h>

#include <stele.h>

#include "options.h"
#include "plugin.h"
#include "tool.h"

static exit_code print_schema(output *out, const stele_type *type)
{
    stele_buffer text = STELE_BUFFER_INIT;
    stele_status status = stele_type_json_schema(type, &text);
    if (status == STELE_OK)
        status = stele_buffer_add(&text, "\n", 1);
    exit_code code = status == STELE_OK ? EXIT_OK : report_status(status);
    if (status == STELE_OK)
        output_json_bytes(out, text.data, text.size);
    stele_buffer_dispose(&text);
    return code;
}

/* The type that `name` is an alias of, or `name`. */
static const char *resolve_alias(stele_store *store, const char *name)
{
    stele_registered registered;
    for (size_t i = 0; stele_store_registered(store, i, &registered) == STELE_OK; i++)
        if (registered.type == NULL && strcmp(registered.name, name) == 0)
            return registered.alias_of;
    return name;
}

/* The newest table of this name; NULL: there is none. */
static const stele_type *find_type(stele_store *store, const char *name)
{
    const stele_type *newest = NULL;
    stele_registered registered;
    for (size_t i = 0; stele_store_registered(store, i, &registered) == STELE_OK; i++) {
        if (registered.type == NULL || strcmp(registered.name, name) != 0)
            continue;
        if (newest == NULL || registered.schema_version > newest->schema_version)
            newest = registered.type;
    }
    return newest;
}

static exit_code print_all(output *out, stele_store *store)
{
    stele_registered registered;
    exit_code code = EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && stele_store_registered(store, i, &registered) == STELE_OK;
         i++) {
        if (registered.type != NULL)
            code = print_schema(out, registered.type);
    }
    return code;
}

static exit_code print_schemas(tool *of, stele_store *store)
{
    exit_code code = load_plugins(of, store);
    if (code != EXIT_OK)
        return code;
    if (of->operand_count == 0)
        return print_all(&of->out, store);
    const stele_type *type = find_type(store, resolve_alias(store, of->operands[0]));
    if (type != NULL)
        return print_schema(&of->out, type);
    report_error("no library has a type '%s'", of->operands[0]);
    return EXIT_NOT_FOUND;
}

/* One schema is json as well as jsonl. */
static bool check_schema_format(const tool *of)
{
    if (!of->format_given || of->out.format == OUTPUT_JSONL
        || (of->out.format == OUTPUT_JSON && of->operand_count == 1))
        return true;
    report_error("schema writes jsonl only");
    report_hint("jq makes it readable: stele schema --lib FILE | jq");
    return false;
}

exit_code run_schema(tool *of)
{
    if (!option_given(of, "lib")) {
        report_error("no library given");
        report_hint("--lib FILE names a shared library with a function %s", STELE_REGISTER_SYMBOL);
        return EXIT_USAGE;
    }
    if (!check_schema_format(of))
        return EXIT_USAGE;
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    exit_code code = status == STELE_OK ? print_schemas(of, store) : report_status(status);
    stele_store_close(store);
    return code;
}
