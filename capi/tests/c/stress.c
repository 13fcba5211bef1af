/* Calls everything there is in an order that a seed decides, on a real server, and looks at all that comes of it. The seed is
 * printed: it makes the same choices again, as far as the server answers at the same moments.
 *
 *   stress CONNINFO SEED MILLISECONDS
 */
#include <pgpoll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNS = 6, CANCELS = 4, HELD = 40 };

static Conn *conns[CONNS];
static ConnCancel *cancels[CANCELS];
static struct {
    ConnResult *result;
    ConnError *error;
    ConnNotification *notification;
} held[HELD];
static unsigned long long state;
static unsigned long starts, refusals, rows, errors, done, closed, sum;

static unsigned pick(unsigned below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % below;
}

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "wrong: %s\n", what);
        abort();
    }
}

/* Reads a text to its end. */
static void read_text(const char *text)
{
    if (text)
        sum += strlen(text);
}

static void read_error(const ConnError *error)
{
    int32_t kind = conn_error_kind(error);

    check(kind >= CONN_ERROR_SERVER && kind <= CONN_ERROR_WOULD_BLOCK, "the kind of an error");
    check(conn_error_message(error) != NULL && conn_error_text(error) != NULL, "an error has a text");
    read_text(conn_error_message(error));
    read_text(conn_error_sqlstate(error));
    read_text(conn_error_severity(error));
    read_text(conn_error_detail(error));
    read_text(conn_error_hint(error));
    read_text(conn_error_field(error, "SVCMDHPpqWstcdnFLRx"[pick(19)]));
    read_text(conn_error_text(error));
    sum += conn_error_position(error) + (size_t)conn_error_errno(error) + (size_t)conn_error_safe_to_retry(error);
}

static void read_result(const ConnResult *result)
{
    size_t n = conn_result_rows(result), width = conn_result_columns(result), column, row, count;
    const uint32_t *types = conn_result_parameters(result, &count);

    for (column = 0; column < count; column++)
        sum += types[column];
    for (column = 0; column <= width; column++) {
        read_text(conn_result_name(result, column));
        sum += conn_result_type(result, column) + conn_result_table(result, column);
        sum += (size_t)(conn_result_format(result, column) + conn_result_attribute(result, column));
        sum += (size_t)(conn_result_type_size(result, column) + conn_result_type_modifier(result, column));
    }
    sum += (size_t)conn_result_find(result, "n");
    for (row = 0; row < n && row < 50; row++)
        for (column = 0; column < width; column++) {
            const char *value = conn_result_value(result, row, column);
            size_t length = conn_result_length(result, row, column);

            check((value == NULL) == conn_result_is_null(result, row, column), "NULL is NULL");
            check(value == NULL ? length == 0 : value[length] == '\0', "a value ends with a NUL");
            if (length > 0)
                sum += (unsigned char)value[0] + (unsigned char)value[length - 1];
        }
    /* Beyond the end there is nothing, and nothing breaks. */
    sum += conn_result_length(result, n, 0) + (size_t)conn_result_is_null(result, n, width);
    if (n > 0 && width > 0 && width < 8) {
        const char *values[16 * 8];
        size_t lengths[16 * 8], first = pick((unsigned)n), filled = conn_result_cells(result, first, 16, values, lengths);

        check(filled <= 16 && filled <= n - first, "as many rows as there are");
        for (row = 0; row < filled * width; row++)
            if (values[row])
                check(values[row][lengths[row]] == '\0', "a cell ends with a NUL");
    }
}

static void drop(unsigned at)
{
    if (held[at].result)
        read_result(held[at].result);
    conn_result_free(held[at].result);
    conn_error_free(held[at].error);
    conn_notification_free(held[at].notification);
    memset(&held[at], 0, sizeof held[at]);
}

static void keep(ConnItem item)
{
    check(item.kind >= CONN_ITEM_ROWS && item.kind <= CONN_ITEM_DONE, "the kind of an item");
    check((item.kind == CONN_ITEM_ERROR) == (item.error != NULL), "an error item has an error");
    check(strlen(item.tag) < CONN_TAG_SIZE, "a tag fits");
    rows += item.kind == CONN_ITEM_ROWS ? item.rows : 0;
    errors += item.kind == CONN_ITEM_ERROR;
    done += item.kind == CONN_ITEM_DONE;
    if (item.result || item.error) {
        unsigned at = pick(HELD);

        drop(at);
        held[at].result = item.result;
        held[at].error = item.error;
        if (item.error)
            read_error(item.error);
        if (item.result && pick(2))
            read_result(item.result);
    }
}

