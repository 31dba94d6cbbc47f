"""How many rows a second does a VAE learn from, and score? 784-200-200-50, Bernoulli.

Samples per CPU second of training, beside pythae where it is installed, and the plain loop of
``vae_mnist.py``'s kind; then the held-out bounds that float32 and bfloat16 come to, on the images of
MNIST where --data leads there; then the time and the memory of scores with 64 importance samples.
"""

import io
import threading
import time
from pathlib import Path

import numpy as np
from common import installed, options, show, write

from sklearn_lvm import VAEDensity

D, SIZES, Q = 784, (200, 200), 50
PRECISIONS = ("float32", "bf16")


def table(n, seed=0):
    """Ones and zeros in a mixture of 30 patterns: something to learn."""
    rng = np.random.RandomState(seed)
    patterns = np.clip(rng.beta(0.2, 0.8, (30, D)), 0.01, 0.99)
    return (rng.uniform(size=(n, D)) < patterns[rng.randint(30, size=n)]).astype(np.float32)


def model_of(batch, precision, **params):
    return VAEDensity(
        Q,
        likelihood="bernoulli",
        hidden_layer_sizes=SIZES,
        activation="relu",
        batch_size=batch,
        learning_rate=1e-3,
        precision=precision,
        early_stopping=False,
        n_iter_no_change=10**6,
        **params,
    )


def ours(X, batch, precision, epochs):
    """CPU seconds of a fit of one epoch, and of one with more."""
    spent = []
    for n in (1, 1 + epochs):
        model = model_of(batch, precision, max_iter=n, random_state=0)
        began = time.process_time()
        model.fit(X)
        spent.append(time.process_time() - began)
    return spent


def plain(X, batch, epochs):
    """A loop over tensors, with Adam as it comes."""
    import torch
    from torch import nn
    from vae_plain import PlainLoop

    loop, rows = PlainLoop(D, SIZES[0], Q, nn.ReLU), torch.from_numpy(X)
    began = time.process_time()
    for _ in range(epochs):
        loop.epoch(rows, batch, lambda x: x)
    return time.process_time() - began


def pythae(X, batch, epochs):
    """Its own trainer, silent, with its own default networks replaced by ones of the same sizes."""
    import logging
    import tempfile
    from contextlib import redirect_stderr

    import torch
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from torch import nn

    h = SIZES[0]

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(D, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU())
            self.mean, self.log_var = nn.Linear(h, Q), nn.Linear(h, Q)

        def forward(self, x):
            hidden = self.body(x.reshape(len(x), -1))
            return ModelOutput(embedding=self.mean(hidden), log_covariance=self.log_var(hidden))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            layers = (nn.Linear(Q, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, D))
            self.body = nn.Sequential(*layers, nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.body(z))

    config = VAEConfig(input_dim=(1, D), latent_dim=Q, reconstruction_loss="bce")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        training = BaseTrainerConfig(
            output_dir=folder, num_epochs=epochs, per_device_train_batch_size=batch, no_cuda=True
        )
        from pythae.data.datasets import BaseDataset

        rows = torch.from_numpy(X).reshape(-1, 1, D)
        trainer = BaseTrainer(
            VAE(config, Encoder(), Decoder()),
            BaseDataset(rows, torch.zeros(len(X))),
            None,
            training,
        )
        trainer.prepare_training()
        began = time.process_time()
        for epoch in range(epochs):
            trainer.train_step(epoch)
        return time.process_time() - began


class Peak(threading.Thread):
    """The most memory that this process takes in the block, in excess of what it had before."""

    def __enter__(self):
        self.before = self.most = self.now()
        self.over = threading.Event()
        self.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.join()

    @staticmethod
    def now():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def run(self):
        while not self.over.wait(0.005):
            self.most = max(self.most, self.now())

    @property
    def megabytes(self):
        return (self.most - self.before) / 1e6


def speeds(X, batch, repeats, epochs):
    """Samples per CPU second of each contender, in turn."""
    peers = {"plain loop": plain} | ({"pythae": pythae} if installed("pythae") else {})
    best, ends = {}, {}
    for _ in range(repeats):
        for name, peer in peers.items():
            best[name] = min(best.get(name, np.inf), peer(X, batch, epochs))
        for name in PRECISIONS:
            for part, seconds in zip(("one", "all"), ours(X, batch, name, epochs), strict=True):
                ends[name, part] = min(ends.get((name, part), np.inf), seconds)
    for name in PRECISIONS:  # without the epoch in which all is built and copied
        best[name] = ends[name, "all"] - ends[name, "one"]
    rates = {name: round(len(X) * epochs / seconds) for name, seconds in best.items()}
    return {"batch": batch} | rates


def tables(path, n):
    """Rows to learn from and others: images, or patterns."""
    if path.exists():
        with np.load(path) as data:
            return [(data[name] > 127).astype(np.float32) for name in ("X_train", "X_test")]
    print(f"{path} is missing: bounds are those of patterns")
    drawn = table(n + 1000)
    return drawn[:n], drawn[n:]


def held_out(X, test, epochs, seeds):
    """The evidence lower bound of other rows, mean and standard error over seeds.

    Rows share their noise, and a mean over rows that of its few draws: it takes many.
    """
    found = []
    for name in PRECISIONS:
        models = (model_of(100, name, max_iter=epochs, random_state=s) for s in range(seeds))
        each = [model.fit(X).elbo(test[:2000], 64).mean() for model in models]
        error = np.std(each, ddof=1) / np.sqrt(seeds)
        found.append({"precision": name, "held-out bound": f"{np.mean(each):.2f} +- {error:.2f}"})
    return found


def main():
    import torch

    parser = options(__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 1024])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=10, help="that are timed")
    parser.add_argument("--data", type=Path, default=Path("mnist.npz"))
    parser.add_argument("--passes", type=int, default=10, help="epochs to a held-out bound")
    parser.add_argument("--seeds", type=int, default=3, help="of a held-out bound")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.quick:
        args.rows, args.epochs, args.passes, args.seeds = 2000, 1, 1, 2
    X = table(args.rows)
    training = [speeds(X, batch, args.repeats, args.epochs) for batch in args.batches]
    print(show(training))
    bounds = held_out(*tables(args.data, args.rows), args.passes, args.seeds)
    print(show(bounds))
    rows = table(1000 if args.quick else 10_000)
    model = model_of(100, "float32", max_iter=1, random_state=0).fit(X)
    with Peak() as peak:
        began = time.process_time()
        model.score_samples(rows)
        spent = time.process_time() - began
    scores = [{"rows": len(rows), "samples": 64, "CPU s": spent, "extra MB": peak.megabytes}]
    print(show(scores))
    write(args.json, args.threads, {"training": training, "bounds": bounds, "scores": scores})


if __name__ == "__main__":
    main()
