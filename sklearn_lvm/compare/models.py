"""The models that are compared by default, each with the grid it is searched over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, cast

from sklearn.model_selection import ParameterGrid
from sklearn.utils import get_tags

from ..estimators.standardized import DensityLike, StandardizedDensity

__all__ = [
    "BINARY_MODELS",
    "BINARY_NOTES",
    "MODELS",
    "Candidate",
    "CandidateFactory",
    "Grid",
    "TrainingSize",
    "all_binary",
    "candidate_factories",
    "caveat",
    "takes_missing",
]

Parameters = Mapping[str, Sequence[object]]
"""Values to try for each parameter of an estimator, by name."""
Grid = Parameters | Sequence[Parameters]
"""What scikit-learn's ``GridSearchCV`` takes: one grid, or several to search one by one."""

# Numbers of components and of latent variables to choose from.
N_COMPONENTS = (1, 2, 3, 5, 10, 20, 40, 80)
MAX_COMPONENTS = (1, 5, 10, 20, 40)
# More full covariances than this take long to fit, and posteriors gain little by them.
MAX_FULL = 40
# Factors save few parameters of few columns, and take long to estimate of many columns or components.
FACTORED_FEATURES, MAX_FACTORED = range(5, 101), 10
N_LATENT = (1, 2, 3, 5, 10, 15, 20, 30, 40, 60)
# In units of Scott's bandwidth, which suits one Gaussian: tables with structure need a narrower one.
BANDWIDTHS_PER_SCOTT = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
# A component estimated from fewer rows describes those rows alone.
MIN_ROWS_PER_COMPONENT = 10
MAX_EM_STEPS = 500
# A kernel density takes time for each pair of a kernel and a row.
MAX_KERNELS = 5000


class TrainingSize(NamedTuple):
    """Rows and columns that each fit of a cross-validation is given.

    Where cells are missing, as many complete rows as would have as many cells as were observed.
    """

    n_samples: int
    n_features: int


class Candidate(NamedTuple):
    """An estimator with ``score_samples`` and the grid of parameters to choose from."""

    estimator: DensityLike
    grid: Grid
    max_rows: int | None = None
    """Rows that a fit is given at most, where time grows with their square."""


CandidateFactory = Callable[[TrainingSize], Candidate]
"""A model with the grid that suits the size of a training fold."""
Model = str | DensityLike
"""The name of a built-in model, or an estimator."""
Models = Model | Sequence[Model] | Mapping[str, DensityLike | tuple[DensityLike, Grid]]
"""Models, or estimators by name, each with a grid or without."""


def candidate_factories(
    models: Models | None, *, binary: bool = False
) -> dict[str, CandidateFactory]:
    """Return a candidate factory for each model that the caller asked for.

    Parameters
    ----------
    models : str, estimator, sequence of these, mapping or None
        Names of ``MODELS`` or ``BINARY_MODELS``, estimators, or a mapping from names to estimators or
        (estimator, grid) pairs. None stands for all of those that suit the table.
    binary : bool, default=False
        Whether every column of the table is 0/1: then ``BINARY_MODELS`` suit it.

    Returns
    -------
    factories : dict
        For each name a function from the size of a training fold to a candidate.

    Raises
    ------
    ValueError
        If a name is unknown, or something is neither a name nor an estimator.
    """
    if models is None:
        return dict(BINARY_MODELS if binary else MODELS)
    if isinstance(models, Mapping):
        return {str(name): _factory(model) for name, model in models.items()}
    single = isinstance(models, str) or hasattr(models, "fit")
    listed = [models] if single else list(_members(models))
    return dict(zip(_labels(listed), map(_factory, listed), strict=True))


def _members(models: object) -> Iterator[object]:
    """Names, each once, and estimators."""
    if not isinstance(models, Iterable):
        raise ValueError(f"models must be names, estimators or a mapping of these, got {models!r}")
    names: set[str] = set()
    for model in models:
        if isinstance(model, tuple | Mapping):
            raise ValueError(
                f"models must map names to (estimator, grid), got {model!r} without a name"
            )
        if model not in names if isinstance(model, str) else True:
            yield model
        if isinstance(model, str):
            names.add(model)


def _labels(models: Sequence[object]) -> list[str]:
    """Names of models: those given, and classes of estimators, numbered where they repeat."""
    kinds = [model if isinstance(model, str) else type(model).__name__ for model in models]
    return [
        f"{kind}-{kinds[: i + 1].count(kind)}" if kinds.count(kind) > 1 else kind
        for i, kind in enumerate(kinds)
    ]


