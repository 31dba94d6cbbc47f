"""Regression by the joint density of features and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import HasMethods, _fit_context
from .._typing import Floats, RandomState, Table, Weights
from ..core.conditionals import Conditionals
from ..inference.block_map import slices_of
from .base.docs import documented
from .base.transaction import unchanged_on_failure
from .base.validation import FLOATS, observed_part, result_dtype

__all__ = ["ConditionalRegressor"]

MAX_DRAWN_ROWS = 1 << 16  # that are drawn at a time


class ConditionalRegressor(RegressorMixin, BaseEstimator):
    """Regression by a joint density: what p(x, y), fitted to rows [x, y], says of y given x.

    Under a mixture of Gaussians p(y | x) is one too, of which each component is a linear regression,
    with weights that depend on x:

    E[y | x] = sum_k p(k | x) (m_ky + C_kyx inv(C_kxx) (x - m_kx)).

    A missing entry of x is integrated out, so that nothing has to be filled in. A Gaussian gives linear
    regression, with a mixture it becomes nonlinear, and its spread and its shape follow x as well
    (Ghahramani & Jordan, 1994). Targets are modeled together. ``score`` is R^2, as of all regressors.

    Parameters
    ----------
    estimator : estimator
        The density of [x, y], of which a clone is fitted: :class:`GaussianMLE`,
        :class:`BayesianGaussian`, :class:`EMGaussianMixture`, :class:`VariationalGaussianMixture` or
        :class:`PPCA`. There is no default: how many components
        there are, and under which prior, is what there is to choose.

    Attributes
    ----------
    estimator_ : estimator
        The fitted density of the columns of X, followed by those of y.
    n_outputs_ : int
        Targets.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    EMGaussianMixture.condition : The density of the other columns given values of some, for one row.
    sklearn.gaussian_process.GaussianProcessRegressor : With the same methods, of p(y | x) alone.

    References
    ----------
    Z. Ghahramani & M. I. Jordan, Supervised learning from incomplete data via an EM approach (1994),
    NIPS 6, equation 14.

    Examples
    --------
    Two lines, y = x and y = -x. The mean of y lies between them, where no target ever is; the quantiles
    lie on the lines:

    >>> import numpy as np
    >>> from sklearn_lvm import ConditionalRegressor, EMGaussianMixture
    >>> rng = np.random.RandomState(0)
    >>> x = rng.uniform(1.0, 3.0, size=(400, 1))
    >>> y = np.repeat([1.0, -1.0], 200) * x[:, 0] + 0.1 * rng.normal(size=400)
    >>> lines = ConditionalRegressor(EMGaussianMixture(2, random_state=0)).fit(x, y)
    >>> abs(lines.predict([[2.0]])).round(1)
    array([0.])
    >>> lines.predict_quantiles([[2.0]], [0.25, 0.75]).round(1)
    array([[-2.,  2.]])

    Of a feature that is missing, what is known of it otherwise is integrated over:

    >>> mean, std = lines.predict([[2.0], [np.nan]], return_std=True)
    >>> std.round(1)
    array([2. , 2.1])
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "estimator": [HasMethods(["fit", "score_samples"])],
    }

    estimator_: Any
    n_outputs_: int
    n_features_in_: int
    _one_target: bool  # given as a vector, and returned as one

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    # -- fitting -----------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    @documented
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: Weights = None) -> Self:
        """Fit a clone of the density to rows [x, y].

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Finite numbers.
        {sample_weight}

        Returns
        -------
        self : ConditionalRegressor

        Raises
        ------
        ValueError
            If the estimator has no conditional densities of numbers, or cannot be fitted to the rows.
        """
        if not hasattr(self.estimator, "_conditional_mixture"):
            raise ValueError(
                f"estimator={self.estimator!r} has no conditional densities of continuous columns: "
                "use GaussianMLE, BayesianGaussian, EMGaussianMixture, VariationalGaussianMixture or "
                "PPCA."
            )
        with unchanged_on_failure(self):
            rows, targets = self._training(X, y)
            names = getattr(self, "feature_names_in_", None)
            observed_part(rows, np.ones(len(rows)), names, every_column=True)
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            self._one_target = targets.ndim == 1
            self.n_outputs_ = 1 if self._one_target else targets.shape[1]
            joint = np.column_stack([rows, targets])
            self.estimator_ = clone(self.estimator).fit(joint, **weights)
        return self

    def _training(self, X: ArrayLike, y: ArrayLike) -> tuple[Table, Floats]:
        if issparse(y):
            raise ValueError("y is sparse: pass y.toarray().")
        rows, targets = validate_data(
            self,
            X,
            y,
            dtype=FLOATS,
            ensure_all_finite=self._finite,
            multi_output=True,
            y_numeric=True,
        )
        return rows, np.asarray(targets)

    @property
    def _finite(self) -> bool | str:
        return "allow-nan" if get_tags(self).input_tags.allow_nan else True

    # -- prediction --------------------------------------------------------------------------------

    def predict(self, X: ArrayLike, return_std: bool = False) -> Floats | tuple[Floats, Floats]:
        """Compute E[y | x], and the standard deviation of y given x.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed, and is integrated out.
        return_std : bool, default=False

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_targets)
            A Student-t density with one degree of freedom or less has a center in its place.
        std : ndarray of the same shape
            Only if ``return_std``: sqrt(Var(y | x)), the spread of the targets included; infinite where
            a Student-t density has two degrees of freedom or less.
        """
        rows = self._rows(X)
        mean, variance = self._of_targets(rows, lambda found, resp: np.stack(found.moments(resp)))
        if not return_std:
            return self._shaped(mean.T, rows)
        return self._shaped(mean.T, rows), self._shaped(np.sqrt(variance).T, rows)

    def predict_quantiles(self, X: ArrayLike, quantiles: float | ArrayLike) -> Floats:
        """Compute quantiles of each target given x.

        Each is the point where the distribution function of the mixture p(y_j | x) has that value.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed, and is integrated out.
        quantiles : float or array-like of shape (n_quantiles,)
            Probabilities in (0, 1).

        Returns
        -------
        values : ndarray of shape (n_samples,) or (n_samples, n_targets), + (n_quantiles,)
            The last axis is there if several quantiles are asked for.

        Raises
        ------
        ValueError
            If a probability is not inside (0, 1).
        """
        rows, levels = self._rows(X), _check_levels(quantiles)
        found = self._of_targets(
            rows,
            lambda found, resp: np.stack(
                [found.quantile(resp, float(level)) for level in levels.flat]
            ),
        )
        values = self._shaped(found.transpose(2, 1, 0), rows)
        return values if levels.ndim else values[..., 0]

    def sample_y(
        self, X: ArrayLike, n_samples: int = 1, random_state: RandomState = None
    ) -> Floats:
        """Draw targets given x, all targets of a row together.

        Parameters
        ----------
        X : array-like of shape (n_samples_X, n_features)
            NaN was not observed, and is integrated out.
        n_samples : int, default=1
            Draws for each row.
        random_state : int, RandomState instance or None, default=None
            None falls back to that of the density.

        Returns
        -------
        y : ndarray of shape (n_samples_X, n_samples), or (n_samples_X, n_targets, n_samples)

        Raises
        ------
        ValueError
            If ``n_samples`` is not a positive integer, or the random state is none.
        """
        rows = self._rows(X)
        rng = self.estimator_._drawing("sample_y", n_samples, random_state)
        joint, drawn = self._joint(rows), []
        for block in slices_of(len(joint), max(MAX_DRAWN_ROWS // n_samples, 1)):
            copies = np.repeat(joint[block], n_samples, axis=0)
            drawn.append(self.estimator_._conditional_draws(copies, rng)[:, self.n_features_in_ :])
        by_row = np.concatenate(drawn).reshape(len(rows), n_samples, self.n_outputs_)
        return self._shaped(by_row.transpose(0, 2, 1), rows)

    def _rows(self, X: ArrayLike) -> Floats:
        """Validated rows for a fitted estimator."""
        check_is_fitted(self)
        rows: Floats = validate_data(
            self, X, dtype=FLOATS, ensure_all_finite=self._finite, reset=False
        )
        return rows

    def _joint(self, rows: Floats) -> Floats:
        """Rows [x, NaN]."""
        return np.pad(rows, ((0, 0), (0, self.n_outputs_)), constant_values=np.nan)

    def _of_targets(
        self, rows: Floats, function: Callable[[Conditionals, Floats], Floats]
    ) -> Floats:
        """A function of the conditionals of targets, whose last axis runs over the rows."""
        joint, d = self._joint(rows), self.n_features_in_
        parts = []
        for block in self.estimator_._slices(joint):
            resp, found = self.estimator_._conditional_mixture(joint[block])
            parts.append(function(found.of_entries(slice(d, None)), resp))
        return np.concatenate(parts, axis=-1)

    def _shaped(self, values: Floats, rows: Floats) -> Floats:
        """Values (n, n_targets, ...) in the precision of the rows; of one target without its axis."""
        with np.errstate(over="ignore"):  # what single precision cannot hold is infinite there
            found: Floats = np.ascontiguousarray(values, dtype=result_dtype(rows))
        return found[:, 0] if self._one_target else found

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.estimator).input_tags.allow_nan
        tags.target_tags.multi_output = True
        return tags


def _check_levels(quantiles: float | ArrayLike) -> Floats:
    """Probabilities, () or (n_quantiles,); the ValueError says what was given."""
    try:
        levels = np.asarray(quantiles, dtype=np.float64)
    except (TypeError, ValueError):
        levels = np.full(1, np.nan)
    inside = (levels > 0) & (levels < 1)
    if levels.ndim > 1 or not levels.size or not inside.all():
        raise ValueError(
            f"quantiles must be a number in (0, 1), or a list of such numbers, got {quantiles!r}."
        )
    return levels
