"""The linear-Gaussian model of probabilistic principal components.

z = W u + m + noise with u ~ N(0, I_q) and noise ~ N(0, s^2 I), so that z ~ N(m, W W' + s^2 I)
(Tipping & Bishop, 1999). W is kept as orthonormal axes and the variances along them, and no d x d
matrix is formed unless it is asked for.
"""

from dataclasses import dataclass
from functools import cached_property
from math import log, tau
from typing import Any

import numpy as np

from ..._typing import Array
from ..centred import Slab, is_sparse, row_dot
from ..spectrum import Spectrum, upright
from ..standardization import MAX_DEVIATIONS

LOSS = 1e6  # how far squares may exceed the noise before residuals are formed row by row
SAFE = (1e-100, 1e100)  # scales whose squares are numbers


@dataclass(frozen=True, eq=False)
class Factor:
    """A Gaussian with covariance W W' + s^2 I, W = axes' diag(sqrt(variance - noise)).

    Attributes
    ----------
    mean : ndarray of shape (d,)
    axes : ndarray of shape (q, d)
        Orthonormal.
    variance : ndarray of shape (q,)
        Of the density along the axes, noise included.
    noise : float
        s^2, the variance in every direction across the axes.
    """

    mean: Array
    axes: Array
    variance: Array
    noise: float

    @classmethod
    def of(cls, spectrum: Spectrum, q: int) -> "Factor":
        """The maximum of the likelihood with q axes (Tipping & Bishop, 1999, eqs. 7 and 8)."""
        noise = spectrum.noise(q)
        variance, axes = spectrum.variance[:q], spectrum.axes[:q]
        if len(axes) < q:  # q = d, of which one axis is that of the noise
            axes, variance = _completed(axes), np.append(variance, noise)
        return cls(spectrum.mean, axes, np.maximum(variance, noise), noise)

    @property
    def across(self) -> int:
        """In how many directions there is nothing but noise."""
        return len(self.mean) - len(self.axes)

    @property
    def gain(self) -> Array:
        """The lengths of the columns of W, (q,)."""
        return np.sqrt(self.variance - self.noise)

    @property
    def loadings(self) -> Array:
        """W, (d, q)."""
        return self.axes.T * self.gain

    @property
    def log_det(self) -> float:
        """log |W W' + s^2 I|."""
        across = self.across * log(self.noise) if self.across else 0.0
        return float(np.log(self.variance).sum()) + across

    @property
    def constant(self) -> float:
        """The log-density at the mean."""
        return -0.5 * (len(self.mean) * log(tau) + self.log_det)

    @property
    def height(self) -> float:
        """The mean log-density of rows whose covariance this is the closed-form estimate of."""
        return self.constant - 0.5 * len(self.mean)

    @property
    def posterior_variance(self) -> Array:
        """Var(u_j | z), which is the same for all rows, (q,)."""
        return self.noise / self.variance

    def covariance(self) -> Array:
        """W W' + s^2 I, (d, d)."""
        return self._with_diagonal(self.variance - self.noise, self.noise)

    def precision(self) -> Array:
        """Its inverse, by Woodbury's identity."""
        return self._with_diagonal(1.0 / self.variance - 1.0 / self.noise, 1.0 / self.noise)

    def _with_diagonal(self, along: Array, everywhere: float) -> Array:
        matrix: Array = (self.axes.T * along) @ self.axes
        matrix.flat[:: len(matrix) + 1] += everywhere
        return matrix

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Array, Array]:
        """Draw rows (n, d) and the latent variables that they come from (n, q)."""
        latent = rng.standard_normal((n, len(self.axes)))
        rows = rng.standard_normal((n, len(self.mean)))
        rows *= np.sqrt(self.noise)
        rows += latent @ self.loadings.T + self.mean
        return rows, latent

    def n_parameters(self) -> int:
        """Mean, noise, and W up to rotation: d + 1 + d q - q (q - 1) / 2, with q < d."""
        d = len(self.mean)
        q = min(len(self.axes), d - 1)
        return d + 1 + d * q - q * (q - 1) // 2


