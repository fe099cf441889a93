"""The locks pin every package by hash and name no address, so they hold behind any mirror."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LOCKS = ("requirements.lock", "requirements-dev.lock")

_PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;]+)( ; [^\\]+)?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def lock_faults(lock: str) -> list[str]:
    """What is wrong with a lock's text: a requirement without a hash, or a line that is no pin."""
    faults = []
    # pip reads a line that ends in a backslash together with the next.
    for requirement in lock.replace("\\\n", " ").splitlines():
        if not requirement.strip():
            continue
        pin, *hashes = re.split(r"\s+(?=--)", requirement.strip())
        if not _PIN.fullmatch(pin.strip()):
            faults.append(f"no pinned package: {pin}")
        if not hashes or not all(_HASH.fullmatch(value.strip()) for value in hashes):
            faults.append(f"no hash, or another option: {pin}")
    return faults


def pins(lock: str) -> list[str]:
    """`name==version`, with its marker if any, of every requirement of a lock's text."""
    return [match[0].strip() for match in re.finditer(rf"^{_PIN.pattern}", lock, re.MULTILINE)]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_requirement_by_hash_and_names_no_address(root: Path, name: str) -> None:
    lock = (root / name).read_text(encoding="utf-8")
    assert lock_faults(lock) == []
    assert "://" not in lock
    assert len(pins(lock)) > 10


@pytest.mark.parametrize(
    "line",
    [
        "simpy==4.1.2",
        "simpy>=4 \\\n    --hash=sha256:" + "0" * 64,
        "simpy==4.1.2 \\\n    --hash=md5:00",
        "--index-url somewhere",
        "simpy==4.1.2 \\\n    --hash=sha256:" + "0" * 64 + " --find-links here",
        "simpy @ file:simpy.whl",
    ],
)
def test_a_line_that_pip_could_resolve_otherwise_is_a_fault(line: str) -> None:
    assert lock_faults(line + "\n")


def test_the_development_lock_holds_every_pin_of_the_run_time_lock(root: Path) -> None:
    run_time, development = ((root / name).read_text(encoding="utf-8") for name in LOCKS)
    held = pins(development)
    assert [pin for pin in pins(run_time) if pin not in held] == []
