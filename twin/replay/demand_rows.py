"""A channel's demand as a scenario says it, with the comments that say what it was estimated from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scipy.stats import spearmanr

from twin.replay.calibrated_file import comment, in_block, quantiles
from twin.replay.demand_fit import Rhythm, fit_rhythm, fit_skew, poisson_interval
from twin.replay.estimators import MeanEstimate, Table, estimate_counts, quantile_table, table_mean
from twin.replay.facts import Arrival
from twin.replay.parameters import Parameter, amount, interval
from twin.scenario.demand import BookDemand, Channel, GeneratedDemand, NoDemand, PoissonDemand
from twin.scenario.times import DAYS

__all__ = ["channel_demand", "profile_lines"]

ORDERS_MIN = 20
"""Orders of a channel below which its demand stays as in the base."""

LISTED_MAX = 50
"""Items that may have a weight each where the base gives them none."""


def channel_demand(
    channel: Channel, own: Sequence[Arrival], since: int, until: int, regions: Sequence[str], ranked: Sequence[str]
) -> tuple[list[Parameter], list[str], Rhythm | None]:
    """The parameters of a channel's demand, the lines that say it, and its rhythm; as in the base without lines.

    Even arrivals of a channel that is `poisson` in the base stay so, with a weight for each item; all else becomes
    `generated`, whose items have the base's order.
    """
    name = f"channels {channel.id}"
    why = ""
    if isinstance(channel.demand, BookDemand):
        why = "its orders are those of the base's order book"
    elif not own and isinstance(channel.demand, NoDemand):
        return [], [], None
    elif len(own) < ORDERS_MIN:
        why = f"{len(own)} orders came, {ORDERS_MIN} are needed"
    if why:
        return [Parameter(f"{name} demand", "number", None, None, None, len(own), 0, "assumed", why)], [], None

    rhythm = fit_rhythm([one.at for one in own], since, until, _known(channel))
    sizes = [len(one.lines) for one in own]
    units = [quantity for one in own for _, quantity in one.lines]
    rows = [Parameter(f"{name} orders a week", "number", rhythm.per_week, *rhythm.interval, rhythm.n, 0, "measured")]
    for told, values in (("lines an order", sizes), ("units a line", units)):
        mean = estimate_counts(values)
        rows.append(Parameter(f"{name} {told}, mean", "number", mean.mean, mean.low, mean.high, mean.n, 0, "measured"))
    places = {region: sum(one.region == region for one in own) for region in sorted(regions)}
    lines = comment(
        f"{rhythm.n:,} orders; {amount(rhythm.per_week, 'number')} a week "
        f"[{interval(rhythm.per_week, *rhythm.interval, 'number')}] if they are Poisson; {_spread(rhythm)}",
        "      ",
    )
    if isinstance(channel.demand, PoissonDemand) and rhythm.shape == "even":
        kind, more = "poisson", _poisson(channel.demand, own, ranked)
        lines += in_block("rate", f"{_rate(rhythm.per_week)}/week", "      ")
        keys = ("lines", "quantity")
    else:
        kind = "generated"
        skew, more = _skewed(name, own, channel, ranked)
        rows += skew
        lines += in_block("orders", f"{_rate(rhythm.per_week)}/week", "      ")
        if getattr(channel.demand, "levels", ()):
            lines += comment("no trend is estimated of a run: those of the base are left out", "      ")
            lines += in_block("levels", [], "      ")
        rows += _days(name, rhythm)
        lines += profile_lines(rhythm)
        keys = ("lines_per_order", "quantity_per_line")
    for key, values in zip(keys, (sizes, units), strict=True):
        table = quantile_table(values)
        lines += comment(
            f"{_spoken(estimate_counts(values))}, {amount(table_mean(table), 'number')} by the table", "      "
        )
        lines += in_block(key, _counts(table, kind), "      ")
    lines += more
    lines += comment("orders by region; a region without any keeps the weight 0", "      ")
    lines += in_block("regions", places, "      ")
    return rows, ["    demand:", f"      kind: {kind}", *lines], rhythm


def _known(channel: Channel) -> list[int]:
    """Weights of the week's hours that the base gives."""
    profile = getattr(channel.demand, "profile", None)
    return [weight for day in DAYS for weight in profile.get(day, (0,) * 24)] if profile else []


def _counts(table: Table, kind: str) -> Any:
    """Generated demand wants a table, also of one value."""
    found = quantiles(table, int)
    return [["0%", found], ["100%", found]] if kind == "generated" and isinstance(found, int) else found


def _spread(rhythm: Rhythm) -> str:
    if rhythm.dispersion is None:
        return "whether they are, so few days do not tell"
    return f"days vary {rhythm.dispersion:.2f} times as much as Poisson counts around this rhythm"


def _rate(per_week: float) -> str:
    decimals = next((digits for digits in range(4) if per_week * 10**digits >= 1_000), 3)
    return f"{per_week:.{decimals}f}"


