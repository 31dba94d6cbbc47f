"""How many rows a second does a VAE learn from, and score? 784-200-200-50, Bernoulli.

Samples per CPU second of training, beside pythae where it is installed, and the plain loop of
``vae_mnist.py``'s kind; then the time and the memory of scores with 64 importance samples. In bfloat16
the held-out bound is shown beside that of float32.
"""

import io
import threading
import time
from pathlib import Path

import numpy as np
from common import installed, options, show, write

from sklearn_lvm import VAEDensity

D, SIZES, Q = 784, (200, 200), 50


def table(n, seed=0):
    """Ones and zeros in a mixture of 30 patterns: something to learn."""
    rng = np.random.RandomState(seed)
    patterns = np.clip(rng.beta(0.2, 0.8, (30, D)), 0.01, 0.99)
    return (rng.uniform(size=(n, D)) < patterns[rng.randint(30, size=n)]).astype(np.float32)


def ours(X, batch, precision, epochs):
    """CPU seconds of a fit of one epoch, and of one with more; and the model."""
    model = VAEDensity(
        Q,
        likelihood="bernoulli",
        hidden_layer_sizes=SIZES,
        activation="relu",
        batch_size=batch,
        precision=precision,
        early_stopping=False,
        n_iter_no_change=10**6,
        random_state=0,
    )
    spent = []
    for n in (1, 1 + epochs):
        began = time.process_time()
        model.set_params(max_iter=n).fit(X)
        spent.append(time.process_time() - began)
    return spent, model


def plain(X, batch, epochs):
    """A loop over tensors, with Adam as it comes."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    h = SIZES[0]
    encoder = nn.Sequential(
        nn.Linear(D, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2 * Q)
    )
    decoder = nn.Sequential(nn.Linear(Q, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, D))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)
    rows = torch.from_numpy(X)
    began = time.process_time()
    for _ in range(epochs):
        for index in torch.randperm(len(rows)).split(batch):
            x = rows[index]
            mean, log_var = encoder(x).chunk(2, dim=1)
            t = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            fit = functional.binary_cross_entropy_with_logits(decoder(t), x, reduction="sum")
            kl = 0.5 * (mean**2 + log_var.exp() - log_var - 1).sum()
            optimizer.zero_grad()
            ((fit + kl) / len(x)).backward()
            optimizer.step()
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
    """The most memory that this process takes while it is watched, beyond what it had before."""

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


def main():
    import torch

    parser = options(__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 1024])
    parser.add_argument("--rows", type=int, default=20_000)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    n = 2000 if args.quick else args.rows
    drawn = table(n + 1000)
    X, test = drawn[:n], drawn[n:]
    peers = {"plain loop": plain} | ({"pythae": pythae} if installed("pythae") else {})
    training, epochs = [], 2
    for batch in args.batches:
        best, ends = {}, {}
        for _ in range(args.repeats):
            for name, peer in peers.items():
                best[name] = min(best.get(name, np.inf), peer(X, batch, epochs))
            for name in ("float32", "bf16"):
                spent, model = ours(X, batch, name, epochs)
                for part, seconds in zip(("one", "all"), spent, strict=True):
                    ends[name, part] = min(ends.get((name, part), np.inf), seconds)
        for name in ("float32", "bf16"):  # without the epoch in which all is built and copied
            best[name] = ends[name, "all"] - ends[name, "one"]
        rates = {name: round(n * epochs / seconds) for name, seconds in best.items()}
        training.append({"batch": batch} | rates)
    print(show(training))
    bounds = [
        {"precision": name, "held-out bound": f"{ours(X, 100, name, 10)[1].elbo(test).mean():.3f}"}
        for name in ("float32", "bf16")
    ]
    print(show(bounds))
    rows = table(1000 if args.quick else 10_000)
    with Peak() as peak:
        began = time.process_time()
        model.score_samples(rows)
        spent = time.process_time() - began
    scores = [{"rows": len(rows), "samples": 64, "CPU s": spent, "extra MB": peak.megabytes}]
    print(show(scores))
    write(args.json, args.threads, {"training": training, "bounds": bounds, "scores": scores})


if __name__ == "__main__":
    main()
