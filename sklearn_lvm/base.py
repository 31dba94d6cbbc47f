"""One door: validation, and the methods that every density estimator has."""

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from importlib.metadata import PackageNotFoundError, metadata
from numbers import Integral
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ._compat import _fit_context, check_sample_weight, with_callbacks
from ._typing import Array, Floats, Rows
from .core.rows import Units
from .inference.distribute import Walker, block_size, cut, single_threaded_blas

FLOATS = [np.float64, np.float32]
INSIDE = {"sklearn", "sklearn_lvm"}
Method = TypeVar("Method", bound=Callable[..., Any])


class CovarianceWarning(UserWarning):
    """A covariance was singular, and was regularised to have an inverse."""


def fitting(method: Method) -> Method:
    """Run a method that fits as one transaction: parameters checked, callbacks torn down.

    On any exception, an interrupt included, the attributes are what they were before. BLAS is held to
    one thread, so that no bit of a fit depends on how many there are; blocks of rows are walked in
    threads instead.
    """
    managed = with_callbacks(_fit_context(prefer_skip_nested_validation=True)(method))

    @wraps(method)
    def transaction(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            with single_threaded_blas():
                return managed(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return transaction  # type: ignore[return-value]


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line of the user's code, however many layers of scikit-learn lie between."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] in INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


class RowKernel(Protocol):
    """A density prepared to score blocks of rows."""

    def log_prob(self, rows: Rows, /) -> Floats: ...


class Density(Protocol):
    """What an estimator keeps in standard units once it is fitted."""

    def kernel(self) -> RowKernel: ...
    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Array, Array]: ...


class DensityEstimator(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, BaseEstimator
):
    """Base of all estimators here: a density with ``score_samples``, ``sample`` and ``transform``.

    A subclass says in ``_checks`` what rows it takes. Fitted it has ``_frame``, the standard units in
    which it computes, ``_density`` in these units, ``_dtype`` of the results about the data it was
    fitted to, and ``n_parameters_``.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}
    _checks: ClassVar[dict[str, Any]] = {"dtype": FLOATS}
    _doc_link_module = "sklearn_lvm"

    _frame: Units
    _dtype: Any
    random_state: Any
    n_parameters_: int

    # -- the door --------------------------------------------------------------------------------

    def _check_training(
        self, X: Any, sample_weight: Any, *, reset: bool = True
    ) -> tuple[Array, Array]:
        """Validated rows and their weights, (n, d) and (n,)."""
        X = validate_data(self, X, reset=reset, **self._checks)
        return X, _weights(sample_weight, X)

    def _check_rows(self, X: Any) -> Array:
        """Validated rows for a fitted estimator."""
        check_is_fitted(self)
        return validate_data(self, X, reset=False, **self._checks)

    def _adopt(self, attributes: dict[str, Any]) -> None:
        """Take on fitted attributes."""
        for name, value in attributes.items():
            setattr(self, name, value)

    # -- densities ---------------------------------------------------------------------------------

    def _fitted_density(self) -> Density:
        return self._density

    def _by_block(self, X: Array, prepare: Callable[[], Callable[[Any], Array]]) -> Array:
        """Apply a function of standardised blocks (d, b) to all rows; its last axis runs over them.

        The function is prepared where the rows are walked, so that threads change no bit of it.
        """
        with Walker() as walker:
            function, slices = prepare(), self._cut(X)
            first = function(self._frame.transform(X[slices[0]]))
            found = np.empty((*first.shape[:-1], X.shape[0]), first.dtype)
            found[..., slices[0]] = first

            def fill(rows: slice) -> None:
                found[..., rows] = function(self._frame.transform(X[rows]))

            walker.map(fill, slices[1:])
        return found

    def _log_prob(self, X: Array) -> Array:
        density = self._fitted_density()
        return self._by_block(X, lambda: density.kernel().log_prob) - self._frame.log_jacobian

    def _cut(self, X: Array) -> list[slice]:
        """Which rows are looked at together."""
        return cut(X.shape[0], block_size(self._width()))

    def _width(self) -> int:
        """How many numbers a row grows into while it is scored."""
        raise NotImplementedError

    def score_samples(self, X: Any) -> Array:
        """Compute the log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            log p(x) in nats, in the units of the data.
        """
        X = self._check_rows(X)
        return self._log_prob(X).astype(precision(X), copy=False)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Compute the mean log-density of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
            The weighted mean of ``score_samples(X)``, in nats per row.
        """
        X = self._check_rows(X)
        w = _weights(sample_weight, X)
        return _total(w, self._log_prob(X)) / float(w.sum())

    def _criterion(self, X: Any, sample_weight: Any, price: Callable[[float], float]) -> float:
        X = self._check_rows(X)
        w = _weights(sample_weight, X)
        return -2.0 * _total(w, self._log_prob(X)) + float(price(w.sum())) * self.n_parameters_

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Compute the Bayesian information criterion, ``-2 log L + n_parameters_ log n``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None
            The weights count as rows: n is their sum.

        Returns
        -------
        bic : float
            Lower is better (Schwarz, 1978).
        """
        return self._criterion(X, sample_weight, np.log)

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Compute the Akaike information criterion, ``-2 log L + 2 n_parameters_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        aic : float
            Lower is better (Akaike, 1974).
        """
        return self._criterion(X, sample_weight, lambda n: 2.0)

    def sample(
        self, n_samples: int = 1, *, random_state: Any = None, return_latent: bool = False
    ) -> Any:
        """Draw new rows from the fitted density.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None falls back to the estimator's own ``random_state``.
        return_latent : bool, default=False
            Whether to return the latent variable of each row as well.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows in random order.
        latent : ndarray
            Only if ``return_latent``: the components of a mixture, (n_samples,), or the coordinates
            that ``transform`` estimates, (n_samples, n_components).

        Raises
        ------
        ValueError
            If ``n_samples`` is not a positive integer.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or isinstance(n_samples, bool) or n_samples < 1:
            raise ValueError(f"n_samples must be an integer of at least 1, got {n_samples!r}.")
        rng = check_random_state(self.random_state if random_state is None else random_state)
        Z, latent = self._fitted_density().sample(int(n_samples), rng)
        X = self._frame.inverse_transform(Z).astype(self._dtype, copy=False)
        if latent.dtype.kind == "f":  # labels stay what they are
            latent = latent.astype(self._dtype, copy=False)
        return (X, latent) if return_latent else X

    # -- what scikit-learn asks ----------------------------------------------------------------------

    @property
    def _doc_link_template(self) -> str:
        home = _documentation()
        return f"{home}generated/sklearn_lvm.{{estimator_name}}.html" if home else ""

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"estimator_name": type(self).__name__}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the density to weighted rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of two equals a row given twice.

        Returns
        -------
        self : object
        """
        raise NotImplementedError


def precision(X: Any) -> type[np.floating[Any]]:
    """The floating point numbers in which results about rows are given."""
    return np.float32 if X.dtype == np.float32 else np.float64


def _weights(sample_weight: Any, X: Array) -> Array:
    """Non-negative weights in float64, not all of them zero."""
    w = check_sample_weight(sample_weight, X)
    if not w.any():
        raise ValueError("sample_weight is zero for every row: give at least one row some weight.")
    return w


def count(weight: float) -> int | float:
    """The summed weight of rows as their number, whole where it is."""
    return int(weight) if weight.is_integer() else weight


def _total(w: Array, log_prob: Array) -> float:
    """The log-probability of all rows; one of no weight is not there, however impossible."""
    held = w > 0
    return float(w[held] @ log_prob[held])


def _documentation() -> str:
    """Where the documentation lives, as the installed package says."""
    try:
        links = metadata("sklearn-lvm").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = dict(link.split(", ", 1) for link in links)
    return named.get("Documentation", "")
