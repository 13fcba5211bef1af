/* Calls outside of pipelines made up at random, the same on every run: whatever the state is, whatever was called before. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long seed = 99;

static unsigned
chance(unsigned below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned) (seed >> 33) % below;
}

static const char *const queries[] = {
	"select 1", "select 1; select 2", "select 1/0", "select 1; select 1/0; select 3", "", ";", " ; select 4", "sel",
	"select * from generate_series(1, 5)", "copy t from stdin", "copy t to stdout", "copy t from stdin; select 5",
	"select 6; copy t to stdout; select 7", "copy t from stdin (format binary)", "copy t to stdout (format csv, header)",
	"copy (select 10 / (4 - i) from generate_series(1, 9) i) to stdout", "copy nowhere from stdin",
	"do $$begin raise notice 'said'; end$$; select 8", "begin; select 9", "rollback", "insert into t values (1, 'x'); select 1/0",
	"select repeat('x', 30000)", "copy t from stdin; copy t to stdout; select count(*) from t", "listen ch; notify ch, 'payload'",
	"select 10 / (4 - i) from generate_series(1, 9) i", "set client_min_messages = notice", "delete from t", "select * from t limit 0"
};

static void
state(PGconn *conn)
{
	printf("  status=%d transaction=%d error=[%s]\n", PQstatus(conn), PQtransactionStatus(conn), PQerrorMessage(conn));
}

static int
show(PGresult *res)
{
	if (!res)
	{
		printf("  result: NULL\n");
		return 0;
	}
	printf("  result: %s tag=[%s] rows=%d fields=%d binary=%d error=[%s]\n", PQresStatus(PQresultStatus(res)), PQcmdStatus(res),
		   PQntuples(res), PQnfields(res), PQbinaryTuples(res), PQresultErrorMessage(res));
	PQclear(res);
	return 1;
}

static void
get(PGconn *conn)
{
	char	   *row;
	int			said = PQgetCopyData(conn, &row, 0);

	printf("get: %d [%s]\n", said, said > 0 ? row : "");
	PQfreemem(row);
}

static void
step(PGconn *conn)
{
	const char *query = queries[chance(sizeof queries / sizeof *queries)];
	char		line[12];
	static const char *const data[] = {"1\tx\n", "nonsense\n", "2\t", "", "\\.\n", "3\ty\n4\tz\n"};

	switch (chance(20))
	{
		case 0:
		case 1:
		case 2:
			printf("exec [%s]\n", query);
			show(PQexec(conn, query));
			break;
		case 3:
			printf("exec with parameters [%s]\n", query);
			show(PQexecParams(conn, query, 0, NULL, NULL, NULL, NULL, (int) chance(2)));
			break;
		case 4:
		case 5:
			printf("send [%s]: %d\n", query, PQsendQuery(conn, query));
			break;
		case 6:
			printf("send with parameters [%s]: %d\n", query, PQsendQueryParams(conn, query, 0, NULL, NULL, NULL, NULL, 0));
			break;
		case 7:
			printf("prepare: %d\n", PQsendPrepare(conn, "", query, 0, NULL));
			break;
		case 8:
			printf("single row: %d\n", PQsetSingleRowMode(conn));
			break;
		case 9:
			printf("chunks: %d\n", PQsetChunkedRowsMode(conn, (int) chance(4)));
			break;
		case 10:
		case 11:
		case 12:
			printf("get result\n");
			show(PQgetResult(conn));
			break;
		case 13:
			query = data[chance(6)];
			printf("put: %d\n", PQputCopyData(conn, query, (int) strlen(query)));
			break;
		case 14:
			printf("put end: %d\n", PQputCopyEnd(conn, chance(3) ? NULL : "given up"));
			break;
		case 15:
			get(conn);
			break;
		case 16:
			printf("end copy: %d\n", PQendcopy(conn));
			break;
		case 17:
			memset(line, 0, sizeof line);
			printf("line: %d", PQgetline(conn, line, sizeof line));
			printf(" [%s]\n", line);
			break;
		case 18:
			printf("enter: %d\n", PQenterPipelineMode(conn));
			printf("exit: %d\n", PQexitPipelineMode(conn));
			break;
		default:
			printf("drain\n");
			for (int i = 0; i < 12 && show(PQgetResult(conn)); i++)
				;
			break;
	}
	state(conn);
}

static void
process(void *arg, const char *message)
{
	(void) arg;
	printf("  notice: %s", message);
}

int
main(int argc, char **argv)
{
	PGconn	   *conn = PQconnectdb(argc > 1 ? argv[1] : "");

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	setvbuf(stdout, NULL, _IOLBF, 0);
	PQsetNoticeProcessor(conn, process, NULL);
	PQclear(PQexec(conn, "create temp table t (i int, t text)"));
	for (int i = 0; i < 1500; i++)
	{
		if (PQtransactionStatus(conn) == PQTRANS_INERROR && chance(2))
			PQclear(PQexec(conn, "rollback"));
		printf("%d ", i);
		step(conn);
	}
	PQfinish(conn);
	return 0;
}
