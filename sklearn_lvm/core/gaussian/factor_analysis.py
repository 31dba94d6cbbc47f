"""Factor analysis of one covariance matrix: loadings and noise at the maximum of the likelihood.

Given the noise the best loadings are known (Joreskog, 1967). What remains is a function of the d
logarithms of the noise alone, the profile, with derivatives in closed form.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import Bounds, minimize
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from ..._typing import Bools, Floats
from ..linalg import EPS, fix_signs, inverse_triangular

MAX_NEWTON = 100  # features up to which second derivatives are worth their cubes
MIN_LANCZOS = 150  # features, from which on leading eigenpairs are found by products
MAX_LANCZOS_SHARE = 0.06  # of factors in features, up to which they are
LANCZOS_TOL = 1e-9  # of residuals, as a share of eigenvalues, whose errors are squares of it
MAX_RESTARTED = 50  # features up to which the search begins at several points
MAX_CHANGE = 3.0  # of the logarithm of a noise variance, in one step
LEAST_CURVATURE = 1e-8  # as a share of the largest
HALVINGS = 30  # of a step, before rounding must be what stands against it
SUFFICIENT = 1e-4  # share of the gain that a gradient promises
SMALL_NOISE = 100.0  # variances in units of the noise, from which on it may go to its floor at once
LEAST_WEIGHT = 1e-10  # of an eigenvalue, by which it differs from the next at least
NEAR = 0.2  # share of its noise, within which of the end of a run another is taken to lead there
NEGLIGIBLE = 0.01  # share of a variance, below which noise is nearly none
NOISE_OF_SUMS = 16 * EPS  # of the profile, as a share of the trace of the whitened matrix


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

    def at(self, x: Floats) -> "ProfilePoints":
        """The profile at r points, (r, d), with all eigenpairs."""
        A = self._whitened(x)
        values, axes = np.linalg.eigh(A)
        return ProfilePoints(x, self.q, _diagonals(A), values[:, ::-1], axes[:, :, ::-1])

    def leading_at(self, x: Floats, near: Floats) -> "ProfilePoints":
        """The profile at a point, (1, d), with leading eigenpairs alone, found from a vector near."""
        A = self._whitened(x)
        values, axes = _leading(A[0], self.q, near)
        return ProfilePoints(x, self.q, _diagonals(A), values[None], axes[None])

    def starts(self) -> Floats:
        """Noise to begin with: half of each variance, all of it, or what the others do not explain."""
        variance = np.diagonal(self.S)
        found = [0.5 * variance, variance]
        unexplained = _unexplained(self.S)
        if unexplained is not None:
            found.append(unexplained)
        return np.maximum(np.log(found), self.least)

    def _whitened(self, x: Floats) -> Floats:
        size = np.exp(-0.5 * x)
        return np.asarray(self.S * size[:, :, None] * size[:, None, :])


@dataclass(frozen=True, eq=False)
class ProfilePoints:
    """The profile at r points, from the whitened matrices A = Psi^-1/2 S Psi^-1/2.

    Attributes
    ----------
    x : ndarray of shape (r, d)
        Logarithms of the noise.
    q : int
    diagonal : ndarray of shape (r, d)
        Of A.
    values, axes : ndarray of shape (r, p) and (r, d, p)
        Eigenpairs of A in falling order, all or no less than the first q.
    """

    x: Floats
    q: int
    diagonal: Floats
    values: Floats
    axes: Floats

    @cached_property
    def excess(self) -> Floats:
        """By how much eigenvalues of factors exceed those of noise, (r, q); 0 if they do not."""
        return np.asarray(np.maximum(self.values[:, : self.q] - 1.0, 0.0))

    @cached_property
    def trace(self) -> Floats:
        return np.asarray(self.diagonal.sum(axis=1))

    @cached_property
    def value(self) -> Floats:
        explained = (np.log1p(self.excess) - self.excess).sum(axis=1)
        return np.asarray(0.5 * (self.x.sum(axis=1) + explained + self.trace))

    @cached_property
    def gradient(self) -> Floats:
        """First derivatives, (r, d)."""
        along = self.axes[:, :, : self.q] ** 2 @ self.excess[:, :, None]
        return np.asarray(0.5 * (1.0 - self.diagonal + along[:, :, 0]))

    def hessian(self) -> Floats:
        """Second derivatives, (r, d, d), which need all eigenpairs (Joreskog, 1967, section 5)."""
        (r, d), q = self.x.shape, self.q
        used = self.excess > 0
        first, others = 1.0 + self.excess[:, :, None], self.values[:, None, :]
        gap = np.maximum(first - others, LEAST_WEIGHT * first)
        weight = self.excess[:, :, None] * (first + others) / gap
        weight[:, :, :q] *= ~used[:, None, :]
        factors = self.axes[:, :, :q]
        pairs = (factors[:, :, :, None] * self.axes[:, :, None, :]).reshape(r, d, -1)
        W = factors * used[:, None, :]
        H = -((W * first.mT) @ W.mT) * (W @ W.mT) - (pairs * weight.reshape(r, 1, -1)) @ pairs.mT
        H.reshape(r, -1)[:, :: d + 1] += self.diagonal
        return np.asarray(0.5 * H)

    def free(self, least: Floats) -> Bools:
        """Which entries are not held at their least value by the gradient, (r, d)."""
        return ~((self.x <= least) & (self.gradient > 0))

    def subset(self, chosen: Bools) -> "ProfilePoints":
        """Some of the points."""
        parts = (part[chosen] for part in (self.diagonal, self.values, self.axes))
        return ProfilePoints(self.x[chosen], self.q, *parts)

    def solution(self, i: int, values: list[float], converged: bool) -> FactorSolution:
        """One of the points, with the values of those on the way; largest entries are positive."""
        W = self.axes[i, :, : self.q] * np.sqrt(self.excess[i])
        loadings = fix_signs((W * np.exp(0.5 * self.x[i])[:, None]).T).T
        best = -np.minimum.accumulate(values)  # but for rounding they never rise
        return FactorSolution(loadings, np.exp(self.x[i]), tuple(best.tolist()), converged)


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
    starts = profile.starts()
    if profile.d > MAX_NEWTON:
        return _by_quasi_newton(profile, starts, tol, max_iter)
    points = profile.at(starts)
    if profile.d > MAX_RESTARTED:
        points = points.subset(points.value == points.value.min())
    return _by_newton(profile, points, tol, max_iter)


def _by_newton(
    profile: Profile, points: ProfilePoints, tol: float, max_iter: int
) -> FactorSolution:
    """Newton's method from several points side by side, of which the best end is kept."""
    runs = [[value] for value in points.value]
    ends: list[FactorSolution] = []
    for _ in range(max_iter):
        step = NewtonSteps.of(points, profile.least)
        following, moved = _searched(profile, points, step, step.gain >= tol)
        # Where none is made, nothing is left to gain, or rounding hides it.
        ends += [points.solution(i, runs[i], True) for i in np.flatnonzero(~moved).tolist()]
        moved &= ~_near(following, ends, np.diagonal(profile.S))
        points, runs = following.subset(moved), [runs[i] for i in np.flatnonzero(moved)]
        if not runs:
            break
        for run, value in zip(runs, points.value, strict=True):
            run.append(value)
    ends += [points.solution(i, run, False) for i, run in enumerate(runs)]
    return max(ends, key=lambda end: end.trace[-1])


