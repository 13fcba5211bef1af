/* Events: a procedure of yours is told what becomes of a connection and its results, and keeps data with them.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef LIBPQ_EVENTS_H
#define LIBPQ_EVENTS_H

#include "libpq-fe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    PGEVT_REGISTER,
    PGEVT_CONNRESET,
    PGEVT_CONNDESTROY,
    PGEVT_RESULTCREATE,
    PGEVT_RESULTCOPY,
    PGEVT_RESULTDESTROY
} PGEventId;

/* What evtInfo points to. */
typedef struct {
    PGconn *conn;
} PGEventRegister;

typedef struct {
    PGconn *conn;
} PGEventConnReset;

typedef struct {
    PGconn *conn;
} PGEventConnDestroy;

typedef struct {
    PGconn *conn;
    PGresult *result;
} PGEventResultCreate;

typedef struct {
    const PGresult *src;
    PGresult *dest;
} PGEventResultCopy;

typedef struct {
    PGresult *result;
} PGEventResultDestroy;

/* 0 says that it failed. */
typedef int (*PGEventProc)(PGEventId evtId, void *evtInfo, void *passThrough);

extern int PQregisterEventProc(PGconn *conn, PGEventProc proc, const char *name, void *passThrough);

/* The procedure's own data of a connection, and of a result. */
extern int PQsetInstanceData(PGconn *conn, PGEventProc proc, void *data);
extern void *PQinstanceData(const PGconn *conn, PGEventProc proc);
extern int PQresultSetInstanceData(PGresult *result, PGEventProc proc, void *data);
extern void *PQresultInstanceData(const PGresult *result, PGEventProc proc);

/* Tells all procedures of a result that the program made. */
extern int PQfireResultCreateEvents(PGconn *conn, PGresult *res);

#ifdef __cplusplus
}
#endif

#endif
