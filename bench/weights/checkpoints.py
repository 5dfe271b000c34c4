"""Reading weights files without running code, and loading them into a network completely or not at all.

Imports torch: import this module inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import WeightsError

State = dict[str, Tensor]
# A DINO training checkpoint holds student and teacher; the papers evaluate the teacher.
_WRAPPERS = ("teacher", "state_dict", "model_state_dict", "model", "student")
_PREFIXES = ("module.", "_orig_mod.", "backbone.", "encoder.", "model.")
_SHOWN = 4
"""Names that an error shows of a long list."""


def read_state(path: Path, wanted: Collection[str] = ()) -> State:
    """Read a state dict from a ``.safetensors`` file, or from any other with ``torch.load(weights_only=True)``.

    Wrappers (``state_dict``, ``teacher``, ...) are opened, prefixes that training wrappers put before every name
    (``module.``, ``backbone.``, ...) are removed, and half-precision values become float32.

    Args:
        path: the file.
        wanted: names that keep their prefixes, as those of a network that has a part called ``backbone``.

    Raises:
        WeightsError: the file is unreadable, or holds anything but named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            # weights_only: an unpickled checkpoint could run any code.
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile, pickle, safetensors and the system each raise their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        # torch's own words are an advice to switch the protection off.
        if isinstance(error, UnpicklingError):
            reason = "it is damaged, or holds other than tensors"
        hint = "only files of plain tensors are read (a state dict as .safetensors or .pth), never code"
        raise WeightsError(f"cannot read the weights file {path}: {reason} ({hint}).") from error
    # A loop, as wrappers lie in each other: {'state_dict': {'teacher': ...}}.
    while isinstance(content, dict) and (inner := [k for k in _WRAPPERS if isinstance(content.get(k), dict)]):
        content = content[inner[0]]
    if not isinstance(content, dict) or not content:
        raise WeightsError(f"the weights file {path} holds no state dict but {type(content).__name__}.")
    wrong = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if wrong:
        raise WeightsError(f"the weights file {path} holds no state dict: {_some(wrong)} are not tensors.")
    return {
        _bare(str(name), wanted): value.float() if value.is_floating_point() else value
        for name, value in content.items()
    }


def load_weights(
    module: nn.Module,
    path: Path | None,
    *,
    owner: str,
    kind: str = "encoder",
    ignore: Sequence[str] = (),
    convert: Callable[[State], State] = dict,
    fresh: Sequence[str] = (),
) -> nn.Module:
    """Fill ``module`` from a weights file, every parameter of it.

    Args:
        module: the network, without its classifier.
        path: weights file; None is an error, because an encoder never works on random weights.
        owner: name of the encoder or model, for messages.
        kind: which of the two it is.
        ignore: what the network has no place for on purpose (its classifier): names in the file, and beginnings of
            names, which end with a dot.
        convert: renames another project's parameters; gets names without prefixes.
        fresh: beginnings of names that keep their first values where the file does not have them all in their shapes:
            the classifier of a network that is trained for other classes.

    Returns:
        ``module`` itself.

    Raises:
        WeightsError: the file is unreadable, or parameters are missing, unexpected or of another shape. BatchNorm's
            ``num_batches_tracked`` may be missing: inference does not read it.
    """
    if path is None:
        raise WeightsError(f"{kind} {owner!r} needs a weights file; see bench.weights.locations.locate_weights.")
    wanted = module.state_dict()
    state = {name: value for name, value in convert(read_state(path, wanted)).items() if not _ignored(name, ignore)}
    replaced = [name for name in wanted if name.startswith(tuple(fresh))]
    if any(name not in state or state[name].shape != wanted[name].shape for name in replaced):
        state = {name: value for name, value in state.items() if not name.startswith(tuple(fresh))}
        wanted = {name: value for name, value in wanted.items() if name not in replaced}
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in wanted]
    misshaped = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshaped}
    if any(faults.values()):
        mismatches = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in faults.items() if names)
        raise WeightsError(f"the weights file {path} does not fit {kind} {owner!r}: {mismatches}.")
    # Not strict only for ``num_batches_tracked``: all else was compared above, with better words.
    module.load_state_dict(state, strict=False)
    return module


def _bare(name: str, wanted: Collection[str]) -> str:
    # One prefix after the other, as long as the name is not one of the network's own.
    while name not in wanted and (prefix := next((p for p in _PREFIXES if name.startswith(p)), "")):
        name = name[len(prefix) :]
    return name


def _ignored(name: str, ignore: Sequence[str]) -> bool:
    return name in ignore or name.startswith(tuple(item for item in ignore if item.endswith(".")))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
