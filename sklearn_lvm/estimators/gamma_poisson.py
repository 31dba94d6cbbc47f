"""Independent counts: maximum likelihood, posterior mode, or the whole posterior of their rates."""

from collections.abc import Callable
from numbers import Real
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import gamma as gamma_distribution
from scipy.stats import rv_continuous
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import Tags

from .._compat import RANDOM_STATE, Interval, StrOptions
from .._typing import Bools, Floats, Ints, RandomState, Table, Weights
from ..core.exponential.columns import Poisson
from ..core.exponential.density import ExponentialComponents, ExponentialFamily
from ..core.exponential.gamma import CountSums, GammaPosterior, NegativeBinomials, poissons
from ..core.exponential.rows import FeatureMap
from ..core.mixture import Mixture
from ..inference.block_map import ThreadMap
from .base.binary import check_prior
from .base.closed_form import NoDensityError
from .base.conjugate_columns import ConjugateColumnsEstimator
from .base.independent_columns import IndependentColumnsEstimator
from .base.transaction import warn
from .base.validation import listed

CountDensity = Mixture[NegativeBinomials] | Mixture[ExponentialComponents]


class _NoModeError(ValueError):
    """The density of the rates has no maximum in some columns."""


def _predictive(prior: GammaPosterior, sums: CountSums) -> CountDensity:
    posterior = prior + sums
    return Mixture(np.zeros(1), NegativeBinomials(posterior.shape[None], posterior.rate[None]))


def _mode(prior: GammaPosterior, sums: CountSums) -> CountDensity:
    posterior = prior + sums
    if (posterior.shape < 1).any():
        raise _NoModeError(np.flatnonzero(posterior.shape < 1))
    return Mixture(np.zeros(1), poissons((posterior.shape - 1.0) / posterior.rate))


def _maximum(prior: GammaPosterior, sums: CountSums) -> CountDensity:
    return Mixture(np.zeros(1), poissons(sums.total / sums.observed))


def _posterior(prior: GammaPosterior, sums: CountSums) -> dict[str, Floats]:
    posterior = prior + sums
    return {"alpha_": posterior.shape, "beta_": posterior.rate}


def _posterior_and_evidence(prior: GammaPosterior, sums: CountSums) -> dict[str, Floats]:
    return _posterior(prior, sums) | {"log_evidence_": prior.log_evidence(sums)}


class Inference(NamedTuple):
    """How a prior and sums become a density, and what else they say of the rates.

    ``pseudo_sums`` are those under which the mode is the rate of the density.
    """

    density: Callable[[GammaPosterior, CountSums], CountDensity]
    known: Callable[[GammaPosterior, CountSums], dict[str, Floats]]
    pseudo_sums: Callable[[GammaPosterior], Floats | None]


INFERENCES = {
    "bayes": Inference(
        _predictive,
        _posterior_and_evidence,
        lambda prior: np.stack([prior.rate, prior.shape], axis=1).ravel(),
    ),
    "map": Inference(_mode, _posterior, lambda prior: prior.pseudo_sums.ravel()),
    "mle": Inference(_maximum, lambda prior, sums: {}, lambda prior: None),
}


