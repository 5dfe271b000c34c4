"""Statistics over seeds. Needs neither torch nor Ray; scipy is imported where it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIE = 1e-5
"""Points within which two accuracies in percent are equal, and within which differences have no spread.

Rows of earlier versions hold float32 quotients, which are off by up to 3e-6 points. One image of a test split of a
million is 1e-4 points.
"""
PERCENT = (0.0, 100.0)
"""Where an accuracy lies, and so its mean."""


class Summary(NamedTuple):
    """What n values over seeds say.

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
    """Compute mean, sample standard deviation and Student's t-interval of the mean.

    The order of ``values`` does not change a single bit of the result (``math.fsum``).

    Args:
        values: one finite number per seed, at least one.
        within: where the mean lies whatever the values say, such as ``PERCENT``; an interval ends there.

    Returns:
        A summary whose 95 % interval is centred on the mean as far as it is not cut; one value has neither std nor
        interval.
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(mean, None, 1, None, None)
    from scipy.special import stdtrit

    # ``fsum`` again: rows come in the order of file names, which must not show in a table's last digit.
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(stdtrit(n - 1, 0.975)) * std / math.sqrt(n)
    return Summary(mean, std, n, max(within[0], mean - half), min(within[1], mean + half))


def paired_difference(ours: Mapping[int, float], baseline: Mapping[int, float]) -> Summary | None:
    """Summarise ours minus the baseline at the same seed, over the seeds that both have.

    Pairing takes out what a seed does to both, such as a lucky initialisation of the model.

    Args:
        ours: seed -> accuracy in percent.
        baseline: seed -> accuracy in percent, usually of ``random``.

    Returns:
        Difference in points; positive is better than the baseline; without an interval where all differences are equal
        (their standard deviation is at most ``TIE``). None without a common seed.
    """
    # Only seeds that both have: a mean over other seeds would compare the seeds.
    common = sorted(ours.keys() & baseline.keys())
    if not common:
        return None
    summary = summarize([ours[seed] - baseline[seed] for seed in common])
    # Accuracies are counts, so few seeds can differ by the same number of images: no spread, and no certainty.
    equal = summary.std is not None and summary.std <= TIE
    return summary._replace(ci_low=None, ci_high=None) if equal else summary


class PairedTest(NamedTuple):
    """What n pairs at the same seeds say about a difference.

    Attributes:
        difference: summary of ours minus the baseline, in points; positive is better than the baseline.
        p: two-sided p-value of the paired t-test; None for one pair, and where all differences are equal
            (their standard deviation is at most ``TIE``).
        p_floor: 2 / 2^n, the smallest p-value that a test without an assumption on the distribution (all sign flips)
            can give with n pairs: 0.25 for 3 seeds, 0.0625 for 5. A t-test below it rests on the differences being
            normal, which so few seeds cannot show.
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
        """Fraction of seeds won, a tie counting half, in [0, 1]."""
        return (self.wins + self.ties / 2) / self.difference.n


def paired_test(ours: Mapping[int, float], baseline: Mapping[int, float]) -> PairedTest | None:
    """Test whether ours differs from the baseline at the same seed: Student's paired t-test, two-sided.

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
    # Differences that are equal but for rounding have no spread to compare their mean with.
    if difference.std is not None and difference.std > TIE:
        from scipy.special import stdtr

        p = float(2 * stdtr(difference.n - 1, -abs(difference.mean) / (difference.std / math.sqrt(difference.n))))
    return PairedTest(difference, p, 2.0 ** (1 - difference.n), wins, ties)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number by Holm's step-down method (Holm 1979), which assumes no independence.

    Args:
        p_values: each in [0, 1].

    Returns:
        Adjusted values in the order given, each in [p, 1]; the order of sizes is kept.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for done, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        # Never below the one before: a larger p-value must not become the smaller adjusted one.
        highest = max(highest, min(1.0, (len(p_values) - done) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Rank each value along the last axis, 1 for the highest; equal values share the mean of their ranks.

    Args:
        values: accuracies in percent; equal are those within ``TIE``.

    Returns:
        float64 of the same shape; n ranks sum to n * (n + 1) / 2.
    """
    array = np.asarray(values, dtype=np.float64)
    # All pairs, not a sort: equality within ``TIE`` is no order, and sorted neighbours could chain.
    better = array[..., None, :] > array[..., :, None] + TIE
    return (array.shape[-1] + 1 + better.sum(axis=-1) - better.sum(axis=-2)) / 2


