"""A digital twin of a distribution business, around its production order engine.

The package is lazy (PEP 562): a public name is imported from its module when it is first used.
An eager import would load SimPy into the production image, and import contracts would not see it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name -> the module that defines it.
_PUBLIC: dict[str, str] = {}

__all__ = ["__version__", *_PUBLIC]


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
