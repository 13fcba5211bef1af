/* PQfn: functions called by their object ID, with arguments of all kinds. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
state(PGconn *conn)
{
	printf("  conn: status=%d transaction=%d error=[%s]\n", PQstatus(conn), PQtransactionStatus(conn), PQerrorMessage(conn));
}

static void
show(const char *call, PGconn *conn, PGresult *res, int *value, int len, int is_int)
{
	if (!res)
		printf("%s: NULL\n", call);
	else
		printf("%s: %s tag=[%s] error=[%s] severity=[%s] code=[%s] fields=%d rows=%d\n", call,
			   PQresStatus(PQresultStatus(res)), PQcmdStatus(res), PQresultErrorMessage(res),
			   PQresultErrorField(res, 'S') ? PQresultErrorField(res, 'S') : "-",
			   PQresultErrorField(res, 'C') ? PQresultErrorField(res, 'C') : "-", PQnfields(res), PQntuples(res));
	printf("  len=%d", len);
	if (is_int && len > 0)
		printf(" value=%d", *value);
	else
		for (int i = 0; i < len && i < 40; i++)
			printf(" %02x", ((unsigned char *) value)[i]);
	printf("\n");
	PQclear(res);
	state(conn);
}

static PQArgBlock
integer(int len, int value)
{
	PQArgBlock	block = {.len = len, .isint = 1};

	block.u.integer = value;
	return block;
}

static PQArgBlock
bytes(int len, const char *value)
{
	PQArgBlock	block = {.len = len, .isint = 0};

	block.u.ptr = (int *) value;
	return block;
}

static int
oid_of(PGconn *conn, const char *name)
{
	char		sql[200];
	PGresult   *res;
	int			oid;

	snprintf(sql, sizeof sql, "select '%s'::regprocedure::oid", name);
	res = PQexec(conn, sql);
	oid = PQntuples(res) ? atoi(PQgetvalue(res, 0, 0)) : 0;
	PQclear(res);
	return oid;
}

static void
call(PGconn *conn, const char *name, int is_int, const PQArgBlock *args, int count)
{
	int			value[60000];
	int			len = 12345;
	PGresult   *res;

	memset(value, 0, sizeof value);
	res = PQfn(conn, oid_of(conn, name), value, &len, is_int, args, count);
	show(name, conn, res, value, len, is_int);
}

static void
process(void *arg, const char *message)
{
	printf("notice %s: %s", (char *) arg, message);
}

int
main(int argc, char **argv)
{
	PGconn	   *conn = PQconnectdb(argc > 1 ? argv[1] : "");
	PQArgBlock	args[4];
	int			value = 0;
	int			len = 7;

	setvbuf(stdout, NULL, _IOLBF, 0);
	PQsetNoticeProcessor(conn, process, "x");
	args[0] = integer(4, 20);
	args[1] = integer(4, -22);
	call(conn, "int4pl(int4,int4)", 1, args, 2);
	call(conn, "int4pl(int4,int4)", 0, args, 2);
	call(conn, "int4div(int4,int4)", 1, args, 2);
	args[1] = integer(4, 0);
	call(conn, "int4div(int4,int4)", 1, args, 2);
	call(conn, "int4div(int4,int4)", 1, args, 1);
	call(conn, "int4div(int4,int4)", 1, NULL, 0);
	args[0] = integer(2, 300);
	args[1] = integer(2, -2);
	call(conn, "int2pl(int2,int2)", 1, args, 2);
	call(conn, "int2mul(int2,int2)", 0, args, 2);
	args[0] = integer(2, 30000);
	args[1] = integer(2, 30000);
	call(conn, "int2pl(int2,int2)", 1, args, 2);
	args[0] = integer(8, 3);
	call(conn, "int8abs(int8)", 0, args, 1);
	args[0] = integer(1, 3);
	call(conn, "int8abs(int8)", 0, args, 1);
	args[0] = bytes(8, "\xff\xff\xff\xff\xff\xff\xff\xfe");
	call(conn, "int8abs(int8)", 0, args, 1);
	args[0] = bytes(7, "\xff\xff\xff\xff\xff\xff\xff\xfe");
	call(conn, "int8abs(int8)", 0, args, 1);
	args[0] = bytes(-1, NULL);
	call(conn, "int8abs(int8)", 0, args, 1);
	args[0] = bytes(3, "abc");
	call(conn, "upper(text)", 0, args, 1);
	args[0] = bytes(0, "abc");
	call(conn, "upper(text)", 0, args, 1);
	args[0] = bytes(2, "\xff\xfe");
	call(conn, "upper(text)", 0, args, 1);
	args[0] = bytes(2, "ab");
	args[1] = integer(4, 50000);
	call(conn, "repeat(text,int4)", 0, args, 2);
	call(conn, "pg_is_in_recovery()", 0, NULL, 0);
	PQclear(PQexec(conn, "create function pg_temp.noisy(int) returns int language plpgsql as "
				   "$$begin raise notice 'called with %', $1; perform pg_notify('ch', 'said'); return $1 + 1; end$$; listen ch"));
	args[0] = integer(4, 5);
	call(conn, "pg_temp.noisy(int)", 1, args, 1);
	PGnotify   *notify = PQnotifies(conn);

	printf("notified: %s\n", notify ? notify->extra : "no");
	PQfreemem(notify);
	show("no such function", conn, PQfn(conn, 999999, &value, &len, 1, NULL, 0), &value, len, 1);
	show("none", conn, PQfn(NULL, 1, &value, &len, 1, NULL, 0), &value, len, 1);
	PQclear(PQexec(conn, "begin"));
	args[1] = integer(4, 0);
	call(conn, "int4div(int4,int4)", 1, args, 2);
	show("in a failed transaction", conn, PQfn(conn, 1, &value, &len, 1, NULL, 0), &value, len, 1);
	PQclear(PQexec(conn, "rollback"));
	PQsendQuery(conn, "select 1");
	show("while another is under way", conn, PQfn(conn, 1, &value, &len, 1, NULL, 0), &value, len, 1);
	while (PQgetResult(conn))
		;
	PQenterPipelineMode(conn);
	show("in a pipeline", conn, PQfn(conn, 1, &value, &len, 1, NULL, 0), &value, len, 1);
	PQexitPipelineMode(conn);
	PQsetErrorVerbosity(conn, PQERRORS_SQLSTATE);
	call(conn, "int4div(int4,int4)", 1, args, 2);
	PQtrace(conn, stdout);
	PQsetTraceFlags(conn, PQTRACE_SUPPRESS_TIMESTAMPS | PQTRACE_REGRESS_MODE);
	show("traced", conn, PQfn(conn, 177, &value, &len, 1, args, 2), &value, len, 1);
	args[0] = bytes(5, "h\n\\\x01z");
	show("traced", conn, PQfn(conn, 871, &value, &len, 1, args, 1), &value, 0, 1);
	PQuntrace(conn);
	PQfinish(conn);
	return 0;
}
