"""What is found of each combination of parameters, and the rows on which it is found."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from .._typing import Floats, Table
from .paths import Fit

__all__ = ["Rows", "Score"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Validated rows, (n, d), and their weights, (n,)."""

    X: Table
    w: Floats


@dataclass(frozen=True, eq=False)
class Score:
    """The criterion of one combination.

    Attributes
    ----------
    value : float
        NaN if a fit failed.
    standard_error : float
        NaN if none is known.
    n_parameters : float
        NaN if a fit failed.
    fit_time : float
        Seconds of all fits.
    converged : bool
        Whether all fits have converged.
    fit : Fit or None
        The fit to all rows, where there is one.
    failure : ValueError or None
        Why a fit failed.
    closed : bool
        Whether the fit cannot be continued.
    """

    value: float = nan
    standard_error: float = nan
    n_parameters: float = nan
    fit_time: float = nan
    converged: bool = False
    fit: Fit | None = None
    failure: ValueError | None = None
    closed: bool = False
