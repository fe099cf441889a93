"""The risk map: what an outage loses, by dependency and length, as a heat map with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twin.report.words import money
from twin.scenario.units import format_duration

if TYPE_CHECKING:
    from twin.experiment.exposure import Exposure

__all__ = ["draw_risk_map", "worst_losses"]

ROW_INCHES: Final = 0.32


def worst_losses(one: Exposure, lengths: Sequence[int]) -> list[tuple[Fraction, Fraction] | None]:
    """By length the loss of the measure and of margin (minor units) from the start that loses most of the measure.

    None where no outage of that length was run: a longer one did no harm.
    """
    found: list[tuple[Fraction, Fraction] | None] = []
    for length in lengths:
        losses = [(each.measure, each.margin_minor) for each in one.looked if each.length_ms == length]
        found.append(max(losses, default=None))
    return found


def draw_risk_map(path: Path, title: str, found: Sequence[Exposure], currency: str) -> None:
    """Draw the map in the order of the ranking; the file's ending says how (.svg or .png)."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    lengths = sorted(dict.fromkeys(each.length_ms for one in found for each in one.looked))
    rows = [worst_losses(one, lengths) for one in found]
    shares = [[float("nan") if cell is None else max(0.0, 100 * float(cell[0])) for cell in row] for row in rows]
    most = max([share for row in shares for share in row if share == share], default=0.0)
    with rc_context({"svg.hashsalt": "risk-map", "svg.fonttype": "none"}):
        figure = Figure(figsize=(3.4 + 1.5 * len(lengths), 1.3 + ROW_INCHES * len(found)), layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="YlOrRd", vmin=0, vmax=most or 1, aspect="auto")
        for y, row in enumerate(rows):
            for x, cell in enumerate(row):
                text = "–" if cell is None else f"{100 * float(cell[0]):.1f} pt, {money(cell[1], currency, whole=True)}"
                dark = cell is not None and 100 * float(cell[0]) > 0.6 * most
                axes.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if dark else "#222222")
        axes.set_xticks(range(len(lengths)), [format_duration(length) for length in lengths])
        exposed = [f"{one.dependency}{' (exposed)' if one.exposed else ''}" for one in found]
        axes.set_yticks(range(len(found)), exposed)
        axes.tick_params(length=0, labelsize=9)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("length of the outage; points of on-time-in-full and margin lost, worst start; –: not needed")
        axes.set_title(title, loc="left", fontsize=11)
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
