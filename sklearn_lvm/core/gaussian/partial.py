"""The E-step kernel of K Gaussians for rows with and without missing entries."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from math import log, tau
from typing import NamedTuple, Self

import numpy as np

from ..._typing import Bools, Features, Floats, Ints, Rows
from .completion import Completer, Completion, Group
from .covariance import Covariances, Structure
from .kernel_choice import CompleteKernel
from .kernels import CompletedGroup, ResidualKernel, Sums, added
from .low_rank_covariances import LowRankCovariances
from .missing import IncompleteRows, with_nan
from .moments import Moments
from .projected_partial import ProjectedCompletion, ProjectedPartialKernel

Growth = Callable[[Completion, Bools], Floats]
"""From a group and what was observed of it to factors of its conditional variances, (K, d, g)."""


def unchanged(completion: Completion, observed: Bools) -> Floats:
    """Factors of 1: the conditional variances of Gaussians do not depend on what was observed."""
    return np.ones_like(completion.whitened)


class PartialFeatures(NamedTuple):
    """What is known of an incomplete block: of its complete rows, and of each further group."""

    rows: IncompleteRows
    complete: Features
    groups: tuple[CompletedGroup[Completion] | CompletedGroup[ProjectedCompletion], ...]


@dataclass(frozen=True, eq=False)
class PartialKernel:
    """K Gaussians for incomplete rows: scores of what was observed, and expected sums.

    Whatever is missing is one more latent variable. Its expected sums are those of the rows at their
    conditional means, and the conditional covariances.

    Attributes
    ----------
    completer : Completer
    residual : ResidualKernel
        Which makes moments of whitened sums.
    """

    completer: Completer
    residual: ResidualKernel

    @classmethod
    def of(cls, mean: Floats, covariance: Covariances, max_log_prob: Floats) -> Self:
        """Prepare Gaussians of means (K, d) and K covariances, or one."""
        residual = ResidualKernel.of(mean, covariance, max_log_prob)
        return cls(covariance.completer(mean), residual)

    def complete(self, rows: IncompleteRows, group: Group) -> Completion:
        """The rows of a group at their conditional means."""
        values, observed = rows.values[:, group.rows], rows.observed[:, group.rows]
        return self.completer.complete(values, observed, group)

    def completed(self, rows: IncompleteRows, group: Group) -> CompletedGroup[Completion]:
        """The rows of a group, to be scored and summed up."""
        n_missing = rows.n_missing[group.rows]
        return CompletedGroup(self, group.rows, self.complete(rows, group), n_missing)

    def log_prob(self, completion: Completion, n_missing: Floats) -> Floats:
        """Log-densities of the observed entries of a group, (K, g).

        log N(x_o) is log N(x) at the conditional mean, plus k/2 log 2 pi - log |P_uu| / 2.
        """
        log_prob = self.residual.log_prob(completion.whitened)
        log_prob += 0.5 * (n_missing * log(tau) - completion.log_det)
        return log_prob

    def accumulate(self, completion: Completion, resp: Floats) -> Sums:
        """Expected sums over the rows of a group, whitened."""
        weight, first, second = self.residual.accumulate(completion.whitened, resp)
        return weight, first, second + completion.spread(resp, self._structure)

    @property
    def no_sums(self) -> Sums:
        """Those of no rows at all."""
        mean = self.residual.mean
        return np.zeros(len(mean)), np.zeros_like(mean), self._structure.outer(np.zeros_like(mean))

    @property
    def _structure(self) -> Structure:
        return self.residual.covariance.structure

    def statistics(self, total: Sums) -> Moments:
        """The moments of which these are the sums over all rows."""
        return self.residual.statistics(total)

    def sums(self, rows: IncompleteRows, resp: Floats) -> Sums:
        """Expected sums over a block under given shares of its rows, (K, n), whitened."""
        shares = rows.sorted(resp)
        parts = (
            self.accumulate(self.complete(rows, group), shares[:, group.rows])
            for group in rows.groups
        )
        return reduce(added, parts)

    def conditional_moments(
        self, rows: IncompleteRows, growth: Growth = unchanged
    ) -> tuple[Floats, Floats]:
        """The rows with conditional means in place of what is missing, and its variances, (K, d, n)."""
        center = self.residual.mean[:, :, None]
        mean = np.repeat(rows.values[None], len(center), axis=0)
        variance = np.zeros_like(mean)
        for group in rows.parts[1]:
            completion, observed = self.complete(rows, group), rows.observed[:, group.rows]
            np.copyto(mean[..., group.rows], completion.deviation + center, where=~observed)
            variance[..., group.rows] = completion.variances * growth(completion, observed)
        return rows.unsorted(mean), rows.unsorted(variance)

    def drawn(self, rows: IncompleteRows, noise: Floats, growth: Growth = unchanged) -> Floats:
        """Rows (d, n) of one Gaussian with conditional means plus noise, made of white noise (d, n)."""
        values, noise = rows.values.copy(), rows.sorted(noise)
        for group in rows.parts[1]:
            completion, observed = self.complete(rows, group), rows.observed[:, group.rows]
            spread = completion.noise(noise[:, group.rows])
            spread *= np.sqrt(growth(completion, observed))[0]
            drawn = completion.deviation[0] + self.residual.mean[0][:, None] + spread
            np.copyto(values[:, group.rows], drawn, where=~observed)
        return rows.unsorted(values)


@dataclass(frozen=True, eq=False)
class GaussianKernel:
    """K Gaussians for blocks of either kind; complete rows take the cheapest kernel there is.

    Attributes
    ----------
    complete : CompleteKernel
    mean, covariance, max_log_prob : ndarray, Covariances, ndarray
        Of which the kernel was made.
    """

    complete: CompleteKernel
    mean: Floats
    covariance: Covariances
    max_log_prob: Floats

    @cached_property
    def partial(self) -> PartialKernel | ProjectedPartialKernel:
        """The kernel of rows with missing entries."""
        return partial_kernel_of(self.mean, self.covariance, self.max_log_prob)

    @property
    def condition_number(self) -> float:
        return self.complete.condition_number

    def features(self, rows: Rows) -> Features:
        if isinstance(rows, np.ndarray):
            return self.complete.features(rows)
        complete, partial = rows.parts
        groups = tuple(self.partial.completed(rows, group) for group in partial)
        return PartialFeatures(rows, self.complete.features(complete), groups)

    def log_prob(self, features: Features) -> Floats:
        if not isinstance(features, PartialFeatures):
            return self.complete.log_prob(features)
        rows, complete, groups = features
        parts = [self.complete.log_prob(complete), *(group.log_prob() for group in groups)]
        return rows.unsorted(np.concatenate(parts, axis=1))

    def accumulate(self, features: Features, resp: Floats) -> Sums:
        if not isinstance(features, PartialFeatures):
            return self.complete.accumulate(features, resp)
        rows, complete, groups = features
        shares = rows.sorted(resp)
        sums = self.complete.accumulate(complete, shares[:, : rows.n_complete])
        parts = (group.accumulate(shares[:, group.rows]) for group in groups)
        return (*sums, *reduce(added, parts, self.partial.no_sums))

    def statistics(self, total: Sums) -> Moments:
        n = self.complete.n_sums
        if len(total) == n:
            return self.complete.statistics(total)
        return self.complete.statistics(total[:n]) + self.partial.statistics(total[n:])


def partial_kernel_of(
    mean: Floats, covariance: Covariances, max_log_prob: Floats
) -> PartialKernel | ProjectedPartialKernel:
    """The kernel of K Gaussians for rows with missing entries."""
    if covariance.structure.projected and isinstance(covariance, LowRankCovariances):
        return ProjectedPartialKernel(mean, covariance, max_log_prob)
    return PartialKernel.of(mean, covariance, max_log_prob)


def moments_of(rows: Rows, resp: Floats, structure: Structure) -> Moments:
    """Moments of a block under K sets of weights, (K, n).

    Rows with missing entries are completed by the Gaussian that they bring with them.
    """
    if isinstance(rows, np.ndarray):
        return Moments.of(rows, resp, structure)
    kernel = _kernel_of_reference(rows, structure, len(resp))
    return kernel.statistics(kernel.sums(rows, resp))


def filled(rows: Rows) -> Floats:
    """Rows (d, n) with what is expected in place of missing entries, by the Gaussian they bring."""
    if isinstance(rows, np.ndarray):
        return rows
    assert rows.reference is not None
    mean, covariance = rows.reference
    kernel = PartialKernel.of(mean, covariance, np.zeros(1))
    return np.asarray(kernel.conditional_moments(rows)[0][0])


def hidden_scatter(rows: IncompleteRows, w: Floats, structure: Structure) -> Floats:
    """Summed conditional covariances of weighted rows, by the Gaussian they bring, (1, *S)."""
    kernel, weight = _kernel_of_reference(rows, structure, 1), rows.sorted(w)[None]
    spread = [
        kernel.complete(rows, group).spread(weight[:, group.rows], structure)
        for group in rows.groups
    ]
    return kernel.residual.covariance.restore(np.sum(spread, axis=0))


def _kernel_of_reference(rows: IncompleteRows, structure: Structure, K: int) -> PartialKernel:
    """The Gaussian that rows bring with them, K times, in a structure that it fits."""
    assert rows.reference is not None
    mean, covariance = rows.reference
    parts = np.repeat(mean, K, axis=0), covariance.restructured(structure), np.zeros(K)
    return PartialKernel.of(*parts)


def drawn_missing(
    rows: Rows,
    labels: Ints,
    noise: Floats,
    draw: Callable[[Ints, IncompleteRows, Floats], Floats],
) -> Floats:
    """Rows (n, d) with draws in place of missing entries, for all rows of a label together.

    Parameters
    ----------
    rows : ndarray or IncompleteRows
    labels : ndarray of shape (n,)
    noise : ndarray of shape (d, n)
    draw : callable
        From a label, as an array of one, its rows and their noise, to these rows that are complete.
    """
    Z = np.array(with_nan(rows))
    for k in np.unique(labels):
        chosen = labels == k
        Z[:, chosen] = draw(np.array([k]), IncompleteRows.of(Z[:, chosen]), noise[:, chosen])
    return Z.T
