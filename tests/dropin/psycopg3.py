"""psycopg 3 with its ctypes implementation: every part of libpq that it has a method for, synchronous and with asyncio."""

import asyncio
import os
import threading

os.environ["PSYCOPG_IMPL"] = "python"

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

HOST, PORT = os.environ["PGHOST"], os.environ["PGPORT"]
DATABASE, TLS = os.environ["PGDATABASE"], os.environ["DROPIN_TLS"]

# What differs from run to run, or between libpq 15 and 18.
VARIABLE = {"host", "port", "sslcertmode"}


def say(what, *values):
    print(what + ":", *[ascii(value) for value in values])


def error_of(call):
    """The error that the call raises, by its parts."""
    try:
        call()
    except psycopg.Error as error:
        diag = error.diag
        fields = ["severity", "sqlstate", "message_primary", "message_detail", "message_hint", "statement_position",
                  "context", "schema_name", "table_name", "column_name", "constraint_name", "datatype_name"]
        return [type(error).__name__, error.sqlstate, str(error), [getattr(diag, name) for name in fields]]
    return "no error"


def masked(text):
    return text.replace(HOST, "HOST").replace(PORT, "PORT")


def connecting():
    uri = f"postgresql://postgres@/{DATABASE}?host={HOST.replace('/', '%2F')}&port={PORT}&application_name=a%20b"
    for conninfo in ["", f"dbname={DATABASE} application_name='it''s'", f"dbname='{DATABASE}' application_name='it\\'s'", uri]:
        try:
            with psycopg.connect(conninfo) as conn:
                say("application", conn.execute("show application_name").fetchone()[0])
        except psycopg.Error as error:
            say("refused", str(error))
    with psycopg.connect(options="-c geqo=off -c DateStyle=ISO,\\ DMY", connect_timeout=10) as conn:
        say("options", conn.execute("show geqo").fetchone(), conn.execute("show DateStyle").fetchone())
        info = conn.info
        say("info", info.dbname, info.user, info.host == HOST, str(info.port) == PORT, info.options, info.password)
        say("facts", info.status.name, info.transaction_status.name, info.encoding, info.server_version // 10000 > 9,
            info.backend_pid > 0, info.parameter_status("integer_datetimes"), info.parameter_status("nonsense"))
        say("dsn", sorted(name for name in conninfo_to_dict(info.dsn) if name not in VARIABLE))
        say("parameters", sorted(info.get_parameters().keys() - VARIABLE))
    say("nothing listens", masked(str(error_of(lambda: psycopg.connect(port=1))[:3])))
    say("no database", masked(str(error_of(lambda: psycopg.connect(dbname="not there"))[2])))
    say("unknown option", error_of(lambda: psycopg.connect("nonsense=1"))[:3])
    say("no equals sign", error_of(lambda: psycopg.connect("host"))[:3])
    say("bad mode", error_of(lambda: psycopg.connect(sslmode="nonsense"))[:3])
    say("make_conninfo", make_conninfo("host=a", dbname="it's", password="b \\ c"))
    with psycopg.connect(TLS) as conn:
        pgconn = conn.pgconn
        say("tls", pgconn.ssl_in_use, pgconn.used_password, pgconn.needs_password, conn.info.hostaddr, conn.info.host)
        query = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
        say("tls as the server sees it", conn.execute(query).fetchone())
    say("wrong password", masked(str(error_of(lambda: psycopg.connect(TLS, password="wrong"))[2])))
    plain = {"sslmode": "disable", "sslrootcert": ""}
    say("no tls", masked(str(error_of(lambda: psycopg.connect(TLS, **plain))[2])))
    say("the wrong name", masked(str(error_of(lambda: psycopg.connect(TLS, host="wrong.example"))[2])))