def _completed(axes: Array) -> Array:
    """The d axes of which all but the last are given."""
    d = axes.shape[1]
    missing = 1.0 - (axes**2).sum(axis=0)  # the squared entries of the last
    j = int(missing.argmax())
    last = np.eye(d)[j] - axes[:, j] @ axes
    last -= (axes @ last) @ axes
    return np.vstack([axes, upright(last[None] / np.linalg.norm(last))])


class FactorLens:
    """How rows in their own units, (b, d), look through the model.

    Each method has two forms. ``direct`` works on the rows as they are, in one product, and is for data
    whose digits survive that (``near``); it gives NaN or infinity for rows that are so, or are too far
    out to be squared. ``careful`` subtracts the centre and what the axes explain, row by row.
    """

    def __init__(self, factor: Factor, center: Array, scale: float) -> None:
        self.factor, self.center, self.scale = factor, center, scale
        self.mean = center + scale * factor.mean
        root = np.sqrt(factor.noise)
        reach = np.linalg.norm(self.mean / (scale * root)) ** 2
        reach += (factor.variance / factor.noise).sum() + factor.across
        self.near = bool(reach < LOSS and SAFE[0] < scale * root < SAFE[1])

    def careful_rows(self, X: Any) -> Array:
        """Rows about the mean in standard units, as far as rows can be."""
        body = X.toarray() if is_sparse(X) else X
        with np.errstate(over="ignore"):
            V = np.subtract(body, self.center, dtype=np.float64)
            V /= self.scale
        return np.clip(V, -MAX_DEVIATIONS, MAX_DEVIATIONS, out=V) - self.factor.mean

    @cached_property
    def _whitening(self) -> tuple[Array, float]:
        """What makes |z - m|^2 / s^2 - |A (z - m)|^2 of the exponent: A, (q, d), and 1 / s^2."""
        f, unit = self.factor, self.scale**2
        shrink = np.sqrt((1.0 / f.noise - 1.0 / f.variance) / unit)
        return f.axes * shrink[:, None], 1.0 / (f.noise * unit)

    @cached_property
    def _stacked(self) -> Array:
        """A, the mean, and zeros up to a multiple of four rows, which products like."""
        rows = np.zeros((-(-(len(self.factor.axes) + 1) // 4) * 4, len(self.mean)))
        rows[: len(self.factor.axes)] = self._whitening[0]
        rows[len(self.factor.axes)] = self.mean
        return rows

    @cached_property
    def _whitened_mean(self) -> Array:
        """A m, (q, 1)."""
        return (self._whitening[0] @ self.mean)[:, None]

    @np.errstate(all="ignore")
    def log_prob_direct(self, X: Any) -> Array:
        """log p(z) of rows in the units of the data, less the log-Jacobian, (b, d) -> (b,)."""
        along, precision = self._whitening
        slab = Slab(X.astype(np.float64, copy=False), None, np.empty(0))
        y = slab.project(self._stacked)
        q = len(along)
        square = slab.squares() - 2.0 * y[q] + self.mean @ self.mean
        y = y[:q] - self._whitened_mean
        return self.factor.constant - 0.5 * (square * precision - np.einsum("qb,qb->b", y, y))

    def log_prob_careful(self, X: Any) -> Array:
        """The same from residuals."""
        f, V = self.factor, self.careful_rows(X)
        y = f.axes @ V.T
        V -= y.T @ f.axes
        along = (y * y / f.variance[:, None]).sum(axis=0)
        across = row_dot(V, V) / f.noise if f.across else 0.0
        return self.factor.constant - 0.5 * (along + across)

    @cached_property
    def _inference(self) -> Array:
        f = self.factor
        return f.axes * (f.gain / f.variance)[:, None]

    @np.errstate(all="ignore")
    def latent_direct(self, X: Any) -> Array:
        """E[u | z] = M^-1 W' (z - m), (b, d) -> (q, b)."""
        body = X.astype(np.float64, copy=False)
        return Slab(body, self.mean, np.empty(0)).project(self._inference) / self.scale

    def latent_careful(self, X: Any) -> Array:
        """The same of centred rows."""
        found: Array = self._inference @ self.careful_rows(X).T
        return found
