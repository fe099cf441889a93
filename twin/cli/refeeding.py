"""A run's log through a production driver, found by its entry point: this package does not know the adapters."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

from twin.cli.failures import InputError
from twin.core.entry import Entry

__all__ = ["refeed_run"]

GROUP = "ordertwin.refeeds"


def refeed_run(kind: str, entries: Iterator[Entry], journal: Path) -> str:
    """Feed the recorded commands to the driver on a journal of that kind; returns its digest in hexadecimal.

    Raises `InputError` for a kind that is not installed, and what the adapter raises for a file that cannot be used.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in found:
        raise InputError(f"no journal of kind '{kind}'; installed here: {', '.join(sorted(found)) or 'none'}")
    digest = found[kind].load()(entries, journal)
    if not isinstance(digest, bytes):
        raise TypeError(f"the adapter '{kind}' returned {type(digest).__name__}, not the digest's bytes")
    return digest.hex()
