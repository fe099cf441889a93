"""The figures of interfaces, computed from the log of a run with outages, beside the same in SQL."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.world.stage import HOUR, MINUTE, SECOND, Stage, tiny
from twin.cli import main
from twin.log import connect, read_entries
from twin.observability import InterfaceFigures, Slo, interface_figures
from twin.run import Run, Twin

DELIVERY = {
    "warehouse": {"timeout": "30s", "deadline": "20m", "retries": {"max": 2, "backoff": "20s", "jitter": "none"}},
    "erp": {"timeout": "5s", "deadline": "2h", "retries": {"max": 5, "backoff": "1m"}},
}
CHANGES: dict[str, Any] = {
    "run": {"horizon": "1d", "seed": 7},
    "channels": [{"id": "web", "demand": {"kind": "poisson", "rate": "60/h", "regions": {"home": 1}}}],
    "stock": [{"warehouse": "main", "item": "mug", "on_hand": 100_000}],
    "policies": {"delivery": DELIVERY},
    "interfaces": [
        {"id": "wms", "to": "warehouse/main", "workers": 1, "service": {"kind": "exponential", "mean": "10s"}},
        {"id": "ledger", "to": "erp", "workers": 2, "service": {"kind": "uniform", "low": "500ms", "high": "2500ms"}},
    ],
    "faults": [
        {"kind": "outage", "interface": "wms", "from": "3h", "for": "10m"},
        {"kind": "outage", "interface": "ledger", "from": "6h", "for": "20m", "calls": "turned_away"},
    ],
}
WMS, LEDGER = ("warehouse/main", "warehouse.release"), ("erp", "erp.invoice")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A day of 60 orders an hour, with one interface that holds calls for a while and one that turns them away."""
    return Twin(tiny(CHANGES)).run(out=tmp_path_factory.mktemp("figures") / "run")


@pytest.fixture(scope="module")
def figures(run: Run) -> InterfaceFigures:
    return interface_figures(read_entries(run.folder), run.manifest.end_ms)


def rows(run: Run, query: str) -> list[tuple[Any, ...]]:
    with connect(run.folder) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(("gateway", "capability"), [WMS, LEDGER])
def test_calls_and_errors_are_those_of_sql(
    run: Run, figures: InterfaceFigures, gateway: str, capability: str
) -> None:  # IM-02, OB-03
    row = figures.outbound[gateway, capability]
    [(calls, retries)] = rows(
        run, f"select count(*), count(*) filter (attempt > 1) from deliveries where gateway = '{gateway}'"
    )
    assert (row.calls, row.retries) == (calls, retries)
    assert retries > 0
    mine = f"select distinct key from deliveries where gateway = '{gateway}'"
    ended = f"""
        select c.type, coalesce(c.payload ->> 'outcome', ''), count(*)
        from events e join commands c using (position)
        where e.type in ('delivery.failed', 'delivery.dead_lettered') and e.payload ->> 'delivery' in ({mine})
        group by all
    """
    by_cause = {(kind, outcome): times for kind, outcome, times in rows(run, ended)}
    assert row.unknown == by_cause.get(("wake", ""), 0)
    assert row.failed == by_cause.get(("delivery.acknowledge", "failed"), 0)
    assert row.refused == by_cause.get(("delivery.acknowledge", "refused"), 0)
    of_them = f"and payload ->> 'delivery' in ({mine})"
    [(done,)] = rows(run, f"select count(*) from events where type = 'delivery.succeeded' {of_them}")
    assert row.succeeded + row.late == row.settled == done
    [(dead,)] = rows(run, f"select count(*) from events where type = 'delivery.dead_lettered' {of_them}")
    assert row.dead_lettered == dead
    assert row.open == row.operations - done - row.dead


def test_an_outage_that_holds_times_out_and_one_that_turns_away_fails(figures: InterfaceFigures) -> None:
    wms, ledger = figures.outbound[WMS], figures.outbound[LEDGER]
    assert wms.unknown > 0 == wms.failed
    assert ledger.failed > 0 == ledger.unknown
    assert wms.dead_lettered > 0 < ledger.dead_lettered


@pytest.mark.parametrize("percent", [50, 95, 99])
def test_latency_is_from_the_attempt_to_its_answer(run: Run, figures: InterfaceFigures, percent: int) -> None:
    # What is turned away fails at once, so a success always answers the last attempt before it.
    query = f"""
        select quantile_disc(took, {percent / 100}) from (
            select e."at" - max(d."at") as took
            from events e join deliveries d on e.payload ->> 'delivery' = d.key and d.position < e.position
            where e.type = 'delivery.succeeded' and d.gateway = 'erp' group by e.position, e."at"
        )
    """
    [(latency,)] = rows(run, query)
    assert figures.outbound[LEDGER].latency.percentile(percent) == latency


def test_slo_burn_counts_what_failed_and_what_was_slow(run: Run, figures: InterfaceFigures) -> None:
    row = figures.outbound[LEDGER]
    slo = Slo(1_500, 950_000)
    fast = sum(times for took, times in row.latency.counts.items() if took <= 1_500)
    misses = row.succeeded - fast + row.failed
    assert misses > row.failed
    assert row.slo_misses(slo) == misses
    assert row.slo_burn(slo) == Fraction(misses, row.succeeded + row.failed) / Fraction(5, 100)
    assert row.slo_burn(Slo(1_500, 1_000_000)) is None


