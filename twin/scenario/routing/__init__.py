"""Sourcing rules of order systems (Spree, Adobe Commerce), read into sourcing policies."""

from __future__ import annotations

from twin.scenario.routing.document import Document, read_document
from twin.scenario.routing.fragment import FRAGMENT_BEGINS, fragment_text
from twin.scenario.routing.mapping import ImportedRules, RuleRow, import_rules, names_of

__all__ = [
    "FRAGMENT_BEGINS",
    "Document",
    "ImportedRules",
    "RuleRow",
    "fragment_text",
    "import_rules",
    "names_of",
    "read_document",
]
