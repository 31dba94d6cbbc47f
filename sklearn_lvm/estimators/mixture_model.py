"""MixtureModel: mixtures of any densities by expectation-maximization."""

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from .._compat import Interval
from .._typing import Floats, Ints, RandomState, Table, Weights
from ..core.family import Components
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from ..fitting.mixture import Outcome
from ..fitting.part_rows import PartRows
from ..fitting.parts import (
    PartComponents,
    PartFamily,
    PartMixture,
    PartStatistics,
    as_template,
    draw_for,
    falls,
)
from ..fitting.starts import FEW_ROWS, STARTS, DrawnStart, StartStrategy
from ..inference.em import EMRun
from .base.completed_tables import GivenTable
from .base.conditioning import Restriction
from .base.docs import documented
from .base.imputation import ImputationOptions
from .base.mixture import COUNT, EM_CONSTRAINTS, InitParams, MixtureEstimator
from .base.named_parts import (
    NamedParts,
    check_density,
    check_names,
    is_list,
    named_parts,
    replaced,
)
from .base.part_tables import AsTheyAre, PartTable, is_frame
from .base.transaction import warn
from .base.validation import FLOATS, check_weights, explained, listed, observed_part

MAX_SEED = 2**31 - 1


def _parts_have(*methods: str) -> Callable[["MixtureModel"], bool]:
    """Whether all parts have these methods."""
    return lambda self: all(hasattr(part, m) for part in self._known_parts() for m in methods)


