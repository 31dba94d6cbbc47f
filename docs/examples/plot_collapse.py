"""
Collapse, and a prior that prevents it
======================================

A component that shrinks onto a few rows makes these as likely as one likes, and new rows near
them impossible. :class:`~sklearn_lvm.EMGaussianMixture` therefore estimates every covariance with
a few more observations than it has. Which, and how many, is decided by rows that are held back.
"""

# %%
# Eight components for three clusters
# -----------------------------------
# A hundred and twenty rows of three clusters. Eight components are too many, and by maximum
# likelihood (``covariance_prior=None``) some of them fit two rows, or six.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import KFold, cross_val_score

from sklearn_lvm import EMGaussianMixture

truth = EMGaussianMixture.from_parameters(
    [0.4, 0.35, 0.25],
    [[-3.0, 0.0], [2.0, 2.2], [2.5, -2.2]],
    [[[1.0, 0.8], [0.8, 1.0]], [[1.0, -0.6], [-0.6, 0.6]], [[0.5, 0.0], [0.0, 1.0]]],
)
X = truth.sample(120, random_state=13)
fresh = truth.sample(20_000, random_state=0)

mixtures = {
    "maximum likelihood": EMGaussianMixture(8, covariance_prior=None, random_state=0).fit(X),
    "with the prior, the default": EMGaussianMixture(8, random_state=0).fit(X),
}

angle = np.linspace(0, 2 * np.pi, 200)
ring = np.sqrt(-2 * np.log(0.1)) * np.array([np.cos(angle), np.sin(angle)])  # holds nine in ten


def outlines(mixture):
    """Where each component has nine tenths of its rows."""
    factors = np.linalg.cholesky(mixture.covariances_)
    return mixture.means_[:, :, None] + factors @ ring


figure, panels = plt.subplots(1, 2, figsize=(9, 4.6), sharex=True, sharey=True)
for axes, (name, mixture), color in zip(panels, mixtures.items(), ["C3", "C0"], strict=True):
    for outline in outlines(truth):
        axes.plot(*outline, color="#999999", linewidth=1.2, linestyle=(0, (4, 3)))
    for weight, outline in zip(mixture.weights_, outlines(mixture), strict=True):
        if len(X) * weight > 0.5:
            axes.fill(*outline, color=color, alpha=0.12, linewidth=0)
            axes.plot(*outline, color=color)
    axes.scatter(*X.T, s=10, color="#222222", linewidths=0, zorder=3)
    axes.set(xlabel="$x_1$", title=name, aspect="equal")
    scores = (
        f"rows of the fit {mixture.score(X):.2f} nats\nnew rows {mixture.score(fresh):.2f} nats"
    )
    axes.text(0.02, 0.03, scores, transform=axes.transAxes, fontsize=9, color=color)
panels[0].set_ylabel("$x_2$")
plt.show()

# %%
# The dashed lines are the truth. On the left some components are slivers: the rows that they hold
# are likely, and new ones near them are not. On the right no component is thinner than its
# pseudo-observations let it be. Several of them share a cluster, or lose their weight where there
# is nothing left to describe. Rows of the fit are less likely, and new ones almost as likely
# as under the truth.

print(f"the truth: {truth.score(fresh):.2f} nats per new row")

# %%
# What was chosen
# ---------------
# A few EM steps were taken on seven tenths of the rows under each of several priors, and the
# others told how good each was. The best five: what covariance a component is expected to have,
# how many observations that is worth, and what the rows held back lose against the best.

chosen = mixtures["with the prior, the default"]
scores = chosen.prior_["held_out_scores"][:-6:-1]
for kind, n_pseudo_observations, score in scores:
    print(f"{kind:7} {n_pseudo_observations:5.1f} {score - scores[0][2]:7.3f} nats per row")

# %%
# A prior can also be given: here the same, as a matrix and its degrees of freedom.

again = EMGaussianMixture(
    8,
    covariance_prior=chosen.covariance_prior_,
    degrees_of_freedom_prior=chosen.degrees_of_freedom_prior_,
    random_state=0,
).fit(X)
print(bool(np.isclose(again.score(fresh), chosen.score(fresh))))

# %%
# More components than needed
# ---------------------------
# The chemical analysis of 178 wines: 13 features, so that a component has 105 parameters. By
# maximum likelihood two components are best, and with each further one the wines that were held
# out become less likely. With the prior the best number is higher, it fits better, and more
# components do little harm.

wine = load_wine().data
folds = KFold(5, shuffle=True, random_state=0)
numbers = np.arange(1, 13)


def held_out(covariance_prior):
    """The log-density of wines that the fit has not seen, for each number of components."""
    options = {"covariance_prior": covariance_prior, "random_state": 0}
    return np.array(
        [cross_val_score(EMGaussianMixture(k, **options), wine, cv=folds).mean() for k in numbers]
    )


by_likelihood, by_posterior = held_out(None), held_out("auto")

figure, axes = plt.subplots(figsize=(6.5, 4))
lowest = by_posterior.min() - 6
for values, label, color, at in [
    (by_posterior, "with the prior", "C0", 8),
    (by_likelihood, "maximum likelihood", "C3", 5),
]:
    axes.plot(numbers, values, marker="o", markersize=5, color=color)
    axes.annotate(
        label, (numbers[at - 1], values[at - 1]), xytext=(8, 8), textcoords="offset points",
        color=color,
    )  # fmt: skip
axes.set(
    xlabel="number of components",
    ylabel="held-out nats per row (higher is better)",
    title=f"Maximum likelihood goes on falling, to {by_likelihood[-1]:.0f}",
    xticks=numbers,
    ylim=(lowest, by_posterior.max() + 1),
)
plt.show()
