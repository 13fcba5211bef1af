/* Connection strings, defaults, and connections that fail: what becomes of the options, and what is said of them. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define S(text) ((text) ? (text) : "NULL")
#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static unsigned
below(unsigned limit)
{
	static unsigned long long state = 20261121;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned) (state >> 33) % limit;
}

static void
quote(const char *text)
{
	for (; text && *text; text++)
		if (*text >= ' ' && *text <= '~')
			putchar(*text);
		else
			printf("\\%03o", (unsigned char) *text);
}

/* Whether GSSAPI is preferred depends on whether there is one. */
static int
depends(const PQconninfoOption *option)
{
	return strcmp(option->keyword, "gssencmode") == 0 && strcmp(S(option->val), S(option->compiled)) == 0;
}

static void
list(PQconninfoOption *options)
{
	for (PQconninfoOption *o = options; o && o->keyword; o++)
		if (o->val && !depends(o))
		{
			printf(" %s=[", o->keyword);
			quote(o->val);
			printf("]");
		}
	printf("\n");
	PQconninfoFree(options);
}

static void
parse(const char *conninfo)
{
	char	   *error = "untouched";
	PQconninfoOption *options = PQconninfoParse(conninfo, &error);

	quote(conninfo);
	if (options)
	{
		printf(" ->%s", error ? "error? " : "");
		list(options);
	}
	else
	{
		printf(" -> error: ");
		quote(error);
		printf("\n");
		PQfreemem(error);
	}
}

static const char *const CORPUS[] = {
	"", " ", "host=a", "host=a port=1 user=b password=c dbname=d", "host = 'a b' user=\t'c\\'d\\\\'", "user=\\'x", "a", "a=b", "host", "host=",
	"host= port=1", "=x", "host='a", "host=a'b'", "requiressl=1", "requiressl=0", "ssl=true", "sslmode=bad", "hostaddr=1.2.3.4 host=x",
	"service=s servicefile=x", "dbname=postgresql://x", "options='-c a=b -c c=\\'d\\''", "channel_binding=prefer\nsslnegotiation=direct",
	"postgresql://", "postgres://", "postgresql:/", "postgresql:///", "postgresql:///db", "postgresql://h", "postgresql://h/", "postgresql://h/d",
	"postgresql://u@h", "postgresql://u:p@h:1/d", "postgresql://u:p@h:1/d?host=x&port=2", "postgresql://:p@h", "postgresql://u:@h",
	"postgresql://@h", "postgresql://[::1]", "postgresql://[::1]:5/d", "postgresql://[::1", "postgresql://[]", "postgresql://[::1]x",
	"postgresql://a,b,c", "postgresql://a:1,b:2,[::1]:3/d", "postgresql://a,,b", "postgresql://,", "postgresql://:1,:2", "postgresql://%2Frun/d",
	"postgresql://h/d?", "postgresql://h/d?a", "postgresql://h/d?a=", "postgresql://h/d?user=a&", "postgresql://h?user=a=b", "postgresql://h?ssl=true",
	"postgresql://h?ssl=false", "postgresql://h?sslmode=%72equire", "postgresql://h?user=%", "postgresql://h?user=%0", "postgresql://h?user=%00",
	"postgresql://h?user=%zz", "postgresql://h?%75ser=a", "postgresql://h?user=a%20b", "postgresql://h?user=a b", "postgresql:// h /d",
	"postgresql://h/d#x", "postgresql://u@h@i/d", "postgresql://u:p:q@h", "postgresql://h:1:2", "postgresql://h/d/e", "postgresql:///?host=/run",
	"postgresql://?user=x", "postgresql://h?requiressl=1", "postgresql://h?options=-c%20a%3Db", "postgresql://%zz", "postgresql://u%40x:p%3A@h",
	"POSTGRESQL://h", "postgresql://host%", "host=\\", "host='\\", "user='' dbname=''", "password='\303\251' user=\377", "host=a host=b host=c",
};

