"""The models that are compared by default, each with the grid it is searched over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

__all__ = [
    "BINARY_MODELS",
    "BINARY_NOTES",
    "MODELS",
    "Candidate",
    "Size",
    "all_binary",
    "caveat",
    "resolve",
]

Grid = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]]

COMPONENTS = (1, 2, 3, 5, 10, 20, 40, 80)
COMPONENT_LIMITS = (1, 5, 10, 20, 40)
FACTORS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 60)
# Scott's rule suits one normal cloud; tables with structure want a narrower kernel.
BANDWIDTHS_PER_SCOTT = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
# A component of fewer rows than this says little beyond those rows.
ROWS_PER_COMPONENT = 10
MAX_ITER = 500


class Size(NamedTuple):
    """Rows and columns that each fit of a cross-validation sees."""

    n_samples: int
    n_features: int


class Candidate(NamedTuple):
    """An estimator with ``score_samples`` and the grid of parameters to choose from."""

    estimator: Any
    grid: Grid


def resolve(
    models: str | Sequence[str] | Mapping[str, Any] | None, *, binary: bool = False
) -> dict[str, Callable[[Size], Candidate]]:
    """Turn what the caller asked for into factories, by name.

    Parameters
    ----------
    models : str, sequence of str, mapping or None
        Names of ``MODELS`` or ``BINARY_MODELS``, or a mapping from names to estimators or
        (estimator, grid) pairs. None stands for all of those that suit the table.
    binary : bool, default=False
        Whether every column of the table is 0/1: then ``BINARY_MODELS`` suit it.

    Returns
    -------
    factories : dict
        For each name a function of the size of a training fold.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    if isinstance(models, Mapping):
        return {name: _fixed(model) for name, model in models.items()}
    known, suitable = MODELS | BINARY_MODELS, BINARY_MODELS if binary else MODELS
    names = [models] if isinstance(models, str) else suitable if models is None else models
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"unknown model {', '.join(unknown)}; known are {', '.join(known)}")
    return {name: known[name] for name in names}


def all_binary(factories: Mapping[str, Callable[[Size], Candidate]]) -> bool:
    """Whether all of these are built-in models of zeros and ones."""
    return all(factory in BINARY_MODELS.values() for factory in factories.values())


def caveat(estimator: Any) -> str:
    """Say what a reader of the leaderboard must know about the scores of an estimator, if any."""
    inner = getattr(estimator, "density", estimator)
    kinds = [kind.__name__ for kind in type(inner).__mro__]
    return next((CAVEATS[kind] for kind in kinds if kind in CAVEATS), "")


def _fixed(model: Any) -> Callable[[Size], Candidate]:
    estimator, grid = model if isinstance(model, tuple) else (model, {})
    return lambda size: Candidate(estimator, grid)


def _gaussian_mle(size: Size) -> Candidate:
    from ..estimators.gaussian_mle import GaussianMLE

    return Candidate(GaussianMLE(), {"covariance_type": ["full", "diag", "spherical"]})


def _em_gaussian_mixture(size: Size) -> Candidate:
    from ..estimators.gaussian_mixture import EMGaussianMixture

    return Candidate(EMGaussianMixture(), _mixture_grid(size))


def _gaussian_mixture(size: Size) -> Candidate:
    from sklearn.mixture import GaussianMixture

    return _standardized(GaussianMixture(max_iter=MAX_ITER), _mixture_grid(size))


