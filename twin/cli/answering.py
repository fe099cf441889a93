"""An experiment's answers in money, as tables of 80 columns or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING, Any, Final

from twin.cli.terminal import line, show, table
from twin.cli.texts import money, rounded

if TYPE_CHECKING:
    from twin.experiment.answers import Answers, Pays, Risk, WorkflowLoss
    from twin.experiment.comparing import Difference
    from twin.experiment.leakage import Waterfall
    from twin.experiment.spread import Estimate
    from twin.experiment.statistics import Interval

__all__ = ["answers_as_json", "show_answers"]

NONE: Final = "–"


def show_answers(title: str, answers: Answers, *, everything: bool = False) -> None:
    """The tables of one scenario; with `everything` the measures and the leakage under each control, too."""
    currency = answers.base.currency
    percent = f"{answers.confidence / 10_000:g} %"
    line(f"{title}: {answers.scenario_id}")
    line(f"{len(answers.seeds)} seeds, {percent} intervals, amounts in {currency}; means over an outage's starts.")
    shown = [group.name for group in answers.groups if everything or not (group.outage and group.control)]
    kpis, leakage = answers.kpis(), answers.leakage()
    for name in shown:
        line()
        _show_kpis(name, kpis[name])
    line(f"*: it differs, after Holm's rule over all {sum(map(len, kpis.values()))} comparisons.")
    for name in shown:
        if name in leakage:
            line()
            _show_leakage(name, leakage[name], currency)
    risks = answers.risks()
    if risks:
        line()
        _show_risks(risks, currency)
    pays = answers.pays()
    if pays:
        line()
        _show_pays(pays, currency)
    ranking = answers.ranking()
    if ranking:
        line()
        _show_ranking(ranking, currency)


def _show_kpis(name: str, found: Sequence[Difference]) -> None:
    right = ("Undisturbed", "Difference", "Interval")
    made = table(f"{name}, less the undisturbed business", "Measure", *right, right=right)
    for one in found:
        interval = NONE if one.interval is None else _ends(one.interval.low, one.interval.high, one.unit)
        mark = " *" if one.differs else "  "
        made.add_row(one.measure, _figure(one.base_mean, one.unit), _figure(one.mean, one.unit) + mark, interval)
    show(made)


def _show_leakage(name: str, steps: Waterfall, currency: str) -> None:
    right = ("Result", "Interval")
    made = table(f"{name}: where the money goes", "Step", *right, right=right)
    made.add_row("Undisturbed", _money(steps.start_minor, currency), "")
    for step in steps.steps:
        if step.amount_minor or (step.interval is not None and step.interval.half_width):
            interval = NONE if step.interval is None else _money_ends(step.interval.low, step.interval.high, currency)
            made.add_row(step.title, _money(step.amount_minor, currency), interval)
    made.add_row("Disturbed", _money(steps.end_minor, currency), "")
    show(made)


def _show_risks(risks: Sequence[Risk], currency: str) -> None:
    right = ("Mean", "P5", "P50", "VaR 95 %", "CVaR 95 %")
    made = table("What one outage costs: its mean, and its spread over seeds and starts", "Outage", *right, right=right)
    notes: dict[str, None] = {}
    for one in risks:
        estimates = [*one.spread.quantiles.values(), one.spread.cvar]
        notes.update(dict.fromkeys(each.note for each in estimates if each is not None and each.note))
        made.add_row(one.outage, _half(one.mean, currency), *(_estimate(each, currency) for each in estimates))
    show(made)
    line("VaR 95 %: one outage in twenty costs more; CVaR 95 %: the mean of the worst 5 %.")
    for note in notes:
        line(f"{NONE}: {note}.")


def _show_pays(pays: Sequence[Pays], currency: str) -> None:
    right = ("Its own", "In all")
    costs = table("What a control costs a year", "Control", *right, right=right)
    for one in {each.control: each for each in pays}.values():
        costs.add_row(one.control, _whole(one.own_minor, currency), _half(one.found.yearly_cost, currency))
    show(costs)
    line("In all: with what it takes from the undisturbed business.")
    line()
    right = ("Avoids", "Pays")
    made = table("From how many outages a year on it pays", "Control", "Outage", *right, right=right)
    for one in pays:
        made.add_row(one.control, one.outage, _half(one.found.avoided, currency), _outages(one))
    show(made)
    line("Avoids: of the loss of one outage.")


def _outages(one: Pays) -> str:
    found = one.found
    if found.verdict in ("always pays", "never pays"):
        return found.verdict
    ends = f"{_times(found.low)} to {_times(found.high)}"
    if found.verdict == "cannot tell":
        return f"cannot tell ({ends})"
    word = "below" if found.verdict == "pays below" else "above"
    return f"{word} {_times(float(found.outages or 0))} ({ends})"


def _times(number: float) -> str:
    return "∞" if number == inf else rounded(Fraction(number), 0 if number >= 100 else 1)


def _show_ranking(ranking: Sequence[WorkflowLoss], currency: str) -> None:
    made = table("Workflows by avoidable loss", "Workflow", "Loss", "Interval", "Next", right=("Loss", "Interval"))
    for one in ranking:
        if one.loss is None:
            made.add_row(one.workflow, NONE, "no interface is modeled", "")
            continue
        behind = "" if one.p_holm is None else "is worth less" if one.stands else "not told apart"
        ends = _money_ends(one.loss.low, one.loss.high, currency)
        made.add_row(one.workflow, _money(one.loss.mean, currency), ends, behind)
    show(made)
    line("Loss: of the result, while all messages that serve it stand still.")


def _figure(value: Fraction | None, unit: str) -> str:
    if value is None:
        return NONE
    scale, word = _SCALES.get(unit, (Fraction(1), ""))
    return f"{rounded(value * scale, 2)}{word}"


def _ends(low: float, high: float, unit: str) -> str:
    return f"{_figure(Fraction(low), unit)} to {_figure(Fraction(high), unit)}"


_SCALES: Final = {"ratio": (Fraction(100), " %"), "ms": (Fraction(1, 3_600_000), " h"), "minor": (Fraction(1, 100), "")}


def _money(minor: Fraction | int, currency: str) -> str:
    """The amount without its currency, which stands above."""
    return money(minor, currency).removesuffix(f" {currency}")


def _money_ends(low: float, high: float, currency: str) -> str:
    return f"{_money(Fraction(low), currency)} to {_money(Fraction(high), currency)}"


def _whole(minor: Fraction | float, currency: str) -> str:
    """Whole units of money: enough where a table is crowded."""
    from twin.scenario.units import CURRENCY_EXPONENTS

    return rounded(Fraction(minor) / 10 ** CURRENCY_EXPONENTS.get(currency, 2), 0)


def _half(interval: Interval, currency: str) -> str:
    return f"{_whole(interval.mean, currency)} ± {_whole(interval.half_width, currency)}"


def _estimate(one: Estimate | None, currency: str) -> str:
    return NONE if one is None or one.value is None else _whole(one.value, currency)


def answers_as_json(title: str, found: Sequence[Answers]) -> str:
    """The same, amounts in minor units, times in ms; an end that is infinite is null."""
    return json.dumps({"title": title, "scenarios": [_scenario(one) for one in found]}, indent=2)


def _scenario(answers: Answers) -> dict[str, Any]:
    return {
        "scenario": answers.scenario_id,
        "currency": answers.base.currency,
        "seeds": answers.seeds,
        "confidence": answers.confidence / 1_000_000,
        "measures": {
            name: [
                {
                    "measure": one.measure,
                    "unit": one.unit,
                    "undisturbed": _number(one.base_mean),
                    "difference": _interval(one.interval),
                    "p": one.p,
                    "p_holm": one.p_holm,
                    "differs": one.differs,
                    "note": one.note,
                }
                for one in found
            ]
            for name, found in answers.kpis().items()
        },
        "leakage": {
            name: {
                "undisturbed_minor": steps.start_minor,
                "steps": [
                    {"cause": step.cause, "amount_minor": step.amount_minor, "interval": _interval(step.interval)}
                    for step in steps.steps
                ],
                "disturbed_minor": steps.end_minor,
            }
            for name, steps in answers.leakage().items()
        },
        "value_at_risk": [
            {
                "outage": one.outage,
                "runs": one.spread.count,
                "starts": one.starts,
                "mean": _interval(one.mean),
                **{f"p{percent}": _bounds(found) for percent, found in one.spread.quantiles.items()},
                "cvar95": _bounds(one.spread.cvar),
            }
            for one in answers.risks()
        ],
        "break_even": [
            {
                "control": one.control,
                "outage": one.outage,
                "own_cost_minor": one.own_minor,
                "yearly_cost": _interval(one.found.yearly_cost),
                "avoided": _interval(one.found.avoided),
                "verdict": one.found.verdict,
                "outages_a_year": _number(one.found.outages),
                "low": _finite(one.found.low),
                "high": _finite(one.found.high),
            }
            for one in answers.pays()
        ],
        "workflows": [
            {
                "workflow": one.workflow,
                "interfaces": list(one.interfaces),
                "loss": _interval(one.loss),
                "p_holm": one.p_holm,
                "worth_more_than_next": one.stands,
            }
            for one in answers.ranking()
        ],
    }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _finite(value: float) -> float | None:
    return None if value == inf else value


def _interval(one: Interval | None) -> dict[str, float] | None:
    return None if one is None else {"mean": float(one.mean), "low": one.low, "high": one.high}


def _bounds(one: Estimate | None) -> dict[str, float | None] | None:
    return None if one is None else {"value": one.value, "low": one.low, "high": one.high}
