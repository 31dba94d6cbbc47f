"""Log-densities and posterior means of blocks of rows under probabilistic PCA.

Both have two forms. The direct form takes one product of the rows as they are, which is fast and keeps
their sparsity, but loses digits where the mean is far from zero or the noise is small. The residual
form centers each row and subtracts what the axes explain.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._typing import Floats, Ints
from ..linalg import row_dot
from ..standardization import MAX_DEVIATIONS
from .centered_block import RowBlock, Rows, dense, float64
from .density import PPCADensity

MAX_CANCELLATION = 1e6  # largest ratio of squares to the noise variance in the direct form
SAFE_SCALES = (1e-100, 1e100)  # scales and standard deviations with squares within float64
PRODUCT_MULTIPLE = 4  # matrix products are fastest where the number of rows is a multiple of this
UNWEIGHTED = np.empty(0)  # the weights of a block in whose products weights have no part


@dataclass(frozen=True, eq=False)
class DirectForm:
    """Log-densities and posterior means from products of uncentered rows, in units of the data.

    Results are not finite for rows that hold NaN or infinity and for rows whose squares overflow.

    Attributes
    ----------
    mean : ndarray of shape (d,)
        m, in units of the data.
    directions : ndarray of shape (k, d)
        The q rows of A, then m, then zeros. Mahalanobis distances of rows x are
        precision |x - m|^2 - |A (x - m)|^2.
    projected_mean : ndarray of shape (q, 1)
        A m.
    precision : float
        The inverse of the noise variance, in units of the data.
    log_prob_at_mean : float
    regression : ndarray of shape (q, d)
        inv(M) W', which maps (x - m) / scale to E[u | x].
    scale : float
    """

    mean: Floats
    directions: Floats
    projected_mean: Floats
    precision: float
    log_prob_at_mean: float
    regression: Floats
    scale: float

    @classmethod
    def of(
        cls, density: PPCADensity, regression: Floats, center: Floats, scale: float
    ) -> "DirectForm":
        """Prepare a density of (x - center) / scale and its regression."""
        mean, (q, d) = center + scale * density.mean, density.axes.shape
        shrinkage = np.sqrt((1.0 / density.noise - 1.0 / density.variance) / scale**2)
        A = density.axes * shrinkage[:, None]
        directions = np.zeros((-(-(q + 1) // PRODUCT_MULTIPLE) * PRODUCT_MULTIPLE, d))
        directions[:q], directions[q] = A, mean
        return cls(
            mean,
            directions,
            (A @ mean)[:, None],
            1.0 / (density.noise * scale**2),
            density.log_prob_at_mean,
            regression,
            scale,
        )

    @np.errstate(all="ignore")
    def log_prob(self, rows: Rows) -> Floats:
        """Log-densities of (x - center) / scale, (b, d) -> (b,)."""
        block = RowBlock(float64(rows), None, UNWEIGHTED)
        y, q = block.project(self.directions), len(self.projected_mean)
        square = block.squared_norms() - 2.0 * y[q] + self.mean @ self.mean
        y = y[:q] - self.projected_mean
        exponent = square * self.precision - np.einsum("qb,qb->b", y, y)
        log_prob: Floats = self.log_prob_at_mean - 0.5 * exponent
        return log_prob

    @np.errstate(all="ignore")
    def latent_mean(self, rows: Rows) -> Floats:
        """E[u | z] = inv(M) W' (z - m) of each row, (b, d) -> (q, b)."""
        block = RowBlock(float64(rows), self.mean, UNWEIGHTED)
        return block.project(self.regression) / self.scale


