"""How each kind of model is fitted with several numbers of components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from .._typing import Floats, Table
from ..estimators import factor_path, mixture_path, ppca_path
from ..estimators.base.exact import ExactDensityEstimator
from ..estimators.base.mixture import MixtureEstimator
from ..estimators.factor_analysis import FactorAnalysis
from ..estimators.ppca import PPCA
from ..estimators.ppca_path import Fold

__all__ = ["Fit", "Fits", "Fold", "Model", "Path", "path_of"]

Model = ExactDensityEstimator


class Fit(Protocol):
    """A fitted model, which may be fitted more closely."""

    @property
    def estimator(self) -> Any:
        """The model."""
        ...

    @property
    def seconds(self) -> float:
        """How long the fit took."""
        ...

    @property
    def left(self) -> float:
        """Nats that are left to gain, in all rows together; 0 if they are too few to count."""
        ...

    @property
    def converged(self) -> bool:
        """Whether the fit ended because little was left to gain."""
        ...

    def refined(self, share: float, /) -> Self:
        """The fit with no more than a share of that left, or next to nothing."""
        ...


Fits = dict[int, Any]
"""For each number of components a ``Fit``, or the ValueError that says why there is none."""


@dataclass(frozen=True)
class Path:
    """How a kind of model is fitted with several numbers of components.

    Attributes
    ----------
    fit_counts : callable
        From an estimator, rows, weights, numbers of components, and whether the maximum of the
        likelihood is wanted, to fits.
    fit_folds : callable
        The same for the training rows of each fold, under the priors of the estimator.
    together : bool
        Whether folds share what is measured of them, so that they are fitted together.
    least : int
        The smallest number of components.
    """

    fit_counts: Callable[[Any, Table, Floats, Sequence[int], bool], Fits]
    fit_folds: Callable[[Any, Table, Floats, Sequence[int], Sequence[Fold]], list[Fits]]
    together: bool
    least: int = 1

    def groups(self, folds: Sequence[Fold]) -> list[Sequence[Fold]]:
        """Folds in groups that are fitted apart."""
        return [folds] if self.together else [[fold] for fold in folds]


def mixture_folds(
    estimator: Any, X: Table, w: Floats, counts: Sequence[int], folds: Sequence[Fold]
) -> list[Fits]:
    """Fit mixtures to the training rows of each fold, which know nothing of the rows held out."""
    return [
        mixture_path.fit_counts(estimator, X[train], w[train], counts, False) for train, _ in folds
    ]


PATHS: dict[type[Model], Path] = {
    MixtureEstimator: Path(mixture_path.fit_counts, mixture_folds, together=False),
    PPCA: Path(ppca_path.fit_counts, ppca_path.fit_folds, together=True),
    FactorAnalysis: Path(factor_path.fit_counts, factor_path.fit_folds, together=False, least=0),
}


def path_of(estimator: object) -> Path:
    """How an estimator is fitted with several numbers of components.

    Raises
    ------
    ValueError
        If it is neither a mixture, nor PPCA or FactorAnalysis.
    """
    for kind, path in PATHS.items():
        if isinstance(estimator, kind):
            return path
    raise ValueError(
        f"estimator must be a mixture of this package, PPCA or FactorAnalysis, such as "
        f"EMGaussianMixture(), got {estimator!r}."
    )
