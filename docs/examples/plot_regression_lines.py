"""
Two regression lines
====================

Points lie along two lines, and which line a point belongs to is hidden. The density is that of the
last column given the others. The M-step is one weighted least-squares fit for each line.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import logsumexp

from sklearn_lvm import LatentVariableModel, check_em


class RegressionLines(LatentVariableModel):
    def joint(self, theta, X):
        """ln p(y, k | x) of each row and line."""
        A = np.column_stack([np.ones(len(X)), X[:, :-1]])
        square = (X[:, -1:] - A @ theta["coef"].T) ** 2 / np.exp(theta["log_variance"])
        log_p = theta["log_p"] - logsumexp(theta["log_p"])
        return log_p - 0.5 * (square + theta["log_variance"] + np.log(2 * np.pi))

    def sums(self, X, R):
        A = np.column_stack([np.ones(len(X)), X])
        return {"n": R.sum(axis=0), "moments": np.einsum("ik,ip,iq->kpq", R, A, A)}

    def start(self, X, weight, rng):
        return self.maximize(self.sums(X, weight[:, None] * rng.dirichlet([0.5, 0.5], len(X))), {})

    def expect(self, theta, X, weight):
        joint = self.joint(theta, X)
        log_evidence = logsumexp(joint, axis=1)
        R = weight[:, None] * np.exp(joint - log_evidence[:, None])
        return self.sums(X, R), log_evidence

    def maximize(self, statistics, theta):
        n, M = statistics["n"], statistics["moments"]
        coef = np.linalg.solve(M[:, :-1, :-1], M[:, :-1, -1:])[..., 0]
        variance = (M[:, -1, -1] - (coef * M[:, :-1, -1]).sum(axis=1)) / n
        return {"log_p": np.log(n / n.sum()), "coef": coef, "log_variance": np.log(variance)}

    def latent(self, theta, X):
        joint = self.joint(theta, X)
        return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


rng = np.random.RandomState(0)
x, line = rng.uniform(-2, 2, size=400), rng.randint(2, size=400)
X = np.column_stack([x, np.where(line, 1.0 + 1.5 * x, -x) + rng.normal(0, 0.3, size=400)])
check_em(RegressionLines(), X)

# %%
# Ten starts, of which the best is kept. ``transform`` gives the probabilities of the lines.

model = RegressionLines(n_init=10, random_state=0).fit(X)
grid = np.array([-2.0, 2.0])
figure, ax = plt.subplots()
ax.scatter(*X.T, c=model.transform(X)[:, 0], cmap="coolwarm", s=12)
for intercept, slope in model.theta_["coef"]:
    ax.plot(grid, intercept + slope * grid, "k")
ax.set(xlabel="x", ylabel="y", title="The points, by the probability of their line")
plt.show()
