"""Each field of an instance becomes a setting of a delivery policy, or is refused; nothing is left out silently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from twin.scenario.delivery import GATEWAYS, DeliveryPolicy
from twin.scenario.errors import Problem, ScenarioError
from twin.scenario.resilience4j.configuration import Configuration, Instance
from twin.scenario.resilience4j.fields import FIELDS
from twin.scenario.resilience4j.mapper import Mapper, Row
from twin.scenario.resilience4j.modules import MAPPERS
from twin.scenario.units import format_duration

__all__ = ["LEFT_OUT", "TARGETS", "Imported", "import_policies"]

TARGETS: Final[tuple[str, ...]] = ("default", *GATEWAYS)
"""What an instance can be bound to: all partners, or one kind of them."""
LEFT_OUT: Final = "none"
"""Written for an instance that has no counterpart in the twin."""


class Imported(Struct, frozen=True):
    """What a file became."""

    file: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]
    """What the fragment does not say, though production has something there"""

    @property
    def policies(self) -> dict[str, Any]:
        """The scenario's fragment: `{"policies": {"delivery": {...}}}`. A null removes what a base may say."""
        delivery: dict[str, Any] = {}
        for row in self.rows:
            for path, value in row.settings:
                *above, last = (row.gateway, *path)
                here = delivery
                for key in above:
                    here = here.setdefault(key, {})
                here[last] = [] if value == () else value
        return {"policies": {"delivery": delivery}}


def import_policies(configuration: Configuration, bindings: Mapping[str, str]) -> Imported:
    """The delivery policies of every bound instance: `bindings` gives each a gateway of `TARGETS`, or `LEFT_OUT`.

    Raises `ScenarioError` with every field that cannot be imported, every instance that nobody binds, and every gateway
    that would get two instances of one module.
    """
    problems = _unbound(configuration, bindings)
    rows: list[Row] = []
    remarks: list[str] = []
    taken: dict[tuple[str, str], Instance] = {}
    for name, gateway in bindings.items():
        if gateway == LEFT_OUT:
            remarks.append(f"{name} is left out: it is bound to {LEFT_OUT}")
            continue
        for module in (module for module in FIELDS if module in configuration.instances[name]):
            instance = configuration.instance(name, module, problems)
            other = taken.setdefault((gateway, module), instance)
            if other is not instance:
                text = (
                    f"'{name}' and '{other.name}' are both bound to {gateway}, and both have a {module}; bind one of "
                    f"them elsewhere, or to {LEFT_OUT}"
                )
                problems.append(Problem(configuration.file, instance.line, text))
                continue
            mapper = Mapper(instance, gateway, problems)
            MAPPERS[module](mapper)
            mapper.rest()
            rows += mapper.rows
    if problems:
        unique = dict.fromkeys((problem.line, problem.message) for problem in problems)
        raise ScenarioError([Problem(configuration.file, line, message) for line, message in sorted(unique)])
    remarks += _unused(configuration, taken)
    return Imported(configuration.file, tuple(rows), (*remarks, *_unsaid(bindings, taken)))


def _unbound(configuration: Configuration, bindings: Mapping[str, str]) -> list[Problem]:
    problems = []
    for name, modules in configuration.instances.items():
        if name not in bindings:
            text = (
                f"nobody binds the instance '{name}' ({', '.join(modules)}); add --bind {name}=GATEWAY with one of "
                f"{', '.join(TARGETS)}, or {LEFT_OUT} to leave it out"
            )
            problems.append(Problem(configuration.file, min(node.line for node in modules.values()), text))
    return problems


def _unused(configuration: Configuration, taken: Mapping[tuple[str, str], Instance]) -> list[str]:
    """Shared configurations from which no bound instance takes anything; their fields are not looked at."""
    used = {(one.module, level.place) for one in taken.values() for level in one.levels}
    return [
        f"{module}.configs.{name} is used by no instance that is bound, and was not looked at"
        for module, configs in configuration.configs.items()
        for name in configs
        if (module, f"configs.{name}") not in used
    ]


def _unsaid(bindings: Mapping[str, str], taken: Mapping[tuple[str, str], Instance]) -> list[str]:
    """What the scenario's own settings decide, since the file does not."""
    remarks = []
    gateways = list(dict.fromkeys(gateway for gateway in bindings.values() if gateway != LEFT_OUT))
    for gateway in gateways:
        for module, own in _OWN.items():
            if (gateway, module) in taken:
                continue
            if gateway != "default" and ("default", module) in taken:
                remarks.append(f"{gateway} has no {module}: what is bound to default holds, as for any other module")
            else:
                remarks.append(f"{gateway} has no {module}: {own}")
    if gateways:
        remarks += _ALWAYS
    return remarks


_UNSAID: Final = DeliveryPolicy()
_OWN: Final = {
    "retry": f"the scenario's own retries hold ({_UNSAID.retries.max} unless it says otherwise); give "
    "retries: {max: 0} where production makes none",
    "timelimiter": f"the scenario's own timeout holds ({format_duration(_UNSAID.timeout)} unless it says otherwise); "
    "the timeouts of an HTTP client do not stand in this file",
}
_ALWAYS: Final = (
    "Resilience4j has no deadline over all attempts: the scenario's own holds "
    f"({format_duration(_UNSAID.deadline)} unless it says otherwise), also for what waits for a limit; give a deadline "
    "where production gives up sooner",
    "limits are counted for each partner; in Resilience4j an instance is one for all its calls, in each process",
)
