"""The base of densities that are trained by epochs: rows, validation, checkpoints and callbacks."""

from abc import abstractmethod
from collections.abc import Mapping
from os import PathLike
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ..._compat import CallbackContext, CallbackSupportMixin
from ..._typing import Floats, Ints, RandomState, Weights
from ...core.rows import canonical_with_missing
from .importance_sampled import ImportanceSampledDensity, ScaledTransformation
from .transaction import transactional, warn
from .validation import result_dtype

N_VALIDATION = 1000  # training rows that are validated where none are set aside
CHECKPOINT_INTERVAL = 5  # epochs

# Parameters that may differ from those of a checkpoint.
UNCHECKED = {"max_iter", "n_score_samples", "device", "checkpoint", "verbose", "warm_start"}


class TrainedDensity(CallbackSupportMixin, ImportanceSampledDensity):
    """Base of densities whose networks are trained epoch by epoch.

    A subclass names the module that trains (``_neural_fit``), the units in which networks take rows
    (``_measured``), their architecture (``_architecture``), the rows that they are trained on
    (``_training_rows``), and what is fitted (``_attributes``).
    """

    max_iter: int
    early_stopping: bool
    validation_fraction: float
    checkpoint: str | PathLike[str] | None
    warm_start: bool
    random_state: RandomState
    verbose: int

    history_: dict[str, list[float]]
    n_iter_: int

    _density: Any  # of the neural wing, which is not imported here
    _training_state: object  # of partial_fit

    @abstractmethod
    def _neural_fit(self) -> ModuleType:
        """The module that trains."""

    @abstractmethod
    def _measured(self, rows: Floats, weight: Floats) -> ScaledTransformation:
        """The units in which networks take distinct rows."""

    @abstractmethod
    def _architecture(self, d: int, *, warm: bool) -> Mapping[str, object]:
        """The architecture of the networks; that of the last fit if it is continued."""

    @abstractmethod
    def _training_rows(self, rows: Floats, weight: Floats) -> object:
        """Rows as networks are trained on them."""

    @abstractmethod
    def _attributes(self, training: Any) -> dict[str, object]:
        """The fitted attributes of the best weights so far."""

    @transactional
    def fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Train both networks and keep the best weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of two equals a row given twice.

        Returns
        -------
        self : VAEDensity

        Raises
        ------
        ImportError
            If torch is not installed.
        ValueError
            If there are fewer than two distinct rows, a column has no observed entry, entries do not
            suit the likelihood, or a checkpoint is of another fit.

        Warns
        -----
        ConvergenceWarning
            If training ended because the bound was not finite again and again.
        """
        neural = self._neural_fit()
        table, w = self._check_training(X, sample_weight)
        self._dtype = result_dtype(table)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        warm = self.warm_start and hasattr(self, "_density")
        architecture = self._architecture(table.shape[1], warm=warm)
        rows, weight = self._distinct(table, w)
        if not warm:
            self._transformation = self._measured(rows, weight)
        checkpoint = None
        if self.checkpoint is not None:
            given = {name: v for name, v in self.get_params().items() if name not in UNCHECKED}
            checkpoint = neural.Checkpoint(self.checkpoint, [rows, weight], given)
        saved = checkpoint and checkpoint.seed
        self._seed = self._new_seed() if saved is None else saved
        parts = [self._training_rows(rows[part], weight[part]) for part in self._split(rows)]
        params = self.get_params(deep=False)
        training = neural.Training(architecture, params, self._seed, *parts)
        if warm:
            training.start_from(self._density)
        if checkpoint is not None:
            checkpoint.resume(training)
        self._run(training, checkpoint, {"X": table, "y": y, "metadata": metadata})
        self._set_fitted(self._attributes(training))
        self.__dict__.pop("_training_state", None)
        if training.failed:
            warn(
                f"Training ended after {training.n_epochs} epochs: {training.n_failures} times the "
                "bound was not finite. The best weights are kept; lower learning_rate.",
                ConvergenceWarning,
            )
        return self

    def _run(self, training: Any, checkpoint: Any, data: Mapping[str, object]) -> None:
        """Train, in sight of callbacks."""
        context: CallbackContext = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, **data)
        report = {
            "estimator": self,
            "reconstruction_attributes": lambda: self._attributes(training),
            **data,
        }
        stop = False
        while not (training.finished or stop):
            epoch = context.subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(estimator=self, **data)
            training.run_epoch()
            if self.verbose:
                print(training)
            due = training.finished or not training.n_epochs % CHECKPOINT_INTERVAL
            if checkpoint is not None and due:
                checkpoint.save(training)
            stop = bool(epoch.call_on_fit_task_end(**report))
        context.call_on_fit_task_end(**report)

    @transactional
    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Train for one epoch on these rows; the first call decides the units for all.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : VAEDensity
        """
        neural = self._neural_fit()
        self._validate_params()  # which scikit-learn leaves out in later calls
        first = not hasattr(self, "_density")
        table, w = self._check_training(X, sample_weight, reset=first)
        self._dtype = result_dtype(table)
        architecture = self._architecture(table.shape[1], warm=not first)
        rows, weight = self._distinct(table, w)
        if first:
            self._transformation, self._seed = self._measured(rows, weight), self._new_seed()
        part = self._training_rows(rows, weight)
        params = self.get_params(deep=False)
        training = neural.Training(architecture, params, self._seed, part, part)
        if hasattr(self, "_training_state"):
            training.resume(self._training_state)
        elif not first:
            training.start_from(self._density)
        training.run_epoch_without_validation()
        self._set_fitted(self._attributes(training))
        self._training_state = training.state()
        return self

    def _distinct(self, X: Floats, w: Floats) -> tuple[Floats, Floats]:
        """Distinct rows and their weights, in an order that only they decide."""
        self._check_entries(X)
        found = canonical_with_missing(X, w)
        return X[found.index], found.weight

    def _new_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _split(self, rows: Floats) -> tuple[Ints, Ints]:
        """The distinct rows to train on, and those to validate."""
        m = len(rows)
        order = np.random.RandomState(self._seed).permutation(m)
        if not self.early_stopping:
            return np.arange(m), np.sort(order[:N_VALIDATION])
        n_validation = min(max(1, round(self.validation_fraction * m)), m - 1)
        return np.sort(order[n_validation:]), np.sort(order[:n_validation])
