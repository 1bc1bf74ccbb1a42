"""Solvers: each module has a Solver with ``set_objective(X, y)``, ``run(epochs)`` and ``get_result()``."""

import importlib
import pkgutil


class BaseSolver:
    """A scikit-learn estimator as a solver; other solvers have the same methods.

    Parameters
    ----------
    **settings
        Parameters of the estimator.
    """

    name = "solver"
    requirements: tuple[str, ...] = ()
    epochs = "max_iter"

    def __init__(self, **settings):
        self.settings = settings

    def make(self):
        raise NotImplementedError

    def set_objective(self, X, y):
        self.X, self.y = X, y

    def run(self, epochs=None):
        self.model = self.make().set_params(**self.settings)
        if epochs:
            self.model.set_params(**{self.epochs: epochs})
        self.model.fit(self.X, self.y)

    def get_result(self):
        return self.model.coef_, self.model.intercept_


def load() -> tuple[dict[str, type], list[str]]:
    """Solvers by name, and the names of those whose package is not installed."""
    found, absent = {}, []
    for module in pkgutil.iter_modules(__path__):
        solver = importlib.import_module(f"{__name__}.{module.name}").Solver
        if all(importlib.util.find_spec(name) for name in solver.requirements):
            found[solver.name] = solver
        else:
            absent.append(solver.name)
    return found, absent
