"""Likelihoods p(x | t): distributions of the entries of a row, independent given the decoder."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

MIN_VARIANCE = 1e-4  # of an entry, in standard units: a hundredth of a standard deviation
INITIAL_VARIANCE = 0.02  # about; noise that explains all leaves latent variables without use
LOG_INITIAL_VARIANCE = math.log(INITIAL_VARIANCE)
LOG_MIN_VARIANCE = math.log(MIN_VARIANCE)
MAX_EXPONENT = 40.0  # above which log(1 + exp(s)) is s to all digits of float64
LOG_2PI = math.log(2.0 * math.pi)


class Likelihood(nn.Module):
    """Base: a decoder with ``outputs_per_feature`` times d outputs determines d distributions.

    Rows ``x`` (n, d) hold arbitrary numbers where ``observed`` (n, d) is 0; ``observed`` is None if no
    entry is missing. Outputs are (..., n, m), log-probabilities (..., n).
    """

    outputs_per_feature = 1

    def __init__(self, n_features: int) -> None:
        super().__init__()

    def log_prob(self, x: Tensor, observed: Tensor | None, output: Tensor) -> Tensor:
        """Log-probabilities, summed over observed entries, in nats."""
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

    def mean_and_log_variance(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances; no variance is below the minimum."""
        mean, raw = output.chunk(2, dim=-1)
        return mean, _bounded_log_variance(raw)

    def log_prob(self, x: Tensor, observed: Tensor | None, output: Tensor) -> Tensor:
        mean, log_var = self.mean_and_log_variance(output)
        terms = torch.addcmul(log_var + LOG_2PI, (x - mean).square(), torch.exp(-log_var))
        return -0.5 * _observed_sum(terms, observed)

    def mean(self, output: Tensor) -> Tensor:
        return self.mean_and_log_variance(output)[0]

    def draw(self, output: Tensor, rng: np.random.RandomState) -> Tensor:
        mean, log_var = self.mean_and_log_variance(output)
        noise = torch.from_numpy(rng.standard_normal(tuple(mean.shape))).to(mean)
        return mean + torch.exp(0.5 * log_var) * noise


class SharedGaussian(Gaussian):
    """Means from the decoder; one learned variance for each feature."""

    outputs_per_feature = 1

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self.raw_log_variance = nn.Parameter(
            torch.zeros(self.n_variances(n_features), dtype=torch.float32, device="cpu")
        )

    @staticmethod
    def n_variances(n_features: int) -> int:
        return n_features

    @property
    def log_variance(self) -> Tensor:
        """The learned log-variances, (n_variances,)."""
        return _bounded_log_variance(self.raw_log_variance)

    def mean_and_log_variance(self, output: Tensor) -> tuple[Tensor, Tensor]:
        return output, self.log_variance


class IsotropicGaussian(SharedGaussian):
    """Means from the decoder; one learned variance for all entries."""

    @staticmethod
    def n_variances(n_features: int) -> int:
        return 1


class Bernoulli(Likelihood):
    """Ones and zeros; the decoder gives log-odds."""

    def log_prob(self, x: Tensor, observed: Tensor | None, output: Tensor) -> Tensor:
        if observed is None:  # the product of ones with log-odds is a small part of the work
            return (x * output).sum(-1) - softplus(output).sum(-1)
        return _observed_sum(x * output - softplus(output), observed)

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


def _bounded_log_variance(raw: Tensor) -> Tensor:
    """log(MIN_VARIANCE + INITIAL_VARIANCE exp(raw))."""
    ratio = raw + (LOG_INITIAL_VARIANCE - LOG_MIN_VARIANCE)
    return LOG_MIN_VARIANCE + softplus(ratio, threshold=MAX_EXPONENT)


def _observed_sum(terms: Tensor, observed: Tensor | None) -> Tensor:
    return terms.sum(-1) if observed is None else (terms * observed).sum(-1)
