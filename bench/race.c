/* Contenders in turn, so that a noisy minute hits all of them. */
#include <stdlib.h>

#include "bench.h"

static int compare_rates(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median_of(double *rates, int count)
{
    qsort(rates, (size_t)count, sizeof(*rates), compare_rates);
    return count % 2 == 1 ? rates[count / 2] : (rates[count / 2 - 1] + rates[count / 2]) / 2;
}

typedef struct race_tally {
    uint64_t units;
    double seconds;
    double cpu;
} race_tally;

static void run_slice(const bench_contender *contender, uint64_t operations, race_tally *tally)
{
    bench_look_for_interrupt();
    double start = bench_seconds();
    double cpu_start = bench_cpu_seconds();
    tally->units += contender->run(contender->state, operations);
    tally->cpu += bench_cpu_seconds() - cpu_start;
    tally->seconds += bench_seconds() - start;
}

void bench_race(const bench_settings *settings, bench_contender *contenders, size_t count,
                uint64_t operations, int slices)
{
    static double rates[BENCH_CONTENDERS_MAX][BENCH_ROUNDS_MAX];
    static double cpus[BENCH_CONTENDERS_MAX][BENCH_ROUNDS_MAX];
    if (count > BENCH_CONTENDERS_MAX)
        bench_die("%zu contenders, at most %d", count, BENCH_CONTENDERS_MAX);

    for (size_t i = 0; i < count; i++)
        contenders[i].run(contenders[i].state, operations);
    for (int round = 0; round < settings->rounds; round++) {
        race_tally tallies[BENCH_CONTENDERS_MAX] = { 0 };
        /* Nobody always comes after the same neighbour's dirt. */
        for (int slice = 0; slice < slices; slice++)
            for (size_t turn = 0; turn < count; turn++) {
                size_t i = (turn + (size_t)(slice + round)) % count;
                run_slice(&contenders[i], operations, &tallies[i]);
            }
        for (size_t i = 0; i < count; i++) {
            rates[i][round] = (double)tallies[i].units / tallies[i].seconds;
            cpus[i][round] = tallies[i].cpu * 1e6 / (double)tallies[i].units;
        }
    }
    for (size_t i = 0; i < count; i++) {
        contenders[i].rate = median_of(rates[i], settings->rounds);
        contenders[i].cpu = median_of(cpus[i], settings->rounds);
    }
}
