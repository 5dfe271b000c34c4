"""Import of packages from outside: whatever one does to this process meanwhile, the process goes on as it was."""

from __future__ import annotations

import decimal
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from types import FrameType

from bench.errors import BenchError, TimeLimit


def import_outside(load: Callable[[], object]) -> str | None:
    """Import code from outside and return why it cannot be used, in one line, or None.

    Whatever the code raises counts as its failure, ``SystemExit`` and its own ``KeyboardInterrupt`` too. The user's
    Ctrl-C is told apart by the signal, and is raised even where the code catches it. What the code prints goes to
    standard error; the settings of ``settings_kept`` are put back. Code that ends the process itself (``os._exit``, a
    crash) cannot be held.

    Args:
        load: imports the code.

    Raises:
        KeyboardInterrupt: the user pressed Ctrl-C.
        TimeLimit: the stage or cell that needs the code is out of time.
    """
    reason = None
    streams = redirect_stdout(sys.stderr), redirect_stderr(sys.stderr)  # the latter to put it back
    with settings_kept(), streams[0], streams[1], _presses_of_ctrl_c() as presses:
        try:
            load()
        # Ours, raised by a signal while the code ran: the code is not to blame.
        except TimeLimit:
            raise
        except BaseException as error:
            reason = reason_of(error)
    # Asked after the block: code that catches KeyboardInterrupt must not take Ctrl-C from the user.
    if presses:
        raise KeyboardInterrupt
    return reason


@contextmanager
def _presses_of_ctrl_c() -> Iterator[list[int]]:
    """Yield a list that fills as SIGINT arrives.

    Python handles signals in the main thread alone, so that in another one ``KeyboardInterrupt`` is the code's own.
    Where SIGINT is ignored or kills, nobody can press Ctrl-C and live to see it.
    """
    presses: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield presses
        return

    def note(number: int, frame: FrameType | None) -> None:
        presses.append(number)
        # And what would have happened: the note is beside it, not in its place.
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield presses
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def settings_kept() -> Iterator[None]:
    """Put back what scripts set for a whole process, and what packages and methods set by mistake.

    Kept are the working directory, handlers of signals, the set-up of logging, filters of warnings, numpy's treatment
    of floating-point errors and the precision of decimal numbers; ``prepare_torch`` sets what torch has of the kind.
    Environment variables may be meant, and a function of another package that is replaced stays replaced.
    """
    import numpy as np

    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(decimal.localcontext())
        stack.enter_context(np.errstate())
        stack.enter_context(_working_directory_kept())
        stack.enter_context(_signals_kept())
        stack.enter_context(_logging_kept())
        yield


@contextmanager
def _working_directory_kept() -> Iterator[None]:
    with suppress(OSError):  # the folder may be gone, before or afterwards
        before = Path.cwd()
    try:
        yield
    finally:
        with suppress(OSError, NameError):
            os.chdir(before)


@contextmanager
def _signals_kept() -> Iterator[None]:
    # All of them, since a package may take any.
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                if handler is not None and signal.getsignal(number) != handler:
                    signal.signal(number, handler)


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Put back the set-up of logging.

    ``dictConfig`` silences all loggers that it does not name, and with them what is said of broken plugins.
    """
    root = logging.getLogger()
    level, handlers, disabled = root.level, list(root.handlers), root.manager.disable
    try:
        yield
    finally:
        root.setLevel(level)
        # In place: other code may hold the very list.
        root.handlers[:] = handlers
        logging.disable(disabled)
        for name, logger in root.manager.loggerDict.items():
            if isinstance(logger, logging.Logger) and name.partition(".")[0] == "bench":
                logger.disabled = False


def reason_of(error: BaseException) -> str:
    """Return one line that says what was raised and where."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # an exception may fail to say what it is
        text = ""
    if isinstance(error, BenchError):
        return text.removesuffix(".")
    if isinstance(error, SystemExit):
        said = f"it calls sys.exit({text})"
    else:
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    # The user looks for the line in the plugin, not for ours or importlib's on the way there.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    inside = [frame for frame in frames if "importlib" not in frame.filename]
    return f"{said} ({inside[-1].filename}, line {inside[-1].lineno})" if inside else said
