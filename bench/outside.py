"""Import of outside packages, without lasting effects on this process."""

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
    """Import outside code; return the reason in one line if it cannot be used, and None if it can.

    Any exception counts as a failure of the code, including ``SystemExit`` and its own ``KeyboardInterrupt``. The
    user's Ctrl-C is recognised by its signal, and is raised even if the code catches it. The code's output goes to
    standard error, and ``settings_kept`` restores the settings. Nothing stops code that ends the process itself
    (``os._exit``, a crash).

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
        # The harness's own, raised by a signal while the code ran: the code is not to blame.
        except TimeLimit:
            raise
        except BaseException as error:
            reason = reason_of(error)
    # Checked after the block: code that catches KeyboardInterrupt must not take Ctrl-C from the user.
    if presses:
        raise KeyboardInterrupt
    return reason


@contextmanager
def _presses_of_ctrl_c() -> Iterator[list[int]]:
    """Yield a list that gets an entry for each SIGINT.

    It stays empty in other threads than the main one, where Python handles no signals, so that ``KeyboardInterrupt``
    is the code's own; and where SIGINT is ignored or kills the process.
    """
    presses: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield presses
        return

    def note(number: int, frame: FrameType | None) -> None:
        presses.append(number)
        before(number, frame)  # the former handler still acts

    signal.signal(signal.SIGINT, note)
    try:
        yield presses
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def settings_kept() -> Iterator[None]:
    """Restore, after the block, settings of the process that code inside it may change by mistake.

    These are the working directory, signal handlers, the set-up of logging, warning filters, numpy's treatment of
    floating-point errors and the precision of decimal numbers; ``prepare_torch`` sets those of torch. Environment
    variables are not restored, since they may be meant, and neither are patched functions of other packages.
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
    # All signals, since a package may handle any.
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
    """Restore the set-up of logging after the block.

    ``dictConfig`` silences all loggers that it does not name, and with them the warnings about broken plugins.
    """
    root = logging.getLogger()
    level, handlers, disabled = root.level, list(root.handlers), root.manager.disable
    try:
        yield
    finally:
        root.setLevel(level)
        # In place, since other code may hold this list.
        root.handlers[:] = handlers
        logging.disable(disabled)
        for name, logger in root.manager.loggerDict.items():
            if isinstance(logger, logging.Logger) and name.partition(".")[0] == "bench":
                logger.disabled = False


def reason_of(error: BaseException) -> str:
    """Return one line that says what was raised and where."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # the text of an exception may fail too
        text = ""
    if isinstance(error, BenchError):
        return text.removesuffix(".")
    if isinstance(error, SystemExit):
        reason = f"it calls sys.exit({text})"
    else:
        reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    # The user needs the line in the plugin, not those of this module or importlib on the way there.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    inside = [frame for frame in frames if "importlib" not in frame.filename]
    return f"{reason} ({inside[-1].filename}, line {inside[-1].lineno})" if inside else reason
