"""Which density model fits a table best: held-out log-likelihoods, side by side."""

from ..estimators.standardized import StandardizedDensity
from .leaderboard import Comparison, ModelScore
from .ranking import compare_densities

__all__ = ["Comparison", "ModelScore", "StandardizedDensity", "compare_densities"]
