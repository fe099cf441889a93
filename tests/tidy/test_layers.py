"""The import contracts hold, and each of them breaks when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# No cache: copies of one package in two folders must not share what was read.
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
OPTIONS = ("--no-logo", "--no-cache")


def lint_imports(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, *OPTIONS, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The packages and their contracts, to be spoiled."""
    for package in ("twin", "adapters"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_contract_is_kept(root: Path) -> None:
    done = lint_imports(root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("contract", "path", "source"),
    [
        ("core", "twin/core/planted.py", "import random\n"),
        ("core", "twin/core/planted.py", "import pyarrow\n"),
        ("layers", "twin/core/planted.py", "import twin.__main__\n"),
        ("layers", "twin/planted.py", ""),
        ("sides", "twin/core/planted.py", "import adapters\n"),
        ("production", "adapters/planted.py", "def late() -> None:\n    import simpy\n"),
        ("adapters", "adapters/planted.py", "import twin.__main__\n"),
    ],
)
def test_a_planted_import_breaks_its_contract(copy: Path, contract: str, path: str, source: str) -> None:
    (copy / "twin" / "__main__.py").write_text("", encoding="utf-8")
    (copy / path).write_text(source, encoding="utf-8")
    done = lint_imports(copy, "--contract", contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "planted" in done.stdout
