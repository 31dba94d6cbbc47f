"""
Predictive densities against estimates
======================================

An estimate is one set of parameters, as if it were the truth. A predictive density is the mean of
all that the rows leave possible. Of one Gaussian that is Student's t
(:class:`~sklearn_lvm.BayesianGaussian`), and of a mixture a mixture of these
(:class:`~sklearn_lvm.VariationalGaussianMixture`). With many rows both agree. With few they do not.
"""

# %%
# Five rows
# ---------
# Five rows of a standard normal. The maximum of the likelihood has the variance of the rows. The
# mode of the posterior, under the default prior, has a smaller one: small variances make the density
# of a posterior high, but hold little of its mass. The predictive density has the mass of all of
# them, and heavy tails, since five rows do not rule out a variance some times theirs. All three are
# one estimator.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.mixture import BayesianGaussianMixture

from sklearn_lvm import BayesianGaussian, EMGaussianMixture, VariationalGaussianMixture

INFERENCES = {
    "mle": ("maximum likelihood", "C3"),
    "map": ("mode", "C1"),
    "bayes": ("predictive", "C0"),
}
X = np.random.RandomState(20).normal(size=(5, 1))
grid = np.linspace(-5, 5, 500)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
for axes in (left, right):
    axes.plot(grid, norm.pdf(grid), color="#999999", linestyle=(0, (4, 3)), label="the truth")
    for inference, (label, color) in INFERENCES.items():
        gaussian = BayesianGaussian(inference=inference).fit(X)
        axes.plot(grid, np.exp(gaussian.score_samples(grid[:, None])), color=color, label=label)
    axes.set(xlabel="x")
left.plot(X[:, 0], np.full(5, -0.02), "|", color="#222222", markersize=10)
left.set(ylabel="density", title="Densities after five rows (ticks)")
right.set(yscale="log", ylim=(1e-6, 2), title="The same on a logarithmic scale")
figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# What a row costs
# ----------------
# How many nats a new row loses to the truth, on average over sixty tables of each size. In three
# dimensions an estimate of five rows is worthless, and the predictive density loses two nats. From a
# hundred rows on it does not matter which is used.

numbers = np.array([5, 7, 10, 15, 25, 50, 100, 200])
rng = np.random.RandomState(0)
new = rng.normal(size=(400, 3))
lost = {inference: [] for inference in INFERENCES}
for n in numbers:
    tables = rng.normal(size=(60, n, 3))
    for inference, losses in lost.items():
        scores = [BayesianGaussian(inference=inference).fit(table).score(new) for table in tables]
        losses.append(norm.logpdf(new).sum(axis=1).mean() - np.mean(scores))

figure, axes = plt.subplots(figsize=(6.5, 4))
for inference, (label, color) in INFERENCES.items():
    axes.plot(numbers, lost[inference], "o-", markersize=5, color=color, label=label)
axes.set(
    xscale="log",
    yscale="log",
    xlabel="rows of the fit",
    ylabel="nats that a new row loses",
    title="Gaussians in three dimensions",
)
axes.set_xticks(numbers, map(str, numbers))
axes.minorticks_off()
axes.legend()
plt.show()

# %%
# Mixtures
# --------
# Forty rows of three clusters, and eight components. The density that variational inference computes
# with, of expected logarithms, is below the predictive density everywhere. It is what
# :class:`sklearn.mixture.BayesianGaussianMixture` gives as its score, and it does not integrate to one.
# Both panels have the same contours.

truth = EMGaussianMixture.from_parameters(
    [0.4, 0.35, 0.25],
    [[-3.0, 0.0], [2.0, 2.2], [2.5, -2.2]],
    [[[1.0, 0.8], [0.8, 1.0]], [[1.0, -0.6], [-0.6, 0.6]], [[0.5, 0.0], [0.0, 1.0]]],
)

