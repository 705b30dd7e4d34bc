#include "plugin.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <stele.h>

#include "options.h"

/* ISO C has no cast from an object pointer to a function: POSIX lets the bytes be copied. */
static stele_register_function find_register(void *library)
{
    void *symbol = dlsym(library, STELE_REGISTER_SYMBOL);
    stele_register_function function = NULL;
    memcpy(&function, &symbol, sizeof(function));
    return function;
}

/* A name without a slash means a file here, as for other options, not one of the linker's folders.
 */
static void *load_library(const char *path)
{
    buffer here = { 0 };
    buffer_format(&here, "%s%s", strchr(path, '/') != NULL ? "" : "./", path);
    void *library = dlopen(here.bytes, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        report_error("can't load the library: %s", dlerror());
    buffer_dispose(&here);
    return library;
}

static exit_code run_register(const char *path, void *library, stele_store *store)
{
    stele_register_function function = find_register(library);
    if (function == NULL) {
        report_error("%s: no function %s in it", path, STELE_REGISTER_SYMBOL);
        report_hint("stele_status %s(stele_store *store) registers what the library knows",
                    STELE_REGISTER_SYMBOL);
        return EXIT_USAGE;
    }
    stele_status status = function(store);
    if (status == STELE_OK)
        return EXIT_OK;
    const char *text = stele_error_text();
    report_error("%s: %s answered %s: %s", path, STELE_REGISTER_SYMBOL, stele_status_name(status),
                 text[0] != '\0' ? text : stele_status_text(status));
    return EXIT_USAGE;
}

/* `libraries` has those loaded before, `count` of them, and room for this one. */
static exit_code load_plugin(const char *path, stele_store *store, void **libraries, size_t count)
{
    if (access(path, F_OK) != 0) {
        report_error("there is no library '%s'", path);
        return EXIT_NOT_FOUND;
    }
    void *library = load_library(path);
    if (library == NULL)
        return EXIT_USAGE;
    for (size_t i = 0; i < count; i++) {
        if (libraries[i] != library)
            continue;
        report_error("the library %s is given twice", path);
        return EXIT_USAGE;
    }
    libraries[count] = library;
    return run_register(path, library, store);
}

exit_code load_plugins(const tool *of, stele_store *store)
{
    size_t path_capacity = 0;
    size_t library_capacity = 0;
    const char **paths = grow(NULL, &path_capacity, of->given_count + 1, sizeof(const char *));
    void **libraries = grow(NULL, &library_capacity, of->given_count + 1, sizeof(void *));
    size_t count = option_list(of, "lib", paths);
    exit_code code = EXIT_OK;
    for (size_t i = 0; i < count && code == EXIT_OK; i++)
        code = load_plugin(paths[i], store, libraries, i);
    free((void *)paths);
    free((void *)libraries);
    return code;
}

bool plugins_can_show(const tool *of)
{
    if (!option_given(of, "lib")
        || (of->out.format != OUTPUT_JSON && of->out.format != OUTPUT_JSONL))
        return true;
    report_error("--lib shows events as text for people, and json is what is stored");
    report_hint("-o table or -o plain; or leave --lib out");
    return false;
}
