"""Factor analysis of one covariance matrix: loadings and noise at the maximum of the likelihood.

Given the noise the best loadings are known (Joreskog, 1967). What remains is a function of the d
logarithms of the noise alone, the profile, with derivatives in closed form.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from ..._typing import Bools, Floats
from ..linalg import EPS, fix_signs, inverse_triangular

MAX_NEWTON = 100  # features up to which second derivatives are worth their cubes
MIN_LANCZOS, MAX_LANCZOS_SHARE = (
    150,
    0.02,
)  # features, and the share of factors, for leading pairs alone
MAX_RESTARTED = 50  # features up to which the search begins at several points
MAX_CHANGE = 3.0  # of the logarithm of a noise variance, in one step
LEAST_CURVATURE = 1e-8  # as a share of the largest
HALVINGS = 30  # of a step, before rounding must be what stands against it
SUFFICIENT = 1e-4  # share of the gain that a gradient promises
SMALL_NOISE = 100.0  # variances in units of the noise, from which on it may go to its floor at once
LEAST_WEIGHT = 1e-10  # of an eigenvalue, by which it differs from the next at least
ROUNDING = 16 * EPS  # of the profile, as a share of the trace of the whitened matrix


@dataclass(frozen=True, eq=False)
class FactorSolution:
    """Loadings and noise, and how they were found.

    Attributes
    ----------
    loadings : ndarray of shape (d, q)
        Columns in falling order of what they explain in units of the noise.
    noise : ndarray of shape (d,)
    trace : tuple of float
        log|C| + tr(inv(C) S) over -2 at the start, and after each iteration; it never falls.
    converged : bool
        Whether the estimated remaining gain is below the tolerance.
    """

    loadings: Floats
    noise: Floats
    trace: tuple[float, ...]
    converged: bool

    @property
    def n_iter(self) -> int:
        return len(self.trace) - 1


@dataclass(frozen=True, eq=False)
class Profile:
    """(log|C| + tr(inv(C) S)) / 2 at the best W for the noise exp(x), C = W W' + diag(exp(x)).

    Attributes
    ----------
    S : ndarray of shape (d, d)
        In any units, with positive diagonal.
    q : int
        Columns of W.
    least : ndarray of shape (d,)
        Logarithms of what noise may not fall below.
    """

    S: Floats
    q: int
    least: Floats

    @property
    def d(self) -> int:
        return len(self.S)

    def at(self, x: Floats) -> "ProfilePoint":
        """The profile at x, (d,), with all eigenpairs."""
        A = self._whitened(x)
        values, axes = np.linalg.eigh(A)
        return ProfilePoint(x, self.q, np.diagonal(A), values[::-1], axes[:, ::-1])

    def leading_at(self, x: Floats, near: Floats) -> "ProfilePoint":
        """The profile at x with leading eigenpairs alone, found from a vector near to them."""
        A = self._whitened(x)
        values, axes = _leading(A, self.q, near)
        return ProfilePoint(x, self.q, np.diagonal(A), values, axes)

    def starts(self) -> Iterable[Floats]:
        """Noise to begin with: half of each variance, all of it, or what the others do not explain."""
        variance = np.log(np.diagonal(self.S))
        yield np.maximum(variance - np.log(2.0), self.least)
        yield np.maximum(variance, self.least)
        unexplained = _unexplained(self.S)
        if unexplained is not None:
            yield np.maximum(np.log(unexplained), self.least)

    def _whitened(self, x: Floats) -> Floats:
        size = np.exp(-0.5 * x)
        return np.asarray(self.S * size[:, None] * size)


@dataclass(frozen=True, eq=False)
class ProfilePoint:
    """The profile at logarithms of the noise, from the whitened matrix A = Psi^-1/2 S Psi^-1/2.

    Attributes
    ----------
    x : ndarray of shape (d,)
    q : int
    diagonal : ndarray of shape (d,)
        Of A.
    values, axes : ndarray of shape (p,) and (d, p)
        Eigenpairs of A in falling order, all or no less than the first q.
    """

    x: Floats
    q: int
    diagonal: Floats
    values: Floats
    axes: Floats

    @cached_property
    def n_used(self) -> int:
        """How many columns of W are not zero."""
        return int(np.count_nonzero(self.values[: self.q] > 1.0))

    @property
    def _used(self) -> tuple[Floats, Floats]:
        return self.values[: self.n_used], self.axes[:, : self.n_used]

    @property
    def trace(self) -> float:
        return float(self.diagonal.sum())

    @cached_property
    def value(self) -> float:
        values, _ = self._used
        explained = (np.log(values) + 1.0 - values).sum()
        return float(0.5 * (self.x.sum() + explained + self.trace))

    @cached_property
    def gradient(self) -> Floats:
        values, axes = self._used
        return np.asarray(0.5 * (1.0 - self.diagonal + axes**2 @ (values - 1.0)))

    def hessian(self) -> Floats:
        """Second derivatives, (d, d), which need all eigenpairs (Joreskog, 1967, section 5)."""
        values, axes = self._used
        others, rest = self.values[self.n_used :], self.axes[:, self.n_used :]
        first = values[:, None]
        gap = np.maximum(first - others, LEAST_WEIGHT * first)
        weight = (first - 1.0) * (first + others) / gap
        product = (axes[:, :, None] * rest[:, None, :]).reshape(len(axes), -1)
        H = -((axes * values) @ axes.T) * (axes @ axes.T) - (product * weight.ravel()) @ product.T
        H[np.diag_indices_from(H)] += self.diagonal
        return np.asarray(0.5 * H)

    def free(self, least: Floats) -> Bools:
        """Which entries are not held at their least value by the gradient."""
        return ~((self.x <= least) & (self.gradient > 0))

    def loadings(self) -> Floats:
        """The best W, (d, q), each column with its largest entry positive."""
        values, axes = self._used
        W = np.zeros((len(self.x), self.q))
        signed = fix_signs((axes * np.exp(0.5 * self.x)[:, None]).T).T
        W[:, : self.n_used] = signed * np.sqrt(values - 1.0)
        return W


def most_likely(S: Floats, least: Floats, q: int, *, tol: float, max_iter: int) -> FactorSolution:
    """The maximum of -(log|C| + tr(inv(C) S)) / 2 over C = W W' + diag(psi), psi no less than a floor.

    There may be several maxima. The search begins at three points, and the best is kept; of many
    features it begins at the best of them.

    Parameters
    ----------
    S : ndarray of shape (d, d)
    least : ndarray of shape (d,)
        The floor, which is positive.
    q : int
        Columns of W, from 0 to d - 1.
    tol : float
        The estimated remaining gain at which the search ends, in nats.
    max_iter : int
        The most iterations.

    Examples
    --------
    Loadings and noise of a covariance that has this form are found again:

    >>> import numpy as np
    >>> from sklearn_lvm.core.gaussian.factor_analysis import most_likely
    >>> w, noise = np.array([1.0, 2.0, 3.0, 1.0]), np.array([1.0, 0.5, 2.0, 0.1])
    >>> C = np.outer(w, w) + np.diag(noise)
    >>> found = most_likely(C, np.full(4, 1e-6), 1, tol=1e-12, max_iter=100)
    >>> np.allclose(found.loadings[:, 0], w), np.allclose(found.noise, noise)
    (True, True)
    """
    profile = Profile(S, q, np.log(least))
    starts = list(profile.starts())
    if profile.d > MAX_NEWTON:
        return _by_quasi_newton(profile, starts, tol, max_iter)
    points = [profile.at(x) for x in starts]
    if profile.d > MAX_RESTARTED:
        points = [min(points, key=lambda point: point.value)]
    runs = [_by_newton(profile, point, tol, max_iter) for point in points]
    return max(runs, key=lambda run: run.trace[-1])


def _by_newton(profile: Profile, point: ProfilePoint, tol: float, max_iter: int) -> FactorSolution:
    """Newton's method, with curvatures by their magnitudes, so that every step leads down."""
    trace = [point.value]
    while len(trace) <= max_iter:
        step = NewtonStep.of(point, profile.least)
        following = None if step.gain < tol else _searched(profile, point, step)
        if following is None:  # nothing is left to gain, or rounding hides it
            return _solution(point, trace, True)
        point = following
        trace.append(point.value)
    return _solution(point, trace, False)


