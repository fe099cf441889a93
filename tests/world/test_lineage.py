"""From any id to the whole lineage, on a business with purchases, shipments, invoices and credits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.stage import DAY, HOUR, MILL, MINUTE, Stage, min_max, tiny
from twin.cli import main
from twin.core.commands import IssueCredit
from twin.core.effects import CreatePurchaseOrder
from twin.log import RunError
from twin.measures import Facts, compute_facts
from twin.observability import Link, Owner, lineage_of_entries
from twin.run import Twin
from twin.scenario.merging import merge_plain


@pytest.fixture(scope="module")
def stage() -> Stage:
    """An order that needs a purchase, one that takes from the shelf and is credited, and one with a like name."""
    changes = {**MILL, "policies": {"returns": {"window": "10d"}}}
    stage = Stage(tiny(merge_plain(min_max(10, 300), changes)))
    stage.order("o1", {"mug": 5})
    stage.order("o10", {"mug": 7}, at=MINUTE)
    stage.order("big", {"mug": 250}, at=HOUR)
    time = stage.scenario.run.start + DAY
    stage.send(IssueCredit("c1", "desk", time, "c1", "o1", 1, 2), at=DAY)
    stage.run(8 * DAY)
    return stage


def documents(links: list[Link]) -> dict[str, tuple[str, str]]:
    return {link.id: (link.kind, link.cause) for link in links if not link.way}


def test_an_order_has_all_its_documents_each_with_what_it_came_from(stage: Stage) -> None:  # OB-01
    owner, links = lineage_of_entries(stage.log.entries, "o1")
    assert owner == Owner("order", "o1")
    assert documents(links) == {
        "o1": ("order", ""),
        "o1/main/1": ("fulfillment_order", "o1"),
        "o1/main/1/s": ("shipment", "o1/main/1"),
        "INV/o1/main/1/s": ("invoice", "o1/main/1/s"),
        "c1": ("credit", "o1"),
    }


def test_a_backordered_order_has_its_purchase_order_and_the_receipt(stage: Stage) -> None:
    _, links = lineage_of_entries(stage.log.entries, "big")
    found = documents(links)
    [bought] = [id for id, (kind, _) in found.items() if kind == "purchase_order"]
    assert found[bought][1] == "big"
    assert found[f"{bought}/1"] == ("receipt", bought)
    assert [kind for kind, _ in found.values()].count("shipment") == 2


@pytest.mark.parametrize(
    "id", ["o1", "o1/main/1", "o1/main/1/s", "INV/o1/main/1/s", "c1", "o1/main/1/ack/1", "INV/o1/main/1/s/posted/1"]
)
def test_any_id_leads_to_the_same_lineage(stage: Stage, id: str) -> None:
    assert lineage_of_entries(stage.log.entries, id) == lineage_of_entries(stage.log.entries, "o1")


def test_a_purchase_order_alone_has_its_own_messages_and_goods(stage: Stage) -> None:
    bought = next(
        delivery.key for _, delivery in stage.deliveries() if isinstance(delivery.effect, CreatePurchaseOrder)
    )
    owner, links = lineage_of_entries(stage.log.entries, f"{bought}/1")
    assert owner == Owner("purchase_order", bought)
    assert list(documents(links)) == [bought, f"{bought}/1"]


def test_every_message_of_the_lineage_has_its_cause(stage: Stage) -> None:  # OB-01
    _, links = lineage_of_entries(stage.log.entries, "o1")
    messages = {link.id: link for link in links if link.way}
    # Backwards from the ERP's word to the customer's.
    chain = ["INV/o1/main/1/s/posted/1"]
    while (cause := messages[chain[-1]].cause) in messages:
        chain.append(cause)
    assert chain == ["INV/o1/main/1/s/posted/1", "INV/o1/main/1/s", "o1/main/1/s", "o1/main/1", "o1"]


def test_an_id_that_is_nowhere_is_told(stage: Stage) -> None:
    with pytest.raises(RunError, match="nothing in it has the id 'o2'"):
        lineage_of_entries(stage.log.entries, "o2")


def test_every_message_of_a_run_leads_to_an_order_or_a_purchase_order(stage: Stage) -> None:  # OB-01
    start = stage.scenario.run.start
    facts = Facts.collect(stage.log.entries, start, start + 8 * DAY)
    assert compute_facts(facts)["correlation_completeness"].value == 1
    # Without the capture of one order its messages lead nowhere.
    rest = (entry for entry in stage.log.entries if getattr(entry.command, "id", "") != "o10")
    facts = Facts.collect(rest, start, start + 8 * DAY)
    assert compute_facts(facts)["correlation_completeness"].value < 1


def test_the_command_shows_documents_and_messages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    demand = {"kind": "poisson", "rate": "1/h", "regions": {"home": 1}}
    Twin(tiny({"run": {"horizon": "1d"}, "channels": [{"id": "web", "demand": demand}]})).run(out=tmp_path / "run")
    assert main(["trace", str(tmp_path / "run"), "INV/web-3/main/1/s"]) == 0
    out = capsys.readouterr().out
    assert "order web-3" in out
    assert "fulfillment_order" in out
    assert main(["trace", str(tmp_path / "run"), "web-999"]) == 2
    assert "web-999" in capsys.readouterr().err