/* One of the strings, changed in a few places. */
static void
mutated(void)
{
	static const char BYTES[] = "='\\ %&?/:@[],#ab012\t\n\377";
	char		text[512];
	size_t		length;

	strcpy(text, CORPUS[below(LENGTH(CORPUS))]);
	if (below(4) == 0)
		strcat(text, CORPUS[below(LENGTH(CORPUS))]);
	for (unsigned changes = 1 + below(4); changes > 0; changes--)
	{
		length = strlen(text);
		size_t		at = below((unsigned) length + 1);

		switch (below(3))
		{
			case 0:
				memmove(text + at + 1, text + at, length - at + 1);
				text[at] = BYTES[below(LENGTH(BYTES) - 1)];
				break;
			case 1:
				if (at < length)
					text[at] = BYTES[below(LENGTH(BYTES) - 1)];
				break;
			default:
				if (at < length)
					memmove(text + at, text + at + 1, length - at);
		}
	}
	parse(text);
}

static void
defaults(const char *what)
{
	PQconninfoOption *options = PQconndefaults();

	printf("defaults %s:\n", what);
	for (PQconninfoOption *o = options; o && o->keyword; o++)
		if (strcmp(what, "table") == 0)
			printf("%s: %s [%s] [%s] %s [%s] %d\n", o->keyword, S(o->envvar), depends(o) ? "?" : S(o->compiled), depends(o) ? "?" : S(o->val), o->label, o->dispchar, o->dispsize);
		else if (o->val && strcmp(o->val, S(o->compiled)) != 0)
			printf("  %s=[%s]\n", o->keyword, o->val);
	PQconninfoFree(options);
}

static void
show(const char *when, PGconn *conn)
{
	printf(" %s: status=%d host=[%s] hostaddr=[%s] port=[%s] db=[%s] user=[%s] pass=[%s] options=[%s] tty=[%s] protocol=%d.%d version=%d "
		   "needs=%d used=%d gss=%d,%d socket=%d pid=%d transaction=%d\n  error=[", when, PQstatus(conn), S(PQhost(conn)), S(PQhostaddr(conn)),
		   S(PQport(conn)), S(PQdb(conn)), S(PQuser(conn)), S(PQpass(conn)), S(PQoptions(conn)), S(PQtty(conn)), PQprotocolVersion(conn),
		   PQfullProtocolVersion(conn), PQserverVersion(conn) > 0, PQconnectionNeedsPassword(conn), PQconnectionUsedPassword(conn),
		   PQconnectionUsedGSSAPI(conn), PQgssEncInUse(conn), PQsocket(conn) >= 0, PQbackendPID(conn) > 0, PQtransactionStatus(conn));
	quote(PQerrorMessage(conn));
	printf("]\n ");
	list(PQconninfo(conn));
}

static void
connects(const char *conninfo)
{
	PGconn	   *conn;

	quote(conninfo);
	printf("\n ping=%d\n", PQping(conninfo));
	conn = PQconnectdb(conninfo);
	show("connected", conn);
	PQreset(conn);
	show("reset", conn);
	printf(" reset started: %d, polled: %d\n", PQresetStart(conn), PQresetPoll(conn) == PGRES_POLLING_FAILED);
	PQfinish(conn);
}

