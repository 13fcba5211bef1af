"""Bearer tokens, shown to a server that plays its part of RFC 7628: PostgreSQL 18 checks none without a validator of its owner's."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

import pgpoll
import pgpoll.sync

ISSUER = "https://issuer.test/.well-known/openid-configuration"


def message(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("!i", len(body) + 4) + body


class Guard:
    """Lets in who shows the token."""

    def __init__(self, token: str) -> None:
        self.shown: list[bytes] = []
        self._token = token.encode()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.options = {
            "host": "127.0.0.1",
            "port": self._socket.getsockname()[1],
            "sslmode": "disable",
            "gssencmode": "disable",
            "oauth_issuer": ISSUER,
            "oauth_client_id": "test",
        }
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._let_in, args=(peer,), daemon=True).start()

    def _let_in(self, peer: socket.socket) -> None:
        with contextlib.suppress(ConnectionError), peer, peer.makefile("rb") as words:
            words.read(struct.unpack("!i", words.read(4))[0] - 4)
            peer.sendall(message(b"R", struct.pack("!i", 10) + b"OAUTHBEARER\0\0"))
            head = words.read(5)
            if len(head) < 5:  # gone, without a token
                return
            _, length = struct.unpack("!ci", head)
            response = words.read(length - 4).partition(b"auth=")[2].rstrip(b"\1")
            self.shown.append(response)
            if response == b"Bearer " + self._token:
                peer.sendall(message(b"R", struct.pack("!i", 0)) + message(b"Z", b"I"))
                words.read(5)  # Terminate
            else:
                peer.sendall(message(b"E", b"SFATAL\0VFATAL\0C28000\0Mno\0\0"))


@pytest.fixture
def guard() -> Iterator[Guard]:
    guard = Guard("abc.DEF~1==")
    yield guard
    guard.close()


def test_a_token_and_who_gives_it(run_alone, guard):
    async def later() -> str:
        return "abc.DEF~1=="

    async def test():
        for token in ("abc.DEF~1==", lambda: "abc.DEF~1==", later):
            connection = await pgpoll.connect(**guard.options, oauth_token=token)
            connection.terminate()
        assert guard.shown == [b"Bearer abc.DEF~1=="] * 3
        with pytest.raises(pgpoll.PostgresError) as refused:
            await pgpoll.connect(**guard.options, oauth_token="another")
        assert refused.value.sqlstate == "28000"
        with pytest.raises(pgpoll.Error, match="wants an OAuth bearer token, and none was given"):
            await pgpoll.connect(**guard.options)
        for wrong in ("", "a b", "ä", "abc\0", b"abc", 1):
            with pytest.raises(pgpoll.InterfaceError, match="oauth_token: "):
                await pgpoll.connect(**guard.options, oauth_token=wrong)

    run_alone(test)


def test_a_pool_asks_for_each_connection(run_alone, guard):
    asked = []

    def token() -> str:
        asked.append(None)
        return "abc.DEF~1=="

    async def test():
        pool = pgpoll.create_pool(**guard.options, oauth_token=token, min_size=2, max_size=2)
        await pool.open()
        assert len(asked) == 2
        await pool.close()

    run_alone(test)


def test_without_a_loop(guard):
    with pgpoll.sync.connect(**guard.options, oauth_token=lambda: "abc.DEF~1==") as connection:
        assert not connection.is_closed()
