"""One page about one scenario, to be forwarded: what its trouble does, what it costs, and what each option changes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from twin.experiment.brief import CONFIDENCE_PPM, Brief
from twin.measures.outside import asked_outside
from twin.report.brief_charts import loss_by_cause, shipped_and_due, timeline_of
from twin.report.brief_tables import by_customer, by_group, by_seed, influence_table, option_table, trouble_table
from twin.report.brief_words import back_at, interval_text, mean_text, moment, no_loss_text, not_back, sentence, span
from twin.report.logic import decided_by, is_reference, who_decided
from twin.report.page import Key, environment
from twin.report.words import bare, count, money, plural

__all__ = ["STAMP", "write_brief"]

STAMP: Final = "MODEL"
LOGIC: Final = "reference order logic of ordertwin, not yours"
AGREEMENT: Final = "agreement with a live system: not measured"
ORIGIN: Final = (
    "This is a model. The orders, the sites and the trouble come from a scenario, and the decisions were taken by "
    "{logic}; no run of it has been held against a "
    "live business. With and without the trouble, the same customers order the same goods: what differs is what the "
    "trouble did. Counts, the chart and the customers are those of the first seed; money is the mean over all seeds, "
    "with 95 % intervals over them (Student's t)."
)


def write_brief(brief: Brief, path: Path | str, command: str, vary: str = "") -> Path:
    """Write the page to `path`, whole or not at all, and return it; it needs nothing but itself.

    `command` is what makes it again, `vary` says by how much the inputs were varied.
    """
    path = Path(path)
    page = environment().get_template("brief.html.j2").render(_context(brief, command, vary))
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(path)
    return path


def _context(brief: Brief, command: str, vary: str) -> dict[str, Any]:
    pair, scenario = brief.pair, brief.scenario
    manifest, currency = pair.hurt.manifest, scenario.currency
    timeline = timeline_of(pair, back_at(brief))
    asked = asked_outside(pair.hurt.measures)
    return {
        "title": manifest.title,
        "sentence": sentence(brief),
        "stamp": STAMP,
        "logic": LOGIC if is_reference(scenario) else who_decided(scenario, asked),
        "agreement": AGREEMENT,
        "manifest": manifest,
        "seeds": len(brief.harms),
        "keys": _keys(brief),
        "timeline": shipped_and_due(timeline),
        "channels": by_group("By channel", "Channel", pair.channels, currency),
        "classes": by_group("By class", "Class", pair.classes, currency),
        "customers": by_customer(pair.customers, currency),
        "last_harmed": "" if pair.last_harmed_at is None else moment(pair.last_harmed_at),
        "loss": loss_by_cause(brief.waterfall, currency),
        "no_loss": no_loss_text(brief),
        "options": option_table(brief.answers, currency, len(brief.harms)),
        "influences": influence_table(brief, currency, vary),
        "troubles": trouble_table(brief),
        "by_seed": by_seed(brief),
        "origin": ORIGIN.format(logic=decided_by(scenario, asked)),
        "facts": _facts(brief),
        "command": command,
    }


def _keys(brief: Brief) -> list[Key]:
    harm, currency = brief.pair.harm, brief.scenario.currency
    keys = []
    if harm.touched is not None:
        over = [Fraction(one.touched or 0) for one in brief.harms]
        keys.append(_orders("orders touched", harm.touched, harm.touched_minor, over, currency))
    over = [Fraction(one.pair["harmed_orders"] or 0) for one in brief.harms]
    value = Fraction(harm.pair["harmed_value"] or 0)
    keys.append(_orders("orders harmed", int(harm.pair["harmed_orders"] or 0), value, over, currency))
    loss = brief.loss
    detail = "one seed, no interval" if loss is None else f"{interval_text(loss, currency)}, {len(brief.harms)} seeds"
    keys.append(Key(f"cost, {currency}", bare(brief.waterfall.lost_minor, currency), detail))
    if not harm.watched:
        keys.append(Key("detected", "–", "nobody watches"))
    elif harm.detected_ms is None:
        keys.append(Key("detected", "no", "no alert on it"))
    else:
        missed = f"{count(harm.missed)} not noticed" if harm.missed else "first alert"
        keys.append(Key("detected after", span(Fraction(harm.detected_ms)), missed))
    back = back_at(brief)
    ends = [one.ended_at for one in brief.pair.troubles if one.ended_at >= 0]
    if back is None:
        keys.append(Key("messages back to normal", *not_back(brief)))
    else:
        after = f"{span(max(0, back - max(ends, default=back)))} after its end"
        keys.append(Key("messages back to normal", moment(back)[-5:], f"{moment(back)[:-6]}, {after}"))
    keys.append(Key("lost, doubled", f"{count(harm.lost)}, {count(harm.doubled)}", "messages"))
    return keys


def _orders(label: str, number: int, value_minor: Fraction | int, over: list[Fraction], currency: str) -> Key:
    detail = f"worth {money(value_minor, currency, whole=True)}"
    return Key(label, count(number), f"{detail}; mean {mean_text(over, 0)}" if len(over) > 1 else detail)


def _facts(brief: Brief) -> list[tuple[str, str]]:
    pair = brief.pair
    manifest = pair.hurt.manifest
    seeds = [harm.seed for harm in brief.harms]
    told = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} (shown in full) to {seeds[-1]}"
    return [
        ("seed", told),
        ("scenario digest", manifest.scenario_digest),
        ("digest with the trouble", pair.hurt.digest),
        ("digest without it", pair.calm.digest),
        ("truth digest", manifest.truth_digest or "none"),
        ("log", f"{plural(manifest.entries, 'entry', 'entries')} with the trouble"),
        ("confidence", f"{CONFIDENCE_PPM / 10_000:g} %"),
        ("versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
    ]