/* Options that make sense or not, for a server that is not there. */
static void
refused(void)
{
	static const char *const OPTIONS[] = {
		"user=u", "user=''", "dbname=d", "dbname=''", "password=p", "passfile=passwords", "passfile=''", "channel_binding=disable",
		"channel_binding=maybe", "connect_timeout=5", "host=127.0.0.1", "host=/nonexistent", "host=127.0.0.1,/nonexistent",
		"hostaddr=127.0.0.1", "hostaddr=127.0.0.1,127.0.0.2", "hostaddr=nonsense", "hostaddr=::1", "port=1", "port=1,2",
		"port=1,", "port=''", "client_encoding=auto", "client_encoding=nonsense",
		"options='-c x=y'", "application_name=n", "keepalives=0", "keepalives_idle=7", "tcp_user_timeout=1000", "sslmode=disable",
		"sslmode=require", "sslmode=verify-full", "sslmode=maybe", "sslmode=''", "sslnegotiation=direct", "sslnegotiation=x", "sslrootcert=system",
		"sslrootcert=nothing", "sslcertmode=require", "sslcertmode=x", "requirepeer=nobody", "require_auth=md5", "require_auth=!md5",
		"require_auth=md5,!password", "require_auth=!none,!none", "require_auth=none,password", "require_auth=x", "require_auth=''",
		"min_protocol_version=3.2", "min_protocol_version=3.1", "max_protocol_version=3.0", "max_protocol_version=latest",
		"max_protocol_version=4", "ssl_min_protocol_version=TLSv1.3", "ssl_min_protocol_version=x", "ssl_max_protocol_version=TLSv1.2",
		"ssl_max_protocol_version=x", "target_session_attrs=standby", "target_session_attrs=prefer-standby", "target_session_attrs=x",
		"load_balance_hosts=x", "load_balance_hosts=disable", "scram_client_key=x", "scram_client_key=AAAA",
		"scram_server_key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "oauth_issuer=x", "replication=true", "service=s", "service=none",
		"service=''", "gssencmode=x", "sslkeylogfile=x", "nonsense=1",
	};
	/* A server that is not there, unless one of the options says something else. */
	char		conninfo[1024] = "host=127.0.0.1 port=1";

	for (unsigned options = 1 + below(4); options > 0; options--)
	{
		strcat(conninfo, " ");
		strcat(conninfo, OPTIONS[below(LENGTH(OPTIONS))]);
	}
	connects(conninfo);
}

static void
login(const char *host, const char *port, const char *options, const char *db, const char *user, const char *password)
{
	PGconn	   *conn = PQsetdbLogin(host, port, options, "tty", db, user, password);

	printf("login %s %s %s %s %s %s\n", S(host), S(port), S(options), S(db), S(user), S(password));
	show("login", conn);
	PQfinish(conn);
}

static void
params(const char *const *keywords, const char *const *values, int expand)
{
	PGconn	   *conn = PQconnectdbParams(keywords, values, expand);

	printf("params, expand=%d, ping=%d\n", expand, PQpingParams(keywords, values, expand));
	show("params", conn);
	PQfinish(conn);
}

static void
write_file(const char *name, const char *text)
{
	FILE	   *file = fopen(name, "w");

	fputs(text, file);
	fclose(file);
}

static void
nothing(void)
{
	show("NULL", NULL);
	printf("parse without a place for the error: %d\n", PQconninfoParse("x", NULL) != NULL);
	PQconninfoFree(NULL);
	PQfinish(NULL);
	PQreset(NULL);
	printf("NULL: %d %d %d %d\n", PQresetStart(NULL), PQresetPoll(NULL), PQconnectPoll(NULL), PQconninfo(NULL) != NULL);
	printf("NULL TLS: %d %d %d\n", PQsslInUse(NULL), PQgetssl(NULL) != NULL, PQgetgssctx(NULL) != NULL);
}

static void
waits(void)
{
	int			pipes[2];

	if (pipe(pipes) != 0)
		exit(1);
	printf("wait for nothing: %d\n", PQsocketPoll(pipes[0], 0, 0, -1));
	printf("empty: %d %d\n", PQsocketPoll(pipes[0], 1, 0, 0), PQsocketPoll(pipes[0], 1, 0, PQgetCurrentTimeUSec() + 2000));
	printf("past: %d %d\n", PQsocketPoll(pipes[0], 1, 0, 1), PQsocketPoll(pipes[0], 1, 0, -2));
	printf("writable: %d\n", PQsocketPoll(pipes[1], 0, 1, -1));
	if (write(pipes[1], "x", 1) != 1)
		exit(1);
	printf("readable: %d both: %d\n", PQsocketPoll(pipes[0], 1, 0, -1), PQsocketPoll(pipes[0], 1, 1, PQgetCurrentTimeUSec() + 60000000));
	printf("none: %d\n", PQsocketPoll(-1, 1, 0, 0));
}

