/* Figures of shards. */
#include <stele/shard_list.h>

#include <stdio.h>

#include "base/failure.h"
#include "base/platform.h"
#include "shard/scan.h"
#include "store/figures.h"

typedef struct stats_sum {
    pthread_mutex_t mutex;
    stele_shard_stats total;
} stats_sum;

static int64_t measure_shard_wal(const stele_shard *shard)
{
    char path[STELE__SHARD_PATH_MAX + 8];
    stele__file_facts facts;
    snprintf(path, sizeof(path), "%s-wal", stele_shard_path(shard));
    return stele__look_at_file(path, &facts) == STELE_OK ? facts.size : 0;
}

stele_status stele_shard_statistics(stele_shard *shard, stele_shard_stats *stats_out)
{
    stele__figures figures;
    if (stats_out != NULL)
        *stats_out = (stele_shard_stats){ 0 };
    if (shard == NULL || stats_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", shard == NULL ? "shard" : "stats_out");
    stele_status status = stele__store_figures(stele_shard_store(shard), &figures);
    if (status != STELE_OK)
        return status;
    *stats_out = (stele_shard_stats){ .shards = 1,
                                      .events = figures.head,
                                      .streams = figures.streams,
                                      .entries = figures.entries,
                                      .file_bytes = figures.file_bytes,
                                      .wal_bytes = measure_shard_wal(shard),
                                      .last_recorded_at = figures.last_recorded_at };
    return STELE_OK;
}

/* Of the newest event, the time is the latest. */
static stele_status add_statistics(void *context, stele_shard *shard)
{
    stats_sum *sum = context;
    stele_shard_stats stats;
    stele_status status = stele_shard_statistics(shard, &stats);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&sum->mutex);
    sum->total.shards += stats.shards;
    sum->total.events += stats.events;
    sum->total.streams += stats.streams;
    sum->total.entries += stats.entries;
    sum->total.file_bytes += stats.file_bytes;
    sum->total.wal_bytes += stats.wal_bytes;
    if (stats.last_recorded_at > sum->total.last_recorded_at)
        sum->total.last_recorded_at = stats.last_recorded_at;
    pthread_mutex_unlock(&sum->mutex);
    return STELE_OK;
}

stele_status stele_shards_statistics(stele_shards *shards, const stele_shards_run *run,
                                     stele_shard_stats *total_out)
{
    stats_sum sum = { .total = { 0 } };
    const stele_shards_run all = STELE_SHARDS_RUN_INIT;
    if (total_out == NULL)
        return stele__fail(STELE_MISUSE, "total_out is NULL");
    pthread_mutex_init(&sum.mutex, NULL);
    stele_status status =
        stele__shards_run(shards, run == NULL ? &all : run, add_statistics, &sum, NULL);
    pthread_mutex_destroy(&sum.mutex);
    *total_out = sum.total;
    return status;
}
