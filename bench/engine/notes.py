"""Warnings of a worker, brought to the driver: Ray's workers print nowhere that a user looks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # Once: a warning of every batch would fill the user's screen.
        line = record.getMessage()
        if line not in self.lines:
            self.lines.append(line)


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collect what this package warns of while the block runs, each line once."""
    logger, collector = logging.getLogger("bench"), _Collector()
    logger.addHandler(collector)
    try:
        yield collector.lines
    finally:
        logger.removeHandler(collector)
