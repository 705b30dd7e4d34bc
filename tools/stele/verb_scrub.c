/*
 * scrub: leave nothing of what was deleted in the file.
 */
#include "confirm.h"
#include "interrupt.h"
#include "longwork.h"
#include "place.h"
#include "tool.h"

static const column scrub_fields[] = { { .name = "bytes_before" }, { .name = "bytes_after" } };

static int is_scrub_interrupted(void *context)
{
    (void)context;
    return was_interrupted();
}

static exit_code scrub_store(tool *of, stele_store *store)
{
    stele_store_info before = STELE_STORE_INFO_INIT;
    stele_store_info after = STELE_STORE_INFO_INIT;
    stele_wait wait = STELE_WAIT_INIT;
    stele_work work = STELE_WORK_INIT;
    wait.progress = is_scrub_interrupted;
    work.wait = &wait;
    work.progress = show_work;
    stele_status status = stele_store_describe(store, &before);
    if (status == STELE_OK)
        status = stele_store_scrub(store, &work);
    if (status == STELE_CANCELLED)
        return report_interrupted_work("scrubbing");
    report_progress_end();
    if (status == STELE_OK)
        status = stele_store_describe(store, &after);
    if (status != STELE_OK) {
        exit_code code = report_status(status);
        if (status == STELE_BUSY)
            report_hint("a reader or writer of another process is in the way; try again later");
        return code;
    }
    const cell cells[] = { number_cell(before.file_bytes), number_cell(after.file_bytes) };
    output_answer(&of->out, scrub_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}

exit_code run_scrub(tool *of)
{
    stele_store *store = NULL;
    exit_code code = confirm(of, "write the whole file of the store anew?");
    if (code != EXIT_OK)
        return code;
    watch_interrupt();
    code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = scrub_store(of, store);
    close_store(of, store);
    return code;
}
