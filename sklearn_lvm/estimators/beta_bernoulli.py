"""One coin for each column: maximum likelihood, posterior mode, or the whole posterior."""

from collections.abc import Callable
from numbers import Real
from typing import ClassVar, Literal, NamedTuple, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta as beta_distribution
from scipy.stats import rv_continuous
from sklearn.base import OneToOneFeatureMixin, clone

from .._compat import RANDOM_STATE, Interval, StrOptions
from .._typing import Floats, Ints, RandomState, Table
from ..core.bernoulli.beta import BetaBernoulliPredictive, BetaPosterior
from ..core.bernoulli.binarization import Binarization
from ..core.bernoulli.binary_rows import BinaryRows
from ..core.bernoulli.counts import Counts
from ..core.bernoulli.density import BernoulliFamily, Bernoullis, IndependentBernoulli
from ..core.family import PartialComponents
from ..core.mixture import Mixture
from ..inference.block_map import ThreadMap
from .base.binary import BINARIZE, BinaryEstimator, check_prior
from .base.closed_form import NoDensityError
from .base.conditioning import Restriction
from .base.conjugate_columns import ConjugateColumnsEstimator
from .base.validation import listed, result_dtype


class _NoModeError(ValueError):
    """The density of the probabilities has no maximum in some columns."""


def _mode(counts: Counts) -> IndependentBernoulli:
    unbounded = (counts.ones < 0) | (counts.zeros < 0) | (counts.ones + counts.zeros == 0)
    if unbounded.any():
        raise _NoModeError(np.flatnonzero(unbounded))
    return IndependentBernoulli(Bernoullis.of(counts.ones, counts.zeros))


def _posterior(prior: BetaPosterior, counts: Counts) -> dict[str, Floats]:
    posterior = prior + counts
    return {"alpha_": posterior.alpha, "beta_": posterior.beta}


def _posterior_and_evidence(prior: BetaPosterior, counts: Counts) -> dict[str, Floats]:
    return _posterior(prior, counts) | {"log_evidence_": prior.log_evidence(counts)}


class Inference(NamedTuple):
    """How a prior and counts become a density, and what else they say of the probabilities."""

    density: Callable[[BetaPosterior, Counts], IndependentBernoulli]
    known: Callable[[BetaPosterior, Counts], dict[str, Floats]]


INFERENCES = {
    "bayes": Inference(
        lambda prior, counts: BetaBernoulliPredictive.of(prior + counts), _posterior_and_evidence
    ),
    "map": Inference(lambda prior, counts: _mode(counts + prior.pseudo_counts()), _posterior),
    "mle": Inference(lambda prior, counts: _mode(counts), lambda prior, counts: {}),
}

# What a mode in a mixture is estimated with.
PSEUDO_COUNTS: dict[str, Callable[[BetaPosterior], Counts | None]] = {
    "map": lambda prior: prior.with_a_mode().pseudo_counts(),
    "mle": lambda prior: None,
}


