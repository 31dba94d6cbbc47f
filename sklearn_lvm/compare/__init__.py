"""Which density model fits a table best: held-out log-likelihoods, side by side."""

from .leaderboard import Comparison, ModelScore
from .ranking import compare_densities
from .scaling import StandardizedDensity

__all__ = ["Comparison", "ModelScore", "StandardizedDensity", "compare_densities"]
