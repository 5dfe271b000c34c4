"""``python -m bench``."""

from __future__ import annotations

import pytest

from tests.cli.commands import python

pytestmark = pytest.mark.integration


def test_the_module_is_the_command() -> None:
    assert "Usage: " in python(
        "import sys, runpy; sys.argv = ['bench', '-h']\nrunpy.run_module('bench', run_name='__main__')"
    )
