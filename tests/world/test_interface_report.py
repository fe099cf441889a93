"""What the page of a run says about interfaces and alerts agrees with the folds."""

from __future__ import annotations

import re
from html import unescape

import pytest

from tests.world.test_monitor import found, watched
from twin.cli import main
from twin.log import read_entries
from twin.observability import interface_figures
from twin.report import write_report
from twin.run import Run, Twin


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Twin(watched()).run(out=tmp_path_factory.mktemp("page") / "run")


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return write_report(run.folder, run.measures).read_text(encoding="utf-8")


def rows(page: str, title: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    table = page.split(f"<h2>{title}</h2>")[1].split("</table>")[0]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in table.split("<tr")[2:]]
    return [[unescape(cell) for cell in row] for row in cells if row]


def test_the_page_has_every_interface_with_its_calls(run: Run, page: str) -> None:
    figures = interface_figures(read_entries(run.folder), run.manifest.end_ms)
    told = {(row[0], row[1]): row[2:8] for row in rows(page, "Interfaces")}
    assert told == {
        key: [f"{n:,}" for n in (row.calls, row.retries, row.refused, row.failed, row.unknown, row.late)]
        for key, row in figures.outbound.items()
    }


def test_the_page_has_every_alert_and_how_late_it_was(run: Run, page: str) -> None:
    told = rows(page, "What the monitor raised")
    assert [(row[0], row[1]) for row in told] == [(rule, gateway) for rule, gateway, _ in found(run)]
    assert told[0][4] == f"{found(run)[0][2]} min"
    assert "2 times at which an interface failed, 0 of them not noticed; 0 false alarms." in page


def test_the_command_lists_the_alerts(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts", str(run.folder)]) == 0
    out = capsys.readouterr().out
    assert out.count("errors") == len(found(run))
    assert "0 not noticed" in out
