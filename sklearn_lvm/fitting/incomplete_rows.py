"""The rows of a table with missing entries: how starts, samples and priors see them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import add

import numpy as np

from .._typing import AnySlice, Block, Floats, Hashes, Ints, Table
from ..core.blocks import Blocks, on_disk, row_slices
from ..core.gaussian.covariance import Structure
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.missing import (
    IncompleteRows,
    ObservedStandardization,
    PartialStandardization,
    Reference,
    mean_block_size,
    order_of_patterns,
)
from ..core.gaussian.partial import filled, hidden_scatter
from ..core.gaussian.prior import GaussianPrior
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource, cell_hashes
from ..core.standardization import MAX_DEVIATIONS, Standardization
from ..inference.block_map import ThreadMap
from ..inference.em import Callback, EMRun, run_em
from ..inference.problem import M, Problem, S, Steps, V

MAX_ROWS = 1 << 10  # by which the reference is found
STRENGTH = 1.0  # pseudo-observations of its covariance
EVERY: AnySlice = slice(None)
MAX_STEPS, TOL = 12, 1e-3  # of its EM, and in nats a row


@dataclass(frozen=True, eq=False)
class StandardizedRowSource(RowSource):
    """Rows that may lack entries, told apart in units of their own, whatever fits compute with.

    Attributes
    ----------
    standardization : Standardization
    """

    standardization: Standardization = field(kw_only=True)

    @cached_property
    def keys(self) -> Table:
        """The rows, in which NaN equals NaN and comes last."""
        return np.where(np.isnan(self.X), np.inf, self.X)

    @cached_property
    def hashes(self) -> Hashes:
        """Hashes of the rows, (n,)."""

        def without_missing(X: Floats) -> Floats:
            return np.nan_to_num(self.standardization.transform(X), nan=MAX_DEVIATIONS)

        return cell_hashes(Blocks(self.X, self.w, without_missing, self.slices_of(self.X)))


@dataclass(frozen=True, eq=False)
class IncompleteRowSource(StandardizedRowSource):
    """Rows with missing entries. Where numbers must stand in for these, one Gaussian says which."""

    @cached_property
    def _points(self) -> Floats:
        return filled(self.block).T

    def points(self) -> Floats:
        """Rows (n, d) with what the reference expects in place of missing entries."""
        return self._points


def incomplete_rows(
    rows: RowSource, standardization: Standardization, structure: Structure
) -> IncompleteRowSource:
    """The rows of a table with missing entries, those together that lack the same entries."""
    X, w = sorted_by_pattern(rows.X, rows.w)
    source = IncompleteRowSource(
        X, w, standardization, rows.slices_of, standardization=standardization
    )
    reference = reference_gaussian(
        source.sample(MAX_ROWS), replace(structure.unconstrained, tied=False)
    )
    known = PartialStandardization(standardization, Reference(reference.mean, reference.covariance))
    return replace(source, transformation=known)


def sorted_by_pattern(
    X: Floats, w: Floats, columns: Ints | AnySlice = EVERY
) -> tuple[Floats, Floats]:
    """The rows of a table (n, d) and their weights, those together that lack the same entries.

    Rows on disk stay in their order: sorted they would be a copy in memory. Only some of the columns
    may count.
    """
    if on_disk(X):
        return X, w
    order = order_of_patterns(np.isnan(X[:, columns]).T)
    return X[order], w[order]


def observed_units(
    X: Floats, w: Floats, standardization: Standardization, structure: Structure
) -> ObservedStandardization:
    """The units of a table, with a reference if entries are missing; rows may lack all of them."""
    missing = np.isnan(X)
    if not missing.any():
        return ObservedStandardization(standardization)
    some = ~missing.all(axis=1)
    rows = RowSource(X[some], w[some], standardization, lambda X: list(row_slices(*X.shape)))
    found = incomplete_rows(rows, standardization, structure).transformation
    assert isinstance(found, PartialStandardization)
    return found


def reference_gaussian(rows: IncompleteRowSource, structure: Structure) -> Gaussians:
    """One Gaussian, roughly that of the highest posterior density, of rows that have no reference yet.

    Its prior is one observation of uncorrelated features, so that few rows of many features do.
    """
    variance = rows.standardization.feature_variance
    prior = GaussianPrior(
        structure,
        scatter=STRENGTH * structure.of_variances(variance) * rows.unit,
        strength=np.array([STRENGTH * rows.unit]),
        mean=np.zeros(structure.d),
    )
    steps = MixtureSteps(GaussianFamily(structure, np.zeros(structure.d), prior))
    start = Gaussians(
        np.zeros((1, structure.d)),
        structure.estimate(structure.of_variances(variance), np.ones(1), np.zeros(structure.d)),
    )
    block = IncompleteRows.of(rows.standardization.transform(rows.X)), rows.w
    mixture = Mixture(np.zeros(1), start)
    return run_squarem(steps, [block], mixture, max_iter=MAX_STEPS, tol=TOL).model.components


def run_squarem(
    steps: Steps[M, V, S],
    blocks: Sequence[Block],
    start: M,
    *,
    max_iter: int,
    tol: float,
    callback: Callback[M] | None = None,
) -> EMRun[M]:
    """Run accelerated EM in threads."""
    with ThreadMap() as block_map:
        return run_em(
            Problem(steps, blocks, block_map),
            start,
            max_iter=max_iter,
            tol=tol,
            acceleration="squarem",
            callback=callback,
        )


def unobserved_scatter(rows: RowSource, structure: Structure) -> Floats | float:
    """What rows scatter in their missing entries, summed, in stored form; 0 if they have none."""
    if not isinstance(rows, IncompleteRowSource):
        return 0.0
    one, known = replace(structure, tied=False), rows.transformation
    assert isinstance(known, PartialStandardization)
    stored = known.stored_form(one)
    hidden = reduce(add, (hidden_scatter(block, w, stored) for block, w in rows.streamed))
    return np.asarray(hidden if stored is one else one.of_variances(hidden[0]))


def numbers_in_missing_blocks(rows: RowSource) -> int:
    """How many numbers the block of the missing entries of a typical row holds."""
    if not isinstance(rows, IncompleteRowSource):
        return 0
    return mean_block_size(np.isnan(rows.X))