# The plane in polar coordinates. Half of the points are within a radius of 7, and some far out.
share = (np.arange(160) + 0.5) / 160
radius, angle = np.meshgrid(4 * np.sqrt((1 - share) ** -2 - 1), 2 * np.pi * share)
points = np.column_stack([(radius * np.cos(angle)).ravel(), (radius * np.sin(angle)).ravel()])
areas = 2 * np.pi * 16 * (1 + points[:, 0] ** 2 / 16 + points[:, 1] ** 2 / 16) ** 1.5


def integral(mixture):
    """The integral of exp(score) over the plane."""
    return (areas * np.exp(mixture.score_samples(points))).mean()


def mixtures(n_rows, seed):
    """The mixtures that are compared, fitted to the same rows."""
    X = truth.sample(n_rows, random_state=seed)
    theirs = BayesianGaussianMixture(n_components=8, max_iter=1000, random_state=0)
    return X, {
        "BayesianGaussianMixture": theirs.fit(X),
        "VariationalGaussianMixture": VariationalGaussianMixture(8, random_state=0).fit(X),
        "with fitted priors": VariationalGaussianMixture(8, priors="empirical", random_state=0).fit(
            X
        ),
    }


X, fitted = mixtures(40, seed=13)
x, y = np.meshgrid(np.linspace(-9, 9, 151), np.linspace(-8, 8, 141))
plane = np.column_stack([x.ravel(), y.ravel()])
levels = np.arange(-11, -1)

figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), sharex=True, sharey=True)
for axes, name in zip(
    panels, ["BayesianGaussianMixture", "VariationalGaussianMixture"], strict=True
):
    log_density = fitted[name].score_samples(plane).reshape(x.shape)
    shown = axes.contourf(x, y, log_density, levels, cmap="Blues", extend="min")
    axes.scatter(*X.T, s=12, color="#222222", linewidths=0)
    axes.set(xlabel="$x_1$", title=f"{name}: {integral(fitted[name]):.2f} in all", aspect="equal")
panels[0].set_ylabel("$x_2$")
figure.colorbar(shown, ax=panels, label="score, nats", shrink=0.85)
plt.show()

# %%
# What is missing on the left is missing from every score; the more rows there are, the less. The
# default prior expects every component to be as wide as all rows, and few rows do not refute it.
# With ``priors="empirical"`` the components say how wide they are. Here are means over three tables.

fresh = truth.sample(4000, random_state=0)
n_rows = np.array([20, 40, 80, 160, 320])
colors = {
    "BayesianGaussianMixture": "C3",
    "VariationalGaussianMixture": "C0",
    "with fitted priors": "C2",
}
whole, losses = {name: [] for name in colors}, {name: [] for name in colors}
for n in n_rows:
    tables = [mixtures(n, seed)[1] for seed in range(3)]
    for name in colors:
        whole[name].append(np.mean([integral(table[name]) for table in tables]))
        scores = [table[name].score(fresh) for table in tables]
        losses[name].append(truth.score(fresh) - np.mean(scores))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
for name, color in colors.items():
    dashed = (0, (3, 3)) if name == "with fitted priors" else "-"  # it hides no other
    left.plot(n_rows, whole[name], marker="o", markersize=5, color=color, linestyle=dashed)
    right.plot(n_rows, losses[name], marker="o", markersize=5, color=color, label=name)
left.set(ylabel="integral of exp(score)", ylim=(0, 1.1), title="What the scores add up to")
right.set(ylabel="nats that a new row loses", yscale="log", title="Beside the truth")
for axes in (left, right):
    axes.set(xscale="log", xlabel="rows of the fit")
    axes.set_xticks(n_rows, map(str, n_rows))
    axes.minorticks_off()
figure.legend(loc="outside lower center", ncols=3)
plt.show()

# %%
# How many components hold rows is ``n_components_``. The others keep the prior, and next to no weight.

mixture = fitted["VariationalGaussianMixture"]
print(mixture.n_components_, "of", mixture.n_components, "components:", mixture.weights_.round(3))
