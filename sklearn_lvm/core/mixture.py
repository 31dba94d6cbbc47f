"""A mixture of densities of any family: p(z) = sum_k weight_k p_k(z)."""

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from .._typing import Floats, Ints, Rows
from .family import D, PartialComponents, ScoringKernel

P = TypeVar("P", bound=PartialComponents)

EXP_RANGE_SHARE = 0.4  # of the range of exp that is used where rows have one common maximum


@dataclass(frozen=True, eq=False)
class Mixture(Generic[D]):
    """A mixture density: log-weights (K,) and K densities of one family."""

    log_weights: Floats
    components: D

    def kernel(self) -> "MixtureKernel":
        """The mixture prepared to score blocks of rows."""
        return MixtureKernel(self.components.kernel(self.log_weights))

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Floats, Ints]:
        """Draw n rows (n, d) and the components that they come from (n,)."""
        weights = np.exp(self.log_weights)
        labels = rng.choice(len(weights), size=n, p=weights / weights.sum())
        return self.components.sample(labels, rng), labels

    def conditional_means(self: "Mixture[P]", rows: Rows) -> Floats:
        """Rows (d, n) with E[x_missing | x_observed] in place of missing entries."""
        _, resp = self.kernel().posterior(rows)
        mean = self.components.conditionals(rows).mean
        return np.asarray(np.einsum("kn,kdn->dn", resp, mean))

    def draw_missing(self: "Mixture[P]", rows: Rows, rng: np.random.RandomState) -> Floats:
        """Rows (n, d) with a draw of the missing entries given the observed ones."""
        _, resp = self.kernel().posterior(rows)
        levels = rng.random_sample(resp.shape[1]) * resp.sum(axis=0)
        labels: Ints = (np.cumsum(resp, axis=0)[:-1] <= levels).sum(axis=0)
        return self.components.draw_missing(rows, labels, rng)

    def marginal(self: "Mixture[P]", features: Ints) -> "Mixture[P]":
        """The mixture of some of the features."""
        return replace(self, components=self.components.marginal(features))

    def conditional(
        self: "Mixture[P]", features: Ints, values: Floats
    ) -> tuple[Floats, "Mixture[P]"]:
        """The log-density (1,) of values of some features, and the mixture of the others given these.

        The weights become p(k | values). They are not numbers where the log-density is -inf.
        """
        log_prob, components = self.components.conditional(features, values)
        joint = self.log_weights + log_prob
        total = np.logaddexp.reduce(joint, keepdims=True)
        with np.errstate(invalid="ignore"):
            return total, replace(self, log_weights=joint - total, components=components)

    def n_parameters(self) -> int:
        """Count free parameters: those of the densities, and K - 1 weights."""
        return self.components.n_parameters() + len(self.log_weights) - 1


@dataclass(frozen=True, eq=False)
class MixtureKernel:
    """A mixture prepared for one pass: log-densities of rows, and their components."""

    components: ScoringKernel

    def joint(self, rows: Rows) -> Floats:
        """log p(k, z), (K, n)."""
        return self.components.log_prob(self.components.features(rows))

    def log_prob(self, rows: Rows) -> Floats:
        """log p(z), (d, n) -> (n,)."""
        return _log_sum_exp(self.joint(rows))[0]

    def posterior(self, rows: Rows) -> tuple[Floats, Floats]:
        """log p(z) and p(k | z): (n,) and (K, n)."""
        return normalize(self.joint(rows), 1.0)

    def labels(self, rows: Rows) -> Ints:
        """The most probable component of each row, (n,)."""
        labels: Ints = self.joint(rows).argmax(axis=0)
        return labels


def normalize(joint: Floats, w: Floats | float) -> tuple[Floats, Floats]:
    """log p(z) and w p(k | z) of rows from their log p(k, z), (..., K, n), which is overwritten."""
    log_prob, share, total = _log_sum_exp(joint)
    share *= (w / total)[..., None, :]
    return log_prob, share


def _log_sum_exp(joint: Floats) -> tuple[Floats, Floats, Floats]:
    """log p(z) of rows from log p(k, z), overwritten; multiples of p(k | z), and their sums."""
    level, share = _subtract_max(joint)
    total: Floats = np.ones(share.shape[-2], share.dtype) @ np.exp(share, out=share)
    return level + np.log(total), share, total


def _subtract_max(joint: Floats) -> tuple[Floats, Floats]:
    """Subtract each row's maximum, or one common maximum if no row would underflow, before exp.

    The maximum of a row is slow to find where its numbers lie side by side in memory; the maximum of
    all does as well, as long as no row's mean is far below.
    """
    if not joint.flags.c_contiguous:
        level, mean = joint.max(), np.full(len(joint), 1.0 / len(joint), joint.dtype) @ joint
        if level - mean.min() < EXP_RANGE_SHARE * np.log(np.finfo(joint.dtype).max):
            joint -= level
            return level, joint
        joint = np.ascontiguousarray(joint)
    level = joint.max(axis=-2)
    joint -= level[..., None, :]
    return level, joint
