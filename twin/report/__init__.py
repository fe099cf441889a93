"""The report of a run: one page without network or scripts, for people who forward it."""

from __future__ import annotations

from twin.report.page import write_report

__all__ = ["write_report"]
