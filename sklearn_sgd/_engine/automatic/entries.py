"""How well sparse columns are known from their entries: formulas for numbers, in drivers, and for arrays."""

# Entries of a sparse column from which it is known half as well as a full one: in descents with noise, and without.
KNOWN, KNOWN_EXACTLY = 3000.0, 50.0

# Numbers of a column in the table of a stream: of its statistics, and then of each target.
STATISTICS, PARAMETERS = 5, 6

# Share of the weight of rows that may be the rounding of sums.
SUMMED = 1e-12

# Growth of a column's variance, or of the mean square of its entries, that is news.
NEWS = 2.0


def acquaintance(count):
    """How well a column is known from so many entries, in steps with noise; 1 is best.

    The curvatures of the preconditioned columns are in proportion.
    """
    return count / (count + KNOWN)


def share_of_rows(count, weight, known):
    """Share of the rows in which a column has entries, drawn to 1: as if ``known`` more rows had entries in all."""
    return (count + known) / (weight + known)


def mean_length(acquaintances, weight):
    """Mean squared length of a preconditioned row, the intercept's one included, by the sum of acquaintances."""
    return 1.0 + acquaintances * (1.0 + KNOWN / max(weight, 1e-300))


def mean_square(mean, moment, weight, count):
    """Mean square of the entries of a column, from its mean and its sum of centred squares in all rows."""
    return (moment + weight * mean * mean) / count


def with_gaps(mean, moment, weight, total):
    """The mean and the sum of centred squares after rows without entries, from one weight of all rows to another."""
    gaps = (total - weight) / total  # 0 exactly if there are none, however machine code divides.
    return mean - gaps * mean, moment + gaps * weight * mean * mean
