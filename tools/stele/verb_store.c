/*
 * init and info: a store as a whole.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "options.h"
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
};

/* What holds for this store, in words that scripts may look for. */
static const char *guarantees_of(const stele_store_info *info)
{
    static char words[160];
    snprintf(words, sizeof(words), "%s%s %s",
             info->durability == STELE_DURABILITY_FULL ? "durable " : "",
             "atomic_batches dense_positions dense_versions checksums many_processes",
             info->wal_reset == STELE_WAL_RESET_FIXED ? "safe_transfer" : "guarded_transfer");
    return words;
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
    stele_store_close(store);
    return code;
}

/* A file is there: is it a store already, or something that must not become one? */
static exit_code init_existing(tool *of, const char *path)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.must_exist = true;
    options.read_only = true;
    stele_store *store = NULL;
    stele_status status = stele_store_open(path, &options, &store);
    if (status != STELE_OK) {
        report_unopened(path, status);
        return exit_code_of(status);
    }

    exit_code code = EXIT_USAGE;
    if (option_given(of, "if-missing")) {
        code = print_info(of, store);
    } else {
        report_error("%s exists already", path);
        report_hint("it is a store: stele info -s %s; or say --if-missing", shell_word(path));
    }
    stele_store_close(store);
    return code;
}

exit_code run_init(tool *of)
{
    const char *path = store_path(of);
    if (path == NULL)
        return EXIT_USAGE;
    struct stat found;
    bool is_empty_file = lstat(path, &found) == 0 && S_ISREG(found.st_mode) && found.st_size == 0;
    if (!is_empty_file && lstat(path, &found) == 0)
        return init_existing(of, path);

    stele_store *store = NULL;
    stele_status status = stele_store_open(path, NULL, &store);
    if (status != STELE_OK) {
        report_unopened(path, status);
        return exit_code_of(status);
    }
    exit_code code = print_info(of, store);
    stele_store_close(store);
    return code;
}
