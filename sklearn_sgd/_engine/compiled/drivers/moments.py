"""The moments of columns after new rows, while the step that was made of them stays valid."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Integer, Reals


def add_moments(
    k: Integer, p: Integer, weight: Double, total: Double, least: Double, most: Doubles,
    mean: Doubles, moment: Doubles, new_mean: Doubles, new_moment: Doubles, merged_mean: Doubles,
    merged_moment: Doubles, w: Reals, average: Doubles,
) -> Double:  # fmt: skip
    """Write the moments of all rows; ``weight`` is that of the rows before, ``total`` that of all.

    Then the intercepts of w and of the average move with the means of the p columns. If one of these varies by more
    than ``most``, or by at least the share ``least`` in the new rows, they stay, and their number is returned.
    """
    share, widened = (total - weight) / total, 0
    for j in range(k):
        delta = new_mean[j] - mean[j]
        merged_mean[j] = mean[j] + share * delta
        scaled = weight * share * delta
        for i in range(k):
            of_means = scaled * (new_mean[i] - mean[i])
            merged_moment[j * k + i] = of_means + moment[j * k + i] + new_moment[j * k + i]
    for j in range(p):
        before, now = moment[j * k + j], merged_moment[j * k + j]
        if not (before >= (1.0 - least) * now and now <= most[j] * total):
            widened += 1
    if widened:
        return widened * 1.0
    of_w, of_average = 0.0, 0.0
    for j in range(p):
        move = merged_mean[j] - mean[j]
        of_w += move * float(w[j])
        of_average += move * average[j]
    w[p] = float(w[p]) + of_w
    average[p] += of_average
    return 0.0
