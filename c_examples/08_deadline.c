/* A deadline, and a cancel by hand, in one poll loop; afterwards the connection is as good as before. On the screen:
 *
 *   1: timeout expired: query not done within 300 ms; it is being cancelled
 *   1: failed, and the connection is clean
 *   2: 1
 *   2: done, and the connection is clean
 *   3: canceling statement due to user request
 *   3: failed, and the connection is clean
 */
#include <poll.h>
#include <stdio.h>
#include <pgpoll.h>

/* Returns the number of the operation that has ended, or 0. */
static uint64_t take(Conn *conn)
{
    static const char *const outcomes[] = {"", "done", "failed", "skipped", "done too late"};
    static const char *const verdicts[] = {"", "clean", "in a transaction", "lost"};
    ConnItem item;

    while (conn_get_result(conn, &item)) {
        if (item.kind == CONN_ITEM_ROWS)
            printf("%d: %s\n", (int)item.operation, conn_result_value(item.result, 0, 0));
        if (item.kind == CONN_ITEM_ERROR)
            printf("%d: %s\n", (int)item.operation, conn_error_message(item.error));
        conn_result_free(item.result);
        conn_error_free(item.error);
        if (item.kind == CONN_ITEM_DONE) {
            printf("%d: %s, and the connection is %s\n", (int)item.operation, outcomes[item.outcome],
                   verdicts[item.verdict]);
            return item.operation;
        }
    }
    return 0;
}

static struct pollfd interest(int socket, unsigned bits)
{
    struct pollfd wait = {socket, 0, 0};

    wait.events = (short)((bits & CONN_WANT_READ ? POLLIN : 0) | (bits & CONN_WANT_WRITE ? POLLOUT : 0));
    return wait;
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");
    ConnCancel *cancel = NULL;
    unsigned bits, cancel_bits = 0;
    uint64_t ended = 0;

    while (!(conn_wait(conn, -1) & (CONN_IDLE | CONN_FAILED)))
        ;
    conn_set_timeout_ms(conn, 300);
    conn_start_query(conn, "select pg_sleep(10)");
    while (!((bits = conn_poll(conn)) & CONN_FAILED) && ended < 3) {
        struct pollfd waits[2] = {interest(conn_socket(conn), bits), {-1, 0, 0}};
        int64_t limit = conn_deadline_ms(conn);

        if ((ended = take(conn)) == 1) {
            conn_set_timeout_ms(conn, -1);
            conn_start_query(conn, "select 1");
        } else if (ended == 2) {
            conn_start_query(conn, "select pg_sleep(10)");
            conn_poll(conn);
            poll(NULL, 0, 100); /* a request that comes before the statement has begun stops nothing */
            cancel = conn_cancel_open(conn);
        }
        if (cancel != NULL && !(cancel_bits & (CONN_IDLE | CONN_FAILED))) {
            cancel_bits = conn_cancel_poll(cancel);
            waits[1] = interest(conn_cancel_socket(cancel), cancel_bits);
        }
        if (!(bits & (CONN_RESULT | CONN_RUNNABLE)) && ended == 0)
            poll(waits, 2, limit < 0 || limit > 1000 ? 1000 : (int)limit);
    }
    conn_cancel_close(cancel);
    conn_close(conn);
    return ended == 3 ? 0 : 1;
}
