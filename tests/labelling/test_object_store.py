"""A bucket behind a server of S3's protocol (moto), read by ``s3fs`` in the command as a user starts it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.digits import load_digits
from tests.labelling.cases import ODD_KEYS, picture

pytestmark = pytest.mark.integration

# Looked for and not imported: that takes half a second, in each process that collects the tests.
for extra in ("moto", "s3fs"):
    if find_spec(extra) is None:
        pytest.skip(f"needs {extra}, an extra of development", allow_module_level=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a process finds a server of this machine, and its keys."""
    log = tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield {
                "FSSPEC_S3_ENDPOINT_URL": found[0],
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        finally:
            process.kill()


def _put(environment: dict[str, str], files: dict[str, bytes]) -> None:
    """Write objects by boto3, which has no part in what is tested."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=environment["FSSPEC_S3_ENDPOINT_URL"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="bench-photos")
    for key, content in files.items():
        client.put_object(Bucket="bench-photos", Key=key, Body=content)
    client.close()


@pytest.fixture(scope="module")
def bucket(server: dict[str, str]) -> dict[str, str]:
    """``s3://bench-photos``: 12 digits as pictures, a damaged one, markers of folders, a neighbour, tables."""
    vectors = io.BytesIO()
    np.save(vectors, load_digits().data[:40])
    files = {f"photos/{number}.png": picture(number) for number in range(9)}
    files |= {f"photos/{name}": picture(9 + number) for number, name in enumerate(ODD_KEYS)}
    files |= {"photos/broken.PNG": b"no image", "photos/": b"", "photos/marker/": b"", "photos2/x.png": picture(20)}
    files |= {"x.npy": vectors.getvalue(), "names.txt": "".join(f"n{number}\n" for number in range(40)).encode()}
    files |= {"labelled.csv": b"file,label\n0.png,zero\n1.png,one\n", "groups.csv": b"item,group\nn0,a\nn1,a\nn2,a\n"}
    _put(server, files)
    return server


def select(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``bench select`` in a process of its own: s3fs keeps a thread and open sockets."""
    given = ("--cache-dir", "cache", "--threads", "1", "--device", "cpu", "--classes", "2", "--out", "x.csv", "-q")
    command = [sys.executable, "-m", "bench", "select", *given, *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, cwd=folder, capture_output=True, text=True, check=False
    )


def of_photos(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    images = ("--images", "s3://bench-photos/photos", "--encoder", "pixels", "--image-size", "16")
    return select(environment, folder, *images, *arguments)


def _column(path: Path, name: str) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row[name] for row in csv.DictReader(file)]


def test_pictures_of_a_bucket_are_chosen_and_handed_over_by_their_keys(bucket: dict[str, str], tmp_path: Path) -> None:
    done = of_photos(bucket, tmp_path, "--method", "random", "--budget", "12", "--format", "label-studio")
    assert done.returncode == 0, done.stderr
    expected = {*(f"{number}.png" for number in range(9)), *ODD_KEYS}
    assert {name.removeprefix("./") for name in _column(tmp_path / "x.csv", "file")} == expected
    assert _column(tmp_path / "x.skipped.csv", "file") == ["broken.PNG"]
    store = _store(bucket)
    for task in json.loads((tmp_path / "x.label-studio.json").read_text(encoding="utf-8")):
        assert store.cat_file(task["data"]["image"]) == store.cat_file(f"bench-photos/photos/{task['data']['name']}")
    labelled = of_photos(
        bucket, tmp_path, "--budget", "10", "--labelled", "s3://bench-photos/labelled.csv", "--overwrite"
    )
    assert labelled.returncode in (0, 1), labelled.stderr
    assert {name.removeprefix("./") for name in _column(tmp_path / "x.csv", "file")} == expected - {"0.png", "1.png"}


def _store(environment: dict[str, str]) -> Any:
    import s3fs

    return s3fs.S3FileSystem(
        key="key",
        secret="secret",
        endpoint_url=environment["FSSPEC_S3_ENDPOINT_URL"],
        skip_instance_cache=True,
        asynchronous=False,
    )


def test_embeddings_names_and_groups_of_a_bucket(bucket: dict[str, str], tmp_path: Path) -> None:
    given = ("--embeddings", "s3://bench-photos/x.npy", "--names", "s3://bench-photos/names.txt")
    groups = ("--groups", "s3://bench-photos/groups.csv")
    done = select(bucket, tmp_path, *given, *groups, "--method", "random", "--budget", "38")
    assert done.returncode == 0, done.stderr
    assert {f"n{number}" for number in range(3, 40)} < set(_column(tmp_path / "x.csv", "item"))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://no-such-bucket/photos", "cannot list s3://no-such-bucket/photos: The specified bucket does not exist"),
        ("s3://bench-photos/nothing", "s3://bench-photos/nothing holds none of .jpg"),
        ("s3://bench-photos/photos/0.png", "s3://bench-photos/photos/0.png is a file; --images takes a folder"),
    ],
)
def test_what_a_bucket_does_not_hold_is_one_line(
    bucket: dict[str, str], tmp_path: Path, address: str, message: str
) -> None:
    done = select(bucket, tmp_path, "--images", address, "--encoder", "pixels(size=8)", "--budget", "2")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.csv").exists()
