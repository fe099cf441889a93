"""The ERP: system of record for what was billed and credited, and for the inventory where it holds that; written to by
deliveries only."""

from __future__ import annotations

from typing import Final

from twin.core.commands import ConfirmInvoice, IssueCredit, OrderFacts
from twin.core.effects import AskOrderFacts, Delivery, PostCredit, PostInvoice
from twin.streams import Distribution, Fixed
from twin.world.holder import HELD
from twin.world.kernel import Phase
from twin.world.party import Link, Party

__all__ = ["Erp"]

KEPT_MS: Final = 400 * 86_400_000
"""How long the ledger's lines stay at hand; older ones are archived, and a credit for them finds nothing."""


class Erp(Party):
    """The ledger: billed and credited units by order line, and totals in minor units."""

    def __init__(self, id: str, link: Link, posting: Distribution) -> None:
        super().__init__(id, link)
        self.posting = posting
        self.posting_fixed = posting.value if isinstance(posting, Fixed) else -1
        self.lines: dict[str, list[int]] = {}
        self.older: dict[str, list[int]] = {}
        self.turned_at = -1
        self.invoiced_minor = 0
        self.credited_minor = 0
        self.invoices = 0
        # Keys of what is being worked on: accepted, and neither posted nor answered yet.
        self.at_work: dict[str, None] = {}

    def start(self) -> None:
        """Nothing to set up before the first document."""
        self.turned_at = self.world.now

    def receive(self, message: Delivery) -> None:
        """Take a document or a question; it is worked on for the posting time, a repetition is answered at once."""
        if not self.accept(message):
            # The first answer may have been lost. What is still being worked on is answered when it is done.
            if message.key not in self.at_work:
                self._answer(message)
            return
        self.at_work[message.key] = None
        delay = self.posting_fixed
        if delay < 0:
            delay = max(0, self.world.streams.draw(self.posting, "posting", message.key))
        if delay:
            self.world.post(self.work, message, delay, Phase.RELEASE)
        else:
            self.work(message)

    def acknowledge(self, delivery: Delivery) -> None:
        """Nothing on the transport level: the confirmation or the answer settles a delivery, and `receive` sends it."""

    def work(self, message: Delivery) -> None:
        """Post a document, once, and answer it or a question."""
        effect = message.effect
        self.at_work.pop(message.key, None)
        if isinstance(effect, PostInvoice):
            self._post_invoice(effect)
        elif isinstance(effect, PostCredit):
            self._line(effect.order, effect.line)[1] += effect.quantity
            self.credited_minor += effect.amount_minor
        elif isinstance(effect, HELD) and self.world.holder is not None:
            self.world.holder.receive(message)
        self._answer(message)

    def _answer(self, message: Delivery) -> None:
        """Confirm a posted document, or tell what the ledger holds on a question."""
        effect = message.effect
        if isinstance(effect, PostInvoice):
            self._confirm(message, effect.invoice, effect.order)
        elif isinstance(effect, PostCredit):
            self._confirm(message, effect.credit, effect.order)
        elif isinstance(effect, HELD) and self.world.holder is not None:
            self.world.holder.answer(self, message)
        elif isinstance(effect, AskOrderFacts):
            billed, credited, price = self._line(effect.order, effect.line)
            self.respond(
                message,
                IssueCredit(
                    f"{message.key}/answer",
                    self.id,
                    self.world.now,
                    effect.credit,
                    effect.order,
                    effect.line,
                    effect.quantity,
                    OrderFacts(billed, credited, price),
                    message.criticality,
                    message.key,
                ),
            )

    def _post_invoice(self, invoice: PostInvoice) -> None:
        for number, units, price in invoice.lines:
            line = self._line(invoice.order, number)
            line[0] += units
            line[2] = price
        self.invoiced_minor += invoice.amount_minor
        self.invoices += 1

    def _line(self, order: str, number: int) -> list[int]:
        """Billed units, credited units and unit price of an order line."""
        now = self.world.now
        if now - self.turned_at >= KEPT_MS:
            self.older, self.lines, self.turned_at = self.lines, {}, now
        key = f"{order}/{number}"
        line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = self.older.get(key) or [0, 0, 0]
        return line

    def _confirm(self, message: Delivery, document: str, order: str) -> None:
        if self.link.acknowledge:
            self.respond(
                message,
                ConfirmInvoice(
                    f"{message.key}/posted/{message.attempt}",
                    self.id,
                    self.world.now,
                    document,
                    order,
                    message.key,
                    message.criticality,
                    message.key,
                ),
            )

    def close_books(self) -> None:
        """Write down the ledger's totals at the end of the run, in minor units, for the books."""
        world = self.world
        world.truth.record(world.now, "ledger.invoiced", self.id, quantity=self.invoiced_minor)
        world.truth.record(world.now, "ledger.credited", self.id, quantity=self.credited_minor)
