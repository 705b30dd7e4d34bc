#include "root.h"

#include <string.h>
#include <sys/stat.h>

#include "options.h"
#include "place.h"

const char *named_organisation(const tool *of)
{
    return of->organisation != NULL ? of->organisation : "";
}

/* Whether the verb has --grace. */
static bool has_grace(const command *verb)
{
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && verb->options[i].name != NULL; i++)
        if (strcmp(verb->options[i].name, "grace") == 0)
            return true;
    return false;
}

static bool take_grace(const tool *of, stele_shards_options *options)
{
    int64_t grace_us = (int64_t)options->trash_grace_s * 1000000;
    if (!has_grace(of->verb))
        return true;
    if (!option_age(of, "grace", &grace_us))
        return false;
    if (grace_us / 1000000 > UINT32_MAX) {
        report_error("--grace %s is too long", option_text(of, "grace"));
        report_hint("at most 49710d");
        return false;
    }
    options->trash_grace_s = (uint32_t)(grace_us / 1000000);
    return true;
}

exit_code open_root(const tool *of, root_use use, uint32_t open_max, stele_shards **shards_out)
{
    *shards_out = NULL;
    struct stat facts;
    const char *named = store_named(of);
    if (named == NULL)
        return EXIT_USAGE;
    if (of->immutable && use != ROOT_LOOK) {
        report_error("--immutable is for looking only, and %s writes", of->verb->name);
        return EXIT_USAGE;
    }
    if (stat(named, &facts) == 0 && !S_ISDIR(facts.st_mode)) {
        report_error("'%s' is a file, and %s works on a root of shards, a folder", named,
                     of->verb->name);
        report_hint("name that folder by -s");
        return EXIT_USAGE;
    }
    stele_options store = STELE_OPTIONS_INIT;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    store.read_only = use == ROOT_LOOK;
    store.immutable = of->immutable;
    options.store = &store;
    options.must_exist = use != ROOT_MAKE;
    options.open_max = open_max;
    if (!take_grace(of, &options))
        return EXIT_USAGE;
    stele_status status = stele_shards_open(named, &options, &of->place->shards);
    *shards_out = of->place->shards;
    if (status == STELE_OK)
        return EXIT_OK;
    report_status(status);
    if (status == STELE_NOT_FOUND)
        report_hint("the first shard makes it: stele init -s %s --org ORG --ns NS",
                    shell_word(named));
    return exit_code_of(status);
}

bool need_shard(const tool *of)
{
    if (of->name_space != NULL)
        return true;
    report_error("%s works on one shard: name it by --ns, and --org", of->verb->name);
    report_hint("stele shards list shows which there are");
    return false;
}

exit_code report_named_shard(const tool *of, stele_shards *shards, const char *organisation,
                             const char *name_space, stele_status status)
{
    report_progress_end();
    exit_code code = report_status_alone(status);
    switch (status) {
    case STELE_MOVED: hint_at_new_place(shards, organisation, name_space); break;
    case STELE_FENCED: hint_at_drop(store_named(of), organisation, name_space); break;
    case STELE_BUSY: report_hint("somebody has it open, or works on it; try again"); break;
    case STELE_NOT_FOUND:
        report_hint("stele shards list -s %s shows which there are", shell_word(store_named(of)));
        break;
    case STELE_CORRUPT:
        report_hint("stele shards verify %s",
                    shard_words(store_named(of), organisation, name_space));
        break;
    default: break;
    }
    return code;
}

exit_code report_shard(const tool *of, stele_shards *shards, stele_status status)
{
    return report_named_shard(of, shards, named_organisation(of),
                              of->name_space != NULL ? of->name_space : "", status);
}
