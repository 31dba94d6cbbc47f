"""Is a VAE as it comes at least as likely as one Gaussian on ordinary tables, and what do more latent
variables give?

Mean log-likelihood of held-out rows, nats, over five folds; rows are standardised by the training
folds. The VAE's score is a lower bound. Tables come with scikit-learn, others are looked for under
--data.
"""

import time
import warnings
from pathlib import Path

import numpy as np
from common import options, write
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.model_selection import KFold, cross_val_score
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


def contenders(d):
    """The default, and as many latent variables as half of the columns, or nearly all."""
    more = {f"q={q}": q for q in (d // 2, d - 1) if q > 2}
    return {
        "GaussianMLE": GaussianMLE(),
        "default": VAEDensity(random_state=0),
        **{name: VAEDensity(q, random_state=0) for name, q in more.items()},
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
            if args.only and name not in args.only:
                continue
            row = {"table": name, "shape": f"{len(X)} x {X.shape[1]}"}
            for contender, model in contenders(X.shape[1]).items():
                began = time.process_time()
                scores = cross_val_score(make_pipeline(StandardScaler(), model), X, cv=folds)
                row |= {
                    contender: f"{scores.mean():.2f}",
                    f"{contender} s": time.process_time() - began,
                }
                if args.quick:
                    break
            print(row, flush=True)
            table.append(row)
    write(args.json, args.threads, {"tables": table})


if __name__ == "__main__":
    main()
