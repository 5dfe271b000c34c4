"""``bench`` and ``python -m bench``: the command line as a process, from its first signal to its exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from bench.interruption import INTERRUPTED, count_as_ctrl_c


def main() -> None:
    """Run the command line; a signal ends it with code 130 and one line, even while it is still being imported."""
    try:
        count_as_ctrl_c()
        from bench.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        _leave(INTERRUPTED)
    except SystemExit as end:
        _leave(end.code)


def _leave(code: object) -> None:
    """Exit; after an interrupt, or where Ray could not start, do not wait for threads, since Ray's may never end."""
    # After an interrupt even without Ray: if it hit code that ``exec`` ran, as dataclasses do at import, Python would
    # end the process by SIGINT instead of the exit code, though the exception was caught.
    if code != INTERRUPTED and (code != 2 or "ray" not in sys.modules):
        sys.exit(code)  # type: ignore[arg-type]
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a closed pipe or terminal
            stream.flush()
    os._exit(int(str(code)))


if __name__ == "__main__":
    main()
