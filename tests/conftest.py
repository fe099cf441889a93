"""What every suite shares: Hypothesis profiles, the project's root, a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.commands import Told
from twin.cli import main

ROOT = Path(__file__).resolve().parents[1]

# No deadline: the machine is shared, and a slow example is no wrong one.
# Derandomized: a change fails for what it changed, not for the day's luck; the deep profile looks further.
settings.register_profile("default", deadline=None, print_blob=True, derandomize=True)
settings.register_profile(
    "deep",
    deadline=None,
    print_blob=True,
    max_examples=2_000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("default")

# What is printed is as wide as without a terminal, whoever runs the tests in one.
os.environ["COLUMNS"] = "80"


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def fresh_python() -> Callable[..., str]:
    """A function that runs a program in a new interpreter, under `hash_seed`, and returns what it prints.

    Warnings are errors there too. A program that fails fails the test, with its own traceback shown.
    """

    def run(program: str, *arguments: str, hash_seed: int = 0, cwd: Path = ROOT) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"the program left with {done.returncode}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """A function that runs a command and returns its exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run