def _factory(model: Any) -> CandidateFactory:
    """What makes a candidate of a name, an estimator, or an estimator and its grid."""
    if isinstance(model, str):
        known = MODELS | BINARY_MODELS
        if model not in known:
            raise ValueError(f"unknown model {model}; known are {', '.join(known)}")
        return known[model]
    estimator, grid = model if isinstance(model, tuple) and len(model) == 2 else (model, {})
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise ValueError(
            f"models must be names, or estimators with fit and score_samples, got {estimator!r}"
        )
    grid = _checked_grid(grid)
    return lambda size: Candidate(estimator, grid)


def _checked_grid(grid: Any) -> Grid:
    grid = grid if isinstance(grid, Mapping | str) else list(grid)
    try:
        size = len(ParameterGrid(grid))
    except (TypeError, ValueError) as error:
        raise ValueError(f"models has a grid that cannot be searched: {error}") from error
    if size == 0:
        raise ValueError("models has a grid without any setting")
    return cast(Grid, grid)


def all_binary(factories: Mapping[str, CandidateFactory]) -> bool:
    """Whether all of these are built-in models of zeros and ones."""
    return all(factory in BINARY_MODELS.values() for factory in factories.values())


def takes_missing(estimator: DensityLike) -> bool:
    """Whether an estimator says that it takes NaN, by its tag ``allow_nan``."""
    if not hasattr(estimator, "__sklearn_tags__"):
        return False
    return bool(get_tags(estimator).input_tags.allow_nan)


def caveat(estimator: DensityLike) -> str:
    """Say what to know about the scores of an estimator; empty if nothing."""
    inner = getattr(estimator, "density", estimator)
    kinds = [kind.__name__ for kind in type(inner).__mro__]
    return next((CAVEATS[kind] for kind in kinds if kind in CAVEATS), "")


def _gaussian_mle(size: TrainingSize) -> Candidate:
    from ..estimators.gaussian_mle import GaussianMLE

    return Candidate(GaussianMLE(), {"covariance_type": ["full", "diag", "spherical"]})


def _bayesian_gaussian(size: TrainingSize) -> Candidate:
    from ..estimators.bayesian_gaussian import BayesianGaussian

    return Candidate(BayesianGaussian(), {"covariance_type": ["full", "diag", "spherical"]})


def _em_gaussian_mixture(size: TrainingSize) -> Candidate:
    from ..estimators.gaussian_mixture import EMGaussianMixture

    # Its prior keeps a component that few rows belong to from collapsing.
    n_components = _n_components(size)
    grid: list[Parameters] = [
        {"covariance_type": ["full", "tied", "diag"], "n_components": n_components}
    ]
    if size.n_features in FACTORED_FEATURES:
        few = _up_to(n_components, MAX_FACTORED)
        grid.append({"covariance_type": ["factor"], "n_components": few})
    return Candidate(EMGaussianMixture(), grid)


def _gaussian_mixture(size: TrainingSize) -> Candidate:
    from sklearn.mixture import GaussianMixture

    return _standardized(GaussianMixture(max_iter=MAX_EM_STEPS), _mixture_grid(size))


