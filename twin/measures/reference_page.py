"""The reference page of all measures, made from their definitions."""

from __future__ import annotations

from collections.abc import Iterable

import twin.measures.compute  # noqa: F401  (registers the measures)
from twin.measures.measured import Spec

__all__ = ["page"]

_HEAD = """\
# Measures

Made by `python -m twin.measures`; do not edit.

Kind **L** is computed from the event log alone, so the same function reads a production log. **T** needs the truth
that only the twin has. **P** compares two runs on one seed. Values are exact; `ratio` is between 0 and 1 unless the
measure says otherwise, `ms` are milliseconds, `minor` are minor units of the business's currency, `per order` is a
plain quotient. Slices have the measure's name, a slash and what is sliced by: `otif_to_request/class=A`.

Service ratios count by due date: an order that fell due by the customer's requested date is in the denominator,
shipped or not. One that the customer cancelled before is shown apart in `orders_withdrawn`.

| Measure | Kind | Unit | What it is | Counted |
|---|---|---|---|---|
"""


def page(specs: Iterable[Spec]) -> str:
    """The page as Markdown, measures by name."""
    rows = [
        f"| `{spec.name}` | {spec.kind} | {spec.unit} | {_cell(spec.doc)} | {_cell(spec.window)} |"
        for spec in sorted(specs, key=lambda spec: spec.name)
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
