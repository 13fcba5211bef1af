/* COPY of any size through pgpoll, and the most memory that the process has had: `bulk out|in BYTES`, in a poll(2) loop.
 *
 * Out is copied to /dev/null. In is parsed by the server and then left out (WHERE false): no disk is needed. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <pgpoll.h>

/* A row that is copied in: 45 bytes. */
#define ROW "1234567890\tabcdefghijklmnopqrstuvwxyz\t3.141\n"
#define ROWS 100
#define MESSAGES 256

static Conn *conn;

static void fail(const ConnError *error)
{
    fprintf(stderr, "%s\n", conn_error_message(error));
    exit(1);
}

/* Polls and waits until one of `bits` is said. */
static void drive(uint32_t bits)
{
    for (;;) {
        uint32_t said = conn_poll(conn);
        struct pollfd fd;

        if (said & (bits | CONN_FAILED | CONN_MISUSE))
            return;
        if (said & CONN_RUNNABLE)
            continue;
        fd.fd = conn_socket(conn);
        fd.events = (short)((said & CONN_WANT_READ ? POLLIN : 0) | (said & CONN_WANT_WRITE ? POLLOUT : 0));
        poll(&fd, 1, (int)conn_deadline_ms(conn));
    }
}

/* Takes the items up to one of this kind. */
static void until(int32_t kind)
{
    ConnItem item;

    for (;;) {
        drive(CONN_RESULT);
        while (conn_get_result(conn, &item)) {
            if (item.kind == CONN_ITEM_ERROR)
                fail(item.error);
            conn_result_free(item.result);
            if (item.kind == kind)
                return;
        }
        if (conn_error(conn))
            fail(conn_error(conn));
    }
}

static void run(const char *sql)
{
    if (!conn_start_query(conn, sql))
        fail(conn_error(conn));
    until(CONN_ITEM_DONE);
}

static uint64_t copy_out(uint64_t bytes)
{
    char sql[160];
    ConnBytes messages[MESSAGES];
    uint64_t copied = 0;
    int null = open("/dev/null", O_WRONLY);

    snprintf(sql, sizeof sql, "copy (select repeat('x', 999) from generate_series(1, %" PRIu64 ")) to stdout", bytes / 1000);
    if (!conn_start_copy(conn, sql))
        fail(conn_error(conn));
    until(CONN_ITEM_COPY);
    for (;;) {
        size_t count;

        drive(CONN_COPY | CONN_RESULT);
        while ((count = conn_copy_get(conn, messages, MESSAGES)) > 0) {
            ssize_t written = writev(null, (const struct iovec *)messages, (int)count);

            if (written < 0)
                fail(NULL);
            copied += (uint64_t)written;
        }
        if (copied >= bytes / 1000 * 1000)
            break;
    }
    until(CONN_ITEM_DONE);
    return copied;
}

static uint64_t copy_in(uint64_t bytes)
{
    char rows[ROWS * (sizeof ROW - 1)];
    uint64_t copied = 0;
    size_t i;

    for (i = 0; i < ROWS; i++)
        memcpy(rows + i * (sizeof ROW - 1), ROW, sizeof ROW - 1);
    run("create temp table bulk (a bigint, b text, c float8)");
    if (!conn_start_copy(conn, "copy bulk from stdin where false"))
        fail(conn_error(conn));
    until(CONN_ITEM_COPY);
    while (copied < bytes) {
        if (conn_copy_put(conn, rows, sizeof rows)) {
            copied += sizeof rows;
            continue;
        }
        if (conn_error_kind(conn_error(conn)) != CONN_ERROR_WOULD_BLOCK)
            fail(conn_error(conn));
        drive(CONN_ROOM | CONN_RESULT);
    }
    if (!conn_copy_end(conn, NULL))
        fail(conn_error(conn));
    until(CONN_ITEM_DONE);
    return copied;
}

/* The most resident memory that the process has had. */
static unsigned long peak_kilobytes(void)
{
    char line[128];
    unsigned long peak = 0;
    FILE *status = fopen("/proc/self/status", "r");

    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %lu kB", &peak) == 1)
            break;
    if (status)
        fclose(status);
    return peak;
}

int main(int argc, char **argv)
{
    uint64_t bytes = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    struct timespec from, to;
    uint64_t copied;
    double seconds;

    if (bytes == 0) {
        fprintf(stderr, "usage: bulk out|in BYTES\n");
        return 2;
    }
    conn = conn_open("");
    drive(CONN_IDLE);
    if (conn_error(conn))
        fail(conn_error(conn));
    clock_gettime(CLOCK_MONOTONIC, &from);
    copied = strcmp(argv[1], "in") == 0 ? copy_in(bytes) : copy_out(bytes);
    clock_gettime(CLOCK_MONOTONIC, &to);
    seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    printf("COPY %s: %" PRIu64 " bytes in %.1f s (%.0f MB/s), at most %lu kB resident\n", argv[1], copied, seconds,
           (double)copied / 1e6 / seconds, peak_kilobytes());
    conn_close(conn);
    return 0;
}
