#include "archives.h"

#include <inttypes.h>
#include <stdlib.h>

#include "options.h"
#include "place.h"

static exit_code open_as(const char *path, bool read_only, stele_store **archive_out)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.must_exist = true;
    options.read_only = read_only;
    *archive_out = NULL;
    stele_status status = stele_store_open(path, &options, archive_out);
    if (status == STELE_OK)
        return EXIT_OK;
    report_unopened(path, status);
    if (status == STELE_NOT_FOUND && !read_only)
        report_hint("stele init -s %s", shell_word(path));
    return exit_code_of(status);
}

exit_code open_archive(const char *path, stele_store **archive_out)
{
    return open_as(path, false, archive_out);
}

exit_code attach_archives(const tool *of, stele_store *store, attached *to)
{
    size_t capacity = 0;
    const char **paths = grow(NULL, &capacity, of->given_count + 1, sizeof(const char *));
    size_t count = option_list(of, "archive", paths);
    *to = (attached){ .stores = calloc(count + 1, sizeof(stele_store *)) };
    exit_code code = to->stores != NULL ? EXIT_OK : EXIT_OTHER;
    for (size_t i = 0; i < count && code == EXIT_OK; i++) {
        code = open_as(paths[i], true, &to->stores[i]);
        to->count += code == EXIT_OK;
        if (code == EXIT_OK && stele_store_attach(store, to->stores[i]) != STELE_OK) {
            report_error("%s: %s", paths[i], stele_error_text());
            code = EXIT_USAGE;
        }
    }
    free(paths);
    return code;
}

void close_attached(attached *of)
{
    for (size_t i = 0; i < of->count; i++)
        stele_store_close(of->stores[i]);
    free(of->stores);
    *of = (attached){ 0 };
}

void report_skipped(stele_skipped skipped)
{
    if (skipped.erased > 0)
        report_line("note: %" PRId64 " erased events left out", skipped.erased);
    if (skipped.archived > 0) {
        report_line("note: %" PRId64 " archived events left out", skipped.archived);
        report_hint("--archive FILE reads them from the store that has them");
    }
}

exit_code report_read_status(stele_status status)
{
    exit_code code = report_status(status);
    if (status == STELE_ARCHIVED)
        report_hint("--archive FILE reads it from the store that has it; stele restore brings it"
                    " back");
    return code;
}
