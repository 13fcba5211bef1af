/* PQExpBuffer: a string that grows. SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A buffer that could not get memory is broken: its data is an empty string that nobody may write, and its functions do
 * nothing until it is reset or freed. So it is enough to ask at the end: PQExpBufferBroken.
 */
#ifndef PQEXPBUFFER_H
#define PQEXPBUFFER_H

#include <stdarg.h>
#include <stddef.h>
#ifndef __cplusplus
#include <stdbool.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#define PQEXPBUFFER_FORMAT(text, first) __attribute__((format(printf, text, first)))
#else
#define PQEXPBUFFER_FORMAT(text, first)
#endif

typedef struct PQExpBufferData {
    char *data; /* len bytes and a NUL, from malloc: take it instead of freeing it, if you like */
    size_t len;
    size_t maxlen; /* what there is room for, the NUL counted; 0: broken */
} PQExpBufferData;

typedef PQExpBufferData *PQExpBuffer;

#define PQExpBufferBroken(str) ((str) == NULL || (str)->maxlen == 0)
#define PQExpBufferDataBroken(buf) ((buf).maxlen == 0)

#define INITIAL_EXPBUFFER_SIZE 256

/* A new empty buffer, or NULL; free it with destroyPQExpBuffer. */
extern PQExpBuffer createPQExpBuffer(void);
extern void destroyPQExpBuffer(PQExpBuffer str);

/* The same in a structure of your own: the second frees the data. */
extern void initPQExpBuffer(PQExpBuffer str);
extern void termPQExpBuffer(PQExpBuffer str);

/* Empties a buffer; a broken one is mended if there is memory. */
extern void resetPQExpBuffer(PQExpBuffer str);

/* Makes room for needed bytes more: 1, or 0 when the buffer is broken now. */
extern int enlargePQExpBuffer(PQExpBuffer str, size_t needed);

/* Formats into a buffer, emptied before. */
extern void printfPQExpBuffer(PQExpBuffer str, const char *fmt, ...) PQEXPBUFFER_FORMAT(2, 3);

/* Each appends. */
extern void appendPQExpBuffer(PQExpBuffer str, const char *fmt, ...) PQEXPBUFFER_FORMAT(2, 3);
extern void appendPQExpBufferStr(PQExpBuffer str, const char *data);
extern void appendPQExpBufferChar(PQExpBuffer str, char ch);
extern void appendBinaryPQExpBuffer(PQExpBuffer str, const char *data, size_t datalen);

/* One try to append: false when there was too little room. Now there is: try again, with the arguments and errno as before. */
extern bool appendPQExpBufferVA(PQExpBuffer str, const char *fmt, va_list args) PQEXPBUFFER_FORMAT(2, 0);

#ifdef __cplusplus
}
#endif

#endif
