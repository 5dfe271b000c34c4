"""Fetching files of an object store or a web server into a local folder, with fsspec."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from bench.addresses import address_of
from bench.errors import DataError, SpecError, install_command
from bench.images.folders import Skipped
from bench.progress import Progress
from bench.store.files import write_atomically

_RECORD = ".fetched.json"
"""Record of the fetched files: name -> the store's version of it; hidden, so that it is not taken for a user's file."""
_AT_ONCE, _WAITING = 8, 1024
"""Files fetched at once, since a request mostly waits for the store, and files handed to the threads at a time."""
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}


def open_store(address: str) -> tuple[Any, str]:
    """Return fsspec's file system of an address, and the path in it; the store's library finds the credentials.

    Raises:
        SpecError: fsspec does not know the protocol, or its package is missing.
    """
    if find_spec("fsspec") is None:
        raise SpecError(f"{address}: addresses are read with fsspec, which is not installed: {install_command('s3')}.")
    import fsspec

    protocol = urlsplit(address).scheme
    try:
        return fsspec.core.url_to_fs(address)
    except ImportError as error:
        what = install_command(_EXTRAS[protocol]) if protocol in _EXTRAS else str(error)
        raise SpecError(f"{address}: the package for {protocol}:// is not installed: {what}.") from error
    except ValueError as error:
        raise SpecError(f"{address} is not valid: {error}; use s3://, gs:// or another that fsspec knows.") from error


def fetch_folder(
    address: str, into: Path, suffixes: Iterable[str], stage: Callable[[str], Progress]
) -> tuple[Path, tuple[Skipped, ...]]:
    """Fetch the new and changed files below an address that have one of the suffixes, and return their local folder.

    A file is unchanged as long as fsspec's ``ukey`` is (ETag, checksum, time or size). A file that the listing no
    longer names is removed locally too; a file that could not be checked is kept for the next call.

    Args:
        address: such as ``s3://bucket/photos``.
        into: folder in which each address has a folder of its own.
        suffixes: suffixes in lower case.
        stage: starts a progress bar of a given title and returns its update function.

    Returns:
        The folder, and the files that could not be fetched or whose keys cannot be file names. The folder may contain
        an older version of a file that could not be fetched: leave it out (``Scan.without``).

    Raises:
        SpecError: see ``open_store``.
        DataError: the address cannot be listed, is a file, or has no matching file that can be fetched.
    """
    store, root = open_store(address)
    folder = into / hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16]
    try:
        listing = store.find(root, withdirs=False)
    except Exception as error:  # each store's library raises its own errors
        raise DataError(f"cannot list {address}: {_words(error)}.") from error
    if list(map(str, listing)) == [root]:
        raise DataError(f"{address} is a file; --images takes a folder.")
    base = root.rstrip("/") + "/"
    listed = {str(path).removeprefix(base) for path in listing}
    # Stores list files in different orders.
    names = sorted(name for name in listed if name.lower().endswith(tuple(suffixes)))
    if not names:
        raise DataError(f"{address} holds none of {', '.join(suffixes)}, at any depth.")
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / _RECORD
    known = {name: version for name, version in _recorded(record).items() if name in listed}
    # Removes what is in the folder, not what is in the record: the record of a killed run may lack files.
    for path in [path for path in folder.rglob("*") if path.is_file() and path != record]:
        name = path.relative_to(folder).as_posix()
        if name not in listed and not _unusable(name):
            path.unlink(missing_ok=True)

    def fetch(name: str) -> str:
        """Fetch a file and return "", or return why it is skipped."""
        if reason := _unusable(name):
            return reason
        try:
            known[name] = _fetched(store, base + name, folder / name, known.get(name))
        except Exception as error:
            return f"cannot be fetched: {_words(error)}"
        return ""

    skipped = []
    tick = stage(f"fetching {len(names):,} files")
    try:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            # A slice at a time: submitting all names at once would queue as many calls.
            for start in range(0, len(names), _WAITING):
                part = names[start : start + _WAITING]
                # In the order of the names, whichever file is fetched first.
                for number, (name, reason) in enumerate(zip(part, threads.map(fetch, part), strict=True), start + 1):
                    if reason:
                        skipped.append(Skipped(name, reason))
                    tick(number, len(names))
    finally:  # also after an interruption: the next call resumes here
        write_atomically(record, json.dumps(known).encode())
    if len(skipped) == len(names):
        raise DataError(f"cannot fetch any of {len(names):,} files of {address}; {names[0]}: {skipped[0].reason}.")
    return folder, tuple(skipped)


def local_copy(location: str, into: Path, stage: Callable[[str], Progress]) -> str:
    """Return a path as it is, or fetch the file at an address and return its path; arguments as ``fetch_folder``.

    Raises:
        SpecError: see ``open_store``.
        DataError: the file cannot be fetched.
    """
    address = address_of(location)
    if address is None:
        return location
    store, path = open_store(address)
    folder = into / hashlib.sha256(address.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    record, local = folder / _RECORD, folder / PurePosixPath(path).name
    stage(f"fetching {address}")
    try:
        version = _fetched(store, path, local, _recorded(record).get(local.name))
    except Exception as error:
        raise DataError(f"cannot fetch {address}: {_words(error)}.") from error
    write_atomically(record, json.dumps({local.name: version}).encode())
    return str(local)


def _recorded(record: Path) -> dict[str, str]:
    """Return name -> the store's version of each fetched file."""
    known: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    return known


def _fetched(store: Any, path: str, local: Path, before: str | None) -> str:
    """Fetch one file unless the local copy is up to date, and return the store's version of it."""
    now = str(store.ukey(path))
    if now != before or not local.is_file():
        local.parent.mkdir(parents=True, exist_ok=True)
        # Hidden until it is whole, with a name of its own: another run may fetch the same file.
        partial = local.with_name(f".{uuid.uuid4().hex}.part")
        try:
            store.get_file(path, str(partial))
            partial.replace(local)
        finally:
            partial.unlink(missing_ok=True)
    return now


def _unusable(name: str) -> str:
    """Return why a store's key cannot be the name of a file below a folder; empty if it can."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or PurePosixPath(name).is_absolute():
        return "its key is not a path below a folder"
    return "it is hidden" if any(part.startswith(".") for part in parts) else ""


def _words(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
