#include "place.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "longwork.h"

#define SHELL_WORD_COUNT    4
#define SHELL_WORD_SIZE_MAX 1100 /* of a name of 255 bytes, were each a quote */

const char *shell_word(const char *word)
{
    static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "_@%+=:,./-";
    static char words[SHELL_WORD_COUNT][SHELL_WORD_SIZE_MAX];
    static size_t next;
    size_t length = strlen(word);
    if (length > 0 && strspn(word, harmless) == length)
        return word;

    char *quoted = words[next++ % SHELL_WORD_COUNT];
    size_t size = 0;
    quoted[size++] = '\'';
    for (; *word != '\0' && size + 6 < SHELL_WORD_SIZE_MAX; word++) {
        if (*word == '\'') {
            memcpy(quoted + size, "'\\''", 4);
            size += 4;
        } else {
            quoted[size++] = *word;
        }
    }
    quoted[size++] = '\'';
    quoted[size] = '\0';
    return quoted;
}

void report_unopened(const char *path, stele_status status)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *text = stele_error_text();
    bool is_named = strstr(text, name) != NULL;
    report_error("%s%s%s", is_named ? "" : path, is_named ? "" : ": ", text);
    if (status == STELE_BUSY)
        report_hint("another process is writing; try again");
}

/* Whether the folder of `path` can't be written to: then SQLite has no place for its -shm. */
static bool is_in_fixed_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    buffer folder = { 0 };
    if (slash == NULL)
        buffer_add_string(&folder, ".");
    else
        buffer_add(&folder, path, slash == path ? 1 : (size_t)(slash - path));
    bool fixed = access(folder.bytes, W_OK) != 0;
    buffer_dispose(&folder);
    return fixed;
}

/* What was cut short is finished here rather than by the open, so that it is seen, and Ctrl-C ends
 * it. Whatever else becomes of it, the store is open. */
static exit_code finish_earlier_work(const char *path, stele_store *store)
{
    stele_resume resume = STELE_RESUME_INIT;
    stele_work work = STELE_WORK_INIT;
    stele_resumed resumed;
    work.progress = show_work;
    resume.work = &work;
    stele_status status = stele_store_resume(store, &resume, &resumed);
    report_progress_end();
    if (status == STELE_CANCELLED) {
        report_error("interrupted while finishing earlier work on a stream");
        report_hint("the next command that writes the store goes on with it");
        return EXIT_INTERRUPTED;
    }
    if (status != STELE_OK && status != STELE_READ_ONLY)
        report_line("warning: '%s': unfinished work on streams could not be resumed: %s", path,
                    stele_error_text());
    else if (resumed.waiting > 0)
        report_line("warning: '%s': work on %" PRId64
                    " stream(s) waits for an archive that isn't where it was",
                    path, resumed.waiting);
    return EXIT_OK;
}

exit_code open_store(const tool *of, uint32_t event_size_max, stele_store **store_out)
{
    return open_store_as(of, of->verb->effect == IMPACT_LOOK, event_size_max, store_out);
}

exit_code open_store_as(const tool *of, bool look_only, uint32_t event_size_max,
                        stele_store **store_out)
{
    *store_out = NULL;
    bool creates = !look_only && of->verb->creates && names_shard(of);
    const char *path = NULL;
    if (of->immutable && !look_only) {
        report_error("--immutable is for looking only, and %s writes", of->verb->name);
        return EXIT_USAGE;
    }
    exit_code code = find_store(of, creates, &path);
    if (code != EXIT_OK)
        return code;

    stele_options options = STELE_OPTIONS_INIT;
    options.must_exist = !creates;
    options.read_only = look_only;
    options.immutable = of->immutable;
    options.no_resume = true;
    if (event_size_max > 0)
        options.event_size_max = event_size_max;
    stele_status status = open_found(of, &options, store_out);
    if (status == STELE_OK)
        return look_only ? EXIT_OK : finish_earlier_work(path, *store_out);
    report_unfound(of, status);
    if (status == STELE_NOT_FOUND && !names_shard(of))
        report_hint("stele init -s %s", shell_word(path));
    else if (status == STELE_UNSUPPORTED && look_only && !of->immutable && is_in_fixed_folder(path))
        report_hint("its folder can't be written to: if nobody writes the store, add --immutable");
    return exit_code_of(status);
}
