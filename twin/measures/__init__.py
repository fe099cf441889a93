"""Measures: named functions of the log (L), of log and truth (T), or of a pair of runs (P)."""

from __future__ import annotations

from twin.log import CostRates
from twin.measures.compute import compare, compute, compute_facts, facts_of, write_measures
from twin.measures.facts import Facts, Series
from twin.measures.measured import MEASURES, Measured, Spec, decimal, of_one_run
from twin.measures.pairs import HarmedOrder, collateral_delay, harmed

__all__ = [
    "MEASURES",
    "CostRates",
    "Facts",
    "HarmedOrder",
    "Measured",
    "Series",
    "Spec",
    "collateral_delay",
    "compare",
    "compute",
    "compute_facts",
    "decimal",
    "facts_of",
    "harmed",
    "of_one_run",
    "write_measures",
]
