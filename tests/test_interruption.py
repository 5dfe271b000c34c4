"""Signals that end a command as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from bench.interruption import count_as_ctrl_c


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    # A test before this one may have left Ray Tune's handler of SIGINT, which interrupts nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_what_ctrl_c_would_be(number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    count_as_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_the_handler_of_ctrl_c_at_the_time_is_called() -> None:
    heard: list[int] = []
    count_as_ctrl_c()
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGINT]


def test_where_ctrl_c_is_ignored_the_signal_still_interrupts() -> None:
    count_as_ctrl_c()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_what_the_caller_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    count_as_ctrl_c()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
