/* Looks inside: three operations, one slow, one that its deadline cancels, one wrong; their messages go to one file, what has
 * happened to another, which ui.perfetto.dev opens (16_trace CONNINFO FILE keeps it). Lines of both are shown. On the screen:
 *
 *   F 25 Query "select pg_sleep(0.2)"
 *   B 33 RowDescription 1 "pg_sleep" NNNN 0 NNNN 4 -1 0
 *   …
 *   query 1 ok
 *   query 2 failed
 *   query 3 failed
 *   cancel begun
 *   cancel ended
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pgpoll.h>

static void run(Conn *conn, const char *sql, int timeout_ms)
{
    ConnItem item = {0};

    conn_set_timeout_ms(conn, timeout_ms);
    if (conn_start_query(conn, sql) == 0) {
        fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
        exit(1);
    }
    while (item.kind != CONN_ITEM_DONE) {
        conn_wait(conn, -1);
        while (conn_get_result(conn, &item)) {
            conn_result_free(item.result);
            conn_error_free(item.error);
        }
    }
}

/* The text behind what is looked for, up to the next of these characters. */
static void show(const char *line, const char *name, const char *end, const char *then)
{
    const char *at = strstr(line, name);

    if (at)
        printf("%.*s%s", (int)strcspn(at + strlen(name), end), at + strlen(name), then);
}

int main(int argc, char **argv)
{
    Conn *conn = conn_open(argc > 1 ? argv[1] : "");
    FILE *messages = tmpfile(), *timeline = argc > 2 ? fopen(argv[2], "w+") : tmpfile();
    char line[4096];

    if (!messages || !timeline || !(conn_wait(conn, -1) & CONN_IDLE) || !conn_set_timeline(conn, 1000) ||
        !conn_trace(conn, fileno(messages), CONN_TRACE_SUPPRESS_TIMESTAMPS | CONN_TRACE_REGRESS_MODE)) {
        fprintf(stderr, "%s\n", conn_error_text(conn_error(conn)));
        return 1;
    }
    run(conn, "select pg_sleep(0.2)", 0);
    run(conn, "select pg_sleep(60)", 100);
    run(conn, "select 1/0", 0);
    if (!conn_untrace(conn) || !conn_trace_timeline(&conn, 1, fileno(timeline)))
        fprintf(stderr, "%s\n", conn_error_text(conn_error(NULL)));
    conn_close(conn);
    for (rewind(messages); fgets(line, sizeof line, messages);) {
        for (char *tab = line; (tab = strchr(tab, '\t'));) /* A tab, and with a field behind it a space. */
            memmove(tab, tab + (tab[1] == ' '), strlen(tab + (tab[1] == ' ')) + 1), *tab = ' ';
        fputs(line, stdout);
    }
    for (rewind(timeline); fgets(line, sizeof line, timeline);) {
        if (strstr(line, "\"cat\":\"operation\"")) {
            show(line, "\"name\":\"", "\"", " ");
            show(line, "\"id\":", ",}", " ");
            show(line, "\"outcome\":\"", "\"", "\n");
        } else if (strstr(line, "\"name\":\"cancel\""))
            puts(strstr(line, "\"ph\":\"b\"") ? "cancel begun" : "cancel ended");
    }
    return 0;
}
