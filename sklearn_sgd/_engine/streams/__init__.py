"""Calls of `partial_fit`: what a stream keeps between them, and its coefficients at any time."""
