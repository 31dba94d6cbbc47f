"""The base of densities in closed form: statistics that add, and a density made of them."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from ..._typing import Floats, Table, Weights
from ...core.rows import Transformation
from .conditioning import ConditioningEstimator, takes_batches
from .density import Density
from .docs import documented
from .exact import ExactDensityEstimator
from .transaction import transactional, warn
from .validation import CovarianceWarning, result_dtype

U = TypeVar("U", bound=Transformation)
S = TypeVar("S")
D = TypeVar("D", bound=Density)


class NoDensityError(ValueError):
    """The statistics do not determine a density; the message says why, and what to do."""


class ClosedFormEstimator(ExactDensityEstimator, ConditioningEstimator, Generic[U, S, D]):
    """Base of densities that are a function of statistics, values with ``+``.

    A subclass measures rows (``_measured``), adds those of later rows (``_joined``), and makes a
    density of statistics (``_estimate``). It names the fitted attributes that statistics determine
    alone (``_summary``), and those that a density determines (``_described``, ``_of_density``).
    """

    _of_density: ClassVar[tuple[str, ...]]  # fitted attributes that there are only with a density

    _transformation: U
    _statistics: S
    _density: D | None
    _no_density: str | None  # why there is no density
    _pending_warning: str | None  # what to warn of when the density is used

    @abstractmethod
    def _measured(self, X: Table, w: Floats) -> tuple[U, S]:
        """Measure rows in units of their own."""

    @abstractmethod
    def _joined(self, X: Table, w: Floats) -> tuple[U, S]:
        """The statistics so far and those of more rows, in units that suit both."""

    @abstractmethod
    def _estimate(self, statistics: S, transformation: U) -> D:
        """The density of statistics.

        Raises
        ------
        NoDensityError
            If there is none.
        """

    @abstractmethod
    def _summary(self, statistics: S, transformation: U) -> Mapping[str, object]:
        """Fitted attributes that statistics determine."""

    @abstractmethod
    def _described(self, density: D, statistics: S, transformation: U) -> Mapping[str, object]:
        """Fitted attributes that the density determines."""

    @transactional
    @documented
    def fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Fit the density to weighted rows, in closed form.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Sparse rows where the estimator takes them.
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the rows do not determine a density, or a parameter does not suit them; the message
            names the cause and the remedy.
        """
        rows, w = self._check_training(X, sample_weight)
        self._fit_rows(rows, w)
        self._density_or_raise()
        self._pending_warning = None
        return self

    def _fit_rows(self, X: Table, w: Floats) -> None:
        self._take(*self._measured(X, w), result_dtype(X))

    @available_if(takes_batches)
    @transactional
    @documented
    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Add rows to those seen so far; any split, in any order, equals one ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Sparse rows where the estimator takes them.
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : object
            Until the rows determine a density, scoring raises a ValueError.
        """
        self._validate_params()  # which scikit-learn leaves out in later calls
        first = not hasattr(self, "_density")
        rows, w = self._check_training(X, sample_weight, reset=first)
        self._check_batch(rows)
        measure = self._measured if first else self._joined
        self._take(*measure(rows, w), result_dtype(rows))
        return self

    def _check_batch(self, X: Table) -> None:
        """Raise a ValueError if these rows cannot be added to those seen so far."""

    def _take(self, transformation: U, statistics: S, dtype: type[np.float32 | np.float64]) -> None:
        """Set all fitted attributes; ``_density`` is None where statistics determine none."""
        self._transformation, self._statistics, self._dtype = transformation, statistics, dtype
        self._density, self._no_density, self._pending_warning = None, None, None
        for name in self._of_density:
            self.__dict__.pop(name, None)  # of earlier statistics
        self._set_fitted(self._summary(statistics, transformation))
        try:
            self._density = self._estimate(statistics, transformation)
        except NoDensityError as reason:
            self._no_density = str(reason)
        else:
            self._set_fitted(self._described(self._density, statistics, transformation))

    def _density_or_raise(self) -> D:
        if self._density is None:
            raise ValueError(self._no_density)
        if self._pending_warning is not None:
            warn(self._pending_warning, CovarianceWarning)
        return self._density


def of_density(density: object, transformation: Transformation) -> dict[str, object]:
    """Private attributes of an estimator that is made of a density, without statistics."""
    return {
        "_transformation": transformation,
        "_density": density,
        "_no_density": None,
        "_pending_warning": None,
    }
