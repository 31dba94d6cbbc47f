"""One categorical for each column: maximum likelihood, posterior mode, or the posterior's mean."""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Tags

from .._compat import RANDOM_STATE, Interval, StrOptions
from .._typing import Floats, Ints, RandomState, Table
from ..core.exponential.density import ExponentialComponents, ExponentialFamily
from ..core.exponential.dirichlet import LevelCounts
from ..core.exponential.rows import FeatureMap
from ..core.mixture import Mixture
from .base.binary import check_prior
from .base.closed_form import NoDensityError, of_density
from .base.conditioning import Restriction
from .base.independent_columns import IndependentColumnsEstimator
from .base.validation import as_count, listed

CategoricalDensity = Mixture[ExponentialComponents]


class Inference(NamedTuple):
    """How many pseudo-observations of each level a prior adds, and what counts say of it."""

    pseudo_counts: Callable[[Floats], Floats]
    known: Callable[[Floats, LevelCounts], dict[str, object]]


def _posterior(alpha: Floats, counts: LevelCounts) -> dict[str, object]:
    return {"alpha_": [a + n for a, n in zip(alpha, counts.counts, strict=True)]}


INFERENCES = {
    "bayes": Inference(
        lambda alpha: alpha,
        lambda alpha, counts: (
            _posterior(alpha, counts) | {"log_evidence_": counts.log_evidence(alpha)}
        ),
    ),
    "map": Inference(lambda alpha: alpha - 1.0, _posterior),
    "mle": Inference(np.zeros_like, lambda alpha, counts: {}),
}


