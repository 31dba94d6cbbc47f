"""PPCA of rows of which some entries are missing: where EM starts, and how many components it has."""

from dataclasses import dataclass

import numpy as np

from .._typing import BlockMap, Bools, Floats
from ..core.factor.centered_rows import CenteredRows
from ..core.factor.dimension import choose_dimension
from ..core.factor.incomplete_rows import LinearGaussian, blocks_of
from ..core.factor.missing import MIN_NOISE, IncompletePPCASteps, spectrum_of
from ..core.factor.spectrum import Spectrum
from ..core.gaussian.density import Gaussians
from ..core.gaussian.full import Full
from ..inference.block_map import block_size
from ..inference.em import EMRun, run_em
from ..inference.problem import Problem, attempt
from .one_gaussian import IncompleteTable
from .ppca import Solution, SpectrumProblem, solve

START_TOL, START_ITER = 1e-6, 100  # of the spectrum of filled rows
MIN_START_NOISE = 1e-3  # of the mean variance: filled rows may lie in a plane
LEAST_LOADING = 1e-2  # over the deviation of the noise: loadings of zero would stay so


@dataclass(frozen=True, eq=False)
class IncompleteProblem:
    """Rows with missing entries, the number of axes, and when to stop.

    Attributes
    ----------
    Z : ndarray of shape (d, n)
        Rows in one common unit, about 0; NaN was not observed.
    w : ndarray of shape (n,)
    n_components : int, float, str or None
        The number of axes, or how it is chosen.
    tol : float
        In nats per row.
    max_iter : int
    rng : RandomState
    block_map : BlockMap
    """

    Z: Floats
    w: Floats
    n_components: int | float | str | None
    tol: float
    max_iter: int
    rng: np.random.RandomState
    block_map: BlockMap

    def solve(self) -> tuple[Solution, int]:
        """The spectrum of the most likely W W' + s^2 I, and its number of components.

        Raises
        ------
        ValueError
            If so many components leave no noise, or the rows do not determine how many there are.
        """
        q, start = self._start()
        run = attempt(self._run, start)
        if run is None:
            raise ValueError(
                f"n_components={q} leaves no noise: so many components explain the observed entries "
                "to nine digits, where the likelihood may have no bound; use fewer components, or add "
                "rows."
            )
        spectrum = spectrum_of(run.model)
        return Solution(spectrum, max(run.n_iter, 1), run.converged, run.objective), q

    def _run(self, start: LinearGaussian) -> EMRun[LinearGaussian]:
        (d, q), n = start.W.shape, len(self.w)
        size = min(n, block_size((q + 1) * (q + 2) + q * q + 3 * d))
        blocks = blocks_of(self.Z, self.w, size)
        problem = Problem(IncompletePPCASteps(), blocks, self.block_map)
        return run_em(problem, start, max_iter=self.max_iter, tol=self.tol, acceleration="squarem")

    def _start(self) -> tuple[int, LinearGaussian]:
        """The number of components, and where EM starts."""
        if isinstance(self.n_components, int):
            q = self.n_components
            return q, self._near(self._filled_spectrum(q), q)
        spectrum = self._whole_spectrum()
        q = choose_dimension(self.n_components, spectrum, float(self.w.sum()))
        return q, self._near(spectrum, q)

    def _near(self, spectrum: Spectrum, q: int) -> LinearGaussian:
        """The model of the first axes of a spectrum, none of its loadings quite zero."""
        d, mean_variance = len(self.Z), spectrum.total / len(self.Z)
        q = min(q, d - 1)  # as many as there can be beside the noise
        noise = max(spectrum.noise(q), MIN_START_NOISE * mean_variance)
        W = LEAST_LOADING * np.sqrt(noise / d) * self.rng.standard_normal((q, d)).T
        variance, axes = spectrum.variance[:q], spectrum.axes[:q]
        W[:, : len(axes)] += axes.T * np.sqrt(np.maximum(variance[: len(axes)] - noise, 0.0))
        return LinearGaussian(W, spectrum.mean, noise)

    def _filled_spectrum(self, q: int) -> Spectrum:
        """The spectrum of rows filled with the means of columns."""
        filled = np.where(np.isnan(self.Z), self._column_means()[:, None], self.Z).T
        rows = CenteredRows.of(filled, self.w / self.w.sum(), self.block_map)
        problem = SpectrumProblem(rows, min(q, len(self.Z) - 1), START_TOL, START_ITER, self.rng)
        return solve("auto", problem).spectrum

    def _column_means(self) -> Floats:
        """Means of what was observed of each feature, (d,)."""
        observed = ~np.isnan(self.Z)
        return np.asarray(np.where(observed, self.Z, 0.0) @ self.w / (observed @ self.w))

    def _whole_spectrum(self) -> Spectrum:
        """The spectrum of the most likely Gaussian with a covariance of any form.

        Raises
        ------
        ValueError
            If that covariance is singular.
        """
        varying = np.nanmin(self.Z, axis=1) < np.nanmax(self.Z, axis=1)
        with np.errstate(all="ignore"):  # where a likelihood has no bound
            gaussian = attempt(self._gaussian_of, varying) if varying.any() else None
        if gaussian is not None:
            d, mean = len(self.Z), np.zeros(len(self.Z))
            covariance = np.zeros((d, d))
            mean[varying] = gaussian.mean[0]
            covariance[np.ix_(varying, varying)] = gaussian.covariance.scatter[0]
            spectrum = Spectrum.from_covariance(mean, covariance, d)
            if spectrum.resolved(int(varying.sum()), 1.0 / MIN_NOISE) or not varying.all():
                return spectrum
        raise ValueError(
            f"n_components={self.n_components!r} needs the whole spectrum of the covariance, which "
            "these rows with missing entries do not determine: give n_components as an integer, or add "
            "rows."
        )

    def _gaussian_of(self, varying: Bools) -> Gaussians:
        """The most likely Gaussian of the features that vary."""
        Z = self.Z[varying]
        structure = Full(len(Z))
        table = IncompleteTable.of(
            Z.T, self.w, np.transpose, structure, tol=self.tol, max_iter=self.max_iter
        )
        return table.maximum(np.zeros(structure.d)).model
