"""Content-addressed store of shared stages: plain arrays on disk, one producer each, checked when read back."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel

from bench.data import Arrays
from bench.errors import TimeLimit
from bench.quantities import Count, Seconds
from bench.store.files import sha256_of, write_atomically, writing
from bench.usage import Usage, measured

logger = logging.getLogger(__name__)

_POLL = 0.2
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


class Keyed(Protocol):
    """What the store needs to know of a stage."""

    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> str: ...
    def describe(self) -> Mapping[str, Any]: ...


class Busy(Exception):
    """Another process is producing the stage at this moment."""


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


def lock_of(record: Path) -> FileLock:
    """What a process holds while it produces the artifact of this record, or throws it away."""
    return FileLock(record.with_suffix(".lock"), fallback_to_soft=False)


class Store:
    """Artifacts below one folder: ``<kind>/<key>.npz`` beside ``<key>.json``, which is written last.

    The JSON holds the SHA-256 of the arrays' file, so that a damaged or half-written artifact counts as absent
    and is made anew. Nothing is pickled: reading somebody else's store cannot run code. A failure is never stored.

    One process at a time produces an artifact, holding ``<key>.lock`` by ``flock``. The kernel drops that lock when its
    holder dies, however it dies, so no lock is ever stale; the empty file means nothing by itself. The lock reaches
    across machines on NFS (2.6.12 and later; a server frees the locks of a machine that died once its lease runs
    out), GPFS, CephFS and Lustre mounted with ``-o flock``. On a file system without locks the store warns and goes on:
    two processes may then do the same work, but every file is still whole and the same stage gives the same bytes.
    A lock file that is locked by its mere existence never takes the place of ``flock``: one left behind would block.

    Args:
        root: folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, stage: Keyed, produce: Callable[[], Arrays], *, wait: bool = True) -> Artifact:
        """Load the stage's arrays, or produce and store them; of several processes only one produces.

        Args:
            stage: what is wanted.
            produce: makes the arrays.
            wait: for another process that is producing them.

        Raises:
            Busy: another process is producing them, and ``wait`` is false.
            TypeError: an array holds Python objects.
        """
        found = self.load(stage)
        if found is not None:
            return found
        with self._locked(stage, wait=wait):
            found = self.load(stage)
            if found is not None:
                return found
            logger.info("cache miss: computing %s %s", stage.kind, stage.key)
            with measured() as usage:
                arrays = produce()
            self._write(stage, arrays, usage)
        return Artifact(arrays, usage.seconds, reused=False)

    def load(self, stage: Keyed) -> Artifact | None:
        """The stage's artifact, or None where there is none that is whole.

        The file is checked a piece at a time before it is read, so that memory holds the arrays once.
        """
        base = self._base(stage)
        try:
            record = self._record(stage)
            # One open file for the check and the arrays: another process may put a new one in its place in between.
            with base.with_suffix(".npz").open("rb") as file:
                if sha256_of(file) != record.sha256:
                    raise ValueError("the checksum does not match")
                file.seek(0)
                with np.load(file, allow_pickle=False) as content:
                    arrays = {name: content[name] for name in content.files}
            found = Artifact(arrays, record.seconds, reused=True)
        except FileNotFoundError:
            return None
        except (MemoryError, TimeLimit):
            raise
        except Exception as error:  # zipfile, zlib and numpy's parser of headers each raise their own
            logger.warning("the cached %s %s is damaged (%s); it is made anew", stage.kind, base.name, error)
            return None
        logger.info("cache hit: %s %s", stage.kind, stage.key)
        with suppress(OSError):  # somebody else's store may be read-only; its times of use are then unknown
            os.utime(base.with_suffix(".json"))
        return found

    def discard_damaged(self, stage: Keyed) -> bool:
        """Read the stage's artifact, and take it out of the store where it is not whole.

        Returns:
            Whether it was taken out. The arrays stay until they are replaced; without the record they are absent.
        """
        if stage not in self or self._whole(stage):
            return False
        with suppress(Busy, OSError), self._locked(stage, wait=False):
            if stage in self and not self._whole(stage):  # no other process has put a new one there meanwhile
                self._base(stage).with_suffix(".json").unlink()
                return True
        return False

    def _whole(self, stage: Keyed) -> bool:
        try:
            with self._base(stage).with_suffix(".npz").open("rb") as file:
                return sha256_of(file) == self._record(stage).sha256
        except FileNotFoundError:
            return False
        except (OSError, ValueError, RecursionError) as error:
            return isinstance(error, OSError)  # what cannot be read now may be whole all the same

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

    @contextmanager
    def _locked(self, stage: Keyed, *, wait: bool) -> Iterator[None]:
        base = self._base(stage)
        base.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_of(base.with_suffix(".json"))
        try:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                if not wait:
                    raise Busy(f"another process is computing {stage.kind} {stage.key}") from None
                logger.info("waiting for another process that computes %s %s", stage.kind, stage.key)
                lock.acquire(poll_interval=_POLL)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in NO_LOCKS:
                raise
            logger.warning("%s has no file locks; two processes may compute the same stage", self.root)
        try:
            yield
        finally:
            lock.release()

    def _write(self, stage: Keyed, arrays: Arrays, usage: Usage) -> None:
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise TypeError(f"{stage.kind}: array {name!r} holds Python objects, which only pickle could store.")
        base = self._base(stage)
        with writing(base.with_suffix(".npz")) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.seek(0)
            digest = sha256_of(file)
            size = file.tell()
        record = {
            "sha256": digest,
            **asdict(usage),
            "bytes": size,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "stage": stage.describe(),
        }
        write_atomically(base.with_suffix(".json"), json.dumps(record, indent=1).encode())
