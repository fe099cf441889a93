"""What is tracked names no machine and leaves nothing unfinished."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tidy.tracked import tracked_texts

# Assembled, so that this file does not match itself.
_FOLDERS = "|".join(("wo" + "rk", "ro" + "ot", "t" + "mp", "fa" + "rm", "ho" + "me"))
_MACHINE_PATH = re.compile(rf"(?<![\w.<])/(?:{_FOLDERS})\b|/(?:{_FOLDERS})/")
_HOST = re.compile(
    "|".join(("pypi" + r"\.org", "python" + r"hosted\.", "registry" + r"\.npmjs", "index" + "-url [^s]"))
)
_UNFINISHED = re.compile(
    "|".join(
        (
            r"\bTO" + r"DO\b",
            r"\bFIX" + r"ME\b",
            r"\bXX" + r"X\b",
            "Not" + "ImplementedError",
            "place" + "holder",
            "for " + r"now\b",
        )
    )
)


def complaints(text: str) -> list[str]:
    """Each forbidden string of a text as `line: string`."""
    return [
        f"{number}: {match[0]}"
        for number, line in enumerate(text.splitlines(), start=1)
        for pattern in (_MACHINE_PATH, _HOST, _UNFINISHED)
        for match in pattern.finditer(line)
    ]


def test_no_tracked_text_names_a_machine_or_leaves_work_behind(root: Path) -> None:
    texts = tracked_texts(root)
    assert texts, "git tracks no text, so nothing was checked"
    found = [f"{path}:{complaint}" for path, text in texts for complaint in complaints(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "planted",
    [
        "path = '/" + "tmp/run'",
        "cd /" + "work/main",
        "see /" + "root",
        "https://" + "pypi" + ".org/simple",
        "https://files.python" + "hosted.org/x",
        "# TO" + "DO: later",
        "# FIX" + "ME",
        "raise Not" + "ImplementedError",
        "a place" + "holder",
        "good enough for " + "now",
    ],
)
def test_a_planted_string_is_caught(planted: str) -> None:
    assert complaints("first line\n" + planted) != []


@pytest.mark.parametrize("allowed", ["reports/demo/report.html", "the next root of it", "for nowhere else", "and/or"])
def test_a_harmless_line_is_let_through(allowed: str) -> None:
    assert complaints(allowed) == []
