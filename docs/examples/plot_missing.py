"""
Tables with holes
=================

NaN means "not observed". What is missing of a row is a latent variable like any other: it is
integrated out of the likelihood, and what is left of the row says what it probably was. So one fitted
density scores incomplete rows, fills them in, and is a regression of any column on any others.
"""

# %%
# Rows that are not complete
# --------------------------
# Two curved groups of points in a plane, and four cells in ten of the table are lost at random: of
# some rows the abscissa, of others the ordinate, of some both. A mixture is fitted to what was
# observed. Incomplete rows are not dropped: each is half of a point, and tells of the column it has.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_lvm import ConditionalRegressor, EMGaussianMixture, GaussianMLE

rng = np.random.RandomState(0)
angle = rng.uniform(0, np.pi, size=600)
side = np.where(rng.uniform(size=600) < 0.5, 1.0, -1.0)
moons = np.column_stack([side * np.cos(angle) + 0.5 * (1 - side), side * (np.sin(angle) - 0.25)])
X = moons + 0.08 * rng.normal(size=(600, 2))

table = X.copy()
table[rng.uniform(size=X.shape) < 0.4] = np.nan
complete = ~np.isnan(table).any(axis=1)
mixture = EMGaussianMixture(8, random_state=0).fit(table)
print(f"{complete.sum()} of {len(table)} rows are complete")

# %%
# ``impute`` completes the table. Conditional means are the closest guesses, and do not look like the
# rows: where a value may be in either of two places, its mean is between both. Draws look like rows.
# ``n_draws`` gives several such tables, and results from each of them spread by what the missing
# cells leave open. One Gaussian knows lines only, as chains of linear regressions do.

filled = {
    "One Gaussian, conditional means": GaussianMLE().fit(table).impute(table),
    "Mixture, conditional means": mixture.impute(table),
    "Mixture, one draw": mixture.impute(table, n_draws=1, random_state=0)[0],
}
ticks = {0: np.isnan(table[:, 1]) & ~np.isnan(table[:, 0])}
ticks[1] = np.isnan(table[:, 0]) & ~np.isnan(table[:, 1])

figure, panels = plt.subplots(2, 2, figsize=(9, 6.6), sharex=True, sharey=True)
first, others = panels[0, 0], panels.flat[1:]
first.plot(*table[complete].T, "o", markersize=2.5, color="C6")
first.plot(table[ticks[0], 0], np.full(ticks[0].sum(), -1.5), "|", color="C0", markersize=6)
first.plot(np.full(ticks[1].sum(), -1.6), table[ticks[1], 1], "_", color="C1", markersize=6)
first.set_title("The table (ticks: half of a row)")
for axes, (name, rows) in zip(others, filled.items(), strict=True):
    axes.plot(*table[complete].T, "o", markersize=2, color="#bbbbbb")
    for column, color in ((0, "C0"), (1, "C1")):
        axes.plot(*rows[ticks[column]].T, "o", markersize=2.5, color=color)
    axes.set_title(name)
for axes in panels.flat:
    axes.set(xlim=(-1.65, 2.5), ylim=(-1.55, 1.25))
for axes in panels[1]:
    axes.set_xlabel("$x_1$")
for axes in panels[:, 0]:
    axes.set_ylabel("$x_2$")
plt.show()

# %%
# Scores are log-densities of what was observed. ``marginal`` gives the density of some of the columns,
# as a fitted mixture: it scores a row as the mixture scores it with the others missing.

half = np.array([[0.5, np.nan]])
print(mixture.score_samples(half), mixture.marginal([0]).score_samples(half[:, :1]))

# %%
# A joint density is a regression
# -------------------------------
# Given the abscissa, what is the ordinate? ``condition`` answers for one value, and the answer is a
# mixture again, with other weights: here of two places. :class:`~sklearn_lvm.ConditionalRegressor`
# answers for many. The conditional mean lies between the two moons, where no point is; quantiles and
# draws follow them, and how sure one is of the ordinate depends on the abscissa.

