/* Results: made by hand, copied, changed, read outside of their bounds; events in their order; error fields and messages. */
#include <libpq-events.h>
#include <libpq-fe.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static PGconn *conn;
static const char *conninfo;

/* ---- what is printed ---- */

static void
say_notice(void *arg, const PGresult *res)
{
	printf("  notice to %s: %s", (const char *) arg, PQresultErrorMessage(res));
	printf("  %s %s %s %d %d\n", PQresultErrorField(res, PG_DIAG_SEVERITY), PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED),
		   PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), PQresultStatus(res), PQresultErrorField(res, PG_DIAG_SQLSTATE) == NULL);
}

static void
say_text(void *arg, const char *message)
{
	printf("  text to %s: %s", (const char *) arg, message);
}

static const char *
text(const char *string)
{
	return string ? string : "(null)";
}

static void
verbose(const PGresult *res)
{
	for (int verbosity = -1; verbosity <= 4; verbosity++)
		for (int context = -1; context <= 3; context++)
		{
			char	   *message = PQresultVerboseErrorMessage(res, verbosity, context);

			printf("  verbose %d %d [%s]\n", verbosity, context, message);
			PQfreemem(message);
		}
}

static void
fields(const PGresult *res)
{
	for (int code = -2; code < 260; code++)
		if (PQresultErrorField(res, code))
			printf("  field %d [%s]\n", code, code == PG_DIAG_SOURCE_LINE ? "a line" : PQresultErrorField(res, code));
}

static void
show(const char *what, PGresult *res)
{
	printf("%s: ", what);
	if (!res)
		printf("NULL ");
	printf("%d %s tuples %d fields %d params %d binary %d tag [%s] tuples [%s] oid [%s] %u error [%s] memory %d\n",
		   PQresultStatus(res), PQresStatus(PQresultStatus(res)), PQntuples(res), PQnfields(res), PQnparams(res),
		   PQbinaryTuples(res), text(PQcmdStatus(res)), PQcmdTuples(res), PQoidStatus(res), PQoidValue(res),
		   PQresultErrorMessage(res), PQresultMemorySize(res) > 0);
	for (int c = 0; c < PQnfields(res); c++)
		printf("  column %d [%s] table %d %d format %d type %u size %d mod %d number %d\n", c, text(PQfname(res, c)),
			   PQftable(res, c) > 16000 ? 1 : (int) PQftable(res, c), PQftablecol(res, c), PQfformat(res, c), PQftype(res, c),
			   PQfsize(res, c), PQfmod(res, c), PQfnumber(res, PQfname(res, c)));
	for (int r = 0; r < PQntuples(res) && r < 20; r++)
		for (int c = 0; c < PQnfields(res); c++)
		{
			const unsigned char *value = (const unsigned char *) PQgetvalue(res, r, c);
			int			length = PQgetlength(res, r, c);

			printf("  [%d,%d] null %d length %d end %d aligned %d ", r, c, PQgetisnull(res, r, c), length, value[length],
				   PQfformat(res, c) == 0 || length == 0 || (uintptr_t) value % 8 == 0);
			for (int at = 0; at < length && at < 40; at++)
				printf(value[at] >= ' ' && value[at] < 127 ? "%c" : "\\%02x", value[at]);
			printf("\n");
		}
}

static void
outside(const PGresult *res)
{
	static const int numbers[] = {INT_MIN, -2, -1, 0, 1, 2, 3, 7, 1000000, INT_MAX};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
	{
		int			n = numbers[i];

		printf("column %d: %s %u %d %d %u %d %d\n", n, text(PQfname(res, n)), PQftable(res, n) > 16000, PQftablecol(res, n),
			   PQfformat(res, n), PQftype(res, n), PQfsize(res, n), PQfmod(res, n));
		printf("param %d: %u\n", n, PQparamtype(res, n));
		for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
			printf("cell %d %d: %s %d %d\n", n, numbers[j], text(PQgetvalue(res, n, numbers[j])), PQgetlength(res, n, numbers[j]),
				   PQgetisnull(res, n, numbers[j]));
	}
}

/* ---- events ---- */

struct listener
{
	const char *name;
	int			fails;			/* at this event */
	int			nested;
};

static int	listen_a(PGEventId id, void *info, void *arg);
static int	listen_b(PGEventId id, void *info, void *arg);
static int	listen_c(PGEventId id, void *info, void *arg);