static void take(Conn *conn)
{
    ConnItem items[5];
    size_t count = pick(2) ? conn_get_results(conn, items, pick(6)) : (size_t)conn_get_result(conn, items), i;

    for (i = 0; i < count; i++)
        keep(items[i]);
}

static void take_mail(Conn *conn)
{
    ConnError *notice = conn_get_notice(conn);
    ConnNotification *notification = conn_get_notification(conn);
    unsigned at = pick(HELD);

    if (notice)
        read_error(notice);
    if (notification) {
        read_text(conn_notification_channel(notification));
        read_text(conn_notification_payload(notification));
        sum += (size_t)conn_notification_pid(notification);
    }
    drop(at);
    held[at].error = notice;
    held[at].notification = notification;
}

static void look(Conn *conn)
{
    ConnState seen;
    char *line = conn_inspect(conn), *warnings = conn_warnings(conn);

    check(line != NULL && line[0] == '{', "an inspection is JSON");
    read_text(line);
    read_text(warnings);
    conn_free_string(line);
    conn_free_string(warnings);
    check(conn_state(conn, &seen) == 1, "a state");
    check(conn_status(conn) >= CONN_STATUS_START && conn_status(conn) <= CONN_STATUS_CREDENTIALS, "a status");
    read_text(conn_parameter(conn, pick(2) ? "TimeZone" : "nonsense"));
    read_text(conn_host(conn));
    read_text(conn_port(conn));
    read_text(conn_hostaddr(conn));
    read_text(conn_tls_attribute(conn, pick(2) ? "cipher" : "key_bits"));
    sum += (size_t)(conn_is_encrypted(conn) + conn_password_needed(conn) + conn_password_used(conn));
    read_text(conn_user(conn));
    read_text(conn_database(conn));
    sum += (size_t)(conn_socket(conn) + conn_deadline_ms(conn) + conn_backend_pid(conn));
    sum += (size_t)(conn_transaction_status(conn) + conn_server_version(conn) + conn_protocol_version(conn));
    sum += (size_t)conn_check(conn);
    if (conn_error(conn))
        read_error(conn_error(conn));
}

static const char *const simple[] = {
    "select 1 as n", "", ";", "select 1; select 2; select 3", "select nonsense", "select 1/0",
    "select n, repeat('x', n) as t, null as u from generate_series(1, 300) n", "begin", "commit", "rollback",
    "do $$ begin raise notice 'a notice'; end $$", "listen channel", "notify channel, 'payload'", "unlisten *",
    "select repeat('y', 300000)", "copy (select 1) to stdout", "select pg_sleep(0.02)", "deallocate all", "discard all",
    "select from generate_series(1, 3)", "select 'unfinished", "select 1 from generate_series(1, 20000)",
    "prepare made as select 1", "set application_name to 'stress'", "declare c cursor for select 1", "copy pg_class from stdin",
};
static const char *const with_values[] = {
    "select $1::text as n, $2::text as t", "select generate_series(1, 100) as n, $1::text, $2::text", "select $1::int, $2::int",
    "select nonsense", "begin", "commit", "select length($1::text), length($2::text)",
};
static const char *const names[] = { "", "a", "b", "made", "nobody's" };

static void start(Conn *conn)
{
    static char large[50001];
    const char *values[2];
    int lengths[2] = { 4, 4 }, formats[2] = { 0, 0 }, limit = pick(5) ? 0 : 1 + (int)pick(20), format = pick(4) == 0;
    uint32_t flags = pick(3) ? 0 : CONN_MORE;
    const char *name = names[pick(5)], *sql = with_values[pick(7)];
    uint64_t id;

    if (!large[0])
        memset(large, 'z', sizeof large - 1);
    values[0] = pick(4) ? "1" : NULL;
    values[1] = pick(3) ? "22" : large;
    if (pick(6) == 0) {
        values[0] = "\0\0\0\1";
        formats[0] = CONN_BINARY;
    }
    switch (pick(14)) {
    case 0: case 1: case 2:
        id = conn_start_query(conn, simple[pick(sizeof simple / sizeof *simple)]);
        break;
    case 3: case 4: case 5:
        id = conn_start_query_params(conn, sql, 2, NULL, values, lengths, formats, format, limit, flags);
        break;
    case 6:
        id = conn_start_prepare(conn, name, sql, 0, NULL, flags);
        break;
    case 7: case 8:
        id = conn_start_prepared(conn, name, 2, values, lengths, formats, format, limit, flags);
        break;
    case 9:
        id = conn_start_describe_statement(conn, name, flags);
        break;
    case 10:
        id = pick(2) ? conn_start_describe_portal(conn, "c", flags) : conn_start_close_portal(conn, "c", flags);
        break;
    case 11:
        id = conn_start_close_statement(conn, name, flags);
        break;
    case 12:
        id = (uint64_t)conn_continue(conn, (int)pick(10));
        break;
    default:
        id = conn_sync(conn);
    }
    starts++;
    if (id == 0) {
        refusals++;
        check(conn_error(conn) != NULL, "a refusal says why");
        read_error(conn_error(conn));
    }
}

