"""
A mixture of infinitely many Gaussians: digits
==============================================

A variational autoencoder draws a point in a latent space, and a network gives the Gaussian that
belongs to it. So it is a mixture with a component for every point of a plane, and a density: rows
have log-densities in nats, new rows can be drawn, and missing entries can be imputed.
"""

# %%
# The latent space
# ----------------
# 1797 images of 8 x 8 pixels; uniform noise of one gray level makes the levels continuous. With two
# latent variables the plane can be plotted. Labels are used for the colors only.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_lvm import PPCA, VAEDensity

rng = np.random.RandomState(0)
digits, labels = load_digits(return_X_y=True)
X = digits + rng.uniform(size=digits.shape)
train, test, of_train, _ = train_test_split(X, labels, test_size=1 / 3, random_state=0)

model = VAEDensity(2, learning_rate=3e-3, max_iter=120, random_state=0).fit(train)
latent = model.transform(train)

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.9))
shown = left.scatter(*latent.T, c=of_train, cmap="tab10", s=6)
figure.colorbar(shown, ax=left, ticks=range(10))
left.set(title="posterior means of images", xlabel="$t_1$", ylabel="$t_2$")

side = np.linspace(2, -2, 11)
grid = np.stack(np.meshgrid(-side, side), axis=-1).reshape(-1, 2)
means = model.inverse_transform(grid).reshape(11, 11, 8, 8)
right.imshow(means.swapaxes(1, 2).reshape(88, 88), cmap="gray_r", extent=(-2.2, 2.2, -2.2, 2.2))
right.set(title="decoded points", xlabel="$t_1$", yticks=[])
plt.show()

# %%
# Samples and reconstructions
# ---------------------------
# Ten latent variables. A sample is a point drawn from the prior, the Gaussian that belongs to it,
# and a draw from that. Principal components with as many of them are one Gaussian only, and their
# samples resemble no digit.

model = VAEDensity(10, learning_rate=3e-3, max_iter=120, random_state=0).fit(train)
linear = PPCA(10).fit(train)
rows = [
    ("images", test[:10]),
    ("reconstructed", model.reconstruct(test[:10])),
    ("samples", model.sample(10, random_state=0)),
    ("PPCA", linear.sample(10, random_state=0)),
]


def show(rows):
    _, axes = plt.subplots(len(rows), 10, figsize=(7.8, 0.75 * len(rows)))
    for line, (name, images) in zip(axes, rows, strict=True):
        for ax, image in zip(line, images, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=17)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(name, fontsize=9, rotation=0, ha="right", va="center")
    plt.show()


show(rows)

# %%
# How sure is the score?
# ----------------------
# The evidence lower bound averages the logarithms of weights; the logarithm of the average of k
# weights is closer to log p(x), and still below it in expectation. ``log_evidence`` gives each row's
# estimate with its Monte Carlo error.

counts = 4 ** np.arange(6)
bounds = np.array(
    [[model.log_evidence(test, k, random_state=s)[0].mean() for s in range(5)] for k in counts]
)
elbo = model.elbo(test, 256).mean()

fig, ax = plt.subplots(figsize=(5.6, 3.2))
ax.axhline(elbo, color="#555555", linestyle=":", label="evidence lower bound")
ax.errorbar(
    counts, bounds.mean(axis=1), 2 * bounds.std(axis=1), fmt="o-", label="importance-weighted"
)
ax.set(xscale="log", xlabel="importance samples", ylabel="nats per held-out image")
ax.legend(loc="lower right")
plt.show()

for name, each in [("VAE", model.score_samples(test)), ("PPCA", linear.score_samples(test))]:
    print(f"{name:5} {each.mean():8.2f} nats per held-out image")

# %%
# Why an autoencoder is one Gaussian, and this is a mixture
# ---------------------------------------------------------
# An autoencoder's squared error is the log-density of a Gaussian around the image's own
# reconstruction: it measures how well the image is copied. The density counts, too, how probable the
# center of that Gaussian is. The squared error of an image upside down is twice as large; its density
# is smaller by a factor of e to the power of 32.

turned = test.reshape(-1, 8, 8)[:, ::-1].reshape(-1, 64)
for name, images in [("upright", test), ("upside down", turned)]:
    error = ((images - model.reconstruct(images)) ** 2).sum(axis=1)
    print(f"{name:12} squared error {error.mean():6.0f}, log-density {model.score(images):8.1f}")

# %%
# Missing entries
# ---------------
# The lower half of each image is missing. ``impute`` gives its conditional mean, given the upper
# half.

halves = test[:10].copy()
halves[:, 32:] = np.nan
show(
    [("images", test[:10]), ("observed", np.nan_to_num(halves)), ("imputed", model.impute(halves))]
)
