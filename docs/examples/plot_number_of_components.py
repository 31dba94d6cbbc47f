"""
How many components?
====================

More components always fit better, so the likelihood of the training rows cannot tell. Four criteria
can, and they answer different questions. ``bic`` and ``elbo`` ask which mixture made these data,
``icl`` how many separate clusters there are, and the likelihood of held-out rows which density
predicts best. :func:`~sklearn_lvm.select_n_components` computes them all.
"""

# %%
# Three clusters. Two are Gaussian; the third is a cross, and takes two Gaussians.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_lvm import EMGaussianMixture, VariationalGaussianMixture, select_n_components

truth = EMGaussianMixture.from_parameters(
    [0.2, 0.2, 0.3, 0.3],
    [[-3.5, 0.0], [-3.5, 0.0], [2.5, 2.0], [2.5, -2.0]],
    [
        [[1.0, 0.85], [0.85, 1.0]],
        [[1.0, -0.85], [-0.85, 1.0]],
        [[1.0, -0.3], [-0.3, 0.5]],
        [[0.6, 0.0], [0.0, 0.6]],
    ],
)
X = truth.sample(800, random_state=3)

# %%
# Each criterion for one to seven components. The evidence lower bound is that of variational fits,
# which integrate the parameters out; five starts of each find both bars of the cross.

numbers = np.arange(1, 8)
by_likelihood = EMGaussianMixture(random_state=0)
by_evidence = VariationalGaussianMixture(n_init=5, random_state=0)
selections = {
    criterion: select_n_components(estimator, X, criterion=criterion, n_components=numbers)
    for criterion, estimator in [
        ("bic", by_likelihood),
        ("icl", by_likelihood),
        ("cv", by_likelihood),
        ("elbo", by_evidence),
    ]
}
print(selections["bic"])

# %%
# BIC and ICL are divided by -2 n here, and the bound by n. That puts all in one unit, nats per row, and
# turns lower into higher. The likelihood of the training rows is BIC without its penalty.

n = len(X)
values = {name: selection.results_[name] for name, selection in selections.items()}
penalty = selections["bic"].results_["n_parameters"] * np.log(n)
curves = {
    "training rows": (penalty - values["bic"]) / (2 * n),
    "held-out rows": values["cv"],
    "BIC": values["bic"] / (-2 * n),
    "ELBO": values["elbo"] / n,
    "ICL": values["icl"] / (-2 * n),
}

figure, axes = plt.subplots(figsize=(7, 4.6))
for (label, heights), marker in zip(curves.items(), ".osvD", strict=True):
    (line,) = axes.plot(numbers, heights, marker=marker, markersize=6)
    axes.annotate(
        label, (numbers[-1], heights[-1]), xytext=(8, 0), va="center",
        textcoords="offset points", color=line.get_color(),
    )  # fmt: skip
    if label != "training rows":
        best = int(np.argmax(heights))
        ring = {"markersize": 15, "fillstyle": "none", "color": line.get_color()}
        axes.plot(numbers[best], heights[best], "o", **ring)
axes.set(
    xlabel="number of components",
    ylabel="nats per row (higher is better)",
    ylim=(-4.1, -3.45),
    title="Rings mark the choice of each criterion",
)
plt.show()

# %%
# BIC and the evidence bound give the cross two components, as do the held-out rows: as a density it
# needs them. ICL charges for every row that components share, and so it counts clusters: three.
#
# A variational fit need not be told. With twelve components those that are not needed lose their
# rows, and ``n_components_`` counts the others. Its bound has local maxima too, in which the cross is
# one component and another holds a few of its rows; of ten starts the one of the highest bound is kept.

twelve = VariationalGaussianMixture(12, n_init=10, random_state=0).fit(X)
shown = {
    "BIC": selections["bic"].best_estimator_,
    "ICL": selections["icl"].best_estimator_,
    "Of twelve": twelve,
}
angle = np.linspace(0, 2 * np.pi, 200)
ring = np.sqrt(-2 * np.log(0.1)) * np.array([np.cos(angle), np.sin(angle)])  # holds nine in ten

figure, panels = plt.subplots(1, 3, figsize=(10, 2.9), sharex=True, sharey=True)
for axes, (name, mixture) in zip(panels, shown.items(), strict=True):
    axes.scatter(*X.T, s=6, color="C6", alpha=0.35, linewidths=0)
    heavy = np.flatnonzero(n * mixture.weights_ > 2)  # without rows a prior expects one or so
    factors = np.linalg.cholesky(mixture.covariances_[heavy])
    for i, (mean, factor) in enumerate(zip(mixture.means_[heavy], factors, strict=True)):
        axes.plot(*(mean[:, None] + factor @ ring), color=f"C{i % 6}", linewidth=2.2)
    axes.set(xlabel="$x_1$", title=f"{name}: {len(heavy)} components", aspect="equal")
panels[0].set_ylabel("$x_2$")
plt.show()

print(twelve.n_components_, "of", twelve.n_components, "hold rows:", twelve.weights_.round(3))
