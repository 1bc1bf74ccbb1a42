"""The three regressors on a Dask cluster: samples stay on the workers. Needs the extra ``dask``.

The classes take Dask arrays and data frames, and are used as the Dask classes of LightGBM and XGBoost are.
"""

from sklearn_sgd.dask.estimators import DaskBatchGDRegressor, DaskMiniBatchSGDRegressor, DaskOnlineSGDRegressor

__all__ = ["DaskBatchGDRegressor", "DaskMiniBatchSGDRegressor", "DaskOnlineSGDRegressor"]
