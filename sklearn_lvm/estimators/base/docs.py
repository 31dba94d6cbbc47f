"""Texts that docstrings of estimators share, each written once.

A line ``{name}`` in the docstring of a class or a method stands for the text of that name;
``documented`` puts it in.
"""

from inspect import cleandoc
from typing import TypeVar

T = TypeVar("T")

TEXTS = {
    "em_parameters": """
        tol : float or 'auto', default='auto'
            The fit ends when the estimated remaining gain of this start is below ``tol``, in nats per
            unit of weight, twice in a row. Gains that shrink ever more slowly make the estimate too
            small. 0 goes on to ``max_iter``. 'auto' is 0.2 p / n, between 1e-5 and 3e-2, for p
            parameters and n rows: a small share of the p / n nats by which the likelihood of these rows
            overstates that of others (Akaike, 1974). Whole weights are counts; of others one row
            has the median.
        max_iter : int, default=1000
            The most E-steps of one start, after that of the start itself.
        n_init : int, default=1
            Starts; the one of the highest objective is kept, the first among equals.
        acceleration : {'auto', 'squarem'} or None, default='auto'
            'squarem' extrapolates the EM iterates (Varadhan & Roland, 2008), and keeps a proposal only
            if the objective does not fall. None is plain EM. 'auto' is 'squarem' unless ``tol=0`` asks
            for a given number of steps. The first two steps are plain in any case.
        """,
    "run_parameters": """
        random_state : int, RandomState instance or None, default=None
            Used for starts and by ``sample``.
        n_jobs : int, default=None
            How many starts run side by side, in threads.
        warm_start : bool, default=False
            Whether ``fit`` continues from the last solution, with a single start.
        verbose : int, default=0
            1 prints starts and steps, 2 also lower bounds and times.
        verbose_interval : int, default=10
            Steps between printed lines.
        """,
    "em_attributes": """
        converged_ : bool
            Whether the estimated remaining gain of the best start was below ``tol``.
        n_iter_ : int
            E-steps of the best start, those of rejected proposals included.
        lower_bound_ : float
            The objective of the fitted model per unit of weight, in nats.
        lower_bounds_ : list of float
            The objective of each model that the best start accepted; the last is ``lower_bound_``.
        """,
    "binarize": """
        binarize : float or None, default=0.0
            Entries above it are ones, others zeros; with sparse rows it must be at least 0. With None X
            must hold nothing but 0, 1 and NaN. A fit of several values that are all on one side of it
            warns with a DataConversionWarning.
        """,
    "sample_weight": """
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of two equals a row given twice.
        """,
    "fitted_features": """
        n_parameters_ : int
            Free parameters.
        n_features_in_ : int
        feature_names_in_ : ndarray of shape (`n_features_in_`,)
        """,
}


def documented(described: T) -> T:
    """Put the shared texts into the docstring of a class or a method."""
    if described.__doc__:  # which `python -OO` leaves out
        lines = [_text(line) for line in described.__doc__.splitlines()]
        described.__doc__ = "\n".join(lines)
    return described


def _text(line: str) -> str:
    """The line, or the text that it stands for, as far to the right."""
    name = line.strip().removeprefix("{").removesuffix("}")
    if line.strip() != f"{{{name}}}":
        return line
    margin = line[: len(line) - len(line.lstrip())]
    return "\n".join(margin + part if part else "" for part in cleandoc(TEXTS[name]).splitlines())