class GammaPoisson(
    ConjugateColumnsEstimator[FeatureMap, CountSums, CountDensity],
    IndependentColumnsEstimator[CountSums, CountDensity],
):
    """Independent counts, one for each column, each with a Gamma prior on its rate.

    With n observed counts of the sum S in a column, the posterior of its rate is
    Gamma(alpha + S, beta + n), of the mean (alpha + S) / (beta + n). The next count is negative
    binomial under it, or Poisson under its mode (alpha + S - 1) / (beta + n) or under the
    maximum-likelihood estimate S / n. An entry that is NaN was not observed: it counts as none, and
    scores nothing.

    Parameters
    ----------
    alpha, beta : float or array-like of shape (n_features,), default=1.0 and 0.01
        The prior Gamma(alpha, beta) of the rates: as if beta rows had been seen beforehand, with
        counts that sum to alpha. By default it is the exponential distribution of mean 100, which is
        worth a hundredth of a row. Not used by 'mle'.
    inference : {'bayes', 'map', 'mle'}, default='bayes'
        What scores rows: the predictive, the mode of the posterior, or the maximum of the likelihood.
    random_state : int, RandomState instance or None, default=None
        Used by ``sample``.

    Attributes
    ----------
    rate_ : ndarray of shape (n_features,)
        The expected count of the next row.
    alpha_, beta_ : ndarray of shape (n_features,)
        The posterior Gamma(alpha_, beta_) of each rate; not with 'mle', which has none.
    log_evidence_ : ndarray of shape (n_features,)
        Only with 'bayes': the log marginal likelihood of each column, in nats.
    n_samples_seen_ : int or float
        The summed weight of all rows so far.
    n_parameters_ : int
        Free parameters: one for each column.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    BetaBernoulli : The same of zeros and ones.

    Notes
    -----
    A count that is negative is refused with a ValueError. A fit to fractions warns with a
    DataConversionWarning: their factorials are those of the gamma function, and their densities do
    not sum to one.

    References
    ----------
    A. Gelman et al., Bayesian Data Analysis, third edition (2013), section 2.6.

    Examples
    --------
    Three rows without a count. The maximum of the likelihood is sure that it goes on like this; the
    posterior is not:

    >>> import numpy as np
    >>> from sklearn_lvm import GammaPoisson
    >>> none = np.zeros((3, 1))
    >>> GammaPoisson(inference="mle").fit(none).score_samples([[1.0]])
    array([-inf])
    >>> counts = GammaPoisson().fit(none)
    >>> counts.score_samples([[1.0]]).round(2)
    array([-1.68])

    The evidence is the product of the probabilities that entries had before they were seen:

    >>> first = GammaPoisson().fit([[2.0]])
    >>> both = GammaPoisson().fit([[2.0], [5.0]])
    >>> gained = both.log_evidence_ - first.log_evidence_
    >>> bool(np.isclose(gained[0], first.score([[5.0]])))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "alpha": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "beta": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "inference": [StrOptions(set(INFERENCES))],
        "random_state": RANDOM_STATE,
    }
    _parameter_names = ("rate_",)
    _of_density = ("rate_",)

    rate_: Floats

    def __init__(
        self,
        *,
        alpha: float | ArrayLike = 1.0,
        beta: float | ArrayLike = 0.01,
        inference: Literal["bayes", "map", "mle"] = "bayes",
        random_state: RandomState = None,
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.inference = inference
        self.random_state = random_state

    # -- rows that are counts ------------------------------------------------------------------------

    def _validated(self, X: ArrayLike, *, reset: bool) -> Table:
        rows = super()._validated(X, reset=reset)
        self._check_counts(rows)
        return rows

    def _check_counts(self, X: Floats) -> None:
        if (X < 0).any():
            place, value = self._first(X, X < 0)
            raise ValueError(
                f"Negative values in data: X must hold counts, got {value:g} in {place}. Leave the "
                "entry out as NaN, or use a density of real numbers."
            )

    def _check_training(
        self, X: ArrayLike, sample_weight: Weights, *, reset: bool = True
    ) -> tuple[Table, Floats]:
        rows, w = super()._check_training(X, sample_weight, reset=reset)
        with np.errstate(invalid="ignore"):
            fractions = np.floor(rows) != rows
        fractions &= ~np.isnan(rows)
        if fractions.any():
            place, value = self._first(rows, fractions)
            warn(
                f"X holds the fraction {value:g} in {place} of the rows that were observed: "
                f"{type(self).__name__} is a density of counts. Round X, or use a density of real "
                "numbers.",
                DataConversionWarning,
            )
        return rows, w

    def _first(self, X: Floats, bad: Bools) -> tuple[str, float]:
        """Where the first entry of some kind is, and what it is."""
        i, j = np.argwhere(bad)[0]
        names = getattr(self, "feature_names_in_", None)
        return f"row {i}, column {j if names is None else repr(names[j])}", float(X[i, j])

    def _known_values(self, row: Floats) -> Floats:
        self._check_counts(row)
        return row[0]

    def _width(self) -> int:
        return 4 * self.n_features_in_

    # -- statistics --------------------------------------------------------------------------------

    def _map_of(self, d: int) -> FeatureMap:
        return FeatureMap((Poisson(),) * d)

    def _measured(self, X: Table, w: Floats) -> tuple[FeatureMap, CountSums]:
        def of_rows(rows: slice) -> CountSums:
            return CountSums.of(X[rows].T.astype(np.float64), w[rows])

        with ThreadMap() as block_map:
            return self._map_of(X.shape[1]), block_map.sum(of_rows, self._slices(X))

    def _joined(self, X: Table, w: Floats) -> tuple[FeatureMap, CountSums]:
        transformation, sums = self._measured(X, w)
        return transformation, self._statistics + sums

    # -- the density -------------------------------------------------------------------------------

    def _prior(self) -> GammaPosterior:
        d = self.n_features_in_
        return GammaPosterior(
            check_prior("alpha", self.alpha, d)[0], check_prior("beta", self.beta, d)[0]
        )

    def _estimate(self, sums: CountSums, transformation: FeatureMap) -> CountDensity:
        try:
            return INFERENCES[self.inference].density(self._prior(), sums)
        except _NoModeError as error:
            raise NoDensityError(
                f"inference={self.inference!r} has no estimate in column {listed(error.args[0])}: with "
                "alpha below 1 and without counts the highest point is at a rate of zero, where the "
                "density is infinite. Set alpha to at least 1, or use inference='bayes'."
            ) from None

    def _family(self, X: Table, w: Floats) -> tuple[FeatureMap, ExponentialFamily]:
        """The family of these densities; a predictive is read as the mode of the same rate."""
        transformation = self._map_of(X.shape[1])
        prior = INFERENCES[self.inference].pseudo_sums(self._prior())
        return transformation, ExponentialFamily(transformation.columns, prior)

    def _summary(self, sums: CountSums, transformation: FeatureMap) -> dict[str, object]:
        return self._summary_of(INFERENCES[self.inference].known(self._prior(), sums), sums.weight)

    def _described(
        self, density: CountDensity, sums: CountSums, transformation: FeatureMap
    ) -> dict[str, object]:
        return {"rate_": density.components.means[0].astype(self._dtype)}

    def _transformation_of(self, kept: Ints) -> FeatureMap:
        return self._map_of(len(kept))

    def _distribution(self, alpha: Floats, beta: Floats) -> rv_continuous:
        return gamma_distribution(alpha, scale=1.0 / beta)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
