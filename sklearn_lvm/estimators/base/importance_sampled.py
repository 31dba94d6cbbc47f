"""Base of densities that are known by a bound, which importance samples estimate."""

from copy import copy
from numbers import Integral
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from ..._typing import Floats, RandomState, Table
from ...core.rows import Transformation
from .density import Density
from .imputation import ImputingEstimator
from .validation import FLOATS, check_columns, result_dtype


class BoundedDensity(Density, Protocol):
    """A density of standardized rows (n, d) with NaN for missing entries, known by its bounds.

    All rows share the noise (k, q), from which k samples of q latent variables are made.
    """

    @property
    def binary(self) -> bool:
        """Whether entries are zeros and ones."""
        ...

    def evidence(self, rows: Floats, noise: Floats, /) -> Floats:
        """The importance-weighted bound of log p(x) and its standard error, (n, 2)."""
        ...

    def elbo(self, rows: Floats, noise: Floats, /) -> Floats:
        """The evidence lower bound, (n,)."""
        ...

    def latent(self, rows: Floats, /) -> Floats:
        """The means of q(t | x), (n, q)."""
        ...

    def decode(self, t: Floats, /) -> Floats:
        """E[x | t], (n, q) -> (n, d)."""
        ...

    def impute(self, rows: Floats, noise: Floats, /) -> Floats:
        """The expected entries given those that were observed, (n, d)."""
        ...

    def draw_missing(self, rows: Floats, k: int, rng: np.random.RandomState, /) -> Floats:
        """Entries drawn given those that were observed, by k importance samples of each row, (n, d)."""
        ...


class FeatureScaling(Transformation, Protocol):
    """A transformation that scales each feature by a number of its own."""

    @property
    def scale(self) -> Floats:
        """One standardized unit in the units of the data, (d,)."""
        ...


