/* Runs one work: `program WORK N`. Prints what was seen, nanoseconds, bytes of heap in use, and the peak of resident bytes. */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "work.h"

unsigned long seen;
static struct timespec began;

void begin(void)
{
    clock_gettime(CLOCK_MONOTONIC, &began);
}

void fail(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(1);
}

const char *row_query(long n)
{
    static char text[256];

    snprintf(text, sizeof text, ROW_QUERY, n);
    return text;
}

const char *copy_out_query(long n)
{
    static char text[256];

    snprintf(text, sizeof text, COPY_OUT_QUERY, n);
    return text;
}

const char *conninfo(void)
{
    const char *given = getenv("BENCH_CONNINFO");

    return given ? given : "";
}

const char *next_value(void)
{
    static char text[VALUE_SIZE] = "1000000";
    char *digit = text + sizeof text - 2;

    while (*digit == '9')
        *digit-- = '0';
    ++*digit;
    return text;
}

/* What the kernel counts for this process (proc(5)), in bytes. */
static long peak_resident(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kilobytes = 0;

    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1)
            break;
    if (status)
        fclose(status);
    return kilobytes * 1024;
}

int main(int argc, char **argv)
{
    const struct work *work = works;
    struct timespec now;
    struct mallinfo2 heap;

    while (argc == 3 && work->name && strcmp(work->name, argv[1]) != 0)
        work++;
    if (argc != 3 || !work->name)
        fail("usage: WORK N");
    begin();
    work->run(atol(argv[2]));
    clock_gettime(CLOCK_MONOTONIC, &now);
    heap = mallinfo2();
    printf("%lu %lld %zu %ld\n", seen,
           (now.tv_sec - began.tv_sec) * 1000000000LL + (now.tv_nsec - began.tv_nsec),
           heap.uordblks + heap.hblkhd, peak_resident());
    return 0;
}
