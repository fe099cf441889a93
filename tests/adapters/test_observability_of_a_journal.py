"""A journal that the production driver wrote tells the same of interfaces, alerts and who was hit as the twin's log."""

from __future__ import annotations

from pathlib import Path

from adapters.refeed import refeed_run
from adapters.sqlite_journal import SQLiteJournal
from tests.world.test_monitor import watched
from twin.log import read_entries
from twin.observability import alerts_of, blast_radius, interface_figures, lineage_of_entries
from twin.run import Twin

HOUR = 3_600_000


def test_the_journal_of_production_gives_the_same_alerts_figures_and_blast_radius(tmp_path: Path) -> None:  # OB-06
    run = Twin(watched()).run(out=tmp_path / "run")
    refeed_run(read_entries(run.folder), tmp_path / "journal.db")
    with SQLiteJournal(tmp_path / "journal.db") as journal:
        entries = list(journal.read(0))
    manifest = run.manifest
    start, end = manifest.start_ms, manifest.end_ms
    assert manifest.monitoring is not None
    alerts = alerts_of(entries, manifest.monitoring, start, end)
    assert alerts == alerts_of(read_entries(run.folder), manifest.monitoring, start, end) != []
    figures, own = interface_figures(entries, end), interface_figures(read_entries(run.folder), end)
    assert {key: (row.calls, row.latency.counts, row.slo_burn()) for key, row in figures.outbound.items()} == {
        key: (row.calls, row.latency.counts, row.slo_burn()) for key, row in own.outbound.items()
    }
    window = ("*", start + 3 * HOUR, start + 7 * HOUR)
    found = blast_radius(entries, *window)
    assert found == blast_radius(read_entries(run.folder), *window)
    assert found.orders
    hit = next(iter(found.orders))
    assert lineage_of_entries(entries, hit)[0].id == hit