@dataclass(frozen=True, eq=False)
class ResidualForm:
    """Log-densities and posterior means from centered rows and their residuals.

    Results are NaN for rows that hold NaN or infinity. Rows further than MAX_DEVIATIONS from the
    center count as that far, so that their log-densities are finite.

    Attributes
    ----------
    density : PPCADensity
        Of (x - center) / scale.
    regression : ndarray of shape (q, d)
        inv(M) W', which maps z - m to E[u | z].
    center : ndarray of shape (d,)
    scale : float
    """

    density: PPCADensity
    regression: Floats
    center: Floats
    scale: float

    def log_prob(self, rows: Rows) -> Floats:
        """Log-densities of (x - center) / scale, (b, d) -> (b,)."""
        density, V = self.density, self._deviations(rows)
        y = density.axes @ V.T
        V -= y.T @ density.axes
        along = (y * y / density.variance[:, None]).sum(axis=0)
        residual = row_dot(V, V) / density.noise if density.n_noise_dimensions else 0.0
        log_prob: Floats = density.log_prob_at_mean - 0.5 * (along + residual)
        return log_prob

    def latent_mean(self, rows: Rows) -> Floats:
        """E[u | z] = inv(M) W' (z - m) of each row, (b, d) -> (q, b)."""
        latent: Floats = self.regression @ self._deviations(rows).T
        return latent

    def _deviations(self, rows: Rows) -> Floats:
        """z - m of each row, (b, d), with entries of z clipped to MAX_DEVIATIONS."""
        body = dense(rows)
        with np.errstate(over="ignore"):
            Z = np.subtract(body, self.center, dtype=np.float64)
            Z /= self.scale
        Z = np.clip(Z, -MAX_DEVIATIONS, MAX_DEVIATIONS, out=Z) - self.density.mean
        Z[_not_finite(body)] = np.nan  # clipping has hidden infinity
        return Z


@dataclass(frozen=True, eq=False)
class PPCAKernel:
    """A density of probabilistic PCA prepared for one pass over rows in units of the data.

    Each row is evaluated in the direct form if that is accurate for this density and gives a finite
    number, and in the residual form otherwise. Rows that hold NaN or infinity give NaN.

    Attributes
    ----------
    residual : ResidualForm
    direct : DirectForm or None
        None where it would lose digits.
    """

    residual: ResidualForm
    direct: DirectForm | None

    @classmethod
    def of(cls, density: PPCADensity, center: Floats, scale: float) -> "PPCAKernel":
        """Prepare a density of (x - center) / scale."""
        parts = density, density.regression, center, scale
        near = well_conditioned(density, center, scale)
        return cls(ResidualForm(*parts), DirectForm.of(*parts) if near else None)

    def log_prob(self, rows: Rows) -> Floats:
        """Log-densities of (x - center) / scale, (b, d) -> (b,)."""
        if self.direct is None:
            return self.residual.log_prob(rows)
        return _where_finite(self.direct.log_prob(rows), rows, self.residual.log_prob)

    def latent_mean(self, rows: Rows) -> Floats:
        """E[u | z] of each row, (b, d) -> (q, b)."""
        if self.direct is None:
            return self.residual.latent_mean(rows)
        return _where_finite(self.direct.latent_mean(rows), rows, self.residual.latent_mean)


@np.errstate(all="ignore")
def well_conditioned(density: PPCADensity, center: Floats, scale: float) -> bool:
    """Whether the direct form is accurate for rows of this density."""
    root = np.sqrt(density.noise)
    mean = center + scale * density.mean
    ratio = np.linalg.norm(mean / (scale * root)) ** 2
    ratio += (density.variance / density.noise).sum() + density.n_noise_dimensions
    low, high = SAFE_SCALES
    return bool(ratio < MAX_CANCELLATION and low < scale * root < high and low < scale < high)


def _where_finite(values: Floats, rows: Rows, fallback: Callable[[Rows], Floats]) -> Floats:
    """Replace values (..., b) that are not finite by those of another function of the rows."""
    lost = ~np.isfinite(values).reshape(-1, values.shape[-1]).all(axis=0)
    if lost.any():
        values[..., lost] = fallback(rows[lost])
    return values


def _not_finite(rows: Floats) -> Ints:
    """Positions of rows that hold NaN or infinity.

    The sum of such a row is not finite. Those of very large numbers may overflow too, so that rows
    with such a sum are searched entry by entry.
    """
    with np.errstate(all="ignore"):
        suspects = np.flatnonzero(~np.isfinite(rows.sum(axis=1)))
    return suspects[~np.isfinite(rows[suspects]).all(axis=1)]
