"""What scikit-learn sees of the regressors: parameters, validation, fit, partial_fit and predict."""
