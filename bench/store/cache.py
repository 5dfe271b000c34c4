"""The content-addressed store of shared stages: plain arrays on disk, with one producer each, checked when read."""

from __future__ import annotations

import errno
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

from bench.data import Arrays
from bench.errors import RunError, TimeLimit
from bench.resource_usage import Usage, measure_usage
from bench.store.files import sha256_of, write_atomically, writing
from bench.store.records import Record, read_record, sealed, whole_artifact
from bench.store.unfinished import Unfinished

logger = logging.getLogger(__name__)

_POLL = 0.2
"""Seconds between two tries for a lock that another process holds."""
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
"""Errors that the user can mend by another folder or another mode; a full disk is not among them."""


class Keyed(Protocol):
    """A stage, as far as the store needs to know it."""

    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> str: ...
    def describe(self) -> Mapping[str, Any]: ...


class Busy(Exception):
    """Another process is producing the stage now."""


@dataclass(frozen=True)
class Artifact:
    """A stage's arrays, the seconds that they took to compute, and whether they were already stored."""

    arrays: Arrays
    seconds: float
    reused: bool


def lock_of(record: Path) -> FileLock:
    """Return the lock that a process holds while it produces or deletes the artifact of this record."""
    return FileLock(record.with_suffix(".lock"), fallback_to_soft=False)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` inside the block, after waiting for it; a file system without locks has none.

    Raises:
        OSError: the file cannot be written.
    """
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(poll_interval=_POLL)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        logger.warning("%s has no file locks; what another run writes at the same moment may be lost", path.parent)
    try:
        yield
    finally:
        lock.release()


class Store:
    """Artifacts in one folder: ``<kind>/<key>.npz`` and ``<key>.json``, which is written last.

    The JSON names the stage and holds the SHA-256 of the arrays' file and of itself, so that an artifact that is
    damaged, half-written or misplaced counts as absent and is computed again. Nothing is pickled: reading somebody
    else's store cannot run code. A failure is never stored.

    One process at a time produces an artifact, holding ``<key>.lock`` by ``flock``. The kernel drops that lock when its
    holder dies, so that no lock is ever stale; the empty file means nothing by itself. The lock works across machines
    on NFS (2.6.12 and later; a server frees the locks of a dead machine once its lease expires), GPFS, CephFS and
    Lustre mounted with ``-o flock``. On a file system without locks the store warns and continues: two processes may
    then do the same work, but every file is still complete, and the same stage gives the same bytes. The store never
    uses lock files that lock by their existence, since one left behind would block.

    Args:
        root: folder of the store, created on the first write.
        threads: CPU threads of the computations, for the records; None if not known.
    """

    def __init__(self, root: Path, threads: int | None = None) -> None:
        self.root = root
        self._threads = threads

    def get(
        self,
        stage: Keyed,
        produce: Callable[[], Arrays],
        *,
        wait: bool = True,
        accept: Callable[[Arrays], bool] = lambda _: True,
    ) -> Artifact:
        """Return the stage's artifact, loaded, or produced and stored; of several processes only one produces it.

        Args:
            stage: the stage.
            produce: computes the arrays.
            wait: whether to wait for another process that is producing them.
            accept: whether stored arrays are acceptable; otherwise they are produced again and replaced.

        Raises:
            Busy: another process is producing them, and ``wait`` is false.
            RunError: this user may not write to the store.
            TypeError: an array holds Python objects.
        """
        artifact = self.load(stage)
        if artifact is not None and accept(artifact.arrays):
            return artifact
        with self._locked(stage, wait=wait):
            # Again, since the process that held the lock may have stored it while this one waited.
            artifact = self.load(stage)
            if artifact is not None and accept(artifact.arrays):
                return artifact
            logger.info("cache miss: computing %s %s", stage.kind, stage.key)
            before = self.record(Unfinished(self, stage)).seconds  # of an interrupted computation, which is resumed
            with measure_usage() as usage:
                arrays = produce()
            usage.seconds += before
            self.write(stage, arrays, usage)
            self._delete(Unfinished(self, stage))
        return Artifact(arrays, usage.seconds, reused=False)

    def load(self, stage: Keyed) -> Artifact | None:
        """Return the stage's artifact, or None if there is none or it is damaged.

        The file is checked a piece at a time before it is read, so that memory holds the arrays only once.
        """
        path = self._path(stage)
        try:
            with whole_artifact(path) as (record, file), np.load(file, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            artifact = Artifact(arrays, record.seconds, reused=True)
        except FileNotFoundError:
            return None
        # Neither is about the file: an artifact that is too large for this process is not damaged.
        except (MemoryError, TimeLimit):
            raise
        except OSError as error:
            reason = error.strerror or error
            logger.warning("the cached %s %s cannot be read (%s); it is computed again", stage.kind, stage.key, reason)
            return None
        except Exception as error:  # zipfile, zlib and numpy's header parser each raise exceptions of their own
            logger.warning("the cached %s %s is damaged (%s); it is computed again", stage.kind, stage.key, error)
            return None
        logger.info("cache hit: %s %s", stage.kind, stage.key)
        with suppress(OSError):  # somebody else's store may be read-only; its times of use are then unknown
            os.utime(path)
        return artifact

    def discard_damaged(self, stage: Keyed) -> bool:
        """Read the stage's artifact, and remove it from the store if it is damaged.

        Returns:
            Whether it was removed. The arrays stay until they are replaced; without the record they count as absent.
        """
        if stage not in self or self._whole(stage):
            return False
        with suppress(Busy, OSError), self._locked(stage, wait=False):
            if stage in self and not self._whole(stage):  # unless another process has stored a new one meanwhile
                self._path(stage).unlink()
                return True
        return False

    def _whole(self, stage: Keyed) -> bool:
        try:
            with whole_artifact(self._path(stage)):
                return True
        except (FileNotFoundError, ValueError):
            return False
        except OSError:
            return True  # a file that cannot be read now may be complete

    def record(self, stage: Keyed) -> Record:
        """Return the record of the stage's artifact; one of 0 seconds and 0 bytes if there is none or it is damaged."""
        try:
            return read_record(self._path(stage))
        except (OSError, ValueError):
            return Record(sha256="", seconds=0)

    def __contains__(self, stage: Keyed) -> bool:
        try:
            return self._path(stage).exists()
        except OSError:  # the folder of another user may be closed to this one
            return False

    def _path(self, stage: Keyed) -> Path:
        """Return the path of the record of the stage's artifact; arrays and lock are beside it."""
        return self.root / stage.kind / f"{stage.key}.json"

    @contextmanager
    def _locked(self, stage: Keyed, *, wait: bool) -> Iterator[None]:
        path = self._path(stage)
        lock = lock_of(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                # Without waiting first, so that only a process that really waits logs it.
                lock.acquire(blocking=False)
            except Timeout:
                if not wait:
                    raise Busy(f"another process is computing {stage.kind} {stage.key}") from None
                logger.info("waiting for another process that computes %s %s", stage.kind, stage.key)
                lock.acquire(poll_interval=_POLL)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno in _FORBIDDEN:
                raise RunError(
                    f"cannot write to the cache, {path.parent}: {error.strerror}. Give a --cache-dir of your own, or "
                    "let its group write to it (docs/long-runs.md)."
                ) from error
            # The caller handles other errors such as a full disk: stages fail and may be tried again.
            if isinstance(error, OSError) and error.errno not in NO_LOCKS:
                raise
            # Without locks everything still works, but may be done twice: see the class.
            logger.warning("%s has no file locks; two processes may compute the same stage", self.root)
        try:
            yield
        finally:
            lock.release()

    def _delete(self, stage: Keyed) -> None:
        """Delete an artifact if there is one, the record first: without it the arrays count as absent."""
        with suppress(OSError):
            for path in (self._path(stage), self._path(stage).with_suffix(".npz")):
                path.unlink()

    def write(self, stage: Keyed, arrays: Arrays, usage: Usage) -> None:
        """Store a stage's arrays, replacing former ones; the caller holds the stage's lock.

        Raises:
            OSError: a file cannot be written.
            TypeError: an array holds Python objects.
        """
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise TypeError(f"{stage.kind}: array {name!r} holds Python objects, which only pickle could store.")
        path = self._path(stage)
        # The arrays before the record: without the record, the artifact counts as absent.
        with writing(path.with_suffix(".npz")) as file:
            # Not compressed: floats hardly shrink, and every reader would wait for the CPU.
            np.savez(file, **arrays)  # type: ignore[arg-type]
            # The digest of the written bytes, read back before the file gets its name.
            file.seek(0)
            digest = sha256_of(file)
            size = file.tell()
        record = Record(
            kind=stage.kind,
            key=stage.key,
            sha256=digest,
            **asdict(usage),
            bytes=size,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            host=socket.gethostname(),
            threads=self._threads,
            stage=dict(stage.describe()),
        )
        write_atomically(path, sealed(record.model_dump()))
