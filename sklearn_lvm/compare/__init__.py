"""Which density model fits a table best: held-out log-likelihoods, side by side."""

from .comparison import compare_densities
from .report import Comparison
from .scores import ModelScore

__all__ = ["Comparison", "ModelScore", "compare_densities"]
