"""Weights from which a network is fine-tuned: ``timm(name=resnet50, pretrained=FILE)``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from bench.addresses import local_path
from bench.errors import SpecError, WeightsError
from bench.weights.locations import file_sha256

if TYPE_CHECKING:
    from torch import Tensor, nn

BodyRate = Annotated[float, Field(ge=0, le=1)]
"""Learning rate of all layers but the last, as a factor of the recipe's."""
_CHARACTERS = 16
"""Digits of a SHA-256 in names of networks: 64 bits identify files, unless somebody makes them collide."""
_TRIED = 12
"""Architectures with similar names that a file is compared with if it does not fit; each takes up to a second."""


def identified(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a network with the digest of its initial weights, if it has any.

    Args:
        params: changed parameters.

    Raises:
        SpecError: there are options of fine-tuning, but no weights.
        WeightsError: the file is missing, or has another digest than ``sha256``.
    """
    if not params.get("pretrained"):
        for name in ("body_lr", "sha256"):
            if name in params:
                raise SpecError(f"{name}={params[name]} goes with pretrained=FILE, which was not given.")
        return dict(params)
    return {**params, "sha256": checked_digest(str(params["pretrained"]), str(params.get("sha256", "")))}


def checked_digest(pretrained: str, expected: str) -> str:
    """Return the first digits of the file's SHA-256.

    Args:
        pretrained: the file.
        expected: the expected digits; empty for any file.

    Raises:
        WeightsError: the file is missing, or its digest differs.
    """
    path = local_path(pretrained)
    try:
        if not path.is_file():
            raise WeightsError(
                f"pretrained={pretrained} is {'a folder' if path.is_dir() else 'missing'}; give a file of plain "
                "tensors, .safetensors, .pt or .pth. Nothing is downloaded for a network that is trained."
            )
        stat = path.stat()
    except OSError as error:
        raise WeightsError(f"pretrained={pretrained}: cannot look for it: {error.strerror or error}.") from error
    digest = _digest(path.resolve(), stat.st_mtime_ns, stat.st_size)
    if expected not in ("", digest):
        raise WeightsError(f"{path} is not the file with sha256={expected}... that was asked for, but {digest}...")
    return digest


@lru_cache(64)
def _digest(path: Path, changed: int, size: int) -> str:
    # ``changed`` and ``size`` are for the cache: a file that was replaced is read again.
    return file_sha256(path)[:_CHARACTERS]


def nearest_fit(
    state: Mapping[str, Tensor],
    name: str,
    names: Iterable[str],
    build: Callable[[str], tuple[nn.Module, tuple[str, ...]]],
) -> str:
    """Return a hint on which network with a similar name a file fits; empty if none does.

    Args:
        state: tensors of the file.
        name: the user's name.
        names: names of the library.
        build: name -> network, and prefixes of its classifier's parameters.
    """
    # Below difflib's 0.6, since the name only selects candidates, and shapes decide.
    for near in difflib.get_close_matches(name, sorted(set(names) - {name}), n=_TRIED, cutoff=0.3):
        network, head = build(near)
        shapes = {key: value.shape for key, value in network.state_dict().items() if not key.startswith(head)}
        if shapes and all(key in state and state[key].shape == shape for key, shape in shapes.items()):
            return f" It fits {near}."
    return ""
