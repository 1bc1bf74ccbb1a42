"""Scores, the slopes of single rows in the parameters: what the covariance of the parameters is made of."""
