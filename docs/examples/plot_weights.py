"""
Weights are repetitions
=======================

Every method takes ``sample_weight``, and a row of weight two is a row given twice: same fit,
same labels, same scores, whatever is random in between. So a table of distinct rows with their
counts is as good as the table with all its copies, and a biased sample can be set right.
"""

# %%
# Counts instead of copies
# ------------------------
# The lengths and widths of 150 iris petals, measured to a millimetre, take only about a hundred
# distinct values. Fit a mixture to all rows, and one to the distinct rows weighted by how often
# each occurs.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris

from sklearn_lvm import EMGaussianMixture

petals = load_iris().data[:, 2:]
distinct, counts = np.unique(petals, axis=0, return_counts=True)
print(f"{len(petals)} rows, {len(distinct)} of them distinct, one of them {counts.max()} times")

options = {"n_components": 3, "reg_covar": 1e-3, "random_state": 0}
repeated = EMGaussianMixture(**options).fit(petals)
weighted = EMGaussianMixture(**options).fit(distinct, sample_weight=counts)

for name in ("weights_", "means_", "covariances_", "lower_bound_"):
    gap = np.abs(getattr(repeated, name) - getattr(weighted, name)).max()
    print(f"{name:13} equal to rounding: {gap < 1e-12}")

# %%

angle = np.linspace(0, 2 * np.pi, 200)
ring = np.sqrt(-2 * np.log(0.1)) * np.array([np.cos(angle), np.sin(angle)])


def outlines(mixture):
    """Ellipses that hold nine tenths of each component."""
    factors = np.linalg.cholesky(mixture.covariances_)
    return mixture.means_[:, :, None] + factors @ ring


figure, axes = plt.subplots(figsize=(6.5, 4.3))
dots = axes.scatter(*distinct.T, s=14 * counts, color="C0", alpha=0.6, linewidths=0)
for ellipse in outlines(repeated):
    rows = axes.plot(*ellipse, color="#BBBBBB", linewidth=6)
for ellipse in outlines(weighted):
    pairs = axes.plot(*ellipse, color="C3", linewidth=1.8)
axes.set(xlabel="petal length (cm)", ylabel="petal width (cm)", title="Two fits in one place")
handles, labels = dots.legend_elements("sizes", num=[1, 3, 7], func=lambda s: s / 14, color="C0")
sizes = axes.legend(handles, labels, title="copies of a row", loc="lower right")
axes.add_artist(sizes)
axes.legend([*rows, *pairs], ["all rows", "distinct rows with their counts"], loc="upper left")
plt.show()

# %%
# Setting a biased sample right
# -----------------------------
# A survey reached people of one group four times as often as those of the other. Weights of one
# over the probability to be reached give the density of the population.

rng = np.random.RandomState(1)
population = EMGaussianMixture.from_parameters(
    [0.5, 0.5], [[0.0], [4.0]], [[1.0], [1.0]], covariance_type="diag"
)
x, group = population.sample(8000, random_state=rng, return_latent=True)
reached = rng.uniform(size=len(x)) < np.where(group == 0, 0.2, 0.8)
x, chance = x[reached], np.where(group[reached] == 0, 0.2, 0.8)

options = {"n_components": 2, "covariance_type": "diag", "random_state": 0}
as_reached = EMGaussianMixture(**options).fit(x)
set_right = EMGaussianMixture(**options).fit(x, sample_weight=1 / chance)

grid = np.linspace(-4, 8, 400)[:, None]
figure, axes = plt.subplots(figsize=(6.5, 3.6))
for model, label, look in [
    (population, "population", {"color": "C6", "linewidth": 5, "alpha": 0.35}),
    (as_reached, "sample as it came", {"color": "C1", "linestyle": "--"}),
    (set_right, "sample, weighted", {"color": "C0"}),
]:
    axes.plot(grid, np.exp(model.score_samples(grid)), label=label, **look)
axes.set(xlabel="$x$", ylabel="density", title="Half and half, once weighted", ylim=(0, None))
axes.legend(loc="upper left")
plt.show()

print("share of the second group:", as_reached.weights_.max().round(2), "as it came,")
print(
    "                          ", set_right.weights_[set_right.means_.argmax()].round(2), "weighted"
)
