"""People who intervene: they look at what the engine shows them, take their time, and send commands like anybody else.

There is no back door: what they do is in the log, with who did it, why and what it cost.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

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
from twin.core.state import State
from twin.streams import Distribution
from twin.world.files import Files
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business

__all__ = ["Operations", "Plan", "Trigger"]


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


class Operations(Actor):
    """One intervention. Its person sees the engine's belief, as a screen would show it, and never the truth."""

    world: Business

    def __init__(self, plan: Plan) -> None:
        super().__init__(f"intervention/{plan.id}")
        self.plan = plan
        self.sent = 0
        self.held: tuple[str, ...] = ()
        self.before: tuple[tuple[str, str], ...] = ()

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
        delay = max(1, self.world.streams.draw(self.plan.delay, "intervention", self.plan.id))
        self.world.post(self.act, cause, delay, Phase.COMMAND)

    def _tell(self, command: External) -> None:
        self.world.post(self.world.orchestration.receive, command, 1 + self.sent, Phase.COMMAND)

    def _name(self) -> tuple[str, str, int]:
        self.sent += 1
        return f"{self.plan.id}/{self.sent}", f"operations/{self.plan.actor}", self.world.now

    def act(self, cause: str) -> None:
        """Do it."""
        plan, state, world = self.plan, self.state, self.world
        self.sent = 0
        self._tell(BeginIntervention(*self._name(), plan.id, plan.kind, plan.actor, cause, plan.cost_minor))
        if plan.kind == "redrive":
            for key, dead in state.dead_letters.items():
                if dead.stage == "dead" and fnmatchcase(dead.delivery.gateway, plan.gateway):
                    self._tell(RedriveDelivery(*self._name(), key, plan.actor))
            self._tell(EndIntervention(*self._name(), plan.id))
        elif plan.kind == "stop_ship":
            self.held = tuple(
                [
                    order.id
                    for order in state.orders.values()
                    if not order.held
                    and (not plan.channel or order.channel == plan.channel)
                    and any(any(line.buckets[: buckets.SHIPPED]) for line in order.lines.values())
                ]
            )
            for order_id in self.held:
                self._tell(HoldOrder(*self._name(), order_id, f"{plan.id}: {cause}"))
        elif plan.kind == "pause_batch":
            self._pause(True)
        else:
            self.before = state.policies.preferred
            self._change(True)
        if plan.lasts_ms >= 0:
            world.post(self.end, None, max(plan.lasts_ms, 1) + 1 + self.sent, Phase.COMMAND)

    def end(self, message: None) -> None:
        """Let things go on as before."""
        first = self.sent
        self._tell(EndIntervention(*self._name(), self.plan.id))
        if self.plan.kind == "stop_ship":
            for order_id in self.held:
                order = self.state.orders.get(order_id)
                if order is not None and order.held:
                    self._tell(ReleaseHold(*self._name(), order_id))
        elif self.plan.kind == "pause_batch":
            self._pause(False)
        else:
            self._change(False)
        self.held = ()
        self.sent = max(self.sent, first)

    def _pause(self, begins: bool) -> None:
        """Stop a batch job, or let it go on: it runs outside the engine, and so does this."""
        for way in ("calls", "reports"):
            files = self.world.actors.get(f"{way}/{self.plan.interface}")
            if isinstance(files, Files):
                files.paused = begins

    def _change(self, begins: bool) -> None:
        """Change the rules, or change them back; what others changed meanwhile stays."""
        plan, state = self.plan, self.state
        if plan.kind == "zero_feed":
            channel = replace(state.channels[plan.channel], feed_closed=begins)
            self._tell(DefineNetwork(*self._name(), state.currency, channels=(channel,)))
            return
        policies = state.policies
        if plan.kind == "shift_volume":
            regions = dict(plan.preferred)
            usual = {region: node for region, node in self.before if region in regions}
            others = {region: node for region, node in policies.preferred if region not in regions}
            preferred = others | (regions if begins else usual)
            policies = replace(policies, preferred=tuple(sorted(preferred.items())))
        else:
            more = plan.by_ms if begins else -plan.by_ms
            policies = replace(policies, promise_extra_ms=policies.promise_extra_ms + more)
        self._tell(DefinePolicies(*self._name(), policies))
