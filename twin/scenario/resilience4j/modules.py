"""What each module of Resilience4j means to the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import gcd
from typing import Final

from twin.scenario.limits import EVENTS_PER_SECOND_MAX
from twin.scenario.resilience4j.mapper import Mapper
from twin.scenario.resilience4j.spring import (
    MS_NS,
    loose,
    parse_duration_ms,
    parse_duration_ns,
    parse_flag,
    parse_number,
    parse_whole,
)
from twin.scenario.resilience4j.waits import doubled, jittered, waits_of
from twin.scenario.units import Rate, format_decimal, format_duration, format_percent, format_rate

__all__ = ["MAPPERS"]

SECOND_MS: Final = 1_000
WAITS: Final = "a message waits in the send queue up to its deadline; there a call fails after this time"


def _retry(mapper: Mapper) -> None:
    attempts = mapper.read("maxAttempts", parse_whole)
    mapper.row(
        "maxAttempts",
        {"retries.max": attempts - 1},
        "counts the first attempt, retries do not; what a partner refuses for good is not repeated here",
    )
    _waits(mapper, attempts)
    mapper.always("retries.retry_after", False, "it does not look at an answer's Retry-After")
    mapper.always("retries.budget", None if mapper.gateway == "default" else "none", "it has no retry budget")
    mapper.always("retries.permanent", (), "it repeats whatever the reason is")


def _waits(mapper: Mapper, attempts: int) -> None:
    """Backoff, cap and jitter.

    Resilience4j makes a wait only where a `waitDuration` stands: flags that stand nearer than it have no effect, and
    of what lies farther the factor of the randomization is not taken over.
    """
    levels = mapper.instance.levels
    begin = next((index for index, level in enumerate(levels) if "waitDuration" in level.fields), len(levels))
    first_ms = mapper.read("waitDuration", parse_duration_ms)
    exponential = mapper.read("enableExponentialBackoff", parse_flag, begin)
    randomized = mapper.read("enableRandomizedWait", parse_flag, begin)
    multiplier = mapper.read("exponentialBackoffMultiplier", parse_number, begin) if exponential else Fraction(1)
    factor = mapper.read("randomizedWaitFactor", _factor, begin, begin + 1) if randomized else Fraction(0)
    longest = mapper.read("exponentialMaxWaitDuration", _optional_ms, begin) if exponential else None
    if (exponential or randomized) and not first_ms:
        mapper.refuse("waitDuration", "a wait of 0ms can be neither multiplied nor randomized; write 1ms or more")
    if multiplier <= 0:
        mapper.refuse("exponentialBackoffMultiplier", "it is not above 0; write 2")
        multiplier = Fraction(2)
    waits = waits_of(first_ms, float(multiplier), None if randomized else longest, attempts)
    if doubled(waits) != waits:
        theirs, ours = ", ".join(_some(waits)), ", ".join(_some(doubled(waits)))
        unsaid = "" if mapper.instance.find("exponentialBackoffMultiplier", begin) else " unless given"
        mapper.refuse(
            "exponentialBackoffMultiplier",
            f"it is {format_decimal(multiplier)}{unsaid}, and the engine doubles: its waits would be {ours}, "
            f"not {theirs}; write 2, or 1 for waits that stay the same",
            at="exponentialBackoffMultiplier" if not unsaid else "enableExponentialBackoff",
        )
    jitter = jittered(factor)
    cap = _ms(max(waits) * jitter.scale)
    cap = cap if longest is None else min(cap, longest)
    backoff = min(_ms(first_ms * jitter.scale), cap)
    spread = ""
    if factor:
        drawn = _range(first_ms, 1 - factor, 1 + factor)
        spread = f"drawn from {_range(first_ms, jitter.low, jitter.high)}, there from {drawn}: the mean is the same"
    mapper.row("waitDuration", {"retries.backoff": format_duration(backoff)}, spread)
    told: dict[str, tuple[Mapping[str, object], str]] = {}
    shown_cap = {"retries.cap": format_duration(cap)}
    if not exponential:
        told["enableExponentialBackoff"] = (shown_cap, "the wait does not grow, since the cap is as long")
    else:
        told["enableExponentialBackoff"] = ({}, "the backoff doubles up to the cap")
        told["exponentialBackoffMultiplier"] = ({}, "the waits of so many attempts come out the same")
        why = "as long as the last wait; there is no cap there" if longest is None else ""
        if longest is not None and factor:
            why = "at the cap waits are drawn from below it; there they all are as long as it"
        told["exponentialMaxWaitDuration"] = (shown_cap, why)
    told["enableRandomizedWait"] = ({"retries.jitter": jitter.kind}, "")
    if randomized:
        told["randomizedWaitFactor"] = ({}, f"of the kinds of jitter {jitter.kind} is nearest" if factor else "")
    for field, parse in _WAIT_FIELDS.items():
        # What has no effect must be right all the same: the application would not start.
        mapper.read(field, parse)
        _wait_row(mapper, field, begin, told.get(field))


def _wait_row(mapper: Mapper, field: str, begin: int, told: tuple[Mapping[str, object], str] | None) -> None:
    """A row for what is made of the field, or that nothing is, though the file says it."""
    last = begin + 1 if field == "randomizedWaitFactor" else None
    found, used = mapper.instance.find(field), mapper.instance.find(field, begin, last)
    overlooked = "no effect there: it is read only with a waitDuration in the same place, or nearer to the instance"
    if told is None:
        if found is not None:
            mapper.row(
                field,
                note="no effect without its enable flag" if used is not None and found[0] is used[0] else overlooked,
            )
        return
    settings, note = told
    if found is None or (used is not None and found[0] is used[0]):
        mapper.row(field, settings, note)
        return
    taken = "its default" if used is None else str(used[0].value)
    mapper.row(field, settings, f"{overlooked}; {taken} holds")


def _some(waits: list[int]) -> list[str]:
    shown = [format_duration(wait) for wait in waits[:4]]
    return [*shown, "..."] if len(waits) > 4 else shown


def _ms(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def _range(wait_ms: int, low: Fraction, high: Fraction) -> str:
    return f"{format_duration(_ms(wait_ms * low))} to {format_duration(_ms(wait_ms * high))}"


def _optional_ms(value: object) -> int | None:
    return None if value == "" else parse_duration_ms(value)


def _factor(value: object) -> Fraction:
    factor = parse_number(value)
    if not 0 <= factor < 1:
        raise ValueError(f"{value} is out of range; write 0 or more, less than 1")
    return factor


def _breaker(mapper: Mapper) -> None:
    by_time = mapper.read("slidingWindowType", _by_time)
    size = mapper.read("slidingWindowSize", parse_whole)
    least = mapper.read("minimumNumberOfCalls", parse_whole)
    trials = mapper.read("permittedNumberOfCallsInHalfOpenState", parse_whole)
    window: Mapping[str, object] = {"breaker.calls": size, "breaker.window": None}
    note = ""
    if by_time:
        window = {"breaker.window": format_duration(size * SECOND_MS), "breaker.calls": None}
        note = "here the window slides by the millisecond, there by the second"
    mapper.row(
        "slidingWindowType", note="slidingWindowSize is in seconds" if by_time else "slidingWindowSize is in calls"
    )
    mapper.row("slidingWindowSize", window, note)
    needed = least if by_time else min(least, size)
    mapper.row(
        "minimumNumberOfCalls",
        {"breaker.minimum": needed},
        "" if needed == least else "no more than the window holds, there as here",
    )
    failures = mapper.read("failureRateThreshold", _share)
    mapper.row(
        "failureRateThreshold",
        {"breaker.failures": format_percent(failures)},
        "unanswered attempts count as failed, refused ones do not; there every exception does, a full limit's too",
    )
    over = mapper.read("slowCallDurationThreshold", parse_duration_ms)
    mapper.row("slowCallDurationThreshold", {"breaker.slow.over": format_duration(over)})
    slow = mapper.read("slowCallRateThreshold", _share)
    mapper.row(
        "slowCallRateThreshold",
        {"breaker.slow.share": format_percent(slow)},
        "an attempt that fails is not counted as slow too",
    )
    opened = mapper.read("waitDurationInOpenState", parse_duration_ms)
    if not opened:
        mapper.refuse("waitDurationInOpenState", "0ms holds nothing up, and Resilience4j refuses it; write 1ms or more")
    mapper.row("waitDurationInOpenState", {"breaker.open": format_duration(opened)})
    judged = min(trials, least)
    mapper.row(
        "permittedNumberOfCallsInHalfOpenState",
        {"breaker.trials": judged},
        "" if judged == trials else f"there, too, it is judged after minimumNumberOfCalls ({judged}) of them",
    )
    mapper.row(
        "automaticTransitionFromOpenToHalfOpenEnabled",
        note="half-open begins with the first attempt that is due; no attempt goes differently",
    )
    mapper.always("breaker.calls_meanwhile", "failed", "a call fails at once while it is open")
    if mapper.read("maxWaitDurationInHalfOpenState", parse_duration_ns):
        mapper.refuse(
            "maxWaitDurationInHalfOpenState",
            "it is not imported: trials end with their timeout here, and half-open with the last of them; write 0",
        )
    if mapper.read("initialState", _loose_text) != "closed":
        mapper.refuse("initialState", "it is not imported: a breaker begins closed; write CLOSED, or take it out")
    for flag in ("enableExponentialBackoff", "enableRandomizedWait"):
        if mapper.read(flag, parse_flag):
            mapper.refuse(
                flag, "it is not imported: a breaker is open for the same time every time; write false, or take it out"
            )
    for field, parse in _OPEN_FIELDS.items():
        mapper.read(field, parse)
        if mapper.instance.find(field) is not None:
            mapper.row(field, note="no effect with this value, or without its enable flag")
    if mapper.instance.find("initialState") is not None:
        mapper.row("initialState", note="as it always is here")


_WAIT_FIELDS: Final[dict[str, Callable[[object], object]]] = {
    "enableExponentialBackoff": parse_flag,
    "exponentialBackoffMultiplier": parse_number,
    "exponentialMaxWaitDuration": _optional_ms,
    "enableRandomizedWait": parse_flag,
    "randomizedWaitFactor": _factor,
}
_OPEN_FIELDS: Final[dict[str, Callable[[object], object]]] = {
    "enableExponentialBackoff": parse_flag,
    "exponentialBackoffMultiplier": parse_number,
    "exponentialMaxWaitDurationInOpenState": _optional_ms,
    "enableRandomizedWait": parse_flag,
    "randomizedWaitFactor": _factor,
    "maxWaitDurationInHalfOpenState": parse_duration_ns,
}


def _loose_text(value: object) -> str:
    """A name of Spring Boot's enumerations, in any spelling."""
    return loose(str(value))


