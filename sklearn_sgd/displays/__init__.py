"""Pictures of a fit, in the style of scikit-learn's displays. Drawing needs matplotlib, from the extra ``plot``.

Lines differ by colour, by dashes and by marker, so that they can be distinguished in grey, too.
"""

from sklearn_sgd.displays.batch_size import BatchSizeDisplay
from sklearn_sgd.displays.coefficients import CoefficientDisplay
from sklearn_sgd.displays.descent_path import DescentPathDisplay
from sklearn_sgd.displays.gradient_noise import GradientNoiseDisplay
from sklearn_sgd.displays.loss_curve import LossCurveDisplay

__all__ = ["BatchSizeDisplay", "CoefficientDisplay", "DescentPathDisplay", "GradientNoiseDisplay", "LossCurveDisplay"]
