"""People who intervene: they look at what the engine shows them, take their time, and send commands like anybody else.

There is no back door: what they do is in the log, with who did it, why and what it cost.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from twin.core import buckets
from twin.core.commands import (
    BeginIntervention,
    DefineNetwork,
    DefinePolicies,
    EndIntervention,
    External,
    HoldOrder,
    RedriveDelivery,
    ReleaseHold,
)
from twin.core.master import Channel, Lane
from twin.core.state import State
from twin.streams import Distribution
from twin.world.files import Files
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business

__all__ = ["Operations", "Plan", "Trigger"]

FOREVER: Final = 1 << 62
"""An instant that never comes."""

Name = tuple[str, str, int]
"""What every command begins with: its id, its source, and its time (ms)."""


class Trigger(Struct, frozen=True):
    """At `at` (ms), or once `what` (dead_letters, open_deliveries, tickets) is `above` a number, or by hand alone.

    Looks are `look_ms` apart.
    """

    at: int = -1
    what: str = ""
    above: int = 0
    gateway: str = "*"
    look_ms: int = 0


class Plan(Struct, frozen=True):
    """What is to be done: the kind, by whom, after which delay, for how long (-1: for good) and at which cost."""

    id: str
    kind: str
    actor: str
    trigger: Trigger
    delay: Distribution
    lasts_ms: int = -1
    cost_minor: int = 0
    gateway: str = "*"
    channel: str = ""
    preferred: tuple[tuple[str, str], ...] = ()
    by_ms: int = 0
    interface: str = ""
    carrier: str = ""
    lanes: tuple[Lane, ...] = ()


class Operations(Actor):
    """One intervention. Its person sees the engine's belief, as a screen would show it, and never the truth.

    Interventions of one kind may overlap: then the last that began rules, and what one of them did goes back only once
    none of the others holds it. So a command that would undo something is written when it arrives, not before.
    """

    world: Business

    def __init__(self, plan: Plan) -> None:
        super().__init__(f"intervention/{plan.id}")
        self.plan = plan
        # How often it was decided, and begun; by hand that may be more than once.
        self.decided = 0
        self.turn = 0
        self.sent = 0
        self.over_at = 0
        # While its change of the rules holds: its place among those of its kind, above those that began before.
        self.place = 0
        self.paused = False
        # Orders that it stops (whether it is a stop that holds them, or still only meant to), what it found when it
        # began in its regions (the preferred warehouse) or on its ways (the lane), whether its feed was closed then,
        # and what those of its kind last made of promises.
        self.held: dict[str, bool] = {}
        self.usual: dict[Any, Any] = {}
        self.closed_before = False
        self.extra_ms = 0

    @property
    def state(self) -> State:
        """What the engine believes."""
        return self.world.orchestration.driver.engine.state

    def start(self) -> None:
        """Wait for the hour, or for the first look."""
        trigger, now = self.plan.trigger, self.world.now
        if trigger.what:
            self.world.post(self.look, None, trigger.look_ms, Phase.TELEMETRY)
        elif trigger.at >= now:
            self.world.post(self.decide, "at its time", trigger.at - now, Phase.TELEMETRY)

    def receive(self, message: str) -> None:
        """Somebody asks for it now, and says why."""
        self.decide(message)

    def look(self, message: None) -> None:
        """See whether it is time; look again later if not."""
        trigger = self.plan.trigger
        seen = self._seen(trigger)
        if seen > trigger.above:
            self.decide(f"{seen} {trigger.what.replace('_', ' ')}, more than {trigger.above}")
        else:
            self.world.post(self.look, None, trigger.look_ms, Phase.TELEMETRY)

    def _seen(self, trigger: Trigger) -> int:
        state = self.state
        if trigger.what == "tickets":
            return len(state.tickets)
        messages = state.dead_letters if trigger.what == "dead_letters" else state.deliveries
        return sum([fnmatchcase(opened.delivery.gateway, trigger.gateway) for opened in messages.values()])

    def decide(self, cause: str) -> None:
        """It is decided; doing it takes a while."""
        self.decided += 1
        again = (self.decided,) if self.decided > 1 else ()
        delay = max(1, self.world.streams.draw(self.plan.delay, "intervention", self.plan.id, *again))
        self.world.post(self.act, cause, delay, Phase.COMMAND)

    # --- what is sent

    def _name(self) -> Name:
        self.sent += 1
        turn = f"/{self.turn}" if self.turn > 1 else ""
        return f"{self.plan.id}{turn}/{self.sent}", f"operations/{self.plan.actor}", self.world.now

    def _tell(self, command: External) -> None:
        self.world.post(self.world.orchestration.receive, command, 1 + self.sent, Phase.COMMAND)

    # --- begin and end

    def act(self, cause: str) -> None:
        """Do it. Asked for while it is under way, it is not begun again: the engine's refusal says so in the log."""
        plan, world = self.plan, self.world
        self.turn += 1
        if world.now < self.over_at:
            name = f"{plan.id}/{self.turn}/1", f"operations/{plan.actor}", world.now
            again = BeginIntervention(*name, plan.id, plan.kind, plan.actor, cause, plan.cost_minor)
            world.post(world.orchestration.receive, again, 2, Phase.COMMAND)
            return
        self.sent = 0
        self._tell(BeginIntervention(*self._name(), plan.id, plan.kind, plan.actor, cause, plan.cost_minor))
        if plan.kind == "redrive":
            for key, dead in self.state.dead_letters.items():
                if dead.stage == "dead" and fnmatchcase(dead.delivery.gateway, plan.gateway):
                    world.looked_at[key] = None
                    self._tell(RedriveDelivery(*self._name(), key, plan.actor))
            self._tell(EndIntervention(*self._name(), plan.id))
            self.over_at = world.now + 1 + self.sent
            return
        if plan.kind == "stop_ship":
            self._hold(cause)
        elif plan.kind == "pause_batch":
            self._pause(True)
        else:
            self._post_change(True)
        self.over_at = FOREVER
        if plan.lasts_ms >= 0:
            world.post(self.end, None, max(plan.lasts_ms, 1) + 1 + self.sent, Phase.COMMAND)

    def end(self, message: None) -> None:
        """Let things go on as before."""
        self._tell(EndIntervention(*self._name(), self.plan.id))
        if self.plan.kind == "stop_ship":
            for order_id in list(self.held):
                order = self.state.orders.get(order_id)
                if order is None or not order.held:
                    del self.held[order_id]
                    continue
                told = ReleaseHold(*self._name(), order_id)
                self.world.post(self.let_go, told, 1 + self.sent, Phase.COMMAND)
        elif self.plan.kind == "pause_batch":
            self._pause(False)
        else:
            self._post_change(False)
        self.over_at = self.world.now + 1 + self.sent

    def _others(self) -> list[Operations]:
        """The other interventions of this kind."""
        actors = self.world.actors.values()
        return [
            one for one in actors if isinstance(one, Operations) and one.plan.kind == self.plan.kind and one is not self
        ]

    def _take_place(self) -> None:
        """Stand above those that began before."""
        self.place = 1 + max([other.place for other in self._others()], default=0)

    # --- orders that are held

    def _hold(self, cause: str) -> None:
        plan = self.plan
        for order in self.state.orders.values():
            if (
                (not order.held or self._stopped(order.id))
                and (not plan.channel or order.channel == plan.channel)
                and any(any(line.buckets[: buckets.SHIPPED]) for line in order.lines.values())
            ):
                self.held[order.id] = order.held
                if not order.held:
                    told = HoldOrder(*self._name(), order.id, f"{plan.id}: {cause}")
                    self.world.post(self.hold, told, 1 + self.sent, Phase.COMMAND)

    def _stopped(self, order_id: str) -> bool:
        """Whether another stop of shipping holds an order."""
        return any(other.held.get(order_id) for other in self._others())

    def hold(self, message: HoldOrder) -> None:
        """An order is held, unless somebody came first: another stop of shipping, or one who has to let it go too."""
        order = self.state.orders.get(message.order)
        if order is None or not order.held:
            self.world.orchestration.receive(message)
            self.held[message.order] = True
        elif self._stopped(message.order):
            self.held[message.order] = True
        else:
            del self.held[message.order]

    def let_go(self, message: ReleaseHold) -> None:
        """An order goes on, unless another stop of shipping holds it too."""
        self.held.pop(message.order, None)
        if not self._stopped(message.order):
            self.world.orchestration.receive(message)

    # --- batch jobs

    def _pause(self, begins: bool) -> None:
        """Stop a batch job, or let it go on: it runs outside the engine, and so does this."""
        self.paused = begins
        paused = begins or any(one.paused and one.plan.interface == self.plan.interface for one in self._others())
        for way in ("calls", "reports"):
            files = self.world.actors.get(f"{way}/{self.plan.interface}")
            if isinstance(files, Files):
                files.paused = paused

    # --- rules

    def _post_change(self, begins: bool) -> None:
        name = self._name()
        self.world.post(self.change, (name, begins), 1 + self.sent, Phase.COMMAND)

    def change(self, message: tuple[Name, bool]) -> None:
        """Change the rules as they are at this instant, or change them back; what others changed elsewhere stays."""
        name, begins = message
        plan, state = self.plan, self.state
        policies = state.policies
        told: DefineNetwork | DefinePolicies
        if begins:
            self._take_place()
        if plan.kind == "zero_feed":
            told = DefineNetwork(*name, state.currency, channels=(self._feed(begins),))
        elif plan.kind == "shift_volume":
            preferred = dict(policies.preferred)
            for region, node in plan.preferred:
                self._shift(preferred, region, node, begins)
            told = DefinePolicies(*name, replace(policies, preferred=tuple(sorted(preferred.items()))))
        elif plan.kind == "shift_carrier":
            told = DefineNetwork(*name, state.currency, lanes=self._lanes(begins))
        else:
            told = DefinePolicies(*name, replace(policies, promise_extra_ms=self._extra(begins)))
        if not begins:
            self.place = 0
        self.world.orchestration.receive(told)

    def _feed(self, begins: bool) -> Channel:
        """The channel with its feed closed, or open again if it was so before the first of those that close it."""
        channel = self.state.channels[self.plan.channel]
        others = [one for one in self._others() if one.place and one.plan.channel == channel.id]
        if begins:
            # Closed before the first of them, and not opened by somebody since.
            self.closed_before = channel.feed_closed and (not others or others[0].closed_before)
            return replace(channel, feed_closed=True)
        # Somebody else may have opened it meanwhile.
        return replace(channel, feed_closed=channel.feed_closed and (bool(others) or self.closed_before))

    def _extra(self, begins: bool) -> int:
        """What promises are extended by, in ms: what somebody else has set meanwhile stays as it is."""
        now_ms = self.state.policies.promise_extra_ms
        if not begins and now_ms != self.extra_ms:
            return now_ms
        extra_ms = max(0, now_ms + (self.plan.by_ms if begins else -self.plan.by_ms))
        for one in (self, *self._others()):
            if one is self or one.extra_ms == now_ms:
                one.extra_ms = extra_ms
        return extra_ms

    def _lanes(self, begins: bool) -> tuple[Lane, ...]:
        """The ways that go with the other carrier from now on, or with the usual one again; only those that change."""
        now = {(lane.region, lane.node): lane for lanes in self.state.lanes.values() for lane in lanes.values()}
        then = dict(now)
        for lane in self.plan.lanes:
            way = (lane.region, lane.node)
            if way in self.usual or (begins and way in now and self._goes_with_it(way, now[way])):
                self._shift(then, way, lane, begins)
        return tuple([lane for way, lane in then.items() if lane != now[way]])

    def _goes_with_it(self, way: tuple[str, str], lane: Lane) -> bool:
        """Whether what goes this way goes with the carrier, or would if another did not shift it from that one."""
        shifted = (one for one in self._others() if way in one.usual and one.plan.carrier == self.plan.carrier)
        return lane.carrier == self.plan.carrier or any(lane in one.plan.lanes for one in shifted)

    def _shift(self, current: dict[Any, Any], place: Any, value: Any, begins: bool) -> None:
        """Put another warehouse or lane in a place, or again what was there before."""
        if begins:
            self.usual[place] = current.get(place)
            current[place] = value
            return
        usual = self.usual.pop(place)
        above = [other for other in self._others() if other.place > self.place and place in other.usual]
        if above:
            min(above, key=lambda other: other.place).usual[place] = usual
        elif current.get(place) == value:
            if usual is None:
                del current[place]
            else:
                current[place] = usual
