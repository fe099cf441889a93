"""Time to survive against time to recover, where both can be told by hand; and the command that ranks."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, tiny
from twin.cli.exposing import question_of
from twin.experiment.exposure import BudgetTooSmall, Fix, NothingToLose, Question, _losses, dependencies, exposures
from twin.experiment.observing import Observation
from twin.report.risk_map import worst_losses
from twin.scenario import Scenario

ROOT = Path(__file__).resolve().parents[2]
HOURLY = {"kind": "periodic", "every": "1h", "quantity": 1, "item": "mug", "region": "home"}
PROMPT: dict[str, Any] = {
    "run": {"horizon": "10d", "drain": "8d"},
    "channels": [{"id": "web", "requested": "24h", "demand": HOURLY}],
    "stock": [{"warehouse": "main", "item": "mug", "on_hand": 900}],
    "interfaces": [{"id": "books", "to": "erp"}],
    "policies": {"delivery": {"erp": {"timeout": "10s", "deadline": "9d"}}},
}
"""An order an hour, wanted within a day; packing takes no time and the van four hours, so 20 hours are to spare."""


def business(**changes: Any) -> Scenario:
    return tiny({**PROMPT, **changes})


def asked(**changes: Any) -> Question:
    settings: dict[str, Any] = {
        "starts": (2 * DAY, 3 * DAY),
        "longest_ms": 64 * HOUR,
        "seeds": (1, 2),
        "tolerance": Fraction(0),
        "recover": (("warehouse/*", 30 * HOUR), ("interface/*", 8 * HOUR)),
    }
    return Question(**{**settings, **changes})


def test_the_time_to_survive_is_what_is_to_spare() -> None:  # EX-03
    found = {one.dependency: one for one in exposures(business(), asked())}
    assert list(found) == ["warehouse/main", "carrier/van", "lane/main-home", "interface/books"]
    for name in ("warehouse/main", "carrier/van", "lane/main-home"):
        one = found[name]
        assert one.within_ms == HOUR
        assert one.worst_ms <= 20 * HOUR <= one.worst_ms + 2 * one.within_ms
        assert not one.survives and not one.wavers
    # Invoices may wait: no customer is served later for it.
    assert found["interface/books"].survives
    assert found["interface/books"].worst_ms == 64 * HOUR


def test_exposed_is_who_survives_for_less_than_it_takes_to_recover() -> None:  # EX-03
    first, *others = exposures(business(), asked())
    assert (first.dependency, first.exposed) == ("warehouse/main", True)
    assert first.impact is not None
    # Closed for 30 hours, the orders of the first ten are late, of 240 in all.
    assert abs(first.impact.measure.mean - Fraction(10, 240)) <= Fraction(1, 240)
    assert not any(one.exposed for one in others)
    assert [one.recover_ms for one in others if one.dependency == "carrier/van"] == [None]


def test_who_is_back_only_after_the_longest_outage_is_looked_at_there() -> None:  # EX-03
    # Twelve hours do no harm; what thirty do is seen in outages of thirty, or else not known.
    found = exposures(business(), asked(longest_ms=12 * HOUR))
    assert (found[0].dependency, found[0].survives, found[0].exposed) == ("warehouse/main", True, True)
    unseen = {one.dependency: one for one in exposures(business(), asked(longest_ms=12 * HOUR, runs=18))}
    assert (unseen["warehouse/main"].survives, unseen["warehouse/main"].exposed) == (True, None)


def test_an_outage_that_leaves_nothing_of_the_measure_loses_all_of_it() -> None:  # EX-03
    before = {seed: Observation(0, seed, {"m": Fraction(9, 10)}) for seed in (1, 2)}
    stopped = {1: Observation(0, 1, {"m": Fraction(8, 10)}), 2: Observation(0, 2, {}, failure="CorruptLog: a hole")}
    assert list(_losses("m", before, stopped)) == [Fraction(1, 10), Fraction(9, 10)]


def test_a_business_that_has_nothing_to_lose_is_told() -> None:  # EX-03
    nobody = business(channels=[{"id": "web", "demand": {"kind": "none"}}])
    with pytest.raises(NothingToLose, match="otif_to_request has no value in 'A tiny business' even without an outage"):
        exposures(nobody, asked())


def test_the_cheapest_fix_that_helps_is_named() -> None:  # EX-03
    fixes = (
        Fix("patience", {"channels": [{"id": "web", "requested": "3d"}]}, 900),
        Fix("paint", {"title": "Painted"}, 5),
        Fix("more patience", {"channels": [{"id": "web", "requested": "9d"}]}, 1_000),
    )
    first = exposures(business(), asked(fixes=fixes))[0]
    assert (first.fix, first.fix_cost_minor) == ("patience", 900)


def test_a_budget_is_kept_and_one_that_is_too_small_is_refused() -> None:
    with pytest.raises(BudgetTooSmall, match="7 is too few: the first look at each dependency takes 18"):
        exposures(business(), asked(runs=7))
    wide = next(one for one in exposures(business(), asked(runs=18)) if one.dependency == "warehouse/main")
    # Only the first look was affordable: all that is known is that the longest outage does harm.
    assert (wide.worst_ms, wide.within_ms, wide.exposed) == (0, 64 * HOUR, None)
    # As long as it takes to recover can be looked at itself.
    looked = next(one for one in exposures(business(), asked(runs=24)) if one.dependency == "warehouse/main")
    assert (looked.within_ms, looked.exposed) == (64 * HOUR, True)


def test_every_part_that_may_fail_is_a_dependency() -> None:
    scenario = business(
        suppliers=[{"id": "mill", "lead_time": "2d"}],
        interfaces=[{"id": "books", "to": "erp"}, {"id": "van.status", "to": "carrier/van"}],
    )
    assert dependencies(scenario) == [
        "warehouse/main",
        "supplier/mill",
        "carrier/van",
        "lane/main-home",
        "interface/books",
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "prompt.yaml"
    path.write_text(business().to_yaml(tmp_path))
    return path


def test_the_command_ranks_in_a_table_and_as_json(told: Callable[..., tuple[int, str, str]], file: Path) -> None:
    options = ["--recover", "warehouse/*=30h", "--start", "2d", "--longest", "64h", "--tolerance", "0%", "--seeds", 2]
    code, out, _ = told("exposure", file, "--quiet", *options)
    assert code == 0
    assert "YES" in out
    code, out, _ = told("exposure", file, "--quiet", "--json", *options)
    rows = json.loads(out)
    assert (rows[0]["dependency"], rows[0]["exposed"], rows[0]["recover_ms"]) == ("warehouse/main", True, 30 * HOUR)
    assert 18 * HOUR <= rows[0]["survives_worst_ms"] <= 20 * HOUR


def test_the_risk_map_has_what_each_length_loses_from_its_worst_start() -> None:  # EX-03
    found = {one.dependency: one for one in exposures(business(), asked())}
    lengths = [8 * HOUR, 16 * HOUR, 32 * HOUR, 64 * HOUR]
    losses = worst_losses(found["warehouse/main"], lengths)
    # 20 hours are to spare: of 32 and 64 hours the orders of the first 12 and 44 are late, of 240 in all.
    assert [loss and round(240 * loss[0]) for loss in losses] == [
        0,
        0,
        pytest.approx(12, abs=1),
        pytest.approx(44, abs=1),
    ]
    # The longest does no harm here, so no other was run.
    assert worst_losses(found["interface/books"], lengths) == [None, None, None, (0, 0)]


def test_the_command_draws_the_map(told: Callable[..., tuple[int, str, str]], file: Path, tmp_path: Path) -> None:
    options = ["--start", "2d", "--longest", "64h", "--seeds", 2]
    assert told("exposure", file, "--quiet", *options, "--map", tmp_path / "map.svg")[0] == 0
    drawn = (tmp_path / "map.svg").read_text()
    assert all(text in drawn for text in ("warehouse/main", "interface/books", "2d16h", "of on-time-in-full"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--map", "map.gif"], "a map is an .svg or a .png file"),
        (["--map", "nowhere/map.svg"], "there is no folder nowhere"),
        (["--recover", "warehouse/*"], "give DEPENDENCY=TIME"),
        (["--recover", "port/*=2d"], "there are warehouse/main"),
        (["--recover", "carrier/*=soon"], "--recover soon"),
        (["--start", "99d"], "demand is over by then"),
        (["--longest", "0s"], "an outage so short is none"),
        (["--tolerance", "much"], "--tolerance much"),
        (["--runs", "3"], "--runs 3 is too few"),
        (["--fixes", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    told: Callable[..., tuple[int, str, str]], file: Path, options: list[str], why: str
) -> None:
    code, out, err = told("exposure", file, "--quiet", *options)
    assert (code, out) == (2, "")
    assert why in err


def test_a_fix_may_take_something_away(file: Path, tmp_path: Path) -> None:
    fixes = tmp_path / "fixes.yaml"
    fixes.write_text("careless:\n  change: {policies: null, interfaces: [{id: books, owner: null}]}\n")
    (fix,) = question_of(business(), ["2d"], "64h", 2, "0%", [], fixes, 9).fixes
    assert fix.change["policies"] is None
    assert "deadline: 9d" in business().to_yaml(tmp_path)
    assert "deadline: 9d" not in business().with_changes(fix.change).to_yaml(tmp_path)


@pytest.mark.parametrize("text", ["", "- a\n", "more: 3\n", "more: {change: {run: {horizon: 3d}}}\n", "\tx: [\n"])
def test_a_file_of_fixes_that_is_none_is_refused(
    told: Callable[..., tuple[int, str, str]], file: Path, tmp_path: Path, text: str
) -> None:
    fixes = tmp_path / "fixes.yaml"
    fixes.write_text(text)
    code, out, err = told("exposure", file, "--quiet", "--fixes", fixes)
    assert (code, out) == (2, "")
    assert "fixes.yaml" in err


def test_a_fix_that_is_wrong_is_told_before_anything_runs(
    told: Callable[..., tuple[int, str, str]], file: Path, tmp_path: Path
) -> None:
    fixes = tmp_path / "fixes.yaml"
    fixes.write_text("more: {cost: 3 USD, change: {}}\n")
    code, _, err = told("exposure", file, "--quiet", "--fixes", fixes)
    assert code == 2
    assert "cost: it is in USD, and the scenario counts in" in err
    fixes.write_text("more: {price: 3, change: {}}\n")
    code, _, err = told("exposure", file, "--quiet", "--fixes", fixes)
    assert code == 2
    assert "more: a fix has a change" in err
