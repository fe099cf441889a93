"""The command line as tests call it; the fixture `told` is in conftest.py."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Told"]

Told = Callable[..., tuple[int, str, str]]
"""Runs a command; gives its exit code, stdout and stderr."""
