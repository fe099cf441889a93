"""Clients of decision services: over HTTP, or a process that reads and writes lines."""

from __future__ import annotations

from adapters.decisions.http import connect_http
from adapters.decisions.stdio import connect_stdio

__all__ = ["connect_http", "connect_stdio"]