@dataclass(frozen=True, eq=False)
class NewtonStep:
    """A step of the profile.

    Attributes
    ----------
    change : ndarray of shape (d,)
    gain : float
        What it gains, to second order.
    falling : ndarray of bool of shape (d,)
        Small entries of the noise that gain by any decrease, as far as their derivatives tell.
    """

    change: Floats
    gain: float
    falling: Bools

    @classmethod
    def of(cls, point: ProfilePoint, least: Floats) -> "NewtonStep":
        free, H, gradient = point.free(least), point.hessian(), point.gradient
        curvature, axes = np.linalg.eigh(H[np.ix_(free, free)])
        size = np.abs(curvature)
        size = np.maximum(size, LEAST_CURVATURE * max(1.0, size.max(initial=0.0)))
        along = axes.T @ gradient[free]
        change = np.zeros_like(point.x)
        change[free] = -(axes @ (along / size))
        # As a function of the noise itself, a parabola has its minimum below zero.
        downwards = (gradient > 0) & (np.diagonal(H) < 2.0 * gradient)
        falling = free & downwards & (point.diagonal > SMALL_NOISE)
        return cls(change, float(0.5 * (along**2 / size).sum()), falling)


def _searched(profile: Profile, point: ProfilePoint, step: NewtonStep) -> ProfilePoint | None:
    """The first of ever shorter steps that gains enough; None if none does."""
    size = min(1.0, MAX_CHANGE / max(float(np.abs(step.change).max()), EPS))
    slack = ROUNDING * point.trace
    floored = step.falling
    for _ in range(HALVINGS):
        x = np.maximum(point.x + size * step.change, profile.least)
        promised = float(point.gradient @ (x - point.x))
        found = profile.at(np.where(floored, profile.least, x))
        if found.value <= point.value + SUFFICIENT * promised + slack:
            return found
        size, floored = size if floored.any() else size / 2.0, np.zeros_like(floored)
    return None


