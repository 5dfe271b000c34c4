"""The inventory of a store of shared stages: its artifacts, their damage, and which of them to delete."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import Timeout

from bench.grammar import Call
from bench.plain_files import read_regular
from bench.store.cache import NO_LOCKS, lock_of
from bench.store.files import leftovers
from bench.store.records import LARGEST_RECORD, whole_artifact

ABANDONED = 3600.0
"""Age in seconds from which a temporary file counts as left behind by a killed process; a convention."""


@dataclass(frozen=True)
class Stored:
    """One artifact, or the remains of one.

    Attributes:
        record: path of its JSON; the arrays and the lock are beside it.
        kind: kind of the stage.
        key: key of the stage.
        size: bytes of all its files.
        created: time of its creation, in seconds since the epoch.
        used: time when it was last read or created, in seconds since the epoch.
        title: data set and method, proxy or encoder, as far as the record names them.
        calls: ``dataset``, ``encoder`` and ``model`` as a user types them, as far as the record names them.
    """

    record: Path
    kind: str
    key: str
    size: int
    created: float
    used: float
    title: str
    calls: Mapping[str, str]

    @property
    def arrays(self) -> Path:
        """Path of the arrays."""
        return self.record.with_suffix(".npz")


class Unreadable(Exception):
    """An artifact cannot be read by this user, or not now; it may still be sound."""


def stored(root: Path, kinds: Iterable[str] = ()) -> list[Stored]:
    """Return the artifacts below ``root``, damaged ones too, by kind and age; only those of ``kinds`` if there are any.

    Folders that are closed to this user (``closed_kinds``) are left out.

    Raises:
        OSError: ``root`` cannot be listed.
    """
    chosen_kinds = set(kinds)
    artifacts = []
    for folder in _kind_folders(root):
        if _open_to_us(folder) and (not chosen_kinds or folder.name in chosen_kinds):
            # Also if one of its two files is missing, since half an artifact takes space too.
            bases = {path.with_suffix("") for path in folder.iterdir() if path.suffix in (".json", ".npz")}
            for base in bases:
                # Files that are still being written begin with a dot, see ``bench.store.files``.
                if not base.name.startswith("."):
                    with suppress(FileNotFoundError):  # pruned by another process meanwhile
                        artifacts.append(_look_at(base))
    return sorted(artifacts, key=lambda item: (item.kind, item.created, item.key))


def closed_kinds(root: Path, *, to_add: bool = False) -> list[str]:
    """Return the names of folders in ``root`` that this user may not read, since another user created them.

    Args:
        root: folder of the store; it need not exist.
        to_add: also return folders to which this user may not add artifacts.

    Raises:
        OSError: ``root`` cannot be listed.
    """
    return sorted(folder.name for folder in _kind_folders(root) if not _open_to_us(folder, to_add=to_add))


def kinds_in(root: Path) -> list[str]:
    """Return the kinds of stages of which ``root`` has artifacts."""
    return sorted({item.kind for item in stored(root)})


def damage(item: Stored) -> str | None:
    """Read an artifact's files and return what is wrong with them; None if they are sound.

    Raises:
        Unreadable: they cannot be read, so that it is not known.
    """
    try:
        with whole_artifact(item.record):
            return None
    # Before its base class OSError: a missing file is damage, but a file that cannot be read may be sound.
    except FileNotFoundError as error:
        return f"{Path(error.filename).suffix[1:]} file missing"
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
    except ValueError as error:
        return str(error)


def _kind_folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()] if root.exists() else []


def _open_to_us(folder: Path, *, to_add: bool = False) -> bool:
    # With effective ids, since under sudo or setuid the real user does not open the files.
    return os.access(folder, os.R_OK | os.X_OK | (os.W_OK if to_add else 0), effective_ids=True)


def to_prune(
    items: Iterable[Stored],
    *,
    older_than: float | None = None,
    unused_for: float | None = None,
    max_bytes: int | None = None,
    now: float | None = None,
) -> list[Stored]:
    """Return the artifacts to delete, the longest unused first.

    Args:
        items: artifacts to choose from; without limits all are returned.
        older_than: least age in seconds.
        unused_for: least time in seconds since the last use.
        max_bytes: size that the remaining ``items`` may have; only as many are deleted as that takes.
        now: seconds since the epoch; None for the present.
    """
    now = time.time() if now is None else now
    items = list(items)
    chosen = [
        item
        for item in items
        if (older_than is None or now - item.created >= older_than)
        and (unused_for is None or now - item.used >= unused_for)
    ]
    # By key for equal times, as on file systems with whole seconds, so that every call returns the same list.
    chosen.sort(key=lambda item: (item.used, item.key))
    if max_bytes is None:
        return chosen
    # The size of all items, not of the chosen ones: the limit is for the whole store.
    excess = sum(item.size for item in items) - max_bytes
    number = 0
    while number < len(chosen) and excess > 0:
        excess -= chosen[number].size
        number += 1
    return chosen[:number]


def remove(item: Stored) -> bool:
    """Delete an artifact; return false, without deleting it, while a process is producing it.

    The record is deleted first, so that a reader in between finds no artifact instead of half of one.
    """
    lock = lock_of(item.record)
    try:
        # Without waiting, since an artifact that is being produced is in use.
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except OSError as error:
        # Without locks on this file system it is deleted anyway; a reader copes with a missing artifact.
        if error.errno not in NO_LOCKS:
            raise
    try:
        for suffix in (".json", ".npz", ".lock"):
            item.record.with_suffix(suffix).unlink(missing_ok=True)
    finally:
        lock.release()
    return True


def sweep(root: Path) -> int:
    """Delete temporary files that killed writers left in the folders of ``root``; return the freed bytes."""
    freed = 0
    for folder in [path for path in root.glob("*") if path.is_dir()]:
        for path in leftovers(folder, older_than=ABANDONED):
            with suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                freed += size
    return freed


def _look_at(base: Path) -> Stored:
    record, arrays = base.with_suffix(".json"), base.with_suffix(".npz")
    stats = [path.stat() for path in (record, arrays) if path.exists()]
    if not stats:
        raise FileNotFoundError(base)
    # ``load`` touches the record, so that its time is that of the last use; that of the arrays is their creation.
    used = max(item.st_mtime for item in stats)
    created, title = min(item.st_mtime for item in stats), ""
    calls: dict[str, str] = {}
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        content = json.loads(read_regular(record, at_most=LARGEST_RECORD))
        title, calls = _described(content["stage"])
        created = datetime.fromisoformat(content["created"]).timestamp()
    return Stored(record, base.parent.name, base.name, sum(item.st_size for item in stats), created, used, title, calls)


def _described(stage: dict[str, object]) -> tuple[str, dict[str, str]]:
    """Return a title made from a stage's description, in which its inputs are nested, and the calls in it."""
    words: dict[str, str] = {}
    calls: dict[str, str] = {}

    def visit(node: object) -> None:
        if not isinstance(node, dict):
            return
        for name in ("dataset", "encoder", "model"):
            inner = node.get(name)
            if isinstance(inner, dict) and "name" in inner:
                # The outermost wins, since it is visited first: a coreset's own seed, not that of an input.
                words.setdefault(name, str(inner["name"]))
                calls.setdefault(name, str(Call(str(inner["name"]), inner.get("params", {}))))
        for name in ("method", "split", "rate", "seed"):
            if isinstance(node.get(name), (str, int, float)):
                words.setdefault(name, f"{name} {node[name]}" if name in ("rate", "seed") else str(node[name]))
        for value in node.values():
            visit(value)

    visit(stage)
    order = ("dataset", "split", "encoder", "model", "method", "rate", "seed")
    return ", ".join(words[name] for name in order if name in words), calls


def used_before(root: Path, name: str, kinds: Iterable[str]) -> list[str]:
    """Return the distinct calls under one name of ``Stored.calls`` in artifacts of these kinds, the last used first."""
    items = sorted(stored(root, kinds), key=lambda item: -item.used)
    return list(dict.fromkeys(item.calls[name] for item in items if name in item.calls))
