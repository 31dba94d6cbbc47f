"""Latent-variable and density models for people who live in scikit-learn."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import CovarianceWarning as CovarianceWarning
    from .base import DensityEstimator as DensityEstimator
    from .bernoulli import BetaBernoulli as BetaBernoulli
    from .bernoulli_mixture import BernoulliMixture as BernoulliMixture
    from .compare import StandardizedDensity as StandardizedDensity
    from .compare import compare_densities as compare_densities
    from .estimators.ppca import PPCA as PPCA
    from .gaussian import GaussianMLE as GaussianMLE
    from .mixture import EMGaussianMixture as EMGaussianMixture
    from .vae import VAEDensity as VAEDensity

__version__ = "0.1.0"

# Where each public name lives; the module is loaded when the name is first touched (PEP 562).
_HOMES = {
    "BernoulliMixture": "bernoulli_mixture",
    "BetaBernoulli": "bernoulli",
    "CovarianceWarning": "base",
    "DensityEstimator": "base",
    "EMGaussianMixture": "mixture",
    "GaussianMLE": "gaussian",
    "PPCA": "estimators.ppca",
    "StandardizedDensity": "compare",
    "VAEDensity": "vae",
    "compare_densities": "compare",
}

__all__ = [  # noqa: RUF022 - in the order of sorted()
    "BernoulliMixture",
    "BetaBernoulli",
    "CovarianceWarning",
    "DensityEstimator",
    "EMGaussianMixture",
    "GaussianMLE",
    "PPCA",
    "StandardizedDensity",
    "VAEDensity",
    "compare_densities",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