RANK_INTERVAL = (
    "where the rank would lie with endless seeds; two methods whose difference may be chance may have each other's "
    "rank, so few seeds give wide intervals"
)
"""What a table says of its intervals of ranks."""


class RankInterval(NamedTuple):
    """Mean rank with its interval; 1 is best.

    Attributes:
        rank: of the means over all seeds, averaged over the columns.
        low: lower end of the interval.
        high: upper end.
    """

    rank: float
    low: float
    high: float


def rank_intervals(
    columns: Sequence[ArrayLike], weights: Sequence[float], *, level: float = 0.95
) -> list[RankInterval]:
    """Average each method's rank over columns, with an interval for the rank that endless seeds would give.

    In each column a method's best rank is one more than the number of methods that are surely better, and its worst
    rank leaves those below it that are surely worse (Al Mohamad, Goeman & van Zwet 2022, Biometrics: all pairs by
    Tukey's test; here the M - 1 pairs of a method by Bonferroni's, since one method's interval is read at a time). A
    difference is sure by a t-test whose variance is pooled over the methods after each seed's effect on all of them is
    taken out: 3 seeds of 9 methods are 16 degrees of freedom. The ends are averaged over the columns like the ranks.

    ``tests/results/test_rank_coverage.py`` simulates the coverage: 0.94 to 1.00 for 3 to 18 methods, 1 to 6 columns, 2
    to 5 seeds and differences from none to far larger than the noise (n = 400 leaderboards each), lowest where methods
    differ by a hundredth of the noise. All methods were equally noisy there: one with five times the noise of others is
    covered 0.86 to 0.88 of the time. A bootstrap over seeds covers 0.54 to 0.88 at 3 seeds, 0.65 to 0.93 at 5
    (n = 60): few seeds have few draws, and ranks of noisy means are drawn to the middle.

    Args:
        columns: each [M, S] in percent, finite: the same methods, its own seeds. One seed tells nothing: 1 to M.
        weights: of the columns; they sum to 1.
        level: coverage of the interval of one method, in (0, 1).

    Returns:
        One interval per method.
    """
    intervals = np.float64(0)
    for column, share in zip(columns, weights, strict=True):
        values = np.asarray(column, dtype=np.float64)
        means = values.mean(axis=1)
        ahead = means - means[:, None]
        sure = _sure_difference(values, level)
        low, high = 1 + (ahead > sure).sum(axis=1), len(means) - (ahead < -sure).sum(axis=1)
        intervals = intervals + share * np.stack([ranks(means), low, high], axis=1)
    # Rounded, so that sums of the same ranks in another order are equal.
    return [RankInterval(*map(float, entry)) for entry in intervals.round(9)]


def _sure_difference(values: NDArray[np.float64], level: float) -> float:
    """Return the points by which two of the methods [M, S] must differ; infinite for one seed, or one method."""
    methods, seeds = values.shape
    # The residuals of a two-way layout: means of methods and of seeds are taken out.
    freedom = (methods - 1) * (seeds - 1)
    if not freedom:
        return math.inf
    from scipy.special import stdtrit

    residuals = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    # Of a difference of two means over the seeds, hence 2 / S.
    error = math.sqrt(2 / seeds * (residuals**2).sum() / freedom)
    # ``TIE`` at least: with no spread at all, rounding would make every difference sure.
    return max(TIE, error * float(stdtrit(freedom, 1 - (1 - level) / 2 / (methods - 1))))


def jaccard(one: NDArray[np.integer], other: NDArray[np.integer]) -> float:
    """Return the images that two coresets share, as a fraction of those that either has.

    Args:
        one: unique pool positions, at least one.
        other: unique pool positions.

    Returns:
        In [0, 1]; 1 for equal coresets.
    """
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def chance_jaccard(budget: int, size: int) -> float:
    """Return the Jaccard overlap of two coresets drawn uniformly and independently, when they share what is expected.

    Args:
        budget: of both, in 1 to N.
        size: N.

    Returns:
        In [0, 1]; f / (2 - f) where both keep the fraction f.
    """
    shared = budget * budget / size
    return shared / (budget + budget - shared)


def kendall(one: NDArray[np.floating], other: NDArray[np.floating]) -> float | None:
    """Return Kendall's tau-b of two scores of the same images (Kendall 1945), which allows for ties.

    Args:
        one: [N], high = hard.
        other: [N], high = hard.

    Returns:
        In [-1, 1]: 1 for the same order, 0 for none in common; None where a score is constant.
    """
    from scipy.stats import kendalltau

    statistic = float(kendalltau(one, other).statistic)
    return None if math.isnan(statistic) else statistic
