"""Statistics over seeds. Imports neither torch nor Ray; scipy is imported when it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIE = 1e-5
"""Points up to which two accuracies in percent count as equal, and differences as without spread.

Rows of earlier versions have float32 quotients with errors of up to 3e-6 points. One image of a test split of a million
is 1e-4 points.
"""
PERCENT = (0.0, 100.0)
"""Range of an accuracy, and so of its mean."""


class Summary(NamedTuple):
    """Mean and spread of n values over seeds.

    Attributes:
        mean: arithmetic mean.
        std: sample standard deviation (n - 1 in the denominator); None for one value.
        n: number of values.
        ci_low: lower end of the 95 % interval of the mean; None for one value.
        ci_high: upper end; None for one value.
    """

    mean: float
    std: float | None
    n: int
    ci_low: float | None
    ci_high: float | None


def summarize(values: Sequence[float], *, within: tuple[float, float] = (-math.inf, math.inf)) -> Summary:
    """Return mean, sample standard deviation and Student's t-interval of the mean.

    The result does not depend on the order of ``values``, not even in the last bit (``math.fsum``).

    Args:
        values: one finite number per seed, at least one.
        within: possible range of the mean, such as ``PERCENT``; the interval is cut to it.

    Returns:
        A summary with a 95 % interval around the mean; one value has neither std nor interval.
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(mean, None, 1, None, None)
    from scipy.special import stdtrit

    # ``fsum`` again: a table's last digit must not depend on the order of the rows' files.
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(stdtrit(n - 1, 0.975)) * std / math.sqrt(n)
    return Summary(mean, std, n, max(within[0], mean - half), min(within[1], mean + half))


def paired_difference(ours: Mapping[int, float], baseline: Mapping[int, float]) -> Summary | None:
    """Return the summary of ours minus the baseline at the same seed, over the seeds that both have.

    Pairing removes a seed's effect on both, such as a lucky initialisation of the model.

    Args:
        ours: seed -> accuracy in percent.
        baseline: seed -> accuracy in percent, usually of ``random``.

    Returns:
        Difference in points, positive if better than the baseline; without an interval if all differences are equal
        (standard deviation of at most ``TIE``). None without a common seed.
    """
    # Only common seeds: a mean over other seeds would compare the seeds.
    common = sorted(ours.keys() & baseline.keys())
    if not common:
        return None
    summary = summarize([ours[seed] - baseline[seed] for seed in common])
    # Accuracies are counts, so a few seeds may differ by the same number of images; that is no certainty.
    equal = summary.std is not None and summary.std <= TIE
    return summary._replace(ci_low=None, ci_high=None) if equal else summary


class PairedTest(NamedTuple):
    """Paired comparison at n common seeds.

    Attributes:
        difference: summary of ours minus the baseline, in points; positive is better than the baseline.
        p: two-sided p-value of the paired t-test; None for one pair, and if all differences are equal (standard
            deviation of at most ``TIE``).
        p_floor: 2 / 2^n, the smallest p-value of a test without assumptions on the distribution (all sign flips) with n
            pairs: 0.25 for 3 seeds, 0.0625 for 5. A smaller p of the t-test assumes normal differences, which so few
            seeds cannot show.
        wins: seeds at which ours is better.
        ties: seeds at which both are equal within ``TIE``.
    """

    difference: Summary
    p: float | None
    p_floor: float
    wins: int
    ties: int

    @property
    def win_rate(self) -> float:
        """Fraction of seeds won, in [0, 1]; ties count half."""
        return (self.wins + self.ties / 2) / self.difference.n


