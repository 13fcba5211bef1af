/* pgpoll: a PostgreSQL client that your own event loop drives. SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * This file is written by `make header` from the Rust source of capi/: change it there.
 *
 * The loop:
 *
 *   1. bits = conn_poll(conn). It moves bytes both ways and runs the protocol until nothing changes. It never waits.
 *   2. Take what is ready, each until there is no more: conn_get_result, conn_get_notification, conn_get_notice. If
 *      there was a result, or you have started something: go to 1.
 *   3. CONN_SOCKET_CHANGED: conn_socket(conn) is another descriptor; register that one instead. The old one is closed at
 *      the next poll, not before.
 *   4. CONN_FAILED: it is over; conn_error(conn) says why. Every later poll says so again, at once.
 *   5. CONN_RUNNABLE: go to 1 soon, without waiting.
 *   6. Wait until conn_socket(conn) is ready for one of those that the bits name, or conn_deadline_ms(conn) milliseconds are
 *      over. Go to 1.
 *
 *   CONN_WANT_READ         1   wait until the descriptor is readable; ERR and HUP count as ready
 *   CONN_WANT_WRITE        2   wait until the descriptor is writable; with CONN_WANT_READ: whichever comes first
 *   CONN_RUNNABLE          4   there is more to do now; the call gave way to your other work
 *   CONN_RESULT            8   conn_get_result has something to give
 *   CONN_NOTIFY           16   conn_get_notification has something to give
 *   CONN_NOTICE           32   conn_get_notice has something to give
 *   CONN_SOCKET_CHANGED   64   the descriptor is another one
 *   CONN_IDLE            128   connected, nothing outstanding: start something, or wait for notifications
 *   CONN_FAILED          256   over, and the last result was taken
 *   CONN_MISUSE          512   this call was refused: a NULL connection, or another call is inside it
 *   CONN_WANT_TOKEN     4096   the server wants an OAuth token: conn_give_token (only after conn_set_ask_token)
 *
 * Level- and edge-triggered loops both work. A call too many is harmless. conn_wait does all of this for a program without
 * an event loop.
 *
 * Four kinds of functions: conn_poll drives; conn_start_* start an operation and return its id, or 0 with conn_error set;
 * conn_get_* take what is finished, and what they return is yours to free; the others ask. Every other pointer is
 * borrowed: its comment says until when. A connection may move between threads, one call at a time; results, errors and
 * notifications never change and may be read from several.
 */


#ifndef PGPOLL_H
#define PGPOLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The Arrow C data interface, word for word: whoever includes another header that has it has it once. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif


// Wait until conn_socket is readable, then call conn_poll.
#define CONN_WANT_READ 1

// Wait until conn_socket is writable, then call conn_poll.
#define CONN_WANT_WRITE 2

// The work budget of one call is used up: call conn_poll again soon, without waiting.
#define CONN_RUNNABLE 4

// conn_get_result has something to give.
#define CONN_RESULT 8

// conn_get_notification has something to give.
#define CONN_NOTIFY 16

// conn_get_notice has something to give.
#define CONN_NOTICE 32

// conn_socket is another descriptor now; the old one is closed at the next poll, not before.
#define CONN_SOCKET_CHANGED 64

// Connected, and nothing is outstanding.
#define CONN_IDLE 128

// The connection is over and the last result was taken; conn_error says why.
#define CONN_FAILED 256

// conn_copy_get has something to give.
#define CONN_COPY 1024

// What was refused with CONN_ERROR_WOULD_BLOCK would be accepted now: said once after a refusal, when half of the send
// queue is free (conn_set_send_queue).
#define CONN_ROOM 2048

// The server wants an OAuth bearer token, and the connection waits for it: conn_token_discovery and conn_token_scope say which,
// conn_give_token gives it (conn_set_ask_token).
#define CONN_WANT_TOKEN 4096

// The call was refused: the connection is NULL, or another call is inside it, and conn_error(NULL) says which; or it is in a
// group, which drives it, and conn_error(conn) says so.
#define CONN_MISUSE 512

// More follows in this group: the operation has no Sync of its own, and conn_sync ends the group.
#define CONN_MORE 1

// Of conn_start_prepared_many: where there is room for one execution in the send queue, there is room for all.
#define CONN_WHOLE 2

// Values as text.
#define CONN_TEXT 0

// Values in PostgreSQL's binary form of their type.
#define CONN_BINARY 1

// conn_start_lo_open: to be read, as it was when the transaction's snapshot was taken.
#define CONN_LO_READ 262144

// conn_start_lo_open: to be written, and read as it is.
#define CONN_LO_WRITE 131072

// Rows: all of a result or a batch of it, in `result`, which is yours. A result without rows gives one empty batch.
#define CONN_ITEM_ROWS 1

// A command is complete; `tag` and `rows` say what it did. Not yet committed: that is known at CONN_ITEM_DONE.
#define CONN_ITEM_COMPLETE 2

// The query string was empty.
#define CONN_ITEM_EMPTY_QUERY 3

// max_rows is reached: conn_continue asks for more, conn_sync ends it.
#define CONN_ITEM_SUSPENDED 4

// The operation failed; `error`, which is yours, says why.
#define CONN_ITEM_ERROR 5

// The operation was not tried, because one before it in its group failed.
#define CONN_ITEM_SKIPPED 6

// A statement or portal was described: `result`, which is yours, has parameters and columns and no rows.
#define CONN_ITEM_DESCRIBED 7

// The last item of every operation: `outcome`, `transaction` and `verdict` are set.
#define CONN_ITEM_DONE 8

// A COPY has begun: `copy` says which way. conn_copy_put, conn_copy_end and conn_copy_get go on with it.
#define CONN_ITEM_COPY 9

// A function has returned: `result`, which is yours, has one row with one column, in binary; `value` is its number where it
// is one of 4 or 8 bytes.
#define CONN_ITEM_CALLED 10

// COPY FROM STDIN: conn_copy_put takes the data.
#define CONN_COPY_IN 1

// COPY TO STDOUT: conn_copy_get gives the data.
#define CONN_COPY_OUT 2

// Streaming replication: both at once.
#define CONN_COPY_BOTH 3

// The operation did what was asked.
#define CONN_OUTCOME_OK 1

// It failed, and an error item came before, unless it had been abandoned; or it had been sent when the connection was lost
// (CONN_VERDICT_LOST).
#define CONN_OUTCOME_FAILED 2

// It was not tried: one before it in its group failed, or nothing of it had been sent when the connection was lost, when
// its deadline passed, or when it was abandoned.
#define CONN_OUTCOME_SKIPPED 3

// The server has done it, after its deadline had passed or after it had been abandoned: it has taken effect, and what it
// gave was discarded.
#define CONN_OUTCOME_DISCARDED 4

// Not known: the connection has not been up yet.
#define CONN_TRANSACTION_UNKNOWN 0

// Outside of a transaction block.
#define CONN_TRANSACTION_IDLE 1

// In a transaction block.
#define CONN_TRANSACTION_IN_BLOCK 2

// In a transaction block that has failed: everything is refused until it ends.
#define CONN_TRANSACTION_FAILED 3

// The connection is good for anything.
#define CONN_VERDICT_CLEAN 1

// It is good, inside a transaction block or an open group.
#define CONN_VERDICT_IN_TRANSACTION 2

// It is over. Whether the operation took effect is not known, unless it was skipped.
#define CONN_VERDICT_LOST 3

// Room for a command tag.
#define CONN_TAG_SIZE 64

// Text and bytes as views into the result (formats vu and vz), which are not copied.
#define CONN_ARROW_VIEWS 1

// Every numeric as text, those too that have a precision and would be decimals.
#define CONN_ARROW_NUMERIC_TEXT 2

// The server said no: conn_error_sqlstate and the other fields are its words.
#define CONN_ERROR_SERVER 1

// The connection could not be made, broke, or carried what the protocol does not allow.
#define CONN_ERROR_TRANSPORT 2

// The caller asked for what cannot be done; the message says what to do instead.
#define CONN_ERROR_MISUSE 3

// Nobody's fault: so much is queued that nothing more can be started now. Poll until CONN_ROOM, and try again.
#define CONN_ERROR_WOULD_BLOCK 4

// conn_group_wait until some member has something to take or to know: CONN_RESULT.
#define CONN_WAIT_ANY 1

// conn_group_wait until nothing is under way in any member: CONN_IDLE.
#define CONN_WAIT_ALL 2

// The same, or until an operation has failed or a connection was lost: CONN_FAILED.
#define CONN_WAIT_FIRST_ERROR 3

// Nothing has happened yet.
#define CONN_STATUS_START 0

// Waiting for the addresses of a host name.
#define CONN_STATUS_RESOLVING 1

// Waiting for the socket to be connected.
#define CONN_STATUS_DIALLING 2

// The startup packet is under way.
#define CONN_STATUS_STARTUP 3

// Proving who the user is.
#define CONN_STATUS_AUTHENTICATING 4

// Authenticated; the server sends its parameters.
#define CONN_STATUS_SETTLING 5

// Finding out whether the server is the wanted kind (target_session_attrs).
#define CONN_STATUS_CHECKING_TARGET 6

// Up: operations can be started.
#define CONN_STATUS_READY 7

