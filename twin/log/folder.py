"""Where a run may be written: an empty folder, or one that holds an earlier run and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from twin.log.manifest import MANIFEST

__all__ = ["RunRefused", "check_apart", "check_file", "check_way", "make_way"]

_OWN: Final = (
    "book.json",
    "decisions.jsonl",
    "entries",
    "luck.json",
    MANIFEST,
    "measures.json",
    "opening.json",
    "report.html",
    "scenario.yaml",
    "truth",
)
"""What a run's folder holds."""


class RunRefused(ValueError):
    """A run cannot begin as asked; the text says why and what to do."""


def check_way(folder: Path, force: bool) -> None:
    """See that a run can be written to `folder`; with `force` it may hold an earlier run, anything else never."""
    if not folder.exists():
        above = next(parent for parent in folder.absolute().parents if parent.exists())
        if not above.is_dir():
            raise RunRefused(f"{folder} cannot be made: {above} is a file; give a folder that does not exist yet")
        if not os.access(above, os.W_OK | os.X_OK):
            raise RunRefused(f"{folder} cannot be made: no permission to write in {above}; give another folder")
        return
    if not folder.is_dir():
        raise RunRefused(f"{folder} is a file; give a folder that does not exist yet")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise RunRefused(f"{folder} cannot be written: no permission; give another folder")
    held = sorted(path.name for path in folder.iterdir())
    if not held:
        return
    if not force:
        raise RunRefused(f"{folder} is not empty; give another folder, or --force to replace an earlier run in it")
    # Many programs write a manifest.json: the folder is a run only where nothing else lies beside it.
    strange = [name for name in held if name not in _OWN and not name.endswith((".unfinished", ".snapshot"))]
    if strange or not (MANIFEST in held or "entries" in held):
        raise RunRefused(
            f"{folder} holds '{(strange or held)[0]}', which is no part of a run, and --force removes nothing else; "
            "give another folder"
        )


def make_way(folder: Path, force: bool) -> None:
    """Make `folder`, empty; with `force` an earlier run in it is removed."""
    check_way(folder, force)
    try:
        if folder.exists() and any(folder.iterdir()):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunRefused(f"{folder} cannot be made: {error.strerror}; give another folder") from error


def check_file(path: Path, folder: Path, head: bytes, force: bool) -> None:
    """See early that a snapshot can be written, not only when the run is over.

    It may lie in `folder`, which the run makes. With `force` it may replace a file that begins with `head`.
    """
    if path.is_dir() or path.absolute() == folder.absolute():
        raise RunRefused(f"{path} is a folder; give the path of a file for the snapshot")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise RunRefused(f"{path} cannot be written: {above} is a file; give another path")
    if not os.access(above, os.W_OK | os.X_OK):
        raise RunRefused(f"{path} cannot be written: no permission to write in {above}; give another path")
    if above != path.absolute().parent and path.absolute().parent != folder.absolute():
        raise RunRefused(f"{path} cannot be written: there is no folder {path.parent}; make it, or give another path")
    if not os.path.lexists(path):
        return
    if not _begins(path, head):
        raise RunRefused(f"{path} exists and is no snapshot, --force does not replace it; give another path")
    if not force:
        raise RunRefused(f"{path} exists; give another path, or --force to replace an earlier snapshot")


def _begins(path: Path, head: bytes) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(head)) == head
    except OSError as error:
        raise RunRefused(f"{path} exists and cannot be read: {error.strerror}; give another path") from error


def check_apart(parent: Path, out: Path) -> None:
    """A run that goes on never replaces the one whose log it takes over."""
    old, new = parent.resolve(), out.resolve()
    if old == new or new in old.parents or old in new.parents:
        raise RunRefused(f"{out} is the folder of the run that goes on, or lies in it; give a folder apart from it")
