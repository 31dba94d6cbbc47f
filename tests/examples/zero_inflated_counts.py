"""Counts with more zeros than a Poisson distribution has, column by column."""

import numpy as np
from scipy.special import expit, gammaln, xlogy

from sklearn_lvm import LatentVariableModel


class ZeroInflatedCounts(LatentVariableModel):
    """x is 0 with probability q, and else a Poisson count: (q, rate) of each column."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def start(self, X, weight, rng):
        if (X < 0).any():
            raise ValueError(
                "Negative values in data passed to ZeroInflatedCounts: counts are not."
            )
        q = rng.uniform(0.1, 0.5, size=X.shape[1])
        return {"q": q, "rate": (weight @ X / weight.sum() + 1e-3) / (1.0 - q)}

    def posterior(self, theta, X):
        poisson = xlogy(X, theta["rate"]) - theta["rate"] - gammaln(X + 1.0)
        poisson += np.log1p(-theta["q"])
        log_prob = np.where(X == 0, np.logaddexp(poisson, np.log(theta["q"])), poisson)
        inflated = (X == 0) * expit(np.log(theta["q"]) - poisson)
        return inflated, log_prob.sum(axis=1)

    def expect(self, theta, X, weight):
        inflated, log_evidence = self.posterior(theta, X)
        total = np.full(X.shape[1], weight.sum())
        return {"n": total, "inflated": weight @ inflated, "sum": weight @ X}, log_evidence

    def maximize(self, statistics, theta):
        n, zeros = statistics["n"], statistics["inflated"] + 0.5
        rate = (statistics["sum"] + 0.5) / (n - statistics["inflated"] + 0.5)
        return {"q": zeros / (n + 1.0), "rate": rate}

    def log_prior(self, theta):
        q, rate = theta["q"], theta["rate"]
        return float(0.5 * (np.log(q) + np.log1p(-q) + np.log(rate) - rate).sum())

    def draw(self, theta, n, rng):
        q, rate = theta["q"], theta["rate"]
        counts = rng.poisson(rate, size=(n, len(q)))
        return np.where(rng.random_sample(counts.shape) < q, 0, counts)

    def latent(self, theta, X):
        return self.posterior(theta, X)[0]
