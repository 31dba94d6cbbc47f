"""DensityImputer: missing entries filled in by a density, as a step of pipelines."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.impute import MissingIndicator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from .._compat import RANDOM_STATE, _fit_context, check_feature_names_in
from .._typing import Bools, Floats, RandomState, Weights
from .base.docs import documented
from .base.transaction import unchanged_on_failure
from .base.validation import FLOATS, check_weights
from .gaussian_mixture import EMGaussianMixture


class DensityImputer(TransformerMixin, BaseEstimator):
    r"""Transformer that fills in missing entries by a density that is fitted to what was observed.

    Each missing entry becomes its conditional mean given the observed entries of its row,

    .. math:: E[x_\text{missing} \mid x_\text{observed}],

    or one draw from this conditional density. It stands where scikit-learn's ``IterativeImputer``
    stands: in pipelines, cross-validation and searches, of which the parameters of the density are
    ``estimator__n_components`` and so on.

    Parameters
    ----------
    estimator : estimator, default=None
        A density that takes NaN and has ``impute``, such as :class:`EMGaussianMixture`, :class:`PPCA`,
        or :class:`BernoulliMixture` for zeros and ones. It is cloned. None for ``EMGaussianMixture()``,
        one Gaussian.
    sample_posterior : bool, default=False
        Whether missing entries are drawn, those of a row together, under the fitted parameters. A
        classifier that is fitted to draws sees columns that vary as much as what was observed of them.
    add_indicator : bool, default=False
        Whether columns are appended that say where entries were missing, one for each column of the
        fit in which some were.
    keep_empty_features : bool, default=False
        Whether columns without an observed entry in the fit are kept, with 0 for missing entries.
        Otherwise they are dropped.
    random_state : int, RandomState instance or None, default=None
        Used by ``transform`` with ``sample_posterior=True``. With an integer, the same rows are
        completed by the same draws at each call.

    Attributes
    ----------
    estimator_ : estimator
        The fitted density of the columns of which something was observed.
    indicator_ : :class:`sklearn.impute.MissingIndicator` or None
        What appends the columns of ``add_indicator``.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    EMGaussianMixture.impute : Several draws, for multiple imputation, and tables of any kind.

    References
    ----------
    Z. Ghahramani & M. I. Jordan, "Supervised learning from incomplete data via an EM approach",
    Advances in Neural Information Processing Systems 6 (1994).

    Examples
    --------
    One column is twice the other, but for some noise, and so are the entries that are filled in:

    >>> import numpy as np
    >>> from sklearn_lvm import DensityImputer, EMGaussianMixture
    >>> rng = np.random.RandomState(0)
    >>> x = rng.normal(size=200)
    >>> X = np.column_stack([x, 2 * x + 0.1 * rng.normal(size=200)])
    >>> X[::2, 1] = np.nan
    >>> filled = DensityImputer(EMGaussianMixture()).fit_transform(X)
    >>> bool(abs(filled[::2, 1] - 2 * filled[::2, 0]).max() < 0.1)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object] | str]] = {
        "estimator": "no_validation",  # which fit does, with a message that names the remedy
        "sample_posterior": ["boolean"],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "random_state": RANDOM_STATE,
    }
    _doc_link_module = "sklearn_lvm"

    estimator_: Any
    indicator_: MissingIndicator | None
    n_features_in_: int
    _empty: Bools  # columns without an observed entry in the fit

    def __init__(
        self,
        estimator: object = None,
        *,
        sample_posterior: bool = False,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.sample_posterior = sample_posterior
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    @documented
    def fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Fit a clone of the density to what was observed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN is not observed.
        y : Ignored
        {sample_weight}
            Only if the density takes weights.

        Returns
        -------
        self : DensityImputer

        Raises
        ------
        ValueError
            If the estimator has no ``impute``, the rows do not suit it, or weights are given to one
            that takes none.
        """
        with unchanged_on_failure(self):
            rows = self._check_rows(X, reset=True)
            w = check_weights(sample_weight, rows)
            density = self._density()
            weights = {} if sample_weight is None else self._weights_of(density, w)
            self._empty = np.asarray(np.isnan(rows[w > 0]).all(axis=0))
            self.estimator_ = density
            if not self._empty.all():
                self.estimator_ = density.fit(rows[:, ~self._empty], **weights)
            self.indicator_ = self._indicator(rows) if self.add_indicator else None
        return self

    def _density(self) -> Any:
        """The density to be fitted."""
        if self.estimator is None:
            return EMGaussianMixture()
        if not hasattr(self.estimator, "impute"):
            raise ValueError(
                f"estimator={self.estimator!r} has no method impute: give a density that has one, "
                "EMGaussianMixture, PPCA, VAEDensity, or BernoulliMixture for zeros and ones. "
                "Regressors are for scikit-learn's IterativeImputer."
            )
        return clone(self.estimator)

    def _weights_of(self, density: object, w: Floats) -> dict[str, Floats]:
        """The weights as an argument of the inner ``fit``."""
        if not has_fit_parameter(density, "sample_weight"):
            raise ValueError(
                f"estimator={density!r} takes no sample_weight: leave it out, or repeat rows."
            )
        return {"sample_weight": w}

    @staticmethod
    def _indicator(rows: Floats) -> MissingIndicator:
        return MissingIndicator(error_on_new=False).set_output(transform="default").fit(rows)

    def _check_rows(self, X: ArrayLike, *, reset: bool) -> Floats:
        rows: Floats = validate_data(
            self, X, dtype=FLOATS, ensure_all_finite="allow-nan", reset=reset
        )
        return rows

    def transform(self, X: ArrayLike) -> Floats:
        """Fill in missing entries.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Columns may be empty here that were not so in the fit. X is not changed.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_out)
            Observed entries are the same. Columns that were empty in the fit are dropped, or kept with
            0 where nothing was observed; those of the indicator come last.
        """
        check_is_fitted(self)
        rows = self._check_rows(X, reset=False)
        filled = np.array(rows)
        filled[:, self._empty] = np.where(np.isnan(rows), 0.0, rows)[:, self._empty]
        if not self._empty.all():
            filled[:, ~self._empty] = self._completed(rows[:, ~self._empty])
        filled = filled[:, self._kept]
        if self.indicator_ is None:
            return filled
        return np.hstack([filled, self.indicator_.transform(rows).astype(filled.dtype)])

    def _completed(self, rows: Floats) -> Floats:
        """Rows (n, d) with means or draws in place of missing entries."""
        if not self.sample_posterior:
            return np.asarray(self.estimator_.impute(rows))
        rng = check_random_state(self.random_state)
        return np.asarray(self.estimator_.impute(rows, n_draws=1, random_state=rng)[0])

    @property
    def _kept(self) -> Bools:
        """The columns that ``transform`` returns, without those of the indicator."""
        return ~self._empty | bool(self.keep_empty_features)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the columns that ``transform`` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; None for those of the fit, or x0, x1, ... if it had none.

        Returns
        -------
        names : ndarray of str
            Those of the columns that are kept, then ``missingindicator_`` and the name for those of
            the indicator.
        """
        check_is_fitted(self)
        given = check_feature_names_in(self, input_features)
        names: NDArray[np.object_] = given[self._kept]
        if self.indicator_ is None:
            return names
        return np.concatenate([names, self.indicator_.get_feature_names_out(given)])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
