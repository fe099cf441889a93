"""Parameters estimated from a log, against a business whose parameters are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from math import exp, log, sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest

from tests.commands import Told
from tests.unit.calibration_cases import DAY, blind_base, scenario, truths
from twin.core.calendar import Calendar, next_open
from twin.replay.calibrate import Calibration, calibrate
from twin.replay.calibrated_file import flow
from twin.replay.delivery_hours import before_opening
from twin.replay.demand_fit import fit_rhythm, fit_skew, poisson_interval
from twin.replay.estimators import estimate_counts, estimate_durations, quantile_table, rounded_duration, table_mean
from twin.replay.facts import Arrival, Attempt, Duration, facts_of
from twin.replay.interruptions import find_closures, find_outages
from twin.replay.parameters import Parameter, amount, interval
from twin.replay.pick_fit import fit_pick
from twin.replay.working_time import after_the_queue, worked
from twin.run import Run, Twin
from twin.scenario import load
from twin.streams.distributions import Empirical

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3_600_000
MINUTE = 60_000
MONDAY = 4 * DAY
"""1970-01-05, 00:00 UTC."""


# --- a business whose truth is known (RP-03)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the base: the business by somebody who knows no duration and no demand."""
    made = tmp_path_factory.mktemp("calibrate")
    (made / "base.yaml").write_text(blind_base().to_yaml(), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def known(folder: Path) -> Run:
    """Sixty days of the business."""
    return Twin(scenario()).run(1, folder / "known")


def calibrated(run: Run, folder: Path, days: int = 30) -> Calibration:
    """From the first days of a run."""
    start = run.manifest.start_ms
    return calibrate(run.folder, load(folder / "base.yaml"), folder / "base.yaml", start, start + days * DAY, folder)


def missed(parameters: Iterable[Parameter]) -> list[str]:
    """Known truths that lie outside of their interval, or have none."""
    found = {one.name: one for one in parameters}

    def inside(one: Parameter | None, true: float) -> bool:
        return one is not None and one.low is not None and one.low <= true and (one.high is None or true <= one.high)

    return [name for name, true in truths().items() if not inside(found.get(name), true)]


def naive_holds(cases: Iterable[Duration], true: float) -> bool:
    """Whether the interval of 95 % for the mean of what is finished holds the true mean."""
    done = [case.duration_ms for case in cases if not case.censored]
    return abs(mean(done) - true) <= 1.96 * stdev(done) / sqrt(len(done))


def test_what_is_known_lies_in_the_intervals_from_the_first_half_of_a_run(known: Run, folder: Path) -> None:  # RP-03
    assert len(truths()) == 14
    assert missed(calibrated(known, folder).parameters) == []


def test_the_mean_of_what_is_finished_is_far_off_where_much_is_open_and_kaplan_meier_is_not(
    known: Run, folder: Path
) -> None:  # RP-03
    start = known.manifest.start_ms
    cases = [case for case in facts_of(known.folder, start, start + 30 * DAY).lead_times if case.key.startswith("slow")]
    true = truths()["suppliers slow lead_time, mean"]
    assert sum(case.censored for case in cases) / len(cases) > 0.35
    assert not naive_holds(cases, true)
    assert mean(case.duration_ms for case in cases if not case.censored) < 0.85 * true
    found = next(one for one in calibrated(known, folder).parameters if one.name == "suppliers slow lead_time, mean")
    assert found.low is not None and found.high is not None and found.low <= true <= found.high


@pytest.mark.deep
def test_intervals_hold_the_truth_as_often_as_they_say(folder: Path) -> None:  # RP-03
    """Forty seeds, fourteen parameters each; a run of thirty days begins as one of sixty does."""
    business, failed, naive, alarms = Twin(scenario()), [], 0, 0
    true = truths()["suppliers slow lead_time, mean"]
    for seed in range(1, 41):
        run = business.run(seed, folder / f"seed-{seed}", until_ms=30 * DAY)
        made = calibrated(run, folder)
        failed += missed(made.parameters)
        alarms += sum("closed" in one.name or "failed" in one.name for one in made.parameters)
        cases = facts_of(run.folder, run.manifest.start_ms, run.manifest.end_ms).lead_times
        naive += naive_holds([case for case in cases if case.key.startswith("slow")], true)
    assert len(failed) <= 40 * 14 * 0.075, failed
    assert max(failed.count(name) for name in truths()) <= 8, failed
    assert naive <= 10
    assert alarms <= 1, "nothing was down"


def test_the_calibrated_scenario_says_what_it_found_and_runs(known: Run, folder: Path) -> None:
    made = calibrated(known, folder)
    (folder / "again.yaml").write_text(made.text, encoding="utf-8")
    again = load(folder / "again.yaml")
    assert again.title == "Known truth, calibrated"
    assert again.warehouses[0].pick_time.kind == "exponential"
    assert again.lanes[0].promise == 2 * DAY
    transit = again.lanes[0].transit
    assert isinstance(transit, Empirical)
    assert transit.expected() == pytest.approx(truths()["lanes main-near van transit, mean"], rel=0.05)
    assert again.channels[0].demand.kind == "generated"
    assert sum(again.channels[0].demand.profile["sun"]) == 0
    run = Twin(again).run(3, folder / "again", until_ms=10 * DAY)
    days = facts_of(run.folder, run.manifest.start_ms, run.manifest.end_ms)
    assert len(days.arrivals) == pytest.approx(400, rel=0.15)


def test_nothing_after_the_given_instant_is_looked_at(known: Run, folder: Path) -> None:
    half = Twin(scenario()).run(1, folder / "half", until_ms=30 * DAY)
    whole, part = calibrated(known, folder), calibrated(half, folder)
    assert whole.parameters == part.parameters
    assert whole.text.split("schema: 1")[1] == part.text.split("schema: 1")[1]


def test_the_truth_of_a_run_is_not_looked_at(known: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the truth was read")

    monkeypatch.setattr("twin.log.reading.read_truth", refuse)
    monkeypatch.setattr("twin.log.read_truth", refuse)
    assert calibrated(known, folder).parameters


def test_only_what_began_in_the_period_counts(known: Run) -> None:
    start = known.manifest.start_ms
    facts = facts_of(known.folder, start + 10 * DAY, start + 20 * DAY)
    cases = [*facts.handling, *facts.transit, *facts.lead_times, *facts.calls]
    assert all(start + 10 * DAY <= case.began_at < start + 20 * DAY for case in cases)
    assert all(case.began_at + case.duration_ms <= start + 20 * DAY for case in cases)
    assert all(start + 10 * DAY <= one.at < start + 20 * DAY for one in facts.arrivals)
    still = [case for case in facts.lead_times if case.censored]
    assert still
    assert all(case.began_at + case.duration_ms == start + 20 * DAY for case in still)


def test_a_strike_and_an_outage_are_found_and_do_not_spoil_what_else_is_estimated(folder: Path) -> None:
    troubles = {
        "interfaces": [{"id": "wms", "to": "warehouse/main"}],
        "faults": [{"kind": "outage", "interface": "wms", "from": "16d9h", "for": "6h", "calls": "turned_away"}],
        "disruptions": [{"kind": "carrier_closed", "carrier": "van", "from": "9d", "for": "2d"}],
    }
    run = Twin(scenario(troubles)).run(1, folder / "troubled", until_ms=30 * DAY)
    made = calibrated(run, folder)
    (folder / "troubled.yaml").write_text(made.text, encoding="utf-8")
    again = load(folder / "troubled.yaml")
    (strike,) = again.disruptions
    assert strike.kind == "carrier_closed"
    assert strike.carrier == "van"
    assert strike.from_ == pytest.approx(9 * DAY, abs=4 * HOUR)
    assert strike.from_ + strike.for_ == pytest.approx(11 * DAY, abs=4 * HOUR)
    (outage,) = again.faults
    assert outage.kind == "outage"
    assert outage.calls == "turned_away"
    assert outage.from_ == pytest.approx(16 * DAY + 9 * HOUR, abs=HOUR)
    assert outage.for_ == pytest.approx(6 * HOUR, abs=HOUR)
    assert missed(made.parameters) == []
    Twin(again).run(1, folder / "troubled-again", until_ms=DAY)


def test_pick_times_are_found_behind_pickers_shifts_classes_and_an_interface(tmp_path: Path) -> None:
    base = ROOT / "scenarios/library/regional_week.yaml"
    run = Twin(load(base)).run(1, tmp_path / "run")
    start = run.manifest.start_ms
    made = calibrate(run.folder, load(base), base, start, start + 7 * DAY, tmp_path)
    assert made.text.count("pick_time: {order: 1m30s, line: 45s, unit: 0s, kind: fixed}") == 2
    (tmp_path / "made.yaml").write_text(made.text, encoding="utf-8")
    load(tmp_path / "made.yaml")
    # Transits are found too although nobody delivers at night: six lanes of two carriers.
    found = {one.name: one for one in made.parameters}
    for lane in load(base).lanes:
        mean = found[f"lanes {lane.from_}-{lane.to} {lane.carrier} transit, mean"]
        assert mean.low is not None and mean.high is not None
        assert mean.low <= lane.transit.expected() <= mean.high, mean


# --- durations


LEUKEMIA = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
"""Weeks of remission under 6-MP (Freireich and others 1963), finished and still going on."""


def test_the_textbook_case_has_its_published_median_and_interval() -> None:
    done, going = LEUKEMIA
    found = estimate_durations([*done, *going], [False] * len(done) + [True] * len(going))
    assert found is not None
    assert (found.n, found.censored) == (21, 12)
    assert found.median == 23
    assert found.median_interval == (13, None)
    assert found.beyond == pytest.approx(0.448, abs=0.001)
    assert found.mean is None, "nearly half of it lies beyond what was seen"


def test_the_mean_without_anything_open_is_the_plain_mean() -> None:
    values = [float(value) for value in range(1_000, 21_000, 1_000)]
    found = estimate_durations(values, [False] * len(values))
    assert found is not None and found.mean is not None and found.mean_interval is not None
    assert found.mean == pytest.approx(mean(values))
    half = 1.96 * stdev(values) / sqrt(len(values))
    assert found.mean_interval[1] - found.mean_interval[0] == pytest.approx(2 * half, rel=0.05)
    assert found.beyond == 0
    assert table_mean(found.table) == pytest.approx(found.mean, rel=0.01)


def test_the_interval_of_the_mean_is_the_formulas_step_by_step() -> None:
    # Finished, and of those still open the others; two finish at 300, and the longest is open.
    finished, still = [100, 200, 300, 300, 500, 700, 800, 900, 1100], [250, 600, 1200]
    found = estimate_durations([float(one) for one in finished + still], [False] * len(finished) + [True] * len(still))
    assert found is not None and found.mean is not None and found.mean_interval is not None
    steps = []
    alive = 1.0
    for at in sorted(set(finished)):
        risk, gone = sum(one >= at for one in finished + still), finished.count(at)
        alive *= 1 - gone / risk
        steps.append((at, risk, gone, alive))
    ends = [at for at, *_ in steps[1:]] + [1200]
    areas = [(end - at) * left for (at, _, _, left), end in zip(steps, ends, strict=True)]
    restricted = 100 + sum(areas)
    # Klein and Moeschberger 2003, equation 4.5.3, by the factor m / (m - 1) of section 4.5.
    spread = sqrt(
        sum(sum(areas[place:]) ** 2 * gone / (risk * (risk - gone)) for place, (_, risk, gone, _) in enumerate(steps))
        * (len(finished) / (len(finished) - 1))
    )
    # The curve's end with the limits of the log-log transformation, and an exponential tail through each.
    share = sqrt(sum(gone / (risk * (risk - gone)) for _, risk, gone, _ in steps)) / -log(alive)
    low, high = alive ** exp(1.959964 * share), alive ** exp(-1.959964 * share)
    tails = [-one * 1200 / log(one) for one in (alive, low, high)]
    factor = exp(1.959964 * spread / restricted)
    assert found.beyond == pytest.approx(alive)
    assert found.mean == pytest.approx(restricted + tails[0])
    assert found.mean_interval == pytest.approx((restricted / factor + tails[1], restricted * factor + tails[2]))


def test_too_few_finished_cases_are_no_estimate() -> None:
    assert estimate_durations([5.0] * 20, [True] * 13 + [False] * 7) is None
    assert estimate_durations([], []) is None


def test_a_median_that_was_not_reached_is_none() -> None:
    found = estimate_durations([*range(1, 11), *[50] * 30], [False] * 10 + [True] * 30)
    assert found is not None
    assert not found.told
    assert found.mean is None


def test_a_table_never_falls_and_a_constant_stays_one() -> None:
    rng = np.random.default_rng(5)
    times = np.round(rng.lognormal(15, 1.5, 800))
    found = estimate_durations(list(times), list(rng.uniform(size=800) < 0.3))
    assert found is not None
    Empirical(found.table)
    constant = estimate_durations([14_400_000.0] * 20, [False] * 20)
    assert constant is not None and constant.fixed
    assert constant.median_interval == (14_400_000, 14_400_000)


def test_a_heavy_tail_keeps_its_mean() -> None:
    rng = np.random.default_rng(8)
    counts = [int(value) for value in np.ceil(rng.pareto(1.1, 12_000))]
    table = quantile_table(counts)
    assert len(table) <= 40
    assert table_mean(table) == pytest.approx(mean(counts), rel=0.02)


def test_counts_keep_their_atoms() -> None:
    table = quantile_table([1] * 60 + [2] * 30 + [5] * 10)
    assert table == ((0, 1), (600_000, 1), (600_000, 2), (900_000, 2), (900_000, 5), (1_000_000, 5))
    assert quantile_table([3, 3, 3]) == ((0, 3), (1_000_000, 3))


@pytest.mark.parametrize(
    ("given", "wanted"), [(0, 0), (7, 7), (1_234, 1_230), (83_456, 83_500), (4 * HOUR + 17_000, 4 * HOUR)]
)
def test_durations_are_rounded_to_what_people_use(given: int, wanted: int) -> None:
    assert rounded_duration(given) == wanted


# --- demand


def poisson(rates: Callable[[int], float], weeks: int, seed: int) -> list[int]:
    """Instants of Poisson arrivals with a rate for each hour of the week."""
    rng = np.random.default_rng(seed)
    return [
        MONDAY + hour * HOUR + int(at * HOUR)
        for hour in range(168 * weeks)
        for at in rng.uniform(size=rng.poisson(rates(hour % 168)))
    ]


def test_arrivals_without_a_rhythm_are_even() -> None:
    found = fit_rhythm(poisson(lambda hour: 0.8, 4, 1), MONDAY, MONDAY + 28 * DAY)
    assert found.shape == "even"
    assert found.interval[0] < 0.8 * 168 < found.interval[1]
    assert found.dispersion == pytest.approx(1, abs=0.5)


def test_a_rhythm_of_days_and_hours_is_told_from_chance() -> None:
    found = fit_rhythm(poisson(lambda hour: 3.0 if 8 <= hour % 24 < 18 else 0.2, 4, 2), MONDAY, MONDAY + 28 * DAY)
    assert found.shape == "days and hours"
    assert found.rates[9] == pytest.approx(3, rel=0.2)
    assert sum(low <= 0.2 <= high for low, high in found.intervals[:8]) >= 6


def test_arrivals_that_vary_more_than_chance_are_told_to() -> None:
    bunched = [at for at in poisson(lambda hour: 0.2, 4, 3) for _ in range(9)]
    dispersion = fit_rhythm(bunched, MONDAY, MONDAY + 28 * DAY).dispersion
    assert dispersion is not None and dispersion > 4


def test_days_are_held_against_their_own_weekday() -> None:
    # Thrice as many on Mondays as on other days, and exactly so: the fifth day of 1970 was the first one.
    hour = DAY // 24
    instants = [
        day * DAY + of_day * hour + number
        for day in range(56)
        for of_day in range(24)
        for number in range(9 if day % 7 == 4 else 3)
    ]
    found = fit_rhythm(instants, 0, 56 * DAY)
    assert found.shape == "days and hours"
    assert [round(sum(found.rates[24 * day : 24 * day + 24])) for day in range(7)] == [216, *[72] * 6]
    assert found.dispersion == pytest.approx(0, abs=1e-6)


def test_the_interval_of_a_mean_of_counts_is_by_the_deviation_of_a_sample() -> None:
    found = estimate_counts([1, 2, 3, 6])
    # The squares of -2, -1, 0 and 3 over three, and the root of four values.
    half = 1.959964 * sqrt(14 / 3) / 2
    assert (found.n, found.mean) == (4, 3)
    assert (found.low, found.high) == (pytest.approx(3 - half), pytest.approx(3 + half))
    with pytest.raises(ValueError, match="at least one value"):
        estimate_counts([])


def test_a_log_of_less_than_a_week_takes_the_rhythm_of_the_base() -> None:
    weights = [10 if 8 <= hour % 24 < 18 and hour < 120 else 0 for hour in range(168)]
    two_days = [at for at in poisson(lambda hour: 2.0 if weights[hour] else 0.0, 1, 4) if at < MONDAY + 2 * DAY]
    found = fit_rhythm(two_days, MONDAY, MONDAY + 2 * DAY, weights)
    assert found.shape == "as in the base"
    assert found.interval[0] < 100 < found.interval[1]


def test_the_interval_of_a_poisson_count_is_garwoods() -> None:
    assert poisson_interval(10) == pytest.approx((4.795, 18.390), abs=0.001)
    assert poisson_interval(0) == pytest.approx((0, 3.689), abs=0.001)


def test_the_skew_is_found_although_no_item_is_twice_in_a_basket() -> None:
    rng = np.random.default_rng(6)
    names = [f"item-{rank}" for rank in range(40)]
    weights = 1 / (np.arange(1, 41) + 3.0) ** 1.5
    baskets = [rng.choice(40, size=8, replace=False, p=weights / weights.sum()) for _ in range(800)]
    arrivals = [Arrival(0, "web", "near", tuple((names[item], 1) for item in basket)) for basket in baskets]
    found = fit_skew(arrivals, names)
    assert found is not None
    assert found.n == 6_400
    assert found.low <= 1.5 <= found.high
    assert found.high - found.low < 1


# --- working time and pickers


SHIFTS = Calendar("shifts", (0, 8 * HOUR, DAY, DAY + 8 * HOUR, 2 * DAY, 2 * DAY + 8 * HOUR))


def test_working_time_rests_while_closed() -> None:
    assert worked(SHIFTS, 7 * HOUR, DAY + HOUR) == 2 * HOUR
    assert worked(SHIFTS, 9 * HOUR, 20 * HOUR) == 0
    assert worked(Calendar("always"), 5, 9) == 4


def test_transits_are_found_behind_delivery_hours() -> None:
    rng = np.random.default_rng(9)
    nights = Calendar("days", tuple(at for day in range(60) for at in (day * DAY + 8 * HOUR, day * DAY + 18 * HOUR)))
    true = rng.lognormal(np.log(10 * HOUR), 0.5, 600).round()
    began = rng.uniform(0, 40 * DAY, 600).round()
    cases = [
        Duration("a/b/c", int(begin), next_open(nights, int(begin + time)) - int(begin), False)
        for begin, time in zip(began, true, strict=True)
    ]
    found, waited = before_opening(cases, nights)
    assert waited > 300
    assert mean(one.duration_ms for one in cases) > 1.25 * mean(true)
    assert mean(one.duration_ms for one in found) == pytest.approx(mean(true), rel=0.04)
    assert all(one.duration_ms <= seen.duration_ms for one, seen in zip(found, cases, strict=True))
    assert before_opening(cases, Calendar("always")) == (cases, 0)


def case(key: str, begins: int, ends: int, *, open_: bool = False, lines: int = 1) -> Duration:
    return Duration(key, begins, ends - begins, open_, lines, lines)


def test_a_pick_begins_when_a_hand_is_free_and_the_most_critical_goes_first() -> None:
    # One hand, ten minutes each: b waits for a, and c, which comes last, goes before b's second.
    cases = [
        case("main/B", 0, 10 * MINUTE),
        case("main/B", MINUTE, 30 * MINUTE),
        case("main/A", 2 * MINUTE, 20 * MINUTE),
        case("main/B", 3 * MINUTE, 60 * MINUTE, open_=True),
    ]
    found = after_the_queue(cases, 1, SHIFTS, 35 * MINUTE)
    assert found is not None
    begun = sorted((one.began_at, one.duration_ms) for one in found)
    assert begun[:3] == [(0, 10 * MINUTE), (10 * MINUTE, 10 * MINUTE), (20 * MINUTE, 10 * MINUTE)]
    assert begun[3] == (30 * MINUTE, 30 * MINUTE)


def test_a_queue_that_such_hands_do_not_explain_is_no_queue() -> None:
    assert after_the_queue([case("main/B", MINUTE * n, (100 - n) * MINUTE) for n in range(9)], 1, SHIFTS, DAY) is None


def test_the_parts_of_a_pick_time_are_told_apart_by_the_sizes() -> None:
    cases = [case("main/B", 0, 90_000 + 45_000 * lines, lines=lines) for lines in (1, 2, 3, 4, 5) * 5]
    found = fit_pick(cases, ["order", "line"])
    assert found is not None
    assert found.parts["order"][0] == pytest.approx(90_000)
    assert found.parts["line"][0] == pytest.approx(45_000)
    assert not found.exponential
    assert fit_pick([one._replace(lines=1) for one in cases], ["order", "line"]) is None


# --- what was down


def test_calls_that_fail_in_a_row_are_an_outage_and_single_ones_are_luck() -> None:
    outcomes = ["succeeded"] * 40 + ["failed"] + ["succeeded"] * 40 + ["unknown"] * 6 + ["succeeded"] * 20
    attempts = [Attempt("erp", MINUTE * n, MINUTE * n + 500, outcome) for n, outcome in enumerate(outcomes)]
    (found,) = find_outages(attempts, 200 * MINUTE)
    assert (found.gateway, found.calls, found.silent) == ("erp", 6, True)
    assert found.began_within == (80 * MINUTE, 81 * MINUTE)
    assert found.ended_within == (86 * MINUTE, 87 * MINUTE)


def parcels(closed: tuple[int, int] = (0, 0)) -> list[Duration]:
    """Two parcels an hour, a day on their way give or take; those whose way stands still come as much later."""
    rng = np.random.default_rng(7)
    found = []
    for n in range(960):
        begins, spent = n * HOUR // 2, int(rng.normal(DAY, 3 * HOUR))
        lost = max(0, closed[1] - max(begins, closed[0])) if begins + spent > closed[0] and begins < closed[1] else 0
        found.append(Duration("main/van/near", begins, spent + lost, False))
    return found


def test_a_time_without_deliveries_though_many_are_due_is_a_closure() -> None:
    hours = {"van": Calendar("always")}
    (found,) = find_closures(parcels((8 * DAY, 9 * DAY)), hours, 25 * DAY)
    assert found.began_at == pytest.approx(8 * DAY, abs=2 * HOUR)
    assert found.ended_at == pytest.approx(9 * DAY, abs=2 * HOUR)
    assert not found.open
    assert find_closures(parcels(), hours, 25 * DAY) == []


# --- the file and the command


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1d12h", "1d12h"),
        ("50%", "50%"),
        ("12.50 GBP", "12.50 GBP"),
        ("22423", '"22423"'),
        ("no", '"no"'),
        ("2025-11-17T00:00Z", '"2025-11-17T00:00Z"'),
        ("1e3", '"1e3"'),
        ({"a": [1, True, None]}, "{a: [1, true, null]}"),
    ],
)
def test_values_are_written_so_that_they_are_read_as_they_were(value: Any, text: str) -> None:
    assert flow(value) == text


