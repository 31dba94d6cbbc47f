"""What the outputs of a decoder say of the entries of a row: p(x | t), entries independent."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

FLOOR = 1e-4  # the least variance of an entry, in standard units: a hundredth of a deviation
FIRST = 0.02  # about what variances are at first: small, or the latent variables are not missed
LOG_FIRST = math.log(FIRST)
LOG_FLOOR = math.log(FLOOR)
LOG_2PI = math.log(2.0 * math.pi)


class Likelihood(nn.Module):
    """Base: a decoder with ``outputs_per_feature`` times d outputs determines d distributions.

    Rows ``x`` (n, d) are filled with anything where ``seen`` (n, d) is 0; None says that all is seen.
    Outputs are (..., n, m), log-probabilities (..., n).
    """

    outputs_per_feature = 1

    def __init__(self, n_features: int) -> None:
        super().__init__()

    def log_prob(self, x: Tensor, seen: Tensor | None, output: Tensor) -> Tensor:
        """Summed over the entries that were seen, in nats."""
        raise NotImplementedError

    def mean(self, output: Tensor) -> Tensor:
        """The expected entries."""
        raise NotImplementedError

    def draw(self, output: Tensor, rng: np.random.RandomState) -> Tensor:
        """Entries drawn at random."""
        raise NotImplementedError


class Gaussian(Likelihood):
    """A mean and a variance for each entry, both from the decoder."""

    outputs_per_feature = 2

    def parts(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances, which never fall below the floor."""
        mean, free = output.chunk(2, dim=-1)
        return mean, _floored(free)

    def log_prob(self, x: Tensor, seen: Tensor | None, output: Tensor) -> Tensor:
        mean, log_var = self.parts(output)
        terms = (x - mean).square() * torch.exp(-log_var) + (log_var + LOG_2PI)
        return -0.5 * _total(terms, seen)

    def mean(self, output: Tensor) -> Tensor:
        return self.parts(output)[0]

    def draw(self, output: Tensor, rng: np.random.RandomState) -> Tensor:
        mean, log_var = self.parts(output)
        noise = torch.from_numpy(rng.standard_normal(tuple(mean.shape))).to(mean)
        return mean + torch.exp(0.5 * log_var) * noise


class SharedGaussian(Gaussian):
    """Means from the decoder; one learned variance for each feature."""

    outputs_per_feature = 1

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self.free = nn.Parameter(torch.zeros(self.n_variances(n_features)))

    @staticmethod
    def n_variances(n_features: int) -> int:
        return n_features

    def parts(self, output: Tensor) -> tuple[Tensor, Tensor]:
        return output, _floored(self.free)


class IsotropicGaussian(SharedGaussian):
    """Means from the decoder; one learned variance for all entries."""

    @staticmethod
    def n_variances(n_features: int) -> int:
        return 1


class Bernoulli(Likelihood):
    """Ones and zeros; the decoder gives log-odds."""

    def log_prob(self, x: Tensor, seen: Tensor | None, output: Tensor) -> Tensor:
        if seen is None:  # the product of ones with log-odds is a small part of the work
            return (x * output).sum(-1) - softplus(output).sum(-1)
        return _total(x * output - softplus(output), seen)

    def mean(self, output: Tensor) -> Tensor:
        return torch.sigmoid(output)

    def draw(self, output: Tensor, rng: np.random.RandomState) -> Tensor:
        level = torch.from_numpy(rng.uniform(size=tuple(output.shape))).to(output)
        return (level < torch.sigmoid(output)).to(output)


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": Gaussian,
    "gaussian_shared": SharedGaussian,
    "gaussian_isotropic": IsotropicGaussian,
    "bernoulli": Bernoulli,
}


def _floored(free: Tensor) -> Tensor:
    """log(FLOOR + FIRST exp(free))."""
    return torch.logaddexp(free + LOG_FIRST, torch.full_like(free, LOG_FLOOR))


def _total(terms: Tensor, seen: Tensor | None) -> Tensor:
    return terms.sum(-1) if seen is None else (terms * seen).sum(-1)
