"""
One Gaussian by maximum likelihood
==================================

:class:`~sklearn_lvm.GaussianMLE` fits one Gaussian in closed form. Its log-density is in nats,
in the units of the data, and ``transform`` takes rows to coordinates in which the density is
standard normal.
"""

# %%
# Fifty irises of one species, measured in centimetres: two features that rise together.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import chi2
from sklearn.datasets import load_iris

from sklearn_lvm import GaussianMLE

iris = load_iris()
X = iris.data[iris.target == 0][:, :2]

gaussian = GaussianMLE().fit(X)
print("mean (cm)         ", gaussian.mean_)
print("covariance (cm^2) ", *gaussian.covariance_.round(4).tolist())
print("log-likelihood    ", round(gaussian.log_likelihood_, 3), "nats in total")

# %%
# The estimate is the exact maximum: mean and covariance of the rows, with N and not N - 1 in
# the denominator.

print(np.allclose(gaussian.mean_, X.mean(axis=0), rtol=1e-14, atol=0))
print(np.allclose(gaussian.covariance_, np.cov(X.T, bias=True), rtol=1e-14, atol=0))

# %%
# Whitening
# ---------
# With the Cholesky factor L of the covariance, ``transform`` computes :math:`z = L^{-1} (x -
# m)`. The ellipses of equal density on the left become circles on the right, and
# ``inverse_transform`` brings them back: that is how the ellipses were drawn. A fraction p of a
# plane Gaussian lies within squared radius -2 log(1 - p).

Z = gaussian.transform(X)
angle = np.linspace(0, 2 * np.pi, 200)
circle = np.column_stack([np.cos(angle), np.sin(angle)])

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.6))
for fraction, style in [(0.5, "-"), (0.9, "--"), (0.99, ":")]:
    ring = np.sqrt(-2 * np.log1p(-fraction)) * circle
    label = f"{fraction:.0%} of the model's mass"
    left.plot(*gaussian.inverse_transform(ring).T, style, color="C1", label=label)
    right.plot(*ring.T, style, color="C1")
left.scatter(*X.T, s=22, color="C0", zorder=3)
right.scatter(*Z.T, s=22, color="C0", zorder=3)
left.set(
    xlabel="sepal length (cm)", ylabel="sepal width (cm)", title="The data and the fitted density"
)
right.set(xlabel="$z_1$", ylabel="$z_2$", title="The same, whitened")
for axes in (left, right):
    axes.set_aspect("equal", adjustable="datalim")
figure.legend(loc="outside lower center", ncols=3)
plt.show()

# %%
# Whitened rows have mean zero and unit covariance, to rounding:

print(np.allclose(Z.mean(axis=0), 0.0, atol=1e-12))
print(np.allclose(np.cov(Z.T, bias=True), np.eye(2), atol=1e-12))

# %%
# Are the data Gaussian?
# ----------------------
# If they are, the squared radius of a whitened row follows a chi-squared distribution with as
# many degrees of freedom as there are features, nearly so with fifty rows. Sorted radii against
# its quantiles then lie along the diagonal, as they do here.

radius = np.sort((Z**2).sum(axis=1))
expected = chi2.ppf((np.arange(len(radius)) + 0.5) / len(radius), df=2)

figure, axes = plt.subplots(figsize=(4.6, 4.3))
axes.plot([0, 11], [0, 11], color="C6", linewidth=1, label="a Gaussian")
axes.scatter(expected, radius, s=22, color="C0", label="irises", zorder=3)
axes.set(
    xlabel=r"quantile of $\chi^2_2$",
    ylabel="squared radius of a row, whitened",
    title="Fifty radii against their quantiles",
    xlim=(0, 11),
    ylim=(0, 12),
)
axes.legend(loc="upper left")
plt.show()
