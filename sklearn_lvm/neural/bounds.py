"""Bounds of log p(x) from importance weights, log p(x, t) - log q(t | x) with t drawn from q."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .networks import Autoencoder

Bound = Callable[[Autoencoder, Tensor, Tensor | None, Tensor, float], Tensor]


def log_weights(
    model: Autoencoder,
    x: Tensor,
    observed: Tensor | None,
    noise: Tensor,
    posterior: tuple[Tensor, Tensor],
    beta: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """log p(x | t) + beta (log p(t) - log q(t | x)) at t = mean + deviation * noise.

    Parameters
    ----------
    model : Autoencoder
    x, observed : Tensor of shape (n, d)
        ``observed`` is None if no entry is missing.
    noise : Tensor of shape (k, n, q) or (k, 1, q)
        Standard normal.
    posterior : tuple of Tensor of shape (n, q)
        Mean and log-variance of q(t | x).

    Returns
    -------
    log_w : Tensor of shape (k, n)
        The mean of their exponentials is an unbiased estimate of p(x); their own mean is one of the
        evidence lower bound.
    output : Tensor of shape (k, n, m)
        The outputs of the decoder at t.
    """
    mean, log_var = posterior
    t = torch.addcmul(mean, torch.exp(0.5 * log_var), noise)
    ratio = 0.5 * (log_var + noise.square() - t.square()).sum(-1)
    output = model.decode(t)
    return model.likelihood.log_prob(x, observed, output) + beta * ratio, output


def kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(q || N(0, I)) of each row, (n, q) -> (n,) (Kingma & Welling, 2014, appendix B)."""
    return 0.5 * (mean.square() + torch.expm1(log_var) - log_var).sum(-1)


def elbo(
    model: Autoencoder, x: Tensor, observed: Tensor | None, noise: Tensor, beta: float = 1.0
) -> Tensor:
    """E_q[log p(x | t)] - beta KL(q || p), its first term averaged over the noise, (n,)."""
    mean, log_var = model.encoder(x, observed)
    t = torch.addcmul(mean, torch.exp(0.5 * log_var), noise)
    fit = model.likelihood.log_prob(x, observed, model.decode(t)).mean(0)
    return fit - beta * kl(mean, log_var)


def importance_weighted(
    model: Autoencoder, x: Tensor, observed: Tensor | None, noise: Tensor, beta: float = 1.0
) -> Tensor:
    """log 1/k sum_j w_j, the bound of Burda, Grosse & Salakhutdinov (2016, equation 8), (n,)."""
    posterior = model.encoder(x, observed)
    return log_mean_exp(log_weights(model, x, observed, noise, posterior, beta)[0])


def objective(n_importance_samples: int) -> Bound:
    """The bound that training maximizes; with one sample the divergence is in closed form."""
    return elbo if n_importance_samples == 1 else importance_weighted


def log_mean_exp(log_w: Tensor) -> Tensor:
    """The logarithm of the mean over the first axis."""
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


def evidence(log_w: Tensor) -> Tensor:
    """The importance-weighted bound and its Monte Carlo standard error, (k, n) -> (2, n).

    The error is that of the mean of the weights, over the mean (the delta method).
    """
    k, bound = len(log_w), log_mean_exp(log_w)
    spread = (torch.exp(log_w - bound) - 1.0).square().sum(dim=0)
    return torch.stack([bound, torch.sqrt(spread / k / (k - 1)) if k > 1 else torch.inf + bound])
