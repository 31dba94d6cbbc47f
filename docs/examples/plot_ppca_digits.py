"""
Principal components as a density: digits
=========================================

Principal component analysis finds axes. Probabilistic PCA is a density with these axes: each image
is a mean, plus a few loadings in random amounts, plus noise of one variance in every pixel. So it
gives the likelihood of an image, draws new images, and has criteria for the number of axes.
"""

# %%
# The model
# ---------
# 1797 images of 8 x 8 pixels. Their gray levels are whole numbers, on which no density is bounded;
# uniform noise of one level makes them continuous. A third of the images is held out.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_lvm import PPCA

rng = np.random.RandomState(0)
digits = load_digits().data
X = digits + rng.uniform(size=digits.shape)
train, test = train_test_split(X, test_size=1 / 3, random_state=0)

model = PPCA(n_components=12).fit(train)
print(f"{model.n_parameters_} parameters, noise of {model.noise_variance_**0.5:.2f} gray levels")
print(f"{model.score(train):.1f} nats per image of the fit, {model.score(test):.1f} of others")

# %%
# The mean, and the columns of W. A column is an axis times the standard deviation of the images
# along it beyond the noise, in gray levels. Its sign is arbitrary.

limit = np.abs(model.loadings_).max()
figure, axes = plt.subplots(2, 7, figsize=(7.4, 2.6))
panels = [axes[0, 0], *axes[0, 1:], *axes[1, 1:]]
panels[0].imshow(model.mean_.reshape(8, 8), cmap="gray_r", vmin=0, vmax=17)
panels[0].set_title("mean", loc="center", fontsize=9)
for ax, loading, j in zip(panels[1:], model.loadings_.T, range(1, 13), strict=True):
    shown = ax.imshow(loading.reshape(8, 8), cmap="PuOr", vmin=-limit, vmax=limit)
    ax.set_title(f"$w_{{{j}}}$", loc="center", fontsize=9)
for ax in axes.flat:
    ax.axis("off")
figure.colorbar(shown, ax=axes[:, -1], label="gray levels", fraction=0.4)
plt.show()

# %%
# Samples
# -------
# New images of the model. They have the strokes of digits and no digit's shape: the latent
# variable is one Gaussian cloud, while digits come in ten.

rows = [
    ("images", test[:10]),
    ("samples", model.sample(10, random_state=0)),
    ("full Gaussian", PPCA().fit(train).sample(10, random_state=0)),
]
figure, axes = plt.subplots(3, 10, figsize=(7.4, 2.7))
for line, (name, images) in zip(axes, rows, strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=17)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    line[0].set_ylabel(name, fontsize=9, rotation=0, ha="right", va="center")
plt.show()

# %%
# Latent coordinates
# ------------------
# ``transform`` is the posterior mean of the latent variable given an image. It is not PCA's
# projection: each coordinate has prior variance one, and is shrunk towards zero, the more the larger
# its posterior variance. ``inverse_transform`` is the mean of images with given coordinates.

posterior = np.sqrt(np.diag(model.posterior_covariance_))
spread = model.transform(train).std(axis=0)
print("coordinate      ", *(f"{j:5d}" for j in range(1, 13)))
print("spread of means ", *(f"{s:5.2f}" for s in spread))
print("posterior spread", *(f"{s:5.2f}" for s in posterior))
print("squares add up to one:", np.allclose(spread**2 + posterior**2, 1.0))

# %%
# How many components?
# --------------------
# The likelihood of the images of the fit grows with every axis. Three criteria choose a number: the
# likelihood of images held out, Minka's approximation to the evidence, and the Bayesian
# information criterion. The last two need the spectrum alone, and no images held out.

numbers = np.arange(1, 64)
fits = [PPCA(q).fit(train) for q in numbers]
held_out = np.array([fit.score(test) for fit in fits])
fitted = np.array([fit.score(train) for fit in fits])

choices = {
    "held-out likelihood": numbers[held_out.argmax()],
    "Minka's evidence": PPCA("mle").fit(train).n_components_,
    "BIC": PPCA("bic").fit(train).n_components_,
}

figure, ax = plt.subplots(figsize=(7, 4))
ax.plot(numbers, fitted, color="#999999", label="images of the fit")
ax.plot(numbers, held_out, color="C0", label="images held out")
for (name, q), style in zip(choices.items(), ["oC0", "sC1", "DC3"], strict=True):
    size = 11 if style[0] == "s" else 6  # where two choices agree both markers are seen
    ax.plot(q, held_out[q - 1], style[0], color=style[1:], ms=size, label=f"{name}: q = {q}")
ax.set(
    xlabel="number of components q",
    ylabel="nats per image",
    title="Log-likelihood against the number of components",
)
ax.legend(loc="lower right")
plt.show()

# %%
# All three choose a number where the held-out curve turns flat. The variance that remains there is
# that of the noise that was added, 1/12 in every pixel.

print(f"noise at q = {choices['BIC']}: {12 * fits[choices['BIC'] - 1].noise_variance_:.2f} / 12")
for name, q in choices.items():
    print(f"{name:20} q = {q:2d}  {held_out[q - 1]:8.2f} nats per held-out image")
