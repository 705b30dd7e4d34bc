/*
 * Completions for the shells, written from the table of verbs.
 */
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "subverb.h"
#include "tool.h"

/* Call `each` for every option of `verb` that is shown, the common ones included. */
static void for_options(const command *verb,
                        void (*each)(const option_spec *spec, const void *context),
                        const void *context)
{
    for (size_t i = 0; verb != NULL && i < COMMAND_OPTIONS_MAX; i++) {
        if (verb->options[i].name != NULL && !verb->options[i].hidden)
            each(&verb->options[i], context);
    }
    for (const option_spec *spec = common_options; spec->name != NULL; spec++)
        each(spec, context);
}

/* The words that a verb's operand can be, "" when that isn't known beforehand. */
static void add_operand_words(buffer *to, const command *verb)
{
    if (strcmp(verb->name, "help") == 0) {
        for (const command *other = next_command(NULL); other != NULL; other = next_command(other))
            buffer_format(to, "%s%s", to->size > 0 ? " " : "", other->name);
    } else if (strcmp(verb->name, "completion") == 0) {
        buffer_add_string(to, "bash zsh fish");
    } else if (verb->forms[1] != NULL) {
        buffer_add_string(to, verb->forms[1]);
    }
}

static bool takes_file(const option_spec *spec)
{
    return spec->value != NULL
           && (strcmp(spec->value, "FILE") == 0 || strcmp(spec->value, "ROOT") == 0);
}

/* --- bash --- */

static void print_bash_name(const option_spec *spec, const void *context)
{
    (void)context;
    printf(" --%s", spec->name);
}

/* A case that completes the value of an option, after the option itself. */
static void print_bash_value(const option_spec *spec, const void *context)
{
    const command *verb = context;
    if (spec->value == NULL)
        return;
    const char *quote = verb != NULL ? "'" : ""; /* a name may have a blank */
    const char *name = verb != NULL ? verb->name : "*";
    printf("    %s%s%s:--%s", quote, name, quote, spec->name);
    if (spec->letter != '\0')
        printf(" | %s%s%s:-%c", quote, name, quote, spec->letter);
    if (takes_file(spec))
        fputs(") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", stdout);
    else
        printf(") COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n",
               spec->choices != NULL ? spec->choices : "");
}

/* What can follow the first word of verbs of two, or one that is a verb. */
static void print_bash_words(const command *verb)
{
    buffer words = { 0 };
    buffer_add(&words, "", 0);
    if (verb->words != NULL)
        add_second_words(&words, verb);
    else
        add_operand_words(&words, verb);
    printf("    '%s') words='%s", verb->name, words.bytes);
    for_options(verb, print_bash_name, NULL);
    fputs("' ;;\n", stdout);
    buffer_dispose(&words);
}

static void print_bash_values(const command *verb)
{
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
        if (verb->options[i].name != NULL && !verb->options[i].hidden)
            print_bash_value(&verb->options[i], verb);
    }
}

/* Call `each` for every verb of `table`, and for those of its groups. */
static void for_verbs(const command *table, void (*each)(const command *verb))
{
    for (const command *verb = table; verb != NULL; verb = next_command(verb)) {
        each(verb);
        for_verbs(verb->words, each);
    }
}

/* After the first word of a group the verb goes on. */
static void print_bash_group(const command *verb)
{
    if (verb->words != NULL)
        printf("            %s) ;;\n", verb->name);
}

/* What is followed by a word that is no verb. */
static void print_bash_valued(const option_spec *spec)
{
    if (spec->value == NULL)
        return;
    printf("%s--%s", spec == common_options ? "" : " | ", spec->name);
    if (spec->letter != '\0')
        printf(" | -%c", spec->letter);
}

