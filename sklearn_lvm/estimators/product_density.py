"""Tables of mixed columns: independent blocks of columns, each with a density of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import DensityMixin, TransformerMixin, clone
from sklearn.utils import Bunch, Tags, check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import (
    RANDOM_STATE,
    BaseComposition,
    HasMethods,
    StrOptions,
    _fit_context,
    check_random_state_of,
)
from .._typing import Floats, Ints, RandomState, Table, Weights
from ..fitting.drawn_tables import drawn_rows
from .base.column_blocks import (
    NamedBlock,
    blocks_of_table,
    checked_blocks,
    framed,
    in_block,
    is_mixed,
)
from .base.docs import documented
from .base.transaction import unchanged_on_failure
from .base.validation import (
    FLOATS,
    check_weights,
    fit_weights,
    result_dtype,
    weighted_total,
)


class ProductDensity(TransformerMixin, DensityMixin, BaseComposition):
    r"""Independent blocks of columns, each with a density estimator of its own.

    With the columns :math:`x_b` of block b, and the density :math:`p_b` that was fitted to them,

    .. math:: \log p(x) = \sum_b \log p_b(x_b) .

    Parameters
    ----------
    blocks : list of (name, estimator, columns) or None, default=None
        The estimators have ``fit`` and ``score_samples``; they are cloned. Columns are what a
        ``ColumnTransformer`` takes: names, positions, a slice, a mask, or a function of X such as
        ``make_column_selector``. None reads the table: columns of 0 and 1 are
        ``BetaBernoulli(binarize=None)``, columns that are no numbers, such as those of categories,
        ``DirichletCategorical()``, and all others together one ``BayesianGaussian()``.
    remainder : 'raise' or estimator, default='raise'
        What becomes of columns in no block: a ValueError, or one more block, named 'remainder'.
    random_state : int, RandomState instance or None, default=None
        Used by ``sample``.

    Attributes
    ----------
    blocks_ : list of (name, fitted estimator, columns)
        Columns are positions.
    named_blocks_ : Bunch
        The fitted estimators by name.
    n_parameters_ : int
        The sum over the blocks, where all of them have it.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Examples
    --------
    The scores of the blocks add:

    >>> import numpy as np
    >>> from sklearn_lvm import BetaBernoulli, GaussianMLE, ProductDensity
    >>> rng = np.random.default_rng(0)
    >>> X = np.column_stack([rng.normal(size=(50, 2)), rng.integers(2, size=50)])
    >>> model = ProductDensity([("body", GaussianMLE(), [0, 1]), ("answer", BetaBernoulli(), [2])])
    >>> scores = model.fit(X).score_samples(X)
    >>> body = GaussianMLE().fit(X[:, :2]).score_samples(X[:, :2])
    >>> answer = BetaBernoulli().fit(X[:, 2:]).score_samples(X[:, 2:])
    >>> bool(np.allclose(scores, body + answer))
    True
    >>> model.get_feature_names_out()
    array(['body', 'answer'], dtype=object)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "blocks": [list, tuple, None],
        "remainder": [StrOptions({"raise"}), HasMethods(["fit", "score_samples"])],
        "random_state": RANDOM_STATE,
    }

    blocks_: list[tuple[str, Any, Ints]]
    named_blocks_: Bunch
    n_features_in_: int
    _frame: Table  # of a frame of mixed columns, none of its rows; else None
    _dtype: type[np.float32 | np.float64]

    def __init__(
        self,
        blocks: Sequence[tuple[str, object, object]] | None = None,
        *,
        remainder: Literal["raise"] | object = "raise",
        random_state: RandomState = None,
    ) -> None:
        self.blocks = blocks
        self.remainder = remainder
        self.random_state = random_state

    # -- parameters of the blocks --------------------------------------------------------------------

    @property
    def _named(self) -> list[tuple[str, object]]:
        # Of what is no list of triples fit complains, and nobody else.
        return [(block[0], block[1]) for block in self.blocks or ()] if self._are_triples() else []

    @_named.setter
    def _named(self, named: list[tuple[str, object]]) -> None:
        pairs = zip(named, self.blocks or (), strict=True)
        self.blocks = [(name, density, columns) for (name, density), (_, _, columns) in pairs]

    def _are_triples(self) -> bool:
        return self.blocks is None or (
            isinstance(self.blocks, list | tuple)
            and all(isinstance(block, list | tuple) and len(block) == 3 for block in self.blocks)
        )

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """Get the parameters, those of blocks as ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        params : dict
        """
        params: dict[str, object] = self._get_params("_named", deep=deep)
        return params

    def set_params(self, **params: object) -> Self:
        """Set parameters, those of blocks as ``name__parameter``.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : ProductDensity
        """
        self._set_params("_named", **params)
        return self

    # -- the fit -------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    @documented
    def fit(self, X: Table, y: object = None, sample_weight: Weights = None) -> Self:
        """Fit a clone of each block's estimator to its columns.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            NaN was not observed, in blocks that take it.
        y : Ignored
        {sample_weight}
            Only if all blocks take weights.

        Returns
        -------
        self : ProductDensity

        Raises
        ------
        ValueError
            If columns are in two blocks or in none, or a block does not suit its columns.
        """
        with unchanged_on_failure(self):
            rows = self._validated(X, reset=True)
            w = check_weights(sample_weight, rows)
            found = self._found(X if hasattr(X, "columns") else rows, rows, w)
            self.blocks_ = [
                (block.name, _fitted(block, rows, sample_weight, w), block.columns)
                for block in found
            ]
            self.named_blocks_ = Bunch(**{name: density for name, density, _ in self.blocks_})
            self._frame = X.iloc[:0].copy() if is_mixed(X) and hasattr(X, "iloc") else None
            self._dtype = _precision(rows)
        return self

    def _found(self, X: Table, rows: Table, w: Floats) -> list[NamedBlock]:
        if self.blocks is None:
            return blocks_of_table(rows, w)
        if not self._are_triples():
            raise ValueError(f"blocks must hold (name, estimator, columns), got {self.blocks!r}.")
        return checked_blocks(X, self.blocks, self.remainder)

    def _validated(self, X: Table, *, reset: bool) -> Table:
        """An array of numbers, or a frame of mixed columns as it is."""
        if is_mixed(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not len(X):
                raise ValueError("X has 0 rows: give at least one.")
            return X
        return validate_data(self, X, reset=reset, dtype=FLOATS, ensure_all_finite="allow-nan")

    def _check_rows(self, X: ArrayLike) -> Table:
        check_is_fitted(self)
        return self._validated(X, reset=False)

    # -- scores --------------------------------------------------------------------------------------

    def _log_probs(self, rows: Table) -> Floats:
        """The log-density of each block, (n, B)."""
        scores = [
            in_block(name, density.score_samples, rows, columns)
            for name, density, columns in self.blocks_
        ]
        return np.column_stack(scores).astype(np.float64)

    def transform(self, X: ArrayLike) -> Floats:
        """Compute the log-density of each block; each row sums to its score.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        log_prob : ndarray of shape (n_samples, n_blocks)
            In nats, in the units of the data.
        """
        rows = self._check_rows(X)
        return self._log_probs(rows).astype(_precision(rows), copy=False)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Get the names of the blocks.

        Parameters
        ----------
        input_features : Ignored

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        return np.array([name for name, _, _ in self.blocks_], dtype=object)

    def score_samples(self, X: ArrayLike) -> Floats:
        """Compute the log-density of each row.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            log p(x) in nats, in the units of the data.
        """
        rows = self._check_rows(X)
        return self._log_probs(rows).sum(axis=1).astype(_precision(rows), copy=False)

    @documented
    def score(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> float:
        """Compute the mean log-density of the rows.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
        y : Ignored
        {sample_weight}

        Returns
        -------
        score : float
            The weighted mean of ``score_samples(X)``, in nats per row.
        """
        rows = self._check_rows(X)
        w = check_weights(sample_weight, rows)
        return weighted_total(w / w.sum(), self._log_probs(rows).sum(axis=1))

    @property
    def n_parameters_(self) -> int:
        """Free parameters of all blocks."""
        check_is_fitted(self)
        return sum(density.n_parameters_ for _, density, _ in self.blocks_)

    @documented
    def bic(self, X: ArrayLike, sample_weight: Weights = None) -> float:
        """Compute the Bayesian information criterion, ``-2 log L + n_parameters_ log n``.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
        {sample_weight}

        Returns
        -------
        bic : float
            Lower is better (Schwarz, 1978).
        """
        return self._criterion(X, sample_weight, np.log)

    @documented
    def aic(self, X: ArrayLike, sample_weight: Weights = None) -> float:
        """Compute the Akaike information criterion, ``-2 log L + 2 n_parameters_``.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
        {sample_weight}

        Returns
        -------
        aic : float
            Lower is better (Akaike, 1974).
        """
        return self._criterion(X, sample_weight, lambda n: 2.0)

    def _criterion(
        self, X: ArrayLike, sample_weight: Weights, penalty: Callable[[float], float]
    ) -> float:
        rows = self._check_rows(X)
        w = check_weights(sample_weight, rows)
        log_likelihood = weighted_total(w, self._log_probs(rows).sum(axis=1))
        return -2.0 * log_likelihood + float(penalty(w.sum())) * self.n_parameters_

    def sample(self, n_samples: int = 1, *, random_state: RandomState = None) -> Table:
        """Draw new rows from the fitted density, each block by itself.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None falls back to the estimator's own ``random_state``.

        Returns
        -------
        X : ndarray or pandas DataFrame of shape (n_samples, n_features)
            A frame with the dtypes of the one that was fitted, if some of its columns were no numbers.
            Numbers are then rounded in columns of integers.

        Raises
        ------
        ValueError
            If a block has no ``sample``.
        """
        check_is_fitted(self)
        state = self.random_state if random_state is None else random_state
        check_random_state_of("sample", state)
        rng = check_random_state(state)
        columns: dict[int, Table] = {}
        for _, density, positions in self.blocks_:
            drawn = np.asarray(drawn_rows(density, n_samples, rng))
            # Densities may give rows in an order, which would make the blocks depend on each other.
            columns.update(
                zip(positions.tolist(), drawn[rng.permutation(len(drawn))].T, strict=True)
            )
        ordered = [columns[j] for j in range(self.n_features_in_)]
        if self._frame is None:
            return np.column_stack(ordered).astype(self._dtype, copy=False)
        return framed(self._frame, ordered)

    # -- what scikit-learn asks ----------------------------------------------------------------------

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        parts = [density for _, density in self._named]
        parts += [] if isinstance(self.remainder, str) else [self.remainder]
        known = [part for part in parts if hasattr(part, "__sklearn_tags__")]  # fit refuses others
        tags.input_tags.allow_nan = all(get_tags(part).input_tags.allow_nan for part in known)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _precision(rows: Table) -> type[np.float32 | np.float64]:
    return np.float64 if is_mixed(rows) else result_dtype(rows)


def _fitted(block: NamedBlock, rows: Table, given: Weights, w: Floats) -> object:
    weights = fit_weights(f"block {block.name!r}: estimator", block.density, given, w)
    density: Any = clone(block.density)
    return in_block(block.name, density.fit, rows, block.columns, **weights)
