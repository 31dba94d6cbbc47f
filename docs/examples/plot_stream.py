"""
Learning from a stream
======================

What :class:`~sklearn_lvm.GaussianMLE` remembers of its data are their weight, their mean and
their scatter about that mean. These add, so ``partial_fit`` takes a stream block by block,
keeps nothing else, and ends where one ``fit`` of everything would.
"""

# %%
# Two sensors report blocks of readings in random sizes. The true density is known here, so that
# we can watch the estimate approach it.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_lvm import EMGaussianMixture, GaussianMLE

rng = np.random.RandomState(5)
covariance = np.array([[4.0, -4.5], [-4.5, 9.0]])
truth = EMGaussianMixture.from_parameters([1.0], [[20.0, 1013.0]], [covariance])
test = truth.sample(200_000, random_state=rng)

stream = GaussianMLE()
blocks, seen, short, snapshots = [], [], [], []
for size in rng.poisson(np.geomspace(4, 4000, 25)) + 2:
    blocks.append(truth.sample(size, random_state=rng))
    stream.partial_fit(blocks[-1])
    seen.append(stream.n_samples_seen_)
    short.append(truth.score(test) - stream.score(test))
    snapshots.append((stream.mean_, stream.covariance_))

# %%
# On rows that were never seen, the log-density approaches that of the truth. On average it is
# short of it by the number of parameters over twice the number of rows, once these are many.

angle = np.linspace(0, 2 * np.pi, 200)
ring = np.sqrt(-2 * np.log(0.1)) * np.array([np.cos(angle), np.sin(angle)])


def outline(mean, covariance):
    """The ellipse that holds nine tenths of a Gaussian."""
    return mean[:, None] + np.linalg.cholesky(covariance) @ ring


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
left.plot(*outline(truth.means_[0], covariance), color="#BBBBBB", linewidth=7, label="truth")
for i, look in [(0, ":"), (7, "--"), (24, "-")]:
    left.plot(*outline(*snapshots[i]), look, color="C0", label=f"{seen[i]:,} rows")
left.set(xlabel="temperature (°C)", ylabel="pressure (hPa)", title="Nine tenths of the mass")
left.legend(loc="lower left")
right.loglog(seen, short, "o", color="C0", markersize=5, label="estimate from the stream")
rate = stream.n_parameters_ / (2 * np.array(seen))
right.loglog(seen, rate, color="C6", linewidth=1.2, label="parameters / (2 rows)")
right.set(xlabel="rows seen", ylabel="nats per row short of the truth", title="On rows never seen")
right.legend(loc="upper right")
plt.show()

# %%
# The order and the size of the blocks do not matter, to rounding:

whole = GaussianMLE().fit(np.concatenate(blocks))
backwards = GaussianMLE()
for rows in reversed(blocks):
    backwards.partial_fit(rows)
for name, model in [("the stream", stream), ("the stream backwards", backwards)]:
    gap = np.abs(model.covariance_ / whole.covariance_ - 1).max()
    print(f"{name} equals one fit: {gap < 1e-12}")

# %%
# Why not running sums
# --------------------
# The sums of x and of x squared add as well, and their difference gives the variance. But
# squares about zero are large where the origin is far, and the difference of two large numbers
# has few digits. Scatter about the mean has no such difference; the little that is lost here
# was lost when the rows were rounded.

readings = rng.normal(size=10_000)
exact = readings.var()
offsets = np.logspace(0, 8, 9)
by_sums, by_moments = [], []
for offset in offsets:
    pieces = np.array_split(readings + offset, 20)
    mean = sum(piece.sum() for piece in pieces) / len(readings)
    by_sums.append(sum((piece**2).sum() for piece in pieces) / len(readings) - mean**2)
    model = GaussianMLE()
    for piece in pieces:
        model.partial_fit(piece[:, None])
    by_moments.append(model.covariance_.item())

figure, axes = plt.subplots(figsize=(6.5, 3.6))
for variances, look, label in [
    (by_sums, {"color": "C1", "marker": "s"}, "running sums of squares"),
    (by_moments, {"color": "C0", "marker": "o"}, "partial_fit"),
]:
    error = np.abs(np.array(variances) / exact - 1)
    axes.loglog(offsets, error.clip(1e-16), label=label, **look)
axes.set(
    xlabel="offset of the origin (standard deviations)",
    ylabel="relative error of the variance",
    title="Squares about zero, and about the mean",
)
axes.legend(loc="upper left")
plt.show()