class DirichletCategorical(IndependentColumnsEstimator[LevelCounts, CategoricalDensity]):
    """Independent categories, one for each column, each with a Dirichlet prior on its probabilities.

    With n_l observed entries of level l, of L levels and N entries, the posterior of the
    probabilities is Dirichlet(alpha + n_1, ..., alpha + n_L). The probability of a level is the
    posterior mean (n_l + alpha) / (N + L alpha), which is the predictive of the next entry; or the
    mode (n_l + alpha - 1) / (N + L (alpha - 1)); or the maximum-likelihood estimate n_l / N. An entry
    that is NaN was not observed: it counts as none, and scores nothing.

    Parameters
    ----------
    alpha : float or array-like of shape (n_features,), default=1.0
        The prior: as many entries of each level, seen beforehand. Not used by 'mle'.
    categories : 'auto' or list of array-like, default='auto'
        The levels of each column, numbers. With 'auto' they are the values that were seen. With a list
        a level that was not seen has the probability that the prior gives it. Probabilities sum to
        one over the levels; any other value is impossible, and scores -inf.
    inference : {'bayes', 'map', 'mle'}, default='bayes'
        What the probabilities are: the predictive, the mode of the posterior, or the maximum of the
        likelihood.
    random_state : int, RandomState instance or None, default=None
        Used by ``sample``.

    Attributes
    ----------
    categories_ : list of ndarray
        The levels of each column, increasing.
    probability_ : list of ndarray
        Their probabilities in the next row.
    alpha_ : list of ndarray
        The posterior Dirichlet(alpha_) of each column; not with 'mle', which has none.
    log_evidence_ : ndarray of shape (n_features,)
        Only with 'bayes': the log marginal likelihood of each column's entries in their order, in
        nats, its levels being known.
    n_samples_seen_ : int or float
        The summed weight of all rows so far.
    n_parameters_ : int
        Free parameters: one less than there are levels, of each column.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    BetaBernoulli : The same of zeros and ones.

    Notes
    -----
    ``impute`` fills in the most probable level of the column, the least of several. Levels that are
    strings are to be encoded first, as by :class:`sklearn.preprocessing.OrdinalEncoder`.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 2.38 and 2.41.

    Examples
    --------
    A die that was cast three times. That it has six sides is known beforehand:

    >>> import numpy as np
    >>> from sklearn_lvm import DirichletCategorical
    >>> die = DirichletCategorical(categories=[[1, 2, 3, 4, 5, 6]]).fit([[6.0], [2.0], [6.0]])
    >>> die.probability_[0].round(3)
    array([0.111, 0.222, 0.111, 0.111, 0.111, 0.333])

    The evidence is the product of the probabilities that entries had before they were seen,
    1/6 1/7 2/8:

    >>> bool(np.isclose(np.exp(die.log_evidence_[0]), 1 / 168))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "alpha": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "categories": [StrOptions({"auto"}), list, tuple],
        "inference": [StrOptions(set(INFERENCES))],
        "random_state": RANDOM_STATE,
    }
    _of_density = ("probability_",)

    categories_: list[Floats]
    probability_: list[Floats]
    alpha_: list[Floats]
    log_evidence_: Floats
    n_samples_seen_: int | float

    def __init__(
        self,
        *,
        alpha: float | ArrayLike = 1.0,
        categories: Literal["auto"] | Sequence[ArrayLike] = "auto",
        inference: Literal["bayes", "map", "mle"] = "bayes",
        random_state: RandomState = None,
    ) -> None:
        self.alpha = alpha
        self.categories = categories
        self.inference = inference
        self.random_state = random_state

    # -- statistics --------------------------------------------------------------------------------

    def _measured(self, X: Table, w: Floats) -> tuple[FeatureMap, LevelCounts]:
        counts = LevelCounts.of(X.astype(np.float64), w)
        if not isinstance(self.categories, str):
            counts = self._among(LevelCounts.none_of(self._levels(self.categories)), counts)
        return FeatureMap(counts.columns), counts

    def _joined(self, X: Table, w: Floats) -> tuple[FeatureMap, LevelCounts]:
        counts = self._statistics + self._measured(X, w)[1]
        return FeatureMap(counts.columns), counts

    def _levels(self, given: Sequence[ArrayLike]) -> tuple[Floats, ...]:
        """The levels of each column that ``categories`` lists."""
        d = self.n_features_in_
        if len(given) != d:
            raise ValueError(
                f"categories must be 'auto' or a list of the levels of each of the {d} columns, got "
                f"{len(given)} lists."
            )
        return tuple(_numbers(j, levels) for j, levels in enumerate(given))

    def _among(self, declared: LevelCounts, seen: LevelCounts) -> LevelCounts:
        """Counts of declared levels, of which those that were seen must be some."""
        for j, (levels, found) in enumerate(zip(declared.values, seen.values, strict=True)):
            unknown = np.setdiff1d(found, levels)
            if len(unknown):
                raise ValueError(
                    f"X holds {unknown[0]:g} in column {j}, which is none of its categories: add it to "
                    "them, or leave the entry out as NaN."
                )
        return declared + seen

    # -- the density -------------------------------------------------------------------------------

    def _prior(self) -> Floats:
        return check_prior("alpha", self.alpha, self.n_features_in_)[0]

    def _pseudo_counts(self) -> Floats:
        return INFERENCES[self.inference].pseudo_counts(self._prior())

    def _estimate(self, counts: LevelCounts, transformation: FeatureMap) -> CategoricalDensity:
        pseudo = self._pseudo_counts()
        lacking = [
            j
            for j, (n, more) in enumerate(zip(counts.counts, pseudo, strict=True))
            if (n + more < 0).any() or (n + more).sum() == 0
        ]
        if lacking:
            raise NoDensityError(
                f"inference={self.inference!r} has no estimate in column {listed(lacking)}: there is "
                "no highest point, for want of entries of some level. Raise alpha (1 is enough), or "
                "use inference='bayes'."
            )
        return Mixture(np.zeros(1), counts.density(pseudo))

    def _family(self, X: Table, w: Floats) -> tuple[FeatureMap, ExponentialFamily]:
        """The family of these densities, of the levels that rows have; priors are pseudo-counts."""
        transformation, counts = self._measured(X, w)
        sizes = [len(values) for values in counts.values]
        prior = np.repeat(self._pseudo_counts(), sizes)
        return transformation, ExponentialFamily(transformation.columns, prior)

    def _summary(self, counts: LevelCounts, transformation: FeatureMap) -> dict[str, object]:
        for name in ("alpha_", "log_evidence_"):
            self.__dict__.pop(name, None)  # of another inference
        return {
            "categories_": list(counts.values),
            "n_samples_seen_": as_count(counts.weight),
            "n_parameters_": counts.n_parameters,
            **INFERENCES[self.inference].known(self._prior(), counts),
        }

    def _described(
        self, density: CategoricalDensity, counts: LevelCounts, transformation: FeatureMap
    ) -> dict[str, object]:
        return {"probability_": [np.exp(theta[0]) for theta in density.components.parts]}

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        # Columns are independent: of those that are kept everything is known as before.
        counts = self._statistics.marginal(kept)
        known: dict[str, object] = {
            name: [getattr(self, name)[j] for j in kept]
            for name in ("categories_", "probability_", "alpha_")
            if hasattr(self, name)
        }
        if hasattr(self, "log_evidence_"):
            known["log_evidence_"] = self.log_evidence_[kept]
        return {
            **known,
            **of_density(restrict(self._density_or_raise()), FeatureMap(counts.columns)),
            "n_parameters_": counts.n_parameters,
            "n_samples_seen_": self.n_samples_seen_,
            "_statistics": counts,
        }

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        given = self.categories
        params = super()._params_of_features(kept)
        return (
            params if isinstance(given, str) else params | {"categories": [given[j] for j in kept]}
        )

    # -- rows ----------------------------------------------------------------------------------------

    def _width(self) -> int:
        return sum(column.n_features for column in self._transformation.columns)

    def _conditional_means(self, X: Table) -> Floats:
        pairs = zip(self.categories_, self.probability_, strict=True)
        likely = np.array([values[p.argmax()] for values, p in pairs])
        return np.broadcast_to(likely, X.shape)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags


def _numbers(j: int, levels: ArrayLike) -> Floats:
    """Levels of a column as increasing numbers; the ValueError says what is wrong with them."""
    try:
        values = np.unique(np.asarray(levels, dtype=np.float64))
    except (TypeError, ValueError):
        values = np.zeros(0)
    if not len(values) or values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(
            f"categories[{j}] must be a list of finite numbers, the levels of column {j}, got "
            f"{levels!r}: encode strings first, as with OrdinalEncoder."
        )
    return values
