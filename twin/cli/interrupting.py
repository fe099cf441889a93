"""Whether somebody interrupted the program, also where a library tells of it in words of its own."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Self

__all__ = ["Interrupts", "raise_if_swallowed"]

_entered: list[Interrupts] = []


class Interrupts:
    """Notes interrupts (Ctrl-C) while it is entered, and lets them through as `KeyboardInterrupt`.

    A library in C that is interrupted may raise what it likes instead: DuckDB raises `RuntimeError`, or an error of the
    input with the interrupt's name in its text. Finalizers and callbacks of weak references, as every import has one,
    let no error out: there Python would print the interrupt and go on; it stays pending for `raise_if_swallowed`.
    Outside the main thread, and where interrupts are ignored or handled otherwise, nothing is changed.
    """

    def __init__(self) -> None:
        self.came = False
        self.pending = False
        self._installed = False

    def __enter__(self) -> Self:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self._note)
            self._tell, sys.unraisablehook = sys.unraisablehook, self._tell_of_others
            self._installed = True
        _entered.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _entered.remove(self)
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.unraisablehook = self._tell

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = self.pending = True
        signal.default_int_handler(number, frame)

    def _tell_of_others(self, unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            self._tell(unraisable)

    def behind(self, error: BaseException) -> bool:
        """Whether an interrupt is what this error tells of: one came, or one is among its causes."""
        if self.came:
            return True
        seen: list[BaseException] = []
        cause: BaseException | None = error
        while cause is not None and cause not in seen:
            if isinstance(cause, KeyboardInterrupt):
                return True
            seen.append(cause)
            cause = cause.__cause__ or cause.__context__
        return False


def raise_if_swallowed() -> None:
    """Raise an interrupt again, once, that came where no error gets out.

    Raises `KeyboardInterrupt`.
    """
    for interrupts in _entered:
        if interrupts.pending:
            interrupts.pending = False
            raise KeyboardInterrupt