static int
heard(PGEventProc proc, PGEventId id, void *info, void *arg)
{
	static const char *names[] = {"REGISTER", "CONNRESET", "CONNDESTROY", "RESULTCREATE", "RESULTCOPY", "RESULTDESTROY"};
	static char data[64][16];
	static int	count;
	struct listener *listener = arg;

	printf("  event %s for %s", names[id], listener->name);
	switch (id)
	{
		case PGEVT_REGISTER:
			{
				PGEventRegister *event = info;

				printf(" data %s set %d", text(PQinstanceData(event->conn, proc)),
					   PQsetInstanceData(event->conn, proc, (void *) listener->name));
				printf(" now %s again %d", text(PQinstanceData(event->conn, proc)),
					   PQregisterEventProc(event->conn, proc, "again", NULL));
				break;
			}
		case PGEVT_CONNRESET:
			printf(" status %d data %s", PQstatus(((PGEventConnReset *) info)->conn), text(PQinstanceData(((PGEventConnReset *) info)->conn, proc)));
			break;
		case PGEVT_CONNDESTROY:
			printf(" status %d socket %d data %s", PQstatus(((PGEventConnDestroy *) info)->conn), PQsocket(((PGEventConnDestroy *) info)->conn) >= 0,
				   text(PQinstanceData(((PGEventConnDestroy *) info)->conn, proc)));
			break;
		case PGEVT_RESULTCREATE:
			{
				PGEventResultCreate *event = info;

				snprintf(data[count % 64], sizeof *data, "%s%d", listener->name, count);
				printf(" conn %d status %d tag [%s] data %s set %d", event->conn == conn, PQresultStatus(event->result), PQcmdStatus(event->result),
					   text(PQresultInstanceData(event->result, proc)), PQresultSetInstanceData(event->result, proc, data[count % 64]));
				count++;
				if (listener->nested && event->conn)
				{
					PGresult   *res;

					listener->nested = 0;
					printf("\n");
					res = PQmakeEmptyPGresult(event->conn, PGRES_COMMAND_OK);
					printf("  nested fire %d\n", PQfireResultCreateEvents(event->conn, res));
					PQclear(res);
					printf("  nested");
				}
				break;
			}
		case PGEVT_RESULTCOPY:
			{
				PGEventResultCopy *event = info;

				printf(" from %s to %s", text(PQresultInstanceData(event->src, proc)), text(PQresultInstanceData(event->dest, proc)));
				PQresultSetInstanceData(event->dest, proc, "copied");
				break;
			}
		case PGEVT_RESULTDESTROY:
			{
				PGEventResultDestroy *event = info;

				printf(" data %s status %d tuples %d", text(PQresultInstanceData(event->result, proc)), PQresultStatus(event->result),
					   PQntuples(event->result));
				break;
			}
	}
	printf("%s\n", listener->fails == (int) id ? " fails" : "");
	return listener->fails != (int) id;
}

static int
listen_a(PGEventId id, void *info, void *arg)
{
	return heard(listen_a, id, info, arg);
}

static int
listen_b(PGEventId id, void *info, void *arg)
{
	return heard(listen_b, id, info, arg);
}

static int
listen_c(PGEventId id, void *info, void *arg)
{
	return heard(listen_c, id, info, arg);
}

static void
drain(const char *what)
{
	PGresult   *res;

	while ((res = PQgetResult(conn)) != NULL)
	{
		show(what, res);
		PQclear(res);
	}
}

static void
run(const char *sql)
{
	PGresult   *res = PQexec(conn, sql);

	show(sql, res);
	PQclear(res);
}

