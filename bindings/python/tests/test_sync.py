"""The same without an event loop."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from ways import collect

import pgpoll
from pgpoll import errors


def test_everything_once():
    with pgpoll.sync.connect() as connection:
        assert connection.fetchval("select $1::int4", 5) == 5
        assert len(connection.fetch("select generate_series(1, 10000)")) == 10000
        connection.execute("create temp table t (a int, b text)")
        connection.executemany("insert into t values ($1, $2)", [(at, "x") for at in range(10000)])
        with pytest.raises(errors.DivisionByZero), connection.transaction():
            connection.execute("delete from t")
            with connection.transaction():
                connection.execute("select 1/0")
        with connection.transaction():
            connection.execute("delete from t where a >= $1", 10)
        assert [row[0] for row in connection.cursor("select a from t order by a", prefetch=3)] == list(range(10))
        for batch in connection.batches("select a from t", size=3):
            assert len(batch) == 3
            break
        collect()
        assert connection.copy_in("copy t from stdin", [b"1\tx\n"] * 100) == "COPY 100"
        assert connection.copy_records("t", [(1, "x")]) == "COPY 1"
        assert connection.copy_out("copy (select 1) to stdout") == b"1\n"
        with pytest.raises(pgpoll.QueryTimeout):
            connection.fetch("select pg_sleep(1000)", timeout=0.05)
        with pytest.raises(pgpoll.QueryTimeout):
            connection.copy_out("copy (select pg_sleep(1000)) to stdout", timeout=0.05)
        assert connection.copy_records("t", [(1, "x")], timeout=60) == "COPY 1"
        notifications = connection.listen("a")
        with pgpoll.sync.connect() as other:
            heard = threading.Event()

            def notify():
                while not heard.wait(0.1):  # it listens from its first step on
                    other.execute("notify a, 'x'")

            thread = threading.Thread(target=notify)
            thread.start()
            assert next(notifications).payload == "x"
            heard.set()
            thread.join()
        notifications.close()
        assert connection.fetchrow("select 1 as a")["a"] == 1
    with pytest.raises(pgpoll.InterfaceError, match="closed"):
        connection.fetch("select 1")
    with pytest.raises(pgpoll.Error):
        pgpoll.sync.connect("host=/nowhere")


def test_the_rest_of_it():
    with pgpoll.sync.connect() as connection:
        assert connection.backend_pid > 0 and connection.server_version >= 130000 and connection.host
        assert (connection.transaction_status, connection.is_in_transaction()) == ("idle", False)
        assert connection.parameter("client_encoding") == "UTF8" and connection.check() and connection.inspect()
        heard = []
        connection.add_notice_callback(heard.append)
        connection.execute("do $$ begin raise notice 'hear'; end $$")
        connection.remove_notice_callback(heard.append)
        connection.execute("do $$ begin raise notice 'no more'; end $$")
        assert [notice.message for notice in heard] == ["hear"]
        statement = connection.prepare("select $1::int4 + 1 as next")
        assert (statement.parameters, statement.columns[0][0]) == ((23,), "next")
        assert (statement.fetchval(1), statement.fetchrow(2)["next"], statement.fetch(3), statement.execute(4)) == (2, 3, [(4,)], "SELECT 1")
        statement.close()
        connection.execute("create temp table t (a int primary key)")
        insert = connection.prepare("insert into t values ($1)")
        assert insert.executemany([(at,) for at in range(100)]) == 100
        connection.execute("create type pg_temp.mood as enum ('glad', 'sad')")
        connection.register_type("pg_temp.mood")
        connection.set_type_codec("int4", encoder=str, decoder=lambda text: -int(text), format="text")
        assert connection.fetchval("select 5") == -5
        connection.execute("begin; set work_mem = '1MB'")
        connection.reset()
        assert (connection.transaction_status, connection.fetchval("show work_mem") == "1MB") == ("idle", False)
        connection.terminate()
        assert connection.is_closed()


def test_a_pipeline_is_sent_together_and_each_has_its_own_outcome():
    with pgpoll.sync.connect() as connection:
        with connection.pipeline() as pipeline:
            numbers = [pipeline.fetchval("select $1::int4", number) for number in range(1000)]
            with pytest.raises(pgpoll.InterfaceError, match="when its `with` is over"):
                numbers[0].result()
        assert [number.result() for number in numbers] == list(range(1000))
        with pytest.raises(errors.DivisionByZero), connection.pipeline() as pipeline:
            before, wrong, after = pipeline.fetchval("select 1"), pipeline.fetch("select 1/0"), pipeline.execute("select 2")
        assert (before.result(), after.result()) == (1, "SELECT 1")
        for _ in range(2):
            with pytest.raises(errors.DivisionByZero):
                wrong.result()
        with pytest.raises(KeyError), connection.pipeline() as pipeline:
            never = pipeline.execute("create table never ()")
            raise KeyError
        with pytest.raises(pgpoll.InterfaceError):
            never.result()
        assert connection.fetchval("select to_regclass('never') is null")
        with connection.pipeline():
            pass


def test_signals_work_and_leave_it_clean():
    with pgpoll.sync.connect() as connection:

        def interrupt(*unused):
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            start = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                connection.fetch("select pg_sleep(1000)")
            assert time.monotonic() - start < 30
        finally:
            signal.signal(signal.SIGALRM, before)
        assert connection.fetchval("select 1") == 1


def test_one_thread_at_a_time():
    with pgpoll.sync.connect() as connection:
        outcomes = []

        def query():
            try:
                outcomes.append(connection.fetchval("select 2"))
            except pgpoll.InterfaceError as error:
                outcomes.append(str(error))

        def elsewhere():
            thread = threading.Thread(target=query)
            thread.start()
            thread.join(30)
            assert not thread.is_alive()
            return outcomes.pop()

        with connection.transaction():
            assert "another thread" in elsewhere()
            assert connection.fetchval("select 1") == 1
        rows = connection.cursor("select generate_series(1, 1000)")
        next(rows)
        assert "another thread" in elsewhere()
        rows.close()
        assert elsewhere() == 2
        threads = [threading.Thread(target=lambda: [query() for _ in range(20)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(outcomes) == 60 and {each for each in outcomes if each != 2} <= {
            "another call is inside of this connection: it is for one thread at a time"
        }
        assert connection.fetchval("select 1") == 1


def test_arrow():
    pytest.importorskip("pyarrow")
    with pgpoll.sync.connect() as connection:
        table = connection.to_arrow("select n as a, n::text as b, n * 0.5::float8 as c from generate_series(1, $1::int4) n", 100000)
        assert (table.num_rows, table.column_names) == (100000, ["a", "b", "c"])
        assert table.column("a").to_pylist()[-2:] == [99999, 100000] and table.column("b")[0].as_py() == "1"
        assert connection.to_arrow("select 1 as a where false").num_rows == 0
        pytest.importorskip("pandas")
        assert connection.to_pandas("select 1 as a")["a"][0] == 1
