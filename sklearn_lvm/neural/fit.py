"""The one door of the neural wing: training an autoencoder on standardized rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from os import PathLike

from .._typing import Floats
from . import checkpoint
from .density import NeuralDensity, device_of
from .networks import Architecture, build
from .training import Rows, State, Trainer, TrainingOptions


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Standardized rows (n, d), in which NaN is missing, and their weights (n,).

    Attributes
    ----------
    grey : bool
        Whether entries are probabilities of ones, from which binary rows are drawn.
    """

    rows: Floats
    weight: Floats
    grey: bool


class Training:
    """One training of an autoencoder, epoch by epoch.

    Parameters
    ----------
    architecture : mapping
        The fields of ``Architecture``.
    parameters : mapping
        Those of VAEDensity: the fields of ``TrainingOptions``, and ``device``.
    seed : int
        Decides first weights, batches and noise.
    rows, validation : TrainingRows
        The rows to train on, and those that decide when training ends.
    """

    def __init__(
        self,
        architecture: Mapping[str, object],
        parameters: Mapping[str, object],
        seed: int,
        rows: TrainingRows,
        validation: TrainingRows,
    ) -> None:
        self.device = str(parameters["device"])
        device = device_of(self.device)
        learned, validated = (
            Rows.of(table.rows, table.weight, grey=table.grey, device=device)
            for table in (rows, validation)
        )
        names = [field.name for field in fields(TrainingOptions)]
        options = TrainingOptions(**{name: parameters[name] for name in names})  # type: ignore[arg-type]
        model = build(Architecture(**architecture), seed).to(device)  # type: ignore[arg-type]
        self.trainer = Trainer(model, learned, validated, options, seed)

    # -- where it starts ---------------------------------------------------------------------------

    def start_from(self, density: NeuralDensity) -> None:
        """Start from the weights of an earlier fit."""
        self.trainer.begin_from(density.weights)

    def resume(self, state: State) -> None:
        """Resume from the state of an earlier training, as ``state`` returned it."""
        self.trainer.restore(checkpoint.as_tensors(state))

    # -- epochs ------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether training ends before another epoch."""
        return self.trainer.finished

    @property
    def n_epochs(self) -> int:
        return self.trainer.epoch

    @property
    def n_failures(self) -> int:
        """How often the bound was not finite."""
        return self.trainer.n_failures

    @property
    def failed(self) -> bool:
        """Whether training gave up because the bound was not finite again and again."""
        return self.trainer.failed

    def run_epoch(self) -> None:
        """Train for one epoch and validate."""
        self.trainer.advance()

    def run_epoch_without_validation(self) -> None:
        """Train for one epoch, and keep its weights."""
        self.trainer.train_without_validation()

    def __str__(self) -> str:
        return str(self.trainer)

    # -- what is fitted ----------------------------------------------------------------------------

    def density(self) -> NeuralDensity:
        """The density of the best weights so far."""
        weights = checkpoint.as_arrays(self.trainer.best)
        return NeuralDensity(self.trainer.architecture, weights, self.device)

    def history(self) -> dict[str, list[float]]:
        """The bounds and the learning rate of each epoch."""
        return {name: list(values) for name, values in self.trainer.history.items()}

    def state(self) -> State:
        """The state that the next epoch depends on, as arrays."""
        state: State = checkpoint.as_arrays(self.trainer.state())
        return state


class Checkpoint:
    """A file to which trainings are saved, and from which they resume.

    Parameters
    ----------
    path : str or path-like
    data : iterable of ndarray
        The rows and their weights.
    parameters : mapping
        Those of the fit that must agree.

    Raises
    ------
    ValueError
        If the file is of other data or of other parameters.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        data: Iterable[Floats],
        parameters: Mapping[str, object],
    ) -> None:
        self.path = path
        self.fingerprint = {
            "data": checkpoint.fingerprint(data),
            "parameters": repr(sorted(parameters.items())),
        }
        self.found: State | None = checkpoint.read(path, self.fingerprint)

    @property
    def seed(self) -> int | None:
        """The seed of the saved training; None if there is none."""
        return None if self.found is None else int(self.found["counters"]["seed"])

    def resume(self, training: Training) -> None:
        """Let a training resume from the file, if there is one."""
        if self.found is not None:
            training.trainer.restore(self.found)

    def save(self, training: Training) -> None:
        """Replace the file."""
        checkpoint.write(self.path, self.fingerprint, training.trainer.state())