static void
lock(int acquire)
{
	(void) acquire;
}

static int
hook(PGauthData type, PGconn *conn, void *data)
{
	(void) type, (void) conn, (void) data;
	return 0;
}

static void
hooks(void)
{
	pgthreadlock_t original = PQregisterThreadLock(lock);

	printf("lock: %d %d", original != NULL, PQregisterThreadLock(NULL) == lock);
	printf(" %d\n", PQregisterThreadLock(NULL) == original);
	original(1);
	original(0);
	printf("hook: %d", PQgetAuthDataHook() == PQdefaultAuthDataHook);
	PQsetAuthDataHook(hook);
	printf(" %d", PQgetAuthDataHook() == hook);
	PQsetAuthDataHook(NULL);
	printf(" %d %d\n", PQgetAuthDataHook() == PQdefaultAuthDataHook, PQdefaultAuthDataHook(PQAUTHDATA_OAUTH_BEARER_TOKEN, NULL, NULL));
}

/* Goes on as the manual says. */
static void
poll_through(const char *conninfo)
{
	PGconn	   *conn = PQconnectStart(conninfo);
	PostgresPollingStatusType said = PGRES_POLLING_WRITING;

	printf(" started: %d", PQstatus(conn));
	for (int turn = 0; turn < 100 && PQsocket(conn) >= 0; turn++)
	{
		PQsocketPoll(PQsocket(conn), said == PGRES_POLLING_READING, said == PGRES_POLLING_WRITING, -1);
		said = PQconnectPoll(conn);
		if (said == PGRES_POLLING_OK || said == PGRES_POLLING_FAILED)
			break;
	}
	printf(" polled: %d %d socket=%d [%s]\n", said, PQstatus(conn), PQsocket(conn) >= 0, PQerrorMessage(conn));
	PQfinish(conn);
}

