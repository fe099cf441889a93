"""Delivery policies from the settings of a production system: the table of what became of each, and the fragment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twin.cli.failures import InputError
from twin.cli.outputs import write_output
from twin.cli.terminal import line, show, table
from twin.scenario.errors import choices

if TYPE_CHECKING:
    from twin.scenario.resilience4j import Configuration, Imported, Row

__all__ = ["parse_bindings", "print_import", "show_import", "write_fragment"]

FIELD_WIDTH: Final = 24
"""Characters of a field's name, or of a setting, that stay on one line."""


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


def write_fragment(path: Path, text: str) -> None:
    """Write the fragment over an earlier one, whole or not at all; anything else is left alone."""
    write_output("--out", path, "a fragment of policies", text)


def show_import(imported: Imported, fragment: str, out: Path | None) -> None:
    """A table for each module of an instance, then what the file does not say, then the fragment or where it is."""
    for (instance, gateway, module), rows in groupby(imported.rows, _group):
        made = table(f"{instance} to {gateway}: {module}", "Field", "Value", "Said in", "Becomes", "What differs")
        made.columns[0].min_width = made.columns[3].min_width = FIELD_WIDTH
        for row in rows:
            made.add_row(row.field.partition(".")[2] or "–", row.value, row.said, row.becomes, row.note)
        show(made)
    for remark in imported.remarks:
        line(f"- {remark}")
    line()
    if out is None:
        line(fragment.rstrip("\n"))
    else:
        line(f"fragment: {out}")


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
