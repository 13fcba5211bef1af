/* Logical replication: prints the changes of a table as they are streamed, and tells the server what it need not keep any
 * longer. Needs wal_level=logical, and a role that may replicate. On the screen:
 *
 *   begin
 *   insert into public.people: id='1' name='Ada'
 *   update of public.people: id='1' name=NULL
 *   commit
 *   begin
 *   delete from public.people: ( id='1' )
 *   commit
 *   COPY 0
 *   START_REPLICATION
 */
#include <pgpoll.h>
#include "pgoutput.h"

/* Such a connection takes SQL and replication commands. The last one is a COPY in both directions. */
static const char *const steps[] = {
    "create table people (id int primary key, name text); create publication people for table people",
    "CREATE_REPLICATION_SLOT people TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT",
    "insert into people values (1, 'Ada'); update people set name = null", "delete from people",
    "START_REPLICATION SLOT people LOGICAL 0/0 (proto_version '1', publication_names 'people')"};
enum { STEPS = sizeof steps / sizeof *steps };

/* Prints the tags of the last step. Returns 1 when a step is done, -1 when one has failed. */
static int take_results(Conn *conn, int step)
{
    ConnItem item;
    int done = 0;

    while (conn_get_result(conn, &item)) {
        if (item.kind == CONN_ITEM_COMPLETE && step == STEPS)
            puts(item.tag);
        if (item.kind == CONN_ITEM_DONE)
            done = item.outcome == CONN_OUTCOME_OK ? 1 : -1;
        if (item.kind == CONN_ITEM_ERROR)
            fprintf(stderr, "%s\n", conn_error_text(item.error));
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
    return done;
}

/* One put is one message. */
static void send_status(Conn *conn, Stream *stream)
{
    unsigned char update[STATUS_UPDATE];

    stream_status(stream, update);
    stream->asked = !conn_copy_put(conn, update, sizeof update);
}

int main(int argc, char **argv)
{
    const char *names[] = {"dbname", "replication", NULL}, *values[] = {argc > 1 ? argv[1] : "", "database", NULL};
    Conn *conn = conn_open_params(names, values, 1);
    Stream stream = {{0, NULL}, 0, 0, 0};
    int step = 0, done = 0, good = 1;

    while (good && done >= 0 && !(done && step == STEPS)) {
        unsigned bits = conn_wait(conn, 10000);
        ConnBytes message;

        done = take_results(conn, step);
        while (good && conn_copy_get(conn, &message, 1) > 0)
            good = stream_take(&stream, message.data, message.length);
        if (bits & CONN_FAILED)
            good = fprintf(stderr, "%s\n", conn_error_text(conn_error(conn))) < 0;
        else if ((bits & CONN_IDLE) && step < STEPS)
            good = conn_start_copy(conn, steps[step++]) > 0; /* What is no COPY is run all the same. */
        else if (stream.asked || stream.commits == 2 || !(bits & (CONN_COPY | CONN_RESULT)))
            send_status(conn, &stream); /* Asked for, or nothing has come for ten seconds. */
        if (stream.commits == 2)
            stream.commits += conn_copy_end(conn, NULL);
    }
    stream_free(&stream);
    conn_close(conn);
    return good && done > 0 ? 0 : 1;
}
