"""Weights of a library's network in a file, an encoder that reads them, and pictures as the library takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from bench import FrozenEncoder
from bench.grammar import parse_call
from bench.plugins import encoders


def saved(module: nn.Module, folder: Path) -> Path:
    file = folder / "model.safetensors"
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, file)
    return file


def build(text: str, file: Path) -> FrozenEncoder:
    call = parse_call(text)
    entry = encoders.get(call.name)
    return entry.function(file, **entry.resolve(call.params))


def as_pillow(pictures: NDArray[np.uint8]) -> list[Image.Image]:
    return [Image.fromarray(picture.transpose(1, 2, 0)) for picture in pictures]
