/* At each of many points of a connection's life, held there by a server that stands still: the connection is closed, or forked and
 * closed on both sides, or closed by another thread.
 *
 *   every_point [WAY PHASE ACT CONNINFO]...     WAY: close, fork, thread; ACT: none, query, parameter
 */
#include <pgpoll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const size_t large = 16000000;

static void pause_ms(long ms)
{
    struct timespec pause = { 0, 0 };

    pause.tv_nsec = ms * 1000000;
    nanosleep(&pause, NULL);
}

static int is_in(Conn *conn, const char *phase)
{
    char *line = conn_inspect(conn), wanted[100];
    int found;

    if (!line)
        return 0;
    snprintf(wanted, sizeof wanted, "\"phase\":\"%s\"", phase);
    found = strstr(line, wanted) != NULL;
    conn_free_string(line);
    return found;
}

static void start(Conn *conn, const char *act)
{
    uint64_t id = 1;

    if (strcmp(act, "query") == 0)
        id = conn_start_query(conn, "select 2");
    if (strcmp(act, "parameter") == 0) {
        char *value = malloc(large + 1);
        const char *values[1];

        memset(value, 'p', large);
        value[large] = '\0';
        values[0] = value;
        id = conn_start_query_params(conn, "select length($1)", 1, NULL, values, NULL, NULL, 0, 0, 0);
        free(value);
    }
    if (id == 0)
        exit(4);
}

/* Polls until nothing moves any more. */
static void reach(Conn *conn, const char *phase, const char *act)
{
    int quiet = 0, turns = 0, started = 0;

    while (quiet < 20) {
        if (conn_poll(conn) & (CONN_FAILED | CONN_MISUSE) || turns++ > 20000) {
            char *line = conn_inspect(conn);

            fprintf(stderr, "not %s: %s\n", phase, line);
            exit(3);
        }
        pause_ms(1);
        quiet = is_in(conn, phase) ? quiet + 1 : 0;
        if (quiet > 0 && !started++)
            start(conn, act);
    }
}

static void *poll_and_close(void *conn)
{
    conn_poll(conn);
    conn_close(conn);
    return NULL;
}

int main(int argc, char **argv)
{
    int at, status;

    for (at = 1; at + 3 < argc; at += 4) {
        Conn *conn = conn_open(argv[at + 3]);

        reach(conn, argv[at + 1], argv[at + 2]);
        if (strcmp(argv[at], "thread") == 0) {
            pthread_t thread;

            if (pthread_create(&thread, NULL, poll_and_close, conn) != 0 || pthread_join(thread, NULL) != 0)
                return 5;
            continue;
        }
        if (strcmp(argv[at], "fork") == 0) {
            pid_t child = fork();

            if (child == 0) {
                int failed = 0, turns;
                ConnItem item;

                for (turns = 0; turns < 10; turns++) {
                    failed |= (conn_poll(conn) & CONN_FAILED) != 0;
                    while (conn_get_result(conn, &item)) {
                        conn_result_free(item.result);
                        conn_error_free(item.error);
                    }
                }
                conn_close(conn);
                _exit(failed ? 0 : 1);
            }
            if (waitpid(child, &status, 0) != child || status != 0) {
                fprintf(stderr, "the child at %s ended with %d\n", argv[at + 1], status);
                return 6;
            }
            if (conn_poll(conn) & CONN_FAILED || !is_in(conn, argv[at + 1])) {
                fprintf(stderr, "the parent left %s: %s\n", argv[at + 1], conn_error_text(conn_error(conn)));
                return 7;
            }
        }
        conn_close(conn);
    }
    printf("%d points\n", (at - 1) / 4);
    return 0;
}
