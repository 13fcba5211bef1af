/* PQExpBuffer: what its functions leave in the three fields, and in errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <libpq-fe.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../../../include/pqexpbuffer.h"

extern char *const pgresStatus[];
extern void (*pqsignal(int, void (*)(int)))(int);

static unsigned long long seed = 18;

static unsigned draw(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % below;
}

static void show(const char *call, PQExpBuffer str)
{
    unsigned sum = 0;

    if (!str) {
        printf("%s: NULL\n", call);
        return;
    }
    for (size_t i = 0; i < str->len; i++)
        sum = sum * 31 + (unsigned char)str->data[i];
    printf("%s: len=%zu maxlen=%zu broken=%d sum=%u end=%d text=[%.60s]\n", call, str->len, str->maxlen, PQExpBufferBroken(str), sum,
           str->data[str->len], str->data);
}

static bool once(PQExpBuffer str, const char *format, ...)
{
    va_list args;
    bool done;

    va_start(args, format);
    done = appendPQExpBufferVA(str, format, args);
    va_end(args);
    return done;
}

static void nothing(void)
{
    printf("NULL enlarge %d\n", enlargePQExpBuffer(NULL, 1));
    resetPQExpBuffer(NULL);
    destroyPQExpBuffer(NULL);
    printfPQExpBuffer(NULL, "%d", 1);
    appendPQExpBuffer(NULL, "%d", 1);
    appendPQExpBufferStr(NULL, "x");
    appendPQExpBufferChar(NULL, 'x');
    appendBinaryPQExpBuffer(NULL, "x", 1);
}

static void formats(PQExpBuffer str)
{
    char *volatile none = NULL;

#define TRY(...)                                                                                                                        \
    do {                                                                                                                                \
        printfPQExpBuffer(str, __VA_ARGS__);                                                                                            \
        show(#__VA_ARGS__, str);                                                                                                        \
        resetPQExpBuffer(str);                                                                                                          \
    } while (0)
    TRY("%d %5d %-5d| %05d %+d %i", 1, 2, 3, 4, 5, -7);
    TRY("% d", 6);
    TRY("%u %x %X %o", 1u, 255u, 255u, 8u);
    TRY("%#x", 255u);
    TRY("%ld %lld %zu %lu", LONG_MIN, LLONG_MIN, (size_t)-1, ULONG_MAX);
    TRY("%hd %hhd", 7000, 30);
    TRY("%hd", 70000);
    TRY("%s|%10s|%-10s|%.2s|%10.3s|%.*s", "one", "two", "three", "four", "five", 3, "sixth");
    TRY("%s %.20s", none, none);
    TRY("%c%c%c", 'a', 'b', 'c');
    TRY("%5c|%-5c|", 'a', 'b');
    TRY("%f %.2f %10.3f %-10.1f| %e %g %G", 1.5, 2.345, 3.0, 4.0, 12345.678, 0.0001, 1e20);
    TRY("%f", -1.0 / 0.0);
    TRY("%g", 1e300);
    TRY("%p %p", (void *)NULL, (void *)0x1234);
    TRY("%2$s %1$s", "a", "b");
    TRY("%2$*1$d|", 6, 42);
    TRY("%*d|%-*d|%*d|", 6, 1, 6, 2, -6, 3);
    TRY("%% %d%%", 5);
    TRY("%s", "");
#undef TRY
    for (int error = 0; error < 40; error++) {
        errno = error;
        printfPQExpBuffer(str, "%m");
        show("%m", str);
        errno = error;
        for (int i = 0; i < 12; i++) {
            errno = error;
            appendPQExpBuffer(str, " and what is long enough to need more room: %m");
        }
        show("more %m", str);
        termPQExpBuffer(str);
        initPQExpBuffer(str);
    }
    errno = 9999;
    printfPQExpBuffer(str, "%m");
    show("unknown %m", str);
    enlargePQExpBuffer(str, INT_MAX);
    show("as long as can be", str);
    resetPQExpBuffer(str);
    show("mended", str);
}

static void random_calls(void)
{
    static char bytes[5000];
    PQExpBuffer str = createPQExpBuffer();

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = 'a' + (char)(i % 26);
    for (int turn = 0; turn < 3000; turn++) {
        unsigned len = draw(draw(8) ? 40 : 4000), what = draw(100);
        char call[40];

        snprintf(call, sizeof call, "%d: %u %u", turn, what, len);
        if (what < 20)
            appendBinaryPQExpBuffer(str, bytes, len);
        else if (what < 40) {
            bytes[len] = 0;
            appendPQExpBufferStr(str, bytes);
            bytes[len] = 'a' + (char)(len % 26);
        } else if (what < 60)
            appendPQExpBufferChar(str, (char)len);
        else if (what < 75)
            appendPQExpBuffer(str, "%.*s|%d|%5.1f", (int)len, bytes, (int)what, what / 3.0);
        else if (what < 80)
            printfPQExpBuffer(str, "<%*d>", (int)len, (int)what);
        else if (what < 85)
            printf("once %d\n", once(str, "%.*s", (int)len, bytes));
        else if (what < 90)
            printf("enlarge %d\n", enlargePQExpBuffer(str, len));
        else if (what < 93)
            resetPQExpBuffer(str);
        else if (what < 94) {
            termPQExpBuffer(str);
            appendPQExpBufferStr(str, "nothing is appended");
            show(call, str);
            initPQExpBuffer(str);
        } else if (what < 95)
            appendBinaryPQExpBuffer(str, NULL, 0);
        else if (what < 96) {
            printf("enlarge %d\n", enlargePQExpBuffer(str, (size_t)INT_MAX - (draw(2) ? str->len : 0)));
            show(call, str);
            if (draw(2))
                appendPQExpBuffer(str, "broken %d", 1);
            printfPQExpBuffer(str, "mended %d", 1);
        } else if (what < 97) {
            destroyPQExpBuffer(str);
            str = createPQExpBuffer();
        } else if (what < 98) {
            /* Data taken by the program. */
            free(str->data);
            initPQExpBuffer(str);
        }
        show(call, str);
    }
    destroyPQExpBuffer(str);
}

