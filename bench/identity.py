"""Hashable references to data sets, encoders and networks: all that changes a result, and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from typing_extensions import Self

from bench.grammar import Call, Modifiers
from bench.recipe import Recipe

NO_ENCODER = NO_PROXY = "-"
"""Placeholder in a row for an encoder and its supervision, or for a proxy, that it does not have."""
INDICES = "indices"
"""Method of a row whose coreset comes from a file, ``indices(of=FILE)``. No plugin has this name."""
_MOST_OF_A_NAME = 60
"""Characters of a file's name that a cell's name repeats: most file systems take names of 255 bytes."""


class Frozen(BaseModel):
    """A model that is immutable, refuses unknown fields and hashes by its content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __hash__(self) -> int:
        # pydantic's own hash refuses the fields that are dicts.
        return hash(self.digest())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return pydantic's copy without the cached properties, which were derived from the former fields."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied

    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON."""
        # Sorted and without spaces: stored keys must not change with the order of fields or the version of json.
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


_LATER = ("modifiers", "clean_fingerprint", "pool_seed")
"""Fields of a data set that are part of its digest only if they are not empty."""


class DatasetRef(Frozen):
    """A data set with everything that identifies its pool.

    Attributes:
        name: registered name.
        version: the reader's declared version.
        params: parameters that differ from their defaults.
        modifiers: modifiers such as label noise, see ``bench.modifiers``; applied before the pool is drawn.
        pool_size: size of the drawn pool, or None for the whole training split.
        pool_seed: seed of the pool's draw.
        fingerprint: SHA-256 of the content; for images in files, of their names and sizes.
        clean_fingerprint: fingerprint of the same images with their own labels; empty if no label was replaced.
        num_classes: C.
        size: N, images in the pool.
    """

    name: str
    version: int = 1
    params: dict[str, Any] = {}
    modifiers: dict[str, int | float | str] = {}
    pool_size: int | None = None
    pool_seed: int = 0
    fingerprint: str = ""
    clean_fingerprint: str = ""
    num_classes: int = 0
    size: int = 0

    @property
    def label(self) -> str:
        """The name with changed parameters and modifiers, as tables show it."""
        drawn = {} if self.pool_size is None else {"pool_size": self.pool_size}
        drawn |= {"pool_seed": self.pool_seed} if self.pool_seed else {}
        return str(Call(self.name, {**self.params, **drawn}, self.modifiers))

    def without_noise(self) -> DatasetRef:
        """Return the same images with their own labels, which is what a stage that reads no label depends on."""
        if not self.clean_fingerprint:
            return self
        clean = {"modifiers": clean_modifiers(self.modifiers), "fingerprint": self.clean_fingerprint}
        return self.model_copy(update={**clean, "clean_fingerprint": ""})

    @model_serializer(mode="wrap")
    def _plain_without_later(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return the fields without empty ones of ``_LATER``, so that digests from before these fields still hold."""
        fields: dict[str, Any] = serialize(self)
        return {key: value for key, value in fields.items() if value or key not in _LATER}


class EncoderRef(Frozen):
    """An encoder: name, declared version, changed parameters, and the SHA-256 of its weights, if it has any."""

    name: str
    version: int = 1
    params: dict[str, Any] = {}
    weights_sha256: str = ""

    @property
    def label(self) -> str:
        """The name with changed parameters, as tables show it."""
        return str(Call(self.name, self.params))


class ModelRef(Frozen):
    """A network: registered name, declared version, and parameters that differ from their defaults."""

    name: str
    version: int = 1
    params: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """The name with changed parameters, as tables show it."""
        return str(Call(self.name, self.params))


class Proxy(Frozen):
    """A proxy: the network whose training dynamics and outputs a method reads, and how that network is trained."""

    model: ModelRef
    recipe: Recipe
    encoder: EncoderRef | None = None


def clean_modifiers(modifiers: Modifiers) -> dict[str, int | float | str]:
    """Return the modifiers that replace no label, without a seed that would then draw nothing."""
    clean = {name: value for name, value in modifiers.items() if name not in ("noise", "labels")}
    # Noisy versions with different seeds have the same images, and share every stage that reads no label.
    return without_idle_seed(clean)


def without_idle_seed(modifiers: Modifiers) -> dict[str, int | float | str]:
    """Return the modifiers without a seed that draws nothing."""
    drawn = "imbalance" in modifiers or "noise" in modifiers
    return {name: value for name, value in modifiers.items() if drawn or name != "seed"}


def version_name(dataset: str, modifiers: Modifiers) -> str:
    """Return name and modifiers for a cell's file name; of a path only the file's name, since paths can be too long."""
    short = {
        name: value if not isinstance(value, str) else re.split(r"[/\\]", value)[-1][-_MOST_OF_A_NAME:]
        for name, value in modifiers.items()
    }
    return str(Call(dataset, {}, short))


def derive_seed(seed: int, *purpose: str) -> int:
    """Return an independent 63-bit seed for one purpose; equal arguments give equal seeds on every machine."""
    words = hashlib.sha256("/".join(purpose).encode()).digest()
    sequence = np.random.SeedSequence([seed, *np.frombuffer(words, dtype=np.uint32).tolist()])
    # 63 bits fit a signed 64-bit integer, which numpy arrays and most JSON readers take.
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def cell_name(dataset: str, method: str, encoder: str, rate: float, seed: int, model: str) -> str:
    """Return the readable beginning of a cell's id as a file name, from bare names (``none`` for no encoder)."""
    words = (dataset, method, encoder, f"r{100 * rate:g}", f"s{seed}", model)
    return re.sub(r"[^\w.-]", "_", "-".join(words))
