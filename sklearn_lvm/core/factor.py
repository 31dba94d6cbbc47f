"""The linear-Gaussian model of probabilistic principal components.

z = W u + m + noise with u ~ N(0, I_q) and noise ~ N(0, s^2 I), so that z ~ N(m, W W' + s^2 I)
(Tipping & Bishop, 1999). W is kept as orthonormal axes and the variances along them, and no d x d
matrix is formed unless it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import log, tau
from typing import Any

import numpy as np
from scipy.linalg import solve, svd

from .._types import Array
from .centred import Slab, is_sparse, row_dot
from .frame import FAR
from .spectrum import Spectrum, upright

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

    def __init__(self, factor: Factor, centre: Array, scale: float) -> None:
        self.factor, self.centre, self.scale = factor, centre, scale
        self.mean = centre + scale * factor.mean
        root = np.sqrt(factor.noise)
        reach = np.linalg.norm(self.mean / (scale * root)) ** 2
        reach += (factor.variance / factor.noise).sum() + factor.across
        self.near = bool(reach < LOSS and SAFE[0] < scale * root < SAFE[1])

    def careful_rows(self, X: Any) -> Array:
        """Rows about the mean in standard units, as far as rows can be."""
        body = X.toarray() if is_sparse(X) else X
        with np.errstate(over="ignore"):
            V = np.subtract(body, self.centre, dtype=np.float64)
            V /= self.scale
        return np.clip(V, -FAR, FAR, out=V) - self.factor.mean

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


# -- expectation-maximisation --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Loadings:
    """A model on its way: W of any rotation, (d, q), and the noise."""

    W: Array
    noise: float

    @cached_property
    def inner(self) -> Array:
        """M = W' W + s^2 I, (q, q)."""
        matrix: Array = self.W.T @ self.W
        matrix.flat[:: len(matrix) + 1] += self.noise
        return matrix

    def spectrum(self, mean: Array) -> Spectrum:
        """The eigenvalues and axes of W W' + s^2 I."""
        d, q = self.W.shape
        axes, size, _ = svd(self.W, full_matrices=False, check_finite=False)
        variance = size**2 + self.noise
        total = float(variance.sum()) + (d - q) * self.noise
        return Spectrum(mean, variance, upright(axes.T), total)


@dataclass(frozen=True, eq=False)
class Latent:
    """Sums of what is expected of the latent variable: a value with ``+``.

    Attributes
    ----------
    cross : ndarray of shape (q, d)
        sum_i w_i E[u_i] z_i'.
    second : ndarray of shape (q, q)
        sum_i w_i E[u_i u_i'].
    square, weight, evidence : float
        Sums of w |z|^2, of w, and of w log p(z).
    """

    cross: Array
    second: Array
    square: float
    weight: float
    evidence: float

    def __add__(self, other: "Latent") -> "Latent":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Latent(*(a + b for a, b in pairs))

    @property
    def statistics(self) -> "Latent":
        return self

    @property
    def objective(self) -> float:
        """The log-likelihood per unit of weight, in nats."""
        return self.evidence / self.weight


class FactorSteps:
    """EM for probabilistic PCA of centred rows (Tipping & Bishop, 1999, eqs. 25 to 28)."""

    def e_step(self, model: Loadings) -> Callable[[Slab], Latent]:
        """What to do with each slab of rows."""
        d, q = model.W.shape
        inverse = np.linalg.inv(model.inner)
        log_det = np.linalg.slogdet(model.inner)[1] + (d - q) * log(model.noise)

        def expect(slab: Slab) -> Latent:
            w, y = slab.weight, slab.project(model.W.T)
            u = inverse @ y
            square, weight = slab.squares(), float(w.sum())
            exponent = (square - np.einsum("qb,qb->b", y, u)) / model.noise
            evidence = -0.5 * (w @ exponent + weight * (d * log(tau) + log_det))
            second = (u * w) @ u.T + weight * model.noise * inverse
            return Latent(slab.gather(u * w), second, float(w @ square), weight, float(evidence))

        return expect

    def m_step(self, latent: Latent) -> Loadings:
        """The loadings and the noise that make these expectations most likely.

        The prior covariance of the latent variable is estimated along with them and then absorbed
        into W. This is the parameter-expanded EM of Liu, Rubin & Wu (1998): it climbs the same
        likelihood, and the lengths of loadings that stand far above the noise, which plain EM changes
        by a factor of 1 + O(s^2 / l_j) a step, are right at once.
        """
        W = solve(latent.second, latent.cross, assume_a="pos").T
        left = latent.square - float(np.einsum("qd,dq->", latent.cross, W))
        noise = left / (latent.weight * len(W))
        if not noise > 0.0:
            raise FloatingPointError("the noise variance vanished")
        return Loadings(W @ np.linalg.cholesky(latent.second / latent.weight), noise)

    def coordinates(self, model: Loadings) -> "LoadingsCoordinates":
        """Vectors for models about as large as this one."""
        d = len(model.W)
        return LoadingsCoordinates(np.sqrt((model.W**2).sum() / d + model.noise))


@dataclass(frozen=True)
class LoadingsCoordinates:
    """Models as vectors: W in one common unit, and the logarithm of the noise."""

    unit: float

    def vector(self, model: Loadings) -> Array:
        """All coordinates in a row."""
        return np.append(model.W.ravel() / self.unit, log(model.noise))

    def model(self, vector: Array, like: Loadings) -> Loadings:
        """The model that has these coordinates."""
        W = (vector[:-1] * self.unit).reshape(like.W.shape)
        return Loadings(W, float(np.exp(vector[-1])))