static void
events(void)
{
	struct listener a = {"a", -1, 0},
				b = {"b", -1, 0},
				c = {"c", PGEVT_REGISTER, 0};
	PGresult   *res,
			   *copy;
	PGconn	   *other;

	printf("register %d %d %d %d %d\n", PQregisterEventProc(NULL, listen_a, "a", &a), PQregisterEventProc(conn, NULL, "a", &a),
		   PQregisterEventProc(conn, listen_a, NULL, &a), PQregisterEventProc(conn, listen_a, "", &a), PQsetInstanceData(conn, listen_a, &a));
	printf("register a %d\n", PQregisterEventProc(conn, listen_a, "a", &a));
	printf("register b %d\n", PQregisterEventProc(conn, listen_b, "b", &b));
	printf("register c %d\n", PQregisterEventProc(conn, listen_c, "c", &c));
	printf("register a again %d\n", PQregisterEventProc(conn, listen_a, "a", &a));
	printf("data %s %s %s %d %d\n", text(PQinstanceData(conn, listen_a)), text(PQinstanceData(conn, listen_b)),
		   text(PQinstanceData(conn, listen_c)), PQinstanceData(conn, NULL) == NULL, PQinstanceData(NULL, listen_a) == NULL);
	printf("set %d %d %d\n", PQsetInstanceData(conn, listen_c, "x"), PQsetInstanceData(NULL, listen_a, "x"), PQsetInstanceData(conn, NULL, "x"));

	run("select 1");
	run("select 1; select nothing; select 3");
	run("select 1; select 2");
	run("");
	run("create temp table e(i int)");
	run("do $$ begin raise notice 'hello'; end $$");
	PQclear(PQexecParams(conn, "select 7", 0, NULL, NULL, NULL, NULL, 1));
	PQclear(PQprepare(conn, "s", "select $1::int", 0, NULL));
	PQclear(PQdescribePrepared(conn, "s"));
	PQclear(PQclosePrepared(conn, "s"));

	printf("left to the next command %d\n", PQsendQuery(conn, "select 1; select 2; select 3"));
	res = PQgetResult(conn);
	PQclear(res);
	run("select 'next'");

	printf("single %d", PQsendQuery(conn, "select generate_series(1, 3)"));
	printf(" %d\n", PQsetSingleRowMode(conn));
	drain("single");
	printf("chunks %d", PQsendQuery(conn, "select generate_series(1, 5)"));
	printf(" %d\n", PQsetChunkedRowsMode(conn, 2));
	drain("chunks");
	printf("pipeline %d\n", PQenterPipelineMode(conn));
	PQsendQueryParams(conn, "select 1", 0, NULL, NULL, NULL, NULL, 0);
	PQsendQueryParams(conn, "selec", 0, NULL, NULL, NULL, NULL, 0);
	PQsendQueryParams(conn, "select 2", 0, NULL, NULL, NULL, NULL, 0);
	PQpipelineSync(conn);
	for (int i = 0; i < 8; i++)
	{
		res = PQgetResult(conn);
		if (res)
			verbose(res);
		PQclear(res);
	}
	printf("exit %d\n", PQexitPipelineMode(conn));

	b.fails = PGEVT_RESULTCREATE;
	res = PQexec(conn, "select 'b fails'");
	printf("data %s %s\n", text(PQresultInstanceData(res, listen_a)), text(PQresultInstanceData(res, listen_b)));
	printf("fire again %d\n", PQfireResultCreateEvents(conn, res));
	copy = PQcopyResult(res, PG_COPYRES_EVENTS | PG_COPYRES_TUPLES);
	show("copy", copy);
	printf("data %s %s\n", text(PQresultInstanceData(copy, listen_a)), text(PQresultInstanceData(copy, listen_b)));
	b.fails = -1;
	printf("fire again %d\n", PQfireResultCreateEvents(conn, res));
	printf("fire the copy %d\n", PQfireResultCreateEvents(NULL, copy));
	PQclear(res);
	PQclear(copy);

	a.fails = PGEVT_RESULTCOPY;
	b.fails = PGEVT_RESULTDESTROY;
	res = PQexec(conn, "select 'copying fails'");
	copy = PQcopyResult(res, PG_COPYRES_EVENTS);
	PQclear(copy);
	copy = PQcopyResult(res, PG_COPYRES_ATTRS | PG_COPYRES_NOTICEHOOKS);
	printf("no events %d\n", PQresultSetInstanceData(copy, listen_a, "x"));
	PQclear(copy);
	PQclear(res);
	a.fails = b.fails = -1;

	res = PQmakeEmptyPGresult(conn, PGRES_TUPLES_OK);
	printf("not told of %d %d\n", PQresultInstanceData(res, listen_a) == NULL, PQresultSetInstanceData(res, listen_a, "mine"));
	copy = PQcopyResult(res, PG_COPYRES_EVENTS);
	PQclear(copy);
	printf("fire %d\n", PQfireResultCreateEvents(conn, res));
	PQclear(res);
	res = PQmakeEmptyPGresult(conn, PGRES_TUPLES_OK);
	PQclear(res);
	res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	printf("without events %d %d %d\n", PQfireResultCreateEvents(conn, res), PQfireResultCreateEvents(NULL, NULL), PQfireResultCreateEvents(conn, NULL));
	printf("%d %d %d %d\n", PQresultSetInstanceData(res, listen_a, "x"), PQresultSetInstanceData(NULL, listen_a, "x"), PQresultSetInstanceData(res, NULL, "x"),
		   PQresultInstanceData(NULL, listen_a) == NULL && PQresultInstanceData(res, NULL) == NULL);
	PQclear(res);

	a.nested = 1;
	run("select 'nested'");
	PQreset(conn);
	printf("reset %d\n", PQstatus(conn));
	printf("reset start %d\n", PQresetStart(conn));
	while (PQresetPoll(conn) != PGRES_POLLING_OK)
		;
	run("select 'after'");

	other = PQconnectdb("host=/nonexistent user=u");
	printf("register on what failed %d\n", PQregisterEventProc(other, listen_a, "a", &a));
	res = PQexec(other, "select 1");
	show("exec on what failed", res);
	PQclear(res);
	PQreset(other);
	PQfinish(other);

	/* a result that outlives its connection */
	res = PQexec(conn, "select 'outlives'");
	PQfinish(conn);
	conn = PQconnectdb(conninfo);
	show("outlives", res);
	PQclear(res);
}