// Over.
#define CONN_STATUS_OVER 8

// The server is asked whether it encrypts; between CONN_STATUS_DIALLING and CONN_STATUS_STARTUP.
#define CONN_STATUS_NEGOTIATING 9

// The handshake of TLS or GSSAPI is under way; between CONN_STATUS_DIALLING and CONN_STATUS_STARTUP.
#define CONN_STATUS_SECURING 10

// Looking for credentials for GSSAPI; between CONN_STATUS_RESOLVING and CONN_STATUS_DIALLING.
#define CONN_STATUS_CREDENTIALS 11

// Lines begin without the time.
#define CONN_TRACE_SUPPRESS_TIMESTAMPS 1

// What differs between runs of the same test is not printed: object IDs, and where in the server's source an error comes
// from.
#define CONN_TRACE_REGRESS_MODE 2

// A connection. One call at a time; it may move between threads.
typedef struct Conn Conn;

// A request to stop what a connection's backend is doing. Independent of the connection once it is made; one call at a
// time, from whichever thread.
typedef struct ConnCancel ConnCancel;

// An error or a notice, with everything that is known of it. Never changes; may be read from several threads.
typedef struct ConnError ConnError;

// Connections that are driven together. One call at a time; it may move between threads.
//
// The loop is that of one connection:
//
//   1. bits = conn_group_poll(group). It polls those members that have something to do, and never waits.
//   2. conn_group_get_ready until there are no more: take what those connections have, start what you like. If there was
//      one, go to 1.
//   3. CONN_RUNNABLE: go to 1 soon, without waiting.
//   4. Wait until conn_group_socket(group) is readable, at most conn_group_deadline_ms(group) milliseconds. Go to 1.
//
// A member is driven by its group: conn_poll, conn_wait and conn_check of it are refused. All else is as ever, at any time
// between two calls of its group. A member with nothing to do costs nothing. The work of one poll is bounded, and who has
// more to do waits in line for the next one: no member can hold up the others.
typedef struct ConnGroup ConnGroup;

// A NOTIFY of some session.
typedef struct ConnNotification ConnNotification;

// Rows with their columns, or the description of a statement. Never changes; may be read from several threads, and
// outlives its connection.
typedef struct ConnResult ConnResult;

// All that an event loop needs to know after a poll.
typedef struct ConnState {
    // What the last poll said: CONN_WANT_READ and so on.
    uint32_t bits;
    // The descriptor to wait for; -1 when there is none.
    int socket;
    // Goes up whenever the descriptor changes, also when the new one has the same number.
    uint64_t generation;
    // When to poll at the latest, in nanoseconds of CLOCK_MONOTONIC; INT64_MAX when there is no limit.
    int64_t deadline_ns;
} ConnState;

// One finished thing. conn_get_result fills it; what does not apply to its kind is 0, NULL or "".
typedef struct ConnItem {
    // The operation that it belongs to: what the starter returned. 0 for what no operation asked for.
    uint64_t operation;
    // CONN_ITEM_…
    int32_t kind;
    // CONN_OUTCOME_… of a CONN_ITEM_DONE.
    int32_t outcome;
    // CONN_TRANSACTION_… of a CONN_ITEM_DONE.
    int32_t transaction;
    // CONN_VERDICT_… of a CONN_ITEM_DONE: what the connection is good for now.
    int32_t verdict;
    // CONN_ITEM_ROWS: rows in the batch. CONN_ITEM_COMPLETE: rows that the command touched.
    uint64_t rows;
    // CONN_ITEM_COPY: CONN_COPY_IN, CONN_COPY_OUT or CONN_COPY_BOTH.
    int32_t copy;
    // CONN_ITEM_COPY: CONN_TEXT (rows end with newlines) or CONN_BINARY.
    int32_t format;
    // CONN_ITEM_CALLED: what the function returned, where it is a number of 4 or 8 bytes.
    int64_t value;
    // CONN_ITEM_ROWS, CONN_ITEM_DESCRIBED, CONN_ITEM_CALLED: yours until conn_result_free.
    struct ConnResult *result;
    // CONN_ITEM_ERROR: yours until conn_error_free.
    struct ConnError *error;
    // CONN_ITEM_COMPLETE: the command tag, such as "INSERT 0 1".
    char tag[CONN_TAG_SIZE];
} ConnItem;

// Bytes and how many there are, laid out as struct iovec is: writev takes an array of them.
typedef struct ConnBytes {
    // The bytes; no NUL follows them.
    const void *data;
    // How many.
    size_t length;
} ConnBytes;

// A member that is told of.
typedef struct ConnReady {
    // The connection.
    struct Conn *conn;
    // What came with it in conn_group_add.
    void *data;
    // conn_group_get_failed: the operation that has failed; 0 when the connection was lost and none of its operations with it.
    uint64_t operation;
    // What there is of it, as conn_poll would say it: CONN_RESULT, CONN_IDLE, CONN_FAILED and so on, without those that say
    // what to wait for.
    uint32_t bits;
} ConnReady;

// How a group stands.
typedef struct ConnGroupState {
    // The descriptor to wait for, always the same.
    int socket;
    // When to poll at the latest, in nanoseconds of CLOCK_MONOTONIC; INT64_MAX when there is no limit.
    int64_t deadline_ns;
    // Members.
    size_t members;
    // Of these: that connect, or have operations under way.
    size_t running;
    // Of these: that do not go on before you do something: take what is finished, continue a portal, go on with a COPY, give a
    // token.
    size_t waiting;
    // Of these: that are over.
    size_t over;
} ConnGroupState;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Begins to connect. Nothing waits, and nothing is sent yet: conn_poll does the work.
//
// conninfo: a connection string (`host=… dbname=…`) or URI (`postgresql://…`), as the PostgreSQL manual describes them; ""
//   takes everything from the environment and the defaults. Not needed after the call. What it says is kept for conn_reset,
//   passwords among it, and wiped by conn_close; what else becomes of a password is wiped once the connection is up or over.
// Returns a connection, also when conninfo makes no sense: then it is over at once, and conn_error says why. NULL only
//   when there is no memory.
// Yours until conn_close.
// Next: conn_poll until it says CONN_IDLE or CONN_FAILED.
struct Conn *conn_open(const char *conninfo);

// Begins to connect, with the options one by one.
//
// keywords: names of options, ended by NULL. values: their values; NULL or "" means not given. Not needed after the call.
// expand_dbname: not 0 allows the value of the first `dbname` to be a whole connection string or URI.
// Returns, how long it lives and what is next: as conn_open.
struct Conn *conn_open_params(const char *const *keywords,
                              const char *const *values,
                              int expand_dbname);

// Ends the connection and begins to connect again with the same options: files are read and names resolved anew. Results
// that were not taken are lost; those that were stay yours. Notices and notifications are kept; LISTEN has to be executed again.
//
// conn: the connection.
// Next: conn_poll until it says CONN_IDLE or CONN_FAILED. It says CONN_SOCKET_CHANGED when there is a new descriptor.
void conn_reset(struct Conn *conn);

// Closes the connection and frees the handle. Never waits: what is under way is dropped, and the server notices. Results,
// errors and notifications that were taken stay yours.
//
// conn: the connection, or NULL. Remove conn_socket(conn) from your event loop before. A group that it is in it leaves.
void conn_close(struct Conn *conn);

// Moves bytes both ways and runs the protocol until nothing changes. Never waits. A call too many is harmless.
//
// conn: the connection.
// Returns CONN_* bits: what to wait for, what is there to be taken. CONN_MISUSE alone when it is refused.
// Next: take what is there, and call it again at once if there was a result; else wait for what the bits name before. The
//   loop at the top of this file says how.
uint32_t conn_poll(struct Conn *conn);

// conn_poll and conn_state in one call, for those to whom a call is dear.
//
// conn: the connection. state: is filled; may be NULL.
// Returns what conn_poll returns, which is also in state->bits. When it is CONN_MISUSE, state is left as it was.
// Next: as conn_poll.
uint32_t conn_poll_state(struct Conn *conn,
                         struct ConnState *state);

// What the last poll said, and where and how long to wait. Does no work.
//
// conn: the connection. state: is filled.
// Returns 1; 0 when it is refused, and state is left as it was.
int conn_state(const struct Conn *conn, struct ConnState *state);

// The descriptor to wait for. It may be another one after each poll that says CONN_SOCKET_CHANGED; it is not yours to
// close, read or write.
//
// conn: the connection. Other threads and signal handlers may ask while a call is inside it.
// Returns the descriptor; -1 when there is none now, and for NULL.
int conn_socket(const struct Conn *conn);

// How long to wait at most before the next conn_poll.
//
// conn: the connection.
// Returns milliseconds from now, rounded up; 0 when the time has come; -1 when there is no limit, and for NULL.
int64_t conn_deadline_ms(const struct Conn *conn);

// Polls and waits until there is a result or data of a COPY to take, the connection wants a token (CONN_WANT_TOKEN) or is over,
// or there is news since you were last told: a notice, a notification, room in the send queue, or that the connection is idle. For
// programs without an event loop; the only call that waits.
//
// conn: the connection. timeout_ms: how long at most; -1 is for ever, 0 does not wait.
// Returns what the last conn_poll in it returned: without news the time is over.
// Next: take what is there. On an idle connection it waits for notifications. Notices that you leave there are no news,
//   until there are so many that nothing more is received: then it returns at once.
uint32_t conn_wait(struct Conn *conn,
                   int timeout_ms);

