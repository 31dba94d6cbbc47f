"""Variational EM of a mixture of any family: posteriors in place of estimates."""

from dataclasses import dataclass, field, replace
from typing import Protocol, Self, TypeVar

import numpy as np

from .._typing import Floats
from .family import Components, Family, S, ScoringComponents
from .mixing import WeightPosterior
from .mixture import Mixture
from .mixture_em import MixtureCoordinates, MixtureSteps, unpacked


class PosteriorComponents(Components, Protocol):
    """Posteriors of the parameters of K densities, and their prior; kernels expect over them."""

    def known_from(self, counts: Floats, /) -> Self:
        """Posteriors with the same expectations, after so many rows each, (K,)."""
        ...

    def with_prior_of(self, other: Self, /) -> Self:
        """The same posteriors under the prior of others."""
        ...


class EmpiricalComponents(PosteriorComponents, Protocol):
    """Posteriors whose prior can be fitted to them."""

    def with_fitted_prior(self) -> Self:
        """The same posteriors, and of all priors the one that they diverge least from."""
        ...


Q = TypeVar("Q", bound=PosteriorComponents)
E = TypeVar("E", bound=EmpiricalComponents)


class PosteriorFamily(Family[Q, S], Protocol):
    """How posteriors of K densities follow from their statistics."""

    def under_prior(self, components: Q, /) -> Q:
        """The same posteriors, with the prior of this family."""
        ...


@dataclass(frozen=True, eq=False)
class VariationalMixture(Mixture[Q]):
    """What is believed of a mixture: q(w, theta) = q(w) prod_k q(theta_k).

    Attributes
    ----------
    log_weights : ndarray of shape (K,)
        Expected log-weights; their exponentials sum to less than 1.
    components : object
        The q(theta_k).
    weights : WeightPosterior
        q(w).
    """

    weights: WeightPosterior

    def n_occupied(self, least_weight: float) -> int:
        """How many components hold more than so much weight; at least 1."""
        return max(int((self.weights.counts > least_weight).sum()), 1)

    def in_order(self) -> Self:
        """The same components in the order of the highest bound."""
        order = self.weights.best_order
        return self.of(
            self.weights.after(self.weights.counts[order]), self.components.subset(order)
        )

    @classmethod
    def of(cls, weights: WeightPosterior, components: Q) -> Self:
        """What is believed of the weights and of the densities, independent of each other."""
        return cls(weights.expected_log, components, weights)

    def with_fitted_priors(self: "VariationalMixture[E]") -> "VariationalMixture[E]":
        """The same posteriors under the priors of the highest evidence bound."""
        return replace(
            self,
            weights=self.weights.with_fitted_prior(),
            components=self.components.with_fitted_prior(),
        )


def posteriors_of(model: Mixture[Q]) -> VariationalMixture[Q]:
    """A mixture that is known to be one of posteriors."""
    assert isinstance(model, VariationalMixture)
    return model


def weights_of(model: Mixture[Q]) -> WeightPosterior:
    """What is believed of the weights."""
    return posteriors_of(model).weights


