"""HTTP as all sinks speak it: TLS verified, no redirect followed, no proxy but the settings', every wait bounded.

What matters of an answer is whether the request was surely taken, surely not taken, or perhaps.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from threading import Timer
from typing import Final, Literal
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from streams.terminal import visible_line

MAX_ANSWER_BYTES: Final = 65_536  # what is read of an answer
MAX_REASON: Final = 300  # characters of an answer that are kept
MAX_RETRY_AFTER_S: Final = 3_600.0
MAX_WAITS: Final = 3  # times the wait for a first byte, after which an answer that comes byte by byte is cut off

# The request itself is at fault: the same again would be refused again.
_REFUSALS: Final = frozenset({400, 411, 413, 414, 415, 422, 431})
# The request was not acted upon, whatever it is; of other failures that is not sure.
_NOT_TAKEN: Final = range(300, 500)


@dataclass(frozen=True)
class Answer:
    """What became of a request.

    ``taken``: the receiver has it; ``refused``: it never will; ``failed``: it surely has it not, and may later;
    ``doubtful``: it may have it.
    """

    outcome: Literal["taken", "refused", "failed", "doubtful"]
    reason: str = ""
    retry_after_s: float = 0.0  # the receiver asks for so much patience
    body: bytes = b""


class Client:
    """One receiver, one connection that is kept open."""

    def __init__(
        self, url: str, *, ca_file: str | None = None, proxy: str | None = None, timeout_s: float = 10
    ) -> None:
        self._base = url.rstrip("/")
        self.place = urlsplit(url).hostname or ""  # all that is ever said of the address: its path may be a secret
        context = ssl.create_default_context(cafile=ca_file)
        timeout = urllib3.Timeout(connect=timeout_s, read=timeout_s)
        self._pool: urllib3.PoolManager
        if proxy is None:
            self._pool = urllib3.PoolManager(1, maxsize=1, timeout=timeout, retries=False, ssl_context=context)
        else:
            self._pool = urllib3.ProxyManager(
                proxy, 1, maxsize=1, timeout=timeout, retries=False, ssl_context=context, proxy_ssl_context=context
            )
        self._pool.pool_classes_by_scheme = _pools(self._connected)
        self._patience_s = MAX_WAITS * timeout_s
        self._socket: socket.socket | None = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body; never raises for what the network or the receiver does."""
        return self._ask("POST", path, body, {"Content-Type": "application/json", **headers})

    def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Ask for a page; its first bytes stand in the answer."""
        return self._ask("GET", path, None, headers)

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        headers = {"User-Agent": "rolehawk", "Accept": "application/json", **headers}
        patience = Timer(self._patience_s, self._cut)
        patience.daemon = True
        patience.start()
        try:
            return self._answered(method, path, body, headers)
        finally:
            patience.cancel()

    def _answered(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        try:
            response = self._pool.request(
                method, self._base + path, body=body, headers=headers,
                redirect=False, preload_content=False, decode_content=False,
            )  # fmt: skip
        except (NewConnectionError, ConnectTimeoutError, SSLError, ProxyError) as error:
            return Answer("failed", f"{self.place}: {_words(error)}")
        except HTTPError as error:
            return Answer("doubtful", f"{self.place}: {_words(error)}")
        try:
            content = response.read(MAX_ANSWER_BYTES)
        except HTTPError:
            content = b""  # the status has said it
        if len(content) < MAX_ANSWER_BYTES:
            response.release_conn()
        else:
            response.close()
        return self._judged(response.status, content, response.headers.get("Retry-After"))

    def _connected(self, to: socket.socket) -> None:
        self._socket = to

    def _cut(self) -> None:
        """End the connection under whoever reads of it, TLS or not."""
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _judged(self, status: int, content: bytes, retry_after: str | None) -> Answer:
        if 200 <= status < 300:
            return Answer("taken", body=content)
        said = visible_line(content[: 4 * MAX_REASON].decode("utf-8", "replace"))[:MAX_REASON]
        reason = f"{self.place}: {status} {_phrase(status)}{': ' if said else ''}{said}"
        patience_s = _seconds(retry_after)
        if status in _REFUSALS:
            return Answer("refused", reason)
        return Answer("failed" if status in _NOT_TAKEN else "doubtful", reason, patience_s)


def _pools(connected: Callable[[socket.socket], None]) -> dict[str, type[HTTPConnectionPool]]:
    """Make pools whose connections tell their sockets: urllib3 bounds the wait for each byte, and not for all."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            connected(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            connected(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "?"


def _words(error: Exception) -> str:
    """Say in a few words what went wrong on the way, without the address."""
    if isinstance(error, SSLError):
        return f"TLS: {visible_line(str(error))[:MAX_REASON]}"
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return "no connection in time" if isinstance(error, ConnectTimeoutError) else "no answer in time"
    if isinstance(error, NewConnectionError):
        return "cannot be reached"
    if isinstance(error, ProxyError):
        return "the proxy cannot be used"
    return "the connection broke"


def _seconds(retry_after: str | None) -> float:
    """Read Retry-After, in seconds or as a date; 0 where it says nothing, MAX_RETRY_AFTER_S at most."""
    if not retry_after:
        return 0.0
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
