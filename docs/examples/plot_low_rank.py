"""
Between full and diagonal: mixtures of factor analyzers
=======================================================

A full covariance of 30 columns has 465 numbers. A diagonal one has 30, and knows of no correlation.
``covariance_type="factor"`` lies between: columns depend on each other through a few factors, and each
has noise of its own, so that C = W W' + diag(psi).
"""

# %%
# How likely are rows that were held back?
# ----------------------------------------
# Measurements of 569 breast tumors, in 30 columns. Mixtures are fitted to half of the rows and scored
# on the others, each with its default prior; the lines are means over three ways to halve the table.
# How many factors there are is chosen by rows of the fit (``n_factors="auto"``) in the left panel, and
# given in the right one.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from sklearn_lvm import EMGaussianMixture, FactorAnalysis

table = load_breast_cancer()
halves = [train_test_split(table.data, test_size=0.5, random_state=seed) for seed in range(3)]


def held_out(K, **params):
    """The log-density of a row that was held back, in nats, and the number of parameters."""
    fits = [EMGaussianMixture(K, random_state=0, **params).fit(train) for train, _ in halves]
    scores = [fit.score(test) for fit, (_, test) in zip(fits, halves, strict=True)]
    return np.mean(scores), np.mean([fit.n_parameters_ for fit in fits])


n_components, types = [1, 2, 3, 5, 8, 12], ("full", "factor", "diag")
found = {kind: [held_out(K, covariance_type=kind) for K in n_components] for kind in types}
n_factors, K = [1, 2, 4, 6, 8, 12, 16, 20], 5
by_factors = [held_out(K, covariance_type="factor", n_factors=q) for q in n_factors]
widths, colors = (5.0, 1.8, 1.8), ("C5", "C3", "C2")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True)
for kind, width, color in zip(types, widths, colors, strict=True):
    scores = [score for score, _ in found[kind]]
    left.plot(n_components, scores, "o-", markersize=4, linewidth=width, color=color, label=kind)
    if kind != "factor":
        level = scores[n_components.index(K)]
        right.axhline(level, color=color, linewidth=width)
        right.annotate(kind, (1, level), (0, 5), textcoords="offset points")
right.plot(n_factors, [score for score, _ in by_factors], "o-", markersize=4, color="C3")
left.set(xlabel="number of components K", ylabel="nats per held-out row", title="Default fits")
left.legend(loc="lower right")
right.set(xlabel="number of factors q", xticks=n_factors, title=f"From diagonal to full, K = {K}")
plt.show()

# %%
# These columns are strongly correlated, and with diagonal covariances many components say less than
# one full Gaussian. Few factors are not enough either. A dozen say what full covariances say with fewer
# numbers, and a few more say it better: 57 rows for each component do not tell all numbers of a full
# covariance.

place = n_components.index(K)
for kind in types:
    score, n_parameters = found[kind][place]
    print(f"{kind:7} K = {K}          {score:6.2f} nats, {n_parameters:5.0f} parameters")
for q, (score, n_parameters) in zip(n_factors, by_factors, strict=True):
    print(f"factor  K = {K}, q = {q:2d}  {score:6.2f} nats, {n_parameters:5.0f} parameters")

# %%
# What the factors are
# --------------------
# One factor analyzer is :class:`~sklearn_lvm.FactorAnalysis`. A rotation of the loadings changes no
# density; ``rotation="varimax"`` is the one with few large entries in each column. Divided by the
# standard deviations of the columns of the table, loadings are correlations with the factors: of size,
# of texture, of shape. The bars are shares of noise. Where one is empty the factors explain the column,
# a Heywood case; ``heywood_`` counts the columns whose noise is the least that ``reg_covar`` allows.

model = FactorAnalysis(5, rotation="varimax").fit(table.data)
deviation = np.sqrt(np.diag(model.get_covariance()))
loadings, noise = model.loadings_ / deviation[:, None], model.noise_variance_ / deviation**2

figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 6.4), sharey=True, width_ratios=(3, 2))
shown = left.imshow(loadings, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
left.set(
    xticks=range(5),
    xticklabels=[f"$w_{j}$" for j in range(1, 6)],
    yticks=range(30),
    yticklabels=table.feature_names,
    title="Loadings",
)
right.barh(range(30), noise, color="#999999")
right.set(
    xlim=(0, 1), xlabel="share of the variance", title=f"Noise ({model.heywood_} Heywood cases)"
)
figure.colorbar(shown, ax=left, location="bottom", label="correlation", shrink=0.6, pad=0.02)
plt.show()