regression = ConditionalRegressor(EMGaussianMixture(12, random_state=0)).fit(X[:, :1], X[:, 1])
grid = np.linspace(-1.15, 2.15, 300)[:, None]
mean = regression.predict(grid)
low, high = regression.predict_quantiles(grid, [0.05, 0.95]).T

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), width_ratios=(3, 2))
left.fill_between(grid[:, 0], low, high, color="C0", alpha=0.15, linewidth=0, label="central 90 %")
left.plot(*X.T, "o", markersize=2, color="#999999")
left.plot(grid, mean, color="C3", label="mean")
for value, color in ((0.5, "C0"), (-0.7, "C1")):
    left.axvline(value, color=color, linestyle=(0, (4, 3)), linewidth=1.2)
    given = regression.estimator_.condition({0: value})
    ordinate = np.linspace(-1.5, 1.3, 400)[:, None]
    right.plot(
        np.exp(given.score_samples(ordinate)), ordinate, color=color, label=f"$x_1 = {value}$"
    )
left.set(xlabel="$x_1$", ylabel="$x_2$", ylim=(-1.5, 1.3), title="The ordinate given the abscissa")
left.legend(loc="upper right")
right.set(xlabel="density", ylim=(-1.5, 1.3), title="Conditioned mixtures")
right.legend(loc="upper right")
plt.show()

# %%
# What is computed from a completed table
# ---------------------------------------
# Sixty rows, of which every other one lacks the second column: how well is its regression on the
# first one known? A table of conditional means has its missing points on the line, and makes the
# slope look better known than it is. A statistic is computed from drawn tables, one after the other,
# and the results are pooled by Rubin's rules: the mean of the estimates, and for its variance the mean
# of theirs plus that between them, with a little for how few tables were drawn. Draws under the fitted
# parameters take these for the truth. ``parameter_draws=True`` refits the density for every draw,
# under weights of the rows that are drawn at random (the Bayesian bootstrap), so that the tables
# differ by what the fit leaves open too. Titles say how many of the intervals hold the slope.

M, TRUE_SLOPE, WIDTH = 10, 0.6, 1.645  # of an interval that holds nine in ten


def slope(rows):
    """The regression coefficient of the second column on the first, and its variance."""
    x, y = (rows - rows.mean(axis=0)).T
    b = x @ y / (x @ x)
    return b, ((y - b * x) ** 2).sum() / (len(x) - 2) / (x @ x)


def pooled(tables):
    """A slope from several drawn tables, and its standard error."""
    estimates, variances = np.transpose([slope(rows) for rows in tables])
    between = estimates.var(ddof=1) if len(tables) > 1 else 0.0
    return estimates.mean(), np.sqrt(variances.mean() + (1 + 1 / len(tables)) * between)


def slopes(seed):
    """The slope of one table by three ways of completing it."""
    rows = np.random.RandomState(seed).normal(size=(60, 2)) @ [[1.0, TRUE_SLOPE], [0.0, 0.8]]
    rows[::2, 1] = np.nan
    gaussian = GaussianMLE().fit(rows)
    draws = {"n_draws": M, "random_state": seed}
    return {
        "Conditional means": pooled([gaussian.impute(rows)]),
        f"{M} draws": pooled(gaussian.impute(rows, **draws)),
        f"{M} draws, refitted": pooled(gaussian.impute(rows, **draws, parameter_draws=True)),
    }


found = [slopes(seed) for seed in range(40)]
figure, panels = plt.subplots(1, 3, figsize=(9, 3.6), sharey=True)
for axes, name in zip(panels, found[0], strict=True):
    estimates, errors = np.transpose([each[name] for each in found])
    inside = abs(estimates - TRUE_SLOPE) < WIDTH * errors
    axes.axhline(TRUE_SLOPE, color="#999999", linestyle=(0, (4, 3)), linewidth=1.2)
    for chosen, color in ((inside, "C0"), (~inside, "C3")):
        bars = WIDTH * errors[chosen]
        style = {"fmt": "o", "markersize": 3, "linewidth": 1.2, "color": color}
        axes.errorbar(np.flatnonzero(chosen), estimates[chosen], bars, **style)
    axes.set(title=f"{name}: {inside.mean():.0%} inside", xlabel="table")
panels[0].set_ylabel("slope, central 90 %")
plt.show()
