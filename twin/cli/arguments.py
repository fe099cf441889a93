"""What several commands have in common: arguments, and options in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from twin.cli.failures import InputError

__all__ = [
    "SEED_MAX",
    "Executor",
    "Force",
    "NoReport",
    "Out",
    "Quiet",
    "Results",
    "RunFolder",
    "ScenarioFile",
    "ScenarioFiles",
    "Services",
    "Workers",
    "addresses",
    "duration",
]

# As twin.scenario.limits has it; not imported, since that package takes its time to load.
SEED_MAX: Final = 2**63 - 1

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="YAML file of a scenario.")]
ScenarioFiles = Annotated[list[Path], typer.Argument(metavar="SCENARIO...", help="YAML files of scenarios.")]
Results = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results; what is there goes on.")]
Executor = Annotated[
    str | None, typer.Option(metavar="WHERE", help="here, pool, or dask://HOST:PORT of a Dask scheduler.")
]
Workers = Annotated[int, typer.Option(min=1, metavar="N", help="Runs at the same time.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the run; it is made.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier run in that folder.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Write no report.html.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only the digest and the report's path.")]
Services = Annotated[
    list[str] | None,
    typer.Option(
        "--service", metavar="ID=ADDRESS", help="Who decides: http://HOST:PORT, stdio:COMMAND or recorded:RUN."
    ),
]


def addresses(services: Sequence[str] | None) -> dict[str, str]:
    """The addresses of `--service`, by the id of the service. Raises `InputError`."""
    found: dict[str, str] = {}
    for text in services or ():
        name, _, address = text.partition("=")
        if not name or not address:
            raise InputError(f"--service {text}: give ID=ADDRESS, as in nearest=http://127.0.0.1:8080")
        if name in found:
            raise InputError(f"--service {text}: '{name}' has an address already; give one")
        found[name] = address
    return found


def duration(option: str, text: str) -> int:
    """What an option says in words such as 30d, in ms. Raises `InputError`."""
    from twin.scenario.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise InputError(f"{option} {text}: {error}") from None
