"""``bench check``."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from bench.cli import main

pytestmark = pytest.mark.integration


def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[Any, Any]:
    monkeypatch.setattr(sys, "argv", ["bench", "check", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code, capsys.readouterr()


def test_exit_code_without_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = command(monkeypatch, capsys, "random", "full")
    assert code == 0
    assert "full    skipped  ties: keeps everything" in said.out.splitlines()
    assert "2 methods: " in said.out


def test_unknown_method_is_bad_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = command(monkeypatch, capsys, "randm")
    assert code == 2
    assert "unknown method 'randm'. Did you mean random" in said.err
