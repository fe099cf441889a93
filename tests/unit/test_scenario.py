"""Loading, extending, changing and writing scenarios; their digest; the shipped files."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from twin.core.sourcing import RULES
from twin.scenario import Scenario, ScenarioError, load, units
from twin.scenario.business import Warehouse
from twin.scenario.merging import merge_plain
from twin.scenario.policies import MinMax, SourcingRule
from twin.scenario.reference_page import reference_page
from twin.scenario.units import Charge, Money, Rate, Share
from twin.streams.distributions import Empirical, Exponential, Fixed, LogNormal, Normal, Poisson, Uniform, Weibull

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = ROOT / "scenarios" / "minimal.yaml"
SHIPPED = sorted(
    path for path in (ROOT / "scenarios").glob("**/*.yaml") if path.parent.name not in ("experiments", "options")
)


def minimal(**changes: Any) -> Scenario:
    return load(MINIMAL, changes)


# --- values reach the model


def test_values_arrive_as_exact_integers_and_stream_distributions() -> None:
    scenario = minimal(
        warehouses=[
            {
                "id": "main",
                "shrink": "0.01%/d",
                "cut_off": "16:00",
                "dock_to_stock": {"kind": "weibull", "scale": "2h", "shape": "1.5"},
                "latency": {"kind": "lognormal", "median": "200ms", "sigma": "0.5"},
            }
        ],
        costs={"holding": "0.225 GBP/unit/year", "penalty": {"per_unit_period": "0.70 GBP/unit/day"}},
    )
    warehouse = scenario.warehouses[0]
    assert warehouse.pickers == 1  # merged by id with the file's
    assert warehouse.pick_time.order == 300_000
    assert warehouse.cut_off == 57_600_000
    assert warehouse.shrink == Share(ppm=100, per_ms=86_400_000)
    assert warehouse.dock_to_stock == Weibull(scale=7_200_000, shape_milli=1_500)
    assert warehouse.latency == LogNormal(median=200, sigma_milli=500)
    assert scenario.items[0].price == Money(450, "GBP")
    assert scenario.costs.holding == Charge(22_500_000, "GBP", 365 * 86_400_000)
    assert scenario.run.end == scenario.run.start + 2 * 86_400_000
    demand = scenario.channels[0].demand
    assert demand.kind == "poisson"
    assert demand.rate == Rate(1, 1_800_000)


@pytest.mark.parametrize(
    ("written", "distribution"),
    [
        (3, Fixed(3)),
        ({"kind": "uniform", "low": 1, "high": 5}, Uniform(1, 5)),
        ({"kind": "poisson", "mean": "2.5"}, Poisson(mean_milli=2_500)),
        ({"kind": "normal", "mean": 50, "sd": 8}, Normal(50, 8)),
        ([["0%", 1], ["50%", 4], ["100%", 9]], Empirical(((0, 1), (500_000, 4), (1_000_000, 9)))),
        ({"kind": "empirical", "table": [["0%", 1], ["100%", 9]]}, Empirical(((0, 1), (1_000_000, 9)))),
    ],
)
def test_quantities_may_be_any_count_distribution(written: object, distribution: object) -> None:
    demand = minimal(channels=[{"id": "web", "demand": {"quantity": written}}]).channels[0].demand
    assert demand.kind == "poisson"
    assert demand.quantity == distribution


def test_a_lane_promises_the_ninetieth_percentile_unless_told() -> None:
    lane = {"from": "main", "to": "home", "carrier": "van"}
    assert minimal(lanes=[lane | {"transit": "4h"}]).lanes[0].promise_ms == 4 * 3_600_000
    spread = minimal(lanes=[lane | {"transit": {"kind": "uniform", "low": "0s", "high": "10h"}}])
    assert spread.lanes[0].promise_ms == 9 * 3_600_000
    rough = minimal(lanes=[lane | {"transit": {"kind": "uniform", "low": "0s", "high": "1ms"}}])
    assert rough.lanes[0].promise_ms == 1
    told = minimal(lanes=[lane | {"transit": {"kind": "exponential", "mean": "10h"}, "promise": "2d"}])
    assert told.lanes[0].transit == Exponential(36_000_000)
    assert told.lanes[0].promise_ms == 172_800_000


def test_a_partner_takes_from_the_default_what_it_does_not_say() -> None:
    delivery = {"default": {"timeout": "20s", "retries": {"max": 2}}, "erp": {"retries": {"backoff": "1s"}}}
    policies = minimal(policies={"delivery": delivery}).policies.delivery
    erp = policies.of("erp")
    assert (erp.timeout, erp.retries.max, erp.retries.backoff, erp.retries.jitter) == (20_000, 2, 1_000, "full")
    assert policies.of("supplier") == policies.default


def test_none_lifts_a_limit_that_the_default_has_and_is_written_as_such() -> None:
    limits = {"bulkhead": 5, "rate": "2/s", "pool": "few", "breaker": {"calls": 10}, "drain": "1/s"}
    default = limits | {"retries": {"budget": "10%", "jitter": "none"}}
    lifted = dict.fromkeys(limits, "none") | {"retries": {"budget": "none", "jitter": "none"}}
    delivery = {"pools": {"few": 3}, "default": default, "erp": lifted, "supplier": {"drain": "none"}}
    scenario = minimal(policies={"delivery": delivery})
    for read in (scenario, scenario.with_changes({}), Scenario.model_validate(scenario.plain())):
        policies = read.policies.delivery
        erp = policies.of("erp")
        assert [erp.bulkhead, erp.rate, erp.pool, erp.breaker, erp.drain, erp.retries.budget] == [None] * 6
        assert erp.retries.jitter == "none"
        assert policies.of("warehouse") == policies.default
        assert policies.of("supplier").drain is None and policies.of("supplier").breaker is not None


def test_what_belongs_to_a_limit_is_lifted_with_it() -> None:
    default = {
        "rate": "2/s",
        "burst": 5,
        "breaker": {"calls": 10},
        "drain": "1/s",
        "queue": {"discipline": "fifo"},
        "retries": {"budget": "10%", "reserve": 3},
    }
    lifted = {"rate": "none", "breaker": "none", "retries": {"budget": "none"}}
    policies = minimal(policies={"delivery": {"default": default, "erp": lifted}}).policies.delivery
    erp = policies.of("erp")
    assert (erp.rate, erp.burst, erp.breaker, erp.drain, erp.queue.discipline) == (None,) * 5
    assert (erp.retries.budget, erp.retries.reserve) == (None, None)
    assert policies.of("warehouse") == policies.default
    for orphan, said in (
        ({"rate": "none", "burst": 2}, "a burst belongs to a rate"),
        ({"retries": {"budget": "none", "reserve": 2}}, "a reserve belongs to a retry budget"),
    ):
        with pytest.raises(ScenarioError, match=said):
            minimal(policies={"delivery": {"default": default, "erp": orphan}})


def test_a_lone_service_level_holds_for_all_classes() -> None:
    assortment = {"kind": "derived", "count": 10, "price": [["0%", "1 GBP"], ["100%", "5 GBP"]], "service": "97%"}
    changes = {
        "suppliers": [{"id": "maker", "lead_time": "2d"}],
        "assortment": assortment | {"suppliers": {"maker": 1}},
    }
    scenario = minimal(**changes, items=None, stock=None, warehouses=THREE, lanes=None)
    assert scenario.assortment is not None
    assert scenario.assortment.service == {"A": 970_000, "B": 970_000, "C": 970_000}
    with pytest.raises(ScenarioError, match="A: 3 warehouses are asked for; the scenario has 1"):
        minimal(**changes)


THREE = [{"id": "main"}, {"id": "second"}, {"id": "third"}]


def test_a_stream_distribution_may_be_given_in_python_if_a_file_could_say_it() -> None:
    assert minimal(erp={"posting": Normal(5_000, 100)}).erp.posting == Normal(5_000, 100)
    with pytest.raises(ScenarioError, match="cannot be written in a scenario file"):
        minimal(erp={"posting": Fixed(1_000, per=300)})


def test_the_parts_of_an_exponential_time_survive_being_written() -> None:
    fast = Exponential(1_000, per=300)
    scenario = minimal(erp={"posting": fast})
    assert scenario.erp.posting == fast
    assert scenario.plain()["erp"]["posting"] == {"kind": "exponential", "mean": "1s", "per": 300}
    assert Scenario.model_validate(scenario.plain()).erp.posting == fast
    assert scenario.with_changes({"title": "Another"}).erp.posting == fast
    one = minimal(erp={"posting": Exponential(1_000)})
    assert one.plain()["erp"]["posting"] == {"kind": "exponential", "mean": "1s"}


def test_parts_built_in_python_are_checked_with_the_whole() -> None:
    plain = minimal().plain()
    good = Warehouse.model_validate({"id": "main", "pick_time": {"order": "5m"}})
    assert Scenario.model_validate(plain | {"warehouses": [good]}).warehouses == (good,)
    strange = Warehouse.model_validate({"id": "main", "calendar": "nights"})
    with pytest.raises(ScenarioError, match=r"^warehouses\[0\]\.calendar: unknown calendar 'nights'"):
        Scenario.model_validate(plain | {"warehouses": [strange]})


# --- extends


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("base").mkdir()
    Path("base/all.yaml").write_text(MINIMAL.read_text())
    return tmp_path


def test_extends_merges_maps_and_lists_by_id_replaces_the_rest_and_removes_by_null(files: Path) -> None:
    Path("middle.yaml").write_text(
        "extends: base/all.yaml\n"
        "run: {drain: 1d, seed: 9}\n"
        "regions: [home, away]\n"
        "warehouses:\n  - {id: main, pickers: null}\n  - {id: second}\n"
    )
    Path("top.yaml").write_text(
        "extends: middle.yaml\n"
        "title: On top\n"
        "warehouses:\n  - {id: second, pickers: 4}\n"
        "channels:\n  - {id: web, demand: {kind: periodic, every: 1d, quantity: 2, item: mug, region: away}}\n"
        "expect: null\n"
    )
    scenario = load("top.yaml")
    assert scenario.title == "On top"
    assert (scenario.run.drain, scenario.run.seed, scenario.run.horizon) == (86_400_000, 9, 172_800_000)
    assert scenario.regions == ("home", "away")
    assert [(warehouse.id, warehouse.pickers) for warehouse in scenario.warehouses] == [("main", None), ("second", 4)]
    assert scenario.warehouses[0].pick_time.order == 300_000
    # A map whose kind changes is replaced: nothing of the Poisson demand is left over to be refused.
    assert scenario.channels[0].demand.kind == "periodic"
    assert scenario.expect == ()
    assert [str(path) for path in scenario.sources] == ["base/all.yaml", "middle.yaml", "top.yaml"]


def test_a_book_is_found_from_the_file_that_names_it(files: Path) -> None:
    Path("base/book.yaml").write_text("extends: all.yaml\norder_book: {source: csv, path: ../data/book.csv.gz}\n")
    Path("top.yaml").write_text("extends: base/book.yaml\nchannels: [{id: web, demand: {kind: book}}]\n")
    scenario = load("top.yaml")
    assert scenario.order_book is not None
    assert scenario.order_book.path == "../data/book.csv.gz"
    assert scenario.order_book.file == Path("base/../data/book.csv.gz")
    again = scenario.with_changes({"run": {"seed": 5}})
    assert again.order_book is not None
    assert again.order_book.file == scenario.order_book.file
    # The text for a run's folder leads to the same file, and does not change the digest.
    Path("runs").mkdir()
    Path("runs/scenario.yaml").write_text(scenario.to_yaml(Path("runs")))
    moved = load("runs/scenario.yaml")
    assert moved.order_book is not None
    assert moved.order_book.file.resolve() == scenario.order_book.file.resolve()
    assert moved.digest == scenario.digest


def test_overrides_and_changes_merge_like_an_extending_file() -> None:
    changes = {"run": {"seed": 7}, "warehouses": [{"id": "main", "pickers": 3}]}
    loaded, changed = load(MINIMAL, changes), load(MINIMAL).with_changes(changes)
    assert loaded.run.seed == changed.run.seed == 7
    assert loaded.warehouses[0].pickers == 3
    assert loaded.digest == changed.digest
    with pytest.raises(ScenarioError, match=r"^run\.horizon: 3 has no unit"):
        changed.with_changes({"run": {"horizon": 3}})


SHAPE = st.fixed_dictionaries(
    {},
    optional={
        "title": st.text(max_size=3),
        "run": st.fixed_dictionaries({}, optional={"seed": st.integers(0, 9), "drain": st.sampled_from(["1d", "2d"])}),
        "regions": st.lists(st.sampled_from("abc"), min_size=1, max_size=2),
        "warehouses": st.lists(
            st.fixed_dictionaries({"id": st.sampled_from("xyz")}, optional={"pickers": st.integers(1, 9)}),
            min_size=1,
            max_size=3,
            unique_by=lambda warehouse: warehouse["id"],
        ),
    },
)


@given(SHAPE, SHAPE, SHAPE)
def test_merging_is_associative_where_nothing_is_removed(a: Any, b: Any, c: Any) -> None:
    assert merge_plain(merge_plain(a, b), c) == merge_plain(a, merge_plain(b, c))


@given(SHAPE, SHAPE)
def test_merging_takes_what_is_over_and_keeps_what_is_not(a: Any, b: Any) -> None:
    merged = merge_plain(a, b)
    assert merge_plain(merged, b) == merged
    assert merge_plain({}, b) == b
    assert merge_plain(a, {}) == a
    assert sorted(merged) == sorted({*a, *b})
    for key in ("title", "regions"):
        if key in merged:
            assert merged[key] == b.get(key, a.get(key))


# --- digest and text


def test_the_digest_ignores_title_comments_key_order_file_names_and_ways_of_writing(files: Path) -> None:
    Path("other.yaml").write_text(
        "# another comment\n"
        + MINIMAL.read_text()
        .replace("title: The least that runs", "title: Another")
        .replace(
            "{start: 2025-11-17T00:00Z, horizon: 2d, seed: 1}", "{seed: 1, horizon: 48h, start: 2025-11-17T00:00Z}"
        )
        .replace("rate: 2/h", "rate: 48/d")
    )
    Path("split.yaml").write_text("extends: base/all.yaml\n")
    digest = load(MINIMAL).digest
    assert len(digest) == 32
    assert load("other.yaml").digest == digest
    assert load("split.yaml").digest == digest


@pytest.mark.parametrize(
    "changes",
    [
        {"run": {"seed": 2}},
        {"description": "another"},
        {"regions": ["home", "away"]},
        {"stock": [{"warehouse": "main", "item": "mug", "on_hand": 201}]},
        {"expect": None},
    ],
)
def test_the_digest_tells_any_other_change(changes: dict[str, object]) -> None:
    assert load(MINIMAL, changes).digest != load(MINIMAL).digest


def test_the_digest_is_the_same_under_any_hash_seed() -> None:
    program = "import sys; from twin.scenario import load; print(load(sys.argv[1]).digest)"
    digests = [
        subprocess.run(
            [sys.executable, "-c", program, str(SHIPPED[0])],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert digests[0] == digests[1] == load(SHIPPED[0]).digest + "\n"


def test_the_order_of_weights_in_a_file_reaches_nothing() -> None:
    demands = [
        minimal(
            regions=["home", "away"],
            channels=[{"id": "web", "demand": {"kind": "poisson", "regions": regions}}],
        )
        .channels[0]
        .demand
        for regions in ({"away": 1, "home": 2}, {"home": 2, "away": 1})
    ]
    assert all(demand.kind == "poisson" and list(demand.regions) == ["away", "home"] for demand in demands)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_scenario_written_out_reads_as_the_same(path: Path, tmp_path: Path) -> None:
    scenario = load(path)
    copy = tmp_path / "copy.yaml"
    copy.write_text(scenario.to_yaml(tmp_path), encoding="utf-8")
    assert load(copy).digest == scenario.digest
    # Digests alone would not tell: what is lost in writing is lost in both.
    for again in (load(copy), Scenario.model_validate(scenario.plain())):
        assert (again.interfaces, again.suppliers, again.erp) == (scenario.interfaces, scenario.suppliers, scenario.erp)
    assert Scenario.model_validate(scenario.plain()).digest == scenario.digest
    carried = pickle.loads(pickle.dumps(scenario))
    assert carried.digest == scenario.digest
    assert carried.sources == scenario.sources


# --- the schema itself


def models() -> Iterator[type[BaseModel]]:
    pending: list[Any] = [Scenario]
    seen: list[Any] = []
    while pending:
        here = pending.pop()
        if isinstance(here, type) and issubclass(here, BaseModel):
            if here not in seen:
                seen.append(here)
                yield here
                pending += [field.annotation for field in here.model_fields.values()]
        else:
            pending += [part for part in get_args(here) if not isinstance(part, str)]


def test_null_means_the_same_as_leaving_the_key_out() -> None:
    nullable = 0
    for model in models():
        for name, field in model.model_fields.items():
            if type(None) in get_args(field.annotation):
                nullable += 1
                assert field.default is None, f"{model.__name__}.{name}"
    assert nullable > 20


def test_every_key_is_described() -> None:
    for model in models():
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


def test_the_known_sourcing_rules_are_those_of_the_engine() -> None:
    assert sorted(get_args(SourcingRule)) == sorted(RULES)


def test_a_replenishment_level_may_be_negative() -> None:
    rule = {"warehouse": "main", "item": "*", "kind": "min_max", "s": -5, "S": 0}
    found = minimal(policies={"replenishment": [rule]}).policies.replenishment[0]
    assert isinstance(found, MinMax)
    assert (found.s, found.S, found.review.continuous) == (-5, 0, True)


def test_the_reference_page_is_the_one_the_models_make() -> None:
    page = (ROOT / "docs" / "scenario.md").read_text(encoding="utf-8")
    assert page == reference_page(), "run: python -m twin.scenario > docs/scenario.md"


def test_the_uk_distributor_has_what_the_base_scenario_promises() -> None:
    text = (ROOT / "scenarios" / "base" / "uk_distributor.yaml").read_text(encoding="utf-8")
    scenario = load(ROOT / "scenarios" / "base" / "uk_distributor.yaml")
    assert len(scenario.warehouses) == len(scenario.carriers) == len(scenario.channels) == 3
    assert len(scenario.suppliers) == 5
    assert text.count("# assumed") > 40
    reached = {(lane.to, lane.from_) for lane in scenario.lanes}
    assert all(any(region == to for to, _ in reached) for region in scenario.regions)


def test_an_interrupt_while_a_scenario_is_written_stays_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(share: Share) -> str:
        raise KeyboardInterrupt

    scenario = minimal()
    monkeypatch.setattr(units, "format_share", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scenario.plain()
