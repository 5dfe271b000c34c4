"""Warnings of a worker, collected for the driver: users do not see the output of Ray's workers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # Only once: a warning for every batch would fill the user's screen.
        line = record.getMessage()
        if line not in self.lines:
            self.lines.append(line)


@contextmanager
def collected() -> Iterator[list[str]]:
    """Yield a list that collects this package's warnings during the block, each line once."""
    logger, collector = logging.getLogger("bench"), _Collector()
    logger.addHandler(collector)
    try:
        yield collector.lines
    finally:
        logger.removeHandler(collector)
