"""The base class of the three regressors: fit, partial_fit and predict. The descent itself is in ``_engine``."""

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from typing import Any, Literal, Self, TypeVar, overload

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_sgd._base import parameters as params
from sklearn_sgd._base import reports, training, validation
from sklearn_sgd._base.attributes import FittedAttributes
from sklearn_sgd._base.callbacks import Tasks
from sklearn_sgd._base.calls import learn_call
from sklearn_sgd._base.changes import Change, scores_to_continue
from sklearn_sgd._base.docs import DOCS
from sklearn_sgd._base.fitted import FittedModel
from sklearn_sgd._base.hints import HintsMixin
from sklearn_sgd._base.parameters import ResolvedParameters
from sklearn_sgd._base.prediction import BLOCK, ScoreMixin, predict_in_blocks, predict_std
from sklearn_sgd._base.rollback import rollback_on_error
from sklearn_sgd._base.samples import check_samples
from sklearn_sgd._base.saving import SavedForm
from sklearn_sgd._base.sparsify import SparsifyMixin
from sklearn_sgd._base.stream_cache import StreamCache
from sklearn_sgd._base.unused import USES, Use, warn_of_unused
from sklearn_sgd._compat import CallbackSupportMixin, fit_context
from sklearn_sgd._engine.cores import cores
from sklearn_sgd._engine.epochs import quiet
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.preparation.occurring import Occurring
from sklearn_sgd._engine.preparation.prepare import make_plans
from sklearn_sgd._engine.readings import counting
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.by_column import StatesByColumn
from sklearn_sgd._engine.streams.finish import finish_of, finishes
from sklearn_sgd._engine.streams.sparse import SparseStream
from sklearn_sgd._namespace import dtype_there, floats, namespace

Method = TypeVar("Method", bound=Callable)
_available_if_streaming: Callable[[Method], Method] = available_if(params.can_stream)


