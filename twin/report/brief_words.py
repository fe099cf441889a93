"""A brief in words: its one sentence, and instants, spans and intervals as a reader says them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from twin.experiment.brief import Brief, interval_of
from twin.experiment.leakage import losses_by_cause
from twin.experiment.statistics import Interval
from twin.experiment.steady_state import Recovery
from twin.observability import FaultTime
from twin.report.grid import DAY_MS, date_text, instant_text, weekday
from twin.report.words import bare, count, money, plural, rounded

__all__ = [
    "back_at",
    "interval_text",
    "mean_text",
    "moment",
    "money_with_interval",
    "no_loss_text",
    "not_back",
    "sentence",
    "span",
    "trouble_text",
    "what_of",
]

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def span(ms: Fraction | int) -> str:
    """`6 h`, `1 h 20 min`, `22 min`, `35 s`, `4 d 2 h`: the two largest units, from ten minutes on no seconds."""
    rest = round(Fraction(ms))
    if 0 < rest < 1_000:
        return f"{rest} ms"
    if rest >= 600_000:
        rest = round(Fraction(rest, 60_000)) * 60_000
    told = []
    for unit, size in (("d", DAY_MS), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        number, rest = divmod(rest, size)
        if number:
            told.append(f"{number} {unit}")
        elif told:
            break
    return " ".join(told[:2]) or "0 s"


def moment(at: int, beside: int | None = None) -> str:
    """`Monday 17 Nov 10:00`, without the date within six days of `beside`; UTC."""
    near = beside is not None and abs(at - beside) < 6 * DAY_MS
    date = "" if near else f" {date_text(at)}"
    return f"{_DAYS[weekday(at)]}{date} {instant_text(at)[-5:]}"


def what_of(one: FaultTime) -> str:
    """`portal outage`, or `outage` alone where it has no name of its own."""
    told = []
    for part in one.what.split(", "):
        name, _, kind = part.rpartition(" ")
        told.append(kind if not name or name.startswith(f"{kind}:") else f"{name} {kind}")
    return ", ".join(dict.fromkeys(told)).replace("_", " ")


def trouble_text(found: Sequence[FaultTime], end_ms: int) -> str:
    """What went wrong, for how long and since when."""
    if not found:
        return "No fault or disruption met anything in this run"
    first = found[0]
    ended = end_ms if first.ended_at < 0 else first.ended_at
    named = what_of(first)
    what = f"{named[:1].upper()}{named[1:]} at {first.gateway}"
    until = "to the end of the run" if first.ended_at < 0 else f"for {span(ended - first.began_at)}"
    told = f"{what} {until}, from {moment(first.began_at)}"
    others = len(found) - 1
    return f"{told}, and {plural(others, 'more trouble')}" if others else told


def back_at(brief: Brief) -> int | None:
    """When the last partner was back to normal: answers as without the trouble, and no more open than ever without it.

    Each counts from the last of its troubles. None where one was not before demand ended, or nothing ever ended.
    """
    ends = []
    for one in _last(brief):
        if one.returned_after is None or one.cleared_after is None:
            return None
        ends.append(one.ended_at + max(one.returned_after, one.cleared_after))
    return max(ends, default=None)


def _last(brief: Brief) -> list[Recovery]:
    """What became of each partner after the last of its troubles."""
    return list({one.partner: one for one in sorted(brief.recoveries, key=lambda one: one.ended_at)}.values())


def not_back(brief: Brief) -> tuple[str, str]:
    """Where `back_at` is None: `no`, or a dash where that cannot be known, and why."""
    last = _last(brief)
    if not last:
        return "–", "no trouble ended before demand did"
    late = [one for one in last if one.returned_after is None or one.cleared_after is None]
    why = list(dict.fromkeys(one.unseen for one in late))
    return ("no", "not before demand ended") if "" in why else ("–", f"{' or '.join(why)} after its end")


def sentence(brief: Brief) -> str:
    """The whole page in one sentence. Counts are those of the first seed, the money is the mean over all seeds."""
    pair, harm = brief.pair, brief.pair.harm
    currency = brief.scenario.currency
    parts = []
    if harm.touched is not None:
        parts.append(f"{plural(harm.touched, 'order')} touched")
    value = money(Fraction(harm.pair["harmed_value"] or 0), currency, whole=True)
    orders = "" if parts else " orders"
    parts.append(f"{count(int(harm.pair['harmed_orders'] or 0))}{orders} harmed (worth {value})")
    lost = Fraction(brief.waterfall.lost_minor)
    told = money_with_interval(abs(lost), brief.loss, currency, flip=lost < 0)
    parts.append(f"at {'a cost' if lost >= 0 else 'a gain'} of {told}")
    if not harm.watched:
        parts.append("nobody watching")
    elif harm.detected_ms is None:
        parts.append("not detected")
    else:
        missed = f", {count(harm.missed)} not at all" if harm.missed else ""
        parts.append(f"detected after {span(Fraction(harm.detected_ms))}{missed}")
    back = back_at(brief)
    if back is not None:
        began = pair.troubles[0].began_at if pair.troubles else None
        parts.append(f"messages back to normal {moment(back, began)}")
    elif brief.recoveries:
        back_told, why = not_back(brief)
        known = "messages not back to normal before demand ended"
        parts.append(known if back_told == "no" else f"messages back to normal not known ({why})")
    parts.append(f"{plural(harm.lost, 'message')} lost, {count(harm.doubled)} doubled")
    return f"{trouble_text(pair.troubles, pair.hurt.manifest.end_ms)}: {', '.join(parts)}."


def money_with_interval(mean: Fraction, interval: Interval | None, currency: str, *, flip: bool = False) -> str:
    """`48,210 EUR (40,100 to 56,320)`; without an interval the amount alone; `flip` turns its sign."""
    told = money(mean, currency, whole=True)
    if interval is None:
        return told
    return f"{told} ({interval_text(interval, currency, flip=flip)})"


def interval_text(interval: Interval, currency: str = "", *, digits: int = 1, flip: bool = False) -> str:
    """`40,100 to 56,320`: whole units of the currency, or of a count so many digits."""
    ends = sorted((-interval.low, -interval.high)) if flip else [interval.low, interval.high]
    if currency:
        low, high = (bare(Fraction(end), currency) for end in ends)
    else:
        low, high = (rounded(Fraction(end), digits) for end in ends)
    return f"{low} to {high}"


def mean_text(values: Sequence[Fraction], digits: int = 1) -> str:
    """`192.0 (180.2 to 203.8)`: the mean of counts and its interval, which does not go below nothing."""
    mean = sum(values, Fraction(0)) / len(values)
    interval = interval_of(values)
    told = rounded(mean, digits)
    if interval is None:
        return told
    low, high = (rounded(max(Fraction(0), Fraction(end)), digits) for end in (interval.low, interval.high))
    return f"{told} ({low} to {high})"


def no_loss_text(brief: Brief) -> str:
    """Why no chart of the loss is drawn: nothing of the ledger moved, or not by a whole minor unit in the mean."""
    if any(cost for harm in brief.harms for cost in losses_by_cause(harm.calm, harm.hurt).values()):
        return "In the mean over the seeds, no account of the ledger moved; on single seeds some did."
    costs = brief.scenario.costs
    given = {"late": costs.late, "penalty": costs.penalty, "touch": costs.touch}
    priced = ", ".join(f"costs.{name}" for name, value in given.items() if value)
    late = "what is late costs nothing in this scenario"
    if priced:
        late = f"what it puts a price on ({priced}) came to the same with and without it"
    told = f"The trouble moved no account of the ledger on any seed: {late}"
    return f"{told}, and nothing was sold less, sent dearer or written off."