/* ---- results made by hand ---- */

static unsigned
random_number(unsigned below)
{
	static uint32_t state = 42;

	state = state * 1664525 + 1013904223;
	return (state >> 8) % below;
}

static void
set(PGresult *res, int row, int field, const char *value, int length)
{
	printf("set %d %d %s %d: %d\n", row, field, text(value), length, PQsetvalue(res, row, field, (char *) value, length));
}

static void
made(void)
{
	PGresAttDesc columns[4] = {
		{"one", 1, 2, 0, 23, 4, -1},
		{"Two", 16385, 3, 1, 25, -1, 7},
		{NULL, 0, 0, 1, 0, 0, 0},
		{"\"four\"", 0, -1, 2, 4294967295u, -2, -5},
	};
	char		long_value[5000];
	PGresult   *res,
			   *copy;

	memset(long_value, 'x', sizeof long_value);
	for (int status = -1; status < 15; status++)
	{
		PGresult   *without = PQmakeEmptyPGresult(NULL, status);

		PQclear(PQexec(conn, "selec"));
		res = PQmakeEmptyPGresult(conn, status);
		show("made", res);
		show("made without", without);
		verbose(res);
		verbose(without);
		fields(res);
		copy = PQcopyResult(res, 15);
		show("copy", copy);
		PQclear(copy);
		PQclear(without);
		PQclear(res);
	}
	PQclear(PQexec(conn, "select 1"));
	res = PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
	show("no error", res);
	verbose(res);
	PQclear(res);

	/* without columns */
	res = PQmakeEmptyPGresult(conn, PGRES_TUPLES_OK);
	set(res, 0, 0, "x", 1);
	set(res, 0, -1, "x", 1);
	outside(res);
	printf("%d\n", PQfnumber(res, "one"));
	printf("attributes %d %d %d %d\n", PQsetResultAttrs(NULL, 3, columns), PQsetResultAttrs(res, 0, columns), PQsetResultAttrs(res, -3, columns),
		   PQsetResultAttrs(res, 3, NULL));
	printf("attributes %d again %d %d\n", PQsetResultAttrs(res, 4, columns), PQsetResultAttrs(res, 4, columns), PQsetResultAttrs(res, 0, NULL));
	show("columns", res);
	outside(res);
	for (const char *const *name = (const char *const[]) {"one", "ONE", "\"one\"", "\"ONE\"", "Two", "two", "\"Two\"", "T\"wo\"", "\"T\"wo", "\"\"",
			 "\"\"\"four\"\"\"", "\"four\"", "four", "on", "onee", "", NULL}; *name; name++)
		printf("number of %s: %d\n", *name, PQfnumber(res, *name));
	printf("number %d %d\n", PQfnumber(res, NULL), PQfnumber(NULL, "one"));

	set(NULL, 0, 0, "x", 1);
	set(res, 0, 4, "x", 1);
	set(res, 0, -1, "x", 1);
	set(res, 1, 0, "x", 1);
	set(res, -1, 0, "x", 1);
	set(res, INT_MAX, 0, "x", 1);
	set(res, INT_MIN, 0, "x", 1);
	set(res, 0, 0, "first", 5);
	set(res, 0, 1, "second and more", 6);
	set(res, 0, 2, "", 0);
	set(res, 0, 3, "null", -1);
	set(res, 1, 1, NULL, 5);
	set(res, 1, 2, "negative", -2);
	set(res, 1, 3, "with\0nul", 8);
	set(res, 3, 0, "x", 1);
	set(res, 2, 3, "third", 5);
	show("set", res);
	for (int row = 3; row < 300; row++)
		PQsetvalue(res, row, row % 4, long_value, (int) random_number(sizeof long_value));
	show("many", res);
	{
		char	   *kept = PQgetvalue(res, 0, 0);

		for (int i = 0; i < 500; i++)
		{
			int			row = (int) random_number(310) - 3,
						field = (int) random_number(6) - 1,
						length = (int) random_number(200) - 2,
						done = PQsetvalue(res, row, field, random_number(9) ? long_value : NULL, length);

			printf("%d: %d %d %d %d\n", done, row, field, length, done ? PQgetlength(res, row, field) : -7);
		}
		printf("kept %s\n", kept);
	}
	copy = PQcopyResult(res, PG_COPYRES_TUPLES);
	PQclear(res);
	show("copy", copy);
	for (int row = 0; row < PQntuples(copy); row++)
		for (int field = 0; field < 4; field++)
			printf(" %d", PQgetisnull(copy, row, field) ? -1 : PQgetlength(copy, row, field));
	printf("\n");
	outside(copy);				/* says nothing: the hooks are not copied */
	PQclear(copy);

	/* all binary, by libpq's two rules */
	for (int format = -1; format < 3; format++)
	{
		PGresAttDesc column = {"c", 0, 0, format, 0, 0, 0};

		res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
		printf("format %d: %d", format, PQsetResultAttrs(res, 1, &column));
		printf(" %d %d\n", PQbinaryTuples(res), PQfformat(res, 0));
		PQclear(res);
	}

	/* memory */
	res = PQmakeEmptyPGresult(conn, PGRES_COMMAND_OK);
	printf("alloc %d %d %d\n", PQresultAlloc(NULL, 5) == NULL, PQresultAlloc(res, SIZE_MAX) == NULL, PQresultAlloc(res, SIZE_MAX - 7) == NULL);
	printf("alloc 0 [%s]\n", (char *) PQresultAlloc(res, 0));
	for (int i = 0; i < 300; i++)
	{
		size_t		size = random_number(i % 10 ? 300 : 20000) + 1;
		char	   *memory = PQresultAlloc(res, size);

		memset(memory, i, size);
		if ((uintptr_t) memory % 8 || PQresultMemorySize(res) < size)
			printf("not aligned\n");
	}
	show("alloc", res);
	PQclear(res);
	PQclear(NULL);
	printf("size of nothing %d\n", (int) PQresultMemorySize(NULL));
}

