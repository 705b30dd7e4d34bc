/* The table of verbs, continued: readers, saved states, the store as a whole, and the tool itself.
 */
#include "commands.h"

#include "archives.h"
#include "confirm.h"
#include "longwork.h"
#include "plugin.h"

const command upkeep_commands[] = {
    { .name = "checkpoint",
      .what = "list, get, set or reset how far readers have come",
      .words = checkpoint_words },
    { .name = "subs",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .what = "list the subscriptions: how far each is, how fast, and what is wrong",
      .details =
          "`lag` is in events; `lag_seconds` is for how long the oldest of them has waited.\n"
          "`trend` is keeping up, catching up (in `eta_seconds` at this rate), falling\n"
          "behind, or standing still: nobody works on it, or it can't get on. A reader that\n"
          "only saves a checkpoint is listed, too.\n",
      .options = { { .name = "lanes", .what = "also a row for each lane" } },
      .examples = { "stele subs", "stele subs --lanes",
                    "stele subs -o jsonl | jq -r 'select(.lag_seconds > 60).name'" },
      .run = run_subs },
    { .name = "sub",
      .forms = { "NAME" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_LOOK,
      .beyond = "; with --clear rw",
      .what = "describe a subscription: state, last error, and the events to come",
      .details =
          "`next` are the events after its position, and `lag` counts them, whether its filter\n"
          "takes them or not: that is the program's, and isn't in the file.\n"
          "--clear lets one go on that a failure has stopped: the event gets its tries anew.\n"
          "--lib is as for read.\n",
      .options = { { .name = "next", .value = "N", .what = "show N events to come; 3" },
                   { .name = "lanes", .what = "also a row for each lane" },
                   { .name = "clear", .what = "let it go on" },
                   YES_OPTION,
                   ARCHIVE_OPTION,
                   LIB_OPTION },
      .examples = { "stele sub mailer", "stele sub mailer --clear",
                    "stele sub mailer -o json | jq '{state, error, next: .next[0].position}'" },
      .run = run_sub },
    { .name = "park",
      .what = "list, replay or drop events that subscriptions have set aside",
      .words = park_words },
    { .name = "snapshot", .what = "list or drop saved states of streams", .words = snapshot_words },
    { .name = "state", .what = "get, put, list or delete state entries", .words = state_words },
    { .name = "scrub",
      .forms = { "" },
      .effect = IMPACT_WRITE,
      .what = "leave nothing of what was deleted in the file",
      .details =
          "Writes the whole file anew and empties its WAL, which needs as much memory as what\n"
          "is left is large; others wait meanwhile. `stele delete --now` does it by itself:\n"
          "this is for later, for what was deleted without, and when that was cut short.\n",
      .options = { YES_OPTION },
      .examples = { "stele scrub", "stele scrub -y", "stele -s archive.stele scrub -y -o json" },
      .run = run_scrub },
    { .name = "verify",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .beyond = "; with --repair rw",
      .what = "prove that the store is whole",
      .details =
          "Exit code 6 when a check fails. --digest adds a hash over the log: equal for equal\n"
          "logs. --repair builds damaged indexes anew, drops damaged snapshots, and checks\n"
          "again; it never touches an event, and asks first. Others go on writing meanwhile.\n",
      .options = { { .name = "check",
                     .value = "NAME",
                     .repeats = true,
                     .what = "only this check, as the rows name it" },
                   { .name = "digest", .what = "also hash the whole log" },
                   { .name = "repair",
                     .what = "build what is derived anew, or drop it, when its check fails" },
                   ARCHIVE_OPTION,
                   RATE_OPTION,
                   YES_OPTION },
      .examples = { "stele verify --digest", "stele verify --check positions --check checksums",
                    "stele verify --rate 20M -o json | jq '.rows[] | select(.ok | not)'",
                    "stele verify --repair" },
      .run = run_verify },
    { .name = "backup",
      .forms = { "DEST" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_LOOK,
      .beyond = "; makes DEST",
      .what = "copy the whole store while it is in use",
      .details =
          "DEST must not exist. It gets its name when it is whole, synced and verified, and\n"
          "is only read until it is recovered. It holds what the store's file holds: the\n"
          "payloads of streams that were archived to another store are there, so back that\n"
          "up, too.\n",
      .options = { { .name = "verify",
                     .group = 1,
                     .what = "run every check on the copy: as without it" },
                   { .name = "no-verify",
                     .group = 1,
                     .what = "don't: half the work, no proof; also of a damaged store" },
                   RATE_OPTION },
      .examples = { "stele backup /backup/orders-$(date +%F).stele",
                    "stele backup orders-copy.stele -o json | jq .head",
                    "stele backup --no-verify damaged.stele" },
      .run = run_backup },
    { .name = "recover",
      .forms = { "BACKUP NEWFILE" },
      .operand_min = 2,
      .operand_max = 2,
      .beyond = "; makes NEWFILE",
      .what = "make a store of a backup",
      .details = "NEWFILE must not exist, and BACKUP stays as it is. The new store begins a new\n"
                 "epoch at its head: who had read further in the lost one is told so, instead of\n"
                 "taking new events for old ones. Exit code 6 when a check of BACKUP fails.\n",
      .options = { { .name = "damaged", .what = "go on although checks fail" }, RATE_OPTION },
      .examples = { "stele recover /backup/orders-2026-05-17.stele orders.stele",
                    "stele recover backup.stele try.stele && stele -s try.stele verify",
                    "stele recover --damaged backup.stele rest.stele" },
      .run = run_recover },
    { .name = "shards",
      .what = "list, verify, back up, move or drop the shards under a root",
      .details =
          "-s or $STELE_STORE names the root, a folder. --org and --ns name a shard; without\n"
          "--org it is of the organisation with the empty name. With any other verb, too:\n"
          "stele -s ROOT --org ORG --ns NS VERB ... works on that shard as on a file.\n",
      .words = shards_words },
    { .name = "doctor",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .beyond = "; with --try or --accept-loss rw",
      .what = "look at what surrounds the store, with what to do about it",
      .details =
          "A row for each thing: ok, warn, bad or skip, and for all but the first a fix. Exit\n"
          "code 6 when one is bad, as when acknowledged events were lost: an old copy of the\n"
          "file, or one without its WAL. Such a store is only read, until --accept-loss\n"
          "begins a new epoch where the log ends now. --try writes, too: it moves the WAL,\n"
          "to see whether a reader holds it back, which is skipped without it.\n",
      .options = { { .name = "accept-loss", .what = "go on without the events that were lost" },
                   { .name = "try", .what = "move the WAL, to find out who holds it back" },
                   { .name = "checkpoint",
                     .value = "NAME",
                     .repeats = true,
                     .what = "how far behind this reader is, not which ones are" } },
      .examples = { "stele doctor", "stele doctor --try --checkpoint mailer",
                    "stele doctor -o json | jq '.rows[] | select(.status != \"ok\")'",
                    "stele doctor --accept-loss" },
      .run = run_doctor },
    { .name = "lint",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .what = "try whether every stored type and schema version can be decoded",
      .details =
          "Decodes samples of each by the tables, codecs and upcasters that the libraries\n"
          "given by --lib register. Such a library has a function\n"
          "`stele_status stele_register(stele_store *store)`. There is a row for each type,\n"
          "schema version and codec; UNUSED is an upcaster that no stored event reaches.\n"
          "Exit code 6 when something can't be decoded.\n",
      .options = { LIB_OPTION,
                   { .name = "samples",
                     .value = "N",
                     .what = "events tried of each; 100, 0: all" } },
      .examples = { "stele lint --lib ./orders.so", "stele lint --lib ./orders.so --samples 0",
                    "stele lint --lib ./orders.so -o jsonl | jq -r 'select(.failed > 0).first'" },
      .run = run_lint },
    { .name = "schema",
      .forms = { "[TYPE]" },
      .operand_max = 1,
      .what = "print the JSON Schema of a library's types",
      .details = "Of TYPE, which is its newest schema version, or of all that the libraries given\n"
                 "by --lib register, a line each. Always jsonl. Opens no store.\n",
      .options = { LIB_OPTION },
      .examples = { "stele schema --lib ./orders.so",
                    "stele schema --lib ./orders.so OrderPlaced > order-placed.schema.json",
                    "stele schema --lib ./orders.so | jq -r '.\"$defs\".t0.title'" },
      .run = run_schema },
    { .name = "version",
      .forms = { "" },
      .what = "print the version",
      .options = { { .name = "build", .what = "also SQLite, the compiler and how it was built" } },
      .examples = { "stele version", "stele version --build", "stele version --build -o json" },
      .run = run_version },
    { .name = "help",
      .forms = { "[VERB]" },
      .operand_max = 2,
      .what = "explain a verb, or list all",
      .options = { { .name = "synopsis",
                     .hidden = true,
                     .what = "print how each verb is called, a line each" } },
      .examples = { "stele help", "stele help read", "stele read --help" },
      .run = run_help },
    { .name = "completion",
      .forms = { "bash|zsh|fish" },
      .operand_min = 1,
      .operand_max = 1,
      .what = "print the completions for a shell",
      .examples = { "eval \"$(stele completion bash)\"", "stele completion zsh > ~/.zfunc/_stele",
                    "stele completion fish > ~/.config/fish/completions/stele.fish" },
      .run = run_completion },
    { .name = NULL },
};
