"""Several regression lines: the last column given the others, and which line made a row is hidden."""

import numpy as np
from scipy.special import logsumexp

from sklearn_lvm import LatentVariableModel


class RegressionLines(LatentVariableModel):
    """A mixture of linear regressions with a ridge prior; the density is that of y given x."""

    def __init__(self, n_components=2, ridge=0.1, n_init=3, random_state=None):
        self.n_components = n_components
        self.ridge = ridge
        self.n_init = n_init
        self.random_state = random_state

    @staticmethod
    def split(X):
        return np.column_stack([np.ones(len(X)), X[:, :-1]]), X[:, -1]

    def start(self, X, weight, rng):
        A, y = self.split(X)
        R = rng.dirichlet(np.full(self.n_components, 0.5), len(X)) * weight[:, None]
        return self.maximize(self.sums(A, y, R), {})

    @staticmethod
    def sums(A, y, R):
        return {
            "n": R.sum(axis=0),
            "AA": np.einsum("ik,ip,iq->kpq", R, A, A),
            "Ay": R.T @ (A * y[:, None]),
            "yy": R.T @ y**2,
        }

    def posterior(self, theta, X):
        A, y = self.split(X)
        square = (y[:, None] - A @ theta["coef"].T) ** 2 * np.exp(-theta["log_variance"])
        joint = -0.5 * (square + theta["log_variance"] + np.log(2 * np.pi))
        joint += theta["log_p"] - logsumexp(theta["log_p"])
        log_evidence = logsumexp(joint, axis=1)
        return np.exp(joint - log_evidence[:, None]), log_evidence

    def expect(self, theta, X, weight):
        R, log_evidence = self.posterior(theta, X)
        return self.sums(*self.split(X), R * weight[:, None]), log_evidence

    def maximize(self, statistics, theta):
        n, Ay = statistics["n"], statistics["Ay"]
        AA = statistics["AA"] + self.ridge * np.eye(Ay.shape[1])
        coef = np.linalg.solve(AA, Ay[..., None])[..., 0]
        rest = np.maximum(statistics["yy"] - (coef * Ay).sum(axis=1), 0.0) + 2 * self.ridge
        log_p = np.log((n + 1.0) / (n + 1.0).sum())
        return {"log_p": log_p, "coef": coef, "log_variance": np.log(rest / (n + 2.0))}

    def log_prior(self, theta):
        log_p, log_variance = theta["log_p"] - logsumexp(theta["log_p"]), theta["log_variance"]
        penalty = self.ridge * (0.5 * (theta["coef"] ** 2).sum(axis=1) + 1.0)
        return float((log_p - log_variance - penalty * np.exp(-log_variance)).sum())

    def latent(self, theta, X):
        return self.posterior(theta, X)[0]
