"""The base of densities that are known by a bound, from importance samples of a latent variable."""

from abc import abstractmethod
from numbers import Integral
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from ..._typing import Floats, RandomState, Table
from ...core.rows import Transformation
from .density import Density, DensityEstimator
from .validation import result_dtype


class ImportanceSampler(Density, Protocol):
    """A density p(x) = E_t p(x | t) with a proposal q(t | x); rows are (n, d), noise is (k, q)."""

    def evidence(self, rows: Floats, noise: Floats, /) -> Floats:
        """The importance-weighted bound of each row and its standard error, (n, 2)."""
        ...

    def elbo(self, rows: Floats, noise: Floats, /) -> Floats:
        """The evidence lower bound of each row, (n,)."""
        ...

    def impute(self, rows: Floats, noise: Floats, /) -> Floats:
        """The expected entries given the observed ones, (n, d)."""
        ...


class ScaledTransformation(Transformation, Protocol):
    """A transformation that divides each feature by a scale."""

    @property
    def scale(self) -> Floats: ...


class ImportanceSampledDensity(DensityEstimator):
    """Base of densities p(x) = E_t p(x | t) that are known by a lower bound.

    All rows share the same standard normal noise, so that scores are the same at each call. Fitted, a
    subclass has ``_density``, an ``ImportanceSampler`` of standardized rows; ``_transformation``,
    whose scale gives the Jacobian of the observed entries; ``n_components_``, the latent variables;
    and ``_seed`` of the noise. Its parameter ``n_score_samples`` is the number of importance samples.
    """

    n_score_samples: int
    n_components_: int

    _density: ImportanceSampler
    _transformation: ScaledTransformation
    _seed: int

    @abstractmethod
    def _check_entries(self, X: Table) -> None:
        """Refuse entries that the likelihood does not take."""

    def _check_rows(self, X: ArrayLike) -> Table:
        rows = super()._check_rows(X)
        self._check_entries(rows)
        return rows

    def _standardized(self, X: Floats) -> Floats:
        """Standardized rows, (n, d)."""
        standardized: Floats = self._transformation.transform(X).T
        return standardized

    def _log_jacobian(self, X: Floats) -> Floats:
        """The log-Jacobian of the observed entries of each row, (n,)."""
        return np.asarray((~np.isnan(X)) @ np.log(self._transformation.scale))

    def _noise(self, n_samples: int | None, random_state: RandomState = None) -> Floats:
        """Standard normal noise that all rows share, (k, q)."""
        k = self.n_score_samples if n_samples is None else n_samples
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(f"n_samples must be an integer of at least 1, got {n_samples!r}.")
        rng = check_random_state(self._seed if random_state is None else random_state)
        noise: Floats = rng.standard_normal((int(k), self.n_components_))
        return noise

    def _log_prob(self, X: Floats) -> Floats:
        found = self._density.evidence(self._standardized(X), self._noise(None))
        return found[:, 0] - self._log_jacobian(X)

    def score_samples(self, X: ArrayLike) -> Floats:
        """Compute a lower bound of the log-density of each row, by importance sampling.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed: the score is that of the other entries, and 0 without any.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            log 1/k sum_j p(x, t_j) / q(t_j | x) with k = ``n_score_samples``, in nats, in the units of
            the data. The same at each call, whatever the other rows are.
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
            In nats. Rows share the noise: their errors are not independent.
        """
        rows = self._check_rows(X)
        noise = self._noise(n_samples, random_state)
        bound, error = self._density.evidence(self._standardized(rows), noise).T
        dtype = result_dtype(rows)
        return (bound - self._log_jacobian(rows)).astype(dtype), error.astype(dtype)

    def elbo(
        self, X: ArrayLike, n_samples: int | None = None, *, random_state: RandomState = None
    ) -> Floats:
        """Compute the evidence lower bound of each row, the divergence in closed form.

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
        return (bound - self._log_jacobian(rows)).astype(result_dtype(rows))

    def impute(
        self, X: ArrayLike, n_samples: int | None = None, *, random_state: RandomState = None
    ) -> Floats:
        """Replace missing entries by their expectation given the observed ones.

        E[x_missing | x_observed] by self-normalized importance weights (Mattei & Frellsen, 2019,
        equation 12).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=None
            Importance samples; None for ``n_score_samples``.
        random_state : int, RandomState instance or None, default=None
            None for the noise of ``score_samples``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            A copy without NaN; binary entries are replaced by probabilities of ones.
        """
        rows = self._check_rows(X)
        noise = self._noise(n_samples, random_state)
        filled: Floats = rows.copy()
        missing = np.isnan(rows)
        some = missing.any(axis=1)
        if some.any():
            expected = self._density.impute(self._standardized(rows[some]), noise)
            filled[missing] = self._transformation.inverse_transform(expected)[missing[some]]
        return filled
