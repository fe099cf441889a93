"""The base businesses and the scenario library over them: what-ifs that hold, and fail without a control they need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from scenarios.base.estimate import DATA, Estimate, olist, online_retail
from tests.world.befalling import befalling, expected_to_befall
from twin.experiment import check
from twin.scenario import Scenario, load
from twin.scenario.expect import Invariants, Settled

ROOT = Path(__file__).resolve().parents[2] / "scenarios"
BASES = ["regional_b2b", "national_wholesale", "marketplace_dropship"]
LIBRARY = sorted(path.stem for path in (ROOT / "library").glob("*.yaml"))
SAMPLE = ["erp_rate_limited", "invoices_in_late_files", "black_friday"]
"""One for each base; `make deep` and `twin check scenarios/library` hold all of them."""


def library(name: str) -> Scenario:
    return load(ROOT / "library" / f"{name}.yaml")


def failed(path: Path) -> list[tuple[str, str]]:
    return [(one.expectation, one.found) for one in check([path]) if not one.holds]


def written(scenario: Scenario, folder: Path) -> Path:
    path = folder / "changed.yaml"
    path.write_text(scenario.to_yaml(folder), encoding="utf-8")
    return path


def forgetful(name: str) -> dict[str, Any]:
    """Counterparts that do again what they are told again."""
    return {"interfaces": [{"id": each.id, "dedupe": "off"} for each in library(name).interfaces]}


def default(**change: Any) -> dict[str, Any]:
    return {"policies": {"delivery": {"default": change}}}


WITHOUT: list[tuple[str, str, str, dict[str, Any]]] = [
    ("lost_replies", "idempotency", "invariants", forgetful("lost_replies")),
    ("duplicate_messages", "idempotency, with copies", "invariants", forgetful("duplicate_messages")),
    ("redrive_storm", "idempotency, in a storm", "invariants", forgetful("redrive_storm")),
    ("silent_partners", "supervision", "settled", default(supervise=None)),
    ("edi_schema_drift", "a buyer who sends dead letters again", "dead_letters", {"interventions": []}),
    ("bad_addresses", "a clerk who sends dead letters again", "dead_letters", {"interventions": []}),
    ("harbour_closed", "the shift of volume", "otif_to_request", {"interventions": []}),
    ("erp_rate_limited", "the order of messages", "leapfrogs", default(queue={"in_order": False})),
    ("portal_down_on_the_peak", "a deadline longer than the peak", "dead_letters", default(deadline="2h")),
    ("wms_frozen_on_the_peak", "a deadline longer than the freeze", "dead_letters", default(deadline="2h")),
    ("wms_overrun_after_a_freeze", "a breaker", "otif_to_request", default(breaker="none", drain=None)),
    ("seller_portal_down", "a deadline longer than the outage", "dead_letters", default(deadline="6h")),
    (
        "wrong_packs",
        "a sync of all records",
        "master_data_mismatches/at_end",
        {"master_data": {"sync": {"sends": "changes"}}},
    ),
]
"""A what-if, the control that it needs, what fails without it, and the change that takes it away."""


@pytest.mark.parametrize("name", BASES)
def test_a_base_business_holds_over_a_short_horizon(name: str, tmp_path: Path) -> None:
    # GV-06
    base = load(ROOT / "base" / f"{name}.yaml")
    short = base.with_changes({"run": {"horizon": "3d"}, "expect": [{"kind": "invariants"}, {"kind": "settled"}]})
    assert not failed(written(short, tmp_path))


@pytest.mark.deep
@pytest.mark.parametrize("name", BASES)
def test_a_base_business_holds_for_thirty_days(name: str) -> None:
    # GV-06
    assert not failed(ROOT / "base" / f"{name}.yaml")


@pytest.mark.parametrize("name", BASES)
def test_every_interface_of_a_base_business_has_an_owner_a_class_and_a_promise(name: str) -> None:
    base = load(ROOT / "base" / f"{name}.yaml")
    assert all(each.owner and each.criticality and each.slo is not None for each in base.interfaces)


def standing(tree: Any, where: str) -> str:
    """The value at a dotted path, as it stands; lists are looked up by `id`, lanes by `from/to`."""
    for key in where.split("."):
        if isinstance(tree, list):
            tree = next(one for one in tree if key in (one.get("id"), f"{one.get('from')}/{one.get('to')}"))
        else:
            tree = tree[key]
    return text(tree)


def text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(text(one) for one in value)}]"
    return str(value)


def differing(name: str, estimates: list[Estimate]) -> list[str]:
    """Where the business says something else than the data does."""
    tree = YAML(typ="rt").load((ROOT / "base" / f"{name}.yaml").read_text(encoding="utf-8"))
    return [one.where for one in estimates if standing(tree, one.where) != one.value]


@pytest.mark.parametrize(
    ("name", "source", "estimates"),
    [("national_wholesale", "online_retail", online_retail), ("marketplace_dropship", "olist", olist)],
    ids=["online_retail", "olist"],
)
def test_what_a_base_business_takes_from_data_is_what_the_data_says(name: str, source: str, estimates: Any) -> None:
    # GV-06
    if not (DATA / source).is_dir():
        pytest.skip(f"the {source} sample is not beside the project (shared/data/{source})")
    found = list(estimates())
    assert len(found) > 20
    assert differing(name, found) == []
    # A value that is off by one is told.
    off = found[0]._replace(value="1/week")
    assert differing(name, [off]) == [off.where]


def test_the_library_asks_many_things_of_all_three_businesses() -> None:
    # GV-06
    assert len(LIBRARY) >= 20
    for name in LIBRARY:
        first = (ROOT / "library" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("# ") and first.endswith("?"), name
        assert {Invariants, Settled} <= {type(one) for one in library(name).expect}, name
        assert len(library(name).expect) > 2, name
        assert set(befalling(library(name))) <= expected_to_befall(library(name)), name
    titles = {library(name).title.partition(":")[0] for name in LIBRARY}
    assert titles == {"Regional", "National", "Marketplace"}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_what_if_holds(name: str) -> None:
    # RC-18
    assert not failed(ROOT / "library" / f"{name}.yaml")


@pytest.mark.deep
@pytest.mark.parametrize("name", LIBRARY)
def test_every_what_if_holds(name: str) -> None:
    # RC-18
    assert not failed(ROOT / "library" / f"{name}.yaml")


@pytest.mark.parametrize(
    ("name", "control", "fails", "change"),
    [
        pytest.param(*row, id=row[1], marks=[pytest.mark.deep] if number % 4 else [])
        for number, row in enumerate(WITHOUT)
    ],
)
def test_a_what_if_fails_without_the_control_that_it_needs(
    name: str, control: str, fails: str, change: dict[str, Any], tmp_path: Path
) -> None:
    # RC-01, RC-03, RC-06, GV-03
    verdicts = {one.expectation: one.holds for one in check([written(library(name).with_changes(change), tmp_path)])}
    assert verdicts[fails] is False, f"{name} holds without {control}"
