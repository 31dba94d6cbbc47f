"""E-step kernels: log-densities of a block of rows under K Gaussians, and its weighted sums.

A kernel is made once a pass over the data, of arrays alone. ``features`` takes a block of rows,
feature-major (d, n), to what the next two verbs share; ``log_prob`` gives log-densities (K, n), a
constant for each Gaussian such as its log-weight included; ``accumulate`` sums the block up under
responsibilities (K, n), in ``n_sums`` arrays. Sums of blocks add, and ``statistics`` turns those of all
rows into moments.
Nothing of size n x K x d ever exists beyond a block.

A kernel computes in the precision of the rows that it is given; sums are float64.
"""

from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np

from ..._typing import Bools, Floats, Ints, Slice
from ..linalg import product, transposed_product
from .covariance import Covariances, Structure, Whitener
from .moments import Moments

MIN_SHARE = 1e-100  # of the weight, below which a component holds nothing to be measured
MAX_CANCELLATION = 1e5  # by which monomials may magnify rounding: five digits of sixteen

Sums = tuple[Floats, ...]
T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class GroupKernel(Protocol[T_contra]):
    """K Gaussians prepared for groups of rows that lack about as many entries."""

    def log_prob(self, completion: T_contra, n_missing: Floats, /) -> Floats:
        """Log-densities of the observed entries of a group, (K, g)."""
        ...

    def accumulate(self, completion: T_contra, resp: Floats, /) -> Sums:
        """Expected sums over the rows of a group."""
        ...


@dataclass(frozen=True, eq=False)
class CompletedGroup(Generic[T]):
    """A group of rows (d, g), what a kernel expects of them, and how many entries each lacks."""

    kernel: GroupKernel[T]
    rows: Slice
    completion: T
    n_missing: Floats

    def log_prob(self) -> Floats:
        """Log-densities of the observed entries, (K, g)."""
        return self.kernel.log_prob(self.completion, self.n_missing)

    def accumulate(self, resp: Floats) -> Sums:
        """Expected sums over the rows under shares of them, (K, g)."""
        return self.kernel.accumulate(self.completion, resp)


def added(a: Sums, b: Sums) -> Sums:
    """The sums of two parts of the rows."""
    return tuple(x + y for x, y in zip(a, b, strict=True))


def row_width(structure: Structure, n_components: int) -> int:
    """How many numbers a row grows into in the E-step of K Gaussians."""
    return structure.row_width(n_components)


def in_precision_of(array: Floats, rows: Floats) -> Floats:
    """An array in the precision of rows."""
    return array.astype(rows.dtype, copy=False)


def in_float64(*sums: Floats) -> Sums:
    """Sums over a block in float64, since many blocks are added."""
    return tuple(array.astype(np.float64, copy=False) for array in sums)


def measurable(weight: Floats) -> tuple[Floats, Floats]:
    """Weights with the immeasurable ones set to zero, and positive divisors."""
    weight = np.where(weight > MIN_SHARE * weight.sum(), weight, 0.0)
    return weight, np.where(weight > 0, weight, 1.0)


@dataclass(frozen=True, eq=False)
class ResidualKernel:
    """Gaussians by whitened residuals y_k = inv(L_k) (z - m_k), (K, d, n).

    Exact whatever the place and the size of a Gaussian: sums are taken about the current mean and in
    the current covariance's own units.
    """

    mean: Floats
    covariance: Covariances
    max_log_prob: Floats
    whiten: Whitener
    n_sums: ClassVar[int] = 3

    @classmethod
    def of(cls, mean: Floats, covariance: Covariances, max_log_prob: Floats) -> "ResidualKernel":
        return cls(mean, covariance, max_log_prob[:, None], covariance.whitener(mean))

    @property
    def condition_number(self) -> float:
        return float(np.sqrt(self.covariance.cancellation(self.mean).max()))

    def features(self, rows: Floats) -> Floats:
        return self.whiten(rows)

    def log_prob(self, features: Floats) -> Floats:
        distance: Floats = np.einsum("kdn,kdn->kn", features, features)
        distance *= -0.5
        distance += in_precision_of(self.max_log_prob, features)
        return distance

    def accumulate(self, features: Floats, resp: Floats) -> Sums:
        sums = self.covariance.structure.accumulate(features, resp)
        return in_float64(resp.sum(axis=1), *sums)

    def statistics(self, total: Sums) -> Moments:
        """Undo the whitening, and move from the old means to the new."""
        weight, first, second = total
        weight, divisor = measurable(weight)
        shift = np.where(weight[:, None] > 0, first / divisor[:, None], 0.0)
        structure = self.covariance.structure
        whitened = second - structure.outer(shift * np.sqrt(weight)[:, None])
        whitened[weight == 0] = 0.0
        mean = self.mean + self.covariance.colorize_each(shift)
        scatter = self.covariance.restore(whitened)
        return Moments(weight, structure.pooled(weight), mean, structure.pooled(scatter), structure)


