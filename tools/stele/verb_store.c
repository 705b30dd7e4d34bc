/*
 * init and info: a store as a whole.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "options.h"
#include "place.h"
#include "tool.h"

static const column info_fields[] = {
    { .name = "uuid" },
    { .name = "epoch" },
    { .name = "format" },
    { .name = "head" },
    { .name = "events" },
    { .name = "streams" },
    { .name = "types" },
    { .name = "file_bytes" },
    { .name = "wal_bytes" },
    { .name = "durability" },
    { .name = "guarantees" },
    { .name = "sqlite.version" },
    { .name = "sqlite.wal_reset" },
    { .name = "free_bytes" },
    { .name = "unfinished" },
    { .name = "archived" },
    { .name = "kept" },
};

/* What holds for this store as it was opened, in words that scripts may look for. */
static const char *guarantees_of(const stele_store_info *info)
{
    const struct {
        uint32_t bit; /* 0: always */
        const char *word;
    } words[] = {
        { STELE_GUARANTEE_DURABLE, "durable" },
        { 0, "atomic_batches" },
        { 0, "dense_positions" },
        { 0, "dense_versions" },
        { 0, "checksums" },
        { STELE_GUARANTEE_SHARED, "many_processes" },
        { STELE_GUARANTEE_GUARDED,
          info->wal_reset == STELE_WAL_RESET_FIXED ? "safe_transfer" : "guarded_transfer" },
        { STELE_GUARANTEE_PERSISTENT, "persistent" },
        { STELE_GUARANTEE_CONCURRENT, "concurrent_reads" },
        { STELE_GUARANTEE_FAIR, "fair_turns" },
        { STELE_GUARANTEE_ANCHORED, "anchored" },
        { STELE_GUARANTEE_HARDENED, "hardened" },
    };
    static char text[256];
    size_t used = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if ((info->guarantees & words[i].bit) == words[i].bit)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used > 0 ? " " : "",
                                     words[i].word);
    return text;
}

static exit_code print_info(tool *of, stele_store *store)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_store_describe(store, &info);
    if (status != STELE_OK)
        return report_status(status);

    const cell cells[] = {
        text_cell(info.uuid),
        text_cell(info.epoch),
        number_cell(info.format),
        number_cell(info.head),
        number_cell(info.events),
        number_cell(info.streams),
        number_cell(info.types),
        number_cell(info.file_bytes),
        number_cell(info.wal_bytes),
        text_cell(info.durability == STELE_DURABILITY_FULL ? "full" : "relaxed"),
        words_cell(guarantees_of(&info)),
        text_cell(stele_sqlite_version()),
        text_cell(info.wal_reset == STELE_WAL_RESET_FIXED ? "fixed" : "guarded"),
        number_cell(info.free_bytes),
        number_cell(info.unfinished),
        number_cell(info.archived),
        number_cell(info.kept),
    };
    output_answer(&of->out, info_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}

exit_code run_info(tool *of)
{
    stele_store *store;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = print_info(of, store);
    close_store(of, store);
    return code;
}

/* A file is there: is it a store already, or something that must not become one? */
static exit_code init_existing(tool *of, const char *path)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.must_exist = true;
    options.read_only = true;
    stele_store *store = NULL;
    stele_status status = open_found(of, &options, &store);
    if (status != STELE_OK)
        return report_unfound(of, status);

    exit_code code = EXIT_USAGE;
    if (option_given(of, "if-missing")) {
        code = print_info(of, store);
    } else {
        report_error("%s exists already", path);
        report_hint("it is a store: stele info %s; or say --if-missing", store_words(of));
    }
    close_store(of, store);
    return code;
}

exit_code run_init(tool *of)
{
    const char *path = NULL;
    exit_code code = find_store(of, true, &path);
    if (code != EXIT_OK)
        return code;
    struct stat found;
    bool is_empty_file = lstat(path, &found) == 0 && S_ISREG(found.st_mode) && found.st_size == 0;
    if (!is_empty_file && lstat(path, &found) == 0)
        return init_existing(of, path);

    stele_store *store = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    stele_status status = open_found(of, &options, &store);
    code = status == STELE_OK ? print_info(of, store) : report_unfound(of, status);
    close_store(of, store);
    return code;
}
