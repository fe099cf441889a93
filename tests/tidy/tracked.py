"""The files git tracks, as the tidy tests read them."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["tracked_texts"]


def tracked_texts(root: Path) -> list[tuple[str, str]]:
    """`(path, text)` of every tracked file that is UTF-8 text, sorted by path relative to `root`.

    A file that holds a zero byte, or is tracked and deleted, is left out. Raises `CalledProcessError` outside
    a checkout.
    """
    # A checkout made by another user is still ours to read.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    texts = []
    for path in sorted(listed.decode().split("\0")):
        file = root / path
        if not path or not file.is_file():
            continue
        data = file.read_bytes()
        if b"\0" not in data:
            texts.append((path, data.decode("utf-8", errors="replace")))
    return texts
