"""Which checks say anything about a method."""

from __future__ import annotations

import pytest

from bench.conformance.applies import why_not
from bench.conformance.checks import CHECKS
from bench.plugins import methods


@pytest.mark.parametrize(
    ("check", "method", "reason"),
    [
        ("labels", "aum", "declares that it reads labels"),
        ("labels", "elfs", ""),
        ("coreset-labels", "badge", ""),
        ("coreset-labels", "aum", "does not declare supervision='coreset'"),
        ("supervision", "random", "declares the least supervision"),
        ("parameters", "random", "has no parameters"),
        ("parameters", "ccs", ""),
        ("nan-embeddings", "kcenter", ""),
        ("nan-embeddings", "aum", "reads no embeddings"),
        ("nan-scores", "aum", ""),
        ("nan-scores", "kcenter", "reads no scores"),
        ("ties", "full", "keeps everything"),
        ("ties", "random", ""),
    ],
)
def test_by_what_a_method_declares(check: str, method: str, reason: str) -> None:
    assert why_not(check, methods.get(method)) == reason


def test_no_check_is_left_out_without_a_rule_for_it() -> None:
    assert why_not("budget", methods.get("random")) == ""
    ruled = {"labels", "coreset-labels", "supervision", "parameters", "nan-embeddings", "nan-scores", "ties"}
    assert ruled <= {check.name for check in CHECKS}, "a rule names a check that exists"
