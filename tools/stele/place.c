#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report.h"

/* --- What was named --- */

bool names_shard(const tool *of)
{
    return of->name_space != NULL;
}

const char *store_named(const tool *of)
{
    const char *path = of->store_path;
    if (path == NULL)
        path = getenv("STELE_STORE");
    if (path != NULL && path[0] != '\0')
        return path;
    report_error("no store named");
    report_hint("-s FILE names it, or the environment variable STELE_STORE");
    return NULL;
}

static const char *organisation_of(const tool *of)
{
    return of->organisation != NULL ? of->organisation : "";
}

const char *shard_words(const char *root, const char *organisation, const char *name_space)
{
    static char words[4096];
    size_t used = (size_t)snprintf(words, sizeof(words), "-s %s", shell_word(root));
    if (organisation[0] != '\0' && used < sizeof(words))
        used += (size_t)snprintf(words + used, sizeof(words) - used, " --org %s",
                                 shell_word(organisation));
    if (used < sizeof(words))
        snprintf(words + used, sizeof(words) - used, " --ns %s", shell_word(name_space));
    return words;
}

const char *store_words(const tool *of)
{
    static char words[2048];
    if (names_shard(of))
        return shard_words(store_named(of), organisation_of(of), of->name_space);
    snprintf(words, sizeof(words), "-s %s", shell_word(store_named(of)));
    return words;
}

/* A file is no root, and a root is no store. @return False when that was mixed up (reported). */
static bool check_kind(const tool *of, const char *named)
{
    struct stat facts;
    if (of->organisation != NULL && !names_shard(of)) {
        report_error("%s works on one store, and --org alone names none", of->verb->name);
        report_hint("add --ns NAMESPACE; stele shards list -s %s --org %s shows which there are",
                    shell_word(named), shell_word(of->organisation));
        return false;
    }
    if (stat(named, &facts) != 0)
        return true;
    if (names_shard(of) && !S_ISDIR(facts.st_mode)) {
        report_error("'%s' is a file, and --ns names a shard under a folder", named);
        report_hint("leave --ns and --org out, or name the root of the shards by -s");
        return false;
    }
    if (!names_shard(of) && S_ISDIR(facts.st_mode)) {
        report_error("'%s' is not a regular file but a folder: a root of shards?", named);
        report_hint("name one by --org and --ns, or see: stele shards list -s %s",
                    shell_word(named));
        return false;
    }
    return true;
}

/* --- Finding and opening --- */

static void close_place(store_place *place)
{
    stele_shard_release(place->shard);
    stele_shards_close(place->shards);
    place->shard = NULL;
    place->shards = NULL;
}

static stele_status open_root_of(const tool *of, const stele_options *store, bool creates)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    const char *named = of->store_path != NULL ? of->store_path : getenv("STELE_STORE");
    options.store = store;
    options.must_exist = !creates;
    options.open_max = 1;
    close_place(of->place);
    return stele_shards_open(named, &options, &of->place->shards);
}

exit_code find_store(const tool *of, bool creates, const char **path_out)
{
    const char *named = store_named(of);
    *path_out = named;
    if (named == NULL || !check_kind(of, named))
        return EXIT_USAGE;
    if (!names_shard(of))
        return EXIT_OK;
    stele_options store = STELE_OPTIONS_INIT;
    store.read_only = true;
    stele_status status = open_root_of(of, &store, creates);
    if (status == STELE_OK)
        status = stele_shards_path(of->place->shards, organisation_of(of), of->name_space,
                                   of->place->shard_path, sizeof(of->place->shard_path));
    *path_out = of->place->shard_path;
    return status == STELE_OK ? EXIT_OK : report_unfound(of, status);
}

/* Who mistyped a name should see that the shard is new. */
static void tell_creation(const tool *of)
{
    stele_shards_info info;
    if (stele_shards_describe(of->place->shards, &info) == STELE_OK && info.created > 0
        && of->verb->run != run_init)
        report_line("note: created the shard '%s' of organisation '%s'", of->name_space,
                    organisation_of(of));
}

