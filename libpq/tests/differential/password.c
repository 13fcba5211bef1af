/* Passwords: encrypted as servers store them, changed, and used. Salts are random: of what is made the shape is printed. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A verifier with everything random in it as dots, of the same length. */
static void
show(const char *call, const char *made, PGconn *conn)
{
	printf("%s: ", call);
	if (!made)
		printf("NULL");
	else if (strncmp(made, "SCRAM-SHA-256$", 14) == 0)
	{
		int colons = 0;

		for (const char *at = made; *at; at++)
		{
			colons += *at == ':' || (*at == '$' && colons);
			putchar(colons && !strchr(":$=", *at) ? '.' : *at);
		}
	}
	else
		printf("%s", made);
	printf(" [%s]\n", PQerrorMessage(conn));
}

static void
encrypt(PGconn *conn, const char *password, const char *user, const char *algorithm)
{
	char *made = PQencryptPasswordConn(conn, password, user, algorithm);
	char call[300];

	snprintf(call, sizeof(call), "encrypt %s %s %s", password, user, algorithm ? algorithm : "(null)");
	show(call, made, conn);
	PQfreemem(made);
}

static void
command(PGconn *conn, const char *sql)
{
	PGresult *res = PQexec(conn, sql);

	printf("%s: %s [%s]\n", sql, PQresStatus(PQresultStatus(res)), PQerrorMessage(conn));
	PQclear(res);
}

static void
stored(PGconn *conn, const char *user)
{
	const char *values[] = {user};
	PGresult *res = PQexecParams(conn, "select rolpassword from pg_authid where rolname = $1", 1, NULL, values, NULL, NULL, 0);

	show(user, PQntuples(res) ? PQgetvalue(res, 0, 0) : NULL, conn);
	PQclear(res);
}

static void
change(PGconn *conn, const char *user, const char *password)
{
	PGresult *res = PQchangePassword(conn, user, password);

	printf("change %s: %s tag=[%s] error=[%s] conn=[%s]\n", user, res ? PQresStatus(PQresultStatus(res)) : "NULL", PQcmdStatus(res),
		   PQresultErrorMessage(res), PQerrorMessage(conn));
	PQclear(res);
}

static int
login(const char *conninfo, const char *user, const char *password)
{
	const char *keywords[] = {"dbname", "user", "password", "passfile", NULL};
	const char *values[] = {conninfo, user, password, "/nonexistent", NULL};
	PGconn *conn = PQconnectdbParams(keywords, values, 1);
	int up = PQstatus(conn) == CONNECTION_OK && PQconnectionUsedPassword(conn);

	PQfinish(conn);
	return up;
}

int
main(int argc, char **argv)
{
	static const char *const passwords[] = {"secret", "", "it's \\ \"", "I\xc2\xadX", "\xe2\x85\xa8", "\xff\xfe", "a\xc2\xa0" "b", "\xd8\xa7" "1\xd8\xa8",
		"a very long password that is longer than one block of SHA-256, which has 64 bytes: 0123456789 0123456789"};
	static const char *const wrong[] = {"SHA-1", "", "SCRAM-SHA-256", "plain", "\xff", "scram-sha-256 "};
	PGconn *conn, *other;
	char *made;
	int tries;

	if (argc < 2)
		return 2;
	made = PQencryptPassword("secret", "alice");
	printf("%s\n", made);
	PQfreemem(made);
	made = PQencryptPassword("", "");
	printf("%s\n", made);
	PQfreemem(made);
	made = PQencryptPasswordConn(NULL, "a", "b", NULL);
	printf("no connection: %d\n", made == NULL);
	printf("no connection: %d\n", PQchangePassword(NULL, "a", "b") == NULL);

	conn = PQconnectdb(argv[1]);
	for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++)
	{
		encrypt(conn, passwords[i], "alice", "md5");
		encrypt(conn, passwords[i], "alice", "on");
		encrypt(conn, passwords[i], "alice", "off");
		encrypt(conn, passwords[i], "alice", "scram-sha-256");
		encrypt(conn, passwords[i], "alice", NULL);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		encrypt(conn, "secret", "alice", wrong[i]);
	command(conn, "set password_encryption = md5");
	encrypt(conn, "secret", "alice", NULL);
	command(conn, "set scram_iterations = 7");
	encrypt(conn, "secret", "alice", "scram-sha-256");
	command(conn, "set scram_iterations = 100000");
	encrypt(conn, "secret", "alice", "scram-sha-256");
	command(conn, "reset all");

	/* Users that are changed, and some that are not there. */
	command(conn, "drop role if exists clear, \"it's \"\"me\"\"\", hashed");
	command(conn, "create role clear login");
	command(conn, "create role \"it's \"\"me\"\"\" login");
	command(conn, "create role hashed login");
	change(conn, "clear", "secret");
	stored(conn, "clear");
	change(conn, "it's \"me\"", "it's \\ \"");
	stored(conn, "it's \"me\"");
	command(conn, "set password_encryption = md5");
	change(conn, "hashed", "secret");
	stored(conn, "hashed");
	command(conn, "reset all");
	change(conn, "nobody at all", "secret");
	change(conn, "\xff", "secret");
	change(conn, "clear; drop role hashed", "secret");
	command(conn, "begin");
	change(conn, "nobody at all", "secret");
	change(conn, "clear", "secret");
	encrypt(conn, "secret", "clear", NULL);
	encrypt(conn, "secret", "clear", "md5");
	command(conn, "rollback");
	PQenterPipelineMode(conn);
	change(conn, "clear", "secret");
	encrypt(conn, "secret", "clear", NULL);
	encrypt(conn, "secret", "clear", "md5");
	encrypt(conn, "secret", "clear", "plain");
	PQexitPipelineMode(conn);
	PQsendQuery(conn, "select 1");
	encrypt(conn, "secret", "clear", "plain");
	encrypt(conn, "secret", "clear", NULL);
	command(conn, "set role clear");
	change(conn, "clear", "other");
	change(conn, "hashed", "other");
	command(conn, "reset role");
	change(conn, "clear", passwords[8]);

	/* What was stored lets in. */
	command(conn, "set client_min_messages = error");
	command(conn, "do $$ declare lines text := pg_read_file(current_setting('hba_file')); begin execute format('copy (select * from "
			"string_to_table(%L, E''\\n'')) to %L', E'local all clear,hashed md5\\nhost all clear,hashed all md5\\n' || lines, "
			"current_setting('hba_file')); perform pg_reload_conf(); end $$");
	for (tries = 0; tries < 600 && login(argv[1], "clear", "nonsense"); tries++)
		usleep(100000);
	for (tries = 0; tries < 600 && !login(argv[1], "clear", passwords[8]); tries++)
		usleep(100000);
	printf("logs in: %d, with another password: %d\n", login(argv[1], "clear", passwords[8]), login(argv[1], "clear", "nonsense"));
	for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++)
	{
		change(conn, "clear", passwords[i]);
		printf("%zu logs in: %d\n", i, login(argv[1], "clear", passwords[i]));
	}
	printf("with md5: %d\n", login(argv[1], "hashed", "secret"));

	other = PQconnectdb(argv[1]);
	command(other, "select pg_terminate_backend(pg_backend_pid())");
	encrypt(other, "secret", "alice", "md5");
	encrypt(other, "secret", "alice", NULL);
	change(other, "alice", "secret");
	PQfinish(other);
	PQfinish(conn);
	return 0;
}
