"""Criteria by which fits to all rows are compared, and the fits that these criteria need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from sklearn.utils.parallel import Parallel, delayed

from .._typing import Floats, Table
from .paths import Fit, Model, path_of
from .scores import Rows, Score

__all__ = ["CRITERIA", "Criterion"]

MARGIN = 4.0  # times what seems left to gain may be left: estimates of it are often too small
REFINEMENT = 0.1  # of what is left to gain is left after each round of runs that continue fits


@dataclass(frozen=True)
class Criterion:
    """A number that is computed from a fit to all rows.

    Attributes
    ----------
    has : callable
        Whether an estimator has it.
    value : callable
        From a fitted estimator, rows and weights to the criterion.
    sign : float
        1 if higher is better, -1 if lower is.
    per_nat : float
        By how much it grows, up to its sign, with each nat of the objective of all rows.
    by_likelihood : bool
        Whether it is defined at the maximum of the likelihood.
    """

    has: Callable[[Model], bool]
    value: Callable[[Any, Table, Floats], float]
    sign: float
    per_nat: float
    by_likelihood: bool

    def scores(
        self, models: Sequence[Model], counts: Sequence[int], rows: Rows, n_jobs: int | None
    ) -> list[Score]:
        """The score of each model with each number of components, those of one model in a row."""
        path = path_of(models[0])
        fits = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(path.fit_counts)(model, rows.X, rows.w, counts, self.by_likelihood)
            for model in models
        )
        found = [self._score(fits_of_model[K], rows) for fits_of_model in fits for K in counts]
        return self._refined(found, rows, n_jobs)

    def _score(self, fit: Fit | ValueError, rows: Rows) -> Score:
        if isinstance(fit, ValueError):
            return Score(failure=fit)
        estimator = fit.estimator
        return Score(
            self.value(estimator, rows.X, rows.w),
            n_parameters=estimator.n_parameters_,
            fit_time=fit.seconds,
            converged=fit.converged,
            fit=fit,
        )

    def _refined(self, scores: list[Score], rows: Rows, n_jobs: int | None) -> list[Score]:
        """Scores of which those that may be the best are exact.

        A fit ends by default when what is left to gain is small beside what the rows can tell; but that
        grows with the number of parameters, and fits of more parameters would seem worse than they are.
        """
        scores = list(scores)
        while following := self._next_round(scores):
            chosen, share = following
            refined = Parallel(n_jobs=n_jobs, prefer="threads")(
                delayed(self._refine)(scores[i], rows, share) for i in chosen
            )
            for i, score in zip(chosen, refined, strict=True):
                scores[i] = score
        return scores

    def _refine(self, score: Score, rows: Rows, share: float) -> Score:
        assert score.fit is not None
        try:
            return self._score(score.fit.refined(share), rows)
        except ValueError:  # more steps lead to a singular covariance
            return replace(score, closed=True)

    def _next_round(self, scores: Sequence[Score]) -> tuple[list[int], float] | None:
        """Which fits are continued, and the share of what is left to gain that may be left then.

        The fit that seems best is continued to its end; then a little of all that may be better still.
        """
        worth = {i: self.sign * s.value for i, s in enumerate(scores) if isfinite(s.value)}
        if not worth:
            return None
        best = max(worth, key=lambda i: worth[i])
        left = {i: self._left(scores[i]) for i in worth}
        if left[best]:
            return [best], 0.0
        others = [i for i in worth if left[i] and worth[i] + left[i] > worth[best]]
        return (others, REFINEMENT) if others else None

    def _left(self, score: Score) -> float:
        """By how much a score may still improve."""
        return 0.0 if score.fit is None or score.closed else MARGIN * self.per_nat * score.fit.left


CRITERIA = {
    "bic": Criterion(
        has=lambda model: hasattr(model, "bic"),
        value=lambda model, X, w: float(model.bic(X, sample_weight=w)),
        sign=-1.0,
        per_nat=2.0,
        by_likelihood=True,
    ),
    "icl": Criterion(
        has=lambda model: hasattr(model, "icl"),
        value=lambda model, X, w: float(model.icl(X, sample_weight=w)),
        sign=-1.0,
        per_nat=2.0,
        by_likelihood=True,
    ),
    "elbo": Criterion(
        has=lambda model: model._has_evidence_bound,
        value=lambda model, X, w: float(model.lower_bound_),
        sign=1.0,
        per_nat=1.0,
        by_likelihood=False,
    ),
}
"""Criteria of fits to all rows by the names that users give."""
