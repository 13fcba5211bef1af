/* pgpoll: a PostgreSQL client that your own event loop drives. SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * This file is written by `make header` from the Rust source of capi/: change it there.
 *
 * conn_poll(conn) moves bytes both ways and runs the protocol until nothing changes. It never waits. Then:
 *
 *   1. CONN_RESULT, CONN_NOTIFY, CONN_NOTICE: take what is ready, until there is no more.
 *   2. CONN_SOCKET_CHANGED: conn_socket(conn) is another descriptor; register that one instead. The old one is closed at
 *      the next poll, not before.
 *   3. CONN_RUNNABLE: call conn_poll again soon, without waiting.
 *   4. CONN_WANT_READ, CONN_WANT_WRITE: wait until conn_socket(conn) is readable / writable, whichever comes first, at most
 *      conn_deadline_ms(conn) milliseconds; then call conn_poll again. ERR and HUP count as ready.
 *   5. CONN_IDLE: connected, nothing outstanding. CONN_FAILED: over; conn_error(conn) says why.
 *
 * Level- and edge-triggered loops both work. A call too many is harmless. A connection may move between threads; one call
 * at a time. conn_get_*: what it returns is yours to free. Every other pointer is borrowed; its comment says until when.
 */


#ifndef PGPOLL_H
#define PGPOLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#endif  /* PGPOLL_H */
