/* Calls of libpq with everything that they say printed: the same program runs on PostgreSQL's libpq and on ours. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
show(const char *call, PGresult *res)
{
	printf("%s: ", call);
	if (!res)
	{
		printf("NULL\n");
		return;
	}
	printf("%s tag=[%s] tuples=[%s] error=[%s]\n", PQresStatus(PQresultStatus(res)), PQcmdStatus(res), PQcmdTuples(res),
		   PQresultErrorMessage(res));
	for (const char *code = "SVCMDHPpqWstcdn"; *code; code++)
		if (PQresultErrorField(res, *code))
			printf("  %c=[%s]\n", *code, PQresultErrorField(res, *code));
	printf("  binary=%d params=%d\n", PQbinaryTuples(res), PQnparams(res));
	for (int p = 0; p < PQnparams(res); p++)
		printf("  param %d: %u\n", p, PQparamtype(res, p));
	for (int c = 0; c < PQnfields(res); c++)
		printf("  column %s: table=%d col=%d format=%d type=%u size=%d mod=%d number=%d\n", PQfname(res, c),
			   PQftable(res, c) != 0, PQftablecol(res, c), PQfformat(res, c), PQftype(res, c), PQfsize(res, c), PQfmod(res, c),
			   PQfnumber(res, PQfname(res, c)));
	for (int r = 0; r < PQntuples(res); r++)
		for (int c = 0; c < PQnfields(res); c++)
			printf("  [%d,%d] null=%d length=%d %s\n", r, c, PQgetisnull(res, r, c), PQgetlength(res, r, c),
				   PQfformat(res, c) ? "(binary)" : PQgetvalue(res, r, c));
	PQclear(res);
}

static void
run(PGconn *conn, const char *sql)
{
	show(sql, PQexec(conn, sql));
	printf("  conn: status=%d transaction=%d error=[%s]\n", PQstatus(conn), PQtransactionStatus(conn), PQerrorMessage(conn));
}

static void
drain(PGconn *conn, const char *call)
{
	PGresult   *res;

	while ((res = PQgetResult(conn)) != NULL)
		show(call, res);
	printf("%s: end, error=[%s]\n", call, PQerrorMessage(conn));
}

static void
receive(void *arg, const PGresult *res)
{
	printf("notice %s: %s severity=%s\n", (char *) arg, PQresultErrorMessage(res), PQresultErrorField(res, 'V'));
}

static void
process(void *arg, const char *message)
{
	printf("processed %s: %s", (char *) arg, message);
}

static void
fails(const char *conninfo)
{
	PGconn	   *conn = PQconnectdb(conninfo);

	printf("%s: status=%d error=[%s] pid=%d version=%d protocol=%d transaction=%d\n", conninfo, PQstatus(conn),
		   PQerrorMessage(conn), PQbackendPID(conn), PQserverVersion(conn), PQfullProtocolVersion(conn), PQtransactionStatus(conn));
	show("exec without a connection", PQexec(conn, "select 1"));
	printf("error=[%s]\n", PQerrorMessage(conn));
	PQfinish(conn);
}

static int
hook(char *buf, int size, PGconn *conn)
{
	(void) buf, (void) size, (void) conn;
	return 0;
}

/* what is told of TLS, but the library and how long its keys are */
static void
tls(const char *when, PGconn *conn)
{
	const char *const *names = PQsslAttributeNames(conn);

	printf("%s: tls=%d library=%d", when, PQsslInUse(conn), PQsslAttribute(conn, "library") != NULL);
	for (; *names; names++)
		printf(" %s=%s", *names, strcmp(*names, "library") ? PQsslAttribute(conn, *names) : "?");
	printf(" nothing=%p struct=%d\n", (void *) PQsslAttribute(conn, "nothing"), PQsslInUse(conn) ? 0 : PQsslStruct(conn, "OpenSSL") != NULL);
}

static void
keypass(const char *conninfo)
{
	char		buf[8] = "#######";
	PGconn	   *conn = PQconnectStart(conninfo);
	int			length = PQdefaultSSLKeyPassHook_OpenSSL(buf, sizeof buf, conn);

	printf("key password %d [%s]\n", length, buf);
	PQfinish(conn);
}

