"""The command line: `twin run`, `twin check`, `twin explain` and the rest. docs/cli.md shows each."""

from __future__ import annotations

from twin.cli.app import main

__all__ = ["main"]