def _bayesian_gaussian_mixture(size: TrainingSize) -> Candidate:
    from sklearn.mixture import BayesianGaussianMixture

    # The components are an upper limit: the prior empties those not needed.
    n_components = _up_to(MAX_COMPONENTS, size.n_samples // MIN_ROWS_PER_COMPONENT)
    grid: Parameters = {
        "covariance_type": ["full", "tied", "diag"],
        "n_components": n_components,
    }
    return _standardized(BayesianGaussianMixture(max_iter=MAX_EM_STEPS), [grid])


def _variational_gaussian_mixture(size: TrainingSize) -> Candidate:
    from ..estimators.variational_gaussian_mixture import VariationalGaussianMixture

    # A prior that is fitted to the components makes their covariances alike where they are: 'tied'
    # would add nothing.
    n_components = _n_components(size)
    grid: list[Parameters] = [
        {"covariance_type": ["full"], "n_components": _up_to(n_components, MAX_FULL)},
        {"covariance_type": ["diag"], "n_components": n_components},
    ]
    return Candidate(VariationalGaussianMixture(priors="empirical"), grid)


def _pca(size: TrainingSize) -> Candidate:
    from sklearn.decomposition import PCA

    grid = {"n_components": _n_latent(size)}
    return _standardized(PCA(), [grid], per_feature=[True, False])


def _ppca(size: TrainingSize) -> Candidate:
    from ..estimators.ppca import PPCA

    grid = {"n_components": _n_factors(size) or [1]}
    return _standardized(PPCA(), [grid], per_feature=[True, False])


def _factor_analysis(size: TrainingSize) -> Candidate:
    from ..estimators.factor_analysis import FactorAnalysis

    # Scikit-learn's has the same maximum, and takes longer to come near it.
    return Candidate(FactorAnalysis(), {"n_components": _n_factors(size) or [0]})


def _kernel_density(size: TrainingSize) -> Candidate:
    from sklearn.neighbors import KernelDensity

    n_samples = min(size.n_samples, MAX_KERNELS)
    scott = n_samples ** (-1 / (size.n_features + 4))
    grid = {"bandwidth": [float(scott * factor) for factor in BANDWIDTHS_PER_SCOTT]}
    candidate = _standardized(KernelDensity(), [grid], per_feature=[True, False])
    return candidate._replace(max_rows=MAX_KERNELS)


def _beta_bernoulli(size: TrainingSize) -> Candidate:
    from ..estimators.beta_bernoulli import BetaBernoulli

    return Candidate(BetaBernoulli(binarize=None), {})


def _bernoulli_mixture(size: TrainingSize) -> Candidate:
    from ..estimators.bernoulli_mixture import BernoulliMixture

    return Candidate(BernoulliMixture(binarize=None), {"n_components": _n_components(size)})


def _vae_density(size: TrainingSize) -> Candidate:
    from ..estimators.vae import VAEDensity

    # A fit takes seconds: one setting stands for all of them.
    grid = {"n_components": [min(10, size.n_features)]}
    return Candidate(VAEDensity(max_iter=100), grid)


def _standardized(
    estimator: DensityLike, grids: Sequence[Parameters], **own: Sequence[object]
) -> Candidate:
    inner = [{**{f"density__{key}": grid[key] for key in grid}, **own} for grid in grids]
    return Candidate(StandardizedDensity(estimator), inner)


def _mixture_grid(size: TrainingSize) -> list[Parameters]:
    """Leave out components that a training fold is too small to estimate."""
    n_components = _n_components(size)
    of_full_rank = _up_to(n_components, size.n_samples // (size.n_features + 1))
    return [
        {"covariance_type": ["full"], "n_components": of_full_rank},
        {"covariance_type": ["tied", "diag"], "n_components": n_components},
    ]


def _n_components(size: TrainingSize) -> list[int]:
    """Leave some rows to each component."""
    return _up_to(N_COMPONENTS, size.n_samples // MIN_ROWS_PER_COMPONENT)


def _n_latent(size: TrainingSize) -> list[int]:
    """Leave one dimension to the noise, where there are several."""
    return _up_to(N_LATENT, min(size) - 1)


def _n_factors(size: TrainingSize) -> list[int]:
    """Leave one dimension to the noise: n rows vary in n - 1 of them."""
    limit = min(size.n_samples - 2, size.n_features - 1)
    return [n_components for n_components in N_LATENT if n_components <= limit]


def _up_to(choices: Sequence[int], limit: int) -> list[int]:
    return [choice for choice in choices if choice <= max(limit, 1)]


# A later estimator joins the comparison as one entry.
MODELS: dict[str, CandidateFactory] = {
    "GaussianMLE": _gaussian_mle,
    "BayesianGaussian": _bayesian_gaussian,
    "EMGaussianMixture": _em_gaussian_mixture,
    "GaussianMixture": _gaussian_mixture,
    "VariationalGaussianMixture": _variational_gaussian_mixture,
    "BayesianGaussianMixture": _bayesian_gaussian_mixture,
    "PPCA": _ppca,
    "PCA": _pca,
    "FactorAnalysis": _factor_analysis,
    "KernelDensity": _kernel_density,
}
if find_spec("torch"):
    MODELS["VAEDensity"] = _vae_density

# Compared where every column is 0/1: their scores are probabilities, which densities do not share.
# With inference="variational" mixtures of so few components for the rows score as the mode does.
BINARY_MODELS: dict[str, CandidateFactory] = {
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
