"""
Singularities, and what reg_covar does about them
=================================================

The likelihood of a Gaussian mixture has no maximum: a component that shrinks onto a single row
raises it without end. ``reg_covar`` puts a ceiling on it.
:class:`~sklearn_lvm.EMGaussianMixture` does this by a change of the objective, and each step is
exact for what it raises. By default it also has a prior, which keeps components away from that
ceiling (:ref:`sphx_glr_auto_examples_plot_collapse.py`); here it has none.
"""

# %%
# A likelihood without a ceiling
# ------------------------------
# Forty rows, and two components of equal weight: one fits all the rows, the other sits on the
# first of them with standard deviation s. As s goes to zero the density of that one row grows
# as 1/s, while the other rows lose no more than half of theirs.

import textwrap
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from sklearn_lvm import EMGaussianMixture

x = np.random.RandomState(0).normal(size=40)
x = (x - x.mean()) / x.std()


def objective(s, reg_covar):
    """What two components reach per row, in nats; rows are spread with variance reg_covar."""
    scales = np.array([1.0, s])[:, None]
    parts = norm.logpdf(x, loc=[[0.0], [x[0]]], scale=scales) - reg_covar / (2 * scales**2)
    return logsumexp(parts + np.log(0.5), axis=0).mean()


widths = np.logspace(-14, 0, 400)
figure, axes = plt.subplots(figsize=(6.5, 4))
for reg_covar, color in [(0.0, "C3"), (1e-12, "C5"), (1e-6, "C0"), (1e-2, "C2")]:
    label = f"reg_covar = {reg_covar:g}" if reg_covar else "plain likelihood"
    axes.semilogx(widths, [objective(s, reg_covar) for s in widths], color=color, label=label)
axes.set(
    xlabel="standard deviation s of the second component",
    ylabel="objective (nats per row)",
    title="Only the plain likelihood has no ceiling",
)
axes.legend(loc="upper right")
plt.show()

# %%
# The objective spreads every row with the covariance E, whose diagonal is ``reg_covar`` times
# the variances of the features. The expected log-density of a component is then less by
# :math:`\operatorname{tr}(E\, C^{-1}) / 2`, which exceeds what it can gain as soon as it is
# narrower than E. The exact M-step adds E to the covariance of the rows. A local maximum remains
# where a component is about as wide as E; several starts deal with it.
#
# Adding without accounting
# -------------------------
# It is common to add ``reg_covar`` to the covariances and to keep watching the plain
# likelihood. Then the steps raise one function and the loop judges another. Rows in standard
# units give ``reg_covar`` the same meaning for both estimators here, and both leave from the
# same start.

rng = np.random.RandomState(14)
X = np.concatenate([rng.normal(size=(60, 2)), np.repeat(rng.normal(size=(1, 2)), 3, axis=0)])
X = (X - X.mean(axis=0)) / X.std(axis=0)

options = {
    "n_components": 2,
    "reg_covar": 0.1,
    "max_iter": 150,
    "weights_init": [0.5, 0.5],
    "means_init": X[[49, 61]],
    "precisions_init": [4 * np.eye(2)] * 2,
}
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    exact = EMGaussianMixture(covariance_prior=None, tol=0, acceleration=None, **options).fit(X)
    naive = GaussianMixture(tol=1e-30, **options).fit(X)

traces = {
    "EMGaussianMixture: objective of spread rows": np.array(exact.lower_bounds_),
    "scikit-learn: plain likelihood": np.array(naive.lower_bounds_[1:]),  # without the start
}
figure, axes = plt.subplots(figsize=(6.5, 3.8))
for name, trace in traces.items():
    step, top = 1 + np.arange(len(trace)), trace.argmax()
    (line,) = axes.plot(step, trace, label=name)
    axes.plot(step[top], trace[top], "o", color=line.get_color())
    print(f"{name}: ends {trace[top] - trace[-1]:.3f} below its top")
axes.set(
    xlabel="step",
    ylabel="what the loop watches (nats per row)",
    title="One rises; the other passes its highest point",
)
axes.legend(loc="center right")
plt.show()

# %%
# The two curves are not the same function and their heights do not compare: the blue one is the
# objective of spread rows, the other the plain likelihood. What compares is the likelihood of the
# models they end with.

print(f"EMGaussianMixture {exact.score(X):.3f} nats per row")
print(f"scikit-learn      {naive.score(X):.3f} nats per row")

# %%
# With ``reg_covar=0`` and without a prior nothing holds a component back. A fit in which every
# start loses a component says which, and what to do.

narrow = {"precisions_init": [np.eye(2), 1e4 * np.eye(2)], "reg_covar": 0.0}
try:
    EMGaussianMixture(covariance_prior=None, **options | narrow).fit(X)
except ValueError as error:
    print(textwrap.fill(str(error), 70))
