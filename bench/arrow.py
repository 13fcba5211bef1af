"""Rows as a pyarrow table, by pgpoll and by ADBC's PostgreSQL driver: the CPU time of the client.

usage: arrow.py LIBRARY QUERY               prints our time as a part of ADBC's: the best of five runs each, in turn
       arrow.py LIBRARY QUERY ours|adbc     one run: prints rows and the seconds that this process used, in user space and in the kernel
The server is the one that PG* variables name. Connecting and loading are not counted.
"""

import os
import resource
import subprocess
import sys

import pyarrow

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tests/arrow"))

BINARY, BATCH = True, 65536


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def ours(library, query):
    from pgpoll_arrow import Connection, Library

    conn = Connection(Library(library), "")
    conn.c.conn_set_batch(conn.conn, BATCH, 0)
    begin = cpu()
    table = pyarrow.Table.from_batches(conn.batches(query, BINARY))
    return table, cpu() - begin


def adbc(_, query):
    from adbc_driver_postgresql import dbapi

    # The driver opens with a URI; PG* variables say the rest.
    with dbapi.connect("postgresql://") as conn, conn.cursor() as cursor:
        begin = cpu()
        cursor.execute(query)
        table = cursor.fetch_arrow_table()
        return table, cpu() - begin


def best(side, *arguments):
    said = subprocess.run([sys.executable, "-B", __file__, *arguments, side], check=True, stdout=subprocess.PIPE, text=True)
    rows, seconds = said.stdout.split()
    return int(rows), float(seconds)


if len(sys.argv) == 4:
    table, seconds = {"ours": ours, "adbc": adbc}[sys.argv[3]](*sys.argv[1:3])
    print(table.num_rows, f"{seconds:.3f}")
else:
    runs = [(best("ours", *sys.argv[1:]), best("adbc", *sys.argv[1:])) for _ in range(5)]
    assert len({run[0] for pair in runs for run in pair}) == 1, runs
    ours_best, adbc_best = (min(pair[side][1] for pair in runs) for side in (0, 1))
    print(f"{ours_best:.3f} {adbc_best:.3f} {ours_best / adbc_best:.2f}")
