"""Formulas for sparse columns with few entries. They are used for numbers, in drivers, and for arrays.

References
----------
Buhlmann, H., "Experience rating and credibility", ASTIN Bulletin 4, 1967: the weight n / (n + k) of n observations.
"""

# Number of entries with which `credibility` is one half; in full batches without momentum, which would take too long to
# learn rare columns.
KNOWN, KNOWN_EXACTLY = 3000.0, 150.0

# Numbers for each column in the table of a stream: for its statistics, and for each target.
STATISTICS, PARAMETERS = 5, 6

# Number of usual gaps between the entries of a column after which it is taken for gone. What centring adds to it is
# right for rows in which it could occur. What targets do after it is gone says nothing about it.
GAPS = 20.0

# Share of the weight of rows that may be due to rounding.
SUMMED = 1e-12

# Factor by which the variance of a column, or the mean square of its entries, must grow to renew the step.
WIDENING = 2.0


def credibility(count):
    """Return how reliable a column with this number of entries is, in steps with noise: between 0 and 1.

    The curvatures of the preconditioned columns are proportional to it.
    """
    return count / (count + KNOWN)


def share_of_rows(count, weight, known):
    """Return the share of rows in which a column has entries, as if it had entries in ``known`` additional rows."""
    return (count + known) / (weight + known)


def mean_length(credibilities, weight):
    """Return the mean squared norm of a preconditioned row, including the intercept, from the sum of credibilities."""
    return 1.0 + credibilities * (1.0 + KNOWN / max(weight, 1e-300))


def mean_square(mean, moment, weight, count):
    """Return the mean square of the entries of a column, from its mean and its sum of centred squares over all rows."""
    return (moment + weight * mean * mean) / count


def scaled_mean(mean, moment, weight, count):
    """Return the mean of a column times its scale, in units that are the same for all columns.

    It stays as it is while the column has no entries and no rows are forgotten; the unit changes with each row.
    """
    return credibility(count) * (weight * mean) / (moment + weight * mean * mean)


def share_followed(count, weight, absent):
    """Return by what share a column without entries in ``absent`` rows follows what centring adds to it.

    That is 1 up to `GAPS` gaps and one row, and then falls as one over the rows. ``weight`` is that of all rows, so
    that a column of few entries always follows.
    """
    patience = GAPS * weight / (count + 1e-100) + 1.0
    later = absent - patience
    return patience / (patience + 0.5 * (later + abs(later)))


def after_turn(w, average, along, now, before, left):
    """Return a coefficient and its average after the turn and its mean, from those ``before`` to those ``now``.

    The coefficient moves ``along`` for each unit; ``left`` is what is left of its average since.
    """
    (turn, mean), (start, mean_before) = now, before
    return w - along * (turn - start), average - along * (mean - start - left * (mean_before - start))


def units_of_means(weight, prior):
    """Return the unit of `scaled_mean` for rows with this weight, and ``prior`` rows without entries in the means.

    Also that of the sum over columns of their sum of entries times `scaled_mean`, which is then that of means times
    scaled means.
    """
    unit = (weight + KNOWN) / max(weight + prior, 1e-300)
    return unit, unit * unit / (weight + KNOWN)


def with_gaps(mean, moment, weight, total):
    """Return mean and sum of centred squares after rows without entries, which raise the weight of all to ``total``."""
    gaps = (total - weight) / total  # Exactly 0 if there are none, also in machine code.
    return mean - gaps * mean, moment + gaps * weight * mean * mean
