/*
 * shards list and path: which shards there are, and where.
 */
#include <stdio.h>
#include <unistd.h>

#include "options.h"
#include "place.h"
#include "root.h"
#include "tool.h"

static const column shard_columns[] = {
    { .name = "organisation", .may_be_cut = true },
    { .name = "namespace", .may_be_cut = true },
    { .name = "path", .may_be_cut = true },
    { .name = "state" },
};

static const column organisation_columns[] = {
    { .name = "organisation", .may_be_cut = true },
    { .name = "path", .may_be_cut = true },
};

static const column path_fields[] = {
    { .name = "organisation" }, { .name = "namespace" }, { .name = "path" },
    { .name = "state" },        { .name = "moved_to" },
};

/* @return False when options don't go together, which has been reported. */
static bool read_list_options(const tool *of, stele_shards_read *read)
{
    int64_t limit = 0;
    bool organisations = option_given(of, "orgs");
    read->organisation = of->organisation;
    read->prefix = option_text(of, "prefix");
    read->after_namespace = option_text(of, "after");
    read->after_organisation = option_text(of, "after-org");
    if (!option_number(of, "limit", 1, INT64_MAX, &limit))
        return false;
    read->limit = (uint64_t)limit;
    if (of->name_space != NULL) {
        report_error("%s lists many, and --ns names one", of->verb->name);
        report_hint("--prefix lists namespaces that start so; stele shards path is about one");
    } else if (organisations && (of->organisation != NULL || read->after_namespace != NULL)) {
        report_error("--orgs lists organisations: --org and --after don't go with it");
        report_hint("--after-org ORG goes on after that one");
    } else if (!organisations && read->organisation == NULL
               && (read->after_namespace == NULL) != (read->after_organisation == NULL)) {
        report_error("the next page begins after a shard: name it by --after-org and --after");
        report_hint("or list one organisation: --org ORG --after NS");
    } else {
        return true;
    }
    return false;
}

static bool print_shard(output *out, const stele_shard_entry *entry, bool organisations)
{
    const char *state = entry->moving ? "moving" : entry->moved ? "moved" : "ok";
    const cell shard[] = { text_cell(entry->organisation), text_cell(entry->name_space),
                           text_cell(entry->path), text_cell(state) };
    const cell organisation[] = { text_cell(entry->organisation), text_cell(entry->path) };
    return output_row(out, organisations ? organisation : shard);
}

exit_code run_shards_list(tool *of)
{
    stele_shards *shards;
    stele_shard_list *list = NULL;
    const stele_shard_entry *entry = NULL;
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    bool organisations = option_given(of, "orgs");
    if (!read_list_options(of, &read))
        return EXIT_USAGE;
    exit_code code = open_root(of, ROOT_LOOK, 1, &shards);
    if (code != EXIT_OK)
        return code;
    stele_status status = organisations ? stele_shards_organisations(shards, &read, &list)
                                        : stele_shards_list(shards, &read, &list);
    if (status != STELE_OK)
        return report_status(status);
    if (organisations)
        output_begin(&of->out, organisation_columns,
                     sizeof(organisation_columns) / sizeof(organisation_columns[0]));
    else
        output_begin(&of->out, shard_columns, sizeof(shard_columns) / sizeof(shard_columns[0]));
    while ((status = stele_shard_list_next(list, &entry)) == STELE_OK)
        if (!print_shard(&of->out, entry, organisations))
            break;
    output_end(&of->out);
    stele_shard_list_close(list);
    return status < 0 ? report_status(status) : EXIT_OK;
}

exit_code run_shards_path(tool *of)
{
    char path[PLACE_PATH_SIZE];
    char moved_to[PLACE_PATH_SIZE] = "";
    stele_shards *shards;
    if (!need_shard(of))
        return EXIT_USAGE;
    exit_code code = open_root(of, ROOT_LOOK, 1, &shards);
    if (code != EXIT_OK)
        return code;
    stele_status status =
        stele_shards_path(shards, named_organisation(of), of->name_space, path, sizeof(path));
    if (status == STELE_OK)
        status = stele_shards_moved_to(shards, named_organisation(of), of->name_space, moved_to,
                                       sizeof(moved_to));
    if (status != STELE_OK)
        return report_shard(of, shards, status);
    if (option_given(of, "bare")) {
        printf("%s\n", path);
        return EXIT_OK;
    }
    const char *state = moved_to[0] != '\0' ? "moved" : access(path, F_OK) == 0 ? "ok" : "missing";
    const cell nothing = { .kind = CELL_NOTHING };
    const cell cells[] = {
        text_cell(named_organisation(of)),
        text_cell(of->name_space),
        text_cell(path),
        text_cell(state),
        moved_to[0] != '\0' ? text_cell(moved_to) : nothing,
    };
    output_answer(&of->out, path_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}
