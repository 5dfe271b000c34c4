"""The record of an artifact: a JSON file with its stage, the resources it took, and checksums of both files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.plain_files import open_regular, read_regular
from bench.store.files import sha256_of
from bench.units import Count, Seconds

LARGEST_RECORD = 1 << 24
"""Largest record that is read, in bytes; one has a few thousand, but another file in its place may be endless."""
_SEAL = "record_sha256"


class Record(BaseModel):
    """The record of an artifact.

    Attributes:
        kind: kind of its stage; None in old records, as ``key`` is.
        key: key of its stage.
        sha256: SHA-256 of the arrays' file.
        seconds: time that the computation took.
        peak_bytes: see ``bench.resource_usage.Usage``.
        peak_gpu_bytes: see ``bench.resource_usage.Usage``.
        bytes: size of the arrays' file.
        created: time of its creation, ISO 8601.
        host: name of the machine that computed it.
        threads: CPU threads of the computation; None if not known.
        stage: the specification of the stage, for people.
    """

    # An unknown field is damage: a flipped bit in the name of the seal must not turn a record into an old one.
    model_config = ConfigDict(extra="forbid")

    kind: str | None = None
    key: str | None = None
    sha256: str
    seconds: Seconds
    peak_bytes: Count | None = None
    peak_gpu_bytes: Count | None = None
    bytes: Count = 0
    created: str = ""
    host: str = ""
    threads: Count | None = None
    stage: dict[str, Any] = {}


def sealed(content: dict[str, Any]) -> bytes:
    """Return the fields of a record as JSON that ends with a checksum of the rest."""
    return _dumped({**content, _SEAL: _seal(content)})


def read_record(path: Path) -> Record:
    """Return the record of the artifact ``KIND/KEY``.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is damaged, or belongs to another artifact.
    """
    written = read_regular(path, at_most=LARGEST_RECORD)
    try:
        content = json.loads(written)
        # Compared byte by byte with what ``sealed`` writes: a checksum of the parsed content would miss a changed last
        # digit that means the same number.
        whole = isinstance(content, dict) and written == _dumped(content)
        # Old records without a seal stay valid.
        seal = content.pop(_SEAL, None) if whole else None
        if not whole or seal not in (None, _seal(content)):
            raise ValueError("the record's own checksum does not match")
        record = Record.model_validate(content)
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("the record cannot be read") from error
    if (record.kind, record.key) not in ((None, None), (path.parent.name, path.stem)):
        raise ValueError(f"the record is of {record.kind} {record.key}")
    return record


@contextmanager
def whole_artifact(record: Path) -> Iterator[tuple[Record, BinaryIO]]:
    """Check an artifact and open its arrays at their start.

    The check and the caller use one open file, since another process may replace the file in between.

    Args:
        record: path of the JSON; the arrays are beside it.

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: a file is damaged; the message says what is wrong.
    """
    known = read_record(record)
    with open_regular(record.with_suffix(".npz")) as file:
        if sha256_of(file) != known.sha256:
            raise ValueError("the checksum does not match")
        file.seek(0)
        yield known, file


def _dumped(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode()


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(_dumped(content)).hexdigest()
