"""What a fitted mixture of any densities says of rows, which may be of mixed columns."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from ..._typing import Floats, Ints, RandomState, Table, Weights
from ...core.mixture import Mixture
from ...core.rows import RowSource
from ...fitting.part_rows import PartRows
from ...fitting.parts import PartComponents, PartStatistics
from .completed_tables import GivenTable
from .conditioning import Restriction
from .imputation import ImputationOptions
from .mixture import MixtureEstimator
from .named_parts import is_list, named_parts
from .part_tables import AsTheyAre, PartTable, is_frame
from .validation import FLOATS, explained, observed_part

MAX_SEED = 2**31 - 1


def _parts_have(*methods: str) -> Callable[["PartMixtureEstimator"], bool]:
    """Whether all parts have these methods."""
    return lambda self: all(hasattr(part, m) for part in self._known_parts() for m in methods)


class PartMixtureEstimator(MixtureEstimator[AsTheyAre, PartComponents, PartStatistics]):
    """Base of mixtures of other estimators, which score, draw and complete rows themselves.

    A subclass has ``parts``, one estimator or a list of them, and says how they are fitted.
    """

    parts: object
    parts_: list[Any]

    def _listed_parts(self) -> list[object]:
        """The parts as a list that is not repeated."""
        return list(cast("Sequence[object]", self.parts)) if is_list(self.parts) else [self.parts]

    def _known_parts(self) -> list[object]:
        """The fitted parts, or those that are to be fitted."""
        named = named_parts(self._listed_parts())
        return list(getattr(self, "parts_", [part for _, part in named]))

    # -- rows --------------------------------------------------------------------------------------

    def _validated(self, X: ArrayLike, *, reset: bool) -> Table:
        """A table of numbers, or a frame as it is, in which parts choose columns."""
        if isinstance(X, PartTable):  # which was validated before
            X = X.values
        if is_frame(X):
            table = PartTable.of_frame(X)
            validate_data(self, X, reset=reset, skip_check_array=True)
            return table
        finite = "allow-nan" if get_tags(self).input_tags.allow_nan else True
        try:
            with np.errstate(all="ignore"):  # the sum of finite entries may overflow
                rows = validate_data(self, X, reset=reset, dtype=FLOATS, ensure_all_finite=finite)
        except (TypeError, ValueError, OverflowError) as error:
            raise explained(error, X) from error
        return PartTable.of_array(rows)

    def _observed_part(self, X: Table, w: Floats, *, every_column: bool) -> tuple[Table, Floats]:
        names = getattr(self, "feature_names_in_", None)
        observed_part(X.keys, w, names, every_column=every_column)
        some = ~np.isnan(X.keys).all(axis=1)
        return (X, w) if some.all() else (X[some], w[some])

    def _slices(self, X: Table) -> list[slice]:
        return [slice(0, X.shape[0])]

    def _log_prob(self, X: Table) -> Floats:
        log_prob = self._by_block(X, lambda: self._density.kernel().log_prob)
        return np.where(np.isnan(X.keys).all(axis=1), 0.0, log_prob)

    def _row_source(self, X: Table, w: Floats, transformation: AsTheyAre) -> RowSource:
        return PartRows(X, w, transformation, self._slices)

    def _known_values(self, row: Floats) -> Floats:
        return row[0]

    # -- criteria ----------------------------------------------------------------------------------

    @staticmethod
    def _without_unknown_count(known: dict[str, object]) -> dict[str, object]:
        """Fitted attributes without the number of parameters where a part tells none."""
        parts = cast("list[object]", known["parts_"])
        if not all(hasattr(part, "n_parameters_") for part in parts):
            del known["n_parameters_"]
        return known

    def _criterion(
        self, X: ArrayLike, sample_weight: Weights, penalty: Callable[[float], float]
    ) -> float:
        self._check_rows(X)
        silent = [part for part in self.parts_ if not hasattr(part, "n_parameters_")]
        if silent:
            raise ValueError(
                f"a criterion needs the number of free parameters, and {silent[0]!r} has no "
                "n_parameters_: compare scores of rows held back instead."
            )
        return super()._criterion(X, sample_weight, penalty)

    # -- some of the columns -------------------------------------------------------------------------

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        known = super()._restricted(kept, restrict)
        density = cast("Mixture[PartComponents]", known["_density"])
        parts = list(density.components.parts)
        return self._without_unknown_count(
            known | {"parts_": parts, "_transformation": AsTheyAre()}
        )

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        return {}

    @available_if(_parts_have("condition", "marginal"))
    def condition(self, values: Mapping[str | int, float]) -> Self:
        """Fix values of some columns: the density of the others given these, p(x_rest | values).

        The parts become their conditional densities, and the weights p(k | values).

        Parameters
        ----------
        values : dict
            From columns, by name or by index, to finite numbers in the units of the data.

        Returns
        -------
        density : object
            A fitted mixture of the other columns.

        Raises
        ------
        ValueError
            If a column is unknown or given twice, none is given or none would be left, or a value is
            not a finite number.
        """
        return super().condition(values)

    @available_if(_parts_have("marginal"))
    def marginal(self, features: Sequence[str | int]) -> Self:
        """Integrate columns out: the density of the given ones, p(x_features).

        Parameters
        ----------
        features : list of str or int
            Columns by name or by index, in any order; the result has them in the order of the fit.

        Returns
        -------
        density : object
            A fitted mixture of these columns.

        Raises
        ------
        ValueError
            If a column is unknown or given twice, or none is given.
        """
        return super().marginal(features)

    # -- rows that parts draw and complete -----------------------------------------------------------

    @available_if(_parts_have("sample"))
    def sample(
        self,
        n_samples: int = 1,
        *,
        random_state: RandomState = None,
        return_latent: bool = False,
    ) -> Table:
        """Draw new rows from the fitted density.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None falls back to the estimator's own ``random_state``.
        return_latent : bool, default=False
            Whether to return the component of each row as well.

        Returns
        -------
        X : array or frame of shape (n_samples, n_features)
            Rows in random order, of the kind that the parts draw.
        latent : ndarray of shape (n_samples,)
            Only if ``return_latent``: the components.

        Raises
        ------
        ValueError
            If ``n_samples`` is not a positive integer, or the random state is none.
        """
        how: dict[str, Any] = {"random_state": random_state, "return_latent": return_latent}
        return super().sample(n_samples, **how)

    def _in_own_precision(self, values: Table) -> Table:
        return values if is_frame(values) else super()._in_own_precision(values)

    @available_if(_parts_have("impute"))
    def impute(
        self,
        X: ArrayLike,
        *,
        n_draws: int | None = None,
        mode: bool = False,
        parameter_draws: bool = False,
        random_state: RandomState = None,
    ) -> Table | list[Table]:
        """Fill in missing entries, given the observed entries of each row.

        They become sum_k p(k | x_o) E_k[x_m | x_o], or are drawn from a part that is drawn by its
        responsibility.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed; columns are numbers. X is not changed.
        n_draws : int, default=None
            None for one table of conditional means, an integer for so many tables with draws.
        mode, parameter_draws : bool, default=False
            Only False: parts of any kind do not say which values are most probable, nor how their
            parameters spread.
        random_state : int, RandomState instance or None, default=None
            Of the draws. None falls back to the estimator's own ``random_state``.

        Returns
        -------
        X : array or frame, or a list of them
            Of the kind of X. Observed entries are the same.

        Raises
        ------
        ValueError
            If a column is no number, or an option is none of these.
        """
        options = ImputationOptions(n_draws, mode, parameter_draws)
        if mode or parameter_draws:
            raise ValueError(
                f"mode={mode}, parameter_draws={parameter_draws}: a mixture of any parts has neither; "
                "set both to False."
            )
        rng = self._random_state_of("impute", random_state)
        rows = self._check_rows(X)
        if rows.categorical.any():
            raise ValueError(
                f"X has categories in column {int(np.argmax(rows.categorical))}, of which there is no "
                "mean: impute takes numbers."
            )
        given = GivenTable.of(X, rows.keys.astype(rows.dtype))
        if given.missing is None:
            values = np.zeros(0)
            return (
                given.completed(values) if n_draws is None else [given.completed(values)] * n_draws
            )
        resp = self._responsibilities(rows)
        if options.n_draws is None:
            means = [np.asarray(part.impute(rows.values), np.float64) for part in self.parts_]
            return given.completed(np.einsum("nk,knd->nd", resp, np.array(means))[given.missing])
        return [
            given.completed(self._drawn(rows, resp, rng)[given.missing])
            for _ in range(n_draws or 0)
        ]

    def _drawn(self, rows: PartTable, resp: Floats, rng: np.random.RandomState) -> Floats:
        """Completed rows (n, d), each by a part that is drawn by its responsibility."""
        levels = rng.random_sample(len(resp)) * resp.sum(axis=1)
        labels = (np.cumsum(resp, axis=1)[:, :-1] <= levels[:, None]).sum(axis=1)
        drawn = np.full(rows.shape, np.nan)
        for k, part in enumerate(self.parts_):
            chosen = labels == k
            if chosen.any():
                seed = int(rng.randint(MAX_SEED))
                drawn[chosen] = part.impute(rows[chosen].values, n_draws=1, random_state=seed)[0]
        return drawn

    # -- what scikit-learn asks ----------------------------------------------------------------------

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        parts = [part for _, part in named_parts(self._listed_parts())]
        tags.input_tags.allow_nan = all(
            get_tags(part).input_tags.allow_nan
            for part in parts
            if hasattr(part, "__sklearn_tags__")
        )
        return tags