def paired_test(ours: Mapping[int, float], baseline: Mapping[int, float]) -> PairedTest | None:
    """Return Student's paired t-test, two-sided, of ours against the baseline at the same seeds.

    With n = 2 the test has one degree of freedom and needs a mean difference of 12.7 standard errors for p = 0.05.

    Args:
        ours: seed -> accuracy in percent.
        baseline: seed -> accuracy in percent, usually of ``random``.

    Returns:
        Difference, p-value and wins over the seeds that both have; None without a common seed.
    """
    difference = paired_difference(ours, baseline)
    if difference is None:
        return None
    differences = [ours[seed] - baseline[seed] for seed in ours.keys() & baseline.keys()]
    wins, ties = sum(value > TIE for value in differences), sum(abs(value) <= TIE for value in differences)
    p = None
    # Differences that are equal within rounding have no spread to compare their mean with.
    if difference.std is not None and difference.std > TIE:
        from scipy.special import stdtr

        p = float(2 * stdtr(difference.n - 1, -abs(difference.mean) / (difference.std / math.sqrt(difference.n))))
    return PairedTest(difference, p, 2.0 ** (1 - difference.n), wins, ties)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by Holm's step-down method (Holm 1979), which needs no independence.

    Args:
        p_values: each in [0, 1].

    Returns:
        Adjusted values in the same order, each in [p, 1]; larger p-values stay larger or equal.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for done, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        # Never below the previous one, so that the order of the p-values is kept.
        highest = max(highest, min(1.0, (len(p_values) - done) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Return the rank of each value along the last axis, 1 for the highest; ties share the mean of their ranks.

    Args:
        values: accuracies in percent; values within ``TIE`` are ties.

    Returns:
        float64 of the same shape; n ranks sum to n * (n + 1) / 2.
    """
    array = np.asarray(values, dtype=np.float64)
    # All pairs, not a sort: equality within ``TIE`` is not transitive, so sorted neighbours could form chains.
    better = array[..., None, :] > array[..., :, None] + TIE
    return (array.shape[-1] + 1 + better.sum(axis=-1) - better.sum(axis=-2)) / 2


RANK_INTERVAL = (
    "interval of the rank with infinitely many seeds; methods whose difference may be chance can swap ranks, so few "
    "seeds give wide intervals"
)
"""A table's note on its intervals of ranks."""


class RankInterval(NamedTuple):
    """Mean rank with its interval; 1 is best.

    Attributes:
        rank: rank of the mean over all seeds, averaged over the columns.
        low: lower end of the interval.
        high: upper end.
    """

    rank: float
    low: float
    high: float


def rank_intervals(
    columns: Sequence[ArrayLike], weights: Sequence[float], *, level: float = 0.95
) -> list[RankInterval]:
    """Return each method's mean rank over columns, with an interval for its rank with infinitely many seeds.

    In each column, a method's best possible rank is one more than the number of surely better methods, and its worst
    possible rank is M minus the number of surely worse ones (Al Mohamad, Goeman & van Zwet 2022, Biometrics: all pairs
    by Tukey's test; here a method's M - 1 pairs by Bonferroni's correction, since one reads the interval of one method
    at a time). Differences are tested by a t-test with a variance that is pooled over the methods, after each seed's
    effect on all methods is removed: 3 seeds of 9 methods give 16 degrees of freedom. The ends are averaged over the
    columns like the ranks.

    ``tests/results/test_rank_coverage.py`` simulates the coverage: 0.94 to 1.00 for 3 to 18 methods, 1 to 6 columns, 2
    to 5 seeds and differences from none to far larger than the noise (n = 400 leaderboards each). It is lowest if
    methods differ by a hundredth of the noise. All methods had the same noise; a method with five times the noise of
    others is covered 0.86 to 0.88 of the time. A bootstrap over seeds covers 0.54 to 0.88 at 3 seeds, 0.65 to 0.93 at 5
    (n = 60): few seeds allow few draws, and ranks of noisy means move towards the middle.

    Args:
        columns: each [M, S] in percent, finite; all have the same methods, each its own seeds. With one seed an
            interval is 1 to M.
        weights: weights of the columns, with sum 1.
        level: coverage of the interval of one method, in (0, 1).

    Returns:
        One interval per method.
    """
    intervals = np.float64(0)
    for column, share in zip(columns, weights, strict=True):
        values = np.asarray(column, dtype=np.float64)
        means = values.mean(axis=1)
        ahead = means - means[:, None]
        threshold = _sure_difference(values, level)
        low, high = 1 + (ahead > threshold).sum(axis=1), len(means) - (ahead < -threshold).sum(axis=1)
        intervals = intervals + share * np.stack([ranks(means), low, high], axis=1)
    # Rounded, so that sums of the same ranks in another order are equal.
    return [RankInterval(*map(float, entry)) for entry in intervals.round(9)]


def _sure_difference(values: NDArray[np.float64], level: float) -> float:
    """Return the points by which two of the methods [M, S] must differ to be told apart; infinite for one seed."""
    methods, seeds = values.shape
    # The residuals of a two-way layout: means of methods and of seeds are removed.
    freedom = (methods - 1) * (seeds - 1)
    if not freedom:
        return math.inf
    from scipy.special import stdtrit

    residuals = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    # The error of a difference of two means over the seeds, hence 2 / S.
    error = math.sqrt(2 / seeds * (residuals**2).sum() / freedom)
    # At least ``TIE``: without any spread, rounding would make every difference sure.
    return max(TIE, error * float(stdtrit(freedom, 1 - (1 - level) / 2 / (methods - 1))))


def jaccard(one: NDArray[np.integer], other: NDArray[np.integer]) -> float:
    """Return the Jaccard overlap of two coresets: the images in both, as a fraction of the images in either.

    Args:
        one: unique pool positions, at least one.
        other: unique pool positions.

    Returns:
        In [0, 1]; 1 for equal coresets.
    """
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def chance_jaccard(budget: int, size: int) -> float:
    """Return the Jaccard overlap of two random coresets that share the expected number of images.

    Args:
        budget: size of both coresets, 1 to N.
        size: N.

    Returns:
        In [0, 1]; f / (2 - f) if both keep the fraction f.
    """
    shared = budget * budget / size
    return shared / (budget + budget - shared)


def kendall(one: NDArray[np.floating], other: NDArray[np.floating]) -> float | None:
    """Return Kendall's tau-b of two scores of the same images (Kendall 1945), which handles ties.

    Args:
        one: [N], high = hard.
        other: [N], high = hard.

    Returns:
        In [-1, 1]: 1 for the same order, 0 for unrelated orders; None if a score is constant.
    """
    from scipy.stats import kendalltau

    statistic = float(kendalltau(one, other).statistic)
    return None if math.isnan(statistic) else statistic
