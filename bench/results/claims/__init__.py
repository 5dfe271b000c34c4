"""What a row claims, checked one kind of claim at a time; nothing that it says is taken for granted."""


class Unchecked(str):
    """A claim that could not be checked, and why: no problem, but no praise either."""

    __slots__ = ()
