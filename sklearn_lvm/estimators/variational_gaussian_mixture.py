"""VariationalGaussianMixture: mixtures of Gaussians of which all parameters have posteriors."""

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from .._compat import Interval, StrOptions
from .._typing import Floats, RandomState
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.moments import Moments
from ..core.gaussian.normal_wishart import NormalWisharts
from ..core.gaussian.posterior import GaussianPosteriorFamily, GaussianPosteriors
from ..core.gaussian.structure_names import COVARIANCE_TYPES
from ..core.linalg import SingularCovarianceError
from ..core.mixing import WEIGHT_POSTERIORS
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.mixture_variational import EmpiricalSteps, VariationalSteps, in_order, weights_of
from ..core.rows import RowSource
from ..core.standardization import Standardization
from ..fitting.posterior_start import PosteriorStart
from ..fitting.start_search import SearchedStart
from ..fitting.starts import Start
from ..fitting.typical_prior import typical_scatter
from .base.docs import documented
from .base.gaussian_mixture import CovarianceType, GaussianMixtureEstimator
from .base.mixture import COUNT, EM_CONSTRAINTS, Acceleration, InitParams
from .base.normal_wishart_priors import described_prior, given_prior

POSITIVE: list[object] = [Interval(Real, 0.0, None, closed="neither"), None]
# How priors are found -> the steps of variational EM.
STEPS: dict[str, type[VariationalSteps[GaussianPosteriors, Moments]]] = {
    "fixed": VariationalSteps,
    "empirical": EmpiricalSteps,
}


@documented
class VariationalGaussianMixture(GaussianMixtureEstimator[GaussianPosteriors]):
    """Mixture of Gaussians whose weights, means and covariances are integrated out.

    Parameters
    ----------
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "n_components": [COUNT],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "weight_concentration_prior_type": [StrOptions(set(WEIGHT_POSTERIORS))],
        "weight_concentration_prior": POSITIVE,
        "mean_precision_prior": POSITIVE,
        "mean_prior": ["array-like", None],
        "degrees_of_freedom_prior": POSITIVE,
        "covariance_prior": ["array-like", Real, None],
        "priors": [StrOptions(set(STEPS))],
        **EM_CONSTRAINTS,
    }

    n_components_: int
    weight_concentration_: Floats | tuple[Floats, Floats]
    mean_precision_: Floats
    degrees_of_freedom_: Floats
    weight_concentration_prior_: float
    mean_precision_prior_: float
    mean_prior_: Floats
    degrees_of_freedom_prior_: float
    covariance_prior_: Floats

    _prior: NormalWisharts
    _least_weight: float  # that of a row, or 1

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        tol: float | Literal["auto"] = "auto",
        reg_covar: float = 1e-6,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: InitParams = "auto",
        weight_concentration_prior_type: Literal[
            "dirichlet_process", "dirichlet_distribution"
        ] = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: ArrayLike | None = None,
        priors: Literal["fixed", "empirical"] = "fixed",
        acceleration: Acceleration = "auto",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.priors = priors
        self.acceleration = acceleration
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    # -- what the fit asks for ---------------------------------------------------------------------

    def _gaussians(self, model: Mixture[GaussianPosteriors]) -> Gaussians:
        return model.components.expected

    def _steps(
        self, standardization: Standardization
    ) -> VariationalSteps[GaussianPosteriors, Moments]:
        K, concentration = self.n_components, self.weight_concentration_prior
        prior = WEIGHT_POSTERIORS[self.weight_concentration_prior_type].of(
            np.zeros(K), 1.0 / K if concentration is None else float(concentration)
        )
        least_variance = self.reg_covar * standardization.feature_variance
        family = GaussianPosteriorFamily(self._prior, least_variance)
        return STEPS[self.priors](family, weights=prior)

    def _choose_prior(self, rows: RowSource, standardization: Standardization, warm: bool) -> None:
        self._least_weight = min(rows.unit, 1.0)
        if warm:
            default = self._prior.rescale(*self._change_of_units(standardization)).moments
        else:
            default = self._typical_prior(rows, standardization)
        try:
            self._prior = given_prior(self, standardization, default)
        except SingularCovarianceError as failure:
            raise ValueError(
                f"covariance_prior is singular in features {list(failure.features)}; by default it is "
                "the covariance of all rows. Raise reg_covar, or give another covariance_prior."
            ) from failure

    def _typical_prior(self, rows: RowSource, standardization: Standardization) -> Moments:
        """As many degrees of freedom as features, and the scatter of all rows, at their center."""
        structure, variance = self._structure, standardization.feature_variance
        d = structure.d
        return Moments(
            np.ones(1),
            np.array([d / structure.dof_per_row]),
            np.zeros((1, d)),
            typical_scatter(rows, structure, variance, self.reg_covar * variance),
            structure,
        )

    def _given_model(
        self, standardization: Standardization, model: Mixture[GaussianPosteriors] | None
    ) -> Mixture[GaussianPosteriors] | None:
        # No parameters are given to start with, but an order of the components is.
        return None if model is None else in_order(model)

    def _start(self, standardization: Standardization) -> Start[GaussianPosteriors, Moments]:
        if self.init_params != "auto":
            return super()._start(standardization)
        search = SearchedStart[Gaussians](self.n_components, self._few_rows, lambda model: model)
        modes, steps = self._steps_to_modes(standardization), self._steps(standardization)
        return PosteriorStart(search, modes, steps)

    def _steps_to_modes(self, standardization: Standardization) -> MixtureSteps[Gaussians, Moments]:
        """EM for the posterior mode under the same prior of means and covariances."""
        added_variance = self.reg_covar * standardization.feature_variance
        prior = self._prior.pseudo_observations(self.n_components)
        return MixtureSteps(GaussianFamily(self._structure, added_variance, prior))

    def _warm_model(self, standardization: Standardization) -> Mixture[GaussianPosteriors]:
        known = self._model
        moved = known.components.rescale(*self._change_of_units(standardization))
        return self._steps(standardization).continued(replace(known, components=moved))

    @property
    def _has_evidence_bound(self) -> bool:
        return True

    # -- what a user is told -----------------------------------------------------------------------

    def _described(
        self, model: Mixture[GaussianPosteriors], standardization: Standardization
    ) -> Mapping[str, object]:
        weights, components = weights_of(model), model.components
        posterior = components.posterior
        parameters = weights.parameters
        concentration = (
            tuple(part.astype(self._dtype) for part in parameters)
            if isinstance(parameters, tuple)
            else parameters.astype(self._dtype)
        )
        return {
            **super()._described(model, standardization),
            **described_prior(components.prior, standardization, self._dtype),
            "n_components_": int(np.count_nonzero(weights.counts > self._least_weight)),
            "mean_precision_": posterior.mean_precision.astype(self._dtype),
            "degrees_of_freedom_": posterior.degrees_of_freedom.astype(self._dtype),
            "weight_concentration_": concentration,
            "weight_concentration_prior_": weights.concentration,
        }
