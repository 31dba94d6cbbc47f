"""Second derivatives of the log-likelihood of a mixture, and the errors of estimates that follow."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Protocol, Self

import numpy as np
from scipy.linalg import null_space

from .._typing import Block, Floats, Ints, Rows
from .family import Kernel
from .linalg import cholesky, inverse_triangular
from .mixture import normalize


class ComponentScores(Protocol):
    """First and second derivatives of K log-densities, at the densities themselves.

    The second derivatives of a density must not depend on the row but for what was observed of it, as
    in the natural parameters of an exponential family; the matrix of all of them must be diagonal.
    """

    @property
    def n_coordinates(self) -> int:
        """Coordinates of all densities together."""
        ...

    @property
    def positions(self) -> Ints:
        """Where the coordinates of each density are among all of them, (K, q)."""
        ...

    def first(self, rows: Rows, /) -> Floats:
        """First derivatives of each log-density, (K, q, n)."""
        ...

    def second(self, rows: Rows, resp: Floats, /) -> Floats:
        """Minus the second derivatives, summed under responsibilities (K, n): (n_coordinates,)."""
        ...

    def first_of_prior(self) -> Floats:
        """First derivatives of the log-prior, (n_coordinates,)."""
        ...

    def second_of_prior(self) -> Floats:
        """Minus the second derivatives of the log-prior, (n_coordinates,)."""
        ...


@dataclass(frozen=True, eq=False)
class WeightCoordinates:
    """K weights by K - 1 coordinates u, log w = log w(0) + diag(w)^(-1/2) Q u up to a constant.

    The columns of Q are orthonormal, and orthogonal to the square roots of the weights.

    Attributes
    ----------
    weights : ndarray of shape (K,)
        All of them positive.
    """

    weights: Floats

    @cached_property
    def basis(self) -> Floats:
        """Q, (K, K - 1)."""
        return np.asarray(null_space(np.sqrt(self.weights)[None]))

    @cached_property
    def scores(self) -> Floats:
        """First derivatives of log w_k, (K, K - 1)."""
        return self.basis / np.sqrt(self.weights)[:, None]

    @cached_property
    def jacobian(self) -> Floats:
        """Derivatives of the weights, (K, K - 1)."""
        return self.basis * np.sqrt(self.weights)[:, None]


@dataclass(frozen=True, eq=False)
class ScoreSums:
    """Sums over the rows of a block; s_ik are scores of log w_k p_k(z_i), s_i those of log p(z_i).

    Attributes
    ----------
    within : ndarray of shape (K, Q, Q)
        sum_i w_i r_ik s_ik s_ik', in the Q coordinates that s_ik depends on.
    outer : ndarray of shape (P, P)
        sum_i w_i s_i s_i'.
    first : ndarray of shape (P,)
        sum_i w_i s_i.
    second : ndarray of shape (P,)
        Minus the second derivatives of sum_i w_i sum_k r_ik log w_k p_k(z_i) under given r_ik.
    weight : float
        sum_i w_i.
    """

    within: Floats
    outer: Floats
    first: Floats
    second: Floats
    weight: float

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.within + other.within,
            self.outer + other.outer,
            self.first + other.first,
            self.second + other.second,
            self.weight + other.weight,
        )


@dataclass(frozen=True, eq=False)
class MixtureScores:
    """The scores of rows in the coordinates of a mixture, those of weights first.

    Attributes
    ----------
    kernel : Kernel
        Of the E-step: its responsibilities are those of the objective.
    weights : WeightCoordinates
    components : ComponentScores
    """

    kernel: Kernel[object]
    weights: WeightCoordinates
    components: ComponentScores

    @cached_property
    def positions(self) -> Ints:
        """Where the coordinates on which each component depends are among all of them, (K, Q)."""
        own = self.components.positions
        free = len(own) - 1
        shared = np.broadcast_to(np.arange(free), (len(own), free))
        return np.concatenate([shared, free + own], axis=1)

    @property
    def n_coordinates(self) -> int:
        """Coordinates of the mixture, P."""
        return len(self.weights.weights) - 1 + self.components.n_coordinates

    @property
    def width(self) -> int:
        """How many numbers a row grows into."""
        return self.positions.size + 2 * self.n_coordinates

    def __call__(self, block: Block) -> ScoreSums:
        """Sum up one block, rows and their weights (n,)."""
        rows, w = block
        _, resp = normalize(self.kernel.log_prob(self.kernel.features(rows)), 1.0)
        own = self.components.first(rows)
        free = self.weights.scores.shape[1]
        each = np.empty((len(own), free + own.shape[1], len(w)))
        each[:, :free], each[:, free:] = self.weights.scores[:, :, None], own
        each *= np.sqrt(resp * w)[:, None]
        within = np.stack([scores @ scores.T for scores in each])
        each *= np.sqrt(resp)[:, None]
        total = np.zeros((self.n_coordinates, len(w)))
        for place, scores in zip(self.positions, each, strict=True):
            total[place] += scores
        second = self.components.second(rows, resp * w)
        weight = float(w.sum())
        return ScoreSums(
            within,
            total @ total.T,
            total @ np.sqrt(w),
            np.concatenate([np.full(free, weight), second]),
            weight,
        )


@dataclass(frozen=True, eq=False)
class Information:
    """What rows tell of the coordinates of a mixture.

    Attributes
    ----------
    observed : ndarray of shape (P, P)
        Minus the second derivatives of the objective of all rows, the log-prior included.
    outer : ndarray of shape (P, P)
        The summed outer product of the scores of rows, about their mean.
    gradient : ndarray of shape (P,)
        The first derivatives of the objective.
    """

    observed: Floats
    outer: Floats
    gradient: Floats

    @classmethod
    def of(cls, scores: MixtureScores, sums: ScoreSums, concentration: float) -> Self:
        """The information of a mixture from the sums over all rows (Louis, 1982, equation 3.2').

        ``concentration`` is that of the Dirichlet prior of the weights.
        """
        pseudo, (K, free) = concentration - 1.0, scores.weights.basis.shape
        prior = np.append(np.full(free, K * pseudo), scores.components.second_of_prior())
        observed = sums.outer + np.diag(sums.second + prior)
        for place, within in zip(scores.positions, sums.within, strict=True):
            observed[np.ix_(place, place)] -= within
        slope = pseudo * scores.weights.scores.sum(axis=0)
        gradient = sums.first + np.append(slope, scores.components.first_of_prior())
        outer = sums.outer - np.outer(sums.first, sums.first) / sums.weight
        return cls(observed, outer, gradient)

    @cached_property
    def inverse(self) -> Floats:
        """The inverse of the observed information, (P, P).

        Raises
        ------
        numpy.linalg.LinAlgError
            If the information is not positive definite.
        """
        if not len(self.observed):
            return self.observed
        root = inverse_triangular(cholesky(self.observed[None])[0])
        return np.asarray(root.T @ root)

    @property
    def distance(self) -> float:
        """The largest distance of a coordinate from the maximum, in its own standard errors.

        The maximum is where a Newton step leads.
        """
        step = np.abs(self.inverse @ self.gradient)
        return float((step / np.sqrt(np.diagonal(self.inverse))).max(initial=0.0))

    @property
    def sandwich(self) -> Floats:
        """The inverse, the outer product, and the inverse, (P, P)."""
        return np.asarray(self.inverse @ self.outer @ self.inverse)


# kind -> the covariance of the estimates, in the coordinates of the mixture.
COVARIANCES: dict[str, Callable[[Information], Floats]] = {
    "observed": lambda information: information.inverse,
    "sandwich": lambda information: information.sandwich,
}


def errors_of_images(images: Floats, covariance: Floats) -> Floats:
    """Standard deviations of linear functions of coordinates of a covariance.

    Parameters
    ----------
    images : ndarray of shape (m, ...)
        The derivatives by each of m coordinates.
    covariance : ndarray of shape (m, m)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.mixture_information import errors_of_images
    >>> errors_of_images(np.array([[1.0, 3.0], [0.0, 4.0]]), np.eye(2))
    array([1., 5.])
    """
    flat = images.reshape(len(images), prod(images.shape[1:]))
    variance = ((covariance @ flat) * flat).sum(axis=0)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0))).reshape(images.shape[1:])