def queries(conn):
    values = [1, -(2**62), 1.5, None, "text", "snow ☃", b"\x00\xff'", True, [1, None, 3], {"a": 1}]
    values[-1] = psycopg.types.json.Jsonb(values[-1])
    for binary in (False, True):
        cur = conn.cursor(binary=binary)
        cur.execute("select %s, %s::int8, %s::float8, %s::text, %s::text, %s::text, %s::bytea, %s, %s::int[], %s", values)
        say("parameters", binary, cur.fetchone())
        say("columns", [(column.name, column.type_code, column.display_size, column.internal_size, column.precision,
                         column.scale, column.null_ok) for column in cur.description])
        types = """select '2024-02-29'::date, '12:34:56.789'::time, '1 day 02:03'::interval, 12345678901234567890.123::numeric,
            'a8098c1a-f86e-11da-bd1a-00112444be1e'::uuid, '[1,10)'::int4range, '127.0.0.1/8'::inet, array['a','b,"'], null::int,
            'NaN'::float8, '(1,2)'::point::text, repeat('x', 10)::varchar(20), row(1, 'a')"""
        say("types", conn.cursor(binary=binary).execute(types).fetchone())
    conn.execute("create table t (id int primary key, name text not null, part numeric(8, 2) check (part > 0))")
    cur = conn.cursor()
    cur.executemany("insert into t values (%s, %s, %s)", [(n, f"name {n}", n / 4) for n in range(1, 101)])
    say("executemany", cur.rowcount, cur.statusmessage)
    cur.executemany("insert into t values (%s, %s, %s) returning id", [(n, "x", n) for n in (201, 202)], returning=True)
    say("returning", [cur.fetchall()] + [cur.fetchall() for _ in iter(cur.nextset, None)])
    for n in range(8):
        say("prepared", conn.execute("select name from t where id = %s", [n], prepare=True).fetchone())
    say("statements", conn.execute("select count(*) from pg_prepared_statements").fetchone())
    say("dict", conn.cursor(row_factory=dict_row).execute("select 1 as a, 2 as a, 3 as \"B c\"").fetchone())
    cur = conn.execute("select 1; select 2, 3; select where false")
    say("many", cur.fetchall(), cur.nextset(), cur.fetchall(), cur.nextset(), cur.fetchall(), cur.nextset())
    say("empty", conn.execute("").statusmessage, conn.execute(" ; ").statusmessage, conn.execute("-- nothing").pgresult.status)
    say("update", conn.execute("update t set part = 1 where id < 10").statusmessage)
    say("streamed", sum(row[0] for row in conn.cursor().stream("select n from generate_series(1, 1000) n")))
    if psycopg.capabilities.has_stream_chunked():
        say("chunks", sum(row[0] for row in conn.cursor().stream("select n from generate_series(1, 1000) n", size=64)) == 500500)
    else:
        say("chunks", True)
    with conn.cursor("named", scrollable=True) as cur, conn.transaction():
        cur.execute("select id from t order by id")
        say("server cursor", cur.fetchmany(3), cur.fetchone(), cur.scroll(-2), cur.fetchone(), len(cur.fetchall()))
    long = "x" * 3_000_000
    say("long", conn.execute("select %s::text || 'end'", [long]).fetchone()[0] == long + "end")


def errors(conn):
    for query in ["select 1/0", "selec 1", "select 'é' +\n  from t", "insert into t values (1, 'a', 1)",
                  "insert into t values (999, null, 1)", "insert into t values (999, 'a', -1)", "select * from nowhere",
                  "do $$ begin raise exception 'own' using errcode = 'XX123', detail = 'a detail', hint = 'a hint', "
                  "column = 'c', constraint = 'd', datatype = 'e', table = 'f', schema = 'g'; end $$",
                  "select 'a'::int4", "set client_encoding = nonsense", "select repeat('x', 100)::varchar(5)::int"]:
        say("error", error_of(lambda: conn.execute(query)))
    say("wrong number of parameters", error_of(lambda: conn.execute(b"select $1", [])))
    say("bad binary", error_of(lambda: conn.pgconn.exec_params(b"select $1::int4", [b"x"], None, [1], 0) and None))
    result = conn.pgconn.exec_params(b"select $1::int4", [b"x"], None, [1], 0)
    say("bad binary", result.status, result.error_message, result.error_field(pq.DiagnosticField.SQLSTATE))
    notices = []
    conn.add_notice_handler(lambda diag: notices.append((diag.severity, diag.sqlstate, diag.message_primary, diag.context)))
    conn.execute("do $$ begin raise notice 'seen %', 1; raise warning 'too'; raise info 'and this'; end $$")
    conn.execute("drop table if exists nowhere")
    say("notices", notices)


