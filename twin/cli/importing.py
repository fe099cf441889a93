"""Policies from the settings of a production system: the table of what became of each, and the fragment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twin.cli.failures import InputError
from twin.cli.outputs import write_output
from twin.cli.terminal import line, prose, show, table
from twin.scenario.errors import choices

if TYPE_CHECKING:
    from twin.scenario.resilience4j import Configuration, Imported, Row
    from twin.scenario.routing import Document, ImportedRules, RuleRow

__all__ = [
    "import_file",
    "parse_bindings",
    "parse_warehouses",
    "print_import",
    "print_rules",
    "show_import",
    "show_rules",
    "write_fragment",
]

DIFFERS: Final = "What differs"
FIELD_WIDTH: Final = 24
"""Characters of a field's name, or of a setting, that stay on one line."""


def import_file(settings: Path, bind: Sequence[str], out: Path | None, extends: str, *, as_json: bool) -> None:
    """Import the file as what it is known by: sourcing rules of an order system, or settings of Resilience4j."""
    from twin.scenario import resilience4j, routing

    document = routing.read_document(settings)
    if document is not None:
        rules = routing.import_rules(document, parse_warehouses(bind, document))
        text = routing.fragment_text(rules, extends)
        if out is not None:
            write_fragment(out, text, "a fragment of sourcing rules")
        if as_json:
            print_rules(rules)
        else:
            show_rules(rules, text, out)
        return
    configuration = resilience4j.read_configuration(settings)
    imported = resilience4j.import_policies(configuration, parse_bindings(bind, configuration))
    text = resilience4j.fragment_text(imported, extends)
    if out is not None:
        write_fragment(out, text)
    if as_json:
        print_import(imported)
    else:
        show_import(imported, text, out)


def parse_bindings(bind: Sequence[str], configuration: Configuration) -> dict[str, str]:
    """Gateways by instance of `--bind NAME=GATEWAY`. Raises `InputError` for what is no instance or no gateway."""
    from twin.scenario.resilience4j import LEFT_OUT, TARGETS

    found: dict[str, str] = {}
    for text in bind:
        name, equals, gateway = (part.strip() for part in text.partition("="))
        if not equals or not name or not gateway:
            raise InputError(f"--bind {text}: give NAME=GATEWAY, as in portal=supplier")
        if name not in configuration.instances:
            names = list(configuration.instances)
            raise InputError(f"--bind {text}: {choices('instance', 'instances', name, names)}")
        if gateway not in (*TARGETS, LEFT_OUT):
            raise InputError(f"--bind {text}: {choices('gateway', 'gateways', gateway, (*TARGETS, LEFT_OUT))}")
        if name in found:
            raise InputError(
                f"--bind {text}: '{name}' is bound to {found[name]} already, and an instance is one; bind it to "
                "default for all partners"
            )
        found[name] = gateway
    return found


def parse_warehouses(bind: Sequence[str], document: Document) -> dict[str, str]:
    """Warehouses by name of `--bind NAME=WAREHOUSE`. Raises `InputError` for a name that the rules do not have."""
    from twin.scenario.routing import names_of

    names = names_of(document)
    found: dict[str, str] = {}
    for text in bind:
        # A warehouse's id has no such sign; a source's code may.
        name, equals, warehouse = (part.strip() for part in text.rpartition("="))
        if not equals or not name or not warehouse:
            raise InputError(f"--bind {text}: give NAME=WAREHOUSE, as in {names[0] if names else 'east'}=main")
        if name not in names:
            raise InputError(f"--bind {text}: {choices('name', 'names', name, names)}")
        if name in found:
            raise InputError(f"--bind {text}: '{name}' is bound to {found[name]} already; bind it once")
        if name.startswith("stock/") and warehouse != "none":
            raise InputError(f"--bind {text}: a stock is no warehouse; {name}=none leaves it out")
        found[name] = warehouse
    return found


def write_fragment(path: Path, text: str, kind: str = "a fragment of policies") -> None:
    """Write the fragment over an earlier one of its kind, whole or not at all; anything else is left alone."""
    write_output("--out", path, kind, text)


def show_import(imported: Imported, fragment: str, out: Path | None) -> None:
    """A table for each module of an instance, then what the file does not say, then the fragment or where it is."""
    for (instance, gateway, module), rows in groupby(imported.rows, _group):
        made = table(f"{instance} to {gateway}: {module}", "Field", "Value", "Said in", "Becomes", DIFFERS)
        made.columns[0].min_width = made.columns[3].min_width = FIELD_WIDTH
        made.columns[2].no_wrap = True
        for row in rows:
            made.add_row(row.field.partition(".")[2] or "–", row.value, row.said, row.becomes, row.note)
        show(made, sentences=(DIFFERS,))
    _show_rest(imported.remarks, fragment, out)


def show_rules(imported: ImportedRules, fragment: str, out: Path | None) -> None:
    """A table for each rule, then what differs as a whole, then the fragment or where it is."""
    for rule, rows in groupby(imported.rows, _rule):
        made = table(f"{imported.title}: {rule}", "Field", "Value", "Said in", "Becomes", DIFFERS)
        made.columns[0].min_width = made.columns[3].min_width = FIELD_WIDTH
        made.columns[2].no_wrap = True
        for row in rows:
            made.add_row(row.field or "–", row.value or "–", row.said, row.becomes, row.note)
        show(made, sentences=(DIFFERS,))
    _show_rest(imported.remarks, fragment, out)


def _show_rest(remarks: Sequence[str], fragment: str, out: Path | None) -> None:
    for remark in remarks:
        prose(f"- {remark}")
    line()
    if out is None:
        line(fragment.rstrip("\n"))
    else:
        line(f"fragment: {out}")


def _rule(row: RuleRow) -> str:
    return row.rule or "always"


def _group(row: Row) -> tuple[str, str, str]:
    return row.instance, row.gateway, row.field.partition(".")[0]


def print_import(imported: Imported) -> None:
    """A JSON map of the fragment, the rows and the remarks."""
    rows = [
        {
            "instance": row.instance,
            "gateway": row.gateway,
            "field": row.field,
            "value": row.value,
            "said": row.said,
            "becomes": {".".join(path): value for path, value in row.settings},
            "note": row.note,
        }
        for row in imported.rows
    ]
    found = {"file": imported.file, "fragment": imported.policies, "rows": rows, "remarks": imported.remarks}
    line(json.dumps(found, indent=2, ensure_ascii=False))


def print_rules(imported: ImportedRules) -> None:
    """A JSON map of the fragment, the rows and the remarks."""
    rows = [
        {
            "rule": row.rule,
            "field": row.field,
            "value": row.value,
            "said": row.said,
            "becomes": dict(row.settings),
            "note": row.note,
        }
        for row in imported.rows
    ]
    found = {"file": imported.file, "fragment": imported.policies, "rows": rows, "remarks": imported.remarks}
    line(json.dumps(found, indent=2, ensure_ascii=False))
