"""The names of tests in ``conftest.py`` are those of tests, or a renamed one would be in another tier unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def test_every_name_is_the_beginning_of_a_tests(pytestconfig: pytest.Config) -> None:
    conftest = pytestconfig.pluginmanager.get_plugin(str(TESTS / "conftest.py"))
    assert conftest is not None
    for name in (*conftest.INTEGRATION, *conftest.LONG):
        path, _, test = name.partition("::")
        texts = [file.read_text() for file in TESTS.glob(f"{path}*") if file.is_file()]
        assert any(test.partition("[")[0] in text for text in texts), f"no test is called {name}"