/* ---- results of the server, copied and changed ---- */

static void
changed(const char *sql, int format)
{
	PGresult   *res,
			   *copy;

	for (int flags = 0; flags < 17; flags++)
	{
		res = PQexecParams(conn, sql, 0, NULL, NULL, NULL, NULL, format);
		copy = PQcopyResult(res, flags);
		printf("flags %d\n", flags);
		if (flags == 0)
			show(sql, res);
		show("copy", copy);
		PQclear(res);
		printf("outside %s %s\n", text(PQfname(copy, 99)), text(PQgetvalue(copy, 99, 0)));
		set(copy, PQntuples(copy), 0, "added", 5);
		set(copy, 0, 0, "changed", 7);
		show("changed", copy);
		res = PQcopyResult(copy, flags);
		show("copy of the copy", res);
		PQclear(copy);
		PQclear(res);
	}
	res = PQexecParams(conn, sql, 0, NULL, NULL, NULL, NULL, format);
	if (PQntuples(res) > 0 && PQnfields(res) > 0)
	{
		char	   *kept = PQgetvalue(res, 0, 0);
		int			length = PQgetlength(res, 0, 0);

		set(res, 0, 0, "changed", 7);
		set(res, PQntuples(res), PQnfields(res) - 1, "added", 5);
		show("changed", res);
		printf("kept %d %d\n", length, kept[length]);
	}
	outside(res);
	if (PQnfields(res) > 0 || PQntuples(res) == 0)
		printf("attributes %d\n", PQsetResultAttrs(res, 1, (PGresAttDesc[]) {{"n", 0, 0, 0, 0, 0, 0}}));
	copy = PQcopyResult(res, PG_COPYRES_TUPLES);
	PQclear(res);
	show("copy", copy);
	PQclear(copy);
}

