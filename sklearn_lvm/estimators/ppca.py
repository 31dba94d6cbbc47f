"""PPCA, probabilistic principal component analysis as a density estimator."""

from numbers import Integral, Real
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from .._compat import RANDOM_STATE, Interval, RealNotInt, StrOptions
from .._typing import Floats, RandomState, Weights
from ..core.factor.centered_block import Rows
from ..core.factor.centered_rows import CenteredRows
from ..core.factor.density import PPCADensity
from ..core.factor.dimension import CRITERIA, check_dimension, choose_dimension
from ..core.factor.spectrum import Spectrum
from ..core.factor.statistics import Scatter
from ..core.standardization import Standardization
from ..fitting.ppca import SOLVERS, Solution, SpectrumProblem, solve
from ..fitting.ppca_batches import BatchStatistics, FittedRows, rescale_for
from ..fitting.ppca_missing import IncompleteProblem
from ..inference.block_map import ThreadMap
from .base.closed_form import NoDensityError
from .base.conditioning import takes_batches
from .base.docs import documented
from .base.linear_gaussian import LinearGaussianDensity
from .base.transaction import transactional, warn
from .base.validation import (
    FLOATS,
    as_count,
    check_range,
    check_weights,
    missing_entries,
    observed_part,
    standardization_of,
    too_few_rows,
)


