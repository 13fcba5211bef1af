/* Writes on while servers come and go: after each loss, that of several hosts which can be written to is found again.
 * With "host=127.0.0.1,127.0.0.1 port=5432,5433", when the first is lost and the second promoted. On the screen:
 *
 *   writing to 127.0.0.1, port 5432
 *   lost: server closed the connection unexpectedly
 *   writing to 127.0.0.1, port 5433
 *   300 numbers are there
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pgpoll.h>

#define NUMBERS 300

/* A statement that is lost may have taken effect or not. These can be tried again all the same: no number is there twice. */
static void start(Conn *conn, int n)
{
    char sql[120] = "create table if not exists numbers (n int primary key)";

    if (n > NUMBERS)
        snprintf(sql, sizeof sql, "select count(*) from numbers");
    else if (n > 0)
        snprintf(sql, sizeof sql, "insert into numbers select %d from pg_sleep(0.005) on conflict do nothing", n);
    conn_start_query(conn, sql);
}

/* Takes what is ready. Returns 1 when the statement is done, 0 when it is not or is to be tried again, -1 when it is hopeless. */
static int take(Conn *conn)
{
    int end = 0, refused = 0;
    for (ConnItem item; conn_get_result(conn, &item);) {
        if (item.kind == CONN_ITEM_ROWS && conn_result_rows(item.result) > 0)
            printf("%s numbers are there\n", conn_result_value(item.result, 0, 0));
        if (item.kind == CONN_ITEM_ERROR && conn_error_kind(item.error) == CONN_ERROR_SERVER)
            refused = !conn_error_safe_to_retry(item.error); /* after a deadlock, say, it is */
        if (item.kind == CONN_ITEM_ERROR && refused)
            fprintf(stderr, "%s\n", conn_error_text(item.error));
        if (item.kind == CONN_ITEM_DONE)
            end = item.outcome == CONN_OUTCOME_OK ? 1 : refused && item.verdict != CONN_VERDICT_LOST ? -1 : 0;
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
    return end;
}

int main(int argc, char **argv)
{
    const char *keywords[] = {"dbname", "target_session_attrs", "connect_timeout", NULL};
    const char *values[] = {argc > 1 ? argv[1] : "", "read-write", "5", NULL};
    Conn *conn = conn_open_params(keywords, values, 1);
    int n = 0, up = 0, tries = argc > 2 ? atoi(argv[2]) : 300;

    conn_set_timeout_ms(conn, 10000); /* a server that falls silent is as good as lost */
    for (int end = 0; n <= NUMBERS + 1 && end >= 0 && tries > 0; n += end > 0) {
        unsigned bits = conn_poll(conn);
        struct pollfd fd = {conn_socket(conn), 0, 0};
        end = take(conn);

        if (bits & CONN_FAILED) {
            const char *why = conn_error_message(conn_error(conn));
            if (up || --tries == 0)
                fprintf(up ? stdout : stderr, "lost: %.*s\n", (int)strcspn(why, "\n"), why);
            poll(NULL, 0, 200); /* a timer of your event loop */
            conn_reset(conn);   /* all hosts again, in their order */
            up = 0;
        } else if (bits & CONN_IDLE) {
            if (!up++)
                printf("writing to %s, port %s\n", conn_host(conn), conn_port(conn));
            start(conn, n);
        } else if (!(bits & (CONN_RESULT | CONN_RUNNABLE))) {
            fd.events = (short)((bits & CONN_WANT_READ ? POLLIN : 0) | (bits & CONN_WANT_WRITE ? POLLOUT : 0));
            poll(&fd, 1, (int)conn_deadline_ms(conn));
        }
    }
    conn_close(conn);
    return n <= NUMBERS + 1;
}
