/* Failing, time, chance, and the folder of a run. */
#define _XOPEN_SOURCE 700 /* nftw */
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static char folder[1024];
static volatile sig_atomic_t interrupted;

_Noreturn void bench_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(EXIT_FAILURE);
}

void bench_expect(stele_status status, const char *doing)
{
    if (status < 0)
        bench_die("%s: %s (%s)", doing, stele_error_text(), stele_status_text(status));
}

void *bench_allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        bench_die("no memory for %zu bytes", size);
    return memory;
}

static double read_seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_seconds(void)
{
    return read_seconds(CLOCK_MONOTONIC);
}

double bench_cpu_seconds(void)
{
    return read_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

/* splitmix64 */
uint64_t bench_random(bench_chance *chance)
{
    uint64_t mixed = chance->state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

uint32_t bench_random_below(bench_chance *chance, uint32_t bound)
{
    return (uint32_t)(((bench_random(chance) >> 32) * bound) >> 32);
}

static int remove_below(const char *path, const struct stat *facts, int kind, struct FTW *place)
{
    (void)facts;
    (void)kind;
    return place->level == 0 ? 0 : remove(path);
}

void bench_clear_folder(void)
{
    if (folder[0] != '\0')
        nftw(folder, remove_below, 16, FTW_PHYS | FTW_DEPTH);
}

static void remove_folder(void)
{
    bench_clear_folder();
    if (folder[0] != '\0')
        rmdir(folder);
}

static void note_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

void bench_look_for_interrupt(void)
{
    if (interrupted)
        exit(130);
}

void bench_make_folder(const char *parent)
{
    int length = snprintf(folder, sizeof(folder), "%s/stele-bench-XXXXXX", parent);
    if (length < 0 || (size_t)length >= sizeof(folder) || mkdtemp(folder) == NULL) {
        folder[0] = '\0';
        bench_die("can't make a folder in '%s'", parent);
    }
    atexit(remove_folder);
    struct sigaction action = { .sa_handler = note_interrupt };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

const char *bench_path(const char *name)
{
    static char paths[4][sizeof(folder) + 300];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

int64_t bench_file_size(const char *name)
{
    struct stat facts;
    if (stat(bench_path(name), &facts) != 0)
        bench_die("can't look at '%s'", name);
    return (int64_t)facts.st_size;
}