def _near(points: ProfilePoints, ends: list[FactorSolution], variance: Floats) -> Bools:
    """Which points lie near the end of another run, and no higher, (r,)."""
    if not ends:
        return np.zeros(len(points.x), dtype=bool)
    known = np.stack([end.noise for end in ends])
    gaps = np.abs(np.exp(points.x)[:, None] - known) / (known + NEGLIGIBLE * variance)
    lower = -points.value[:, None] <= [end.trace[-1] for end in ends]
    return np.asarray(((gaps.max(axis=2) < NEAR) & lower).any(axis=1))


@dataclass(frozen=True, eq=False)
class NewtonSteps:
    """A step of each point, with curvatures by their magnitudes, so that every step leads down.

    Attributes
    ----------
    change : ndarray of shape (r, d)
    gain : ndarray of shape (r,)
        What it gains, to second order.
    falling : ndarray of bool of shape (r, d)
        Small entries of the noise that gain by any decrease, as far as their derivatives tell.
    """

    change: Floats
    gain: Floats
    falling: Bools

    @classmethod
    def of(cls, points: ProfilePoints, least: Floats) -> "NewtonSteps":
        free, H, slope = points.free(least), points.hessian(), points.gradient
        # As a function of the noise itself, a parabola has its minimum below zero.
        downwards = (slope > 0) & (_diagonals(H) < 2.0 * slope)
        falling = free & downwards & (points.diagonal > SMALL_NOISE)
        if not free.all():
            H = np.where(free[:, :, None] & free[:, None, :], H, np.eye(H.shape[1]))
        curvature, axes = np.linalg.eigh(H)
        size = np.abs(curvature)
        size = np.maximum(size, LEAST_CURVATURE * np.maximum(size.max(axis=1, keepdims=True), 1.0))
        along = (axes.mT @ np.where(free, slope, 0.0)[:, :, None])[:, :, 0]
        change = -(axes @ (along / size)[:, :, None])[:, :, 0]
        return cls(change, 0.5 * (along**2 / size).sum(axis=1), falling)


