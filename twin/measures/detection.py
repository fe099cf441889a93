"""How soon the monitor noticed what went wrong. Nothing is measured where nobody watched."""

from __future__ import annotations

from collections.abc import Iterable

from twin.measures.against_truth import Truth
from twin.measures.facts import DAY_MS, Facts
from twin.measures.measured import Answer, answer, measure, ratio
from twin.observability.detection import Detection, detect

__all__: list[str] = []

RUN = "the whole run, warm-up included; where there is a monitor"


@measure("L", "count", RUN)
def alerts(facts: Facts) -> Iterable[Answer]:
    """Alerts raised, by rule."""
    if facts.monitoring is None:
        return
    yield answer(len(facts.alerts))
    for rule in facts.monitoring.rules:
        yield answer(sum(alert.rule == rule.id for alert in facts.alerts), part=f"alert={rule.id}")


@measure("T", "ms", "faults that led to an alert on their gateway; where there is a monitor")
def time_to_detect(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Mean and longest time from the beginning of a fault to the first alert on its gateway.

    It is 0 where an alert was up already. A fault that was not noticed is in `missed_faults`, not here.
    """
    found = _detection(facts, truth)
    if found is not None:
        yield ratio(sum(found.delays), len(found.delays))
        yield answer(max(found.delays, default=None), part="max")


@measure("T", "count", "the whole run, warm-up included; faults and disruptions that began")
def faults_hit(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Messages and actors that something befell, and how many of them by the id of the fault or the disruption.

    A fault counts the attempts and messages that it hit, a disruption how often it began. 0 is a fault that began and
    hit nothing: a drill of it shows nothing. Faults and disruptions without an id go by their kind, as in the truth.
    """
    if truth.hits:
        yield answer(sum(truth.hits.values()))
        for id, times in truth.hits.items():
            yield answer(times, part=f"fault={id}")


@measure("T", "count", RUN)
def missed_faults(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Times at which a gateway failed and no alert was raised on it. A fault that hit no message is none of them."""
    found = _detection(facts, truth)
    if found is not None:
        yield answer(len(found.missed), f"of {len(found.missed) + len(found.detected)}")


@measure("T", "count", RUN)
def false_alarms(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Alerts on a gateway that did not fail; and how many a day."""
    found = _detection(facts, truth)
    if found is not None:
        number = len(found.false_alarms)
        yield answer(number, f"of {len(facts.alerts)} alerts")
        yield ratio(number * DAY_MS, facts.end - facts.start, part="per_day")


def _detection(facts: Facts, truth: Truth) -> Detection | None:
    if facts.monitoring is None:
        return None
    return detect(facts.alerts, truth.faults.times(facts.monitoring.interfaces), facts.monitoring)
