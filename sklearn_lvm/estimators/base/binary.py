"""The base of estimators for tables of zeros and ones: validation, and how rows are cut."""

from functools import partial
from numbers import Real
from typing import ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import Tags

from ..._compat import Interval
from ..._typing import Bools, Floats, Table, Weights
from ...core.bernoulli.binarization import Binarization
from ...core.bernoulli.density import MIN_LOG_PROB, Bernoullis, expected_entries
from ...core.blocks import row_slices
from ...core.mixture import Mixture
from ...inference.block_map import block_size, slices_of
from .imputation import ImputingEstimator
from .transaction import warn

MIN_BLOCK_ROWS = 1 << 13  # rows that are worth a table of all patterns of eight columns
BINARIZE: dict[str, list[object]] = {
    "binarize": [Interval(Real, None, None, closed="neither"), None]
}


class BinaryEstimator(ImputingEstimator):
    """Base of the Bernoulli models: dense or CSR rows of any numeric type, in which NaN is missing."""

    _checks: ClassVar[dict[str, object]] = {
        "dtype": "numeric",
        "accept_sparse": "csr",
        "ensure_all_finite": "allow-nan",
    }
    binarize: float | None
    _fitted_binarize: float | None  # which binarize is no longer once a user has changed it

    def _check_training(
        self, X: ArrayLike | csr_array, sample_weight: Weights, *, reset: bool = True
    ) -> tuple[Table, Floats]:
        rows, w = super()._check_training(X, sample_weight, reset=reset)
        self._fitted_binarize = self.binarize
        return self._check_binary(rows), w

    def _validated(self, X: ArrayLike | csr_array, *, reset: bool) -> Table:
        rows = super()._validated(X, reset=reset)
        if rows.dtype == object:  # as scikit-learn leaves lists; arrays of objects it makes numbers
            rows = super()._validated(_as_numbers(X, rows), reset=reset)
        return rows

    def _check_rows(self, X: ArrayLike | csr_array) -> Table:
        return self._check_binary(super()._check_rows(X))

    def _check_binary(self, X: Table) -> Table:
        """Rows whose entries the threshold, if there is one, makes zeros and ones."""
        threshold = self._fitted_binarize
        if issparse(X):
            X = _without_duplicates(X)
            if threshold is not None and threshold < 0:
                raise ValueError(
                    f"binarize={threshold!r} would make ones of the entries that a sparse X "
                    "leaves out: with sparse input it must be at least 0."
                )
        if threshold is None and (found := not_binary(X)) is not None:
            i, j = found
            raise ValueError(
                f"binarize=None needs X to hold nothing but 0, 1 and NaN, got {X[i, j]} in row {i}, "
                f"{self._column(j)}. Set binarize to a threshold."
            )
        return X

    def _column(self, j: int) -> str:
        names = getattr(self, "feature_names_in_", None)
        return f"column {j}" if names is None else f"column {names[j]!r}"

    def _known_values(self, row: Floats) -> Floats:
        """Zeros and ones of a row (1, d), in which NaN is not known."""
        rows = self._check_binary(row)
        return np.asarray(rows[0] > cast(Binarization, self._transformation).threshold)

    def _binarization(self) -> Binarization:
        return Binarization(0.5 if self.binarize is None else float(self.binarize))

    def _warn_if_one_sided(self, X: Table, w: Floats) -> None:
        """Warn if the threshold tells no entry from another though there are several values."""
        if self.binarize is None:
            return
        found = range_on_one_side(X if w.all() else X[w > 0], float(self.binarize))
        if found is None:
            return
        low, high = found
        side = "ones, being above" if low > self.binarize else "zeros, none being above"
        warn(
            f"All entries of X are {side} binarize={self.binarize!r}, though they go from {low:g} to "
            f"{high:g}. Set binarize to a threshold in between, such as {low / 2 + high / 2:g}.",
            DataConversionWarning,
        )

    def _log_prob(self, X: Table) -> Floats:
        log_prob = super()._log_prob(X)
        return np.where(log_prob < MIN_LOG_PROB, -np.inf, log_prob)

    def _conditional_means(self, X: Table) -> Floats:
        mixture = cast(Mixture[Bernoullis], self._mixture)
        return self._by_block(X, lambda: partial(expected_entries, mixture)).T

    def _most_probable(self, means: Floats) -> Floats:
        return (means > 0.5).astype(np.float64)

    def _slices(self, X: Table) -> list[slice]:
        """The rows of each block: many, for its tables and sums are as long as all columns."""
        n, d = X.shape
        if issparse(X):
            size = block_size(self._n_components_per_column() + len(X.data) // n)
            return slices_of(n, max(size, d))
        return slices_of(n, max(block_size(self._n_components_per_column()), MIN_BLOCK_ROWS))

    def _n_components_per_column(self) -> int:
        """How many probabilities each column has."""
        return 1

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _as_numbers(X: Table, rows: Table) -> Table:
    """A frame of pandas with numbers in its columns, NaN for NA, or other rows as they are."""
    try:
        return X.astype(np.float64) if hasattr(X, "iloc") else rows
    except (TypeError, ValueError):  # of which validation says where it is no number
        return rows


def _without_duplicates(X: csr_array) -> csr_array:
    """A CSR table with one entry in a place: a threshold decides about the sum of several."""
    if X.has_canonical_format:
        return X
    X = X.copy()
    X.sum_duplicates()
    return X


def not_binary(X: Table) -> tuple[int, int] | None:
    """The row and column of the first entry that is neither 0 nor 1 nor NaN, if there is one."""
    return (_first_stored if issparse(X) else _first_dense)(X)


def _first_stored(X: csr_array) -> tuple[int, int] | None:
    bad = np.flatnonzero(_neither(X.data))
    if not len(bad):
        return None
    places = X.tocoo()
    return int(places.row[bad[0]]), int(places.col[bad[0]])


def _first_dense(X: Floats) -> tuple[int, int] | None:
    for rows in row_slices(*X.shape):
        bad = np.argwhere(_neither(X[rows]))
        if len(bad):
            return rows.start + int(bad[0, 0]), int(bad[0, 1])
    return None


def range_on_one_side(X: Table, threshold: float) -> tuple[float, float] | None:
    """The least and the largest entry, if they differ and a threshold has both on one side."""
    low, high = np.inf, -np.inf
    for entries in _stored(X) if issparse(X) else (X[rows] for rows in row_slices(*X.shape)):
        low = float(np.fmin.reduce(entries, axis=None, initial=low, dtype=np.float64))
        high = float(np.fmax.reduce(entries, axis=None, initial=high, dtype=np.float64))
        if low <= threshold < high:
            return None
    return (low, high) if low < high else None


def _stored(X: csr_array) -> list[Floats]:
    """All entries of a sparse table, but one zero for those that are left out."""
    return [X.data, np.zeros(int(X.nnz < X.shape[0] * X.shape[1]))]


def _neither(values: Floats) -> Bools:
    # NaN differs from itself, and is allowed.
    return (values != 0) & (values != 1) & (values == values)


def check_prior(
    name: str, value: object, d: int, *, least: float = 0.0, bound: str = "positive"
) -> Floats:
    """A prior for each column, (1, d); ``bound`` is what a message says of the least one.

    Raises
    ------
    ValueError
        If it is neither a number nor one for each column, or not above (or, for a positive ``least``,
        at least) that.
    """
    try:
        prior = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        prior = np.full(1, np.nan)
    fits = prior.shape in ((), (d,))
    allowed = (prior > 0) & np.isfinite(prior) & (prior >= least)
    if not (fits and allowed.all()):
        shown = value if fits and prior.ndim == 0 else f"shape {prior.shape}"
        if fits and prior.ndim:
            j = int(np.flatnonzero(~allowed)[0])
            shown = f"{prior[j]} in column {j}"
        raise ValueError(
            f"{name} must be {bound} and finite, a number or one for each of the {d} columns, "
            f"got {shown!r}."
        )
    return np.broadcast_to(prior, (1, d))