class BetaBernoulli(
    OneToOneFeatureMixin,
    BinaryEstimator,
    ConjugateColumnsEstimator[Binarization, Counts, IndependentBernoulli],
):
    """Independent coins, one for each column, each with a Beta prior on its bias.

    With n1 ones and n0 zeros in a column, the posterior of its bias is Beta(n1 + alpha, n0 + beta).
    The probability of a one is the posterior mean (n1 + alpha) / (n1 + n0 + alpha + beta), which is
    the predictive probability of the next entry; or the mode (n1 + alpha - 1) / (n1 + n0 + alpha +
    beta - 2); or the maximum-likelihood estimate n1 / (n1 + n0). An entry that is NaN was not
    observed: it counts as neither, and scores nothing.

    Parameters
    ----------
    alpha, beta : float or array-like of shape (n_features,), default=1.0
        The prior: as many ones and zeros as alpha and beta say, seen beforehand. Not used by 'mle'.
    inference : {'bayes', 'map', 'mle'}, default='bayes'
        What the probabilities are: the predictive, the mode of the posterior, or the maximum of the
        likelihood. As parts of a mixture, coins with 'bayes' are fitted as with 'map', alpha + 1 and
        beta + 1: that mode is the predictive.
    binarize : float or None, default=0.0
        Entries above it are ones, others zeros; with sparse rows it must be at least 0. With None X
        must hold nothing but 0, 1 and NaN. A fit of several values that are all on one side of it
        warns with a DataConversionWarning.
    random_state : int, RandomState instance or None, default=None
        Used by ``sample``.

    Attributes
    ----------
    probability_ : ndarray of shape (n_features,)
        The probability of a one in the next row.
    alpha_, beta_ : ndarray of shape (n_features,)
        The posterior Beta(alpha_, beta_) of each bias; not with 'mle', which has none.
    log_evidence_ : ndarray of shape (n_features,)
        Only with 'bayes': log B(alpha_, beta_) - log B(alpha, beta), the log marginal likelihood of
        each column's entries in their order, in nats.
    n_samples_seen_ : int or float
        The summed weight of all rows so far.
    n_parameters_ : int
        Free parameters: one for each column.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    BernoulliMixture : Several sets of probabilities, and which of them made a row is hidden.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 2.7, 2.18 and 2.20.

    Examples
    --------
    One coin that fell three times, always heads. The maximum of the likelihood is sure that it goes
    on like this; a uniform prior leaves room for tails:

    >>> import numpy as np
    >>> from sklearn_lvm import BetaBernoulli
    >>> heads = np.ones((3, 1))
    >>> BetaBernoulli(inference="mle").fit(heads).probability_
    array([1.])
    >>> coin = BetaBernoulli().fit(heads)
    >>> coin.probability_
    array([0.8])

    New rows go on from there, and one at a time is as good as all at once:

    >>> for side in (0.0, 1.0):
    ...     coin = coin.partial_fit([[side]])
    >>> coin.alpha_, coin.beta_
    (array([5.]), array([2.]))

    The evidence is the product of the probabilities that entries had before they were seen,
    1/2 2/3 3/4 1/5 4/6:

    >>> bool(np.isclose(np.exp(coin.log_evidence_[0]), 1 / 30))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "alpha": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "beta": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "inference": [StrOptions(set(INFERENCES))],
        **BINARIZE,
        "random_state": RANDOM_STATE,
    }
    _parameter_names = ("probability_",)
    _of_density = ("probability_",)

    probability_: Floats

    def __init__(
        self,
        *,
        alpha: float | ArrayLike = 1.0,
        beta: float | ArrayLike = 1.0,
        inference: Literal["bayes", "map", "mle"] = "bayes",
        binarize: float | None = 0.0,
        random_state: RandomState = None,
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.inference = inference
        self.binarize = binarize
        self.random_state = random_state

    # -- as a part of a mixture --------------------------------------------------------------------

    def _mode(self) -> Self:
        """An unfitted copy whose mode is what this one estimates: the mean of one is that of the other.

        (n1 + alpha) / (n + alpha + beta) is the mode under Beta(alpha + 1, beta + 1).
        """
        copied: Self = clone(self)
        if self.inference != "bayes":
            return copied
        more = {"alpha": np.add(self.alpha, 1.0), "beta": np.add(self.beta, 1.0)}
        return copied.set_params(inference="map", **more)

    def _log_prior(self) -> float:
        """The log-density of the prior at the mode, in nats, up to a constant; 0 without a prior."""
        if self.inference != "map":
            return 0.0
        prior, coins = self._prior().pseudo_counts(), self._density_or_raise().components
        return float(np.sum(prior.ones * coins.log_p + prior.zeros * coins.log_q))

    def _family(self, X: Table, w: Floats) -> tuple[Binarization, BernoulliFamily]:
        """The threshold, and the estimation of coins of these rows (n, d) by their modes.

        An alpha or beta below 1, which has no mode, is read as 1.
        """
        mode = self._mode()
        prior = PSEUDO_COUNTS[mode.inference](mode._prior_of(X.shape[1]))
        return self._binarization(), BernoulliFamily(prior)

    # -- statistics --------------------------------------------------------------------------------

    def _measured(self, X: Table, w: Floats) -> tuple[Binarization, Counts]:
        codes = self._binarization()

        def of_rows(rows: slice) -> Counts:
            return Counts.of(codes.transform(X[rows]), w[None, rows])

        with ThreadMap() as block_map:
            return codes, block_map.sum(of_rows, self._slices(X))

    def _joined(self, X: Table, w: Floats) -> tuple[Binarization, Counts]:
        codes, counts = self._measured(X, w)
        return codes, self._statistics + counts

    def _fit_rows(self, X: Table, w: Floats) -> None:
        # Of a batch all entries may be on one side by chance: this is for whole tables.
        self._warn_if_one_sided(X, w)
        super()._fit_rows(X, w)

    # -- the density -------------------------------------------------------------------------------

    def _prior(self) -> BetaPosterior:
        return self._prior_of(self.n_features_in_)

    def _prior_of(self, d: int) -> BetaPosterior:
        """The prior of so many columns."""
        return BetaPosterior(check_prior("alpha", self.alpha, d), check_prior("beta", self.beta, d))

    def _estimate(self, counts: Counts, codes: Binarization) -> IndependentBernoulli:
        try:
            return INFERENCES[self.inference].density(self._prior(), counts)
        except _NoModeError as error:
            raise NoDensityError(self._complaint(*error.args)) from None

    def _summary(self, counts: Counts, codes: Binarization) -> dict[str, object]:
        known = INFERENCES[self.inference].known(self._prior(), counts)
        of_columns = {name: value[0] for name, value in known.items()}
        return self._summary_of(of_columns, counts.weight[0])

    def _described(
        self, density: IndependentBernoulli, counts: Counts, codes: Binarization
    ) -> dict[str, object]:
        return {"probability_": density.components.probability[0].astype(self._dtype)}

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        return {
            **super()._restricted(kept, restrict),
            "_fitted_binarize": self._fitted_binarize,
        }

    def _complaint(self, columns: Ints) -> str:
        named = listed([self._column(j).removeprefix("column ") for j in columns])
        return (
            f"inference={self.inference!r} has no estimate in column {named}: there is no "
            "highest point, for want of ones or zeros. Raise alpha and beta (1 with some observed "
            "entry is enough), or use inference='bayes'."
        )

    # -- the posterior -------------------------------------------------------------------------------

    def _distribution(self, alpha: Floats, beta: Floats) -> rv_continuous:
        return beta_distribution(alpha, beta)

    @property
    def _mixture(self) -> Mixture[PartialComponents]:
        return cast(Mixture[PartialComponents], self._density_or_raise().mixture)

    # -- rows ----------------------------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> Floats:
        """Compute the log-probability of each entry; each row sums to its score.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_prob : ndarray of shape (n_samples, n_features)
            In nats, dense; 0 where nothing was observed.
        """
        table = self._check_rows(X)
        coins = self._density_or_raise().components
        by_side = np.stack([coins.log_q[0], coins.log_p[0], np.zeros(self.n_features_in_)])
        columns = np.arange(self.n_features_in_)

        def entries(binary_rows: BinaryRows) -> Floats:
            return by_side[binary_rows.codes(), columns].T

        return self._by_block(table, lambda: entries).T.astype(result_dtype(table))
