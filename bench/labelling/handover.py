"""The choice in the form that labelling tools take."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bench.errors import DataError, SpecError, UnknownName
from bench.images import heic
from bench.images.folders import ImageFiles
from bench.labelling.formats import FORMATS, Format
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


def parse_formats(given: str) -> tuple[Format, ...]:
    """Return what is written beside the CSV, which always is, as a comma-separated list names it.

    Raises:
        UnknownName: no such format.
    """
    names = [name.strip() for name in given.split(",")]
    for name in names:
        if name not in FORMATS:
            raise UnknownName("--format of bench select", name, FORMATS)
    return tuple(form for form in map(Format, dict.fromkeys(names)) if form != Format.csv)


def handover_path(out: Path, form: Format) -> Path:
    """Where the choice is written in a format, beside the CSV."""
    return out.with_name(out.stem + _SUFFIX[form])


def check_handover(forms: Sequence[Format], paths: str | None, *, files: bool) -> None:
    """Refuse formats that the items do not allow, or paths that one of them cannot have, before any work.

    Raises:
        SpecError: see above.
    """
    if paths is not None and not forms:
        raise SpecError(
            "--paths is for the other formats: the CSV's names stay relative, so that --labelled finds them."
        )
    if paths is not None and paths not in ("relative", "absolute") and "/" not in paths:
        raise SpecError(
            f"--paths {paths} is not valid: relative, absolute, or what to put before, such as https://host/."
        )
    for form in forms:
        if not files and (form in _NEED_FILES or (paths is not None and form != Format.txt)):
            raise SpecError(f"--format {form.value} lists files; give --images FOLDER (with --names for embeddings).")
        if form == Format.cvat and paths is not None and (paths == "absolute" or "://" in paths or paths[0] == "/"):
            raise SpecError(
                "--format cvat names files below a share or in a bucket: --paths relative (default) or the folder they "
                "lie in there, such as photos/."
            )
        if form == Format.fiftyone and not (paths or "absolute").startswith(("absolute", "/")):
            raise SpecError(
                "--format fiftyone needs paths that its importer can open: --paths absolute (default) or the folder's "
                "path on another machine, such as /data/photos/."
            )


def handover(
    form: Format,
    records: Sequence[Mapping[str, Any]],
    files: ImageFiles | None,
    paths: str | None,
    bucket: str | None = None,
) -> bytes:
    """Return the content of the file for a tool.

    Args:
        form: not ``csv``.
        records: of the choice, in order: ``order``, ``file`` or ``item``, ``cluster``, ``score``.
        files: in the same order; None for items that are no files.
        paths: ``relative``, ``absolute``, a prefix, or None for what the tool usually takes: absolute paths for
            FiftyOne; for files in Label Studio the bucket, or ``/data/local-files/?d=`` and the path below the folder
            that theirs lies in; relative ones otherwise.
        bucket: address of the folder from which the files were fetched; None for files that lie here.

    Raises:
        DataError: a name that the format cannot hold.
    """
    names = [str(record["file" if "file" in record else "item"]) for record in records]
    paths = _usual_paths(form, files, bucket) if paths is None else paths
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
        # Its importer opens the file with line breaks translated, and would look for another name.
        if broken := [name for name in written if "\r" in name]:
            raise DataError(f"--format fiftyone cannot hold the carriage return in {broken[0]!r}; rename the file.")
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


def _usual_paths(form: Format, files: ImageFiles | None, bucket: str | None) -> str:
    if form == Format.fiftyone:
        return "absolute"
    if form != Format.label_studio or files is None:
        return "relative"
    if bucket is not None:
        # Label Studio fetches pictures by address, and would not find names relative to a folder of ours.
        return f"{bucket}/"
    # Label Studio takes no storage that is its document root itself, so this is the folder that the images' lies in.
    return f"{LOCAL_FILES}{quote(os.fsencode(files.root.name))}/"


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