def _by_time(value: object) -> bool:
    kinds = {"countbased": False, "timebased": True}
    if _loose_text(value) not in kinds:
        raise ValueError(f"'{value}' is no type of window; write COUNT_BASED or TIME_BASED")
    return kinds[_loose_text(value)]


def _share(value: object) -> int:
    """Parts per million of a percentage without its sign."""
    percent = parse_number(value)
    if not 1 <= percent <= 100:
        raise ValueError(f"{value} is out of range; write a percentage from 1 to 100, without a sign")
    ppm = percent * 10_000
    if ppm.denominator != 1:
        raise ValueError(f"{value} is finer than a part per million; write at most four decimals")
    return ppm.numerator


def _rate(mapper: Mapper) -> None:
    permits = mapper.read("limitForPeriod", parse_whole)
    period_ns = mapper.read("limitRefreshPeriod", parse_duration_ns)
    wait_ms = mapper.read("timeoutDuration", parse_duration_ms)
    if not period_ns:
        mapper.refuse("limitRefreshPeriod", "a period of 0 is none; write 1s or another time")
        return
    a_second = Fraction(permits * SECOND_MS * MS_NS, period_ns)
    if a_second > EVENTS_PER_SECOND_MAX:
        # The default period is half a microsecond: who leaves it unsaid has no limit.
        many = f"{int(a_second)}/s"
        mapper.row("limitForPeriod", {"burst": None})
        mapper.row(
            "limitRefreshPeriod",
            {"rate": "none"},
            f"{many} is more than the {EVENTS_PER_SECOND_MAX}/s that a scenario can say, and no limit to its messages",
        )
    else:
        common = gcd(permits * MS_NS, period_ns)
        rate = format_rate(Rate(permits * MS_NS // common, period_ns // common))
        mapper.row("limitForPeriod", {"burst": permits}, "so many at once, and then evenly (GCRA)")
        mapper.row(
            "limitRefreshPeriod",
            {"rate": rate},
            "there all of them at the start of each period: up to twice as many around it",
        )
    mapper.row("timeoutDuration", note=WAITS, value=format_duration(wait_ms) if wait_ms else "0")


def _time(mapper: Mapper) -> None:
    timeout_ms = mapper.read("timeoutDuration", parse_duration_ms)
    if not timeout_ms:
        mapper.refuse("timeoutDuration", "0ms is no time to answer in; write 1ms or more")
    mapper.row("timeoutDuration", {"timeout": format_duration(timeout_ms)}, "of one attempt, there too")
    mapper.read("cancelRunningFuture", parse_flag)
    mapper.row(
        "cancelRunningFuture",
        note="nothing is called back: what timed out may have been done, and a late answer still counts",
    )


def _bulkhead(mapper: Mapper) -> None:
    most = mapper.read("maxConcurrentCalls", parse_whole)
    wait_ms = mapper.read("maxWaitDuration", parse_duration_ms)
    gateway = mapper.gateway
    pool = f"to each partner; for all of them together give pools: {{{gateway}: {most}}} and pool: {gateway}"
    mapper.row("maxConcurrentCalls", {"bulkhead": most}, "" if gateway == "erp" else pool)
    mapper.row("maxWaitDuration", note=WAITS, value=format_duration(wait_ms) if wait_ms else "0")


MAPPERS: Final[dict[str, Callable[[Mapper], None]]] = {
    "retry": _retry,
    "circuitbreaker": _breaker,
    "ratelimiter": _rate,
    "timelimiter": _time,
    "bulkhead": _bulkhead,
}
