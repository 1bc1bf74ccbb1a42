"""The automatic step: statistics of the columns, the geometry made of them, rates, and final steps."""