@dataclass(frozen=True, eq=False)
class NaturalKernel:
    """Gaussians as an exponential family, log N = theta . phi(z), phi = [1, z, products of z], (P, n).

    One matrix product gives all log-densities and another all sums. Squares about zero in place of
    squares about the mean lose digits, by ``Covariances.cancellation``.
    """

    mean: Floats
    covariance: Covariances
    theta: Floats
    n_sums: ClassVar[int] = 1

    @classmethod
    def of(cls, mean: Floats, covariance: Covariances, max_log_prob: Floats) -> "NaturalKernel":
        linear, quadratic = covariance.natural_parameters(mean)
        K, d = mean.shape
        theta = np.empty((K, 1 + d + quadratic.shape[1]))
        theta[:, 0] = max_log_prob - 0.5 * (linear * mean).sum(axis=1)
        theta[:, 1 : 1 + d], theta[:, 1 + d :] = linear, quadratic
        return cls(mean, covariance, theta)

    @property
    def condition_number(self) -> float:
        return float(self.covariance.cancellation(self.mean).max())

    def features(self, rows: Floats) -> Floats:
        d = len(rows)
        phi = np.empty((self.theta.shape[1], rows.shape[1]), dtype=rows.dtype)
        phi[0] = 1.0
        phi[1 : 1 + d] = rows
        self.covariance.structure.monomials(rows, out=phi[1 + d :])
        return phi

    def log_prob(self, features: Floats) -> Floats:
        # The constant of a component without weight is -inf. Some BLAS kernels multiply it by the
        # zeros of their padding too, which no result contains but the floating-point flags do.
        with np.errstate(invalid="ignore"):
            return product(in_precision_of(self.theta, features), features)

    def accumulate(self, features: Floats, resp: Floats) -> Sums:
        return in_float64(transposed_product(resp, features))

    def statistics(self, total: Sums) -> Moments:
        """Move from zero to the means."""
        (sums,) = total
        d, structure = self.mean.shape[1], self.covariance.structure
        weight, divisor = measurable(sums[:, 0])
        mean = np.where(weight[:, None] > 0, sums[:, 1 : 1 + d] / divisor[:, None], self.mean)
        second = structure.from_monomials(sums[:, 1 + d :])
        scatter = second - structure.outer(mean * np.sqrt(weight)[:, None])
        scatter[weight == 0] = 0.0
        return Moments(weight, structure.pooled(weight), mean, structure.pooled(scatter), structure)


