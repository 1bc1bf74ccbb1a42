"""Simulated data: each module has a Dataset with ``get_data() -> {"X": ..., "y": ...}``."""
