"""Tables cut into rows to fit to and rows to score, and the mixtures that are fitted to them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import KFold

Array = np.ndarray
Parameters = dict[str, Any]
TOL = 1e-3  # nats per row, of fits whose prior is given; an end at which factors have settled
REG_COVARS = 1e-6, 1e-3, 1e-2, 1e-1  # the first is the default


@dataclass(frozen=True)
class Split:
    """Rows to fit to and rows to score, in standard units of the former, and the seed of a fit."""

    train: Array
    test: Array
    seed: int = 0

    @classmethod
    def of(cls, train: Array, test: Array, seed: int = 0) -> "Split":
        mean, deviation = train.mean(axis=0), train.std(axis=0)
        return cls((train - mean) / deviation, (test - mean) / deviation, seed)


@dataclass(frozen=True)
class Table:
    """Splits, pairs (K, q) of components and factors, and how many pseudo-rows a given prior has."""

    name: str
    splits: list[Split]
    sizes: list[tuple[int, int]]
    n_pseudo_rows: float

    @property
    def n_features(self) -> int:
        return int(self.splits[0].train.shape[1])


def folds(X: Array, n_folds: int) -> list[Split]:
    cut = KFold(n_folds, shuffle=True, random_state=0).split(X)
    return [Split.of(X[train], X[test]) for train, test in cut]


def in_folder(folder: Path, name: str, *keys: str) -> list[Array]:
    """Arrays of an NPZ file, as numbers."""
    with np.load(folder / f"{name}.npz") as data:
        return [data[key].astype(float) for key in keys]


def red_wine(folder: Path) -> Table:
    (X,) = in_folder(folder, "redwine", "X")
    return Table("red wine", folds(X, 10), [(5, 6), (10, 6), (20, 4)], 1.0)


def sonar(folder: Path) -> Table:
    (X,) = in_folder(folder, "sonar", "X")
    return Table("sonar", folds(X, 5), [(3, 8), (5, 8), (8, 8)], 15.0)


def oil_flow(folder: Path) -> Table:
    train, test = in_folder(folder, "oil_flow", "X_train", "X_test")
    splits = [Split.of(train, test, seed) for seed in range(3)]
    return Table("oil flow", splits, [(10, 6), (20, 6), (30, 6)], 1.0)


def breast_cancer(folder: Path) -> Table:
    return Table(
        "breast cancer", folds(load_breast_cancer().data, 5), [(2, 8), (5, 8), (10, 8)], 5.0
    )


def digits(folder: Path) -> Table:
    """Gray levels, with uniform noise of one level, without which no density is bounded."""
    X = load_digits().data
    X = X + np.random.default_rng(0).uniform(size=X.shape)
    return Table("digits", folds(X, 3), [(10, 10), (20, 10)], 5.0)


TABLES: dict[str, Callable[[Path], Table]] = {
    table.__name__: table for table in (red_wine, sonar, oil_flow, breast_cancer, digits)
}


def tables(folder: Path, quick: bool) -> Iterator[Table]:
    """All tables; a line says which files are missing."""
    for name, make in TABLES.items():
        try:
            table = make(folder)
        except FileNotFoundError as failure:
            print(f"{failure.filename}: no such file under --data: {name} is skipped")
            continue
        yield (
            Table(table.name, table.splits[:1], table.sizes[:1], table.n_pseudo_rows)
            if quick
            else table
        )


def pseudo_rows(n_pseudo_rows: float, K: int, d: int) -> Parameters:
    """A prior of so many rows for each component, with the variances of all rows over K^(2/d)."""
    return {
        "covariance_prior": n_pseudo_rows * K ** (-2 / d) * np.eye(d),
        "degrees_of_freedom_prior": n_pseudo_rows - d - 2,
    }


def contenders(table: Table, K: int, q: int) -> dict[str, list[Parameters]]:
    """The parameters of each mixture; of several the best by the rows that are scored is shown."""
    likelihood: Parameters = {"covariance_prior": None, "tol": TOL}
    prior = pseudo_rows(table.n_pseudo_rows, K, table.n_features) | {"tol": TOL}
    factor = {"covariance_type": "factor", "n_factors": q}
    ppca = {"covariance_type": "ppca", "n_factors": q}

    def each_reg_covar(given: Parameters) -> list[Parameters]:
        return [likelihood | given | {"reg_covar": reg_covar} for reg_covar in REG_COVARS]

    return {
        "one Gaussian": [{"n_components": 1}],
        "full, likelihood": [likelihood],
        "full, best reg_covar": each_reg_covar({}),
        "full, pseudo-rows": [prior],
        "full": [{}],
        "diag": [{"covariance_type": "diag"}],
        "factor, likelihood": [likelihood | factor],
        "factor, best reg_covar": each_reg_covar(factor),
        "factor, pseudo-rows": [prior | factor],
        "factor, pseudo-rows, 1e-2": [prior | factor | {"reg_covar": 1e-2}],
        "factor": [{"covariance_type": "factor"}],
        "ppca, best reg_covar": each_reg_covar(ppca),
        "ppca": [{"covariance_type": "ppca"}],
    }


def factor_rows(n: int, d: int, q: int, K: int, seed: int = 0) -> Array:
    """Rows of K factor analyzers with noise of unit variance."""
    rng = np.random.default_rng(seed)
    labels, X = rng.integers(K, size=n), rng.normal(size=(n, d))
    for k in range(K):
        rows = labels == k
        X[rows] += rng.normal(size=(rows.sum(), q)) @ rng.normal(size=(q, d)) + rng.normal(size=d)
    return X
