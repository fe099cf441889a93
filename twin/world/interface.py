"""The modeled interface in front of a party: what serves its calls, in which order, and when it stands still.

A call passes the network, the door (which may turn it away), the queue and a worker, and only then reaches the party.
An attempt that its sender has given up waits and is served all the same (dead work), unless the interface drops what
has expired.
"""

from __future__ import annotations

from heapq import heappop, heappush

from twin.core.calendar import CalendarExhausted, add_working, is_open, next_open
from twin.core.effects import Delivery
from twin.core.master import CRITICALITIES
from twin.world.door import Door, InterfaceConfig
from twin.world.faults import Answer, Crash, Fault, Misaddress
from twin.world.kernel import Phase
from twin.world.recent import Recent

__all__ = ["Interface"]


class Interface(Door):
    """One interface; `party` is the id of who is behind it."""

    def __init__(self, id: str, party: str, config: InterfaceConfig) -> None:
        super().__init__(id, party, config)
        self.queue: list[tuple[int, int, Delivery]] = []
        self.arrived = 0
        self.busy = 0
        # Outages of the whole interface, calls that one of an endpoint holds, and calls that hang in a worker.
        self.closed = 0
        self.aside: list[tuple[int, int, Delivery]] = []
        self.hanging: list[Delivery] = []
        # Attempts that a fault was seen to hold in the queue, by fault, delivery and attempt.
        self.noted_once: dict[str, None] = Recent()
        # The next opening that is waited for.
        self.opening_at = -1

    # --- faults

    def fail(self, fault: Fault) -> None:
        """A fault begins. What is being worked on is finished, unless the fault is that it is not."""
        super().fail(fault)
        if fault.stage == "queue" and fault.whole:
            self.closed += 1
            for _, _, call in sorted(self.queue, key=lambda row: row[:2]):
                self.note(fault, self.as_call(call))

    def heal(self, fault: Fault) -> None:
        """A fault ends; calls go on once every change of this instant is known, so that none slips through a gap
        between two faults that touch."""
        super().heal(fault)
        if fault.stage == "queue":
            self.closed -= fault.whole
            self.world.post(self.resume, None, 0, Phase.GOODS)
        elif fault.stage == "finish":
            self.world.post(self.thaw, None, 0, Phase.RELEASE)

    def resume(self, message: None) -> None:
        """Begin what waited for the end of an outage, or for the opening."""
        for row in self.aside:
            heappush(self.queue, row)
        self.aside = []
        self._dispatch()

    def thaw(self, message: None) -> None:
        """Workers go on with what they hung at."""
        hung, self.hanging = self.hanging, []
        for call in hung:
            self.finish(call)

    # --- the queue

    def admit(self, call: Delivery) -> None:
        """A call waits its turn, if there is room."""
        config = self.config
        # All of them, for the truth; the queue itself stands still in an outage of the whole interface.
        held = [fault for fault in self.noted("queue", self.as_call(call)) if not fault.whole] if self.met else []
        for fault in held:
            self.noted_once[f"{fault.id}/{call.key}/{call.attempt}"] = None
        if config.bound and len(self.queue) + len(self.aside) >= config.bound:
            self._turn_away(call, "queue full")
            return
        if config.asynchronous:
            self._answer(call, "succeeded", "")
        self._line_up(call, held=bool(held))
        for backlog, clock in config.triggers:
            if len(self.queue) + len(self.aside) > backlog:
                self.world.actors[clock].receive(None)

    def _line_up(self, call: Delivery, *, held: bool) -> None:
        config = self.config
        self.arrived += 1
        rank = 0
        if config.discipline == "criticality":
            known = call.criticality in CRITICALITIES
            rank = CRITICALITIES.index(call.criticality) if known else len(CRITICALITIES)
        place = -self.arrived if config.discipline == "lifo" else self.arrived
        if held:
            self.aside.append((rank, place, call))
        else:
            heappush(self.queue, (rank, place, call))
            self._dispatch()

    def _dispatch(self) -> None:
        config, world, queue = self.config, self.world, self.queue
        while queue and not self.closed and (not config.workers or self.busy < config.workers):
            if config.calendar.bounds and not self._open():
                return
            row = heappop(queue)
            call = row[2]
            if config.drops_expired and call.expires_at and call.expires_at <= world.now:
                world.truth.record(world.now, "call.expired", call.key, self.id, "", call.attempt)
            elif self.met and self._held(call):
                self.aside.append(row)
            else:
                self.begin(call)

    def _held(self, call: Delivery) -> bool:
        """Whether a fault keeps a call that waited from being begun; each is noted once an attempt."""
        seen = self.as_call(call)
        found = list(self.meets("queue", seen))
        for fault in found:
            place = f"{fault.id}/{call.key}/{call.attempt}"
            if place not in self.noted_once:
                self.noted_once[place] = None
                self.note(fault, seen)
        return bool(found)

    def _open(self) -> bool:
        """Whether people are there; otherwise the queue waits for the next opening."""
        calendar, now = self.config.calendar, self.world.now
        try:
            if is_open(calendar, now):
                return True
            opening = next_open(calendar, now)
        except CalendarExhausted:
            return False  # past the known hours calls wait, open and visible
        if self.opening_at < opening:
            self.opening_at = opening
            self.world.post(self.resume, None, opening - now, Phase.RELEASE)
        return False

    # --- work

    def begin(self, call: Delivery) -> None:
        """A worker takes a call."""
        config, world = self.config, self.world
        self.busy += 1
        duration = max(0, world.streams.draw(config.service, "service", self.id, call.key, call.attempt))
        if config.calendar.bounds:
            try:
                duration = add_working(config.calendar, world.now, duration) - world.now
            except CalendarExhausted:
                return  # nobody will ever finish it
        if duration or config.workers:
            world.post(self.finish, call, duration, Phase.RELEASE)
        else:
            self._complete(call)

    def finish(self, call: Delivery) -> None:
        """A worker is done with a call, and free for the next."""
        self._complete(call)
        self._dispatch()

    def _complete(self, call: Delivery) -> None:
        """The party has a call that was worked on, unless the worker hangs or something went wrong with it."""
        if not self.met and not self.again and not self.muted:
            self.busy -= 1
            self.world.actors[self.party].receive(call)  # the usual case
            return
        seen = self.as_call(call)
        if self.noted("finish", seen):
            self.hanging.append(call)
            return
        self.busy -= 1
        behind = self.behind
        for fault in self.meets("work", seen):
            what = fault.what
            self.note(fault, seen)
            if isinstance(what, Misaddress):
                self.world.misaddressed[f"{call.key}/s"] = what.corrected_ms
            elif isinstance(what, Answer):
                # One that was taken in has been answered: what becomes of it then, nobody tells its sender.
                if what.outcome and not self.config.asynchronous:
                    self._answer(call, what.outcome, what.reason)
                self._not_finished(call, done=False)
                return
            elif isinstance(what, Crash):
                if what.after_commit:
                    self.muted[call.key] = call.attempt
                    behind.receive(call)
                if what.forgets:
                    behind.forget()
                self._not_finished(call, done=what.after_commit)
                return
        self.again.pop((call.key, call.attempt), None)
        self.muted.pop(call.key, None)
        behind.receive(call)

    def _not_finished(self, call: Delivery, *, done: bool) -> None:
        """A call was answered before it was worked on, and that went wrong: a broker delivers it again so many times;
        after them it is given up, and only the truth knows."""
        if not self.asynchronous:
            return
        redelivery = self.config.redelivery
        again = self.again.pop((call.key, call.attempt), 0) + 1
        if redelivery is None or again > redelivery.times:
            detail = "done" if done else "not done"
            self.world.truth.record(self.world.now, "call.given_up", call.key, self.id, "", call.attempt, detail)
            return
        self.again[call.key, call.attempt] = again
        self.world.post(self.deliver_again, call, redelivery.after_ms, Phase.RELEASE)

    def deliver_again(self, call: Delivery) -> None:
        """The broker delivers an event again; it was answered when it was first taken in."""
        held = self.noted("queue", self.as_call(call)) if self.met else []
        self._line_up(call, held=any(not fault.whole for fault in held))
