"""
Units do not matter
===================

Metres or millimetres, seconds since midnight or since 1970: the choice of units and of origin
says nothing about a density but where it lies and how wide it is.
:class:`~sklearn_lvm.EMGaussianMixture` fits the same mixture in every unit, and its log-density
changes by the logarithm of the unit, as a density must.
"""

# %%
# If rows are multiplied by :math:`s`, a density in :math:`d` features is divided by
# :math:`s^d`, so that its logarithm falls by :math:`d \log s`. Undo that change, and nothing
# may be left.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.mixture import GaussianMixture

from sklearn_lvm import EMGaussianMixture

rng = np.random.RandomState(0)
left_cluster = rng.normal([-2, 0], [0.5, 1.0], size=(300, 2))
right_cluster = rng.normal([2, 1], [1.0, 0.4], size=(300, 2))
X = np.concatenate([left_cluster, right_cluster])

options = {
    "n_components": 2,
    "covariance_type": "diag",
    "random_state": 0,
    "tol": 1e-6,
    "max_iter": 500,
}


def change(estimator, scale=1.0, offset=0.0):
    """How far the score of the moved rows is from where it should be, in nats per row."""
    moved = scale * X + offset
    here = estimator.fit(X).score(X)
    try:
        there = estimator.fit(moved).score(moved)
    except ValueError:  # the fit failed
        return np.nan
    return abs(there + X.shape[1] * np.log(scale) - here)


# %%
# :class:`sklearn.mixture.GaussianMixture` is fitted alongside. Its ``reg_covar`` is an absolute
# number, 1e-6 of whatever the unit squared happens to be; in large units, where numbers are
# small, it outgrows the data. Its diagonal covariances are means of squares minus squares of
# means, which cancel when the origin is far away. The dotted line is the distance between
# neighboring float64 numbers at that offset: to so much the rows themselves have been rounded,
# and no method can be blamed for it.

offsets = np.logspace(1, 11, 11)
scales = np.logspace(-12, 12, 14)
contenders = {
    "EMGaussianMixture": (
        EMGaussianMixture(**options),
        {"color": "C0", "marker": "o", "zorder": 3},
    ),
    "scikit-learn's GaussianMixture": (GaussianMixture(**options), {"color": "C1", "marker": "s"}),
}

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True)
for name, (estimator, look) in contenders.items():
    by_offset = np.array([change(estimator, offset=offset) for offset in offsets])
    by_scale = np.array([change(estimator, scale=scale) for scale in scales])
    left.plot(offsets, by_offset.clip(1e-16), markersize=5, **look)
    right.plot(scales, by_scale.clip(1e-16), markersize=5, label=name, **look)
    failed = np.isnan(by_offset)
    left.plot(offsets[failed], np.full(failed.sum(), 1.0), "x", color="C1")
left.plot(offsets, np.spacing(offsets), ":", color="C6", linewidth=1.2)
left.text(1e6, 3e-9, "rounding\nof the rows", color="C6", ha="center", va="bottom", fontsize=9)
left.text(1e9, 3.0, "the fit fails", color="C1", ha="center", va="bottom", fontsize=9)
left.set(xscale="log", yscale="log", xlabel="offset of the origin (standard deviations)")
left.set(ylabel="change in log-density (nats per row)", title="A far origin")
right.set(xscale="log", xlabel="factor on every row", title="Large and small units")
right.legend(loc="upper right")
plt.show()
