"""What a run shows at its end: key measures, the books in short, its digest, and where the report is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.books import show_books_in_short
from twin.cli.measures import KEY_MEASURES, show_measures
from twin.cli.openings import show_opening_in_short
from twin.cli.outside import show_asked
from twin.cli.progress import Reporter
from twin.cli.terminal import line
from twin.cli.texts import count, day, duration

if TYPE_CHECKING:
    from twin.run import Run

__all__ = ["Summary"]


class Summary:
    """Computed at once, shown later, so that the progress bars are gone by then."""

    def __init__(self, run: Run, progress: Reporter, *, with_report: bool, short: bool) -> None:
        from twin.log.openings import read_opening_report
        from twin.measures.accounts import account_run

        self.run = run
        self.short = short
        entries = run.manifest.entries
        if not short:
            progress("measuring", 0, 1, entries)
            self.measures = run.measures
            progress("closing the books", 0, 1, entries)
            self.books = account_run(run.folder)
            self.opening = read_opening_report(run.folder)
        self.report: Path | None = None
        if with_report:
            # Drawing costs a second to import, which a run without a report need not pay.
            from twin.report import write_report

            progress("writing the report", 0, 1, entries)
            self.report = write_report(run.folder, run.measures)

    def show(self) -> None:
        """Print it."""
        manifest = self.run.manifest
        if not self.short:
            line(
                f"{manifest.title}: {day(manifest.start_ms)} to {day(manifest.end_ms)} "
                f"({duration(manifest.end_ms - manifest.start_ms)}), seed {manifest.seed}, "
                f"{count(manifest.entries)} entries"
            )
            line()
            key = {name: self.measures[name] for name in KEY_MEASURES if name in self.measures}
            show_measures("Key measures", key, manifest.currency)
            show_asked(self.measures)
            if self.opening is not None:
                show_opening_in_short(self.opening)
            show_books_in_short(self.books)
            line()
        line(f"digest: {manifest.digest}")
        if self.report is not None:
            line(f"report: {self.report}")
