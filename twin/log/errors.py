"""What a run folder can be wrong about; the text names the place and the remedy."""

from __future__ import annotations

__all__ = ["RunError"]


class RunError(Exception):
    """A run folder that is absent, cut off, damaged, or not what its manifest says."""
