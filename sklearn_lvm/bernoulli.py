"""One coin for each column: maximum likelihood, posterior mode, or the whole posterior."""

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from scipy.stats import beta as beta_distribution
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from ._binary import BINARIZE, BinaryEstimator, check_prior
from ._compat import Interval, StrOptions
from ._typing import Array
from .base import count, fitting, precision
from .core.bernoulli import BelievedCoins, Bernoullis, Betas, Coins
from .core.counts import Counts
from .core.tosses import Tosses
from .inference.distribute import Walker


class NoModeError(ValueError):
    """The density of the biases has no highest point in some columns."""


def _certain(counts: Counts) -> Coins:
    unbounded = (counts.ones < 0) | (counts.zeros < 0) | (counts.ones + counts.zeros == 0)
    if unbounded.any():
        raise NoModeError(np.flatnonzero(unbounded))
    return Coins(Bernoullis.of(counts.ones, counts.zeros))


def _posterior(prior: Betas, counts: Counts) -> dict[str, Array]:
    posterior = prior + counts
    return {"alpha_": posterior.alpha, "beta_": posterior.beta}


def _posterior_and_evidence(prior: Betas, counts: Counts) -> dict[str, Array]:
    return _posterior(prior, counts) | {"log_evidence_": prior.log_evidence(counts)}


class Inference(NamedTuple):
    """How a prior and counts become coins, and what is known of their biases besides."""

    coins: Callable[[Betas, Counts], Coins]
    known: Callable[[Betas, Counts], dict[str, Array]]


INFERENCES = {
    "bayes": Inference(
        lambda prior, counts: BelievedCoins.of(prior + counts), _posterior_and_evidence
    ),
    "map": Inference(
        lambda prior, counts: _certain(counts + prior.pseudo_counts(np.zeros(1))), _posterior
    ),
    "mle": Inference(lambda prior, counts: _certain(counts), lambda prior, counts: {}),
}


