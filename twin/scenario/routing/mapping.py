"""What an order system's sourcing rules become, and the names in them that stand for warehouses here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from twin.scenario.routing import adobe, spree
from twin.scenario.routing.document import Document, System
from twin.scenario.routing.rows import ALWAYS, LEFT_OUT, Found, RuleRow

__all__ = ["LEFT_OUT", "SYSTEMS", "ImportedRules", "RuleRow", "import_rules", "names_of"]

SYSTEMS: Final[Mapping[System, str]] = {"spree": spree.TITLE, "adobe": adobe.TITLE}

_IMPORT: Final[Mapping[System, Callable[[Document, Mapping[str, str]], Found]]] = {
    "spree": spree.import_spree,
    "adobe": adobe.import_adobe,
}
_NAMES: Final[Mapping[System, Callable[[Document], list[str]]]] = {
    "spree": spree.spree_names,
    "adobe": adobe.adobe_names,
}


class ImportedRules(Struct, frozen=True):
    """What a file became: `rules` and `ranking` are pairs of a value and where it came from."""

    file: str
    title: str
    rows: tuple[RuleRow, ...]
    rules: tuple[tuple[str, str], ...]
    ranking: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    """What differs or is not said, though production has something there"""

    @property
    def policies(self) -> dict[str, Any]:
        """The scenario's fragment: `{"policies": {"sourcing": {...}}}`. The null removes what a base may say."""
        sourcing: dict[str, Any] = {
            "rules": [rule for rule, _ in self.rules],
            "ranking": [node for node, _ in self.ranking],
            "split_lines": True,
            "outside": None,
        }
        return {"policies": {"sourcing": sourcing}}


def names_of(document: Document) -> list[str]:
    """The names in a file that `--bind` gives a warehouse, or `none`."""
    return _NAMES[document.system](document)


def import_rules(document: Document, bindings: Mapping[str, str]) -> ImportedRules:
    """The sourcing policy of a file; `bindings` gives the names in it a warehouse's id, or `LEFT_OUT`.

    Raises `ScenarioError` with every rule and field that has no counterpart, every name that nobody binds, and
    whatever the order system would not have taken itself.
    """
    found = _IMPORT[document.system](document, bindings)
    always = (
        RuleRow("", "", "", ALWAYS, {"split_lines": True}, found.split),
        RuleRow("", "", "", ALWAYS, {"outside": None}, "the rules decide, and no service"),
    )
    rows = (*found.rows, *always)
    return ImportedRules(
        document.file, SYSTEMS[document.system], rows, tuple(found.rules), tuple(found.ranking), tuple(found.remarks)
    )
