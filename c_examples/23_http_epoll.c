/* An HTTP server in one edge-triggered epoll loop (Linux). Its clients share one connection to the database, on which a query
 * of each of them may be under way. Arguments: connection string, port. `curl localhost:8080/7 localhost:8080/12` gets
 * {"n" : 7, "roman" : "VII"} and {"n" : 12, "roman" : "XII"}. Ctrl-C stops it. On the screen:
 *
 *   listening on port 8080
 *   2 requests
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <pgpoll.h>

enum { MOST = 500 }; /* who is too many is turned away, and nothing here grows */

static struct client {
    int here, last;     /* last: it is closed behind its answer */
    uint64_t operation; /* what the database was asked for it */
    size_t received, length, sent;
    char request[4096], answer[1024];
} clients[MOST]; /* by their descriptors */

static Conn *conn;
static int epoll, listener, signals, db_socket, requests;

static int watch(int socket)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = socket};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
}

static void reply(struct client *client, const char *status, const char *json)
{
    client->operation = 0, client->sent = 0, requests++;
    client->length = (size_t)snprintf(client->answer, sizeof client->answer,
        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s\n", status, strlen(json) + 1, json);
}

/* Works on the first of the requests that have arrived; 0 when none is complete. */
static int work(struct client *client)
{
    char *end = strstr(client->request, "\r\n\r\n"), number[10], blank[2];
    const char *sql = "select json_build_object('n', $1::int, 'roman', to_char($1::int, 'FMRN'))", *values[] = {number};

    if (end == NULL && client->received < sizeof client->request - 1)
        return 0;
    client->last = end == NULL || sscanf(client->request, "GET /%9[0-9] HTTP/1.1%1[\r]", number, blank) != 2;
    if (client->last)
        return reply(client, "400 Bad Request", "\"GET /12, please\""), 1;
    end[2] = '\0';
    client->last = strstr(client->request, "\r\nConnection: close") != NULL;
    client->received -= (size_t)(end + 4 - client->request);
    memmove(client->request, end + 4, client->received + 1);
    if (conn_status(conn) == CONN_STATUS_OVER)
        conn_reset(conn);
    client->operation = conn_start_query_params(conn, sql, 1, NULL, values, NULL, NULL, CONN_TEXT, 0, 0);
    if (client->operation == 0) /* it is being connected, or too much is under way */
        reply(client, "503 Service Unavailable", "\"try again\"");
    return 1;
}

/* Goes on with a client as far as it does without waiting: its answer, then its next request. */
static void serve(int socket)
{
    struct client *client = &clients[socket];

    while (client->here && client->operation == 0) {
        ssize_t n = 0;

        if (client->sent < client->length) {
            n = send(socket, client->answer + client->sent, client->length - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            client->sent += n > 0 ? (size_t)n : 0;
        } else if (!client->last) {
            if (work(client))
                continue;
            n = recv(socket, client->request + client->received, sizeof client->request - 1 - client->received, MSG_DONTWAIT);
            client->received += n > 0 ? (size_t)n : 0;
            client->request[client->received] = '\0';
        }
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            client->here = 0, close(socket);
    }
}

static void let_in(void)
{
    for (int socket; (socket = accept(listener, NULL, NULL)) >= 0;)
        if (socket < MOST && watch(socket) == 0)
            clients[socket] = (struct client){.here = 1};
        else
            close(socket);
}

/* Returns whether to poll again without waiting. */
static int drive(void)
{
    unsigned bits = conn_poll(conn);
    ConnItem item;

    if (bits & CONN_SOCKET_CHANGED) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, db_socket, NULL); /* it is open until the next poll */
        watch(db_socket = conn_socket(conn));
    }
    for (; conn_get_result(conn, &item); conn_result_free(item.result), conn_error_free(item.error))
        for (int socket = 0; socket < MOST; socket++)
            if (item.operation != 0 && clients[socket].operation == item.operation) { /* the first of its items */
                const char *json = conn_result_value(item.result, 0, 0);
                reply(&clients[socket], json ? "200 OK" : "503 Service Unavailable", json ? json : "\"no answer\"");
                serve(socket);
            }
    return (bits & (CONN_RESULT | CONN_RUNNABLE)) != 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {AF_INET, htons((uint16_t)atoi(argc > 2 ? argv[2] : "8080")), {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t length = sizeof address;
    struct epoll_event events[64];
    sigset_t stops; /* read like everything else, so that none comes unseen just before a wait */

    conn = conn_open(argc > 1 ? argv[1] : "");
    epoll = epoll_create1(EPOLL_CLOEXEC), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, MOST) < 0)
        return perror("cannot listen"), 1;
    if (!(conn_wait(conn, 10000) & CONN_IDLE))
        return fprintf(stderr, "%s\n", conn_error(conn) ? conn_error_text(conn_error(conn)) : "no answer from the database"), 1;
    conn_set_timeout_ms(conn, 10000);
    getsockname(listener, (struct sockaddr *)&address, &length);
    sigemptyset(&stops), sigaddset(&stops, SIGINT), sigaddset(&stops, SIGTERM), sigprocmask(SIG_BLOCK, &stops, NULL);
    printf("listening on port %d\n", ntohs(address.sin_port)), fflush(stdout);
    watch(signals = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK)), watch(listener), watch(db_socket = conn_socket(conn));
    for (int again = 1, stopped = 0; !stopped; again = drive())
        for (int n = epoll_wait(epoll, events, 64, again ? 0 : (int)conn_deadline_ms(conn)); n > 0; n--)
            if (events[n - 1].data.fd == listener)
                let_in();
            else if (events[n - 1].data.fd == signals)
                stopped = 1;
            else if (events[n - 1].data.fd != db_socket)
                serve(events[n - 1].data.fd);
    return conn_close(conn), printf("%d requests\n", requests) < 0;
}
