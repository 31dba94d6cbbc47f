"""Is a VAE as it comes at least as likely as one Gaussian on ordinary tables?

Mean log-likelihood of held-out rows, nats, over five folds; rows are standardized by the training
folds, by which scikit-learn's mixture is also chosen. The VAE's score is a lower bound. Tables come
with scikit-learn, others are read from --data.
"""

import time
import warnings
from pathlib import Path

import numpy as np
from common import options, show, write
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklearn_lvm import GaussianMLE, VAEDensity

TABLES = {
    "iris": load_iris,
    "wine": load_wine,
    "diabetes": load_diabetes,
    "breast cancer": load_breast_cancer,
}
FILES = {
    "faithful": "X",
    "swiss_banknote": "X",
    "concrete": "X",
    "redwine": "X",
    "oil_flow": "X_train",
}


def tables(folder):
    """Name -> rows."""
    found = {name: load().data for name, load in TABLES.items()}
    for name, key in FILES.items():
        path = folder / f"{name}.npz"
        if path.exists():
            with np.load(path) as data:
                found[name] = data[key].astype(float)
        else:
            print(f"{path} is missing: skipped")
    return found


CONTENDERS = {
    "GaussianMLE": GaussianMLE(),
    "GaussianMixture": GridSearchCV(
        GaussianMixture(reg_covar=1e-3, n_init=3, random_state=0),
        {"n_components": [1, 2, 3, 5, 10]},
    ),
    "VAEDensity(2)": VAEDensity(2, random_state=0),
    "VAEDensity()": VAEDensity(random_state=0),
}


def main():
    import torch

    parser = options(__doc__)
    parser.add_argument("--data", type=Path, default=Path("."))
    parser.add_argument("--only", nargs="+", help="tables")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    folds, table = KFold(5, shuffle=True, random_state=0), []
    with threadpool_limits(args.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, X in tables(args.data).items():
            X = X[:100] if args.quick else X
            if args.only and name not in args.only:
                continue
            row = {"table": name, "shape": f"{len(X)} x {X.shape[1]}"}
            for contender, model in CONTENDERS.items():
                began = time.process_time()
                scores = cross_val_score(make_pipeline(StandardScaler(), model), X, cv=folds)
                seconds = time.process_time() - began
                row |= {contender: f"{scores.mean():.2f}", f"{contender} s": seconds}
            print(show([row]), flush=True)
            table.append(row)
    print(show(table))
    write(args.json, args.threads, {"tables": table})


if __name__ == "__main__":
    main()
