"""Runs compared: with what a scenario expects, and with one another."""

from twin.experiment.check import Verdict, check

__all__ = ["Verdict", "check"]
