/* Fifty connections behind one descriptor: in one poll(2) loop, and waited for until the first error. On the screen:
 *
 *   50 connections, one descriptor, 50 answers; their sum is 1275
 *   connection 7 failed first: division by zero
 *   the others were given up: 0 are under way
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <pgpoll.h>

enum { CLIENTS = 50 };

typedef struct { int number; Conn *conn; } Client;

static int answers, sum;

static void take(Conn *conn)
{
    ConnItem item;

    while (conn_get_result(conn, &item)) {
        for (size_t row = 0; row < conn_result_rows(item.result); row++, answers++)
            sum += atoi(conn_result_value(item.result, row, 0));
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
}

int main(int argc, char **argv)
{
    static Client clients[CLIENTS];
    ConnGroup *group = conn_group_open();
    struct pollfd one = {conn_group_socket(group), POLLIN, 0};
    ConnReady ready;
    ConnItem item;

    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (Client){i + 1, conn_open(argc > 1 ? argv[1] : "")};
        conn_group_add(group, clients[i].conn, &clients[i]);
    }
    conn_group_wait(group, CONN_WAIT_FIRST_ERROR, 60000); /* until all are connected */
    if (conn_group_get_failed(group, &ready)) {
        fprintf(stderr, "%s\n", conn_error_text(conn_error(ready.conn)));
        return 1;
    }

    /* A loop of one's own. */
    for (int i = 0; i < CLIENTS; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "select %d from pg_sleep(0.1)", clients[i].number);
        conn_start_query(clients[i].conn, sql);
    }
    while (conn_group_pending(group) > 0) {
        unsigned bits = conn_group_poll(group);
        while (conn_group_get_ready(group, &ready))
            take(ready.conn);
        if (!(bits & (CONN_RESULT | CONN_RUNNABLE)))
            poll(&one, 1, (int)conn_group_deadline_ms(group)); /* -1: no limit */
    }
    printf("%d connections, one descriptor, %d answers; their sum is %d\n", CLIENTS, answers, sum);

    for (int i = 0; i < CLIENTS; i++)
        conn_start_query(clients[i].conn, clients[i].number == 7 ? "select 1 / 0" : "select pg_sleep(60)");
    conn_group_wait(group, CONN_WAIT_FIRST_ERROR, 60000);
    if (conn_group_get_failed(group, &ready) && conn_get_result(ready.conn, &item)) {
        printf("connection %d failed first: %s\n", ((Client *)ready.data)->number, conn_error_message(item.error));
        conn_error_free(item.error);
    }
    for (int i = 0; i < CLIENTS; i++)
        conn_abandon(clients[i].conn, 0);
    conn_group_wait(group, CONN_WAIT_ALL, 60000);
    printf("the others were given up: %zu are under way\n", conn_group_pending(group));
    for (int i = 0; i < CLIENTS; i++)
        conn_close(clients[i].conn); /* it leaves its group */
    conn_group_close(group);
}
