"""Amounts and times as people write and read them."""

from __future__ import annotations

import pytest

from bench.errors import SpecError
from bench.units import about, counted, in_percent, parse_bytes, parse_seconds, show_bytes, show_seconds, some_of

DAY = 86400.0


@pytest.mark.parametrize(
    ("text", "size"), [("10GB", 10**10), ("1.5 kb", 1500), ("7", 7), ("3B", 3), ("2T", 2 * 10**12)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5h", 5400), ("30d", 30 * DAY), ("2min", 120)])
def test_times(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "ten", "10 apples", "1e400", "0", "inf", "nan"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="write it like"):
        parse_seconds(text)
    if text != "0":
        with pytest.raises(SpecError, match="write it like"):
            parse_bytes(text)


def test_amounts_are_short() -> None:
    assert [show_bytes(size) for size in (0, 999, 1500, 99_600, 10**9, 2.5e12)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "100 kB",
        "1.0 GB",
        "2.5 TB",
    ]
    assert [show_seconds(span) for span in (0.2, 59, 61, 7300, 3 * DAY)] == ["0 s", "59 s", "1 min", "2 h", "3 d"]


def test_one_thing_has_no_plural() -> None:
    assert [counted(number, "cell") for number in (0, 1, 2, 1234)] == ["0 cells", "1 cell", "2 cells", "1,234 cells"]


def test_a_long_list_shows_its_first_names() -> None:
    assert [some_of(["a", "b", "c"], most) for most in (3, 2)] == ["a, b, c", "a, b and 1 more"]
    assert some_of(["a"] * 2001, 1) == "a and 2,000 more"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (12, "under a minute"),
        (61, "1 min"),
        (3599, "60 min"),
        (5400, "1.5 h"),
        (40_000, "11 h"),
        (129_600, "1.5 days"),
        (3_456_000, "40 days"),
    ],
)
def test_spans_are_as_exact_as_an_estimate(seconds: float, words: str) -> None:
    assert about(seconds) == words


def test_two_rates_are_never_called_the_same() -> None:
    assert [in_percent(rate) for rate in (0.3, 0.07, 0.29, 0.9, 0.0)] == ["30", "7", "29", "90", "0"]
    # Of ImageNet's images, 1,000 and 1,001 are kept.
    assert [in_percent(rate) for rate in (0.9992195, 0.9992187)] == ["99.92195", "99.92187"]
