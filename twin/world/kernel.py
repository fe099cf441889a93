"""The world's clock: SimPy's queue, integer time, a declared order for equal times, and forks.

Actors are message handlers. A post is a SimPy event that calls one handler with one message, so a world made of
actors only holds no generator and can be pickled. Plain SimPy processes run beside them; a world that has some
says that it cannot be forked.
"""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable
from difflib import get_close_matches
from enum import IntEnum
from heapq import heappop, heappush
from io import BytesIO
from typing import Any, Self, TypeVar

import simpy
from simpy.core import EmptySchedule, SimTime, StopSimulation
from simpy.events import NORMAL, Event, EventPriority, Initialize, Process

from twin.streams import Series

__all__ = ["Actor", "CannotFork", "Phase", "PostRefused", "World"]

M = TypeVar("M")
A = TypeVar("A", bound="Actor")

_HEADER = b"twin.world 1\n"
_NO_PHASE = 0  # at this instant no phase has begun
_NOT_PICKLED = (pickle.PicklingError, TypeError, AttributeError, RecursionError)


class Phase(IntEnum):
    """What comes first at equal times. SimPy's own events (priorities 0 and 1) come before all of them."""

    FAULT = 10
    GOODS = 20  # replies, too: one at the deadline counts
    FEED = 30
    COMMAND = 40
    TIMER = 50
    RELEASE = 60
    SHIP = 70
    TELEMETRY = 80


# Up to Python 3.11 a member is reached by a descriptor written in Python: 79 ns instead of 7, in every post.
for _phase in Phase:
    type.__setattr__(Phase, _phase.name, _phase)


class PostRefused(ValueError):
    """A post that would put a float on the clock, run back in time, or reach a phase that is over."""


class CannotFork(RuntimeError):
    """The world holds something that can't be copied; the text names it."""


class Actor(ABC):
    """A participant with a mailbox. Its `world` is set by `World.add`.

    It knows other actors by id and keeps no handle on a post, and neither generators, open files, hashers nor
    lambdas: a world is forked by pickling its actors.
    """

    world: "World"

    def __init__(self, id: str) -> None:
        self.id = id

    @abstractmethod
    def receive(self, message: Any) -> None:
        """Take one message. What follows from it is posted, not returned."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        # As a bare shell, whose content the world writes after all shells: references between actors then
        # never nest, and rings of any length pickle.
        if "world" in self.__dict__:
            return _shell, (type(self), self.world)
        return super().__reduce_ex__(protocol)


Post = tuple[int, int, int, Callable[[Any], object], Any]
"""A row of the queue: instant, phase, sequence, handler, message. SimPy's own events are rows of four."""


