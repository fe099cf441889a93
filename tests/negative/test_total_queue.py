"""Messages lost, doubled and made up, planted one at a time: the total-queue checker must tell each by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.negative.test_world_bugs import (
    drop_a_picked_job,
    ship_again_days_later,
    ship_twice,
    story,
    swallow_a_purchase_order,
)
from tests.world.stage import DAY, Stage, tiny
from twin.core.effects import PickLine, ReleaseToWarehouse
from twin.experiment import check
from twin.log import read_truth
from twin.observability import TotalQueue, total_queue
from twin.run import load
from twin.world.erp import Erp
from twin.world.party import Party
from twin.world.warehouse import Job, Warehouse

Patch = pytest.MonkeyPatch

DRILLS = Path(__file__).resolve().parents[2] / "scenarios" / "drills"


def judged(stage: Stage, *, truth: bool = True) -> TotalQueue:
    """The verdict, all of the last day's messages held to be done."""
    return total_queue(stage.log.entries, stage.truth.rows if truth else (), stage.world.now, settle_ms=0)


def tasks(*orders: str) -> list[str]:
    return [f"{order}/main/1" for order in orders]


def test_without_a_planted_bug_everything_comes_out_once() -> None:
    stage = story()
    found = judged(stage)
    sent = [delivery.key for _, delivery in stage.deliveries()]
    assert found.valid
    assert found.attempted == found.acknowledged == found.ok == len(sent) > 40
    assert found.recovered == found.pending == found.untraced == []


@pytest.mark.parametrize("plant", [ship_twice, ship_again_days_later], ids=lambda plant: plant.__name__)
def test_what_is_done_twice_is_duplicated(plant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    plant(monkeypatch)
    stage = story()
    found = judged(stage)
    parcels = [row.subject for row in stage.rows("stock.shipped")]
    again = list(dict.fromkeys(parcel for parcel in parcels if parcels.count(parcel) > 1))
    assert again
    assert found.duplicated == [parcel.removesuffix("/s") for parcel in again]
    assert not found.valid
    assert (found.lost, found.unexpected) == ([], [])
    # The log alone cannot see it: its engine takes a parcel once.
    assert judged(stage, truth=False).duplicated == []


def test_a_task_that_is_taken_and_never_done_is_lost(monkeypatch: Patch) -> None:
    drop_a_picked_job(monkeypatch)
    stage = story()
    assert judged(stage).lost == tasks("o7")
    assert judged(stage, truth=False).lost == tasks("o7")
    assert not judged(stage).valid


def test_a_checked_scenario_finds_what_was_lost_in_its_last_days(monkeypatch: Patch) -> None:  # IM-02
    # The whole business is over within the days in which a message may still be at work.
    original = Warehouse.finish

    def finish(site: Warehouse, job: Job) -> None:
        if job.effect.order != "web-70":
            original(site, job)

    monkeypatch.setattr(Warehouse, "finish", finish)
    path = DRILLS / "base.yaml"
    alone = {str(path): {"policies": {"delivery": {"default": {"supervise": None}}}}}
    (found,) = [one for one in check([path], overrides=alone) if one.expectation == "invariants"]
    assert not found.holds
    assert any(told.startswith("messages lost: 1, web-70/") for told in found.details)


def test_a_purchase_order_that_is_taken_and_never_done_is_lost(monkeypatch: Patch) -> None:
    swallow_a_purchase_order(monkeypatch)
    stage = story()
    found = judged(stage)
    assert found.lost == [delivery.key for _, delivery in stage.deliveries() if delivery.gateway == "supplier/mill"]
    assert found.lost


def test_what_may_still_be_at_work_is_pending(monkeypatch: Patch) -> None:
    drop_a_picked_job(monkeypatch)
    stage = story()
    found = total_queue(stage.log.entries, stage.truth.rows, stage.world.now, settle_ms=20 * DAY)
    assert (found.lost, found.pending) == ([], tasks("o7"))


def test_what_nobody_asked_for_is_unexpected(monkeypatch: Patch) -> None:
    original = Party.accept

    def accept(party: Party, delivery: Any) -> bool:
        taken = original(party, delivery)
        if delivery.key == "o3/main/1":
            made_up = ReleaseToWarehouse("ghost/1", "ghost", "main", "van", "home", (PickLine(1, "mug", 1),))
            party.receive(type(delivery)("ghost/1", party.id, made_up, "ghost"))
        return taken

    monkeypatch.setattr(Party, "accept", accept)
    found = judged(story())
    assert found.unexpected == ["ghost/1"]
    assert not found.valid


def test_what_was_done_though_no_answer_came_is_recovered(monkeypatch: Patch) -> None:
    original = Party.answer_transport

    def answer(party: Party, delivery: Any, *rest: str) -> None:
        if delivery.correlation not in ("o4", "o9"):
            original(party, delivery, *rest)

    monkeypatch.setattr(Party, "answer_transport", answer)
    found = judged(story())
    assert found.recovered == tasks("o4", "o9")
    assert found.acknowledged == found.attempted - 2
    assert found.ok == found.attempted
    assert found.valid


def test_documents_that_nobody_confirms_are_untraced_not_lost() -> None:
    stage = Stage(tiny({"policies": {"delivery": {"erp": {"acknowledge": False}}}}))
    stage.order("o1")
    stage.run(2 * DAY)
    found = judged(stage)
    assert (found.untraced, found.lost) == (["INV/o1/main/1/s"], [])


def test_what_is_neither_answered_nor_done_is_not_lost(monkeypatch: Patch) -> None:
    # The ERP swallows a document without a word: it stays unanswered, so it is neither acknowledged nor done.
    original = Erp.receive

    def receive(erp: Erp, message: Any) -> None:
        if message.correlation != "o2":
            original(erp, message)

    monkeypatch.setattr(Erp, "receive", receive)
    found = judged(story())
    assert found.ok == found.acknowledged == found.attempted - 1
    assert found.valid


def test_a_question_whose_answer_gets_lost_is_no_lost_message(tmp_path: Path) -> None:
    # The supervision asks again; a task of the same silent partner would be lost.
    run = load(DRILLS / "answers_lost.yaml").run(out=tmp_path / "run")
    found = total_queue(run.entries(), read_truth(run.folder), settle_ms=0)
    assert any("/status/" in key for key in found.untraced)
    assert found.valid
