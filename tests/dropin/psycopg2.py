"""psycopg2: queries with the client's quoting, its asynchronous mode, COPY, large objects, LISTEN, cancelling, replication."""

import io
import os
import re
import select
import sys
import threading

# The script has the module's name: its own folder is not to be looked through.
sys.path.pop(0)

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from psycopg2 import sql

HOST, PORT = os.environ["PGHOST"], os.environ["PGPORT"]
DATABASE, TLS = os.environ["PGDATABASE"], os.environ["DROPIN_TLS"]
SLEEPING = "select count(*) from pg_stat_activity where pid = %s and state = 'active' and wait_event = 'PgSleep'"


def say(what, *values):
    print(what + ":", *[ascii(value) for value in values])


def masked(text):
    return re.sub("large object [0-9]+", "large object N", text.replace(HOST, "HOST").replace(PORT, "PORT"))


def error_of(call):
    try:
        call()
    except psycopg2.Error as error:
        diag = error.diag
        return [type(error).__name__, error.pgcode, masked(str(error)), diag.message_detail, diag.message_hint, diag.statement_position,
                diag.constraint_name, diag.table_name, diag.column_name]
    return "no error"


def one(conn, query, values=None):
    with conn.cursor() as cur:
        cur.execute(query, values)
        return cur.fetchone()


