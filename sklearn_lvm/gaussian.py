"""One Gaussian, fitted in closed form."""

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_array, check_is_fitted

from ._compat import Interval, StrOptions
from ._typing import Array
from .base import FLOATS, CovarianceWarning, Density, DensityEstimator, count, fitting, warn
from .core.covariance import COVARIANCE_TYPES, SingularCovarianceError, Structure
from .core.frame import Frame, root_of_average
from .core.gaussian import GaussianFamily, Gaussians
from .core.lens import row_width
from .core.mixture import Mixture
from .core.moments import Moments
from .core.rows import canonical
from .inference.distribute import Walker, block_size, cut

SEPARATE = {"full", "diag", "spherical"}  # a covariance of one Gaussian cannot be tied


class GaussianMLE(DensityEstimator):
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
    EMGaussianMixture : Several Gaussians.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "covariance_type": [StrOptions(SEPARATE)],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    _frame: Frame
    _moments: Moments
    _density: Mixture[Gaussians] | None
    _notice: str | None  # what there is to warn of when the density is used
    _lack: str | None  # why there is no density

    def __init__(
        self,
        *,
        covariance_type: str = "full",
        reg_covar: float = 1e-6,
        random_state: Any = None,
    ) -> None:
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.random_state = random_state

    @fitting
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mean and the covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of two equals a row given twice.

        Returns
        -------
        self : GaussianMLE

        Raises
        ------
        ValueError
            If the rows do not determine a density: a single distinct row, or a singular covariance
            with ``reg_covar=0``.
        """
        X, w = self._check_training(X, sample_weight)
        self._settle(*self._measure_anew(X, w), X.dtype)
        if self._notice is not None:
            # A singular covariance magnifies rounding: measured on the canonical set, not even the
            # last digit tells weights from repetitions, or one order of the rows from another.
            rows = canonical(X, w)
            self._settle(*self._measure_anew(X[rows.index], rows.weight), X.dtype)
        if self._notice is not None:
            warn(self._notice, CovarianceWarning)
            self._notice = None
        self._fitted_density()
        return self

    @fitting
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Add rows to those seen so far; any split, in any order, equals one ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : GaussianMLE
            Until the rows determine a density, scoring raises a ValueError.
        """
        first = not hasattr(self, "_moments")
        X, w = self._check_training(X, sample_weight, reset=first)
        if first:
            self._settle(*self._measure_anew(X, w), X.dtype)
            return self
        if self._moments.structure != self._structure():
            raise ValueError(
                f"covariance_type={self.covariance_type!r} differs from that of the rows seen so "
                "far; call fit to start anew."
            )
        frame, before = self._made_room_for(X, w)
        self._settle(frame, before + self._measure(X, w, frame), X.dtype)
        return self

    def _made_room_for(self, X: Array, w: Array) -> tuple[Frame, Moments]:
        """The frame and the moments of the rows so far, where new rows can be measured too."""
        structure, d = self._moments.structure, self.n_features_in_
        still = structure.diagonal(self._moments.scatter)[0] == 0
        fresh = Frame.of(X, w, per_feature=structure.per_feature)
        frame = self._frame.adapted(still, fresh, per_feature=structure.per_feature)
        # A feature that stood still has a mean and a scatter of zero: they are so in any units.
        factor = np.divide(self._frame.scale, frame.scale, where=~still, out=np.ones(d))
        return frame, self._moments.rescaled(factor)

    def _structure(self) -> Structure:
        return COVARIANCE_TYPES[self.covariance_type](self.n_features_in_)

    def _measure_anew(self, X: Array, w: Array) -> tuple[Frame, Moments]:
        frame = Frame.of(X, w, per_feature=self._structure().per_feature)
        return frame, self._measure(X, w, frame)

    def _measure(self, X: Array, w: Array, frame: Frame) -> Moments:
        structure = self._structure()

        def of_rows(rows: slice) -> Moments:
            return Moments.of(frame.transform(X[rows]), w[None, rows], structure)

        with Walker() as walker:
            return walker.sum(of_rows, cut(len(X), block_size(3 * X.shape[1])))

    def _settle(self, frame: Frame, moments: Moments, dtype: Any) -> None:
        """Turn statistics into attributes; ``_density`` stays None where they give no density."""
        self._frame, self._moments, self._dtype = frame, moments, dtype
        self._density, self._notice, self._lack = None, None, None
        weight = float(moments.weight[0])
        self.n_samples_seen_ = count(weight)
        self.mean_ = frame.inverse_transform(moments.mean[0]).astype(dtype)
        try:
            gaussian, extra = self._estimate(moments, frame.scale)
        except ValueError as lack:
            self._lack = str(lack)
            for name in ("covariance_", "precision_", "n_parameters_", "log_likelihood_"):
                self.__dict__.pop(name, None)  # of an earlier state
            return
        self._density = Mixture(np.zeros(1), gaussian)
        covariance = gaussian.covariance.rescale(frame.scale)
        with np.errstate(all="ignore"):
            self.covariance_ = covariance.matrix[0].astype(dtype)
            self.precision_ = covariance.precision[0].astype(dtype)
        self.n_parameters_ = gaussian.n_parameters()
        mean_log_prob = gaussian.constant - gaussian.blur(extra) - len(frame.scale) / 2
        self.log_likelihood_ = weight * float(mean_log_prob[0] - frame.log_jacobian)

    def _estimate(self, moments: Moments, scale: Array) -> tuple[Gaussians, Array]:
        """The Gaussian, and what had to be added to its variances."""
        d = moments.mean.shape[1]
        variance = moments.structure.diagonal(moments.scatter)[0] / moments.dof
        if not variance.any():
            raise ValueError(
                "a Gaussian needs at least two distinct rows with positive weight, got "
                "n_samples=1 after equal rows were merged."
            )
        nothing = np.zeros(d)
        try:
            return GaussianFamily(moments.structure, nothing).estimate(moments), nothing
        except SingularCovarianceError as singular:
            cause = self._cause(singular.features)
        if self.reg_covar == 0:
            raise ValueError(f"{cause}; set reg_covar > 0, or drop these features.")
        deviation = np.sqrt(variance) * scale  # medians are taken in the units of the data
        typical = root_of_average(deviation[deviation > 0], np.median)
        extra = self.reg_covar * (np.where(deviation > 0, deviation, typical) / scale) ** 2
        self._notice = f"{cause}; reg_covar={self.reg_covar:g} of each variance was added."
        return GaussianFamily(moments.structure, extra).estimate(moments), extra

    def _cause(self, features: tuple[int, ...]) -> str:
        names = getattr(self, "feature_names_in_", np.arange(self.n_features_in_))
        shown = ", ".join(str(names[j]) for j in features[:5])
        more = f" and {len(features) - 5} more" if len(features) > 5 else ""
        return (
            f"the covariance is singular: features {shown}{more} are constant or follow from others"
        )

    def _fitted_density(self) -> Density:
        if self._density is None:
            raise ValueError(self._lack)
        if self._notice is not None:
            warn(self._notice, CovarianceWarning)
        return self._density

    @property
    def _gaussian(self) -> Gaussians:
        density: Any = self._fitted_density()
        gaussian: Gaussians = density.parts
        return gaussian

    def transform(self, X: Any) -> Array:
        """Whiten rows: z = inv(L) (x - m), with L the lower Cholesky factor of the covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
            Standard normal under the model.
        """
        X = self._check_rows(X)
        gaussian = self._gaussian

        def prepare() -> Callable[[Array], Array]:
            whiten = gaussian.covariance.whitener(gaussian.mean)
            return lambda Z: whiten(Z)[0]

        return self._by_block(X, prepare).T.astype(X.dtype)

    def inverse_transform(self, Z: Any) -> Array:
        """Undo ``transform``: x = m + L z.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=FLOATS, input_name="Z")
        if Z.shape[1] != self.n_features_in_:
            raise ValueError(f"Z has {Z.shape[1]} columns, expected {self.n_features_in_}.")
        gaussian = self._gaussian
        rows = gaussian.covariance.colour(Z.astype(np.float64), 0) + gaussian.mean
        return self._frame.inverse_transform(rows).astype(Z.dtype)

    def sample(
        self, n_samples: int = 1, *, random_state: Any = None, return_latent: bool = False
    ) -> Any:
        X = super().sample(n_samples, random_state=random_state)
        return (X, self.transform(X)) if return_latent else X

    sample.__doc__ = DensityEstimator.sample.__doc__

    def _width(self) -> int:
        return row_width(self._moments.structure, 1)

    @property
    def _n_features_out(self) -> int:
        return self.n_features_in_