class BaseGDRegressor(
    SavedForm, SparsifyMixin, HintsMixin, FittedAttributes, CallbackSupportMixin, ScoreMixin, BaseEstimator
):
    """Everything but the signature: the three regressors differ in the default and allowed values of ``batch_size``."""

    _parameter_constraints: dict = params.CONSTRAINTS
    _parameter_uses: dict[str, Use] = USES
    # For each class, also a user's subclass: defaults, and values of all parameters, the package's own first.
    _parameter_defaults: dict[str, Any]
    _parameter_values: Any
    # For subclasses of users whose constructor lacks this parameter.
    inference: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._parameter_defaults = params.defaults_of(cls)
        cls._parameter_values = property(operator.attrgetter(*params.CONSTRAINTS | cls._parameter_defaults))

    # The link in the HTML representation of an estimator.
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
            Targets. Several targets are fitted in one pass over the samples, each as if it were fitted alone.
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
            If a parameter differs from its default and has no effect with the values of the others.
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
                raise ValueError("sample_weight is zero for all samples: there is nothing to learn from.")
            random_state = check_random_state(self.random_state)
            with quiet():
                train, score = self._validation(recipe, X, y, weight, random_state, (X_val, y_val, sample_weight_val))
            start = validation.start_parameters(self, coef_init, intercept_init, y.shape[1:], X.shape[1])
            states = training.start_states(X, y, random_state, *start)
            attributes = partial(self._fitted_attributes, shape=y.shape[1:], resolved=resolved)
            occurring = Occurring.of(recipe.formulas, X, states)
            data, states = (recipe, occurring.rows(X), validation.as_columns(y), weight), occurring.some(states)
            session = training.Session(self, score, X_val is not None, deadline, tasks, attributes, occurring, data)
            with quiet(), counting() as readings:
                try:
                    plans = make_plans(*data, states, train)
                except ValueError:
                    validation.refuse_not_finite(self, X)
                    raise
                fitted = self._run_epochs(session, plans, states)
            for name in ("validation_scores_", "_has_warned"):
                self.__dict__.pop(name, None)
            self.__dict__.update(fitted, n_readings_=readings.rows / plans[0].n_rows)
            tasks.end_fit()
        return self

    @_available_if_streaming
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Continue learning: one pass over these samples, in their order, in batches of ``batch_size``.

        The count of updates, the moments and the average continue from the last call: with ``shuffle=False``, k calls
        on the same samples are ``fit(epochs=k)``. A call without samples, or with weights of 0, changes nothing.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New samples.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets. The number of targets per sample must not change between calls.
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
            If a parameter differs from its default and has no effect with the values of the others.
        ConvergenceWarning
            If the descent left the finite range; the regressor is then as it was before the call. If it predicts worse
            than the best constant, or if early samples lead to other coefficients than late ones, as those of sorted
            targets: this is checked now and then. Or if the loss, the penalty or `fit_intercept` is another one:
            `predict` follows it from then on, or includes what was learned before, without automatic step.
        RuntimeWarning
            If a call in another thread has ended during this one: what it has learned is lost.
        """
        model = self._fitted
        cache = None if model is None else model.stream_cache
        if cache is not None and cache.accepts(self._parameter_values, X, y, sample_weight):
            if cache.has_domain:
                validation.check_target_domain(self, cache.loss, y)
            known: Any = model.by_column or model.states  # type: ignore[union-attr]
            position = cache.stream.advance(X, y, sample_weight, known)
            if position is not None:
                reached = model.after(position, X, y, sample_weight)  # type: ignore[union-attr]
                if (reached.by_column or reached).states[0].n_samples >= reached.watch.due:
                    with reports.repeatable(self):
                        reached = reports.watch(self, reached, cache.stream.recipe, X, y, sample_weight)
                if self._fitted is not model:
                    reports.warn_of_lost_call(self)
                self._fitted = reached
                return self
        with reports.repeatable(self), rollback_on_error(self) as rollback, quiet():
            if not self._partial_fit_validated(X, y, sample_weight):
                rollback()
        return self

    @cores()
    def _partial_fit_validated(self, X: Any, y: Any, sample_weight: Any) -> bool:
        """Validate a chunk that the cache does not accept, and learn from it; False if the descent diverged."""
        model = self._fitted
        resolved = None if model is None else model.parameters
        if resolved is None or not resolved.are(self._parameter_values):
            self._validate_params()
            warn_of_unused(self)
            resolved = ResolvedParameters(self)
        first = model is None or not model.progress
        recipe, X, y, weight = self._validate_input(resolved, X, y, sample_weight, reset=first, least=0)
        if not X.shape[0] or not (first or weight is None or namespace(weight).any(weight != 0)):
            return True
        knows_all = first or model.scores  # type: ignore[union-attr]
        recipe = recipe.of_stream(X, math.prod(y.shape[1:])) if knows_all else recipe
        position: Sequence[State] | StatesByColumn
        change = None
        if first:
            random_state = check_random_state(self.random_state)
            shape, position = y.shape[1:], training.start_states(X, y, random_state, repeat(None), repeat(None))
        else:
            shape, position = model.shape, model.states_to_continue(finishes(recipe))  # type: ignore[union-attr]
            change = Change.of(model, resolved, recipe, position)
            if change:
                change.forget(position)
        stream, finish = SparseStream.of(recipe, X) if shape == () else None, finish_of(recipe)
        if stream and isinstance(position, StatesByColumn) and (reached := stream.advance(X, y, weight, position)):
            attributes = self._fitted_attributes(stream.template(X).plan, reached, shape, resolved, finish=finish)
            cache = StreamCache.of(self, resolved, stream, X, shape)
        else:
            known = scores_to_continue(model, resolved, change)
            learned = learn_call(recipe, X, validation.as_columns(y), weight, position, known)
            if learned.diverged:
                training.report_divergence(self, learned.diverged)
                return False
            cache = StreamCache.of(self, resolved, stream or learned.stream, X, shape)
            more = {"finish": finish, "scores": learned.scores}
            attributes = self._fitted_attributes(learned.plan, learned.position, shape, resolved, **more)
        if change:
            change.report(self)
        watch = model and model.watch
        if watch and resolved is not model.parameters:  # type: ignore[union-attr]
            watch = watch.with_other_parameters(model.progress[0].n_samples)  # type: ignore[union-attr]
        reached = attributes["_fitted"].replace(stream_cache=cache, watch=watch)
        if self._fitted is not model:
            reports.warn_of_lost_call(self)
        self.__dict__.update(attributes, _fitted=reports.watch(self, reached, recipe, X, y, weight))
        return True

    def _partial_fit_chunk(self, X: Any, y: Any, sample_weight: Any, *, again: bool, within: bool) -> Self:
        """Continue learning from a chunk of `fit_stream`.

        ``again``: an earlier epoch has used the samples. ``within``: it is not the first chunk of its epoch.
        """
        before = self._fitted or FittedModel()
        if again and before.scores:
            self._fitted = before = before.with_counted_rows(ResolvedParameters(self))
        self.partial_fit(X, y, *([] if sample_weight is None else [sample_weight]))
        after = self._fitted or FittedModel()
        for state, earlier in zip(after.progress, before.progress, strict=False):
            if again:
                state.restore_prequential_loss(earlier)
            if within:
                state.stay_in_epoch(earlier)
        if again and after.scores:
            self._fitted = after.with_counted_rows(ResolvedParameters(self)).seen_again(before, within)
        return self

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> np.ndarray: ...

    @overload
    def predict(self, X: Any, return_std: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict targets, with the loss and the link of the last fit.

        Many samples are processed in blocks of a megabyte, so that frames, integers and lists are never converted as a
        whole. Floats on a device need one product. Other arrays on a device are converted in blocks that fit into
        memory.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            Samples.
        return_std : bool, default=False
            Whether to return also the standard deviation of a new target: for the squared error, from what the
            automatic step, or ``inference=True``, keeps. See :ref:`inference`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions, in the precision of X and the coefficients.
        y_std : ndarray of the shape of y
            Standard deviations, in double precision, or for arrays of another library like X; only with `return_std`.

        Raises
        ------
        ValueError
            If X is invalid, or an array of another library or device than `coef_`, under array API dispatch; or if the
            standard deviation is not known.
        """
        if return_std:
            return self.predict(X), predict_std(self, X)
        model = self._fitted
        if model is None:
            check_is_fitted(self)
        if type(X) is np.ndarray and X.size <= BLOCK and self._is_plain(X):
            return model.predict(X)  # type: ignore[union-attr]
        return predict_in_blocks(self, X)

    def _is_plain(self, X: Any, like: Any = None) -> bool:
        """Return whether X needs no validation: it is an array of the same kind as the coefficients."""
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
            dtype: Any = floats(X) if reset else dtype_there(X, self._states[0].vectors.coef.dtype)
            form = {"order": "C", "dtype": dtype}
            X = check_samples(self, X, **form, reset=reset, ensure_min_samples=least, ensure_all_finite=finite)
            y = validation.check_targets(self, "y", y, X, None if reset else math.prod(self._model.shape))
        sample_weight = validation.check_weights("sample_weight", sample_weight, X)
        recipe = resolved.resolve(X)
        validation.check_target_domain(self, recipe.parts.loss, y, sample_weight)
        if not isinstance(self.loss, str):
            validation.check_loss(recipe.parts.loss, y)
        return recipe, X, y, sample_weight

    def _validation(self, recipe: Recipe, X: Any, y: Any, weight: Any, random_state: Any, given: tuple) -> tuple:
        """Return the indices to train on (None: all) and a score for early stopping (None: without)."""
        if any(values is not None for values in given):
            train, held_out = None, validation.check_validation_data(self, X, y, *given)
            _, y_val, weight_val = held_out
            validation.check_target_domain(self, recipe.parts.loss, y_val, weight_val, "y_val")
        elif self.early_stopping:
            train, held_out = validation.hold_out(self, X, y, weight, random_state)
        else:
            return None, None
        score = training.Scorer(recipe.formulas, *held_out)
        if train is None and not all(score.worst):
            reports.warn(self, reports.CONSTANT)
        return train, score

    def _run_epochs(self, session: training.Session, plans: Sequence[Plan], states: list[State]) -> dict[str, Any]:
        """Run the epochs of `fit`, and return the attributes of the fitted estimator."""
        return training.run_epochs(session, plans, states)

    def _fitted_attributes(
        self,
        plan: Plan,
        states: Sequence[State] | StatesByColumn,
        shape: tuple,
        resolved: ResolvedParameters,
        **more: Any,
    ) -> dict[str, Any]:
        """Return the attributes of the estimator fitted to these states."""
        model = FittedModel(states, shape=shape, link=resolved.link(plan.parts.loss), parameters=resolved, **more)
        return {"_fitted": model.moved_to(plan.X), "batch_size_": plan.batch_size}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = not params.steps_on_single_rows(self)
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = params.restricts_targets(self)
        return tags