/* ---- errors ---- */

static void
failed(const char *sql)
{
	PGresult   *res = PQexec(conn, sql),
			   *copy;

	show(sql, res);
	fields(res);
	verbose(res);
	copy = PQcopyResult(res, 15);
	show("copy", copy);
	fields(copy);
	verbose(copy);
	PQclear(copy);
	PQclear(res);
}

static void
receive_verbose(void *arg, const PGresult *res)
{
	(void) arg;
	fields(res);
	verbose(res);
}

static void
errors(void)
{
	failed("select 1");
	failed("");
	failed("select * from nowhere");
	failed("select 1 as \"\xc3\xa9\xc3\xa9\", frob(2)");
	failed("select\n\t'a line' , frob(2)\n, 3");
	failed("create temp table u(i int constraint positive check (i > 0), k int unique); insert into u values (-1)");
	failed("create temp table u2(i int constraint positive2 check (i > 0), k int unique); insert into u2 values (1, 1); insert into u2 values (1, 1)");
	failed("create function pg_temp.f() returns int language plpgsql as $$ begin execute 'select frob(1)'; return 1; end $$; select pg_temp.f()");
	failed("do $$ begin raise exception 'all of it' using errcode = 'AB123', detail = 'd', hint = 'h', column = 'c', constraint = 'n', "
		   "datatype = 't', table = 'tt', schema = 's'; end $$");
	PQsetNoticeReceiver(conn, receive_verbose, NULL);
	run("do $$ begin raise notice 'all of it' using errcode = 'AB123', detail = 'd', hint = 'h', column = 'c'; end $$");
	run("set client_encoding to latin1");
	failed("select '\xe9\xe9\xe9', frob(2)");
	run("reset client_encoding");
	PQsetNoticeReceiver(conn, say_notice, "c");
	{
		char		sql[100];

		snprintf(sql, sizeof sql, "select pg_terminate_backend(%d)", PQbackendPID(conn));
		failed("select pg_terminate_backend(pg_backend_pid())");
		show("lost", PQexec(conn, "select 1"));
		PQreset(conn);
	}
	/* made of a local error */
	PQclear(PQexec(conn, NULL));
	{
		PGresult   *res = PQmakeEmptyPGresult(conn, PGRES_NONFATAL_ERROR);

		show("local", res);
		verbose(res);
		PQclear(res);
	}
}

/* ---- results without result ---- */

static void
nothing(void)
{
	show("nothing", NULL);
	outside(NULL);
	verbose(NULL);
	fields(NULL);
	printf("%d %d\n", PQcopyResult(NULL, 15) == NULL, PQcmdStatus(NULL) == NULL);
	for (int status = -3; status < 20; status++)
		printf("%d %s\n", status, PQresStatus(status));
}

/* ---- command tags ---- */

static void
tags(void)
{
	run("create temp table tags(i int)");
	run("insert into tags values (1), (2), (3)");
	run("update tags set i = i + 1");
	run("delete from tags where i = 2");
	run("merge into tags using (select 3 as i) s on tags.i = s.i when matched then delete");
	run("begin; declare cur cursor for select generate_series(1, 10)");
	run("move 3 in cur");
	run("fetch 2 in cur");
	run("commit");
	run("select 1 where false");
	run("values (1), (2)");
	run("table tags");
	run("create temp table made as select 1");
	run("insert into tags select 1 where false");
	run("select");
	run("begin; declare bin binary cursor for select 1::int4, 'two'::text, null, ''::bytea, 3::int8");
	run("fetch 1 in bin");
	run("rollback");
}

/* ---- several threads read one result ---- */

static PGresult *shared;

