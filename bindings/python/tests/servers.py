"""Servers of the tests' own, beside the one that the environment names: to be restarted, or with TLS."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from ways import sleep

import pgpoll


class Server:
    """A server of the tests' own."""

    def __init__(self, folder: Path, *settings: str) -> None:
        with pgpoll.sync.connect() as connection:
            self._bin = Path(connection.fetchval("select setting from pg_config where name = 'BINDIR'"))
        self._data = folder / "data"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.options: dict[str, Any] = {"host": "127.0.0.1", "port": probe.getsockname()[1], "user": "postgres", "dbname": "postgres"}
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(folder, "postgres", "postgres")
        self._run(self._bin / "initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-D", self._data)
        lines = [f"port = {self.options['port']}", "listen_addresses = '127.0.0.1'", "unix_socket_directories = ''", "fsync = off"]
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{line}\n" for line in (*lines, *settings))
        self._prepare()
        self.control("start")

    def _prepare(self) -> None:
        """What else has to be there before it starts."""

    def _words(self, *words: object) -> list[str]:
        return [*self._as, *map(str, words)]

    def _run(self, *words: object) -> None:
        subprocess.run(self._words(*words), check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def _control(self, task: str, mode: str) -> tuple[object, ...]:
        return (self._bin / "pg_ctl", task, "-w", "-m", mode, "-D", self._data, "-l", self._data / "log")

    def control(self, task: str, mode: str = "fast") -> None:
        self._run(*self._control(task, mode))

    async def restart(self, mode: str) -> None:
        restarting = subprocess.Popen(self._words(*self._control("restart", mode)), stdout=subprocess.DEVNULL)
        while restarting.poll() is None:
            await sleep(0.01)
        assert restarting.returncode == 0


class SecureServer(Server):
    """One with TLS; who connects checks its certificate, unless told not to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "ssl = on")
        self.options |= {"sslmode": "verify-full", "sslrootcert": str(self._data / "server.crt")}

    def _prepare(self) -> None:
        key, names = "ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2", "subjectAltName=IP:127.0.0.1"
        files = ("-keyout", self._data / "server.key", "-out", self._data / "server.crt")
        self._run("openssl", "req", "-x509", "-newkey", *key.split(), "-subj", "/CN=server", "-addext", names, *files)
