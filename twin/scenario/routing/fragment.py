"""The fragment of a scenario that a person can read: every rule with what it came from."""

from __future__ import annotations

import json
import re
from typing import Final

from twin.scenario.resilience4j.fragment import one_line, scalar_text
from twin.scenario.routing.mapping import ImportedRules

__all__ = ["FRAGMENT_BEGINS", "fragment_text"]

FRAGMENT_BEGINS: Final = "# Sourcing rules read from "
_PLAIN: Final = re.compile(r"(?!(true|false|null)$)[a-z][a-z0-9_-]*")
"""Ids that YAML reads as text without quotes"""


def fragment_text(imported: ImportedRules, extends: str = "") -> str:
    """YAML of the sourcing policy; with `extends` it is laid over that scenario."""
    lines = [
        f"{FRAGMENT_BEGINS}{imported.title} in {one_line(imported.file)} by `twin policies`.",
        "# A scenario can extend this file, or take the part below `policies` over.",
    ]
    if extends:
        lines.append(f"extends: {json.dumps(extends, ensure_ascii=False)}")
    lines += ["policies:", "  sourcing:"]
    for key, values in (("rules", imported.rules), ("ranking", imported.ranking)):
        lines.append(f"    {key}:")
        lines += [f"      - {_id(value)}  # {one_line(origin)}" for value, origin in values]
    for row in imported.rows:
        for key, value in row.settings.items():
            if key in ("split_lines", "outside"):
                lines.append(f"    {key}: {scalar_text(value)}  # {row.note}")
    return "\n".join(lines) + "\n"


def _id(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
