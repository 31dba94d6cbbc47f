"""Tables with missing entries, and one step of EM as a loop over their rows."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, tau
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.preprocessing import StandardScaler

Array = np.ndarray
PUBLISHED = 1234  # the seed of the mask of published figures


def hidden(X: Array, seed: int, share: float = 0.5) -> Array:
    """The table with a share of all cells hidden, completely at random."""
    state = np.random.RandomState(seed)
    incomplete = X.copy()
    cells = state.choice(X.size, int(np.floor(X.size * share)), replace=False)
    incomplete.ravel()[cells] = np.nan
    return incomplete


def in_folder(folder: Path, name: str, *keys: str) -> Array:
    """Columns of an NPZ file."""
    with np.load(folder / f"{name}.npz") as data:
        return np.column_stack([data[key].astype(float) for key in keys])


TABLES: dict[str, Callable[[Path], Array]] = {
    "breast cancer": lambda folder: load_breast_cancer().data,
    "iris": lambda folder: load_iris().data,
    "red wine, 12 columns": lambda folder: in_folder(folder, "redwine", "X", "y"),
    "red wine, 11 columns": lambda folder: in_folder(folder, "redwine", "X"),
    "concrete": lambda folder: in_folder(folder, "concrete", "X"),
}


def standardized_tables(folder: Path, names: tuple[str, ...] = tuple(TABLES)) -> dict[str, Array]:
    """Tables in standard units; a line says which files are missing."""
    found = {}
    for name in names:
        try:
            found[name] = StandardScaler().fit_transform(TABLES[name](folder))
        except FileNotFoundError as failure:
            print(f"{failure.filename}: no such file under --data: {name} is skipped")
    return found


def near_a_plane(n: int, d: int, q: int, seed: int = 0) -> Array:
    """Gaussian rows near a q-dimensional plane, with noise of variance 1/4."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, q)) @ rng.normal(size=(q, d)) + 0.5 * rng.normal(size=(n, d))


def without_cells(X: Array, share: float, seed: int = 0) -> Array:
    """Each cell is hidden with this probability, but for one of each row."""
    rng = np.random.default_rng(seed)
    missing = rng.random(X.shape) < share
    missing[np.arange(len(X)), rng.integers(X.shape[1], size=len(X))] = False
    return np.where(missing, np.nan, X)


def with_incomplete_rows(X: Array, share: float, cells: float, seed: int = 0) -> Array:
    """A share of the rows has a share of its cells hidden, and at least one."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(X))[: round(share * len(X))]
    incomplete = X.copy()
    incomplete[chosen] = without_cells(X[chosen], cells, seed)
    incomplete[chosen, rng.integers(X.shape[1], size=len(chosen))] = np.nan
    return incomplete


@dataclass(frozen=True, eq=False)
class GaussianLoop:
    """One step of EM for a Gaussian with a full covariance, row by row."""

    mean: Array
    covariance: Array

    def step(self, X: Array) -> tuple[float, Array, Array]:
        """The log-likelihood of what was observed, and the next mean and covariance."""
        filled, spread, log_likelihood = X.copy(), np.zeros_like(self.covariance), 0.0
        for row in filled:
            log_likelihood += self._completed(row, spread)
        mean = filled.mean(axis=0)
        centered = filled - mean
        return log_likelihood, mean, (centered.T @ centered + spread) / len(X)

    def _completed(self, row: Array, spread: Array) -> float:
        """Fill a row, add its conditional covariance to ``spread``; the log-density of the others."""
        C, u = self.covariance, np.isnan(row)
        o = ~u
        C_oo = C[np.ix_(o, o)]
        centered = row[o] - self.mean[o]
        weights = np.linalg.solve(C_oo, centered)
        if u.any():
            C_uo = C[np.ix_(u, o)]
            row[u] = self.mean[u] + C_uo @ weights
            spread[np.ix_(u, u)] += C[np.ix_(u, u)] - C_uo @ np.linalg.solve(C_oo, C_uo.T)
        log_det = np.linalg.slogdet(C_oo)[1]
        return -0.5 * float(centered @ weights + log_det + len(centered) * log(tau))


@dataclass(frozen=True, eq=False)
class PPCALoop:
    """One step of EM for probabilistic principal components, row by row."""

    W: Array
    mean: Array
    noise: float

    def step(self, X: Array) -> tuple[float, Array, float]:
        """The log-likelihood of what was observed, and the next loadings with means, and the noise."""
        d, q = self.W.shape
        second, cross = np.zeros((d, q + 1, q + 1)), np.zeros((d, q + 1))
        log_likelihood, square = 0.0, 0.0
        for row in X:
            o = ~np.isnan(row)
            found, moments, first = self._latent(row[o], o)
            log_likelihood += found
            second[o] += moments
            cross[o] += row[o, None] * first
            square += row[o] @ row[o]
        found = np.linalg.solve(second, cross[:, :, None])[:, :, 0]
        noise = (square - (found * cross).sum()) / (~np.isnan(X)).sum()
        return log_likelihood, found, float(noise)

    def _latent(self, observed: Array, o: Array) -> tuple[float, Array, Array]:
        """The log-density of the observed entries of a row, E[(u, 1) (u, 1)'] and E[(u, 1)]."""
        q, W = self.W.shape[1], self.W[o]
        centered = observed - self.mean[o]
        M = W.T @ W + self.noise * np.eye(q)
        inverse = np.linalg.inv(M)
        u = inverse @ (W.T @ centered)
        first = np.append(u, 1.0)
        moments = np.outer(first, first)
        moments[:q, :q] += self.noise * inverse
        logs = np.linalg.slogdet(M)[1] + (len(observed) - q) * log(self.noise)
        distance = (centered @ centered - centered @ W @ u) / self.noise
        return -0.5 * float(len(observed) * log(tau) + logs + distance), moments, first
