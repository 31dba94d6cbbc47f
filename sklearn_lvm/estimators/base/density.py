"""The base of all estimators: a density that scores rows, samples, and tells how well it fits."""

from collections.abc import Callable, Mapping
from copy import copy
from importlib.metadata import PackageNotFoundError, metadata
from numbers import Integral
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ..._compat import check_random_state_of, without_callbacks
from ..._typing import Floats, Ints, RandomState, Rows, Table, Weights
from ...core.rows import Transformation
from ...inference.block_map import ThreadMap, block_size, slices_of
from .docs import documented
from .validation import (
    FLOATS,
    check_weights,
    empty_rows,
    explained,
    missing_entries,
    observed_part,
    result_dtype,
    weighted_total,
)

MAX_SAMPLES = int(np.iinfo(np.intp).max)
A = TypeVar("A", bound=NDArray[np.generic])


class RowKernel(Protocol):
    """A density prepared to score blocks of rows."""

    def log_prob(self, rows: Rows, /) -> Floats: ...


class Density(Protocol):
    """The density that an estimator keeps once it is fitted, in the units of its kernels."""

    def sample(self, n: int, rng: np.random.RandomState, /) -> tuple[Floats, Floats | Ints]: ...


class DensityWithKernel(Density, Protocol):
    """A density that scores blocks of rows."""

    def kernel(self) -> RowKernel: ...


