"""The moments of columns after new rows, while the step that was made of them stays valid."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Integer, Reals


def add_moments(
    k: Integer, p: Integer, weight: Double, total: Double, gain: Double, most: Doubles,
    mean: Doubles, moment: Doubles, single: Integer, x: Reals, y: Reals, new_mean: Doubles, new_moment: Doubles,
    merged_mean: Doubles, merged_moment: Doubles, w: Reals, average: Doubles,
) -> Double:  # fmt: skip
    """Write the moments of all rows; ``weight`` is that of the rows before, ``total`` that of all.

    The new rows have a mean and moments about it, or are a ``single`` row x with targets y, which needs neither. Then
    the intercepts of w and of the average move with the means of the p columns. If one of these varies by more than
    ``most``, or gains more than ``gain`` times its spread before, they stay, and their number is returned.
    """
    share, widened = (total - weight) / total, 0
    if single:
        for j in range(p):
            merged_mean[j] = float(x[j]) - mean[j]
        for j in range(p, k):
            merged_mean[j] = float(y[j - p]) - mean[j]
    else:
        for j in range(k):
            merged_mean[j] = new_mean[j] - mean[j]
    for j in range(k):
        scaled = weight * share * merged_mean[j]
        for i in range(k):
            merged_moment[j * k + i] = scaled * merged_mean[i] + moment[j * k + i]
    if not single:
        for i in range(k * k):
            merged_moment[i] += new_moment[i]
    for j in range(p):
        before, now = moment[j * k + j], merged_moment[j * k + j]
        if not (now - before <= gain * before and now <= most[j] * total):
            widened += 1
    if widened:
        return widened * 1.0
    of_w, of_average = 0.0, 0.0
    for j in range(p):
        move = share * merged_mean[j]
        of_w += move * float(w[j])
        of_average += move * average[j]
    w[p] = float(w[p]) + of_w
    average[p] += of_average
    for j in range(k):
        merged_mean[j] = mean[j] + share * merged_mean[j]
    return 0.0
