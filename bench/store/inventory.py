"""What lies in a store of shared stages: how much of what, whether it is whole, and what can be thrown away."""

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
"""Age in seconds at which a temporary file counts as left behind by a killed process; a convention."""


@dataclass(frozen=True)
class Stored:
    """One artifact, or what is left of one.

    Attributes:
        record: path of its JSON; the arrays and the lock lie beside it.
        kind: of the stage.
        key: of the stage.
        size: bytes of all its files.
        created: seconds since the epoch.
        used: the last time that it was read or made, seconds since the epoch.
        title: data set and method, proxy or encoder, as far as the record tells.
        calls: ``dataset``, ``encoder`` and ``model`` as a user types them, as far as the record tells.
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
    """An artifact that this user may not read, or cannot read now; it may be whole all the same."""


def stored(root: Path, kinds: Iterable[str] = ()) -> list[Stored]:
    """List the artifacts below ``root``, whole or not, by kind and age; only of ``kinds`` where some are given.

    Folders that are closed to this user (``closed_kinds``) are left out.

    Raises:
        OSError: ``root`` cannot be listed.
    """
    chosen_kinds = set(kinds)
    artifacts = []
    for folder in _kind_folders(root):
        if _open_to_us(folder) and (not chosen_kinds or folder.name in chosen_kinds):
            # Either file alone is listed too: half an artifact takes room, and a person wants to know of it.
            bases = {path.with_suffix("") for path in folder.iterdir() if path.suffix in (".json", ".npz")}
            for base in bases:
                # Files that are still being written, see ``bench.store.files``.
                if not base.name.startswith("."):
                    with suppress(FileNotFoundError):  # pruned by another process meanwhile
                        artifacts.append(_look_at(base))
    return sorted(artifacts, key=lambda item: (item.kind, item.created, item.key))


def closed_kinds(root: Path, *, to_add: bool = False) -> list[str]:
    """List the folders in ``root`` that this user may not look into, since another user made them for themselves alone.

    Args:
        root: folder of the store; need not exist.
        to_add: also those that artifacts cannot be added to.

    Raises:
        OSError: ``root`` cannot be listed.
    """
    return sorted(folder.name for folder in _kind_folders(root) if not _open_to_us(folder, to_add=to_add))


def kinds_in(root: Path) -> list[str]:
    """List the kinds of stages that ``root`` has artifacts of."""
    return sorted({item.kind for item in stored(root)})


def damage(item: Stored) -> str | None:
    """Read an artifact's files and say what is wrong with them; None where they are whole.

    Raises:
        Unreadable: they cannot be read, so that nobody knows.
    """
    try:
        with whole_artifact(item.record):
            return None
    # Before OSError, of which it is a kind: a file that is not there is damage, one that cannot be read may be whole.
    except FileNotFoundError as error:
        return f"{Path(error.filename).suffix[1:]} file missing"
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
    except ValueError as error:
        return str(error)


def _kind_folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()] if root.exists() else []


def _open_to_us(folder: Path, *, to_add: bool = False) -> bool:
    # Effective ids: under sudo or setuid the real user is not who opens the files.
    return os.access(folder, os.R_OK | os.X_OK | (os.W_OK if to_add else 0), effective_ids=True)


def to_prune(
    items: Iterable[Stored],
    *,
    older_than: float | None = None,
    unused_for: float | None = None,
    max_bytes: int | None = None,
    now: float | None = None,
) -> list[Stored]:
    """Choose what to throw away.

    Args:
        items: to choose among; all of them if no limit is given.
        older_than: only what was made at least so many seconds ago.
        unused_for: only what nobody read for so many seconds.
        max_bytes: and only as much, the longest unused first, that the rest of ``items`` fits into so many bytes.
        now: seconds since the epoch; None is the present.

    Returns:
        The chosen ones, the longest unused first.
    """
    now = time.time() if now is None else now
    items = list(items)
    chosen = [
        item
        for item in items
        if (older_than is None or now - item.created >= older_than)
        and (unused_for is None or now - item.used >= unused_for)
    ]
    # By key where times are equal, as on file systems that keep whole seconds: the same list at every call.
    chosen.sort(key=lambda item: (item.used, item.key))
    if max_bytes is None:
        return chosen
    # Of all items, not of the chosen: the limit is on what the whole store holds afterwards.
    excess = sum(item.size for item in items) - max_bytes
    number = 0
    while number < len(chosen) and excess > 0:
        excess -= chosen[number].size
        number += 1
    return chosen[:number]


def remove(item: Stored) -> bool:
    """Delete an artifact; false, and nothing done, while a process is producing it.

    The record goes first, so that a reader that comes in between finds nothing rather than half.
    """
    lock = lock_of(item.record)
    try:
        # Not waited for: what is being produced is in use.
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except OSError as error:
        # No locks on this file system: nobody can be asked, and a reader copes with a missing artifact.
        if error.errno not in NO_LOCKS:
            raise
    try:
        for suffix in (".json", ".npz", ".lock"):
            item.record.with_suffix(suffix).unlink(missing_ok=True)
    finally:
        lock.release()
    return True


def sweep(root: Path) -> int:
    """Delete what killed writers left in the folders of ``root``; return the bytes that this freed."""
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
    # ``load`` touches the record, so its time is that of the last use; the arrays' is that of the making.
    used = max(item.st_mtime for item in stats)
    created, title = min(item.st_mtime for item in stats), ""
    calls: dict[str, str] = {}
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        content = json.loads(read_regular(record, at_most=LARGEST_RECORD))
        title, calls = _described(content["stage"])
        created = datetime.fromisoformat(content["created"]).timestamp()
    return Stored(record, base.parent.name, base.name, sum(item.st_size for item in stats), created, used, title, calls)


def _described(stage: dict[str, object]) -> tuple[str, dict[str, str]]:
    """Make a few words of a stage's description, which nests the stages that it rests on, and the calls in it."""
    words: dict[str, str] = {}
    calls: dict[str, str] = {}

    def visit(node: object) -> None:
        if not isinstance(node, dict):
            return
        for name in ("dataset", "encoder", "model"):
            inner = node.get(name)
            if isinstance(inner, dict) and "name" in inner:
                # The outermost wins, as it is visited first: a coreset's own seed and not that of a stage below.
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
    """Return the distinct calls of one of ``Stored.calls`` in artifacts of some kinds, the last used first."""
    items = sorted(stored(root, kinds), key=lambda item: -item.used)
    return list(dict.fromkeys(item.calls[name] for item in items if name in item.calls))
