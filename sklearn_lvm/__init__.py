"""Latent-variable and density models for people who live in scikit-learn."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compare.comparison import compare_densities as compare_densities
    from .estimators.base.density import DensityEstimator as DensityEstimator
    from .estimators.base.validation import CovarianceWarning as CovarianceWarning
    from .estimators.bayesian_gaussian import BayesianGaussian as BayesianGaussian
    from .estimators.bernoulli_mixture import BernoulliMixture as BernoulliMixture
    from .estimators.beta_bernoulli import BetaBernoulli as BetaBernoulli
    from .estimators.bootstrap import bootstrap as bootstrap
    from .estimators.check_em import check_em as check_em
    from .estimators.dirichlet_categorical import DirichletCategorical as DirichletCategorical
    from .estimators.factor_analysis import FactorAnalysis as FactorAnalysis
    from .estimators.gamma_poisson import GammaPoisson as GammaPoisson
    from .estimators.gaussian_mixture import EMGaussianMixture as EMGaussianMixture
    from .estimators.gaussian_mle import GaussianMLE as GaussianMLE
    from .estimators.imputer import DensityImputer as DensityImputer
    from .estimators.latent_variable_model import LatentVariableModel as LatentVariableModel
    from .estimators.mixture_model import MixtureModel as MixtureModel
    from .estimators.ppca import PPCA as PPCA
    from .estimators.product_density import ProductDensity as ProductDensity
    from .estimators.regressor import ConditionalRegressor as ConditionalRegressor
    from .estimators.standardized import StandardizedDensity as StandardizedDensity
    from .estimators.student_t import StudentT as StudentT
    from .estimators.uniform_density import UniformDensity as UniformDensity
    from .estimators.vae import VAEDensity as VAEDensity
    from .estimators.variational_gaussian_mixture import (
        VariationalGaussianMixture as VariationalGaussianMixture,
    )
    from .selection.report import Selection as Selection
    from .selection.scorers import bic_score as bic_score
    from .selection.scorers import icl_score as icl_score
    from .selection.select import select_n_components as select_n_components

__version__ = "0.1.0"

# Where each public name lives; the module is loaded when the name is first touched (PEP 562).
_HOMES = {
    "BayesianGaussian": "estimators.bayesian_gaussian",
    "BernoulliMixture": "estimators.bernoulli_mixture",
    "BetaBernoulli": "estimators.beta_bernoulli",
    "ConditionalRegressor": "estimators.regressor",
    "CovarianceWarning": "estimators.base.validation",
    "DensityEstimator": "estimators.base.density",
    "DensityImputer": "estimators.imputer",
    "DirichletCategorical": "estimators.dirichlet_categorical",
    "EMGaussianMixture": "estimators.gaussian_mixture",
    "FactorAnalysis": "estimators.factor_analysis",
    "GammaPoisson": "estimators.gamma_poisson",
    "GaussianMLE": "estimators.gaussian_mle",
    "LatentVariableModel": "estimators.latent_variable_model",
    "MixtureModel": "estimators.mixture_model",
    "PPCA": "estimators.ppca",
    "ProductDensity": "estimators.product_density",
    "Selection": "selection.report",
    "StandardizedDensity": "estimators.standardized",
    "StudentT": "estimators.student_t",
    "UniformDensity": "estimators.uniform_density",
    "VAEDensity": "estimators.vae",
    "VariationalGaussianMixture": "estimators.variational_gaussian_mixture",
    "bic_score": "selection.scorers",
    "bootstrap": "estimators.bootstrap",
    "check_em": "estimators.check_em",
    "compare_densities": "compare.comparison",
    "icl_score": "selection.scorers",
    "select_n_components": "selection.select",
}

__all__ = [  # noqa: RUF022 - in the order of sorted()
    "BayesianGaussian",
    "BernoulliMixture",
    "BetaBernoulli",
    "ConditionalRegressor",
    "CovarianceWarning",
    "DensityEstimator",
    "DensityImputer",
    "DirichletCategorical",
    "EMGaussianMixture",
    "FactorAnalysis",
    "GammaPoisson",
    "GaussianMLE",
    "LatentVariableModel",
    "MixtureModel",
    "PPCA",
    "ProductDensity",
    "Selection",
    "StandardizedDensity",
    "StudentT",
    "UniformDensity",
    "VAEDensity",
    "VariationalGaussianMixture",
    "bic_score",
    "bootstrap",
    "check_em",
    "compare_densities",
    "icl_score",
    "select_n_components",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
