"""When faults hold: schedules, faults that come and go, ramps and triggers; their draws, forks and ties."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import pytest

from tests.world.faulty import KINDS, fault, faulty, hits, story
from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage
from twin.codec import encode_entry
from twin.core.commands import AcknowledgeDelivery
from twin.core.events import GoodsShipped
from twin.core.invariants import violations
from twin.streams import Exponential, Series
from twin.world.faults import TokenBucket

SLOW = [{"id": "wms", "to": "warehouse/main", "workers": 1, "service": "40s"}]


# A rate limit lets the first through, whoever that is; wrong dates and old counts are about no order.
OF_NO_ORDER = ("rate_limit", "wrong_answer", "stale_snapshot")


def spans(stage: Stage, name: str) -> list[tuple[int, int]]:
    """Beginnings and ends of a fault, counted from the start."""
    began, ended = [
        [stage.since_start(row.at) for row in stage.rows(f"fault.{what}") if row.detail.startswith(f"{name} ")]
        for what in ("began", "ended")
    ]
    return list(zip(began, ended, strict=True))


def test_a_scheduled_fault_holds_from_its_first_to_before_its_last_millisecond() -> None:
    stage = Stage(faulty(fault("loss", id="gap", interface="wms", begins="10s", lasts="10s")))
    for number, at in enumerate((9_998, 9_999, 19_998, 19_999)):
        stage.order(f"o{number}", at=at)
    stage.run(MINUTE)
    # A call takes a millisecond to the interface.
    assert hits(stage) == [("o1/main/1", 1, "gap loss"), ("o2/main/1", 1, "gap loss")]
    assert spans(stage, "gap") == [(10 * SECOND, 20 * SECOND)]


def test_a_fault_without_times_holds_for_the_whole_run() -> None:
    stage = Stage(faulty(fault("auth", interface="wms"), run={"horizon": "1h"}))
    stage.run(HOUR)
    assert [stage.since_start(row.at) for row in stage.rows("fault.began")] == [0]
    assert not stage.rows("fault.ended")


def test_a_fault_that_comes_and_goes_is_down_for_the_share_that_its_times_say() -> None:
    markov = {"up": {"kind": "exponential", "mean": "3h"}, "down": {"kind": "exponential", "mean": "1h"}}
    stage = Stage(faulty(fault("auth", id="flaky", interface="wms", lasts="50d", markov=markov)))
    stage.run(55 * DAY)
    found = spans(stage, "flaky")
    down = sum(end - begin for begin, end in found)
    # 1200 h in turns of 4 h: 300 of them, so that the share of 25 % has a standard error of about 2 %.
    assert 230 < len(found) < 370
    assert 0.19 < down / (50 * DAY) < 0.31
    assert found == sorted(found)
    assert found[-1][1] <= 50 * DAY


def test_another_fault_leaves_the_draws_of_a_fault_as_they_were() -> None:
    markov = {"up": {"kind": "exponential", "mean": "9m"}, "down": {"kind": "exponential", "mean": "3m"}}
    some = fault("loss", id="some", interface="wms", probability="30%")
    flaky = fault("outage", id="flaky", interface="ledger", begins="0s", lasts="1d", markov=markov)
    other = fault("duplicate", id="other", interface="*", probability="20%")

    def touched(*faults: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        stage = story(faulty(*faults))
        stage.run(DAY)
        firsts = [row for row in hits(stage) if row[2] == "some loss" and row[1] == 1]
        return firsts, spans(stage, "flaky")

    alone = touched(some, flaky)
    assert 5 < len(alone[0]) < 20
    assert len(alone[1]) > 50
    assert touched(other, some, flaky) == touched(flaky, other, some) == alone


def test_two_faults_of_the_same_size_hit_independently() -> None:
    some, others = [fault("duplicate", id=name, interface="wms", probability="50%") for name in ("some", "others")]
    stage = story(faulty(some, others))
    stage.run(DAY)
    hit = [{key for key, _, detail in hits(stage) if detail.startswith(name)} for name in ("some", "others")]
    # Forty messages: about ten are hit by each alone, by both, and by none.
    assert min(len(hit[0] - hit[1]), len(hit[1] - hit[0]), len(hit[0] & hit[1]), 40 - len(hit[0] | hit[1])) > 3


def test_a_ramp_grows_from_nothing_to_the_whole_probability() -> None:
    stage = Stage(faulty(fault("duplicate", interface="wms", ramp="60m")))
    for number in range(120):
        stage.order(f"o{number}", at=number * MINUTE)
    stage.run(3 * HOUR)
    hit = {int(key.split("/")[0][1:]) for key, _, _ in hits(stage)}
    quarters = [len([number for number in hit if 15 * quarter <= number < 15 * (quarter + 1)]) for quarter in range(8)]
    assert quarters[0] < 6
    assert quarters[3] > 9
    assert quarters[4:] == [15, 15, 15, 15]


def test_a_backlog_sets_a_fault_off_once() -> None:
    spec = fault("outage", id="collapse", interface="wms", when={"backlog_above": 4}, lasts="10m")
    spec.pop("from")
    stage = Stage(faulty(spec, interfaces=SLOW))
    for number in range(12):
        stage.order(f"o{number}", at=SECOND * (1 + number))
    stage.run(6 * HOUR)
    # One call is worked on, four wait: the sixth is one too many.
    begin = 6 * SECOND + 2
    assert spans(stage, "collapse") == [(begin, begin + 10 * MINUTE)]
    stage.check_books()


def test_faults_that_overlap_each_do_what_they_do() -> None:
    stage = Stage(
        faulty(
            fault("outage", id="a", interface="wms", begins="10s", lasts="20s"),
            fault("outage", id="b", interface="wms", begins="20s", lasts="20s", calls="turned_away"),
            fault("latency", id="c", interface="wms", begins="5s", lasts="60s", delay="2s"),
            fault("duplicate", id="d", interface="wms", begins="5s", lasts="60s", after="1s"),
        )
    )
    stage.order("o1", at=9 * SECOND)
    stage.order("o2", at=19 * SECOND)
    stage.run(22 * SECOND)
    # The first came at 11 s and 12 s, and both its copies wait; the second was turned away at 21 s and 22 s.
    assert [row[2].key for row in sorted(stage.world.interfaces["warehouse/main"].queue)] == ["o1/main/1"] * 2
    assert {detail for _, _, detail in hits(stage)} == {"a outage", "b outage", "c latency", "d duplicate"}
    stage.run(40 * SECOND)
    assert not stage.events(GoodsShipped)
    stage.run(HOUR)
    assert len(stage.rows("stock.shipped")) == 2
    assert not stage.rows("delivery.doubled")
    stage.check_books()


@pytest.mark.parametrize("kind", KINDS)
def test_a_business_with_a_fault_under_way_forks_and_runs_on_alike(kind: str) -> None:
    some = {"probability": "50%"} if kind not in ("outage", "freeze") else {"begins": "5m", "lasts": "20m"}
    markov = {"up": {"kind": "exponential", "mean": "9m"}, "down": {"kind": "exponential", "mean": "3m"}}
    stage = story(
        faulty(
            fault(kind, **some),
            fault("freeze", interface="wms", begins="8m", lasts="10m"),
            fault("reorder", interface="wms", delay="5m"),
            fault("outage", interface="wms", begins="0s", lasts="1d", markov=markov),
        )
    )
    stage.run(17 * MINUTE + 500)
    fork = stage.fork()
    stage.run(DAY)
    fork.run(DAY)
    assert fork.log.position > 100
    assert (fork.log.digest, fork.truth.digest) == (stage.log.digest, stage.truth.digest)
    assert violations(stage.state) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in OF_NO_ORDER])
def test_the_order_of_ties_does_not_choose_whom_a_fault_hits(kind: str) -> None:
    """Orders of one instant reach the engine in another order; the first attempts that are hit are the same ones."""
    holds = {"begins": "4m", "lasts": "7m"} if kind in ("outage", "freeze") else {"probability": "40%"}
    found = []
    for shuffle in (None, 1, 2):
        stage = story(faulty(fault(kind, interface="wms", **holds)), shuffle)
        stage.run(DAY)
        found.append(sorted(row for row in hits(stage) if row[1] == 1))
    assert found[0] == found[1] == found[2]
    assert 3 < len(found[0]) < 40


# --- limits and credentials of an interface itself


@pytest.mark.parametrize(
    ("count", "per_ms", "burst"), [(1, 10_000, 2), (3, 7_000, 1), (100, 1_000, 20), (7, 60_000, 5)]
)
def test_a_bucket_lets_through_what_an_exact_one_does_and_says_when_to_come_back(
    count: int, per_ms: int, burst: int
) -> None:
    gaps = Series(1, "gaps")
    bucket, level, now, let_through = TokenBucket(count, per_ms, burst), Fraction(burst), 0, 0
    for _ in range(2_000):
        gap = gaps.draw(Exponential(per_ms, per=2 * count))
        now, level = now + gap, min(Fraction(burst), level + Fraction(gap * count, per_ms))
        wait = bucket.take(now)
        assert wait == (0 if level >= 1 else ceil((1 - level) * per_ms / count))
        level -= not wait
        let_through += not wait
    # Twice as many come as may: the rate and the first burst at most, and two thirds of it where none are saved up.
    assert let_through <= burst + Fraction(now * count, per_ms)
    assert let_through > Fraction(now * count, per_ms) * Fraction(6, 10)


def test_an_interface_lets_so_many_calls_through_and_tells_the_rest_when_to_come_back() -> None:  # RC-09
    interfaces = [{"id": "wms", "rate_limit": {"rate": "1/s", "burst": 3}}]
    stage = Stage(faulty(interfaces=interfaces))
    for number in range(5):
        stage.order(f"o{number}", at=SECOND + number)
    stage.run(3 * SECOND)
    told = [(a.delivery, a.retry_after_ms) for a in stage.commands(AcknowledgeDelivery) if a.outcome == "failed"]
    assert told == [("o3/main/1", 997), ("o4/main/1", 996)]
    stage.run(HOUR)
    assert len(stage.rows("stock.shipped")) == 5
    stage.check_books()


def test_credentials_expire_and_the_first_call_after_that_has_them_renewed() -> None:
    interfaces = [{"id": "wms", "token": {"lifetime": "1h", "renewal": "2s"}}]
    stage = Stage(faulty(interfaces=interfaces))
    ats = [30 * MINUTE, HOUR - 2, HOUR + MINUTE, HOUR + MINUTE + SECOND, HOUR + MINUTE + 3 * SECOND, 2 * HOUR + MINUTE]
    for number, at in enumerate(ats):
        stage.order(f"o{number}", at=at)
    stage.run(3 * HOUR)
    failed = [(a.delivery, a.reason) for a in stage.commands(AcknowledgeDelivery) if a.outcome == "failed"]
    # The second token is good from 2 s after the third order on, so for the last one as well.
    assert failed == [("o2/main/1", "401 unauthorized"), ("o3/main/1", "401 unauthorized")]
    assert len(stage.rows("stock.shipped")) == 6
    stage.check_books()


def test_credentials_that_are_renewed_at_once_cost_one_call() -> None:
    stage = Stage(faulty(interfaces=[{"id": "wms", "token": {"lifetime": "1h", "renewal": "0s"}}]))
    for number, at in enumerate([30 * MINUTE, HOUR + MINUTE, HOUR + MINUTE + 1]):
        stage.order(f"o{number}", at=at)
    stage.run(3 * HOUR)
    failed = [(a.delivery, a.reason) for a in stage.commands(AcknowledgeDelivery) if a.outcome == "failed"]
    assert failed == [("o1/main/1", "401 unauthorized")]
    assert len(stage.rows("stock.shipped")) == 3


def test_the_same_scenario_gives_the_same_bytes_twice() -> None:
    specs = [fault(kind, probability="30%") for kind in KINDS if kind not in ("outage", "freeze")]
    runs = []
    for _ in range(2):
        stage = story(faulty(*specs))
        stage.run(DAY)
        runs.append(([encode_entry(entry) for entry in stage.log.entries], stage.truth.digest))
    assert runs[0] == runs[1]
    assert len({detail for _, _, detail in hits(stage)}) > 8
