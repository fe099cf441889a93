"""What is wrong with messages at an interface, and when: data that an interface consults, and the clocks that set it.

Kinds of faults are many and mechanisms few: latency, reorder and late replies are all a `Delay`. A fault is hit by a
draw that is keyed by the fault, the delivery and the attempt, so that another fault leaves it as it is.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from twin.core.commands import RedriveDelivery
from twin.streams import Distribution
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business
    from twin.world.exposed import Exposed

__all__ = [
    "Answer",
    "BadRecord",
    "Copy",
    "Crash",
    "Delay",
    "Down",
    "Falsify",
    "Fault",
    "FaultClock",
    "Freeze",
    "Lose",
    "Mechanism",
    "Misaddress",
    "Shift",
    "Stale",
    "Storm",
    "Throttle",
    "TokenBucket",
    "Touched",
    "Truncate",
]

ALWAYS: Final = 1_000_000
"""A probability of one, in ppm."""


class Down(Struct, frozen=True, tag=True):
    """No call is begun; with `turns_away` none is let in either."""

    turns_away: bool


class Freeze(Struct, frozen=True, tag=True):
    """What a worker is at is not finished."""


class Lose(Struct, frozen=True, tag=True):
    """A message vanishes."""


class Delay(Struct, frozen=True, tag=True):
    """A message takes longer."""

    by: Distribution


class Copy(Struct, frozen=True, tag=True):
    """A message comes a second time."""

    after: Distribution


class Answer(Struct, frozen=True, tag=True):
    """A call is not passed on but answered; with no `outcome` not even that.

    What somebody `put_right` when it was sent again is passed on.
    """

    outcome: str
    reason: str
    put_right: bool = False


class Throttle(Struct, frozen=True, tag=True):
    """Calls beyond `count` in `per_ms`, `burst` of them at once, are answered 429."""

    count: int
    per_ms: int
    burst: int


class Shift(Struct, frozen=True, tag=True):
    """The instants in these fields of a reply are off by `by_ms`, signed."""

    by_ms: int
    fields: tuple[str, ...]


class Falsify(Struct, frozen=True, tag=True):
    """A field of a reply has another value than it should."""

    field: str
    value: str


class Crash(Struct, frozen=True, tag=True):
    """The counterpart dies over a call, before or after doing it, and may lose its memory of what it did."""

    after_commit: bool
    forgets: bool


class Stale(Struct, frozen=True, tag=True):
    """A count says what the last one before said, with its place among the movements or, `stamped_anew`, as if new."""

    stamped_anew: bool


class Truncate(Struct, frozen=True, tag=True):
    """A file ends before its end: what stands from some row on is not there."""


class Storm(Struct, frozen=True, tag=True):
    """Every `every_ms` all dead letters of the interface are sent again, however it is doing."""

    every_ms: int


class BadRecord(Struct, frozen=True, tag=True):
    """In records of items or suppliers like `record` a `field` is another `value` than it should, or with `stale` an
    older record comes behind."""

    field: str
    record: str
    value: int
    stale: bool


class Misaddress(Struct, frozen=True, tag=True):
    """A parcel has a wrong label, until `corrected_ms` after its carrier could not deliver it."""

    corrected_ms: int


Mechanism = (
    Down
    | Freeze
    | Lose
    | Delay
    | Copy
    | Answer
    | Throttle
    | Shift
    | Falsify
    | Crash
    | Stale
    | Truncate
    | Storm
    | BadRecord
    | Misaddress
)


class Touched(Struct, frozen=True):
    """A message as faults see it: its types, the key and attempt of its luck, what it is about in the truth, how
    often it was delivered before, and the order behind it, if any."""

    types: tuple[str, ...]
    key: str
    attempt: int
    subject: str
    again: int = 0
    order: str = ""


class Fault(Struct, frozen=True):
    """One fault at one interface, the `rank`-th of its scenario.

    `stage` is where a message meets it: on the `way` of a call, at the `door`, in a file of `calls`, in the `queue`,
    when a worker is to `finish`, at `work`, in a file of `reports`, where the way `back` begins, or on the way of a
    `reply`. It holds within its `windows` (begin and end, ms), by turns where it has `up` and `down`, or once for
    `lasts_ms` after more than `backlog` calls wait. `by_message` draws once a message, `answers_only` spares replies
    that answer no call. With a `tenant` it is about messages on orders that came by that channel.
    """

    id: str
    kind: str
    stage: str
    what: Mechanism
    rank: int = 0
    endpoint: str = "*"
    ppm: int = ALWAYS
    windows: tuple[tuple[int, int], ...] = ()
    up: Distribution | None = None
    down: Distribution | None = None
    backlog: int = 0
    lasts_ms: int = 0
    ramp_ms: int = 0
    by_message: bool = False
    answers_only: bool = False
    tenant: str = ""

    @property
    def whole(self) -> bool:
        """Whether it is about every message."""
        return self.endpoint == "*" and self.ppm == ALWAYS and not self.ramp_ms and not self.tenant

    def about(self, world: Business, message: Touched) -> bool:
        """Whether it is about messages of this type and this tenant."""
        if self.tenant and (world.tenants is None or world.tenants.get(message.order) != self.tenant):
            return False
        return self.endpoint == "*" or any(fnmatchcase(type, self.endpoint) for type in message.types)

    def hits(self, world: Business, since: int, message: Touched) -> bool:
        """Whether a message is hit by a fault that holds `since` then."""
        ppm = self.ppm
        elapsed = world.now - since
        if elapsed < self.ramp_ms:
            ppm = ppm * elapsed // self.ramp_ms
        if ppm >= ALWAYS:
            return True
        luck: tuple[int, ...] = (0,) if self.by_message else (message.attempt,)
        if message.again and not self.by_message:
            luck += (message.again,)
        return ppm > 0 and world.streams.bits("fault", self.id, message.key, *luck) * ALWAYS < ppm << 64


class TokenBucket(Struct):
    """Lets `count` calls through in `per_ms`, and `burst` at once; its level is in parts of a call, `per_ms` each."""

    count: int
    per_ms: int
    burst: int
    level: int = -1
    at: int = 0

    def take(self, now: int) -> int:
        """Take one call out; 0, or the ms until there is one to take."""
        full = self.burst * self.per_ms
        level = full if self.level < 0 else min(full, self.level + (now - self.at) * self.count)
        self.at = now
        if level >= self.per_ms:
            self.level = level - self.per_ms
            return 0
        self.level = level
        return -(-(self.per_ms - level) // self.count)


class FaultClock(Actor):
    """Switches one fault at one interface on and off; what its message asks for is its own fault to begin now."""

    world: Business

    def __init__(self, interface: str, fault: Fault) -> None:
        super().__init__(f"fault/{fault.id}/{interface.removeprefix('interface/')}")
        self.interface = interface
        self.fault = fault
        self.turn = 0
        self.storms = 0
        self.fired = False

    def start(self) -> None:
        """Set what is known beforehand on the clock."""
        now = self.world.now
        for begin, end in self.fault.windows:
            if end <= max(begin, now):
                continue
            if self.fault.up is not None:
                self._await(max(begin, now), end)
            else:
                self._hold(max(begin, now), end)

    def receive(self, message: None) -> None:
        """The backlog has passed what the fault waits for: it begins, a ms later, once."""
        if self.fired or not self.fault.lasts_ms:
            return
        self.fired = True
        self._hold(self.world.now + 1, self.world.now + 1 + self.fault.lasts_ms)

    def _hold(self, begin: int, end: int) -> None:
        self.world.post(self.begin, None, begin - self.world.now, Phase.FAULT)
        self.world.post(self.end, None, end - self.world.now, Phase.FAULT)

    def _await(self, now: int, end: int) -> None:
        """Draw when the fault comes next."""
        fault, world = self.fault, self.world
        if fault.up is None or fault.down is None:
            return
        while now < end:
            self.turn += 1
            begin = now + max(1, world.streams.draw(fault.up, "fault", fault.id, self.interface, "up", self.turn))
            lasts = max(0, world.streams.draw(fault.down, "fault", fault.id, self.interface, "down", self.turn))
            now = min(begin + lasts, end)
            if begin < now:
                self._hold(begin, now)
                world.post(self.again, end, now - world.now, Phase.FAULT)
                return

    def begin(self, message: None) -> None:
        """The fault holds from now on."""
        self.world.actors[self.interface].fail(self.fault)  # type: ignore[attr-defined]
        if isinstance(self.fault.what, Storm):
            self.storm(self.world.now)

    def storm(self, since: int) -> None:
        """Send again what was given up, as a tool does that nobody told to look first; until the fault that began then
        is over."""
        world, fault = self.world, self.fault
        door: Exposed = world.actors[self.interface]  # type: ignore[assignment]
        if door.since.get(fault.id) != since or not isinstance(fault.what, Storm):
            return
        self.storms += 1
        for key, dead in world.orchestration.driver.engine.state.dead_letters.items():
            delivery = dead.delivery
            seen = door.as_call(delivery)
            if dead.stage == "dead" and delivery.gateway == door.party and door.is_hit(fault, seen):
                door.note(fault, seen)
                again = RedriveDelivery(f"{self.storms}/{key}", self.id, world.now, key, "a tool that redrives")
                world.post(world.orchestration.receive, again, 1, Phase.COMMAND)
        world.post(self.storm, since, fault.what.every_ms, Phase.TELEMETRY)

    def end(self, message: None) -> None:
        """The fault is over."""
        self.world.actors[self.interface].heal(self.fault)  # type: ignore[attr-defined]

    def again(self, end: int) -> None:
        """A fault that comes and goes is over; when is it next?"""
        self._await(self.world.now, end)
