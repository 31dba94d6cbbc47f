"""The base of independent columns whose parameters have conjugate priors of two parameters each."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
from scipy.stats import rv_continuous
from sklearn.utils.validation import check_is_fitted

from ..._typing import Floats, Ints
from .closed_form import ClosedFormEstimator, U, of_density
from .conditioning import Restrictable, Restriction
from .density import Density
from .validation import as_count, check_level


class ColumnStatistics(Protocol):
    """Statistics of independent columns."""

    def marginal(self, kept: Ints, /) -> Self: ...


class ColumnDensity(Density, Restrictable, Protocol):
    """A density of independent columns."""


S = TypeVar("S", bound=ColumnStatistics)
D = TypeVar("D", bound=ColumnDensity)


class ConjugateColumnsEstimator(ClosedFormEstimator[U, S, D], Generic[U, S, D]):
    """Base of independent columns, each with a parameter of the posterior (alpha_, beta_).

    A subclass says which distribution that is (``_distribution``).
    """

    _of_posterior: ClassVar[tuple[str, ...]] = ("alpha_", "beta_", "log_evidence_")

    alpha_: Floats
    beta_: Floats
    log_evidence_: Floats
    n_samples_seen_: int | float

    @abstractmethod
    def _distribution(self, alpha: Floats, beta: Floats) -> rv_continuous:
        """The posterior of the parameters, a frozen distribution of SciPy over the columns."""

    def _transformation_of(self, kept: Ints) -> U:
        """The transformation of some of the columns."""
        return self._transformation

    def _summary_of(self, known: Mapping[str, Floats], weight: float) -> dict[str, object]:
        """Fitted attributes of what is known of the columns, (d,), from rows of a summed weight."""
        for name in self._of_posterior:
            self.__dict__.pop(name, None)  # of another inference
        with np.errstate(over="ignore"):  # what a single precision cannot hold is infinite there
            named = {name: value.astype(self._dtype) for name, value in known.items()}
        return {
            "n_samples_seen_": as_count(weight),
            "n_parameters_": self.n_features_in_,
            **named,
        }

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        # Columns are independent: of those that are kept everything is known as before.
        of_columns = (*self._of_density, *self._of_posterior)
        known = {name: getattr(self, name)[kept] for name in of_columns if hasattr(self, name)}
        return {
            **known,
            **of_density(restrict(self._density_or_raise()), self._transformation_of(kept)),
            "n_parameters_": len(kept),
            "n_samples_seen_": self.n_samples_seen_,
            "_statistics": self._statistics.marginal(kept),
        }

    # -- the posterior -------------------------------------------------------------------------------

    @property
    def posterior_(self) -> rv_continuous:
        """The posterior of the parameters, a frozen distribution of SciPy over the columns."""
        check_is_fitted(self)
        if not hasattr(self, "alpha_"):
            raise AttributeError(
                "a fit with inference='mle' has no posterior; set inference='bayes' or 'map', and fit "
                "again."
            )
        return self._distribution(*(part.astype(np.float64) for part in (self.alpha_, self.beta_)))

    def credible_interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Compute the central interval that holds the parameter of each column with a probability.

        Parameters
        ----------
        level : float, default=0.95
            The posterior probability of the interval, in (0, 1).

        Returns
        -------
        low, high : ndarray of shape (n_features,)
            The posterior's quantiles of (1 - level) / 2 and (1 + level) / 2.

        Raises
        ------
        ValueError
            If ``level`` is not inside (0, 1).
        AttributeError
            If there is no posterior, with inference='mle'.
        """
        tail = (1.0 - check_level(level)) / 2
        return self.posterior_.ppf(tail), self.posterior_.isf(tail)
