"""
EM, one step after another
==========================

Expectation-maximization alternates two moves. The E-step asks every component how much of each
row it takes responsibility for; the M-step fits every component to its share. Each pair of
moves raises the log-likelihood, fast at first and then slowly.
"""

# %%
# Three overlapping clusters, and a start with three small round components side by side in one
# corner. The start is given in full, so that nothing here is random but the data, and there is no
# prior: EM climbs the plain likelihood.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from sklearn.exceptions import ConvergenceWarning

from sklearn_lvm import EMGaussianMixture

rng = np.random.RandomState(7)
truth = EMGaussianMixture.from_parameters(
    [0.4, 0.35, 0.25],
    [[-1.6, 0.0], [1.6, 0.4], [0.3, 2.6]],
    [[[1.0, 0.6], [0.6, 0.8]], [[0.7, -0.5], [-0.5, 1.0]], [[1.2, 0.0], [0.0, 0.25]]],
)
X = truth.sample(600, random_state=rng)

start = {
    "weights_init": [1 / 3, 1 / 3, 1 / 3],
    "means_init": [[-3.0, -2.0], [-2.4, -2.2], [-1.8, -2.4]],
    "precisions_init": [4 * np.eye(2)] * 3,
    "covariance_prior": None,
}

# %%
# Step by step
# ------------
# ``max_iter`` stops the run early. Every fit that stops before it has converged says so with a
# :class:`~sklearn.exceptions.ConvergenceWarning`, which is what we want here.

warnings.simplefilter("ignore", ConvergenceWarning)


def after(n_steps):
    return EMGaussianMixture(3, max_iter=n_steps, tol=0, acceleration=None, **start).fit(X)


# %%
# Each row takes the colors of its components, mixed in proportion to its responsibilities. The
# ellipses hold half of the mass of a component.

PALETTE = np.array([to_rgb(color) for color in ("#0072B2", "#E69F00", "#009E73")])
angle = np.linspace(0, 2 * np.pi, 200)
half = np.sqrt(2 * np.log(2)) * np.array([np.cos(angle), np.sin(angle)])

shown = [0, 1, 10, 80, 92, 150]

figure, panels = plt.subplots(2, 3, figsize=(9, 5.4), sharex=True, sharey=True)
for axes, n_steps in zip(panels.flat, shown, strict=True):
    mixture = after(n_steps)
    axes.scatter(*X.T, s=9, c=mixture.predict_proba(X) @ PALETTE, linewidths=0)
    for mean, covariance, color in zip(mixture.means_, mixture.covariances_, PALETTE, strict=True):
        ellipse = mean[:, None] + np.linalg.cholesky(covariance) @ half
        axes.plot(*ellipse, color="white", linewidth=4)
        axes.plot(*ellipse, color=0.75 * color, linewidth=2)
    axes.set_title(f"step {n_steps}: ${mixture.score(X):.3f}$ nats per row", fontsize=10)
    axes.set_aspect("equal")
figure.supxlabel("$x_1$", fontsize=10)
figure.supylabel("$x_2$", fontsize=10)
plt.show()

# %%
# The bound after each step
# -------------------------
# ``lower_bounds_`` holds the objective after each step, in nats per unit of weight; its last
# entry belongs to the model that was returned. It never falls. On the long plateau two
# components share one cluster while the third has to do with two. On the right, the distance
# from where the run ends: once the plateau is left behind, each step shrinks it by a nearly
# constant factor, the share of information that is missing with the labels (Dempster, Laird &
# Rubin, 1977). The dots are the steps shown above.

end = after(1000)
trace = np.array(after(200).lower_bounds_)
left_to_gain = end.lower_bound_ - trace

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
steps = 1 + np.arange(len(trace))
marked = np.array(shown[1:])
left.plot(steps, trace, marker="o", markevery=marked - 1)
left.set(xlabel="step", ylabel="objective (nats per row)", title="It never falls")
right.semilogy(steps, left_to_gain, marker="o", markevery=marked - 1)
right.set(xlabel="step", ylabel="still to gain (nats per row)", title="It ends as a straight line")
plt.show()

print("every step gains:", bool((np.diff(trace) >= 0).all()))

# %%
# ``tol`` looks at what seems to be left to gain, from how gains shrink from step to step. On this
# plateau they do not shrink, so a run with ``tol=1e-4`` goes on, where the small gain of a single
# step would have ended it. The default extrapolates its own path and needs fewer steps; a better
# start spares the plateau altogether. (By default ``tol`` is larger: what 600 rows can tell of 17
# parameters is no more than hundredths of a nat, and of a start as poor as this one it would not
# get far.)

options = {"tol": 1e-4, "covariance_prior": None}
plain = EMGaussianMixture(3, acceleration=None, **start | options).fit(X)
accelerated = EMGaussianMixture(3, **start | options).fit(X)
better = EMGaussianMixture(3, random_state=0, **options).fit(X)
for name, mixture in [("plain", plain), ("accelerated", accelerated), ("better start", better)]:
    short = end.lower_bound_ - mixture.lower_bound_
    print(f"{name:12} {mixture.n_iter_:4} steps, {short:8.1e} nats per row short of the first run")
