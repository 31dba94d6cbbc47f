"""
A mixture of infinitely many Gaussians: digits
==============================================

A variational autoencoder draws a point in a latent space, and a network says which Gaussian
belongs to it. So it is a mixture with a component for every point of a plane, and a density like
any other here: rows have log-densities in nats, new rows can be drawn, and entries that were not
observed are filled in.
"""

# %%
# The latent space
# ----------------
# 1797 images of 8 x 8 pixels; uniform noise of one grey level makes the levels continuous. With two
# latent variables the plane can be looked at. Labels are for the colours only.

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
left.set(title="where the encoder puts images", xlabel="$t_1$", ylabel="$t_2$")

side = np.linspace(2, -2, 11)
grid = np.stack(np.meshgrid(-side, side), axis=-1).reshape(-1, 2)
means = model.inverse_transform(grid).reshape(11, 11, 8, 8)
right.imshow(means.swapaxes(1, 2).reshape(88, 88), cmap="gray_r", extent=(-2.2, 2.2, -2.2, 2.2))
right.set(title="what the decoder makes of places", xlabel="$t_1$", yticks=[])
plt.show()

# %%
# Samples and reconstructions
# ---------------------------
# Ten latent variables. A sample is a point drawn from the prior, the Gaussian that belongs to it,
# and a draw from that. Principal components with as many of them have one Gaussian only, and their
# samples are the digits of nobody.

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
# The evidence lower bound takes one sample's word for each; importance weights of k samples come
# nearer to log p(x) from below. ``log_evidence`` gives each row's estimate with its Monte Carlo error.

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
# reconstruction: it asks whether the image can be copied, and a centre that was copied from the image
# costs nothing. The density asks how likely that centre is to be drawn in the first place. To an
# autoencoder an image upside down is one that is copied twice as badly; to the mixture it is e to
# the power of 32 times less likely.

turned = test.reshape(-1, 8, 8)[:, ::-1].reshape(-1, 64)
for name, images in [("upright", test), ("upside down", turned)]:
    error = ((images - model.reconstruct(images)) ** 2).sum(axis=1)
    print(f"{name:12} squared error {error.mean():6.0f}, log-density {model.score(images):8.1f}")

# %%
# Missing entries
# ---------------
# The lower half of each image is not observed. ``impute`` gives the mean of what it may have been,
# given the upper half.

halves = test[:10].copy()
halves[:, 32:] = np.nan
show([("images", test[:10]), ("seen", np.nan_to_num(halves)), ("expected", model.impute(halves))])
