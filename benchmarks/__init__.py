"""Measurements, as JSON lines: `python -m benchmarks` runs them all."""
