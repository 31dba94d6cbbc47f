"""Any estimators as the densities of a mixture: an M-step fits them under weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from sklearn.base import clone

from .._typing import Bools, Features, Floats, Ints, Rows, Table
from ..core.family import ScoringComponents
from ..core.mixture import Mixture, MixtureKernel
from ..core.outliers import quantile
from .clusters import Rng
from .drawn_tables import concatenated, drawn_rows, in_order
from .starts import Draw

MAX_SEED = 2**31 - 1
START_SHARE = 0.1  # of every row that all parts share at a start, so that none begins without rows
FENCE = 1.5  # interquartile ranges beyond the quartiles
FLOAT64 = np.finfo(np.float64)


class Part(Protocol):
    """What an estimator must do to be a part."""

    def fit(self, X: Table, *, sample_weight: Floats) -> Self: ...
    def score_samples(self, X: Table, /) -> Floats: ...


class PartError(FloatingPointError):
    """A part could not be fitted; the message names it and its weight."""


@dataclass(frozen=True, eq=False)
class PartStatistics:
    """What an M-step needs: the rows, and what each part has of them.

    Attributes
    ----------
    rows : Table
    resp : ndarray of shape (K, n)
        Responsibilities times the weights of the rows.
    """

    rows: Rows
    resp: Floats

    @property
    def weight(self) -> Floats:
        """Summed responsibilities, (K,)."""
        return np.asarray(self.resp.sum(axis=1))

    def __add__(self, other: Self) -> Self:
        return type(self)(
            concatenated([self.rows, other.rows]),
            np.concatenate([self.resp, other.resp], axis=1),
        )

    def tiled(self, n: int) -> Self:
        """Those of the same parts n times over."""
        return type(self)(self.rows, np.tile(self.resp, (n, 1)))


@dataclass(frozen=True, eq=False)
class PartKernel:
    """Fitted parts and log-weights (K,), for one pass over the rows."""

    parts: tuple[Part, ...]
    log_weights: Floats
    condition_number: float = 1.0

    def features(self, rows: Rows) -> Features:
        """The rows, as parts take them."""
        return rows

    def log_prob(self, features: Features) -> Floats:
        """Log-densities plus log-weights, (K, n); parts without weight are not asked.

        Raises
        ------
        PartError
            If a score is no number.
        """
        joint = np.full((len(self.parts), len(features)), -np.inf)
        for k in np.flatnonzero(self.log_weights > -np.inf):
            joint[k] = self.log_weights[k] + np.asarray(self.parts[k].score_samples(features))
            if np.isnan(joint[k]).any():
                raise PartError(f"component {k} scores a row by NaN: {self.parts[k]!r}.")
        return joint

    def accumulate(self, features: Features, resp: Floats) -> tuple[Floats, ...]:
        """The rows and their responsibilities: nothing is summed."""
        return features, resp

    def statistics(self, total: tuple[Floats, ...]) -> PartStatistics:
        """The same as statistics."""
        return PartStatistics(*total)


@dataclass(frozen=True, eq=False)
class PartComponents:
    """K fitted estimators as densities.

    Attributes
    ----------
    parts : tuple of Part
    failures : tuple of str
        Why parts could not be fitted in the last M-step, and kept the fit before.
    """

    parts: tuple[Part, ...]
    failures: tuple[str, ...] = ()

    def kernel(self, log_weights: Floats) -> PartKernel:
        """The parts with log-weights (K,)."""
        return PartKernel(self.parts, log_weights)

    def sample(self, labels: Ints, rng: Rng) -> Floats:
        """Draw a row for each label; what a part draws is shuffled, whatever its order."""
        order, drawn = [], []
        for k in np.unique(labels):
            rows = np.flatnonzero(labels == k)
            order.append(rng.permutation(rows))
            drawn.append(drawn_rows(self.parts[k], len(rows), int(rng.randint(MAX_SEED))))
        found: Floats = in_order(concatenated(drawn), np.argsort(np.concatenate(order)))
        return found

    def n_parameters(self) -> int:
        """The free parameters of the parts that tell of them."""
        return sum(getattr(part, "n_parameters_", 0) for part in self.parts)

    def subset(self, chosen: Ints) -> Self:
        """Some of the parts."""
        return type(self)(tuple(self.parts[k] for k in chosen))

    def marginal(self, features: Ints) -> Self:
        """The parts of some of the features, where they have these."""
        return type(self)(tuple(part.marginal(features) for part in self.parts))  # type: ignore[attr-defined]

    def conditional(self, features: Ints, values: Floats) -> tuple[Floats, Self]:
        """Log-densities (K,) of values of some features, and parts of the others given these."""
        given = dict(zip(features.tolist(), values.tolist(), strict=True))
        row = values[np.argsort(features)][None]
        scores = [part.score_samples(row)[0] for part in self.marginal(features).parts]
        others = (part.condition(given) for part in self.parts)  # type: ignore[attr-defined]
        return np.asarray(scores, dtype=np.float64), type(self)(tuple(others))

    # Nothing is known of how parts lie between each other: an extrapolation moves weights alone.

    def pooled(self, weights: Floats) -> Self:
        """One part, as a reference of no meaning."""
        return self.subset(np.array([0]))

    def to_coordinates(self, reference: Self) -> tuple[Floats, ...]:
        """No coordinates."""
        return ()

    def from_coordinates(self, coordinates: tuple[Floats, ...]) -> Self:
        """The parts as they are."""
        return self


@dataclass(frozen=True, eq=False)
class PartMixture(Mixture[PartComponents]):
    """A mixture of parts, some of which may rule rows out."""

    def kernel(self) -> MixtureKernel:
        """The mixture prepared to score rows."""
        return PartMixtureKernel(self.components.kernel(self.log_weights))


class PartMixtureKernel(MixtureKernel):
    """Scores of a mixture in which all densities of a row may be zero."""

    def log_prob(self, rows: Rows) -> Floats:
        """log p(x), -inf where every part rules a row out."""
        return np.asarray(np.logaddexp.reduce(self.joint(rows), axis=0))

    def posterior(self, rows: Rows) -> tuple[Floats, Floats]:
        """log p(x) and p(k | x), which are the weights where every part rules a row out."""
        joint = self.joint(rows)
        log_prob = np.logaddexp.reduce(joint, axis=0)
        nowhere = np.isneginf(log_prob)
        joint[:, nowhere] = self.components.log_weights[:, None]  # type: ignore[attr-defined]
        return log_prob, np.exp(joint - np.where(nowhere, 0.0, log_prob))


@dataclass(frozen=True, eq=False)
class PartFamily:
    """How estimators are fitted as the parts of a mixture.

    Attributes
    ----------
    names : tuple of str
    templates : tuple of Part
        Unfitted, one for each component; each is cloned in an M-step.
    fixed : tuple of (Part or None)
        A fitted part that is held fixed, such as a noise component.
    """

    names: tuple[str, ...]
    templates: tuple[Part, ...]
    fixed: tuple[Part | None, ...]
    n_parts: int = 1

    def first(self, n: int) -> Self:
        """The family of the first n parts."""
        return type(self)(self.names[:n], self.templates[:n], self.fixed[:n])

    def statistics(self, rows: Rows, resp: Floats) -> PartStatistics:
        """The rows and responsibilities (K, n) of an M-step."""
        return PartStatistics(rows, resp)

    def estimate(
        self, statistics: PartStatistics, current: PartComponents | None = None
    ) -> PartComponents:
        """The parts, each fitted to its share of the rows.

        A part without weight stays as it is, and so does a fixed one. A part that cannot be fitted to
        what is left to it keeps its last fit: the objective does not fall by that.

        Raises
        ------
        PartError
            If a part cannot be fitted and has no last fit.
        """
        fitted, failures = [], []
        for k, resp in enumerate(statistics.resp):
            known = None if current is None else current.parts[k]
            try:
                part = self._fitted(k, statistics.rows, resp, known)
            except PartError as error:
                if known is None:
                    raise
                failures.append(str(error))
                part = known
            fitted.append(part)
        return PartComponents(tuple(fitted), tuple(failures))

    def _fitted(self, k: int, rows: Rows, resp: Floats, current: Part | None) -> Part:
        if (fixed := self.fixed[k]) is not None:
            return fixed
        if current is not None and resp.max() < FLOAT64.smallest_normal:
            return current
        part = self._begun(k, current)
        try:
            part.fit(rows, sample_weight=_counted(resp))
        except (ValueError, ArithmeticError) as error:
            raise PartError(
                f"component {k} ({self.names[k]!r}), of weight {resp.sum():g}, cannot be fitted: "
                f"{error}"
            ) from error
        return part

    def _begun(self, k: int, current: Part | None) -> Part:
        """What is fitted next: a clone, or the last fit where it can go on from there."""
        goes_on = current is not None and getattr(self.templates[k], "warm_start", False)
        return deepcopy(current) if goes_on else clone(self.templates[k])  # type: ignore[return-value]

    def kernel(self, components: PartComponents, log_weights: Floats) -> PartKernel:
        """The parts with log-weights (K,)."""
        return components.kernel(log_weights)

    def log_prior(self, components: PartComponents) -> float:
        """The summed log-priors of the parts that have one, in nats."""
        return sum(log_prior_of(part) for part in components.parts)

    def predictive(self, components: PartComponents) -> ScoringComponents:
        """The parts, which score rows themselves."""
        return components


def _counted(resp: Floats) -> Floats:
    """Weights without those that no sum would notice, which might spread a part over far rows."""
    return np.where(resp < FLOAT64.eps * resp.max(), 0.0, resp)


def log_prior_of(part: Part) -> float:
    """The log-prior of the estimates of a fitted part, in nats; 0 where it tells of none."""
    log_prior: Callable[[], float] | None = getattr(part, "_log_prior", None)
    return 0.0 if log_prior is None else float(log_prior())


def as_template(part: Part, rng: Rng) -> Part:
    """An unfitted copy as a mixture fits it: by its mode, and the same from the same random state."""
    mode: Callable[[], Part] | None = getattr(part, "_mode", None)
    template = clone(part) if mode is None else mode()
    params = template.get_params()  # type: ignore[union-attr]
    seeds = {
        name: int(rng.randint(MAX_SEED))
        for name in sorted(params)
        if name.rpartition("__")[2] == "random_state" and params[name] is None
    }
    return template.set_params(**seeds)  # type: ignore[union-attr, no-any-return]


def draw_for(draw: Draw, fixed: Sequence[object | None]) -> Draw:
    """Responsibilities of parts, of which fixed ones get no cluster, but the rows that lie far out.

    The clusters go to the other parts in a random order. Every part gets a small share of every row.
    """
    free = np.flatnonzero([part is None for part in fixed])
    held = np.flatnonzero([part is not None for part in fixed])
    K = len(fixed)

    def drawn(points: Table, weight: Floats, n_components: int, rng: Rng) -> Floats:
        if K == 1 or not len(free):
            return np.full((K, len(weight)), 1.0 / K)
        far = _far_out(points, weight) if len(held) else np.zeros(len(weight), dtype=np.bool_)
        if np.count_nonzero(~far) < len(free):
            far[:] = False
        shares = np.zeros((K, len(weight)))
        clusters = draw(points[~far], weight[~far], len(free), rng)
        shares[np.ix_(rng.permutation(free), ~far)] = clusters
        shares[np.ix_(held, far)] = 1.0 / max(len(held), 1)
        return START_SHARE / K + (1.0 - START_SHARE) * shares

    return drawn


def _far_out(points: Floats, weight: Floats) -> Bools:
    """The rows of which an entry lies outside of the fences of its column (Tukey, 1977), (n,)."""
    far = np.zeros(len(points), dtype=np.bool_)
    for column in points.T:
        low, high = (quantile(column, weight, percent) for percent in (25.0, 75.0))
        if low < high:
            reach = FENCE * (high - low)
            far |= (column < low - reach) | (column > high + reach)
    return far


def falls(
    model: Mixture[PartComponents], following: Mixture[PartComponents], statistics: PartStatistics
) -> Floats:
    """By how much each part lost in an M-step, in nats, (K,): exact M-steps lose nothing."""

    def expected(part: Part, resp: Floats) -> float:
        held = resp > 0
        scores = np.asarray(part.score_samples(statistics.rows), dtype=np.float64)
        return float(resp[held] @ scores[held]) + log_prior_of(part)

    pairs = zip(model.components.parts, following.components.parts, statistics.resp, strict=True)
    return np.array([expected(old, resp) - expected(new, resp) for old, new, resp in pairs])
