/* COPY in every direction and by every function, also where it is not allowed, with everything that the calls say printed. */
#define _GNU_SOURCE
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long seed = 20260101;

static unsigned
chance(unsigned below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned) (seed >> 33) % below;
}

static void
show(const char *call, PGresult *res)
{
	if (!res)
	{
		printf("%s: NULL\n", call);
		return;
	}
	printf("%s: %s tag=[%s] tuples=[%s] error=[%s] fields=%d rows=%d binary=%d\n", call, PQresStatus(PQresultStatus(res)),
		   PQcmdStatus(res), PQcmdTuples(res), PQresultErrorMessage(res), PQnfields(res), PQntuples(res), PQbinaryTuples(res));
	for (int c = 0; c < PQnfields(res); c++)
		printf("  column %d: %s format=%d type=%u size=%d\n", c, PQfname(res, c) ? PQfname(res, c) : "(null)", PQfformat(res, c),
			   PQftype(res, c), PQfsize(res, c));
	for (int r = 0; r < PQntuples(res); r++)
		for (int c = 0; c < PQnfields(res); c++)
			printf("  [%d,%d] %s\n", r, c, PQfformat(res, c) ? "(binary)" : PQgetvalue(res, r, c));
	PQclear(res);
}

static void
state(PGconn *conn)
{
	printf("  conn: status=%d transaction=%d pipeline=%d error=[%s]\n", PQstatus(conn), PQtransactionStatus(conn),
		   PQpipelineStatus(conn), PQerrorMessage(conn));
}

static void
run(PGconn *conn, const char *sql)
{
	show(sql, PQexec(conn, sql));
	state(conn);
}

static void
result(PGconn *conn, const char *call)
{
	show(call, PQgetResult(conn));
	state(conn);
}

static void
drain(PGconn *conn)
{
	PGresult   *res;
	int			most = 5;

	while (most-- > 0 && (res = PQgetResult(conn)) != NULL)
		show("drain", res);
	if (most > 0)
		show("drain", NULL);
	state(conn);
}

static int
put(PGconn *conn, const char *data)
{
	int			said = PQputCopyData(conn, data, (int) strlen(data));

	printf("put [%.40s]: %d\n", data, said);
	return said;
}

static void
end(PGconn *conn, const char *error)
{
	printf("end %s: %d\n", error ? error : "(null)", PQputCopyEnd(conn, error));
}

static int
get(PGconn *conn, int async)
{
	char	   *row = (char *) 1;
	int			said = PQgetCopyData(conn, &row, async);

	if (said > 0)
		printf("get: %d [%.60s] end=%d\n", said, row, row[said]);
	else
		printf("get: %d %s\n", said, row ? "not null" : "null");
	PQfreemem(row);
	return said;
}

static void
process(void *arg, const char *message)
{
	printf("notice %s: %s", (char *) arg, message);
}

static void
params(PGconn *conn, const char *sql)
{
	show(sql, PQexecParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0));
	state(conn);
}

static void
wait_for(PGconn *conn, short events)
{
	struct pollfd p = {.fd = PQsocket(conn), .events = events};

	poll(&p, 1, 60000);
}