class PPCA(LinearGaussianDensity):
    """Probabilistic principal component analysis.

    x = W z + mu + noise with z ~ N(0, I_q) and noise ~ N(0, s2 I_d), hence x ~ N(mu, W W' + s2 I).
    The maximum of the likelihood is known in closed form: mu is the weighted mean; with
    l_1 >= l_2 >= ... the eigenvalues of the covariance of the rows (divided by N, the sum of the
    weights) and u_j its eigenvectors, s2 is the mean of l_{q+1}, ..., l_d and W has the columns
    sqrt(l_j - s2) u_j (Tipping & Bishop, 1999, equations 7 and 8).

    NaN in a dense X was not observed. Rows with such entries are fitted by expectation-maximization,
    to the maximum of the likelihood of what was observed. Below, eigenvalues are then those of the
    fitted covariance.

    Parameters
    ----------
    n_components : int, float, 'mle', 'bic' or None, default=None
        q, or how it is chosen. A float in (0, 1) is the ratio of the variance that the components
        must explain. 'mle' maximizes Minka's evidence; 'bic' minimizes the Bayesian information
        criterion. None is the largest number whose likelihood is bounded, max(1, min(d, r) - 1),
        where r is the rank of the centered rows; if r = d that is the full Gaussian. 0 is one
        spherical Gaussian. With missing entries all but an integer is chosen from the spectrum of a
        full covariance fitted to what was observed, which these entries must determine; None is d - 1.
    solver : {'auto', 'covariance', 'svd', 'subspace', 'em'}, default='auto'
        'covariance' forms the d x d matrix; its likelihoods are right to 1e-9 as long as l_1 / s2 is
        below 1e6. 'svd' takes the singular values of the centered rows, and is right to 1e-9 up to
        l_1 / s2 = 1e12. 'subspace' is block Lanczos: it needs products with the rows alone, and is
        for wide data and few components. 'em' is expectation-maximization. 'auto' chooses by shape,
        and uses 'svd' if l_1 / s2 is above 1e6. Any solver falls back on 'svd' if rounding errors
        leave it no noise. With missing entries 'em' is used, whatever is given.
    tol : float, default=1e-9
        'subspace' and 'em' stop when the estimated remaining gain is less than this, in nats per row.
    max_iter : int, default=1000
        The most iterations of 'subspace' and 'em'.
    random_state : int, RandomState instance or None, default=None
        Used by the starts of 'subspace' and 'em', and by ``sample``.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The principal axes u_j, each with its largest entry positive.
    explained_variance_ : ndarray of shape (n_components,)
        l_j. ``sklearn.decomposition.PCA`` divides by N - 1 instead of N.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        l_j over the total variance.
    singular_values_ : ndarray of shape (n_components,)
        sqrt(N l_j).
    mean_ : ndarray of shape (n_features,)
    noise_variance_ : float
        s2.
    loadings_ : ndarray of shape (n_features, n_components)
        W. If q = d, its last column is zero.
    posterior_covariance_ : ndarray of shape (n_components, n_components)
        Cov(z | x) = s2 inv(W'W + s2 I) of a complete row, which does not depend on x.
    n_components_ : int
    n_parameters_ : int
        d + 1 + d q - q (q - 1) / 2.
    n_samples_seen_ : int or float
        The summed weight of all rows of which something was observed.
    log_likelihood_ : float
        The log-likelihood of all these rows, of what was observed of them, in nats.
    n_iter_ : int
        At least 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Warns
    -----
    ConvergenceWarning
        If 'subspace' or 'em' did not converge within ``max_iter``.

    See Also
    --------
    GaussianMLE : A Gaussian with a covariance of any form.

    References
    ----------
    M. E. Tipping & C. M. Bishop, "Probabilistic principal component analysis", Journal of the Royal
    Statistical Society B 61 (1999), 611-622.

    A. Ilin & T. Raiko, "Practical approaches to principal component analysis in the presence of missing
    values", Journal of Machine Learning Research 11 (2010), 1957-2000.

    T. P. Minka, "Automatic choice of dimensionality for PCA", NIPS 13 (2000), 598-604.

    Examples
    --------
    Rows near a line in ten dimensions, with the parameters of one axis and the noise:

    >>> import numpy as np
    >>> from sklearn_lvm import PPCA
    >>> rng = np.random.RandomState(0)
    >>> X = rng.normal(size=(500, 1)) @ rng.normal(size=(1, 10)) + 0.1 * rng.normal(size=(500, 10))
    >>> model = PPCA(n_components="mle").fit(X)
    >>> model.n_components_, model.n_parameters_
    (1, 21)
    >>> print(f"{model.noise_variance_ ** 0.5:.2f}")
    0.10

    With d - 1 axes it is the full Gaussian:

    >>> from sklearn_lvm import GaussianMLE
    >>> bool(np.isclose(PPCA().fit(X).score(X), GaussianMLE().fit(X).score(X)))
    True

    A third of the entries is missing, and the noise is found all the same:

    >>> X[rng.random_sample(X.shape) < 1 / 3] = np.nan
    >>> print(f"{PPCA(1).fit(X).noise_variance_ ** 0.5:.2f}")
    0.10
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "n_components": [
            Interval(Integral, 0, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions(set(CRITERIA)),
            None,
        ],
        "solver": [StrOptions(set(SOLVERS))],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": RANDOM_STATE,
    }
    # Whether entries are finite shows in what is computed from them: see _refuse.
    _checks: ClassVar[dict[str, object]] = {
        "dtype": FLOATS,
        "accept_sparse": "csr",
        "ensure_all_finite": False,
    }

    _fitted_rows: FittedRows  # only after fit, until batches follow

    def __init__(
        self,
        n_components: int | float | Literal["mle", "bic"] | None = None,
        *,
        solver: Literal["auto", "covariance", "svd", "subspace", "em"] = "auto",
        tol: float = 1e-9,
        max_iter: int = 1000,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    # -- fitting -----------------------------------------------------------------------------------

    @transactional
    @documented
    def fit(
        self, X: ArrayLike | csr_array, y: object = None, sample_weight: Weights = None
    ) -> Self:
        """Fit mean, principal axes and noise.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Sparse rows are centered in arithmetic only, and stay sparse. NaN in a dense X was not
            observed, missing at random.
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : PPCA

        Raises
        ------
        ValueError
            If so many components leave no noise, where the likelihood has no bound. Of complete rows
            the message names the largest number that works. If nothing was observed of a column, which
            is named, or if a sparse X holds NaN.
        """
        table, w = self._check_training(X, sample_weight)
        with ThreadMap() as block_map:
            rows = self._rows(table, w, block_map)
            if rows.complete:
                self._take_solution(rows, self._solve(rows), float(w.sum()), table.dtype.type)
            else:
                self._fit_incomplete(rows.X, w[w > 0], block_map)
        return self

    def _take_solution(
        self,
        rows: CenteredRows,
        solution: Solution,
        weight: float,
        dtype: type[np.float32 | np.float64],
    ) -> None:
        """Set all fitted attributes."""
        density, units = self._density_of(solution.spectrum, weight), rows.standardization
        self._fitted_rows = FittedRows.of(rows, solution, weight, len(density.axes))
        self._take_density(density, weight, units, dtype)
        self.n_iter_ = solution.n_iter
        if solution.log_likelihood is not None:
            self.log_likelihood_ = weight * (solution.log_likelihood - units.log_jacobian)
        self._check_converged(solution, f"solver={self.solver!r}", ", or use another solver")

    def _check_converged(self, solution: Solution, method: str, remedy: str) -> None:
        if not solution.converged:
            warn(
                f"{method} did not converge within max_iter={self.max_iter} iterations. "
                f"Raise max_iter or tol{remedy}.",
                ConvergenceWarning,
            )

    def _check_training(
        self, X: ArrayLike, sample_weight: Weights, *, reset: bool = True
    ) -> tuple[Rows, Floats]:
        """Validated rows and their weights; ``_rows`` tells which of them are complete."""
        rows = self._validated(X, reset=reset)
        return rows, check_weights(sample_weight, rows)

    def _rows(self, X: Rows, w: Floats, block_map: ThreadMap) -> CenteredRows:
        """The rows of positive weight, minus their mean, if they are complete."""
        if not w.all():
            self._refuse(X)
            X, w = X[w > 0], w[w > 0]
        rows = CenteredRows.of(X, w / w.sum(), block_map)
        if not rows.complete:
            self._refuse(X)
        if rows.complete or missing_entries(X) is None:
            check_range(rows.center, np.full(len(rows.center), rows.scale))
        return rows

    def _complete_rows(self, X: Rows, w: Floats, block_map: ThreadMap) -> CenteredRows:
        """The rows of a batch."""
        rows = self._rows(X, w, block_map)
        if not rows.complete:
            raise ValueError(
                "Input X contains NaN, which partial_fit of PPCA does not take: what missing entries "
                "tell depends on the other rows. Call fit with all rows together."
            )
        return rows

    def _fit_incomplete(self, X: Floats, w: Floats, block_map: ThreadMap) -> None:
        """Fit rows of positive weight of which some entries are missing, by EM."""
        names = getattr(self, "feature_names_in_", None)
        X, w = observed_part(X, w, names, every_column=True)
        units = standardization_of(X, w, Standardization.of_observed, per_feature=False)
        if units.constant.all():
            raise ValueError(too_few_rows("PPCA", 1))
        q, rng = self._given_dimension(X.shape[1]), check_random_state(self.random_state)
        n_components = self.n_components if q is None else q
        problem = IncompleteProblem(
            units.transform(X), w, n_components, self.tol, self.max_iter, rng, block_map
        )
        solution, q = problem.solve()
        self._total_variance, weight = solution.spectrum.total, float(w.sum())
        density = PPCADensity.from_spectrum(solution.spectrum, q)
        self._take_density(density, weight, units, X.dtype.type)
        self.n_iter_ = solution.n_iter
        self.__dict__.pop("_fitted_rows", None)  # there are no statistics to add batches to
        log_jacobian = float(w @ self._log_jacobians(X))
        self.log_likelihood_ = weight * float(solution.log_likelihood or 0.0) - log_jacobian
        self._check_converged(solution, "EM of rows with missing entries", "")

    def _solve(self, rows: CenteredRows) -> Solution:
        q, rng = self._given_dimension(rows.shape[1]), check_random_state(self.random_state)
        return solve(self.solver, SpectrumProblem(rows, q, self.tol, self.max_iter, rng))

    def _given_dimension(self, d: int) -> int | None:
        """The number of components if it is given as an integer, else None."""
        if not isinstance(self.n_components, Integral):
            return None
        q = int(self.n_components)
        if q > d:
            raise ValueError(f"n_components={q}, but X has {d} features: it can be at most that.")
        return q

    def _density_of(self, spectrum: Spectrum, weight: float) -> PPCADensity:
        """The density of the largest likelihood; a ValueError says why there is none."""
        if spectrum.total == 0.0:
            raise ValueError(too_few_rows("PPCA", 1))
        q = choose_dimension(self.n_components, spectrum, weight)
        check_dimension(q, spectrum)
        self._total_variance = spectrum.total
        return PPCADensity.from_spectrum(spectrum, q)

    def _refit_params(self, weight: float) -> dict[str, object]:
        return {"n_components": self.n_components_}

    # -- batches -----------------------------------------------------------------------------------

    @available_if(takes_batches)
    @documented
    def partial_fit(
        self, X: ArrayLike | csr_array, y: object = None, sample_weight: Weights = None
    ) -> Self:
        """Add a batch of rows to those of earlier calls; batches in any order equal one ``fit``.

        Up to 1024 features the whole covariance matrix is kept, and the result is that of
        solver='covariance'. With more features n_components must be an integer q, and the 2 q + 10
        leading directions are kept: mean and total variance stay exact, and the error of the
        components grows with the variance in other directions.

        NaN is refused, and so is a batch after a ``fit`` with missing entries: what these tell depends
        on all rows. The rows of an earlier ``fit`` of complete rows count too. Of more than 128
        features, 'subspace' and 'em' know the components and the total variance of these rows alone,
        and so does 'svd' of fewer rows than features: other directions are taken to vary equally then.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : PPCA
            Until the rows determine a density, scoring raises a ValueError.
        """
        return super().partial_fit(X, y, sample_weight)

    def _measured(self, X: Rows, w: Floats) -> tuple[Standardization, Scatter]:
        batch = BatchStatistics.suited(X.shape[1], self._given_dimension(X.shape[1]))
        with ThreadMap() as block_map:
            rows = self._complete_rows(X, w, block_map)
            return rows.standardization, batch.measure(rows, rows.standardization, float(w.sum()))

    def _joined(self, X: Rows, w: Floats) -> tuple[Standardization, Scatter]:
        batch = BatchStatistics.suited(X.shape[1], self._given_dimension(X.shape[1]))
        fitted = self.__dict__.pop("_fitted_rows", None)
        if fitted is None and not hasattr(self, "_statistics"):
            raise ValueError(
                "partial_fit cannot add rows to those of a fit in which entries were missing: what "
                "these tell depends on the other rows. Call fit with all rows together."
            )
        previous = self._statistics if fitted is None else fitted.statistics(batch)
        batch.check_suits(previous)
        with ThreadMap() as block_map:
            rows = self._complete_rows(X, w, block_map)
            standardization, previous = rescale_for(
                self._transformation, previous, rows.standardization
            )
            check_range(standardization.center, standardization.scale)
            return standardization, previous + batch.measure(rows, standardization, float(w.sum()))

    def _estimate(self, statistics: Scatter, standardization: Standardization) -> PPCADensity:
        spectrum = statistics.spectrum(self._given_dimension(self.n_features_in_))
        try:
            return self._density_of(spectrum, statistics.weight)
        except ValueError as reason:
            raise NoDensityError(str(reason)) from None

    def _summary(self, statistics: Scatter, standardization: Standardization) -> dict[str, object]:
        return {
            "mean_": standardization.inverse_transform(statistics.mean).astype(self._dtype),
            "n_samples_seen_": as_count(statistics.weight),
            "n_iter_": 1,
        }

    def _described(
        self, density: PPCADensity, statistics: Scatter, standardization: Standardization
    ) -> dict[str, object]:
        return self._described_rows(density, statistics.weight, standardization)
