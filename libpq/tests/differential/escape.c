/* Escaping in every encoding: texts, identifiers and binary strings, with and without a connection, valid and not. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long state = 42;

static unsigned
draw(unsigned below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned) (state >> 33) % below;
}

static void
hex(const char *name, const void *bytes, size_t length)
{
	printf(" %s=", name);
	if (!bytes)
	{
		printf("NULL");
		return;
	}
	for (size_t i = 0; i < length; i++)
		printf("%02x", ((const unsigned char *) bytes)[i]);
}

/* Bytes that mean something: quotes, lead bytes, trail bytes that look like ASCII. */
static size_t
make(char *text, size_t most)
{
	static const char *const pieces[] = {"'", "\\", "\"", "a", " ", "\x30", "\x81\x30\x81\x30", "\x95\\", "\xc3\xa4", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "\x8e\xb1", "\x8f\xb0\xa1", "\x8e\xa2\xa1\xa1", "\x9a\xa0\xa1", "\x9c\xf0\xa1\xa1", "\xb0\xa1", "\xa1'",
		"\xc3", "\xe2\x82", "\xf0\x9f", "\x8f", "\xff", "\x80", "\xed\xa0\x80", "\xc0\x80", "\x8d "};
	size_t length = 0;
	unsigned count = draw(7);

	for (unsigned i = 0; i < count; i++)
	{
		char byte = (char) (1 + draw(255));
		unsigned which = draw(40);
		const char *piece = which < sizeof(pieces) / sizeof(pieces[0]) ? pieces[which] : &byte;
		size_t size = which < sizeof(pieces) / sizeof(pieces[0]) ? strlen(piece) : 1;

		if (length + size > most)
			break;
		memcpy(text + length, piece, size);
		length += size;
	}
	return length;
}

static void
texts(PGconn *conn, const char *text, size_t length)
{
	char to[200];
	int error = 7;
	size_t size;
	char *quoted;

	memset(to, '#', sizeof(to));
	hex("text", text, length);
	size = PQescapeStringConn(conn, to, text, length, &error);
	printf(" size=%zu error=%d", size, error);
	hex("to", to, size + 1);
	printf(" said=[%s]", conn ? PQerrorMessage(conn) : "");
	quoted = PQescapeLiteral(conn, text, length);
	hex("literal", quoted, quoted ? strlen(quoted) : 0);
	printf(" said=[%s]", conn ? PQerrorMessage(conn) : "");
	PQfreemem(quoted);
	quoted = PQescapeIdentifier(conn, text, length);
	hex("identifier", quoted, quoted ? strlen(quoted) : 0);
	printf(" said=[%s]", conn ? PQerrorMessage(conn) : "");
	PQfreemem(quoted);
	size = PQescapeString(to, text, length);
	hex("string", to, size + 1);
	printf("\n");
}

static void
binaries(PGconn *conn)
{
	for (int i = 0; i < 60; i++)
	{
		unsigned char from[300];
		size_t length = i < 50 ? draw(12) : draw(300), size = 99;
		unsigned char *escaped, *back;

		for (size_t at = 0; at < length; at++)
			from[at] = (unsigned char) draw(256);
		hex("bytes", from, length);
		escaped = PQescapeByteaConn(conn, from, length, &size);
		printf(" size=%zu [%s]", size, escaped ? (char *) escaped : "NULL");
		back = PQunescapeBytea(escaped, &size);
		hex("back", back, size);
		PQfreemem(back);
		PQfreemem(escaped);
		escaped = PQescapeBytea(from, length, &size);
		printf(" size=%zu [%s]", size, (char *) escaped);
		back = PQunescapeBytea(escaped, &size);
		hex("back", back, size);
		PQfreemem(back);
		PQfreemem(escaped);
		printf("\n");
	}
}

static void
unescape(void)
{
	static const char alphabet[] = "\\\\\\\\x01234567789abcdefABCDEF gG'";
	static const char *const made[] = {"", "\\", "\\\\", "\\\\\\", "\\x", "\\x1", "\\x12", "\\x123", "\\xg", "\\x g1", "\\x12 34", "\\X12", "x12",
		"\\0", "\\00", "\\000", "\\377", "\\400", "\\3", "\\37", "\\378", "a\\", "a\\b", "\\x\xff\x31\x32", "\xff\\\xfe", "\\\\x41"};
	unsigned char *bytes;
	size_t size;

	for (size_t i = 0; i < 1000 + sizeof(made) / sizeof(made[0]); i++)
	{
		char text[24];
		size_t length = draw(sizeof(text) - 1);

		for (size_t at = 0; at < length; at++)
			text[at] = alphabet[draw(sizeof(alphabet) - 1)];
		text[length] = '\0';
		if (i >= 1000)
			strcpy(text, made[i - 1000]);
		size = 99;
		bytes = PQunescapeBytea((const unsigned char *) text, &size);
		printf("unescape [%s] size=%zu", text, size);
		hex("bytes", bytes, size);
		printf("\n");
		PQfreemem(bytes);
	}
	size = 99;
	bytes = PQunescapeBytea(NULL, &size);
	printf("unescape NULL: %d size=%zu\n", bytes == NULL, size);
}

