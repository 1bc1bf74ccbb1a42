"""The passes over rows, by what the rows are."""
