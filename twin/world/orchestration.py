"""The orchestration's place in the world: commands arrive here, and its timers are kept here, by one post at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.core.commands import External
from twin.driver import Driver
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business

__all__ = ["Orchestration"]


class Orchestration(Actor):
    """Feeds the driver from the world's clock. It knows nothing of what the engine decides."""

    world: Business

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.armed_at = -1
        # Instants with a post under way: an overtaken one is armed again, not posted again.
        self.posted: dict[int, None] = {}
        self._driver: Driver | None = None

    @property
    def driver(self) -> Driver:
        """The driver that steps the engine; attached after the world was built or restored."""
        if self._driver is None:
            raise RuntimeError("no driver is attached to the orchestration")
        return self._driver

    def attach(self, driver: Driver) -> None:
        """Put a driver behind the interface; it is no part of the world and is not pickled with it."""
        self._driver = driver

    def receive(self, message: External) -> None:
        """A command arrives."""
        driver = self.driver
        world = self.world
        now = world.now
        driver.handle(message, now)
        # The usual case by far: a timer's post is under way for what is due first.
        due = driver.engine.next_due()
        if due is not None and (due[0] < self.armed_at or self.armed_at < 0 or due[0] < now):
            self.arm()

    def arm(self) -> None:
        """See to it that the earliest timer is fed when it is due."""
        due = self.driver.engine.next_due()
        if due is None:
            return
        at = max(due[0], self.world.now)
        if self.armed_at < 0 or at < self.armed_at:
            self.armed_at = at
            if at not in self.posted:
                self.posted[at] = None
                self.world.post(self.wake, at, at - self.world.now, Phase.TIMER)

    def wake(self, at: int) -> None:
        """The armed instant has come; a post that was overtaken by an earlier one does nothing."""
        self.posted.pop(at, None)
        if at != self.armed_at:
            return
        self.armed_at = -1
        self.driver.wake(at)
        self.arm()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_driver": None}
