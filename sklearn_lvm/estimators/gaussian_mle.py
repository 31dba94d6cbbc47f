"""One Gaussian, fitted in closed form."""

from collections.abc import Callable
from numbers import Real
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from .._compat import RANDOM_STATE, Interval, StrOptions
from .._typing import Floats, RandomState
from ..core.gaussian.covariance import Structure
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.kernels import row_width
from ..core.gaussian.moments import Moments
from ..core.gaussian.structure_names import COVARIANCE_TYPES
from ..core.linalg import SingularCovarianceError
from ..core.mixture import Mixture
from ..core.rows import canonical
from ..core.standardization import Standardization, root_of_average
from ..inference.block_map import ThreadMap, block_size, slices_of
from .base.closed_form import ClosedFormEstimator, NoDensityError
from .base.validation import (
    FLOAT64,
    as_count,
    check_columns,
    check_range,
    listed,
    standardization_of,
    too_few_rows,
)

SEPARATE = {"full", "diag", "spherical"}  # a covariance of one Gaussian cannot be tied


class GaussianMLE(ClosedFormEstimator[Standardization, Moments, Mixture[Gaussians]]):
    """Gaussian density with the maximum-likelihood mean and covariance.

    log p(x) = -(d log 2 pi + log|S| + (x - m)' inv(S) (x - m)) / 2, with m the weighted mean of the
    rows and S = 1/N sum_i (x_i - m)(x_i - m)', or its diagonal, or the mean of its diagonal; N is the
    sum of the weights.

    Parameters
    ----------
    covariance_type : {'full', 'diag', 'spherical'}, default='full'
        What is kept of the covariance.
    reg_covar : float, default=1e-6
        Used only where the covariance is singular to working precision: then reg_covar * s_j**2 is
        added to the variance of each feature j, s_j**2 being the feature's own variance, or the median
        of the others' where it is constant. Otherwise the estimate is the exact maximum.
    random_state : int, RandomState instance or None, default=None
        Used by ``sample``.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
    covariance_ : ndarray of shape (n_features, n_features), (n_features,) or ()
        According to ``covariance_type``. In units so extreme that its entries are no floating point
        numbers it holds zeros or infinities; scores do not depend on it.
    precision_ : ndarray
        The inverse of the covariance, in the same shape.
    n_samples_seen_ : int or float
        The summed weight of all rows so far.
    log_likelihood_ : float
        The log-likelihood of these rows in total, in nats.
    n_parameters_ : int
        Free parameters.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Warns
    -----
    CovarianceWarning
        If the covariance was singular and ``reg_covar`` was used; it names the features.

    See Also
    --------
    EMGaussianMixture : Several Gaussians; with ``n_components=1`` one, by the posterior mode under a
        prior, which few rows of many features need.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 2.121 and 2.122.

    Examples
    --------
    The estimate of a stream does not depend on how the stream is cut:

    >>> import numpy as np
    >>> from sklearn_lvm import GaussianMLE
    >>> X = np.random.RandomState(0).normal(size=(100, 2)) @ [[2.0, 0.0], [1.0, 0.5]]
    >>> whole = GaussianMLE().fit(X)
    >>> parts = GaussianMLE().partial_fit(X[:30]).partial_fit(X[30:])
    >>> np.allclose(whole.covariance_, parts.covariance_, rtol=1e-13)
    True

    Whitened rows have no mean and unit covariance:

    >>> Z = whole.transform(X)
    >>> np.allclose(Z.T @ Z / len(Z), np.eye(2))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "covariance_type": [StrOptions(SEPARATE)],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        "random_state": RANDOM_STATE,
    }
    _parameter_names = ("mean_", "covariance_")
    _of_density = ("covariance_", "precision_", "n_parameters_", "log_likelihood_")

    mean_: Floats
    covariance_: Floats
    precision_: Floats
    n_samples_seen_: int | float
    log_likelihood_: float

    _added_variance: Floats  # what had to be added to the variances, in standard units

    def __init__(
        self,
        *,
        covariance_type: Literal["full", "diag", "spherical"] = "full",
        reg_covar: float = 1e-6,
        random_state: RandomState = None,
    ) -> None:
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.random_state = random_state

    # -- statistics --------------------------------------------------------------------------------

    def _structure(self) -> Structure:
        return COVARIANCE_TYPES[self.covariance_type](self.n_features_in_)

    def _measured(self, X: Floats, w: Floats) -> tuple[Standardization, Moments]:
        structure = self._structure()
        standardization = standardization_of(
            X, w, Standardization.of, per_feature=structure.per_feature
        )
        return standardization, _moments(X, w, standardization, structure)

    def _joined(self, X: Floats, w: Floats) -> tuple[Standardization, Moments]:
        structure, moments = self._structure(), self._statistics
        if moments.structure != structure:
            raise ValueError(
                f"covariance_type={self.covariance_type!r} differs from that of the rows seen so "
                "far; call fit to start anew."
            )
        constant = structure.diagonal(moments.scatter)[0] == 0
        fresh = standardization_of(X, w, Standardization.of, per_feature=structure.per_feature)
        with np.errstate(over="ignore"):
            standardization = self._transformation.rescaled_for(
                constant, fresh, per_feature=structure.per_feature
            )
        check_range(standardization.center, standardization.scale)
        # A constant feature has a mean and a scatter of zero: they are so in any units.
        factor = np.divide(
            self._transformation.scale,
            standardization.scale,
            where=~constant,
            out=np.ones(len(standardization.scale)),
        )
        return standardization, moments.rescaled(factor) + _moments(
            X, w, standardization, structure
        )

    def _fit_rows(self, X: Floats, w: Floats) -> None:
        super()._fit_rows(X, w)
        if self._pending_warning is not None:
            # A singular covariance magnifies rounding: measured on the canonical set, not even the
            # last digit tells weights from repetitions, or one order of the rows from another.
            rows = canonical(X, w)
            super()._fit_rows(X[rows.index], rows.weight)

    # -- the density -------------------------------------------------------------------------------

    def _estimate(self, moments: Moments, standardization: Standardization) -> Mixture[Gaussians]:
        variance = moments.structure.diagonal(moments.scatter)[0] / moments.dof
        if variance.max() < FLOAT64.smallest_normal:  # what one row of all the weight leaves
            raise NoDensityError(too_few_rows("a Gaussian", 1))
        self._added_variance = np.zeros(len(variance))
        try:
            return self._regularized(moments)
        except SingularCovarianceError as singular:
            cause = self._cause(singular.features)
        if self.reg_covar == 0:
            raise NoDensityError(f"{cause}; set reg_covar > 0, or drop these features.")
        deviation = (
            np.sqrt(variance) * standardization.scale
        )  # medians are taken in the units of the data
        typical = root_of_average(deviation[deviation > 0], np.median)
        size = np.where(deviation > 0, deviation, typical) / standardization.scale
        self._added_variance = self.reg_covar * size**2
        self._pending_warning = f"{cause}; reg_covar={self.reg_covar:g} of each variance was added."
        return self._regularized(moments)

    def _regularized(self, moments: Moments) -> Mixture[Gaussians]:
        family = GaussianFamily(moments.structure, self._added_variance)
        return Mixture(np.zeros(1), family.estimate(moments))

    def _cause(self, features: tuple[int, ...]) -> str:
        names = getattr(self, "feature_names_in_", range(self.n_features_in_))
        named = listed([names[j] for j in features])
        return f"the covariance is singular: features {named} are constant or follow from others"

    def _summary(self, moments: Moments, standardization: Standardization) -> dict[str, object]:
        return {
            "n_samples_seen_": as_count(moments.weight[0]),
            "mean_": standardization.inverse_transform(moments.mean[0]).astype(self._dtype),
        }

    def _described(
        self, density: Mixture[Gaussians], moments: Moments, standardization: Standardization
    ) -> dict[str, object]:
        gaussian = density.components
        loss = gaussian.trace_penalty(self._added_variance)
        mean_log_prob = float((gaussian.max_log_prob - loss)[0]) - len(standardization.scale) / 2
        with np.errstate(all="ignore"):  # in extreme units
            covariance = gaussian.covariance.rescale(standardization.scale)
            return {
                "covariance_": covariance.matrix[0].astype(self._dtype),
                "precision_": covariance.precision[0].astype(self._dtype),
                "n_parameters_": gaussian.n_parameters(),
                "log_likelihood_": float(moments.weight[0])
                * (mean_log_prob - standardization.log_jacobian),
            }

    # -- rows --------------------------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> Floats:
        """Whiten rows: z = inv(L) (x - m), with L the lower Cholesky factor of the covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
            Standard normal under the model.
        """
        rows = self._check_rows(X)
        gaussian = self._density_or_raise().components

        def prepare() -> Callable[[Floats], Floats]:
            whiten = gaussian.covariance.whitener(gaussian.mean)
            return lambda Z: whiten(Z)[0]

        return self._by_block(rows, prepare).T.astype(rows.dtype)

    def inverse_transform(self, Z: ArrayLike) -> Floats:
        """Undo ``transform``: x = m + L z.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        whitened = check_columns(Z, "Z", self.n_features_in_)
        gaussian = self._density_or_raise().components
        with np.errstate(over="ignore"):  # rows that are no floating point numbers are infinite
            rows = gaussian.covariance.colorize(whitened.astype(np.float64), 0) + gaussian.mean
            return self._transformation.inverse_transform(rows).astype(whitened.dtype)

    def _latent_of(self, X: Floats, latent: object) -> Floats:
        return self.transform(X)

    def _width(self) -> int:
        return row_width(self._statistics.structure, 1)

    @property
    def _n_features_out(self) -> int:
        return self.n_features_in_


def _moments(
    X: Floats, w: Floats, standardization: Standardization, structure: Structure
) -> Moments:
    """The moments of rows in standard units."""

    def of_rows(rows: slice) -> Moments:
        return Moments.of(standardization.transform(X[rows]), w[None, rows], structure)

    with ThreadMap() as block_map:
        return block_map.sum(of_rows, slices_of(len(X), block_size(3 * X.shape[1])))
