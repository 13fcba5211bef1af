/* Two threads use one connection at once, a third asks what may be asked at any time, and results are read in a thread that did
 * not take them: each call is served or refused, and nothing breaks.
 *
 *   threads CONNINFO MILLISECONDS
 */
#include <pgpoll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static Conn *conn;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ConnResult *handed;
static volatile int stop;

typedef struct {
    unsigned long refused, served, done, sum;
} Count;

static void *use(void *argument)
{
    Count *count = argument;
    ConnItem item;

    while (!stop) {
        uint32_t bits = count->served % 50 ? conn_poll(conn) : conn_wait(conn, 1);

        if (bits & CONN_MISUSE) {
            count->refused++;
            if (conn_error_kind(conn_error(NULL)) != CONN_ERROR_MISUSE)
                abort();
            continue;
        }
        count->served++;
        if (bits & CONN_FAILED)
            abort();
        if (bits & CONN_IDLE)
            conn_start_query(conn, "select n, repeat('x', 50) from generate_series(1, 50) n");
        while (conn_get_result(conn, &item)) {
            ConnResult *old = NULL;

            if (item.error)
                abort();
            if (item.result) {
                pthread_mutex_lock(&lock);
                old = handed;
                handed = item.result;
                pthread_mutex_unlock(&lock);
            }
            conn_result_free(old);
            count->done += item.kind == CONN_ITEM_DONE;
        }
    }
    return NULL;
}

static void *look(void *argument)
{
    Count *count = argument;

    while (!stop) {
        count->sum += (unsigned long)(conn_socket(conn) + conn_backend_pid(conn) + conn_deadline_ms(conn));
        pthread_mutex_lock(&lock);
        if (handed)
            count->sum += strlen(conn_result_value(handed, 0, 1)) + conn_result_rows(handed);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static Count counts[3];
    pthread_t threads[3];
    struct timespec pause = { 0, 0 };
    long ms = argc > 2 ? strtol(argv[2], NULL, 10) : 100;
    ConnItem item;
    uint64_t last = 0;
    int i, ended = 0;

    conn = conn_open(argc > 1 ? argv[1] : "");
    while (!(conn_wait(conn, 10000) & (CONN_IDLE | CONN_FAILED)))
        ;
    for (i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, i < 2 ? use : look, &counts[i]);
    pause.tv_sec = ms / 1000;
    pause.tv_nsec = ms % 1000 * 1000000;
    nanosleep(&pause, NULL);
    stop = 1;
    for (i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    while (!ended) {
        if (last == 0)
            last = conn_start_query(conn, "select 1");
        if (conn_wait(conn, 10000) & (CONN_FAILED | CONN_MISUSE))
            return 2;
        while (conn_get_result(conn, &item)) {
            ended |= item.kind == CONN_ITEM_DONE && item.operation == last;
            conn_result_free(item.result);
            conn_error_free(item.error);
        }
    }
    conn_result_free(handed);
    conn_close(conn);
    printf("served %lu and %lu, refused %lu and %lu, done %lu\n", counts[0].served, counts[1].served, counts[0].refused,
           counts[1].refused, counts[0].done + counts[1].done);
    return counts[0].refused + counts[1].refused == 0 || counts[0].done + counts[1].done == 0;
}
