"""Every architecture decision record says what was decided, what was turned down, and what follows."""

from __future__ import annotations

import re
from pathlib import Path

SECTIONS = ("Context", "Decision", "Turned down", "Consequences")


def record_faults(name: str, text: str) -> list[str]:
    """What is wrong with one record: its title's number, a missing or empty section, or no status."""
    faults = []
    number = re.match(r"(\d{3})-[a-z0-9-]+\.md$", name)
    if number is None:
        faults.append(f"{name}: a record is named like 001-a-short-title.md")
    elif not text.startswith(f"# {number[1]} "):
        faults.append(f"{name}: the title starts with '# {number[1]} '")
    if not re.search(r"^Status: (proposed|accepted|superseded by \d{3}), \d{4}-\d{2}-\d{2}$", text, re.MULTILINE):
        faults.append(f"{name}: no line like 'Status: accepted, 2025-11-17'")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    if tuple(sections) != SECTIONS:
        faults.append(f"{name}: sections are {tuple(sections)}, wanted {SECTIONS}")
    return faults + [f"{name}: '{title}' is empty" for title, body in sections.items() if not body.strip()]


def test_every_record_has_its_sections_and_a_number_of_its_own(root: Path) -> None:
    records = sorted(path for path in (root / "docs" / "adr").glob("*.md") if path.name != "README.md")
    assert records
    faults = [fault for path in records for fault in record_faults(path.name, path.read_text(encoding="utf-8"))]
    assert not faults, "\n".join(faults)
    numbers = [int(path.name[:3]) for path in records]
    assert numbers == list(range(1, len(records) + 1))


def test_every_record_is_listed_in_the_folders_readme(root: Path) -> None:
    folder = root / "docs" / "adr"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    missing = [path.name for path in folder.glob("[0-9]*.md") if f"({path.name})" not in listed]
    assert not missing


def test_a_record_without_what_was_turned_down_is_a_fault() -> None:
    whole = "# 001 Title\n\nStatus: accepted, 2025-11-17\n" + "".join(f"\n## {name}\n\nText.\n" for name in SECTIONS)
    assert record_faults("001-title.md", whole) == []
    assert record_faults("002-title.md", whole)
    assert record_faults("001-title.md", whole.replace("## Turned down\n\nText.\n", ""))
    assert record_faults("001-title.md", whole.replace("## Turned down\n\nText.", "## Turned down\n"))