static void begin(unsigned at, const char *conninfo)
{
    static const char *const keywords[] = { "dbname", "application_name", NULL };
    const char *values[3] = { conninfo, "stress", NULL };

    switch (pick(8)) {
    case 0:
        conns[at] = conn_open("host=127.0.0.1,localhost port=1,1 connect_timeout=2");
        break;
    case 1:
        conns[at] = conn_open(pick(2) ? "no=sense" : "host=/nowhere");
        break;
    case 2:
        conns[at] = conn_open_params(keywords, values, 1);
        break;
    default:
        conns[at] = conn_open(conninfo);
    }
    check(conns[at] != NULL, "a connection");
}

static void cancel(unsigned at, Conn *conn)
{
    ConnCancel *request = cancels[at];
    uint32_t bits;

    if (request == NULL) {
        cancels[at] = conn_cancel_open(conn);
        check(cancels[at] != NULL || conn_error(conn) != NULL, "a refused cancel says why");
        return;
    }
    bits = conn_cancel_poll(request);
    sum += (size_t)conn_cancel_socket(request) + (size_t)conn_cancel_deadline_ms(request);
    if (bits & CONN_FAILED)
        read_error(conn_cancel_error(request));
    if ((bits & (CONN_FAILED | CONN_IDLE)) || pick(20) == 0) {
        conn_cancel_close(request);
        cancels[at] = NULL;
    }
}

static void step(const char *conninfo)
{
    unsigned at = pick(CONNS), what = pick(1000);
    Conn *conn = conns[at];
    ConnState seen;

    if (conn == NULL)
        begin(at, conninfo);
    else if (what < 350)
        conn_poll(conn);
    else if (what < 400)
        check(conn_poll_state(conn, &seen) == seen.bits, "a state has the bits of its poll");
    else if (what < 480)
        conn_wait(conn, (int)pick(4));
    else if (what < 700)
        take(conn);
    else if (what < 740)
        take_mail(conn);
    else if (what < 900)
        start(conn);
    else if (what < 930)
        look(conn);
    else if (what < 970)
        cancel(pick(CANCELS), conn);
    else if (what < 975)
        conn_set_batch(conn, pick(3) * 7, pick(3) * 1000);
    else if (what < 980)
        conn_flush_request(conn);
    else if (what < 983)
        conn_reset(conn);
    else if (what < 988) {
        conn_close(conn);
        conns[at] = NULL;
        closed++;
    } else
        drop(pick(HELD));
}

/* In the end one that has done nothing yet does what it is told. */
static void finish(const char *conninfo)
{
    Conn *conn = conn_open(conninfo);
    uint64_t id = 0;
    ConnItem item;
    int ended = 0, good = 0;

    while (!ended) {
        uint32_t bits = conn_wait(conn, 10000);

        check(!(bits & CONN_FAILED) && (bits & (CONN_IDLE | CONN_RESULT)), "a fresh connection works");
        if (id == 0)
            id = conn_start_query(conn, "select 1");
        while (conn_get_result(conn, &item)) {
            good |= item.kind == CONN_ITEM_ROWS && strcmp(conn_result_value(item.result, 0, 0), "1") == 0;
            ended |= item.kind == CONN_ITEM_DONE && item.operation == id;
            conn_result_free(item.result);
            conn_error_free(item.error);
        }
    }
    check(good, "select 1 is 1");
    conn_close(conn);
}

int main(int argc, char **argv)
{
    long long end;
    unsigned long steps = 0;
    unsigned at;

    if (argc < 4)
        return 2;
    state = strtoull(argv[2], NULL, 10);
    fprintf(stderr, "seed %s\n", argv[2]);
    end = now_ms() + atoll(argv[3]);
    /* So many milliseconds, or until everything has been seen, where the machine is slow. */
    while (now_ms() < end || ((done == 0 || rows == 0 || errors == 0) && steps < 100000)) {
        step(argv[1]);
        steps++;
    }
    for (at = 0; at < CONNS; at++)
        conn_close(conns[at]);
    for (at = 0; at < CANCELS; at++)
        conn_cancel_close(cancels[at]);
    finish(argv[1]);
    for (at = 0; at < HELD; at++)
        drop(at);
    printf("%lu steps, %lu starts, %lu refused, %lu done, %lu errors, %lu rows, %lu closed, sum %lu\n", steps, starts, refusals,
           done, errors, rows, closed, sum);
    return done == 0 || rows == 0 || errors == 0;
}
