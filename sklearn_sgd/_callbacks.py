"""scikit-learn's callbacks, where it has them (1.9 and later): a fit is a task, each of its epochs a task in it."""

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

        def _init_callback_context(self, **_):
            return Silent()


class Silent:
    """Stands where a callback context would be."""

    def subcontext(self, **_):
        return self

    def call_on_fit_task_begin(self, **_):
        return self

    def call_on_fit_task_end(self, **_):
        return False


class Tasks:
    """What callbacks are told of a fit: the estimator, the data as the user gave them, and where it stands."""

    def __init__(self, estimator, X, y, sample_weight):
        # Epochs may take microseconds: none is a task where no callback would hear of it.
        self.heard = bool(getattr(estimator, "_skl_callbacks", ()))
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.fit = self.epoch = estimator._init_callback_context(max_subtasks=estimator.epochs)

    def begin_fit(self) -> None:
        self.fit.call_on_fit_task_begin(**self.data)

    def begin_epoch(self) -> None:
        if self.heard:
            self.epoch = self.fit.subcontext(task_name="epoch").call_on_fit_task_begin(**self.data)

    def end_epoch(self, attributes) -> bool:
        """Whether a callback wants this epoch to be the last; ``attributes()`` make a fitted estimator, if one asks."""
        return self.heard and self.epoch.call_on_fit_task_end(**self.data, reconstruction_attributes=attributes)

    def end_fit(self) -> None:
        self.fit.call_on_fit_task_end(**self.data, reconstruction_attributes={})