class World(simpy.Environment):
    """A SimPy environment with an integer clock in ms, starting at `start_ms`, and a registry of actors.

    `shuffle` permutes what would be first in, first out within one time and phase: a run with it shows how far
    results hang on that order.
    """

    _now: int
    _queue: list[Any]

    def __init__(self, start_ms: int = 0, *, shuffle: Series | None = None) -> None:
        if type(start_ms) is not int:
            raise PostRefused(f"the clock starts at a whole number of ms, got {start_ms!r}")
        super().__init__(start_ms)
        del self._eid  # an iterator; `_sequence` counts in its place and pickles
        self.actors: dict[str, Actor] = {}
        self._sequence = 0
        self._phase: int = _NO_PHASE
        self._shuffle = shuffle
        self._running = False
        self._processes: list[Process] = []
        self._prune_at = 64

    @property
    def now(self) -> int:
        """The clock, in ms."""
        return self._now

    def add(self, actor: A) -> A:
        """Register `actor` under its id and return it.

        Raises `ValueError` for an id taken and for an actor that lives in a world already.
        """
        if actor.id in self.actors:
            raise ValueError(f"there is an actor {actor.id!r} already; ids are unique in a world")
        if "world" in actor.__dict__:
            raise ValueError(f"actor {actor.id!r} lives in a world already")
        actor.world = self
        self.actors[actor.id] = actor
        return actor

    def post(self, handler: Callable[[M], object], message: M, delay_ms: int, phase: Phase) -> None:
        """Call `handler(message)` in `delay_ms`, in `phase` of that instant, after what was posted there before.

        Raises `PostRefused` for a delay that is no int or negative, and for no delay into a phase before the
        one being executed.
        """
        # One test for nearly every post; what is wrong is found out apart.
        if type(delay_ms) is not int or delay_ms <= 0 or type(phase) is not Phase:
            self._check_post(handler, delay_ms, phase)
        sequence = self._sequence = self._sequence + 1
        if self._shuffle is not None:
            sequence |= self._shuffle.bits() << 64
        # A row and nothing else: an event object would double the time of a post.
        heappush(self._queue, (self._now + delay_ms, phase, sequence, handler, message))

    def posted(self, handler: Callable[[M], object]) -> list[M]:
        """The messages posted to `handler` that are still to come, in the order in which they will."""
        return [message for _, _, _, its, message in self.posts() if its == handler]

    def posts(self) -> list[Post]:
        """Every post that is still to come, in the order in which they will."""
        return sorted([row for row in self._queue if len(row) == 5], key=lambda row: row[:3])

    def send(self, recipient: str, message: Any, delay_ms: int, phase: Phase) -> None:
        """Post `message` to the `receive` of the actor with id `recipient`. Raises `PostRefused`, as `post` does,
        and for an id that is none."""
        actor = self.actors.get(recipient)
        if actor is None:
            near = get_close_matches(recipient, self.actors, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {len(self.actors)} actors"
            raise PostRefused(f"no actor {recipient!r}; {hint}")
        self.post(actor.receive, message, delay_ms, phase)

    def schedule(self, event: Event, priority: EventPriority = NORMAL, delay: SimTime = 0) -> None:
        """SimPy's way in, for its processes and events. Raises `PostRefused` for a delay that is no int."""
        if type(delay) is not int or delay < 0:
            raise PostRefused(f"{event!r}: {_delay_text(delay)}")
        if type(event) is Initialize:
            self._register(event)
        self._sequence += 1
        heappush(self._queue, (self._now + delay, priority, self._sequence, event))

    def step(self) -> None:
        """Run the next post or event. Raises simpy's `EmptySchedule` when there is none."""
        queue = self._queue
        if not queue:
            raise EmptySchedule
        row = queue[0]
        outer, self._running = self._running, True
        try:
            if len(row) == 5:
                heappop(queue)
                self._now, self._phase, _, handler, message = row
                handler(message)
            else:
                self._step_foreign(row[0])
        finally:
            self._running = outer

    def run(self, until: SimTime | Event | None = None) -> Any:
        """Run all that is due before `until` ms, which the clock then shows; what is due *at* it stays queued.

        None runs until nothing is left; an event until it is triggered, and returns its value. Raises
        `PostRefused` for an `until` that is a float, `ValueError` for one that is not after now, `RuntimeError`
        inside a handler.
        """
        if self._running:
            raise RuntimeError("the world is running already; a handler posts, it does not run")
        if until is None or isinstance(until, Event):
            return super().run(until)
        if type(until) is not int:
            raise PostRefused(f"the world runs until a whole number of ms, got {until!r}")
        if until <= self._now:
            raise ValueError(f"until ({until} ms) must be after now ({self._now} ms)")
        queue, pop = self._queue, heappop
        self._running = True
        try:
            while queue:
                row = queue[0]
                if row[0] >= until:
                    break
                if len(row) == 5:
                    pop(queue)
                    self._now, self._phase, _, handler, message = row
                    handler(message)
                else:
                    self._step_foreign(row[0])
        except StopSimulation as stop:
            return stop.args[0]
        finally:
            self._running = False
        self._now = until
        self._phase = _NO_PHASE
        return None

    def snapshot(self) -> bytes:
        """The world with its actors and queue, for `restore` by the same version of the code.

        Raises `CannotFork` inside a handler (half of its step is still to come), and for a world with SimPy
        processes, SimPy events in the queue, or anything else that pickle can't copy.
        """
        try:
            return _HEADER + pickle.dumps(self, protocol=5)
        except _NOT_PICKLED as error:
            raise CannotFork(f"{self._culprit()}: {error}") from error

    @classmethod
    def restore(cls, snapshot: bytes) -> Self:
        """The world of a `snapshot`. Unpickles, so read only your own. Raises `ValueError` for other bytes and
        for a world of another class."""
        if not snapshot.startswith(_HEADER):
            raise ValueError(f"no snapshot of a world of this version: it does not start with {_HEADER!r}")
        world = pickle.loads(memoryview(snapshot)[len(_HEADER) :])
        if not isinstance(world, cls):
            raise ValueError(f"no snapshot of a {cls.__name__}: it holds a {type(world).__name__}")
        return world

    def fork(self) -> Self:
        """A copy that shares nothing with this one and runs on as this one would. Raises as `snapshot` does."""
        return type(self).restore(self.snapshot())

    def __getstate__(self) -> Any:
        self._check_fork()
        rest = {name: value for name, value in self.__dict__.items() if name not in _OWN_WAY}
        actors = list(self.actors.values())
        queue = [
            (at, int(phase), number, handler, message)
            for at, phase, number, handler, message in self._queue  # posts all: _check_fork found no other
        ]
        # Shells first, then what fills them: see Actor.__reduce_ex__.
        return actors, [actor.__getstate__() for actor in actors], queue, rest

    def __setstate__(self, state: Any) -> None:
        actors, contents, queue, rest = state
        self.__dict__.update(rest)
        for actor, content in zip(actors, contents, strict=True):
            _fill(actor, content)
        self.actors = {actor.id: actor for actor in actors}
        self._queue = [(at, Phase(phase), number, handler, message) for at, phase, number, handler, message in queue]
        self._active_proc = None
        self._running = False
        self._processes = []

    def _step_foreign(self, at: SimTime) -> None:
        # At an instant whose phases have begun, SimPy's events leave the phase as it is: it is not over.
        if at != self._now:
            self._phase = _NO_PHASE
        super().step()

    def _check_post(self, handler: Callable[[Any], object], delay_ms: int, phase: Phase) -> None:
        if type(delay_ms) is not int or delay_ms < 0:
            raise PostRefused(f"post to {_name(handler)}: {_delay_text(delay_ms)}")
        if type(phase) is not Phase:
            raise PostRefused(f"post to {_name(handler)}: {phase!r} is no Phase")
        if delay_ms == 0 and phase < self._phase:
            raise PostRefused(
                f"post to {_name(handler)}: no delay into phase {phase.name} while {Phase(self._phase).name} is "
                f"being executed at {self._now} ms; delay it or take a later phase"
            )

    def _register(self, event: Initialize) -> None:
        # The only trace of a process that waits for an event which is not in the queue.
        (resume,) = event.callbacks
        self._processes.append(resume.__self__)  # type: ignore[attr-defined]
        if len(self._processes) >= self._prune_at:
            self._processes = [process for process in self._processes if process.is_alive]
            self._prune_at = 64 + 2 * len(self._processes)

    def _check_fork(self) -> None:
        if self._running:
            raise CannotFork("a handler is being executed; fork between two runs")
        alive = [process.name for process in self._processes if process.is_alive]
        if alive:
            more = f" and {len(alive) - 1} more" if len(alive) > 1 else ""
            raise CannotFork(f"the SimPy process {alive[0]!r}{more} is alive, and a generator can't be copied")
        for row in self._queue:
            if len(row) != 5:
                raise CannotFork(f"the SimPy event {row[3]!r} is queued for {row[0]} ms; only posts can be copied")

    def _culprit(self) -> str:
        """The first actor's attribute or post that can't be pickled by itself."""
        for actor in self.actors.values():
            for name, value in actor.__dict__.items():
                if not _pickles(value):
                    return f"attribute {name!r} of actor {actor.id!r}"
        for at, _, _, handler, message in self.posts():
            if not _pickles((handler, message)):
                return f"the post to {_name(handler)} at {at} ms"
        return "the world"


_OWN_WAY = ("actors", "_queue", "_active_proc", "_running", "_processes")


class _Alone(pickle.Pickler):
    """Pickles one thing without following it into the world or other actors."""

    def persistent_id(self, obj: Any) -> str | None:
        return "elsewhere" if isinstance(obj, Actor | World) else None


def _pickles(value: object) -> bool:
    try:
        _Alone(BytesIO(), protocol=5).dump(value)
    except _NOT_PICKLED:
        return False
    return True


def _shell(kind: type[Actor], world: World) -> Actor:
    return kind.__new__(kind)


def _fill(actor: Actor, content: Any) -> None:
    """Give an empty actor its state, as pickle would (object.__reduce_ex__, protocol 2 and up)."""
    if hasattr(actor, "__setstate__"):
        actor.__setstate__(content)
        return
    attributes, slots = content if isinstance(content, tuple) else (content, None)
    actor.__dict__.update(attributes or {})
    for name, value in (slots or {}).items():
        setattr(actor, name, value)


def _delay_text(delay: object) -> str:
    if type(delay) is int:
        return f"a delay of {delay} ms runs back in time"
    return f"a delay must be a whole number of ms (int), got {delay!r}"


def _name(handler: Callable[[Any], object]) -> str:
    owner = getattr(handler, "__self__", None)
    if isinstance(owner, Actor):
        return f"{owner.id}.{handler.__name__}"
    return getattr(handler, "__qualname__", repr(handler))
