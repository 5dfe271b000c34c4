from __future__ import annotations

import time

import pytest

from benchmarks._common import Meter, Result, Target, Times, own_peak, peak_memory, slope, table, timed, write_section

pytestmark = pytest.mark.integration


def hold(megabytes: int) -> None:
    """Fill that much memory and let it go."""
    del (bytearray(b"x" * 1_000_000) * megabytes)[:]


def fail() -> None:
    raise ValueError("no such thing")


def test_functions_are_timed_in_turns_after_a_warm_up() -> None:
    calls: list[str] = []
    first, second = Meter().compare(lambda: calls.append("a"), lambda: calls.append("b"), repeats=3)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"
    assert first.count == second.count == 3


def test_the_callers_repetitions_come_before_the_benchmarks() -> None:
    (times,) = Meter(repeats=2).compare(lambda: None, repeats=9, warm_up=False)
    assert times.count == 2


def test_each_function_gets_its_own_times() -> None:
    def work() -> None:
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass

    # By the processor's clock, which other processes do not move.
    slow, fast = Meter(clock="cpu").compare(work, lambda: None, repeats=2)
    assert slow.best >= 0.02 > fast.best


def test_sleeping_costs_wall_clock_and_no_processor() -> None:
    (wall,), (cpu,) = (Meter(clock=clock).compare(lambda: time.sleep(0.05)) for clock in ("wall", "cpu"))
    assert wall.best >= 0.05 > 5 * cpu.best


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target("ours", "at most", 2), True),
        (Target("ours", "at most", 1.9), False),
        (Target("ours / other", "at most", 0.5), True),
        (Target("ours / other", "at most", 0.4), False),
        (Target("other / ours", "at least", 2), True),
        (Target("other / ours", "at least", 2.1), False),
    ],
)
def test_a_target_says_whether_it_is_met(target: Target, met: bool) -> None:
    assert Result("x", 2.0, "s", 3, other=4.0, target=target).met is met


def test_a_result_without_target_is_neither() -> None:
    assert Result("x", 2.0, "s", 3).met is None


def test_a_ratio_target_needs_an_alternative() -> None:
    with pytest.raises(ValueError, match="no alternative"):
        _ = Result("x", 2.0, "s", 3, target=Target("ours / other", "at most", 1)).met


def test_times_become_minima_and_the_quartiles_of_their_ratios() -> None:
    ours, other = Times((1.0, 2.0)), Times((4.0, 4.0))
    plain = timed("x", ours, other)
    assert (plain.ours, plain.other, plain.n, plain.spread) == (1.0, 4.0, 2, (0.3125, 0.4375))
    assert timed("x", ours, other, target=Target("other / ours", "at least", 1)).spread == (2.5, 3.5)


def test_the_table_shows_figures_ratio_target_and_a_miss() -> None:
    lines = table(
        [
            Result("fast", 1234.5, "images/s", 3),
            Result("slow", 2.0, "s", 5, 1.0, "bare", Target("ours / other", "at most", 1.5), spread=(1.9, 2.1)),
        ]
    ).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["measured", "ours", "alternative", "ratio (middle half)", "target", "met", "n"]
    assert cells[2] == ["fast", "1,234 images/s", "", "", "", "", "3"]
    assert cells[3] == [
        "slow",
        "2 s",
        "1 s: bare",
        "ours / other = 2 (1.9 to 2.1)",
        "ours / other at most 1.5",
        "**no**",
        "5",
    ]
    assert len({len(line) for line in lines}) == 1


def test_a_section_is_appended_and_then_replaced() -> None:
    def section(name: str, text: str) -> str:
        return f"<!-- begin {name} -->\n{text}\n<!-- end {name} -->"

    page = "# Speed\n"
    for name, text in (("one", "old"), ("two", "kept"), ("one", r"new \1")):
        page = write_section(section(name, text), name, page)
    sections = [section("one", r"new \1"), section("two", "kept")]
    assert page == "# Speed\n\n" + "\n\n".join(sections) + "\n"


def test_peak_memory_is_that_of_the_function_alone() -> None:
    own = hold_and_read(600)
    assert own > 0.6
    small, large = (peak_memory(hold, megabytes=count) for count in (1, 300))
    assert 0.29 < large - small < 0.4
    assert large < own


def hold_and_read(megabytes: int) -> float:
    hold(megabytes)
    return own_peak() / 1e9


def test_a_failure_in_the_other_process_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)fail failed in its own process: .*no such thing"):
        peak_memory(fail)


def test_the_slope_of_a_power_law_is_its_exponent() -> None:
    assert slope([1, 10, 100], [3 * n**1.5 for n in (1, 10, 100)]) == pytest.approx(1.5)
