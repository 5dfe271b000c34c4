"""Content-addressed store of shared stages: plain arrays on disk, one producer each, checked when read back."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from pydantic import BaseModel

from bench.rows import Count, Seconds, write_atomically
from bench.usage import Usage, measured

Arrays = dict[str, NDArray[Any]]
logger = logging.getLogger(__name__)


class Keyed(Protocol):
    """What the store needs to know of a stage."""

    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> str: ...
    def describe(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Artifact:
    """A stage's arrays, how long they took to make, and whether they were there already."""

    arrays: Arrays
    seconds: float
    reused: bool


class _Record(BaseModel):
    """What is read of the JSON beside an artifact."""

    sha256: str
    seconds: Seconds
    peak_bytes: Count | None = None
    peak_gpu_bytes: Count | None = None


class Store:
    """Artifacts below one folder: ``<kind>/<key>.npz`` beside ``<key>.json``, which is written last.

    The JSON holds the SHA-256 of the arrays' file, so that a damaged or half-written artifact counts as absent
    and is made anew. Nothing is pickled: reading somebody else's store cannot run code. A failure is never stored.

    Args:
        root: folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, stage: Keyed, produce: Callable[[], Arrays]) -> Artifact:
        """Load the stage's arrays, or produce and store them; of several processes only one produces."""
        found = self.load(stage)
        if found is not None:
            return found
        base = self._base(stage)
        base.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{base}.lock"):
            found = self.load(stage)
            if found is not None:
                return found
            with measured() as usage:
                arrays = produce()
            self._write(stage, arrays, usage)
        return Artifact(arrays, usage.seconds, reused=False)

    def load(self, stage: Keyed) -> Artifact | None:
        """The stage's artifact, or None where there is none that is whole."""
        base = self._base(stage)
        try:
            record = self._record(stage)
            content = base.with_suffix(".npz").read_bytes()
            if hashlib.sha256(content).hexdigest() != record.sha256:
                raise ValueError("the checksum does not match")
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return Artifact(arrays, record.seconds, reused=True)
        except FileNotFoundError:
            return None
        except MemoryError:
            raise
        except Exception as error:  # zipfile, zlib and numpy's parser of headers each raise their own
            logger.warning("the cached %s %s is damaged (%s); it is made anew", stage.kind, base.name, error)
            return None

    def seconds(self, stage: Keyed) -> float:
        """What it took to make the stage's artifact; 0 where there is none that is whole."""
        try:
            return self._record(stage).seconds
        except (OSError, ValueError):
            return 0.0

    def peaks(self, stage: Keyed) -> dict[str, int | None]:
        """``peak_bytes`` and ``peak_gpu_bytes`` of the making of the stage's artifact; None where not measured."""
        try:
            record = self._record(stage)
        except (OSError, ValueError):
            return {"peak_bytes": None, "peak_gpu_bytes": None}
        return {"peak_bytes": record.peak_bytes, "peak_gpu_bytes": record.peak_gpu_bytes}

    def __contains__(self, stage: Keyed) -> bool:
        return self._base(stage).with_suffix(".json").exists()

    def _base(self, stage: Keyed) -> Path:
        return self.root / stage.kind / stage.key

    def _record(self, stage: Keyed) -> _Record:
        return _Record.model_validate_json(self._base(stage).with_suffix(".json").read_bytes())

    def _write(self, stage: Keyed, arrays: Arrays, usage: Usage) -> None:
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise TypeError(f"{stage.kind}: array {name!r} holds Python objects, which only pickle could store.")
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        content = buffer.getvalue()
        record = {
            "sha256": hashlib.sha256(content).hexdigest(),
            **asdict(usage),
            "bytes": len(content),
            "stage": stage.describe(),
        }
        base = self._base(stage)
        write_atomically(base.with_suffix(".npz"), content)
        write_atomically(base.with_suffix(".json"), json.dumps(record, indent=1).encode())
