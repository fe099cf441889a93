"""Settings of Resilience4j become delivery policies: every field is told, or refused with its place (PL-03)."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import Told
from twin.cli import main
from twin.core.attempts import backoff
from twin.core.master import DeliveryPolicy as CorePolicy
from twin.log import connect
from twin.scenario import ScenarioError, load, units
from twin.scenario.delivery import DeliveryPolicies
from twin.scenario.resilience4j import TARGETS, Imported, fragment_text, import_policies, read_configuration
from twin.scenario.resilience4j.fields import FIELDS
from twin.scenario.resilience4j.fields import REFUSED as REFUSED_FIELDS
from twin.scenario.resilience4j.spring import parse_duration_ms, parse_duration_ns
from twin.scenario.resilience4j.waits import doubled, jittered, waits_of

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests/unit/resilience4j/application.yml"
BUSINESS = ROOT / "scenarios/drills/base.yaml"
BOUND = {"portal": "supplier", "erp": "erp", "pricing": "none"}
SECOND, MINUTE = 1_000, 60_000


def imported(folder: Path, text: str, **bindings: str) -> Imported:
    """What becomes of a file with this text; `portal` is bound to suppliers unless another binding is given."""
    path = folder / "r4j.yml"
    path.write_text(text, encoding="utf-8")
    return import_policies(read_configuration(path), bindings or {"portal": "supplier"})


def policy(folder: Path, text: str, gateway: str = "supplier", **bindings: str) -> dict[str, Any]:
    found: dict[str, Any] = imported(folder, text, **bindings).policies["policies"]["delivery"][gateway]
    return found


def problems(folder: Path, text: str | bytes, **bindings: str) -> list[str]:
    """The problems of a file, without its folder."""
    (folder / "r4j.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ScenarioError) as caught:
        import_policies(read_configuration(folder / "r4j.yml"), bindings or {"portal": "supplier"})
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def module(name: str, *fields: str) -> str:
    """One instance, `portal`, of one module; its fields begin in line 5."""
    body = "".join(f"        {field}\n" for field in fields)
    return f"resilience4j:\n  {name}:\n    instances:\n      portal:\n{body}"


# --- the sample as a whole


def test_the_sample_becomes_the_policies_that_it_means() -> None:  # PL-03
    found = import_policies(read_configuration(SAMPLE), BOUND).policies["policies"]["delivery"]
    assert found == {
        "supplier": {
            "retries": {
                "max": 4,
                "backoff": "500ms",
                "cap": "3s",
                "jitter": "none",
                "retry_after": False,
                "budget": "none",
                "permanent": [],
            },
            "breaker": {
                "calls": 50,
                "window": None,
                "minimum": 20,
                "failures": "40%",
                "slow": {"over": "8s", "share": "80%"},
                "open": "2m",
                "trials": 5,
                "calls_meanwhile": "failed",
            },
            "timeout": "10s",
            "bulkhead": 10,
        },
        "erp": {
            "retries": {
                "max": 2,
                "backoff": "250ms",
                "cap": "250ms",
                "jitter": "none",
                "retry_after": False,
                "budget": "none",
                "permanent": [],
            },
            "breaker": {
                "window": "1m",
                "calls": None,
                "minimum": 10,
                "failures": "50%",
                "slow": {"over": "1m", "share": "100%"},
                "open": "30s",
                "trials": 10,
                "calls_meanwhile": "failed",
            },
            "burst": 20,
            "rate": "20/s",
            "timeout": "1s",
        },
    }


def test_a_scenario_over_the_fragment_over_a_business_has_its_policies(tmp_path: Path) -> None:
    fragment = fragment_text(import_policies(read_configuration(SAMPLE), BOUND), str(BUSINESS))
    (tmp_path / "fragment.yaml").write_text(fragment, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("schema: 1\nextends: fragment.yaml\ntitle: Mine\n", encoding="utf-8")
    scenario = load(tmp_path / "mine.yaml")
    delivery = scenario.policies.delivery
    supplier = delivery.of("supplier")
    assert supplier.timeout == 10 * SECOND
    assert supplier.bulkhead == 10
    assert supplier.retries.model_dump() == {
        "max": 4,
        "backoff": "500ms",
        "cap": "3s",
        "jitter": "none",
        "budget": None,
        "reserve": None,
        "permanent": (),
        "retry_after": False,
    }
    breaker = supplier.breaker
    assert breaker is not None
    assert (breaker.calls, breaker.window, breaker.minimum, breaker.failures) == (50, None, 20, 400_000)
    assert (breaker.open, breaker.trials, breaker.calls_meanwhile) == (2 * MINUTE, 5, "failed")
    assert breaker.slow is not None
    assert (breaker.slow.over, breaker.slow.share) == (8 * SECOND, 800_000)
    erp = delivery.of("erp")
    assert erp.rate == units.Rate(1, 50)
    assert (erp.burst, erp.timeout) == (20, SECOND)
    assert erp.breaker is not None
    assert (erp.breaker.window, erp.breaker.calls, erp.breaker.minimum) == (MINUTE, None, 10)
    # What the file does not speak of is the business's own.
    assert delivery.of("warehouse") == load(BUSINESS).policies.delivery.of("warehouse")
    assert (supplier.pool, supplier.deadline) == ("workers", 2 * 24 * 60 * MINUTE)


def test_the_fragment_stands_alone_as_well_and_names_the_field_behind_each_setting(tmp_path: Path) -> None:
    found = import_policies(read_configuration(SAMPLE), BOUND)
    text = fragment_text(found)
    assert "        max: 4  # retry.maxAttempts 5\n" in text
    assert "      timeout: 1s  # timelimiter.timeoutDuration 1s (default)\n" in text
    path = tmp_path / "whole.yaml"
    path.write_text("schema: 1\ntitle: x\n" + text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert not [problem for problem in caught.value.problems if "polic" in str(problem)]


def test_a_null_removes_the_window_of_another_kind_that_the_business_has(tmp_path: Path) -> None:
    change = {"policies": {"delivery": {"supplier": {"breaker": {"window": "5m"}}}}}
    base = load(BUSINESS).with_changes(change)
    assert base.policies.delivery.of("supplier").breaker is not None
    text = module("circuitbreaker", "slidingWindowSize: 20")
    after = base.with_changes(imported(tmp_path, text).policies)
    breaker = after.policies.delivery.of("supplier").breaker
    assert breaker is not None
    assert (breaker.window, breaker.calls) == (None, 20)


# --- modules, field by field


def test_what_an_instance_leaves_unsaid_is_the_default_of_resilience4j(tmp_path: Path) -> None:
    bare = {name: policy(tmp_path, module(name)) for name in ("retry", "circuitbreaker", "timelimiter", "bulkhead")}
    assert bare["retry"]["retries"]["max"] == 2
    assert bare["retry"]["retries"]["backoff"] == bare["retry"]["retries"]["cap"] == "500ms"
    assert bare["circuitbreaker"]["breaker"] == {
        "calls": 100,
        "window": None,
        "minimum": 100,
        "failures": "50%",
        "slow": {"over": "1m", "share": "100%"},
        "open": "1m",
        "trials": 10,
        "calls_meanwhile": "failed",
    }
    assert bare["timelimiter"] == {"timeout": "1s"}
    assert bare["bulkhead"] == {"bulkhead": 25}
    rows = imported(tmp_path, module("bulkhead")).rows
    assert [(row.field, row.value, row.said) for row in rows] == [
        ("bulkhead.maxConcurrentCalls", "25", "default"),
        ("bulkhead.maxWaitDuration", "0", "default"),
    ]


def test_a_rate_limiter_that_leaves_its_period_unsaid_has_no_limit_and_is_told_so(tmp_path: Path) -> None:
    found = imported(tmp_path, module("ratelimiter", "limitForPeriod: 10"))
    assert found.policies["policies"]["delivery"]["supplier"] == {"rate": "none", "burst": None}
    (row,) = [row for row in found.rows if row.field == "ratelimiter.limitRefreshPeriod"]
    assert row.note.startswith("20000000/s is more than the 1000/s")


@pytest.mark.parametrize(
    ("fields", "rate", "burst"),
    [
        (("limitForPeriod: 30", "limitRefreshPeriod: 1m"), "30/min", 30),
        (("limitForPeriod: 1", "limitRefreshPeriod: 1500us"), "2000/3s", 1),
        (("limit-for-period: 7", "limit-refresh-period: PT2H"), "84/d", 7),
    ],
)
def test_a_rate_is_kept_exactly(tmp_path: Path, fields: tuple[str, ...], rate: str, burst: int) -> None:
    found = policy(tmp_path, module("ratelimiter", *fields))
    assert found["burst"] == burst
    assert units.parse_rate(found["rate"]) == units.parse_rate(rate)


def test_fields_are_known_in_every_spelling_and_keys_with_dots_are_taken_apart(tmp_path: Path) -> None:
    nested = policy(tmp_path, module("retry", "maxAttempts: 7", "waitDuration: 2s"))
    for text in (
        module("retry", "max-attempts: 7", "wait-duration: PT2S"),
        module("Retry", "max_attempts: '7'", "WAITDURATION: 2000"),
        "resilience4j.retry.instances.portal.max-attempts: 7\nresilience4j.retry.instances.portal.waitDuration: 2s\n",
        "resilience4j.retry:\n  instances.portal: {maxAttempts: 7}\nresilience4j:\n"
        "  retry: {instances: {portal: {wait-duration: 2s}}}\n",
    ):
        assert policy(tmp_path, text) == nested


def test_no_more_calls_are_needed_than_the_window_holds(tmp_path: Path) -> None:
    breaker = policy(tmp_path, module("circuitbreaker", "slidingWindowSize: 10"))["breaker"]
    assert (breaker["calls"], breaker["minimum"], breaker["trials"]) == (10, 10, 10)
    DeliveryPolicies.model_validate({"supplier": {"breaker": breaker}})
    timed = policy(tmp_path, module("circuitbreaker", "slidingWindowSize: 10", "slidingWindowType: time-based"))
    assert (timed["breaker"]["window"], timed["breaker"]["minimum"]) == ("10s", 100)


def test_half_open_is_judged_after_as_many_calls_as_there(tmp_path: Path) -> None:
    text = module("circuitbreaker", "minimumNumberOfCalls: 3", "permittedNumberOfCallsInHalfOpenState: 8")
    assert policy(tmp_path, text)["breaker"]["trials"] == 3


def test_what_changes_no_call_is_listed_with_its_reason(tmp_path: Path) -> None:
    text = module("circuitbreaker", "registerHealthIndicator: true", "eventConsumerBufferSize: 10")
    told = {row.field: (row.becomes, row.note) for row in imported(tmp_path, text).rows}
    assert told["circuitbreaker.registerHealthIndicator"] == ("–", "health only; no call goes differently")
    assert told["circuitbreaker.eventConsumerBufferSize"][0] == "–"


def test_default_is_all_partners(tmp_path: Path) -> None:
    found = imported(tmp_path, module("retry", "maxAttempts: 1"), portal="default").policies["policies"]["delivery"]
    assert found["default"]["retries"]["max"] == 0
    delivery = load(BUSINESS).with_changes({"policies": {"delivery": found}}).policies.delivery
    assert delivery.of("carrier").retries.max == 0


def test_what_the_file_does_not_speak_of_is_remarked(tmp_path: Path) -> None:
    text = module("bulkhead") + "    configs: {spare: {maxConcurrentCalls: 3}}\n"
    remarks = imported(tmp_path, text).remarks
    assert remarks[0] == "bulkhead.configs.spare is used by no instance that is bound, and was not looked at"
    assert remarks[1].startswith("supplier has no retry: the scenario's own retries hold (5 unless")
    assert remarks[2].startswith("supplier has no timelimiter: the scenario's own timeout holds (30s unless")


def test_a_module_that_only_the_default_has_holds_for_the_others_and_is_remarked(tmp_path: Path) -> None:
    text = "resilience4j: {retry: {instances: {all: {}}}, bulkhead: {instances: {portal: {}}}}\n"
    found = imported(tmp_path, text, all="default", portal="supplier")
    assert "supplier has no retry: what is bound to default holds, as for any other module" in found.remarks
    delivery = load(BUSINESS).with_changes(found.policies).policies.delivery
    assert (delivery.of("supplier").retries.max, delivery.of("supplier").bulkhead) == (2, 25)


# --- waits


def retries(folder: Path, *fields: str) -> dict[str, Any]:
    found: dict[str, Any] = policy(folder, module("retry", *fields))["retries"]
    return {key: found[key] for key in ("max", "backoff", "cap", "jitter")}


GROWING = ("enableExponentialBackoff: true", "waitDuration: 1s")


def test_a_backoff_that_doubles_is_capped_by_its_last_wait_where_nothing_else_is_said(tmp_path: Path) -> None:
    found = retries(tmp_path, *GROWING, "exponentialBackoffMultiplier: 2", "maxAttempts: 6")
    assert found == {"max": 5, "backoff": "1s", "cap": "16s", "jitter": "none"}


def test_any_multiplier_is_fine_where_the_waits_come_out_the_same(tmp_path: Path) -> None:
    # The default is 1.5; of three attempts there are two waits.
    assert retries(tmp_path, *GROWING) == {
        "max": 2,
        "backoff": "1s",
        "cap": "1s500ms",
        "jitter": "none",
    }
    assert retries(tmp_path, *GROWING, "maxAttempts: 2", "exponentialBackoffMultiplier: 10")["cap"] == "1s"
    assert retries(tmp_path, *GROWING, "maxAttempts: 9", "exponentialBackoffMultiplier: 1")["cap"] == "1s"


def test_a_multiplier_that_cannot_be_had_is_refused_where_it_stands(tmp_path: Path) -> None:
    text = module("retry", *GROWING, "maxAttempts: 4", "exponentialBackoffMultiplier: 3.0")
    assert problems(tmp_path, text) == [
        "r4j.yml:8: retry.exponentialBackoffMultiplier: it is 3, and the engine doubles: its waits would be "
        "1s, 2s, 4s, not 1s, 3s, 9s; write 2, or 1 for waits that stay the same"
    ]
    text = module("retry", *GROWING, "maxAttempts: 4")
    (told,) = problems(tmp_path, text)
    assert told.startswith("r4j.yml:5: retry.exponentialBackoffMultiplier: it is 1.5 unless given, and the engine")


def test_a_randomized_wait_keeps_its_mean_and_is_told(tmp_path: Path) -> None:
    text = module("retry", "waitDuration: 900ms", "enableRandomizedWait: true")
    found = imported(tmp_path, text)
    told = found.policies["policies"]["delivery"]["supplier"]["retries"]
    assert (told["backoff"], told["cap"], told["jitter"]) == ("1s200ms", "1s200ms", "equal")
    (row,) = [row for row in found.rows if row.field == "retry.waitDuration"]
    assert row.note == "drawn from 600ms to 1s200ms, there from 450ms to 1s350ms: the mean is the same"
    wide = retries(tmp_path, "waitDuration: 900ms", "enableRandomizedWait: true", "randomizedWaitFactor: 0.9")
    assert (wide["backoff"], wide["jitter"]) == ("1s800ms", "full")
    none = retries(tmp_path, "waitDuration: 900ms", "enableRandomizedWait: true", "randomizedWaitFactor: 0")
    assert (none["backoff"], none["jitter"]) == ("900ms", "none")


@given(st.integers(1, 100_000), st.sampled_from(["0.01", "0.2", "0.5", "0.66", "0.7", "0.99"]))
def test_the_engine_draws_the_mean_that_was_written(wait_ms: int, factor: str) -> None:
    jitter = jittered(Fraction(factor))
    core = CorePolicy(
        "erp", backoff_ms=round(wait_ms * jitter.scale), cap_ms=round(wait_ms * jitter.scale), jitter=jitter.kind
    )
    drawn = [backoff(core, f"key{number}", 1) for number in range(400)]
    assert abs(sum(drawn) / 400 - wait_ms) < wait_ms * 0.12 + 2
    assert wait_ms * jitter.low - 2 <= min(drawn) <= max(drawn) <= wait_ms * jitter.high + 2


@given(
    st.integers(0, 60_000),
    st.sampled_from([1.0, 2.0]),
    st.one_of(st.none(), st.integers(1, 600_000)),
    st.integers(1, 40),
)
def test_the_engine_waits_as_resilience4j_does(
    first_ms: int, multiplier: float, longest_ms: int | None, attempts: int
) -> None:
    waits = waits_of(first_ms, multiplier, longest_ms, attempts)
    assert doubled(waits) == waits
    core = CorePolicy("erp", backoff_ms=waits[0], cap_ms=max(waits), jitter="none")
    assert [backoff(core, "key", attempt) for attempt in range(1, len(waits) + 1)] == waits


def test_waits_are_cut_to_milliseconds_as_doubles_are() -> None:
    # 1000 * 1.001 is a hair below 1001 as a double, and Java cuts it off.
    assert waits_of(1_000, 1.001, None, 3) == [1_000, int(1_000 * 1.001)]


def test_flags_without_a_wait_in_their_place_have_no_effect_there_and_so_none_here(tmp_path: Path) -> None:
    text = (
        "resilience4j.retry:\n  configs:\n    slow: {waitDuration: 4s, randomizedWaitFactor: 0.1}\n  instances:\n"
        "    portal: {baseConfig: slow, enableExponentialBackoff: true}\n"
    )
    found = imported(tmp_path, text)
    assert found.policies["policies"]["delivery"]["supplier"]["retries"]["cap"] == "4s"
    told = {row.field: row.note for row in found.rows}
    assert "; its default holds" in told["retry.enableExponentialBackoff"]
    assert told["retry.randomizedWaitFactor"] == "no effect without its enable flag"
    # The other way round it has one: a flag is inherited, and so is the multiplier.
    text = text.replace("waitDuration: 4s, ", "enableExponentialBackoff: true, exponentialBackoffMultiplier: 2, ")
    text = text.replace("enableExponentialBackoff: true}", "waitDuration: 4s, maxAttempts: 4}")
    assert policy(tmp_path, text)["retries"]["cap"] == "16s"


# --- shared configurations


def shared(*lines: str) -> str:
    return "resilience4j.bulkhead:\n" + "".join(f"  {line}\n" for line in lines)


def test_an_instance_inherits_from_its_base_and_that_one_from_its_own_and_the_default(tmp_path: Path) -> None:
    text = shared(
        "configs:",
        "  default: {maxWaitDuration: 7ms}",
        "  wide: {maxConcurrentCalls: 80}",
        "  near: {baseConfig: wide}",
        "instances:",
        "  portal: {baseConfig: near}",
    )
    found = imported(tmp_path, text)
    assert found.policies["policies"]["delivery"]["supplier"] == {"bulkhead": 80}
    assert [(row.value, row.said) for row in found.rows] == [
        ("80", "line 4 (configs.wide)"),
        ("7ms", "line 3 (configs.default)"),
    ]
    assert found.rows[1].note.endswith("only newer versions look below a baseConfig for configs.default")


def test_a_shared_configuration_of_the_breaker_does_not_go_on_to_the_default(tmp_path: Path) -> None:
    text = (
        "resilience4j.circuitbreaker:\n  configs:\n    default: {failureRateThreshold: 10}\n"
        "    near: {slidingWindowSize: 7}\n    portal: {failureRateThreshold: 33.3}\n"
        "  instances:\n    portal: {}\n    erp: {baseConfig: near}\n    wms: {}\n"
    )
    found = imported(tmp_path, text, portal="supplier", erp="erp", wms="warehouse").policies["policies"]["delivery"]
    assert [found[name]["breaker"]["failures"] for name in ("supplier", "erp", "warehouse")] == ["33.3%", "50%", "10%"]


def test_a_base_that_is_not_there_or_goes_in_a_circle_is_told(tmp_path: Path) -> None:
    text = shared("configs:", "  near: {}", "instances:", "  portal: {baseConfig: nera}")
    assert problems(tmp_path, text) == [
        "r4j.yml:5: bulkhead.baseConfig: unknown configuration 'nera'; configurations of bulkhead here: near "
        "(did you mean 'near'?)"
    ]
    text = shared("configs:", "  a: {baseConfig: b}", "  b: {baseConfig: a}", "instances:", "  portal: {baseConfig: a}")
    assert problems(tmp_path, text) == [
        "r4j.yml:4: bulkhead.baseConfig goes in a circle: a -> b -> a; let the last one stand alone"
    ]


# --- what is refused


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, fields in FIELDS.items() for field in fields])
def test_no_field_that_a_file_says_is_left_out_silently(tmp_path: Path, name: str, field: str) -> None:  # PL-03
    text = module(name, f"{field}: {FIELDS[name][field] or '1s'}")
    if field in REFUSED_FIELDS[name]:
        (told,) = problems(tmp_path, text)
        assert told.startswith(f"r4j.yml:5: {name}.{field}: it is not imported: ")
    else:
        rows = [row for row in imported(tmp_path, text).rows if row.field == f"{name}.{field}"]
        assert [row.said for row in rows] == ["line 5"]
        assert rows[0].settings or rows[0].note


REFUSED = [
    ("retry", "ignoreExceptions: [java.io.IOException]"),
    ("retry", "retryExceptions: [java.io.IOException]"),
    ("retry", "retryExceptionPredicate: com.example.Mine"),
    ("retry", "resultPredicate: com.example.Mine"),
    ("retry", "intervalBiFunction: com.example.Mine"),
    ("retry", "consumeResultBeforeRetryAttempt: com.example.Mine"),
    ("circuitbreaker", "recordExceptions: [java.io.IOException]"),
    ("circuitbreaker", "ignoreExceptions: [java.io.IOException]"),
    ("circuitbreaker", "recordFailurePredicate: com.example.Mine"),
    ("circuitbreaker", "recordResultPredicate: com.example.Mine"),
    ("circuitbreaker", "ignoreExceptionPredicate: com.example.Mine"),
    ("circuitbreaker", "maxWaitDurationInHalfOpenState: 10s"),
    ("circuitbreaker", "enableExponentialBackoff: true"),
    ("circuitbreaker", "enableRandomizedWait: true"),
    ("circuitbreaker", "initialState: FORCED_OPEN"),
]


@pytest.mark.parametrize(("name", "field"), REFUSED)
def test_a_field_without_a_counterpart_is_refused_by_name_with_its_line_and_a_remedy(
    tmp_path: Path, name: str, field: str
) -> None:
    (told,) = problems(tmp_path, module(name, field))
    assert told.startswith(f"r4j.yml:5: {name}.{field.partition(':')[0]}: it is not imported: ")
    assert any(remedy in told for remedy in ("take it out", "write 0", "write CLOSED", "write false"))


def test_a_refused_field_that_says_nothing_is_let_through(tmp_path: Path) -> None:
    quiet = ("ignoreExceptions: []", "maxWaitDurationInHalfOpenState: 0", "initialState: CLOSED")
    assert policy(tmp_path, module("circuitbreaker", *quiet, "enableRandomizedWait: false"))["breaker"]["calls"] == 100


def test_everything_that_is_wrong_is_told_at_once_and_what_is_inherited_once(tmp_path: Path) -> None:
    text = (
        "resilience4j.retry:\n  configs:\n    default: {ignoreExceptions: [a.B]}\n  instances:\n"
        "    portal: {maxAttempts: 0}\n    erp: {waitDuration: soon}\n"
    )
    told = problems(tmp_path, text, portal="supplier", erp="erp")
    assert [one.partition(": ")[0] for one in told] == ["r4j.yml:3", "r4j.yml:5", "r4j.yml:6"]
    assert "maxAttempts: 0 is out of range; write 1 or more" in told[1]


WRONG = [
    ("retry", "waitDuration: 500 ms", "'500 ms' is no duration of Spring Boot; write one whole number with ns, us"),
    ("retry", "waitDuration: 1h30m", "'1h30m' is no duration"),
    ("retry", "waitDuration: -5s", "-5s is negative; a duration is 0ms or more"),
    ("retry", "waitDuration: 0.5", "'0.5' is no duration"),
    ("retry", "waitDuration: true", "'true' is no duration"),
    ("retry", "waitDuration: 700us", "700us is finer than a millisecond"),
    ("retry", "waitDuration: 36526d", "36526d is longer than any run; write at most 36525d"),
    ("retry", "waitDuration: [1s]", "expected a duration like 500ms, got a map or a list"),
    ("retry", "waitDuration: '${WAIT:1s}'", "'${WAIT:1s}' stands for a value that this file does not hold"),
    ("retry", "maxAttempts: many", "'many' is no whole number"),
    ("retry", "maxAttempts: 2.0", "'2.0' is no whole number"),
    ("retry", "enableRandomizedWait: maybe", "'maybe' is neither true nor false"),
    ("retry", "exponentialBackoffMultiplier: two", "'two' is no number"),
    ("retry", "randomizedWaitFactor: 1", "1 is out of range; write 0 or more, less than 1"),
    ("circuitbreaker", "randomizedWaitFactor: 1", "1 is out of range; write 0 or more, less than 1"),
    ("circuitbreaker", "failureRateThreshold: 50%", "'50%' is no number; write digits like 50 or 1.5, without a unit"),
    ("circuitbreaker", "failureRateThreshold: 101", "101 is out of range; write a percentage from 1 to 100"),
    ("circuitbreaker", "failureRateThreshold: 33.33333", "33.33333 is finer than a part per million"),
    ("circuitbreaker", "slidingWindowType: TIME", "'TIME' is no type of window; write COUNT_BASED or TIME_BASED"),
    ("circuitbreaker", "slidingWindowSize: 0", "0 is out of range"),
    ("circuitbreaker", "waitDurationInOpenState: 0", "0ms holds nothing up"),
    ("ratelimiter", "limitRefreshPeriod: 0", "a period of 0 is none"),
    ("timelimiter", "timeoutDuration: 0s", "0ms is no time to answer in"),
    ("bulkhead", "maxConcurrentCalls: -1", "-1 is out of range"),
]


@pytest.mark.parametrize(("name", "field", "text"), WRONG)
def test_a_wrong_value_is_told_with_its_line_and_what_would_be_right(
    tmp_path: Path, name: str, field: str, text: str
) -> None:
    told = problems(tmp_path, module(name, field))
    assert len(told) == 1, told
    assert told[0].startswith(f"r4j.yml:5: {name}.{field.partition(':')[0]}: {text}")


UNUSABLE: list[tuple[str | bytes, str]] = [
    ("", "r4j.yml: the file is empty; Resilience4j's settings stand under the key resilience4j"),
    ("a: [1\n", "r4j.yml:2: not valid YAML: "),
    ("- 1\n", "r4j.yml:1: expected keys such as resilience4j, got a list"),
    (b"\x89PNG\r\n\x1a\n\x00\xff", "r4j.yml:1: byte 0x89 is not UTF-8"),
    (b"a: \x00\x01\n", "r4j.yml:1: not valid YAML: the character U+0000 is not allowed"),
    (
        "spring: {a: 1}\n",
        "r4j.yml: there is no key resilience4j; the keys here are spring; "
        "sourcing rules stand under data (Spree), or links or items (Adobe Commerce)",
    ),
    ("resilience4j: {}\n", "r4j.yml: there is no instance; write some under resilience4j.retry.instances"),
    ("resilience4j: 5\n", "r4j.yml:1: expected keys such as retry and circuitbreaker, got one value or a list"),
    (
        "resilience4j: {retri: {instances: {portal: {}}}}\n",
        "r4j.yml:1: unknown module 'retri'; modules here: retry, circuitbreaker, ratelimiter, timelimiter, bulkhead "
        "(did you mean 'retry'?)",
    ),
    (
        "resilience4j.thread-pool-bulkhead: {instances: {portal: {maxThreadPoolSize: 2}}}\n",
        "r4j.yml:1: resilience4j.thread-pool-bulkhead is not imported: a thread pool with its own queue has no",
    ),
    (module("retry", "maxRetryAttempts: 3"), "r4j.yml:5: unknown field 'maxRetryAttempts'; fields of retry here: "),
    ("resilience4j.retry: {backends: {portal: {}}}\n", "r4j.yml:1: retry.backends is not imported: write its inst"),
    ("resilience4j.retry: {instance: {portal: {}}}\n", "r4j.yml:1: unknown key 'retry.instance'; keys here: "),
    (
        "resilience4j.retry: {retryAspectOrder: 3, instances: {portal: {}}}\n",
        "r4j.yml:1: retry.retryAspectOrder is not imported: the engine's order is Resilience4j's default one",
    ),
    ("resilience4j.retry: {instances: {portal: 5}}\n", "r4j.yml:1: expected fields, got one value or a list"),
    (module("retry", "maxAttempts: 2", "max-attempts: 3"), "r4j.yml:6: retry.maxAttempts stands twice, in two spell"),
    (module("retry", "maxAttempts: 2", "maxAttempts: 3"), "r4j.yml:6: the key 'maxAttempts' stands twice; first in"),
    (
        "resilience4j.bulkhead: {instances: {portal: {}}}\nresilience4j: {Bulkhead: {instances: {portal: {}}}}\n",
        "r4j.yml:2: bulkhead.instances.portal stands twice; first in line 1",
    ),
    ("resilience4j.retry: {instances: {portal: {}}}\n---\na: 1\n", "r4j.yml:2: not valid YAML: "),
]


def test_java_properties_are_told_and_how_they_read_as_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """PL-03: the form that the message gives is read."""
    path = tmp_path / "application.properties"
    path.write_text("resilience4j.retry.instances.a.max-attempts=3\n", encoding="utf-8")
    with pytest.raises(
        ScenarioError, match=r"application\.properties: Java properties are not read; give the same as YAML"
    ):
        read_configuration(path)
    assert main(["policies", str(path), "--bind", "a=erp"]) == 2
    told = capsys.readouterr().err
    written = re.search(r"`(resilience4j\S+: 3)`", told)
    assert written is not None
    path.with_suffix(".yml").write_text(f"{written[1]}\n", encoding="utf-8")
    assert read_configuration(path.with_suffix(".yml")).instances["a"]


def test_the_page_names_every_gateway_that_an_instance_can_be_bound_to() -> None:
    """PL-03: two were missing."""
    page = (Path(__file__).resolve().parents[2] / "docs/policies_import.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| `--bind NAME=GATEWAY`")]
    assert [name for name in TARGETS if f"`{name}`" not in row] == []


@pytest.mark.parametrize(("text", "told"), UNUSABLE)
def test_a_file_that_cannot_be_used_is_told_by_its_place(tmp_path: Path, text: str | bytes, told: str) -> None:
    (first, *_) = problems(tmp_path, text)
    assert first.startswith(told)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "r4j.yml"
    path.write_bytes(b"resilience4j.retry:\n " + raw)
    try:
        read_configuration(path)
    except ScenarioError as error:
        assert error.problems


# --- durations


@given(st.integers(0, 10**12))
def test_a_duration_is_the_same_in_every_spelling_and_comes_back_from_a_scenario_unchanged(value_ms: int) -> None:
    seconds, rest = divmod(value_ms, 1_000)
    for text in (value_ms, str(value_ms), f"{value_ms}ms", f"{value_ms}MS", f"PT{seconds}.{rest:03d}S"):
        assert parse_duration_ms(text) == value_ms
    assert units.parse_duration(units.format_duration(parse_duration_ms(value_ms))) == value_ms


@given(
    st.integers(0, 10**9), st.sampled_from([("ns", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9), ("d", 864 * 10**11)])
)
def test_a_unit_is_worth_what_spring_boot_says(number: int, unit: tuple[str, int]) -> None:
    assert parse_duration_ns(f"{number}{unit[0]}") == number * unit[1]
    assert parse_duration_ns("P1DT2H3M4.5S") == (86_400 + 7_200 + 180 + 4) * 10**9 + 5 * 10**8


# --- the command

BIND = ("--bind", "portal=supplier", "--bind", "erp=erp", "--bind", "pricing=none")


def test_the_command_shows_every_field_and_the_fragment(told: Told) -> None:
    code, out, err = told("policies", SAMPLE, *BIND)
    assert (code, err) == (0, "")
    assert "portal to supplier: circuitbreaker" in out
    assert "line 18 (configs.outside)" in out
    assert out.endswith("      timeout: 1s  # timelimiter.timeoutDuration 1s (default)\n")


def test_the_command_writes_the_fragment_again_and_over_nothing_else(told: Told, tmp_path: Path) -> None:
    out = tmp_path / "fragment.yaml"
    for _ in range(2):
        code, shown, _ = told("policies", SAMPLE, *BIND, "--out", out)
        assert code == 0
        assert shown.endswith(f"fragment: {out}\n")
    assert out.read_text(encoding="utf-8").startswith("# Delivery policies read from Resilience4j's settings in ")
    out.write_text("schema: 1\n", encoding="utf-8")
    code, shown, err = told("policies", SAMPLE, *BIND, "--out", out)
    assert (code, shown) == (2, "")
    assert "there is a file that is not a fragment of policies" in err
    assert out.read_text(encoding="utf-8") == "schema: 1\n"


def test_a_fragment_that_cannot_be_written_leaves_the_earlier_one_as_it_is(told: Told, tmp_path: Path) -> None:
    out = tmp_path / "fragment.yaml"
    assert told("policies", SAMPLE, *BIND, "--out", out)[0] == 0
    earlier = out.read_text(encoding="utf-8") + "# mine\n"
    out.write_text(earlier, encoding="utf-8")
    (tmp_path / ".fragment.yaml.unfinished").symlink_to(tmp_path / "nowhere" / "file")
    code, shown, err = told("policies", SAMPLE, *BIND, "--out", out)
    assert (code, shown) == (2, "")
    assert "fragment.yaml.unfinished: No such file or directory" in err
    assert [path.name for path in tmp_path.iterdir()] == ["fragment.yaml"]
    assert out.read_text(encoding="utf-8") == earlier


def test_the_command_gives_json(told: Told) -> None:
    code, out, _ = told("policies", SAMPLE, *BIND, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["fragment"]["policies"]["delivery"]["supplier"]["bulkhead"] == 10
    assert found["rows"][0] == {
        "instance": "portal",
        "gateway": "supplier",
        "field": "retry.maxAttempts",
        "value": "5",
        "said": "line 32",
        "becomes": {"retries.max": 4},
        "note": "counts the first attempt, retries do not; what a partner refuses for good is not repeated here",
    }
    assert found["remarks"][0] == "pricing is left out: it is bound to none"


def test_an_instance_that_nobody_binds_is_told_and_nothing_is_written(told: Told, tmp_path: Path) -> None:
    out = tmp_path / "fragment.yaml"
    code, shown, err = told("policies", SAMPLE, "--bind", "portal=supplier", "--out", out)
    assert (code, shown) == (2, "")
    assert not out.exists()
    assert err.splitlines() == [
        f"{SAMPLE}:24: nobody binds the instance 'erp' (circuitbreaker, retry, ratelimiter, timelimiter); add --bind "
        "erp=GATEWAY with one of default, warehouse, supplier, carrier, erp, marketplace, decision, inventory, or none "
        "to leave it out",
        f"{SAMPLE}:40: nobody binds the instance 'pricing' (retry); add --bind pricing=GATEWAY with one of default, "
        "warehouse, supplier, carrier, erp, marketplace, decision, inventory, or none to leave it out",
    ]


def test_a_refused_field_leaves_an_earlier_fragment_as_it_was(told: Told, tmp_path: Path) -> None:
    out, path = tmp_path / "fragment.yaml", tmp_path / "r4j.yml"
    told("policies", SAMPLE, *BIND, "--out", out)
    before = out.read_text(encoding="utf-8")
    path.write_text(module("retry", "ignoreExceptions: [a.B]"), encoding="utf-8")
    code, shown, err = told("policies", path, "--bind", "portal=supplier", "--out", out)
    assert (code, shown) == (2, "")
    assert err.startswith(f"twin: {path}:5: retry.ignoreExceptions: it is not imported: ")
    assert out.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("bind", "text"),
    [
        ("portal", "--bind portal: give NAME=GATEWAY, as in portal=supplier"),
        ("=supplier", "--bind =supplier: give NAME=GATEWAY, as in portal=supplier"),
        ("portl=supplier", "unknown instance 'portl'; instances here: portal, erp, pricing (did you mean 'portal'?)"),
        ("portal=suplier", "unknown gateway 'suplier'; gateways here: default, warehouse, supplier, carrier, erp, "),
    ],
)
def test_a_binding_of_what_is_not_there_is_told(told: Told, bind: str, text: str) -> None:
    code, shown, err = told("policies", SAMPLE, "--bind", bind)
    assert (code, shown) == (2, "")
    assert text in err


def test_two_instances_of_one_module_do_not_go_to_one_gateway(told: Told) -> None:
    code, shown, err = told("policies", SAMPLE, "--bind", "portal=erp", "--bind", "erp=erp", "--bind", "pricing=none")
    assert (code, shown) == (2, "")
    assert (
        f"{SAMPLE}:37: 'erp' and 'portal' are both bound to erp, and both have a retry; bind one of them elsewhere, "
        "or to none\n"
    ) in err
    code, _, err = told("policies", SAMPLE, *BIND, "--bind", "portal=warehouse")
    assert code == 2
    assert "'portal' is bound to supplier already, and an instance is one; bind it to default" in err


def test_two_instances_of_different_modules_make_one_policy(tmp_path: Path) -> None:
    text = "resilience4j: {retry: {instances: {again: {}}}, bulkhead: {instances: {limit: {}}}}\n"
    found = policy(tmp_path, text, again="supplier", limit="supplier")
    assert list(found) == ["retries", "bulkhead"]


def test_a_folder_and_a_file_that_is_not_there_are_told(told: Told, tmp_path: Path) -> None:
    assert told("policies", tmp_path)[2] == f"twin: {tmp_path}: this is a folder; name the YAML file in it\n"
    assert told("policies", tmp_path / "no.yml")[2] == f"twin: {tmp_path}/no.yml: no such file\n"
    code, _, err = told("policies", SAMPLE, *BIND, "--out", tmp_path)
    assert code == 2
    assert "it is a folder; give a file" in err


def test_a_fragment_that_extends_nothing_is_not_written(told: Told, tmp_path: Path) -> None:  # PL-03
    out = tmp_path / "fragment.yaml"
    code, shown, err = told("policies", SAMPLE, *BIND, "--extends", "none.yaml", "--out", out)
    assert (code, shown) == (2, "")
    assert err == (
        f"twin: --extends none.yaml: there is no {tmp_path}/none.yaml; give its path from the fragment's folder\n"
    )
    assert not out.exists()


def test_a_run_waits_between_attempts_as_production_does(told: Told, tmp_path: Path) -> None:  # PL-03
    binding = ("--bind", "portal=erp", "--bind", "erp=none", "--bind", "pricing=none")
    assert told("policies", SAMPLE, *binding, "--extends", BUSINESS, "--out", tmp_path / "fragment.yaml")[0] == 0
    (tmp_path / "mine.yaml").write_text(
        "schema: 1\nextends: fragment.yaml\ntitle: The ERP answers with errors\nrun: {drain: 4d}\n"
        "faults:\n  - {kind: error, interface: erp, from: 20h, for: 4h, probability: 100%}\n"
        "expect: [{kind: invariants}]\n",
        encoding="utf-8",
    )
    code, _, err = told("run", tmp_path / "mine.yaml", "--out", tmp_path / "run", "--no-report", "--quiet")
    assert code == 0, err
    with connect(tmp_path / "run") as connection:
        failed = connection.sql(
            "select (payload ->> 'attempt')::int, (payload ->> 'retry_at')::bigint - e.\"at\" from events e "
            "where type = 'delivery.failed' and payload ->> 'delivery' like 'INV/%'"
        ).fetchall()
        dead = connection.sql(
            "select payload ->> 'reason' from events where type = 'delivery.dead_lettered'"
        ).fetchall()
    assert set(failed) == {(1, 500), (2, 1_000), (3, 2_000), (4, 3_000)}
    assert dead
    assert all(reason.startswith("retries used up: ") for (reason,) in dead)
