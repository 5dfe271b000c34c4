"""What a lease is given and what it takes home: data, weights, the rows of the last lease, and the rows of this one."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOST = 15_000_000
"""Bytes of a file that is taken home, below the 16 MB that come through."""
FINDER = """import sys
from importlib.util import spec_from_file_location

FOLDERS = {{"bench.methods": "{root}/methods", "bench.datasets": "{root}/datasets"}}


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        folder = FOLDERS.get(name)
        if folder is None:
            return None
        return spec_from_file_location(name, folder + "/__init__.py", submodule_search_locations=[folder])


sys.meta_path.insert(0, Finder)
"""
"""``sitecustomize.py``: two packages lie beside ``bench`` in the repository, and below it once installed."""
_HOME = (
    *("rows/rows", "rows/indices", "rows/failed", "rows/run.log", "cache/pseudo-labels", "rows/scores"),
    *("former-*/rows", "former-*/indices", "former-*/scores"),
)
"""What the next lease goes on from; embeddings and dynamics are larger than the channel and are computed again. Scores
come late: rows can do without, but with them other rates need no proxy, and ``bench validate`` checks them. Last come
rows of a former lease that no table shows beside these."""


@dataclass(frozen=True)
class Brought:
    """Where the data lie.

    Attributes:
        data_root: folder of CIFAR-10's files, or None for random images.
        weights: of the encoder, or None.
    """

    data_root: Path | None
    weights: Path | None

    def options(self) -> tuple[str, ...]:
        """Of ``benchmarks.lease.table``."""
        found: tuple[str, ...] = ()
        if self.data_root is not None:
            found += ("--data-root", str(self.data_root))
        if self.weights is not None:
            found += ("--weights", str(self.weights.resolve()))
        return found

    @classmethod
    def unpack(
        cls,
        pieces: Sequence[Path],
        data_root: Path | None,
        weights: Path | None,
        resume: Sequence[Path],
        scratch: Path,
        environment: dict[str, str],
        *,
        tiny: bool,
    ) -> Brought:
        """Unpack what was brought below ``scratch``; pieces into ``data_root`` where one is given.

        Raises:
            SystemExit: neither data nor ``tiny``, or a piece that is damaged.
        """
        root = data_root or (scratch / "data" if pieces else None)
        if root is None and not tiny:
            sys.exit("a lease needs --pieces or --data-root; --tiny makes do with random images.")
        if pieces:
            assert root is not None
            command = [sys.executable, "-m", "benchmarks.lease.pieces", "unpack", str(root), *map(str, pieces)]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        for path in resume:
            with tarfile.open(path) as archive:
                archive.extractall(scratch, filter="data")
        return cls(root and root.resolve(), weights)


def write_rows(scratch: Path, out: Path) -> list[str]:
    """Write rows, and what goes with them, as one file below ``out``; return the names of what it cannot hold.

    It takes the place of the last one at once, so that whatever stops the lease leaves a whole file.
    """
    buffer, left_out = io.BytesIO(), []
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in _files(scratch):
            with suppress(FileNotFoundError):  # the report of a failure goes as soon as its cell has a row
                if buffer.tell() + path.stat().st_size > MOST:
                    left_out.append(path.name)
                else:
                    archive.add(path, path.relative_to(scratch).as_posix())
    unfinished = out / "rows.tmp"
    unfinished.write_bytes(buffer.getvalue())
    unfinished.replace(out / "rows.tar.gz")
    return left_out


def _files(scratch: Path) -> Iterator[Path]:
    for place in (place for name in _HOME for place in sorted(scratch.glob(name))):
        inside = sorted(place.glob("*")) if place.is_dir() else [place]
        # Whatever is being written has another suffix and is not whole.
        yield from (
            path for path in inside if path.is_file() and path.suffix in (".json", ".npy", ".npz", ".log", ".txt")
        )