static void *hoard;

static void take_all_memory(void)
{
    void *block;

    for (size_t size = 1 << 20; size >= 16; size -= size > 1024 ? size / 2 : 16)
        while ((block = malloc(size))) {
            *(void **)block = hoard;
            hoard = block;
        }
}

/* Buffers while there is no memory: nothing beyond what the process has, and that is taken. */
static void without_memory(void)
{
    struct rlimit before, none = {0, 0};
    PQExpBuffer str = createPQExpBuffer();
    PQExpBufferData other;
    bool enlarged, created;

    initPQExpBuffer(&other);
    getrlimit(RLIMIT_AS, &before);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_AS, &none);
    take_all_memory();
    created = createPQExpBuffer() != NULL;
    enlarged = enlargePQExpBuffer(str, 1 << 20);
    /* What broke gave its memory back. */
    take_all_memory();
    resetPQExpBuffer(str);
    appendPQExpBuffer(str, "%s", "nothing");
    appendPQExpBufferStr(&other, "some");
    for (int i = 0; i < 10; i++)
        appendPQExpBuffer(&other, "%0100d", i);
    setrlimit(RLIMIT_AS, &before);
    while (hoard) {
        void *next = *(void **)hoard;

        free(hoard);
        hoard = next;
    }
    printf("enlarged %d created %d\n", enlarged, created);
    show("no memory", str);
    show("no more memory", &other);
    appendPQExpBufferStr(str, "still broken");
    show("still broken", str);
    resetPQExpBuffer(str);
    appendPQExpBufferStr(str, "memory again");
    show("memory again", str);
    printfPQExpBuffer(&other, "memory %s", "again");
    show("memory again", &other);
    destroyPQExpBuffer(str);
    termPQExpBuffer(&other);
    termPQExpBuffer(&other);
    show("twice", &other);
}

static void handler(int signal)
{
    (void)signal;
}

/* With the argument `plenty` there is always memory, as checkers of memory need it. */
int main(int argc, char **argv)
{
    PQExpBuffer str = createPQExpBuffer();
    struct sigaction action;

    setvbuf(stdout, NULL, _IOLBF, 0);
    nothing();
    show("new", str);
    formats(str);
    destroyPQExpBuffer(str);
    random_calls();
    if (argc < 2 || strcmp(argv[1], "plenty") != 0)
        without_memory();
    for (int status = 0; status < 13; status++)
        printf("%s %d\n", pgresStatus[status], strcmp(pgresStatus[status], PQresStatus((ExecStatusType)status)));
    for (int status = -2; status < 20; status++)
        printf("status %d %s\n", status, PQresStatus((ExecStatusType)status));
    printf("version %d threads %d\n", PQlibVersion(), PQisthreadsafe());
    for (int signo = -1; signo < 66; signo++) {
        errno = 0;
        void (*first)(int) = pqsignal(signo, handler);
        int error = errno;

        memset(&action, 0, sizeof action);
        sigaction(signo, NULL, &action);
        printf("signal %d: %d errno %d flags %x ours %d before %d\n", signo, first == SIG_ERR, error, action.sa_flags & ~0x04000000,
               action.sa_handler == handler, pqsignal(signo, SIG_DFL) == handler);
    }
    return 0;
}
