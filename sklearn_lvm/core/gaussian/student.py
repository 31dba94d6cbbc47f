"""K multivariate Student-t densities: what is known of the next row while covariances are uncertain."""

from dataclasses import dataclass
from functools import cached_property
from math import tau
from typing import Self

import numpy as np

from ..._typing import Bools, Features, Floats, Ints, Rows
from ..conditionals import Conditionals
from ..log_gamma import log_gamma_ratio
from .completion import Completion
from .conditioning import Conditioned
from .covariance import Covariances, Structure, Whitener
from .missing import IncompleteRows, incomplete
from .partial import PartialKernel, drawn_missing

LEAST_CHI2 = 1e-200  # so that rows drawn from any density are numbers


@dataclass(frozen=True, eq=False)
class StudentTs:
    """K Student-t densities: means, scale matrices ``factor_k`` C_k, and degrees of freedom.

    With C = L L', y = inv(L) (z - m) / sqrt(factor), and b the features that share one precision (all,
    or one where the structure has independent features), the log-density is

    log t(z) = sum over blocks of (log Gamma((dof + b) / 2) - log Gamma(dof / 2) - b/2 log(dof pi)
    - (dof + b) / 2 log(1 + |y_block|^2 / dof)) - log |factor C| / 2

    (Bishop, 2006, equation 2.159). As dof grows it tends to a Gaussian of covariance factor C.

    Attributes
    ----------
    mean : ndarray of shape (K, d)
    covariance : Covariances
        K scale matrices but for the factors, or one that all share.
    factor : ndarray of shape (K,)
        What each scale matrix is multiplied by.
    dof : ndarray of shape (K,)
        Degrees of freedom.

    Examples
    --------
    Far out it is denser than the Gaussian of the same scale:

    >>> import numpy as np
    >>> from sklearn_lvm.core.gaussian.diagonal import Diagonal
    >>> from sklearn_lvm.core.gaussian.student import StudentTs
    >>> unit = Diagonal(1).from_public(np.ones((1, 1)))
    >>> def log_prob(dof):
    ...     kernel = StudentTs(np.zeros((1, 1)), unit, np.ones(1), np.array([dof])).kernel(np.zeros(1))
    ...     return kernel.log_prob(kernel.features(np.array([[0.0, 10.0]]))).round(2)
    >>> log_prob(3.0), log_prob(1e12)
    (array([[-1.  , -8.07]]), array([[ -0.92, -50.92]]))
    """

    mean: Floats
    covariance: Covariances
    factor: Floats
    dof: Floats

    @property
    def shared(self) -> bool:
        """Whether one scale matrix, but for its factors, is that of all."""
        return len(self.covariance) == 1

    @property
    def max_log_prob(self) -> Floats:
        """The log-density at each mean, (K,)."""
        d, n, b = _blocks(self.covariance.structure)
        # Of Gamma((dof + b) / 2) / Gamma(dof / 2) the power of dof is taken out, which cancels.
        level = n * log_gamma_ratio(self.dof / 2, b / 2) - d / 2 * np.log(tau * self.factor)
        return np.asarray(level - self.covariance.log_det / 2)

    def kernel(self, log_weights: Floats) -> "StudentKernel":
        """The densities prepared to score rows; log-weights (K,) are added."""
        return StudentKernel.of(self, log_weights)

    # -- missing entries ---------------------------------------------------------------------------

    def log_prob_of_observed(self, completion: Completion, observed: Bools) -> Floats:
        """Log-densities of what was observed of rows, (d, g) -> (K, g).

        Of p observed entries of a block the density is t again, with as many degrees of freedom.
        """
        squares, counts = self._by_block(completion, observed)
        p, dof = np.arange(self._block_size + 1.0), self.dof[:, None]
        level = log_gamma_ratio(dof / 2, p / 2) - p / 2 * np.log(tau * self.factor)[:, None]
        distance = np.log1p(squares / (self.factor * self.dof)[:, None, None])
        blocks = level[:, counts] - (dof + p)[:, counts] / 2 * distance
        log_det = self.covariance.log_det[:, None] + completion.log_det
        return np.asarray(blocks.sum(axis=1) - 0.5 * log_det)

    def conditionals(self, rows: Rows) -> Conditionals:
        """Each missing entry given the observed ones: Student-t.

        With p observed entries of its block at a distance D it has dof + p degrees of freedom, and the
        conditional covariance times factor (dof + D) / (dof + p) as its scale.
        """
        rows = incomplete(rows)
        mean, square = self._partial().conditional_moments(rows, self._growth)
        observed = rows.unsorted(rows.observed)
        counts = observed.reshape(-1, self._block_size, observed.shape[1]).sum(axis=1)
        dof = self.dof[:, None, None] + np.repeat(counts, self._block_size, axis=0)
        return Conditionals(mean, square, dof)

    def draw_missing(self, rows: Rows, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Rows (n, d) with a draw in place of missing entries, each from the density of its label."""
        noise = rng.standard_normal((self.mean.shape[1], len(labels)))

        def draw(label: Ints, rows: IncompleteRows, noise: Floats) -> Floats:
            one = self.subset(label)

            def growth(completion: Completion, observed: Bools) -> Floats:
                _, counts = self._by_block(completion, observed)
                dof = one.dof[0] + counts
                tail = np.repeat(dof / positive_chi2(dof, dof.shape, rng), self._block_size, axis=0)
                return np.asarray(one._growth(completion, observed) * tail)

            return one._partial().drawn(rows, noise, growth)

        return drawn_missing(rows, labels, noise, draw)

    def _growth(self, completion: Completion, observed: Bools) -> Floats:
        """By what the squared scales of missing entries exceed conditional covariances, (K, d, g)."""
        squares, counts = self._by_block(completion, observed)
        dof = self.dof[:, None, None]
        growth = (self.factor[:, None, None] * dof + squares) / (dof + counts)
        return np.asarray(np.repeat(growth, self._block_size, axis=1))

    def _by_block(self, completion: Completion, observed: Bools) -> tuple[Floats, Ints]:
        """Squared distances of blocks, (K, n, g), and their numbers of observed entries, (n, g)."""
        K, d, g = completion.whitened.shape
        b = self._block_size
        squares = np.square(completion.whitened).reshape(K, d // b, b, g).sum(axis=2)
        return squares, observed.reshape(d // b, b, g).sum(axis=1)

    @property
    def _block_size(self) -> int:
        """The features of each block that has a precision of its own."""
        return _blocks(self.covariance.structure)[2]

    def _partial(self) -> PartialKernel:
        return PartialKernel.of(self.mean, self.covariance, np.zeros(len(self.mean)))

    def sample(self, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Draw a row for each label, (n, d).

        It is m + sqrt(factor dof / chi2) L e, with one chi2 of dof degrees of freedom for each block.
        """
        d, n, b = _blocks(self.covariance.structure)
        rows = rng.standard_normal((len(labels), d))
        dof = self.dof[labels, None]
        chi2 = positive_chi2(dof, (len(labels), n), rng)
        stretch = np.sqrt(self.factor[labels, None] * dof / chi2)
        for k in range(len(self.mean)):
            chosen = labels == k
            rows[chosen] = self.covariance.colorize(rows[chosen], 0 if self.shared else k)
        return np.asarray(rows * np.repeat(stretch, b, axis=1) + self.mean[labels])

    def n_parameters(self) -> int:
        """Count free parameters: those of means and covariances."""
        return self.mean.size + len(self.covariance) * self.covariance.structure.n_parameters

    def subset(self, chosen: Ints) -> Self:
        """Some of the densities; a tied covariance stays that of all."""
        tied = self.covariance.structure.tied
        covariance = self.covariance if tied else self.covariance.subset(chosen)
        return type(self)(self.mean[chosen], covariance, self.factor[chosen], self.dof[chosen])

    def marginal(self, features: Ints) -> Self:
        """The densities of some of the features, with the same degrees of freedom."""
        mean, covariance = self.mean[:, features], self.covariance.marginal(features)
        return type(self)(mean, covariance, self.factor, self.dof)

    def conditional(self, features: Ints, values: Floats) -> tuple[Floats, Self]:
        """Log-densities (K,) of values of some features, and the densities of the others given these.

        Of features that share one precision, p values at the squared distance D make the degrees of
        freedom dof + p, and multiply the scale by (dof + D) / (dof + p) (Ding, 2016). Features with a
        precision each remain as they are.
        """
        kernel = self.marginal(features).kernel(np.zeros(len(self.mean)))
        log_prob = kernel.log_prob(kernel.features(values[:, None]))[:, 0]
        found = Conditioned.of(self.mean, self.covariance, features, values)
        factor, dof = self.factor, self.dof
        if self.covariance.structure.n_wisharts == 1:
            dof = self.dof + len(features)
            factor = (self.factor * self.dof + found.square) / dof
        return log_prob, type(self)(found.mean, found.covariance, factor, dof)


@dataclass(frozen=True, eq=False)
class StudentKernel:
    """Student-t densities by whitened residuals inv(L_k) (z - m_k), (K, d, n).

    Attributes
    ----------
    condition_number : float
    n_blocks : int
        How many groups of features have a precision of their own.
    max_log_prob : ndarray of shape (K, 1)
        Log-densities at the means, log-weights included.
    unit : ndarray of shape (K, 1, 1)
        factor dof, the square of a residual at which the tail begins.
    power : ndarray of shape (K, 1)
        (dof + b) / 2.
    whiten : callable
    densities : StudentTs
    log_weights : ndarray of shape (K, 1)
    """

    condition_number: float
    n_blocks: int
    max_log_prob: Floats
    unit: Floats
    power: Floats
    whiten: Whitener
    densities: StudentTs
    log_weights: Floats

    @classmethod
    def of(cls, densities: StudentTs, log_weights: Floats) -> Self:
        m, C, dof = densities.mean, densities.covariance, densities.dof
        _, n_blocks, b = _blocks(C.structure)
        # A Gaussian as curved at the mean has the covariance factor dof / (dof + b) C.
        spread = densities.factor * dof / (dof + b)
        return cls(
            float(np.sqrt(C.cancellation(m / np.sqrt(spread)[:, None]).max())),
            n_blocks,
            (densities.max_log_prob + log_weights)[:, None],
            (densities.factor * dof)[:, None, None],
            (dof[:, None] + b) / 2,
            C.whitener(m),
            densities,
            log_weights[:, None],
        )

    @cached_property
    def _partial(self) -> PartialKernel:
        return self.densities._partial()

    def features(self, rows: Rows) -> Features:
        if isinstance(rows, np.ndarray):
            return self.whiten(rows)
        return rows

    def log_prob(self, features: Features) -> Floats:
        if isinstance(features, np.ndarray):
            return self._log_prob_of_complete(features)
        rows, partial = features, self._partial
        parts = [
            self.densities.log_prob_of_observed(
                partial.complete(rows, group), rows.observed[:, group.rows]
            )
            for group in rows.groups
        ]
        return np.asarray(rows.unsorted(np.concatenate(parts, axis=1)) + self.log_weights)

    def _log_prob_of_complete(self, features: Floats) -> Floats:
        K, d, n = features.shape
        blocks = features.reshape(K, self.n_blocks, d // self.n_blocks, n)
        distance: Floats = np.einsum("kgbn,kgbn->kgn", blocks, blocks)
        with np.errstate(over="ignore"):
            distance /= self.unit.astype(features.dtype, copy=False)
        # The logarithm of a square is a number even where the square is none.
        np.minimum(distance, np.finfo(features.dtype).max, out=distance)
        log_prob: Floats = np.log1p(distance, out=distance).sum(axis=1)
        log_prob *= -self.power.astype(features.dtype, copy=False)
        log_prob += self.max_log_prob.astype(features.dtype, copy=False)
        return log_prob


def positive_chi2(dof: Floats, shape: tuple[int, ...], rng: np.random.RandomState) -> Floats:
    """Draws of chi2 variables, which are rounded to zero where degrees of freedom are few."""
    return np.maximum(rng.chisquare(dof, shape), LEAST_CHI2)


def _blocks(structure: Structure) -> tuple[int, int, int]:
    """Features, how many blocks of them have a precision of their own, and the features of each."""
    return structure.d, structure.n_wisharts, structure.d // structure.n_wisharts
