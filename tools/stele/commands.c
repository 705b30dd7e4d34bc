#include "commands.h"

#include <string.h>

#include "longwork.h"
#include "archives.h"
#include "confirm.h"
#include "plugin.h"

#define ONE_STREAM 1u
#define ALL        2u

/* clang-format off */
#define EVENT_SIZE_OPTION { .name = "event-size-max", .value = "BYTES", \
    .what = "refuse larger events (data + metadata); 1048576, at most 67108864" }
#define EXPECT_OPTION { .name = "expect", .value = "N", \
    .what = "the version that the stream must be at" }
/* clang-format on */

const option_spec common_options[] = {
    { .name = "store",
      .letter = 's',
      .value = "FILE",
      .what = "the store, or with --ns the root of shards; else $STELE_STORE" },
    { .name = "org", .value = "ORG", .what = "whose shard; without it the empty organisation" },
    { .name = "ns", .value = "NS", .what = "the shard of this namespace, under the root" },
    { .name = "output",
      .letter = 'o',
      .value = "FORMAT",
      .choices = "table plain json jsonl",
      .what = "how to print: table (on a terminal), plain (else), json or jsonl" },
    { .name = "immutable",
      .what = "for a folder that can't be written to: nobody writes the store" },
    { .name = "help", .letter = 'h', .what = "explain the verb, or list all" },
    { .name = "version", .letter = 'V', .what = "print the version" },
    { .name = NULL },
};

