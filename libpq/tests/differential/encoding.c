/* Encodings: names, lengths and widths of characters, the encoding of a connection, and where the caret stands. */
#include <libpq-fe.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exported, and in no header. */
extern int pg_valid_server_encoding(const char *name);
extern int pg_utf_mblen(const unsigned char *text);

static unsigned long long state = 4711;

static unsigned
draw(unsigned below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned) (state >> 33) % below;
}

static void
names(void)
{
	static const char *const names[] = {"", "-", "UTF8", "utf-8", "UTF 8", "Unicode", "uni_code", "utf", "utf88", "SQL_ASCII", "sql-ascii", "ascii",
		"abc", "ALT", "koi8", "KOI8-R", "koi8-u", "win", "WIN", "Windows-1252", "windows 866", "cp1252", "tcvn", "TCVN5712", "vscii",
		"mskanji", "Shift_JIS", "shiftjis2004", "SHIFT-JIS-2004", "win932", "windows950", "big5", "big-5", "gbk", "GB18030", "gb2312",
		"iso-8859-1", "ISO_8859_5", "iso 8859 16", "iso88599", "latin-1", "LATIN10", "latin11", "mule", "MULE_INTERNAL", "johab", "uhc",
		"euc_jp", "EUC-JIS-2004", "eucjis", "utf\xc3\xbc" "8", "utf8\xff", "\xff"};
	char name[100];

	for (int id = -3; id < 46; id++)
	{
		const char *found = pg_encoding_to_char(id);

		printf("%d: [%s] %d %d %d\n", id, found, pg_char_to_encoding(found), pg_valid_server_encoding(found), pg_valid_server_encoding_id(id));
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		printf("[%s]: %d %d\n", names[i], pg_char_to_encoding(names[i]), pg_valid_server_encoding(names[i]));
	for (int length = 58; length < 70; length++)
	{
		memset(name, '-', sizeof(name));
		memcpy(name, "utf8", 4);
		name[length] = '\0';
		printf("%d bytes: %d\n", length, pg_char_to_encoding(name));
	}
	/* Every number behind every prefix. */
	for (int number = 0; number < 2000; number++)
	{
		static const char *const prefixes[] = {"win", "windows", "latin", "iso8859", "koi", "utf", "tcvn", "gb", "big"};
		const char *prefix = prefixes[draw(9)];

		snprintf(name, sizeof(name), "%s-%d", prefix, number);
		if (pg_char_to_encoding(name) >= 0)
			printf("%s: %d\n", name, pg_char_to_encoding(name));
	}
	printf("none: %d %d\n", pg_char_to_encoding(NULL), pg_valid_server_encoding(NULL));
}

static void
environment(const char *value)
{
	if (value)
		setenv("PGCLIENTENCODING", value, 1);
	else
		unsetenv("PGCLIENTENCODING");
	printf("PGCLIENTENCODING=%s: %d\n", value ? value : "(none)", PQenv2encoding());
}

static void
characters(void)
{
	for (int id = -1; id < 43; id++)
	{
		for (int first = 0; first < 256; first++)
		{
			/* What libpq would read behind the end is zero here. */
			unsigned char text[12] = {0};

			printf("%d %02x:", id, first);
			text[0] = (unsigned char) first;
			for (int i = 0; i < 4; i++)
			{
				const char *at = (const char *) text;

				printf(" %d/%d/%d", PQmblen(at, id), PQmblenBounded(at, id), PQdsplen(at, id));
				text[1] = (unsigned char) (i == 0 ? '0' + draw(10) : draw(256));
				text[2] = (unsigned char) (text[1] ? draw(256) : 0);
				text[3] = (unsigned char) (text[2] ? draw(256) : 0);
			}
			printf("\n");
		}
	}
	for (int first = 0; first < 256; first++)
	{
		unsigned char byte = (unsigned char) first;

		printf("%d ", pg_utf_mblen(&byte));
	}
	printf("\n");
}

/* The width of every code point, as runs. */
static void
widths(void)
{
	int last = -9;

	for (unsigned code = 1; code < 0x200000; code++)
	{
		char text[5] = {0};
		int width;

		if (code < 0x80)
			text[0] = (char) code;
		else if (code < 0x800)
		{
			text[0] = (char) (0xc0 | code >> 6);
			text[1] = (char) (0x80 | (code & 0x3f));
		}
		else if (code < 0x10000)
		{
			text[0] = (char) (0xe0 | code >> 12);
			text[1] = (char) (0x80 | (code >> 6 & 0x3f));
			text[2] = (char) (0x80 | (code & 0x3f));
		}
		else
		{
			text[0] = (char) (0xf0 | code >> 18);
			text[1] = (char) (0x80 | (code >> 12 & 0x3f));
			text[2] = (char) (0x80 | (code >> 6 & 0x3f));
			text[3] = (char) (0x80 | (code & 0x3f));
		}
		width = PQdsplen(text, 6);
		if (width != last)
			printf("from U+%04X on: %d\n", code, width);
		last = width;
	}
}

static void
set(PGconn *conn, const char *name)
{
	int done = PQsetClientEncoding(conn, name);

	printf("set [%s]: %d", name ? name : "(null)", done);
	printf(" now %d %s [%s]\n", PQclientEncoding(conn), conn ? PQparameterStatus(conn, "client_encoding") : "", PQerrorMessage(conn));
}

/* Errors at every place of a text in every encoding: the caret stands where libpq has it. */
static void
carets(PGconn *conn, int id)
{
	static const char *const pieces[] = {"a", " ", "\t", "\n", "\r", "\r\n", "(", "\x95\\", "\xc3\xa4", "\xe2\x82\xac", "\xe4\xb8\xad",
		"\xf0\x9f\x98\x80", "e\xcc\x81", "\x8e\xb1", "\x8f\xb0\xa1", "\x8e\xa2\xa1\xa1", "\x92\xb0\xa1", "\xb0\xa1", "\x81\x30\x81\x30",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

	for (int i = 0; i < 15; i++)
	{
		char query[1500];
		PGresult *res;
		int count = (int) draw(30);

		strcpy(query, "select '");
		for (int at = 0; at < count; at++)
			strcat(query, pieces[draw(sizeof(pieces) / sizeof(pieces[0]))]);
		strcat(query, "' missing from nowhere where '");
		count = (int) draw(10);
		for (int at = 0; at < count; at++)
			strcat(query, pieces[draw(sizeof(pieces) / sizeof(pieces[0]))]);
		strcat(query, "'");
		res = PQexec(conn, query);
		printf("%d: %s\n%s", id, PQresStatus(PQresultStatus(res)), PQerrorMessage(conn));
		PQclear(res);
	}
}

int
main(int argc, char **argv)
{
	char conninfo[2000];
	char name[200];
	PGconn *conn, *other;
	static const char *const locales[] = {"C", "POSIX", "C.UTF-8", "C.utf8"};

	if (argc < 2)
		return 2;
	names();
	environment(NULL);
	environment("");
	environment("latin1");
	environment("nonsense");
	environment("UTF-8");
	environment(NULL);
	characters();
	widths();

	printf("no connection: %d %d\n", PQclientEncoding(NULL), PQsetClientEncoding(NULL, "UTF8"));
	conn = PQconnectdb(argv[1]);
	printf("connected: %d\n", PQclientEncoding(conn));
	set(conn, NULL);
	set(conn, "");
	set(conn, "nonsense");
	set(conn, "it's");
	set(conn, "utf8' ; set client_encoding to 'latin1");
	memset(name, ' ', sizeof(name));
	memcpy(name, "latin2", 6);
	for (int length = 99; length < 105; length++)
	{
		name[length] = '\0';
		set(conn, name);
		name[length] = ' ';
	}
	for (int id = 0; id < 42; id++)
	{
		set(conn, pg_encoding_to_char(id));
		set(conn, "UTF8");
	}
	for (int i = 0; i < 4; i++)
	{
		const char *found = setlocale(LC_CTYPE, locales[i]);

		printf("locale %s: %s\n", locales[i], found ? found : "none");
		set(conn, "auto");
		snprintf(conninfo, sizeof(conninfo), "%s client_encoding=auto", argv[1]);
		other = PQconnectdb(conninfo);
		printf("auto: %d %s\n", PQclientEncoding(other), PQparameterStatus(other, "client_encoding"));
		PQfinish(other);
	}
	setlocale(LC_CTYPE, "C");
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("PGCLIENTENCODING", "auto", 1);
	other = PQconnectdb(argv[1]);
	printf("auto without setlocale: %d %s\n", PQclientEncoding(other), PQparameterStatus(other, "client_encoding"));
	PQfinish(other);
	unsetenv("PGCLIENTENCODING");
	snprintf(conninfo, sizeof(conninfo), "%s client_encoding=nonsense", argv[1]);
	other = PQconnectdb(conninfo);
	printf("nonsense: %d %d\n", PQstatus(other), PQclientEncoding(other));
	PQfinish(other);

	/* In the wrong state. */
	PQclear(PQexec(conn, "begin"));
	PQclear(PQexec(conn, "nonsense"));
	set(conn, "LATIN1");
	PQclear(PQexec(conn, "rollback"));
	PQenterPipelineMode(conn);
	set(conn, "LATIN1");
	PQexitPipelineMode(conn);
	set(conn, "LATIN1");
	PQclear(PQexec(conn, "set client_encoding to 'UTF8'"));

	PQclear(PQexec(conn, "drop database if exists bytes"));
	PQclear(PQexec(conn, "create database bytes template template0 encoding 'SQL_ASCII' locale 'C'"));
	snprintf(conninfo, sizeof(conninfo), "%s dbname=bytes", argv[1]);
	other = PQconnectdb(conninfo);
	for (int id = 0; id < 42; id++)
	{
		printf("%s: %d", pg_encoding_to_char(id), PQsetClientEncoding(other, pg_encoding_to_char(id)));
		printf(" %d\n", PQclientEncoding(other));
		carets(other, id);
		if (id != 7 && id != 5)
		{
			printf("%s: %d", pg_encoding_to_char(id), PQsetClientEncoding(conn, pg_encoding_to_char(id)));
			printf(" %d\n", PQclientEncoding(conn));
			carets(conn, id);
		}
	}
	PQclear(PQexec(other, "select pg_terminate_backend(pg_backend_pid())"));
	printf("lost: %d %d\n", PQclientEncoding(other), PQsetClientEncoding(other, "UTF8"));
	PQfinish(other);
	PQfinish(conn);
	return 0;
}