// Whether an idle connection is still good, for a pool that is about to hand it out: looks at what has arrived, such as
// the goodbye of a server, and asks the server nothing. Never waits.
//
// conn: the connection.
// Returns 1 when it is up, idle, in no transaction block and no group is open; else 0, also when it is refused. A server
//   that vanished without a word is not noticed.
// Next: conn_error(conn) says why it is over, if it is.
int conn_check(struct Conn *conn);

// Starts a simple query: one or several statements in one string, results as text.
//
// conn: a connection that is up. sql: the statements; not needed after the call.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, which sends it; conn_get_result gives its items, the last of which is CONN_ITEM_DONE.
uint64_t conn_start_query(struct Conn *conn,
                          const char *sql);

// Starts one statement with parameters ($1, $2, …).
//
// conn: a connection that is up. sql: the statement. n: how many parameters, at most 65535.
// types: n type OIDs, 0 where the server infers one; NULL where it infers all.
// values: n values, NULL for SQL NULL. A text value ends with NUL. May be NULL when n is 0.
// lengths: n lengths; only those of binary values are read. May be NULL when all values are text.
// formats: n formats, CONN_TEXT or CONN_BINARY; NULL when all are text.
// result_format: CONN_TEXT or CONN_BINARY, of all columns of the result.
// max_rows: after so many rows the operation is suspended (CONN_ITEM_SUSPENDED): conn_continue or conn_sync; 0 gives all.
// flags: 0 or CONN_MORE. Nothing that is passed is needed after the call.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result.
uint64_t conn_start_query_params(struct Conn *conn,
                                 const char *sql,
                                 int n,
                                 const uint32_t *types,
                                 const char *const *values,
                                 const int *lengths,
                                 const int *formats,
                                 int result_format,
                                 int max_rows,
                                 uint32_t flags);

// Starts to prepare a statement. Its description is an item (CONN_ITEM_DESCRIBED), and its columns are remembered, so that
// executing it costs the server and the network no more than it must.
//
// conn: a connection that is up. name: the statement's name; "" is the unnamed one. sql: the statement.
// n, types: type OIDs of the first n parameters, 0 where the server infers one; 0 and NULL where it infers all.
// flags: 0 or CONN_MORE. Nothing that is passed is needed after the call.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result; conn_start_prepared executes it, and may be called at once.
uint64_t conn_start_prepare(struct Conn *conn,
                            const char *name,
                            const char *sql,
                            int n,
                            const uint32_t *types,
                            uint32_t flags);

// Starts a prepared statement.
//
// conn: a connection that is up. name: the statement's name.
// n, values, lengths, formats, result_format, max_rows, flags: as in conn_start_query_params.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result.
uint64_t conn_start_prepared(struct Conn *conn,
                             const char *name,
                             int n,
                             const char *const *values,
                             const int *lengths,
                             const int *formats,
                             int result_format,
                             int max_rows,
                             uint32_t flags);

// Starts a prepared statement many times, each time with values of its own: what a loop of conn_start_prepared with CONN_MORE
// does, for less.
//
// conn: a connection that is up. name: the statement's name. n: how many parameters it has.
// rows: how many times. values: rows times n values, those of one execution behind those of the one before; as in
// conn_start_query_params. lengths: as many lengths, or NULL when all values are text. formats: n formats, the same for
// all executions; NULL when all are text. result_format: as there.
// flags: CONN_MORE, CONN_WHOLE, both, or 0. The executions are one group; with CONN_MORE it ends with conn_sync, else with the last
// one. With CONN_WHOLE only what was queued before them counts as queued: where there is room for one, all are started.
// started: where it goes how many were started. Fewer than rows where too much is queued (conn_set_send_queue): go on with the
// rest when conn_poll says CONN_ROOM; or where something is wrong with the next one: call it with the rest to be told.
// Returns the id of the first operation, behind which the others' follow; 0 when none was started, and conn_error(conn) says
// why.
// Next: conn_poll, conn_get_results.
uint64_t conn_start_prepared_many(struct Conn *conn,
                                  const char *name,
                                  int n,
                                  size_t rows,
                                  const char *const *values,
                                  const int *lengths,
                                  const int *formats,
                                  int result_format,
                                  uint32_t flags,
                                  size_t *started);

// Starts to describe a prepared statement: its parameters and columns (CONN_ITEM_DESCRIBED).
//
// conn: a connection that is up. name: the statement's name. flags: 0 or CONN_MORE.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result.
uint64_t conn_start_describe_statement(struct Conn *conn, const char *name, uint32_t flags);

// Starts to describe a portal (a cursor): its columns (CONN_ITEM_DESCRIBED).
//
// conn: a connection that is up. name: the portal's name. flags: 0 or CONN_MORE.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result.
uint64_t conn_start_describe_portal(struct Conn *conn, const char *name, uint32_t flags);

// Starts to close a prepared statement. It is no error if there is none of that name.
//
// conn: a connection that is up. name: the statement's name. flags: 0 or CONN_MORE.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result.
uint64_t conn_start_close_statement(struct Conn *conn, const char *name, uint32_t flags);

// Starts to close a portal (a cursor). It is no error if there is none of that name.
//
// conn: a connection that is up. name: the portal's name. flags: 0 or CONN_MORE.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result.
uint64_t conn_start_close_portal(struct Conn *conn, const char *name, uint32_t flags);

// Ends a group of operations started with CONN_MORE, or a suspended operation. Outside of a transaction block the group's
// work is committed here: the done of this operation says whether it was.
//
// conn: a connection that is up.
// Returns the id of the sync, an operation of its own (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result.
uint64_t conn_sync(struct Conn *conn);

// Asks for more rows of an operation that was suspended at its max_rows. To be done with it instead, call conn_sync.
//
// conn: a connection whose last item was CONN_ITEM_SUSPENDED. max_rows: how many more at most; 0 gives all.
// Returns 1; 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the rows belong to the operation that was suspended.
int conn_continue(struct Conn *conn,
                  int max_rows);

// Asks the server to send what the operations of the open group have yielded so far. conn_poll does that by itself when
// nothing follows in the group: this is for those who go on.
//
// conn: a connection that is up.
// Returns 1; 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll.
int conn_flush_request(struct Conn *conn);

// How much may be queued and not sent. With as much queued, conn_start_*, conn_sync and conn_flush_request are refused with
// CONN_ERROR_WOULD_BLOCK; so they are with more than 262,144 operations started and not done, each of which takes some
// hundred bytes of memory. One operation may be as large as it likes: only what was queued before it counts.
//
// conn: the connection. bytes: 16 MiB as at the beginning, and for 0. conn_reset keeps it.
// Next: after a refusal, conn_poll or conn_wait until CONN_ROOM, which is said once, when half of it is free.
void conn_set_send_queue(struct Conn *conn,
                         size_t bytes);

// Whether a prepared statement is prepared again, and executed once more, when the server refuses its execution because it
// has lost the statement (26000: a pooler, DISCARD in a function) or because its result has other columns than when it was
// prepared (0A000: a migration). It is as if nothing had happened, but for the columns, which are those that it has now:
// switch it off where cells are read by what CONN_ITEM_DESCRIBED said once.
//
// That is done where a failure undoes nothing: outside of a transaction block, for an operation without CONN_MORE and
// max_rows, started when nothing else was under way, and with nothing started behind it. Everywhere else the error is given.
// Statements prepared by conn_start_prepare under a name are remembered, up to 1 MiB of their text.
//
// conn: the connection. on: 1, as at the beginning, or 0. conn_reset keeps it. Switched on, it is so for what is prepared
//   from then on.
void conn_set_healing(struct Conn *conn,
                      int on);

// Whether every execution of a prepared statement asks for its columns. Else those that it had when it was prepared are taken
// for granted, since a server that has prepared a statement refuses to execute it once it has others. Behind a pooler that
// prepares by itself that is not enough: a server that prepares the statement only now says nothing of a change before that.
//
// conn: the connection. on: 1 always; 0 never; -1, as at the beginning: where a pooler is in between, which is told by its
//   conn_backend_pid being the number of no process (0, or above 2^22, which is as far as Linux counts): one pooler's
//   connection in a thousand has such a number by chance. conn_reset keeps it. Columns are remembered of what is prepared while
//   it is off.
void conn_set_describing(struct Conn *conn,
                         int on);

// Starts the call of a function by its object ID. PostgreSQL keeps this for large objects (conn_start_lo_…): for other
// functions a query is as good.
//
// conn: a connection that is up, outside of a group (CONN_MORE). function: the function's OID in pg_proc. n: how many arguments.
// values: n values in binary (numbers in network byte order), NULL for SQL NULL. May be NULL when n is 0.
// lengths: n lengths in bytes. May be NULL when n is 0. Nothing that is passed is needed after the call.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: a CONN_ITEM_CALLED has what it returned.
uint64_t conn_start_call(struct Conn *conn,
                         uint32_t function,
                         int n,
                         const char *const *values,
                         const int *lengths);

