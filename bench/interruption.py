"""Signals that end a command as Ctrl-C does. Imports nothing that takes time."""

from __future__ import annotations

import signal
from types import FrameType

INTERRUPTED = 130
"""Exit code of an interrupted command."""


def count_as_ctrl_c() -> None:
    """Let SIGTERM, which batch systems send before they kill, and SIGHUP of a closed terminal count as Ctrl-C.

    What the caller made this process ignore, such as SIGHUP under ``nohup``, stays ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Do what SIGINT would do now: while Ray Tune runs trials, it has a handler of its own.

    A script that starts a command in the background makes it ignore SIGINT, but not this.

    Raises:
        KeyboardInterrupt: SIGINT has no handler of another kind.
    """
    # SIGINT's handler where it can be called; SIG_IGN and SIG_DFL are numbers.
    handler = signal.getsignal(signal.SIGINT)
    (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)
