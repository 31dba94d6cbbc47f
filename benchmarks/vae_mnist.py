"""How likely are held-out images of MNIST? Dynamic binarization, 784-200-200-50, nats.

The plain loop of a PyTorch user and this package are given the same CPU minutes on the same threads.
The test images are binarized once, at random; scores are importance-weighted bounds, alike for both.
"""

import time
from pathlib import Path

import numpy as np
from common import options, show, write

from sklearn_lvm import VAEDensity

SIZES, Q = (200, 200), 50
NETWORKS = {
    "mlp": {"hidden_layer_sizes": SIZES},
    "conv": {
        "network": "conv",
        "image_shape": (28, 28),
        "hidden_layer_sizes": (16, 128),
        "activation": "relu",
    },
}
# Learning rates, and the share of the epochs that each of them has.
STAGES = ((1.0, 0.5), (0.4, 0.25), (0.15, 0.15), (0.05, 0.1))


def images(path, seed=0):
    """Probabilities of the training images, ones and zeros of the test images."""
    with np.load(path) as data:
        train, test = (data[name].astype(np.float32) / 255 for name in ("X_train", "X_test"))
    return train, (np.random.RandomState(seed).uniform(size=test.shape) < test).astype(np.float32)


def ours(X, seconds, *, k, batch, rate, precision, seed, epochs=None, **params):
    """Stages of falling learning rates that fill the time; the first epochs tell how many there are."""
    model = VAEDensity(
        Q,
        likelihood="bernoulli",
        binarize="dynamic",
        n_importance_samples=k,
        batch_size=batch,
        precision=precision,
        early_stopping=False,
        n_iter_no_change=10**6,
        warm_start=True,
        random_state=seed,
        **params,
    )
    began, n_epochs = time.process_time(), 0

    def fit_more(n, factor=1.0):
        nonlocal n_epochs
        before = time.process_time()
        model.set_params(learning_rate=rate * factor, max_iter=n, random_state=seed + n_epochs).fit(
            X
        )
        n_epochs += n
        return time.process_time() - before

    fit_more(1)  # imports, and first calls
    one, three = fit_more(1), fit_more(3)
    epoch, shares = (three - one) / 2, 1.0
    start = one - epoch  # of a fit: its rows are ordered, and its networks built
    for i, (factor, share) in enumerate(STAGES):
        left = seconds - (time.process_time() - began) - (len(STAGES) - i) * start
        n = round(share / shares * left / epoch) if epochs is None else round(share * epochs)
        n, shares = max(1, n), shares - share
        epoch = (fit_more(n, factor) - start) / n
    return model, n_epochs, time.process_time() - began


def factor_at(share):
    """The factor of the learning rate once a share of the time is over."""
    ends = np.cumsum([part for _, part in STAGES])
    return STAGES[min(np.searchsorted(ends, share, side="right"), len(STAGES) - 1)][0]


def plain(X, seconds, *, seed, batch=100, rate=1e-3):
    """What a user of PyTorch would write, with the same stages of falling rates."""
    import torch
    from torch import nn
    from vae_plain import PlainLoop

    loop = PlainLoop(X.shape[1], SIZES[0], Q, nn.Tanh, rate, seed)
    rows, began, n_epochs = torch.from_numpy(X), time.process_time(), 0
    while (spent := time.process_time() - began) < seconds:
        for group in loop.optimizer.param_groups:
            group["lr"] = rate * factor_at(spent / seconds)
        loop.epoch(rows, batch, torch.bernoulli)
        n_epochs += 1
    return loop.encoder, loop.decoder, n_epochs, time.process_time() - began


def score(encoder, decoder, X, k, seed=1):
    """log 1/k sum of importance weights of each row, the same for both."""
    import torch
    from torch.nn.functional import softplus

    generator = torch.Generator().manual_seed(seed)
    found = []
    with torch.inference_mode():
        for x in torch.from_numpy(X).split(10):
            mean, log_var = encoder(x).chunk(2, dim=1)
            eps = torch.randn((k, *mean.shape), generator=generator)
            t = mean + torch.exp(0.5 * log_var) * eps
            logits = decoder(t)
            log_w = (x * logits).sum(-1) - softplus(logits).sum(-1)
            log_w += 0.5 * (log_var + eps**2 - t**2).sum(-1)
            found.append(torch.logsumexp(log_w, 0) - np.log(k))
    return torch.cat(found).double().numpy()


def line(name, n_epochs, seconds, each):
    return {
        "model": name,
        "epochs": n_epochs,
        "CPU s": seconds,
        "test nats": f"{each.mean():.3f}",
        "se over rows": f"{each.std() / np.sqrt(len(each)):.2f}",
    }


def main():
    import torch

    parser = options(__doc__)
    parser.add_argument("--data", type=Path, default=Path("mnist.npz"))
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU minutes of each contender")
    parser.add_argument("--epochs", type=int, help="epochs of ours, in place of minutes")
    parser.add_argument("--k", type=int, default=1, help="importance samples in training")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--network", choices=NETWORKS, default="mlp", help="ours")
    parser.add_argument("--rows", type=int, default=1000, help="test images")
    parser.add_argument("--samples", type=int, default=1000, help="importance samples of a score")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", choices=("ours", "plain"))
    args = parser.parse_args()
    if not args.data.exists():
        print(f"{args.data} is missing: nothing is measured; give MNIST as --data PATH")
        return
    torch.set_num_threads(args.threads)
    train, test = images(args.data)
    seconds, test = 60 * args.minutes, test[: args.rows]
    if args.quick:
        train, seconds, test, args.samples = train[:2000], 5.0, test[:50], 50
    table = []
    for seed in range(args.seeds):
        if args.only != "ours":
            *networks, n_epochs, spent = plain(train, seconds, seed=seed)
            table.append(line("plain loop", n_epochs, spent, score(*networks, test, args.samples)))
            print(show(table[-1:]), flush=True)
        if args.only != "plain":
            model, n_epochs, spent = ours(
                train,
                seconds,
                k=args.k,
                batch=args.batch,
                rate=args.rate,
                precision=args.precision,
                seed=seed,
                epochs=args.epochs,
                **NETWORKS[args.network],
            )
            each = model.log_evidence(test, args.samples)[0].astype(np.float64)
            table.append(line(f"VAEDensity, {args.network}", n_epochs, spent, each))
            print(show(table[-1:]), flush=True)
    print(show(table))
    write(args.json, args.threads, {"mnist": table})


if __name__ == "__main__":
    main()
