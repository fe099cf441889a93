"""A decision service over HTTP: `GET /about`, `POST /sourcing`, `/promise`, `/release` and `/reset`, all JSON.

`http.client` is enough, on a connection that is kept open: there is one call at a time, since the simulated clock
stands still meanwhile.
"""

from __future__ import annotations

import http.client
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from twin.decisions import About, Answer, DecisionFailed, Question, ServiceRefused, answer_of, question_of

__all__ = ["HttpDecider", "connect_http"]

TIMEOUT_S: Final = 10.0
"""How long an answer is waited for, in real seconds, unless the address says `?timeout=SECONDS`."""

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
    return HttpDecider(address, host, port or 80, parts.path.rstrip("/"), _timeout(address, parts.query))


def _timeout(address: str, query: str) -> float:
    given = dict(parse_qsl(query, keep_blank_values=True))
    text = given.pop("timeout", str(TIMEOUT_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if given or not 0 < seconds <= 3_600:
        raise ServiceRefused(f"'{address}': after the ? only timeout=SECONDS is known, more than 0 and at most 3600")
    return seconds


class HttpDecider:
    """A service at an address. A call that cannot be made, or is not answered in time, has failed."""

    def __init__(self, address: str, host: str, port: int, path: str, timeout: float) -> None:
        self._address = address
        self._path = path
        self._timeout = timeout
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout)
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
        for attempt in (1, 2):
            fresh = self._connection.sock is None
            try:
                self._connection.request(method, self._path + path, body, _JSON)
                response = self._connection.getresponse()
                return response.status, response.read()
            except TimeoutError as error:
                self.close()
                raise DecisionFailed("failed", f"no answer within {self._timeout:g} s") from error
            except (http.client.HTTPException, OSError) as error:
                self.close()
                # A connection that was kept open may have been closed by the other side meanwhile: once more, anew.
                if fresh or attempt == 2:
                    raise DecisionFailed("failed", _why(error)) from error
        raise AssertionError("unreachable")


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"{type(error).__name__}: {error}".rstrip(": ")
