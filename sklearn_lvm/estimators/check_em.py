"""A test of the methods that a user wrote: whether they are the EM of one model."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from .._typing import Floats, Weights
from ..fitting.latent_variable_model import FailedStepError, Theta, UserStatistics, UserSteps
from .latent_variable_model import LatentVariableModel

N_THETAS = 20
N_DRAWS = 2000
N_STEPS = 3  # of EM before rows are drawn: from a start the next theta may be too far to compare
ERRORS = 4.0  # standard errors
RELATIVE_ERROR = 1e-8  # relative to the largest entry of an array, or to an objective


def check_em(model: LatentVariableModel, X: ArrayLike, sample_weight: Weights = None) -> None:
    """Check that ``expect`` and ``maximize`` of a model fit together, and are a density.

    Statistics must add over blocks, a weight must count as a repetition, and an M-step must not lower
    sum_i w_i log p(x_i | theta) + log p(theta), in nats, from any of 20 random thetas. If the model
    has ``draw``, then over 2000 rows drawn from theta the mean of p(x | theta') / p(x | theta) must be
    1 for the next theta', and the mean of log p(x | theta) - log p(x | theta') must not be negative,
    each within four standard errors.

    Parameters
    ----------
    model : LatentVariableModel
        It is left as it is.
    X : array-like of shape (n_samples, n_features)
    sample_weight : array-like of shape (n_samples,), default=None

    Raises
    ------
    AssertionError
        If a law is broken; the message names the method.
    ValueError
        If a method fails, or returns what has another shape; the message names it.

    References
    ----------
    A. P. Dempster, N. M. Laird & D. B. Rubin, "Maximum likelihood from incomplete data via the EM
    algorithm", Journal of the Royal Statistical Society B 39 (1977), theorem 1.

    Examples
    --------
    An M-step that forgets to divide is found:

    >>> import numpy as np
    >>> from sklearn_lvm import LatentVariableModel, check_em
    >>> class Mean(LatentVariableModel):
    ...     def start(self, X, weight, rng):
    ...         return {"mean": rng.normal(size=X.shape[1])}
    ...     def expect(self, theta, X, weight):
    ...         square = ((X - theta["mean"]) ** 2 + np.log(2 * np.pi)).sum(axis=1)
    ...         return {"n": weight.sum(), "sum": weight @ X}, -square / 2
    ...     def maximize(self, statistics, theta):
    ...         return {"mean": statistics["sum"] / statistics["n"]}
    >>> X = np.random.RandomState(0).normal(3.0, size=(50, 2))
    >>> check_em(Mean(), X)
    >>> class Sum(Mean):
    ...     def maximize(self, statistics, theta):
    ...         return {"mean": statistics["sum"]}
    >>> check_em(Sum(), X)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: maximize must not lower the objective, which fell from ... to ...
    """
    checked = clone(model)
    rows = checked._distinct_rows(X, sample_weight)
    laws = _Laws(checked, np.asarray(rows.X, dtype=np.float64), rows.w)
    try:
        with np.errstate(all="ignore"):
            laws.hold(random_draws=type(checked).draw is not LatentVariableModel.draw)
    except FailedStepError as failure:
        raise ValueError(f"{failure}.") from failure


class _Laws:
    """The laws of one model and some weighted rows."""

    def __init__(self, model: LatentVariableModel, X: Floats, w: Floats) -> None:
        self.model, self.X, self.w, self.steps = model, X, w, UserSteps(model)

    def hold(self, *, random_draws: bool) -> None:
        """Raise an AssertionError if a law is broken; those of draws are for models that draw."""
        thetas = [self.theta(seed) for seed in range(N_THETAS)]
        self.blocks_add(thetas[0])
        self.weights_are_repetitions(thetas[0])
        for theta in thetas:
            self.step_raises_objective(theta)
        if random_draws:
            self.is_normalized(thetas[0])

    def theta(self, seed: int) -> Theta:
        """A random theta: a start, then an M-step under random weights, which keeps constraints."""
        rng = np.random.RandomState(seed)
        start = self.steps.start(self.X.copy(), self.w.copy(), rng)
        return self.next(start, self.w * rng.exponential(size=len(self.w)))

    def next(self, theta: Theta, w: Floats) -> Theta:
        statistics, _ = self.measured(theta, self.X, w)
        return self.steps.m_step(statistics, theta)

    def measured(self, theta: Theta, X: Floats, w: Floats) -> tuple[UserStatistics, Floats]:
        statistics, log_evidence = self.steps.e_step(theta).measured(X.T, w)
        return UserStatistics(statistics), log_evidence

    def entries(self, statistics: UserStatistics, theta: Theta) -> dict[str, Any]:
        """Arrays by which statistics are compared: their own, or those of the next theta."""
        value = statistics.value
        return value if isinstance(value, dict) else self.steps.m_step(statistics, theta)

    def same(self, a: UserStatistics, b: UserStatistics, theta: Theta, what: str) -> None:
        expected = self.entries(a, theta)
        for name, found in self.entries(b, theta).items():
            assert _close(expected[name], found), f"{what}: not so in {name!r}."

    def blocks_add(self, theta: Theta) -> None:
        whole, log_evidence = self.measured(theta, self.X, self.w)
        middle = (len(self.w) + 1) // 2
        parts = [
            self.measured(theta, self.X[part], self.w[part])
            for part in (slice(middle), slice(middle, None))
            if len(self.w[part])
        ]
        joined = parts[0][0] if len(parts) == 1 else parts[0][0] + parts[1][0]
        self.same(
            whole, joined, theta, "expect must return statistics that add over blocks of rows"
        )
        assert _close(log_evidence, np.concatenate([part for _, part in parts])), (
            "expect must return the log-evidence of each row by itself: it differs by block."
        )

    def weights_are_repetitions(self, theta: Theta) -> None:
        times = 1 + np.arange(len(self.w)) % 3
        weighted, log_evidence = self.measured(theta, self.X, self.w * times)
        repeated, _ = self.measured(theta, self.X.repeat(times, axis=0), self.w.repeat(times))
        what = "expect must weigh statistics, so that a weight of two is a row given twice"
        self.same(repeated, weighted, theta, what)
        _, unweighted = self.measured(theta, self.X, self.w)
        assert _close(unweighted, log_evidence), (
            "expect must return the log-evidence of each row without its weight."
        )

    def objective(self, theta: Theta) -> float:
        _, log_evidence = self.measured(theta, self.X, self.w)
        return float(self.w @ log_evidence) + self.steps.log_prior(theta)

    def step_raises_objective(self, theta: Theta) -> None:
        before, after = self.objective(theta), self.objective(self.next(theta, self.w))
        assert after >= before - RELATIVE_ERROR * (1.0 + abs(before)), (
            f"maximize must not lower the objective, which fell from {before:g} to {after:g}. Either "
            "maximize, the statistics of expect, or log_prior is of another model."
        )

    def is_normalized(self, theta: Theta) -> None:
        for _ in range(N_STEPS):
            theta = self.next(theta, self.w)
        drawn = self.model.draw(theta, N_DRAWS, np.random.RandomState(0))
        rows = np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn, dtype=np.float64)
        one = np.ones(len(rows))
        _, known = self.measured(theta, rows, one)
        _, other = self.measured(self.next(theta, self.w), rows, one)
        ratio, gain = np.exp(other - known), known - other
        assert abs(ratio.mean() - 1.0) <= _error(ratio), (
            f"expect must return a normalized log-evidence, of the density that draw draws from: the "
            f"mean of p(x | theta') / p(x | theta) is {ratio.mean():g}, not 1."
        )
        assert gain.mean() >= -_error(gain), (
            "draw must draw from the density of expect: its rows are more likely under another theta."
        )


def _error(values: Floats) -> float:
    """Four standard errors of a mean, and rounding."""
    return ERRORS * float(values.std()) / len(values) ** 0.5 + RELATIVE_ERROR


def _close(expected: Any, found: Any) -> bool:
    """Whether two arrays are equal but for rounding."""
    a, b = np.asarray(expected, dtype=np.float64), np.asarray(found, dtype=np.float64)
    finite = np.abs(a[np.isfinite(a)])
    scale = float(finite.max(initial=1e-300))
    return a.shape == b.shape and np.allclose(
        a, b, rtol=0.0, atol=RELATIVE_ERROR * scale, equal_nan=True
    )
