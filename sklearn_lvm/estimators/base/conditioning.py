"""Fitted densities of some of the features, by themselves or given values of the others."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real
from reprlib import repr
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ..._typing import Floats, Ints
from .density import DensityEstimator
from .validation import listed

STARTS = ("weights_init", "means_init", "precisions_init", "probabilities_init")
PRIORS = ("mean_prior", "covariance_prior", "alpha", "beta")  # which may be arrays of features
OF_ROWS = ("n_samples_seen_", "_model")  # of which a density without rows has neither


class Restrictable(Protocol):
    """A density of several features, which knows those of some of them."""

    def marginal(self, features: Ints, /) -> Self: ...
    def conditional(self, features: Ints, values: Floats, /) -> tuple[Floats, Self]: ...


R = TypeVar("R", bound=Restrictable)


class Restriction(Protocol):
    """From a density of all features to that of some."""

    def __call__(self, density: R, /) -> R: ...


@dataclass(frozen=True, eq=False)
class Marginal:
    """The density of some features, the others integrated out."""

    features: Ints

    def __call__(self, density: R, /) -> R:
        return density.marginal(self.features)


@dataclass(frozen=True, eq=False)
class Conditional:
    """The density of the other features given values of some, in the units of kernels.

    Raises
    ------
    ValueError
        If the density rules the values out.
    """

    features: Ints
    values: Floats

    def __call__(self, density: R, /) -> R:
        log_prob, others = density.conditional(self.features, self.values)
        if not np.isfinite(log_prob).any():
            raise ValueError(
                f"the fitted density rules out the values of columns {listed(self.features.tolist())}: "
                "their probability is 0, and nothing follows from them. Give other values, or fit with "
                "a prior, under which no probability is exactly 0 or 1."
            )
        return others


class ConditioningEstimator(DensityEstimator):
    """Base of densities that give those of some of their features, as fitted estimators.

    A subclass says which fitted attributes the density of some features has (``_restricted``), and of
    its parameters, which are other for fewer features (``_params_of_features``).
    """

    def condition(self, values: Mapping[str | int, float]) -> Self:
        """Fix values of some columns: the density of the others given these, p(x_rest | values).

        log p(x) = log p(values) + log p(x_rest | values). A Gaussian stays a Gaussian, of the mean
        m_r + C_rv inv(C_vv) (values - m_v) and the covariance C_rr - C_rv inv(C_vv) C_vr (Bishop, 2006,
        equations 2.81 and 2.82); a Student-t density whose p columns share a precision gets dof + p
        degrees of freedom, and its scale is multiplied by (dof + D) / (dof + p), D being the squared
        distance of the values (Ding, 2016). A mixture stays a mixture, with the weights p(k | values).

        Parameters
        ----------
        values : dict
            From columns, by name or by index, to finite numbers in the units of the data.

        Returns
        -------
        density : object
            A fitted estimator of the same class on the other columns, in their order: it scores,
            predicts, samples and transforms. Means and covariances of a posterior are the conditional
            ones of the Gaussians that ``means_`` and ``covariances_`` describe. What only a fit knows,
            such as ``lower_bound_``, is not there. Parameters are those of this estimator, with the
            starts set to None and priors for the columns that are left, so that a clone can be fitted.

        Raises
        ------
        ValueError
            If a column is unknown or given twice, none is given or none would be left, a value is not a
            finite number, or the fitted density rules the values out.

        References
        ----------
        P. Ding, On the conditional distribution of the multivariate t distribution (2016), The American
        Statistician 70.

        Examples
        --------
        Of two clouds, the value of one column tells which it is:

        >>> from sklearn_lvm import EMGaussianMixture
        >>> clouds = EMGaussianMixture.from_parameters(
        ...     [0.5, 0.5], [[-2.0, -1.0], [2.0, 1.0]], [1.0, 1.0], covariance_type="spherical"
        ... )
        >>> right = clouds.condition({0: 3.0})
        >>> right.weights_.round(3), right.means_
        (array([0., 1.]), array([[-1.],
               [ 1.]]))
        """
        check_is_fitted(self)
        self._density_or_raise()
        given = _as_dict(values)
        known = self._columns("values", given)
        if len(known) == self.n_features_in_:
            raise ValueError(
                f"values fixes all of the {self.n_features_in_} columns, and leaves none: leave out at "
                "least one, or score a row with score_samples."
            )
        numbers = np.array([_number(name, value) for name, value in given.items()])
        row = np.full((1, self.n_features_in_), np.nan)
        row[0, known] = numbers
        kept = np.delete(np.arange(self.n_features_in_), known)
        return self._part(kept, Conditional(known, self._known_values(row)[known]))

    def marginal(self, features: Iterable[str | int]) -> Self:
        """Integrate columns out: the density of the given ones, p(x_features).

        It scores rows of these columns as this estimator scores rows in which the others are missing.

        Parameters
        ----------
        features : list of str or int
            Columns by name or by index, in any order; the result has them in the order of the fit.

        Returns
        -------
        density : object
            A fitted estimator of the same class on these columns; see ``condition``.

        Raises
        ------
        ValueError
            If a column is unknown or given twice, or none is given.
        """
        check_is_fitted(self)
        self._density_or_raise()
        if isinstance(features, str | Integral):
            raise ValueError(
                f"features must be a list of columns, got {features!r}: [{features!r}]."
            )
        kept = np.sort(self._columns("features", features))
        return self._part(kept, Marginal(kept))

    # -- columns -----------------------------------------------------------------------------------

    def _columns(self, argument: str, given: Iterable[object]) -> Ints:
        """Positions of columns that are given by name or by index, all of them different."""
        found = [self._position(argument, column) for column in given]
        if not found:
            raise ValueError(f"{argument} names no column: give at least one of {self._there()}.")
        for i, position in enumerate(found):
            if position in found[:i]:
                raise ValueError(
                    f"{argument} names column {position} twice, by name or by index: give it once."
                )
        return np.array(found)

    def _position(self, argument: str, column: object) -> int:
        names = getattr(self, "feature_names_in_", ())
        if isinstance(column, str) and column in names:
            return int(np.flatnonzero(names == column)[0])
        whole = isinstance(column, Integral) and not isinstance(column, bool)
        if whole and 0 <= int(column) < self.n_features_in_:  # type: ignore[call-overload]
            return int(column)  # type: ignore[call-overload]
        raise ValueError(
            f"{argument} names the unknown column {column!r}: there is {self._there()}."
        )

    def _there(self) -> str:
        """The columns that there are, in words."""
        indices = f"0 to {self.n_features_in_ - 1}"
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return f"{indices}, without names, since the fit was to a table without"
        return f"{listed([repr(name) for name in names])}, or an index from {indices}"

    def _known_values(self, row: Floats) -> Floats:
        """A row (1, d) with NaN for what is not known in the units of kernels, (d,)."""
        return np.asarray(self._transformation.transform(row)[:, 0])

    # -- the estimator of some columns -------------------------------------------------------------

    def _part(self, kept: Ints, restrict: Restriction) -> Self:
        part: Self = clone(self).set_params(**self._params_of_features(kept))
        part.n_features_in_ = len(kept)
        if hasattr(self, "feature_names_in_"):
            part.feature_names_in_ = self.feature_names_in_[kept]
        part._dtype = self._dtype
        part._set_fitted(self._restricted(kept, restrict))
        return part

    @abstractmethod
    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        """Fitted attributes of the density of the columns that are kept."""

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        """The parameters that are other for some of the columns."""
        given = self.get_params(deep=False)
        starts = dict.fromkeys(name for name in STARTS if name in given)
        priors = {name: _of_features(given[name], kept) for name in PRIORS if name in given}
        return starts | priors


def takes_batches(estimator: ConditioningEstimator) -> bool:
    """Whether there is something that more rows can be added to.

    Raises
    ------
    AttributeError
        If the estimator was made of another, and knows no rows.
    """
    known = any(hasattr(estimator, name) for name in OF_ROWS)
    if hasattr(estimator, "_density") and not known:
        raise AttributeError(
            "a density that condition or marginal made knows no rows that others could be added to: "
            "call fit with all rows, or partial_fit of a clone."
        )
    return True


def _of_features(value: object, kept: Ints) -> object:
    """The part of an array for some features, or of a matrix; other parameters stay as they are."""
    if value is None or isinstance(value, str | Real):
        return value
    array: Floats = np.asarray(value)
    return array[np.ix_(*[kept] * array.ndim)] if array.ndim else value


def _as_dict(values: object) -> dict[str | int, ArrayLike]:
    if not hasattr(values, "items"):
        raise ValueError(
            f"values must be a dict from columns to numbers, got {repr(values)}: such as {{0: 1.5}}."
        )
    return dict(values.items())


def _number(column: object, value: object) -> float:
    """A finite number; the ValueError names the column."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    if not isfinite(number):
        raise ValueError(
            f"values[{column!r}] must be a finite number, got {repr(value)}: leave a column out whose "
            "value is not known."
        )
    return number
