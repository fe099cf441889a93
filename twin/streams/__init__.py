"""Random numbers that no order of events can disturb.

`Streams` hashes a key: a draw depends on the seed and the key alone, never on what was drawn before. Use it
wherever a policy or a fault could change how many draws happen or in which order. `Series` is for long
exogenous sequences (demand), whose order nothing inside the run can change.
"""

from twin.streams.distributions import (
    Distribution,
    Empirical,
    Exponential,
    Fixed,
    LogNormal,
    Normal,
    Poisson,
    Triangular,
    Uniform,
    Weibull,
)
from twin.streams.keyed import Series, Streams

__all__ = [
    "Distribution",
    "Empirical",
    "Exponential",
    "Fixed",
    "LogNormal",
    "Normal",
    "Poisson",
    "Series",
    "Streams",
    "Triangular",
    "Uniform",
    "Weibull",
]
