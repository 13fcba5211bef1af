"""Drives psql in a pseudo-terminal as a person would: types, reads the screen, presses Ctrl-C.

    drive.py PSQL FOLDER-OF-LIBPQ CONNINFO

It waits for what must appear, 60 seconds at most, and never for time. The screen is printed when something does not appear.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

PATIENCE = 60
PROMPT = "pgpoll>> "


class Missing(Exception):
    """What was waited for did not appear."""


class Terminal:
    """A program in a terminal of its own, whose screen is text."""

    def __init__(self, program, arguments, environment):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(program, [program, *arguments], environment)
        self.screen = ""
        self.seen = 0

    def type(self, text):
        os.write(self.master, text.encode())

    def until(self, pattern, again=None):
        """Reads until the pattern stands on the screen behind what was seen. While it does not, `again` is typed each second."""
        wanted = re.compile(pattern, re.DOTALL)
        end = time.monotonic() + PATIENCE
        while True:
            found = wanted.search(self.screen, self.seen)
            if found:
                self.seen = found.end()
                return
            left = end - time.monotonic()
            if left < 0:
                raise Missing(f"not on the screen after {PATIENCE} s: {pattern}")
            if not select.select([self.master], [], [], min(left, 1))[0]:
                self.type(again or "")
                continue
            try:
                read = os.read(self.master, 65536)
            except OSError:
                read = b""
            if not read:
                raise Missing(f"the program ended before: {pattern}")
            self.screen += read.decode(errors="replace").replace("\r", "")

    def end(self):
        """Waits for the program's end; gives its exit code."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Psql(Terminal):
    """psql at its prompt."""

    def __init__(self, program, library, conninfo):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment.update(LD_LIBRARY_PATH=library, TERM="dumb", INPUTRC="/dev/null", PSQL_HISTORY="/dev/null", LC_ALL="C")
        prompts = [f"--set=PROMPT{number}={text}" for number, text in ((1, PROMPT), (2, "more> "), (3, "data> "))]
        super().__init__(program, ["-X", "-P", "pager=off", *prompts, conninfo], environment)
        # A line that fits is echoed as it was typed, also by readline on a dumb terminal.
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 500, 0, 0))

    def does(self, line, *appears):
        """Types a line; each pattern appears in order, then the prompt."""
        self.type(line + "\n")
        for pattern in appears:
            self.until(pattern)
        self.until(PROMPT)

    def does_until_interrupted(self, line, sign, end):
        """Types a line that does not end by itself, waits for a sign of it, and presses Ctrl-C.

        Once is enough while a statement runs. While psql reads data, or sleeps, it minds the key only at some moments."""
        self.type(line + "\n")
        self.until(sign)
        self.type("\x03")
        self.until(end, again="\x03" if sign != RUNS else None)
        if end != PROMPT:
            self.until(PROMPT)

    def has_loaded(self, library):
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            return os.path.realpath(library + "/libpq.so.5") in maps.read()


RUNS = "NOTICE:  it runs"
ENDLESS = "do $$ begin raise notice 'it %', 'runs'; perform pg_sleep(600); end $$;"


def interrupted(psql):
    """Ctrl-C: the server is asked to stop, and the session goes on. The notice says that the statement runs."""
    psql.does_until_interrupted(ENDLESS, RUNS, "canceling statement due to user request")
    psql.does("select 6 * 7 as answer;", r"\n +42\n")


