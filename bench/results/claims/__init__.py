"""Checks of the claims of a row, one module per kind of claim."""


class Unchecked(str):
    """A claim that could not be checked, and why; not a problem of the row."""

    __slots__ = ()