const command commands[] = {
    { .name = "init",
      .forms = { "" },
      .effect = IMPACT_WRITE,
      .creates = true,
      .what = "create a store",
      .details = "The file is readable by its owner alone. It must not exist yet, or be empty.\n",
      .options = { { .name = "if-missing", .what = "leave a store that exists as it is" } },
      .examples = { "stele init -s orders.stele", "stele init --if-missing -s orders.stele",
                    "export STELE_STORE=orders.stele; stele init" },
      .run = run_init },
    { .name = "info",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .what = "describe the store: identity, size, what it guarantees",
      .details = "Events and streams are the readable ones, without the library's own.\n"
                 "Counting types reads the whole log once.\n",
      .examples = { "stele info -s orders.stele", "stele info -o json | jq .head",
                    "stele info -o json | jq -r '.guarantees[]'" },
      .run = run_info },
    { .name = "append",
      .forms = { "STREAM TYPE [DATA|-]" },
      .operand_min = 2,
      .operand_max = 3,
      .effect = IMPACT_WRITE,
      .creates = true,
      .what = "append an event to a stream",
      .details = "DATA is the payload; `-` reads it from standard input, where the newline at the\n"
                 "end of a JSON text is dropped. Without DATA the payload is empty. DATA that\n"
                 "begins with a dash goes after `--`.\n",
      .options = { { .name = "expect",
                     .value = "any|none|exists|N",
                     .choices = "any none exists",
                     .open = true,
                     .what = "which version the stream must be at; any" },
                   { .name = "key",
                     .value = "KEY",
                     .what = "names this append, so that repeating it stores nothing" },
                   { .name = "meta", .value = "JSON", .what = "metadata" },
                   { .name = "time",
                     .value = "TIME",
                     .what = "when it happened, as RFC 3339: 2026-05-17T09:30:00Z" },
                   { .name = "codec",
                     .value = "NAME",
                     .choices = "json cbor raw",
                     .open = true,
                     .what = "what DATA is written in; json" },
                   { .name = "schema-version", .value = "N", .what = "of the payload; 1" },
                   EVENT_SIZE_OPTION },
      .examples = { "stele append order-17 OrderPlaced '{\"total\":\"49.90\"}' --expect none",
                    "stele append order-17 OrderPaid --expect 1 --key pay-8812",
                    "curl -s $URL | stele append feed-1 Fetched - --meta '{\"by\":\"cron\"}'" },
      .run = run_append },
    { .name = "read",
      .forms = { "STREAM", "@all" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_LOOK,
      .what = "read the events of a stream, or all by position",
      .details = "The library's own streams, whose names begin with `$`, are left out of @all\n"
                 "unless --system is given. Several --type or --category are alternatives. With\n"
                 "--lib the data is shown decoded and brought up to date, secrets as \"***\", in\n"
                 "table and plain; what can't be decoded is shown as it is stored.\n",
      .options = { { .name = "from",
                     .value = "V",
                     .forms = ONE_STREAM,
                     .what = "the lowest version wanted" },
                   { .name = "to",
                     .value = "V",
                     .forms = ONE_STREAM,
                     .what = "the highest version wanted" },
                   { .name = "after",
                     .value = "P",
                     .forms = ALL,
                     .what = "only events after position P" },
                   { .name = "limit", .value = "N", .what = "at most N events" },
                   { .name = "type",
                     .value = "T",
                     .repeats = true,
                     .what = "only events of this type" },
                   { .name = "category",
                     .value = "C",
                     .forms = ALL,
                     .repeats = true,
                     .what = "only streams of this category: what is before the first dash" },
                   { .name = "system", .forms = ALL, .what = "also the library's own streams" },
                   { .name = "backward", .what = "newest first" },
                   ARCHIVE_OPTION,
                   LIB_OPTION },
      .examples = { "stele read order-17 --from 2", "stele read order-17 --backward --limit 1",
                    "stele read @all --after 4000 --type OrderPaid --type OrderRefunded",
                    "stele read @all --category order -o jsonl | jq -r .stream" },
      .run = run_read },
    { .name = "tail",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .what = "print the newest events, and go on with -f",
      .details =
          "-f goes on with events as they come, until Ctrl-C (exit code 130) or until nobody\n"
          "reads the output any more. It has no end, so it can't print json: use jsonl.\n"
          "--lib is as for read.\n",
      .options = { { .name = "follow", .letter = 'f', .what = "go on with events as they come" },
                   { .name = "after",
                     .value = "P",
                     .group = 1,
                     .what = "only events after position P" },
                   { .name = "last",
                     .value = "N",
                     .group = 1,
                     .what = "begin with the last N events; 10" },
                   ARCHIVE_OPTION,
                   LIB_OPTION },
      .examples = { "stele tail", "stele tail -f --last 0",
                    "stele tail -f -o jsonl | jq -r .type" },
      .run = run_tail },
    { .name = "streams",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .what = "list the streams",
      .details = "Reads every event of the streams listed, to count them.\n",
      .options = { { .name = "prefix",
                     .value = "P",
                     .what = "only streams whose name starts with P" },
                   { .name = "sort",
                     .value = "events|name|last",
                     .choices = "events name last",
                     .what = "most events first, by name, or latest first; name" },
                   { .name = "limit", .value = "N", .what = "at most N streams" },
                   { .name = "system", .what = "also the library's own streams" } },
      .examples = { "stele streams --sort events --limit 10", "stele streams --prefix order-",
                    "stele streams -o jsonl | jq -r .stream" },
      .run = run_streams },
    { .name = "types",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .what = "list the event types, with how often they occur",
      .examples = { "stele types", "stele types -o json",
                    "stele types -o plain | sort -t'\t' -k3nr" },
      .run = run_types },
    { .name = "import",
      .forms = { "[FILE|-]" },
      .operand_max = 1,
      .effect = IMPACT_WRITE,
      .creates = true,
      .what = "append the lines of a JSONL file",
      .details =
          "Each line is an object with the fields stream, type, and maybe time, data (or\n"
          "data_b64), metadata, id, schema_version, codec. Valid lines are stored in order; a\n"
          "bad one is skipped and reported as FILE:LINE: reason, and the exit code is 8.\n"
          "\n"
          "A second import of a FILE adds nothing: each line's append has a key, its `id`, or\n"
          "else made of the source (the FILE's path), the line's number and its content. Lines\n"
          "from standard input have no source: those without `id` are added again by a second\n"
          "import, unless --source names one. A FILE.gz is read through zcat.\n",
      .options = { { .name = "batch", .value = "N", .what = "lines in one transaction; 1000" },
                   { .name = "atomic", .what = "store nothing if any line is bad" },
                   { .name = "source",
                     .value = "NAME",
                     .what = "what the keys of lines without `id` are made of" },
                   { .name = "lenient", .what = "skip unknown fields, don't refuse their line" },
                   EVENT_SIZE_OPTION },
      .examples = { "stele import orders.jsonl", "stele import --atomic orders.jsonl.gz",
                    "generate | stele import - --source generate-2026-05" },
      .run = run_import },
    { .name = "export",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .what = "print events as JSONL, for import",
      .details = "Always jsonl. Events whose data was erased or archived away have no line; how\n"
                 "many there were is said at the end.\n",
      .options = { { .name = "stream", .value = "S", .group = 1, .what = "only this stream" },
                   { .name = "category",
                     .value = "C",
                     .group = 1,
                     .what = "only streams of this category" },
                   { .name = "type", .value = "T", .group = 1, .what = "only events of this type" },
                   { .name = "after", .value = "P", .what = "only events after position P" },
                   ARCHIVE_OPTION },
      .examples = { "stele export > orders.jsonl",
                    "stele export --category order | gzip > o.jsonl.gz",
                    "stele export --after 4000 | stele import -s copy.stele -" },
      .run = run_export },
    { .name = "replay",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .beyond = "; with --subscription rw",
      .what = "give events as JSONL to a command, up to the head or as they come",
      .details =
          "COMMAND runs by sh -c with the lines of export on its standard input; what it\n"
          "prints goes where stele prints. One command gets all; with --batch it is run\n"
          "again for each N events. --stop head: until the head as it is now. error: goes on\n"
          "with events as they come until a command ends. never: and with --batch one that\n"
          "failed is run again with the same events. Exit code 8 when a command ends too\n"
          "early, or not with 0; 1 when the shell can't run it. Given is not handled:\n"
          "--subscription keeps the place only when the command ended with 0, after all\n"
          "events or, with --batch, after each N.\n",
      .options = { { .name = "into",
                     .value = "COMMAND",
                     .needed = true,
                     .what = "the command; needed" },
                   { .name = "after", .value = "P", .what = "only events after position P" },
                   { .name = "to", .value = "P", .what = "only events up to position P" },
                   { .name = "stream", .value = "S", .group = 1, .what = "only this stream" },
                   { .name = "category",
                     .value = "C",
                     .group = 1,
                     .what = "only streams of this category" },
                   { .name = "type",
                     .value = "T",
                     .repeats = true,
                     .what = "only events of this type" },
                   { .name = "system", .what = "also the library's own streams" },
                   { .name = "rate", .value = "N", .what = "at most N events a second" },
                   { .name = "stop",
                     .value = "head|never|error",
                     .choices = "head never error",
                     .what = "when to stop; head" },
                   { .name = "batch", .value = "N", .what = "a command for each N events" },
                   { .name = "subscription",
                     .value = "NAME",
                     .what = "go on where this one is, and keep the place" },
                   ARCHIVE_OPTION,
                   { .name = "skip-archived",
                     .what = "pass over events in an archive that isn't given" } },
      .examples = { "stele replay --into 'jq -r .type | sort | uniq -c'",
                    "stele replay --into ./index.sh --subscription index --batch 500",
                    "stele replay --into ./mail.sh --subscription mail --batch 1 --stop never",
                    "stele replay --into 'stele -s copy.stele import -' --rate 1000" },
      .run = run_replay },
    { .name = "copy",
      .forms = { "DEST" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_LOOK,
      .beyond = "; writes DEST",
      .what = "copy the log into a new store, each event through a command",
      .details =
          "Without --map the events stay as they are. With it /bin/sh runs COMMAND once, which\n"
          "gets a line of JSON for each event, as export prints it, and has to answer each with\n"
          "one line, before it waits for the next: an object (one event, with the fields that\n"
          "import reads), `null` (none), or an array of objects. So it may not hold its output\n"
          "back: jq --unbuffered -c, sed -u, awk with fflush().\n"
          "\n"
          "DEST is created, or holds what the same command left when it was cut short: then it\n"
          "goes on. Checkpoints are translated. The library's own streams aren't copied.\n",
      .options = { { .name = "map",
                     .value = "COMMAND",
                     .what = "what says what becomes of each event" },
                   { .name = "positions",
                     .value = "FILE",
                     .what = "write which position became which: source, first, last; 0 for none" },
                   { .name = "after", .value = "P", .what = "only events after position P" },
                   { .name = "to", .value = "P", .what = "only events up to position P" },
                   { .name = "no-checkpoints", .what = "leave the checkpoints" },
                   ARCHIVE_OPTION,
                   { .name = "skip-archived",
                     .what = "leave out events whose data is in an archive" },
                   { .name = "dry-run", .what = "do it all, but store nothing" },
                   EVENT_SIZE_OPTION },
      .examples = { "stele copy new.stele", "stele copy new.stele --positions map.tsv",
                    "stele copy new.stele --map 'sed -u s/OrderMade/OrderPlaced/' --dry-run",
                    "stele copy new.stele --map 'jq --unbuffered -cf rewrite.jq'" },
      .run = run_copy },
    { .name = "retain",
      .forms = { "" },
      .effect = IMPACT_WRITE,
      .what = "forget the oldest events of a stream or category",
      .details =
          "An event goes when any of the rules given lets it go. None goes that the slowest\n"
          "reader has not scanned, unless --force is given: each checkpoint counts but those\n"
          "that were not saved for --stale-after. AGE is 30d, 12h, 90m or 10s. Positions and\n"
          "versions of the others stay; what is gone can't be brought back. Asks first; -y\n"
          "has answered. Cut short, the same command goes on from there.\n",
      .options = { { .name = "stream", .value = "S", .group = 1, .what = "of this stream" },
                   { .name = "category",
                     .value = "C",
                     .group = 1,
                     .what = "of each stream of this category" },
                   { .name = "max-age",
                     .value = "AGE",
                     .what = "what was recorded longer ago goes" },
                   { .name = "max-count",
                     .value = "N",
                     .what = "of each stream the newest N events stay" },
                   { .name = "before", .value = "V", .what = "versions below V go; for --stream" },
                   { .name = "force", .what = "also what readers have not scanned" },
                   { .name = "stale-after",
                     .value = "AGE",
                     .what = "leave out readers that have not saved for so long" },
                   { .name = "dry-run", .what = "count what would go; change nothing" },
                   { .name = "keep-free-pages", .what = "don't make the file smaller" },
                   RATE_OPTION,
                   YES_OPTION },
      .examples = { "stele retain --category sensor --max-age 90d --dry-run",
                    "stele retain --category sensor --max-age 90d --max-count 100000 -y",
                    "stele retain --stream audit-7 --before 500",
                    "stele retain --category log --max-age 7d --stale-after 30d -y -o json" },
      .run = run_retain },
    { .name = "archive",
      .forms = { "STREAM" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_WRITE,
      .what = "close a stream for appends, and maybe move its events to another store",
      .details =
          "Without --to its events stay where they are, readable. With --to they are moved:\n"
          "reading them needs --archive FILE, and `stele restore` brings them back. Cut short,\n"
          "the same command or the next one that writes the store goes on with it.\n",
      .options = { { .name = "to", .value = "FILE", .what = "a store that gets the events" },
                   { .name = "reason", .value = "TEXT", .what = "kept with the stream" },
                   EXPECT_OPTION,
                   YES_OPTION,
                   DRY_RUN_OPTION },
      .examples = { "stele archive order-17", "stele archive order-17 --to 2025.stele --dry-run",
                    "stele archive order-17 --to 2025.stele -y -o json | jq .events" },
      .run = run_archive },
    { .name = "restore",
      .forms = { "STREAM" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_WRITE,
      .what = "open an archived stream again, and bring its events back",
      .details = "Events that were moved come back to their own positions, from --from or from\n"
                 "where the archive was.\n",
      .options = { { .name = "from", .value = "FILE", .what = "the store that has the events" },
                   EXPECT_OPTION,
                   YES_OPTION,
                   DRY_RUN_OPTION },
      .examples = { "stele restore order-17", "stele restore order-17 --from moved/2025.stele -y",
                    "stele restore order-17 --dry-run" },
      .run = run_restore },
    { .name = "tombstone",
      .forms = { "STREAM" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_WRITE,
      .what = "close a stream for good; it stays readable",
      .options = { { .name = "reason", .value = "TEXT", .what = "why; it must be given" },
                   EXPECT_OPTION,
                   YES_OPTION,
                   DRY_RUN_OPTION },
      .examples = { "stele tombstone order-17 --reason 'paid back'",
                    "stele tombstone order-17 --reason duplicate --expect 4 -y",
                    "stele tombstone order-17 --reason test --dry-run" },
      .run = run_tombstone },
    { .name = "delete",
      .forms = { "STREAM" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_WRITE,
      .what = "erase a stream; its name is free afterwards",
      .details =
          "Without --now remains may be read from the raw file until they were written over;\n"
          "--now writes the whole file anew. Backups made earlier have it still. Exit code 7\n"
          "when its events are in an archive that isn't where it was.\n",
      .options = { { .name = "now",
                     .what = "leave no remains in the file, its WAL and the archive" },
                   { .name = "archive",
                     .value = "FILE",
                     .what = "the store that has the events, if they were moved" },
                   { .name = "leave-archived",
                     .what = "go on without an archive that isn't there" },
                   EXPECT_OPTION,
                   YES_OPTION,
                   DRY_RUN_OPTION },
      .examples = { "stele delete customer-8812 --now", "stele delete order-17 --dry-run",
                    "stele delete order-17 --archive 2025.stele -y -o json | jq .finished" },
      .run = run_delete },
    { .name = NULL, .words = upkeep_commands },
};

const command *next_command(const command *verb)
{
    verb = verb == NULL ? commands : verb + 1;
    return verb->name == NULL ? verb->words : verb;
}

const command *find_command(const char *name)
{
    for (const command *verb = next_command(NULL); verb != NULL; verb = next_command(verb)) {
        if (strcmp(verb->name, name) == 0)
            return verb;
    }
    return NULL;
}
