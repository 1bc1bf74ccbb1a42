"""From the last epoch of a fit to the minimum."""
