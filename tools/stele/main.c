/*
 * stele, the command line tool: an ordinary program on top of the library's public headers.
 *
 * commands.c and commands_upkeep.c have the table of verbs, options.c reads the command line by it,
 * and each verb has a function run_...() in a verb_*.c. Standard output is data, standard error is
 * for people.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <stele/hooks.h>

#include "help.h"
#include "options.h"
#include "place.h"
#include "subverb.h"
#include "tool.h"

/* A program started with a standard descriptor closed would open its store as that descriptor, and
 * write its messages into it. Such a descriptor is taken first, in the way that it can't be used.
 */
static void take_standard_descriptors(void)
{
    static const int useless[] = { O_WRONLY, O_RDONLY, O_RDWR };
    for (int descriptor = 0; descriptor <= 2; descriptor++) {
        if (fcntl(descriptor, F_GETFD) != -1)
            continue;
        if (open("/dev/null", useless[descriptor]) != descriptor)
            _exit(EXIT_OTHER);
    }
}

static exit_code run_command_line(tool *of, int argc, char **argv)
{
    switch (parse_command_line(of, argc, argv)) {
    case PARSE_HELP:
        if (of->verb != NULL)
            print_verb_help(of->verb);
        else if (of->group != NULL)
            print_group_help(of->group);
        else
            print_help();
        return EXIT_OK;
    case PARSE_VERSION: printf("stele %s\n", stele_version()); return EXIT_OK;
    case PARSE_RUN: return of->verb->run(of);
    case PARSE_WRONG: break;
    }
    return EXIT_USAGE;
}

/* A reader that closed its end has what it wanted; anything else that got lost is a failure. */
static exit_code finish_output(exit_code code)
{
    bool failed = ferror(stdout) != 0;
    bool unread = output_is_unread();
    errno = 0;
    if (fclose(stdout) != 0)
        failed = true;
    if (!failed || unread || code != EXIT_OK)
        return code;
    report_error("can't write to standard output%s%s", errno != 0 ? ": " : "",
                 errno != 0 ? strerror(errno) : "");
    return EXIT_OTHER;
}

/* What the library warns of, such as an anchor that is missing, is not for the output. */
static void hear_warning(void *context, stele_log_level level, const char *text)
{
    (void)context;
    if (level == STELE_LOG_WARNING)
        fprintf(stderr, "warning: %s\n", text);
}

int main(int argc, char **argv)
{
    take_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    stele_log_set(hear_warning, NULL);

    store_place place = { 0 };
    tool of = { .place = &place };
    output_init(&of.out);
    exit_code code = run_command_line(&of, argc, argv);
    code = finish_output(code);

    close_store(&of, NULL);
    output_dispose(&of.out);
    free(of.operands);
    free(of.given);
    return (int)code;
}