def transactions(conn):
    conn.autocommit = False
    conn.execute("insert into t values (500, 'a', 1)")
    say("in a transaction", conn.info.transaction_status.name)
    say("fails", error_of(lambda: conn.execute("select 1/0"))[1], conn.info.transaction_status.name)
    say("then", error_of(lambda: conn.execute("select 1"))[:3])
    conn.rollback()
    say("rolled back", conn.execute("select count(*) from t where id = 500").fetchone(), conn.info.transaction_status.name)
    conn.rollback()
    conn.autocommit = True
    with conn.transaction():
        conn.execute("insert into t values (501, 'a', 1)")
        try:
            with conn.transaction():
                conn.execute("insert into t values (501, 'a', 1)")
        except psycopg.errors.UniqueViolation as error:
            say("savepoint", error.diag.constraint_name)
    say("kept", conn.execute("select count(*) from t where id = 501").fetchone())
    deferred = "create table d (id int references t deferrable initially deferred)"
    conn.execute(deferred)
    say("deferred", error_of(lambda: conn.execute("insert into d values (-1)"))[1])


def copying(conn):
    conn.execute("create table c (a int, b text)")
    cur = conn.cursor()
    with cur.copy("copy c from stdin") as copy:
        for n in range(20_000):
            copy.write_row((n, None if n % 7 == 0 else f"row\t{n}\\\n"))
    say("copied in", cur.statusmessage, conn.execute("select count(*), count(b), sum(length(b)) from c").fetchone())
    with cur.copy("copy c from stdin (format binary)") as copy:
        copy.set_types(["int4", "text"])
        copy.write_row((-1, "binary"))
    with cur.copy("copy (select * from c order by a limit 3) to stdout") as copy:
        say("copied out", [bytes(block) for block in copy])
    with cur.copy("copy (select * from c order by a limit 3) to stdout (format binary)") as copy:
        copy.set_types(["int4", "text"])
        say("rows", list(copy.rows()))
    with cur.copy("copy c to stdout") as copy:
        say("all", sum(len(block) for block in copy))

    def bad():
        with cur.copy("copy c from stdin") as copy:
            copy.write("nonsense\n")

    def given_up():
        with cur.copy("copy c from stdin") as copy:
            copy.write("1\ta\n")
            raise psycopg.Error("own")

    say("bad line", error_of(bad))
    say("given up", error_of(given_up)[0], conn.execute("select count(*) from c").fetchone())

    def left_early():
        with cur.copy("copy (select n from generate_series(1, 100000) n) to stdout") as copy:
            say("left early", bytes(copy.read()))
            raise psycopg.Error("own")

    say("left early", error_of(left_early)[:3])
    say("still there", conn.info.transaction_status.name, conn.execute("select 1").fetchone())
    other = psycopg.connect(autocommit=True)
    say("by execute", error_of(lambda: other.execute("copy c to stdout"))[:3])
    other.close()


def pipelines(conn):
    with conn.pipeline() as pipeline:
        cursors = [conn.execute("select %s::int", [n]) for n in range(500)]
        pipeline.sync()
        say("pipeline", sum(cur.fetchone()[0] for cur in cursors))
    cur = conn.cursor()

    def failing():
        with conn.pipeline():
            conn.execute("insert into t values (600, 'a', 1)")
            conn.execute("select 1/0")
            cur.execute("select 2")

    say("pipeline error", error_of(failing)[:2], conn.execute("select count(*) from t where id = 600").fetchone())
    say("aborted", error_of(lambda: cur.fetchone())[:3])
    pgconn = conn.pgconn
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(b"select $1::text", [b"one"])
    pgconn.send_prepare(b"p", b"select $1::int + 1")
    pgconn.send_query_prepared(b"p", [b"41"], None, 1)
    pgconn.send_describe_prepared(b"p")
    pgconn.send_query_params(b"select 1/0", None)
    pgconn.send_query_params(b"select 3", None)
    pgconn.pipeline_sync()
    pgconn.send_query_params(b"select 4", None)
    pgconn.send_flush_request()
    pgconn.flush()
    say("misuse", error_of(lambda: pgconn.exec_(b"select 1"))[:3])
    say("misuse", error_of(lambda: pgconn.exit_pipeline_mode())[:3])
    pgconn.pipeline_sync()
    syncs = 0
    while syncs < 2:
        result = pgconn.get_result()
        if result is None:
            say("result", None, pq.PipelineStatus(pgconn.pipeline_status).name)
            continue
        status = pq.ExecStatus(result.status)
        say("result", status.name, result.ntuples, result.nfields, result.get_value(0, 0), result.error_message)
        syncs += status == pq.ExecStatus.PIPELINE_SYNC
    say("no more", pgconn.get_result())
    pgconn.exit_pipeline_mode()
    say("pipeline", pgconn.pipeline_status)


