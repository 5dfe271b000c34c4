"""Signals that end a command as Ctrl-C does. This module imports nothing that takes time."""

from __future__ import annotations

import signal
from types import FrameType

INTERRUPTED = 130
"""Exit code of an interrupted command."""


def count_as_ctrl_c() -> None:
    """Make SIGTERM, which batch systems send first, and SIGHUP, from a closed terminal, act as Ctrl-C.

    Signals that the caller made this process ignore, such as SIGHUP under ``nohup``, stay ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Call the current handler of SIGINT, which may be Ray Tune's while it runs trials.

    A command that a script starts in the background ignores SIGINT, but not this signal.

    Raises:
        KeyboardInterrupt: SIGINT has its default handler.
    """
    # SIG_IGN and SIG_DFL are numbers, which cannot be called.
    handler = signal.getsignal(signal.SIGINT)
    (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)
