/* Three connections that hang. Whenever nothing has happened for a fifth of a second, conn_inspect tells what they wait for,
 * since when, and where in the library. Each line comes three times, with other times. On the screen:
 *
 *   silent server: startup, waits for a message from the server since 0.2 s, at src/engine/authenticate.rs:39
 *   locked: ready, waits for a reply from the server since 0.2 s, at src/engine/serve.rs:37
 *   not taken: ready, waits for results to be taken since 0.2 s, at src/engine/query.rs:17
 */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pgpoll.h>

/* One field of the line, which is JSON: cut out, since the values of those that are shown here have no quotes in them. */
static const char *field(const char *line, const char *name, char room[80])
{
    const char *at = strstr(line, name);

    at = at ? at + strlen(name) : "";
    at += strspn(at, "\":");
    snprintf(room, 80, "%.*s", (int)strcspn(at, "\",}"), at);
    return room;
}

/* A loop that takes nothing, with a watchdog. */
static void watch(const char *name, Conn *conn)
{
    for (int tick = 0; tick < 3; tick++) {
        char *line, phase[80], what[80], since[80], at[80];
        struct pollfd fd = {0};

        do {
            unsigned bits = conn_poll(conn);
            fd.fd = conn_socket(conn);
            fd.events = (short)((bits & CONN_WANT_READ ? POLLIN : 0) | (bits & CONN_WANT_WRITE ? POLLOUT : 0));
        } while (poll(&fd, 1, 200) > 0);
        line = conn_inspect(conn);
        printf("%s: %s, waits for %s since %.1f s, at %s\n", name, field(line, "\"phase\"", phase),
               field(line, "\"awaiting\"", what), atof(field(line, "\"awaiting_ms\"", since)) / 1000, field(line, "\"at\"", at));
        conn_free_string(line);
    }
    conn_close(conn);
}

/* A connection that is up and has been asked something. */
static Conn *asked(const char *conninfo, const char *sql)
{
    Conn *conn = conn_open(conninfo);

    conn_wait(conn, -1);
    conn_set_batch(conn, 1000, 0);
    if (conn_start_query(conn, sql) != 0)
        return conn;
    fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
    exit(1);
}

int main(int argc, char **argv)
{
    const char *conninfo = argc > 1 ? argv[1] : "", *lock = "select pg_advisory_lock(10)";
    Conn *holder = asked(conninfo, lock);
    int server = socket(AF_INET, SOCK_STREAM, 0); /* The kernel connects to it; nobody ever says a word. */
    struct sockaddr_in at = {0};
    socklen_t size = sizeof at;
    char silent[80];

    conn_wait(holder, -1); /* It has the lock. */
    if (listen(server, 1) != 0 || getsockname(server, (struct sockaddr *)&at, &size) != 0)
        perror("listen");
    snprintf(silent, sizeof silent, "host=127.0.0.1 port=%d user=nobody sslmode=disable", ntohs(at.sin_port));
    watch("silent server", conn_open(silent));
    watch("locked", asked(conninfo, lock));
    watch("not taken", asked(conninfo, "select generate_series(1, 5000000)"));
    conn_close(holder);
    return 0;
}