// Starts to create an empty large object.
//
// conn: a connection that is up, outside of a group (CONN_MORE). oid: the OID that it is to have; 0 for any that is free.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is its OID.
uint64_t conn_start_lo_create(struct Conn *conn,
                              uint32_t oid);

// Starts to open a large object. Its descriptor lives until the end of the transaction: outside of a transaction block that is
// the end of this very call, and the descriptor is of no use.
//
// conn: a connection that is up, outside of a group (CONN_MORE). oid: of the large object.
// mode: CONN_LO_READ, CONN_LO_WRITE or both.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is the descriptor, from 0.
uint64_t conn_start_lo_open(struct Conn *conn,
                            uint32_t oid,
                            int mode);

// Starts to close a descriptor. The end of the transaction closes all of them.
//
// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is 0.
uint64_t conn_start_lo_close(struct Conn *conn, int fd);

// Starts to read at the descriptor's position, which moves on.
//
// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor.
// length: how many bytes at most; not more than 1 GB less 1 KB, and they come as one piece.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the bytes of a CONN_ITEM_CALLED are conn_result_value and conn_result_length of its result,
// row 0 and column 0. They are fewer than asked for only at the end of the large object.
uint64_t conn_start_lo_read(struct Conn *conn,
                            int fd,
                            size_t length);

// Starts to write at the descriptor's position, which moves on.
//
// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor, open for writing.
// data, length: the bytes, not more than 1 GB less 1 KB; not needed after the call.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is the number of bytes written.
uint64_t conn_start_lo_write(struct Conn *conn,
                             int fd,
                             const char *data,
                             size_t length);

// Starts to move the descriptor's position. It may lie behind the end: what is written there leaves a gap of zeroes.
//
// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor.
// offset: in bytes. whence: from where, as with lseek: SEEK_SET, SEEK_CUR or SEEK_END.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is the new position.
uint64_t conn_start_lo_seek(struct Conn *conn,
                            int fd,
                            int64_t offset,
                            int whence);

// Starts to ask for the descriptor's position.
//
// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is the position.
uint64_t conn_start_lo_tell(struct Conn *conn, int fd);

// Starts to cut off a large object, or to make it longer with zeroes.
//
// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor, open for writing.
// length: how many bytes it is to have.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is 0.
uint64_t conn_start_lo_truncate(struct Conn *conn,
                                int fd,
                                int64_t length);

// Starts to remove a large object.
//
// conn: a connection that is up, outside of a group (CONN_MORE). oid: of the large object.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is 1.
uint64_t conn_start_lo_unlink(struct Conn *conn, uint32_t oid);

// Starts to make a large object of a file's content, from the file's position on. One operation moves all of it, in pieces, within
// conn_poll; its memory does not grow with the file. Inside of a transaction block it is part of that; else it has a transaction of
// its own, which is rolled back when it fails. Until its done no other operation can be started.
//
// conn: a connection that is up, outside of a group (CONN_MORE). oid: the OID that it is to have; 0 for any that is free.
// file: a descriptor open for reading, which is duplicated: you may close it after the call. Pipes, sockets and terminals,
// which could be waited for, are refused.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is its OID. Of an error of the file conn_error_errno tells.
uint64_t conn_start_lo_import(struct Conn *conn,
                              int file,
                              uint32_t oid);

// Starts to write a large object's content to a file, at the file's position. The rest is as in conn_start_lo_import; what
// was written to the file before a failure stays there.
//
// conn: a connection that is up, outside of a group (CONN_MORE). oid: of the large object.
// file: a descriptor open for writing, which is duplicated: you may close it after the call.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is the OID. Of an error of the file conn_error_errno tells.
uint64_t conn_start_lo_export(struct Conn *conn,
                              uint32_t oid,
                              int file);

// How long operations that are started from now on may take, each counted from the conn_poll after its start to its end.
//
// When its time is over an operation gives CONN_ITEM_ERROR ("timeout expired: …", SQLSTATE 57014) at once, even while
// operations before it are still running: look at item.operation. Nothing else is given of it but its CONN_ITEM_DONE,
// which comes in its turn. Meanwhile the library asks the server to stop it, over a connection of its own, whose
// descriptor conn_socket names for that time (CONN_SOCKET_CHANGED); what you start is sent when that is over. So
//
//   CONN_OUTCOME_FAILED     the server has stopped it, or refused it for a reason of its own: it did not take effect
//   CONN_OUTCOME_DISCARDED  the server was faster: it has taken effect, what it gave is gone
//   CONN_OUTCOME_SKIPPED    it was never sent
//
// with CONN_VERDICT_CLEAN: the connection is as good as before; CONN_VERDICT_IN_TRANSACTION: it is, inside a transaction
// block, which has failed if transaction is CONN_TRANSACTION_FAILED (roll it back), or inside an open group (conn_sync);
// CONN_VERDICT_LOST: it is over, and whether the operation took effect is not known.
//
// Only what nobody wants is stopped: if an operation whose time is not over has been sent behind it, or the server gave
// no key for such requests, what comes is read and dropped instead. Where the transport is yours, the request is, too:
// conn_cancel_open.
//
// conn: the connection. ms: milliseconds; 0 and -1: no limit, as at the beginning. conn_reset keeps it.
// Next: conn_deadline_ms takes part in it: poll when it says so.
void conn_set_timeout_ms(struct Conn *conn,
                         int64_t ms);

// How long the server has to end an operation that nobody wants any more, counted from the first request to stop it. Then
// the connection is over (CONN_VERDICT_LOST).
//
// conn: the connection. ms: milliseconds; 0 and -1: 5 seconds, as at the beginning. conn_reset keeps it.
void conn_set_cancel_timeout_ms(struct Conn *conn,
                                int64_t ms);

// Gives up an operation: what it has given and was not taken is dropped, and nothing is given of it any more but its
// CONN_ITEM_DONE, whose outcome and verdict mean what they mean after conn_set_timeout_ms.
//
// It may end in its own time: when it is its turn it has 50 ms and 1 MB, then the server is asked to stop it. One of a
// group is not stopped while others of the group are wanted, for they would fail with it. A group that is open stays
// open: conn_sync ends it.
//
// conn: the connection. operation: what the starter returned; 0 for all that were started.
// Returns 1; 0 when there is no such operation whose CONN_ITEM_DONE is still to be taken.
// Next: start what you like; conn_poll, conn_get_result.
int conn_abandon(struct Conn *conn,
                 uint64_t operation);

// Starts the end in good order, an operation: when everything that was started is done the server is told goodbye, and
// when it has closed the connection this operation is done (CONN_OUTCOME_OK, CONN_VERDICT_LOST). Nothing can be started
// behind it. conn_close alone waits for nothing: it says goodbye if that can be done at once, and drops what is under way.
//
// conn: a connection that is up. ms: when so many milliseconds are over the connection ends anyhow; 0 and -1: no limit.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll and conn_get_result until CONN_FAILED, then conn_close.
uint64_t conn_start_shutdown(struct Conn *conn,
                             int64_t ms);

// Takes the next finished item. The items of operations come in order, but for the error of one whose time is over
// (conn_set_timeout_ms), which comes at once; each operation ends with exactly one
// CONN_ITEM_DONE. Not taking them stops the reading, so memory stays bounded.
//
// conn: the connection. item: is filled; its old content is not looked at and not freed.
// Returns 1; 0 when nothing is finished now, and when it is refused, in which case item is left as it was.
// item->result and item->error are yours, and outlive the connection.
// Next: call it until it returns 0, then conn_poll.
int conn_get_result(struct Conn *conn,
                    struct ConnItem *item);

// Takes several finished items at once: the same as so many calls of conn_get_result, for less.
//
// conn: the connection. items: room for `most` of them; filled as conn_get_result fills one. most: how many at most.
// Returns how many were filled; 0 when nothing is finished now, and when it is refused.
// What they hold is yours, and outlives the connection.
// Next: call it until it returns less than most, then conn_poll.
size_t conn_get_results(struct Conn *conn,
                        struct ConnItem *items,
                        size_t most);

// How the rows of operations that are started from now on are cut into items. Without it a whole result is one item.
//
// conn: the connection. rows, bytes: a batch ends after so many rows or bytes, whichever comes first; 0 is no limit.
void conn_set_batch(struct Conn *conn,
                    size_t rows,
                    size_t bytes);

// Starts a COPY: FROM STDIN, TO STDOUT, or the START_REPLICATION of a replication connection, which goes both ways. It is a simple
// query: other statements and other COPYs may be in the string, and what is none is just run. Until it is done nothing else can
// be started.
//
// conn: a connection that is up. sql: the statements; not needed after the call.
// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, until conn_get_result gives CONN_ITEM_COPY for each COPY as it begins. item.copy says which way:
//   CONN_COPY_IN: conn_copy_put, then conn_copy_end. CONN_COPY_OUT: conn_copy_get. CONN_COPY_BOTH: all of them. The last item
//   is CONN_ITEM_DONE as ever. conn_abandon is safe at any moment, and what was put then comes to nothing.
uint64_t conn_start_copy(struct Conn *conn,
                         const char *sql);