class DensityEstimator(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, BaseEstimator
):
    """Base of all estimators here: a density with ``score_samples``, ``sample`` and ``transform``.

    A subclass says in ``_checks`` what rows it takes. Fitted it has ``_transformation``, which brings
    rows into the units of kernels and back, ``_density`` in these units, ``_dtype`` of the results
    about the data it was fitted to, and ``n_parameters_``.
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {}
    _checks: ClassVar[dict[str, object]] = {"dtype": FLOATS, "ensure_all_finite": "allow-nan"}
    _doc_link_module = "sklearn_lvm"
    _parameter_names: ClassVar[tuple[str, ...]] = ()  # of the fitted arrays that a bootstrap draws

    _transformation: Transformation
    _dtype: type[np.float32 | np.float64]
    random_state: RandomState
    n_features_in_: int
    n_parameters_: int

    # -- validation --------------------------------------------------------------------------------

    def _check_training(
        self, X: ArrayLike, sample_weight: Weights, *, reset: bool = True
    ) -> tuple[Table, Floats]:
        """Validated rows of which something was observed, and their weights, (n, d) and (n,).

        With ``reset``, in a fit or in the first batch, every column must have an observed entry.
        """
        table = self._validated(X, reset=reset)
        w = check_weights(sample_weight, table)
        rows, kept = self._observed_part(table, w, every_column=reset)
        return (table, w) if rows is table else (rows, check_weights(kept, rows))

    def _observed_part(self, X: Table, w: Floats, *, every_column: bool) -> tuple[Table, Floats]:
        names = getattr(self, "feature_names_in_", None)
        return observed_part(X, w, names, every_column=every_column)

    def _check_rows(self, X: ArrayLike) -> Table:
        """Validated rows for a fitted estimator."""
        check_is_fitted(self)
        return self._validated(X, reset=False)

    def _validated(self, X: ArrayLike, *, reset: bool) -> Table:
        try:
            with np.errstate(all="ignore"):  # the sum of finite entries may overflow
                return validate_data(self, X, reset=reset, **self._checks)
        except (TypeError, ValueError, OverflowError) as error:
            raise explained(error, X) from error

    def _set_fitted(self, attributes: Mapping[str, object]) -> None:
        """Set fitted attributes."""
        for name, value in attributes.items():
            setattr(self, name, value)

    # -- refits ------------------------------------------------------------------------------------

    def _refit_params(self, weight: float) -> dict[str, object]:
        """What is to be set before a copy is fitted to the same rows, of a summed weight, once more."""
        return {}

    def _refitted(self, X: Table, w: Floats) -> Self:
        """A copy that is fitted once more, from where this fit ended if it can be."""
        # Fits set attributes anew and change none in place: a shallow copy leaves the original alone.
        model = without_callbacks(copy(self))
        model.set_params(**self._refit_params(float(w.sum())))
        return model.fit(X, sample_weight=w)

    def _parameters_like(self, other: Self, X: Table, w: Floats) -> dict[str, Floats]:
        """The fitted parameters, in the order of those of another fit to the same rows."""
        return {name: np.asarray(getattr(self, name)) for name in self._parameter_names}

    # -- densities ---------------------------------------------------------------------------------

    def _density_or_raise(self) -> Density:
        return self._density

    def _by_block(self, X: Table, prepare: Callable[[], Callable[[Rows], A]]) -> A:
        """Apply a function of blocks, as kernels take them, to all rows; its last axis runs over them.

        The function is prepared where BLAS is held to one thread, so that threads change no bit of it.
        """
        with ThreadMap() as block_map:
            function, slices = prepare(), self._slices(X)
            first = function(self._kernel_rows(X[slices[0]]))
            found = np.empty((*first.shape[:-1], X.shape[0]), first.dtype)
            found[..., slices[0]] = first

            def fill(rows: slice) -> None:
                found[..., rows] = function(self._kernel_rows(X[rows]))

            block_map.map(fill, slices[1:])
        return cast(A, found)

    def _log_prob(self, X: Table) -> Floats:
        # Estimators of densities without a kernel override this method.
        density = cast(DensityWithKernel, self._density_or_raise())
        log_prob = self._by_block(X, lambda: density.kernel().log_prob)
        missing = missing_entries(X)
        if missing is None:
            return log_prob - self._transformation.log_jacobian
        # A row of which nothing was observed has the density 1, not what rounding makes of it.
        return np.where(empty_rows(missing), 0.0, log_prob - self._log_jacobian(X))

    def _kernel_rows(self, X: Table) -> Rows:
        """Rows as kernels take them."""
        return self._transformation.transform(X)

    def _log_jacobian(self, X: Table) -> float | Floats:
        """log |dx / dz| of what was observed of incomplete rows, in nats: one, or one for each."""
        return self._transformation.log_jacobian

    def _slices(self, X: Table) -> list[slice]:
        """The rows of each block."""
        return slices_of(X.shape[0], block_size(self._width()))

    def _width(self) -> int:
        """How many numbers a row grows into while it is scored."""
        raise NotImplementedError

    def score_samples(self, X: ArrayLike) -> Floats:
        """Compute the log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed: the score is the marginal log-density of the other entries.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            log p(x) in nats, in the units of the data; 0 for a row of which nothing was observed.
        """
        rows = self._check_rows(X)
        with np.errstate(over="ignore"):  # what single precision cannot hold is -inf there
            return self._log_prob(rows).astype(result_dtype(rows), copy=False)

    @documented
    def score(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> float:
        """Compute the mean log-density of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed. Rows of which nothing was observed count, with a score of 0.
        y : Ignored
        {sample_weight}

        Returns
        -------
        score : float
            The weighted mean of ``score_samples(X)``, in nats per row.
        """
        rows = self._check_rows(X)
        w = check_weights(sample_weight, rows)
        return weighted_total(w / w.sum(), self._log_prob(rows))

    @overload
    def sample(
        self,
        n_samples: int = 1,
        *,
        random_state: RandomState = None,
        return_latent: Literal[False] = False,
    ) -> Floats: ...
    @overload
    def sample(
        self, n_samples: int = 1, *, random_state: RandomState = None, return_latent: Literal[True]
    ) -> tuple[Floats, Floats | Ints]: ...
    def sample(
        self, n_samples: int = 1, *, random_state: RandomState = None, return_latent: bool = False
    ) -> Floats | tuple[Floats, Floats | Ints]:
        """Draw new rows from the fitted density.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None falls back to the estimator's own ``random_state``. As in scikit-learn, a NumPy
            Generator is refused.
        return_latent : bool, default=False
            Whether to return the latent variable of each row as well.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows in random order.
        latent : ndarray
            Only if ``return_latent``: the components of a mixture, (n_samples,); the coordinates that
            ``transform`` estimates, (n_samples, n_components); or, of BetaBernoulli, the
            probabilities of ones that each row was drawn with, (n_samples, n_features).

        Raises
        ------
        ValueError
            If ``n_samples`` is not a positive integer, or the random state is none.
        """
        check_is_fitted(self)
        rng = self._drawing("sample", n_samples, random_state)
        Z, latent = self._density_or_raise().sample(int(n_samples), rng)
        X = self._in_own_precision(self._transformation.inverse_transform(Z))
        if not return_latent:
            return X
        latent = self._latent_of(X, latent)
        # Labels stay what they are.
        return X, self._in_own_precision(latent) if latent.dtype.kind == "f" else latent

    def _drawing(
        self, method: str, n_samples: int, random_state: RandomState
    ) -> np.random.RandomState:
        """The random state of a method that draws so many samples; bad arguments are refused."""
        whole = isinstance(n_samples, Integral) and not isinstance(n_samples, bool)
        if not (whole and 1 <= n_samples <= MAX_SAMPLES):
            raise ValueError(
                f"n_samples must be an integer from 1 to {MAX_SAMPLES}, got {n_samples!r}."
            )
        return self._random_state_of(method, random_state)

    def _random_state_of(self, method: str, random_state: RandomState) -> np.random.RandomState:
        """The random state of a call of a method, by default that of the estimator."""
        state = self.random_state if random_state is None else random_state
        check_random_state_of(method, state)
        rng: np.random.RandomState = check_random_state(state)
        return rng

    def _in_own_precision(self, values: NDArray[Any]) -> Floats:
        return values.astype(self._dtype, copy=False)

    def _latent_of(self, X: Floats, latent: Floats | Ints) -> Floats | Ints:
        """The latent variables of sampled rows, given those that the density drew."""
        return latent

    # -- what scikit-learn asks --------------------------------------------------------------------

    @property
    def _doc_link_template(self) -> str:
        home = _documentation()
        return f"{home}generated/sklearn_lvm.{{estimator_name}}.html" if home else ""

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"estimator_name": type(self).__name__}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @documented
    def fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Fit the density to weighted rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed.
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : object
        """
        raise NotImplementedError


def _documentation() -> str:
    """The address of the documentation, as the installed package says."""
    try:
        links = metadata("sklearn-lvm").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = dict(link.split(", ", 1) for link in links)
    return named.get("Documentation", "")
