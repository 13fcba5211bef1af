/* What every interface of PostgreSQL's shares: object identifiers, and the codes of an error's fields.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef POSTGRES_EXT_H
#define POSTGRES_EXT_H

#include <stdint.h>

/* The number of a type, a table, a large object, ... */
typedef unsigned int Oid;

#ifdef __cplusplus
#define InvalidOid (Oid(0))
#else
#define InvalidOid ((Oid)0)
#endif

/* For these two include <limits.h> and <stdlib.h>. */
#define OID_MAX UINT_MAX
#define atooid(x) ((Oid)strtoul((x), NULL, 10))

/* An old name. */
typedef int64_t pg_int64;

/* For PQresultErrorField. */
#define PG_DIAG_SEVERITY 'S' /* in the language of the server's messages */
#define PG_DIAG_SEVERITY_NONLOCALIZED 'V' /* in English */
#define PG_DIAG_SQLSTATE 'C'
#define PG_DIAG_MESSAGE_PRIMARY 'M'
#define PG_DIAG_MESSAGE_DETAIL 'D'
#define PG_DIAG_MESSAGE_HINT 'H'
#define PG_DIAG_STATEMENT_POSITION 'P' /* in characters, from 1 */
#define PG_DIAG_INTERNAL_POSITION 'p'
#define PG_DIAG_INTERNAL_QUERY 'q'
#define PG_DIAG_CONTEXT 'W'
#define PG_DIAG_SCHEMA_NAME 's'
#define PG_DIAG_TABLE_NAME 't'
#define PG_DIAG_COLUMN_NAME 'c'
#define PG_DIAG_DATATYPE_NAME 'd'
#define PG_DIAG_CONSTRAINT_NAME 'n'
#define PG_DIAG_SOURCE_FILE 'F'
#define PG_DIAG_SOURCE_LINE 'L'
#define PG_DIAG_SOURCE_FUNCTION 'R'

#endif