def _by_quasi_newton(
    profile: Profile, starts: list[Floats], tol: float, max_iter: int
) -> FactorSolution:
    """L-BFGS-B, which needs leading eigenpairs alone (Byrd, Lu, Nocedal & Zhu, 1995)."""
    near: Floats = np.ones(profile.d)
    candidates = [profile.leading_at(x, near) for x in starts]
    current = min(candidates, key=lambda point: point.value)
    trace = [current.value]

    def function(x: Floats) -> tuple[float, Floats]:
        nonlocal current
        current = profile.leading_at(x, current.axes.sum(axis=1))
        return current.value, current.gradient

    found = minimize(
        function,
        current.x,
        jac=True,
        method="L-BFGS-B",
        bounds=[(least, None) for least in profile.least],
        callback=lambda x: trace.append(current.value),
        options={
            "maxiter": max_iter,
            "maxfun": 20 * max_iter,
            "ftol": 0.1 * tol / max(abs(current.value), 1.0),
            "gtol": 0.1 * np.sqrt(tol / profile.d),
        },
    )
    return _solution(profile.leading_at(found.x, near), trace, len(trace) <= max_iter)


def _solution(point: ProfilePoint, values: list[float], converged: bool) -> FactorSolution:
    best = np.minimum.accumulate(values)  # but for rounding they never rise
    return FactorSolution(point.loadings(), np.exp(point.x), tuple((-best).tolist()), converged)


def _leading(A: Floats, q: int, near: Floats) -> tuple[Floats, Floats]:
    """The q leading eigenpairs of a symmetric matrix (d, d), in falling order."""
    d = len(A)
    if q == 0:
        return np.empty(0), np.empty((d, 0))
    if d >= MIN_LANCZOS and q <= MAX_LANCZOS_SHARE * d:
        try:
            values, axes = eigsh(A, q, which="LA", v0=near)
        except ArpackNoConvergence:
            pass
        else:
            return values[::-1], axes[:, ::-1]
    values, axes = eigh(A, subset_by_index=[d - q, d - 1], check_finite=False)
    return values[::-1], axes[:, ::-1]


def _unexplained(S: Floats) -> Floats | None:
    """The variances given all other features, (d,); None where S is singular to working precision."""
    size = np.sqrt(np.diagonal(S))
    try:
        factor = np.linalg.cholesky(S / np.outer(size, size))
    except np.linalg.LinAlgError:
        return None
    if np.diagonal(factor).min() ** 2 <= 4 * len(S) * EPS:
        return None
    return np.asarray(size**2 / (inverse_triangular(factor) ** 2).sum(axis=0))
