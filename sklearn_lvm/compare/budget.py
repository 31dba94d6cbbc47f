"""The time that a comparison may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from time import monotonic

__all__ = ["TimeBudget"]

# Fits that were expected to end in time go on for this share of the budget after its end.
GRACE = 0.2
# A round of fits that nothing is known of may take so much of the time that is left.
UNKNOWN_SHARE = 0.5


@dataclass(frozen=True)
class TimeBudget:
    """Seconds from now on; infinite if there is no limit."""

    seconds: float = inf
    start: float = field(default_factory=lambda: monotonic())

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return isfinite(self.seconds)

    @property
    def elapsed(self) -> float:
        """Seconds so far."""
        return monotonic() - self.start

    @property
    def left(self) -> float:
        """Seconds until the time is up."""
        return self.seconds - self.elapsed

    @property
    def end(self) -> float:
        """When fits are stopped, on the monotonic clock."""
        return self.start + (1.0 + GRACE) * self.seconds

    @property
    def end_of_round(self) -> float:
        """When a round of fits of unknown length is stopped."""
        return monotonic() + UNKNOWN_SHARE * max(self.left, 0.0)
