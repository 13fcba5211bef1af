/* Connects, asks, resets and closes, and says after each step how often each secret lies in this process's memory: in its heap,
 * its stacks, its data.
 *
 *   memory CONNINFO SECRET VARIABLE NAME=NEEDLE …
 *
 * SECRET is appended to CONNINFO, VARIABLE is the value of PGPASSWORD (nothing sets none), and each NEEDLE is looked for. All three
 * are in hexadecimal, and every bit is turned over, so that the program itself holds no secret but in `page`: shared memory, which
 * is not looked at. On the screen: a line for each step, "up: NAME=COUNT …".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef LIBPQ
#include <libpq-fe.h>
#else
#include <pgpoll.h>
#endif

enum { TEXT = 4096, CHUNK = 1 << 20, LONGEST = 256, MOST = 16 };

struct needle {
    const char *name;
    unsigned char bytes[LONGEST]; /* turned over */
    size_t length, count;
};

static struct needle needles[MOST];
static size_t wanted;
static unsigned char *page;

/* The bytes as they are written, still turned over. */
static size_t unhex(const char *hex, unsigned char *to, size_t room)
{
    unsigned byte;
    size_t length = 0;

    for (; length < room && sscanf(hex + 2 * length, "%2x", &byte) == 1; length++)
        to[length] = (unsigned char)byte;
    return length;
}

/* `text` with the secret behind it, in the page. */
static char *revealed(const char *text, const char *hex)
{
    size_t at = strlen(text), length = unhex(hex, page + at, TEXT - at - 1);

    memcpy(page, text, at);
    for (size_t i = at; i < at + length; i++)
        page[i] ^= 0xff;
    page[at + length] = 0;
    return (char *)page;
}

/* Counts what begins in the first CHUNK bytes of `got`. */
static void count(const unsigned char *bytes, size_t got)
{
    for (struct needle *needle = needles; needle < needles + wanted; needle++)
        for (size_t at = 0; at < CHUNK && at + needle->length <= got; at++) {
            size_t same = 0;

            while (same < needle->length && (bytes[at + same] ^ 0xff) == needle->bytes[same])
                same++;
            needle->count += same == needle->length;
        }
}

/* Looks through all private writable memory. */
static void look(const char *step)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int memory = open("/proc/self/mem", O_RDONLY);
    char line[500], may[5];
    unsigned long from, to;
    unsigned char *chunk = page + TEXT;

    for (size_t n = 0; n < wanted; n++)
        needles[n].count = 0;
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %4s", &from, &to, may) != 3 || strcmp(may, "rw-p") != 0)
            continue;
        for (; from < to; from += CHUNK) {
            size_t size = to - from < CHUNK + LONGEST ? to - from : CHUNK + LONGEST;
            ssize_t got = pread(memory, chunk, size, (off_t)from);

            if (got > 0)
                count(chunk, (size_t)got);
        }
    }
    close(memory);
    fclose(maps);
    printf("%s:", step);
    for (size_t n = 0; n < wanted; n++)
        printf(" %s=%zu", needles[n].name, needles[n].count);
    puts("");
}

#ifdef LIBPQ
static void run(const char *conninfo)
{
    PGconn *conn = PQconnectStart(conninfo);

    memset(page, 0, TEXT);
    look("opened");
    while (PQconnectPoll(conn) != PGRES_POLLING_OK && PQstatus(conn) != CONNECTION_BAD)
        ;
    look(PQstatus(conn) == CONNECTION_OK ? "up" : "failed");
    PQclear(PQexec(conn, "select 1"));
    PQreset(conn);
    look("reset");
    printf("error: %s\n", PQerrorMessage(conn));
    PQfinish(conn);
    look("closed");
}
#else
/* Up, or over, with nothing left to take. */
static void finish(Conn *conn)
{
    ConnItem item;

    while (!(conn_wait(conn, -1) & (CONN_IDLE | CONN_FAILED)))
        while (conn_get_result(conn, &item)) {
            conn_result_free(item.result);
            conn_error_free(item.error);
        }
}

static void run(const char *conninfo)
{
    Conn *conn = conn_open(conninfo);

    memset(page, 0, TEXT);
    look("opened");
    finish(conn);
    look(conn_status(conn) == CONN_STATUS_READY ? "up" : "failed");
    conn_start_query(conn, "select 1");
    finish(conn);
    conn_reset(conn);
    finish(conn);
    look("reset");
    printf("error: %s\n", conn_error_text(conn_error(conn)));
    conn_close(conn);
    look("closed");
}
#endif

int main(int argc, char **argv)
{
    page = mmap(NULL, TEXT + CHUNK + LONGEST, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 4; i < argc && wanted < MOST; i++) {
        struct needle *needle = &needles[wanted++];
        char *value = strchr(argv[i], '=');

        *value = '\0';
        needle->name = argv[i];
        needle->length = unhex(value + 1, needle->bytes, LONGEST);
    }
    if (argc > 3 && *argv[3])
        setenv("PGPASSWORD", revealed("", argv[3]), 1);
    look("begin");
    run(revealed(argv[1], argv[2]));
    return 0;
}
