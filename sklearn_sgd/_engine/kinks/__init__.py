"""The minimum of losses whose slope jumps, such as the absolute error."""