// Puts data of a COPY, and sends nothing: conn_poll does.
//
// conn: a connection whose COPY has begun and goes to the server, or both ways.
// data: length bytes, which need not be a row: pieces of any size do, and small ones are put together. Of a COPY that goes both ways
//   each piece is a message. Not needed after the call.
// Returns 1; 0 when nothing of it was taken, and conn_error(conn) says why: CONN_ERROR_WOULD_BLOCK when too much is queued. After
//   an error of the server, which is an item, it is refused too.
// Next: more of it; conn_poll now and then, at the latest when it would block: when that says CONN_ROOM, put the same again.
//   conn_copy_end behind the last piece.
int conn_copy_put(struct Conn *conn,
                  const void *data,
                  size_t length);

// Ends the data that is put.
//
// conn: as for conn_copy_put.
// error: NULL when the data is complete; else why it is not: the server undoes the COPY, and fails with that text. Not with a COPY
//   that goes both ways. Not needed after the call.
// Returns 1; 0 when it is refused, and conn_error(conn) says why.
// Next: conn_poll, conn_get_result. Of a COPY that goes both ways the server may still give data: take it.
int conn_copy_end(struct Conn *conn,
                  const char *error);

// Takes data of a COPY: messages as the server sent them. In text form each is a row with its newline. Data that is not taken stops
// the reading, so memory stays bounded.
//
// conn: a connection whose COPY has begun. messages: is filled, where they were received: none is copied. most: room for so many.
// Returns how many there were; 0 when there is none now, while an item is there to be taken first, and when it is refused.
// Borrowed until the next call with this connection.
// Next: the same again until it is 0, then conn_poll, which says CONN_COPY when there is more.
size_t conn_copy_get(struct Conn *conn,
                     struct ConnBytes *messages,
                     size_t most);

// Frees a result. Everything that was borrowed from it goes with it; what was exported stays (conn_result_export_arrow).
//
// result: the result, or NULL.
void conn_result_free(struct ConnResult *result);

// How many rows.
//
// result: the result.
// Returns the number; 0 for a description, and for NULL.
size_t conn_result_rows(const struct ConnResult *result);

// How many columns.
//
// result: the result.
// Returns the number; 0 for the description of a statement that returns no rows, and for NULL.
size_t conn_result_columns(const struct ConnResult *result);

// The name of a column.
//
// result: the result. column: its number, from 0.
// Returns the name; NULL when there is no such column, and for NULL.
// Borrowed from the result.
const char *conn_result_name(const struct ConnResult *result, size_t column);

// The first column of a name, compared byte by byte.
//
// result: the result. name: the column's name as the server spells it.
// Returns the column's number, from 0; -1 when there is none, and for NULL.
int conn_result_find(const struct ConnResult *result, const char *name);

// The type of a column.
//
// result: the result. column: its number, from 0.
// Returns the OID in pg_type; 0 when there is no such column, and for NULL.
uint32_t conn_result_type(const struct ConnResult *result, size_t column);

// The type modifier of a column (pg_attribute.atttypmod): the 20 of varchar(20) is in it.
//
// result: the result. column: its number, from 0.
// Returns the modifier; -1 when the type has none; 0 when there is no such column, and for NULL.
int32_t conn_result_type_modifier(const struct ConnResult *result, size_t column);

// The size of a column's type in the server (pg_type.typlen).
//
// result: the result. column: its number, from 0.
// Returns bytes; negative for types of variable length; 0 when there is no such column, and for NULL.
int32_t conn_result_type_size(const struct ConnResult *result,
                              size_t column);

// The table that a column comes from.
//
// result: the result. column: its number, from 0.
// Returns the OID in pg_class; 0 when it is no simple reference to a table's column, or there is none, and for NULL.
uint32_t conn_result_table(const struct ConnResult *result,
                           size_t column);

// A column's attribute number in the table that it comes from (pg_attribute.attnum).
//
// result: the result. column: its number, from 0.
// Returns the number; 0 when it is no simple reference to a table's column, or there is none, and for NULL.
int32_t conn_result_attribute(const struct ConnResult *result,
                              size_t column);

// The format of a column's values.
//
// result: the result. column: its number, from 0.
// Returns CONN_TEXT or CONN_BINARY; CONN_TEXT in a description, where it is not known, when there is no such column, and for NULL.
int conn_result_format(const struct ConnResult *result,
                       size_t column);

// The parameters of a statement that was described.
//
// result: the result of a CONN_ITEM_DESCRIBED. count: where their number goes.
// Returns their type OIDs; NULL when there are none (count is 0), and for NULL.
// Borrowed from the result.
const uint32_t *conn_result_parameters(const struct ConnResult *result, size_t *count);

// The value of a cell, where it lies. A NUL follows it, so that a text value is a C string.
//
// result: the result. row, column: their numbers, from 0.
// Returns the value; NULL for SQL NULL, for what lies outside of the result, and for NULL. Not aligned: copy a binary value
//   out before you read it as a number.
// Borrowed from the result.
const char *conn_result_value(const struct ConnResult *result,
                              size_t row,
                              size_t column);

// The length of a cell's value in bytes, without the NUL that follows it.
//
// result: the result. row, column: their numbers, from 0.
// Returns the length; 0 for SQL NULL, for what lies outside of the result, and for NULL.
size_t conn_result_length(const struct ConnResult *result, size_t row, size_t column);

// Whether a cell is SQL NULL.
//
// result: the result. row, column: their numbers, from 0.
// Returns 1 for SQL NULL, for what lies outside of the result, and for NULL; else 0.
int conn_result_is_null(const struct ConnResult *result, size_t row, size_t column);

// All cells of some rows in one call: row after row, and in a row column after column.
//
// result: the result. first_row: from which row, from 0. row_count: how many rows at most.
// values: room for row_count times conn_result_columns pointers; NULL for SQL NULL, else as conn_result_value.
// lengths: room for as many lengths in bytes; 0 for SQL NULL.
// Returns how many rows were filled: fewer than row_count where the result ends, 0 for NULL.
// The values are borrowed from the result.
size_t conn_result_cells(const struct ConnResult *result,
                         size_t first_row,
                         size_t row_count,
                         const char **values,
                         size_t *lengths);

// A result, or a batch of one, as an Arrow array: for pyarrow, polars, DuckDB and whatever else takes the Arrow C data interface
// (<https://arrow.apache.org/docs/format/CDataInterface.html>). Each column is decoded at once; nothing is asked of the server.
//
// The array is a struct array (+s) with a child for each column, a record batch. By type: bool b; int2, int4, int8 s, i, l; oid,
// xid, cid I; xid8 L; float4, float8 f, g; numeric(p,s) up to 38 digits d:p,s, other numerics text; date tdD; time ttu; timestamp
// tsu:; timestamptz tsu:UTC; uuid w:16 with the extension arrow.uuid; bytea z; text, varchar, char, name, json, jsonb and xml u;
// all others as the server writes them: u from a text result, z from a binary one. A column of more than 2 GB is U or Z. Infinite
// dates and timestamps are the largest number of the type and, negative, its negation, as in DuckDB. Each field's metadata have
// postgresql.type_oid and postgresql.type_modifier, decimal numbers.
//
// Text results are understood in DateStyle ISO; text must be UTF-8 (client_encoding UTF8).
//
// result: the result of a CONN_ITEM_ROWS. flags: CONN_ARROW_… together, or 0.
// schema: where the types go; NULL if they are known from an earlier batch. array: where the values go. Neither needs to be
//   initialised.
// Returns 1; 0 when a value cannot be had in Arrow, or for misuse: then nothing needs to be released, and conn_error(NULL) says why.
// Both are yours: call their release, in any order, from any thread. The result can be freed before or after.
int conn_result_export_arrow(const struct ConnResult *result,
                             uint32_t flags,
                             struct ArrowSchema *schema,
                             struct ArrowArray *array);

// What went wrong: the last call since the last conn_poll that was refused; else why the connection is over.
//
// conn: the connection; NULL asks for this thread's last refused call that had no connection (conn_result_export_arrow, those of a
//   group), a NULL one, or one that another call was inside.
// Returns the error, NULL when there is none. The error of an operation is not here: it is an item of conn_get_result.
// Borrowed until the next call with this connection (NULL: until this thread's next refused call); do not free it.
const struct ConnError *conn_error(const struct Conn *conn);

// Frees an error or a notice that is yours: from conn_get_result or conn_get_notice.
//
// error: the error, or NULL. What conn_error returned is not yours.
void conn_error_free(struct ConnError *error);

// Whose fault it is.
//
// error: the error.
// Returns CONN_ERROR_…; 0 for NULL.
int32_t conn_error_kind(const struct ConnError *error);

// The message: of the server's words the primary one. While connecting it begins with which server it was.
//
// error: the error.
// Returns the text, byte for byte as the server sent it; NULL for NULL.
// Borrowed from the error.
const char *conn_error_message(const struct ConnError *error);

// The SQLSTATE, five characters (manual, "PostgreSQL Error Codes"): the server's, or 08006 when the transport failed,
// or 57014 when an operation was given up at its deadline (conn_set_timeout_ms).
//
// error: the error.
// Returns the text; NULL when there is none (misuse), and for NULL.
// Borrowed from the error.
const char *conn_error_sqlstate(const struct ConnError *error);

