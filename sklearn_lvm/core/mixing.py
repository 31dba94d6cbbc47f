"""Posteriors of the weights of a mixture: Dirichlet distributions, and Dirichlet processes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from typing import Protocol, Self

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaln, digamma, gammaln

from .._typing import Floats, Ints

# A concentration that is fitted stays between these: where all weights are alike it has no maximum.
MIN_CONCENTRATION, MAX_CONCENTRATION = 1e-6, 1e6


class WeightPosterior(Protocol):
    """What is believed of mixing weights after counts of rows; without counts it is the prior.

    Attributes
    ----------
    concentration : float
        Of the prior.
    counts : ndarray of shape (K,)
        Summed responsibilities.
    """

    @property
    def concentration(self) -> float: ...
    @property
    def counts(self) -> Floats: ...

    @property
    def parameters(self) -> Floats | tuple[Floats, Floats]:
        """The parameters of the posterior, as scikit-learn gives them."""
        ...

    @property
    def expected_log(self) -> Floats:
        """The expected log-weights, (K,)."""
        ...

    @property
    def mean(self) -> Floats:
        """The expected weights, (K,); they sum to 1."""
        ...

    @property
    def best_order(self) -> Ints:
        """The order of components under which these counts are most likely, (K,)."""
        ...

    def divergence(self) -> float:
        """The Kullback-Leibler divergence from the prior, in nats."""
        ...

    def after(self, counts: Floats, /) -> Self:
        """The posterior after these counts instead, under the same prior."""
        ...

    def with_fitted_prior(self) -> Self:
        """The same posterior, and of all priors the one that it diverges least from."""
        ...


@dataclass(frozen=True, eq=False)
class DirichletPosterior:
    """Weights with a symmetric Dirichlet prior, q(w) = Dirichlet(a), a_k = concentration + counts_k.

    Attributes
    ----------
    parameters : ndarray of shape (K,)
        a.
    counts : ndarray of shape (K,)
    concentration : float

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.mixing import DirichletPosterior
    >>> DirichletPosterior.of(np.array([7.0, 1.0]), 1.0).mean
    array([0.8, 0.2])
    """

    parameters: Floats
    counts: Floats
    concentration: float

    @classmethod
    def of(cls, counts: Floats, concentration: float) -> Self:
        """The posterior after counts (Bishop, 2006, equation 10.58)."""
        return cls(concentration + counts, counts, concentration)

    def after(self, counts: Floats) -> Self:
        return self.of(counts, self.concentration)

    @cached_property
    def expected_log(self) -> Floats:
        return np.asarray(digamma(self.parameters) - digamma(self.parameters.sum()))

    @property
    def mean(self) -> Floats:
        return np.asarray(self.parameters / self.parameters.sum())

    @property
    def best_order(self) -> Ints:
        return np.arange(len(self.counts))  # all are alike

    def divergence(self) -> float:
        a, c = self.parameters, self.concentration
        K = len(a)
        level = gammaln(a.sum()) - gammaln(K * c)
        each = gammaln(c) - gammaln(a) + (a - c) * self.expected_log
        return float(level + each.sum())

    def with_fitted_prior(self) -> Self:
        K, total = len(self.parameters), float(self.expected_log.sum())
        if not isfinite(total):
            raise FloatingPointError(f"expected log-weights became {total} in all")

        def slope(log_c: float) -> float:
            c = np.exp(log_c)
            return float(K * (digamma(K * c) - digamma(c)) + total)

        return replace(self, concentration=_falling_root(slope))


@dataclass(frozen=True, eq=False)
class StickBreakingPosterior:
    """Weights of a Dirichlet process, w_k = v_k prod_j<k (1 - v_j), q(v_k) = Beta(a_k, b_k).

    Each v_k takes its share of what the ones before left, and has a Beta(1, concentration) prior. Of
    the endlessly many components the first K may hold rows (Blei & Jordan, 2006).

    Attributes
    ----------
    parameters : tuple of two ndarray of shape (K,)
        a = 1 + counts, and b = concentration + the counts of all later components.
    counts : ndarray of shape (K,)
    concentration : float

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.mixing import StickBreakingPosterior
    >>> StickBreakingPosterior.of(np.array([5.0, 2.0]), 1.0).parameters
    (array([6., 3.]), array([3., 1.]))
    """

    parameters: tuple[Floats, Floats]
    counts: Floats
    concentration: float

    @classmethod
    def of(cls, counts: Floats, concentration: float) -> Self:
        """The posterior after counts (Blei & Jordan, 2006, equations 18 and 19)."""
        later = np.append(np.cumsum(counts[::-1])[-2::-1], 0.0)
        return cls((1.0 + counts, concentration + later), counts, concentration)

    def after(self, counts: Floats) -> Self:
        return self.of(counts, self.concentration)

    @property
    def is_single(self) -> bool:
        """Whether there is one component, and nothing to be unsure of."""
        return len(self.counts) == 1

    @cached_property
    def _logs(self) -> tuple[Floats, Floats]:
        """E log v_k and E log(1 - v_k)."""
        a, b = self.parameters
        level = digamma(a + b)
        return digamma(a) - level, digamma(b) - level

    @cached_property
    def expected_log(self) -> Floats:
        taken, left = self._logs
        return np.zeros(1) if self.is_single else taken + _before(np.cumsum(left), 0.0)

    @property
    def mean(self) -> Floats:
        a, b = self.parameters
        weights = a / (a + b) * _before(np.cumprod(b / (a + b)), 1.0)
        return np.asarray(weights / weights.sum())

    @property
    def best_order(self) -> Ints:
        # Large pieces first leave the least to the others (Kurihara, Welling & Teh, 2007).
        return np.argsort(-self.counts, kind="stable")

    def divergence(self) -> float:
        (a, b), c = self.parameters, self.concentration
        taken, left = self._logs
        each = betaln(1.0, c) - betaln(a, b) + (a - 1.0) * taken + (b - c) * left
        return 0.0 if self.is_single else float(each.sum())

    def with_fitted_prior(self) -> Self:
        left = max(-float(self._logs[1].sum()), len(self.counts) / MAX_CONCENTRATION)
        fitted = len(self.counts) / left
        return replace(
            self, concentration=float(np.clip(fitted, MIN_CONCENTRATION, MAX_CONCENTRATION))
        )


WEIGHT_POSTERIORS: dict[str, type[DirichletPosterior] | type[StickBreakingPosterior]] = {
    "dirichlet_process": StickBreakingPosterior,
    "dirichlet_distribution": DirichletPosterior,
}


def _before(values: Floats, first: float) -> Floats:
    """The value of the component before each, (K,)."""
    return np.concatenate([[first], values[:-1]])


def _falling_root(slope: Callable[[float], float]) -> float:
    """Where a function of the logarithm of a concentration falls through zero, within its limits."""
    low, high = np.log(MIN_CONCENTRATION), np.log(MAX_CONCENTRATION)
    if slope(low) <= 0:
        return MIN_CONCENTRATION
    if slope(high) >= 0:
        return MAX_CONCENTRATION
    return float(np.exp(brentq(slope, low, high, xtol=1e-12)))