static void
copy_in(PGconn *conn)
{
	run(conn, "create temp table t (i int, t text)");
	printf("put outside: %d\n", PQputCopyData(conn, "x", 1));
	state(conn);
	end(conn, NULL);
	state(conn);
	printf("put none: %d %d\n", PQputCopyData(NULL, "x", 1), PQputCopyEnd(NULL, NULL));

	run(conn, "copy t from stdin");
	result(conn, "again");
	result(conn, "and again");
	printf("busy %d\n", PQisBusy(conn));
	put(conn, "1\tone\n");
	put(conn, "");
	printf("negative: %d\n", PQputCopyData(conn, "x", -5));
	put(conn, "2\ttw");
	put(conn, "o\n3\tthree\n");
	get(conn, 0);
	state(conn);
	printf("send in copy: %d\n", PQsendQuery(conn, "select 1"));
	state(conn);
	printf("flush request: %d\n", PQsendFlushRequest(conn));
	printf("enter pipeline: %d\n", PQenterPipelineMode(conn));
	printf("single row: %d\n", PQsetSingleRowMode(conn));
	state(conn);
	end(conn, NULL);
	result(conn, "result");
	result(conn, "null");
	run(conn, "select * from t");

	run(conn, "copy t from stdin");
	put(conn, "4\tfour\n");
	end(conn, "I do not want to");
	drain(conn);

	/* An error in the middle stays where it is until the end is put. */
	run(conn, "copy t from stdin");
	put(conn, "five\tfive\n");
	printf("flush: %d\n", PQflush(conn));
	wait_for(conn, POLLIN);
	printf("consume: %d busy: %d\n", PQconsumeInput(conn), PQisBusy(conn));
	result(conn, "still copying");
	put(conn, "6\tsix\n");
	end(conn, NULL);
	drain(conn);
	run(conn, "select count(*) from t");

	/* Leaving it by another query. */
	run(conn, "copy t from stdin");
	put(conn, "7\tseven\n");
	run(conn, "select count(*) from t");
	run(conn, "copy t from stdin");
	params(conn, "select count(*) from t");

	run(conn, "copy t from stdin (format binary)");
	end(conn, NULL);
	drain(conn);
	run(conn, "copy t(i) from stdin (format csv, header)");
	put(conn, "i\n8\n9\n");
	end(conn, NULL);
	drain(conn);
	run(conn, "begin; copy t from stdin; select 1");
	put(conn, "10\tten\n");
	end(conn, NULL);
	drain(conn);
	run(conn, "copy t from stdin; copy t from stdin; select count(*) from t; copy t to stdout; rollback");
	put(conn, "11\televen\n");
	end(conn, NULL);
	result(conn, "first");
	result(conn, "second begins");
	put(conn, "12\ttwelve\n");
	end(conn, NULL);
	drain(conn);
	run(conn, "select count(*) from t");
	state(conn);
}

static void
copy_out(PGconn *conn)
{
	run(conn, "copy (select i, i::text || 'x' from generate_series(1, 4) i) to stdout");
	result(conn, "again");
	printf("put in copy out: %d\n", PQputCopyData(conn, "x", 1));
	state(conn);
	end(conn, NULL);
	while (get(conn, 0) > 0)
		;
	get(conn, 0);
	state(conn);
	drain(conn);
	get(conn, 1);
	state(conn);
	printf("get none: ");
	get(NULL, 0);

	run(conn, "copy (select i from generate_series(1, 100) i) to stdout (format binary)");
	get(conn, 0);
	get(conn, 0);
	run(conn, "select 'after a COPY that was left'");
	run(conn, "copy (select 1/(3 - i) from generate_series(1, 100) i) to stdout");
	while (get(conn, 0) > 0)
		;
	drain(conn);
	run(conn, "copy (select repeat('x', 300000)) to stdout");
	get(conn, 0);
	get(conn, 0);
	drain(conn);
	run(conn, "copy (select 1) to stdout; copy (select 2) to stdout; select 3");
	get(conn, 0);
	get(conn, 0);
	result(conn, "first");
	result(conn, "second begins");
	get(conn, 0);
	get(conn, 0);
	drain(conn);
	run(conn, "create temp table nothing ()");
	run(conn, "copy nothing to stdout");
	get(conn, 0);
	drain(conn);
	/* Notices and notifications on the way. */
	run(conn, "listen ch");
	run(conn, "create function pg_temp.noisy(i int) returns int language plpgsql as "
		"$$begin raise notice 'row %', i; return i; end$$");
	run(conn, "copy (select pg_temp.noisy(i) from generate_series(1, 3) i) to stdout");
	while (get(conn, 0) > 0)
		;
	drain(conn);
	printf("notifies: %d\n", PQnotifies(conn) != NULL);
	/* Without waiting. */
	printf("send: %d\n", PQsendQuery(conn, "copy (select i from generate_series(1, 3000) i) to stdout"));
	while (PQisBusy(conn))
	{
		wait_for(conn, POLLIN);
		PQconsumeInput(conn);
	}
	result(conn, "begun");
	int			rows = 0;

	for (;;)
	{
		char	   *row;
		int			said = PQgetCopyData(conn, &row, 1);

		if (said == 0)
		{
			wait_for(conn, POLLIN);
			printf("%s", PQconsumeInput(conn) ? "" : "trouble\n");
			continue;
		}
		if (said < 0)
		{
			printf("after %d rows: %d\n", rows, said);
			break;
		}
		rows++;
		PQfreemem(row);
	}
	drain(conn);
}