// The severity: ERROR, FATAL, PANIC; of a notice WARNING, NOTICE, DEBUG, INFO, LOG. Never translated by servers since 9.6.
//
// error: the error.
// Returns the text; NULL when the server did not say it, and for NULL.
// Borrowed from the error.
const char *conn_error_severity(const struct ConnError *error);

// The server's second message with more about the problem.
//
// error: the error.
// Returns the text; NULL when there is none, and for NULL.
// Borrowed from the error.
const char *conn_error_detail(const struct ConnError *error);

// The server's suggestion of what to do about the problem.
//
// error: the error.
// Returns the text; NULL when there is none, and for NULL.
// Borrowed from the error.
const char *conn_error_hint(const struct ConnError *error);

// Where in the statement the error is.
//
// error: the error.
// Returns the position in characters, from 1; 0 when the server did not say it, and for NULL.
size_t conn_error_position(const struct ConnError *error);

// Any field of the server's words by its code (manual, "Error and Notice Message Fields").
//
// error: the error. code: such as 't' for the table's name or 'n' for the constraint's.
// Returns the text; NULL when there is no such field, and for NULL.
// Borrowed from the error.
const char *conn_error_field(const struct ConnError *error, int code);

// The errno of the system call that failed.
//
// error: the error.
// Returns the number; 0 when no system call is to blame, and for NULL.
int conn_error_errno(const struct ConnError *error);

// Whether the same work can be tried again without doing it twice: nothing of it was sent, or the server said that it did
// nothing for a reason that passes (serialization failure, deadlock, starting up).
//
// error: the error.
// Returns 1 or 0; 0 for NULL.
int conn_error_safe_to_retry(const struct ConnError *error);

// The whole of it for people, as psql shows it: severity, message, position, DETAIL, HINT, QUERY, CONTEXT, each on a line
// of its own. No newline at the end.
//
// error: the error.
// Returns the text; NULL for NULL.
// Borrowed from the error.
const char *conn_error_text(const struct ConnError *error);

// Takes the next notice of the server: a warning, the output of RAISE NOTICE and the like. Of notices that are not taken
// the newest are kept, up to 1 MiB; conn_notices_dropped counts the others.
//
// conn: the connection.
// Returns the notice, which is read like an error (conn_error_message, conn_error_severity, …); NULL when there is none.
// Yours until conn_error_free.
// Next: call it until it returns NULL.
struct ConnError *conn_get_notice(struct Conn *conn);

// How many notices were dropped since the connection was opened, the oldest ones first, because more than 1 MiB of them was
// not taken.
//
// conn: the connection.
// Returns the number; 0 also when it is refused.
uint64_t conn_notices_dropped(const struct Conn *conn);

// Takes the next notification. Execute LISTEN to get any; they arrive on an idle connection too, in the order in which their
// transactions were committed, and none is dropped: when 1 MiB of them was not taken, nothing more is received, results
// neither.
//
// LISTEN is in force when its transaction is committed: with the CONN_ITEM_DONE of the operation when its verdict is
// CONN_VERDICT_CLEAN, else with that of the COMMIT. What is committed after that instant is notified. Look at the tables
// after that CONN_ITEM_DONE, not before, and rely on notifications from then on (manual, "LISTEN"). A session that notifies
// a channel that it listens to gets it too.
//
// CONN_FAILED is the end of listening: notifications that came before it are still given, also after conn_reset; those after
// it are lost. LISTEN again once the connection is idle, and look at the tables again. A server that vanished without a word
// is noticed by the keepalives* options, or by asking it: conn_set_timeout_ms and conn_start_query(conn, "") now and then.
//
// conn: the connection.
// Returns the notification; NULL when there is none, and when there is no memory for it: it stays, and conn_error says so.
// Yours until conn_notification_free.
// Next: call it until it returns NULL.
struct ConnNotification *conn_get_notification(struct Conn *conn);

// The channel that was notified.
//
// notification: the notification.
// Returns its name; NULL for NULL.
// Borrowed from the notification.
const char *conn_notification_channel(const struct ConnNotification *notification);

// What the notifier said.
//
// notification: the notification.
// Returns the payload, "" when there is none; NULL for NULL.
// Borrowed from the notification.
const char *conn_notification_payload(const struct ConnNotification *notification);

// The process ID of the backend that notified; compare it with conn_backend_pid to know your own.
//
// notification: the notification.
// Returns the process ID; 0 for NULL.
int conn_notification_pid(const struct ConnNotification *notification);

// Frees a notification.
//
// notification: the notification, or NULL.
void conn_notification_free(struct ConnNotification *notification);

// Begins to ask the server to stop what it does for a connection. Nothing waits: conn_cancel_poll does the work, on a
// connection of its own, to the same server, encrypted as the first one is.
//
// Where the connection is over a transport of yours (conn_open_fd, conn_open_stream) nothing can be dialled: make another
// transport to the same server, and carry the request's bytes over it with conn_cancel_feed and conn_cancel_take_output.
// Encryption by GSSAPI is not there for such a request: it fails.
//
// conn: a connection that is up.
// Returns the request; NULL when it is refused, and conn_error(conn) says why.
// Yours until conn_cancel_close.
// Next: conn_cancel_poll until it says CONN_IDLE or CONN_FAILED.
struct ConnCancel *conn_cancel_open(const struct Conn *conn);

// Goes on with the request, and says what to wait for. Never waits.
//
// cancel: the request.
// Returns CONN_WANT_READ, CONN_WANT_WRITE, CONN_SOCKET_CHANGED as conn_poll does; CONN_IDLE when the server has the
//   request; CONN_FAILED when it could not be told, and conn_cancel_error says why; CONN_MISUSE as conn_poll does.
// Next: wait for conn_cancel_socket, or carry the bytes; of a request that has failed there are none. Whether anything was
//   stopped is seen on the connection: its operation fails with SQLSTATE 57014, or was done before. Take its CONN_ITEM_DONE before
//   you start another one.
uint32_t conn_cancel_poll(struct ConnCancel *cancel);

// The descriptor to wait for; not yours to close, read or write.
//
// cancel: the request.
// Returns the descriptor; -1 when there is none now, when you carry the bytes, and when it is refused.
int conn_cancel_socket(struct ConnCancel *cancel);

// How long to wait at most before the next conn_cancel_poll: connect_timeout is for all of it, or 5 seconds without one.
//
// cancel: the request.
// Returns milliseconds from now, rounded up; 0 when the time has come; -1 before the first poll, when it is over, and when
//   it is refused.
int64_t conn_cancel_deadline_ms(struct ConnCancel *cancel);

// The request as it goes over the wire, not encrypted yet: for those who do without conn_cancel_poll, and send it over a
// connection of its own to the same server, encrypted as the first one is, which the server closes when it has dealt with it.
//
// cancel: the request. len: is set to the number of bytes.
// Returns the bytes; NULL when it is refused, and conn_cancel_error says why. They are as secret as a password.
// Borrowed from the request; do not free it.
const char *conn_cancel_packet(struct ConnCancel *cancel,
                               size_t *len);

// What went wrong: the last call since the last conn_cancel_poll that was refused; else why the server could not be told.
//
// cancel: the request.
// Returns the error; NULL when there is none, and when it is refused.
// Borrowed until the next call with this request; do not free it.
const struct ConnError *conn_cancel_error(struct ConnCancel *cancel);

// Closes the request's own connection and frees it. Never waits. Closed before CONN_IDLE it may or may not have an effect.
//
// cancel: the request, or NULL.
void conn_cancel_close(struct ConnCancel *cancel);

// Begins to connect over a stream socket that is connected already: a tunnel, a socket of systemd's, one end of a
// socketpair. Nothing is resolved and nothing dialled; all else is done as conninfo says, TLS and authentication included.
//
// fd: a connected stream socket, blocking or not. It is the connection's from now on, is closed with it, and becomes
//   close-on-exec; also when conninfo makes no sense. Only what is no descriptor at all is left alone.
// conninfo: as for conn_open, with one host at most: what the socket leads to. Its name is what the server's certificate
//   has to have (sslmode=verify-full) and, with the port, what the password file is searched for. Not needed after the call.
// Returns a connection, as conn_open does.
// Yours until conn_close.
// Next: conn_poll until it says CONN_IDLE or CONN_FAILED. It cannot be reset, and requests to cancel are yours to
//   carry: conn_cancel_open.
struct Conn *conn_open_fd(int fd,
                          const char *conninfo);

// Begins to connect over bytes that you carry, by whatever means: conn_feed brings what the server has sent,
// conn_take_output gives what it is to be sent. There is no descriptor: conn_socket is -1. CONN_WANT_READ means that the
// connection waits for the server, CONN_WANT_WRITE that there is output to take. conn_wait does not wait.
//
// conninfo: as for conn_open_fd.
// Returns a connection, as conn_open does.
// Yours until conn_close.
// Next: the loop is conn_poll, conn_take_output until there is none, conn_feed with what has arrived, conn_poll …: poll after
//   each of them. conn_deadline_ms and all that is not about descriptors is as ever. It cannot be reset, and requests to cancel
//   are yours to carry: conn_cancel_open. An operation whose deadline has passed is only waited for, as long as
//   conn_set_cancel_timeout_ms says.
struct Conn *conn_open_stream(const char *conninfo);

