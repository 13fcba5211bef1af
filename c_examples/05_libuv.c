/* A connection in a libuv loop. On the screen:
 *
 *   answered in a libuv loop
 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>
#include <pgpoll.h>

static Conn *conn;
static uv_poll_t *watcher; /* libuv wants one handle per descriptor: a new one when the descriptor changes */
static uv_timer_t deadline;
static uv_idle_t again; /* for the next turn of the loop; a timer of 0 ms would not let libuv's other handles in */
static int asked;

static void drive(void);

/* An error is news too: conn_poll finds out which. */
static void on_ready(uv_poll_t *handle, int status, int events) { (void)handle, (void)status, (void)events, drive(); }
static void on_deadline(uv_timer_t *handle) { (void)handle, drive(); }
static void on_idle(uv_idle_t *handle) { (void)handle, drive(); }
static void release(uv_handle_t *handle) { free(handle); }

static void watch(int socket)
{
    if (watcher != NULL)
        uv_close((uv_handle_t *)watcher, release);
    watcher = socket < 0 ? NULL : malloc(sizeof *watcher);
    if (watcher != NULL)
        uv_poll_init(uv_default_loop(), watcher, socket);
}

static void drive(void)
{
    unsigned bits = conn_poll(conn);
    int events = (bits & CONN_WANT_READ ? UV_READABLE : 0) | (bits & CONN_WANT_WRITE ? UV_WRITABLE : 0);
    int64_t limit = conn_deadline_ms(conn);
    ConnItem item;

    if (bits & CONN_SOCKET_CHANGED)
        watch(conn_socket(conn));
    while (conn_get_result(conn, &item)) {
        if (item.kind == CONN_ITEM_ROWS)
            printf("%s\n", conn_result_value(item.result, 0, 0));
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
    if (watcher != NULL)
        uv_poll_start(watcher, events, on_ready);
    if (limit >= 0) /* one that was set earlier may go off: a call too many is harmless */
        uv_timer_start(&deadline, on_deadline, (uint64_t)limit, 0);
    if (bits & (CONN_IDLE | CONN_RESULT | CONN_RUNNABLE))
        uv_idle_start(&again, on_idle);
    else
        uv_idle_stop(&again);
    if ((bits & CONN_IDLE) && !asked++)
        conn_start_query(conn, "select 'answered in a libuv loop'");
    else if (bits & (CONN_IDLE | CONN_FAILED))
        uv_stop(uv_default_loop());
}

int main(int argc, char **argv)
{
    conn = conn_open(argc > 1 ? argv[1] : "");
    uv_timer_init(uv_default_loop(), &deadline);
    uv_idle_init(uv_default_loop(), &again);
    uv_idle_start(&again, on_idle);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    watch(-1);
    uv_run(uv_default_loop(), UV_RUN_NOWAIT); /* frees the handle */
    if (conn_error(conn) != NULL)
        fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
    conn_close(conn);
    return asked ? 0 : 1;
}
