"""
From one coin to hidden coins
=============================

A coin of unknown bias is where inference starts: by maximum likelihood, with a prior, and with all of
the posterior, which every toss goes on to change. Then several coins are tossed, and which of them it
was is hidden; and then there are sixty-four coins in each set, and what they show are digits.
"""

# %%
# One coin
# --------
# Its bias is 0.7, and it is tossed a hundred times. Before the first toss every bias is as likely
# as any other. The posterior after 1, 10 and 100 tosses is that prior and the counts, no more:
# ``partial_fit`` adds to them, one toss at a time if need be.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_lvm import BernoulliMixture, BetaBernoulli

bias = 0.7
binary_rows = (np.random.RandomState(0).uniform(size=(100, 1)) < bias).astype(float)
grid = np.linspace(0, 1, 400)

figure, axes = plt.subplots(figsize=(7, 3.6))
axes.plot(grid, np.ones_like(grid), color="#999999", label="prior")
coin, seen = BetaBernoulli(), 0
for count in (1, 10, 100):
    coin.partial_fit(binary_rows[seen:count])
    seen = count
    low, high = coin.credible_interval(0.95)
    (line,) = axes.plot(grid, coin.posterior_.pdf(grid), label=f"after {count}")
    axes.hlines(-0.25 - 0.22 * np.log10(count), low, high, color=line.get_color(), linewidth=4)
axes.axvline(bias, color="#555555", linestyle=":", linewidth=1)
axes.set(xlabel="bias", ylabel="density", title="What is believed of a coin (bars: 95 %)")
axes.legend()
plt.show()

# %%
# Three answers to the same tosses. After three heads in a row the maximum of the likelihood is sure of
# heads for ever, and gives tails no probability at all. A prior of two heads and two tails in
# all, Beta(3, 3), is moved but not convinced; its mode and its mean differ while tosses are few.

heads = np.ones((3, 1))
for inference in ("mle", "map", "bayes"):
    coin = BetaBernoulli(alpha=3, beta=3, inference=inference).fit(heads)
    tails = np.exp(coin.score_samples([[0.0]])[0])
    print(f"{inference:5}  heads {coin.probability_[0]:.3f}  tails {tails:.3f}")

# %%
# How likely were all hundred tosses, before any of them? The evidence compares what was believed
# beforehand: that the coin is fair, that any bias is as good as another, or that it favors tails.

for name, alpha, beta in [("fair", 1e6, 1e6), ("any bias", 1, 1), ("for tails", 3, 7)]:
    coin = BetaBernoulli(alpha=alpha, beta=beta).fit(binary_rows)
    print(f"{name:10} {coin.log_evidence_[0]:8.2f} nats")

# %%
# Hidden coins
# ------------
# Somebody has two coins, takes one at random, tosses it twelve times, writes the row down, and does so
# again. One row in ten entries is lost. The rows do not say which coin it was. A mixture finds both
# biases, and how sure one can be of the coin behind each row.

rng = np.random.RandomState(0)
which = rng.randint(2, size=400)
rows = (rng.uniform(size=(400, 12)) < np.array([0.3, 0.75])[which][:, None]).astype(float)
rows[rng.uniform(size=rows.shape) < 0.1] = np.nan

mixture = BernoulliMixture(2, random_state=0).fit(rows)
second = mixture.probabilities_.mean(axis=1).argmax()
sure = mixture.predict_proba(rows)[:, second]
share = np.nanmean(rows, axis=1)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
for k, color in zip((1 - second, second), ("C0", "C1"), strict=True):
    left.plot(range(1, 13), mixture.probabilities_[k], "o", color=color)
for truth, color in ((0.3, "C0"), (0.75, "C1")):
    left.axhline(truth, color=color, linewidth=1)
    own = which == (truth > 0.5)
    right.plot(share[own], sure[own], ".", color=color, alpha=0.5, label=f"bias {truth}")
left.set(
    xlabel="toss",
    ylabel="probability of heads",
    ylim=(0, 1),
    title="Two coins found (lines: truth)",
)
right.set(
    xlabel="share of heads in a row", ylabel="p(second coin | row)", title="Which coin was it?"
)
right.legend()
plt.show()

agree = (mixture.predict(rows) == np.where(which == 1, second, 1 - second)).mean()
print(f"{agree:.0%} of the rows are given to the coin that made them")

# %%
# Sets of coins
# -------------
# Digits of eight by eight pixels, black or white: each pixel is a coin. One set of coins says how
# often a pixel is on, whatever the digit. With hidden sets, each becomes a way to write one. How
# many? Rows that the fit has not seen decide.

X = (load_digits().data > 7).astype(np.uint8)
train, test = train_test_split(X, random_state=0)
single = BetaBernoulli(binarize=None).fit(train)
numbers = (1, 5, 10, 20, 40, 80)
sets = [BernoulliMixture(K, binarize=None, random_state=0).fit(train) for K in numbers]
heights = [model.score(test) for model in sets]
best = sets[int(np.argmax(heights))]
print(f"one set {single.score(test):.2f}, {best.n_components} sets {max(heights):.2f} nats per row")

figure, axes = plt.subplots(figsize=(7, 3))
axes.plot(numbers, heights, "o-")
axes.set(
    xscale="log", xlabel="sets of coins", ylabel="held-out nats per row", title="How many sets?"
)
axes.set_xticks(numbers, map(str, numbers))
axes.minorticks_off()
plt.show()

# %%
# The twenty heaviest of the learned sets, as pictures, and below them rows that the whole density
# draws.

order = np.argsort(-best.weights_)[:20]
drawn = best.sample(20, random_state=0)
figure, axes = plt.subplots(4, 10, figsize=(9, 4))
for picture, panel in zip([*best.probabilities_[order], *drawn], axes.flat, strict=True):
    panel.imshow(picture.reshape(8, 8), cmap="Greys", vmin=0, vmax=1)
    panel.set_axis_off()
figure.suptitle("Learned coins (above) and samples (below)", x=0.01, ha="left", fontsize=11)
plt.show()

# %%
# A row with missing entries has a marginal probability, and what is left of a picture still says which
# set it came from: with its lower half unseen, more than half of the digits keep their set, out of so
# many.

halves = test.astype(float)
halves[:, 32:] = np.nan
kept = (best.predict(halves) == best.predict(test)).mean()
print(f"upper halves alone: {best.score(halves):.2f} nats per row, {kept:.0%} keep their set")