def session(psql, version):
    psql.does("create temp table points (id int primary key, name text);", "CREATE TABLE")
    psql.does(r"\d points", "Column", r"id +\| integer", r"name +\| text", "points_pkey")
    psql.does("insert into points select i, 'n' || i from generate_series(1, 3) i;", "INSERT 0 3")
    psql.does("select count(*),\n  'a' || 'b' as joined from points;", "more> ", r"3 \| ab")
    psql.does("selec 1;", r'ERROR:  syntax error at or near "selec"\nLINE 1: selec 1;\n +\^')

    # Rows from the keyboard, from a program, and back to the screen.
    psql.does("copy points from stdin;\n7\tseven\n8\t\\N\n\\.", r"End with a backslash and a period", "data> ", "COPY 2")
    psql.does(r"\copy points from program 'seq -f %g,x 100 1099' with (format csv)", "COPY 1000")
    psql.does(r"\copy (select * from points where id < 9 order by id) to stdout with (null '(none)')", "\n1\tn1\n", "\n7\tseven\n8\t[(]none[)]\n")
    psql.does("select count(*), sum(id) from points;", r"1005 \| 599521")
    psql.does("insert into points values (1, 'again');", "ERROR:  duplicate key", r"DETAIL:  Key \(id\)=\(1\) already exists")

    interrupted(psql)
    psql.does("begin;", "BEGIN")
    psql.does_until_interrupted(ENDLESS, RUNS, "canceling statement due to user request")
    psql.does("select 1;", "current transaction is aborted")
    psql.does("rollback;", "ROLLBACK")
    psql.does_until_interrupted("copy points from stdin;\n9\tnine", "data> .*?data> ", "COPY from stdin failed: canceled by user|canceling statement")
    psql.does("select count(*) as nine from points where id = 9;", r"\n +0\n")

    psql.does_until_interrupted(r"select 40 + 2 as watched \watch 0.01", r"(every 0\.01s.*?\n +42\n.*?){3}", PROMPT)
    interrupted(psql)

    psql.does(r"select 1 as a, 'x'::text as b, now() as c \gdesc", r"a +\| integer", r"b +\| text", r"c +\| timestamp with time zone")
    psql.does(r"listen news \; notify news, 'payload';", 'Asynchronous notification "news" with payload "payload" received')
    psql.does("\\set FETCH_COUNT 100\nselect id from points order by id;", "\n +1\n", "\n +1099\n", r"\(1005 rows\)")
    psql.does("\\unset FETCH_COUNT")
    psql.does(r"select 1/0 \g", "ERROR:  division by zero")
    psql.does(r"\errverbose", "ERROR:  22012: division by zero", "LOCATION:")
    psql.does("\\encoding LATIN1\nshow client_encoding;", "\n LATIN1\n")
    if version >= 16:
        psql.does(r"select $1::int + $2::int as added \bind 40 2 \g", r"\n +42\n")
    if version >= 18:
        psql.does("select $1 || $2 as joined \\parse pair\n\\bind_named pair to gether \\g", r"\n together\n")
        psql.does(r"\close_prepared pair")
        psql.does("\\startpipeline\nselect $1::int \\bind 71 \\sendpipeline\nselect $1::int \\bind 72 \\sendpipeline\n\\endpipeline", r"\n +71\n", r"\n +72\n")
        interrupted(psql)

    psql.does("select pg_terminate_backend(pg_backend_pid());", "FATAL:  terminating connection", "server closed the connection unexpectedly", "Attempting reset: Succeeded")
    psql.does("select to_regclass('points') is null as fresh;", r"\n t\n")


def encrypted(psql, version, conninfo):
    """A password is set at the keyboard, unseen, and opens a TLS session."""
    psql.does("set password_encryption = 'scram-sha-256'; drop role if exists typist; create role typist login;", "CREATE ROLE")
    psql.type("\\password typist\n")
    for asked in ("Enter new password.*?: ", "Enter it again: "):
        psql.until(asked)
        psql.type("open sesame\n")
    psql.until(PROMPT)
    psql.type(f"\\c \"{conninfo}\"\n")
    psql.until("Password.*?: ")
    psql.type("open sesame\n")
    psql.until('as user "typist"')
    psql.until(PROMPT)
    psql.does(r"\conninfo", "TLSv1.3", "TLS_AES_256_GCM_SHA384|TLS_CHACHA20_POLY1305_SHA256|TLS_AES_128_GCM_SHA256")
    psql.does("select ssl, version from pg_stat_ssl where pid = pg_backend_pid();", r"t +\| TLSv1\.3")
    psql.does(r"select repeat('x', 1000000) as long \g /dev/null")
    interrupted(psql)
    if "open sesame" in psql.screen:
        raise Missing("the password is on the screen")


def main():
    program, library, conninfo, tls = sys.argv[1:]
    version = int(re.search(r" (\d+)", os.popen(f"'{program}' --version").read()).group(1))
    psql = Psql(program, library, conninfo)
    try:
        psql.until(PROMPT)
        if not psql.has_loaded(library):
            raise Missing(f"{library}/libpq.so.5 in the process")
        session(psql, version)
        encrypted(psql, version, tls)
        psql.type("\\q\n")
        if psql.end() != 0:
            raise Missing("a quiet end")
    except Missing as missing:
        os.kill(psql.pid, signal.SIGKILL)
        sys.exit(f"{psql.screen}\n--- {program}: {missing}")
    print(f"psql {version}: {psql.screen.count(PROMPT)} prompts")


main()
