"""The JSON beside an artifact: its stage, what its making took, and checksums of the arrays and of itself."""

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
"""Bytes of a record that are read; one has a few thousand, and what lies there in its place may be endless."""
_SEAL = "record_sha256"


class Record(BaseModel):
    """What is known of an artifact.

    Attributes:
        kind: of its stage; None in records of before they named it, as ``key``.
        key: of its stage.
        sha256: of the arrays' file.
        seconds: that the making took.
        peak_bytes: see ``bench.resource_usage.Usage``.
        peak_gpu_bytes: the same.
        bytes: size of the arrays' file.
        created: when it was made, ISO 8601.
        host: name of the machine that made it.
        threads: CPU threads that it took; None where that is not known.
        stage: the specification of the stage, for people.
    """

    # An unknown field is damage: a flipped bit in the name of the seal must not make a record one of before.
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
    """Return the fields of a record as JSON that ends with a checksum of all before it."""
    return _dumped({**content, _SEAL: _seal(content)})


def read_record(path: Path) -> Record:
    """Read the record of the artifact ``KIND/KEY``.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is damaged, or of another artifact.
    """
    written = read_regular(path, at_most=LARGEST_RECORD)
    try:
        content = json.loads(written)
        # Where any byte differs from what ``sealed`` writes, something else wrote it: a checksum of the parsed content
        # would miss a changed last digit that stands for the same number.
        whole = isinstance(content, dict) and written == _dumped(content)
        # Records of before they had a seal stay valid without.
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
    """Open the arrays of an artifact, at their start, once they and the record are found whole.

    One open file serves the check and what follows: another process may put a new one in its place in between.

    Args:
        record: path of the JSON; the arrays lie beside it.

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: something is damaged; says what.
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