static void
extended(PGconn *conn)
{
	const char *values[] = {"3"};

	params(conn, "copy t from stdin");
	put(conn, "20\ttwenty\n");
	end(conn, NULL);
	drain(conn);
	params(conn, "copy t from stdin");
	put(conn, "x\ttwenty\n");
	end(conn, NULL);
	drain(conn);
	params(conn, "copy t from stdin");
	end(conn, "no");
	drain(conn);
	params(conn, "copy t from stdin");
	run(conn, "select count(*) from t");
	params(conn, "copy (select 1) to stdout");
	get(conn, 0);
	get(conn, 0);
	drain(conn);
	params(conn, "copy (select 1) to stdout");
	run(conn, "select 'left'");
	show("prepare", PQprepare(conn, "c", "copy t from stdin", 0, NULL));
	show("prepared", PQexecPrepared(conn, "c", 0, NULL, NULL, NULL, 0));
	put(conn, "21\tx\n");
	end(conn, NULL);
	drain(conn);
	show("with a parameter", PQexecParams(conn, "copy (select $1::int) to stdout", 1, NULL, values, NULL, NULL, 1));
	drain(conn);
	/* The error comes before the data is looked at. */
	run(conn, "create temp table refusing (i int)");
	run(conn, "create function pg_temp.refuse() returns trigger language plpgsql as $$begin raise exception 'no'; end$$");
	run(conn, "create trigger refuse before insert on refusing for each statement execute function pg_temp.refuse()");
	run(conn, "copy refusing from stdin");
	put(conn, "1\n");
	end(conn, NULL);
	drain(conn);
	run(conn, "select 'all is well'");
}

static void
lines(PGconn *conn)
{
	char		buffer[20];

	memset(buffer, 'z', sizeof buffer);
	printf("outside: %d %d %d\n", PQgetline(conn, buffer, sizeof buffer), PQgetlineAsync(conn, buffer, sizeof buffer),
		   PQendcopy(conn));
	state(conn);
	printf("none: %d %d %d\n", PQgetline(NULL, buffer, sizeof buffer), PQgetlineAsync(NULL, buffer, sizeof buffer),
		   PQendcopy(NULL));
	printf("bad: %d %d %d\n", PQgetline(conn, NULL, 3), PQgetline(conn, buffer, 0), PQgetline(conn, buffer, 2));
	run(conn, "copy (select i, repeat('y', i * 9) from generate_series(1, 4) i) to stdout");
	for (int i = 0; i < 12; i++)
	{
		int			said = PQgetline(conn, buffer, sizeof buffer);

		printf("line: %d [%s]\n", said, buffer);
		if (!strcmp(buffer, "\\.") || said == EOF)
			break;
	}
	printf("endcopy: %d\n", PQendcopy(conn));
	state(conn);
	drain(conn);
	run(conn, "copy (select i, repeat('y', i * 9) from generate_series(1, 4) i) to stdout");
	for (int i = 0; i < 200; i++)
	{
		int			said = PQgetlineAsync(conn, buffer, 7);

		if (said == 0)
		{
			wait_for(conn, POLLIN);
			PQconsumeInput(conn);
			continue;
		}
		printf("part: %d [%.*s]\n", said, said < 0 ? 0 : said, buffer);
		if (said < 0)
			break;
	}
	printf("endcopy: %d\n", PQendcopy(conn));
	drain(conn);
	run(conn, "copy (select 1, 2) to stdout");
	printf("part: %d\n", PQgetlineAsync(conn, buffer, 2));
	get(conn, 0);
	printf("endcopy in the middle: %d\n", PQendcopy(conn));
	drain(conn);
	run(conn, "copy (select 1, 2) to stdout (format binary)");
	printf("line of binary: %d\n", PQgetline(conn, buffer, sizeof buffer));
	state(conn);
	printf("endcopy: %d\n", PQendcopy(conn));
	drain(conn);
	run(conn, "copy t from stdin");
	printf("putline: %d %d %d\n", PQputline(conn, "30\tthirty\n"), PQputnbytes(conn, "31\tx\n", 5), PQputline(conn, "\\.\n"));
	printf("endcopy: %d\n", PQendcopy(conn));
	state(conn);
	drain(conn);
	run(conn, "copy t from stdin");
	printf("putline: %d\n", PQputline(conn, "x\n"));
	printf("endcopy: %d\n", PQendcopy(conn));
	state(conn);
	drain(conn);
	printf("putline: %d %d\n", PQputline(conn, "x\n"), PQputnbytes(conn, "x", 1));
	state(conn);
	params(conn, "copy t from stdin");
	printf("endcopy: %d\n", PQendcopy(conn));
	drain(conn);
	run(conn, "select count(*) from t");
}

