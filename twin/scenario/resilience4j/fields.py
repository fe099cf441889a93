"""Every field of Resilience4j that is known here: what it is unless given, or why it is not imported.

Names, defaults and meanings are those of its documentation and of the properties classes of its Spring Boot modules.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FIELDS", "NO_EFFECT", "REFUSED", "REFUSED_KEYS", "REFUSED_MODULES", "SILENT_KEYS", "SILENT_MODULES"]

FIELDS: Final[dict[str, dict[str, str]]] = {
    "retry": {
        "maxAttempts": "3",
        "waitDuration": "500ms",
        "enableExponentialBackoff": "false",
        "exponentialBackoffMultiplier": "1.5",
        "exponentialMaxWaitDuration": "",
        "enableRandomizedWait": "false",
        "randomizedWaitFactor": "0.5",
        "failAfterMaxAttempts": "false",
        "retryExceptions": "",
        "ignoreExceptions": "",
        "retryExceptionPredicate": "",
        "resultPredicate": "",
        "intervalBiFunction": "",
        "consumeResultBeforeRetryAttempt": "",
        "eventConsumerBufferSize": "100",
    },
    "circuitbreaker": {
        "slidingWindowType": "COUNT_BASED",
        "slidingWindowSize": "100",
        "minimumNumberOfCalls": "100",
        "failureRateThreshold": "50",
        "slowCallDurationThreshold": "60s",
        "slowCallRateThreshold": "100",
        "waitDurationInOpenState": "60s",
        "permittedNumberOfCallsInHalfOpenState": "10",
        "maxWaitDurationInHalfOpenState": "0",
        "automaticTransitionFromOpenToHalfOpenEnabled": "false",
        "enableExponentialBackoff": "false",
        "exponentialBackoffMultiplier": "1.5",
        "exponentialMaxWaitDurationInOpenState": "",
        "enableRandomizedWait": "false",
        "randomizedWaitFactor": "0.5",
        "initialState": "CLOSED",
        "recordExceptions": "",
        "ignoreExceptions": "",
        "recordFailurePredicate": "",
        "recordResultPredicate": "",
        "ignoreExceptionPredicate": "",
        "ignoreClassBindingExceptions": "false",
        "ignoreUnknownExceptions": "false",
        "registerHealthIndicator": "false",
        "allowHealthIndicatorToFail": "false",
        "writableStackTraceEnabled": "true",
        "eventConsumerBufferSize": "100",
    },
    "ratelimiter": {
        "limitForPeriod": "50",
        "limitRefreshPeriod": "500ns",
        "timeoutDuration": "5s",
        "registerHealthIndicator": "false",
        "allowHealthIndicatorToFail": "false",
        "subscribeForEvents": "false",
        "writableStackTraceEnabled": "true",
        "eventConsumerBufferSize": "100",
    },
    "timelimiter": {
        "timeoutDuration": "1s",
        "cancelRunningFuture": "true",
        "eventConsumerBufferSize": "100",
    },
    "bulkhead": {
        "maxConcurrentCalls": "25",
        "maxWaitDuration": "0",
        "writableStackTraceEnabled": "true",
        "eventConsumerBufferSize": "100",
    },
}
"""By module, in the order in which Resilience4j's aspects stand around a call; each with its default (empty: none)."""

_EXCEPTIONS: Final = "the engine knows outcomes (failed, unknown, refused), no classes of exceptions"

REFUSED: Final[dict[str, dict[str, str]]] = {
    "retry": {
        "retryExceptions": f"{_EXCEPTIONS}; take it out, and list in the scenario, under retries.permanent, "
        "what is not repeated",
        "ignoreExceptions": f"{_EXCEPTIONS}; take it out, and list in the scenario, under retries.permanent, "
        "the reasons (such as 404)",
        "retryExceptionPredicate": f"{_EXCEPTIONS}; take it out, and use retries.permanent in the scenario",
        "resultPredicate": "a class of the application cannot be run here; take it out, and let the interface fail so",
        "intervalBiFunction": "a class of the application cannot be run here; take it out, and say waitDuration",
        "consumeResultBeforeRetryAttempt": "a class of the application cannot be run here; take it out",
    },
    "circuitbreaker": {
        "recordExceptions": f"{_EXCEPTIONS}; take it out: failed and unknown attempts count, refused ones do not",
        "ignoreExceptions": f"{_EXCEPTIONS}; take it out: failed and unknown attempts count, refused ones do not",
        "recordFailurePredicate": f"{_EXCEPTIONS}; take it out: failed and unknown attempts count",
        "recordResultPredicate": "a class of the application cannot be run here; take it out",
        "ignoreExceptionPredicate": f"{_EXCEPTIONS}; take it out: failed and unknown attempts count",
    },
    "ratelimiter": {},
    "timelimiter": {},
    "bulkhead": {},
}
"""Fields that change what happens and have no counterpart: why, and what to do."""

NO_EFFECT: Final[dict[str, str]] = {
    "registerHealthIndicator": "health only; no call goes differently",
    "allowHealthIndicatorToFail": "health only; no call goes differently",
    "eventConsumerBufferSize": "monitoring only; no call goes differently",
    "subscribeForEvents": "monitoring only; no call goes differently",
    "writableStackTraceEnabled": "logging only; no call goes differently",
    "ignoreClassBindingExceptions": "about loading classes only; no call goes differently",
    "ignoreUnknownExceptions": "about loading classes only; no call goes differently",
    "failAfterMaxAttempts": "a delivery that has used up its retries is a dead letter in either case",
}
"""Fields that change no call."""

REFUSED_MODULES: Final[dict[str, str]] = {
    "threadpoolbulkhead": "a thread pool with its own queue has no counterpart; write a bulkhead with "
    "maxConcurrentCalls instead, or pools in the scenario"
}
SILENT_MODULES: Final = ("micrometer", "scheduled")
"""Timers of monitoring, and threads of the application."""

_ORDER: Final = (
    "the engine's order is Resilience4j's default one, Retry(CircuitBreaker(RateLimiter(TimeLimiter(Bulkhead)))); "
    "take it out if production has that order too"
)
REFUSED_KEYS: Final[dict[str, str]] = {f"{module}aspectorder": _ORDER for module in FIELDS}
"""Keys of a module beside its instances and configurations."""
SILENT_KEYS: Final = ("metrics", "tags")
