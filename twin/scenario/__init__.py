"""Scenario files: YAML with units and `extends`, checked as a whole before anything runs."""

from __future__ import annotations

from twin.scenario.calendars import calendar_named, compile_calendar, compile_instants
from twin.scenario.errors import Problem, ScenarioError
from twin.scenario.loader import load, load_plain
from twin.scenario.model import Scenario

__all__ = [
    "Problem",
    "Scenario",
    "ScenarioError",
    "calendar_named",
    "compile_calendar",
    "compile_instants",
    "load",
    "load_plain",
]
