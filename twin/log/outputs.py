"""Files made of a run, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from twin.log.errors import RunError

__all__ = ["new_file"]


@contextmanager
def new_file(file: Path) -> Iterator[Path]:
    """A folder beside `file` to work in; what is written there under the same name becomes `file` at the end.

    Nothing is left of it where the work breaks. Raises `RunError` where the file is there already or cannot be made.
    """
    if file.exists():
        raise RunError(f"{file} is there already; give a file that does not exist yet")
    if not file.absolute().parent.is_dir():
        raise RunError(f"{file} cannot be made: {file.parent} is no folder; make it first")
    with TemporaryDirectory(prefix=f".{file.name}.", suffix=".unfinished", dir=file.absolute().parent) as folder:
        yield Path(folder)
        (Path(folder) / file.name).replace(file)
