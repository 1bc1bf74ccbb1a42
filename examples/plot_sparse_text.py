"""
Can words predict a number?
===========================

Text becomes a table with a feature for each word, nearly all zeros: 20 000 reviews, thousands of words, a dozen of them
in each review. A CSR matrix stores the words that are there, and a step costs no more than the words of its samples.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge, SGDRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_sgd import MiniBatchSGDRegressor, OnlineSGDRegressor

# %%
# The reviews are made up: words are drawn by Zipf's law, and a few of them change the number of stars.

rng = np.random.default_rng(0)
vocabulary = np.array([f"word{i}" for i in range(4000)])
worth = {"superb": 1.5, "good": 0.8, "fine": 0.3, "slow": -0.6, "bad": -1.0, "broken": -1.6}
vocabulary[[4, 9, 16, 25, 36, 49]] = list(worth)
share = 1.0 / np.arange(1, 4001)
drawn = rng.choice(4000, size=(20_000, 14), p=share / share.sum())
reviews = [" ".join(row) for row in vocabulary[drawn]]
stars = 3.0 + 0.3 * rng.standard_normal(20_000)
for word, stars_more in worth.items():
    stars += stars_more * (vocabulary[drawn] == word).any(axis=1)
print(reviews[0], f"\n-> {stars[0]:.1f} stars")

# %%
# The L1 penalty makes the coefficients of most words exactly 0. Each model is fitted twice, and the second fit is
# timed, so that no time includes compilation.

train, test, y_train, y_test = train_test_split(reviews, stars, random_state=0)
words = CountVectorizer(binary=True, min_df=5).fit(train)
X_train, X_test = words.transform(train), words.transform(test)
print(f"{X_train.shape[0]} samples, {X_train.shape[1]} features, {X_train.nnz / X_train.shape[0]:.1f} non-zeros each")

models = {
    "OnlineSGDRegressor, L1": OnlineSGDRegressor(
        penalty="l1", alpha=0.005, learning_rate="invscaling", eta0=0.05, random_state=0
    ),
    "MiniBatchSGDRegressor": MiniBatchSGDRegressor(random_state=0),
    "SGDRegressor, L1": SGDRegressor(penalty="l1", alpha=0.005, eta0=0.05, random_state=0),
    "Ridge": Ridge(alpha=1.0, solver="sparse_cg"),
}
print(f"\n{'':<24}test R²   seconds   words kept")
for name, model in models.items():
    model.fit(X_train, y_train)
    begin = time.perf_counter()
    model.fit(X_train, y_train)
    seconds, kept = time.perf_counter() - begin, np.count_nonzero(model.coef_)
    print(f"{name:<24}{model.score(X_test, y_test):7.3f}{seconds:10.2f}{kept:13d}")

# %%
# The ten largest coefficients of the lasso. Six of them are the words that were given a value; the others were kept
# by chance, and are too small to see. In a pipeline the model predicts from text.

lasso = models["OnlineSGDRegressor, L1"]
names = words.get_feature_names_out()
order = np.argsort(-np.abs(lasso.coef_))[:10]
order = order[np.argsort(lasso.coef_[order])]
figure, ax = plt.subplots(layout="constrained")
ax.barh(names[order], lasso.coef_[order], color="0.3")
ax.axvline(0, color="black", lw=0.5)
ax.set(xlabel="coefficient (stars)", title="coefficients of words")
plt.show()
print(make_pipeline(words, lasso).predict(["superb and good", "slow and broken"]).round(1))
