"""Openings from a folder of CSV tables: stock, open orders, open purchase orders and parcels on their way.

    tables = load(Path("today"), "Europe/London", {"orders": {"order": "SalesOrder"}}, 2)

docs/opening.md has the columns. What a cell says is checked here; whether it fits the business is the world's matter.
"""

from __future__ import annotations

from adapters.opening.tables import load
from twin.opening import OpeningError, OpeningTables

__all__ = ["OpeningError", "OpeningTables", "load"]
