"""Trainings of small networks."""

import numpy as np
import torch

from sklearn_lvm.neural.networks import Architecture, build
from sklearn_lvm.neural.training import Rows, Trainer, TrainingOptions


def trainer(X, *, weight=None, probabilities=False, likelihood="gaussian", **changes):
    architecture = Architecture(X.shape[1], 2, likelihood, (6,), "tanh", "mlp", None, None, None)
    options = {
        "n_importance_samples": 1,
        "beta": 1.0,
        "learning_rate": 0.01,
        "batch_size": 40,
        "max_iter": 10,
        "n_iter_no_change": 6,
        "tol": 0.0,
        "precision": "float32",
        "compile": False,
    }
    weight = np.ones(len(X)) if weight is None else weight
    table = Rows.of(X, weight, probabilities=probabilities, device=torch.device("cpu"))
    return Trainer(
        build(architecture, 0), table, table, TrainingOptions(**options | changes), seed=3
    )


def finish(run):
    while not run.finished:
        run.advance()
    return run
