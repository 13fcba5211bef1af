/* The server goes away while there is much to send: an error, and no SIGPIPE, whose disposition and mask nobody has touched.
 *
 *   sigpipe CONNINFO
 */
#include <pgpoll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct sigaction action;
    sigset_t mask;
    char end[100], *much = malloc(8000001);
    Conn *conn, *other;
    ConnItem item;
    int turn;

    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(SIGPIPE, &action, NULL);
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    conn = conn_open(argc > 1 ? argv[1] : "");
    other = conn_open(argc > 1 ? argv[1] : "");
    while (!(conn_wait(conn, 10000) & (CONN_IDLE | CONN_FAILED)) || !(conn_wait(other, 10000) & (CONN_IDLE | CONN_FAILED)))
        ;
    snprintf(end, sizeof end, "select pg_terminate_backend(%d, 5000)", conn_backend_pid(conn));
    conn_start_query(other, end);
    while (!(conn_wait(other, 10000) & CONN_RESULT))
        ;
    memset(much, 'x', 8000000);
    much[8000000] = '\0';
    for (turn = 0; turn < 1000 && !(conn_wait(conn, 10) & CONN_FAILED); turn++) {
        conn_start_query(conn, much);
        while (conn_get_result(conn, &item)) {
            conn_result_free(item.result);
            conn_error_free(item.error);
        }
    }
    if (turn == 1000)
        return 2;
    sigaction(SIGPIPE, NULL, &action);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    if (action.sa_handler != SIG_DFL || sigismember(&mask, SIGPIPE))
        return 3;
    printf("%s\n", conn_error_message(conn_error(conn)));
    conn_close(conn);
    conn_close(other);
    free(much);
    return 0;
}
