"""What was down, as disruptions and faults of a scenario, with the comments that say how it was found."""

from __future__ import annotations

from collections.abc import Sequence

from twin.replay.calibrated_file import comment, flow
from twin.replay.interruptions import Closure, Outage
from twin.replay.parameters import Parameter, amount
from twin.scenario import Scenario
from twin.scenario.units import format_duration, format_instant

__all__ = ["interruption_lines"]

MINUTE_MS = 60_000


def interruption_lines(
    base: Scenario, closures: Sequence[Closure], outages: Sequence[Outage]
) -> tuple[list[Parameter], list[str]]:
    """The parameters, and the lines of the sections `interfaces`, `disruptions` and `faults`.

    Times are counted from the start of the base's run. What the base has already, or what lies outside of its run, is
    an assumed parameter and in no section. A list whose entries may have no ids is replaced as a whole, so the base's
    entries stand in it too. A gateway without an interface is given one.
    """
    plain = base.plain()
    doors = {interface.to: interface.id for interface in base.interfaces}
    named = [(doors.get(one.gateway, one.gateway.replace("/", ".")), one) for one in outages]
    disruptions = [_closure(base, one) for one in closures]
    faults = [_outage(base, one, name) for name, one in named]
    new = {
        name: one.gateway
        for (name, one), (_, _, value) in zip(named, faults, strict=True)
        if value and one.gateway not in doors
    }
    lines: list[str] = []
    if new:
        lines += ["interfaces:", *(f"  - {flow(entry)}" for entry in plain.get("interfaces", []))]
        lines += [f"  - {flow({'id': name, 'to': gateway})}" for name, gateway in new.items()]
    for section, made in (("disruptions", disruptions), ("faults", faults)):
        taken = [(text, value) for _, text, value in made if value]
        if taken:
            lines += [f"{section}:", *(f"  - {flow(entry)}" for entry in plain.get(section, []))]
        for text, value in taken:
            lines += [*comment(text, "  "), f"  - {flow(value)}"]
    return [row for row, _, _ in (*disruptions, *faults)], lines


def _left_out(name: str, told: str, why: str) -> tuple[Parameter, str, dict[str, str]]:
    """What was found and is not taken: nothing of it goes into the scenario, so nothing of it is a measured input."""
    return Parameter(name, "ms", None, None, None, 0, 0, "assumed", f"{told}; {why}"), "", {}


def _within(base: Scenario, began: int, ended: int) -> dict[str, str]:
    """Beginning and length as a scenario has them; nothing where the base's run lies elsewhere."""
    run = base.run
    if not run.start <= began < run.end:
        return {}
    lasts = max(MINUTE_MS, (ended - began) // MINUTE_MS * MINUTE_MS)
    return {"from": format_duration((began - run.start) // MINUTE_MS * MINUTE_MS), "for": format_duration(lasts)}


def _closure(base: Scenario, one: Closure) -> tuple[Parameter, str, dict[str, str]]:
    name = f"carriers {one.carrier} closed"
    note = f"from {format_instant(one.began_at)}: {one.expected:.0f} deliveries were expected and none came, "
    note += f"where {one.threshold:.0f} are no luck"
    span = float(one.ended_at - one.began_at)
    row = Parameter(name, "ms", span, None, None, round(one.expected), int(one.open), "measured", note)
    told = f"{note}; {amount(span)}; parcels on their way are counted without it"
    if one.open:
        told += "; it goes on at the end of the log, how long is not known"
    when = _within(base, one.began_at, one.ended_at)
    if any(other.kind == "carrier_closed" and other.carrier == one.carrier for other in base.disruptions):
        return _left_out(name, told, "the base has closures of it already")
    if not when:
        return _left_out(name, told, "outside the base's run")
    id = f"calibrated-{one.carrier}-{one.began_at // MINUTE_MS}"
    return row, f"{name} {told}", {"kind": "carrier_closed", "id": id, "carrier": one.carrier} | when


def _outage(base: Scenario, one: Outage, interface: str) -> tuple[Parameter, str, dict[str, str]]:
    name = f"calls to {one.gateway} failed"
    span = float(one.ended_at - one.began_at)
    low = float(max(0, one.ended_within[0] - one.began_within[1]))
    high = float(one.ended_within[1] - one.began_within[0])
    note = f"from {format_instant(one.began_at)}: {one.calls} calls in a row failed, {one.threshold} are no luck"
    row = Parameter(name, "ms", span, low, high, one.calls, 0, "measured", note)
    told = f"{note}; {amount(span)} [{amount(low)} to {amount(high)}] by the calls around it"
    when = _within(base, one.began_at, one.ended_at)
    if base.faults:
        return _left_out(name, told, "the base has faults already")
    if not when:
        return _left_out(name, told, "outside the base's run")
    value = {"kind": "outage", "id": f"calibrated-{interface}-{one.began_at // MINUTE_MS}", "interface": interface}
    return row, f"{name} {told}", value | {"calls": "held" if one.silent else "turned_away"} | when
