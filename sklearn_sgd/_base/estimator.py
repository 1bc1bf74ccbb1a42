"""The base class of the three regressors: fit, partial_fit and predict. The descent itself is in ``_engine``."""

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from typing import Any, Self, TypeVar

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_sgd._base import parameters as params
from sklearn_sgd._base import reports, training, validation
from sklearn_sgd._base.attributes import FittedAttributes
from sklearn_sgd._base.callbacks import Tasks
from sklearn_sgd._base.docs import DOCS
from sklearn_sgd._base.fitted import FittedModel, densified
from sklearn_sgd._base.hints import HintsMixin
from sklearn_sgd._base.parameters import ResolvedParameters
from sklearn_sgd._base.prediction import BLOCK, predict_in_blocks
from sklearn_sgd._base.rollback import rollback_on_error
from sklearn_sgd._base.samples import check_samples
from sklearn_sgd._base.saving import SavedForm
from sklearn_sgd._base.stream_cache import StreamCache
from sklearn_sgd._base.unused import USES, Use, warn_of_unused
from sklearn_sgd._compat import CallbackSupportMixin, fit_context
from sklearn_sgd._engine.cores import cores
from sklearn_sgd._engine.epochs import Descent, one_epoch, quiet
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.prepare import make_plans
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.stream import StreamFinish
from sklearn_sgd._namespace import detached, floats, host, namespace

Method = TypeVar("Method", bound=Callable)
_available_if_streaming: Callable[[Method], Method] = available_if(params.can_stream)