/* Random rows in random pieces, blocking or not, come back as they went. */
static void
round_trip(PGconn *conn, int nonblocking)
{
	unsigned	sum = 0;
	int			bytes = 0;
	char	   *data = malloc(1 << 20);

	run(conn, "create temp table if not exists r (n int, v text)");
	run(conn, "truncate r");
	printf("nonblocking: %d\n", PQsetnonblocking(conn, nonblocking));
	for (int i = 0; i < 3000; i++)
	{
		bytes += sprintf(data + bytes, "%d\t", i);
		for (unsigned len = chance(200); len > 0; len--)
			data[bytes++] = 'a' + chance(26);
		data[bytes++] = '\n';
	}
	for (int i = 0; i < bytes; i++)
		sum = sum * 31 + (unsigned char) data[i];
	printf("sum %u of %d\n", sum, bytes);
	printf("send: %d\n", PQsendQuery(conn, "copy r from stdin"));
	result(conn, "begun");
	for (int at = 0; at < bytes;)
	{
		int			size = (int) chance(chance(20) ? 100 : 100000) + 1;
		int			said;

		if (size > bytes - at)
			size = bytes - at;
		said = PQputCopyData(conn, data + at, size);
		if (said < 0)
		{
			printf("put: %d\n", said);
			break;
		}
		if (said == 0)
			wait_for(conn, POLLOUT);
		else
			at += size;
		if (nonblocking && chance(3) == 0)
			PQflush(conn);
	}
	end(conn, NULL);
	while (nonblocking && PQflush(conn) == 1)
	{
		wait_for(conn, POLLIN | POLLOUT);
		PQconsumeInput(conn);
	}
	drain(conn);
	run(conn, "copy (select * from r order by n) to stdout");
	for (sum = 0, bytes = 0;;)
	{
		char	   *row;
		int			said = PQgetCopyData(conn, &row, nonblocking);

		if (said == 0)
		{
			wait_for(conn, POLLIN);
			PQconsumeInput(conn);
			continue;
		}
		if (said < 0)
			break;
		bytes += said;
		for (int i = 0; i < said; i++)
			sum = sum * 31 + (unsigned char) row[i];
		PQfreemem(row);
	}
	printf("sum %u of %d\n", sum, bytes);
	drain(conn);
	PQsetnonblocking(conn, 0);
	free(data);
}

static void
pipeline(PGconn *conn)
{
	printf("enter: %d\n", PQenterPipelineMode(conn));
	printf("send: %d\n", PQsendQueryParams(conn, "copy (select 1) to stdout", 0, NULL, NULL, NULL, NULL, 0));
	printf("sync: %d\n", PQpipelineSync(conn));
	result(conn, "begun");
	printf("send: %d\n", PQsendQueryParams(conn, "select 1", 0, NULL, NULL, NULL, NULL, 0));
	state(conn);
	printf("sync: %d exit: %d\n", PQpipelineSync(conn), PQexitPipelineMode(conn));
	state(conn);
	get(conn, 0);
	get(conn, 0);
	result(conn, "complete");
	result(conn, "null");
	result(conn, "sync");
	printf("exit: %d\n", PQexitPipelineMode(conn));
	state(conn);
	printf("enter: %d\n", PQenterPipelineMode(conn));
	printf("send: %d\n", PQsendQueryParams(conn, "copy t from stdin", 0, NULL, NULL, NULL, NULL, 0));
	printf("sync: %d\n", PQpipelineSync(conn));
	result(conn, "begun");
	put(conn, "40\tx\n");
	end(conn, NULL);
	result(conn, "complete");
	result(conn, "null");
	result(conn, "sync");
	printf("exit: %d\n", PQexitPipelineMode(conn));
	run(conn, "select count(*) from t");
}

