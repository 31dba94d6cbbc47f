"""The bootstrap of any density that can be fitted to weighted rows."""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._compat import check_random_state_of
from .._typing import Floats, RandomState, Table, Weights
from ..fitting.bootstrap import distinct_rows, redrawn_weights
from ..inference.block_map import single_threaded_blas
from .base.density import DensityEstimator
from .base.docs import documented
from .base.transaction import warn
from .base.validation import CovarianceWarning, check_two_rows, check_weights

Parameters = dict[str, Floats]


@documented
def bootstrap(
    estimator: DensityEstimator,
    X: ArrayLike,
    n: int = 100,
    *,
    sample_weight: Weights = None,
    random_state: RandomState = None,
    n_jobs: int | None = None,
) -> dict[str, Floats]:
    """Draw the parameters of a fitted density by the weighted-likelihood bootstrap.

    In each draw a copy of the estimator is fitted to the same rows under other weights, Dirichlet
    numbers in place of equal ones (Newton & Raftery, 1994). The draws spread as estimates do from one
    sample to another, whether or not the model is right: their standard deviation is a standard error,
    and their quantiles are limits of an interval. A mixture starts each draw at the fitted solution,
    keeps a prior that was chosen, and goes on until a thousandth of the usual tolerance remains to be
    gained. Its components are then put into the order of the fitted ones by the best assignment of
    responsibilities.

    Parameters
    ----------
    estimator : DensityEstimator
        Fitted: an EMGaussianMixture, VariationalGaussianMixture, BernoulliMixture, GaussianMLE,
        BetaBernoulli or PPCA. It is not changed.
    X : array-like of shape (n_samples, n_features)
        The rows that it was fitted to.
    n : int, default=100
        Draws; more than the default for quantiles far out.
    {sample_weight}
        Those of the fit. What is redrawn are as many rows as the weights say.
    random_state : int, RandomState instance or None, default=None
        The draws are the same whatever ``n_jobs``, the order of the rows, or whether a weight of two is
        a row given twice.
    n_jobs : int, default=None
        How many draws are made side by side, in threads.

    Returns
    -------
    draws : dict of ndarray
        For each of the fitted parameters, by its name, an array of shape (n, ...): ``weights_``,
        ``means_`` and ``covariances_``, or ``weights_`` and ``probabilities_``, of a mixture; ``mean_``
        and ``covariance_`` of GaussianMLE; ``probability_`` of BetaBernoulli; ``mean_``,
        ``explained_variance_`` and ``noise_variance_`` of PPCA, with as many components as were fitted.
        Draws that failed are left out, so that fewer than n may be returned.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If the estimator is of another kind, n is not a positive integer, the weights are worth less
        than two rows, or every draw failed.

    Warns
    -----
    RuntimeWarning
        If some draws failed, for example since a covariance became singular.
    ConvergenceWarning
        If some draws had not converged after ``max_iter`` steps.

    See Also
    --------
    EMGaussianMixture.standard_errors : By second derivatives, without refits.

    References
    ----------
    M. A. Newton & A. E. Raftery, "Approximate Bayesian inference with the weighted likelihood
    bootstrap", Journal of the Royal Statistical Society B 56 (1994), 3-48.

    Examples
    --------
    Draws of a mean spread by the standard deviation over the square root of the number of rows:

    >>> import numpy as np
    >>> from sklearn_lvm import GaussianMLE, bootstrap
    >>> X = np.random.RandomState(0).normal(scale=3.0, size=(900, 1))
    >>> draws = bootstrap(GaussianMLE().fit(X), X, n=400, random_state=0)
    >>> draws["mean_"].shape, float(draws["mean_"].std().round(2))
    ((400, 1), 0.1)
    """
    _check_estimator(estimator)
    _check_number(n)
    check_random_state_of("bootstrap", random_state)
    rows = estimator._check_rows(X)
    w = check_weights(sample_weight, rows)
    check_two_rows(w, "bootstrap")
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=int(n))
    refits = _Refits.of(estimator, rows, w)
    with single_threaded_blas(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told of once, with their number
        warnings.simplefilter("ignore", CovarianceWarning)
        side_by_side = Parallel(n_jobs=n_jobs, prefer="threads")
        draws = list(side_by_side(delayed(refits.draw)(seed) for seed in seeds))
    return _stacked(draws, estimator._parameter_names)


@dataclass(frozen=True, eq=False)
class _Draw:
    """The parameters of one refit, or why it failed."""

    parameters: Parameters | None
    converged: bool = True
    failure: str = ""


@dataclass(frozen=True, eq=False)
class _Refits:
    """Fits of copies of an estimator to distinct rows under weights that are drawn."""

    estimator: DensityEstimator
    X: Table
    w: Floats

    @classmethod
    def of(cls, estimator: DensityEstimator, X: Table, w: Floats) -> "_Refits":
        rows = distinct_rows(X, w)
        return cls(estimator, X[rows.index], rows.weight)

    def draw(self, seed: int) -> _Draw:
        w = redrawn_weights(self.w, np.random.RandomState(seed))
        try:
            model = self.estimator._refitted(self.X, w)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as failure:
            return _Draw(None, failure=str(failure))
        parameters = model._parameters_like(self.estimator, self.X, self.w)
        return _Draw(parameters, getattr(model, "converged_", True))


def _check_estimator(estimator: object) -> None:
    if not getattr(estimator, "_parameter_names", ()):
        raise ValueError(
            f"estimator must be an EMGaussianMixture, BernoulliMixture, GaussianMLE, BetaBernoulli or "
            f"PPCA, got {type(estimator).__name__}: bootstrap knows no parameters of it."
        )
    check_is_fitted(estimator)


def _check_number(n: object) -> None:
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a positive integer, the number of draws, got {n!r}.")


def _stacked(draws: list[_Draw], names: tuple[str, ...]) -> Parameters:
    """The parameters of all draws that succeeded; warnings tell of the others."""
    found = [draw.parameters for draw in draws if draw.parameters is not None]
    failures = [draw.failure for draw in draws if draw.parameters is None]
    if not found:
        raise ValueError(f"every one of {len(draws)} draws failed; the first: {failures[0]}")
    if failures:
        warn(
            f"{len(failures)} of {len(draws)} draws failed and are left out; the first: {failures[0]}",
            RuntimeWarning,
        )
    slow = sum(not draw.converged for draw in draws)
    if slow:
        warn(
            f"{slow} of {len(draws)} draws had not converged after max_iter steps, and lie too near to "
            "the fitted parameters. Raise max_iter of the estimator.",
            ConvergenceWarning,
        )
    return {name: np.stack([draw[name] for draw in found]) for name in names}
