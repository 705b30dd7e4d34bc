#include "help.h"

#include <stdio.h>
#include <string.h>

#include "options.h"
#include "subverb.h"
#include "tool.h"

#define WHAT_COLUMN 24
#define VERB_WIDTH  14

static bool is_shown(const option_spec *spec, unsigned form)
{
    bool in_form = spec->forms == 0 || (spec->forms & (1u << form)) != 0;
    return spec->name != NULL && !spec->hidden && in_form;
}

/* ` [--one N|--other N]...`; `previous`: the option before it, whose group it may belong to. */
static void add_option_synopsis(buffer *to, const option_spec *spec, const option_spec *previous)
{
    bool alternative = previous != NULL && spec->group != 0 && previous->group == spec->group;
    if (alternative)
        to->size--; /* reopens the bracket of the one before */
    buffer_add_string(to, alternative ? "|" : spec->needed ? " " : " [");
    if (spec->letter != '\0' && spec->value == NULL)
        buffer_format(to, "-%c", spec->letter);
    else
        buffer_format(to, "--%s%s%s", spec->name, spec->value != NULL ? " " : "",
                      spec->value != NULL ? spec->value : "");
    if (!spec->needed)
        buffer_add_string(to, spec->repeats ? "]..." : "]");
}

void add_synopsis(buffer *to, const command *verb, const char *before)
{
    for (unsigned form = 0; form < COMMAND_FORMS_MAX && verb->forms[form] != NULL; form++) {
        buffer_format(to, "%*sstele %s", (int)strlen(before), form == 0 ? before : "", verb->name);
        if (verb->forms[form][0] != '\0')
            buffer_format(to, " %s", verb->forms[form]);
        const option_spec *previous = NULL;
        for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
            if (!is_shown(&verb->options[i], form))
                continue;
            add_option_synopsis(to, &verb->options[i], previous);
            previous = &verb->options[i];
        }
        buffer_add_string(to, "\n");
    }
}

static void print_option(const option_spec *spec)
{
    buffer name = { 0 };
    if (spec->letter != '\0')
        buffer_format(&name, "  -%c, --%s", spec->letter, spec->name);
    else
        buffer_format(&name, "  --%s", spec->name);
    if (spec->value != NULL)
        buffer_format(&name, " %s", spec->value);
    if (name.size > WHAT_COLUMN)
        printf("%s\n%*s  %s\n", name.bytes, WHAT_COLUMN, "", spec->what);
    else
        printf("%-*s  %s\n", WHAT_COLUMN, name.bytes, spec->what);
    buffer_dispose(&name);
}

static void print_common_options(void)
{
    for (const option_spec *spec = common_options; spec->name != NULL; spec++)
        print_option(spec);
}

static const char *describe_impact(impact effect)
{
    switch (effect) {
    case IMPACT_LOOK: return "ro (looks only: opens the store read-only)";
    case IMPACT_WRITE: return "rw (changes the store)";
    case IMPACT_NONE: break;
    }
    return "none (opens no store)";
}

void print_verb_help(const command *verb)
{
    buffer usage = { 0 };
    add_synopsis(&usage, verb, "usage: ");
    printf("%s\n%s: %s.\n", usage.bytes, verb->name, verb->what);
    buffer_dispose(&usage);
    if (verb->details != NULL)
        printf("\n%s", verb->details);

    bool titled = false;
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
        if (verb->options[i].name == NULL || verb->options[i].hidden)
            continue;
        if (!titled)
            fputs("\noptions:\n", stdout);
        titled = true;
        print_option(&verb->options[i]);
    }
    fputs("\noptions of every verb:\n", stdout);
    print_common_options();

    printf("\nimpact: %s%s\n\nexamples:\n", describe_impact(verb->effect),
           verb->beyond == NULL ? "" : verb->beyond);
    for (size_t i = 0; i < COMMAND_EXAMPLES_MAX && verb->examples[i] != NULL; i++)
        printf("  %s\n", verb->examples[i]);
}

void print_verb_line(const char *name, const char *what)
{
    if (strlen(name) < VERB_WIDTH)
        printf("  %-*s%s\n", VERB_WIDTH, name, what);
    else
        printf("  %s\n  %*s%s\n", name, VERB_WIDTH, "", what);
}

void print_help(void)
{
    fputs("usage: stele [-s FILE] VERB ...\n"
          "       stele [-s ROOT] [--org ORG] --ns NS VERB ...\n"
          "\n"
          "Event sourcing in one SQLite file: append events to streams, and read them back.\n"
          "\n"
          "verbs:\n",
          stdout);
    for (const command *verb = next_command(NULL); verb != NULL; verb = next_command(verb))
        print_verb_line(verb->name, verb->what);
    fputs("\noptions, before or after the verb:\n", stdout);
    print_common_options();
    fputs("\n"
          "exit codes:\n"
          "  0 ok  1 other failure  2 wrong arguments  3 not found  4 conflict  5 busy\n"
          "  6 damaged  7 not permitted  8 some lines were bad  130 interrupted\n"
          "\n"
          "stele VERB --help explains a verb, with examples; so does stele help VERB.\n",
          stdout);
}

static void print_synopsis(void)
{
    buffer lines = { 0 };
    for (const command *verb = next_command(NULL); verb != NULL; verb = next_command(verb)) {
        add_synopsis(&lines, verb, "");
        for (const command *word = verb->words; word != NULL && word->name != NULL; word++)
            add_synopsis(&lines, word, "");
    }
    fwrite(lines.bytes, 1, lines.size, stdout);
    buffer_dispose(&lines);
}

/* Explain `name`, or, of a group, `name` and `word`. */
static exit_code explain(const char *name, const char *word)
{
    const command *verb = find_command(name);
    if (verb == NULL) {
        report_unknown_verb(name);
        return EXIT_USAGE;
    }
    if (verb->words != NULL && word == NULL) {
        print_group_help(verb);
        return EXIT_OK;
    }
    const command *of_group = verb->words != NULL ? find_subverb(verb, word) : NULL;
    if (verb->words == NULL && word != NULL)
        report_error("unexpected argument '%s'", word);
    else if (verb->words != NULL && of_group == NULL)
        report_wrong_subverb(verb, word);
    else {
        print_verb_help(of_group != NULL ? of_group : verb);
        return EXIT_OK;
    }
    return EXIT_USAGE;
}

exit_code run_help(tool *of)
{
    if (option_given(of, "synopsis")) {
        print_synopsis();
        return EXIT_OK;
    }
    if (of->operand_count == 0) {
        print_help();
        return EXIT_OK;
    }
    return explain(of->operands[0], of->operand_count > 1 ? of->operands[1] : NULL);
}
