"""
A family of one's own: mixtures of Poisson counts
=================================================

The loop of expectation-maximization knows no model, and the mixture knows no Gaussian. A new
family of components says three things: what it remembers of its rows, as a value with ``+``; how
a kernel of K of its densities evaluates rows and adds them up; and how densities are estimated
from what is remembered. Mixing, restarts, blocks and threads are there already.
"""

# %%
# The family
# ----------
# K densities of counts in d independent columns, p_k(z) = prod_j exp(-r_kj) r_kj^z_j / z_j!.
# All arrays are feature-major: a block of n rows is (d, n), responsibilities are (K, n).

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import gammaln

from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.core.rows import canonical
from sklearn_lvm.inference.block_map import ThreadMap, slices_of
from sklearn_lvm.inference.em import run_em
from sklearn_lvm.inference.problem import Problem


@dataclass(frozen=True, eq=False)
class Counts:
    """What K Poisson densities remember of their rows: weights (K,) and summed counts (K, d)."""

    weight: np.ndarray
    total: np.ndarray

    def __add__(self, other):
        return Counts(self.weight + other.weight, self.total + other.total)


@dataclass(frozen=True, eq=False)
class PoissonKernel:
    """K densities prepared for one pass: log-rates (K, d), and what does not depend on a row (K,)."""

    log_rate: np.ndarray
    constant: np.ndarray
    condition_number = 1.0  # whole numbers have no rounding errors

    def features(self, Z):
        return Z, gammaln(Z + 1.0).sum(axis=0)

    def log_prob(self, features):
        Z, log_factorials = features
        return self.log_rate @ Z + self.constant[:, None] - log_factorials

    def accumulate(self, features, resp):
        return resp.sum(axis=1), resp @ features[0].T

    def statistics(self, sums):
        return Counts(*sums)


@dataclass(frozen=True, eq=False)
class Poissons:
    """K densities of d independent counts, with rates (K, d)."""

    rate: np.ndarray

    def kernel(self, log_weights):
        log_rate = np.log(np.maximum(self.rate, 1e-300))  # a rate of zero allows no count but zero
        return PoissonKernel(log_rate, log_weights - self.rate.sum(axis=1))

    def sample(self, labels, rng):
        return rng.poisson(self.rate[labels]).astype(float)

    def n_parameters(self):
        return self.rate.size


@dataclass(frozen=True)
class PoissonFamily:
    """How Poisson densities are estimated from counts."""

    n_parts = 1

    def statistics(self, Z, resp):
        return Counts(resp.sum(axis=1), resp @ Z.T)

    def estimate(self, counts, current=None):
        return Poissons(counts.total / np.where(counts.weight > 0, counts.weight, 1.0)[:, None])

    def kernel(self, densities, log_weights):
        return densities.kernel(log_weights)

    def log_prior(self, densities):
        return 0.0  # the objective is the plain log-likelihood

    def predictive(self, densities):
        return densities


# %%
# Data
# ----
# How many people pass a counter on a footpath in each hour of a day, for a year of days of
# three kinds.

hours = np.arange(24)


def bump(hour, width):
    return np.exp(-0.5 * ((hours - hour) / width) ** 2)


working_day = 4 + 50 * bump(8, 1) + 12 * bump(13, 1.5) + 45 * bump(17.5, 1.4)
day_off = 4 + 35 * bump(14, 3.2)
rainy_day = 2 + 8 * bump(8, 1.2) + 7 * bump(17.5, 1.6)

truth = Mixture(np.log([0.55, 0.25, 0.20]), Poissons(np.array([working_day, day_off, rainy_day])))
X, kinds = truth.sample(365, np.random.RandomState(0))

# %%
# Fitting
# -------
# An E-step takes blocks, pairs of rows and their weights. A start is an M-step from some
# responsibilities; to be independent of the order of the rows it is drawn from the weighted set
# of distinct rows.

steps = MixtureSteps(PoissonFamily())
Z, w = X.T.copy(), np.ones(len(X))
blocks = [(Z[:, rows], w[rows]) for rows in slices_of(len(X), 128)]


def start(n_components, seed):
    rows = canonical(X, w)
    resp = np.random.RandomState(seed).dirichlet(np.full(n_components, 0.1), size=len(rows)).T
    return steps.m_step(steps.family.statistics(Z[:, rows.index], resp * rows.weight))


with ThreadMap() as block_map:
    problem = Problem(steps, blocks, block_map)
    runs = [run_em(problem, start(3, seed), max_iter=200, tol=1e-9) for seed in range(5)]
best = max(runs, key=lambda run: run.objective)

print("objectives of the starts:", *(f"{run.objective:.3f}" for run in runs))
print("the objective never falls:", all((np.diff(run.trace) >= 0).all() for run in runs))

# %%
# One start ended in a lower maximum, which is what restarts are for. The rates that were found,
# over those that made the data:

mixture = best.model
order = np.argsort(-mixture.log_weights)
figure, axes = plt.subplots(figsize=(7, 4))
for rate in truth.components.rate:
    made = axes.plot(hours, rate, color="#BBBBBB", linewidth=7)
for color, marker, k in zip(["C0", "C3", "C2"], "osD", order, strict=True):
    label = f"found, {np.exp(mixture.log_weights[k]):.0%} of the days"
    axes.plot(
        hours, mixture.components.rate[k], color=color, marker=marker, markersize=4, label=label
    )
made[0].set_label("truth")
axes.set(
    xlabel="hour of the day",
    ylabel="people per hour",
    title="Three kinds of days",
    xticks=range(0, 25, 4),
    ylim=(0, 60),
)
axes.legend(loc="upper left")
plt.show()

# %%
# Laws
# ----
# What holds for every family holds for this one, and is quickly asked. Statistics of blocks add
# up to those of the whole, in any order:

_, resp = mixture.kernel().posterior(Z)
family = steps.family
first, rest = (
    family.statistics(Z[:, :100], resp[:, :100]),
    family.statistics(Z[:, 100:], resp[:, 100:]),
)
whole = family.statistics(Z, resp)
for name, both in [("first + rest", first + rest), ("rest + first", rest + first)]:
    print(name, np.allclose(both.total, whole.total, rtol=1e-14, atol=0))

# %%
# The estimate is stationary, so that moving a rate either way makes the rows less likely:


def expected_log_likelihood(rate):
    kernel = Poissons(rate).kernel(mixture.log_weights)
    return (resp * kernel.log_prob(kernel.features(Z))).sum()


rate = mixture.components.rate
for factor in (0.999, 1.001):
    print(factor, bool(expected_log_likelihood(rate * factor) < expected_log_likelihood(rate)))

# %%
# And the days are told apart:

labels = resp.argmax(axis=0)
print(
    sum((kinds[labels == k] == np.bincount(kinds[labels == k]).argmax()).sum() for k in range(3)),
    "of 365",
)
