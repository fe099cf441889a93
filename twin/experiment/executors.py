"""Where runs are executed, behind the interface of `concurrent.futures`: in this process, in a pool, on a cluster.

An executor may die with its workers. What it was at is then handed to a new one, a few times.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from typing import Any, Final, ParamSpec, TypeVar

from msgspec import Struct

__all__ = ["Executing", "ExecutorRefused", "executing_by", "in_any_order"]

RESTARTS_MAX: Final = 3
"""How often in a row workers may be lost without a run being finished in between."""

P = ParamSpec("P")
T = TypeVar("T")
J = TypeVar("J")


class ExecutorRefused(ValueError):
    """There is no such executor, or it cannot be reached; the text says what would be right."""


class Executing(Struct, frozen=True):
    """How executors are made: `opened` makes one, which takes `ahead` runs at a time.

    `lost` holds the errors, besides a broken executor, that a future ends with when its worker died.
    """

    name: str
    opened: Callable[[], Executor]
    ahead: int
    lost: tuple[type[BaseException], ...] = (BrokenExecutor,)


def executing_by(name: str | None, workers: int) -> Executing:
    """`here`, `pool` of so many workers, or `dask://host:port`; without a name, a pool where there are several.

    Raises `ExecutorRefused`.
    """
    name = name or ("here" if workers == 1 else "pool")
    if name == "here":
        return Executing(name, _Here, 1)
    if name == "pool":
        # A few more than there are workers, so that none waits for the next one.
        return Executing(name, lambda: _pool(workers), workers + 2)
    if name.startswith("dask://"):
        return _dask(name.removeprefix("dask://"))
    raise ExecutorRefused(f"no executor '{name}'; give here, pool, or dask://HOST:PORT of a Dask scheduler")


def in_any_order(
    function: Callable[[J], T],
    jobs: Sequence[J],
    executing: Executing,
    named: Callable[[J], str] = str,
    until: float | None = None,
) -> Iterator[T]:
    """The results of all jobs as they are done; a dead worker's are run again. `named` is what errors call one.

    None is begun, not even again, once the clock (`time.monotonic`) has passed `until`; those under way are finished.
    """
    left = dict(enumerate(jobs))
    restarts = 0
    while left and _in_time(until):
        before = len(left)
        try:
            for index, done in _by_one(function, left, executing, until):
                del left[index]
                yield done
        except executing.lost as error:
            restarts = restarts + 1 if len(left) == before else 1
            if restarts > RESTARTS_MAX:
                first = named(next(iter(left.values())))
                error.add_note(
                    f"workers died {restarts} times and no run was finished in between; {len(left)} are left: {first}"
                    + (", ..." if len(left) > 1 else "")
                )
                raise


def _in_time(until: float | None) -> bool:
    return until is None or time.monotonic() < until


def _by_one(
    function: Callable[[J], T], left: dict[int, J], executing: Executing, until: float | None
) -> Iterator[tuple[int, T]]:
    waiting: dict[Future[T], int] = {}
    coming = iter(list(left.items()))
    with _shut_down(executing.opened()) as executor:
        while True:
            for index, job in islice(coming, executing.ahead - len(waiting) if _in_time(until) else 0):
                waiting[executor.submit(function, job)] = index
            if not waiting:
                return
            finished = wait(waiting, return_when=FIRST_COMPLETED).done
            # Ordered, so that of two failures the same one is told; what is done is kept before any is told.
            ordered = sorted(finished, key=waiting.__getitem__)
            for future in sorted(ordered, key=lambda one: one.exception() is not None):
                index = waiting.pop(future)
                yield index, future.result()


@contextmanager
def _shut_down(executor: Executor) -> Iterator[Executor]:
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


class _Here(Executor):
    """Runs what is submitted at once."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (the future hands it on)
            future.set_exception(error)
        return future


def _pool(workers: int) -> Executor:
    # A forked child would inherit the locks of whatever thread shows the progress.
    context = multiprocessing.get_context("spawn")
    return _Pool(workers, mp_context=context, initializer=_begin_worker)


class _Pool(ProcessPoolExecutor):
    """Holds interrupts back while it begins workers, which have them from it until they can end without a word."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    """An interrupt at the keyboard is for all of a terminal's processes: a worker leaves telling of it to its parent.

    A worker whose parent was killed would wait for its next job for ever.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(128 + number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


def _dask(address: str) -> Executing:
    try:
        # Not typed, and not there everywhere.
        client_of: Any = import_module("distributed").Client
        killed_worker: type[BaseException] = import_module("distributed.scheduler").KilledWorker
    except ImportError:
        raise ExecutorRefused("dask:// needs the package distributed; pip install 'ordertwin[dask]'") from None

    def opened() -> Any:
        try:
            return client_of(f"tcp://{address}", set_as_default=False, timeout=10)
        except (OSError, ValueError) as error:
            raise ExecutorRefused(f"no Dask scheduler answers at {address}: {error}") from None

    with opened() as client:
        cores = sum(client.ncores().values())
    if not cores:
        raise ExecutorRefused(f"the Dask scheduler at {address} has no workers; start some: dask worker {address}")

    # A scheduler that is gone cancels all; whether there is one again shows when it is asked.
    lost = (BrokenExecutor, CancelledError, killed_worker)
    return Executing(f"dask://{address}", lambda: _OnCluster(opened()), cores + 2, lost)


class _OnCluster(Executor):
    """Dask's own executor, which closes its client with itself."""

    def __init__(self, client: Any) -> None:
        self._client = client
        # Not pure: the same run may be asked for again.
        self._executor = client.get_executor(pure=False)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = self._executor.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait=wait)
        self._client.close()
