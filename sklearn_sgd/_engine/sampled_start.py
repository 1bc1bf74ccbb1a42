"""The start of a descent over many rows, with another loss than the squared error: the minimum of a sample of them.

The loss at that start exceeds the minimum of all rows by the noise of the sample, which is a share of about P / n of
the loss for n rows. A few passes over X remove it.
"""

from sklearn_sgd._engine.automatic.sample import sample, sample_size
from sklearn_sgd._engine.epochs import Descent, one_epoch
from sklearn_sgd._engine.plan import Data, Plan
from sklearn_sgd._namespace import take

# Minimum share of the rows in a sample; maximum number of epochs on it; excess that may remain, in units of the noise.
SHARE, MOST_EPOCHS, MISSING = 1 / 16, 20, 0.1


def start_on_sample(descent: Descent, most: float) -> None:
    """Let a new descent begin at the minimum of a sample, if the mean loss of all rows is less than ``most`` there."""
    plan, state = descent.plan, descent.state
    size = sample_size(plan.n_rows, plan.X.shape[1]) if state.fresh and plan.searches else None
    if size is None:
        return
    plan = _on_sample(plan, max(size, int(SHARE * plan.n_rows)))
    small, enough = Descent(plan, state.fork()), MISSING * (plan.X.shape[1] + 1) / plan.n_rows
    for _ in range(MOST_EPOCHS):
        [(_, epoch)] = one_epoch([small])
        if not epoch.finite or small.excess <= enough * epoch.loss:
            break
    found = small.state
    found.recentre(state.centre)
    if epoch.finite and descent.loss_at(found.vectors.coef) < most:
        state.start_at(found.vectors.coef[:-1], float(found.vectors.coef[-1]), 0.0)
        descent.run.rows.share = small.run.rows.share


def _on_sample(plan: Plan, size: int) -> Plan:
    """The plan for ``size`` of its rows."""
    some, data = plan.used[sample(plan.n_rows, size)], plan.data
    X, weight = take(plan.X, some), data.weight[some] if data.weight.shape[0] else data.weight
    data = Data(data.rows._replace(X=X), data.y[some], weight)
    return plan._replace(X=X, data=data, row_indices=None, n_rows=size, batch_size=size)
