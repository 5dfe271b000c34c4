"""Pages of docs/ that are generated from the code."""

from bench.errors import SpecError
from bench.registry import STRIPPED


def check_docstrings() -> None:
    """Refuse to make a page where there are no docstrings to make it of.

    Raises:
        SpecError: this Python drops docstrings.
    """
    if STRIPPED:
        raise SpecError("the page is made of docstrings, which -OO and PYTHONOPTIMIZE=2 drop; leave them out.")
