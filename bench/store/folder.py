"""Where the store lies unless the user says otherwise."""

from __future__ import annotations

from pathlib import Path


def cache_folder(given: Path | None) -> Path:
    """Return the given folder, or the user's cache folder."""
    from platformdirs import user_cache_path

    return (given or user_cache_path("coreset-bench")).expanduser().resolve()
