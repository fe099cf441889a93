"""Credits, and the ERP's answers: the ERP keeps the financial truth, the engine asks it by effects only."""

from __future__ import annotations

from twin.core import buckets
from twin.core.attempts import succeed_attempt
from twin.core.commands import ConfirmInvoice, IssueCredit
from twin.core.dedupe import credit_key, was_seen
from twin.core.draft import Draft
from twin.core.effects import AskOrderFacts, PostCredit, PostInvoice
from twin.core.events import (
    CreditIssued,
    CreditPended,
    CreditReferred,
    CreditRejected,
    InvoicePosted,
    OrderCancelled,
)
from twin.core.ordering import cancellable
from twin.core.refusals import Refusal
from twin.core.shipping import credit
from twin.core.state import State

__all__ = ["confirm_invoice", "issue_credit"]


def issue_credit(state: State, command: IssueCredit, now: int, draft: Draft) -> Refusal | None:
    """Take units of a line back: those not yet released are cancelled, billed ones credited, the rest waits.

    For an order that has left memory the ERP is asked first and answers with the same command and its facts.
    """
    if command.quantity <= 0:
        return Refusal("quantity", f"{command.quantity} units; a credit takes at least 1")
    order = state.orders.get(command.order)
    if order is None or command.facts is not None:
        return _credit_from_facts(state, command, now, draft)
    line = order.lines.get(command.line)
    if line is None:
        return Refusal("unknown_line", f"order '{order.id}' has no line {command.line}")
    waits = any(waiting.credit == command.credit for waiting in order.credits)
    if waits or _is_known(state, command.credit, now):
        return Refusal("credit_exists", f"credit '{command.credit}' was asked for already")
    pending = sum(waiting.quantity for waiting in order.credits if waiting.line == command.line)
    gone = line.buckets[buckets.CANCELLED] + line.buckets[buckets.REJECTED] + line.credited + pending
    if command.quantity > line.ordered - gone:
        return Refusal(
            "over_credit",
            f"{command.quantity} units to credit, {max(0, line.ordered - gone)} of line {command.line} are left",
        )
    left = command.quantity
    units = cancellable(state, order, command.line, left)
    if units:
        draft.events.append(OrderCancelled(order.id, "customer", command.credit, tuple(units), command.credit))
        left -= sum(taken.quantity for taken in units)
    if left > 0:
        if left <= line.billed - line.credited - pending:
            credit(state, order, command.credit, command.line, left, now, draft)
        else:
            draft.events.append(CreditPended(order.id, command.credit, command.line, left))
    return None


def _credit_from_facts(state: State, command: IssueCredit, now: int, draft: Draft) -> Refusal | None:
    facts = command.facts
    if facts is None:
        if _is_known(state, command.credit, now):
            return Refusal("credit_exists", f"credit '{command.credit}' was asked for already")
        draft.events.append(CreditReferred(command.order, command.credit, command.line, command.quantity))
        ask = AskOrderFacts(command.credit, command.order, command.line, command.quantity)
        key = f"{command.credit}/facts"
        draft.deliver(state, key, "erp", "", ask, command.order, command.criticality, now)
        return None
    if command.credit not in state.referred:
        return Refusal("not_referred", f"credit '{command.credit}' was not asked for")
    question = f"{command.credit}/facts"
    asked = state.deliveries.get(question) or state.dead_letters.get(question)
    if asked is not None:
        succeed_attempt(state, asked, now, draft)
    if command.order in state.orders:
        # It came after the question: what the engine knows of it goes before what the ERP knew.
        reason = f"order '{command.order}' is open: ask for a credit anew"
        draft.events.append(CreditRejected(command.order, command.credit, reason))
        return None
    left = facts.billed - facts.credited
    if command.quantity > left:
        reason = f"{command.quantity} units to credit, the ERP has {left} billed and not credited"
        draft.events.append(CreditRejected(command.order, command.credit, reason))
        return None
    amount = command.quantity * facts.price_minor
    draft.events.append(CreditIssued(command.order, command.credit, command.line, command.quantity, amount))
    effect = PostCredit(command.credit, command.order, command.line, command.quantity, amount)
    draft.deliver(state, command.credit, "erp", "", effect, command.order, command.criticality, now)
    return None


def _is_known(state: State, credit: str, now: int) -> bool:
    """Whether a credit of this id was asked for: it is under way, or was within the retention."""
    if credit in state.referred or credit in state.deliveries or credit in state.dead_letters:
        return True
    return was_seen(state.seen, credit_key(credit), now, state.policies.retention_ms)


def confirm_invoice(state: State, command: ConfirmInvoice, now: int, draft: Draft) -> Refusal | None:
    """The ERP posted a document; this answers the delivery that asked for it."""
    opened = state.deliveries.get(command.delivery) or state.dead_letters.get(command.delivery)
    if opened is None:
        return Refusal("unknown_delivery", f"'{command.delivery}' is not open")
    effect = opened.delivery.effect
    if not isinstance(effect, PostInvoice | PostCredit):
        return Refusal("no_document", f"'{command.delivery}' asked for no invoice and no credit note")
    if effect.order != command.order:
        return Refusal("order", f"'{command.delivery}' is about order '{effect.order}', not '{command.order}'")
    succeed_attempt(state, opened, now, draft)
    draft.events.append(InvoicePosted(command.order, command.document))
    return None