static void print_bash(void)
{
    fputs("# bash completion for stele; from: stele completion bash\n"
          "_stele() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb='' i\n"
          "    COMPREPLY=()\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n"
          "        ",
          stdout);
    for (const option_spec *spec = common_options; spec->name != NULL; spec++)
        print_bash_valued(spec);
    fputs(") ((i++)) ;;\n"
          "        -*) ;;\n"
          "        *)\n"
          "            verb=${verb:+$verb }${COMP_WORDS[i]}\n"
          "            case $verb in\n",
          stdout);
    for_verbs(next_command(NULL), print_bash_group);
    fputs("            *) break ;;\n"
          "            esac\n"
          "            ;;\n"
          "        esac\n"
          "    done\n"
          "    case $verb:$before in\n",
          stdout);
    for (const option_spec *spec = common_options; spec->name != NULL; spec++)
        print_bash_value(spec, NULL);
    for_verbs(next_command(NULL), print_bash_values);
    fputs("    esac\n"
          "    local words=''\n"
          "    case $verb in\n"
          "    '') words='",
          stdout);
    for (const command *verb = next_command(NULL); verb != NULL; verb = next_command(verb))
        printf("%s ", verb->name);
    for_options(NULL, print_bash_name, NULL);
    fputs("' ;;\n", stdout);
    for_verbs(next_command(NULL), print_bash_words);
    fputs("    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "    if [[ $verb == import && $word != -* ]]; then\n"
          "        COMPREPLY+=($(compgen -f -- \"$word\"))\n"
          "    fi\n"
          "}\n"
          "complete -o filenames -F _stele stele\n",
          stdout);
}

/* --- zsh --- */

/* Text inside single quotes, in brackets and before colons: those are escaped. */
static void print_zsh_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text) != NULL)
            printf("\\%c", *text);
        else
            putc(*text, stdout);
    }
}

static void print_zsh_spelling(const option_spec *spec, const char *dashes, const char *name)
{
    printf("        '%s%s%s[", spec->repeats ? "*" : "", dashes, name);
    print_zsh_text(spec->what);
    putc(']', stdout);
    if (takes_file(spec))
        fputs(":file:_files", stdout);
    else if (spec->choices != NULL)
        printf(":value:(%s)", spec->choices);
    else if (spec->value != NULL)
        printf(":%s: ", spec->value);
    fputs("' \\\n", stdout);
}

static void print_zsh_option(const option_spec *spec, const void *context)
{
    const char letter[2] = { spec->letter, '\0' };
    (void)context;
    print_zsh_spelling(spec, "--", spec->name);
    if (spec->letter != '\0')
        print_zsh_spelling(spec, "-", letter);
}

static void print_zsh_verb(const command *verb)
{
    fputs("        _arguments \\\n", stdout);
    for_options(verb, print_zsh_option, NULL);
    buffer words = { 0 };
    buffer_add(&words, "", 0);
    add_operand_words(&words, verb);
    if (strcmp(verb->name, "import") == 0)
        fputs("        '1:file:_files'\n", stdout);
    else
        printf("        '*:argument:(%s)'\n", words.bytes);
    buffer_dispose(&words);
    fputs("        ;;\n", stdout);
}

/* A case for each word of the group, and what those are. */
static void print_zsh_group(const command *group)
{
    buffer words = { 0 };
    add_second_words(&words, group);
    fputs("        case $words[2] in\n", stdout);
    for (const command *verb = group->words; verb->name != NULL; verb++) {
        printf("        (%s)\n        shift words; ((CURRENT--))\n", second_word(group, verb));
        print_zsh_verb(verb);
    }
    printf("        (*) ((CURRENT == 2)) && compadd -- %s ;;\n        esac\n        ;;\n",
           words.bytes);
    buffer_dispose(&words);
}

static void print_zsh(void)
{
    fputs("#compdef stele\n"
          "# zsh completion for stele; from: stele completion zsh\n"
          "_stele() {\n"
          "    local curcontext=$curcontext state line\n"
          "    local -a verbs\n"
          "    verbs=(\n",
          stdout);
    for (const command *verb = next_command(NULL); verb != NULL; verb = next_command(verb)) {
        printf("        '%s:", verb->name);
        print_zsh_text(verb->what);
        fputs("'\n", stdout);
    }
    fputs("    )\n"
          "    _arguments -C \\\n",
          stdout);
    for_options(NULL, print_zsh_option, NULL);
    fputs("        '1:verb:->verb' \\\n"
          "        '*::argument:->argument'\n"
          "    if [[ $state == verb ]]; then\n"
          "        _describe verb verbs\n"
          "        return\n"
          "    fi\n"
          "    case $words[1] in\n",
          stdout);
    for (const command *verb = next_command(NULL); verb != NULL; verb = next_command(verb)) {
        printf("    (%s)\n", verb->name);
        if (verb->words != NULL)
            print_zsh_group(verb);
        else
            print_zsh_verb(verb);
    }
    fputs("    esac\n"
          "}\n"
          "# Read from a folder of $fpath it is called at once, else it is registered.\n"
          "if [[ $funcstack[1] == _stele ]]; then\n"
          "    _stele \"$@\"\n"
          "else\n"
          "    compdef _stele stele\n"
          "fi\n",
          stdout);
}

