/* Large objects: every function, with everything wrong that can be asked of it, and files in both directions. */
#include <fcntl.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INV_WRITE 0x00020000
#define INV_READ 0x00040000

static unsigned long long seed = 4711;

static unsigned
chance(unsigned below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned) (seed >> 33) % below;
}

static void
state(PGconn *conn)
{
	printf("  conn: status=%d transaction=%d error=[%s]\n", PQstatus(conn), PQtransactionStatus(conn), PQerrorMessage(conn));
}

#define SHOW(call) \
	do { \
		printf("%s: %lld\n", #call, (long long) (call)); \
		state(conn); \
	} while (0)

static void
run(PGconn *conn, const char *sql)
{
	PGresult   *res = PQexec(conn, sql);

	printf("%s: %s %s\n", sql, PQresStatus(PQresultStatus(res)), PQntuples(res) ? PQgetvalue(res, 0, 0) : "");
	PQclear(res);
}

static void
process(void *arg, const char *message)
{
	printf("notice %s: %s", (char *) arg, message);
}

static void
everything(PGconn *conn)
{
	char		buffer[100000];
	Oid			oid;
	int			fd;

	SHOW(lo_unlink(conn, 424242));
	run(conn, "begin");
	SHOW(lo_create(conn, 424242));
	SHOW(lo_create(conn, 424242));
	run(conn, "rollback");
	run(conn, "begin");
	SHOW(lo_create(conn, 424242));
	SHOW(lo_creat(conn, INV_READ) != 0);
	fd = lo_open(conn, 424242, INV_READ | INV_WRITE);
	SHOW(fd);
	SHOW(lo_write(conn, fd, "hello, world", 12));
	SHOW(lo_write(conn, fd, "", 0));
	SHOW(lo_tell(conn, fd));
	SHOW(lo_tell64(conn, fd));
	SHOW(lo_lseek(conn, fd, 7, SEEK_SET));
	memset(buffer, 0, sizeof buffer);
	SHOW(lo_read(conn, fd, buffer, 3));
	printf("read [%s]\n", buffer);
	SHOW(lo_lseek(conn, fd, -2, SEEK_CUR));
	SHOW(lo_lseek(conn, fd, -1, SEEK_END));
	SHOW(lo_read(conn, fd, buffer, 100));
	SHOW(lo_read(conn, fd, buffer, 100));
	SHOW(lo_read(conn, fd, buffer, 0));
	SHOW(lo_lseek64(conn, fd, 5000000000LL, SEEK_SET));
	SHOW(lo_tell64(conn, fd));
	SHOW(lo_truncate64(conn, fd, 5000000000LL));
	SHOW(lo_lseek64(conn, fd, 0, SEEK_END));
	SHOW(lo_truncate(conn, fd, 5));
	SHOW(lo_lseek(conn, fd, 0, SEEK_END));
	SHOW(lo_read(conn, fd, buffer, (size_t) INT_MAX + 1));
	SHOW(lo_write(conn, fd, buffer, (size_t) INT_MAX + 1));
	SHOW(lo_truncate(conn, fd, (size_t) INT_MAX + 1));
	SHOW(lo_close(conn, fd));
	run(conn, "commit");
	run(conn, "begin");
	SHOW(lo_close(conn, 77));
	run(conn, "select 1");
	SHOW(lo_tell(conn, 0));
	run(conn, "rollback");
#define FAILS(call) \
	do { \
		run(conn, "begin"); \
		SHOW(call); \
		run(conn, "rollback"); \
	} while (0)
	FAILS(lo_open(conn, 434343, INV_READ));
	FAILS(lo_open(conn, 424242, 0));
	FAILS(lo_read(conn, 5, buffer, 10));
	FAILS(lo_write(conn, -1, buffer, 10));
	FAILS(lo_lseek(conn, 5, 0, SEEK_SET));
	FAILS(lo_lseek64(conn, 5, 0, SEEK_SET));
	FAILS(lo_tell64(conn, 5));
	FAILS(lo_truncate(conn, 5, 0));
	FAILS(lo_truncate64(conn, 5, -1));
	FAILS(lo_unlink(conn, 434343));
	FAILS(lo_create(conn, 424242));
	FAILS((fd = lo_open(conn, 424242, INV_READ), lo_write(conn, fd, "x", 1)));
	FAILS((fd = lo_open(conn, 424242, INV_READ), lo_truncate(conn, fd, 1)));
	FAILS((fd = lo_open(conn, 424242, INV_READ), lo_lseek(conn, fd, 0, 9)));
	FAILS((fd = lo_open(conn, 424242, INV_READ), lo_lseek(conn, fd, -10, SEEK_SET)));
	FAILS((fd = lo_open(conn, 424242, INV_READ | INV_WRITE), lo_lseek64(conn, fd, 3000000000LL, SEEK_SET), lo_tell(conn, fd)));
	FAILS((fd = lo_open(conn, 424242, INV_READ), lo_read(conn, fd, buffer, INT_MAX)));

	/* Pieces of all sizes, back as they went. */
	run(conn, "begin");
	oid = lo_creat(conn, INV_READ | INV_WRITE);
	fd = lo_open(conn, oid, INV_READ | INV_WRITE);
	unsigned	sum = 0;
	int			all = 0;

	for (int i = 0; i < 40; i++)
	{
		unsigned	len = chance(chance(4) ? 3000 : 100000);

		for (unsigned b = 0; b < len; b++)
		{
			buffer[b] = (char) chance(256);
			sum = sum * 31 + (unsigned char) buffer[b];
		}
		all += lo_write(conn, fd, buffer, len);
	}
	printf("wrote %d: %u\n", all, sum);
	lo_lseek(conn, fd, 0, SEEK_SET);
	for (sum = 0, all = 0;;)
	{
		int			len = lo_read(conn, fd, buffer, chance(100000) + 1);

		if (len <= 0)
			break;
		all += len;
		for (int b = 0; b < len; b++)
			sum = sum * 31 + (unsigned char) buffer[b];
	}
	printf("read %d: %u\n", all, sum);
	SHOW(lo_close(conn, fd));
	SHOW(lo_unlink(conn, oid));
	run(conn, "commit");

	/* While a query is under way, in a pipeline, in a COPY, nonblocking. */
	printf("send: %d\n", PQsendQuery(conn, "select 1"));
	SHOW(lo_creat(conn, 0));
	while (PQgetResult(conn))
		;
	printf("enter: %d\n", PQenterPipelineMode(conn));
	SHOW(lo_creat(conn, 0));
	SHOW(lo_import(conn, "/dev/null"));
	printf("exit: %d\n", PQexitPipelineMode(conn));
	run(conn, "copy (select 1) to stdout");
	SHOW(lo_creat(conn, 0));
	PQendcopy(conn);
	printf("nonblocking: %d\n", PQsetnonblocking(conn, 1));
	SHOW(lo_unlink(conn, 424242));
	printf("nonblocking: %d\n", PQsetnonblocking(conn, 0));
}

/* What the first call of a connection is like where it is not allowed: libpq runs a query then. */
static void
first(const char *conninfo)
{
	PGconn	   *conn = PQconnectdb(conninfo);

	PQenterPipelineMode(conn);
	SHOW(lo_creat(conn, 0));
	SHOW(lo_open(conn, 1, INV_READ));
	PQexitPipelineMode(conn);
	printf("send: %d\n", PQsendQuery(conn, "select 1"));
	SHOW(lo_unlink(conn, 1));
	printf("result: %d\n", PQgetResult(conn) != NULL);
	PQfinish(conn);
	conn = PQconnectdb(conninfo);
	run(conn, "begin");
	run(conn, "select 1/0");
	SHOW(lo_tell(conn, 1));
	SHOW(lo_tell(conn, 1));
	run(conn, "rollback");
	SHOW(lo_tell(conn, 1));
	run(conn, "begin");
	run(conn, "select 1/0");
	SHOW(lo_tell(conn, 1));
	PQfinish(conn);
	conn = PQconnectdb("host=/nowhere");
	printf("%d %d %d\n", PQstatus(conn), lo_open(conn, 1, INV_READ), lo_creat(conn, 0));
	printf("  error=[%s]\n", PQerrorMessage(conn));
	printf("%d %d\n", lo_import(conn, "/nowhere"), lo_export(conn, 1, "/nowhere"));
	printf("  error=[%s]\n", PQerrorMessage(conn));
	PQfinish(conn);
	conn = NULL;
	printf("none: %d %d %d %d %d %d %lld %d\n", lo_open(conn, 1, 1), lo_close(conn, 1), lo_read(conn, 1, NULL, 1),
		   lo_write(conn, 1, NULL, 1), lo_lseek(conn, 1, 1, 1), lo_tell(conn, 1), (long long) lo_tell64(conn, 1),
		   lo_truncate(conn, 1, 1));
	printf("none: %lld %d %u %u %d %u %u %d\n", (long long) lo_lseek64(conn, 1, 1, 1), lo_truncate64(conn, 1, 1),
		   lo_creat(conn, 1), lo_create(conn, 1), lo_unlink(conn, 1), lo_import(conn, "/dev/null"),
		   lo_import_with_oid(conn, "/dev/null", 1), lo_export(conn, 1, "/dev/null"));
}

static void
files(PGconn *conn)
{
	char		folder[] = "/tmp/pgpoll-lo-XXXXXX";
	char		from[100];
	char		to[100];
	struct stat st;
	FILE	   *f;
	Oid			oid;

	if (!mkdtemp(folder))
		exit(1);
	if (chdir(folder))
		exit(1);
	strcpy(from, "from");
	strcpy(to, "to");
	f = fopen(from, "w");
	for (int i = 0; i < 100000; i++)
		fputc((int) chance(256), f);
	fclose(f);
	run(conn, "begin");
	oid = lo_import(conn, from);
	printf("imported: %d\n", oid != 0);
	state(conn);
	SHOW(lo_import_with_oid(conn, from, 565656));
	SHOW(lo_export(conn, oid, to));
	SHOW(lo_export(conn, 565656, "again"));
	SHOW(system("cmp from to && cmp from again"));
	SHOW(lo_import(conn, "missing"));
	SHOW(lo_import(conn, "."));
	SHOW(lo_export(conn, 565656, "missing/file"));
	SHOW(lo_export(conn, 565656, "/dev/full"));
	SHOW(lo_import_with_oid(conn, from, 565656));
	run(conn, "rollback");
	run(conn, "begin");
	SHOW(lo_export(conn, 565656, "never"));
	run(conn, "rollback");
	SHOW(stat("never", &st));
	/* Without a transaction the descriptor is gone at once. */
	SHOW(lo_import(conn, from));
	SHOW(lo_import(conn, "/dev/null"));
	f = fopen("empty", "w");
	fclose(f);
	run(conn, "begin");
	SHOW(lo_import_with_oid(conn, "empty", 565657));
	SHOW(lo_export(conn, 565657, to));
	SHOW(stat(to, &st) == 0 && st.st_size == 0);
	run(conn, "rollback");
	unlink("again");
	unlink("empty");
	unlink(from);
	unlink(to);
	if (chdir("/") || rmdir(folder))
		printf("something was left\n");
}

static void
lost(const char *conninfo)
{
	PGconn	   *conn = PQconnectdb(conninfo);

	run(conn, "begin");
	SHOW(lo_unlink(conn, 1));
	run(conn, "rollback");
	run(conn, "create temp table l as select pg_backend_pid() p");
	PGconn	   *killer = PQconnectdb(conninfo);
	char		kill[100];

	snprintf(kill, sizeof kill, "select pg_terminate_backend(%d, 60000)", PQbackendPID(conn));
	PQclear(PQexec(killer, kill));
	PQfinish(killer);
	printf("unlink: %d\n", lo_unlink(conn, 1));
	printf("status: %d\n", PQstatus(conn));
	SHOW(lo_unlink(conn, 1));
	PQfinish(conn);
}

int
main(int argc, char **argv)
{
	const char *conninfo = argc > 1 ? argv[1] : "";
	PGconn	   *conn = PQconnectdb(conninfo);

	setvbuf(stdout, NULL, _IOLBF, 0);
	PQsetNoticeProcessor(conn, process, "x");
	PQclear(PQexec(conn, "select lo_unlink(oid) from pg_largeobject_metadata where oid in (424242, 565656, 565657)"));
	everything(conn);
	files(conn);
	PQfinish(conn);
	first(conninfo);
	lost(conninfo);
	return 0;
}
