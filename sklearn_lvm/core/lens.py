"""How a block of rows looks through K Gaussians: the inner products of every E-step and score.

A lens is made once a pass over the data. ``look`` takes a block of rows, feature-major (d, n), to
whatever the other two verbs share; ``log_prob`` gives log-densities (K, n), with an offset for each
Gaussian such as its log-weight; ``sums`` adds the block up under responsibilities (K, n). Sums of
blocks add, and end as moments. Nothing of size n x K x d ever exists beyond a block.

A lens computes in the precision of the rows that it is given; sums are float64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .._typing import Array
from .covariance import Structure
from .moments import Moments

if TYPE_CHECKING:
    from .gaussian import Gaussians

EMPTY = 1e-100  # a component with a smaller share of the weight holds nothing to be measured


@dataclass(frozen=True, eq=False)
class Sums:
    """Weighted sums over rows as one lens sees them; ``a + b`` joins two blocks."""

    arrays: tuple[Array, ...]
    finish: Callable[..., Moments]

    def __add__(self, other: "Sums") -> "Sums":
        joined = tuple(a + b for a, b in zip(self.arrays, other.arrays, strict=True))
        return Sums(joined, self.finish)

    def moments(self) -> Moments:
        """The same as counts, means, and scatters about those means."""
        return self.finish(*self.arrays)


def row_width(structure: Structure, n_components: int) -> int:
    """How many numbers a row grows into while K Gaussians look at it."""
    if structure.d > structure.natural_features:
        return n_components * (structure.d + 1)
    return 1 + structure.d + structure.size + n_components


class Lens(Protocol):
    """The verbs of a lens, and by how much a rounding error of a row grows in its log-density."""

    @property
    def amplification(self) -> float: ...

    def look(self, Z: Any) -> Any: ...
    def log_prob(self, seen: Any) -> Array: ...
    def sums(self, seen: Any, R: Array) -> Any: ...


def _alike(array: Array, rows: Array) -> Array:
    """An array in the precision of rows."""
    return array.astype(rows.dtype, copy=False)


def _exact(*sums: Array) -> tuple[Array, ...]:
    """Sums over a block in float64, since many blocks are added."""
    return tuple(array.astype(np.float64, copy=False) for array in sums)


def _held(weight: Array) -> tuple[Array, Array]:
    """Weights with the immeasurable ones set to zero, and positive divisors."""
    weight = np.where(weight > EMPTY * weight.sum(), weight, 0.0)
    return weight, np.where(weight > 0, weight, 1.0)


class ResidualLens:
    """Rows seen as whitened residuals y_k = inv(L_k) (z - m_k), (K, d, n).

    Exact whatever the place and the size of a Gaussian: sums are taken about the current mean and in
    the current covariance's own units.
    """

    def __init__(self, gaussians: "Gaussians", offset: Array) -> None:
        self.covariance, self.mean = gaussians.covariance, gaussians.mean
        self.constant = (gaussians.constant + offset)[:, None]
        self.look = self.covariance.whitener(self.mean)

    @property
    def amplification(self) -> float:
        return float(np.sqrt(self.covariance.moment_loss(self.mean).max()))

    def log_prob(self, seen: Array) -> Array:
        distance = np.einsum("kdn,kdn->kn", seen, seen)
        distance *= -0.5
        distance += _alike(self.constant, seen)
        return distance

    def sums(self, seen: Array, R: Array) -> Sums:
        sums = _exact(R.sum(axis=1), *self.covariance.structure.accumulate(seen, R))
        return Sums(sums, self.finish)

    def finish(self, weight: Array, first: Array, second: Array) -> Moments:
        """Undo the whitening, and move from the old means to the new."""
        weight, divisor = _held(weight)
        shift = np.where(weight[:, None] > 0, first / divisor[:, None], 0.0)
        structure = self.covariance.structure
        scatter = second - structure.outer(shift * np.sqrt(weight)[:, None])
        scatter[weight == 0] = 0.0
        mean = self.mean + self.covariance.colour_each(shift)
        scatter = self.covariance.restore(scatter)
        return Moments(weight, structure.pooled(weight), mean, structure.pooled(scatter), structure)


class NaturalLens:
    """Rows seen as phi(z) = [1, z, products of two entries of z], (P, n).

    The Gaussian as an exponential family, log N = theta . phi(z): one matrix product gives all
    log-densities and another all sums. Squares about zero in place of squares about the mean lose
    digits by ``Covariance.moment_loss``.
    """

    def __init__(self, gaussians: "Gaussians", offset: Array) -> None:
        self.covariance, self.mean = gaussians.covariance, gaussians.mean
        self.structure = self.covariance.structure
        linear, quadratic = gaussians.covariance.couple(self.mean)
        K, d = self.mean.shape
        self.theta = np.empty((K, 1 + d + quadratic.shape[1]))
        self.theta[:, 0] = gaussians.constant + offset - 0.5 * (linear * self.mean).sum(axis=1)
        self.theta[:, 1 : 1 + d], self.theta[:, 1 + d :] = linear, quadratic

    @property
    def amplification(self) -> float:
        return float(self.covariance.moment_loss(self.mean).max())

    def look(self, Z: Array) -> Array:
        d = len(Z)
        phi = np.empty((self.theta.shape[1], Z.shape[1]), dtype=Z.dtype)
        phi[0] = 1.0
        phi[1 : 1 + d] = Z
        self.structure.monomials(Z, out=phi[1 + d :])
        return phi

    def log_prob(self, seen: Array) -> Array:
        return _alike(self.theta, seen) @ seen

    def sums(self, seen: Array, R: Array) -> Sums:
        return Sums(_exact(R @ seen.T), self.finish)

    def finish(self, total: Array) -> Moments:
        """Move from zero to the means."""
        d = self.mean.shape[1]
        weight, divisor = _held(total[:, 0])
        mean = np.where(weight[:, None] > 0, total[:, 1 : 1 + d] / divisor[:, None], self.mean)
        second = self.structure.assemble(total[:, 1 + d :])
        scatter = second - self.structure.outer(mean * np.sqrt(weight)[:, None])
        scatter[weight == 0] = 0.0
        pooled = self.structure.pooled
        return Moments(weight, pooled(weight), mean, pooled(scatter), self.structure)


class SharedLens:
    """Rows seen as y = inv(L) z, (d, n), by Gaussians that share one covariance.

    All distances come from one whitening, |y - c_k|^2 = |y|^2 - 2 c_k . y + |c_k|^2 with c_k the
    whitened means, and the scatter within is the scatter of all rows less that between. Both lose
    digits where the means are far out in units of the shared covariance.
    """

    def __init__(self, gaussians: "Gaussians", offset: Array) -> None:
        self.covariance, self.mean = gaussians.covariance, gaussians.mean
        self.centre = self.covariance.whiten_each(self.mean)
        constant = gaussians.constant + offset - 0.5 * (self.centre**2).sum(axis=1)
        self.constant = constant[:, None]
        self.whiten = self.covariance.whitener(np.zeros_like(self.mean[:1]))

    @property
    def amplification(self) -> float:
        return float(self.covariance.moment_loss(self.mean).max())

    def look(self, Z: Array) -> Array:
        return self.whiten(Z)[0]

    def log_prob(self, seen: Array) -> Array:
        joint = _alike(self.centre, seen) @ seen
        joint += _alike(self.constant, seen)
        joint -= 0.5 * np.einsum("dn,dn->n", seen, seen)
        return joint

    def sums(self, seen: Array, R: Array) -> Sums:
        second = self.covariance.structure.gram(seen[None], R.sum(axis=0)[None])
        return Sums(_exact(R.sum(axis=1), R @ seen.T, second), self.finish)

    def finish(self, weight: Array, first: Array, second: Array) -> Moments:
        """Undo the whitening, and take the scatter between the means out; that within is shared."""
        weight, divisor = _held(weight)
        centre = np.where(weight[:, None] > 0, first / divisor[:, None], self.centre)
        structure = self.covariance.structure
        between = structure.outer(centre * np.sqrt(weight)[:, None]).sum(axis=0, keepdims=True)
        mean = self.covariance.colour_each(centre)
        scatter = self.covariance.restore(second - between)
        return Moments(weight, weight.sum(keepdims=True), mean, scatter, structure)


class SplitLens:
    """The natural form for the Gaussians that are ``safe`` in it, residuals for the others."""

    def __init__(self, gaussians: "Gaussians", offset: Array, safe: Array) -> None:
        self.groups = np.flatnonzero(safe), np.flatnonzero(~safe)
        self.order = np.argsort(np.concatenate(self.groups))
        parts = [(gaussians.part(group), offset[group]) for group in self.groups]
        self.lenses: tuple[Any, Any] = NaturalLens(*parts[0]), ResidualLens(*parts[1])

    @property
    def amplification(self) -> float:
        return max(lens.amplification for lens in self.lenses)

    def look(self, Z: Array) -> list[Array]:
        return [lens.look(Z) for lens in self.lenses]

    def log_prob(self, seen: list[Array]) -> Array:
        parts = [lens.log_prob(view) for lens, view in zip(self.lenses, seen, strict=True)]
        return np.concatenate(parts)[self.order]

    def sums(self, seen: list[Array], R: Array) -> Sums:
        parts = [
            lens.sums(view, R[group])
            for lens, view, group in zip(self.lenses, seen, self.groups, strict=True)
        ]
        return Sums(tuple(a for part in parts for a in part.arrays), self.finish)

    def finish(self, total: Array, *exact: Array) -> Moments:
        """Put the two groups back into their order."""
        natural, residual = self.lenses
        return _interleave(natural.finish(total), residual.finish(*exact), self.order)


def _interleave(a: Moments, b: Moments, order: Array) -> Moments:
    def join(x: Array, y: Array) -> Array:
        return np.concatenate([x, y])[order]

    return Moments(
        join(a.weight, b.weight),
        join(a.dof, b.dof),
        join(a.mean, b.mean),
        join(a.scatter, b.scatter),
        a.structure,
    )
