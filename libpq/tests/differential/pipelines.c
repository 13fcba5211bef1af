/* Pipelines made up at random, the same on every run: what is sent, in which mode it is taken, and what is tried in between. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long seed = 31337;

static unsigned
chance(unsigned below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned) (seed >> 33) % below;
}

static int	syncs = 0;

static void
state(PGconn *conn)
{
	printf("  status=%d transaction=%d pipeline=%d error=[%s]\n", PQstatus(conn), PQtransactionStatus(conn),
		   PQpipelineStatus(conn), PQerrorMessage(conn));
}

static void
take(PGconn *conn)
{
	PGresult   *res = PQgetResult(conn);

	if (!res)
	{
		printf("  result: NULL\n");
		return;
	}
	if (PQresultStatus(res) == PGRES_PIPELINE_SYNC)
		syncs--;
	printf("  result: %s tag=[%s] rows=%d fields=%d params=%d error=[%s]\n", PQresStatus(PQresultStatus(res)), PQcmdStatus(res),
		   PQntuples(res), PQnfields(res), PQnparams(res), PQresultErrorMessage(res));
	PQclear(res);
}

static void
send(PGconn *conn)
{
	static const char *const queries[] = {
		"select 1", "select * from generate_series(1, 7)", "select $1::int", "select 1/0", "select nothing", "",
		"create temp table if not exists p (i int primary key)", "insert into p values ($1)", "insert into p values (1)",
		"select i from p order by i", "delete from p", "select repeat('x', 20000)", "begin", "commit", "rollback",
		"select 1; select 2", "do $$begin raise notice 'said'; end$$", "select 10 / (5 - i) from generate_series(1, 9) i"
	};
	const char *query = queries[chance(sizeof queries / sizeof *queries)];
	char		number[12];
	char		name[12];
	const char *values[1] = {number};
	int			count = strchr(query, '$') && query[0] != 'd' ? 1 : 0;
	int			said;

	snprintf(number, sizeof number, "%u", chance(4));
	snprintf(name, sizeof name, "s%u", chance(3));
	switch (chance(12))
	{
		case 0:
			printf("prepare %s [%s]: ", name, query);
			said = PQsendPrepare(conn, name, query, 0, NULL);
			break;
		case 1:
			printf("execute %s: ", name);
			said = PQsendQueryPrepared(conn, name, 0, NULL, NULL, NULL, 0);
			break;
		case 2:
			printf("describe %s: ", name);
			said = PQsendDescribePrepared(conn, name);
			break;
		case 3:
			printf("describe portal: ");
			said = PQsendDescribePortal(conn, chance(2) ? "" : "nothing");
			break;
		case 4:
			printf("close %s: ", name);
			said = chance(3) ? PQsendClosePrepared(conn, name) : PQsendClosePortal(conn, name);
			break;
		default:
			printf("send [%s] %s: ", query, count ? number : "");
			said = PQsendQueryParams(conn, query, count, NULL, values, NULL, NULL, (int) chance(2));
			break;
	}
	printf("%d\n", said);
}

static void
try_something(PGconn *conn)
{
	switch (chance(11))
	{
		case 0:
			printf("single row: %d\n", PQsetSingleRowMode(conn));
			break;
		case 1:
			printf("chunks: %d\n", PQsetChunkedRowsMode(conn, (int) chance(5)));
			break;
		case 2:
			printf("exec: %d\n", PQexec(conn, "select 1") != NULL);
			state(conn);
			break;
		case 3:
			printf("send query: %d\n", PQsendQuery(conn, "select 1"));
			state(conn);
			break;
		case 4:
			if (syncs > 0)
			{
				printf("exit: %d\n", PQexitPipelineMode(conn));
				state(conn);
			}
			break;
		case 5:
			printf("flush request: %d flush: %d\n", PQsendFlushRequest(conn), PQflush(conn) >= 0);
			break;
		case 6:
			printf("enter: %d\n", PQenterPipelineMode(conn));
			break;
		case 7:
			printf("nulls: %d %d %d\n", PQsendQueryParams(conn, NULL, 0, NULL, NULL, NULL, NULL, 0),
				   PQsendPrepare(conn, NULL, "select 1", 0, NULL), PQsendQueryParams(conn, "x", -1, NULL, NULL, NULL, NULL, 0));
			state(conn);
			break;
		case 8:
			printf("consume: %d\n", PQconsumeInput(conn));
			break;
		case 9:
			printf("nonblocking: %d\n", PQsetnonblocking(conn, (int) chance(2)));
			break;
		default:
			state(conn);
			break;
	}
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
	for (int round = 0; round < 60; round++)
	{
		printf("round %d, enter: %d\n", round, PQenterPipelineMode(conn));
		for (unsigned groups = chance(4) + 1; groups > 0; groups--)
		{
			for (unsigned count = chance(6); count > 0; count--)
			{
				send(conn);
				if (chance(4) == 0)
					try_something(conn);
				if (syncs > 0 && chance(3) == 0)
					take(conn);
			}
			if (chance(4))
				printf("sync: %d\n", PQpipelineSync(conn));
			else
				printf("send sync: %d\n", PQsendPipelineSync(conn));
			syncs++;
		}
		while (syncs > 0)
		{
			take(conn);
			if (chance(6) == 0)
				try_something(conn);
		}
		take(conn);
		state(conn);
		printf("exit: %d\n", PQexitPipelineMode(conn));
		state(conn);
		PQclear(PQexec(conn, "rollback; deallocate all; drop table if exists p"));
	}
	PQfinish(conn);
	return 0;
}
