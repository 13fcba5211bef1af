/* A connection without a descriptor: the program carries its bytes. Here they go through a socketpair, from whose other end
 * two child processes relay them, as a tunnel would. On the screen:
 *
 *   1 squared is 1
 *   2 squared is 4
 */
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <pgpoll.h>

static char out[4096], in[4096]; /* on the way to the server, and from it */
static size_t out_len, in_len;

/* Carries bytes both ways; waits for the tunnel when there is nothing else to do. */
static void carry(Conn *conn, int tunnel, unsigned bits)
{
    struct pollfd wait = {tunnel, 0, 0};
    size_t fed = conn_feed(conn, in, in_len); /* perhaps not all: the rest comes again after the next poll */
    int busy = fed || in_len || bits & (CONN_RESULT | CONN_RUNNABLE);
    ssize_t n;

    memmove(in, in + fed, in_len -= fed);
    out_len += conn_take_output(conn, out + out_len, sizeof out - out_len);
    wait.events = (short)((in_len < sizeof in ? POLLIN : 0) | (out_len ? POLLOUT : 0));
    poll(&wait, 1, busy ? 0 : (int)conn_deadline_ms(conn));
    if (wait.revents & POLLOUT && (n = send(tunnel, out, out_len, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        memmove(out, out + n, out_len -= (size_t)n);
    if (wait.revents & (POLLIN | POLLHUP) && in_len < sizeof in) {
        if ((n = recv(tunnel, in + in_len, sizeof in - in_len, MSG_DONTWAIT)) > 0)
            in_len += (size_t)n;
        if (n == 0 && in_len == 0)
            conn_feed_eof(conn); /* only behind all that came before */
    }
}

/* One direction of the tunnel, in a process of its own. */
static void relay(int from, int to, int other)
{
    if (fork() == 0 && close(other) == 0) {
        for (ssize_t n; (n = read(from, in, sizeof in)) > 0 && write(to, in, (size_t)n) == n;) {} /* all of it, or it fails */
        _exit(shutdown(to, SHUT_WR));
    }
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open_stream(argc > 1 ? argv[1] : "");
    int ends[2], finished = 0, server = socket(AF_INET, SOCK_STREAM, 0);
    struct addrinfo hints = {0, AF_INET, SOCK_STREAM, 0, 0, NULL, NULL, NULL}, *at = NULL;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || getaddrinfo(conn_host(conn), conn_port(conn), &hints, &at) ||
        connect(server, at->ai_addr, at->ai_addrlen))
        return fprintf(stderr, "nobody answers there\n"), 1;
    freeaddrinfo(at);
    relay(ends[1], server, ends[0]);
    relay(server, ends[1], ends[0]);
    close(ends[1]);
    while (!finished) {
        unsigned bits = conn_poll(conn);

        for (ConnItem item; conn_get_result(conn, &item); conn_result_free(item.result), conn_error_free(item.error)) {
            for (size_t row = 0; row < conn_result_rows(item.result); row++)
                printf("%s squared is %s\n", conn_result_value(item.result, row, 0), conn_result_value(item.result, row, 1));
            finished = item.kind == CONN_ITEM_DONE;
        }
        if (bits & CONN_FAILED)
            finished = fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
        else if (bits & CONN_IDLE)
            conn_start_query(conn, "select n, n * n from generate_series(1, 2) as n");
        else
            carry(conn, ends[0], bits);
    }
    conn_close(conn);
    return 0;
}