def test_messages_in_have_a_lag_and_refusals(run: Run, figures: InterfaceFigures) -> None:  # OB-03
    row = figures.inbound["warehouse/main", "delivery.acknowledge"]
    [(came, refused, longest)] = rows(
        run,
        """select count(*), count(refusal), max("at" - (payload ->> 'time')::bigint) from commands
        where type = 'delivery.acknowledge' and payload ->> 'source' = 'warehouse/main'""",
    )
    assert (row.messages, sum(row.refused.values()), row.lag.percentile(100)) == (came, refused, longest)
    assert refused == figures.stale["warehouse/main"] > 0


def test_dead_letters_have_age_and_value() -> None:
    stage = Stage(
        tiny(
            {
                "policies": {"delivery": DELIVERY},
                "interfaces": CHANGES["interfaces"][:1],
                "faults": [{"kind": "outage", "interface": "wms", "from": "0s", "for": "30d"}],
            }
        )
    )
    stage.order("o1", {"mug": 3})
    stage.order("o2", {"mug": 2}, at=HOUR)
    stage.run(HOUR + 10 * SECOND)
    row = interface_figures(stage.log.entries, stage.world.now).outbound[WMS]
    # 30 s, 20 s of backoff, 30 s, 40 s, 30 s: given up after 150 s.
    assert (row.calls, row.unknown, row.dead, row.dead_value_minor) == (4, 3, 1, 3 * 450)
    assert stage.since_start(row.oldest_dead_at) == 150 * SECOND
    assert (row.open, stage.since_start(row.oldest_open_at)) == (1, HOUR)


def test_work_after_its_deadline_is_counted_as_waste() -> None:  # RC-02
    policy = {"warehouse": {"timeout": "1m", "deadline": "2m", "retries": {"max": 0}}}
    outage = {"kind": "outage", "interface": "wms", "from": "0s", "for": "3m"}
    stage = Stage(tiny({"policies": {"delivery": policy}, "interfaces": CHANGES["interfaces"][:1], "faults": [outage]}))
    stage.order("early")
    stage.order("late", at=2 * MINUTE + 50 * SECOND)
    stage.run(HOUR)
    row = interface_figures(stage.log.entries).outbound[WMS]
    assert (row.succeeded, row.late, row.past_deadline) == (1, 1, 1)


def test_the_duration_of_a_message_begins_when_it_is_asked_for_and_not_when_its_turn_to_be_sent_comes() -> None:
    # OB-03
    ledger = {"id": "ledger", "to": "erp", "workers": 1, "service": "10s"}
    policy = {"erp": {"bulkhead": 1, "timeout": "60s"}}
    stage = Stage(tiny({"interfaces": [ledger], "policies": {"delivery": policy}}))
    for number in range(20):
        stage.order(f"o{number}", at=HOUR)
    stage.run(2 * HOUR)
    row = interface_figures(stage.log.entries).outbound[LEDGER]
    (took,) = row.latency.counts
    assert sorted(row.duration.counts) == [took * turn for turn in range(1, 21)]


def test_the_command_prints_the_same_as_a_table_and_as_json(
    run: Run, figures: InterfaceFigures, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    assert main(["interfaces", str(run.folder), "--json", "--slo", "erp=1500ms@95%"]) == 0
    told = json.loads(capsys.readouterr().out)
    ledger = next(row for row in told["calls"] if row["gateway"] == "erp")
    row = figures.outbound[LEDGER]
    assert (ledger["calls"], ledger["failed"], ledger["late"]) == (row.calls, row.failed, row.late)
    assert Fraction(ledger["slo"]["burn"]) == row.slo_burn(Slo(1_500, 950_000))
    assert main(["interfaces", str(run.folder)]) == 0
    out = capsys.readouterr().out
    assert "warehouse.release" in out
    assert f"{row.calls:,}" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--slo", "erp=1s"], "give GATEWAY=LATENCY@SHARE"),
        (["--slo", "erp=1@99%"], "has no unit"),
        (["--gateway", "wms"], "there are"),
    ],
)
def test_a_wrong_option_is_told_with_its_remedy(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["interfaces", str(run.folder), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_figures_need_memory_for_what_is_open_only(run: Run) -> None:
    figures = InterfaceFigures()
    most = 0
    for entry in read_entries(Path(run.folder)):
        figures.fold(entry)
        most = max(most, len(figures._calls.open))
    assert most < figures.outbound[WMS].operations // 10


def test_the_objective_of_an_interface_is_what_its_error_budget_is_held_against(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # GV-05, OB-03
    slo = {"latency": "1ms", "share": "50%"}
    changes = {
        "run": {"horizon": "2d", "drain": "2d"},
        "channels": [{"id": "web", "demand": {"kind": "poisson", "rate": "24/d", "regions": {"home": 1}}}],
        "interfaces": [{"id": "books", "to": "erp", "owner": "finance", "slo": slo}],
    }
    run = Twin(tiny(changes)).run(1, tmp_path / "run")
    (promised,) = run.manifest.objectives
    assert (promised.gateway, promised.latency_ms, promised.share_ppm, promised.owner) == ("erp", 1, 500_000, "finance")
    assert main(["interfaces", str(run.folder), "--gateway", "erp", "--json"]) == 0
    by_owner = json.loads(capsys.readouterr().out)
    assert main(["interfaces", str(run.folder), "--gateway", "erp", "--slo", "erp=1h@50%", "--json"]) == 0
    by_hand = json.loads(capsys.readouterr().out)
    # Every call takes longer than a millisecond: twice the budget of one half. None takes an hour.
    assert [row["slo"]["burn"] for row in by_owner["calls"]] == ["2"]
    assert [row["slo"]["burn"] for row in by_hand["calls"]] == ["0"]
