"""The production side starts without SimPy, and `import twin` loads next to nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

# Refuses the simulated side's packages, then imports every module of adapters.
PRODUCTION = """
import importlib, json, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("simpy", "matplotlib"):
            raise ImportError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Refuse())
try:
    import simpy
except ImportError:
    pass
else:
    sys.exit("the guard let simpy through")
import adapters

def fail(name):
    raise

for module in pkgutil.walk_packages(adapters.__path__, "adapters.", onerror=fail):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(json.dumps(sorted(sys.modules)))
"""


def test_every_module_of_adapters_is_imported_where_there_is_no_simpy(
    fresh_python: Callable[..., str],
) -> None:
    loaded = json.loads(fresh_python(PRODUCTION))
    assert "adapters" in loaded
    simulated = ("twin.world", "twin.run", "twin.scenario", "twin.report", "twin.measures", "twin.cli")
    assert [name for name in loaded if name.startswith(simulated)] == []


def test_importing_twin_loads_no_module_of_it_and_no_package(fresh_python: Callable[..., str]) -> None:
    loaded = json.loads(fresh_python("import json, sys, twin; print(json.dumps(sorted(sys.modules)))"))
    assert "twin" in loaded
    heavy = ("simpy", "pyarrow", "pydantic", "networkx", "duckdb", "matplotlib", "msgspec", "twin.")
    assert [name for name in loaded if name.startswith(heavy)] == []


def test_every_public_name_of_twin_is_found_in_its_module(fresh_python: Callable[..., str]) -> None:
    program = "import twin; print(*(name for name in twin.__all__ if getattr(twin, name) is None))"
    assert fresh_python(program).split() == []


def test_a_name_twin_does_not_have_is_an_attribute_error(fresh_python: Callable[..., str]) -> None:
    program = """
import twin
try:
    twin.no_such_name
except AttributeError as error:
    print(error)
"""
    assert "no_such_name" in fresh_python(program)