// Brings bytes that the server has sent. Copies them and does nothing else: conn_poll works on them.
//
// conn: a connection of conn_open_stream. bytes: what has arrived, len bytes, in order. Not needed after the call.
// Returns how many were taken, the first ones; fewer than len, perhaps 0, when there is no room: poll, take results, and
//   bring the others again. 0 also when the connection is over, and when it is refused.
// Next: conn_poll.
size_t conn_feed(struct Conn *conn,
                 const void *bytes,
                 size_t len);

// Says that the server has closed the transport: nothing comes after what was fed.
//
// conn: a connection of conn_open_stream.
// Next: conn_poll. What was fed before is still worked through; then the connection is over.
void conn_feed_eof(struct Conn *conn);

// Takes bytes that are to be carried to the server, in order. What is taken is yours to carry, all of it.
//
// conn: a connection of conn_open_stream. into: where they are put. size: the room there, in bytes.
// Returns how many there were, at most size; 0 when there are none now, and when it is refused.
// Next: the same again until it is 0, then conn_poll: there may be more.
size_t conn_take_output(struct Conn *conn,
                        void *into,
                        size_t size);

// Brings bytes that the server has sent over the request's own transport. Copies them and does nothing else.
//
// cancel: a request about a connection over a transport of yours. bytes: what has arrived, len bytes, in order. Not needed
//   after the call.
// Returns how many were taken, the first ones; fewer than len when there is no room: poll, and bring the others again. 0
//   also when the request is over, and when it is refused: conn_cancel_error says why.
// Next: conn_cancel_poll.
size_t conn_cancel_feed(struct ConnCancel *cancel,
                        const void *bytes,
                        size_t len);

// Says that the server has closed the request's own transport: nothing comes after what was fed. That is how it says that it
// has dealt with the request.
//
// cancel: a request about a connection over a transport of yours.
// Next: conn_cancel_poll.
void conn_cancel_feed_eof(struct ConnCancel *cancel);

// Takes bytes that are to be carried to the server over the request's own transport, in order. What is taken is yours to
// carry, all of it.
//
// cancel: a request about a connection over a transport of yours. into: where they are put. size: the room there, in bytes.
// Returns how many there were, at most size; 0 when there are none now, and when it is refused.
// Next: the same again until it is 0, then conn_cancel_poll: there may be more.
size_t conn_cancel_take_output(struct ConnCancel *cancel,
                               void *into,
                               size_t size);

// Makes a group without members. It takes one descriptor.
//
// Returns the group; NULL when there are no more descriptors or no memory, and conn_error(NULL) says why.
// Yours until conn_group_close.
// Next: conn_group_add.
struct ConnGroup *conn_group_open(void);

// Frees a group. Its members are released, not closed: they are yours to drive again.
//
// group: the group, or NULL. Remove conn_group_socket(group) from your event loop before.
// Next: conn_poll of what was a member says CONN_SOCKET_CHANGED: register conn_socket.
void conn_group_close(struct ConnGroup *group);

// Adds a connection, at whatever point it is: connecting, idle, with operations under way, even over. From now on the group
// drives it. A connection is in one group at most.
//
// group: the group. conn: the connection; take its descriptor out of your event loop before. Not one of conn_open_stream,
//   which has no descriptor. data: comes with it in ConnReady; may be NULL.
// Returns 1; 0 when it is refused, and conn_error(NULL) says why.
// The group does not own it: conn_close closes it, and takes it out of its group.
// Next: conn_group_poll.
int conn_group_add(struct ConnGroup *group,
                   struct Conn *conn,
                   void *data);

// Takes a connection out of its group. Its operations go on, whoever drives it now.
//
// group: its group. conn: the connection.
// Returns 1; 0 when it is refused, and conn_error(NULL) says why.
// Next: it is yours to drive again: conn_poll says CONN_SOCKET_CHANGED.
int conn_group_remove(struct ConnGroup *group, struct Conn *conn);

// The descriptor to wait for: readable when a member has to be polled. It stays the same. Not yours to read, write or close.
//
// group: the group. Other threads and signal handlers may ask while a call is inside it.
// Returns the descriptor; -1 for NULL.
int conn_group_socket(const struct ConnGroup *group);

// How long to wait at most before the next conn_group_poll.
//
// group: the group. Other threads and signal handlers may ask while a call is inside it.
// Returns milliseconds from now, rounded up; 0 when the time has come, or since the last poll you were given a member or have
//   done something with one that has to be sent; -1 when there is no limit, and for NULL.
int64_t conn_group_deadline_ms(const struct ConnGroup *group);

// Polls those members that have something to do, within bounds. Never waits. A call too many is harmless.
//
// group: the group.
// Returns bits:
//   CONN_WANT_READ  wait until conn_group_socket is readable: always, while there are members
//   CONN_RUNNABLE   there is more to do now: call it again soon, without waiting
//   CONN_RESULT     conn_group_get_ready has something to give
//   CONN_IDLE       nothing is under way in any member: all that was started is finished, if perhaps not taken, or does not
//                   go on before you do something; what has not finished connecting is under way
//   CONN_FAILED     conn_group_get_failed has something to give
//   CONN_MISUSE     alone: it is refused, and conn_error(NULL) says why
// Next: conn_group_get_ready.
uint32_t conn_group_poll(struct ConnGroup *group);

// The next member with something to take or to know, the one that has waited longest. After each conn_group_poll each
// member is given once at most; it is given again after a later one, if its results are not all taken then, or when there is
// something new: a result, a notification, that it is idle now, that it is over.
//
// group: the group. ready: is filled.
// Returns 1; 0 when there is none now, and when it is refused, in which case ready is left as it was.
// ready->conn is yours already.
// Next: take what it has, start what you like; when there are no more, conn_group_poll.
int conn_group_get_ready(struct ConnGroup *group,
                         struct ConnReady *ready);

// The next operation that has failed, or connection that was lost, in the order in which that was seen: of each member the first
// since it was last told. What is abandoned does not fail, and what is skipped is not told.
//
// group: the group. ready: is filled, with the operation; its bits are 0.
// Returns 1; 0 when there is none now, and when it is refused, in which case ready is left as it was.
// Each is told once. To forget those before some moment, call it until it returns 0.
// Next: the error itself is an item of the connection, or its conn_error.
int conn_group_get_failed(struct ConnGroup *group,
                          struct ConnReady *ready);

// How many members have something that is not done: they connect, or operations of theirs are not finished, be it that these
// are under way or wait for you. Operations that were just started count.
//
// group: the group.
// Returns how many; 0 also when it is refused.
// Next: while it is not 0, conn_group_wait with CONN_WAIT_ALL, and take what there is.
size_t conn_group_pending(struct ConnGroup *group);

// How the group stands. Does no work.
//
// group: the group. state: is filled.
// Returns 1; 0 when it is refused, and state is left as it was.
int conn_group_state(struct ConnGroup *group, struct ConnGroupState *state);

// Polls and waits until what is waited for has come; also returns when nothing can come any more, because there are no
// members, or all are over and told. For programs without an event loop; the only call of a group that waits.
//
// group: the group. what: CONN_WAIT_ANY, CONN_WAIT_ALL or CONN_WAIT_FIRST_ERROR. timeout_ms: how long at most for all of it; -1
//   is for ever, 0 does not wait.
// Returns what the last conn_group_poll in it returned: without the bit that was waited for the time is over.
// CONN_WAIT_ALL means all that was started: it returns when each operation is finished (its CONN_ITEM_DONE is there to be
//   taken, or was taken), or waits for you, because so much was not taken that nothing more is received, a portal is
//   suspended, or a COPY goes on. So take what there is, and wait again while conn_group_pending is not 0.
// Next: conn_group_get_ready, conn_group_get_failed.
uint32_t conn_group_wait(struct ConnGroup *group,
                         int what,
                         int timeout_ms);

// Where the connection is in its life.
//
// conn: the connection.
// Returns CONN_STATUS_…; -1 when it is refused.
int32_t conn_status(const struct Conn *conn);

// A parameter that the server reported: server_version, client_encoding, TimeZone, in_hot_standby, ….
//
// conn: the connection. name: the parameter's name, as the server spells it.
// Returns its value; NULL when the server reported no such parameter, and when it is refused.
// Borrowed until the next conn_poll, conn_poll_state, conn_wait, conn_check, conn_get_result, conn_reset or conn_close.
const char *conn_parameter(const struct Conn *conn,
                           const char *name);

// The process ID of the server's backend.
//
// conn: the connection. Other threads and signal handlers may ask while a call is inside it.
// Returns the process ID; 0 before it is known, and for NULL.
int conn_backend_pid(const struct Conn *conn);

// The transaction's status, as the server last told it.
//
// conn: the connection.
// Returns CONN_TRANSACTION_…; CONN_TRANSACTION_UNKNOWN also when it is refused.
int32_t conn_transaction_status(const struct Conn *conn);

// The server's version as a number: 180006 is 18.6, 90603 is 9.6.3.
//
// conn: the connection.
// Returns the number; 0 before it is known, and when it is refused.
int conn_server_version(const struct Conn *conn);

