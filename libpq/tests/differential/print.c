/* Results on paper: every combination of PQprint's options, the older functions, and the pager behind a terminal. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const queries[] = {
    "select",
    "select 1 as a where false",
    "select 1 as one",
    "select i as i, i * 1.5 as number, 'text ' || i as \"A longer name\", nullif(i, 2) as gone, '' as empty from generate_series(1, 3) i",
    "select '-1.5e3' as a, 'E5' as b, 'e5' as c, '5E' as d, '1 2' as e, '5-' as f, '\xc3\xa4\xe4\xb8\xad' as \"\xc3\xbc\"",
    "select '1' as n, E'two\\nlines\\tand a tab' as t union all select 'x', '<b>'",
    "select repeat('wide', 30) as w, 1 as \"?\"",
    "select null::text as a, null::int as b",
};
enum { QUERIES = sizeof queries / sizeof *queries };

static void all_options(const PGresult *res)
{
    static const char *const separators[] = {"|", "", " :: ", "\t"};
    static char *names[] = {"first", "", "3", NULL}, *many[] = {"a", "b", "c", "d", "e", "f", "g", "h", NULL};
    static char **const renamed[] = {NULL, names, many};

    for (int bits = 0; bits < 32; bits++)
        for (int s = 0; s < 4; s++) {
            PQprintOpt opt = {0};

            opt.header = bits & 1;
            opt.align = bits & 2;
            opt.standard = bits & 4;
            opt.html3 = bits & 8;
            opt.expanded = bits & 16;
            opt.pager = s & 1;
            opt.fieldSep = (char *)separators[s];
            opt.fieldName = renamed[(bits + s) % 3];
            opt.caption = (bits + s) % 2 ? "caption" : NULL;
            opt.tableOpt = s % 3 ? "border=1" : NULL;
            printf("options %d separator %d\n", bits, s);
            PQprint(s % 2 ? stdout : NULL, res, &opt);
        }
}

static void old_functions(const PGresult *res)
{
    static const char *const separators[] = {NULL, "", "|", " - "};

    for (int bits = 0; bits < 8; bits++)
        for (int s = 0; s < 4; s++) {
            printf("display %d %d\n", bits, s);
            PQdisplayTuples(res, s % 2 ? stdout : NULL, bits & 1, separators[s], bits & 2, bits & 4);
        }
    for (int bits = 0; bits < 4; bits++)
        for (int width = -1; width < 16; width += 4) {
            printf("tuples %d %d\n", bits, width);
            PQprintTuples(res, stdout, bits & 1, bits & 2, width);
            PQprintTuples(res, NULL, bits & 1, bits & 2, width);
        }
}

/* What a child sees who is in a terminal of so many lines. */
static void in_terminal(const PGresult *res, const char *pager, int rows, int columns, PQprintOpt opt)
{
    struct winsize size = {0};
    char text[4096];
    ssize_t got;
    int master = posix_openpt(O_RDWR | O_NOCTTY), status, slave;
    pid_t child;

    if (master < 0 || grantpt(master) || unlockpt(master))
        exit(3);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    size.ws_row = rows;
    size.ws_col = columns;
    if (slave < 0 || ioctl(slave, TIOCSWINSZ, &size))
        exit(3);
    printf("pager [%s] %dx%d header %d standard %d expanded %d html %d\n", pager ? pager : "-", rows, columns, opt.header, opt.standard,
           opt.expanded, opt.html3);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        sigset_t mask, pending;

        close(master);
        if (pager)
            setenv("PAGER", pager, 1);
        else
            unsetenv("PAGER");
        if (dup2(slave, 0) < 0 || dup2(slave, 1) < 0)
            _exit(3);
        PQprint(stdout, res, &opt);
        fflush(stdout);
        sigprocmask(SIG_SETMASK, NULL, &mask);
        sigpending(&pending);
        printf("masked %d pending %d\n", sigismember(&mask, SIGPIPE), sigismember(&pending, SIGPIPE));
        fflush(stdout);
        _exit(0);
    }
    close(slave);
    while ((got = read(master, text, sizeof text)) > 0)
        fwrite(text, 1, got, stdout);
    close(master);
    waitpid(child, &status, 0);
    printf("status %d\n", status);
}

static void pagers(PGconn *conn)
{
    static const char *const pagers[] = {NULL, "", " \t", "sed 's/^/P /'", "true", "exit 3"};
    PGresult *res = PQexec(conn, "select i as i, repeat('x', 5) as \"A name\" from generate_series(1, 6) i");
    PGresult *big = PQexec(conn, "select repeat('x', 300) from generate_series(1, 2000)");
    PQprintOpt opt = {0};

    opt.pager = 1;
    opt.align = 1;
    opt.fieldSep = "|";
    for (int p = 0; p < 6; p++)
        in_terminal(res, pagers[p], 3, 80, opt);
    for (int rows = 0; rows < 24; rows++) {
        opt.header = rows & 1;
        opt.standard = rows & 2;
        opt.expanded = rows & 4;
        opt.html3 = rows == 8;
        in_terminal(res, pagers[3], rows, rows % 3 ? 80 : 9, opt);
    }
    /* The pager leaves before all of it is written. */
    in_terminal(big, "true", 3, 80, opt);
    PQclear(res);
    PQclear(big);
}

int main(int argc, char **argv)
{
    PGconn *conn = PQconnectdb(argc > 1 ? argv[1] : "");
    PQprintOpt opt = {0};

    setvbuf(stdout, NULL, _IOLBF, 0);
    PQclear(PQexec(conn, "set client_encoding to utf8"));
    opt.fieldSep = "|";
    PQprint(stdout, NULL, &opt);
    old_functions(NULL);
    for (int q = 0; q < QUERIES; q++) {
        PGresult *res = PQexec(conn, queries[q]);

        printf("%s: %d\n", queries[q], PQresultStatus(res));
        all_options(res);
        old_functions(res);
        PQclear(res);
    }
    pagers(conn);
    PQfinish(conn);
    return 0;
}
