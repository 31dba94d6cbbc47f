"""Principal components as a density: probabilistic PCA."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.validation import check_array, check_is_fitted

from .._compat import Interval, RealNotInt, StrOptions
from .._typing import Array
from ..core.centred import CentredRows, slab_slices
from ..core.dimension import by_bic, by_evidence, explaining, most
from ..core.factor.density import Factor, FactorLens
from ..core.spectrum import Spectrum
from ..core.standardization import Standardization
from ..fitting.ppca import SOLVERS, Problem, Solution, solve
from ..fitting.ppca_batches import Keeper, made_room
from ..inference.block_map import ThreadMap
from .base.density import DensityEstimator
from .base.transaction import transactional, warn
from .base.validation import FLOATS, as_count

OF_A_DENSITY = (
    "components_",
    "n_components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "noise_variance_",
    "loadings_",
    "posterior_covariance_",
    "n_parameters_",
    "log_likelihood_",
)

# n_components -> the number of components, given the spectrum and the weight of all rows.
CHOICES: dict[str | None, Callable[[Spectrum, float], int]] = {
    None: lambda spectrum, weight: most(spectrum),
    "bic": by_bic,
    "mle": by_evidence,
}


class PPCA(DensityEstimator):
    """Probabilistic principal component analysis.

    x = W z + mu + noise with z ~ N(0, I_q) and noise ~ N(0, s2 I_d), hence x ~ N(mu, W W' + s2 I).
    The maximum of the likelihood is known in closed form: mu is the weighted mean; with
    l_1 >= l_2 >= ... the eigenvalues of the covariance of the rows (divided by N, the sum of the
    weights) and u_j its eigenvectors, s2 is the mean of l_{q+1}, ..., l_d and W has the columns
    sqrt(l_j - s2) u_j (Tipping & Bishop, 1999, equations 7 and 8).

    Parameters
    ----------
    n_components : int, float, 'mle', 'bic' or None, default=None
        q, or how it is chosen: a float in (0, 1) is the share of the variance that the components
        must explain, 'mle' maximises Minka's evidence and 'bic' is the Bayesian information
        criterion's choice. None keeps as many as have a likelihood, max(1, min(d, r) - 1), where r
        is the rank of the centred rows; if r = d that is the full Gaussian.
    solver : {'auto', 'covariance', 'svd', 'subspace', 'em'}, default='auto'
        'covariance' forms the d x d matrix; it holds likelihoods to 1e-9 as long as l_1 / s2 is
        below 1e6. 'svd' takes the singular values of the centred rows from a triangular factor of
        their shorter side, and does so up to 1e12. 'subspace' needs products with the rows alone and
        is for wide data and few components. 'em' is expectation-maximisation. 'auto' chooses by
        shape, and goes over to 'svd' where the digits ask for it, as any other does where its own
        digits leave no noise at all.
    tol : float, default=1e-9
        'subspace' and 'em' end when less than this seems to be left to gain, in nats per row.
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
        Shares of the total variance.
    singular_values_ : ndarray of shape (n_components,)
        sqrt(N l_j).
    mean_ : ndarray of shape (n_features,)
    noise_variance_ : float
        s2.
    loadings_ : ndarray of shape (n_features, n_components)
        W. If q = d, its last column is zero.
    posterior_covariance_ : ndarray of shape (n_components, n_components)
        Cov(z | x) = s2 inv(W'W + s2 I), the same for all x.
    n_components_ : int
    n_parameters_ : int
        d + 1 + d q - q (q - 1) / 2.
    n_samples_seen_ : int or float
        The summed weight of all rows.
    log_likelihood_ : float
        The log-likelihood of these rows in total, in nats.
    n_iter_ : int
        At least 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Warns
    -----
    ConvergenceWarning
        If 'subspace' or 'em' did not end within ``max_iter``.

    See Also
    --------
    GaussianMLE : Any covariance.

    References
    ----------
    M. E. Tipping & C. M. Bishop, "Probabilistic principal component analysis", Journal of the Royal
    Statistical Society B 61 (1999), 611-622.

    T. P. Minka, "Automatic choice of dimensionality for PCA", NIPS 13 (2000), 598-604.

    Examples
    --------
    Rows near a line in ten dimensions, and as many parameters as a line and a noise have:

    >>> import numpy as np
    >>> from sklearn_lvm import PPCA
    >>> rng = np.random.RandomState(0)
    >>> X = rng.normal(size=(500, 1)) @ rng.normal(size=(1, 10)) + 0.1 * rng.normal(size=(500, 10))
    >>> model = PPCA(n_components="mle").fit(X)
    >>> model.n_components_, model.n_parameters_
    (1, 21)
    >>> print(f"{model.noise_variance_ ** 0.5:.2f}")
    0.10

    It is a density; with an axis for all directions but one it is the full Gaussian:

    >>> from sklearn_lvm import GaussianMLE
    >>> bool(np.isclose(PPCA().fit(X).score(X), GaussianMLE().fit(X).score(X)))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({name for name in CHOICES if name}),
            None,
        ],
        "solver": [StrOptions(set(SOLVERS))],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }
    # Whether entries are finite shows in what is computed from them: see _refuse.
    _checks: ClassVar[dict[str, Any]] = {
        "dtype": FLOATS,
        "accept_sparse": "csr",
        "ensure_all_finite": False,
    }

    _transformation: Standardization
    _statistics: Any  # of a stream: Scatter or Sketch
    _density: Factor | None
    _lack: str | None  # why there is no density

    def __init__(
        self,
        n_components: Any = None,
        *,
        solver: str = "auto",
        tol: float = 1e-9,
        max_iter: int = 1000,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    # -- fitting -----------------------------------------------------------------------------------

    @transactional
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit mean, principal axes and noise.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Sparse rows are centred in arithmetic only, and stay sparse.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of two equals a row given twice.

        Returns
        -------
        self : PPCA

        Raises
        ------
        ValueError
            If so many components leave no noise, where the likelihood has no bound; the message
            names the largest number that works.
        """
        X, w = self._check_training(X, sample_weight)
        with ThreadMap() as block_map:
            rows = self._rows(X, w, block_map)
            solution = self._solve(rows, block_map)
        self.__dict__.pop("_statistics", None)  # of a stream
        factor = self._estimate(solution.spectrum, float(w.sum()))
        self._settle(factor, solution.spectrum, rows.standardization, X.dtype, float(w.sum()))
        self.n_iter_ = solution.n_iter
        if solution.log_likelihood is not None:
            height = solution.log_likelihood - rows.standardization.log_jacobian
            self.log_likelihood_ = float(w.sum()) * height
        if not solution.converged:
            warn(
                f"solver={self.solver!r} did not converge within max_iter={self.max_iter} iterations. "
                "Raise max_iter or tol, or use another solver.",
                ConvergenceWarning,
            )
        return self

    def _rows(self, X: Any, w: Array, block_map: ThreadMap) -> CentredRows:
        """The rows that have any weight, about their mean."""
        if not w.all():
            self._refuse(X)
            X, w = X[w > 0], w[w > 0]
        rows = CentredRows.of(X, w / w.sum(), block_map)
        if not np.isfinite(rows.center).all():
            self._refuse(X)
        return rows

    def _solve(self, rows: CentredRows, block_map: ThreadMap) -> Solution:
        q, rng = self._asked(rows.shape[1]), check_random_state(self.random_state)
        return solve(self.solver, Problem(rows, block_map, q, self.tol, self.max_iter, rng))

    def _asked(self, d: int) -> int | None:
        """The number of components, if it is given as such."""
        if not isinstance(self.n_components, Integral):
            return None
        q = int(self.n_components)
        if q > d:
            raise ValueError(f"n_components={q}, but X has {d} features: it can be at most that.")
        return q

    def _choose(self, spectrum: Spectrum, weight: float) -> int:
        if isinstance(self.n_components, Integral):
            return int(self.n_components)
        if isinstance(self.n_components, Real):
            return explaining(spectrum, float(self.n_components))
        return CHOICES[self.n_components](spectrum, weight)

    def _estimate(self, spectrum: Spectrum, weight: float) -> Factor:
        """The density of a spectrum, if it has one."""
        d, rank = len(spectrum.mean), spectrum.rank
        if spectrum.total == 0.0:
            raise ValueError(
                "PPCA needs at least two distinct rows with positive weight, got n_samples=1 after "
                "equal rows were merged."
            )
        q = self._choose(spectrum, weight)
        if rank is not None and rank <= q and rank < d:
            raise ValueError(_unbounded(q, rank, d))
        return Factor.of(spectrum, q)

    # -- streams -----------------------------------------------------------------------------------

    @transactional
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Add rows to those seen so far; any split, in any order, equals one ``fit``.

        With up to 1024 features the whole covariance is kept, and the result is that of 'covariance'.
        Beyond, where n_components must be an integer q, the 2 q + 10 leading directions are: an
        approximation as good as what lies beyond them is small, in which mean and total variance are
        still exact.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : PPCA
            Until the rows determine a density, scoring raises a ValueError.
        """
        first = not hasattr(self, "_statistics")
        X, w = self._check_training(X, sample_weight, reset=first)
        kept = None if first else self._statistics
        keeper = Keeper.suited(X.shape[1], self._asked(X.shape[1]), kept)
        with ThreadMap() as block_map:
            rows = self._rows(X, w, block_map)
            standardization = rows.standardization
            if kept is not None:
                standardization, kept = made_room(self._transformation, kept, standardization)
            fresh = keeper.measure(rows, standardization, float(w.sum()), block_map)
        self._statistics = fresh if kept is None else kept + fresh
        self._follow(standardization, X.dtype)
        return self

    def _follow(self, standardization: Standardization, dtype: Any) -> None:
        """Turn statistics into a density, if there is one in them."""
        weight = self._statistics.weight
        spectrum = self._statistics.spectrum(self._asked(len(standardization.center)))
        self.n_iter_ = 1
        try:
            factor = self._estimate(spectrum, weight)
        except ValueError as lack:
            self._density, self._lack, self._transformation, self._dtype = (
                None,
                str(lack),
                standardization,
                dtype,
            )
            self.mean_ = standardization.inverse_transform(spectrum.mean).astype(dtype)
            self.n_samples_seen_ = as_count(weight)
            for name in OF_A_DENSITY:
                self.__dict__.pop(name, None)  # of an earlier state
            return
        self._settle(factor, spectrum, standardization, dtype, weight)

    # -- what is fitted ------------------------------------------------------------------------------

    def _settle(
        self,
        factor: Factor,
        spectrum: Spectrum,
        standardization: Standardization,
        dtype: Any,
        weight: float,
    ) -> None:
        scale = float(standardization.scale[0])
        self._density, self._lack, self._transformation, self._dtype = (
            factor,
            None,
            standardization,
            dtype,
        )
        self.mean_ = standardization.inverse_transform(factor.mean).astype(dtype)
        self.components_ = factor.axes.astype(dtype)
        self.n_components_ = len(factor.axes)
        with np.errstate(all="ignore"):  # squares of extreme units are no numbers
            self.explained_variance_ = (factor.variance * np.square(scale)).astype(dtype)
            self.singular_values_ = (np.sqrt(factor.variance * weight) * scale).astype(dtype)
            self.noise_variance_ = float(factor.noise * np.square(scale))
            self.loadings_ = (factor.loadings * scale).astype(dtype)
        self.explained_variance_ratio_ = (factor.variance / spectrum.total).astype(dtype)
        self.posterior_covariance_ = np.diag(factor.posterior_variance).astype(dtype)
        self.n_parameters_ = factor.n_parameters()
        self.n_samples_seen_ = as_count(weight)
        self.log_likelihood_ = weight * (factor.height - standardization.log_jacobian)

    def _density_or_raise(self) -> Any:
        if self._density is None:
            raise ValueError(self._lack)
        return self._density

    def get_covariance(self) -> Array:
        """Compute W W' + s2 I.

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features)
        """
        check_is_fitted(self)
        matrix = self._density_or_raise().covariance() * np.square(self._transformation.scale[0])
        return np.asarray(matrix, dtype=self._dtype)

    def get_precision(self) -> Array:
        """Compute the inverse of the covariance, by Woodbury's identity.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features)
        """
        check_is_fitted(self)
        matrix = self._density_or_raise().precision() / np.square(self._transformation.scale[0])
        return np.asarray(matrix, dtype=self._dtype)

    # -- rows ------------------------------------------------------------------------------------------

    def _look(self, X: Any, direct: str, careful: str) -> Array:
        """What the lens says of rows, in its direct form where that keeps the digits."""
        lens = FactorLens(
            self._density_or_raise(),
            self._transformation.center,
            float(self._transformation.scale[0]),
        )
        if not lens.near:
            self._refuse(X)
            return self._each(X, getattr(lens, careful))
        found = self._each(X, getattr(lens, direct))
        strange = ~np.isfinite(found).reshape(-1, X.shape[0]).all(axis=0)
        if strange.any():
            self._refuse(X)
            found[..., strange] = self._each(X[strange], getattr(lens, careful))
        return found

    def _each(self, X: Any, function: Callable[[Any], Array]) -> Array:
        with ThreadMap() as block_map:
            parts = block_map.map(lambda rows: function(X[rows]), slab_slices(*X.shape))
        return np.concatenate(parts, axis=-1)

    def _refuse(self, X: Any) -> None:
        """Raise a ValueError if an entry is not finite."""
        assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")

    def _log_prob(self, X: Any) -> Array:
        return (
            self._look(X, "log_prob_direct", "log_prob_careful") - self._transformation.log_jacobian
        )

    def transform(self, X: Any) -> Array:
        """Compute the posterior mean of the latent variable, E[z | x] = inv(W'W + s2 I) W' (x - mu).

        Its covariance, ``posterior_covariance_``, is the same for all rows. Each coordinate is PCA's,
        divided by its standard deviation and shrunk: sqrt(l_j - s2) / l_j u_j' (x - mu).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
        """
        X = self._check_rows(X)
        latent = self._look(X, "latent_direct", "latent_careful")
        return np.ascontiguousarray(latent.T, dtype=X.dtype)

    def inverse_transform(self, Z: Any) -> Array:
        """Compute the mean of the rows that belong to latent variables, E[x | z] = W z + mu.

        This is no projection: ``inverse_transform(transform(X))`` lies nearer to the mean than X.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        factor = self._density_or_raise()
        Z = check_array(Z, dtype=FLOATS, input_name="Z")
        if Z.shape[1] != len(factor.axes):
            raise ValueError(f"Z has {Z.shape[1]} columns, expected {len(factor.axes)}.")
        rows = Z.astype(np.float64) @ factor.loadings.T + factor.mean
        return self._transformation.inverse_transform(rows).astype(Z.dtype)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _unbounded(q: int, rank: int, d: int) -> str:
    remedy = (
        f"n_components can be at most {rank - 1}"
        if rank > 1
        else "no n_components works: add rows that do not lie on one line"
    )
    return (
        f"n_components={q} leaves no noise: the rows vary in {rank} of {d} dimensions, and their "
        f"likelihood has no bound where all of these are components; {remedy}."
    )