int
main(int argc, char **argv)
{
	static const char *const LEFT_OVER[] = {"PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSERVICE", "PGSERVICEFILE", "PGPASSFILE"};
	static const char *const WRITTEN[] = {"pg_service.conf", "bad.conf", "worse.conf", "wrong.conf", "ldap.conf", "passwords"};
	char		folder[] = "/tmp/pgpoll-conninfo-XXXXXX";
	char		conninfo[1024];
	PGconn	   *conn;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < LENGTH(LEFT_OVER); i++)
		unsetenv(LEFT_OVER[i]);
	if (argc != 2 || !mkdtemp(folder) || chdir(folder) != 0)
		return 1;
	setenv("HOME", "/nonexistent", 1);
	setenv("PGSYSCONFDIR", ".", 1);

	for (size_t i = 0; i < LENGTH(CORPUS); i++)
		parse(CORPUS[i]);
	for (int i = 0; i < 4000; i++)
		mutated();
	nothing();
	waits();
	hooks();

	defaults("table");
	setenv("PGUSER", "environment", 1);
	setenv("PGSSLMODE", "allow", 1);
	setenv("PGSSLROOTCERT", "system", 1);
	setenv("PGPORT", "", 1);
	defaults("environment");
	unsetenv("PGSSLMODE");
	setenv("PGREQUIRESSL", "1", 1);
	defaults("required");
	unsetenv("PGREQUIRESSL");
	defaults("system");
	unsetenv("PGSSLROOTCERT");
	unsetenv("PGPORT");
	write_file("pg_service.conf", "# comment\n\n[other]\nuser=x\n[s]\nuser=service\nhost=127.0.0.1\nport=1\n");
	write_file("bad.conf", "[s]\nuser=u\nservice=s\n");
	write_file("worse.conf", "[s]\nuser\n");
	write_file("wrong.conf", "[s]\nnonsense=1\n");
	write_file("ldap.conf", "[s]\nuser=u\nldap://x\n");
	setenv("PGSERVICE", "s", 1);
	for (int i = 0; i < 6; i++)
	{
		static const char *const FILES[] = {"pg_service.conf", "bad.conf", "worse.conf", "wrong.conf", "ldap.conf", "missing.conf"};

		setenv("PGSERVICEFILE", FILES[i], 1);
		defaults(FILES[i]);
		connects("host=127.0.0.1 port=1");
	}
	unsetenv("PGSERVICEFILE");
	connects("port=2");
	unsetenv("PGSERVICE");

	write_file("passwords", "127.0.0.1:1:*:u:file\\:word\n*:*:d:*:other\n");
	chmod("passwords", 0600);
	connects("host=127.0.0.1 port=1 user=u passfile=passwords");
	connects("host=127.0.0.1 port=1 user=v dbname=d passfile=passwords");
	for (int i = 0; i < 400; i++)
		refused();
	connects("host=127.0.0.1 port=0");
	connects("host=127.0.0.1 port=-1");
	connects("host=127.0.0.1 port=70000");
	connects("host=127.0.0.1 port=x");

	login("127.0.0.1", "1", "-c x=1", "d", "u", "p");
	login("127.0.0.1", "1", "", "host=b user=c port=7 password=q", "", NULL);
	login("127.0.0.1", NULL, NULL, "postgresql://c@b:1/e", "u", NULL);
	login("127.0.0.1", "1", NULL, "bad string=", NULL, NULL);
	login("127.0.0.1", "1", NULL, "a=b", NULL, NULL);
	login("127.0.0.1", "1,2", NULL, NULL, NULL, NULL);
	params((const char *const[]) {"host", "port", "dbname", "user", NULL}, (const char *const[]) {"127.0.0.1", "1", "user=x host=y", NULL}, 0);
	params((const char *const[]) {"dbname", "host", "port", NULL}, (const char *const[]) {"user=x host=y", "127.0.0.1", "1"}, 1);
	params((const char *const[]) {"dbname", "host", "port", "dbname", NULL}, (const char *const[]) {"postgres://u@y/d", "127.0.0.1", "1", "e=f"}, 1);
	params((const char *const[]) {"host", "nonsense", NULL}, (const char *const[]) {"127.0.0.1", ""}, 1);
	params((const char *const[]) {"host", "nonsense", NULL}, (const char *const[]) {"127.0.0.1", "1"}, 1);
	params((const char *const[]) {"dbname", NULL}, (const char *const[]) {"postgres://["}, 1);
	params((const char *const[]) {"host", "port", NULL}, (const char *const[]) {"127.0.0.1", "1"}, 2);

	connects(argv[1]);
	poll_through(argv[1]);
	poll_through("host=127.0.0.1 port=1");
	poll_through("host=/nonexistent");
	poll_through("nonsense");
	for (int i = 0; i < 6; i++)
	{
		static const char *const MORE[] = {"dbname=nonsense", "user=nonsense", "options='-c nonsense=1'", "target_session_attrs=standby",
		"client_encoding=nonsense", "max_protocol_version=latest"};

		snprintf(conninfo, sizeof(conninfo), "%s %s", argv[1], MORE[i]);
		connects(conninfo);
		poll_through(conninfo);
	}
	conn = PQconnectdb(argv[1]);
	printf("polled when up: %d %d\n", PQconnectPoll(conn), PQresetPoll(conn));
	PQfinish(conn);
	for (size_t i = 0; i < LENGTH(WRITTEN); i++)
		unlink(WRITTEN[i]);
	return rmdir(folder);
}