class ImportanceSampledDensity(ImputingEstimator):
    """Base of densities p(x) = E_t[p(x | t)] whose logarithm is bounded by importance samples of t.

    Entries that are NaN are missing: every score is that of the observed entries.

    A subclass has the parameter ``n_score_samples``. Fitted it has ``_density``, a BoundedDensity of
    standardized rows; ``_transformation``, which standardizes rows and has the ``scale`` of each
    feature; ``_seed`` of the noise of scores; ``n_components_``, the number of latent variables; and
    what every DensityEstimator has.
    """

    _checks: ClassVar[dict[str, object]] = {"dtype": FLOATS, "ensure_all_finite": "allow-nan"}

    _density: BoundedDensity
    _transformation: FeatureScaling
    _seed: RandomState
    n_score_samples: int
    n_components_: int

    def _standardized(self, X: Floats) -> Floats:
        """Standardized rows, (n, d)."""
        return np.asarray(self._transformation.transform(X)).T

    def _observed_log_jacobian(self, X: Floats) -> Floats:
        """log |dx / dz| of the observed entries of each row, (n,)."""
        return np.asarray((~np.isnan(X)) @ np.log(self._transformation.scale))

    def _noise(self, n_samples: int | None, random_state: RandomState = None) -> Floats:
        """Standard normal numbers that all rows share, (k, q)."""
        k = self._n_samples(n_samples)
        rng = check_random_state(self._seed if random_state is None else random_state)
        return np.asarray(rng.standard_normal((k, self.n_components_)))

    def _n_samples(self, given: int | None) -> int:
        """The number of importance samples, by default that of scores."""
        k = self.n_score_samples if given is None else given
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(f"n_samples must be an integer of at least 1, got {given!r}.")
        return int(k)

    def _log_prob(self, X: Floats) -> Floats:
        bound = self._density.evidence(self._standardized(X), self._noise(None))[:, 0]
        return bound - self._observed_log_jacobian(X)

    def score_samples(self, X: ArrayLike) -> Floats:
        """Compute a lower bound of the log-density of each row, by importance sampling.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN is missing: the score is that of the other entries, and 0 if there are none.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            log 1/k sum_j p(x, t_j) / q(t_j | x) with k = ``n_score_samples``, in nats, in the units of
            the data. It is the same at each call and does not depend on the other rows.
        """
        return super().score_samples(X)

    def log_evidence(
        self, X: ArrayLike, n_samples: int | None = None, *, random_state: RandomState = None
    ) -> tuple[Floats, Floats]:
        """Compute the importance-weighted bound of each row, and its Monte Carlo standard error.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=None
            Importance samples; None for ``n_score_samples``. In expectation the bound rises with them
            towards log p(x).
        random_state : int, RandomState instance or None, default=None
            None for the noise of ``score_samples``.

        Returns
        -------
        log_prob, error : ndarray of shape (n_samples,)
            In nats.

        Notes
        -----
        The bound is below log p(x) by half the variance of a weight over the number of samples,
        approximately, in relative terms. Rows share the noise, and their errors are not independent:
        estimate the error of a mean score from several values of ``random_state``.
        """
        rows = self._check_rows(X)
        noise = self._noise(n_samples, random_state)
        bound, error = self._density.evidence(self._standardized(rows), noise).T
        dtype = result_dtype(rows)
        return (bound - self._observed_log_jacobian(rows)).astype(dtype), error.astype(dtype)

    def elbo(
        self, X: ArrayLike, n_samples: int | None = None, *, random_state: RandomState = None
    ) -> Floats:
        """Compute the evidence lower bound of each row, with the divergence in closed form.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=None
            Samples of the first term; None for ``n_score_samples``.
        random_state : int, RandomState instance or None, default=None
            None for the noise of ``score_samples``.

        Returns
        -------
        elbo : ndarray of shape (n_samples,)
            E_q[log p(x | t)] - KL(q(t | x) || p(t)) in nats, in the units of the data.
        """
        rows = self._check_rows(X)
        bound = self._density.elbo(self._standardized(rows), self._noise(n_samples, random_state))
        return (bound - self._observed_log_jacobian(rows)).astype(result_dtype(rows))

    def _conditional_means(self, X: Floats) -> Floats:
        means = self._density.impute(self._standardized(X), self._noise(None))
        return self._transformation.inverse_transform(means)

    def _conditional_draws(self, X: Floats, rng: np.random.RandomState) -> Floats:
        drawn = self._density.draw_missing(self._standardized(X), self.n_score_samples, rng)
        return self._transformation.inverse_transform(drawn)

    def _most_probable(self, means: Floats) -> Floats:
        return (means > 0.5).astype(means.dtype) if self._density.binary else means

    def impute(
        self,
        X: ArrayLike,
        *,
        n_draws: int | None = None,
        mode: bool = False,
        parameter_draws: bool = False,
        random_state: RandomState = None,
        n_samples: int | None = None,
    ) -> Table | list[Table]:
        """Fill in missing entries, given the observed entries of each row.

        Means are E[x_missing | x_observed] by self-normalized importance weights (Mattei & Frellsen,
        2019, equation 12). For a draw, one of the importance samples of the latent variable is taken
        with a probability in proportion to its weight, and the missing entries are drawn given it
        (Rubin, 1987).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN is not observed. X is not changed.
        n_draws : int, default=None
            None for one table of conditional means. An integer m for m tables, in each of which
            missing entries are drawn at random: multiple imputation.
        mode : bool, default=False
            Whether a missing zero or one is the more probable of both, and not the probability of a
            one. Other columns keep the mean.
        parameter_draws : bool, default=False
            Whether each table is drawn under networks of its own: training goes on from the fitted ones
            on X, under Dirichlet weights of the rows (Rubin, 1981).
        random_state : int, RandomState instance or None, default=None
            Of the noise and the draws. None for the noise of ``score_samples``, and for draws that of
            the estimator.
        n_samples : int, default=None
            Importance samples; None for ``n_score_samples``.

        Returns
        -------
        X : array or frame, or a list of them
            Of the kind of X. Observed entries are the same, bit for bit.

        Raises
        ------
        ValueError
            If ``n_draws`` or ``n_samples`` is not a positive integer, ``mode`` is given with
            ``n_draws``, or ``parameter_draws`` without it.
        """
        check_is_fitted(self)
        model = copy(self)  # with settings of this call, which change no weight
        model.n_score_samples = self._n_samples(n_samples)
        if random_state is not None:
            model._seed = random_state
        return super(ImportanceSampledDensity, model).impute(
            X,
            n_draws=n_draws,
            mode=mode,
            parameter_draws=parameter_draws,
            random_state=random_state,
        )

    def transform(self, X: ArrayLike) -> Floats:
        """Compute the mean of the latent variables under the approximate posterior q(t | x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        T : ndarray of shape (n_samples, n_components)
        """
        rows = self._check_rows(X)
        return self._density.latent(self._standardized(rows)).astype(result_dtype(rows))

    def inverse_transform(self, T: ArrayLike) -> Floats:
        """Compute the mean of the rows that belong to latent variables, E[x | t].

        Parameters
        ----------
        T : array-like of shape (n_samples, n_components)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of the data; probabilities of ones for binary rows.
        """
        check_is_fitted(self)
        latent = check_columns(T, "T", self.n_components_)
        mean = self._density.decode(latent)
        return self._transformation.inverse_transform(mean).astype(latent.dtype)

    def reconstruct(self, X: ArrayLike) -> Floats:
        """Compute the mean of the rows that belong to the posterior mean of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            ``inverse_transform(transform(X))``.
        """
        return self.inverse_transform(self.transform(X))

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
