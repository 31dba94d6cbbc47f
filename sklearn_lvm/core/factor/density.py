"""The density of probabilistic PCA: a Gaussian with covariance W W' + s^2 I.

z = W u + m + noise with u ~ N(0, I_q) and noise ~ N(0, s^2 I), so that z ~ N(m, W W' + s^2 I)
(Tipping & Bishop, 1999). W is stored as orthonormal axes and the variances along them. No d x d matrix
is formed unless it is asked for.
"""

from dataclasses import dataclass
from math import log, sqrt, tau

import numpy as np

from ..._typing import Floats, Ints
from ..linalg import fix_signs
from .spectrum import Spectrum


@dataclass(frozen=True, eq=False)
class PPCADensity:
    """A Gaussian with covariance W W' + s^2 I, W = axes' diag(sqrt(variance - noise)).

    Attributes
    ----------
    mean : ndarray of shape (d,)
    axes : ndarray of shape (q, d)
        Orthonormal.
    variance : ndarray of shape (q,)
        Eigenvalues of the covariance along the axes, noise included.
    noise : float
        s^2, the eigenvalue in all directions orthogonal to the axes.
    """

    mean: Floats
    axes: Floats
    variance: Floats
    noise: float

    @classmethod
    def from_spectrum(cls, spectrum: Spectrum, q: int) -> "PPCADensity":
        """The maximum of the likelihood with q axes (Tipping & Bishop, 1999, eqs. 7 and 8)."""
        noise = spectrum.noise(q)
        variance, axes = spectrum.variance[:q], spectrum.axes[:q]
        if len(axes) < q:  # q = d, of which one axis is that of the noise
            axes, variance = _completed(axes), np.append(variance, noise)
        return cls(spectrum.mean, axes, np.maximum(variance, noise), noise)

    @classmethod
    def from_loadings(cls, mean: Floats, W: Floats, noise: float) -> "PPCADensity":
        """The density of loadings (d, q) in any orientation; with q > d there are d axes."""
        axes, size, _ = np.linalg.svd(W, full_matrices=False)
        return cls(mean, fix_signs(axes.T), size**2 + noise, noise)

    @property
    def n_noise_dimensions(self) -> int:
        """The number of dimensions orthogonal to the axes, d - q."""
        return len(self.mean) - len(self.axes)

    @property
    def total_variance(self) -> float:
        """The sum of all eigenvalues."""
        return float(self.variance.sum()) + self.n_noise_dimensions * self.noise

    @property
    def loading_norms(self) -> Floats:
        """The norms of the columns of W, (q,)."""
        return np.asarray(np.sqrt(self.variance - self.noise))

    @property
    def loadings(self) -> Floats:
        """W, (d, q)."""
        return self.axes.T * self.loading_norms

    @property
    def log_det(self) -> float:
        """log |W W' + s^2 I|."""
        noise = self.n_noise_dimensions * log(self.noise) if self.n_noise_dimensions else 0.0
        return float(np.log(self.variance).sum()) + noise

    @property
    def log_prob_at_mean(self) -> float:
        """The log-density at the mean, -(d log 2 pi + log |W W' + s^2 I|) / 2."""
        return -0.5 * (len(self.mean) * log(tau) + self.log_det)

    @property
    def mean_log_prob(self) -> float:
        """The mean log-density of the rows of which this is the maximum of the likelihood."""
        return self.log_prob_at_mean - 0.5 * len(self.mean)

    @property
    def posterior_variance(self) -> Floats:
        """Var(u_j | z) = s^2 / variance_j, which does not depend on z, (q,)."""
        return self.noise / self.variance

    @property
    def regression(self) -> Floats:
        """inv(M) W', (q, d), which maps z - m to E[u | z]; M = W' W + s^2 I = diag(variance)."""
        return self.axes * (self.loading_norms / self.variance)[:, None]

    def covariance(self) -> Floats:
        """W W' + s^2 I, (d, d)."""
        return self._low_rank_plus_diagonal(self.variance - self.noise, self.noise)

    def precision(self) -> Floats:
        """The inverse of the covariance by Woodbury's identity, (d, d)."""
        along = 1.0 / self.variance - 1.0 / self.noise
        return self._low_rank_plus_diagonal(along, 1.0 / self.noise)

    def _low_rank_plus_diagonal(self, along: Floats, diagonal: float) -> Floats:
        matrix: Floats = (self.axes.T * along) @ self.axes
        matrix.flat[:: len(matrix) + 1] += diagonal
        return matrix

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Floats, Floats]:
        """Draw rows (n, d) and the latent variables that they come from (n, q)."""
        latent = rng.standard_normal((n, len(self.axes)))
        rows = rng.standard_normal((n, len(self.mean)))
        rows *= np.sqrt(self.noise)
        rows += latent @ self.loadings.T + self.mean
        return rows, latent

    def marginal(self, features: Ints) -> "PPCADensity":
        """The density of some of the features."""
        return self.from_loadings(self.mean[features], self.loadings[features], self.noise)

    def conditional(self, features: Ints, values: Floats) -> tuple[Floats, "PPCADensity"]:
        """The log-density (1,) of values of some features, and the density of the others given these.

        With W_o = s U S V' the loadings of the known features, u given their values has the mean
        V S / (1 + S^2) U' (values - m_o) / s and the covariance F F' = V / (1 + S^2) V', so that the
        others have the loadings W_u F, and the same noise.
        """
        others, noise = np.delete(np.arange(len(self.mean)), features), sqrt(self.noise)
        Q, R = np.linalg.qr(self.loadings[features] / noise)
        U, S, V = np.linalg.svd(R)  # of q x q at most: all q rows of V are known
        v, growth = (values - self.mean[features]) / noise, np.ones(len(V))
        growth[: len(S)] += S**2
        along = U.T @ (Q.T @ v)
        across = v - Q @ (U @ along)
        square = (along**2 / growth[: len(S)]).sum() + across @ across
        log_det = np.log(growth).sum() + len(v) * log(self.noise)
        log_prob = -0.5 * (len(v) * log(tau) + log_det + square)
        W = self.loadings[others] @ V.T
        mean = self.mean[others] + W[:, : len(S)] @ (S / growth[: len(S)] * along)
        return np.array([log_prob]), self.from_loadings(mean, W / np.sqrt(growth), self.noise)

    def n_parameters(self) -> int:
        """Mean, noise, and W up to rotation: d + 1 + d q - q (q - 1) / 2, with q < d."""
        d = len(self.mean)
        q = min(len(self.axes), d - 1)
        return d + 1 + d * q - q * (q - 1) // 2


def _completed(axes: Floats) -> Floats:
    """The d orthonormal axes of which all but the last are given."""
    d = axes.shape[1]
    missing = 1.0 - (axes**2).sum(axis=0)  # the squared entries of the last
    j = int(missing.argmax())
    last = np.eye(d)[j] - axes[:, j] @ axes
    last -= (axes @ last) @ axes
    return np.vstack([axes, fix_signs(last[None] / np.linalg.norm(last))])
