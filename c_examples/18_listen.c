/* LISTEN in an event loop around poll(2): notifications, the server's goodbye, and listening again. On the screen:
 *
 *   listening
 *   heard: one
 *   heard: two
 *   lost: FATAL:  terminating connection due to administrator command
 *   listening
 *   heard: three
 */
#include <poll.h>
#include <stdio.h>
#include <pgpoll.h>

/* What another session says whenever we are listening or have heard something. */
static const char *const script[] = {
    "notify jobs, 'one'", "notify jobs, 'two'",
    "select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen jobs'", "notify jobs, 'three'", NULL};

/* Returns 1 when the operation is done and committed: a LISTEN is in force from then on. */
static int take_results(Conn *conn)
{
    ConnItem item;
    int done = 0;

    while (conn_get_result(conn, &item)) {
        done |= item.kind == CONN_ITEM_DONE && item.verdict == CONN_VERDICT_CLEAN;
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
    return done;
}

/* The other session needs no event loop: it has nothing else to do. */
static void say(const char *conninfo, const char *sql)
{
    Conn *conn = conn_open(conninfo);
    unsigned bits = 0;

    while (conn_start_query(conn, sql) == 0 && !(bits & CONN_FAILED))
        bits = conn_wait(conn, -1);
    while (!take_results(conn) && !(bits & CONN_FAILED))
        bits = conn_wait(conn, -1);
    conn_close(conn);
}

int main(int argc, char **argv)
{
    const char *conninfo = argc > 1 ? argv[1] : "", *const *next = script;
    Conn *conn = conn_open(conninfo);
    int started = 0, news = 0;

    while (!news || *next != NULL) {
        unsigned bits = conn_poll(conn);
        struct pollfd wait = {conn_socket(conn), 0, 0};
        int64_t limit = conn_deadline_ms(conn);
        ConnNotification *mail;

        news = take_results(conn) && puts("listening") >= 0; /* Now look at what there is to do already. */
        for (; (mail = conn_get_notification(conn)) != NULL; conn_notification_free(mail))
            news = printf("heard: %s\n", conn_notification_payload(mail));
        if (news && *next != NULL) {
            say(conninfo, *next++);
            news = 0;
        } else if (bits & CONN_FAILED) {
            fprintf(started ? stdout : stderr, "lost: %s\n", conn_error_text(conn_error(conn)));
            if (!started) /* It did not come up, or not again. */
                break;
            conn_reset(conn);
            started = 0;
        } else if ((bits & CONN_IDLE) && !started) {
            started = conn_start_query(conn, "listen jobs") > 0;
        } else if (!(bits & (CONN_RESULT | CONN_NOTIFY | CONN_RUNNABLE))) {
            wait.events = (short)((bits & CONN_WANT_READ ? POLLIN : 0) | (bits & CONN_WANT_WRITE ? POLLOUT : 0));
            poll(&wait, 1, limit > 60000 ? 60000 : (int)limit);
        }
    }
    conn_close(conn);
    return news ? 0 : 1;
}
