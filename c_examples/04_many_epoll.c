/* Two hundred connections in one edge-triggered epoll loop (Linux). On the screen:
 *
 *   200 connections, 200 answers, 0 failures; the sum of the answers is 20100
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <pgpoll.h>

enum { CLIENTS = 200 };

typedef struct {
    Conn *conn;
    int socket, asked, ready; /* ready: poll it without waiting */
} Client;

static int epoll, open_clients = CLIENTS, answers, failures, sum;

/* The old descriptor stays open until the next conn_poll: it can still be taken out. */
static void watch(Client *client, int socket)
{
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {client}};

    epoll_ctl(epoll, EPOLL_CTL_DEL, client->socket, NULL);
    epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event); /* -1, none, is no descriptor: then nothing is added */
    client->socket = socket;
}

/* Returns whether to poll again without waiting. An edge comes once: wait only when the poll says neither of these. */
static int drive(Client *client, int number)
{
    unsigned bits = conn_poll(client->conn);
    ConnItem item;

    if (bits & CONN_SOCKET_CHANGED)
        watch(client, conn_socket(client->conn));
    while (conn_get_result(client->conn, &item)) {
        for (size_t row = 0; row < conn_result_rows(item.result); row++, answers++)
            sum += atoi(conn_result_value(item.result, row, 0));
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
    if ((bits & CONN_IDLE) && !client->asked++) {
        char sql[80];
        snprintf(sql, sizeof sql, "select %d from pg_sleep(0.1)", number);
        conn_start_query(client->conn, sql);
    } else if (bits & (CONN_IDLE | CONN_FAILED)) {
        if (bits & CONN_FAILED && failures++ == 0)
            fprintf(stderr, "%s\n", conn_error_text(conn_error(client->conn)));
        watch(client, -1);
        conn_close(client->conn);
        client->conn = NULL;
        open_clients--;
    }
    return client->conn != NULL && (bits & (CONN_IDLE | CONN_RESULT | CONN_RUNNABLE));
}

int main(int argc, char **argv)
{
    static Client clients[CLIENTS];
    struct epoll_event events[64];

    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = (Client){conn_open(argc > 1 ? argv[1] : ""), -1, 0, 1};
    for (int limit = 60000; open_clients > 0; limit = 60000) {
        for (Client *client = clients; client < clients + CLIENTS; client++) {
            if (client->conn != NULL && (client->ready || conn_deadline_ms(client->conn) == 0))
                client->ready = drive(client, (int)(client - clients) + 1);
            int64_t left = client->ready ? 0 : conn_deadline_ms(client->conn); /* -1: no limit, also for NULL */
            limit = left >= 0 && left < limit ? (int)left : limit;
        }
        for (int n = epoll_wait(epoll, events, 64, open_clients > 0 ? limit : 0); n > 0; n--)
            ((Client *)events[n - 1].data.ptr)->ready = 1;
    }
    printf("%d connections, %d answers, %d failures; the sum of the answers is %d\n", CLIENTS, answers, failures, sum);
    return failures > 0;
}
