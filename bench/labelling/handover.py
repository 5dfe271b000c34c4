"""Writing a choice in the formats of labelling tools."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bench.errors import DataError, SpecError, UnknownName
from bench.images.decoding import formats_of
from bench.images.folders import ImageFiles
from bench.labelling.formats import FORMATS, Format
from bench.plain_files import open_regular
from bench.results.rendering import to_csv

if TYPE_CHECKING:
    from PIL.Image import Image

LOCAL_FILES = "/data/local-files/?d="
"""Prefix of the addresses by which Label Studio serves files of its document root."""
_WEB = ("http://", "https://")
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap width and height; other values, which cameras also write, do not."""


_SUFFIX = {
    Format.txt: ".txt",
    Format.label_studio: ".label-studio.json",
    Format.cvat: ".manifest.jsonl",
    Format.fiftyone: ".fiftyone.csv",
    Format.coco: ".coco.json",
}
_NEED_FILES = (Format.cvat, Format.fiftyone, Format.coco)


def parse_formats(text: str) -> tuple[Format, ...]:
    """Return the formats of a comma-separated list without CSV, which is always written.

    Raises:
        UnknownName: no such format.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in FORMATS:
            raise UnknownName("--format of bench select", name, FORMATS)
    return tuple(form for form in map(Format, dict.fromkeys(names)) if form != Format.csv)


def handover_path(out: Path, form: Format) -> Path:
    """Return the path of the choice in a format, next to the CSV."""
    return out.with_name(out.stem + _SUFFIX[form])


def check_handover(forms: Sequence[Format], paths: str | None, *, files: bool) -> None:
    """Refuse formats that the items do not allow, or paths that a format cannot have, before any work.

    Raises:
        SpecError: a format or ``--paths`` does not fit.
    """
    if paths is not None and not forms:
        raise SpecError(
            "--paths is for the other formats: the CSV's names stay relative, so that --labelled finds them."
        )
    if paths is not None and paths not in ("relative", "absolute") and "/" not in paths:
        raise SpecError(f"--paths {paths} is not valid: relative, absolute, or a prefix such as https://host/.")
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
    """Return the content of the file for a labelling tool.

    Args:
        form: the tool's format, not ``csv``.
        records: the records of the choice, in order: ``order``, ``file`` or ``item``, ``cluster``, ``score``.
        files: the files in the same order; None for items that are no files.
        paths: ``relative``, ``absolute``, a prefix, or None for the tool's usual paths: absolute ones for FiftyOne;
            for files in Label Studio the bucket, or ``/data/local-files/?d=`` and the path below the images' parent
            folder; otherwise relative ones.
        bucket: address of the folder from which the files were fetched; None for local files.

    Raises:
        DataError: the format cannot hold one of the names.
    """
    names = [str(record["file" if "file" in record else "item"]) for record in records]
    paths = _usual_paths(form, files, bucket) if paths is None else paths
    written = [_address(name, files, paths) for name in names]
    if form == Format.txt:
        if broken := [name for name in written if len(name.splitlines()) != 1]:
            raise DataError(f"--format txt has one name a line, and {broken[0]!r} has several; take another --format.")
        return "".join(f"{name}\n" for name in written).encode("utf-8", "surrogateescape")
    for name in written:
        # Bytes that are not UTF-8 become such surrogates, which JSON and CSV readers refuse.
        if not name.isprintable() and any("\udc80" <= letter <= "\udcff" for letter in name):
            raise DataError(
                f"{name!a} is not UTF-8, which --format {form.value} needs; give --paths a URL prefix, or rename it."
            )
    if form == Format.fiftyone:
        # FiftyOne's importer translates line breaks and would look for another name.
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
    """Return width and height of an image when it is shown upright.

    Raises:
        DataError: the image cannot be read.
    """
    from PIL import Image

    try:
        with open_regular(path) as file:
            formats = formats_of(file.read(16))
            file.seek(0)
            with Image.open(file, formats=formats) as image:
                width, height = image.size
                turned = _is_turned(image)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}.") from error
    return (height, width) if turned else (width, height)


def _is_turned(image: Image) -> bool:
    """Return whether decoding upright swaps width and height; False if the EXIF data is damaged."""
    try:
        return image.getexif().get(0x0112) in _TURNED  # 0x0112 is the orientation
    except MemoryError:
        raise
    except Exception:  # Pillow's parser raises what the damage happens to cause
        return False


def _facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record other than its name."""
    return {key: record[key] for key in ("order", "cluster", "score") if key in record}


def _usual_paths(form: Format, files: ImageFiles | None, bucket: str | None) -> str:
    if form == Format.fiftyone:
        return "absolute"
    if form != Format.label_studio or files is None:
        return "relative"
    if bucket is not None:
        # Label Studio fetches pictures by address, and would not find names relative to a local folder.
        return f"{bucket}/"
    # A storage cannot be Label Studio's document root itself, so the root is the parent of the images' folder.
    return f"{LOCAL_FILES}{quote(os.fsencode(files.root.name))}/"


def _address(name: str, files: ImageFiles | None, paths: str) -> str:
    if paths == "relative" or files is None:
        return name
    if paths == "absolute":
        return str(files.root / name)
    # Label Studio takes the text after s3:// or gs:// as the bucket's key, so it must not be encoded.
    return paths + (quote(os.fsencode(name)) if paths.startswith(_WEB) or "?" in paths else name)


def _manifest(names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> bytes:
    """Return CVAT's dataset manifest, version 1.1: names without suffix, and sizes of the upright images."""
    lines: list[dict[str, Any]] = [{"version": "1.1"}, {"type": "images"}]
    for name, (width, height) in zip(names, sizes, strict=True):
        stem, suffix = os.path.splitext(name)  # noqa: PTH122  (a URL is no path)
        lines.append(
            {"name": stem, "extension": suffix, "width": width, "height": height, "meta": {"related_images": []}}
        )
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
