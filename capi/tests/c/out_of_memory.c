/* A row, a result and a parameter for which there is no memory: the operation fails, the connection lives.
 *
 *   out_of_memory CONNINFO MEGABYTES
 */
#define _GNU_SOURCE
#include <pgpoll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Waits for the end of an operation; how many rows it gave, or -1 if it failed for want of memory. */
static long finish(Conn *conn, uint64_t id)
{
    ConnItem item;
    long rows = 0;
    int failed = 0;

    for (;;) {
        while (conn_get_result(conn, &item)) {
            if (item.operation != id)
                exit(3);
            rows += (long)item.rows * (item.kind == CONN_ITEM_ROWS);
            if (item.kind == CONN_ITEM_ERROR) {
                const char *message = conn_error_message(item.error);

                printf("%s\n", message);
                if (failed++ || conn_error_kind(item.error) != CONN_ERROR_TRANSPORT ||
                    strncmp(message, "out of memory: ", 15) != 0)
                    exit(4);
            }
            conn_result_free(item.result);
            conn_error_free(item.error);
            if (item.kind == CONN_ITEM_DONE) {
                if (item.verdict != CONN_VERDICT_CLEAN || (item.outcome == CONN_OUTCOME_FAILED) != failed)
                    exit(5);
                return failed ? -1 : rows;
            }
        }
        if (conn_wait(conn, 60000) & CONN_FAILED) {
            printf("lost: %s\n", conn_error_message(conn_error(conn)));
            exit(6);
        }
    }
}

static void limit(unsigned long more)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    struct rlimit limits;

    if (!file || fscanf(file, "%lu", &pages) != 1 || getrlimit(RLIMIT_AS, &limits) != 0)
        exit(7);
    fclose(file);
    limits.rlim_cur = pages * (unsigned long)sysconf(_SC_PAGESIZE) + more;
    if (setrlimit(RLIMIT_AS, &limits) != 0)
        exit(8);
}

int main(int argc, char **argv)
{
    static const char *const huge[] = {
        "select repeat('x', 300000000)",
        "select n, repeat('x', 200) from generate_series(1, 1000000) n",
    };
    const size_t size = 120000000;
    char *parameter = malloc(size + 1);
    Conn *conn = conn_open(argc > 2 ? argv[1] : "");
    uint64_t id, behind;
    unsigned i;

    while (!(conn_wait(conn, 10000) & CONN_IDLE))
        if (conn_status(conn) == CONN_STATUS_OVER)
            return 2;
    memset(parameter, 'p', size);
    parameter[size] = '\0';
    limit(strtoul(argv[2], NULL, 10) << 20);
    for (i = 0; i < 2; i++) {
        id = conn_start_query(conn, huge[i]);
        behind = conn_start_query(conn, "select 1");
        if (finish(conn, id) != -1 || finish(conn, behind) != 1)
            return 9;
    }
    id = conn_start_query_params(conn, "select length($1)", 1, NULL, (const char *const *)&parameter, NULL, NULL, 0, 0, 0);
    if (id != 0 || strstr(conn_error_message(conn_error(conn)), "out of memory") == NULL)
        return 10;
    printf("%s\n", conn_error_message(conn_error(conn)));
    if (finish(conn, conn_start_query(conn, "select 1")) != 1)
        return 11;
    conn_close(conn);
    free(parameter);
    return 0;
}
