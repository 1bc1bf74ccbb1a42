"""
How common is a word, by its letters?
=====================================

321 180 English words and how often each is used: what can be predicted from their letters? Groups of two to four
letters make tens of thousands of features. A word has a few of them, and most are rare. What a feature learns from
three words is mostly noise, so with such data it matters most when to stop.
"""

import time
from importlib.util import find_spec

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import Ridge, SGDRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_sgd import MiniBatchSGDRegressor

# %%
# The words are those of the package wordfreq. Without it they are made up.

rng = np.random.default_rng(0)
if find_spec("wordfreq"):
    from wordfreq import get_frequency_dict

    known = get_frequency_dict("en", "large")
    words = rng.permutation(list(known))[:60_000]
    target = np.log10([known[word] for word in words])
else:
    syllables = np.array(["ba", "con", "dis", "er", "fa", "gra", "ing", "ment", "no", "pre", "ti", "un", "ver", "y"])
    words = np.array(["".join(rng.choice(syllables, rng.integers(2, 5))) for _ in range(60_000)])
    target = -np.array([len(word) for word in words]) / 2.0 + rng.standard_normal(60_000)
train, test, y_train, y_test = train_test_split(words, target, random_state=0)
for word, logarithm in zip(train[:4], y_train, strict=False):
    print(f"{word:<12} 10^{logarithm:.1f}")

# %%
# The defaults need no scaler, no learning rate and no penalty. The fit estimates how much noise it has learned, and
# stops where the loss on new words is expected to be least. A ridge regression needs a well-chosen penalty.


def letters(**more):
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2, **more)


models = {
    "MiniBatchSGDRegressor()": MiniBatchSGDRegressor(random_state=0),
    "SGDRegressor()": SGDRegressor(random_state=0),
    "Ridge(alpha=0.1)": Ridge(alpha=0.1, solver="sparse_cg"),
    "Ridge(alpha=10)": Ridge(alpha=10, solver="sparse_cg"),
}
X_train = letters().fit_transform(train)
print(f"{X_train.shape[0]} samples, {X_train.shape[1]} features, {X_train.nnz / X_train.shape[0]:.0f} non-zeros each\n")
print(f"{'':<26}train R²   test R²   seconds")
for name, model in models.items():
    model.fit(X_train, y_train)  # the first fit may compile
    begin = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - begin
    pipeline = make_pipeline(letters().fit(train), model)
    print(f"{name:<26}{model.score(X_train, y_train):8.3f}{pipeline.score(test, y_test):10.3f}{seconds:10.2f}")

# %%
# A stream of words needs no vocabulary: the features are hashed. Each chunk is predicted before it is learned, by the
# model and by the mean of the words so far. R² compares the two over all chunks so far.

hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=2**16)
stream, errors, size = MiniBatchSGDRegressor(), [], 1000
for start in range(0, len(train), size):
    X, y = hashed.transform(train[start : start + size]), y_train[start : start + size]
    if start:
        errors.append((np.sum((stream.predict(X) - y) ** 2), np.sum((np.mean(y_train[:start]) - y) ** 2)))
    stream.partial_fit(X, y)
print(f"after one pass: R² {stream.score(hashed.transform(test), y_test):.3f} on new words")

figure, ax = plt.subplots(layout="constrained")
model_errors, mean_errors = np.cumsum(errors, axis=0).T
ax.plot(size * np.arange(1, len(errors) + 1), 1.0 - model_errors / mean_errors, color="0.3")
ax.set(title="R² of a stream of words")
ax.set(xlabel="words seen", ylabel="R² before learning, over all words so far", ylim=(0, None))
plt.show()