int
main(int argc, char **argv)
{
	PGconn	   *conn,
			   *other;
	const char *values[3] = {"7", NULL, "x\\y"};
	const char *binary[1] = {"\0\0\0\5"};
	int			lengths[3] = {4, 0, 0},
				formats[3] = {1, 0, 0},
				text[3] = {0, 0, 0};
	Oid			types[2] = {23, 25};
	char		sql[100];

	setvbuf(stdout, NULL, _IOLBF, 0);
	conn = PQconnectdb(argc > 1 ? argv[1] : "");
	printf("status=%d error=[%s] socket=%d\n", PQstatus(conn), PQerrorMessage(conn), PQsocket(conn) >= 0);
	printf("encoding=%s nothing=%d needs=%d used=%d\n", PQparameterStatus(conn, "client_encoding"),
		   PQparameterStatus(conn, "nothing") == NULL, PQconnectionNeedsPassword(conn), PQconnectionUsedPassword(conn));
	PQsetNoticeProcessor(conn, process, "p");
	PQinitSSL(1);
	PQinitOpenSSL(1, 1);
	tls("none", NULL);
	tls("up", conn);
	printf("hook %d", PQgetSSLKeyPassHook_OpenSSL() == NULL);
	PQsetSSLKeyPassHook_OpenSSL(hook);
	printf(" %d", PQgetSSLKeyPassHook_OpenSSL() == hook);
	PQsetSSLKeyPassHook_OpenSSL(NULL);
	printf(" %d\n", PQgetSSLKeyPassHook_OpenSSL() == NULL);
	keypass("host=/nonexistent user=u");
	keypass("host=/nonexistent user=u sslpassword=seven77");
	keypass("host=/nonexistent user=u sslpassword='more than eight'");

	run(conn, "select 1 as a, 'two' as \"B\", null as c, ''::text");
	run(conn, "select");
	run(conn, "");
	run(conn, "select 1 where false");
	run(conn, "create temp table t(i int primary key, v varchar(7)); insert into t values (1,'a'),(2,'b'); update t set v='c'");
	run(conn, "select * from t");
	run(conn, "select 1; select nothing; select 3");
	run(conn, "insert into t values (1,'a')");
	run(conn, "insert into t values (5,'far too long')");
	run(conn, "select '\t', 1 +\n\t2 from\r\nnowhere where 'a long line' = 'that has to be cut because it is longer than sixty'");
	run(conn, "select 'a long line that has to be cut on its left side because the error is far away from it', frob(1) from t");
	run(conn, "select '\xe4\xb8\xad\xe6\x96\x87\xc3\xa9', frob(1)");
	run(conn, "do $$ begin raise notice 'hello %', 1 using detail = 'd', hint = 'h'; end $$");
	run(conn, "do $$ begin raise exception 'boo' using errcode = '22012', detail = 'd'; end $$");
	run(conn, "begin");
	run(conn, "selec");
	run(conn, "select 1");
	run(conn, "rollback");
	for (int v = 0; v < 4; v++)
	{
		printf("verbosity %d\n", PQsetErrorVerbosity(conn, v));
		show("nowhere", PQexecParams(conn, "select * from nowhere", 0, NULL, NULL, NULL, NULL, 0));
	}
	PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
	printf("context %d\n", PQsetErrorContextVisibility(conn, PQSHOW_CONTEXT_NEVER));
	run(conn, "do $$ begin perform 1/0; end $$");
	PQsetErrorContextVisibility(conn, PQSHOW_CONTEXT_ALWAYS);
	run(conn, "do $$ begin raise notice 'here'; end $$");
	PQsetErrorContextVisibility(conn, PQSHOW_CONTEXT_ERRORS);

	show("params", PQexecParams(conn, "select $1::int4, $2::text, $3::text", 3, types, values, NULL, text, 0));
	show("binary result", PQexecParams(conn, "select 1::int4, null::int4", 0, NULL, NULL, NULL, NULL, 1));
	show("binary", PQexecParams(conn, "select $1::int4", 1, types, binary, lengths, formats, 0));
	show("no length", PQexecParams(conn, "select $1::int4", 1, types, binary, NULL, formats, 0));
	printf("error=[%s]\n", PQerrorMessage(conn));
	show("count", PQexecParams(conn, "select $1::int4", 70000, types, binary, NULL, formats, 0));
	printf("error=[%s]\n", PQerrorMessage(conn));
	show("null query", PQexecParams(conn, NULL, 0, NULL, NULL, NULL, NULL, 0));
	printf("error=[%s]\n", PQerrorMessage(conn));
	show("two", PQexecParams(conn, "select 1; select 2", 0, NULL, NULL, NULL, NULL, 0));
	show("prepare", PQprepare(conn, "p", "select $1::int4 + 1 as n", 0, NULL));
	show("prepare again", PQprepare(conn, "p", "select 1", 0, NULL));
	show("describe", PQdescribePrepared(conn, "p"));
	show("execute", PQexecPrepared(conn, "p", 1, values, NULL, NULL, 0));
	show("execute", PQexecPrepared(conn, "nothing", 0, NULL, NULL, NULL, 0));
	show("close", PQclosePrepared(conn, "p"));
	show("describe", PQdescribePrepared(conn, "p"));
	show("describe portal", PQdescribePortal(conn, "nothing"));
	show("prepare nothing", PQprepare(conn, "e", "", 0, NULL));
	show("describe nothing", PQdescribePrepared(conn, "e"));
	show("execute nothing", PQexecPrepared(conn, "e", 0, NULL, NULL, NULL, 0));
	run(conn, "set constraints all deferred");
	run(conn, "create temp table d(i int unique deferrable initially deferred)");
	show("deferred", PQexecParams(conn, "insert into d values (1),(1)", 0, NULL, NULL, NULL, NULL, 0));

	printf("send %d\n", PQsendQuery(conn, "select 1; insert into t values (9,'n'); select * from t where i > 1"));
	drain(conn, "send");
	printf("send %d", PQsendQuery(conn, "select generate_series(1,2); select 5; select 1/0"));
	printf(" single %d\n", PQsetSingleRowMode(conn));
	drain(conn, "single");
	printf("single while idle %d\n", PQsetSingleRowMode(conn));
	printf("send %d", PQsendQuery(conn, "select generate_series(1,5); select 6 where false; insert into t values (20,'z')"));
	printf(" chunks %d\n", PQsetChunkedRowsMode(conn, 2));
	drain(conn, "chunks");

	PQsetNoticeReceiver(conn, receive, "r");
	{
		PGresult   *res = PQexec(conn, "select 1 as \"a\", 2 as \"A\", 3 as \"x\"\"y\"");

		printf("numbers %d %d %d %d %d\n", PQfnumber(res, "A"), PQfnumber(res, "\"A\""), PQfnumber(res, "\"x\"\"y\""),
			   PQfnumber(res, ""), PQfnumber(res, "b"));
		printf("outside %p %p %d %d\n", (void *) PQgetvalue(res, 1, 0), (void *) PQgetvalue(res, 0, 3), PQgetisnull(res, -1, 0),
			   PQgetlength(res, 0, -1));
		printf("outside %p %u\n", (void *) PQfname(res, 7), PQftype(res, -1));
		printf("outside %u\n", PQparamtype(res, 0));
		PQclear(res);
	}
	printf("%s %s\n", PQresStatus(0), PQresStatus(77));

	printf("pipeline %d\n", PQenterPipelineMode(conn));
	PQsendPrepare(conn, "q", "select $1::int4", 0, NULL);
	PQsendQueryPrepared(conn, "q", 1, values, NULL, NULL, 0);
	PQsendDescribePrepared(conn, "q");
	PQsendClosePrepared(conn, "q");
	PQsendQueryParams(conn, "insert into d values (1),(1)", 0, NULL, NULL, NULL, NULL, 0);
	PQpipelineSync(conn);
	PQsendQueryParams(conn, "selec", 0, NULL, NULL, NULL, NULL, 0);
	PQsendClosePrepared(conn, "q");
	PQsendPipelineSync(conn);
	PQsendFlushRequest(conn);
	for (int i = 0; i < 18; i++)
	{
		show("pipeline", PQgetResult(conn));
		printf("  pipeline=%d transaction=%d error=[%s]\n", PQpipelineStatus(conn), PQtransactionStatus(conn), PQerrorMessage(conn));
	}
	printf("exit %d error=[%s]\n", PQexitPipelineMode(conn), PQerrorMessage(conn));

	/* the server ends the session: while it is idle, and in the middle of a query */
	other = PQconnectdb(argc > 1 ? argv[1] : "");
	snprintf(sql, sizeof sql, "select pg_terminate_backend(%d, 5000)", PQbackendPID(conn));
	run(other, sql);
	run(conn, "select 1");
	printf("socket=%d\n", PQsocket(conn));
	run(conn, "select 2");
	PQreset(conn);
	printf("reset: status=%d error=[%s]\n", PQstatus(conn), PQerrorMessage(conn));
	run(conn, "select 3");
	run(conn, "select pg_terminate_backend(pg_backend_pid())");
	tls("over", conn);
	printf("consume=%d error=[%s] socket=%d\n", PQconsumeInput(conn), PQerrorMessage(conn), PQsocket(conn));
	PQfinish(conn);
	PQfinish(other);

	fails("host=/nonexistent user=nobody");
	fails("host=127.0.0.1 port=1 user=nobody connect_timeout=5");
	fails("nonsense");
	fails("port=99999");
	fails("sslmode=perhaps");
	return 0;
}
