"""
How many components?
====================

More components always fit better, so the likelihood of the training rows cannot tell. Three
criteria can, and they answer different questions: ``bic`` asks which mixture made these data,
``icl`` how many separate clusters there are, and the likelihood of held-out rows which density
predicts best.
"""

# %%
# Three clusters. Two are Gaussian; the third is a cross, and takes two Gaussians.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import cross_val_score

from sklearn_lvm import EMGaussianMixture

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
# Each criterion for one to seven components. For held-out rows, ``cross_val_score`` is all it
# takes: ``score`` is the mean log-density, in nats per row. BIC and ICL are divided by -2 n
# here, which puts them in the same unit and turns lower into higher. K-means, the default
# start, cuts the cross into wedges, out of which EM rarely finds the two bars; ten starts from
# random rows do.

numbers = np.arange(1, 8)
options = {"n_init": 10, "init_params": "random_from_data", "tol": 1e-4, "max_iter": 500}
mixtures = [EMGaussianMixture(k, random_state=0, **options) for k in numbers]
held_out = [cross_val_score(mixture, X, cv=5).mean() for mixture in mixtures]
training = [mixture.fit(X).score(X) for mixture in mixtures]
bic = [mixture.bic(X) / (-2 * len(X)) for mixture in mixtures]
icl = [mixture.icl(X) / (-2 * len(X)) for mixture in mixtures]

figure, axes = plt.subplots(figsize=(6.5, 4))
for values, label, marker in [
    (training, "training rows", "."),
    (held_out, "held-out rows", "o"),
    (bic, "BIC", "s"),
    (icl, "ICL", "D"),
]:
    (line,) = axes.plot(numbers, values, marker=marker, markersize=6)
    axes.annotate(
        label, (numbers[-1], values[-1]), xytext=(8, 0), textcoords="offset points",
        color=line.get_color(), va="center",
    )  # fmt: skip
    if label != "training rows":
        best = int(np.argmax(values))
        ring = {"markersize": 15, "fillstyle": "none", "color": line.get_color()}
        axes.plot(numbers[best], values[best], "o", **ring)
axes.set(xlabel="number of components", ylabel="nats per row (higher is better)")
axes.set_title("Rings mark the choice of each criterion")
plt.show()

# %%
# BIC gives the cross two components, as do the held-out rows: as a density it needs them. ICL
# charges for every row that components share, and so it counts clusters: three.

by_bic = mixtures[int(np.argmax(bic))]
by_icl = mixtures[int(np.argmax(icl))]

angle = np.linspace(0, 2 * np.pi, 200)
ring = np.sqrt(-2 * np.log(0.1)) * np.array([np.cos(angle), np.sin(angle)])

figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), sharex=True, sharey=True)
for axes, mixture, name in zip(panels, [by_bic, by_icl], ["BIC", "ICL"], strict=True):
    axes.scatter(*X.T, s=9, color="C6", alpha=0.45, linewidths=0)
    factors = np.linalg.cholesky(mixture.covariances_)
    for k, (mean, factor) in enumerate(zip(mixture.means_, factors, strict=True)):
        axes.plot(*(mean[:, None] + factor @ ring), color=f"C{k % 6}", linewidth=2.2)
    axes.set(xlabel="$x_1$", title=f"{name}: {mixture.n_components} components")
    axes.set_aspect("equal")
panels[0].set_ylabel("$x_2$")
plt.show()