def _bayesian_gaussian_mixture(size: Size) -> Candidate:
    from sklearn.mixture import BayesianGaussianMixture

    # The components are an upper limit: the prior empties those not needed.
    most = _up_to(COMPONENT_LIMITS, size.n_samples // ROWS_PER_COMPONENT)
    grid = {"covariance_type": ["full", "tied", "diag"], "n_components": most}
    return _standardized(BayesianGaussianMixture(max_iter=MAX_ITER), [grid])


def _pca(size: Size) -> Candidate:
    from sklearn.decomposition import PCA

    grid = {"n_components": _factors(size)}
    return _standardized(PCA(), [grid], per_feature=[True, False])


def _ppca(size: Size) -> Candidate:
    from ..estimators.ppca import PPCA

    # n rows vary in n - 1 dimensions, one of which has to be left to the noise.
    most = _up_to(FACTORS, min(size.n_samples - 2, size.n_features - 1))
    return _standardized(PPCA(), [{"n_components": most}], per_feature=[True, False])


def _factor_analysis(size: Size) -> Candidate:
    from sklearn.decomposition import FactorAnalysis

    return _standardized(FactorAnalysis(), [{"n_components": _factors(size)}])


def _kernel_density(size: Size) -> Candidate:
    from sklearn.neighbors import KernelDensity

    scott = size.n_samples ** (-1 / (size.n_features + 4))
    grid = {"bandwidth": [float(scott * factor) for factor in BANDWIDTHS_PER_SCOTT]}
    return _standardized(KernelDensity(), [grid], per_feature=[True, False])


def _beta_bernoulli(size: Size) -> Candidate:
    from ..estimators.beta_bernoulli import BetaBernoulli

    return Candidate(BetaBernoulli(binarize=None), {})


def _bernoulli_mixture(size: Size) -> Candidate:
    from ..estimators.bernoulli_mixture import BernoulliMixture

    most = _up_to(COMPONENTS, size.n_samples // ROWS_PER_COMPONENT)
    return Candidate(BernoulliMixture(binarize=None), {"n_components": most})


def _vae_density(size: Size) -> Candidate:
    from ..estimators.vae import VAEDensity

    # A fit takes seconds: one setting stands for all of them.
    return Candidate(VAEDensity(min(10, size.n_features), max_iter=100), {})


def _standardized(estimator: Any, grids: Sequence[Mapping[str, Any]], **own: Any) -> Candidate:
    from ..estimators.standardized import StandardizedDensity

    inner = [{f"density__{key}": grid[key] for key in grid} | own for grid in grids]
    return Candidate(StandardizedDensity(estimator), inner)


def _mixture_grid(size: Size) -> list[dict[str, list[Any]]]:
    """Leave out components that a training fold is too small to estimate."""
    few = size.n_samples // ROWS_PER_COMPONENT
    each_of_full_rank = min(few, size.n_samples // (size.n_features + 1))
    return [
        {"covariance_type": ["full"], "n_components": _up_to(COMPONENTS, each_of_full_rank)},
        {"covariance_type": ["tied", "diag"], "n_components": _up_to(COMPONENTS, few)},
    ]


def _factors(size: Size) -> list[int]:
    return _up_to(FACTORS, min(size) - 1)


def _up_to(choices: Sequence[int], limit: int) -> list[int]:
    return [choice for choice in choices if choice <= max(limit, 1)]


# A later estimator joins the comparison as one entry.
MODELS: dict[str, Callable[[Size], Candidate]] = {
    "GaussianMLE": _gaussian_mle,
    "EMGaussianMixture": _em_gaussian_mixture,
    "GaussianMixture": _gaussian_mixture,
    "BayesianGaussianMixture": _bayesian_gaussian_mixture,
    "PPCA": _ppca,
    "PCA": _pca,
    "FactorAnalysis": _factor_analysis,
    "KernelDensity": _kernel_density,
} | ({"VAEDensity": _vae_density} if find_spec("torch") else {})

# Compared where every column is 0/1: their scores are probabilities, which densities do not share.
BINARY_MODELS: dict[str, Callable[[Size], Candidate]] = {
    "BetaBernoulli": _beta_bernoulli,
    "BernoulliMixture": _bernoulli_mixture,
}
BINARY_NOTES = (
    "every column is 0/1: models of zeros and ones are compared, by probabilities",
    "left out: scikit-learn's BernoulliRBM, whose score is a pseudo-likelihood, not a likelihood",
)

CAVEATS = {
    "VAEDensity": "the score is a lower bound of the log-density, by importance sampling",
    "BayesianGaussianMixture": "the score is a lower bound of the predictive log-density",
    "Pipeline": "a pipeline leaves the log-Jacobian of its transforms out of the score",
}
