"""Standard errors of the parameters of mixtures."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from ..._typing import Floats, Table, Weights
from ...core.bernoulli.binarization import Binarization
from ...core.bernoulli.counts import Counts
from ...core.bernoulli.density import Bernoullis
from ...core.bernoulli.information import BernoulliScores
from ...core.family import C, S
from ...core.gaussian.density import GaussianFamily, Gaussians
from ...core.gaussian.information import GaussianScores
from ...core.gaussian.moments import Moments
from ...core.mixture_em import MixtureSteps
from ...core.mixture_information import (
    COVARIANCES,
    ComponentScores,
    Information,
    MixtureScores,
    WeightCoordinates,
    errors_of_images,
)
from ...core.standardization import Standardization
from ...fitting.bernoulli_inference import BernoulliComponents
from ...fitting.information import information
from .docs import documented
from .gaussian_mixture import GaussianMixtureEstimator
from .mixture import MixtureEstimator, U
from .transaction import warn
from .validation import check_weights, listed, missing_entries

MAX_DISTANCE = 0.5  # standard errors: then an interval of 90 % holds the truth 86 times in 100
MAX_COORDINATES = 4000  # whose matrix takes 128 MB, and some of these are held


class MixtureWithErrors(MixtureEstimator[U, C, S]):
    """Base of mixtures whose estimates have standard errors.

    A subclass differentiates its log-densities (``_component_scores``), and says what errors its
    parameters have under a covariance of coordinates (``_errors``), and when none (``_check_inside``).
    """

    @abstractmethod
    def _component_scores(self, steps: MixtureSteps[C, S]) -> ComponentScores:
        """Derivatives of the fitted log-densities."""

    @abstractmethod
    def _errors(self, scores: ComponentScores, covariance: Floats) -> Mapping[str, Floats]:
        """Standard errors by the names of parameters, in the units of the data."""

    def _check_inside(self) -> None:
        """Raise a ValueError if a parameter is at a bound, where there are no derivatives."""

    @documented
    def standard_errors(
        self,
        X: ArrayLike,
        sample_weight: Weights = None,
        *,
        kind: Literal["observed", "sandwich"] = "observed",
    ) -> dict[str, Floats]:
        """Estimate the standard errors of the fitted parameters.

        H is minus the matrix of second derivatives of the fitted objective, the prior included, at the
        fitted parameters (Louis, 1982). The covariance of the estimates is inv(H) if the model is
        right, and inv(H) J inv(H) whether or not it is, with J the summed outer product of the scores
        of rows, about their mean (White, 1982). Under a prior inv(H) is that of the posterior, while
        the estimates of other samples spread as the second says.

        Errors are those of large samples. They say little of components that hardly differ, or of
        parameters near a bound; :func:`~sklearn_lvm.bootstrap` needs no derivatives.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows that the mixture was fitted to.
        {sample_weight}
            Those of the fit.
        kind : {'observed', 'sandwich'}, default='observed'
            Whether the model is taken to be right.

        Returns
        -------
        errors : dict of ndarray
            For each of the fitted parameters, by its name and in its shape, the standard error of each
            entry, in the units of that entry.

        Raises
        ------
        ValueError
            If ``kind`` is another, X contains NaN, the mixture was not fitted but made of given
            parameters, there are too many parameters, a component has less than one row, a probability
            is 0 or 1, or the objective has no maximum at the fitted parameters.

        Warns
        -----
        ConvergenceWarning
            If a parameter is more than half of its standard error away from the maximum, since the fit
            ended early; then its error may be another there.

        Examples
        --------
        Two coins of which each row of ten throws shows one: each bias is known as if labels were, by
        the throws of about half of the rows.

        >>> import numpy as np
        >>> from sklearn_lvm import BernoulliMixture
        >>> rng = np.random.RandomState(0)
        >>> bias = np.array([0.1, 0.9])[rng.randint(2, size=1000)]
        >>> X = rng.uniform(size=(1000, 10)) < bias[:, None]
        >>> coins = BernoulliMixture(2, inference="mle", random_state=0).fit(X)
        >>> errors = coins.standard_errors(X)["probabilities_"]
        >>> bool(np.allclose(errors, np.sqrt(0.1 * 0.9 / 500), rtol=0.25))
        True
        """
        rows = self._check_rows(X)
        self._check_complete(rows)
        w = check_weights(sample_weight, rows)
        if not isinstance(kind, str) or kind not in COVARIANCES:
            raise ValueError(f"kind must be one of {sorted(COVARIANCES)}, got {kind!r}.")
        scores = self._scores(float(w.sum()))
        held = slice(None) if w.all() else w > 0
        source = self._row_source(rows[held], w[held], self._transformation)
        found = information(scores, source, self._fitted_steps.concentration)
        free = len(scores.weights.weights) - 1
        covariance = self._covariance(found, kind)
        self._warn_of_distance(found.distance)
        weights = errors_of_images(scores.weights.jacobian.T, covariance[:free, :free])
        errors = self._errors(scores.components, covariance[free:, free:])
        named = {"weights_": weights, **errors}
        with np.errstate(all="ignore"):  # in extreme units
            return {name: value.astype(self._dtype) for name, value in named.items()}

    def _check_complete(self, X: Table) -> None:
        """Raise a ValueError if entries are missing that are needed."""

    def _scores(self, total_weight: float) -> MixtureScores:
        """The scores of the fitted mixture, for rows of a summed weight."""
        if not hasattr(self, "_fitted_steps"):
            raise ValueError(
                "this mixture was made of given parameters, which are no estimates and have no errors: "
                "fit it first."
            )
        self._check_inside()
        self._check_weights_inside(total_weight)
        steps, model = self._fitted_steps, self._model
        scores = MixtureScores(
            steps.family.kernel(model.components, model.log_weights),
            WeightCoordinates(np.exp(model.log_weights)),
            self._component_scores(steps),
        )
        if scores.n_coordinates > MAX_COORDINATES:
            raise ValueError(
                f"the mixture has {scores.n_coordinates} free parameters, and standard errors need a "
                f"matrix of that many rows and columns, at most {MAX_COORDINATES}: use bootstrap, or "
                "fit fewer components or a simpler model."
            )
        return scores

    def _check_weights_inside(self, total_weight: float) -> None:
        empty = np.flatnonzero(total_weight * np.exp(self._model.log_weights) < 1.0).tolist()
        if empty:
            raise ValueError(
                f"components {listed(empty)} have less than one row each, so that their estimates have "
                "no errors: lower n_components. A weight counts as so many rows."
            )

    @staticmethod
    def _warn_of_distance(distance: float) -> None:
        if distance > MAX_DISTANCE:
            warn(
                f"The fit ended where a parameter is about {distance:.1g} of its standard errors away "
                "from the maximum of the objective, and errors may be others there. Fit on, such as by "
                "set_params(tol=1e-8, warm_start=True).fit.",
                ConvergenceWarning,
            )

    @staticmethod
    def _covariance(found: Information, kind: str) -> Floats:
        try:
            return COVARIANCES[kind](found)
        except np.linalg.LinAlgError:
            raise ValueError(
                "the objective has no strict maximum at the fitted parameters for these rows, since "
                "these are not the rows and weights of the fit, or it ended early. Fit to the end, "
                "such as by set_params(tol=1e-8, warm_start=True).fit. If that does not help, lower "
                "n_components: components that do not differ have no errors."
            ) from None


class GaussianMixtureWithErrors(
    GaussianMixtureEstimator[Gaussians], MixtureWithErrors[Standardization, Gaussians, Moments]
):
    """Gaussian mixtures whose estimates have standard errors."""

    def _check_complete(self, X: Table) -> None:
        if missing_entries(X) is not None:
            raise ValueError(
                "X contains NaN, and standard_errors of Gaussians needs complete rows: use bootstrap, "
                "which refits."
            )

    def _component_scores(self, steps: MixtureSteps[Gaussians, Moments]) -> GaussianScores:
        assert isinstance(steps.family, GaussianFamily)
        return GaussianScores(self._model.components, steps.family)

    def _errors(self, scores: ComponentScores, covariance: Floats) -> Mapping[str, Floats]:
        assert isinstance(scores, GaussianScores)
        structure, scale = scores.family.structure, self._transformation.scale
        d = structure.d
        means, covariances = [], []
        for k, place in enumerate(scores.positions):
            of_mean, of_covariance = place[:d], place[d:]
            means.append(
                errors_of_images(scores.mean_images(k), covariance[np.ix_(of_mean, of_mean)])
            )
            if k < len(scores.gaussians.covariance):
                own = covariance[np.ix_(of_covariance, of_covariance)]
                covariances.append(errors_of_images(scores.covariance_images(k), own))
        with np.errstate(all="ignore"):  # in extreme units
            rescaled = np.stack(covariances) * structure.growth(scale)
            return {"means_": np.stack(means) * scale, "covariances_": structure.public(rescaled)}


class BernoulliMixtureWithErrors(MixtureWithErrors[Binarization, BernoulliComponents, Counts]):
    """Bernoulli mixtures whose estimates have standard errors."""

    _parameter_names = ("weights_", "probabilities_")

    def _component_scores(
        self, steps: MixtureSteps[BernoulliComponents, Counts]
    ) -> BernoulliScores:
        prior: Counts | None = getattr(steps.family, "prior", None)
        return BernoulliScores(self._estimated(), prior)

    def _estimated(self) -> Bernoullis:
        components = self._model.components
        if not isinstance(components, Bernoullis):
            raise ValueError(
                "a fit with inference='variational' has posteriors, which say how sure they are: see "
                "weight_concentration_, probability_alpha_ and probability_beta_. Set inference='map' "
                "for estimates with standard errors, and fit again."
            )
        return components

    def _errors(self, scores: ComponentScores, covariance: Floats) -> Mapping[str, Floats]:
        assert isinstance(scores, BernoulliScores)
        return {"probabilities_": scores.errors(np.diagonal(covariance))}

    def _check_inside(self) -> None:
        components = self._estimated()
        certain = np.argwhere((components.probability == 0) | (np.exp(components.log_q) == 0))
        if len(certain):
            k, j = certain[0]
            raise ValueError(
                f"the probability of a one in column {j} of component {k} is exactly "
                f"{components.probability[k, j]:g}, a bound, where the likelihood does not tell its "
                "error: set inference='map', or use bootstrap."
            )
