#include "longwork.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "options.h"

int show_work(void *context, const stele_progress *progress)
{
    (void)context;
    uint64_t megabytes = progress->bytes >> 20;
    if (progress->total > 0)
        report_progress("%s: %" PRIu64 " of %" PRIu64 ", %" PRIu64 " MiB", progress->doing,
                        progress->done, progress->total, megabytes);
    else
        report_progress("%s: %" PRIu64 ", %" PRIu64 " MiB", progress->doing, progress->done,
                        megabytes);
    return was_interrupted();
}

/* Digits, and maybe the letter of a power of 1024. */
static bool parse_rate(const char *text, uint64_t *rate_out)
{
    static const char letters[] = "kMG";
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long long number = strtoull(text, &end, 10);
    const char *letter = *end == '\0' ? NULL : strchr(letters, *end == 'K' ? 'k' : *end);
    if (errno != 0 || number == 0 || (*end != '\0' && (letter == NULL || end[1] != '\0')))
        return false;
    unsigned shift = letter == NULL ? 0 : 10 * (unsigned)(letter - letters + 1);
    if (number > (UINT64_MAX >> shift))
        return false;
    *rate_out = (uint64_t)number << shift;
    return true;
}

bool take_work(const tool *of, stele_work *work)
{
    const char *rate = option_text(of, "rate");
    stele_work_init(work);
    if (rate != NULL && !parse_rate(rate, &work->bytes_per_second)) {
        report_error("--rate %s is no number of bytes", rate);
        report_hint("such as 500000, 800k, 20M or 1G");
        return false;
    }
    work->progress = show_work;
    watch_interrupt();
    return true;
}

exit_code report_interrupted_work(const char *doing)
{
    report_progress_end();
    report_error("interrupted while %s", doing);
    return EXIT_INTERRUPTED;
}
