"""The figures of every interface, as tables or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from twin.cli.failures import InputError
from twin.cli.terminal import line, prose, show, table
from twin.cli.texts import count, in_unit, money, rounded

if TYPE_CHECKING:
    from rich.table import Table

    from twin.observability import Histogram, InterfaceFigures, Outbound, Slo

__all__ = ["check_slos", "chosen_slo", "parse_slos", "print_interfaces", "show_interfaces"]

Slos = list[tuple[str, "Slo"]]

NAME_MIN: Final = 9
"""Characters that a name has at least in a line."""

PERCENTS: Final = (50, 95, 99)


def parse_slos(texts: list[str]) -> Slos:
    """Service levels `GATEWAY-GLOB=LATENCY@SHARE`, as `erp=2s@99%`. Raises `InputError`."""
    from twin.observability import Slo
    from twin.scenario.units import parse_duration, parse_percent

    slos: Slos = []
    for text in texts:
        glob, _, level = text.partition("=")
        latency, _, share = level.partition("@")
        try:
            if not glob or not share:
                raise ValueError("give GATEWAY=LATENCY@SHARE, as in 'erp=2s@99%' or 'warehouse/*=5s@99.5%'")
            slos.append((glob, Slo(parse_duration(latency), parse_percent(share))))
        except ValueError as error:
            raise InputError(f"--slo {text}: {error}") from None
    return slos


def check_slos(texts: Sequence[str], slos: Slos, figures: InterfaceFigures) -> None:
    """Raises `InputError` for a level that is asked of nobody; the first of `slos` are those of the texts."""
    gateways = list(dict.fromkeys(gateway for gateway, _ in figures.outbound))
    for text, (glob, _) in zip(texts, slos, strict=False):
        if gateways and not any(fnmatchcase(gateway, glob) for gateway in gateways):
            raise InputError(f"--slo {text}: no gateway is named so; there are {', '.join(gateways)}")


def chosen_slo(gateway: str, slos: Slos) -> Slo | None:
    """The first level whose glob names the gateway; None leaves its default."""
    return next((slo for glob, slo in slos if fnmatchcase(gateway, glob)), None)


def _rows(figures: InterfaceFigures, glob: str) -> Iterator[tuple[str, str, Outbound]]:
    for (gateway, capability), row in sorted(figures.outbound.items()):
        if fnmatchcase(gateway, glob):
            yield gateway, capability, row


def _checked(figures: InterfaceFigures, glob: str) -> None:
    there = list(dict.fromkeys(gateway for gateway, _ in (*figures.outbound, *figures.inbound)))
    if there and not any(fnmatchcase(gateway, glob) for gateway in there):
        raise InputError(f"--gateway {glob}: no gateway is named so; there are {', '.join(there)}")


def show_interfaces(title: str, figures: InterfaceFigures, glob: str, slos: Slos, currency: str) -> None:
    """What was asked of each gateway and how that ended, how soon, what is left, and what came in; times in UTC."""
    _checked(figures, glob)
    asked = list(_rows(figures, glob))
    calls = _table(f"{title}: calls", "Calls", "Retried", "Refused", "Failed", "Unknown", "Late")
    answers = _table("Answers", "p50", "p95", "p99", "SLO burn", "Past deadline")
    left = _table("Open messages and dead letters", "Open", "Age", "Given up", "Left", "Age of it", "Value")
    for gateway, capability, row in asked:
        counts = (row.calls, row.retries, row.refused, row.failed, row.unknown, row.late)
        calls.add_row(gateway, capability, *(count(number) for number in counts))
        burn = row.slo_burn(chosen_slo(gateway, slos)) if row.acknowledged else None
        latencies = [in_unit(row.latency.percentile(percent), "ms", "") for percent in PERCENTS]
        told = "–" if burn is None else rounded(burn, 2)
        answers.add_row(gateway, capability, *latencies, told, count(row.past_deadline))
        if row.open or row.dead_lettered:
            open_age, dead_age = _age(row.oldest_open_at, figures.end), _age(row.oldest_dead_at, figures.end)
            numbers = (count(row.open), open_age, count(row.dead_lettered), count(row.dead), dead_age)
            left.add_row(gateway, capability, *numbers, money(row.dead_value_minor, currency) if row.dead else "")
    show(calls)
    line("Unknown: no answer in time. Late: done after the attempt was given up.")
    for gateway, capability, row in asked:
        # Only services that decide give such answers.
        if row.unusable:
            prose(
                f"{gateway}, {capability}: {count(row.unusable)} of the answers could not be carried out, and are no "
                "success; `twin explain` has the reasons."
            )
    line()
    show(answers)
    prose(
        "p50 to p99: from sending an attempt to its success. SLO burn: 1 spends the error budget exactly; without "
        "--slo an answer within the timeout for 99 % of the calls. Past deadline: done, and of no use any more."
    )
    line()
    if left.row_count:
        show(left)
        line("Left: dead letters not sent again; their oldest age and value.")
        line()
    came = table("Messages in", "From", "Capability", *_CAME, "Refusals", right=_CAME)
    for (source, capability), arrived in sorted(figures.inbound.items()):
        if fnmatchcase(source, glob):
            refusals = ", ".join(f"{code} {count(times)}" for code, times in sorted(arrived.refused.items()))
            lags = [in_unit(arrived.lag.percentile(percent), "ms", "") for percent in (50, 95, 100)]
            refused = sum(arrived.refused.values())
            came.add_row(source, capability, count(arrived.messages), count(refused), *lags, refusals)
    show(came)


_CAME: Final = ("Messages", "Refused", "Lag p50", "p95", "max")


def _table(title: str, *numbers: str) -> Table:
    made = table(title, "Gateway", "Capability", *numbers, right=numbers)
    # So that a terminal of 80 columns has room for the numbers.
    for column in made.columns[:2]:
        column.min_width = NAME_MIN
    return made


def _age(since: int, end: int) -> str:
    return "" if since < 0 else in_unit(end - since, "ms", "")


def print_interfaces(figures: InterfaceFigures, glob: str, slos: Slos) -> None:
    """One JSON map: `calls` and `messages_in`, each a list of rows. Durations and instants are ms, values minor units.

    `slo_burn` is an exact fraction in quotes.
    """
    _checked(figures, glob)
    calls = []
    for gateway, capability, row in _rows(figures, glob):
        slo = chosen_slo(gateway, slos) or row.default_slo
        burn = row.slo_burn(slo) if row.acknowledged else None
        calls.append(
            {
                "gateway": gateway,
                "capability": capability,
                "messages": row.operations,
                "calls": row.calls,
                "retries": row.retries,
                "succeeded": row.succeeded,
                "unusable": row.unusable,
                "refused": row.refused,
                "failed": row.failed,
                "unknown": row.unknown,
                "late": row.late,
                "past_deadline": row.past_deadline,
                "latency_ms": _percentiles(row.latency),
                "duration_ms": _percentiles(row.duration),
                "slo": {
                    "latency_ms": slo.latency_ms,
                    "share_ppm": slo.share_ppm,
                    "misses": row.slo_misses(slo),
                    "burn": None if burn is None else str(burn),
                },
                "open": row.open,
                "oldest_open_at": None if row.oldest_open_at < 0 else row.oldest_open_at,
                "dead_lettered": row.dead_lettered,
                "redriven": row.redriven,
                "expired": row.expired,
                "lapsed": row.lapsed,
                "dead_letters": row.dead,
                "oldest_dead_at": None if row.oldest_dead_at < 0 else row.oldest_dead_at,
                "dead_value_minor": row.dead_value_minor,
            }
        )
    messages = [
        {
            "source": source,
            "capability": capability,
            "messages": row.messages,
            "refused": dict(sorted(row.refused.items())),
            "lag_ms": _percentiles(row.lag),
        }
        for (source, capability), row in sorted(figures.inbound.items())
        if fnmatchcase(source, glob)
    ]
    line(json.dumps({"calls": calls, "messages_in": messages}, indent=2, ensure_ascii=False))


def _percentiles(values: Histogram) -> dict[str, Any]:
    return {f"p{percent}": values.percentile(percent) for percent in (*PERCENTS, 100)}