def notifications(conn):
    conn.execute("listen a_channel")
    conn.execute("listen \"Another one\"")
    conn.execute("select pg_notify('a_channel', 'to itself')")
    with psycopg.connect(autocommit=True) as other:
        other.execute("notify a_channel, 'hello'")
        other.execute("select pg_notify('Another one', 'snow ☃')")
    for note in conn.notifies(timeout=30, stop_after=3):
        say("notified", note.channel, note.payload, note.pid == conn.info.backend_pid)
    conn.execute("unlisten *")


def cancelling(conn):
    def cancel():
        with psycopg.connect(autocommit=True) as other:
            query = "select count(*) from pg_stat_activity where pid = %s and state = 'active' and wait_event = 'PgSleep'"
            while other.execute(query, [conn.info.backend_pid]).fetchone() == (0,):
                pass
        conn.cancel_safe(timeout=30)

    thread = threading.Thread(target=cancel)
    thread.start()
    say("cancelled", error_of(lambda: conn.execute("select pg_sleep(600)"))[:3])
    thread.join()
    say("usable", conn.execute("select 1").fetchone())


def large_objects(conn):
    pgconn = conn.pgconn
    oid = conn.execute("select lo_from_bytea(0, %s)", [b"\x00large\xff"]).fetchone()[0]
    say("large object", conn.execute("select lo_get(%s)", [oid]).fetchone(), pgconn.status)


def escaping(conn):
    escaping = pq.Escaping(conn.pgconn)
    for text in [b"", b"it's", b"back\\slash", "é ☃".encode(), b'quo"te']:
        say("escaped", escaping.escape_literal(text), escaping.escape_identifier(text), escaping.escape_string(text))
        say("escaped", pq.Escaping().escape_string(text), pq.Escaping().escape_bytea(text))
    say("bytea", escaping.escape_bytea(bytes(range(256))), bytes(escaping.unescape_bytea(b"\\x00ff10")), bytes(escaping.unescape_bytea(b"a\\\\b\\001")))
    say("invalid", error_of(lambda: escaping.escape_literal(b"a\xff"))[:3], error_of(lambda: escaping.escape_identifier(b"\xc3"))[:3])
    query = sql.SQL("select {} as {}").format(sql.Literal("it's \\"), sql.Identifier('a "b"'))
    say("composed", query.as_string(conn), conn.execute(query).fetchone())


def encodings(conn):
    for encoding in ["LATIN1", "SJIS", "EUC_JP", "UTF8", "WIN1252", "BIG5"]:
        conn.execute(f"set client_encoding = {encoding}")
        text = {"LATIN1": "élan", "WIN1252": "€", "UTF8": "☃"}.get(encoding, "表ソ" if encoding != "BIG5" else "許功")
        cur = conn.execute("select %s::text, length(%s), %s::bytea", [text, text, b"\\"])
        say("encoding", conn.info.encoding, cur.fetchone(), conn.pgconn.parameter_status(b"client_encoding"))
        say("literal", sql.Literal(text + "\\'").as_bytes(conn), sql.Identifier(text + '"').as_bytes(conn))
        say("error", error_of(lambda: conn.execute(sql.SQL("select 1 as {} fro").format(sql.Identifier(text))))[2])
        conn.execute("set client_encoding = UTF8")
    say("password", pq.Escaping and conn.pgconn.encrypt_password(b"secret", b"me", b"md5"))
    say("password", conn.pgconn.encrypt_password(b"secret", b"me", b"scram-sha-256")[:18])
    say("password", error_of(lambda: conn.pgconn.encrypt_password(b"secret", b"me", b"nonsense"))[:3])