stele_status open_found(const tool *of, const stele_options *options, stele_store **store_out)
{
    *store_out = NULL;
    if (!names_shard(of))
        return stele_store_open(store_named(of), options, store_out);
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.must_exist = options->must_exist;
    stele_status status = open_root_of(of, options, !options->must_exist);
    if (status == STELE_OK)
        status = stele_shards_acquire(of->place->shards, organisation_of(of), of->name_space, &how,
                                      &of->place->shard);
    if (status != STELE_OK)
        return status;
    *store_out = stele_shard_store(of->place->shard);
    if (!options->must_exist)
        tell_creation(of);
    return STELE_OK;
}

void close_store(const tool *of, stele_store *store)
{
    if (of->place->shards != NULL)
        close_place(of->place);
    else
        stele_store_close(store);
}

/* --- What is wrong --- */

/* The names of the shard whose file is at `path`, two folders below `root`. */
static bool hint_at_shard(const char *root, const char *path)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_options store = STELE_OPTIONS_INIT;
    stele_shards *shards = NULL;
    stele_shard_list *list = NULL;
    const stele_shard_entry *entry = NULL;
    bool found = false;
    store.read_only = true;
    options.store = &store;
    options.must_exist = true;
    stele_status status = stele_shards_open(root, &options, &shards);
    if (status == STELE_OK)
        status = stele_shards_list(shards, NULL, &list);
    while (!found && status == STELE_OK
           && (status = stele_shard_list_next(list, &entry)) == STELE_OK)
        found = strcmp(entry->path, path) == 0;
    if (found)
        report_hint("it is there now: %s",
                    shard_words(root, entry->organisation, entry->name_space));
    stele_shard_list_close(list);
    stele_shards_close(shards);
    return found;
}

void hint_at_new_place(stele_shards *shards, const char *organisation, const char *name_space)
{
    char path[PLACE_PATH_SIZE];
    char root[PLACE_PATH_SIZE];
    if (shards == NULL
        || stele_shards_moved_to(shards, organisation, name_space, path, sizeof(path)) != STELE_OK
        || path[0] == '\0')
        return;
    snprintf(root, sizeof(root), "%s", path);
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(root, '/');
        if (slash != NULL)
            *slash = '\0';
    }
    if (root[0] == '\0' || !hint_at_shard(root, path))
        report_hint("it is in %s now, or on its way to there; stele shards resume goes on with a"
                    " move that was cut short",
                    shell_word(path));
}

void hint_at_drop(const char *root, const char *organisation, const char *name_space)
{
    report_hint("was the drop cut short? stele shards undrop %s takes it back, stele shards drop"
                " goes on with it",
                shard_words(root, organisation, name_space));
}

exit_code see_move(const tool *of)
{
    store_place *place = of->place;
    char path[PLACE_PATH_SIZE];
    if (place->shard == NULL)
        return EXIT_OK;
    if (place->moved) {
        report_error("the shard has moved, and no events come here any more");
        hint_at_new_place(place->shards, organisation_of(of), of->name_space);
        return EXIT_REFUSED;
    }
    place->moved = stele_shards_moved_to(place->shards, organisation_of(of), of->name_space, path,
                                         sizeof(path))
                       == STELE_OK
                   && path[0] != '\0';
    return EXIT_OK;
}

exit_code report_unfound(const tool *of, stele_status status)
{
    const char *named = store_named(of);
    if (!names_shard(of)) {
        report_unopened(named, status);
        return exit_code_of(status);
    }
    report_error("%s", stele_error_text());
    if (status == STELE_MOVED)
        hint_at_new_place(of->place->shards, organisation_of(of), of->name_space);
    else if (status == STELE_FENCED)
        hint_at_drop(named, organisation_of(of), of->name_space);
    else if (status == STELE_BUSY)
        report_hint("another process works on it; try again");
    else if (status == STELE_NOT_FOUND && of->place->shards != NULL)
        report_hint("stele shards list -s %s shows which there are; stele init makes one",
                    shell_word(named));
    else if (status == STELE_NOT_FOUND)
        report_hint("stele init %s", store_words(of));
    else if (status == STELE_CORRUPT)
        report_hint("take it from a backup: stele shards drop --force, then stele shards recover");
    return exit_code_of(status);
}