def test_amounts_have_three_digits_and_one_unit() -> None:
    assert amount(2.5 * DAY) == "2.5 d"
    assert interval(2.5 * DAY, 2.25 * DAY, 3 * DAY) == "2.25 to 3"
    assert interval(2.5 * DAY, 2.25 * DAY, None) == "2.25 or more"
    assert amount(1_234.5, "number") == "1,234"


def test_the_command_writes_the_file_and_shows_a_table_of_80_characters(
    told: Told, known: Run, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "calibrated.yaml"
    arguments = ("calibrate", known.folder, "--base", folder / "base.yaml", "--until", "30d", "--out", out)
    code, shown, _ = told(*arguments)
    assert code == 0
    assert max(map(len, shown.splitlines()[1:-1])) <= 80
    assert "measured" in shown
    assert told("validate", out)[0] == 0
    before = out.read_text(encoding="utf-8")
    code, shown, _ = told(*arguments, "--json")
    assert code == 0, "a calibrated file is replaced"
    assert out.read_text(encoding="utf-8") == before
    found = json.loads(shown)
    assert {one["tag"] for one in found["parameters"]} <= {"measured", "assumed"}
    assert len(found["hours"]["web"]) == 168
    assert list(tmp_path.iterdir()) == [out]


def test_what_the_log_cannot_tell_is_listed_as_assumed(known: Run, folder: Path) -> None:
    made = calibrated(known, folder, days=5)
    slow = next(one for one in made.parameters if one.name == "suppliers slow lead_time")
    assert (slow.tag, slow.estimate) == ("assumed", None)
    assert "suppliers slow lead_time:" in made.text.split("# Assumed")[1]
    assert "lead_time" not in made.text.split("id: slow")[1].split("carriers:")[0]


def refused(told: Told, tmp_path: Path, run: object, base: object, until: str, *more: str) -> str:
    """The one message of a calibration that is refused, which leaves nothing behind."""
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    code, shown, error = told("calibrate", run, "--base", base, "--until", until, "--out", out / "made.yaml", *more)
    assert (code, shown) == (2, "")
    assert list(out.iterdir()) == []
    assert error.count("\n") == 1, error
    return error


def test_a_period_outside_of_the_run_is_refused(told: Told, known: Run, folder: Path, tmp_path: Path) -> None:
    base = folder / "base.yaml"
    for until, more in (("61d", ()), ("0d", ()), ("2025-03-01T00:00Z", ()), ("20d", ("--since", "20d"))):
        assert "is no period in it" in refused(told, tmp_path, known.folder, base, until, *more)
    assert "soon" in refused(told, tmp_path, known.folder, base, "soon")


def test_a_log_without_a_finished_case_is_refused(told: Told, known: Run, folder: Path, tmp_path: Path) -> None:
    base = folder / "base.yaml"
    assert "no order came in" in refused(told, tmp_path, known.folder, base, "1h")
    assert "no goods were shipped" in refused(told, tmp_path, known.folder, base, "8h20m")


def test_a_folder_that_is_no_run_is_refused(told: Told, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no run folder" in refused(told, tmp_path, tmp_path / "empty", folder / "base.yaml", "30d")
    assert "no such run folder" in refused(told, tmp_path, tmp_path / "none", folder / "base.yaml", "30d")


def test_a_base_of_another_business_is_refused(told: Told, known: Run, tmp_path: Path) -> None:
    error = refused(told, tmp_path, known.folder, ROOT / "scenarios/minimal.yaml", "30d")
    assert "supplier 'acme'" in error
    assert "and 21 more" in error
    plain = blind_base().plain()
    plain["warehouses"][0]["id"] = plain["lanes"][0]["from"] = plain["lanes"][1]["from"] = "other"
    plain["policies"]["replenishment"][0]["warehouse"] = "other"
    for stock in plain["stock"]:
        stock["warehouse"] = "other"
    (tmp_path / "other.yaml").write_text(json.dumps(plain), encoding="utf-8")
    error = refused(told, tmp_path, known.folder, tmp_path / "other.yaml", "30d")
    assert "warehouse 'main', lane 'main/post/far', lane 'main/van/near'" in error


def test_a_file_of_somebody_elses_is_not_replaced(told: Told, known: Run, folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("schema: 1\n", encoding="utf-8")
    base = folder / "base.yaml"
    for out, why in (
        (mine, "no calibrated"),
        (base, "made of this file"),
        (tmp_path, "folder"),
        (tmp_path / "a/b", "no"),
    ):
        code, _, error = told("calibrate", known.folder, "--base", base, "--until", "30d", "--out", out)
        assert code == 2
        assert why in error
    assert mine.read_text(encoding="utf-8") == "schema: 1\n"
