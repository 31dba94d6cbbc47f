"""Does a VAE fill in missing entries better than regressions do? Half of each table is hidden.

The tables come with scikit-learn. Columns are standardized, half of all cells is hidden completely at
random, and the mean squared error on the hidden cells is reported, for the published mask (seed 1234)
and for others.
"""

import time
import warnings

import numpy as np
from common import options, show, write
from missing_problems import PUBLISHED, hidden
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklearn_lvm import VAEDensity

TABLES = {"breast cancer": load_breast_cancer, "iris": load_iris}


def vae(max_iter):
    """One choice for all tables and masks, made on the published mask of the first table."""
    return VAEDensity(
        10,
        likelihood="gaussian_shared",
        hidden_layer_sizes=(128, 128),
        n_importance_samples=10,
        learning_rate=1e-3,
        batch_size=64,
        max_iter=max_iter,
        early_stopping=False,
        n_iter_no_change=max_iter,
        n_score_samples=2000,
        random_state=0,
    )


def contenders(max_iter):
    return {
        "mean": lambda incomplete: SimpleImputer(keep_empty_features=True).fit_transform(
            incomplete
        ),
        "IterativeImputer": lambda incomplete: IterativeImputer(
            random_state=0, max_iter=20
        ).fit_transform(incomplete),
        "VAEDensity": lambda incomplete: vae(max_iter).fit(incomplete).impute(incomplete),
    }


def main():
    import torch

    parser = options(__doc__)
    parser.add_argument("--masks", type=int, default=5, help="masks beside the published one")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--epochs", type=int, default=400)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    epochs, masks = (20, 1) if args.quick else (args.epochs, args.masks)
    table = []
    with threadpool_limits(args.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in args.tables:
            X = StandardScaler().fit_transform(TABLES[name]().data)
            for seed in (PUBLISHED, *range(masks)):
                incomplete = hidden(X, seed)
                row = {"table": name, "mask": seed}
                for contender, impute in contenders(epochs).items():
                    began = time.process_time()
                    error = (impute(incomplete) - X)[np.isnan(incomplete)]
                    row |= {contender: float((error**2).mean())}
                    row |= {f"{contender} s": time.process_time() - began}
                table.append(row)
                print(show([row]), flush=True)
    print(show(table))
    write(args.json, args.threads, {"impute": table})


if __name__ == "__main__":
    main()