class BaseGDRegressor(SavedForm, HintsMixin, FittedAttributes, CallbackSupportMixin, RegressorMixin, BaseEstimator):
    """Everything but the signature: the three regressors differ in the default and allowed values of ``batch_size``."""

    _parameter_constraints: dict = params.CONSTRAINTS
    _parameter_uses: dict[str, Use] = USES
    # Of each class, which may be a user's: defaults, and the values of all parameters, the package's own first.
    _parameter_defaults: dict[str, Any]
    _parameter_values: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._parameter_defaults = params.defaults_of(cls)
        cls._parameter_values = property(operator.attrgetter(*params.CONSTRAINTS | cls._parameter_defaults))

    # Where the HTML representation of an estimator links to.
    _doc_link_module = "sklearn_sgd"
    _doc_link_template = DOCS + "generated/sklearn_sgd.{estimator_name}.html"

    @fit_context
    @cores()
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        coef_init: Any = None,
        intercept_init: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Learn from all samples, for several epochs.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            Training data. A C-ordered array of float64 or float32, a read-only memory map included, is not copied.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets. Several targets are fitted in one pass over the samples, each as if it were alone.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. Only their ratios matter; a sample of weight 0 has no effect.
        coef_init : array-like of shape (n_features,) or (n_targets, n_features), default=None
            Coefficients to start from; not changed. Default: zeros, or with `warm_start` those of the last fit.
        intercept_init : float or array-like of shape (n_targets,), default=None
            Intercept to start from.
        X_val : {array-like, CSR matrix} of shape (n_val, n_features), default=None
            Samples on which `early_stopping` scores, instead of a random part of X. In a Pipeline they can be
            transformed like X: ``Pipeline(..., transform_input=["X_val"])``.
        y_val : array-like of shape (n_val,) or (n_val, n_targets), default=None
            Targets of these samples.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of these samples in the score.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an input is invalid; the estimator is then left as it was.

        Warns
        -----
        UserWarning
            If a parameter differs from its default and has no use with the values of the others.
        ConvergenceWarning
            If the descent diverged (the last finite parameters are kept), ended worse than the best constant
            prediction or far from the minimum, or was interrupted (Ctrl-C) after its first epoch: the result is then
            that of the epochs completed. An interrupt before that is raised. The warning names the remedy.
        """
        deadline = training.deadline_after(self.time_budget)
        tasks = Tasks(self, X, y, sample_weight)
        with rollback_on_error(self):
            tasks.begin_fit()
            warn_of_unused(self)
            resolved = ResolvedParameters(self)
            finite = not validation.can_defer_finite_check(self, X, sample_weight)
            recipe, X, y, weight = self._validate_input(resolved, X, y, sample_weight, reset=True, finite=finite)
            if weight is not None and not namespace(weight).any(weight != 0):
                raise ValueError("sample_weight is zero for each row: nothing to learn from.")
            random_state = check_random_state(self.random_state)
            given = X_val, y_val, sample_weight_val
            with quiet():
                train, score = self._validation(recipe, X, y, weight, random_state, given)
            start = self._start_parameters(coef_init, intercept_init, y.shape[1:], X.shape[1])
            states = training.start_states(X, y, random_state, *start)
            attributes = partial(self._fitted_attributes, shape=y.shape[1:], resolved=resolved)
            session = training.Session(self, score, X_val is not None, deadline, tasks, attributes)
            with quiet():
                try:
                    plans = make_plans(recipe, X, validation.as_columns(y), weight, states, train)
                except ValueError:
                    validation.refuse_not_finite(self, X)
                    raise
                fitted = self._run_epochs(session, plans, states)
            self.__dict__.pop("validation_scores_", None)
            self.__dict__.update(fitted)
            tasks.end_fit()
        return self

    @_available_if_streaming
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Continue learning: one pass over these samples, in their order, in batches of ``batch_size``.

        The count of updates, the moments of the optimizer and the average continue from the last call: with
        ``shuffle=False``, k calls on the same samples are ``fit(epochs=k)``. A call without samples changes nothing.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New samples.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets, as many per sample as before.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights, relative to the mean of all weights so far.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an input is invalid; the estimator is then left as it was.
        AttributeError
            With ``early_stopping=True`` or the optimizers 'svrg' and 'saga', which need the same samples again.

        Warns
        -----
        UserWarning
            If a parameter differs from its default and has no use with the values of the others.
        ConvergenceWarning
            If the descent left the finite range; the regressor is then as it was before the call.
        """
        model = self._fitted
        cache = None if model is None else model.stream_cache
        if cache is not None and sample_weight is None and cache.accepts(self._parameter_values, X, y):
            if cache.has_domain:
                validation.check_target_domain(self, cache.loss, y)
            state = cache.stream.advance(X, y, model.states[0])  # type: ignore[union-attr]
            if state is not None:
                self._fitted = model.after(state)  # type: ignore[union-attr]
                return self
        with rollback_on_error(self) as rollback, quiet():
            if not self._partial_fit_validated(X, y, sample_weight):
                rollback()
        return self

    @cores()
    def _partial_fit_validated(self, X: Any, y: Any, sample_weight: Any) -> bool:
        """Validate a chunk that does not look like the last one, and learn from it; False if the descent diverged."""
        model = self._fitted
        resolved = None if model is None else model.parameters
        if resolved is None or not resolved.are(self._parameter_values):
            self._validate_params()
            warn_of_unused(self)
            resolved = ResolvedParameters(self)
        first = model is None or not model.states
        recipe, X, y, weight = self._validate_input(resolved, X, y, sample_weight, reset=first, least=0)
        if not X.shape[0]:
            return True
        if first:
            random_state = check_random_state(self.random_state)
            shape, states = y.shape[1:], training.start_states(X, y, random_state, repeat(None), repeat(None))
        else:
            shape, states = model.shape, model.states_to_go_on(recipe.finishes_streams)  # type: ignore[union-attr]
        plans = make_plans(recipe, X, validation.as_columns(y), weight, states, stream=True)
        descents = [*map(Descent, plans, states)]
        cache = model.stream_cache if model else None
        if weight is None:
            cache = StreamCache.of(self, resolved, recipe, descents[0], X) if shape == () else None
        done = one_epoch(descents)
        if diverged := [descent for descent, epoch in done if not epoch.finite]:
            self._report_not_finite(diverged)
            return False
        for descent, epoch in done:
            descent.state.count_first_loss(epoch.loss, descent.plan.weight)
        states = [descent.state for descent in descents]
        attributes = self._fitted_attributes(descents[0].plan, states, shape, resolved, StreamFinish.of(recipe))
        self.__dict__.update(attributes, _fitted=attributes["_fitted"].replace(stream_cache=cache))
        return True

    def _partial_fit_chunk(self, X: Any, y: Any, sample_weight: Any, *, again: bool, within: bool) -> Self:
        """Continue learning from a chunk of `fit_stream`.

        ``again``: an earlier epoch has seen the samples, so they are not new. ``within``: the epoch goes on.
        """
        before = self._fitted.states if self._fitted is not None else ()
        self.partial_fit(X, y, *([] if sample_weight is None else [sample_weight]))
        after = self._fitted.states if self._fitted is not None else ()
        for state, earlier in zip(after, before, strict=False):
            if again:
                state.restore_prequential_loss(earlier)
            if within:
                state.stay_in_epoch(earlier)
        return self

    def _report_not_finite(self, diverged: Sequence[Descent]) -> None:
        """Raise an error if the chunk is not finite, else warn that the descents diverged."""
        for descent in diverged:
            validation.refuse_not_finite(self, descent.plan.X, descent.plan.data.y)
        message = "The descent left the finite range in partial_fit, which changed nothing."
        reports.warn(self, f"{message} {reports.shorter_steps(self)}")

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets, with the loss and the link of the last fit.

        Many samples are taken in blocks of a megabyte, so that frames, integers and lists are never converted as a
        whole. Floats on a device are one product; what must be converted there, blocks as large as memory takes.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions, in the precision of X and the coefficients.

        Raises
        ------
        ValueError
            If X is invalid, or an array of another library or device than `coef_`, under array API dispatch.
        """
        model = self._fitted
        if model is None:
            check_is_fitted(self)
        if type(X) is np.ndarray and X.size <= BLOCK and self._is_plain(X):
            return model.predict(X)  # type: ignore[union-attr]
        return predict_in_blocks(self, X)

    def sparsify(self) -> Self:
        """Make `coef_` a sparse matrix of a row for each target, which is smaller where most coefficients are zero.

        `predict` works with both, and so do `fit` and `partial_fit`, after which `coef_` is an array again.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        check_is_fitted(self)
        self.coef_ = sparse.csr_matrix(host(self.coef_))
        return self

    def densify(self) -> Self:
        """Make `coef_` an array again, after `sparsify`.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        check_is_fitted(self)
        if sparse.issparse(self.coef_):
            self.coef_ = densified(self.coef_, self.intercept_)
        return self

    def _is_plain(self, X: Any, like: Any = None) -> bool:
        """Return whether X needs no validation, beside an array like the coefficients."""
        coef = self._fitted.coef if like is None else like  # type: ignore[union-attr]
        return (
            type(coef) is np.ndarray
            and "feature_names_in_" not in self.__dict__
            and validation.is_plain_matrix(X, self.n_features_in_, coef.dtype)
        )

    def _check_batch_size(self) -> None:
        """Raise an error for a batch size that belongs to another class."""

    def _validate_input(
        self, resolved: ResolvedParameters, X: Any, y: Any, sample_weight: Any, reset: bool, least: int = 1, finite=True
    ) -> tuple[Recipe, Any, Any, Any]:
        """Return the recipe, and the input as the engine needs it: C-ordered or CSR, of one dtype and finite."""
        self._check_batch_size()
        if reset or not (
            self._model.shape == () and self._is_plain(X, self._model.known_coef) and validation.is_plain_column(y, X)
        ):
            dtype = floats(X, None if reset else self._states[0].vectors.coef.dtype)
            form = {"order": "C", "dtype": dtype}
            X = check_samples(self, X, **form, reset=reset, ensure_min_samples=least, ensure_all_finite=finite)
            y = validation.check_targets(self, "y", y, X, None if reset else math.prod(self._model.shape))
        sample_weight = validation.check_weights("sample_weight", sample_weight, X)
        recipe = resolved.resolve(X)
        validation.check_target_domain(self, recipe.parts.loss, y, sample_weight)
        return recipe, X, y, sample_weight

    def _validation(self, recipe: Recipe, X: Any, y: Any, weight: Any, random_state: Any, given: tuple) -> tuple:
        """Return the indices to train on (None: all) and a score for early stopping (None: without)."""
        if any(values is not None for values in given):
            train, held_out = None, validation.check_validation_data(self, X, y, *given)
        elif self.early_stopping:
            train, held_out = validation.hold_out(self, X, y, weight, random_state)
        else:
            return None, None
        return train, training.Scorer(recipe.formulas, *held_out)

    def _start_parameters(self, coef_init: Any, intercept_init: Any, shape: tuple, n_features: int) -> tuple:
        """Return the coefficients and the intercept that each target starts from; None for each: zero."""
        coef_init, intercept_init = detached(coef_init), detached(intercept_init)
        names = ["coef_init", "intercept_init"]
        if not self.fit_intercept and intercept_init is not None and np.any(host(intercept_init)):
            raise ValueError("intercept_init must be 0, or None, with fit_intercept=False.")
        if self.warm_start and self._fitted is not None:
            if coef_init is None:
                coef_init, names[0] = densified(self.coef_, self.intercept_), "warm_start=True starts from coef_, which"
            if intercept_init is None:
                intercept_init, names[1] = self.intercept_, "warm_start=True starts from intercept_, which"
        coefs = validation.check_start(names[0], coef_init, shape, (n_features,))
        return coefs, validation.check_start(names[1], intercept_init, shape)

    def _run_epochs(self, session: training.Session, plans: Sequence[Plan], states: list[State]) -> dict[str, Any]:
        """Run the epochs of `fit`, and return the attributes of the fitted estimator."""
        return training.run_epochs(session, plans, states)

    def _fitted_attributes(
        self,
        plan: Plan,
        states: Sequence[State],
        shape: tuple,
        resolved: ResolvedParameters,
        finish: StreamFinish | None = None,
    ) -> dict[str, Any]:
        """Return the attributes of the estimator fitted to these states."""
        model = FittedModel(tuple(states), shape, resolved.link(plan.parts.loss), resolved, finish=finish)
        return {"_fitted": model.moved_to(plan.X), "batch_size_": plan.batch_size}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = not params.steps_on_single_rows(self)
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = params.restricts_targets(self)
        return tags
