"""Reading weights files without running code, and loading all of a network's weights or none.

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
from bench.units import some_of

State = dict[str, Tensor]
# A DINO training checkpoint has student and teacher; the papers evaluate the teacher.
_WRAPPERS = ("teacher", "state_dict", "model_state_dict", "model", "student")
_PREFIXES = ("module.", "_orig_mod.", "backbone.", "encoder.", "model.")
_SHOWN = 4
"""Most names that an error shows."""


def read_state(path: Path, network_names: Collection[str] = ()) -> State:
    """Return the state dict of a ``.safetensors`` file, or of another file with ``torch.load(weights_only=True)``.

    Wrappers (``state_dict``, ``teacher``, ...) are opened, prefixes of training wrappers (``module.``, ``backbone.``,
    ...) are removed from names, and half-precision values become float32.

    Args:
        path: the file.
        network_names: names that keep their prefixes, since the network has a part with such a name.

    Raises:
        WeightsError: the file is unreadable, or contains anything but named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            # weights_only: unpickling a checkpoint could run any code.
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile, pickle, safetensors and the system raise their own errors
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        # torch's message advises to switch the protection off.
        if isinstance(error, UnpicklingError):
            reason = "it is damaged, or holds other than tensors"
        hint = "only files of plain tensors are read (a state dict as .safetensors or .pth), never code"
        raise WeightsError(f"cannot read the weights file {path}: {reason} ({hint}).") from error
    # A loop, since wrappers are nested: {'state_dict': {'teacher': ...}}.
    while isinstance(content, dict) and (inner := [k for k in _WRAPPERS if isinstance(content.get(k), dict)]):
        content = content[inner[0]]
    if not isinstance(content, dict) or not content:
        raise WeightsError(f"the weights file {path} holds no state dict but {type(content).__name__}.")
    wrong = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if wrong:
        raise WeightsError(f"the weights file {path} holds no state dict: {some_of(wrong, _SHOWN)} are not tensors.")
    return {
        _bare(str(name), network_names): value.float() if value.is_floating_point() else value
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
    """Load every parameter of ``module`` from a weights file.

    Args:
        module: the network, without its classifier.
        path: weights file; None is an error, since an encoder must not have random weights.
        owner: name of the encoder or model, for messages.
        kind: ``encoder`` or ``model``.
        ignore: names in the file, or prefixes that end with a dot, which the network does not have on purpose, such as
            its classifier.
        convert: renames another project's parameters, whose prefixes are already removed.
        fresh: prefixes of parameters that keep their initial values unless the file has all of them in the right
            shapes: the classifier of a network that is trained for other classes.

    Returns:
        ``module`` itself.

    Raises:
        WeightsError: the file is unreadable, or parameters are missing, unexpected or of another shape. BatchNorm's
            ``num_batches_tracked`` may be missing: inference does not read it.
    """
    if path is None:
        raise WeightsError(f"{kind} {owner!r} needs a weights file; see bench.weights.locations.locate_weights.")
    expected = module.state_dict()
    state = {name: value for name, value in convert(read_state(path, expected)).items() if not _ignored(name, ignore)}
    replaced = [name for name in expected if name.startswith(tuple(fresh))]
    if any(name not in state or state[name].shape != expected[name].shape for name in replaced):
        state = {name: value for name, value in state.items() if not name.startswith(tuple(fresh))}
        expected = {name: value for name, value in expected.items() if name not in replaced}
    missing = [name for name in expected if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in expected]
    misshaped = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in state and state[name].shape != expected[name].shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshaped}
    if any(faults.values()):
        mismatches = "; ".join(
            f"{len(names)} {what}: {some_of(names, _SHOWN)}" for what, names in faults.items() if names
        )
        raise WeightsError(f"the weights file {path} does not fit {kind} {owner!r}: {mismatches}.")
    # Not strict, only for ``num_batches_tracked``: everything else was compared above, with better messages.
    module.load_state_dict(state, strict=False)
    return module


def _bare(name: str, network_names: Collection[str]) -> str:
    # Removes one prefix after the other, until the name is the network's.
    while name not in network_names and (prefix := next((p for p in _PREFIXES if name.startswith(p)), "")):
        name = name[len(prefix) :]
    return name


def _ignored(name: str, ignore: Sequence[str]) -> bool:
    return name in ignore or name.startswith(tuple(item for item in ignore if item.endswith(".")))
