"""The uniform density of the smallest box that holds all rows."""

from typing import ClassVar

import numpy as np

from .._compat import RANDOM_STATE
from .._typing import Floats, Ints, RandomState, Table
from ..core.exponential.box import Box
from ..core.exponential.density import ExponentialComponents, ExponentialFamily
from ..core.exponential.rows import FeatureMap
from ..core.mixture import Mixture
from .base.closed_form import NoDensityError, of_density
from .base.conditioning import Restriction
from .base.independent_columns import IndependentColumnsEstimator
from .base.validation import as_count, listed, too_few_rows

BoxDensity = Mixture[ExponentialComponents]


class UniformDensity(IndependentColumnsEstimator[Box, BoxDensity]):
    """The uniform density of the smallest box that holds all rows, the maximum of the likelihood.

    log p(x) = -sum_j log(high_j - low_j) inside, -inf outside; the sides of the box belong to it. As a
    component of a mixture it takes the rows that no other component explains. An entry that is NaN was
    not observed: it moves no side, and scores nothing.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Used by ``sample``.

    Attributes
    ----------
    low_, high_ : ndarray of shape (n_features,)
        The least and the largest entry of each column in rows that have weight.
    n_samples_seen_ : int or float
        The summed weight of all rows so far.
    n_parameters_ : int
        Free parameters: two for each column.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    GaussianMLE : A density without sides.

    Notes
    -----
    A column that is constant has no width, and so no density: ``fit`` raises a ValueError.

    Examples
    --------
    The density of a box of the area 8:

    >>> import numpy as np
    >>> from sklearn_lvm import UniformDensity
    >>> box = UniformDensity().fit([[0.0, 1.0], [2.0, 5.0], [1.0, 1.5]])
    >>> np.exp(box.score_samples([[1.5, 1.0], [1.5, 0.9]])).round(3)
    array([0.125, 0.   ])
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {"random_state": RANDOM_STATE}
    _parameter_names = ("low_", "high_")
    _of_density = ()
    _fixed_in_mixture = (
        True  # it is fitted once, to all rows: a box of its own rows would only shrink
    )

    low_: Floats
    high_: Floats
    n_samples_seen_: int | float

    def __init__(self, *, random_state: RandomState = None) -> None:
        self.random_state = random_state

    def _measured(self, X: Table, w: Floats) -> tuple[FeatureMap, Box]:
        box = Box.of(X.astype(np.float64), w)
        return FeatureMap(box.columns), box

    def _joined(self, X: Table, w: Floats) -> tuple[FeatureMap, Box]:
        box = self._statistics + self._measured(X, w)[1]
        return FeatureMap(box.columns), box

    def _estimate(self, box: Box, transformation: FeatureMap) -> BoxDensity:
        constant = box.constant.tolist()
        if len(constant) == len(box.low):
            raise NoDensityError(too_few_rows(type(self).__name__, 1))
        if constant:
            raise NoDensityError(
                f"X is constant in column {listed(constant)}, where a box has no width and no density: "
                "leave the column out, or add rows in which it varies."
            )
        return Mixture(np.zeros(1), box.density())

    def _family(self, X: Table, w: Floats) -> tuple[FeatureMap, ExponentialFamily]:
        """The family of this density, of the box of these rows, which is no longer estimated."""
        transformation, _ = self._measured(X, w)
        return transformation, ExponentialFamily(transformation.columns)

    def _summary(self, box: Box, transformation: FeatureMap) -> dict[str, object]:
        return {
            "low_": box.low.astype(self._dtype),
            "high_": box.high.astype(self._dtype),
            "n_samples_seen_": as_count(box.weight),
            "n_parameters_": 2 * len(box.low),
        }

    def _described(
        self, density: BoxDensity, box: Box, transformation: FeatureMap
    ) -> dict[str, object]:
        return {}

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        # Columns are independent: of those that are kept everything is known as before.
        box = self._statistics.marginal(kept)
        transformation = FeatureMap(box.columns)
        return {
            **self._summary(box, transformation),
            **of_density(restrict(self._density_or_raise()), transformation),
            "_statistics": box,
        }

    def _width(self) -> int:
        return 2 * self.n_features_in_