def _searched(
    profile: Profile, points: ProfilePoints, step: NewtonSteps, wanted: Bools
) -> tuple[ProfilePoints, Bools]:
    """The first of ever shorter steps that gains enough, for points where one is wanted and exists."""
    longest = np.abs(step.change).max(axis=1, keepdims=True)
    size = np.minimum(1.0, MAX_CHANGE / np.maximum(longest, EPS))
    slack, floored, reached = NOISE_OF_SUMS * points.trace, step.falling, ~wanted
    x = points.x
    for _ in range(HALVINGS):
        plain = np.maximum(points.x + size * step.change, profile.least)
        promised = (points.gradient * (plain - points.x)).sum(axis=1)
        x = np.where(reached[:, None], x, np.where(floored, profile.least, plain))
        found = profile.at(x)
        reached = reached | (found.value <= points.value + SUFFICIENT * promised + slack)
        if reached.all():
            break
        size = np.where(floored.any(axis=1, keepdims=True) | reached[:, None], size, 0.5 * size)
        floored = np.zeros_like(floored)
    return found, wanted & reached


def _by_quasi_newton(profile: Profile, starts: Floats, tol: float, max_iter: int) -> FactorSolution:
    """L-BFGS-B, which needs leading eigenpairs alone (Byrd, Lu, Nocedal & Zhu, 1995)."""
    near: Floats = np.ones(profile.d)
    candidates = [profile.leading_at(x[None], near) for x in starts]
    current = min(candidates, key=lambda point: float(point.value[0]))
    trace = [current.value[0]]

    def function(x: Floats) -> tuple[float, Floats]:
        nonlocal current
        current = profile.leading_at(x[None].copy(), current.axes[0].sum(axis=1))
        return float(current.value[0]), current.gradient[0]

    found = minimize(
        function,
        current.x[0],
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(profile.least, np.full(profile.d, np.inf)),
        callback=lambda x: trace.append(current.value[0]),
        options={
            "maxiter": max_iter,
            "maxfun": 20 * max_iter,
            "ftol": 0.1 * tol / max(abs(current.value[0]), 1.0),
            "gtol": 0.1 * np.sqrt(tol / profile.d),
        },
    )
    if not np.array_equal(current.x[0], found.x):
        current = profile.leading_at(found.x[None], near)
    return current.solution(0, trace, found.status != 1)


def _diagonals(matrices: Floats) -> Floats:
    return np.diagonal(matrices, axis1=1, axis2=2)


def _leading(A: Floats, q: int, near: Floats) -> tuple[Floats, Floats]:
    """The q leading eigenpairs of a symmetric matrix (d, d), in falling order."""
    d = len(A)
    if q == 0:
        return np.empty(0), np.empty((d, 0))
    if d >= MIN_LANCZOS and q <= MAX_LANCZOS_SHARE * d:
        try:
            values, axes = eigsh(A, q, which="LA", v0=near, tol=LANCZOS_TOL)
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
