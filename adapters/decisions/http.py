"""A decision service over HTTP: `GET /about`, `POST /sourcing`, `/promise`, `/release` and `/reset`, all JSON.

`http.client` is enough, on a connection that is kept open: there is one call at a time, since the simulated clock
stands still meanwhile.
"""

from __future__ import annotations

import http.client
import socket
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from adapters.decisions.waiting import timeout_of
from twin.decisions import (
    ANSWER_MAX,
    About,
    Answer,
    DecisionFailed,
    Question,
    ServiceRefused,
    answer_of,
    question_of,
    too_long,
)

__all__ = ["HttpDecider", "connect_http"]

_JSON: Final = {"Content-Type": "application/json"}


def connect_http(address: str) -> HttpDecider:
    """A client for `http://HOST:PORT[/PATH][?timeout=SECONDS]`. Raises `ServiceRefused` where nobody answers there."""
    parts = urlsplit(address)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ServiceRefused(f"'{address}': {error}; write http://HOST:PORT") from error
    if not host:
        raise ServiceRefused(f"'{address}' names no host; write http://HOST:PORT")
    if not address.isascii() or not address.isprintable() or " " in address:
        raise ServiceRefused(f"{address!r} has a blank or a letter that no address has; write http://HOST:PORT")
    return HttpDecider(address, host, port or 80, parts.path.rstrip("/"), timeout_of(address, parts.query))


class _Socket(socket.socket):
    """A socket that is read up to one instant of the monotonic clock, however little comes at a time."""

    until: float = 0.0

    def recv_into(self, *args: Any, **named: Any) -> int:
        left = self.until - monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)
        return super().recv_into(*args, **named)


class _Connection(http.client.HTTPConnection):
    """A connection whose answers are waited for up to `until`, an instant of the monotonic clock."""

    until: float = 0.0

    def connect(self) -> None:
        self.timeout = self._left()
        super().connect()
        self.sock = _Socket(fileno=self.sock.detach())
        self.bound()

    def bound(self) -> None:
        """Apply `until` to the open socket. A timeout of `sendall` is one for all that is sent."""
        if isinstance(self.sock, _Socket):
            self.sock.until = self.until
            self.sock.settimeout(self._left())

    def _left(self) -> float:
        left = self.until - monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class HttpDecider:
    """A service at an address. A call that cannot be made, or is not answered in time, has failed."""

    def __init__(self, address: str, host: str, port: int, path: str, timeout: float) -> None:
        self._address = address
        self._path = path
        self._timeout = timeout
        self._connection = _Connection(host, port)
        try:
            status, data = self._call("GET", "/about", b"")
            if status != http.client.OK:
                raise DecisionFailed("failed", f"GET /about answers {status}")
            self._about = msgspec.json.decode(data, type=About)
        except (DecisionFailed, msgspec.MsgspecError, UnicodeDecodeError) as error:
            self.close()
            reason = error.reason if isinstance(error, DecisionFailed) else str(error)
            raise ServiceRefused(
                f"{address}: no decision service: {reason}; start one, docs/decisions.md says what it has to answer"
            ) from error

    @property
    def about(self) -> About:
        """What the service says of itself."""
        return self._about

    def decide(self, question: Question) -> Answer:
        """Ask; a 4xx is refused, anything else that is not 200 has failed. Raises `DecisionFailed`."""
        status, data = self._call("POST", f"/{question.decision}", question_of(question))
        if status == http.client.OK:
            return answer_of(question.decision, data)
        text = data[:200].decode(errors="replace").strip()
        permanent = 400 <= status < 500 and status not in (http.client.REQUEST_TIMEOUT, http.client.TOO_MANY_REQUESTS)
        raise DecisionFailed("refused" if permanent else "failed", f"HTTP {status} {text}".rstrip())

    def reset(self, seed: int) -> None:
        """Have a resettable service forget. Raises `ServiceRefused` where it does not."""
        if self._about.mode != "resettable":
            return
        try:
            status, _ = self._call("POST", "/reset", msgspec.json.encode({"seed": seed}))
        except DecisionFailed as failed:
            raise ServiceRefused(f"{self._address}: it could not be reset: {failed.reason}; start it again") from failed
        if status not in (http.client.OK, http.client.NO_CONTENT):
            raise ServiceRefused(
                f"{self._address}: POST /reset answers {status}; a resettable service answers 200 or 204"
            )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        self._connection.until = monotonic() + self._timeout
        try:
            response = self._sent(method, path, body)
            data = response.read(ANSWER_MAX + 1)
            if len(data) > ANSWER_MAX:
                self.close()
                raise too_long()
            # A read of so many bytes ends quietly where the connection does.
            if response.length:
                raise http.client.IncompleteRead(data, response.length)
            return response.status, data
        except TimeoutError as error:
            self.close()
            raise DecisionFailed("failed", f"no answer within {self._timeout:g} s") from error
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise DecisionFailed("failed", _why(error)) from error

    def _sent(self, method: str, path: str, body: bytes) -> http.client.HTTPResponse:
        connection = self._connection
        fresh = connection.sock is None
        try:
            return self._begun(method, path, body)
        except ConnectionError:
            # One that was kept open may have been closed by the other side meanwhile: once more, anew. What has begun
            # to answer is not asked again here: it may remember what it was asked.
            if fresh:
                raise
            self.close()
            return self._begun(method, path, body)

    def _begun(self, method: str, path: str, body: bytes) -> http.client.HTTPResponse:
        self._connection.bound()
        self._connection.request(method, self._path + path, body, _JSON)
        return self._connection.getresponse()


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"{type(error).__name__}: {error}".rstrip(": ")