static void *
reads(void *arg)
{
	uint64_t	sum = 0;
	unsigned	state = (unsigned) (uintptr_t) arg;

	for (int i = 0; i < 20000; i++)
	{
		int			row,
					column;

		state = state * 1664525 + 1013904223;
		row = (state >> 8) % PQntuples(shared);
		column = (state >> 4) % PQnfields(shared);
		if (strlen(PQgetvalue(shared, row, column)) != (size_t) PQgetlength(shared, row, column))
			printf("wrong\n");
	}
	for (int row = 0; row < PQntuples(shared); row++)
		for (int column = 0; column < PQnfields(shared); column++)
		{
			sum = sum * 31 + (unsigned) PQgetlength(shared, row, column) + (unsigned) PQgetisnull(shared, row, column);
			sum = sum * 31 + (unsigned char) *PQgetvalue(shared, row, column);
		}
	return (void *) (uintptr_t) sum;
}

static void
threads(void)
{
	shared = PQexec(conn, "select i, repeat('x', i % 50), case when i % 3 = 0 then i end, md5(i::text) from generate_series(1, 20000) i");
	for (int round = 0; round < 2; round++)
	{
		pthread_t	thread[4];

		for (int i = 0; i < 4; i++)
			pthread_create(&thread[i], NULL, reads, (void *) (uintptr_t) (i + 1));
		for (int i = 0; i < 4; i++)
		{
			void	   *sum;

			pthread_join(thread[i], &sum);
			printf("thread %d: %llx\n", i, (unsigned long long) (uintptr_t) sum);
		}
		PQsetvalue(shared, 77, 1, "changed", 7);
	}
	PQclear(shared);
}

/* ---- binary values are aligned ---- */

static void
binary(void)
{
	PGresult   *res = PQexecParams(conn, "select i::int8, repeat('x', i % 30)::text, case when i % 3 = 0 then i::int4 end, i::float8, ''::text, "
								   "case when i % 500 = 0 then repeat('y', 70000) end from generate_series(1, 3000) i",
								   0, NULL, NULL, NULL, NULL, 1);
	uint64_t	sum = 0;

	printf("binary %d rows %d\n", PQbinaryTuples(res), PQntuples(res));
	for (int row = 0; row < PQntuples(res); row++)
		for (int column = 0; column < PQnfields(res); column++)
		{
			const char *value = PQgetvalue(res, row, column);
			int			length = PQgetlength(res, row, column);

			if (length > 0 && (uintptr_t) value % 8 != 0)
				printf("not aligned %d %d\n", row, column);
			for (int i = 0; i <= length; i++)
				sum = sum * 31 + (unsigned char) value[i];
			sum += (unsigned) PQgetisnull(res, row, column);
		}
	printf("sum %llx\n", (unsigned long long) sum);
	outside(res);
	PQclear(res);
	for (int mode = 0; mode < 3; mode++)
	{
		printf("send %d", PQsendQueryParams(conn, "select i::int8, i::int2, null::int4 from generate_series(1, 7) i", 0, NULL, NULL, NULL, NULL, 1));
		printf(" mode %d\n", mode == 0 ? PQsetSingleRowMode(conn) : mode == 1 ? PQsetChunkedRowsMode(conn, 3) : 0);
		drain("binary");
	}
	run("select 1; select 1/0");
	res = PQexecParams(conn, "select 1/(3000-i) from generate_series(1, 5000) i", 0, NULL, NULL, NULL, NULL, 1);
	show("an error after rows", res);
	PQclear(res);
}

int
main(int argc, char **argv)
{
	conninfo = argc > 1 ? argv[1] : "";
	setvbuf(stdout, NULL, _IOLBF, 0);
	nothing();
	conn = PQconnectdb(conninfo);
	PQsetNoticeReceiver(conn, say_notice, "c");
	tags();
	made();
	changed("select 1 as a, 'two' as \"B\", null as c, ''::text", 0);
	changed("select 1::int8 as a, 'two' as \"B\", null as c, ''::text, 5::int2 from generate_series(1, 3)", 1);
	changed("select 1 where false", 0);
	changed("select 1 where false", 1);
	changed("select", 0);
	changed("select frob()", 0);
	changed("set search_path to public", 0);
	errors();
	threads();
	binary();
	PQsetNoticeProcessor(conn, say_text, "p");
	PQsetNoticeReceiver(conn, say_notice, "c");
	events();
	PQfinish(conn);
	PQfinish(NULL);
	return 0;
}
