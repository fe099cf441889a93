"""What befalls a scenario, by the measures that count it."""

from __future__ import annotations

from twin.scenario import Scenario
from twin.scenario.expect import MeasureBound
from twin.world.interfaces import fault_ids
from twin.world.troubles import disruption_names

__all__ = ["befalling", "expected_to_befall"]


def befalling(scenario: Scenario) -> list[str]:
    """What counts how often each fault and each disruption of a scenario hit something."""
    names = [*fault_ids(scenario.faults), *[name for name, _ in disruption_names(scenario)]]
    return [f"faults_hit/fault={name}" for name in names]


def expected_to_befall(scenario: Scenario) -> set[str]:
    """What the scenario expects to be at least 1."""
    bounds = [one for one in scenario.expect if isinstance(one, MeasureBound)]
    return {one.name for one in bounds if one.at_least is not None and one.at_least >= 1}
