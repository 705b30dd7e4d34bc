#include "confirm.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "escape.h"
#include "interrupt.h"
#include "commands.h"
#include "options.h"

bool will_ask(const tool *of)
{
    return !option_given(of, "yes");
}

static bool is_yes(const char *answer)
{
    return answer[0] == 'y' || answer[0] == 'Y';
}

static bool has_dry_run(const command *verb)
{
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && verb->options[i].name != NULL; i++)
        if (strcmp(verb->options[i].name, "dry-run") == 0)
            return true;
    return false;
}

exit_code confirm(const tool *of, const char *format, ...)
{
    if (!will_ask(of))
        return EXIT_OK;

    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) {
        report_error("%s must be confirmed, and there is no terminal to ask on: %s", of->verb->name,
                     text);
        report_hint(has_dry_run(of->verb) ? "-y says yes; --dry-run counts what would be done"
                                          : "-y says yes");
        return EXIT_USAGE;
    }
    buffer line = { 0 };
    escape_text(&line, text, strlen(text), ESCAPE_FOR_PEOPLE);
    buffer_add_string(&line, " [y/N] ");
    fwrite(line.bytes, 1, line.size, stderr);
    fflush(stderr);
    buffer_dispose(&line);

    char answer[64] = "";
    ssize_t size = read(STDIN_FILENO, answer, sizeof(answer) - 1);
    if (was_interrupted())
        return EXIT_INTERRUPTED;
    if (size > 0 && is_yes(answer))
        return EXIT_OK;
    report_error("not confirmed, so nothing was changed");
    return EXIT_OTHER;
}
