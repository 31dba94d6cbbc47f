"""One Student-t density of complete rows, by expectation-maximization."""

from collections.abc import Sequence

from .._typing import Block, Floats
from ..core.gaussian.density import GaussianFamily
from ..core.gaussian.full import Full
from ..core.gaussian.student_t import StudentTComponents, StudentTFamily
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..inference.em import EMRun
from .incomplete_rows import run_squarem

StudentTRun = EMRun[Mixture[StudentTComponents]]


def fit_student_t(
    blocks: Sequence[Block],
    added_variance: Floats,
    *,
    dof: float | None,
    tol: float,
    max_iter: int,
) -> StudentTRun:
    """Run EM from the mean and the covariance of the rows.

    Parameters
    ----------
    blocks : sequence of pairs
        Standardized rows (d, n), and weights (n,).
    added_variance : ndarray of shape (d,)
        Added to the diagonal of every scale matrix.
    dof : float or None
        Degrees of freedom; None estimates them.
    tol : float
        Estimated remaining gain, in nats per unit of weight.
    max_iter : int

    Raises
    ------
    SingularCovarianceError
        If a scale matrix is singular to working precision.
    """
    family = StudentTFamily(GaussianFamily(Full(len(added_variance)), added_variance), dof)
    steps, (first, *others) = MixtureSteps(family), blocks
    known = family.statistics(first[0], first[1][None])
    for rows, w in others:
        known = known + family.statistics(rows, w[None])
    return run_squarem(steps, blocks, steps.m_step(known), max_iter=max_iter, tol=tol)