@dataclass(frozen=True)
class VariationalSteps(MixtureSteps[Q, S]):
    """Variational EM of a mixture (Attias, 1999; Bishop, 2006, section 10.2).

    The E-step finds q(z), of expected log-densities, and the M-step q(w, theta), which is the prior
    times the expected statistics. The objective is the evidence lower bound, the log of what the E-step
    normalizes by less KL(q || p) of weights and of densities. No step lets it fall.

    Attributes
    ----------
    family : PosteriorFamily
    weights : WeightPosterior
        Their prior, which has no counts yet.
    """

    family: PosteriorFamily[Q, S]
    weights: WeightPosterior = field(kw_only=True)

    def m_step(self, statistics: S, model: Mixture[Q] | None = None) -> VariationalMixture[Q]:
        """What is believed after expected statistics, under the prior of a model that is known."""
        weights = self.weights if model is None else weights_of(model)
        current = None if model is None else model.components
        components = self.family.estimate(statistics, current)
        return VariationalMixture.of(weights.after(statistics.weight), components)

    def log_prior(self, model: Mixture[Q]) -> float:
        """-KL(q || p) of weights and densities, in nats."""
        return self.family.log_prior(model.components) - weights_of(model).divergence()

    def predictive(self, model: Mixture[Q]) -> Mixture[ScoringComponents]:
        """The density of the next row, the parameters integrated out."""
        with np.errstate(divide="ignore"):  # an expected weight may be too small for a number
            log_weights = np.log(weights_of(model).mean)
        return Mixture(log_weights, self.family.predictive(model.components))

    def continued(self, model: Mixture[Q]) -> VariationalMixture[Q]:
        """A known model under the priors of these steps."""
        weights = self.weights.after(weights_of(model).counts)
        return VariationalMixture.of(weights, self.family.under_prior(model.components))

    def coordinates(self, model: Mixture[Q]) -> "VariationalCoordinates[Q]":
        """Vectors for posteriors like this one."""
        return VariationalCoordinates.around(model)


@dataclass(frozen=True)
class EmpiricalSteps(VariationalSteps[E, S]):
    """Variational EM whose M-step fits the priors as well (type-II maximum likelihood).

    Both of its halves raise the bound: the posteriors under the last priors, and then the priors.
    """

    def m_step(self, statistics: S, model: Mixture[E] | None = None) -> VariationalMixture[E]:
        """What is believed after expected statistics, and the priors that suit it."""
        return super().m_step(statistics, model).with_fitted_priors()

    def continued(self, model: Mixture[E]) -> VariationalMixture[E]:
        """A known model, with the priors that were fitted to it."""
        return VariationalMixture.of(weights_of(model), model.components)

    def coordinates(self, model: Mixture[Q]) -> "EmpiricalCoordinates[Q]":
        """Vectors for posteriors like this one."""
        return EmpiricalCoordinates.around(model)


@dataclass(frozen=True, eq=False)
class VariationalCoordinates(MixtureCoordinates[Q]):
    """Posteriors as vectors: log(1 + counts), and densities in the units of a reference.

    How sure they are follows from the counts, whose sum is that of the rows. A model that is made of a
    vector has its components in the best order: steps change their sizes, and not their order.
    """

    @classmethod
    def around(cls, model: Mixture[Q]) -> Self:
        """Vectors for posteriors of as many densities as this one."""
        reference = model.components.pooled(weights_of(model).mean)
        arrays = model.components.to_coordinates(reference)
        return cls(reference, (model.log_weights.shape, *(array.shape for array in arrays)))

    def vector(self, model: Mixture[Q]) -> Floats:
        """All coordinates in one vector."""
        arrays = model.components.to_coordinates(self.reference)
        counts = np.log1p(weights_of(model).counts)
        return np.concatenate([counts, *(array.ravel() for array in arrays)])

    def model(self, vector: Floats, like: Mixture[Q]) -> VariationalMixture[Q]:
        """The posteriors that have these coordinates, under the prior of another."""
        with np.errstate(over="ignore", invalid="ignore"):
            logs, *arrays = unpacked(vector, self.shapes)
            counts = np.maximum(np.expm1(logs), 0.0)
            counts *= weights_of(like).counts.sum() / counts.sum()
            reference = self.reference.with_prior_of(like.components)
            components = reference.from_coordinates(tuple(arrays)).known_from(counts)
            return VariationalMixture.of(weights_of(like).after(counts), components).in_order()


class EmpiricalCoordinates(VariationalCoordinates[Q]):
    """Posteriors as vectors, from which their priors follow."""

    def model(self, vector: Floats, like: Mixture[Q]) -> VariationalMixture[Q]:
        """The posteriors that have these coordinates, under the priors that suit them."""
        with np.errstate(all="ignore"):
            return super().model(vector, like).with_fitted_priors()
