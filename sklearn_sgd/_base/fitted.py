"""The fitted model: what `predict` needs, and what `partial_fit` continues from."""

import operator
from collections.abc import Sequence
from statistics import fmean
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import safe_sparse_dot

from sklearn_sgd._engine.scores.collect import counted_scores, scores_after
from sklearn_sgd._engine.scores.stream_scores import Scores
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.by_column import StatesByColumn
from sklearn_sgd._namespace import host, is_foreign, like

NOT_PICKLED = "parameters", "stream_cache", "finish", "by_column"

# Share of the weight of all rows that is rounding.
ROUNDING = 1e-9


class FittedModel:
    """Result of a fit. It is a value: a later fit, or an assignment to `coef_`, replaces it.

    `coef` and `intercept` are made from the states when they are first read, since calls of `partial_fit` on single
    samples do not need them.

    Attributes
    ----------
    states : tuple of State
        State of each target; never changed. For states by column they are created when they are first read.
    shape : tuple
        () for y of one dimension, else (n_targets,).
    link : object or None
        Loss whose `inverse_link` maps raw predictions to predictions; None for the identity.
    parameters : ResolvedParameters or None
        Parameters of the fit. They are not pickled.
    stream_cache : StreamCache or None
        Lets `partial_fit` skip work if the next chunk is like the last one. It is not pickled.
    finish : callable or None
        Function (state, target, scores) -> coefficients and intercept, for streams. It is not pickled.
    by_column : StatesByColumn or None
        The states of a stream of sparse rows with many columns, if they are stored by column; pickled as states.
    finished : bool
        Whether there is, or was, such a function.
    scores : tuple of Scores
        Scores of each target, if ``inference=True``, and in streams that predict with them.
    unseen : tuple of Scores
        Scores of the rows that an epoch is still to see again, of each target.
    watch : Watch or None
        What is known for the next comparison of a stream with the best constant.
    place : array or None
        After `sparsify` of coefficients on a device: an empty array there.
    saved_loss, saved_penalty, saved_terms : str, str, and list of float or None
        The names of the loss and the penalty, and its two numbers if it is of the elastic net family, of a model that
        was saved; its parameters are not there.
    """

    states: tuple[State, ...]
    shape: tuple = ()
    link: Any = None
    parameters: Any = None
    stream_cache: Any = None
    finish: Any = None
    by_column: StatesByColumn | None = None
    finished: bool = False
    scores: tuple[Scores, ...] = ()
    unseen: tuple[Scores, ...] = ()
    watch: Any = None
    place: Any = None
    saved_loss: str = ""
    saved_penalty: str = ""
    saved_terms: list[float] | None = None
    coef: Any
    intercept: Any

    def __init__(self, position: Sequence[State] | StatesByColumn = (), **attributes: Any):
        """``position`` is the states, or the states by column; the other attributes have the defaults above."""
        if isinstance(position, StatesByColumn):
            self.by_column = position
        else:
            self.states = tuple(position)
        vars(self).update(attributes, finished=attributes.get("finish") is not None)

    def __getattr__(self, name: str) -> Any:
        # Called only for attributes that are not there yet.
        if name == "states" and self.by_column is not None:
            return self.__dict__.setdefault("states", self.by_column.whole())
        if name not in ("coef", "intercept") or not self.states:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        finish, scores = self.finish, self.scores
        made: Any
        if self.shape:
            known = scores or [None] * len(self.states)
            each = [finish(s, t, known[t]) if finish else s.predictor() for t, s in enumerate(self.states)]
            made = map(np.stack, zip(*each, strict=True))
        elif finish:
            made = finish(self.states[0], 0, scores[0] if scores else None)
        else:
            made = self.states[0].predictor()
        for key, value in zip(("coef", "intercept"), made, strict=True):
            # Two threads that get here at the same time return the same object. A value that was assigned is kept.
            self.__dict__.setdefault(key, value)
        return self.__dict__[name]

    @property
    def exact_scores(self) -> tuple[Scores, ...]:
        """The scores from which standard errors follow, if ``inference=True``."""
        return self.scores if all(scores.is_exact for scores in self.scores) else ()

    @property
    def known_coef(self) -> Any:
        """The coefficients if they have been computed, else an array of the same library and dtype."""
        return self.__dict__["coef"] if "coef" in self.__dict__ else self.progress[0].vectors.coef

    @property
    def progress(self) -> tuple[State, ...]:
        """The state of each target, possibly without its columns."""
        return self.states if self.by_column is None else self.by_column.states

    @property
    def loss_name(self) -> str:
        """The name of the loss of the last call; empty if it is not known."""
        return self.saved_loss if self.parameters is None else self.parameters.loss_name

    @property
    def penalty_name(self) -> str:
        """The name of the penalty of the last call; empty if it is not known."""
        return self.saved_penalty if self.parameters is None else self.parameters.penalty_name

    @property
    def penalty_terms(self) -> list[float] | None:
        """The ridge and the lasso of the penalty, if it is of the elastic net family."""
        return self.saved_terms if self.parameters is None else self.parameters.penalty_terms

    def __getstate__(self) -> dict:
        if self.states:
            _ = self.coef, self.intercept
        form = {key: value for key, value in vars(self).items() if key not in NOT_PICKLED}
        names = {"saved_loss": self.loss_name, "saved_penalty": self.penalty_name}
        return form | names | {"saved_terms": self.penalty_terms}

    def replace(self, **attributes: Any) -> Self:
        """Return the same model with other attributes."""
        other = object.__new__(type(self))
        vars(other).update(vars(self) | attributes)
        return other

    def states_to_continue(self, finishing: bool) -> list[State] | StatesByColumn:
        """Return the states from which a stream continues.

        If there are no final steps any more, the states continue from the coefficients that predict.
        """
        if self.by_column is not None and self.finished == finishing:
            return self.by_column
        states = [state.fork() for state in self.states]
        if self.finished and not finishing:
            coef, intercept = host(self.coef).reshape(len(states), -1), np.ravel(host(self.intercept))
            for state, w, b in zip(states, coef, intercept, strict=True):
                state.continue_from(w, b)
        return states

    def after(self, position: Sequence[State] | StatesByColumn, X: Any, y: np.ndarray, weight: Any) -> Self:
        """Return the model after another chunk that the stream cache has accepted."""
        scores = self.scores
        if scores and not isinstance(position, StatesByColumn):
            weight = position[0].relative(weight, X)
            chunk = X, y.reshape(len(X), -1), weight if len(weight) else None
            scores = scores_after(self.stream_cache.stream.recipe, scores, position, chunk)
        return type(self)(
            position,
            shape=self.shape,
            link=self.link,
            parameters=self.parameters,
            stream_cache=self.stream_cache,
            finish=self.finish,
            scores=scores,
            watch=self.watch,
        )

    def with_counted_rows(self, resolved: Any) -> Self:
        """Return this model with scores in which no rows wait for others.

        Rows that are seen again could not be distinguished from those that wait. A model that was saved does not know
        its parameters, which are those ``resolved``.
        """
        if not self.scores:
            return self
        recipe = (self.parameters or resolved).resolve(np.empty((0, len(self.scores[0].centre))))
        return self.replace(scores=counted_scores(recipe, self.scores, self.states))

    def seen_again(self, before: Self, within: bool) -> Self:
        """Return this model with scores that do not count rows twice which the earlier model has seen.

        ``within``: it is not with the first chunk of an epoch.
        """
        unseen = before.unseen if within and before.unseen else before.scores
        triples = zip(self.scores, before.scores, unseen, strict=False)
        scores, left = zip(*(after.seen_again(*others) for after, *others in triples), strict=True)
        is_over = all(each.weight <= ROUNDING * now.weight for each, now in zip(left, scores, strict=True))
        return self.replace(scores=scores, unseen=() if is_over else left)

    def moved_to(self, X: Any) -> Self:
        """Return the model with its coefficients in the library and on the device of X."""
        if not is_foreign(X):
            return self
        return self.replace(
            coef=like(self.coef, X), intercept=like(self.intercept, X) if self.shape else self.intercept
        )

    def predict(self, X: Any, raw: bool = False) -> Any:
        """Return predictions for validated X; raw ones are those before the inverse link."""
        link = None if raw else self.link
        made = "coef" in self.__dict__ or "intercept" in self.__dict__  # Each may have been assigned.
        if self.by_column is not None and not made and sparse.issparse(X) and X.nnz < X.shape[1]:
            X, states = self.by_column.of_entries(X)
            coefs, intercepts = zip(*(state.predictor() for state in states), strict=True)
            coef, intercept = (np.stack(coefs), np.stack(intercepts)) if self.shape else (coefs[0], intercepts[0])
            return predict_linear(X, coef, intercept, link)
        return predict_linear(X, self.coef, self.intercept, link)


