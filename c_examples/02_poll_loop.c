/* The whole poll contract around poll(2): results, notices and notifications. On the screen:
 *
 *   notice: careful
 *   row: 3
 *   error 22012: division by zero
 *   notification on greetings: hello
 */
#include <poll.h>
#include <stdio.h>
#include <pgpoll.h>

static void take_notices_and_results(Conn *conn)
{
    ConnError *notice;
    ConnItem item;

    while ((notice = conn_get_notice(conn)) != NULL) {
        printf("notice: %s\n", conn_error_message(notice));
        conn_error_free(notice);
    }
    while (conn_get_result(conn, &item)) {
        if (item.kind == CONN_ITEM_ROWS)
            printf("row: %s\n", conn_result_value(item.result, 0, 0));
        if (item.kind == CONN_ITEM_ERROR)
            printf("error %s: %s\n", conn_error_sqlstate(item.error), conn_error_message(item.error));
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
}

/* Returns how many there were. */
static int take_notifications(Conn *conn)
{
    ConnNotification *mail;
    int count = 0;

    for (; (mail = conn_get_notification(conn)) != NULL; count++) {
        printf("notification on %s: %s\n", conn_notification_channel(mail),
               conn_notification_payload(mail));
        conn_notification_free(mail);
    }
    return count;
}

/* Waits for what the poll named. CONN_SOCKET_CHANGED asks for nothing here: poll(2) is told the descriptor each time. */
static void wait_for(Conn *conn, unsigned bits)
{
    struct pollfd wait = {conn_socket(conn), 0, 0};
    int64_t limit = conn_deadline_ms(conn);

    wait.events = (short)((bits & CONN_WANT_READ ? POLLIN : 0) | (bits & CONN_WANT_WRITE ? POLLOUT : 0));
    poll(&wait, 1, limit > 60000 ? 60000 : (int)limit);
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");
    int started = 0, notified = 0;

    while (!notified) {
        unsigned bits = conn_poll(conn);

        take_notices_and_results(conn);
        notified = take_notifications(conn);
        if (bits & CONN_FAILED) {
            fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
            break;
        }
        if ((bits & CONN_IDLE) && !started++) { /* Several operations may be started before the first is finished. */
            conn_start_query(conn, "do $$ begin raise notice 'careful'; end $$; select 1 + 2");
            conn_start_query(conn, "select 1 / 0");
            conn_start_query(conn, "listen greetings; notify greetings, 'hello'");
        } else if (!(bits & (CONN_RESULT | CONN_RUNNABLE))) { /* What was taken made room: then poll before waiting. */
            wait_for(conn, bits);
        }
    }
    conn_close(conn);
    return notified ? 0 : 1;
}
