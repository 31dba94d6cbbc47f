"""Given matrices as low rank plus noise: the noise that makes them most likely, by Newton's method.

With lambda_m the eigenvalues and u_m the eigenvectors of inv(Psi)^(1/2) S inv(Psi)^(1/2), the best W
leaves the sum of lambda_m - log lambda_m - 1 over the d - q least ones, twice the divergence from S. By
log psi_j it has the slope sum_m (1 - lambda_m) u_mj^2, and about the curvature (sum_m u_mi u_mj)^2
(Joreskog, 1967). It is 0 where S is W W' + Psi: then the curvature is all of the second derivative, and
steps lead to the last digits, which a search for a maximum does not need.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._typing import Floats

# Searches, one after the other until one ends at a matrix that is S. The first begins with the greatest
# noise that leaves S - Psi positive, the others with random shares of it.
MAX_SEARCHES, LEAST_SHARE = 24, 0.1
NEGLIGIBLE = 1e-12  # nats
MAX_STEPS, MAX_HALVINGS, MAX_STEP = 100, 20, 3.0  # of one search; the last of a logarithm
MAX_LAST_STEPS = 10
LEAST_GAIN = 1e-5  # of the divergence, by a step: near S it shrinks by far more
FLAT = 1e-10  # curvature, beside the largest, that is no more than rounding


@dataclass(frozen=True, eq=False)
class NoiseOf:
    """The noise of one matrix, in units in which its variances are 1.

    Attributes
    ----------
    correlation : ndarray of shape (d, d)
    q : int
        Columns of W.
    log_noise : ndarray of shape (d,)
    """

    correlation: Floats
    q: int
    log_noise: Floats

    @cached_property
    def _others(self) -> tuple[Floats, Floats]:
        """The least eigenvalues, less 1, and their vectors: what no factor explains."""
        size = np.exp(0.5 * self.log_noise)
        values, axes = np.linalg.eigh(self.correlation / np.outer(size, size))
        n = len(values) - self.q
        return np.maximum(values[:n] - 1.0, -1.0 + 1e-300), axes[:, :n]

    @cached_property
    def divergence(self) -> float:
        """In nats, from the matrix to the most likely one of this noise."""
        excess = self._others[0]
        return float(0.5 * (excess - np.log1p(excess)).sum())

    def direction(self, least: float) -> Floats:
        """A step of Newton's method, or the part of it that is known, (d,).

        Noise at its least stays there where less of it would be better.
        """
        excess, axes = self._others
        slope = (axes**2) @ excess
        free = (self.log_noise > np.log(least)) | (slope > 0)
        step, own = np.zeros(len(slope)), axes[free]
        if free.any():
            step[free] = _solved((own @ own.T) ** 2, slope[free])
        return np.asarray(step * min(1.0, MAX_STEP / max(np.abs(step).max(), MAX_STEP)))

    def moved(self, step: Floats, least: float) -> "NoiseOf":
        """The same with other noise, which is no less than a share of each variance."""
        log_noise = np.clip(self.log_noise + step, np.log(least), 0.0)
        return NoiseOf(self.correlation, self.q, log_noise)

    def improved(self, least: float) -> "NoiseOf":
        """After one step, which is halved until it helps; the same if none does."""
        step = self.direction(least)
        for _ in range(MAX_HALVINGS):
            other = self.moved(step, least)
            if other.divergence < (1.0 - LEAST_GAIN) * self.divergence:
                return other
            step = 0.5 * step
        return self


def most_likely_noise(S: Floats, q: int, least: float) -> Floats:
    """The diagonal of Psi for which W W' + Psi is nearest to a positive definite matrix S (d, d).

    If S is such a matrix, searches go on until one has found it to its last digits, since some end in
    local maxima. Of another matrix the noise is found to about a percent of the divergence.

    Parameters
    ----------
    S : ndarray of shape (d, d)
    q : int
        Columns of W.
    least : float
        Share of each variance that noise keeps.
    """
    variance = np.diagonal(S)
    size = np.sqrt(variance)
    correlation = S / np.outer(size, size)
    greatest = 1.0 / np.diagonal(np.linalg.inv(correlation))
    start = NoiseOf(correlation, q, np.log(np.clip(greatest, least, 1.0)))
    best, rng = _searched(start, least), np.random.RandomState(0)
    for _ in range(MAX_SEARCHES):
        if best.divergence < NEGLIGIBLE:
            break
        share = rng.uniform(np.log(LEAST_SHARE), 0.0, len(S))
        best = min(best, _searched(start.moved(share, least), least), key=_divergence)
    noise = np.exp(best.log_noise)
    if best.divergence < NEGLIGIBLE:
        noise = _with_last_digits(noise, correlation, q, least)
    return np.asarray(noise * variance)


def _divergence(noise: NoiseOf) -> float:
    return noise.divergence


def _searched(start: NoiseOf, least: float) -> NoiseOf:
    found = start
    for _ in range(MAX_STEPS):
        following = found.improved(least)
        if following is found:
            break
        found = following
    return found


def _with_last_digits(noise: Floats, correlation: Floats, q: int, least: float) -> Floats:
    """Noise for which d - q eigenvalues of S - Psi are 0, from where they are nearly: by least squares.

    The divergence is the square of what is left, and ends in rounding at half of the digits.
    """
    left, before = np.inf, noise
    for _ in range(MAX_LAST_STEPS):
        values, axes = np.linalg.eigh(correlation - np.diag(noise))
        excess, axes = values[: len(values) - q], axes[:, : len(values) - q]
        if not np.abs(excess).max() < left:
            return before
        before, left = noise, np.abs(excess).max()
        step = _solved((axes @ axes.T) ** 2, (axes**2) @ excess)
        noise = np.clip(noise + step, least, 1.0)
    return before


def _solved(curvature: Floats, slope: Floats) -> Floats:
    """inv(curvature) slope, as far as the curvature is more than rounding."""
    values, axes = np.linalg.eigh(curvature)
    return np.asarray(axes @ ((axes.T @ slope) / np.maximum(values, FLAT * values[-1])))
