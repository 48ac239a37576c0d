/* What both load generators share: clock, files, failures, latencies, and the report of a run. */
#ifndef BENCHMARKS_LOADER_H
#define BENCHMARKS_LOADER_H

#include <time.h>

#include "files.h"

#define HISTOGRAM_US (1 << 21)

enum error { CONNECT, BROKEN, STATUS, FRAMING, LENGTH, CONTENT, TIMEOUT, ERROR_KINDS };

static const char *error_names[ERROR_KINDS] = {
    "connect", "broken", "status", "framing", "length", "content", "timeout",
};

static uint64_t answered, reopened, errors[ERROR_KINDS], total_errors;
static uint32_t histogram[HISTOGRAM_US];
static char error_sample[128];

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

static double processor_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Counts a failure; the first one is reported with the line of text that shows it. */
static void count_error(enum error kind, const char *text, size_t length)
{
    if (!total_errors)
        for (size_t index = 0; index < length && index < 60 && text[index] >= ' '; index++)
            if (text[index] != '"' && text[index] != '\\')
                strncat(error_sample, &text[index], 1);
    errors[kind]++;
    total_errors++;
}

static void count_answer(uint64_t nanoseconds)
{
    uint64_t elapsed = nanoseconds / 1000;
    histogram[elapsed < HISTOGRAM_US ? elapsed : HISTOGRAM_US - 1]++;
    answered++;
}

/* Latency in microseconds below which the given share of all answers came. */
static unsigned percentile(double share)
{
    uint64_t seen = 0, wanted = (uint64_t)((double)answered * share);
    unsigned bucket = 0;
    while (bucket < HISTOGRAM_US - 1 && (seen += histogram[bucket]) <= wanted)
        bucket++;
    return bucket;
}

static void report(double seconds, double processor)
{
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"p50_us\": %u, \"p99_us\": %u, "
           "\"reopened\": %llu, \"client_cpu_seconds\": %.6f, \"sample\": \"%s\", \"errors\": {",
           (unsigned long long)answered, seconds, percentile(0.5), percentile(0.99),
           (unsigned long long)reopened, processor, error_sample);
    for (int kind = 0; kind < ERROR_KINDS; kind++)
        printf("%s\"%s\": %llu", kind ? ", " : "", error_names[kind],
               (unsigned long long)errors[kind]);
    printf("}}\n");
    fflush(stdout);
}

#endif
