"""Files that a command writes: an earlier one of the same kind is replaced, anything else is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from twin.cli.failures import InputError

__all__ = ["check_output", "write_output"]

BEGINNINGS: Final = {
    "a page": b"<!doctype html",
    "JUnit XML": b"<?xml",
    "a fragment of sourcing rules": b"# sourcing rules read from ",
    "a baseline": b'{"format"',
    "a table of changed decisions": b"position,now_ms,about,decision",
    "a fragment of policies": b"# delivery policies read from ",
    "a table of events": b"par1",
}
"""How files of a kind begin; maps and Markdown may begin with anything, but a scenario is neither."""


def check_output(option: str, path: Path, kind: str) -> None:
    """Whether a file of this kind may be written there, before anything runs. Raises `InputError`."""
    if path.is_dir():
        raise InputError(f"{option} {path}: it is a folder; give a file")
    if not path.parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.parent}")
    if not path.exists():
        return
    if not path.is_file():
        raise InputError(f"{option} {path}: it is no file but a device or a pipe; give a file")
    begins = BEGINNINGS.get(kind, b"")
    with path.open("rb") as file:
        found = file.read(len(begins))
    # Of the kinds only fragments are YAML, and they are known by how they begin.
    scenario = path.suffix in (".yaml", ".yml") and not begins.startswith(b"#")
    if (found and found.lower() != begins) or scenario:
        raise InputError(f"{option} {path}: there is a file that is not {kind}; remove it, or give another name")


def write_output(option: str, path: Path, kind: str, text: str) -> None:
    """Write a file of this kind in the place of an earlier one, whole or not at all. Raises `InputError`."""
    check_output(option, path, kind)
    # What a link leads to is replaced, not the link.
    path = path.resolve()
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8", newline="")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
