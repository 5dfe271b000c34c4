"""Warnings of a worker, brought to the driver."""

from __future__ import annotations

import logging

from bench.engine.notes import collected


def test_warnings_of_this_package_are_collected_once_each() -> None:
    with collected() as lines:
        logging.getLogger("bench.stages").warning("the %s is damaged", "artifact")
        logging.getLogger("bench.stages").warning("the %s is damaged", "artifact")
        logging.getLogger("bench").error("worse")
        logging.getLogger("bench").info("not told")
        logging.getLogger("another").warning("of somebody else")
    assert lines == ["the artifact is damaged", "worse"]
    logging.getLogger("bench").warning("later")
    assert len(lines) == 2


def test_blocks_do_not_hear_each_other() -> None:
    with collected() as outer:
        with collected() as inner:
            logging.getLogger("bench").warning("inside")
        logging.getLogger("bench").warning("outside")
    assert (inner, outer) == (["inside"], ["inside", "outside"])
