"""Settings of Resilience4j, as a Spring Boot application has them in its YAML, read into delivery policies."""

from __future__ import annotations

from twin.scenario.resilience4j.configuration import Configuration, read_configuration
from twin.scenario.resilience4j.fragment import FRAGMENT_BEGINS, fragment_text
from twin.scenario.resilience4j.mapper import Row
from twin.scenario.resilience4j.mapping import LEFT_OUT, TARGETS, Imported, import_policies

__all__ = [
    "FRAGMENT_BEGINS",
    "LEFT_OUT",
    "TARGETS",
    "Configuration",
    "Imported",
    "Row",
    "fragment_text",
    "import_policies",
    "read_configuration",
]
