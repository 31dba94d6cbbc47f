"""Factor analysis with several numbers of factors."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Self

from sklearn.base import clone

from .._typing import Floats
from ..inference.block_map import single_threaded_blas
from .factor_analysis import FactorAnalysis
from .ppca_path import Fold


@dataclass(frozen=True, eq=False)
class FactorFit:
    """A fitted factor analysis.

    Attributes
    ----------
    estimator : FactorAnalysis
    seconds : float
        How long the fit took.
    left : float
        Nats that are left to gain: next to none, since few steps of Newton's method end a fit.
    """

    estimator: FactorAnalysis
    seconds: float
    left: float = 0.0

    @property
    def converged(self) -> bool:
        """Whether the fit ended because little was left to gain."""
        return self.estimator.converged_

    def refined(self, share: float) -> Self:
        """The fit."""
        return self


Fits = dict[int, FactorFit | ValueError]


def fit_counts(
    estimator: FactorAnalysis, X: Floats, w: Floats, counts: Sequence[int], by_likelihood: bool
) -> Fits:
    """Fit factor analysis with each of several numbers of factors.

    Parameters
    ----------
    estimator : FactorAnalysis
        It is not changed.
    X, w : ndarray of shape (n, d) and (n,)
        Validated rows and weights.
    counts : sequence of int
    by_likelihood : bool
        The maximum of the likelihood is what a fit finds in any case.

    Returns
    -------
    fits : dict
        For each number the fit, or why there is none.
    """
    with single_threaded_blas():
        return {q: _fitted(estimator, q, X, w) for q in counts}


def _fitted(estimator: FactorAnalysis, q: int, X: Floats, w: Floats) -> FactorFit | ValueError:
    began, one = perf_counter(), clone(estimator).set_params(n_components=q)
    try:
        one.fit(X, sample_weight=w)
        one._density_or_raise()
    except ValueError as reason:
        return reason
    return FactorFit(one, perf_counter() - began)


def fit_folds(
    estimator: FactorAnalysis, X: Floats, w: Floats, counts: Sequence[int], folds: Sequence[Fold]
) -> list[Fits]:
    """Fit factor analysis to the training rows of each fold, with each number of factors."""
    return [fit_counts(estimator, X[train], w[train], counts, True) for train, _ in folds]
