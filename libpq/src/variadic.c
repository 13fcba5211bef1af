/* The functions of libpq that take a variable number of arguments, which stable Rust cannot define. Knows how to format; the
 * buffer itself is expbuffer.rs. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* As in pqexpbuffer.h, and in expbuffer.rs. */
typedef struct PQExpBufferData {
    char *data;
    size_t len;
    size_t maxlen;
} *PQExpBuffer;

/* expbuffer.rs */
void pgpoll_expbuffer_reset(PQExpBuffer buffer);
bool pgpoll_expbuffer_enlarge(PQExpBuffer buffer, size_t more);
void pgpoll_expbuffer_break(PQExpBuffer buffer);

void printfPQExpBuffer(PQExpBuffer buffer, const char *format, ...);
void appendPQExpBuffer(PQExpBuffer buffer, const char *format, ...);
bool appendPQExpBufferVA(PQExpBuffer buffer, const char *format, va_list arguments);

/* Below this it is not worth trying: the first try would fail. */
enum { HARDLY_ANY = 16 };

static bool is_broken(PQExpBuffer buffer) { return !buffer || buffer->maxlen == 0; }

/* One try. True: it is in the buffer, or the buffer is broken. False: now there is room, try again. */
static bool format_once(PQExpBuffer buffer, const char *format, va_list arguments)
{
    size_t room = buffer->maxlen - buffer->len;
    int length;

    if (room <= HARDLY_ANY)
        return !pgpoll_expbuffer_enlarge(buffer, 2 * HARDLY_ANY);
    length = vsnprintf(buffer->data + buffer->len, room, format, arguments);
    if (length < 0 || length == INT_MAX) {
        pgpoll_expbuffer_break(buffer);
        return true;
    }
    if ((size_t)length < room) {
        buffer->len += (size_t)length;
        return true;
    }
    return !pgpoll_expbuffer_enlarge(buffer, (size_t)length + 1);
}

/* Empties the buffer, and formats into it. Nothing is done to a broken buffer that cannot be mended, and to NULL. */
void printfPQExpBuffer(PQExpBuffer buffer, const char *format, ...)
{
    int error = errno; /* %m is the caller's, in every try */
    va_list arguments;
    bool done = false;

    if (buffer)
        pgpoll_expbuffer_reset(buffer);
    if (is_broken(buffer))
        return;
    while (!done) {
        errno = error;
        va_start(arguments, format);
        done = format_once(buffer, format, arguments);
        va_end(arguments);
    }
}

/* Formats at the end of the buffer. Nothing is done to a broken buffer, and to NULL. */
void appendPQExpBuffer(PQExpBuffer buffer, const char *format, ...)
{
    int error = errno;
    va_list arguments;
    bool done = false;

    if (is_broken(buffer))
        return;
    while (!done) {
        errno = error;
        va_start(arguments, format);
        done = format_once(buffer, format, arguments);
        va_end(arguments);
    }
}

/* The same in one try: false says try again, with the arguments and errno as they were. */
bool appendPQExpBufferVA(PQExpBuffer buffer, const char *format, va_list arguments)
{
    return is_broken(buffer) || format_once(buffer, format, arguments);
}