// The version of the protocol in use, as a number: 30000 is 3.0, 30002 is 3.2.
//
// conn: the connection.
// Returns the number; 0 before it is known, and when it is refused.
int conn_protocol_version(const struct Conn *conn);

// The host in use as it was written: a name, an address or the folder of a socket. While connecting the one that is tried.
//
// conn: the connection.
// Returns the host; NULL for the default, a local socket, and when it is refused.
// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
const char *conn_host(const struct Conn *conn);

// The numeric address of the host in use. While connecting the one that is tried.
//
// conn: the connection.
// Returns the address; NULL for a local socket, before a name is resolved, and when it is refused.
// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
const char *conn_hostaddr(const struct Conn *conn);

// The port in use, also of a local socket.
//
// conn: the connection.
// Returns the port as it was written; NULL when it is refused.
// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
const char *conn_port(const struct Conn *conn);

// The role that the connection is made as.
//
// conn: the connection.
// Returns the name; NULL when the connection string made no sense, and when it is refused.
// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
const char *conn_user(const struct Conn *conn);

// The database that the connection is made to.
//
// conn: the connection.
// Returns the name; NULL when the connection string made no sense, and when it is refused.
// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
const char *conn_database(const struct Conn *conn);

// Whether the server asked for a password and there was none: ask the user for one, and open another connection.
//
// conn: the connection.
// Returns 1 or 0; 0 also when it is refused.
int conn_password_needed(const struct Conn *conn);

// Whether the server asked for a password and got one.
//
// conn: the connection.
// Returns 1 or 0; 0 also when it is refused.
int conn_password_used(const struct Conn *conn);

// What the connection is doing, as one line of JSON: phase, operation, what it waits for, where in the library and since
// when, bytes in and out, queue, transaction. For logs and debuggers; its fields may change. No values, no secrets.
//
// conn: the connection.
// Returns the line; NULL when it is refused.
// Yours until conn_free_string.
char *conn_inspect(const struct Conn *conn);

// What was odd when the connection was opened: a password file that others can read, say. One warning a line.
//
// conn: the connection.
// Returns the warnings; NULL when there are none, and when it is refused.
// Yours until conn_free_string.
char *conn_warnings(const struct Conn *conn);

// Frees a string that is yours.
//
// string: from conn_inspect or conn_warnings, or NULL.
void conn_free_string(char *string);

// The version of this library.
//
// Returns text such as "0.1.0". Lives as long as the library.
const char *conn_library_version(void);

// Whether what goes over the wire is encrypted.
//
// conn: the connection.
// Returns 1 from the end of the handshake of TLS or GSSAPI on, also after the connection is over; else 0, also when it is refused.
int conn_is_encrypted(const struct Conn *conn);

// What is known of the connection's TLS, under the names that libpq's PQsslAttribute has: library ("rustls"), protocol
// ("TLSv1.2" or "TLSv1.3"), cipher (by OpenSSL's name), key_bits (of the cipher), alpn (the protocol selected, or ""),
// compression (always "off").
//
// conn: the connection. name: one of these.
// Returns the value; NULL for another name, while the connection is not encrypted, and when it is refused.
// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
const char *conn_tls_attribute(const struct Conn *conn,
                               const char *name);

// Whether what goes over the wire is encrypted with GSSAPI (gssencmode).
//
// conn: the connection.
// Returns 1 from the end of the GSSAPI handshake on, also after the connection is over; else 0, also when it is refused.
int conn_is_gss_encrypted(const struct Conn *conn);

// Whether GSSAPI has told the server who we are, by authentication or by encryption.
//
// conn: the connection.
// Returns 1 from then on, also after the connection is over; else 0, also when it is refused.
int conn_is_gss_authenticated(const struct Conn *conn);

// The security context of GSSAPI, a gss_ctx_id_t of the system's library (libgssapi_krb5.so.2): to ask that library about it.
//
// conn: the connection.
// Returns the context; NULL without one, and when it is refused.
// Borrowed until the connection is over, or the next conn_reset or conn_close; nobody may change or delete it.
void *conn_gss_context(const struct Conn *conn);

// Gives the bearer token with which the connection lets itself in where the server wants one (OAUTHBEARER). The option oauth_issuer
// says whose tokens they are; oauth_client_id has to be set, too. An issuer: the token is shown only to servers that name a discovery
// document of that issuer, over a second connection. A discovery document: it is shown at once to the server that wants one, and
// over a transport of yours (conn_open_fd, conn_open_stream), which is one connection only, there is no other way.
//
// Before the first conn_poll it is at hand when the server asks; while there is CONN_WANT_TOKEN it is what the connection waits for;
// when the connection is up, or over, it is for the next conn_reset.
//
// conn: the connection. token: the token, of which a copy is kept, over resets too, and wiped when it goes; NULL forgets the one before,
//   and answers no CONN_WANT_TOKEN.
// Returns 1; 0 when it is refused: it has characters that bearer tokens have not (RFC 6750, 2.1), or is longer than 1 MiB.
// Next: conn_poll. A token that the server does not take ends in CONN_FAILED; give another, and conn_reset.
int conn_give_token(struct Conn *conn,
                    const char *token);

// Whether the connection asks for a token that was not given: by CONN_WANT_TOKEN, when a server wants one. None waits for the answer
// then, so that it may take its time, but for connect_timeout; over a transport of yours (conn_open_fd, conn_open_stream) the server
// does wait. Without, such a server does not let it in.
//
// conn: the connection. on: 1: it asks; 0: it does not, as at the beginning, but a CONN_WANT_TOKEN that is there stays. conn_reset
//   keeps it.
void conn_set_ask_token(struct Conn *conn,
                        int on);

// Says that there will be no token. Without CONN_WANT_TOKEN nothing happens.
//
// conn: the connection. why: becomes its error; NULL is "no token was given".
// Next: conn_poll, which says CONN_FAILED.
void conn_refuse_token(struct Conn *conn, const char *why);

// Where the issuer of the token that is wanted describes itself: the URL of its discovery document (RFC 8414, OpenID Connect
// Discovery).
//
// conn: the connection.
// Returns the URL; NULL without CONN_WANT_TOKEN, and when it is refused.
// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
const char *conn_token_discovery(const struct Conn *conn);

// The scopes that the token that is wanted has to be for, separated by spaces: of the option oauth_scope, or else as the server says.
//
// conn: the connection.
// Returns the scopes; NULL where they are not known, without CONN_WANT_TOKEN, and when it is refused.
// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
const char *conn_token_scope(const struct Conn *conn);

// Begins to trace the messages of the protocol, both directions, in the format of libpq's PQtrace: a line for each, with the
// time, F or B (from the frontend or the backend), its length, its name and its fields, between tabs. Call it right after
// conn_open and the startup is in it. It goes on after conn_reset, and takes the place of an earlier trace.
//
// Passwords and keys are never shown; the texts of statements and all values are.
//
// conn: the connection. fd: a descriptor that is open for writing: a file, a pipe, a socket, a terminal. It is duplicated:
//   close it when you like. flags: 0, or CONN_TRACE_SUPPRESS_TIMESTAMPS and CONN_TRACE_REGRESS_MODE.
// Returns 1; 0 when it is refused, and conn_error(conn) says why: the descriptor is closed, or not open for writing.
// Next: the lines of a call are written before it returns. No call waits for whoever reads them, also when fd is a
//   blocking descriptor, and SIGPIPE is never raised; a file takes the time that its disk takes. Lines that nobody takes are
//   kept up to 1 MB; then messages are left out, and a line says how many: "!", their number, a text, between tabs. When the
//   descriptor takes nothing any more (the reader has gone, the disk is full) the trace ends, and conn_warnings says why.
int conn_trace(struct Conn *conn,
               int fd,
               uint32_t flags);

// Ends the trace of messages. Without one nothing happens.
//
// conn: the connection.
// Returns 1; 0 when the trace is not complete, or it is refused, and conn_error(conn) says why.
int conn_untrace(struct Conn *conn);

// How many of its last changes of state a connection remembers, for conn_trace_timeline: phases, operations and how they ended,
// what was awaited, COPY, cancels, errors, bytes received and sent. It always remembers the last 16 of them.
//
// conn: the connection. entries: 48 bytes each; at most 1,048,576; 0 for the 16. conn_reset keeps it, and those there are.
// Returns 1; 0 when there is no memory for so many, or it is refused, and conn_error(conn) says why.
int conn_set_timeline(struct Conn *conn,
                      size_t entries);

// Writes what connections remember as a file that Perfetto (ui.perfetto.dev) and chrome://tracing show: trace events of
// Chrome's format, a JSON array. Each connection is a thread of the process, with its phases, operations and awaits as slices,
// cancels, errors, and counters of bytes; what is not over is begun and not ended. Times are microseconds of
// CLOCK_MONOTONIC: arrays of several processes can be put together. No SQL, no values, no secrets.
//
// conns: count connections; those that are NULL or that another call is inside are left out. fd: a descriptor that is
//   open for writing, and stays yours. It is not waited for: pass a file, or have the pipe emptied meanwhile.
// Returns 1 when all of it is written; else 0, and conn_error(NULL) says why.
int conn_trace_timeline(struct Conn *const *conns,
                        size_t count,
                        int fd);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PGPOLL_H */
