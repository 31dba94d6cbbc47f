"""MixtureModel: mixtures of any densities by expectation-maximization."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .._compat import Interval
from .._typing import Floats, RandomState, Table, Weights
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from ..fitting.parts import (
    Part,
    PartComponents,
    PartFamily,
    PartMixture,
    PartStatistics,
    as_template,
    draw_for,
    falls,
)
from ..fitting.restarts import Outcome
from ..fitting.starts import FEW_ROWS, STARTS, DrawnStart, StartStrategy
from ..inference.em import EMRun
from .base.docs import documented
from .base.mixture import COUNT, EM_CONSTRAINTS, InitParams
from .base.named_parts import (
    NamedParts,
    check_density,
    check_names,
    is_list,
    named_parts,
    replaced,
)
from .base.part_mixture import PartMixtureEstimator
from .base.part_tables import AsTheyAre
from .base.transaction import warn
from .base.validation import listed

MAX_SEED = 2**31 - 1


@documented
class MixtureModel(PartMixtureEstimator):
    r"""Mixture of any densities, alike or not, fitted by expectation-maximization.

    .. math:: p(x) = \sum_k w_k \, p_k(x)

    A part :math:`p_k` is an estimator with ``fit(X, sample_weight=)`` and ``score_samples(X)``. The
    E-step computes the responsibilities :math:`r_{ik} = w_k p_k(x_i) / p(x_i)`, the M-step fits a clone
    of each part under the weights :math:`r_{ik}`. A part with ``warm_start=True`` goes on from its last
    fit. The log-likelihood never falls if each part is fitted by maximum likelihood. A part may not do
    that: a kernel density, say. Where the likelihood falls the better model is kept.

    A Beta-Bernoulli part with ``inference='bayes'`` is fitted by the mode that equals its predictive,
    and its prior joins the objective.

    Parameters
    ----------
    parts : estimator, or list of estimators or of (name, estimator)
        One density of which all components are copies; or one for each component. Names are those of
        ``make_pipeline``, such as 'gaussianmle-1', unless they are given; parameters of parts are set
        as ``name__parameter``, or as ``parts__parameter`` of a single density.
    n_components : int, default=1
        How many copies of a single density. With a list, whose length is the number of components, it
        stays 1.
    weight_concentration_prior : float, default=1.0
        Of the symmetric Dirichlet prior of the weights, at least 1; 1 is flat.
    tol : float or 'auto', default='auto'
        The fit ends when the estimated remaining gain of this start is below ``tol``, in nats per unit
        of weight, twice in a row. 'auto' is 0.2 p / n, between 1e-5 and 3e-2, for p parameters and n
        rows.
    max_iter : int, default=1000
        The most E-steps of one start, after that of the start itself.
    n_init : int, default=1
        Starts; the one of the highest objective is kept, the first among equals.
    init_params : {'auto', 'kmeans', 'k-means++', 'random', 'random_from_data'}, default='auto'
        How responsibilities are drawn at a start; 'auto' is 'kmeans'. Columns are standardized, and
        categories have a column each. Every part begins with a small share of every row.
    {run_parameters}

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        The weights of the components.
    parts_ : list of estimator
        The fitted parts.
    converged_ : bool
        Whether the estimated remaining gain of the best start was below ``tol``, or a step fell.
    n_iter_ : int
        E-steps of the best start.
    lower_bound_ : float
        The objective of the fitted model per unit of weight, in nats.
    lower_bounds_ : list of float
        The objective after each step. If the last step fell it is the last entry, below
        ``lower_bound_``.
    n_parameters_ : int
        Free parameters; only if all parts tell theirs.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    EMGaussianMixture : Mixtures of Gaussians, which are fitted many times faster.

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin, Maximum Likelihood from Incomplete Data via the EM
    Algorithm (1977), Journal of the Royal Statistical Society B 39.

    C. M. Bishop, Pattern Recognition and Machine Learning (2006), section 9.3.

    Examples
    --------
    A Gaussian and a kernel density share two clouds of unlike shape:

    >>> import numpy as np
    >>> from sklearn.neighbors import KernelDensity
    >>> from sklearn_lvm import GaussianMLE, MixtureModel
    >>> rng = np.random.RandomState(0)
    >>> X = np.concatenate([rng.normal(-5, 1, (50, 1)), rng.uniform(4, 6, (50, 1))])
    >>> model = MixtureModel([GaussianMLE(), KernelDensity()], random_state=0).fit(X)
    >>> np.unique(model.predict(X[:50])).size, model.weights_.round(1)
    (1, array([0.5, 0.5]))

    With no more than one component the mixture is the part:

    >>> alone = MixtureModel(GaussianMLE()).fit(X)
    >>> np.allclose(alone.score_samples(X), GaussianMLE().fit(X).score_samples(X))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "parts": [object],  # _checked_parts tells what is wrong with which
        "n_components": [COUNT],
        "weight_concentration_prior": [Interval(Real, 1.0, None, closed="left")],
        **{name: allowed for name, allowed in EM_CONSTRAINTS.items() if name != "acceleration"},
    }

    acceleration = None  # nothing is known of how parts lie between each other
    _shares_starts = False

    _family: PartFamily

    def __init__(
        self,
        parts: object,
        n_components: int = 1,
        *,
        weight_concentration_prior: float = 1.0,
        tol: float | Literal["auto"] = "auto",
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: InitParams = "auto",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.parts = parts
        self.n_components = n_components
        self.weight_concentration_prior = weight_concentration_prior
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    # -- parts -------------------------------------------------------------------------------------

    def _checked_parts(self) -> NamedParts:
        """One estimator with its name for each component.

        Raises
        ------
        ValueError
            If there is none, one is no density, or ``n_components`` is given beside a list.
        """
        named = named_parts(self._listed_parts())
        if not named:
            raise ValueError("parts is an empty list: give at least one density.")
        for name, part in named:
            check_density("parts", name, part)
        if not is_list(self.parts):
            return named * self.n_components
        if self.n_components != 1:
            raise ValueError(
                f"n_components={self.n_components} is for copies of a single density, and parts is a "
                f"list, whose length {len(named)} is the number of components: leave it out."
            )
        check_names("parts", named, list(super().get_params(deep=False)))
        return named

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those of named parts included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parts of a list by name, and their parameters.

        Returns
        -------
        params : dict
        """
        params: dict[str, Any] = super().get_params(deep=deep)
        if deep and is_list(self.parts):
            for name, part in named_parts(self._listed_parts()):
                params[name] = part
                if hasattr(part, "get_params") and not isinstance(part, type):
                    own = part.get_params(deep=True)
                    params |= {f"{name}__{key}": value for key, value in own.items()}
        return params

    def set_params(self, **params: object) -> Self:
        """Set parameters, those of named parts included.

        Parameters
        ----------
        **params : dict
            Such as ``tol``, ``name`` for another part of this name, or ``name__tol`` of a part.

        Returns
        -------
        self : object
        """
        if "parts" in params:
            self.parts = params.pop("parts")
        if is_list(self.parts):
            parts = self._listed_parts()
            for name in [name for name, _ in named_parts(parts) if name in params]:
                parts = self.parts = replaced(parts, name, params.pop(name))
        super().set_params(**params)
        return self

    # -- fitting -----------------------------------------------------------------------------------

    def _prepared(self, X: ArrayLike, sample_weight: Weights) -> tuple[RowSource, AsTheyAre]:
        named = self._checked_parts()
        table, w = self._check_training(X, sample_weight)
        self._n_fitted_components, self._dtype = len(named), table.dtype.type
        self._total_weight = float(w.sum())
        self.__dict__.pop("n_parameters_", None)  # of other parts
        rows = self._row_source(table, w, AsTheyAre()).merged()
        self._family = self._family_of(named, rows)
        return rows, AsTheyAre()

    def _family_of(self, named: NamedParts, rows: RowSource) -> PartFamily:
        """How the parts are fitted; those that are held fixed are fitted to all rows."""
        rng = check_random_state(self.random_state)
        templates = [as_template(part, rng) for _, part in named]
        held = [getattr(part, "_fixed_in_mixture", False) for part in templates]
        fixed: list[Part | None] = [
            part.fit(rows.block, sample_weight=rows.w) if is_held else None
            for part, is_held in zip(templates, held, strict=True)
        ]
        return PartFamily(tuple(name for name, _ in named), tuple(templates), tuple(fixed))

    def _fit_transformation(self, X: Table, w: Floats) -> AsTheyAre:
        return AsTheyAre()

    def _steps(self, transformation: AsTheyAre) -> MixtureSteps[PartComponents, PartStatistics]:
        family = self._family.first(self._n_fitted_components)
        return MixtureSteps(family, self.weight_concentration_prior)

    def _start(self, transformation: AsTheyAre) -> DrawnStart[PartComponents]:
        strategy = STARTS["kmeans" if self.init_params == "auto" else self.init_params]
        fixed = self._family.first(self._n_fitted_components).fixed
        draw = StartStrategy(draw_for(strategy.draw, fixed), strategy.n_rows)
        return DrawnStart(self._n_fitted_components, draw, self._few_rows, lambda model: model)

    def _few_rows(self, n_rows: int, weight: float) -> StartStrategy:
        K = self._n_fitted_components
        if weight < K:
            raise ValueError(
                f"n_components={K}, but X has n_samples={n_rows} distinct rows, of summed weight "
                f"{weight:g}: give at most {max(n_rows, int(weight))} parts."
            )
        return StartStrategy(draw_for(FEW_ROWS["in turn"].draw, self._family.first(K).fixed))

    def _given_model(
        self, transformation: AsTheyAre, model: Mixture[PartComponents] | None
    ) -> Mixture[PartComponents] | None:
        return None

    def _warm_model(self, transformation: AsTheyAre) -> Mixture[PartComponents]:
        if len(self.parts_) != self._n_fitted_components:
            raise ValueError(
                f"warm_start=True continues {len(self.parts_)} fitted parts, and there are "
                f"{self._n_fitted_components} now: set warm_start=False."
            )
        return self._model

    def _search(
        self, rows: RowSource, transformation: AsTheyAre, data: Mapping[str, object]
    ) -> EMRun[Mixture[PartComponents]]:
        best = super()._search(rows, transformation, data)
        if best.fell_to is not None:
            self._warn_of_fall(best, rows)
        for failure in best.model.components.failures:
            warn(
                f"In the last step {failure.rstrip('.')}. It keeps its last fit.",
                ConvergenceWarning,
            )
        return best

    def _best(
        self, outcomes: list[Outcome[Mixture[PartComponents]]]
    ) -> EMRun[Mixture[PartComponents]]:
        """The best run; those that kept parts, which may have collapsed, stand behind all others."""
        sound: list[Outcome[Mixture[PartComponents]]] = [
            outcome
            for outcome in outcomes
            if isinstance(outcome, EMRun) and not outcome.model.components.failures
        ]
        return super()._best(sound or outcomes)

    def _warn_of_fall(self, run: EMRun[Mixture[PartComponents]], rows: RowSource) -> None:
        """Name the parts whose fit made the last model worse."""
        assert run.fell_to is not None
        steps = self._steps(AsTheyAre())
        total = steps.e_step(run.model)((rows.block, rows.w))
        statistics = PartStatistics(rows.block, total.arrays[1])
        lost = falls(run.model, steps.m_step(statistics, run.model), statistics)
        found = [
            f"component {k} ({self._family.names[k]!r})" for k in np.argsort(-lost) if lost[k] > 0
        ]
        cause = listed(found) if found else "the parts"
        warn(
            f"The last step lowered the objective by {run.objective - run.fell_to:.3g} nats per unit "
            f"of weight: the fit of {cause} is no maximum. The better model is kept; its other parts "
            "may have something left to gain.",
            ConvergenceWarning,
        )

    def _failure_message(self, failure: Exception) -> str:
        remedy = "Give fewer parts or parts with a prior, raise n_init, or try another init_params."
        return f"Every start failed: {str(failure).rstrip('.')}. {remedy}"

    def _attributes(
        self, transformation: AsTheyAre, run: EMRun[Mixture[PartComponents]]
    ) -> dict[str, object]:
        known = super()._attributes(transformation, run)
        density = PartMixture(run.model.log_weights, run.model.components)
        if run.fell_to is not None:
            known["lower_bounds_"] = [*cast("list[float]", known["lower_bounds_"]), run.fell_to]
        return self._without_unknown_count(known | {"_density": density})

    def _described(
        self, model: Mixture[PartComponents], transformation: AsTheyAre
    ) -> Mapping[str, object]:
        return {"parts_": list(model.components.parts)}
