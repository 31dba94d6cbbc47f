"""One multivariate Student-t density, which outliers hardly move."""

from collections.abc import Callable
from numbers import Real
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from .._compat import RANDOM_STATE, Interval
from .._typing import Floats, Ints, RandomState, Rows, Weights
from ..core.blocks import Blocks
from ..core.gaussian.student_t import StudentTComponents
from ..core.linalg import SingularCovarianceError
from ..core.mixture import Mixture
from ..core.rows import canonical
from ..core.standardization import Standardization
from ..fitting.student_t import StudentTRun, fit_student_t
from .base.density import DensityEstimator
from .base.docs import documented
from .base.one_gaussian import EM_CONSTRAINTS
from .base.transaction import transactional, warn
from .base.validation import FLOATS, check_columns, standardization_of, too_few_rows


class StudentT(DensityEstimator):
    """Multivariate Student-t density by maximum likelihood, a Gaussian with heavier tails.

    log t(x) = log Gamma((nu + d) / 2) - log Gamma(nu / 2) - d/2 log(nu pi) - log|S| / 2
    - (nu + d) / 2 log(1 + D / nu), with D = (x - m)' inv(S) (x - m), location m, scale matrix S and nu
    degrees of freedom. It is a Gaussian of covariance S / u, of which the precision u was not seen.
    Expectation-maximization gives every row the weight E[u] = (nu + d) / (nu + D), so that rows far out
    count little. Rows must be complete: NaN is refused.

    Parameters
    ----------
    dof : float or None, default=None
        Degrees of freedom. None estimates them, between 1 (a Cauchy density) and 1e6 (a Gaussian).
    reg_covar : float, default=1e-6
        reg_covar * s_j**2 is added to the diagonal of the scale matrix for each feature j, s_j being
        the feature's standard deviation without outliers, or the median of the others' where it is
        constant. It keeps the scale from shrinking to nothing where many rows are equal.
    tol : float, default=1e-8
        The fit ends when the estimated remaining gain of the objective is below it, in nats per unit
        of weight.
    max_iter : int, default=1000
        The most steps of EM.
    random_state : int, RandomState instance or None, default=None
        Used by ``sample``.

    Attributes
    ----------
    location_ : ndarray of shape (n_features,)
        m, the mean of the density if ``dof_`` is above 1.
    scale_matrix_ : ndarray of shape (n_features, n_features)
        S. The covariance of the density is dof_ / (dof_ - 2) S if ``dof_`` is above 2.
    dof_ : float
    n_iter_ : int
        Steps of EM.
    converged_ : bool
    lower_bound_ : float
        The log-likelihood less the penalty tr(E inv(S)) / 2 of the variances E that ``reg_covar``
        added, in nats per row.
    lower_bounds_ : list of float
        That of each model that was accepted. It never falls.
    n_parameters_ : int
        Free parameters.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Warns
    -----
    ConvergenceWarning
        If EM had not converged after ``max_iter`` steps.

    See Also
    --------
    GaussianMLE : The density without heavy tails, and with missing entries.

    References
    ----------
    C. Liu & D. B. Rubin, ML estimation of the t distribution using EM and its extensions, ECM and ECME
    (1995).

    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 2.161 and 2.162.

    Examples
    --------
    One row of ten is a gross error. It moves the mean, and hardly the location:

    >>> import numpy as np
    >>> from sklearn_lvm import GaussianMLE, StudentT
    >>> X = np.random.RandomState(0).normal(size=(1000, 2))
    >>> X[:100] += 50.0
    >>> print(GaussianMLE().fit(X).mean_.round(0), np.abs(StudentT().fit(X).location_).max() < 0.2)
    [5. 5.] True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "dof": [Interval(Real, 0, None, closed="neither"), None],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        **EM_CONSTRAINTS,
        "random_state": RANDOM_STATE,
    }
    _checks: ClassVar[dict[str, object]] = {"dtype": FLOATS}
    _parameter_names = ("location_", "scale_matrix_", "dof_")

    location_: Floats
    scale_matrix_: Floats
    dof_: float
    n_iter_: int
    converged_: bool
    lower_bound_: float
    lower_bounds_: list[float]

    _transformation: Standardization
    _density: Mixture[StudentTComponents]

    def __init__(
        self,
        dof: float | None = None,
        *,
        reg_covar: float = 1e-6,
        tol: float = 1e-8,
        max_iter: int = 1000,
        random_state: RandomState = None,
    ) -> None:
        self.dof = dof
        self.reg_covar = reg_covar
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    @documented
    @transactional
    def fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Fit the density to weighted rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Complete rows.
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there are fewer than two distinct rows, or if ``reg_covar`` is too small for a scale
            matrix that is singular.
        """
        table, w = self._check_training(X, sample_weight)
        distinct = canonical(table, w)
        if len(distinct) < 2:
            raise ValueError(too_few_rows("a Student-t density", len(distinct)))
        rows, weight = table[distinct.index], distinct.weight
        standard = standardization_of(rows, weight, Standardization.of, per_feature=True)
        run = self._run(Blocks(rows, weight, standard.transform, self._slices(rows)), standard)
        self._dtype = rows.dtype.type
        self._set_fitted(self._described(run, standard))
        if not run.converged:
            warn(
                f"EM had not converged after max_iter={self.max_iter} steps: raise max_iter or tol.",
                ConvergenceWarning,
            )
        return self

    def _run(self, blocks: Blocks, standard: Standardization) -> StudentTRun:
        added = self.reg_covar * standard.feature_variance
        try:
            return fit_student_t(
                blocks.held(), added, dof=self.dof, tol=self.tol, max_iter=self.max_iter
            )
        except (SingularCovarianceError, FloatingPointError) as error:
            raise ValueError(
                f"the scale matrix became singular with reg_covar={self.reg_covar:g} ({error}): raise "
                "reg_covar, or drop features that are constant or follow from others."
            ) from error

    @np.errstate(all="ignore")  # in extreme units
    def _described(self, run: StudentTRun, standard: Standardization) -> dict[str, object]:
        density = run.model.components
        bounds = [float(bound - standard.log_jacobian) for bound in run.trace]
        location = standard.inverse_transform(density.mean)[0]
        scale = density.covariance.rescale(standard.scale).matrix[0]
        return {
            "location_": location.astype(self._dtype),
            "scale_matrix_": scale.astype(self._dtype),
            "dof_": float(density.dof[0]),
            "n_iter_": run.n_iter,
            "converged_": run.converged,
            "lower_bound_": bounds[-1],
            "lower_bounds_": bounds[1:] or bounds,
            "n_parameters_": density.n_parameters() + (self.dof is None),
            "_density": run.model,
            "_transformation": standard,
        }

    # -- rows --------------------------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> Floats:
        """Bring rows to location 0 and scale 1: z = inv(L) (x - m), with S = L L'.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Complete rows.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
        """
        rows = self._check_rows(X)
        density = self._density.components

        def prepare() -> Callable[[Rows], Floats]:
            whiten = density.covariance.whitener(density.mean)
            return lambda block: whiten(np.asarray(block))[0]

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
        density = self._density.components
        rows = density.covariance.colorize(whitened.astype(np.float64), 0) + density.mean
        return self._transformation.inverse_transform(rows).astype(whitened.dtype)

    def _latent_of(self, X: Floats, latent: Floats | Ints) -> Floats:
        return self.transform(X)

    def _width(self) -> int:
        return 2 * (self.n_features_in_ + 1)

    @property
    def _n_features_out(self) -> int:
        return self.n_features_in_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        return tags