static void
command(PGconn *conn, const char *sql)
{
	PGresult *res = PQexec(conn, sql);

	printf("%s: %s [%s]\n", sql, PQresStatus(PQresultStatus(res)), PQerrorMessage(conn));
	PQclear(res);
}

static void
statics(const char *when)
{
	static const char text[] = "'\\\xc3'\xe4\xb8\xad\x95\\";
	char to[60];
	size_t size = PQescapeString(to, text, sizeof(text) - 1);
	unsigned char *bytes;

	printf("%s:", when);
	hex("string", to, size + 1);
	bytes = PQescapeBytea((const unsigned char *) text, sizeof(text) - 1, &size);
	printf(" bytea=%zu [%s]\n", size, (char *) bytes);
	PQfreemem(bytes);
}

int
main(int argc, char **argv)
{
	char conninfo[2000];
	PGconn *conn, *other;
	PGresult *res;
	char text[64];

	if (argc < 2)
		return 2;
	statics("no connection yet");
	texts(NULL, "it's", 4);
	conn = PQconnectdb(argv[1]);
	statics("connected");
	command(conn, "drop database if exists ascii");
	command(conn, "create database ascii template template0 encoding 'SQL_ASCII' locale 'C'");
	snprintf(conninfo, sizeof(conninfo), "%s dbname=ascii client_encoding=SJIS", argv[1]);
	other = PQconnectdb(conninfo);
	statics("connected to another");
	command(conn, "set timezone to 'UTC'");
	statics("the first has said something else");
	command(conn, "set standard_conforming_strings = off");
	statics("the first has old strings");
	command(conn, "set client_encoding to 'LATIN1'");
	statics("the first has latin");
	command(other, "set client_encoding to 'UTF8'");
	statics("the other has unicode");
	command(conn, "set client_encoding to 'UTF8'");

	/* Every encoding, both kinds of strings. The server that converts nothing takes each. */
	for (int strings = 0; strings < 2; strings++)
	{
		command(other, strings ? "set standard_conforming_strings = on" : "set standard_conforming_strings = off");
		for (int encoding = 0; encoding < 42; encoding++)
		{
			printf("%s: %d, %d\n", pg_encoding_to_char(encoding), PQsetClientEncoding(other, pg_encoding_to_char(encoding)),
				   PQclientEncoding(other));
			for (int i = 0; i < 80; i++)
				texts(other, text, make(text, sizeof(text)));
			/* Ended by a NUL, with a length that is none. */
			texts(other, "a'\\\xc3", 100);
			texts(other, "\xe2\x82\0'", 4);
			texts(other, "", 0);
		}
		binaries(other);
	}
	unescape();

	/* What was said before stays when something is queued. */
	PQenterPipelineMode(conn);
	PQsendQueryParams(conn, "select 1", 0, NULL, NULL, NULL, NULL, 0);
	texts(conn, "\xff'", 2);
	texts(conn, "\xff", 1);
	PQpipelineSync(conn);
	while ((res = PQgetResult(conn)) || (res = PQgetResult(conn)))
	{
		int status = PQresultStatus(res);

		PQclear(res);
		if (status == PGRES_PIPELINE_SYNC)
			break;
	}
	PQexitPipelineMode(conn);
	texts(conn, "\xe2\x82\xac'", 4);

	/* The connection is gone: what is known of it stays. */
	command(other, "select pg_terminate_backend(pg_backend_pid())");
	texts(other, "it's \\ \xff", 8);
	printf("encoding %d\n", PQclientEncoding(other));
	PQresetStart(other);
	texts(other, "it's \\ \xff", 8);
	binaries(other);
	PQfinish(other);
	PQfinish(conn);
	conn = PQconnectdb("host=/nonexistent");
	texts(conn, "it's \\ \xff", 8);
	binaries(conn);
	PQfinish(conn);
	statics("no connection any more");
	binaries(NULL);
	return 0;
}
