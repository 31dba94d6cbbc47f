"""The base of densities that fill in missing entries, given the observed ones of each row."""

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from ..._typing import Floats, RandomState, Table
from ...core.family import PartialComponents
from ...core.mixture import Mixture
from ...fitting.bootstrap import redrawn_weights
from .completed_tables import GivenTable
from .density import DensityEstimator
from .transaction import warn
from .validation import CovarianceWarning


@dataclass(frozen=True, eq=False)
class ImputationOptions:
    """What is asked of missing entries, checked.

    Attributes
    ----------
    n_draws : int or None
        How many tables are drawn; None for one table of conditional means.
    mode : bool
        Whether binary entries are their most probable value instead of their probability.
    parameter_draws : bool
        Whether each table is drawn under parameters of its own.
    """

    n_draws: int | None
    mode: bool
    parameter_draws: bool

    def __post_init__(self) -> None:
        self._check_types()
        if self.mode and self.n_draws is not None:
            raise ValueError(
                f"mode=True is for one table of most probable values, and n_draws={self.n_draws} draws "
                "values at random: give one of them."
            )
        if self.parameter_draws and self.n_draws is None:
            raise ValueError(
                "parameter_draws=True draws tables, and n_draws says how many: give n_draws, or leave "
                "parameter_draws out."
            )

    def _check_types(self) -> None:
        for name in ("mode", "parameter_draws"):
            if not isinstance(value := getattr(self, name), bool | np.bool_):
                raise ValueError(f"{name} must be True or False, got {value!r}.")
        n, whole = self.n_draws, isinstance(self.n_draws, Integral)
        if n is not None and (not whole or isinstance(n, bool) or n < 1):
            raise ValueError(
                "n_draws must be a positive integer, the number of tables to draw, or None for one "
                f"table of conditional means, got {n!r}."
            )