def predict_linear(X: Any, coef: Any, intercept: Any, link: Any) -> Any:
    """Return predictions of a linear function, passed through the inverse link if there is one."""
    if type(X) is type(coef) is np.ndarray and type(intercept) is float and coef.ndim == 1 and X.dtype == coef.dtype:
        raw = X @ coef
        raw += intercept
    elif is_foreign(X):
        coef = densified(coef, intercept)
        raw = X @ like(coef.T if coef.ndim > 1 else coef, X)
        raw += like(intercept, X) if hasattr(intercept, "shape") else intercept
    else:
        coef, intercept = host(coef), host(intercept)
        raw = safe_sparse_dot(X, coef.astype(X.dtype, copy=False).T, dense_output=True)
        offset = intercept.astype(X.dtype) if isinstance(intercept, np.ndarray) else X.dtype.type(intercept)
        # The product with a sparse row of coefficients has two dimensions.
        raw = raw.reshape(X.shape[:1] + shape_of(intercept)) + offset
    return raw if link is None else link.inverse_link(raw)


def shape_of(intercept: Any) -> tuple:
    """Return () for an intercept of one target, else (n_targets,); faster than NumPy's function."""
    return getattr(intercept, "shape", ())


def densified(coef: Any, intercept: Any) -> np.ndarray:
    """Return coefficients as an array, of the shape that they had before `sparsify`."""
    return coef if not sparse.issparse(coef) else coef.toarray().reshape(*shape_of(intercept), -1)


def mean_curve(curves: list[list[float]]) -> list[float]:
    """Return the mean of curves; a shorter curve is continued by its last value."""
    epochs = max(map(len, curves))
    return [fmean(some) for some in zip(*(curve + curve[-1:] * (epochs - len(curve)) for curve in curves), strict=True)]


def longest(states: tuple[State, ...]) -> State:
    """Return the state of the target that ran most epochs."""
    return max(states, key=operator.attrgetter("n_epochs"))
