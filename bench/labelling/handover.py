"""The choice in the form that labelling tools take."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bench.errors import DataError, SpecError
from bench.images import heic
from bench.images.folders import ImageFiles
from bench.labelling.formats import Format
from bench.results.rendering import to_csv

if TYPE_CHECKING:
    from PIL.Image import Image

LOCAL_FILES = "/data/local-files/?d="
"""What Label Studio serves files of its document root by."""
_WEB = ("http://", "https://")
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap width and height; a camera may have written anything in their place."""


_SUFFIX = {
    Format.txt: ".txt",
    Format.label_studio: ".label-studio.json",
    Format.cvat: ".manifest.jsonl",
    Format.fiftyone: ".fiftyone.csv",
    Format.coco: ".coco.json",
}
_NEED_FILES = (Format.cvat, Format.fiftyone, Format.coco)


def handover_path(out: Path, form: Format) -> Path | None:
    """Where the choice is written beside the CSV; None where the CSV itself is all."""
    return None if form == Format.csv else out.with_name(out.stem + _SUFFIX[form])


def check_handover(form: Format, paths: str | None, *, files: bool) -> None:
    """Refuse a format that the items do not allow, or paths that the format cannot have, before any work.

    Raises:
        SpecError: see above.
    """
    if paths is not None and form == Format.csv:
        raise SpecError(
            "--paths is for the other formats: the CSV's names stay relative, so that --labelled finds them."
        )
    if not files and (form in _NEED_FILES or (paths is not None and form != Format.txt)):
        raise SpecError(f"--format {form.value} lists files; give --images FOLDER (with --names for embeddings).")
    if paths is not None and paths not in ("relative", "absolute") and "/" not in paths:
        raise SpecError(
            f"--paths {paths} is not valid: relative, absolute, or what to put before, such as https://host/."
        )
    if form == Format.fiftyone and paths == "relative":
        raise SpecError("--format fiftyone needs paths that can be opened: --paths absolute (default) or a prefix.")


def handover(form: Format, records: Sequence[Mapping[str, Any]], files: ImageFiles | None, paths: str | None) -> bytes:
    """Return the content of the file for a tool.

    Args:
        form: not ``csv``.
        records: of the choice, in order: ``order``, ``file`` or ``item``, ``cluster``, ``score``.
        files: in the same order; None for items that are no files.
        paths: ``relative``, ``absolute``, a prefix, or None for what the tool usually takes: absolute paths for
            FiftyOne, ``/data/local-files/?d=`` for files in Label Studio, relative ones otherwise.

    Raises:
        DataError: a name that the format cannot hold.
    """
    names = [str(record["file" if "file" in record else "item"]) for record in records]
    if paths is None:
        label_studio = LOCAL_FILES if form == Format.label_studio and files is not None else "relative"
        paths = "absolute" if form == Format.fiftyone else label_studio
    written = [_address(name, files, paths) for name in names]
    if form == Format.txt:
        if broken := [name for name in written if len(name.splitlines()) != 1]:
            raise DataError(f"--format txt has one name a line, and {broken[0]!r} has several; take another --format.")
        return "".join(f"{name}\n" for name in written).encode("utf-8", "surrogateescape")
    for name in written:
        # Bytes that are no UTF-8 come as such surrogates, which JSON and CSV readers refuse.
        if not name.isprintable() and any("\udc80" <= letter <= "\udcff" for letter in name):
            raise DataError(
                f"{name!a} is not UTF-8, which --format {form.value} needs; give --paths a URL prefix, or rename it."
            )
    if form == Format.fiftyone:
        lines = [{"filepath": name, **_facts(record)} for name, record in zip(written, records, strict=True)]
        return to_csv(lines).encode()
    if form == Format.label_studio:
        key = "text" if files is None else "image"
        tasks = [
            {"data": {key: address, "name": name, **_facts(record)}}
            for address, name, record in zip(written, names, records, strict=True)
        ]
        return _json(tasks)
    assert files is not None
    sizes = [image_size(files.locate(position)) for position in range(len(files))]
    if form == Format.cvat:
        return _manifest(written, sizes)
    images = [
        {"id": number, "file_name": name, "width": width, "height": height}
        for number, (name, (width, height)) in enumerate(zip(written, sizes, strict=True), 1)
    ]
    return _json({"info": {}, "licenses": [], "images": images, "annotations": [], "categories": []})


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image as it is shown, upright.

    Raises:
        DataError: it cannot be read.
    """
    from PIL import Image

    if path.suffix.lower() in heic.SUFFIXES:
        heic.formats()
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = _is_turned(image)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}.") from error
    return (height, width) if turned else (width, height)


def _is_turned(image: Image) -> bool:
    """Whether width and height are swapped when the picture is decoded upright; damaged EXIF data turn nothing."""
    try:
        return image.getexif().get(0x0112) in _TURNED  # 0x0112 is the orientation
    except MemoryError:
        raise
    except Exception:  # Pillow's parser raises what the damage happens to cause
        return False


def _facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of an item besides its name."""
    return {key: record[key] for key in ("order", "cluster", "score") if key in record}


def _address(name: str, files: ImageFiles | None, paths: str) -> str:
    if paths == "relative" or files is None:
        return name
    if paths == "absolute":
        return str(files.root / name)
    # Label Studio asks a bucket for the key as it stands behind s3:// or gs://: encoded, it would not be there.
    return paths + (quote(os.fsencode(name)) if paths.startswith(_WEB) or "?" in paths else name)


def _manifest(names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> bytes:
    """CVAT's dataset manifest, version 1.1: names without suffix, and sizes upright."""
    lines: list[dict[str, Any]] = [{"version": "1.1"}, {"type": "images"}]
    for name, (width, height) in zip(names, sizes, strict=True):
        stem, suffix = os.path.splitext(name)  # noqa: PTH122  (a URL is no path)
        lines.append(
            {"name": stem, "extension": suffix, "width": width, "height": height, "meta": {"related_images": []}}
        )
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
