"""The entries of a run as JSON lines, and its end as tables that another run can start from."""

from __future__ import annotations

import shutil
from pathlib import Path

from twin.cli.failures import InputError
from twin.log import read_manifest, read_rows

__all__ = ["write_entries", "write_opening"]


def write_opening(run: Path, folder: Path) -> None:
    """Write what was under way at the end of a run to a new folder, whole or not at all.

    Raises `RunError` for a run that is cut off, and `InputError` where the folder is there already or cannot be made.
    """
    from twin.run import Run

    done = Run(run)
    if folder.exists():
        raise InputError(f"{folder} is there already; give a folder that does not exist yet")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder} cannot be made: {folder.parent} is no folder; make it first")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    try:
        done.write_opening(unfinished)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_entries(run: Path, file: Path) -> int:
    """Write the entries of a finished run to a new file, whole or not at all; returns how many there are.

    Each line is the JSON that the digest chain links. Raises `RunError` for a run that is cut off, and `InputError`
    where the file is there already or cannot be made.
    """
    read_manifest(run)
    if file.exists():
        raise InputError(f"{file} is there already; give a file that does not exist yet")
    if not file.absolute().parent.is_dir():
        raise InputError(f"{file} cannot be made: {file.parent} is no folder; make it first")
    unfinished = file.with_name(f".{file.name}.unfinished")
    written = 0
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as lines:
            for row in read_rows(run):
                lines.write(f"{row.payload}\n")
                written += 1
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return written
