"""Generators of the pages in docs/ that are made from the code."""

from bench.errors import SpecError
from bench.registry import STRIPPED


def check_docstrings() -> None:
    """Refuse to generate a page if there are no docstrings.

    Raises:
        SpecError: this Python drops docstrings.
    """
    if STRIPPED:
        raise SpecError("the page is made of docstrings, which -OO and PYTHONOPTIMIZE=2 drop; leave them out.")