@documented
class MixtureModel(MixtureEstimator[AsTheyAre, PartComponents, PartStatistics]):
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
    One line of kernel densities and one Gaussian share two clouds of unlike shape:

    >>> import numpy as np
    >>> from sklearn.neighbors import KernelDensity
    >>> from sklearn_lvm import GaussianMLE, MixtureModel
    >>> rng = np.random.RandomState(0)
    >>> X = np.concatenate([rng.normal(-5, 1, (50, 1)), rng.uniform(4, 6, (50, 1))])
    >>> model = MixtureModel([GaussianMLE(), KernelDensity()], random_state=0).fit(X)
    >>> np.unique(model.predict(X[:50])).size, model.weights_.round(2)
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

    parts_: list[Any]

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

    def _listed_parts(self) -> list[object]:
        """The parts as a list that is not repeated."""
        return list(cast("Sequence[object]", self.parts)) if is_list(self.parts) else [self.parts]

    def _known_parts(self) -> list[object]:
        """The fitted parts, or those that are to be fitted."""
        named = named_parts(self._listed_parts())
        return list(getattr(self, "parts_", [part for _, part in named]))

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

    # -- rows --------------------------------------------------------------------------------------

    def _validated(self, X: ArrayLike, *, reset: bool) -> Table:
        """A table of numbers, or a frame as it is, in which parts choose columns."""
        if is_frame(X):
            table = PartTable.of_frame(X)
            validate_data(self, X, reset=reset, skip_check_array=True)
            return table
        finite = "allow-nan" if get_tags(self).input_tags.allow_nan else True
        try:
            with np.errstate(all="ignore"):  # the sum of finite entries may overflow
                rows = validate_data(self, X, reset=reset, dtype=FLOATS, ensure_all_finite=finite)
        except (TypeError, ValueError, OverflowError) as error:
            raise explained(error, X) from error
        return PartTable.of_array(rows)

    def _observed_part(self, X: Table, w: Floats, *, every_column: bool) -> tuple[Table, Floats]:
        names = getattr(self, "feature_names_in_", None)
        observed_part(X.keys, w, names, every_column=every_column)
        some = ~np.isnan(X.keys).all(axis=1)
        return (X, w) if some.all() else (X[some], w[some])

    def _slices(self, X: Table) -> list[slice]:
        return [slice(0, X.shape[0])]

    def _log_prob(self, X: Table) -> Floats:
        log_prob = self._by_block(X, lambda: self._density.kernel().log_prob)
        return np.where(np.isnan(X.keys).all(axis=1), 0.0, log_prob)

    def _row_source(self, X: Table, w: Floats, transformation: AsTheyAre) -> RowSource:
        return PartRows(X, w, transformation, self._slices)

    def _known_values(self, row: Floats) -> Floats:
        return row[0]

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
        fixed = [
            part.fit(rows.block, sample_weight=rows.w) if is_held else None
            for part, is_held in zip(templates, held, strict=True)
        ]
        return PartFamily(tuple(name for name, _ in named), tuple(templates), tuple(fixed))

    def _fit_transformation(self, X: Table, w: Floats) -> AsTheyAre:
        return AsTheyAre()

    def _steps(self, transformation: AsTheyAre) -> MixtureSteps[PartComponents, PartStatistics]:
        return MixtureSteps(self._family, self.weight_concentration_prior)

    def _start(self, transformation: AsTheyAre) -> DrawnStart[PartComponents]:
        strategy = STARTS["kmeans" if self.init_params == "auto" else self.init_params]
        draw = StartStrategy(draw_for(strategy.draw, self._family.fixed))
        return DrawnStart(self._n_fitted_components, draw, self._few_rows, lambda model: model)

    def _few_rows(self, n_rows: int, weight: float) -> StartStrategy:
        K = self._n_fitted_components
        if K > weight:
            raise ValueError(
                f"n_components={K}, but X has n_samples={n_rows} distinct rows, of summed weight "
                f"{weight:g}: give at most {max(n_rows, int(weight))} parts."
            )
        return StartStrategy(draw_for(FEW_ROWS["in turn"].draw, self._family.fixed))

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
            warn(f"In the last step {failure} It keeps its last fit.", ConvergenceWarning)
        return best

    def _best(
        self, outcomes: list[Outcome[Mixture[PartComponents]]]
    ) -> EMRun[Mixture[PartComponents]]:
        """The best run; those that kept parts, which may have collapsed, stand behind all others."""
        sound = [
            outcome
            for outcome in outcomes
            if isinstance(outcome, EMRun) and not outcome.model.components.failures
        ]
        return super()._best(sound or outcomes)

    def _warn_of_fall(self, run: EMRun[Mixture[PartComponents]], rows: RowSource) -> None:
        """Name the parts whose M-step made the last model worse."""
        steps = self._steps(AsTheyAre())
        total = steps.e_step(run.model)((rows.block, rows.w))
        statistics = PartStatistics(rows.block, total.arrays[1])
        lost = falls(run.model, steps.m_step(statistics, run.model), statistics)
        names = [self._family.names[k] for k in np.argsort(-lost) if lost[k] > 0]
        warn(
            f"The objective fell from {run.objective:.6g} to {run.fell_to:.6g} in the last step: "
            f"fitting {listed(names or list(self._family.names))} did not make its rows more likely. "
            "The better model is kept; its other parts may have something left to gain.",
            ConvergenceWarning,
        )

    def _failure_message(self, failure: Exception) -> str:
        return (
            f"Every start failed: {failure} Give fewer parts or parts with a prior, raise n_init, or try "
            "another init_params."
        )

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

    @staticmethod
    def _without_unknown_count(known: dict[str, object]) -> dict[str, object]:
        """Fitted attributes without the number of parameters where a part tells none."""
        parts = cast("list[object]", known["parts_"])
        if not all(hasattr(part, "n_parameters_") for part in parts):
            del known["n_parameters_"]
        return known

    def _criterion(
        self, X: ArrayLike, sample_weight: Weights, penalty: Callable[[float], float]
    ) -> float:
        self._check_rows(X)
        silent = [part for part in self.parts_ if not hasattr(part, "n_parameters_")]
        if silent:
            raise ValueError(
                f"a criterion needs the number of free parameters, and {silent[0]!r} has no "
                "n_parameters_: compare scores of rows held back instead."
            )
        return super()._criterion(X, sample_weight, penalty)

    # -- some of the columns -------------------------------------------------------------------------

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        known = super()._restricted(kept, restrict)
        density = cast("Mixture[PartComponents]", known["_density"])
        parts = list(density.components.parts)
        return self._without_unknown_count(
            known | {"parts_": parts, "_transformation": AsTheyAre()}
        )

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        return {}

    @available_if(_parts_have("condition", "marginal"))
    def condition(self, values: Mapping[str | int, float]) -> Self:
        """Fix values of some columns: the density of the others given these, p(x_rest | values).

        The parts become their conditional densities, and the weights p(k | values).

        Parameters
        ----------
        values : dict
            From columns, by name or by index, to finite numbers in the units of the data.

        Returns
        -------
        density : object
            A fitted mixture of the other columns.

        Raises
        ------
        ValueError
            If a column is unknown or given twice, none is given or none would be left, or a value is not
            a finite number.
        """
        return super().condition(values)

    @available_if(_parts_have("marginal"))
    def marginal(self, features: Sequence[str | int]) -> Self:  # type: ignore[override]
        """Integrate columns out: the density of the given ones, p(x_features).

        Parameters
        ----------
        features : list of str or int
            Columns by name or by index, in any order; the result has them in the order of the fit.

        Returns
        -------
        density : object
            A fitted mixture of these columns.

        Raises
        ------
        ValueError
            If a column is unknown or given twice, or none is given.
        """
        return super().marginal(features)

    # -- rows that parts draw and complete -----------------------------------------------------------

    @available_if(_parts_have("sample"))
    def sample(  # type: ignore[override]
        self,
        n_samples: int = 1,
        *,
        random_state: RandomState = None,
        return_latent: bool = False,
    ) -> Table:
        """Draw new rows from the fitted density.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None falls back to the estimator's own ``random_state``.
        return_latent : bool, default=False
            Whether to return the component of each row as well.

        Returns
        -------
        X : array or frame of shape (n_samples, n_features)
            Rows in random order, of the kind that the parts draw.
        latent : ndarray of shape (n_samples,)
            Only if ``return_latent``: the components.

        Raises
        ------
        ValueError
            If ``n_samples`` is not a positive integer, or the random state is none.
        """
        how: dict[str, Any] = {"random_state": random_state, "return_latent": return_latent}
        return super().sample(n_samples, **how)

    def _in_own_precision(self, values: Table) -> Table:
        return values if is_frame(values) else super()._in_own_precision(values)

    @available_if(_parts_have("impute"))
    def impute(
        self,
        X: ArrayLike,
        *,
        n_draws: int | None = None,
        mode: bool = False,
        parameter_draws: bool = False,
        random_state: RandomState = None,
    ) -> Table | list[Table]:
        """Fill in missing entries, given the observed entries of each row.

        They become sum_k p(k | x_o) E_k[x_m | x_o], or are drawn from a part that is drawn by its
        responsibility.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed; columns are numbers. X is not changed.
        n_draws : int, default=None
            None for one table of conditional means, an integer for so many tables with draws.
        mode, parameter_draws : bool, default=False
            Only False: parts of any kind do not say which values are most probable, nor how their
            parameters spread.
        random_state : int, RandomState instance or None, default=None
            Of the draws. None falls back to the estimator's own ``random_state``.

        Returns
        -------
        X : array or frame, or a list of them
            Of the kind of X. Observed entries are the same.

        Raises
        ------
        ValueError
            If a column is no number, or an option is none of these.
        """
        options = ImputationOptions(n_draws, mode, parameter_draws)
        if mode or parameter_draws:
            raise ValueError(
                f"mode={mode}, parameter_draws={parameter_draws}: a mixture of any parts has neither; "
                "set both to False."
            )
        rng = self._random_state_of("impute", random_state)
        rows = self._check_rows(X)
        if rows.categorical.any():
            raise ValueError(
                f"X has categories in column {int(np.argmax(rows.categorical))}, of which there is no "
                "mean: impute takes numbers."
            )
        given = GivenTable.of(X, rows.keys.astype(rows.dtype))
        if given.missing is None:
            values = np.zeros(0)
            return given.completed(values) if n_draws is None else [given.completed(values)] * n_draws
        resp = self._responsibilities(rows)
        if options.n_draws is None:
            means = [np.asarray(part.impute(rows.values), np.float64) for part in self.parts_]
            return given.completed(np.einsum("nk,knd->nd", resp, np.array(means))[given.missing])
        return [
            given.completed(self._drawn(rows, resp, rng)[given.missing]) for _ in range(n_draws or 0)
        ]

    def _drawn(self, rows: PartTable, resp: Floats, rng: np.random.RandomState) -> Floats:
        """Completed rows (n, d), each by a part that is drawn by its responsibility."""
        levels = rng.random_sample(len(resp)) * resp.sum(axis=1)
        labels = (np.cumsum(resp, axis=1)[:, :-1] <= levels[:, None]).sum(axis=1)
        drawn = np.full(rows.shape, np.nan)
        for k, part in enumerate(self.parts_):
            chosen = labels == k
            if chosen.any():
                seed = int(rng.randint(MAX_SEED))
                drawn[chosen] = part.impute(rows[chosen].values, n_draws=1, random_state=seed)[0]
        return drawn

    # -- what scikit-learn asks ----------------------------------------------------------------------

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        parts = [part for _, part in named_parts(self._listed_parts())]
        tags.input_tags.allow_nan = all(
            get_tags(part).input_tags.allow_nan for part in parts if hasattr(part, "__sklearn_tags__")
        )
        return tags
