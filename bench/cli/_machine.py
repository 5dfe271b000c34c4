"""What commands that train share: which device, and which folder holds the shared stages."""

from __future__ import annotations

from pathlib import Path


def pick_device(wanted: str, *, elsewhere: bool = False) -> str:
    """``cpu`` or ``cuda``, for ``auto`` whatever is there.

    Args:
        wanted: ``auto``, ``cpu`` or ``cuda``.
        elsewhere: whether other machines will train, so that this one need not have the GPU that was asked for.

    Raises:
        SpecError: an unknown device, or a GPU that torch does not see.
    """
    from bench.errors import SpecError

    if wanted not in ("auto", "cpu", "cuda"):
        raise SpecError(f"device {wanted!r} is not valid; valid: auto, cpu, cuda.")
    if wanted == "cpu" or (wanted == "cuda" and elsewhere):
        return wanted
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise SpecError("--device cuda was given, but torch sees no GPU on this machine; leave it out, or use cpu.")
    return "cuda" if torch.cuda.is_available() else "cpu"


def cache_folder(given: Path | None) -> Path:
    """The given folder, or the user's cache folder."""
    from platformdirs import user_cache_path

    return (given or user_cache_path("coreset-bench")).expanduser().resolve()
