"""scikit-learn's callbacks (version 1.9 and later): a fit is a task, and each of its epochs is a subtask."""

from collections.abc import Callable
from typing import Any

from sklearn_sgd._compat import callback_context, has_callbacks


class Tasks:
    """Tasks of one fit, as callbacks see them: the estimator, the data as the user gave them, and the progress."""

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any):
        # An epoch may take microseconds, so it becomes a task only if there is a callback.
        self.has_callbacks = has_callbacks(estimator)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.fit = self.epoch = callback_context(estimator, max_subtasks=estimator.epochs)

    def begin_fit(self) -> None:
        """Call the callbacks at the start of the fit."""
        self.fit.call_on_fit_task_begin(**self.data)

    def begin_epoch(self) -> None:
        """Call the callbacks at the start of an epoch."""
        if self.has_callbacks:
            self.epoch = self.fit.subcontext(task_name="epoch").call_on_fit_task_begin(**self.data)

    def end_epoch(self, attributes: Callable[[], dict]) -> bool:
        """Call the callbacks at the end of an epoch; return whether one of them requests to stop.

        ``attributes()`` returns the attributes of the estimator fitted so far; called only if a callback needs it.
        """
        return self.has_callbacks and self.epoch.call_on_fit_task_end(**self.data, reconstruction_attributes=attributes)

    def end_fit(self) -> None:
        """Call the callbacks at the end of the fit."""
        self.fit.call_on_fit_task_end(**self.data, reconstruction_attributes={})