class BetaBernoulli(OneToOneFeatureMixin, BinaryEstimator):
    """Independent coins, one for each column, each with a Beta prior on its bias.

    With n1 ones and n0 zeros in a column, the posterior of its bias is Beta(n1 + alpha, n0 + beta).
    The probability of a one is the posterior mean (n1 + alpha) / (n1 + n0 + alpha + beta), which is
    the predictive probability of the next toss; or the mode (n1 + alpha - 1) / (n1 + n0 + alpha +
    beta - 2); or the maximum-likelihood estimate n1 / (n1 + n0). An entry that is NaN was not
    observed: it counts on neither side, and scores nothing.

    Parameters
    ----------
    alpha, beta : float or array-like of shape (n_features,), default=1.0
        The prior: as many ones and zeros as alpha and beta say, seen beforehand. Not used by 'mle'.
    inference : {'bayes', 'map', 'mle'}, default='bayes'
        What the probabilities are: the predictive, the mode of the posterior, or the maximum of the
        likelihood.
    binarize : float or None, default=0.0
        Entries above it are ones, others zeros; with sparse rows it must be at least 0. With None X
        must hold nothing but 0, 1 and NaN.
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
        each column's tosses in their order, in nats.
    n_samples_seen_ : int or float
        The summed weight of all rows so far.
    n_parameters_ : int
        Free parameters: one for each column.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    BernoulliMixture : Several rows of coins, and which of them was tossed is hidden.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 2.7, 2.18 and 2.20.

    Examples
    --------
    Three tosses of one coin, all of them heads. The maximum of the likelihood is sure that it goes
    on like this; a uniform prior leaves room for tails:

    >>> import numpy as np
    >>> from sklearn_lvm import BetaBernoulli
    >>> heads = np.ones((3, 1))
    >>> BetaBernoulli(inference="mle").fit(heads).probability_
    array([1.])
    >>> coin = BetaBernoulli().fit(heads)
    >>> coin.probability_
    array([0.8])

    New tosses go on from there, and one at a time is as good as all at once:

    >>> for toss in (0.0, 1.0):
    ...     coin = coin.partial_fit([[toss]])
    >>> coin.alpha_, coin.beta_
    (array([5.]), array([2.]))

    The evidence is the product of what each toss was given before it fell, 1/2 2/3 3/4 1/5 4/6:

    >>> bool(np.isclose(np.exp(coin.log_evidence_[0]), 1 / 30))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alpha": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "beta": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "inference": [StrOptions(set(INFERENCES))],
        **BINARIZE,
        "random_state": ["random_state"],
    }

    _counts: Counts
    _prior: Betas
    _density: Coins | None
    _lack: str | None  # why there is no density

    def __init__(
        self,
        *,
        alpha: Any = 1.0,
        beta: Any = 1.0,
        inference: str = "bayes",
        binarize: float | None = 0.0,
        random_state: Any = None,
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.inference = inference
        self.binarize = binarize
        self.random_state = random_state

    @fitting
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Count ones and zeros, and estimate the coins.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of two equals a row given twice.

        Returns
        -------
        self : BetaBernoulli

        Raises
        ------
        ValueError
            If a prior is not positive and finite, or the mode that is asked for does not exist; the
            message names the columns.
        """
        X, w = self._check_training(X, sample_weight)
        self._settle(self._count(X, w), precision(X))
        self._fitted_density()
        return self

    @fitting
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Add rows to those seen so far; any split, in any order, equals one ``fit``.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : BetaBernoulli
            Until the rows determine a density, scoring raises a ValueError.
        """
        self._validate_params()  # which scikit-learn leaves out where a stream goes on
        first = not hasattr(self, "_counts")
        X, w = self._check_training(X, sample_weight, reset=first)
        counts = self._count(X, w)
        self._settle(counts if first else self._counts + counts, precision(X))
        return self

    def _count(self, X: Any, w: Array) -> Counts:
        frame = self._sides()
        with Walker() as walker:
            return walker.sum(
                lambda rows: Counts.of(frame.transform(X[rows]), w[None, rows]), self._cut(X)
            )

    def _settle(self, counts: Counts, dtype: Any) -> None:
        """Turn counts into attributes; ``_density`` stays None where they give no density."""
        d = counts.ones.shape[1]
        prior = Betas(check_prior("alpha", self.alpha, d), check_prior("beta", self.beta, d))
        for name in ("alpha_", "beta_", "log_evidence_", "probability_"):
            self.__dict__.pop(name, None)  # of an earlier state
        self._frame, self._counts, self._dtype = self._sides(), counts, dtype
        self._density, self._lack = None, None
        weight = float(counts.weight[0])
        self.n_samples_seen_ = count(weight)
        self.n_parameters_ = d
        inference = INFERENCES[self.inference]
        known = inference.known(prior, counts)
        self._adopt({name: value[0].astype(dtype) for name, value in known.items()})
        try:
            self._density = inference.coins(prior, counts)
        except NoModeError as lack:
            self._lack = self._complaint(*lack.args)
            return
        self.probability_ = self._density.parts.probability[0].astype(dtype)

    def _complaint(self, columns: Array) -> str:
        named = ", ".join(self._column(j).removeprefix("column ") for j in columns[:5])
        more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
        return (
            f"inference={self.inference!r} has no estimate in column {named}{more}: there is no "
            "highest point, for want of ones or zeros. Raise alpha and beta (1 with some observed "
            "entry is enough), or use inference='bayes'."
        )

    def _fitted_density(self) -> Coins:
        if self._density is None:
            raise ValueError(self._lack)
        return self._density

    # -- what is believed of the coins ---------------------------------------------------------------

    @property
    def posterior_(self) -> Any:
        """The posterior of the biases, a frozen :data:`scipy.stats.beta` over the columns."""
        check_is_fitted(self)
        if not hasattr(self, "alpha_"):
            raise AttributeError(
                f"inference={self.inference!r} has no posterior; set inference='bayes' or 'map'."
            )
        return beta_distribution(*(part.astype(np.float64) for part in (self.alpha_, self.beta_)))

    def credible_interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Compute the central interval that holds each bias with a given probability.

        Parameters
        ----------
        level : float, default=0.95
            The posterior probability of the interval, in (0, 1).

        Returns
        -------
        low, high : ndarray of shape (n_features,)
            The posterior's quantiles of (1 - level) / 2 and (1 + level) / 2.

        Raises
        ------
        ValueError
            If ``level`` is not inside (0, 1).
        AttributeError
            If there is no posterior, with inference='mle'.
        """
        if not (isinstance(level, Real) and 0 < level < 1):
            raise ValueError(f"level must be a number in (0, 1), got {level!r}.")
        tail = (1.0 - float(level)) / 2
        return self.posterior_.ppf(tail), self.posterior_.isf(tail)

    # -- what they say of rows -----------------------------------------------------------------------

    def transform(self, X: Any) -> Array:
        """Compute the log-probability of each entry; each row sums to its score.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_prob : ndarray of shape (n_samples, n_features)
            In nats, dense; 0 where nothing was observed.
        """
        X = self._check_rows(X)
        coins = self._fitted_density().parts
        by_side = np.stack([coins.log_q[0], coins.log_p[0], np.zeros(self.n_features_in_)])
        columns = np.arange(self.n_features_in_)

        def entries(tosses: Tosses) -> Array:
            return by_side[tosses.sides(), columns].T

        return self._by_block(X, lambda: entries).T.astype(precision(X))

    def sample(
        self, n_samples: int = 1, *, random_state: Any = None, return_latent: bool = False
    ) -> Any:
        """Draw new rows from the predictive density.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None falls back to the estimator's own ``random_state``.
        return_latent : bool, default=False
            Whether to return the biases of the coins that were tossed as well.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Zeros and ones.
        latent : ndarray of shape (n_samples, n_features)
            Only if ``return_latent``: the biases that each row was drawn with. With 'bayes' they are
            drawn from the posterior, anew for each row; else they are the estimates.
        """
        return super().sample(n_samples, random_state=random_state, return_latent=return_latent)