def connecting():
    uri = f"postgres:///{DATABASE}?host={HOST.replace('/', '%2F')}&application_name=a%26b"
    for conninfo in ["", uri, f"host='{HOST}' application_name = 'it\\'s'"]:
        conn = psycopg2.connect(conninfo)
        say("application", one(conn, "show application_name"), conn.encoding, conn.status, conn.server_version // 10000 > 9, conn.protocol_version)
        say("parameters", sorted(conn.get_dsn_parameters().keys() & {"application_name", "dbname", "user", "sslmode", "password", "options"}))
        info = conn.info
        say("info", info.dbname, info.user, info.options, info.ssl_in_use, info.used_password, info.needs_password, info.transaction_status)
        say("attributes", info.ssl_attribute("protocol"))
        conn.close()
    say("closed", error_of(lambda: conn.cursor()))
    conn = psycopg2.connect(TLS)
    info = conn.info
    say("tls", info.ssl_in_use, info.used_password, info.ssl_attribute("protocol"), info.ssl_attribute("cipher"),
        info.ssl_attribute("key_bits"), info.ssl_attribute("compression"), info.ssl_attribute("nonsense"), sorted(set(info.ssl_attribute_names) - {"alpn"}))
    conn.close()
    say("wrong password", error_of(lambda: psycopg2.connect(TLS, password="wrong")))
    say("nothing listens", error_of(lambda: psycopg2.connect(port=1)))
    say("no role", error_of(lambda: psycopg2.connect(user="nobody here")))
    say("bad option", error_of(lambda: psycopg2.connect("nonsense")))
    say("parsed", psycopg2.extensions.parse_dsn("postgresql://a:b%20c@d:1,[::1]:2/e?sslmode=require"))
    say("not parsed", error_of(lambda: psycopg2.extensions.parse_dsn("postgresql://a:b@:x:/")))
    say("made", psycopg2.extensions.make_dsn("host=a", password="it's"))


def queries(conn):
    values = (1, None, "it's \\ ☃", b"\x00\x01\xff'", 1.5, True, [1, 2], ["a", None], float("nan"))
    say("quoted", one(conn, "select %s, %s, %s, %s::bytea, %s, %s, %s, %s, %s", values[:3] + (psycopg2.Binary(values[3]),) + values[4:])[:3])
    say("bytea", bytes(one(conn, "select %s", [psycopg2.Binary(bytes(range(256)))])[0]) == bytes(range(256)))
    say("types", one(conn, """select '2024-02-29'::date, '12:34:56.789'::time, '1 day 02:03'::interval, 12345678901234567890.123::numeric,
        '[1,10)'::int4range, array['a','b,"'], array[[1,2],[3,4]], null::int, repeat('x', 10)::varchar(20), '{"a": [1]}'::jsonb"""))
    cur = conn.cursor()
    cur.execute("create table t (id int primary key, name text not null, part numeric(8, 2))")
    cur.executemany("insert into t values (%s, %s, %s)", [(n, f"name {n}", n / 4) for n in range(1, 51)])
    psycopg2.extras.execute_values(cur, "insert into t values %s", [(n, "x", None) for n in range(51, 101)])
    psycopg2.extras.execute_batch(cur, "update t set name = %s where id = %s", [("y", 1), ("z", 2)])
    say("status", cur.statusmessage, cur.rowcount, one(conn, "select count(*), max(name) from t"))
    cur.execute("select id, name as \"a name\", part from t where id < 4 order by id")
    say("columns", [tuple(column) for column in cur.description], cur.rowcount, cur.fetchall())
    cur.execute("select 1; select 2")
    say("the last of many", cur.fetchall())
    with conn.cursor("named") as named:
        named.itersize = 7
        named.execute("select id from t order by id")
        say("server cursor", sum(row[0] for row in named))
    say("dict", [dict(row) for row in dicts(conn)])
    conn.commit()


def dicts(conn):
    with conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cur:
        cur.execute("select 1 as a, 'b' as b")
        return cur.fetchall()


def errors(conn):
    for query in ["select 1/0", "selec 1", "select 'é', from", "insert into t values (1, 'a')", "insert into t values (0)", "select * from nowhere", "", ";"]:
        say("error", error_of(lambda: one(conn, query)), conn.info.transaction_status)
        say("aborted", error_of(lambda: one(conn, "select 1"))[:2], conn.info.error_message)
        conn.rollback()
    del conn.notices[:]
    one(conn, "do $$ begin raise notice 'seen'; raise warning 'w' using detail = 'd'; end $$; select 1")
    say("notices", conn.notices)
    conn.rollback()


def transactions(conn):
    conn.set_session(isolation_level="SERIALIZABLE", readonly=True)
    say("isolation", one(conn, "show transaction_isolation"), error_of(lambda: one(conn, "delete from t returning 1"))[:3])
    conn.rollback()
    conn.set_session(isolation_level="DEFAULT", readonly=False)
    xid = conn.xid(1, "gtrid", "bqual")
    try:
        conn.tpc_begin(xid)
        say("two phases", error_of(lambda: conn.tpc_prepare())[:2])
    except psycopg2.Error as error:
        say("two phases", str(error))
    conn.close()
    conn = psycopg2.connect("")
    with conn:
        one(conn, "insert into t values (1000, 'kept') returning 1")
    say("kept", one(conn, "select name from t where id = 1000"))
    return conn


def copying(conn):
    cur = conn.cursor()
    cur.execute("create table c (a int, b text)")
    cur.copy_from(io.StringIO("".join(f"{n}\trow {n}\n" for n in range(20_000))), "c")
    say("copied in", cur.rowcount, one(conn, "select count(*), sum(length(b)) from c"))
    out = io.StringIO()
    cur.copy_expert("copy (select * from c order by a limit 3) to stdout with csv header", out)
    say("copied out", out.getvalue())
    out = io.BytesIO()
    cur.copy_expert("copy c to stdout binary", out)
    say("binary", len(out.getvalue()))
    conn.commit()
    say("bad", error_of(lambda: cur.copy_from(io.StringIO("x\ty\n"), "c")))
    conn.rollback()

    class Broken:
        def read(self, size):
            raise ValueError("own")

    say("broken", error_of(lambda: cur.copy_from(Broken(), "c")))
    conn.rollback()
    say("by execute", error_of(lambda: cur.execute("copy c to stdout")))
    conn.rollback()


def notifications(conn):
    conn.autocommit = True
    with conn.cursor() as cur:
        cur.execute("listen a")
    other = psycopg2.connect("")
    other.autocommit = True
    with other.cursor() as cur:
        cur.execute("notify a, 'payload ☃'")
        cur.execute("notify a")
    while len(conn.notifies) < 2:
        select.select([conn], [], [], 60)
        conn.poll()
    say("notified", [(note.channel, note.payload) for note in conn.notifies])
    other.close()


def cancelling(conn):
    def cancel():
        other = psycopg2.connect("")
        other.autocommit = True
        while one(other, SLEEPING, [conn.info.backend_pid]) == (0,):
            pass
        conn.cancel()
        other.close()

    thread = threading.Thread(target=cancel)
    thread.start()
    say("cancelled", error_of(lambda: one(conn, "select pg_sleep(600)")))
    thread.join()
    conn.autocommit = False
    conn.rollback()


def large_objects(conn):
    lob = conn.lobject(0, "wb")
    say("written", lob.write(b"0123456789" * 10_000), lob.tell(), lob.mode)
    lob.seek(5)
    lob.truncate(50_000)
    lob.close()
    conn.commit()
    lob = conn.lobject(lob.oid, "rb")
    say("read", lob.read(7), lob.seek(-3, 2), lob.read(), lob.seek(3_000_000_000), lob.tell(), lob.read(5))
    say("not for writing", error_of(lambda: lob.write(b"x")))
    conn.rollback()
    path = f"{HOST}/../psycopg2-{os.getpid()}"
    lob = conn.lobject(lob.oid)
    lob.export(path)
    say("exported", os.path.getsize(path))
    lob = conn.lobject(0, "r", 0, path)
    os.remove(path)
    say("imported", len(lob.read()))
    lob.unlink()
    say("unlinked", error_of(lambda: conn.lobject(lob.oid)))
    conn.rollback()
    say("no file", error_of(lambda: conn.lobject(0, "r", 0, "/not/there")))
    conn.rollback()


def quoting(conn):
    say("literal", psycopg2.extensions.adapt("a'b\\c").getquoted(), [sql.Literal("it's \\").as_string(conn)])
    say("identifier", sql.Identifier('a "b"').as_string(conn), psycopg2.extensions.quote_ident("a'b\"", conn))
    quoted = psycopg2.extensions.Binary(b"\x00'\\")
    quoted.prepare(conn)
    say("binary", quoted.getquoted())
    for encoding, text in [("LATIN1", "é"), ("SJIS", "表ソ"), ("EUC_JP", "表"), ("WIN1252", "€"), ("UTF8", "☃")]:
        conn.set_client_encoding(encoding)
        say(encoding, one(conn, "select %s, length(%s)", [text + "\\'", text]), conn.encoding, error_of(lambda: one(conn, f'select 1 as "{text}" fro'))[2])
        conn.rollback()
        conn.set_client_encoding("UTF8")
    say("encoding", error_of(lambda: conn.set_client_encoding("nonsense")))
    conn.rollback()
    say("password", psycopg2.extensions.encrypt_password("secret", "me", conn, "md5"))
    say("password", psycopg2.extensions.encrypt_password("secret", "me", conn)[:18], psycopg2.extensions.encrypt_password("secret", "me", algorithm="md5"))


def wait(conn):
    while (state := conn.poll()) != psycopg2.extensions.POLL_OK:
        reading = state == psycopg2.extensions.POLL_READ
        select.select([conn] if reading else [], [] if reading else [conn], [], 60)


def asynchronous():
    conn = psycopg2.connect(TLS, async_=True)
    wait(conn)
    cur = conn.cursor()
    for query in ["select repeat('x', 100000)", "select generate_series(1, 1000)", "select 1/0", "select 1; select 2"]:
        def run():
            cur.execute(query)
            wait(conn)
        said = error_of(run)
        say("asynchronous", said, len(cur.fetchall()) if said == "no error" else None, conn.isexecuting())
    cur.execute("select pg_sleep(0)")
    say("too early", error_of(lambda: cur.execute("select 1")), conn.isexecuting())
    wait(conn)
    conn.close()

    def refused():
        wait(psycopg2.connect("port=1", async_=True))

    say("refused", error_of(refused))
    psycopg2.extensions.set_wait_callback(wait)
    conn = psycopg2.connect("")
    say("green", one(conn, "select %s", ["x" * 10]), error_of(lambda: one(conn, "select 1/0")))
    conn.close()
    psycopg2.extensions.set_wait_callback(None)


def killed():
    conn = psycopg2.connect("")
    other = psycopg2.connect("")
    one(other, "select pg_terminate_backend(%s, 60000)", [conn.info.backend_pid])
    say("killed", error_of(lambda: one(conn, "select 1")), conn.closed)
    say("closed", error_of(lambda: one(conn, "select 1")))
    other.close()


def replication():
    conn = psycopg2.connect("", connection_factory=psycopg2.extras.LogicalReplicationConnection)
    cur = conn.cursor()
    cur.execute("IDENTIFY_SYSTEM")
    say("system", [column.name for column in cur.description], cur.fetchone()[3])
    cur.create_replication_slot("psycopg2", output_plugin="pgoutput")
    writer = psycopg2.connect("")
    one(writer, "create publication p for all tables; insert into t values (2000, 'seen'); select 1")
    writer.commit()
    cur.start_replication("psycopg2", options={"proto_version": "1", "publication_names": "p"}, decode=False)
    seen = []
    while not any(message[:1] == b"C" for message in seen):
        message = cur.read_message()
        if message is None:
            select.select([cur], [], [], 60)
        else:
            seen.append(message.payload)
            message.cursor.send_feedback(flush_lsn=message.data_start)
    say("replicated", [message[:1] for message in seen], any(b"seen" in message for message in seen))
    conn.close()
    writer.autocommit = True
    drop = "select pg_terminate_backend(active_pid, 60000) from pg_replication_slots where active_pid is not null"
    with writer.cursor() as cur:
        cur.execute(drop)
        cur.execute("select pg_drop_replication_slot('psycopg2')")
    writer.close()


def main():
    print("-- connecting")
    connecting()
    conn = psycopg2.connect("")
    for part in [queries, errors, transactions, copying, notifications, cancelling, large_objects, quoting]:
        print("--", part.__name__)
        conn = part(conn) or conn
    conn.close()
    for part in [asynchronous, killed, replication]:
        print("--", part.__name__)
        part()


main()