/* --- fish --- */

/* Text inside single quotes. */
static void print_fish_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            putc('\\', stdout);
        putc(*text, stdout);
    }
}

/* Where the verb's words have been typed. A verb whose name is a group's second word, too, is not
 * meant there. */
static void print_fish_condition(const command *verb)
{
    const char *blank = strchr(verb->name, ' ');
    fputs(" -n '", stdout);
    if (blank != NULL)
        printf("__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s",
               (int)(blank - verb->name), verb->name, blank + 1);
    else
        printf("__fish_seen_subcommand_from %s", verb->name);
    for (const command *group = next_command(NULL); blank == NULL && group != NULL;
         group = next_command(group)) {
        if (group->words != NULL && find_subverb(group, verb->name) != NULL)
            printf("; and not __fish_seen_subcommand_from %s", group->name);
    }
    fputs("'", stdout);
}

static void print_fish_option(const option_spec *spec, const void *context)
{
    const command *verb = context;
    fputs("complete -c stele", stdout);
    if (verb != NULL)
        print_fish_condition(verb);
    printf(" -l %s", spec->name);
    if (spec->letter != '\0')
        printf(" -s %c", spec->letter);
    if (takes_file(spec))
        fputs(" -rF", stdout);
    else if (spec->choices != NULL)
        printf(" -xa '%s'", spec->choices);
    else if (spec->value != NULL)
        fputs(" -x", stdout);
    fputs(" -d '", stdout);
    print_fish_text(spec->what);
    fputs("'\n", stdout);
}

/* The options of a verb, and the words that its operand can be; of a group, those that go on. */
static void print_fish_verb(const command *verb)
{
    buffer words = { 0 };
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
        if (verb->options[i].name != NULL && !verb->options[i].hidden)
            print_fish_option(&verb->options[i], verb);
    }
    if (verb->words != NULL) {
        add_second_words(&words, verb);
        printf("complete -c stele -n '__fish_seen_subcommand_from %s; and not"
               " __fish_seen_subcommand_from %s' -a '%s'\n",
               verb->name, words.bytes, words.bytes);
    } else {
        add_operand_words(&words, verb);
        if (words.size > 0) {
            fputs("complete -c stele", stdout);
            print_fish_condition(verb);
            printf(" -a '%s'\n", words.bytes);
        }
    }
    buffer_dispose(&words);
}

static void print_fish(void)
{
    fputs("# fish completion for stele; from: stele completion fish\n"
          "complete -c stele -f\n",
          stdout);
    for_options(NULL, print_fish_option, NULL);
    for (const command *verb = next_command(NULL); verb != NULL; verb = next_command(verb)) {
        printf("complete -c stele -n __fish_use_subcommand -a %s -d '", verb->name);
        print_fish_text(verb->what);
        fputs("'\n", stdout);
    }
    for_verbs(next_command(NULL), print_fish_verb);
    fputs("complete -c stele -n '__fish_seen_subcommand_from import' -F\n", stdout);
}

exit_code run_completion(tool *of)
{
    const char *shell = of->operands[0];
    if (strcmp(shell, "bash") == 0)
        print_bash();
    else if (strcmp(shell, "zsh") == 0)
        print_zsh();
    else if (strcmp(shell, "fish") == 0)
        print_fish();
    else {
        report_unknown("shell", shell, "bash zsh fish");
        return EXIT_USAGE;
    }
    return EXIT_OK;
}
