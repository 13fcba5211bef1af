/* A source of a GLib main loop: a query cancelled at its deadline, one answered, a notification. On the screen:
 *
 *   timeout expired: query not done within 200 ms; it is being cancelled
 *   answered in a GLib loop
 *   heard: hello
 */
#include <glib-unix.h>
#include <stdio.h>
#include <pgpoll.h>

typedef struct {
    GSource source; /* GLib's part comes first */
    gpointer tag;   /* of the descriptor in it */
    Conn *conn;
    GMainLoop *loop;
    size_t asked;
} Database;

static const char *const statements[] = {"select pg_sleep(60)", "select 'answered in a GLib loop'",
                                         "listen greetings; notify greetings, 'hello'"};

static void take(Database *db)
{
    ConnNotification *mail;
    ConnItem item;

    for (; conn_get_result(db->conn, &item); conn_result_free(item.result), conn_error_free(item.error))
        if (item.kind == CONN_ITEM_ERROR)
            printf("%s\n", conn_error_message(item.error));
        else if (item.kind == CONN_ITEM_ROWS && conn_result_rows(item.result) > 0)
            printf("%s\n", conn_result_value(item.result, 0, 0));
    for (; (mail = conn_get_notification(db->conn)) != NULL; conn_notification_free(mail), g_main_loop_quit(db->loop))
        printf("heard: %s\n", conn_notification_payload(mail));
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    Database *db = (Database *)source;
    ConnState state = {0};
    uint32_t bits = conn_poll_state(db->conn, &state);
    gboolean again = (bits & (CONN_RESULT | CONN_NOTIFY | CONN_RUNNABLE)) != 0; /* what is taken makes room */

    (void)callback, (void)data;
    take(db);
    if ((bits & CONN_IDLE) && db->asked < G_N_ELEMENTS(statements)) {
        conn_set_timeout_ms(db->conn, db->asked == 0 ? 200 : 0);
        again = conn_start_query(db->conn, statements[db->asked++]) != 0;
    } else if (bits & CONN_FAILED) {
        g_main_loop_quit(db->loop);
    }
    if (bits & CONN_SOCKET_CHANGED) {
        if (db->tag != NULL)
            g_source_remove_unix_fd(source, db->tag); /* it is open until the next poll */
        db->tag = state.socket < 0 ? NULL : g_source_add_unix_fd(source, state.socket, 0);
    }
    if (db->tag != NULL)
        g_source_modify_unix_fd(source, db->tag, (bits & CONN_WANT_READ ? G_IO_IN : 0) | (bits & CONN_WANT_WRITE ? G_IO_OUT : 0));
    /* The deadline is on GLib's own clock, which counts microseconds: rounded up. */
    g_source_set_ready_time(source, again ? 0 : state.deadline_ns == INT64_MAX ? -1 : state.deadline_ns / 1000 + 1);
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    static GSourceFuncs functions = {NULL, NULL, dispatch, NULL, NULL, NULL};
    Database *db = (Database *)g_source_new(&functions, sizeof *db);

    db->conn = conn_open(argc > 1 ? argv[1] : "");
    db->loop = g_main_loop_new(NULL, FALSE);
    g_source_set_ready_time(&db->source, 0);
    g_source_attach(&db->source, NULL);
    g_main_loop_run(db->loop);
    if (conn_error(db->conn) != NULL)
        return fprintf(stderr, "%s\n", conn_error_text(conn_error(db->conn))) != 0;
    g_source_destroy(&db->source); /* it forgets the descriptor before that is closed */
    conn_close(db->conn);
    g_source_unref(&db->source), g_main_loop_unref(db->loop);
    return 0;
}
