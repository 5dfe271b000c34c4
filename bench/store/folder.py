"""The folder of the store."""

from __future__ import annotations

from pathlib import Path

from bench.addresses import local_path, refuse_address


def cache_folder(folder: Path | None) -> Path:
    """Return the absolute path of the folder; None means the user's cache folder.

    Raises:
        SpecError: the folder is an address.
    """
    from platformdirs import user_cache_path

    if folder is not None:
        refuse_address(folder)
    return local_path(folder or user_cache_path("coreset-bench")).resolve()
