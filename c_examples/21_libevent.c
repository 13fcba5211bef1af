/* Twenty connections in a libevent loop. On the screen:
 *
 *   20 connections, 20 answers; their sum is 210
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <pgpoll.h>

enum { CLIENTS = 20 };

typedef struct {
    Conn *conn;
    struct event *event; /* of the descriptor, with the deadline as its timeout; without a descriptor (-1) a timer */
    short events;        /* what it waits for: that changes rarely, and then only the kernel has to be told */
    int number, asked;
} Client;

static struct event_base *base;
static int answers, failures, sum;

static void drive(evutil_socket_t socket, short what, void *data);

static void watch(Client *client, unsigned bits)
{
    short events = (short)((bits & CONN_WANT_READ ? EV_READ : 0) | (bits & CONN_WANT_WRITE ? EV_WRITE : 0));
    int64_t limit = bits & (CONN_RESULT | CONN_RUNNABLE | CONN_IDLE) ? 0 : conn_deadline_ms(client->conn);
    struct timeval timeout = {(time_t)(limit / 1000), (suseconds_t)(limit % 1000 * 1000)};

    if (events != client->events || (bits & CONN_SOCKET_CHANGED)) {
        event_del(client->event); /* the old descriptor is open until the next conn_poll */
        event_assign(client->event, base, conn_socket(client->conn), (short)(events | EV_PERSIST), drive, client);
        client->events = events;
    }
    event_remove_timer(client->event);
    event_add(client->event, limit < 0 ? NULL : &timeout); /* a timeout of 0 lets the others in */
}

static void drive(evutil_socket_t socket, short what, void *data)
{
    Client *client = data;
    unsigned bits = conn_poll(client->conn); /* finds out by itself what has happened */
    ConnItem item;

    (void)socket, (void)what;
    while (conn_get_result(client->conn, &item)) {
        for (size_t row = 0; row < conn_result_rows(item.result); row++, answers++)
            sum += atoi(conn_result_value(item.result, row, 0));
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
    if ((bits & CONN_IDLE) && !client->asked++) {
        char sql[80];
        snprintf(sql, sizeof sql, "select %d from pg_sleep(0.1)", client->number);
        conn_start_query(client->conn, sql);
    } else if (bits & (CONN_IDLE | CONN_FAILED)) {
        if ((bits & CONN_FAILED) && failures++ == 0)
            fprintf(stderr, "%s\n", conn_error_text(conn_error(client->conn)));
        event_free(client->event); /* the loop ends with the last one */
        conn_close(client->conn);
        return;
    }
    watch(client, bits);
}

int main(int argc, char **argv)
{
    static Client clients[CLIENTS];

    base = event_base_new();
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (Client){conn_open(argc > 1 ? argv[1] : ""), event_new(base, -1, 0, drive, clients + i), 0, i + 1, 0};
        event_active(clients[i].event, 0, 0);
    }
    event_base_dispatch(base);
    event_base_free(base);
    printf("%d connections, %d answers; their sum is %d\n", CLIENTS, answers, sum);
    return failures > 0;
}
