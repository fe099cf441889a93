"""The command line, from its arguments to the exit code. Commands import what they need when they run, so that
`twin --help` is there at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

import typer

from twin.cli.commands import experiments, looking, replays, runs
from twin.cli.failures import INTERRUPTED, WRONG_INPUT, tell
from twin.cli.interrupting import Interrupts

__all__ = ["app", "main"]

# Plain help: rich's would take longer to load than the rest of the program.
app: Final = typer.Typer(
    name="twin",
    help="A digital twin of a distribution business, run by its production order engine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (runs, looking, experiments, replays):
    app.add_typer(module.commands)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. No mistake in the input ends in a traceback."""
    with Interrupts() as interrupts:
        return _main(arguments, interrupts)


def _main(arguments: Sequence[str] | None, interrupts: Interrupts) -> int:
    try:
        outcome = app(args=None if arguments is None else list(arguments), standalone_mode=False, prog_name="twin")
        sys.stdout.flush()
        if interrupts.came:
            # It came where no error gets out, and after that there was no sign of progress.
            outcome = INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        outcome = INTERRUPTED
    except BrokenPipeError:
        return _had_enough()
    except SystemExit as error:
        # Typer ends the program with 1 where the reader of a pipe goes while much is written.
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return _had_enough()
    except Exception as error:  # noqa: BLE001  (the outermost edge: nothing goes on after it but the exit)
        if interrupts.behind(error):
            outcome = INTERRUPTED
        else:
            show = getattr(error, "show", None)
            if show is not None and hasattr(error, "exit_code"):
                # The arguments do not fit the command: typer says how they would.
                show()
                return WRONG_INPUT
            return tell(error)
    if outcome == INTERRUPTED:
        sys.stderr.write("twin: interrupted\n")
    return outcome if isinstance(outcome, int) else 0


def _had_enough() -> int:
    """The reader of a pipe has had enough; nothing more can be said there."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
