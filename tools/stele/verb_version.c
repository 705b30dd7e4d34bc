/*
 * version: what this is, and how it was built.
 */
#include <string.h>

#include "options.h"
#include "tool.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#endif
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SANITIZER 1
#endif
#if defined(__SANITIZE_THREAD__)
#define HAS_THREAD_SANITIZER 1
#endif

#define STRING_OF_VALUE(value) #value
#define STRING_OF(value)       STRING_OF_VALUE(value)

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

static const column fields[] = {
    { .name = "stele" },    { .name = "format" },  { .name = "sqlite" },
    { .name = "compiler" }, { .name = "options" },
};

/* What the preprocessor knows of the compiler's options, with blanks between. */
static const char build_options[] = "c" STRING_OF(__STDC_VERSION__)
#if defined(__OPTIMIZE__)
    " optimized"
#endif
#if defined(_FORTIFY_SOURCE)
    " fortify=" STRING_OF(_FORTIFY_SOURCE)
#endif
#if defined(__PIE__)
        " pie"
#endif
#if defined(__SSP_STRONG__)
        " stack-protector"
#endif
#if defined(HAS_ADDRESS_SANITIZER)
        " address-sanitizer"
#endif
#if defined(HAS_THREAD_SANITIZER)
        " thread-sanitizer"
#endif
#if defined(NDEBUG)
        " no-asserts"
#else
    " asserts"
#endif
    ;

exit_code run_version(tool *of)
{
    char compiler[] = COMPILER;
    for (size_t size = strlen(compiler); size > 0 && compiler[size - 1] == ' ';)
        compiler[--size] = '\0';
    const cell cells[] = {
        text_cell(stele_version()), number_cell(STELE_FORMAT), text_cell(stele_sqlite_version()),
        text_cell(compiler),        words_cell(build_options),
    };
    size_t count = option_given(of, "build") ? sizeof(cells) / sizeof(cells[0]) : 1;
    output_answer(&of->out, fields, cells, count);
    return EXIT_OK;
}
