"""A new version of an interface's contract comes instance by instance, and messages meet readers of the other one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.faulty import FACED
from tests.world.stage import HOUR, MINUTE, Stage, tiny
from twin.core.commands import AcknowledgeDelivery, ConfirmShipment
from twin.core.events import DeliveryDeadLettered, GoodsShipped, ShipmentDelivered
from twin.measures import Facts, compute_facts
from twin.scenario import Scenario
from twin.scenario.merging import merge_plain
from twin.streams import Streams
from twin.world.versions import Turn

SENDER, READER = {"from": "1h", "for": "6h"}, {"from": "2h", "for": "6h"}


def rolled_out(reads: str, sender: dict[str, Any] = SENDER, reader: dict[str, Any] = READER, **more: Any) -> Scenario:
    """The warehouse's interface goes from version 1 to version 2."""
    rollout = {"to": "2", "sender": sender, "reader": reader, "reads": reads}
    faces = [{"id": "wms", "to": "warehouse/main", "version": "1", "rollout": rollout, **more.pop("face", {})}]
    return tiny(merge_plain(FACED, {"interfaces": faces, **more}))


def story(scenario: Scenario) -> Stage:
    """An order every three minutes for nine hours, one mug each."""
    stage = Stage(scenario)
    for number in range(180):
        stage.order(f"o{number}", at=3 * MINUTE * number)
    stage.run(24 * HOUR)
    return stage


def met(stage: Stage) -> dict[str, int]:
    """How often a version was read by which, once one side had begun."""
    counts: dict[str, int] = {}
    for row in stage.rows("message.version"):
        counts[row.detail] = counts.get(row.detail, 0) + 1
    return counts


def refused(stage: Stage) -> int:
    found = compute_facts(
        Facts.collect(stage.log.entries, stage.scenario.run.start, stage.scenario.run.start + 24 * HOUR)
    )
    return int(found["incompatible_messages"].value or 0)


def test_both_versions_meet_readers_of_both_while_they_are_rolled_out() -> None:
    # GV-01
    counts = met(story(rolled_out("any")))
    assert set(counts) == {"1 read by 1", "1 read by 2", "2 read by 1", "2 read by 2"}
    assert min(counts.values()) >= 5
    assert sum(counts.values()) == 160  # all but the 20 of the first hour


def test_a_tolerant_reader_takes_all_of_it() -> None:
    # GV-01
    stage = story(rolled_out("any"))
    assert refused(stage) == 0
    assert len(stage.events(GoodsShipped)) == 180


def test_a_reader_of_its_own_version_refuses_the_other_for_good_and_says_why() -> None:
    # GV-01
    stage = story(rolled_out("own"))
    counts = met(stage)
    bad = counts["1 read by 2"] + counts["2 read by 1"]
    assert refused(stage) == bad > 0
    dead = [event for _, event in stage.events(DeliveryDeadLettered)]
    assert {event.reason for event in dead} == {
        "refused: 415 unsupported version 1 read by 2",
        "refused: 415 unsupported version 2 read by 1",
    }
    assert all(event.attempts == 1 and event.outcome == "refused" for event in dead)
    assert len(stage.events(GoodsShipped)) == 180 - bad
    assert len(stage.state.dead_letters) == bad
    stage.check_books()


def test_readers_that_know_the_older_version_hold_where_they_go_first_and_not_where_they_go_last() -> None:
    # GV-01
    first, later = {"from": "1h", "for": "2h"}, {"from": "3h", "for": "2h"}
    assert refused(story(rolled_out("older", sender=later, reader=first))) == 0
    assert refused(story(rolled_out("older", sender=first, reader=later))) > 20


def test_what_was_refused_is_done_when_it_is_sent_again_after_the_rollout() -> None:
    # GV-01
    clerk = {"id": "clerk", "kind": "redrive", "actor": "bea", "at": "12h", "gateway": "warehouse/*"}
    stage = story(rolled_out("own", interventions=[clerk]))
    assert refused(stage) > 0
    assert not stage.state.dead_letters
    assert len(stage.events(GoodsShipped)) == 180


def test_over_edi_the_translator_rejects_it_by_a_999() -> None:
    # GV-01
    edi = {"style": "edi", "edi": {"translation": "1s", "acknowledgement": "2s"}}
    stage = story(rolled_out("own", face=edi))
    reasons = {answer.reason for answer in stage.commands(AcknowledgeDelivery) if answer.outcome == "refused"}
    assert reasons == {
        "999 AK5 R: unsupported version 1 read by 2",
        "999 AK5 R: unsupported version 2 read by 1",
    }


