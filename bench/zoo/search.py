"""Searching the names of installed libraries, without network access."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import NamedTuple

from bench.errors import install_command
from bench.grammar import Call


class Match(NamedTuple):
    """A ``call`` as the user types it, and for an encoder what it was ``trained_with``, if its name tells."""

    call: str
    trained_with: str = ""


def encoders_like(text: str) -> Iterator[Match]:
    """Yield encoders of other libraries whose name or tag contains a text, ignoring case."""
    if find_spec("timm"):
        from bench.zoo import with_timm

        for name in sorted(with_timm.names()):
            if _inside(text, name):
                trained_with = with_timm.trained_with(name) or "say supervision=..."
                yield Match(str(Call("timm", {"name": name})), trained_with)
    if find_spec("open_clip"):
        from bench.zoo import with_open_clip

        for name, tags in sorted(with_open_clip.names().items()):
            for tag in tags:
                if _inside(text, f"{name} {tag}"):
                    yield Match(str(Call("open_clip", {"name": name, "pretrained": tag})), "language")
    yield from (Match(match.call, "labels") for match in _of_torchvision(text))


def models_like(text: str) -> Iterator[Match]:
    """Yield models of other libraries whose name contains a text, ignoring case."""
    if find_spec("timm"):
        from bench.zoo import with_timm

        # A tag names weights, which training from scratch does not read.
        for name in sorted(name for name in with_timm.names() if "." not in name):
            if _inside(text, name):
                yield Match(str(Call("timm", {"name": name})))
    yield from _of_torchvision(text)


def datasets_like(text: str) -> Iterator[Match]:
    """Yield data sets of other libraries whose name contains a text, ignoring case."""
    from bench.datasets.with_torchvision import SETS

    yield from (Match(str(Call("torchvision", {"name": name}))) for name in SETS if _inside(text, name))


def not_installed() -> list[str]:
    """Return the libraries that are not installed, each with the command that installs it."""
    extras = {"timm": "vit", "open_clip": "openclip"}
    return [f"{module}: {install_command(extra)}" for module, extra in extras.items() if not find_spec(module)]


def _of_torchvision(text: str) -> Iterator[Match]:
    from bench.zoo import with_torchvision

    for name in sorted(with_torchvision.names()):
        if _inside(text, name):
            yield Match(str(Call("torchvision", {"name": name})))


def _inside(text: str, name: str) -> bool:
    return text.lower() in name.lower()
