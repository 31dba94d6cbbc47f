"""Lifetimes of two kinds: x > 0 ended after x, x < 0 was last seen alive after -x."""

import numpy as np
from scipy.special import logsumexp

from sklearn_lvm import LatentVariableModel


class CensoredLifetimes(LatentVariableModel):
    """A mixture of exponential lifetimes, with a Gamma prior of rates; log-parameters are free."""

    def __init__(self, n_components=2, prior=0.1, n_init=1, random_state=None):
        self.n_components = n_components
        self.prior = prior
        self.n_init = n_init
        self.random_state = random_state

    def start(self, X, weight, rng):
        scale = weight @ np.abs(X) / weight.sum() + 1e-6
        log_rate = rng.normal(size=(self.n_components, X.shape[1])) - np.log(scale)
        return {
            "log_p": np.full(self.n_components, -np.log(self.n_components)),
            "log_rate": log_rate,
        }

    def posterior(self, theta, X):
        joint = (X > 0) @ theta["log_rate"].T - np.abs(X) @ np.exp(theta["log_rate"]).T
        joint += theta["log_p"] - logsumexp(theta["log_p"])
        log_evidence = logsumexp(joint, axis=1)
        return np.exp(joint - log_evidence[:, None]), log_evidence

    def expect(self, theta, X, weight):
        R, log_evidence = self.posterior(theta, X)
        R *= weight[:, None]
        return {"n": R.sum(axis=0), "ends": R.T @ (X > 0), "time": R.T @ np.abs(X)}, log_evidence

    def maximize(self, statistics, theta):
        a = self.prior
        n = statistics["n"] + a
        rate = (statistics["ends"] + a) / (statistics["time"] + a)
        return {"log_p": np.log(n / n.sum()), "log_rate": np.log(rate)}

    def log_prior(self, theta):
        log_p, log_rate = theta["log_p"] - logsumexp(theta["log_p"]), theta["log_rate"]
        return self.prior * (log_p.sum() + (log_rate - np.exp(log_rate)).sum())

    def latent(self, theta, X):
        return self.posterior(theta, X)[0]

    def n_parameters(self, theta):
        return theta["log_rate"].size + self.n_components - 1