class ImputingEstimator(DensityEstimator):
    """Base of densities that fill in missing entries.

    A subclass says which mixture its density is (``_mixture``), or completes rows
    itself, in the units of the data, of which each has at least one NaN (``_conditional_means`` and
    ``_conditional_draws``). What these return for observed entries is not used.
    """

    @property
    def _mixture(self) -> Mixture[PartialComponents]:
        """The density of rows in the units of kernels, which knows what some entries say of others."""
        return cast(Mixture[PartialComponents], self._density_or_raise())

    def _conditional_means(self, X: Table) -> Floats:
        """Rows (n, d) with E[x_missing | x_observed] in place of missing entries."""
        mixture = self._mixture
        means = self._by_block(X, lambda: mixture.conditional_means)
        return self._transformation.inverse_transform(means.T)

    def _conditional_draws(self, X: Table, rng: np.random.RandomState) -> Floats:
        """Rows (n, d) with a draw of the missing entries of each row given its observed ones."""
        mixture = self._mixture
        parts = [mixture.draw_missing(self._kernel_rows(X[rows]), rng) for rows in self._slices(X)]
        return self._transformation.inverse_transform(np.concatenate(parts))

    def _rows_to_complete(self, X: ArrayLike) -> Table:
        """Validated rows, in which nothing is infinite."""
        return self._check_rows(X)

    def _most_probable(self, means: Floats) -> Floats:
        """What stands for entries of these means where they are asked for by ``mode``: the means."""
        return means

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

        They become their conditional means E[x_m | x_o], m being the missing and o the observed entries
        of a row, or are drawn from p(x_m | x_o). Of a Gaussian with mean mu and covariance C this is a
        Gaussian too, of mean mu_m + C_mo inv(C_oo) (x_o - mu_o) and covariance
        C_mm - C_mo inv(C_oo) C_om (Bishop, 2006, equations 2.81 and 2.82). Of a mixture it is the
        mixture of those of the components, under the weights p(k | x_o).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed. X is not changed.
        n_draws : int, default=None
            None for one table, in which missing entries are their conditional means
            E[x_missing | x_observed]. An integer m for m tables, in each of which they are drawn at
            random from p(x_missing | x_observed), those of a row together: multiple imputation (Rubin,
            1987).
        mode : bool, default=False
            Whether a missing zero or one is the more probable of both, and not the probability of a
            one. Other columns keep the mean.
        parameter_draws : bool, default=False
            Whether each table is drawn under parameters of its own, which spread as estimates do: a
            copy of the estimator is fitted to X once more, from where its fit ended where it can be,
            under Dirichlet weights of the rows (Rubin, 1981). X must then be the table of the fit.
            Otherwise all tables are drawn under the fitted parameters, and differ too little unless
            there are many rows for each parameter.
        random_state : int, RandomState instance or None, default=None
            Of the draws. None falls back to the estimator's own ``random_state``.

        Returns
        -------
        X : array, frame or CSR matrix, or a list of them
            Of the kind of X: an array of its type, a frame of pandas or polars with its columns and
            index, or CSR rows. Observed entries are the same, bit for bit. A row of which nothing was
            observed becomes the mean of the density, or a row drawn from it. Columns of frames that
            hold no fractions, such as nullable integers, are floating point numbers if entries of
            them are missing.

        Raises
        ------
        ValueError
            If ``n_draws`` is not a positive integer, ``mode`` is given with it, or
            ``parameter_draws`` without it; with ``parameter_draws`` also if X cannot be fitted.

        Warns
        -----
        ConvergenceWarning
            If some fits of ``parameter_draws`` had not converged after ``max_iter`` steps.

        References
        ----------
        D. B. Rubin, Multiple Imputation for Nonresponse in Surveys (1987).

        D. B. Rubin, "The Bayesian bootstrap", The Annals of Statistics 9 (1981), 130-134.

        C. M. Bishop, Pattern Recognition and Machine Learning (2006).

        Examples
        --------
        Draws spread as entries do, about the means that a single table holds:

        >>> import numpy as np
        >>> from sklearn_lvm import EMGaussianMixture
        >>> model = EMGaussianMixture.from_parameters(
        ...     [1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]]
        ... )
        >>> X = [[1.0, np.nan]]
        >>> model.impute(X).round(3)
        array([[1. , 0.8]])
        >>> drawn = np.array(model.impute(X, n_draws=4000, random_state=0))[:, 0, 1]
        >>> print(drawn.mean().round(1), drawn.std().round(1))
        0.8 0.6
        """
        options = ImputationOptions(n_draws, mode, parameter_draws)
        rng = self._random_state_of("impute", random_state)
        table = GivenTable.of(X, self._rows_to_complete(X))
        if options.n_draws is None:
            means = table.values(self._conditional_means)
            return table.completed(self._most_probable(means) if mode else means)
        draw = self._draw_with_parameters if parameter_draws else self._draw
        return draw(table, int(options.n_draws), rng)

    def _draw(self, table: GivenTable, n: int, rng: np.random.RandomState) -> list[Table]:
        """The table n times, with missing entries drawn."""

        def draw(rows: Table) -> Floats:
            return self._conditional_draws(rows, rng)

        return [table.completed(table.values(draw)) for _ in range(n)]

    def _draw_with_parameters(
        self, table: GivenTable, n: int, rng: np.random.RandomState
    ) -> list[Table]:
        """The table n times, with missing entries drawn under parameters that are drawn before."""
        if table.missing is None:
            return self._draw(table, n, rng)
        drawn, n_slow, ones = [], 0, np.ones(table.rows.shape[0])
        for _ in range(n):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # told of once
                warnings.simplefilter("ignore", CovarianceWarning)
                model = self._refitted(table.rows, redrawn_weights(ones, rng))
            drawn += model._draw(table, 1, rng)
            n_slow += not getattr(model, "converged_", True)
        if n_slow:
            warn(
                f"{n_slow} of {n} fits of parameter_draws=True had not converged after max_iter steps, "
                "and lie too near to the fitted parameters. Raise max_iter of the estimator.",
                ConvergenceWarning,
            )
        return drawn