def reports(reads: str, **more: Any) -> Scenario:
    """The warehouse's reports go from version 1 to version 2; the engine's side reads them."""
    rollout = {"of": "reports", "to": "2", "sender": SENDER, "reader": READER, "reads": reads, **more}
    return tiny(
        merge_plain(FACED, {"interfaces": [{"id": "wms", "to": "warehouse/main", "version": "1", "rollout": rollout}]})
    )


def test_a_report_that_nobody_can_read_is_sent_again_until_somebody_can() -> None:
    # GV-01
    stage = story(reports("own", again="10m"))
    unread = stage.rows("message.unread")
    assert unread
    assert {row.detail for row in unread} == {"1 read by 2", "2 read by 1"}
    first = {row.subject: row.at for row in unread if row.quantity == 1}
    heard = {entry.command.id: entry.now for entry in stage.log.entries if isinstance(entry.command, ConfirmShipment)}
    waits = [heard[subject] - at for subject, at in first.items() if subject in heard]
    assert waits
    assert all(wait % (10 * MINUTE) == 1 for wait in waits)
    start = stage.scenario.run.start
    facts = Facts.collect(stage.log.entries, start, start + 24 * HOUR, trace=True)
    found = compute_facts(facts, stage.truth.rows)
    assert found["unread_reports"].value == len(first)
    assert found["unread_reports/attempts"].value == len(unread)
    assert len(stage.events(GoodsShipped)) == 180
    assert refused(stage) == 0
    stage.check_books()


def test_reports_in_either_version_are_read_at_once_by_a_tolerant_reader() -> None:
    # GV-01
    stage, plain = story(reports("any")), story(tiny(FACED))
    assert len(met(stage)) == 4
    assert not stage.rows("message.unread")
    assert stage.log.digest == plain.log.digest


def test_a_carrier_that_only_reports_may_change_the_version_of_its_reports() -> None:
    # GV-01
    rollout = {"of": "reports", "to": "2", "sender": {"from": "2h"}, "reader": {"from": "6h"}, "again": "15m"}
    face = {"id": "van", "to": "carrier/van", "version": "1", "rollout": rollout}
    stage = story(tiny(merge_plain(FACED, {"interfaces": [*FACED["interfaces"], face]})))
    assert {row.detail for row in stage.rows("message.unread")} == {"2 read by 1"}
    assert len(stage.events(ShipmentDelivered)) == 180
    with pytest.raises(ValueError, match="since no calls go to carriers"):
        tiny(merge_plain(FACED, {"interfaces": [{**face, "rollout": {**rollout, "of": "calls", "again": None}}]}))


def test_before_a_rollout_begins_the_log_is_that_without_one() -> None:
    # GV-01
    late = {"from": "30d", "for": "1h"}
    plain = story(tiny(FACED))
    stage = story(rolled_out("own", sender=late, reader=late))
    assert stage.log.digest == plain.log.digest
    assert stage.truth.digest == plain.truth.digest


def test_a_share_of_the_instances_goes_over_that_grows_evenly() -> None:
    # GV-01
    turn, luck = Turn(1_000, 400), Streams(1)
    bits = [luck.bits("one", number) for number in range(2_000)]
    shares = [sum(turn.over(at, each) for each in bits) for at in (999, 1_000, 1_100, 1_200, 1_399, 1_400)]
    assert shares[0] == shares[1] == 0
    assert shares[-1] == 2_000
    grown = zip(shares[2:5], (500, 1_000, 1_995), strict=True)
    assert all(abs(share - expected) < 100 for share, expected in grown)
    assert Turn(1_000, 0).over(1_000, bits[0])


@pytest.mark.parametrize(
    ("face", "says"),
    [
        ({"version": "2"}, "from version '2' to itself"),
        ({"version": ""}, "give the interface its version"),
        ({"rollout": {"to": "2", "sender": {"from": "61d"}, "reader": {"from": "61d"}}}, "let it begin earlier"),
        ({"rollout": {"to": "2", "sender": {"from": "1h"}}}, "reader"),
        ({"rollout": {"to": "2", "sender": SENDER, "reader": READER, "again": "1m"}}, "leave it out"),
    ],
)
def test_a_rollout_that_leads_nowhere_is_refused(face: dict[str, Any], says: str) -> None:
    # GV-01
    with pytest.raises(ValueError, match=says):
        rolled_out("own", face=face)


def test_a_rollout_that_may_refuse_calls_needs_a_sender_who_hears_of_it() -> None:
    # GV-01
    unheard = {"delivery": {"warehouse": {"acknowledge": False}, "default": {"retries": {"max": 0}}}}
    with pytest.raises(ValueError, match="may turn calls away, and nobody would know"):
        rolled_out("own", policies=unheard)
