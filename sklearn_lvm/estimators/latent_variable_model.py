"""The base class of models that users write: three functions become an estimator."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Tags

from .._typing import Floats, Ints, RandomState, Table, Weights
from ..fitting.latent_variable_model import (
    DistinctRows,
    FailedStepError,
    Theta,
    Unchanged,
    UserSearch,
    UserStatistics,
    UserSteps,
)
from ..inference.em import EMRun
from ..inference.stepwise import StepwiseStatistics
from ..inference.stopping import StoppingRule
from .base.density import Density
from .base.docs import documented
from .base.mixture import EM_CONSTRAINTS, Acceleration
from .base.restarted import RestartedEstimator
from .base.transaction import transactional
from .base.user_model import UserDensity, UserModel
from .base.validation import FLOATS, result_dtype

OPTIONS = {name: kinds for name, kinds in EM_CONSTRAINTS.items() if name != "init_params"}
REMEDY = (
    "If parameters left the set in which they are allowed, write them as logarithms; else correct the "
    "method or try another start."
)


class LatentVariableModel(RestartedEstimator[Theta], UserModel):
    """Expectation-maximization of one's own model p(x, z | theta).

    A subclass says ``start``, ``expect`` and ``maximize``. EM raises sum_i w_i log p(x_i | theta) +
    log p(theta), in nats, and never lowers it. Theta is a dict of arrays. Optional methods are
    ``log_prior``, ``draw`` (for ``sample``), ``latent`` (for ``transform``) and ``n_parameters``.

    A subclass may have an ``__init__`` of its own, which need not call this one: parameters that it
    leaves out have the defaults below. A class attribute ``takes_missing = True`` lets NaN through to
    ``expect``; NaN is refused otherwise.

    Accelerated steps extrapolate the entries of theta. A proposal whose evidence is not finite, or for
    which a method raises a ValueError or an ArithmeticError, is dropped. Parameters that must be
    positive are best written as logarithms, so that no proposal is lost; logarithms of probabilities
    must be normalized in ``expect``, since extrapolated ones do not sum to one.

    Parameters
    ----------
    tol : float or 'auto', default='auto'
        The remaining gain, in nats per unit of weight, at which a run ends. 'auto' asks for a fifth of
        what the number of parameters says that the objective is known to; 0 goes on to ``max_iter``.
    max_iter : int, default=1000
        The most E-steps of a run.
    n_init : int, default=1
        Runs from different starts, of which the best is kept.
    acceleration : {'auto', 'squarem'} or None, default='auto'
        'auto' is 'squarem' unless ``tol=0``.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Runs side by side, in threads.
    warm_start : bool, default=False
        Whether a fit goes on from the last one.
    verbose : int, default=0
    verbose_interval : int, default=10

    Attributes
    ----------
    theta_ : dict of ndarray
    converged_ : bool
    n_iter_ : int
    lower_bound_ : float
        The objective of theta_, in nats per unit of weight.
    lower_bounds_ : list of float
    n_parameters_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    check_em : Tests whether the methods of a subclass fit together.

    References
    ----------
    A. P. Dempster, N. M. Laird & D. B. Rubin, "Maximum likelihood from incomplete data via the EM
    algorithm", Journal of the Royal Statistical Society B 39 (1977), equations 2.2 and 2.3.

    Examples
    --------
    Waiting times of two kinds. The logarithms of rates are free, and so every proposal is a model:

    >>> import numpy as np
    >>> from scipy.special import logsumexp
    >>> from sklearn_lvm import LatentVariableModel
    >>> class WaitingTimes(LatentVariableModel):
    ...     def start(self, X, weight, rng):
    ...         return {"log_p": np.log([0.5, 0.5]), "log_rate": rng.normal(size=2)}
    ...     def expect(self, theta, X, weight):
    ...         joint = theta["log_p"] + theta["log_rate"] - X * np.exp(theta["log_rate"])
    ...         joint -= logsumexp(theta["log_p"])
    ...         log_evidence = logsumexp(joint, axis=1)
    ...         R = weight[:, None] * np.exp(joint - log_evidence[:, None])
    ...         return {"n": R.sum(axis=0), "time": R.T @ X[:, 0]}, log_evidence
    ...     def maximize(self, statistics, theta):
    ...         n, time = statistics["n"], statistics["time"]
    ...         return {"log_p": np.log(n / n.sum()), "log_rate": np.log(n / time)}
    >>> rng = np.random.RandomState(0)
    >>> X = rng.exponential(np.repeat([1.0, 20.0], 500))[:, None]
    >>> model = WaitingTimes(random_state=0).fit(X)
    >>> bool(np.diff(model.lower_bounds_).min() >= 0), model.n_parameters_
    (True, 4)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = OPTIONS
    _checks: ClassVar[dict[str, object]] = {"dtype": FLOATS, "ensure_all_finite": True}
    takes_missing: ClassVar[bool] = False

    # The defaults of parameters that a subclass leaves out.
    tol: float | Literal["auto"] = "auto"
    max_iter: int = 1000
    n_init: int = 1
    acceleration: Acceleration = "auto"
    random_state: RandomState = None
    n_jobs: int | None = None
    warm_start: bool = False
    verbose: int = 0
    verbose_interval: int = 10

    theta_: Theta
    converged_: bool
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]
    _theta: Theta  # in double precision
    _stopping_rule: StoppingRule | None
    _stepwise: StepwiseStatistics[UserStatistics]
    _n_features_out: int

    def __init__(
        self,
        *,
        tol: float | Literal["auto"] = "auto",
        max_iter: int = 1000,
        n_init: int = 1,
        acceleration: Acceleration = "auto",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.acceleration = acceleration
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        finite = "allow-nan" if cls.takes_missing else True
        cls._checks = {**cls._checks, "ensure_all_finite": finite}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.takes_missing
        return tags

    # -- fitting -----------------------------------------------------------------------------------

    @transactional
    @documented
    def fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Fit the model from ``n_init`` starts, and keep the one of the highest objective.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN is refused, unless the class says ``takes_missing = True``.
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If no start succeeds; the message names the method of the model that failed.

        Warns
        -----
        ConvergenceWarning
            If the best start had not converged after ``max_iter`` steps.
        """
        rows = self._distinct_rows(X, sample_weight)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        best = self._search(rows, {"X": X, "y": y, "metadata": metadata})
        self._set_fitted(self._attributes(best))
        self._keep_statistics(rows)
        self._warn_of_run(best)
        return self

    @transactional
    @documented
    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Take one more batch of rows, by a step of stepwise EM; the first one is fitted.

        What tells of the run, such as ``lower_bound_``, stays that of the fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a method of the model fails; the message names it.
        """
        if not hasattr(self, "_stepwise"):
            return self.fit(X, y, sample_weight=sample_weight)
        rows = self._distinct_rows(X, sample_weight, reset=False)
        steps = UserSteps(self)
        try:
            total = steps.measure(self._theta, rows)
            stepwise = self._stepwise.updated(total.statistics, total.weight)
            theta = steps.m_step(stepwise.of_all_batches, self._theta)
        except FailedStepError as failure:
            raise ValueError(f"{failure}. {REMEDY}") from failure
        self._stepwise = stepwise
        self._set_fitted(self._of_theta(theta))
        return self

    def _distinct_rows(
        self, X: ArrayLike, sample_weight: Weights, *, reset: bool = True
    ) -> DistinctRows:
        table, w = self._check_training(X, sample_weight, reset=reset)
        if reset:
            self._dtype, self._transformation = result_dtype(table), Unchanged()
        return DistinctRows(table, w, Unchanged(), self._slices).merged()

    def _search(self, rows: DistinctRows, data: Mapping[str, object]) -> EMRun[Theta]:
        """Run all starts, in sight of callbacks, and choose the best."""
        warm = self.warm_start and hasattr(self, "_theta")
        search = UserSearch(
            UserSteps(self),
            rows,
            self.n_parameters,
            self.max_iter,
            self.tol,
            self.acceleration,
            self.n_jobs,
            self._theta if warm else None,
            self._stopping_rule if warm else None,
        )
        n_starts = 1 if warm else self.n_init
        return self._best_of_starts(search.runs, n_starts, data, self._attributes)

    def _failure_message(self, failure: Exception) -> str:
        return f"Every start failed: {failure}. {REMEDY}"

    def _attributes(self, run: EMRun[Theta]) -> dict[str, object]:
        """The fitted attributes of a run."""
        bounds = list(run.trace)
        return {
            **self._of_theta(run.model),
            "converged_": run.converged,
            "n_iter_": run.n_iter,
            "lower_bound_": bounds[-1],
            "lower_bounds_": bounds[1:] or bounds,
            "_stopping_rule": run.rule,
        }

    def _of_theta(self, theta: Theta) -> dict[str, object]:
        return {
            "theta_": {name: part.astype(self._dtype) for name, part in theta.items()},
            "n_parameters_": self.n_parameters(theta),
            "_theta": theta,
        }

    def _keep_statistics(self, rows: DistinctRows) -> None:
        """Keep what a next batch is added to."""
        total = UserSteps(self).measure(self._theta, rows)
        self._stepwise = StepwiseStatistics(total.statistics, total.weight, total.weight)
        if type(self).latent is not LatentVariableModel.latent:
            self._n_features_out = self._latent(rows.X[:1]).shape[1]

    # -- rows --------------------------------------------------------------------------------------

    def _density_or_raise(self) -> Density:
        return UserDensity(self, self._theta)

    def _log_prob(self, X: Table) -> Floats:
        try:
            return super()._log_prob(X)
        except FailedStepError as failure:
            raise ValueError(f"{failure}. {REMEDY}") from failure

    def _width(self) -> int:
        return 8 * self.n_features_in_

    def _latent(self, X: Table) -> Floats:
        found = np.asarray(self.latent(self._theta, np.asarray(X, dtype=np.float64)))
        if found.ndim != 2 or len(found) != len(X):
            raise ValueError(
                f"latent must return an array of shape ({len(X)}, n_latent), got {found.shape}."
            )
        return found

    def _latent_of(self, X: Floats, latent: Floats | Ints) -> Floats | Ints:
        return latent if len(latent) else self._latent(X)

    def transform(self, X: ArrayLike) -> Floats:
        """Estimate the latent variables of rows, by the method ``latent``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        latent : ndarray of shape (n_samples, n_latent)
        """
        rows = self._check_rows(X)
        return self._latent(rows).astype(result_dtype(rows), copy=False)