static void
traced(PGconn *conn)
{
	FILE	   *trace = tmpfile();
	int			c;

	PQtrace(conn, trace);
	PQsetTraceFlags(conn, PQTRACE_SUPPRESS_TIMESTAMPS | PQTRACE_REGRESS_MODE);
	run(conn, "copy t from stdin");
	put(conn, "50\t");
	put(conn, "x\n51\ty\n");
	PQflush(conn);
	end(conn, NULL);
	drain(conn);
	run(conn, "copy t from stdin");
	end(conn, "no more");
	drain(conn);
	params(conn, "copy t from stdin");
	put(conn, "52\tz\n");
	end(conn, NULL);
	drain(conn);
	run(conn, "copy (select i, 'x' from generate_series(1, 3) i) to stdout");
	while (get(conn, 0) > 0)
		;
	drain(conn);
	run(conn, "copy (select i from generate_series(1, 3) i) to stdout");
	run(conn, "select 'left'");
	PQuntrace(conn);
	rewind(trace);
	while ((c = getc(trace)) != EOF)
		putchar(c);
	fclose(trace);
}

static void
replication(const char *conninfo)
{
	char		all[2000];
	PGconn	   *conn;

	snprintf(all, sizeof all, "%s replication=database", conninfo);
	conn = PQconnectdb(all);
	state(conn);
	show("slot", NULL);
	run(conn, "START_REPLICATION SLOT differential LOGICAL 0/0");
	if (PQstatus(conn) == CONNECTION_OK)
	{
		char	   *row;
		int			said;

		result(conn, "again");
		run(conn, "select 1");
		/* A status message that asks for an answer. */
		char		status[34] = "r";

		status[33] = 1;
		printf("status: %d flush: %d\n", PQputCopyData(conn, status, sizeof status), PQflush(conn));
		do
		{
			said = PQgetCopyData(conn, &row, 0);
			printf("got %s\n", said > 0 && (row[0] == 'k' || row[0] == 'w') ? "a message" : "nothing");
			PQfreemem(row);
		} while (said > 0 && chance(1));
		end(conn, NULL);
		result(conn, "ended by us");
		while ((said = PQgetCopyData(conn, &row, 0)) > 0)
			PQfreemem(row);
		printf("end: %d\n", said);
		result(conn, "complete");
		drain(conn);
		run(conn, "IDENTIFY_NOTHING");
	}
	PQfinish(conn);
}

static void
lost(const char *conninfo, const char *sql, int way)
{
	PGconn	   *conn = PQconnectdb(conninfo);
	PGconn	   *killer = PQconnectdb(conninfo);
	char		kill[100];
	struct pollfd p;

	PQsetNoticeProcessor(conn, process, "lost");
	PQsetErrorContextVisibility(conn, PQSHOW_CONTEXT_NEVER);
	PQclear(PQexec(conn, "create temp table t (i int, t text)"));
	run(conn, sql);
	snprintf(kill, sizeof kill, "select pg_terminate_backend(%d, 60000)", PQbackendPID(conn));
	PQclear(PQexec(killer, kill));
	p.fd = PQsocket(conn);
	p.events = POLLRDHUP;
	poll(&p, 1, 60000);
	switch (way)
	{
		case 0:
			end(conn, NULL);
			break;
		case 1:
			result(conn, "result");
			break;
		case 2:
			while (get(conn, 0) > 0)
				;
			break;
		case 3:
			printf("consume: %d\n", PQconsumeInput(conn));
			printf("consume: %d\n", PQconsumeInput(conn));
			state(conn);
			break;
		case 4:
			run(conn, "select 1");
			break;
	}
	drain(conn);
	run(conn, "select 2");
	PQfinish(conn);
	PQfinish(killer);
}

int
main(int argc, char **argv)
{
	const char *conninfo = argc > 1 ? argv[1] : "";
	PGconn	   *conn = PQconnectdb(conninfo);

	setvbuf(stdout, NULL, _IOLBF, 0);
	state(conn);
	PQsetNoticeProcessor(conn, process, "x");
	copy_in(conn);
	copy_out(conn);
	extended(conn);
	lines(conn);
	round_trip(conn, 0);
	round_trip(conn, 1);
	pipeline(conn);
	traced(conn);
	PQfinish(conn);
	replication(conninfo);
	lost(conninfo, "copy (select repeat('x', 100) from generate_series(1, 3)) to stdout", 2);
	for (int way = 0; way < 5; way++)
	{
		printf("way %d\n", way);
		lost(conninfo, "copy t from stdin", way);
	}
	return 0;
}
