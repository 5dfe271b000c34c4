"""Data sets in small lossless pieces, for a machine that is reached through a narrow channel.

python -m benchmarks.lease.pieces pack DATA_ROOT TO [--folder cifar-10-batches-py] [--most 60]
python -m benchmarks.lease.pieces unpack TO PIECE...

The pixels of CIFAR's files are packed as lossless WebP, in strips of images, and the rest of each file by xz: 1.7 kB an
image in place of 3. A file comes out as it went in, byte for byte, which packing checks.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
_BYTES = 3 * SIDE * SIDE
_STRIP = 50
"""Images one above the other in a picture, so that all share its header."""


def pack(files: Sequence[Path], root: Path, to: Path, most: float) -> list[Path]:
    """Write pieces of at most ``most`` MB (10^6 bytes), in the order of the files.

    Args:
        files: below ``root``.
        root: what their names are relative to.
        to: folder of the pieces.
        most: MB.

    Returns:
        The pieces; each can be unpacked by itself.

    Raises:
        ValueError: a file alone is larger, or did not come out as it went in.
    """
    pieces: list[list[bytes]] = [[]]
    for path in files:
        packed = packed_file(path.read_bytes(), path.relative_to(root).as_posix())
        if unpacked_file(packed) != (path.relative_to(root).as_posix(), path.read_bytes()):
            raise ValueError(f"{path} did not come out as it went in")
        if len(packed) > most * 1e6:
            raise ValueError(f"{path} takes {len(packed) / 1e6:.1f} MB, more than {most:g}")
        if sum(map(len, pieces[-1])) + len(packed) > most * 1e6:
            pieces.append([])
        pieces[-1].append(packed)
    to.mkdir(parents=True, exist_ok=True)
    written = []
    for number, packed_files in enumerate(pieces, 1):
        written.append(to / f"piece-{number}-of-{len(pieces)}.zip")
        with zipfile.ZipFile(written[-1], "w", zipfile.ZIP_STORED) as piece:
            for place, content in enumerate(packed_files):
                piece.writestr(f"{place}.zip", content)
    return written


def unpack(pieces: Sequence[Path], to: Path) -> list[Path]:
    """Write the files of the pieces below ``to``; return them.

    Raises:
        ValueError: a file is not what was packed.
    """
    written = []
    for path in pieces:
        with zipfile.ZipFile(path) as piece:
            for member in piece.namelist():
                name, content = unpacked_file(piece.read(member))
                target = to / name
                if not target.resolve().is_relative_to(to.resolve()):
                    raise ValueError(f"{path}: {name} lies outside {to}")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                written.append(target)
    return written


def packed_file(content: bytes, name: str) -> bytes:
    """Return a file with its block of pixels, if it has one, as pictures and the rest by xz."""
    begin, pixels = _pixels(content)
    end = begin + pixels.nbytes
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        about = {"name": name, "begin": begin, "sha256": hashlib.sha256(content).hexdigest()}
        packed.writestr("about.json", json.dumps(about))
        packed.writestr("rest.xz", lzma.compress(content[:begin] + content[end:]))
        for number, strip in enumerate(_strips(pixels)):
            packed.writestr(f"{number:05}.webp", strip)
    return buffer.getvalue()


def unpacked_file(packed: bytes) -> tuple[str, bytes]:
    """Return name and content of a packed file.

    Raises:
        ValueError: the content is not what was packed.
    """
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        about = json.loads(archive.read("about.json"))
        rest = lzma.decompress(archive.read("rest.xz"))
        strips = [archive.read(name) for name in sorted(archive.namelist()) if name.endswith(".webp")]
    pixels = b"".join(map(_of_strip, strips))
    content = rest[: about["begin"]] + pixels + rest[about["begin"] :]
    if hashlib.sha256(content).hexdigest() != about["sha256"]:
        raise ValueError(f"{about['name']} is not what was packed; the piece is damaged")
    return about["name"], content


def _pixels(content: bytes) -> tuple[int, NDArray[np.uint8]]:
    """Where the pixels of a pickled batch begin, and they, uint8 [N, 3, 32, 32]; none in any other file."""
    from bench.datasets._cifar_files import load_plain

    nothing = np.empty((0, 3, SIDE, SIDE), dtype=np.uint8)
    try:
        data = load_plain(content).get("data")
    except Exception:  # whatever a file that is no pickle makes of it
        return 0, nothing
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.size % _BYTES:
        return 0, nothing
    begin = content.find(data.tobytes())
    return (begin, data.reshape(-1, 3, SIDE, SIDE)) if begin >= 0 else (0, nothing)


def _strips(pixels: NDArray[np.uint8]) -> Iterator[bytes]:
    for start in range(0, len(pixels), _STRIP):
        rows = np.ascontiguousarray(pixels[start : start + _STRIP].transpose(0, 2, 3, 1)).reshape(-1, SIDE, 3)
        buffer = io.BytesIO()
        Image.fromarray(rows).save(buffer, "WEBP", lossless=True, quality=60, method=3)
        yield buffer.getvalue()


def _of_strip(strip: bytes) -> bytes:
    rows = np.asarray(Image.open(io.BytesIO(strip)).convert("RGB"))
    return np.ascontiguousarray(rows.reshape(-1, SIDE, SIDE, 3).transpose(0, 3, 1, 2)).tobytes()


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack or unpack, and name what was written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lease.pieces")
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("root", type=Path)
    packing.add_argument("to", type=Path)
    packing.add_argument("--folder", default="cifar-10-batches-py")
    packing.add_argument("--most", type=float, default=60.0, help="MB of a piece; default: 60")
    unpacking = commands.add_parser("unpack")
    unpacking.add_argument("to", type=Path)
    unpacking.add_argument("pieces", type=Path, nargs="+")
    given = parser.parse_args(arguments)
    if given.command == "unpack":
        written = unpack(given.pieces, given.to)
    else:
        # Without the test images no piece is of use alone: they come first.
        files = sorted((given.root / given.folder).glob("*"), key=lambda path: ("test" not in path.name, path.name))
        if not files:
            sys.exit(f"{given.root / given.folder} holds no file")
        written = pack(files, given.root, given.to, given.most)
    for path in written:
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