@dataclass(frozen=True, eq=False)
class TiedKernel:
    """Gaussians that share one covariance, by whitened rows y = inv(L) z, (d, n).

    All distances come from one whitening, |y - c_k|^2 = |y|^2 - 2 c_k . y + |c_k|^2 with c_k the
    whitened means, and the scatter within is the scatter of all rows less that between. Both lose
    digits where the means are far out in units of the shared covariance.
    """

    mean: Floats
    covariance: Covariances
    whitened_mean: Floats
    max_log_prob: Floats
    whiten: Whitener
    n_sums: ClassVar[int] = 3

    @classmethod
    def of(cls, mean: Floats, covariance: Covariances, max_log_prob: Floats) -> "TiedKernel":
        whitened = covariance.whiten_each(mean)
        at_zero = max_log_prob - 0.5 * (whitened**2).sum(axis=1)
        whiten = covariance.whitener(np.zeros_like(mean[:1]))
        return cls(mean, covariance, whitened, at_zero[:, None], whiten)

    @property
    def condition_number(self) -> float:
        return float(self.covariance.cancellation(self.mean).max())

    def features(self, rows: Floats) -> Floats:
        return np.asarray(self.whiten(rows)[0])

    def log_prob(self, features: Floats) -> Floats:
        joint = in_precision_of(self.whitened_mean, features) @ features
        joint += in_precision_of(self.max_log_prob, features)
        joint -= 0.5 * np.einsum("dn,dn->n", features, features)
        return joint

    def accumulate(self, features: Floats, resp: Floats) -> Sums:
        second = self.covariance.structure.gram(features[None], resp.sum(axis=0)[None])
        return in_float64(resp.sum(axis=1), resp @ features.T, second)

    def statistics(self, total: Sums) -> Moments:
        """Undo the whitening, and take the scatter between the means out; that within is shared."""
        weight, first, second = total
        weight, divisor = measurable(weight)
        center = np.where(weight[:, None] > 0, first / divisor[:, None], self.whitened_mean)
        structure = self.covariance.structure
        between = structure.outer(center * np.sqrt(weight)[:, None]).sum(axis=0, keepdims=True)
        mean = self.covariance.colorize_each(center)
        scatter = self.covariance.restore(second - between)
        return Moments(weight, weight.sum(keepdims=True), mean, scatter, structure)


@dataclass(frozen=True, eq=False)
class MixedKernel:
    """Monomials for the Gaussians whose digits survive them, residuals for the others.

    Attributes
    ----------
    natural, residual : kernels
    groups : tuple of ndarray
        The components of either.
    order : ndarray of shape (K,)
        Where each component stands after the two groups are joined.
    """

    natural: NaturalKernel
    residual: ResidualKernel
    groups: tuple[Ints, Ints]
    order: Ints
    n_sums: ClassVar[int] = NaturalKernel.n_sums + ResidualKernel.n_sums

    @classmethod
    def of(
        cls,
        mean: Floats,
        covariance: Covariances,
        max_log_prob: Floats,
        safe: Bools | None = None,
    ) -> "MixedKernel":
        """Split by ``safe``, (K,); by default by the digits that monomials would cost."""
        if safe is None:
            safe = covariance.cancellation(mean) <= MAX_CANCELLATION
        groups = np.flatnonzero(safe), np.flatnonzero(~safe)
        parts = [(mean[group], covariance.subset(group), max_log_prob[group]) for group in groups]
        order = np.argsort(np.concatenate(groups))
        return cls(NaturalKernel.of(*parts[0]), ResidualKernel.of(*parts[1]), groups, order)

    @property
    def condition_number(self) -> float:
        return max(self.natural.condition_number, self.residual.condition_number)

    def features(self, rows: Floats) -> tuple[Floats, Floats]:
        return self.natural.features(rows), self.residual.features(rows)

    def log_prob(self, features: tuple[Floats, Floats]) -> Floats:
        parts = self.natural.log_prob(features[0]), self.residual.log_prob(features[1])
        return np.concatenate(parts)[self.order]

    def accumulate(self, features: tuple[Floats, Floats], resp: Floats) -> Sums:
        first, second = self.groups
        return (
            *self.natural.accumulate(features[0], resp[first]),
            *self.residual.accumulate(features[1], resp[second]),
        )

    def statistics(self, total: Sums) -> Moments:
        """Put the two groups back into their order."""
        a, b = self.natural.statistics(total[:1]), self.residual.statistics(total[1:])

        def join(x: Floats, y: Floats) -> Floats:
            return np.concatenate([x, y])[self.order]

        return Moments(
            join(a.weight, b.weight),
            join(a.dof, b.dof),
            join(a.mean, b.mean),
            join(a.scatter, b.scatter),
            a.structure,
        )
