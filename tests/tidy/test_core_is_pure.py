"""`twin.core` decides alike on any machine: it reads no clock, no luck, no disk and no unstable order."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.tidy.purity import FORBIDDEN_LIBRARY, impurities


def test_no_module_of_the_core_holds_an_impurity(root: Path) -> None:
    modules = sorted((root / "twin" / "core").rglob("*.py"))
    assert modules, "twin/core has no modules, so nothing was checked"
    found = [
        f"{module.relative_to(root)}:{complaint}"
        for module in modules
        for complaint in impurities(module.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "planted",
    [
        "for x in {1, 2}: pass",
        "xs = [x for x in {y for y in ys}]",
        "held = set()",
        "held = frozenset(xs)",
        "held: set[str]",
        "def f(xs: frozenset[int]) -> None: ...",
        "import collections.abc as c\nheld: c.Set[str]",
        "both = a.keys() & b.keys()",
        "slot = hash(key) % 8",
        "slot = id(key)",
        "ranked = sorted(xs, key=id)",
        "xs.sort(key=hash)",
        "slots = list(map(hash, xs))",
        "assert x > 0",
        "share = 0.5",
        "share = 1e3",
        "share = 2j",
        "share = a / b",
        "share /= 2",
        "share = float(a)",
        "def f(price: float) -> None: ...",
        "share = 2 ** -1",
        "import math\nshare = math.sqrt(2)",
        "from math import sqrt",
        "import math as m",
        "print(x)",
        "text = open(path)",
        "module = __import__('ti' + 'me')",
        "import numpy",
        "import numpy as np",
        "from pydantic import BaseModel",
        "from simpy.core import Environment",
        "import adapters",
        "from twin.world import kernel",
        "from twin import streams",
        "import twin.corelike",
        "from . import events",
        "def f() -> None:\n    import random",
        "import os.path",
        *(f"import {module}" for module in FORBIDDEN_LIBRARY),
        *(f"from {module} import something" for module in FORBIDDEN_LIBRARY),
    ],
)
def test_a_planted_impurity_is_caught(planted: str) -> None:
    assert impurities(planted)


@pytest.mark.parametrize(
    "allowed",
    [
        "import msgspec\nfrom msgspec import Struct",
        "from twin.core.events import OrderCaptured",
        "import twin.core.events",
        "from __future__ import annotations",
        "from math import isqrt",
        "half = a // b",
        "if stage in {'open', 'closed'}: pass",
        "if isinstance(now, float): raise TypeError(now)",
        "class Item:\n    id: str",
        "breaker.open(now)",
        "for key in sorted(table): pass",
        "def f(id: str) -> str:\n    return name(id)",
    ],
)
def test_what_is_harmless_is_let_through(allowed: str) -> None:
    assert impurities(allowed) == []


def test_an_impurity_is_told_with_its_line() -> None:
    assert impurities("x = 1\ny = 2\nassert x") == ["3: a bare assert vanishes under -O: raise CorruptLog"]


def test_the_import_contract_forbids_the_same_library_modules(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    core = next(contract for contract in contracts if contract["id"] == "core")
    assert set(FORBIDDEN_LIBRARY) <= set(core["forbidden_modules"])
