"""What a family of densities provides, so that mixtures and algorithms need to know none of them."""

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np

from .._typing import Features, Floats, Ints, Rows
from .conditionals import Conditionals

S = TypeVar("S", bound="Statistics")
S_co = TypeVar("S_co", covariant=True)
C = TypeVar("C", bound="Components")
D = TypeVar("D", bound="ScoringComponents")


class Statistics(Protocol):
    """What is remembered of weighted rows: a value with ``+``.

    Attributes
    ----------
    weight : ndarray of shape (K,)
        Summed responsibilities, of which mixing weights are made.
    """

    @property
    def weight(self) -> Floats: ...
    def __add__(self, other: Self, /) -> Self: ...
    def tiled(self, n: int, /) -> Self:
        """Those of K densities n times over, for n K densities."""
        ...


@dataclass(frozen=True, eq=False)
class BlockSums:
    """Sums over the rows of a block: float64 arrays and nothing else, so that they travel cheaply.

    Attributes
    ----------
    arrays : tuple of ndarray
        Weighted sums, of which the kernel that accumulated them makes statistics.
    log_likelihood : float
        Weighted sum of the log-densities of the rows, in nats.
    weight : float
        Summed weight of the rows.
    """

    arrays: tuple[Floats, ...]
    log_likelihood: float
    weight: float

    def __add__(self, other: Self) -> Self:
        return type(self)(
            tuple(a + b for a, b in zip(self.arrays, other.arrays, strict=True)),
            self.log_likelihood + other.log_likelihood,
            self.weight + other.weight,
        )


class ScoringKernel(Protocol):
    """K densities prepared to score blocks of rows."""

    @property
    def condition_number(self) -> float:
        """By how much a rounding error of a row grows in its log-density."""
        ...

    def features(self, rows: Rows, /) -> Features:
        """What ``log_prob`` is computed from, and what else a pass over rows needs."""
        ...

    def log_prob(self, features: Features, /) -> Floats:
        """Log-densities, log-weights included, (K, n)."""
        ...


class Kernel(ScoringKernel, Protocol[S_co]):
    """K densities prepared for one pass over blocks of rows, which are scored and measured."""

    def accumulate(self, features: Features, resp: Floats, /) -> tuple[Floats, ...]:
        """Sums over rows under responsibilities (K, n)."""
        ...

    def statistics(self, total: tuple[Floats, ...], /) -> S_co:
        """The statistics of which these are the sums over all rows."""
        ...


class ScoringComponents(Protocol):
    """K densities of one family that score rows and draw them, however they were found."""

    def kernel(self, log_weights: Floats, /) -> ScoringKernel:
        """Prepare log-densities plus log-weights (K,), of which scores and labels are made."""
        ...

    def sample(self, labels: Ints, rng: np.random.RandomState, /) -> Floats:
        """Draw a row for each label, (n, d)."""
        ...

    def n_parameters(self) -> int:
        """Count free parameters."""
        ...

    def subset(self, chosen: Ints, /) -> Self:
        """Some of the densities, some perhaps more than once."""
        ...


class PartialComponents(ScoringComponents, Protocol):
    """K densities that know what some entries of a row say of the others."""

    def conditionals(self, rows: Rows, /) -> Conditionals:
        """Each missing entry given the observed ones."""
        ...

    def draw_missing(self, rows: Rows, labels: Ints, rng: np.random.RandomState, /) -> Floats:
        """Rows (n, d) with a draw in place of missing entries, each from the density of its label."""
        ...

    def marginal(self, features: Ints, /) -> Self:
        """The densities of some of the features, in their order."""
        ...

    def conditional(self, features: Ints, values: Floats, /) -> tuple[Floats, Self]:
        """Log-densities (K,) of values of some features, and densities of the others given these."""
        ...


class Components(ScoringComponents, Protocol):
    """K densities of one family that are estimated from rows.

    The last three verbs write them as vectors whose entries do not depend on the units of features.
    """

    def kernel(self, log_weights: Floats, /) -> Kernel[object]:
        """Prepare log-densities plus log-weights (K,), and sums over rows."""
        ...

    def pooled(self, weights: Floats, /) -> Self:
        """The one density with the moments of the mixture: a reference for coordinates."""
        ...

    def to_coordinates(self, reference: Self, /) -> tuple[Floats, ...]:
        """Coordinates of the densities in units of a reference, arrays of K or 1 rows."""
        ...

    def from_coordinates(self, coordinates: tuple[Floats, ...], /) -> Self:
        """The densities that have these coordinates in units of this reference."""
        ...


class Family(Protocol[C, S]):
    """How K densities, or beliefs about them, are estimated from their statistics."""

    @property
    def n_parts(self) -> int:
        """Parts of a row that tell of parameters of their own: 1, or features given latent ones."""
        ...

    def statistics(self, rows: Rows, resp: Floats, /) -> S:
        """Measure rows under K sets of weights, (K, n)."""
        ...

    def estimate(self, statistics: S, current: C | None = None, /) -> C:
        """The next components; ``current`` is where a generalized M-step begins."""
        ...

    def kernel(self, components: C, log_weights: Floats, /) -> Kernel[S]:
        """The kernel of the E-step: penalized or expected log-densities."""
        ...

    def log_prior(self, components: C, /) -> float:
        """What the objective adds to the log-likelihood: 0, log p(theta), or -KL(q || p), in nats."""
        ...

    def predictive(self, components: C, /) -> ScoringComponents:
        """The densities that score rows."""
        ...
