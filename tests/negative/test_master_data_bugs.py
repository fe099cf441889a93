"""Bugs planted in master data and rollouts one at a time: the test of the rule that each breaks must fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.world import test_master_data as records
from tests.world import test_rollout as rollouts
from twin.world import exposed
from twin.world.master_data import Change, MasterData
from twin.world.supplier import Supplier
from twin.world.versions import Rollout

Patch = pytest.MonkeyPatch


def a_copy_that_follows_at_once(patch: Patch) -> None:
    record = MasterData.record

    def at_once(data: MasterData, change: Change) -> None:
        record(data, change)
        data._tell(list(data.unsent), "planted")

    patch.setattr(MasterData, "record", at_once)


def a_full_sync_of_what_has_changed_only(patch: Patch) -> None:
    send = MasterData.send

    def changes(data: MasterData, message: None) -> None:
        every = list(data.unsent)
        tell = data._tell
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(data, "_tell", lambda keys, name: tell(every, name))
            send(data, message)

    patch.setattr(MasterData, "send", changes)


def a_supplier_that_goes_by_the_erp(patch: Patch) -> None:
    def nothing(supplier: Supplier, *what: Any) -> None:
        return

    patch.setattr(Supplier, "go_by", nothing)


def older_records_that_are_left_out(patch: Patch) -> None:
    corrupted = exposed.corrupted

    def left_out(command: Any, defect: Any, earlier: Any) -> dict[str, object]:
        changes = corrupted(command, defect, earlier)
        return {} if defect.stale else changes

    patch.setattr(exposed, "corrupted", left_out)


def a_reader_that_misreads_in_silence(patch: Patch) -> None:
    patch.setattr(Rollout, "readable", lambda rollout, written, reader: True)


def a_new_reader_that_forgot_the_older_version(patch: Patch) -> None:
    patch.setattr(Rollout, "readable", lambda rollout, written, reader: written == reader or rollout.reads == "any")


def held(sends: str) -> None:
    pack, left = (12, 0) if sends == "all" else (0, 1)
    records.test_a_lost_change_is_put_right_by_a_sync_of_everything_and_by_nothing_else(sends, pack, left)


def an_older_record_wins() -> None:
    stale = records.bad(defect="duplicate", field="lead_time")
    believed = (2 * records.DAY, 12, False)
    records.test_a_record_may_be_wrong_missing_or_double_and_only_the_copy_is(stale, believed)


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (
            a_copy_that_follows_at_once,
            records.test_a_decision_uses_the_old_value_until_the_copy_has_the_new_one_and_the_supplier_goes_by_the_truth,
        ),
        (a_copy_that_follows_at_once, records.test_what_is_wrong_is_counted_by_how_long_it_was_wrong),
        (a_full_sync_of_what_has_changed_only, lambda: held("all")),
        (
            a_supplier_that_goes_by_the_erp,
            records.test_an_order_over_broken_packs_is_refused_and_whole_packs_are_bought_once_the_copy_knows,
        ),
        (
            a_supplier_that_goes_by_the_erp,
            records.test_a_supplier_refuses_an_order_below_a_minimum_that_its_buyer_does_not_know_yet,
        ),
        (older_records_that_are_left_out, an_older_record_wins),
        (
            a_reader_that_misreads_in_silence,
            rollouts.test_a_reader_of_its_own_version_refuses_the_other_for_good_and_says_why,
        ),
        (
            a_new_reader_that_forgot_the_older_version,
            rollouts.test_readers_that_know_the_older_version_hold_where_they_go_first_and_not_where_they_go_last,
        ),
    ],
)
def test_a_planted_bug_is_caught(plant: Callable[[Patch], None], rule: Callable[[], None], monkeypatch: Patch) -> None:
    rule()
    plant(monkeypatch)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        rule()