def low_level():
    pgconn = pq.PGconn.connect_start(b"")
    pgconn.nonblocking = 1
    polled = set()
    while (status := pgconn.connect_poll()) not in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
        polled.add(pq.PollingStatus(status).name)
        import select
        select.select([pgconn.socket] if status == pq.PollingStatus.READING else [],
                      [pgconn.socket] if status == pq.PollingStatus.WRITING else [], [], 60)
    say("polled", pq.PollingStatus(status).name, pq.ConnStatus(pgconn.status).name, pgconn.nonblocking, pgconn.socket > 0)
    say("ping", pq.Ping(pq.PGconn.ping(b"")).name, pq.Ping(pq.PGconn.ping(b"port=1")).name, pq.Ping(pq.PGconn.ping(b"port=x")).name)
    result = pgconn.make_empty_result(pq.ExecStatus.FATAL_ERROR)
    say("made", pq.ExecStatus(result.status).name, result.error_message, result.ntuples)
    result = pgconn.make_empty_result(pq.ExecStatus.TUPLES_OK)
    result.set_attributes([pq.PGresAttDesc(b"a", 0, 0, 0, 25, -1, -1), pq.PGresAttDesc(b"b", 1, 2, 1, 23, 4, 5)])
    say("made", result.nfields, [(result.fname(n), result.ftable(n), result.ftablecol(n), result.fformat(n), result.ftype(n),
                                  result.fmod(n), result.fsize(n)) for n in range(3)])
    notices = []
    pgconn.notice_handler = lambda result: notices.append(bytes(result.error_message))
    pgconn.exec_(b"select 1").get_value(3, 4)
    say("notices", notices)
    options = pq.Conninfo.get_defaults()
    say("options", [(option.keyword, option.envvar, option.compiled, option.label, option.dispchar, option.dispsize)
                    for option in options if option.keyword in (b"dbname", b"sslmode", b"connect_timeout", b"host", b"password", b"service")])
    say("parsed", [(o.keyword, o.val) for o in pq.Conninfo.parse(b"postgresql://a:b@c,d:1/e?sslmode=require") if o.val])
    say("not parsed", error_of(lambda: pq.Conninfo.parse(b"postgresql://a:b@[c"))[:3])
    backend = pgconn.backend_pid
    with psycopg.connect(autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 60000)", [backend])
    result = pgconn.exec_(b"select 1")
    say("killed", pq.ExecStatus(result.status).name, result.error_message, pq.ConnStatus(pgconn.status).name)
    say("killed", masked(pgconn.error_message.decode()))
    pgconn.reset()
    say("reset", pq.ConnStatus(pgconn.status).name, pgconn.exec_(b"select 2").get_value(0, 0), pgconn.backend_pid != backend)
    pgconn.finish()
    say("finished", error_of(lambda: pgconn.exec_(b"select 1"))[:3])


async def with_asyncio():
    conn = await psycopg.AsyncConnection.connect(TLS, autocommit=True)
    async with conn:
        cur = await conn.execute("select %s::text, repeat('x', 100000)", ["asyncio"])
        say("asyncio", len((await cur.fetchone())[1]))
        task = asyncio.create_task(conn.execute("select pg_sleep(600)"))
        async with await psycopg.AsyncConnection.connect(autocommit=True) as other:
            query = "select count(*) from pg_stat_activity where pid = %s and state = 'active' and wait_event = 'PgSleep'"
            while await (await other.execute(query, [conn.info.backend_pid])).fetchone() == (0,):
                pass
        await conn.cancel_safe(timeout=30)
        try:
            await task
        except psycopg.Error as error:
            say("asyncio cancelled", str(error))
        say("asyncio", await (await conn.execute("select 1")).fetchone())
        async with conn.pipeline():
            cursors = [await conn.execute("select %s::int", [n]) for n in range(50)]
        say("asyncio pipeline", sum([(await cur.fetchone())[0] for cur in cursors]))


def main():
    say("implementation", pq.__impl__)
    connecting()
    with psycopg.connect(autocommit=True) as conn:
        for part in [queries, errors, transactions, copying, pipelines, notifications, cancelling, large_objects, escaping, encodings]:
            print("--", part.__name__)
            part(conn)
    print("-- low level")
    low_level()
    asyncio.run(with_asyncio())


main()