def _spoken(mean: MeanEstimate) -> str:
    return f"mean {amount(mean.mean, 'number')} [{interval(mean.mean, mean.low, mean.high, 'number')}], n {mean.n:,}"


def _days(name: str, rhythm: Rhythm) -> list[Parameter]:
    """Orders a day by weekday, where the week has a rhythm of its own."""
    if rhythm.shape in ("even", "as in the base"):
        return []
    rows = []
    for number, day in enumerate(DAYS):
        count, seen = _of_day(rhythm, number)
        rows.append(
            Parameter(f"{name} orders {day}", "number", count / seen, *_daily(count, seen), count, 0, "measured")
        )
    return rows


def _of_day(rhythm: Rhythm, number: int) -> tuple[int, float]:
    """Orders of a weekday, and how many such days were seen."""
    part = slice(24 * number, 24 * number + 24)
    return sum(rhythm.counts[part]), sum(rhythm.hours[part]) / 24


def profile_lines(rhythm: Rhythm) -> list[str]:
    """Weights by hour, with each day's orders and their Poisson interval beside them."""
    if rhythm.shape == "as in the base":
        return comment("profile: as in the base, since the log holds no whole week", "      ")
    if rhythm.shape == "even":
        why = "even: no rhythm of the week stands out from chance (Schwarz's criterion)"
        return [*comment(why, "      "), "      profile: null"]
    scale = 10_000 / max(rhythm.rates)
    lines = comment(
        f"weights in proportion to the orders of each hour, UTC, by {rhythm.shape} (Schwarz's criterion); beside a day "
        "its orders seen, and orders a day with their Poisson interval",
        "      ",
    )
    lines.append("      profile:")
    for number, day in enumerate(DAYS):
        count, seen = _of_day(rhythm, number)
        weights = [round(rate * scale) for rate in rhythm.rates[24 * number : 24 * number + 24]]
        told = f"{count:,}; {amount(count / seen, 'number')} [{interval(1.0, *_daily(count, seen), 'number')}]"
        lines += [f"        # {told}", *in_block(day, weights, "        ")]
    return lines


def _daily(count: int, days: float) -> tuple[float, float]:
    low, high = poisson_interval(count)
    return low / days, high / days


def _poisson(demand: PoissonDemand, own: Sequence[Arrival], ranked: Sequence[str]) -> list[str]:
    lines: list[str] = []
    sold: dict[str, int] = {}
    repeated = False
    for order in own:
        repeated = repeated or len({sku for sku, _ in order.lines}) < len(order.lines)
        for sku, _ in order.lines:
            sold[sku] = sold.get(sku, 0) + 1
    known = list(demand.items) if demand.items is not None else list(ranked)
    names = dict.fromkeys([*known, *sorted(sold)])
    if demand.items is not None or len(names) <= LISTED_MAX:
        lines += comment("twice the lines of each item, and one: what was not sold is rare, not impossible", "      ")
        lines += in_block("items", {sku: 2 * sold.get(sku, 0) + 1 for sku in names}, "      ")
    if demand.distinct and not repeated:
        lines += in_block("distinct", True, "      ")
    return lines


def _skewed(
    name: str, own: Sequence[Arrival], channel: Channel, ranked: Sequence[str]
) -> tuple[list[Parameter], list[str]]:
    if isinstance(channel.demand, GeneratedDemand) and channel.demand.items:
        why = "the base gives weights of the items of each region"
        return [Parameter(f"{name} items", "number", None, None, None, len(own), 0, "assumed", why)], []
    old = getattr(channel.demand, "item_skew", None)
    names = ranked[: old.items] if old is not None and old.items else ranked
    found = fit_skew(own, names)
    if found is None:
        why = "fewer than two items were sold"
        row = Parameter(f"{name} item_skew", "number", None, None, None, len(own), 0, "assumed", why)
        return [row], ([] if old is not None else in_block("item_skew", {"exponent": 0, "items": 1}, "      "))
    row = Parameter(
        f"{name} item_skew exponent", "number", found.exponent, found.low, found.high, found.n, 0, "measured"
    )
    text = (
        f"{found.n:,} lines over the base's {found.items} items in its order; exponent {found.exponent:.2f} "
        f"[{found.low:.2f} to {found.high:.2f}] whatever the shift, by greatest likelihood of baskets drawn without "
        f"repeats; the log's own ranks agree with the base's by {_agreement(own, names):.2f} (Spearman)"
    )
    value = {"items": found.items, "exponent": round(found.exponent, 2), "shift": found.shift}
    return [row], [*comment(text, "      "), *in_block("item_skew", value, "      ")]


def _agreement(own: Sequence[Arrival], ranked: Sequence[str]) -> float:
    """Rank correlation of the base's order with the lines sold."""
    sold = dict.fromkeys(ranked, 0)
    for order in own:
        for sku, _ in order.lines:
            if sku in sold:
                sold[sku] += 1
    if len(sold) < 3 or len(set(sold.values())) < 2:
        return 1.0
    return float(spearmanr(range(len(sold)), [-count for count in sold.values()]).statistic)
