"""A digital twin of a distribution business, around its production order engine.

The package is lazy (PEP 562): a public name is imported from its module when it is first used.
An eager import would load SimPy into the production image, and import contracts would not see it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twin.experiment.check import check
    from twin.experiment.experiment import Experiment
    from twin.log import RunError, connect, explain
    from twin.opening import OpeningError
    from twin.order_book import OrderBookError
    from twin.report import write_report
    from twin.run import Run, RunRefused, SnapshotError, Twin, load, resume
    from twin.scenario import Scenario, ScenarioError

__version__ = "0.1.0"

# Public name -> the module that defines it.
_PUBLIC: dict[str, str] = {
    "Experiment": "twin.experiment.experiment",
    "OpeningError": "twin.opening",
    "OrderBookError": "twin.order_book",
    "Run": "twin.run",
    "RunError": "twin.log",
    "RunRefused": "twin.run",
    "Scenario": "twin.scenario",
    "ScenarioError": "twin.scenario",
    "SnapshotError": "twin.run",
    "Twin": "twin.run",
    "check": "twin.experiment.check",
    "connect": "twin.log",
    "explain": "twin.log",
    "load": "twin.run",
    "resume": "twin.run",
    "write_report": "twin.report",
}

__all__ = [
    "Experiment",
    "OpeningError",
    "OrderBookError",
    "Run",
    "RunError",
    "RunRefused",
    "Scenario",
    "ScenarioError",
    "SnapshotError",
    "Twin",
    "__version__",
    "check",
    "connect",
    "explain",
    "load",
    "resume",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import the public `name` from its module and keep it; `AttributeError` for any other name."""
    module = _PUBLIC.get(name)
    if module is None:
        known = ", ".join(sorted(_PUBLIC))
        raise AttributeError(f"module 'twin' has no attribute {name!r}; public names: {known}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
