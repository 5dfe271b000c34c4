"""Where the store lies unless the user says otherwise."""

from __future__ import annotations

from pathlib import Path

from bench.addresses import local_path, refuse_address


def cache_folder(given: Path | None) -> Path:
    """Return the given folder, or the user's cache folder.

    Raises:
        SpecError: it is an address.
    """
    from platformdirs import user_cache_path

    if given is not None:
        refuse_address(given)
    return local_path(given or user_cache_path("coreset-bench")).resolve()
