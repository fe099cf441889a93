"""A decision service as a process: one line of JSON in, one line out.

The first line it gets is `{"about":true}`, and `{"reset":SEED}` comes before a run if it is resettable; it answers
both with what it says of itself. Every other line is a question. What it writes to standard error goes through.
"""

from __future__ import annotations

import os
import select
import selectors
import shlex
import signal
import subprocess
from contextlib import suppress
from time import monotonic
from typing import IO, Final, NoReturn

import msgspec

from adapters.decisions.waiting import TIMEOUT_S, timeout_of
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

__all__ = ["StdioDecider", "connect_stdio"]

START_S: Final = 60.0
"""How long the process may take to say what it is."""


def connect_stdio(address: str) -> StdioDecider:
    """Starts `stdio[?timeout=SECONDS]:COMMAND`, split as a shell does.

    Raises `ServiceRefused` where it cannot be started or asked.
    """
    scheme, _, text = address.partition(":")
    timeout = timeout_of(address, scheme.partition("?")[2])
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise ServiceRefused(f"'{address}': {error}; quote the command as in a shell") from error
    if not command:
        raise ServiceRefused(f"'{address}' names no command; write stdio:COMMAND")
    return StdioDecider(command, timeout)


class StdioDecider:
    """A process that is asked; one that has ended is started again for the next question."""

    def __init__(self, command: list[str], timeout: float = TIMEOUT_S) -> None:
        self._command = command
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = bytearray()
        self._seed: int | None = None
        try:
            self._about = self._start()
        except DecisionFailed as failed:
            raise ServiceRefused(
                f"'{shlex.join(command)}': no decision service: {failed.reason}; see docs/decisions.md for what it has "
                "to answer"
            ) from failed

    @property
    def about(self) -> About:
        """What the service says of itself."""
        return self._about

    def decide(self, question: Question) -> Answer:
        """Ask; a process that ends or is silent for too long has failed. Raises `DecisionFailed`."""
        if self._process is None:
            self._start()
        return answer_of(question.decision, self._ask(question_of(question), self._timeout))

    def reset(self, seed: int) -> None:
        """Have a resettable service forget. Raises `ServiceRefused` where it does not."""
        if self._about.mode != "resettable":
            return
        self._seed = seed
        try:
            self._tell_seed(seed)
        except DecisionFailed as failed:
            raise ServiceRefused(f"'{shlex.join(self._command)}' could not be reset: {failed.reason}") from failed

    def close(self) -> None:
        """End the process: it sees the end of its input, and is killed where it does not end within a second."""
        self._end(1.0)

    def _end(self, patience_s: float) -> None:
        process, self._process, self._rest = self._process, None, bytearray()
        if process is None:
            return
        if process.stdin is not None and process.stdout is not None:
            process.stdout.close()
            with suppress(BrokenPipeError):
                process.stdin.close()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # What it has started itself, as a shell does, is of its session.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def __del__(self) -> None:
        """A run that nobody closed, as one of many, leaves no process behind."""
        self.close()

    def _start(self) -> About:
        try:
            # In a session of its own: an interrupt at the keyboard is for whoever asks it, and its end follows.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
            )
        except OSError as error:
            raise DecisionFailed("failed", f"{error.strerror or error}") from error
        if self._process.stdin is not None:
            # One that reads nothing would else hold up whoever asks it, for as long as the pipe is full.
            os.set_blocking(self._process.stdin.fileno(), False)
        about = _about_of(self._ask(b'{"about":true}', START_S, first=True))
        if self._seed is not None:
            self._tell_seed(self._seed)
        return about

    def _tell_seed(self, seed: int) -> None:
        _about_of(self._ask(msgspec.json.encode({"reset": seed}), self._timeout))

    def _ask(self, line: bytes, timeout: float, *, first: bool = False) -> bytes:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise DecisionFailed("failed", "the process has ended")
        if not first and (self._rest or select.select([process.stdout], [], [], 0)[0]):
            self._unasked(process.stdout)
        until = monotonic() + timeout
        # One that has ended may have written something before; what it wrote, or that it wrote nothing, is told below.
        with suppress(BrokenPipeError):
            self._write(process.stdin, line + b"\n", until, timeout)
        return self._line(process, until, timeout)

    def _write(self, pipe: IO[bytes], data: bytes, until: float, timeout: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_WRITE)
            while data:
                if not selector.select(max(0.0, until - monotonic())):
                    self._end(0)
                    raise DecisionFailed("failed", f"it does not read its question within {timeout:g} s")
                # None: somebody else filled the pipe meanwhile.
                data = data[pipe.write(data) or 0 :]

    def _unasked(self, out: IO[bytes]) -> NoReturn:
        """Something is there before the question: its end, or a line that would be taken for the answer."""
        more = self._rest or out.read(1)
        process = self._process
        self.close()
        code = None if process is None else process.returncode
        what = "it wrote a line that nobody asked for" if more else f"the process has ended with code {code}"
        raise DecisionFailed("failed", what)

    def _line(self, process: subprocess.Popen[bytes], until: float, timeout: float) -> bytes:
        """The next line, up to its end."""
        out = process.stdout
        if out is None:
            raise DecisionFailed("failed", "the process has no output")
        end = self._rest.find(b"\n")
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            while end < 0:
                if not selector.select(max(0.0, until - monotonic())):
                    self._end(0)
                    raise DecisionFailed("failed", f"no answer within {timeout:g} s")
                data = out.read(65_536)
                if not data:
                    self.close()
                    raise DecisionFailed("failed", f"the process has ended with code {process.returncode}")
                found = data.find(b"\n")
                end = found if found < 0 else len(self._rest) + found
                self._rest += data
                if len(self._rest) > ANSWER_MAX and not 0 <= end <= ANSWER_MAX:
                    self.close()
                    raise too_long()
        line, self._rest = bytes(self._rest[:end]), self._rest[end + 1 :]
        return line


def _about_of(line: bytes) -> About:
    try:
        return msgspec.json.decode(line, type=About)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecisionFailed("failed", f"its first line is not what it says of itself: {error}") from error
