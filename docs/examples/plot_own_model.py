"""
Your own latent variables
=========================

Lamps of two kinds burn in one house, and nobody knows which kind a lamp is. Some still burn: of
these the lifetime is only known to be longer than what was seen so far. A positive entry is a lifetime
that ended, a negative one is minus the time after which the lamp was last seen.

Three methods make that model an estimator. ``expect`` weighs the statistics; the logarithms of weights
are normalized where they are used, so that accelerated steps may extrapolate them.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import logsumexp
from sklearn.model_selection import GridSearchCV

from sklearn_lvm import LatentVariableModel, check_em


class Lifetimes(LatentVariableModel):
    def __init__(self, n_components=2, random_state=None):
        self.n_components = n_components
        self.random_state = random_state

    def start(self, X, weight, rng):
        k = self.n_components
        return {"log_p": np.zeros(k), "log_rate": rng.normal(size=k) - np.log(np.abs(X).mean())}

    def expect(self, theta, X, weight):
        joint = theta["log_p"] - logsumexp(theta["log_p"]) + (X > 0) * theta["log_rate"]
        joint = joint - np.abs(X) * np.exp(theta["log_rate"])
        log_evidence = logsumexp(joint, axis=1)
        R = weight[:, None] * np.exp(joint - log_evidence[:, None])
        return {
            "n": R.sum(axis=0),
            "ends": R.T @ (X[:, 0] > 0),
            "time": R.T @ np.abs(X[:, 0]),
        }, log_evidence

    def maximize(self, statistics, theta):
        n, ends, time = statistics["n"], statistics["ends"], statistics["time"]
        return {"log_p": np.log(n / n.sum()), "log_rate": np.log(ends / time)}


rng = np.random.RandomState(0)
life = rng.exponential(np.where(rng.random_sample(2000) < 0.3, 1.0, 12.0))
seen = rng.exponential(10.0, size=2000)
X = np.where(life <= seen, life, -seen)[:, None]

# %%
# ``check_em`` finds nothing wrong, and a grid search scores numbers of kinds by rows that were held
# back. One kind is too few; a third adds less than such scores can tell.

check_em(Lifetimes(), X)
search = GridSearchCV(Lifetimes(random_state=0), {"n_components": [1, 2, 3]}, cv=5).fit(X)
for n_components, score in zip([1, 2, 3], search.cv_results_["mean_test_score"], strict=True):
    print(f"{n_components} kinds: {score:.4f} nats per lamp")

# %%
# What two kinds say of survival agrees with the truth, though many lamps still burn. To take what was
# seen for whole lifetimes does not.

print(f"{(X < 0).mean():.0%} of the lamps still burn")

theta = Lifetimes(random_state=0).fit(X).theta_
p = np.exp(theta["log_p"] - logsumexp(theta["log_p"]))
t = np.linspace(0, 40, 200)
figure, ax = plt.subplots()
ax.semilogy(t, 0.3 * np.exp(-t) + 0.7 * np.exp(-t / 12), "k--", label="truth")
ax.semilogy(t, np.exp(-np.outer(t, np.exp(theta["log_rate"]))) @ p, label="two kinds, censored")
ax.semilogy(t, [(np.abs(X) > time).mean() for time in t], label="censoring ignored")
ax.set(xlabel="time", ylabel="share that still burns", ylim=(1e-3, 1.1))
ax.legend()
plt.show()
