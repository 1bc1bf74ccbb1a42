"""Scores: the gradients of single samples, from which the covariance of the parameters is computed."""
