"""How many components: a model is fitted with several numbers of them, and a criterion chooses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import isnan
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning

from .._typing import Weights
from ..estimators.base.transaction import warn
from ..estimators.base.validation import check_two_rows
from .criteria import CRITERIA, Criterion
from .cross_validation import CrossValidation, folds_of
from .grid import Combination, Grid
from .paths import Model, path_of
from .report import Selection
from .scores import Rows, Score

__all__ = ["select_n_components"]


def select_n_components(
    estimator: Model,
    X: ArrayLike,
    *,
    sample_weight: Weights = None,
    criterion: str = "bic",
    cv: Any = 5,
    n_jobs: int | None = None,
    n_components: Iterable[int] = range(1, 11),
    **grid: Iterable[object],
) -> Selection:
    r"""Choose the number of components of a mixture, PPCA or FactorAnalysis, and further parameters.

    Every combination is fitted. With K components, p parameters and n rows (the sum of the weights)
    the criterion is one of

    .. math::

       \text{bic} &= -2 \log L + p \log n, \\
       \text{icl} &= \text{bic} + 2 \sum_i H(p(k \mid x_i)), \\
       \text{elbo} &= \mathrm{E}_q[\log p(X, Z, \theta) - \log q(Z, \theta)], \\
       \text{cv} &= \frac1n \sum_i \log p(x_i \mid X_{\text{folds without } i}).

    The start of each mixture is found from those of the next numbers of components: from fewer by
    splitting the component that gains most, and from more by merging the two that lose least.

    bic and icl are defined at the maximum of the likelihood. In place of a prior that the estimator
    would choose (``'auto'``) there is therefore a weak one: of one observation for Gaussians, which
    scatters as rows within clusters do and without which their likelihood has no bound, and of a
    hundredth of one for Bernoulli densities. A prior that is given is kept. With the default tolerance,
    fits that may be the best are continued until next to nothing is left to gain.

    Parameters
    ----------
    estimator : estimator
        A mixture, such as :class:`~sklearn_lvm.EMGaussianMixture`, :class:`~sklearn_lvm.PPCA` or
        :class:`~sklearn_lvm.FactorAnalysis`. It is not changed.
    X : array-like of shape (n_samples, n_features)
        Sparse where the estimator takes it.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight of two equals a row given twice; but the folds of 'cv' are drawn from the rows as they
        are given, and copies may fall into several of them.
    criterion : {'bic', 'icl', 'elbo', 'cv'}, default='bic'
        'bic' asks for the density, 'icl' for clusters that lie apart, 'cv' for the likelihood of new
        rows. 'icl' is for mixtures. 'elbo' is for variational fits.
    cv : int, splitter or iterable of (train, test), default=5
        Folds of 'cv': so many, for which rows are shuffled by the ``random_state`` of the estimator; an
        object with ``split``; or positions of rows.
    n_jobs : int, default=None
        How many combinations, or folds, are fitted side by side, in threads. Numbers of components
        share their starts, and are fitted one after the other.
    n_components : iterable of int, default=range(1, 11)
        Positive numbers, and 0 for FactorAnalysis, which then has independent columns.
    **grid
        Further parameters of the estimator, each with a list of values, such as
        ``covariance_type=["full", "tied"]``.

    Returns
    -------
    selection : Selection
        The best combination with its fit to all rows, and the scores of all of them.

    Raises
    ------
    ValueError
        If an argument is not what it should be, if the estimator does not have the criterion, or if no
        combination could be fitted; the message then tells the first cause.

    Warns
    -----
    FitFailedWarning
        If some combinations could not be fitted; it names them.
    ConvergenceWarning
        If the best fit had not converged after ``max_iter`` steps.

    See Also
    --------
    bic_score : The same criterion for searches of scikit-learn.
    compare_densities : Which of several models is best.

    References
    ----------
    G. Schwarz, "Estimating the dimension of a model", Annals of Statistics 6 (1978), 461-464.

    C. Biernacki, G. Celeux & G. Govaert, "Assessing a mixture model for clustering with the integrated
    completed likelihood", IEEE Transactions on Pattern Analysis and Machine Intelligence 22 (2000),
    719-725.

    Examples
    --------
    Three clusters of one shape:

    >>> import numpy as np
    >>> from sklearn_lvm import EMGaussianMixture, select_n_components
    >>> rng = np.random.RandomState(0)
    >>> X = np.concatenate([rng.normal(c, 1.0, (100, 2)) for c in (-6, 0, 6)])
    >>> selection = select_n_components(
    ...     EMGaussianMixture(random_state=0),
    ...     X,
    ...     n_components=range(1, 6),
    ...     covariance_type=["full", "spherical"],
    ... )
    >>> selection.best_params_
    {'n_components': 3, 'covariance_type': 'spherical'}
    >>> bool(np.isclose(selection.best_estimator_.bic(X), selection.best_score_))
    True

    Rows that were held out agree:

    >>> selection = select_n_components(
    ...     EMGaussianMixture(random_state=0), X, criterion="cv", n_components=[1, 2, 3]
    ... )
    >>> selection.best_params_
    {'n_components': 3}
    """
    path_of(estimator)
    _check_jobs(n_jobs)
    options = Grid.of(estimator, n_components, grid)
    models = options.models(estimator)
    _check_criterion(criterion, models)
    probe = clone(models[0]).set_params(n_components=options.counts[0])
    rows = Rows(*probe._check_training(X, sample_weight))
    if criterion in CRITERIA and CRITERIA[criterion].by_likelihood:
        check_two_rows(rows.w, f"criterion={criterion!r}")
    chosen: Criterion | CrossValidation
    if criterion in CRITERIA:
        chosen = CRITERIA[criterion]
    else:
        chosen = CrossValidation(folds_of(cv, rows, probe.random_state))
    scores = chosen.scores(models, options.counts, rows, n_jobs)
    tried = [
        {"n_components": K, **params}
        for params, K in product(options.combinations(), options.counts)
    ]
    _check_scores(scores, tried)
    ranks = _ranks(scores, chosen.sign)
    best = int(np.argmin(ranks))
    return Selection(
        criterion=criterion,
        best_estimator_=_fitted(estimator, scores[best], tried[best], probe, X, sample_weight),
        best_params_=tried[best],
        best_score_=scores[best].value,
        results_=_results(criterion, scores, tried, ranks),
    )


# -- checks --------------------------------------------------------------------------------------------


def _check_jobs(n_jobs: object) -> None:
    whole = isinstance(n_jobs, Integral) and not isinstance(n_jobs, bool)
    if n_jobs is not None and (not whole or n_jobs == 0):
        raise ValueError(
            f"n_jobs must be a number of threads, -1 for as many as there are cores, or None; got "
            f"{n_jobs!r}."
        )


def _check_criterion(criterion: object, models: Sequence[Model]) -> None:
    """Raise a ValueError if an estimator does not have a criterion."""
    for model in models:
        known = [*(name for name, one in CRITERIA.items() if one.has(model)), "cv"]
        if not isinstance(criterion, str) or criterion not in known:
            raise ValueError(
                f"criterion={criterion!r} is none that {model!r} has: choose one of "
                f"{', '.join(map(repr, known))}."
            )


def _check_scores(scores: Sequence[Score], tried: Sequence[Combination]) -> None:
    """Warn of combinations without a score; raise a ValueError if there is no other."""
    failed = [i for i, score in enumerate(scores) if isnan(score.value)]
    if not failed:
        return
    first = scores[failed[0]].failure
    if len(failed) == len(scores):
        raise ValueError(
            f"no combination could be fitted; first {_shown(tried[failed[0]])}: {first}"
        ) from first
    named = "; ".join(_shown(tried[i]) for i in failed)
    warn(
        f"{len(failed)} of {len(scores)} combinations could not be fitted, and have no score: "
        f"{named}. The first one: {first}",
        FitFailedWarning,
    )


def _shown(params: Combination) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in params.items())


# -- the outcome ---------------------------------------------------------------------------------------


def _ranks(scores: Sequence[Score], sign: float) -> NDArray[np.int_]:
    """1 for the best; the first of several that are equal is the best of them, and NaN is last."""
    badness = np.array([-sign * score.value for score in scores])
    ranks = np.empty(len(scores), dtype=int)
    ranks[np.argsort(badness, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks


def _fitted(
    estimator: Model,
    score: Score,
    params: Combination,
    probe: Model,
    X: ArrayLike,
    sample_weight: Weights,
) -> Any:
    """The estimator with the best parameters, fitted to all rows."""
    if score.fit is None:
        return clone(estimator).set_params(**params).fit(X, sample_weight=sample_weight)
    best = score.fit.estimator
    if hasattr(probe, "feature_names_in_"):
        best.feature_names_in_ = probe.feature_names_in_
    if not score.converged and best.max_iter:
        warn(
            f"The best fit, {_shown(params)}, had not converged after max_iter={best.max_iter} "
            "E-steps. Raise max_iter or tol.",
            ConvergenceWarning,
        )
    return best


def _results(
    criterion: str,
    scores: Sequence[Score],
    tried: Sequence[Combination],
    ranks: NDArray[np.int_],
) -> dict[str, NDArray[Any]]:
    columns = {f"param_{name}": _column([params[name] for params in tried]) for name in tried[0]}
    errors = np.array([score.standard_error for score in scores])
    return {
        **columns,
        criterion: np.array([score.value for score in scores]),
        **({} if criterion in CRITERIA else {"standard_error": errors}),
        "n_parameters": np.array([score.n_parameters for score in scores]),
        "rank": ranks,
        "fit_time": np.array([score.fit_time for score in scores]),
        "converged": np.array([score.converged for score in scores]),
    }


def _column(values: list[object]) -> NDArray[Any]:
    """Integers as such, and everything else as objects, which keep their types."""
    if all(type(value) is int for value in values):
        return np.array(values)
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
